-- What was done for a key that a client gave its write, inserted in the transaction that did it: the same write sent again finds it
-- and does nothing.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    key_hash     BINARY(32)  NOT NULL,
    request_hash BINARY(32)  NOT NULL,
    done         MEDIUMBLOB  NOT NULL,
    created_at   DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (key_hash),
    KEY by_created_at (created_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
