//! Which statement answers a query, over which index. Pure: no database here.
//!
//! Every statement names its index (`FORCE INDEX`). The optimiser, left alone, reads hundreds of thousands of rows for
//! some pages; a hint decides only how fast an answer is, never what it is. docs/sql.md explains why.

pub(crate) mod price_range;
pub(crate) mod sample;

use crate::{
    ListQuery, Order, Price, Sort,
    cursor::{Position, SortValue},
    statement::{Kind, Statement, Value},
    words::expression,
};

/// In the order in which [`Product`](crate::Product) reads them.
const COLUMNS: &str = "id, name, description, category, price, created_at, updated_at";
/// The same, of the rows beside what was found.
const PAYLOAD: &str = "products.id, products.name, products.description, products.category, products.price, \
                       products.created_at, products.updated_at";

/// How a query without search is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// One index has the rows in order, filters included: a page costs its own rows.
    Page,
    /// A price range in another order: no index has both.
    PriceRange,
}

impl Plan {
    pub(crate) fn of(query: &ListQuery) -> Plan {
        let in_order = query.sort() == Sort::Price || walks_one_price(query);
        if has_price_range(query) && !in_order { Plan::PriceRange } else { Plan::Page }
    }
}

fn has_price_range(query: &ListQuery) -> bool {
    !query.filter().prices.is_all()
}

/// The index by price has the rows of one price in the order of their ids.
fn walks_one_price(query: &ListQuery) -> bool {
    query.sort() == Sort::Id && one_price(query).is_some()
}

/// Whether the sort's index is the table itself, each row of it whole.
pub(crate) fn walks_table(query: &ListQuery) -> bool {
    query.sort() == Sort::Id && query.category().is_none()
}

/// The price, where the range is of one only.
fn one_price(query: &ListQuery) -> Option<Price> {
    let (lowest, highest) = query.prices();
    (lowest == highest).then_some(lowest)
}

/// The index that has a category's rows, or all, in the order of a sort.
fn index(query: &ListQuery, sort: Sort) -> &'static str {
    match (sort, query.category().is_some()) {
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

fn column(sort: Sort) -> &'static str {
    match sort {
        Sort::Id => "id",
        Sort::Price => "price",
        Sort::Name => "name",
        Sort::CreatedAt => "created_at",
        Sort::Relevance => "relevance",
    }
}

/// A page from the one index that serves it.
pub(crate) fn page(query: &ListQuery) -> Statement<'_> {
    let mut statement = Statement::select(Kind::Page);
    statement.push(COLUMNS);
    walk(&mut statement, query, has_price_range(query));
    order_by(&mut statement, query, "");
    statement.push(" LIMIT ").bind(Value::Number(query.rows()));
    statement
}

/// The products that have all the words.
pub(crate) fn search(query: &ListQuery) -> Statement<'_> {
    let mut statement = Statement::select(Kind::Search);
    statement.push(COLUMNS).push(", relevance FROM (SELECT ").push(COLUMNS).push(", ");
    for (nth, word) in query.words().iter().enumerate() {
        statement
            .push(if nth == 0 { "(LOCATE(" } else { " + (LOCATE(" })
            .bind(Value::Text(word))
            .push(", name) > 0)");
    }
    statement.push(" AS relevance FROM products FORCE INDEX (by_words)");
    statement.push(" WHERE MATCH (name, description, short_words) AGAINST (");
    statement.bind(Value::Expression(expression(query.words()))).push(" IN BOOLEAN MODE)");
    if let Some(category) = query.category() {
        statement.push(" AND category = ").bind(Value::Text(category));
    }
    if has_price_range(query) {
        statement.push(" AND ");
        in_price_range(&mut statement, query);
    }
    statement.push(") AS found");
    if let Some(position) = query.after() {
        statement.push(" WHERE ");
        after(&mut statement, position, query.order(), "");
    }
    order_by(&mut statement, query, "");
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
fn walk<'q>(statement: &mut Statement<'q>, query: &'q ListQuery, with_price_range: bool) {
    let sort = if walks_one_price(query) { Sort::Price } else { query.sort() };
    let mut joint = from(statement, query, index(query, sort));
    if with_price_range {
        statement.push(joint);
        in_price_range(statement, query);
        joint = " AND ";
    }
    if let Some(position) = query.after() {
        statement.push(joint);
        after(statement, position, query.order(), "");
    }
}

/// `FROM products` by an index, all or one category's. Returns what joins a condition to it.
fn from<'q>(statement: &mut Statement<'q>, query: &'q ListQuery, index: &str) -> &'static str {
    statement.push(" FROM products FORCE INDEX (").push(index).push(")");
    let Some(category) = query.category() else { return " WHERE " };
    statement.push(" WHERE category = ").bind(Value::Text(category));
    " AND "
}

