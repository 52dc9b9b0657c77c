//! The statements of a price range in another order than price.

use super::{
    PAYLOAD, after, between, column, from, index, of_found, order_by, payload_of, sort_columns, walk,
    walks_table,
};
use crate::{
    ListQuery, Order, Price, Sort,
    cursor::{Position, SortValue},
    dialect::Dialect,
    price_range::{Cut, FEW, Parts, Walk, band::Band, firsts},
    statement::{Kind, Statement, Value},
};

/// A statement merges one of these numbers of bands, and what it has no need of are empty: each number is a text of its
/// own, prepared on every connection. The last has room for the largest page and both edges of its range.
const SIZES: [usize; 3] = [FEW, 24, 104];

/// So many bands have the page in any case: both edges, and one for each row.
pub(crate) fn enough(query: &ListQuery) -> usize {
    query.limit().get() as usize + 1 + 2
}

/// How many rows the price range holds, and how many there are of any price: the first and the second row of the answer.
pub(crate) fn estimate(query: &ListQuery) -> Statement<'_> {
    let mut statement = Statement::explain(Kind::Estimate);
    statement.push("id");
    in_range(&mut statement, query, query.prices());
    statement.push(" UNION ALL SELECT id");
    from(&mut statement, query, index(query, Sort::Price));
    statement
}

/// How many rows each edge has in range, and how many its whole band has: two rows of the answer for each. It always asks
/// for two edges.
pub(crate) fn estimate_edges<'q>(query: &'q ListQuery, cut: &Cut) -> Statement<'q> {
    let mut statement = Statement::explain(Kind::Estimate);
    let mut before = "id";
    for edge in cut.edges.iter().cycle().take(2) {
        for prices in [edge.prices, edge.band.prices()] {
            statement.push(before);
            in_range(&mut statement, query, prices);
            before = " UNION ALL SELECT id";
        }
    }
    statement
}

/// The first rows of the sort's index whose price is in range, however far off they are.
pub(crate) fn filtered(query: &ListQuery) -> Statement<'_> {
    filtered_walk(Kind::Filtered, query)
}

/// Those among the next rows of the sort's index. `MariaDB` stops where it has the page, or at the bound; `MySQL` has no such
/// bound, so there the rows go into a temporary table.
pub(crate) fn walked(query: &ListQuery, far: Walk, dialect: Dialect) -> Statement<'_> {
    if dialect == Dialect::MariaDb {
        let mut statement = filtered_walk(Kind::Walk, query);
        // What was found counts again when the rest of it is looked up.
        statement.push(" ROWS EXAMINED ").bind(Value::Number(far.at_most + query.rows()));
        return statement;
    }
    let mut statement = Statement::select(Kind::Walk);
    payload_of(&mut statement, query, |statement| {
        statement.push("SELECT ").push(sort_columns(query));
        statement.push(" FROM (SELECT ").push(sort_columns(query)).push(", price");
        walk(statement, query, false);
        ordered(statement, query, far.rows);
        statement.push(") AS walked WHERE ");
        between(statement, query.prices());
        ordered(statement, query, query.rows());
    });
    statement
}

/// The sort's index has all that decides; the rest of a row is looked up where the row is in range.
fn filtered_walk(kind: Kind, query: &ListQuery) -> Statement<'_> {
    let mut statement = Statement::select(kind);
    statement.push(PAYLOAD);
    if walks_table(query) {
        walk(&mut statement, query, true);
        ordered(&mut statement, query, query.rows());
        return statement;
    }
    statement.push(" FROM products AS found FORCE INDEX (").push(index(query, query.sort()));
    statement.push(") STRAIGHT_JOIN products FORCE INDEX (PRIMARY) ON products.id = found.id WHERE ");
    if let Some(category) = query.category() {
        statement.push("found.category = ").bind(Value::Text(category)).push(" AND ");
    }
    statement.push("found.");
    between(&mut statement, query.prices());
    if let Some(position) = query.after() {
        statement.push(" AND ");
        after(&mut statement, position, query.order(), "found.");
    }
    order_by(&mut statement, query, "found.");
    statement.push(" LIMIT ").bind(Value::Number(query.rows()));
    statement
}

/// Every row in the price range, sorted: the first rows of them.
pub(crate) fn range(query: &ListQuery) -> Statement<'_> {
    let mut statement = Statement::select(Kind::Range);
    payload_of(&mut statement, query, |statement| ranged_part(statement, query, query.prices()));
    statement
}

