//! What prices the products have, as a random few of them show. It spares price ranges the question to the optimiser, and
//! tells whether the price has to do with the order that is asked for.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::{
    ListQuery, Order, Price, Sort,
    cursor::SortValue,
    price_range::{Cut, Estimate},
};

/// Of so many that are expected along an order,
const EXPECTED: usize = 8;
/// fewer than these are found once in 300 times by chance.
const BY_CHANCE: usize = 2;

/// A product of the sample.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) id: u64,
    pub(crate) category: String,
    pub(crate) price: Price,
    pub(crate) created_at: DateTime<Utc>,
    /// Bytes that compare as the server compares the first letters of names.
    pub(crate) name: Vec<u8>,
}

/// How rows in a price range lie along an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Along {
    /// As if price and order had nothing to do with one another.
    Even,
    /// Nearly none for long.
    Elsewhere,
    /// The order ends after so many rows of any price, at the most.
    Ends(f64),
}

/// Where the price ranges of queries lie, and how the prices are spread along the orders.
pub(crate) struct Sample {
    /// Rows for which one product of the sample stands.
    scale: f64,
    /// All prices, and those of each category, ascending.
    prices: Vec<Price>,
    of_category: HashMap<String, Category>,
    by_id: Vec<Place<u64>>,
    /// And by the id, where times or names are the same.
    by_time: Vec<Place<(DateTime<Utc>, u64)>>,
    by_name: Vec<Place<(Vec<u8>, u64)>>,
}

struct Category {
    number: u32,
    prices: Vec<Price>,
}

/// A product's place in an order.
struct Place<T> {
    at: T,
    category: u32,
    price: Price,
}

impl Sample {
    /// `drawn` are products of which each stands for so many.
    pub(crate) fn new(drawn: Vec<Drawn>, scale: f64) -> Sample {
        let mut sample = Sample {
            scale,
            prices: Vec::new(),
            of_category: HashMap::new(),
            by_id: Vec::new(),
            by_time: Vec::new(),
            by_name: Vec::new(),
        };
        for Drawn { id, category, price, created_at, name } in drawn {
            let number = u32::try_from(sample.of_category.len()).unwrap_or(u32::MAX);
            let of_category =
                sample.of_category.entry(category).or_insert(Category { number, prices: Vec::new() });
            let category = of_category.number;
            of_category.prices.push(price);
            sample.prices.push(price);
            sample.by_id.push(Place { at: id, category, price });
            sample.by_time.push(Place { at: (created_at, id), category, price });
            sample.by_name.push(Place { at: (name, id), category, price });
        }
        sample.prices.sort_unstable();
        sample.of_category.values_mut().for_each(|category| category.prices.sort_unstable());
        sample.by_id.sort_unstable_by_key(|place| place.at);
        sample.by_time.sort_unstable_by_key(|place| place.at);
        sample.by_name.sort_unstable_by(|one, other| one.at.cmp(&other.at));
        sample
    }

    /// How many rows the query's price range holds. Where the sample has none of them, there may still be as many as a product
    /// of it stands for.
    pub(crate) fn estimate(&self, query: &ListQuery) -> Estimate {
        self.of(self.prices(query), query.prices(), (Price::MIN, Price::MAX))
    }

    /// How many rows each edge of it holds.
    pub(crate) fn edges(&self, query: &ListQuery, cut: &Cut) -> Vec<Estimate> {
        let prices = self.prices(query);
        cut.edges.iter().map(|edge| self.of(prices, edge.prices, edge.band.prices())).collect()
    }

    fn of(&self, prices: &[Price], range: (Price, Price), all: (Price, Price)) -> Estimate {
        let rows_at = |range| self.rows(count(prices, range).max(1));
        Estimate { in_range: rows_at(range), of_any_price: rows_at(all) }
    }

    /// How rows in the price range lie along the order, from where the page begins. In the midst of names that cannot be said:
    /// the server alone knows how the cursor's compares.
    pub(crate) fn along(&self, query: &ListQuery) -> Along {
        let after = query.after();
        match query.sort() {
            Sort::Id => self.along_places(query, &self.by_id, after.map(|position| position.id)),
            Sort::CreatedAt => {
                let time = after.and_then(|position| match &position.value {
                    SortValue::CreatedAt(time) => Some((*time, position.id)),
                    _ => None,
                });
                self.along_places(query, &self.by_time, time)
            }
            Sort::Name if after.is_none() => self.along_places(query, &self.by_name, None),
            Sort::Price | Sort::Name | Sort::Relevance => Along::Even,
        }
    }

    fn along_places<T: Ord>(&self, query: &ListQuery, places: &[Place<T>], after: Option<T>) -> Along {
        match (query.order(), after) {
            (Order::Asc, None) => self.along_these(query, places.iter()),
            (Order::Desc, None) => self.along_these(query, places.iter().rev()),
            (Order::Asc, Some(after)) => {
                let from = places.partition_point(|place| place.at <= after);
                self.along_these(query, places[from..].iter())
            }
            (Order::Desc, Some(after)) => {
                let to = places.partition_point(|place| place.at < after);
                self.along_these(query, places[..to].iter().rev())
            }
        }
    }

