-- Prices in bands, 64 to each doubling, so that an index can have a price range and another order. The band of so many
-- cents is their first seven bits and how many more there are: whole numbers, alike on every server and in the program.
-- A plain column, because MariaDB leaps along an index by columns that are NOT NULL only, which a generated one cannot be
-- there; so the CHECK sees to it that it is never another. Whoever changes a price sets `price_band = DEFAULT` too.
ALTER TABLE products
    ADD COLUMN price_band SMALLINT UNSIGNED NOT NULL DEFAULT (
        ((GREATEST(CHAR_LENGTH(BIN(CAST(price * 100 AS UNSIGNED))), 7) - 7) << 6)
        + (CAST(price * 100 AS UNSIGNED) >> (GREATEST(CHAR_LENGTH(BIN(CAST(price * 100 AS UNSIGNED))), 7) - 7))
    ),
    ADD CONSTRAINT price_band_is_of_price CHECK (
        price_band = ((GREATEST(CHAR_LENGTH(BIN(CAST(price * 100 AS UNSIGNED))), 7) - 7) << 6)
        + (CAST(price * 100 AS UNSIGNED) >> (GREATEST(CHAR_LENGTH(BIN(CAST(price * 100 AS UNSIGNED))), 7) - 7))
    )