/// The first row after the cursor of every band from one to another, in the order of the query. Grouping by an index's
/// first columns is a loose index scan: two reads for each band's rows beyond the cursor's value, two for those that tie with it,
/// and one for the id of each band that may be in the answer. Spelt out, because `MySQL` reads every row of the bands where it is
/// prepared.
pub(crate) fn first_rows_of_bands(query: &ListQuery, bands: (Band, Band)) -> Statement<'_> {
    let scan = LooseScan { query, bands };
    let firsts = firsts(query);
    let mut statement = Statement::begin_snapshot(Kind::FirstRows);
    if query.sort() == Sort::Id {
        statement.push("price_band, ").push(scan.first("id")).push(" AS first_id");
        scan.from(&mut statement);
        if let Some(position) = query.after() {
            statement.push(" AND ");
            after(&mut statement, position, query.order(), "");
        }
        scan.group_by(&mut statement);
        statement.push(" ORDER BY first_id ").push(query.order().sql());
        statement.push(" LIMIT ").bind(Value::Number(firsts));
        return statement.spelt_out();
    }
    let column = column(query.sort());
    statement.push("price_band, begins_at, first_id FROM (");
    if let Some(position) = query.after() {
        statement.push("SELECT price_band, 0 AS place, NULL AS begins_at, ");
        statement.push(scan.first("id")).push(" AS first_id");
        scan.from(&mut statement);
        statement.push(" AND ").push(column).push(" = ").bind(value_of(position));
        statement.push(" AND id").push(query.order().beyond()).bind(Value::Number(position.id));
        scan.group_by(&mut statement);
        statement.push(" UNION ALL ");
    }
    statement.push("SELECT price_band, place, begins_at, (SELECT id");
    let joint = from(&mut statement, query, band_index(query));
    statement.push(joint).push("products.price_band = beyond.price_band AND ").push(column);
    statement
        .push(" = begins_at ORDER BY id ")
        .push(query.order().sql())
        .push(" LIMIT 1) AS first_id FROM (");
    statement
        .push("SELECT price_band, ")
        .push(scan.first(column))
        .push(" AS begins_at, RANK() OVER (ORDER BY ");
    statement.push(scan.first(column)).push(" ").push(query.order().sql()).push(") AS place");
    scan.from(&mut statement);
    if let Some(position) = query.after() {
        statement.push(" AND ").push(column).push(query.order().beyond()).bind(value_of(position));
    }
    scan.group_by(&mut statement);
    // Bands that begin with one value have one place: the ids order them.
    statement.push(") AS beyond WHERE place <= ").bind(Value::Number(firsts));
    statement.push(") AS firsts ORDER BY place, first_id ").push(query.order().sql());
    statement.push(" LIMIT ").bind(Value::Number(firsts));
    statement.spelt_out()
}

/// The first rows of all the parts, and of each whether it comes before the end that they have: only then it is sure that
/// no row of another band comes in between.
pub(crate) fn merged<'q>(query: &'q ListQuery, parts: &'q Parts) -> Statement<'q> {
    let mut statement = Statement::select(Kind::Bands);
    let end = parts.end.as_ref().unwrap_or_else(|| nowhere(query.sort()));
    statement.push(PAYLOAD).push(", ");
    after(&mut statement, end, query.order().reversed(), "found.");
    statement.push(" AS is_sure");
    of_found(&mut statement, query, |statement| {
        let size = SIZES.into_iter().find(|size| *size >= parts.walked.len()).unwrap_or(parts.walked.len());
        let mut before = "(";
        for nth in 0..size {
            statement.push(before).push("SELECT ").push(sort_columns(query));
            let part = parts.walked.get(nth);
            let band = part.map_or(Band::EMPTY, |part| part.band);
            let joint = from(statement, query, band_index(query));
            statement.push(joint).push("price_band = ").bind(Value::Number(band.number().into()));
            statement.push(" AND ");
            between(statement, part.map_or((Price::MIN, Price::MIN), |part| part.prices));
            if let Some(position) = query.after() {
                statement.push(" AND ");
                after(statement, position, query.order(), "");
            }
            // Each may have the whole page.
            ordered(statement, query, query.rows());
            before = ") UNION ALL (";
        }
        for prices in &parts.ranged {
            statement.push(before);
            ranged_part(statement, query, *prices);
        }
        statement.push(")");
        ordered(statement, query, query.rows());
    });
    statement
}

/// What loose index scans have in common.
struct LooseScan<'q> {
    query: &'q ListQuery,
    bands: (Band, Band),
}

