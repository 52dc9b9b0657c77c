-- The catalogue. Every index serves one way to list it; docs/sql.md says which, and counts the rows that each reads.
-- `category` compares by bytes: the filter is exact. Names and descriptions compare by a collation that sorts alike on MariaDB
-- and MySQL.
CREATE TABLE IF NOT EXISTS products (
    id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    name        VARCHAR(255)    NOT NULL,
    description VARCHAR(1000)   NOT NULL,
    category    VARCHAR(64)     CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    price       DECIMAL(10, 2)  NOT NULL,
    created_at  DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at  DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    KEY by_price (price, id, created_at),
    KEY by_name (name, id, price),
    KEY by_created_at (created_at, id, price),
    KEY by_category (category, id, price),
    KEY by_category_price (category, price, id, created_at),
    KEY by_category_name (category, name, id, price),
    KEY by_category_created_at (category, created_at, id, price),
    CONSTRAINT price_is_not_negative CHECK (price >= 0)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
