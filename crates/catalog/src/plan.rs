//! Which statement answers a query, over which index. Pure: no database here.
//!
//! Every statement names its index (`FORCE INDEX`). The optimiser, left alone, reads hundreds of thousands of rows for
//! some pages; a hint decides only how fast an answer is, never what it is. docs/sql.md explains why.

use crate::{
    ListQuery, Order, Position, Sort, SortValue,
    statement::{Kind, Statement, Value},
};

/// In the order in which [`Product`](crate::Product) reads them.
pub(crate) const COLUMNS: &str = "id, name, description, category, price, created_at, updated_at";

/// The index that has a category's rows, or all, in the order of a sort.
fn index(query: &ListQuery) -> &'static str {
    match (query.sort(), query.category().is_some()) {
        (Sort::Id | Sort::Relevance, false) => "PRIMARY",
        (Sort::Id | Sort::Relevance, true) => "by_category",
        (Sort::Price, false) => "by_price",
        (Sort::Price, true) => "by_category_price",
        (Sort::Name, false) => "by_name",
        (Sort::Name, true) => "by_category_name",
        (Sort::CreatedAt, false) => "by_created_at",
        (Sort::CreatedAt, true) => "by_category_created_at",
    }
}

/// A page from the one index that serves it.
pub(crate) fn page(query: &ListQuery) -> Statement<'_> {
    let mut statement = Statement::select(Kind::Page);
    statement.push(COLUMNS);
    walk(&mut statement, query);
    order_by(&mut statement, query);
    statement.push(" LIMIT ").bind(Value::Number(query.rows()));
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
    statement.push("MAX(version) FROM _sqlx_migrations WHERE success");
    statement
}

/// `FROM products` along the sort's index, after the cursor.
fn walk<'q>(statement: &mut Statement<'q>, query: &'q ListQuery) {
    let mut joint = from(statement, query, index(query));
    if !query.filter().prices.is_all() {
        statement.push(joint);
        in_price_range(statement, query);
        joint = " AND ";
    }
    if let Some(position) = query.after() {
        statement.push(joint);
        after(statement, position, query.order());
    }
}

/// `FROM products` by an index, all or one category's. Returns what joins a condition to it.
fn from<'q>(statement: &mut Statement<'q>, query: &'q ListQuery, index: &str) -> &'static str {
    statement.push(" FROM products FORCE INDEX (").push(index).push(")");
    let Some(category) = query.category() else { return " WHERE " };
    statement.push(" WHERE category = ").bind(Value::Text(category));
    " AND "
}

/// Both ends always: one shape of statement instead of three. Only a single price is spelt as one, because `MariaDB`
/// sorts all its rows otherwise.
fn in_price_range(statement: &mut Statement<'_>, query: &ListQuery) {
    let (lowest, highest) = query.prices();
    if lowest == highest {
        statement.push("price = ").bind(Value::Price(lowest));
    } else {
        statement.push("price BETWEEN ").bind(Value::Price(lowest));
        statement.push(" AND ").bind(Value::Price(highest));
    }
}

/// The rows of a table after a position. Spelt out, because `(value, id) > (?, ?)` is not a range to either optimiser.
fn after<'q>(statement: &mut Statement<'q>, position: &'q Position, order: Order) {
    let beyond = order.beyond();
    let (column, value) = match &position.value {
        SortValue::Id | SortValue::Relevance(_) => {
            statement.push("id").push(beyond).bind(Value::Number(position.id));
            return;
        }
        SortValue::Price(price) => ("price", Value::Price(*price)),
        SortValue::Name(name) => ("name", Value::Text(name)),
        SortValue::CreatedAt(time) => ("created_at", Value::Time(*time)),
    };
    statement.push("(").push(column).push(beyond).bind(value.clone());
    statement.push(" OR (").push(column).push(" = ").bind(value);
    statement.push(" AND id").push(beyond).bind(Value::Number(position.id)).push("))");
}

/// By the sort and then by id, both in the same direction: so an index can be read either way. One index serves no search, so
/// there is no relevance here.
fn order_by(statement: &mut Statement<'_>, query: &ListQuery) {
    let direction = query.order().sql();
    let column = match query.sort() {
        Sort::Id | Sort::Relevance => None,
        Sort::Price => Some("price "),
        Sort::Name => Some("name "),
        Sort::CreatedAt => Some("created_at "),
    };
    statement.push(" ORDER BY ");
    if let Some(column) = column {
        statement.push(column).push(direction).push(", ");
    }
    statement.push("id ").push(direction);
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
             WHERE id > ? ORDER BY id ASC LIMIT ?"
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
