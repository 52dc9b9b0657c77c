-- How many transactions have changed products, so that a search index can tell what it has not seen. A transaction raises one of
-- the slots from 1 on, and stores slot and number with each product that it changed, in product_versions. The lock on the
-- counter's row makes the order of numbers the order of commits. Slot 0 is raised when the catalogue as a whole was replaced.
-- docs/search.md
CREATE TABLE IF NOT EXISTS change_counters (
    slot    TINYINT UNSIGNED NOT NULL,
    changes BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (slot)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