/// Finds ids first, and reads the whole rows of one page only.
fn payload_of<'q>(statement: &mut Statement<'q>, query: &'q ListQuery, ids: impl FnOnce(&mut Statement<'q>)) {
    statement.push(PAYLOAD);
    of_found(statement, query, ids);
}

/// `FROM` the ids that were found, each with its row.
fn of_found<'q>(statement: &mut Statement<'q>, query: &'q ListQuery, ids: impl FnOnce(&mut Statement<'q>)) {
    statement.push(" FROM (");
    ids(statement);
    statement.push(") AS found STRAIGHT_JOIN products FORCE INDEX (PRIMARY) ON products.id = found.id");
    order_by(statement, query, "found.");
}

fn sort_columns(query: &ListQuery) -> &'static str {
    match query.sort() {
        Sort::Name => "id, name",
        Sort::CreatedAt => "id, created_at",
        Sort::Id | Sort::Price | Sort::Relevance => "id",
    }
}

/// Both ends always: one shape of statement instead of three. Only a single price is spelt as one, because `MariaDB`
/// sorts all its rows otherwise.
fn in_price_range(statement: &mut Statement<'_>, query: &ListQuery) {
    match one_price(query) {
        Some(price) => {
            statement.push("price = ").bind(Value::Price(price));
        }
        None => between(statement, query.prices()),
    }
}

fn between(statement: &mut Statement<'_>, (from, to): (Price, Price)) {
    statement.push("price BETWEEN ").bind(Value::Price(from)).push(" AND ").bind(Value::Price(to));
}

/// The rows of a table after a position. Spelt out, because `(value, id) > (?, ?)` is not a range to either optimiser.
fn after<'q>(statement: &mut Statement<'q>, position: &'q Position, order: Order, table: &str) {
    let beyond = order.beyond();
    let (column, value) = match &position.value {
        SortValue::Id => {
            statement.push(table).push("id").push(beyond).bind(Value::Number(position.id));
            return;
        }
        SortValue::Price(price) => (column(Sort::Price), Value::Price(*price)),
        SortValue::Name(name) => (column(Sort::Name), Value::Text(name)),
        SortValue::CreatedAt(time) => (column(Sort::CreatedAt), Value::Time(*time)),
        SortValue::Relevance(relevance) => (column(Sort::Relevance), Value::Number(u64::from(*relevance))),
    };
    statement.push("(").push(table).push(column).push(beyond).bind(value.clone());
    statement.push(" OR (").push(table).push(column).push(" = ").bind(value);
    statement.push(" AND ").push(table).push("id").push(beyond).bind(Value::Number(position.id)).push("))");
}

/// By the sort and then by id, both in the same direction: so an index can be read either way.
fn order_by(statement: &mut Statement<'_>, query: &ListQuery, table: &str) {
    let direction = query.order().sql();
    statement.push(" ORDER BY ");
    if query.sort() != Sort::Id {
        statement.push(table).push(column(query.sort())).push(" ").push(direction).push(", ");
    }
    statement.push(table).push("id ").push(direction);
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
    fn a_price_range_needs_two_plans_unless_price_is_the_sort() {
        assert_eq!(Plan::of(&parse(&[("minPrice", "5")])), Plan::PriceRange);
        assert_eq!(Plan::of(&parse(&[("maxPrice", "5"), ("sort", "name")])), Plan::PriceRange);
        assert_eq!(Plan::of(&parse(&[("maxPrice", "5"), ("sort", "price")])), Plan::Page);
        assert_eq!(Plan::of(&parse(&[("category", "a")])), Plan::Page);
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

    /// Every statement of ours stays prepared: a connection's cache holds them all, searches of up to 16 words included.
    #[test]
    fn values_never_make_a_new_statement() {
        let mut texts = HashSet::new();
        for sort in ["id", "price", "name", "createdAt", "relevance"] {
            for order in ["asc", "desc"] {
                for filters in 0..16 {
                    for limit in ["1", "20", "100"] {
                        let mut pairs = vec![("sort", sort), ("order", order), ("limit", limit)];
                        pairs.extend((filters & 1 == 1).then_some(("category", "another")));
                        pairs.extend((filters & 2 == 2).then_some(("minPrice", "1")));
                        pairs.extend((filters & 4 == 4).then_some(("maxPrice", "9.50")));
                        pairs.extend((filters & 0b1010 == 0b1000).then_some(("minPrice", "9.50")));
                        pairs.extend((sort == "relevance").then_some(("search", "a word")));
                        let query = parse(&pairs);
                        let statements = match Plan::of(&query) {
                            _ if sort == "relevance" => vec![search(&query)],
                            Plan::Page => vec![page(&query)],
                            Plan::PriceRange => price_range::tests::all(&query),
                        };
                        for statement in statements {
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
