-- Where searches go if OpenSearch has the index: its name, and the counters of change_counters up to which it has all changes, as
-- JSON and summed. One row, which the one process that writes the index replaces. docs/search.md
CREATE TABLE IF NOT EXISTS search_index (
    id       TINYINT UNSIGNED NOT NULL,
    name     VARCHAR(255)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changes  BIGINT UNSIGNED  NOT NULL,
    counters VARCHAR(4000)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
