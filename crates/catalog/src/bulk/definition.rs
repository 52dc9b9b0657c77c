//! What a table is made of, as the server itself writes it down, so that migrations stay the only place to define it.

/// The parts of a table's definition that loading cares about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Definition {
    /// Lines such as `` `id` bigint unsigned NOT NULL AUTO_INCREMENT ``.
    pub columns: Vec<String>,
    /// All but the primary key.
    pub indexes: Vec<Index>,
}

/// An index beside the primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    /// Its name, quoted.
    pub name: String,
    /// Such as ``KEY `by_price` (`price`,`id`)``; with `ADD` before it, it creates the index.
    pub definition: String,
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
            } else if is_index
                && let Some((before, after)) = line.split_once('`')
                && let Some((name, _)) = after.split_once('`')
            {
                debug_assert!(before.ends_with(' '));
                definition.indexes.push(Index { name: format!("`{name}`"), definition: line.to_owned() });
            }
        }
        definition
    }

    /// The indexes of `self` that `other` lacks.
    pub(super) fn indexes_missing_in(&self, other: &Definition) -> Vec<Index> {
        let lacks = |index: &&Index| other.indexes.iter().all(|of_other| of_other.name != index.name);
        self.indexes.iter().filter(lacks).cloned().collect()
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
) ENGINE=InnoDB COMMENT='KEY `z` (`y`)'";

    #[test]
    fn columns_and_indexes_are_told_apart() {
        let products = Definition::parse(PRODUCTS);
        assert_eq!(products.columns.len(), 3);
        let names: Vec<_> = products.indexes.iter().map(|index| index.name.as_str()).collect();
        assert_eq!(names, ["`one`", "`by_price`", "`by_key`"]);
        assert_eq!(products.indexes[1].definition, "KEY `by_price` (`price`,`id` DESC)");
    }

    #[test]
    fn missing_indexes_are_those_the_other_lacks() {
        let products = Definition::parse(PRODUCTS);
        let bare =
            Definition { columns: products.columns.clone(), indexes: vec![products.indexes[1].clone()] };
        let missing: Vec<_> =
            products.indexes_missing_in(&bare).into_iter().map(|index| index.name).collect();
        assert_eq!(missing, ["`one`", "`by_key`"]);
        assert_eq!(bare.indexes_missing_in(&products), []);
    }
}
