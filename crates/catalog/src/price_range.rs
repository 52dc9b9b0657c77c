//! A price range in an order other than price. No index has both, so there are two ways, and which one is cheap depends
//! on the data: walk the sort's index and skip what is out of range, or read the range from the price index and sort it.

use std::time::Duration;

use sqlx::{Row as _, mysql::MySqlRow};

use crate::{ListQuery, Sort, error::is_deadline, plan, reader::Reader, statement::Statement};

/// What each way may take in each round of the race, as parts of the deadline. The last try has all of it.
const ROUNDS: [u32; 2] = [40, 10];

/// What one row costs each way, measured in microseconds on `MariaDB` 10.11. The price index has no names, so that the
/// range looks each of them up.
const WALKED: f64 = 0.35;
const RANGED: f64 = 0.65;
const RANGED_WITH_NAME: f64 = 6.0;

/// Microseconds up to which the range is read, whatever the walk may cost: the range's cost is known, the walk's a guess.
const SURE: f64 = 2_000.0;

/// The cheaper way by the optimiser's estimate of the range, which is exact up to some thousand rows and right within
/// a factor of two or three above. Where price and sort are correlated, it says nothing about the walk; so the ways race,
/// each for a time that grows, and the cost stays within a small multiple of the cheaper one's.
pub(crate) async fn price_range(
    reader: &mut Reader<'_>,
    query: &ListQuery,
    deadline: Duration,
) -> Result<Vec<MySqlRow>, sqlx::Error> {
    let estimate = Estimate::read(&reader.fetch(&plan::estimate(query)).await?)?;
    let ways: [Way; 2] = if estimate.walk_is_cheaper(query) {
        [plan::filtered, plan::range]
    } else {
        [plan::range, plan::filtered]
    };
    for part in ROUNDS {
        for way in ways {
            let result = reader.fetch(&way(query, deadline / part)).await;
            if !result.as_ref().is_err_and(is_deadline) {
                return result;
            }
        }
    }
    reader.fetch(&plan::filtered(query, deadline)).await
}

type Way = fn(&ListQuery, Duration) -> Statement<'_>;

/// Rows, as the optimiser sees them.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    in_range: f64,
    of_any_price: f64,
}

impl Estimate {
    fn read(explained: &[MySqlRow]) -> Result<Estimate, sqlx::Error> {
        let rows = |nth: usize| -> Result<f64, sqlx::Error> {
            let row = explained.get(nth).ok_or(sqlx::Error::RowNotFound)?;
            // Null where the optimiser knows that there are none; a number to MySQL, its digits to MariaDB.
            let rows = match row.try_get::<Option<u64>, _>("rows") {
                Ok(rows) => rows,
                Err(_) => row.try_get::<Option<&str>, _>("rows")?.and_then(|digits| digits.parse().ok()),
            };
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            Ok(rows.unwrap_or(0) as f64)
        };
        Ok(Estimate { in_range: rows(0)?, of_any_price: rows(1)? })
    }

    /// If price and sort have nothing to do with one another, the rows in range lie evenly along the walk.
    fn walk_is_cheaper(self, query: &ListQuery) -> bool {
        let wanted = f64::from(query.limit()) + 1.0;
        let walk = WALKED * wanted * self.of_any_price / self.in_range.max(1.0);
        let range = self.in_range * if query.sort() == Sort::Name { RANGED_WITH_NAME } else { RANGED };
        range > SURE && walk < range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk_is_cheaper(sort: &str, in_range: f64) -> bool {
        let query =
            ListQuery::parse([("sort".into(), sort.into()), ("minPrice".into(), "1".into())]).unwrap();
        Estimate { in_range, of_any_price: 1_000_000.0 }.walk_is_cheaper(&query)
    }

    #[test]
    fn small_ranges_are_sorted_and_large_ones_walked_past() {
        for sort in ["id", "createdAt", "name"] {
            assert!(!walk_is_cheaper(sort, 0.0));
            assert!(!walk_is_cheaper(sort, 300.0));
            assert!(walk_is_cheaper(sort, 10_000.0));
            assert!(walk_is_cheaper(sort, 1_000_000.0));
        }
        assert!(!walk_is_cheaper("id", 2_000.0) && walk_is_cheaper("name", 2_000.0));
    }
}
