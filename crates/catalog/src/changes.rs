//! What a search index reads: all products, what changed since, and the products that it found, as of one moment.

use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
};

use sqlx::{FromRow as _, Row as _, mysql::MySqlRow};

use crate::{
    Catalog, Error, Product, plan,
    statement::{Kind, POSITION, Statement, Value},
};

/// A product as a search index stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexRow {
    /// The product.
    pub product: Product,
    /// Bytes that compare as the database compares names: `WEIGHT_STRING(name)`. Up to 10 kB for the strangest names.
    pub name_key: Vec<u8>,
}

/// How far the catalogue had changed at a moment: the counter of each slot of `change_counters`. Counters only rise, so of two
/// moments of one catalogue the sums are equal only if nothing changed in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangePosition(BTreeMap<u8, u64>);

impl ChangePosition {
    /// The slot that is raised when the catalogue as a whole was replaced.
    const REPLACED: u8 = 0;

    /// The sum of all counters: how many transactions have changed the catalogue.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.values().sum()
    }

    pub(crate) fn of_rows(rows: &[MySqlRow]) -> Result<ChangePosition, sqlx::Error> {
        let counters = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        Ok(ChangePosition(counters.collect::<Result<_, sqlx::Error>>()?))
    }

    /// As it is stored.
    pub(crate) fn to_text(&self) -> String {
        serde_json::json!(self.0).to_string()
    }

    /// `None` unless it is what [`to_text`](Self::to_text) made.
    pub(crate) fn of_text(text: &str) -> Option<ChangePosition> {
        serde_json::from_str(text).ok().map(ChangePosition)
    }

    fn of(&self, slot: u8) -> u64 {
        self.0.get(&slot).copied().unwrap_or(0)
    }

    /// Whether what changed from `self` to `newer` can be told: not where the catalogue as a whole was replaced, or an older
    /// backup restored.
    fn leads_to(&self, newer: &ChangePosition) -> bool {
        self.of(Self::REPLACED) == newer.of(Self::REPLACED) && self.ahead_of(newer) == 0
    }

    /// How many changes are not in `other`.
    pub(crate) fn ahead_of(&self, other: &ChangePosition) -> u64 {
        self.0.iter().map(|(slot, changes)| changes.saturating_sub(other.of(*slot))).sum()
    }
}

/// What changed since a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These products, each once, as they are at this position: `None` for those that are gone.
    Products(ChangePosition, Vec<(u64, Option<IndexRow>)>),
    /// The catalogue as a whole, or too much to be told: an index has to be rebuilt.
    All,
}

/// The slots that events and writes raise: 64, see `raise_counter`.
const SLOTS: RangeInclusive<u8> = 1..=64;
/// Products that are told one by one at the most.
pub(crate) const MOST_CHANGED: usize = 50_000;

impl Catalog {
    /// How far the catalogue has changed by now.
    pub async fn change_position(&self) -> Result<ChangePosition, Error> {
        let rows = self.index_database.reader().await?.fetch(&counters(Kind::Index)).await?;
        Ok(ChangePosition::of_rows(&rows)?)
    }

    /// At most `limit` products with ids after this one, by id. Not all calls are of one moment: read the position before the
    /// first, and the [changes since](Self::changes_since) after the last.
    pub async fn index_rows(&self, after: u64, limit: u32) -> Result<Vec<IndexRow>, Error> {
        let mut statement = Statement::select(Kind::Index);
        statement.push(INDEX_COLUMNS).push(" FROM products FORCE INDEX (PRIMARY) WHERE id > ");
        statement.bind(Value::Number(after)).push(" ORDER BY id LIMIT ").bind(Value::Number(limit.into()));
        let rows = self.index_database.reader().await?.fetch(&statement).await?;
        Ok(rows.iter().map(index_row).collect::<Result<_, _>>()?)
    }

    /// What changed since a position, as of one moment: of products that changed again meanwhile, the last change only. Within
    /// the day after a change it is told, later it may be [forgotten](Self::prune): an index that was away for longer has
    /// to be rebuilt.
    pub async fn changes_since(&self, seen: &ChangePosition) -> Result<Changes, Error> {
        told(self.index_database.reader().await?.fetch(&changes(seen)).await?, seen)
    }

    /// The products with these ids that exist, in this order, and the [sum](ChangePosition::sum) of the position at the moment
    /// when they were read.
    pub async fn products_at(&self, ids: &[u64]) -> Result<(Vec<Product>, u64), Error> {
        let rows = self.read(&found(ids)).await?;
        let sum = rows.first().map_or(Ok(0), |row| row.try_get(7))?;
        let mut products = HashMap::with_capacity(ids.len());
        for row in &rows {
            if let Some(id) = row.try_get::<Option<u64>, _>(0)? {
                products.insert(id, Product::from_row(row)?);
            }
        }
        Ok((ids.iter().filter_map(|id| products.remove(id)).collect(), sum))
    }

