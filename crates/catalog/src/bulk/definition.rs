//! What a table is made of, as the server itself writes it down, so that migrations stay the only place to define it.

use std::collections::BTreeMap;

/// The parts of a table's definition that loading cares about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Definition {
    /// Lines such as `` `id` bigint unsigned NOT NULL AUTO_INCREMENT ``.
    pub columns: Vec<String>,
    /// All but the primary key, by their quoted names: such as ``KEY `by_price` (`price`,`id`)``. With `ADD` before it, that
    /// creates the index.
    pub indexes: BTreeMap<String, String>,
    /// The id that the next row gets, where a row has had one.
    pub next_id: Option<u64>,
}

impl Definition {
    /// Reads the answer to SHOW CREATE TABLE: one line for each column and index.
    pub(super) fn parse(create_table: &str) -> Definition {
        let mut definition = Definition::default();
        for line in create_table.lines().filter_map(|line| line.strip_prefix("  ")) {
            let line = line.strip_suffix(',').unwrap_or(line);
            let is_index = line.starts_with("KEY ") || line.starts_with("UNIQUE KEY ");
            if line.starts_with('`') {
                definition.columns.push(line.to_owned());
            } else if is_index && let Some(name) = line.split('`').nth(1) {
                definition.indexes.insert(format!("`{name}`"), line.to_owned());
            }
        }
        let options = create_table.lines().last().and_then(|line| line.split(" COMMENT=").next());
        let next_id = options.and_then(|options| options.split(" AUTO_INCREMENT=").nth(1));
        definition.next_id = next_id.and_then(|text| text.split(' ').next()?.parse().ok());
        definition
    }

    /// The definitions of the indexes that `other` lacks.
    pub(super) fn indexes_missing_in(&self, other: &Definition) -> Vec<&str> {
        let missing = self.indexes.iter().filter(|(name, _)| !other.indexes.contains_key(*name));
        missing.map(|(_, definition)| definition.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTS: &str = "CREATE TABLE `products` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `price` decimal(10,2) NOT NULL COMMENT 'KEY `x` (`y`),',
  `key` varchar(9) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `one` (`key`),
  KEY `by_price` (`price`,`id` DESC),
  KEY `by_key` (`key`,`id`) /*!80000 INVISIBLE */,
  CONSTRAINT `price_is_not_negative` CHECK (`price` >= 0)
) ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=utf8mb4 COMMENT='KEY `z` AUTO_INCREMENT=7 '";

    #[test]
    fn columns_and_indexes_are_told_apart() {
        let products = Definition::parse(PRODUCTS);
        assert_eq!((products.columns.len(), products.next_id), (3, Some(42)));
        assert_eq!(Definition::parse(&PRODUCTS.replace("AUTO_INCREMENT=42 ", "")).next_id, None);
        let names: Vec<_> = products.indexes.keys().map(String::as_str).collect();
        assert_eq!(names, ["`by_key`", "`by_price`", "`one`"]);
        assert_eq!(products.indexes["`by_price`"], "KEY `by_price` (`price`,`id` DESC)");
    }

    #[test]
    fn missing_indexes_are_those_the_other_lacks() {
        let products = Definition::parse(PRODUCTS);
        let mut bare = Definition::parse(PRODUCTS);
        bare.indexes.retain(|name, _| name == "`by_price`");
        let missing = products.indexes_missing_in(&bare);
        assert_eq!(missing, ["KEY `by_key` (`key`,`id`) /*!80000 INVISIBLE */", "UNIQUE KEY `one` (`key`)"]);
        assert!(bare.indexes_missing_in(&products).is_empty());
    }
}
