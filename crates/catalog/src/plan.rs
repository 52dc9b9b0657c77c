//! Which statement answers a query, over which index. Pure: no database here.
//!
//! Every statement names its index (`FORCE INDEX`). The optimiser, left alone, reads hundreds of thousands of rows for
//! some pages; a hint decides only how fast an answer is, never what it is. docs/sql.md explains why.

use crate::{
    ListQuery, Position, Sort, SortValue,
    statement::{Kind, Statement, Value},
};

/// In the order in which [`Product`](crate::Product) reads them.
pub(crate) const COLUMNS: &str = "id, name, description, category, price, created_at, updated_at";

/// The column of a sort, beside the id. One index serves no search: relevance has none.
fn column(sort: Sort) -> Option<&'static str> {
    match sort {
        Sort::Id | Sort::Relevance => None,
        Sort::Price => Some("price"),
        Sort::Name => Some("name"),
        Sort::CreatedAt => Some("created_at"),
    }
}

/// A page from the one index that has a category's rows, or all, in the order of the sort.
///
/// It is ordered by the sort and then by id, both in the same direction, so that the index can be read either way.
pub(crate) fn page(query: &ListQuery) -> Statement<'_> {
    let (column, category) = (column(query.sort()), query.category());
    let mut statement = Statement::select(Kind::Page);
    statement.push(COLUMNS).push(" FROM products FORCE INDEX (");
    match (category, column) {
        (None, None) => statement.push("PRIMARY"),
        (None, Some(column)) => statement.push("by_").push(column),
        (Some(_), None) => statement.push("by_category"),
        (Some(_), Some(column)) => statement.push("by_category_").push(column),
    };
    // What follows is any number of conditions.
    statement.push(") WHERE TRUE");
    if let Some(category) = category {
        statement.push(" AND category = ").bind(Value::Text(category));
    }
    // Both ends always: one shape of statement instead of three. Only a single price is spelt as one, because MariaDB sorts all
    // its rows otherwise.
    let (lowest, highest) = query.prices();
    if lowest == highest {
        statement.push(" AND price = ").bind(Value::Price(lowest));
    } else if !query.filter().prices.is_all() {
        statement.push(" AND price BETWEEN ").bind(Value::Price(lowest));
        statement.push(" AND ").bind(Value::Price(highest));
    }
    if let Some(position) = query.after() {
        after(&mut statement, column.zip(value(position)), position.id, query.order().beyond());
    }
    let direction = query.order().sql();
    statement.push(" ORDER BY ");
    if let Some(column) = column {
        statement.push(column).push(direction).push(", ");
    }
    statement.push("id").push(direction).push(" LIMIT ").bind(Value::Number(query.rows()));
    statement
}

pub(crate) fn product(id: u64) -> Statement<'static> {
    let mut statement = Statement::select(Kind::Product);
    statement.push(COLUMNS).push(" FROM products WHERE id = ").bind(Value::Number(id));
    statement
}

/// Grouping by an index's first column lets the server scan the index loosely: one read for each value.
pub(crate) fn categories() -> Statement<'static> {
    let mut statement = Statement::select(Kind::Categories);
    statement.push("category FROM products FORCE INDEX (by_category) GROUP BY category");
    statement
}

pub(crate) fn newest_migration() -> Statement<'static> {
    let mut statement = Statement::select(Kind::Ping);
    statement.push(
        "MAX(version), CAST(@@read_only AS CHAR) NOT IN ('0', 'OFF') FROM _sqlx_migrations WHERE success",
    );
    statement
}

/// The value of a position that a column holds, beside the id.
fn value(position: &Position) -> Option<Value<'_>> {
    match &position.value {
        SortValue::Id | SortValue::Relevance(_) => None,
        SortValue::Price(price) => Some(Value::Price(*price)),
        SortValue::Name(name) => Some(Value::Text(name)),
        SortValue::CreatedAt(time) => Some(Value::Time(*time)),
    }
}

/// The rows beyond a position. Spelt out, because `(value, id) > (?, ?)` is not a range to either optimiser.
fn after<'q>(statement: &mut Statement<'q>, value: Option<(&str, Value<'q>)>, id: u64, beyond: &str) {
    let Some((column, value)) = value else {
        statement.push(" AND id").push(beyond).bind(Value::Number(id));
        return;
    };
    statement.push(" AND (").push(column).push(beyond).bind(value.clone());
    statement.push(" OR (").push(column).push(" = ").bind(value);
    statement.push(" AND id").push(beyond).bind(Value::Number(id)).push("))");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{config::STATEMENTS, tests::query as parse};

    fn index_of(pairs: &[(&str, &str)]) -> String {
        let query = parse(pairs);
        let text = page(&query).text;
        let (_, rest) = text.split_once("FORCE INDEX (").unwrap();
        rest.split_once(')').unwrap().0.to_owned()
    }

    #[test]
    fn sort_and_category_choose_the_index() {
        for (sort, index, of_category) in [
            ("id", "PRIMARY", "by_category"),
            ("price", "by_price", "by_category_price"),
            ("name", "by_name", "by_category_name"),
            ("createdAt", "by_created_at", "by_category_created_at"),
        ] {
            assert_eq!(index_of(&[("sort", sort)]), index);
            assert_eq!(index_of(&[("sort", sort), ("category", "a"), ("order", "desc")]), of_category);
        }
    }

    #[test]
    fn a_page_after_a_position_is_spelt_out() {
        let query = parse(&[("cursor", "1000"), ("limit", "5")]);
        let statement = page(&query);
        assert_eq!(
            statement.text,
            "SELECT id, name, description, category, price, created_at, updated_at FROM products FORCE INDEX (PRIMARY) \
             WHERE TRUE AND id > ? ORDER BY id ASC LIMIT ?"
        );
        assert_eq!(statement.values, [Value::Number(1000), Value::Number(6)]);
    }

    /// Every statement of ours stays prepared: a connection's cache holds them all.
    #[test]
    fn values_never_make_a_new_statement() {
        let mut texts = HashSet::new();
        for sort in ["id", "price", "name", "createdAt"] {
            for order in ["asc", "desc"] {
                for filters in 0..16 {
                    for limit in ["1", "20", "100"] {
                        let mut pairs = vec![("sort", sort), ("order", order), ("limit", limit)];
                        pairs.extend((filters & 1 == 1).then_some(("category", "another")));
                        pairs.extend((filters & 2 == 2).then_some(("minPrice", "1")));
                        pairs.extend((filters & 4 == 4).then_some(("maxPrice", "9.50")));
                        pairs.extend((filters & 0b1010 == 0b1000).then_some(("minPrice", "9.50")));
                        let query = parse(&pairs);
                        if query.is_served_by_one_index() {
                            let statement = page(&query);
                            assert!(!statement.text.contains("9.50") && !statement.text.contains("another"));
                            assert_eq!(statement.text.matches('?').count(), statement.values.len());
                            texts.insert(statement.text);
                        }
                    }
                }
            }
        }
        // With and without a cursor.
        assert!(texts.len() * 2 < STATEMENTS, "{} statements", texts.len() * 2);
    }
}
