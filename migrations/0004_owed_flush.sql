-- One row while events have taken effect and the cache may not know it yet, since Redis could not be told: whichever process
-- reaches Redis first flushes, and removes the row if it is still the one that it has read. docs/webhook.md
CREATE TABLE IF NOT EXISTS owed_flush (
    id    TINYINT UNSIGNED NOT NULL,
    token BINARY(16)       NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
