//! A price range in another order than price: which of three ways answers it. Pure: no database here.
//!
//! No index has both. So the range is read whole and sorted, or the sort's index is walked for a while, or the bands of
//! prices that the range covers are merged: each has its rows in the order that is asked for.

use std::collections::HashSet;

use crate::{ListQuery, Price, Sort, cursor::Position, price_band::Band};

/// What one row, or one band, costs each way: microseconds, measured on `MariaDB` 10.11.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    /// A row of a walk, which goes into a temporary table.
    pub(crate) walked: f64,
    /// A row of a band that the range cuts, which does not.
    pub(crate) filtered: f64,
    /// A row of the range.
    pub(crate) ranged: f64,
    /// The same in the order of names: the price index has none, so that each is looked up.
    pub(crate) ranged_by_name: f64,
    /// Where a band begins, to be found for each: two reads by id, up to five otherwise.
    pub(crate) band_by_id: f64,
    pub(crate) band: f64,
    /// To merge bands, however many there are.
    pub(crate) merge: f64,
}

impl Default for Costs {
    fn default() -> Costs {
        Costs {
            walked: 0.5,
            filtered: 0.35,
            ranged: 0.65,
            ranged_by_name: 6.0,
            band_by_id: 4.0,
            band: 8.0,
            merge: 1_000.0,
        }
    }
}

/// More bands have a price in no catalogue that we know of.
const POPULATED: f64 = 600.0;

/// Rows of a price range, and of any price, as the optimiser sees them: exact up to some thousand, right within a factor
/// of two or three above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    pub(crate) in_range: f64,
    pub(crate) of_any_price: f64,
}

/// How a price range is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ways {
    /// So many rows of the sort's index are tried first.
    pub(crate) walk: Option<u64>,
    /// What answers it in any case.
    pub(crate) then: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Every row in range, sorted.
    Range,
    Bands,
}

impl Costs {
    fn of_range(&self, query: &ListQuery, rows: f64) -> f64 {
        rows * if query.sort() == Sort::Name { self.ranged_by_name } else { self.ranged }
    }

    /// If price and sort have nothing to do with one another, the rows in range lie evenly along the walk: it then finds a
    /// page within twice the rows that it is expected to need. If they have, it may find none: so it is tried only if that
    /// costs at most half as much as the way that answers in any case.
    pub(crate) fn ways(&self, query: &ListQuery, estimate: Estimate) -> Ways {
        let range = self.of_range(query, estimate.in_range);
        let (from, to) = query.prices();
        let bands = f64::from(Band::of(to).number() - Band::of(from).number() + 1);
        let band = if query.sort() == Sort::Id { self.band_by_id } else { self.band };
        let bands = self.merge + band * bands.min(estimate.in_range).min(POPULATED);
        let then = if range <= bands { Way::Range } else { Way::Bands };

        let wanted = f64::from(query.limit()) + 1.0;
        let rows = 2.0 * wanted * (estimate.of_any_price / estimate.in_range.max(1.0)).max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few thousand at the most"
        )]
        let walk = (2.0 * rows * self.walked < range.min(bands)).then_some(rows as u64);
        Ways { walk, then }
    }
}

/// A price range, cut where bands begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The first and the last of the bands that are wholly in range.
    pub(crate) whole: Option<(Band, Band)>,
    /// The bands that are not: at most two.
    pub(crate) edges: Vec<Edge>,
}

/// What a price range has of a band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) band: Band,
    pub(crate) prices: (Price, Price),
}

impl Cut {
    pub(crate) fn of((from, to): (Price, Price)) -> Cut {
        let (mut first, mut last) = (Band::of(from), Band::of(to));
        let (lowest, highest) = (first.prices().0, last.prices().1);
        if first == last && (from, to) != (lowest, highest) {
            return Cut { whole: None, edges: vec![Edge { band: first, prices: (from, to) }] };
        }
        let mut edges = Vec::new();
        if from > lowest {
            edges.push(Edge { band: first, prices: (from, first.prices().1) });
            first = first.next();
        }
        if to < highest {
            edges.push(Edge { band: last, prices: (last.prices().0, to) });
            last = last.previous();
        }
        Cut { whole: (first <= last).then_some((first, last)), edges }
    }
}

/// A row of a band that no other row of it comes before, among those after the cursor. A band may have two: the first of
/// the rows that tie with the cursor, and the first beyond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) band: Band,
    pub(crate) position: Position,
}

/// What is merged: each part's first rows, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Read along the band's index.
    pub(crate) walked: Vec<Walked>,
    /// Read whole from the price index, and sorted.
    pub(crate) ranged: Vec<(Price, Price)>,
    /// Where the rows of bands that are left out may begin.
    pub(crate) end: Option<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    pub(crate) band: Band,
    pub(crate) prices: (Price, Price),
    /// It has no more rows of the page.
    pub(crate) limit: u64,
}

impl Parts {
    /// The edges, each read the way that is cheaper at its worst; `estimates` has what each edge has in range, and what
    /// the whole of its band has.
    pub(crate) fn of_edges(
        costs: &Costs,
        query: &ListQuery,
        edges: &[Edge],
        estimates: &[(f64, f64)],
    ) -> Parts {
        let mut parts = Parts::default();
        for (edge, (in_range, of_band)) in edges.iter().zip(estimates) {
            let skipped = (of_band - in_range).max(0.0);
            if costs.of_range(query, *in_range) <= costs.filtered * skipped {
                parts.ranged.push(edge.prices);
            } else {
                parts.walked.push(Walked { band: edge.band, prices: edge.prices, limit: query.rows() });
            }
        }
        parts
    }

