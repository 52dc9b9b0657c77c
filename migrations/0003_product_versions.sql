-- The newest event behind each product, for what it is and for what it costs: an older one that comes late finds it and
-- changes nothing, also after the product is gone. docs/webhook.md
CREATE TABLE IF NOT EXISTS product_versions (
    product_id    BIGINT UNSIGNED NOT NULL,
    content_at    DATETIME(6)     NULL,
    content_event VARCHAR(128)    CHARACTER SET ascii COLLATE ascii_bin NULL,
    price_at      DATETIME(6)     NULL,
    price_event   VARCHAR(128)    CHARACTER SET ascii COLLATE ascii_bin NULL,
    price         DECIMAL(10, 2)  NULL,
    newest_at     DATETIME(6)     NOT NULL,
    PRIMARY KEY (product_id),
    KEY by_newest_at (newest_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
