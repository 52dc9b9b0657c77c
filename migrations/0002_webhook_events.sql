-- The inbox: one row for each event that has taken effect, written in the transaction of the effect. docs/webhook.md
CREATE TABLE IF NOT EXISTS webhook_events (
    event_id     VARCHAR(128)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    payload_hash BINARY(32)      NOT NULL,
    event_type   VARCHAR(32)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    product_id   BIGINT UNSIGNED NOT NULL,
    occurred_at  DATETIME(6)     NOT NULL,
    received_at  DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    outcome      VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (event_id),
    KEY by_received_at (received_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