    /// The [sum](ChangePosition::sum) of the primary's position.
    pub(crate) async fn position(&self) -> Result<u64, Error> {
        let statement = Statement { kind: Kind::Position, text: POSITION.to_owned(), values: Vec::new() };
        let rows = self.fetch(&statement).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.try_get(0))?)
    }

    /// The bytes by which the database compares this name, as [`IndexRow::name_key`] has them.
    pub async fn name_key(&self, name: &str) -> Result<Vec<u8>, Error> {
        let mut statement = Statement::select(Kind::Found);
        statement.push("WEIGHT_STRING(").bind(Value::Text(name)).push(" COLLATE utf8mb4_unicode_520_ci)");
        let rows = self.reader().await?.fetch(&statement).await?;
        Ok(rows.first().map_or(Ok(Vec::new()), |row| row.try_get(0))?)
    }

    /// Makes every search index rebuild: for whoever changed products by SQL.
    pub async fn announce_replacement(&self) -> Result<(), Error> {
        let mut writer = self.write_database.reader().await?;
        let raise = "INSERT INTO change_counters (slot, changes) VALUES (0, 1) ON DUPLICATE KEY UPDATE changes = changes + 1";
        sqlx::query(raise).execute(writer.begin()?).await?;
        writer.end();
        Ok(())
    }
}

/// [`plan::COLUMNS`], and the key of the name.
const INDEX_COLUMNS: &str =
    "id, name, description, category, products.price, created_at, updated_at, WEIGHT_STRING(name)";

pub(crate) fn counters(kind: Kind) -> Statement<'static> {
    Statement { kind, text: "SELECT slot, changes FROM change_counters".to_owned(), values: Vec::new() }
}

/// The counters, and what changed since a position: of products that are gone, the id alone. One statement is of one moment.
///
/// Every slot is named, so that there is one shape of the statement, and each is a range of the index.
pub(crate) fn changes(seen: &ChangePosition) -> Statement<'static> {
    let mut statement = Statement::select(Kind::Index);
    // The casts: MariaDB makes a DECIMAL of a bare NULL and a number.
    statement.push(
        "CAST(NULL AS UNSIGNED), NULL, NULL, NULL, NULL, NULL, NULL, NULL, slot, changes, CAST(NULL AS UNSIGNED) \
         FROM change_counters UNION ALL (SELECT ",
    );
    statement.push(INDEX_COLUMNS).push(
        ", slot, change_number, product_id FROM product_versions FORCE INDEX (by_change) \
         LEFT JOIN products ON id = product_id WHERE FALSE",
    );
    for slot in SLOTS {
        statement.push(&format!(" OR slot = {slot} AND change_number > ")).bind(Value::Number(seen.of(slot)));
    }
    statement.push(" LIMIT ").bind(Value::Number(MOST_CHANGED as u64 + 1)).push(")");
    statement
}

/// What the rows of [`changes`] tell. Up to 50,000: each is dropped once it is read.
pub(crate) fn told(rows: Vec<MySqlRow>, seen: &ChangePosition) -> Result<Changes, Error> {
    let (mut now, mut changed) = (ChangePosition::default(), Vec::new());
    for row in rows {
        if let Some(product) = row.try_get(10)? {
            let is_there = row.try_get::<Option<u64>, _>(0)?.is_some();
            changed.push((product, is_there.then(|| index_row(&row)).transpose()?));
        } else {
            now.0.insert(row.try_get(8)?, row.try_get(9)?);
        }
    }
    let is_told = seen.leads_to(&now) && changed.len() <= MOST_CHANGED;
    Ok(if is_told { Changes::Products(now, changed) } else { Changes::All })
}

/// One row at least, for the position, which is the last column.
pub(crate) fn found(ids: &[u64]) -> Statement<'static> {
    let mut statement = Statement::select(Kind::Found);
    statement.push(plan::COLUMNS).push(", position FROM (").push(POSITION);
    statement.push(") AS counters LEFT JOIN products FORCE INDEX (PRIMARY) ON id IN (");
    // Ids of no product make the number of placeholders one of a few, so that few statements are prepared.
    for nth in 0..ids.len().next_power_of_two() {
        statement
            .push(if nth == 0 { "" } else { "," })
            .bind(Value::Number(ids.get(nth).copied().unwrap_or(0)));
    }
    statement.push(")");
    statement
}

fn index_row(row: &MySqlRow) -> Result<IndexRow, sqlx::Error> {
    Ok(IndexRow { product: Product::from_row(row)?, name_key: row.try_get(7)? })
}
