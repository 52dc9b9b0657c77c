-- Where searches go if OpenSearch has the index: its name, the counters of change_counters up to which it has all changes, as
-- JSON, and when that was so (UTC). One row, which the one process that writes the index replaces. docs/search.md
CREATE TABLE IF NOT EXISTS search_index (
    id       TINYINT UNSIGNED NOT NULL,
    name     VARCHAR(255)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    counters VARCHAR(4000)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    noted_at DATETIME         NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
