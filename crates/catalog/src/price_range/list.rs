//! A price range in another order than price, answered: which statements, one after another.

use sqlx::{Row as _, mysql::MySqlRow};

use crate::{
    ListQuery, Sort,
    cursor::{Position, SortValue},
    error::{is_deadline, is_missing_index, is_sort_abort, is_transient},
    explained::expected_rows,
    plan::price_range as plan,
    price_range::{
        Costs, Cut, Estimate, FEW, First, Parts, Walk, Way,
        band::Band,
        sample::{Along, Sample},
        sampler::Sampler,
    },
    reader::Reader,
    statement::Statement,
};

pub(crate) async fn ranged_list(
    reader: &mut Reader<'_>,
    query: &ListQuery,
    costs: &Costs,
    sampler: &Sampler,
) -> Result<Vec<MySqlRow>, sqlx::Error> {
    if let Some(sample) = sampler.sample() {
        match decided(reader, query, costs, Some(&sample)).await {
            Err(error) if (is_deadline(&error) || is_sort_abort(&error)) && !reader.is_late() => {
                sampler.forget(&sample);
            }
            answered => return answered,
        }
    }
    decided(reader, query, costs, None).await
}

/// The sample may be outdated, so a statement that it alone decides on is [stopped early](bounded).
async fn decided(
    reader: &mut Reader<'_>,
    query: &ListQuery,
    costs: &Costs,
    sample: Option<&Sample>,
) -> Result<Vec<MySqlRow>, sqlx::Error> {
    let estimate = match sample {
        Some(sample) => sample.estimate(query),
        None => asked(reader, query).await?,
    };
    let cut = Cut::of(query.prices());
    let edges = sample.map(|sample| sample.edges(query, &cut));
    let ways = costs.ways(query, &cut, estimate, edges.as_deref().unwrap_or_default());
    // Of a range that is sorted at once it does not matter.
    let is_walked = ways.walk.is_some() || ways.then == Way::Bands;
    match sample.filter(|_| is_walked).map_or(Along::Even, |sample| sample.along(query)) {
        Along::Even => {
            let far =
                ways.walk.map(|far| if sample.is_some() { far } else { Walk { at_most: far.rows, ..far } });
            if let Some(far) = far
                && let Some(found) = walk(reader, query, far).await?
            {
                return Ok(found);
            }
        }
        Along::Elsewhere => {}
        // Nothing but what was added since can be beyond.
        Along::Ends(rows) => {
            if costs.of_walk(query, rows) < ways.cost {
                return reader.fetch(&bounded(reader, plan::filtered(query), true)).await;
            }
        }
    }
    let is_sampled = sample.is_some();
    match ways.then {
        Way::Range => reader.fetch(&bounded(reader, plan::range(query), is_sampled)).await,
        Way::Bands => match banded(Bands { reader, query, costs, cut, edges, is_sampled }).await {
            // The catalogue was migrated or seeded a moment ago, and these indexes are still being built.
            Err(error) if is_missing_index(&error) => {
                reader.fetch(&bounded(reader, plan::filtered(query), false)).await
            }
            answered => answered,
        },
    }
}

/// A statement that a sample decides on may take a tenth of a list's time: enough is left to answer without the sample. Without
/// one it is not prepared: that is rare, and the server's prepared statements are bounded.
fn bounded<'q>(reader: &Reader<'_>, statement: Statement<'q>, is_sampled: bool) -> Statement<'q> {
    if is_sampled {
        statement.within(reader.dialect(), reader.deadline() / 10)
    } else {
        statement.spelt_out()
    }
}

