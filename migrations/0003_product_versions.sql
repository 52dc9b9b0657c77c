-- The newest event behind each product, for what it is and for what it costs: an older one that comes late finds it and
-- changes nothing, also after the product is gone. docs/webhook.md
-- `slot` and `change_number` are the position of the product's last change, see change_counters.
-- Ids above 2^53 - 1 are not exact in JavaScript. The check is here because MySQL allows none of an AUTO_INCREMENT column, which
-- `products` has, and because every change of a product by an event writes its version.
CREATE TABLE IF NOT EXISTS product_versions (
    product_id    BIGINT UNSIGNED NOT NULL,
    content_at    DATETIME(6)     NULL,
    content_event VARCHAR(128)    CHARACTER SET ascii COLLATE ascii_bin NULL,
    price_at      DATETIME(6)     NULL,
    price_event   VARCHAR(128)    CHARACTER SET ascii COLLATE ascii_bin NULL,
    price         DECIMAL(10, 2)  NULL,
    newest_at     DATETIME(6)     NOT NULL,
    slot          TINYINT UNSIGNED NOT NULL DEFAULT 0,
    change_number BIGINT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (product_id),
    KEY by_newest_at (newest_at),
    KEY by_change (slot, change_number),
    CONSTRAINT product_id_is_exact CHECK (product_id <= 9007199254740991)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
