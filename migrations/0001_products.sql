-- The catalogue. Every index serves one way to list it; docs/sql.md says which, and counts the rows that each reads.
-- `category` compares by bytes: the filter is exact. Names and descriptions compare by a collation that sorts alike on MariaDB
-- and MySQL. `short_words` holds the words that the full-text parser would drop.
-- `price_band` is the price in bands, 64 to each doubling, so that an index can have a price range and another order: the first
-- seven bits of the cents, and how many more there are. It is a plain column with a CHECK, because MariaDB scans an index loosely
-- by columns that are NOT NULL only, which generated columns cannot be there. Whoever changes a price sets
-- `price_band = DEFAULT` too.
CREATE TABLE IF NOT EXISTS products (
    id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    name        VARCHAR(255)    NOT NULL,
    description VARCHAR(1000)   NOT NULL,
    category    VARCHAR(64)     CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    price       DECIMAL(10, 2)  NOT NULL,
    created_at  DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at  DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    short_words VARCHAR(3000)   NOT NULL DEFAULT '',
    price_band  SMALLINT UNSIGNED NOT NULL DEFAULT (
        ((GREATEST(CHAR_LENGTH(BIN(CAST(price * 100 AS UNSIGNED))), 7) - 7) << 6)
        + (CAST(price * 100 AS UNSIGNED) >> (GREATEST(CHAR_LENGTH(BIN(CAST(price * 100 AS UNSIGNED))), 7) - 7))
    ),
    PRIMARY KEY (id),
    KEY by_price (price, id, created_at),
    KEY by_name (name, id, price),
    KEY by_created_at (created_at, id, price),
    KEY by_category (category, id, price),
    KEY by_category_price (category, price, id, created_at),
    KEY by_category_name (category, name, id, price),
    KEY by_category_created_at (category, created_at, id, price),
    KEY by_band (price_band, id, price),
    KEY by_band_name (price_band, name, id, price),
    KEY by_band_created_at (price_band, created_at, id, price),
    KEY by_category_band (category, price_band, id, price),
    KEY by_category_band_name (category, price_band, name, id, price),
    KEY by_category_band_created_at (category, price_band, created_at, id, price),
    FULLTEXT KEY by_words (name, description, short_words),
    CONSTRAINT price_is_not_negative CHECK (price >= 0),
    CONSTRAINT price_band_is_of_price CHECK (
        price_band = ((GREATEST(CHAR_LENGTH(BIN(CAST(price * 100 AS UNSIGNED))), 7) - 7) << 6)
        + (CAST(price * 100 AS UNSIGNED) >> (GREATEST(CHAR_LENGTH(BIN(CAST(price * 100 AS UNSIGNED))), 7) - 7))
    )
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