    fn along_these<'s, T: 's>(&self, query: &ListQuery, places: impl Iterator<Item = &'s Place<T>>) -> Along {
        let (prices, (from, to)) = (self.prices(query), query.prices());
        let category = query.category().and_then(|name| self.of_category.get(name)).map(|found| found.number);
        // As many of any price as are expected to have so many in range.
        let look_at = (prices.len() * EXPECTED).div_ceil(count(prices, query.prices()).max(1));
        let (mut seen, mut in_range) = (0, 0);
        for place in places.filter(|place| category.is_none_or(|category| place.category == category)) {
            if seen == look_at {
                return Along::Elsewhere;
            }
            seen += 1;
            in_range += usize::from((from..=to).contains(&place.price));
            if in_range == BY_CHANCE {
                return Along::Even;
            }
        }
        // Where none is seen, so many more are there once in 20 times.
        Along::Ends(self.rows(seen + 3))
    }

    fn prices(&self, query: &ListQuery) -> &[Price] {
        match query.category() {
            Some(category) => self.of_category.get(category).map_or(&[], |category| &category.prices),
            None => &self.prices,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    fn rows(&self, drawn: usize) -> f64 {
        drawn as f64 * self.scale
    }
}

fn count(prices: &[Price], (from, to): (Price, Price)) -> usize {
    let below = prices.partition_point(|price| *price < from);
    prices[below..].partition_point(|price| *price <= to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cursor, cursor::Position, tests::query};

    fn price(cents: u64) -> Price {
        Price::from_cents(cents).unwrap()
    }

    fn time(id: u64) -> DateTime<Utc> {
        DateTime::from_timestamp(i64::try_from(id).unwrap(), 0).unwrap()
    }

    /// A thousand products of a million, half of them of each category. Prices rise with the ids up to the 500th, and have
    /// nothing to do with them from there on; the latest comes first by time.
    fn sample() -> Sample {
        let drawn = (0..1_000).map(|n| Drawn {
            id: n * 1_000,
            category: ["even", "odd"][usize::from(n % 2 == 1)].to_owned(),
            price: price(if n < 500 { n } else { n * 7_919 % 500 }),
            created_at: time(1_000_000 - n),
            name: n.to_be_bytes().to_vec(),
        });
        Sample::new(drawn.collect(), 1_000.0)
    }

    #[test]
    fn rows_in_range_are_as_many_as_its_products_stand_for_and_never_none() {
        let sample = sample();
        let rows = |in_range, of_any_price| Estimate { in_range, of_any_price };
        let estimate = |pairs: &[(&str, &str)]| sample.estimate(&query(pairs));
        assert_eq!(estimate(&[("minPrice", "1"), ("maxPrice", "1.99")]), rows(200_000.0, 1_000_000.0));
        assert_eq!(estimate(&[("minPrice", "1"), ("category", "odd")]), rows(400_000.0, 500_000.0));
        assert_eq!(estimate(&[("minPrice", "5"), ("maxPrice", "6")]), rows(1_000.0, 1_000_000.0));
        assert_eq!(estimate(&[("minPrice", "1"), ("category", "none")]), rows(1_000.0, 1_000.0));
        let cut = Cut::of((price(299), price(350)));
        assert_eq!(
            sample.edges(&query(&[("minPrice", "1")]), &cut),
            [rows(2_000.0, 8_000.0), rows(6_000.0, 8_000.0)]
        );
        assert_eq!(sample.edges(&query(&[("category", "none")]), &cut), [rows(1_000.0, 1_000.0); 2]);
    }

    #[test]
    fn a_range_that_lies_elsewhere_along_the_order_is_seen() {
        let sample = sample();
        let along = |sort: &str, order: &str, after: Option<u64>| {
            let query = query(&[("sort", sort), ("order", order), ("minPrice", "4"), ("category", "odd")]);
            let position = |id| {
                let value = if sort == "id" {
                    SortValue::Id
                } else {
                    SortValue::CreatedAt(time(1_000_000 - id / 1_000))
                };
                Position { value, id }
            };
            sample.along(&match after {
                Some(id) => query.at(&Cursor { fingerprint: None, position: position(id) }).unwrap(),
                None => query,
            })
        };
        for (sort, away, towards) in [("id", "desc", "asc"), ("createdAt", "asc", "desc")] {
            assert_eq!(along(sort, towards, None), Along::Elsewhere, "{sort}: the lowest prices come first");
            assert_eq!(along(sort, away, None), Along::Even, "{sort}");
            assert_eq!(along(sort, towards, Some(390_000)), Along::Even, "{sort}: the range has just begun");
            assert_eq!(along(sort, away, Some(390_000)), Along::Elsewhere, "{sort}: none is left");
            assert_eq!(along(sort, towards, Some(600_000)), Along::Even, "{sort}");
            // Two of the sample are left, and three may have been missed.
            assert_eq!(along(sort, away, Some(4_000)), Along::Ends(5_000.0), "{sort}");
        }
        assert_eq!(along("name", "asc", None), Along::Elsewhere);
        assert_eq!(along("name", "desc", None), Along::Even);
    }
}