impl<'q> LooseScan<'q> {
    fn first(&self, column: &str) -> &'static str {
        match (self.query.order(), column) {
            (Order::Asc, "id") => "MIN(id)",
            (Order::Desc, "id") => "MAX(id)",
            (Order::Asc, "name") => "MIN(name)",
            (Order::Desc, "name") => "MAX(name)",
            (Order::Asc, _) => "MIN(created_at)",
            (Order::Desc, _) => "MAX(created_at)",
        }
    }

    fn from(&self, statement: &mut Statement<'q>) {
        let joint = from(statement, self.query, band_index(self.query));
        statement.push(joint).push("price_band BETWEEN ").bind(Value::Number(self.bands.0.number().into()));
        statement.push(" AND ").bind(Value::Number(self.bands.1.number().into()));
    }

    /// By the category too, although there is but one: without it neither server scans loosely.
    fn group_by(&self, statement: &mut Statement<'q>) {
        let category = if self.query.category().is_some() { "category, " } else { "" };
        statement.push(" GROUP BY ").push(category).push("price_band");
    }
}

/// In place of an end where there is none, so that the text is the same: what it says is not looked at then.
fn nowhere(sort: Sort) -> &'static Position {
    static ID: Position = Position { value: SortValue::Id, id: 0 };
    static NAME: Position = Position { value: SortValue::Name(String::new()), id: 0 };
    static CREATED_AT: Position =
        Position { value: SortValue::CreatedAt(chrono::DateTime::UNIX_EPOCH), id: 0 };
    match sort {
        Sort::Name => &NAME,
        Sort::CreatedAt => &CREATED_AT,
        Sort::Id | Sort::Price | Sort::Relevance => &ID,
    }
}

fn value_of(position: &Position) -> Value<'_> {
    match &position.value {
        SortValue::Id => Value::Number(position.id),
        SortValue::Price(price) => Value::Price(*price),
        SortValue::Name(name) => Value::Text(name),
        SortValue::CreatedAt(time) => Value::Time(*time),
        SortValue::Relevance(relevance) => Value::Number(u64::from(*relevance)),
    }
}

/// The index that has each price band's rows, of a category or of all, in the order of the sort.
fn band_index(query: &ListQuery) -> &'static str {
    match (query.sort(), query.category().is_some()) {
        (Sort::Name, false) => "by_band_name",
        (Sort::Name, true) => "by_category_band_name",
        (Sort::CreatedAt, false) => "by_band_created_at",
        (Sort::CreatedAt, true) => "by_category_band_created_at",
        (_, false) => "by_band",
        (_, true) => "by_category_band",
    }
}

/// `SELECT` of all rows at these prices after the cursor, sorted.
fn ranged_part<'q>(statement: &mut Statement<'q>, query: &'q ListQuery, prices: (Price, Price)) {
    statement.push("SELECT ").push(sort_columns(query));
    in_range(statement, query, prices);
    if let Some(position) = query.after() {
        statement.push(" AND ");
        after(statement, position, query.order(), "");
    }
    ordered(statement, query, query.rows());
}

/// `FROM products` at these prices.
fn in_range<'q>(statement: &mut Statement<'q>, query: &'q ListQuery, prices: (Price, Price)) {
    let joint = from(statement, query, index(query, Sort::Price));
    statement.push(joint);
    between(statement, prices);
}

fn ordered(statement: &mut Statement<'_>, query: &ListQuery, limit: u64) {
    order_by(statement, query, "");
    statement.push(" LIMIT ").bind(Value::Number(limit));
}

/// Every statement of a query that is prepared, in every size.
#[cfg(test)]
pub(super) fn all(query: &ListQuery) -> Vec<Statement<'_>> {
    use crate::price_range::Walked;
    use std::time::Duration;

    let mut statements = vec![
        estimate(query),
        walked(query, Walk { rows: 100, at_most: 100 }, Dialect::MariaDb),
        walked(query, Walk { rows: 100, at_most: 100 }, Dialect::MySql),
    ];
    let cut = Cut::of(query.prices());
    if !cut.edges.is_empty() {
        statements.push(estimate_edges(query, &cut));
    }
    let mut bounded = vec![filtered(query), range(query)];
    let part = Walked { band: cut.bands.0, prices: query.prices() };
    for walked in [0, FEW, enough(query)] {
        for ranged in 0..=2 {
            for end in [None, Some(nowhere(query.sort()).clone())] {
                let parts = Parts { walked: vec![part; walked], ranged: vec![query.prices(); ranged], end };
                let merged = merged(query, &parts);
                let values = merged.values.iter().map(|_| Value::Number(0)).collect();
                bounded.push(Statement { text: merged.text, values, ..range(query) });
            }
        }
    }
    // What is not bounded is not prepared.
    let bounded = bounded.into_iter();
    statements
        .extend(bounded.map(|statement| statement.within(Dialect::MariaDb, Duration::from_millis(100))));
    statements
}