/// The page, if it lies within the next rows of the sort's index.
async fn walk(
    reader: &mut Reader<'_>,
    query: &ListQuery,
    far: Walk,
) -> Result<Option<Vec<MySqlRow>>, sqlx::Error> {
    match reader.fetch(&plan::walked(query, far, reader.dialect())).await {
        Ok(found) => Ok((found.len() as u64 == query.rows()).then_some(found)),
        Err(error) if is_sort_abort(&error) && !reader.is_late() => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many rows the price range holds, as the optimiser sees it.
async fn asked(reader: &mut Reader<'_>, query: &ListQuery) -> Result<Estimate, sqlx::Error> {
    estimate(&reader.fetch(&plan::estimate(query)).await?, 0)
}

/// The two rows of an explanation from the `nth` on.
fn estimate(explained: &[MySqlRow], nth: usize) -> Result<Estimate, sqlx::Error> {
    Ok(Estimate {
        in_range: expected_rows(explained, nth)?,
        of_any_price: expected_rows(explained, nth + 1)?,
    })
}

/// The page from the bands of the price range.
async fn banded(mut bands: Bands<'_, '_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
    if usize::from(bands.cut.len()) <= FEW {
        return bands.merge(Parts::all(&bands.cut)).await;
    }
    match bands.merge_first().await {
        Err(error) if is_transient(&error) => {
            bands.reader.replace_broken().await?;
            bands.merge_first().await
        }
        found => found,
    }
}

struct Bands<'b, 'r> {
    reader: &'b mut Reader<'r>,
    query: &'b ListQuery,
    costs: &'b Costs,
    cut: Cut,
    /// Of each edge, as soon as that is known.
    edges: Option<Vec<Estimate>>,
    is_sampled: bool,
}

impl Bands<'_, '_> {
    /// The page from those that begin first after the cursor, all as of one moment: a product whose price moves from one band to
    /// another between two statements would be in neither.
    async fn merge_first(&mut self) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let found = self.scan_and_merge().await;
        if found.is_err() && !self.reader.is_late() {
            // What is read instead is read by itself.
            self.reader.end_snapshot().await;
        }
        found
    }

    /// First few of them: where the price follows the sort, one has the page.
    async fn scan_and_merge(&mut self) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let first_rows =
            self.reader.begin_snapshot(&plan::first_rows_of_bands(self.query, self.cut.bands)).await?;
        let first_rows =
            first_rows.iter().map(|row| first(self.query, row)).collect::<Result<Vec<_>, _>>()?;
        let few = Parts::of(self.query, &self.cut, &first_rows, FEW);
        let is_all = few.end.is_none();
        let found = self.merge(few).await?;
        if is_all || is_sure_page(self.query, &found)? {
            return Ok(found);
        }
        self.merge(Parts::of(self.query, &self.cut, &first_rows, plan::enough(self.query))).await
    }

    async fn merge(&mut self, mut parts: Parts) -> Result<Vec<MySqlRow>, sqlx::Error> {
        if parts.walked.is_empty() {
            return Ok(Vec::new());
        }
        if parts.have_edge_of(&self.cut) {
            let edges = match &self.edges {
                Some(edges) => edges,
                None => self.edges.insert(estimate_edges(self.reader, self.query, &self.cut).await?),
            };
            parts.sort_edges(self.costs, self.query, &self.cut, edges);
        }
        let merged = bounded(self.reader, plan::merged(self.query, &parts), self.is_sampled);
        self.reader.fetch(&merged).await
    }
}

/// How many rows each edge holds, as the optimiser sees it.
async fn estimate_edges(
    reader: &mut Reader<'_>,
    query: &ListQuery,
    cut: &Cut,
) -> Result<Vec<Estimate>, sqlx::Error> {
    let explained = reader.fetch(&plan::estimate_edges(query, cut)).await?;
    (0..cut.edges.len()).map(|nth| estimate(&explained, 2 * nth)).collect()
}

/// Whether no row of another band comes before the last of these.
fn is_sure_page(query: &ListQuery, found: &[MySqlRow]) -> Result<bool, sqlx::Error> {
    let sure = found.last().map(|row| row.try_get_unchecked::<i64, _>("is_sure")).transpose()?;
    Ok(found.len() as u64 == query.rows() && sure == Some(1))
}

fn first(query: &ListQuery, row: &MySqlRow) -> Result<First, sqlx::Error> {
    let value = match (query.sort(), query.after()) {
        (Sort::Name, _) => row.try_get::<Option<_>, _>("begins_at")?.map(SortValue::Name),
        (Sort::CreatedAt, _) => row.try_get::<Option<_>, _>("begins_at")?.map(SortValue::CreatedAt),
        _ => Some(SortValue::Id),
    };
    // None where it ties with the cursor.
    let value = value.or_else(|| query.after().map(|position| position.value.clone()));
    let value = value.ok_or(sqlx::Error::RowNotFound)?;
    let band = Band::from_number(row.try_get("price_band")?);
    Ok(First { band, position: Position { value, id: row.try_get("first_id")? } })
}