    /// And the first of the whole bands, as many as there is room for. `firsts` are in order: one more than the page has,
    /// unless that is all.
    pub(crate) fn with(&self, firsts: &[First], query: &ListQuery, room: usize) -> Parts {
        let mut parts = self.clone();
        let mut taken = HashSet::new();
        // Whatever is left out comes after the last of so many rows.
        parts.end = firsts
            .get(usize::try_from(query.rows()).unwrap_or(usize::MAX))
            .map(|first| first.position.clone());
        for (before, first) in (0..query.rows()).zip(firsts) {
            if taken.contains(&first.band) {
                continue;
            }
            if parts.walked.len() == room {
                parts.end = Some(first.position.clone());
                break;
            }
            taken.insert(first.band);
            let limit = query.rows() - before;
            parts.walked.push(Walked { band: first.band, prices: first.band.prices(), limit });
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::SortValue;

    fn query(pairs: &[(&str, &str)]) -> ListQuery {
        ListQuery::parse(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()))).unwrap()
    }

    fn ways(sort: &str, in_range: f64) -> Ways {
        let query = query(&[("sort", sort), ("minPrice", "10"), ("maxPrice", "20")]);
        Costs::default().ways(&query, Estimate { in_range, of_any_price: 1_000_000.0 })
    }

    #[test]
    fn a_small_range_is_sorted_and_a_large_one_walked_for_a_while() {
        for sort in ["id", "createdAt", "name"] {
            assert_eq!(ways(sort, 0.0), Ways { walk: None, then: Way::Range });
            assert_eq!(ways(sort, 100.0), Ways { walk: None, then: Way::Range });
            assert_eq!(ways(sort, 5_000.0), Ways { walk: None, then: Way::Bands });
            assert_eq!(ways(sort, 500_000.0), Ways { walk: Some(84), then: Way::Bands });
            assert_eq!(ways(sort, 1_000_000.0), Ways { walk: Some(42), then: Way::Bands });
        }
        assert_eq!(ways("id", 1_500.0).then, Way::Range);
        assert_eq!(ways("name", 1_500.0).then, Way::Bands);
    }

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    fn cut(from: &str, to: &str) -> Cut {
        Cut::of((price(from), price(to)))
    }

    fn edge(from: &str, to: &str) -> Edge {
        assert_eq!(Band::of(price(from)), Band::of(price(to)));
        Edge { band: Band::of(price(from)), prices: (price(from), price(to)) }
    }

    #[test]
    fn a_range_is_cut_where_bands_begin() {
        let bands = |from, to| Some((Band::of(price(from)), Band::of(price(to))));
        assert_eq!(cut("0", "99999999.99"), Cut { whole: bands("0", "99999999.99"), edges: vec![] });
        // Each cent is a band.
        assert_eq!(cut("0.50", "0.60"), Cut { whole: bands("0.50", "0.60"), edges: vec![] });
        // Eight cents are.
        assert_eq!(cut("9.92", "9.99"), Cut { whole: bands("9.92", "9.99"), edges: vec![] });
        assert_eq!(cut("9.93", "9.99"), Cut { whole: None, edges: vec![edge("9.93", "9.99")] });
        assert_eq!(
            cut("9.91", "9.99"),
            Cut { whole: bands("9.92", "9.99"), edges: vec![edge("9.91", "9.91")] }
        );
        assert_eq!(
            cut("9.91", "10.00"),
            Cut { whole: bands("9.92", "9.99"), edges: vec![edge("9.91", "9.91"), edge("10.00", "10.00")] }
        );
        assert_eq!(
            cut("9.91", "9.92"),
            Cut { whole: None, edges: vec![edge("9.91", "9.91"), edge("9.92", "9.92")] }
        );
    }

    #[test]
    fn an_edge_is_read_the_way_that_is_cheaper_at_its_worst() {
        let edges = [edge("9.93", "9.99"), edge("20.00", "20.01")];
        let query = query(&[("minPrice", "9.93"), ("maxPrice", "20.01")]);
        let parts =
            Parts::of_edges(&Costs::default(), &query, &edges, &[(100.0, 300_000.0), (5_000.0, 5_100.0)]);
        assert_eq!(parts.ranged, [edges[0].prices]);
        assert_eq!(parts.walked, [Walked { band: edges[1].band, prices: edges[1].prices, limit: 21 }]);
    }

    fn first(band: u16, id: u64) -> First {
        First { band: Band::from_number(band), position: Position { value: SortValue::Id, id } }
    }

    fn bands(parts: &Parts) -> Vec<(u16, u64)> {
        parts.walked.iter().map(|part| (part.band.number(), part.limit)).collect()
    }

    #[test]
    fn the_bands_that_begin_first_are_merged_and_the_others_begin_at_its_end() {
        let query = query(&[("limit", "2"), ("minPrice", "1")]);
        let firsts = [first(7, 10), first(3, 20), first(7, 30), first(9, 40)];
        let parts = Parts::default();

        let one = parts.with(&firsts, &query, 1);
        assert_eq!((bands(&one), one.end), (vec![(7, 3)], Some(firsts[1].position.clone())));
        // The third row is of a band that is merged already; the fourth is where others begin.
        let two = parts.with(&firsts, &query, 2);
        assert_eq!((bands(&two), two.end), (vec![(7, 3), (3, 2)], Some(firsts[3].position.clone())));
        let all = parts.with(&firsts[..3], &query, 2);
        assert_eq!((bands(&all), all.end), (vec![(7, 3), (3, 2)], None));
        assert_eq!(parts.with(&[], &query, 2), parts);
    }
}
