//! A price range in another order than price: which of three ways answers it. Only [`list`] and [`sampler`] ask the database;
//! what decides is pure.
//!
//! No index has both. So the range is read whole and sorted, or the sort's index is walked for a while, or the bands of
//! prices that the range covers are merged: each has its rows in the order that is asked for.

pub(crate) mod band;
pub(crate) mod list;
pub(crate) mod sample;
pub(crate) mod sampler;

use band::Band;

use crate::{ListQuery, Price, Sort, cursor::Position, plan::walks_table};

/// What one row, or one band, costs each way: microseconds, measured on `MariaDB` 10.11.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    /// To try a walk, however short it is.
    pub(crate) tried: f64,
    /// A row of a walk along an index that has all it takes. Twice that on `MySQL`, where it goes into a temporary table.
    pub(crate) walked: f64,
    /// A row of a walk along the table itself.
    pub(crate) walked_by_id: f64,
    /// A row of a band that the range cuts.
    pub(crate) filtered: f64,
    /// A row of the range.
    pub(crate) ranged: f64,
    /// The same in the order of names: the price index has none, so that each is looked up.
    pub(crate) ranged_by_name: f64,
    /// Where a band begins, to be found for each: two reads by id, up to five otherwise.
    pub(crate) band_by_id: f64,
    pub(crate) band: f64,
    /// To merge the bands of a range that has a [few](FEW).
    pub(crate) merge_few: f64,
    /// To merge bands, however many there are, and to find those that begin first.
    pub(crate) merge: f64,
}

impl Default for Costs {
    fn default() -> Costs {
        Costs {
            tried: 100.0,
            walked: 0.12,
            walked_by_id: 0.25,
            filtered: 0.12,
            ranged: 0.2,
            ranged_by_name: 2.7,
            band_by_id: 2.0,
            band: 6.0,
            merge_few: 300.0,
            merge: 800.0,
        }
    }
}

/// So many bands are merged at first. Where a range has no more, it does not matter where they begin.
pub(crate) const FEW: usize = 3;

/// More bands have a price in no catalogue that we know of.
const POPULATED: f64 = 600.0;

/// Rows of a price range, and of any price; of an edge, those in range and all of its band. As the optimiser sees them, exact up
/// to some thousand and right within a factor of two or three above; or as the sample does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) in_range: f64,
    pub(crate) of_any_price: f64,
}

/// How a price range is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ways {
    /// Rows of the sort's index that are tried first.
    pub(crate) walk: Option<Walk>,
    /// What answers it in any case.
    pub(crate) then: Way,
    /// What that costs.
    pub(crate) cost: f64,
}

/// How far to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    /// The page lies within so many rows, if price and sort have nothing to do with one another.
    pub(crate) rows: u64,
    /// As many, or so many as cost half as much as what answers in any case, if those are more. A server that stops where it has
    /// the page may go so far: names of one kind come together, and so do their prices.
    pub(crate) at_most: u64,
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

    /// Of the rows of an edge's band that are not in range. A walk passes by none of them, or by all.
    fn of_passed_by(&self, edge: Estimate) -> f64 {
        self.filtered * (edge.of_any_price - edge.in_range).max(0.0) / 2.0
    }

    /// Of so many rows along the sort's index.
    pub(crate) fn of_walk(&self, query: &ListQuery, rows: f64) -> f64 {
        rows * if walks_table(query) { self.walked_by_id } else { self.walked }
    }

    /// If price and sort have nothing to do with one another, the rows in range lie evenly along the walk: it then finds a
    /// page within twice the rows that it is expected to need. If they have, it may find none: so it is tried only if that
    /// costs at most as much as the way that answers in any case.
    ///
    /// `edges` are those of the bands' edges, as far as they are known.
    pub(crate) fn ways(&self, query: &ListQuery, cut: &Cut, estimate: Estimate, edges: &[Estimate]) -> Ways {
        let range = self.of_range(query, estimate.in_range);
        let band = if query.sort() == Sort::Id { self.band_by_id } else { self.band };
        let merge = if usize::from(cut.len()) <= FEW {
            self.merge_few
        } else {
            self.merge + band * f64::from(cut.len()).min(estimate.in_range).min(POPULATED)
        };
        let of_edge = |edge: &Estimate| self.of_range(query, edge.in_range).min(self.of_passed_by(*edge));
        let bands = merge + edges.iter().map(of_edge).sum::<f64>();
        let (then, cost) = if range <= bands { (Way::Range, range) } else { (Way::Bands, bands) };

        let wanted = f64::from(query.limit().get()) + 1.0;
        let rows = 2.0 * wanted * (estimate.of_any_price / estimate.in_range.max(1.0)).max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few thousand at the most"
        )]
        let walk = (self.tried + self.of_walk(query, rows) < cost).then(|| Walk {
            rows: rows as u64,
            at_most: rows.max(cost / 2.0 / self.of_walk(query, 1.0)) as u64,
        });
        Ways { walk, then, cost }
    }
}

/// A price range, cut where bands begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The first and the last of the bands that have a price in range.
    pub(crate) bands: (Band, Band),
    /// Those of them that have another price too: at most two.
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
        let (first, last) = (Band::of(from), Band::of(to));
        let part = |band: Band| {
            let (lowest, highest) = band.prices();
            Edge { band, prices: (lowest.max(from), highest.min(to)) }
        };
        let mut edges = vec![part(first), part(last)];
        edges.dedup();
        edges.retain(|edge| edge.prices != edge.band.prices());
        Cut { bands: (first, last), edges }
    }

    /// How many bands there are.
    pub(crate) fn len(&self) -> u16 {
        self.bands.1.number() - self.bands.0.number() + 1
    }

    fn edge(&self, band: Band) -> Option<&Edge> {
        self.edges.iter().find(|edge| edge.band == band)
    }

    fn walked(&self, band: Band) -> Walked {
        Walked { band, prices: self.edge(band).map_or(band.prices(), |edge| edge.prices) }
    }
}

/// A row of a band that no other row of it comes before, among those after the cursor. A band may have two: the first of
/// the rows that tie with the cursor, and the first beyond. An edge's may be out of the price range: what is in range comes
/// after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) band: Band,
    pub(crate) position: Position,
}

/// So many first rows tell which bands a page lies in: one more than its own, and what the edges may have on top.
pub(crate) fn firsts(query: &ListQuery) -> u64 {
    query.rows() + 1 + 4
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
}

impl Parts {
    /// The bands that begin first, as many as the page may lie in or as there is room for. `first_rows` are in order, and
    /// [so many](firsts) unless there are no more.
    pub(crate) fn of(query: &ListQuery, cut: &Cut, first_rows: &[First], room: usize) -> Parts {
        let mut parts = Parts::default();
        // Rows of the answer that come before.
        let mut before = 0;
        for First { band, position } in first_rows {
            let is_taken = parts.walked.iter().any(|part| part.band == *band);
            if before == query.rows() || (!is_taken && parts.walked.len() == room) {
                parts.end = Some(position.clone());
                break;
            }
            if !is_taken {
                parts.walked.push(cut.walked(*band));
            }
            before += u64::from(cut.edge(*band).is_none());
        }
        parts
    }

    /// All bands of a range.
    pub(crate) fn all(cut: &Cut) -> Parts {
        let bands = (cut.bands.0.number()..=cut.bands.1.number()).map(Band::from_number);
        Parts { walked: bands.map(|band| cut.walked(band)).collect(), ..Parts::default() }
    }

    /// Whether an edge is among them.
    pub(crate) fn have_edge_of(&self, cut: &Cut) -> bool {
        self.walked.iter().any(|part| cut.edge(part.band).is_some())
    }

    /// Sorts those edges that are expected to be cheaper so.
    pub(crate) fn sort_edges(&mut self, costs: &Costs, query: &ListQuery, cut: &Cut, estimates: &[Estimate]) {
        for (edge, estimate) in cut.edges.iter().zip(estimates) {
            let part = self.walked.iter().position(|part| part.band == edge.band);
            if let Some(nth) = part
                && costs.of_range(query, estimate.in_range) <= costs.of_passed_by(*estimate)
            {
                self.walked.remove(nth);
                self.ranged.push(edge.prices);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cursor::SortValue, tests::query};

    fn ways(sort: &str, in_range: f64) -> (Option<u64>, Way) {
        let query = query(&[("sort", sort), ("minPrice", "10"), ("maxPrice", "20")]);
        let estimate = Estimate { in_range, of_any_price: 1_000_000.0 };
        let ways = Costs::default().ways(&query, &Cut::of(query.prices()), estimate, &[]);
        (ways.walk.map(|walk| walk.rows), ways.then)
    }

    #[test]
    fn a_small_range_is_sorted_and_a_large_one_walked_for_a_while() {
        for sort in ["id", "createdAt", "name"] {
            assert_eq!(ways(sort, 0.0), (None, Way::Range));
            assert_eq!(ways(sort, 200.0), (None, Way::Range));
            assert_eq!(ways(sort, 500_000.0), (Some(84), Way::Bands));
            assert_eq!(ways(sort, 1_000_000.0), (Some(42), Way::Bands));
        }
        assert_eq!(ways("id", 3_000.0), (None, Way::Range));
        assert_eq!(ways("name", 3_000.0), (None, Way::Bands));
        // Along the table itself each row costs twice as much.
        assert_eq!((ways("id", 8_000.0).0, ways("createdAt", 8_000.0).0), (None, Some(5_250)));
    }

    #[test]
    fn a_walk_in_vain_costs_half_as_much_again() {
        let query = query(&[("sort", "name"), ("minPrice", "10"), ("maxPrice", "20")]);
        let costs = Costs::default();
        let estimate = Estimate { in_range: 500_000.0, of_any_price: 1_000_000.0 };
        let ways = costs.ways(&query, &Cut::of(query.prices()), estimate, &[]);
        let in_vain = costs.of_walk(&query, f64::from(u32::try_from(ways.walk.unwrap().at_most).unwrap()));
        assert!((in_vain / ways.cost - 0.5).abs() < 0.01, "{in_vain} {ways:?}");
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
        for (from, to, edges) in [
            ("0", "99999999.99", vec![]),
            // Each cent is a band.
            ("0.50", "0.60", vec![]),
            // Eight cents are.
            ("9.92", "9.99", vec![]),
            ("9.93", "9.99", vec![edge("9.93", "9.99")]),
            ("9.93", "9.94", vec![edge("9.93", "9.94")]),
            ("9.91", "9.99", vec![edge("9.91", "9.91")]),
            ("9.91", "10.00", vec![edge("9.91", "9.91"), edge("10.00", "10.00")]),
        ] {
            let bands = (Band::of(price(from)), Band::of(price(to)));
            assert_eq!(cut(from, to), Cut { bands, edges }, "{from} {to}");
        }
    }

    #[test]
    fn an_edge_is_read_the_way_that_is_cheaper() {
        let query = query(&[("minPrice", "9.93"), ("maxPrice", "20.01")]);
        let cut = cut("9.93", "20.01");
        let of_edges =
            |edge: &Edge| First { band: edge.band, position: Position { value: SortValue::Id, id: 1 } };
        let first_rows: Vec<First> = cut.edges.iter().map(of_edges).collect();
        let mut parts = Parts::of(&query, &cut, &first_rows, 5);
        assert!(parts.have_edge_of(&cut));
        let estimates = [(100.0, 300_000.0), (5_000.0, 5_100.0)]
            .map(|(in_range, of_any_price)| Estimate { in_range, of_any_price });
        parts.sort_edges(&Costs::default(), &query, &cut, &estimates);
        assert_eq!(parts.ranged, [cut.edges[0].prices]);
        let walked = Walked { band: cut.edges[1].band, prices: cut.edges[1].prices };
        assert_eq!(parts.walked, [walked]);
    }

    fn first(band: u16, id: u64) -> First {
        First { band: Band::from_number(band), position: Position { value: SortValue::Id, id } }
    }

    fn bands(parts: &Parts) -> Vec<u16> {
        parts.walked.iter().map(|part| part.band.number()).collect()
    }

    #[test]
    fn the_bands_that_begin_first_are_merged_and_the_others_begin_at_its_end() {
        let query = query(&[("limit", "2"), ("minPrice", "0.01")]);
        let cut = Cut { bands: (Band::from_number(1), Band::from_number(9)), edges: vec![] };
        let first_rows = [first(7, 10), first(3, 20), first(7, 30), first(9, 40)];
        let parts = |first_rows, room| Parts::of(&query, &cut, first_rows, room);

        let one = parts(&first_rows, 1);
        assert_eq!((bands(&one), one.end), (vec![7], Some(first_rows[1].position.clone())));
        // The third row is of a band that is merged already; the fourth is where others begin.
        let two = parts(&first_rows, 2);
        assert_eq!((bands(&two), two.end), (vec![7, 3], Some(first_rows[3].position.clone())));
        let all = parts(&first_rows[..3], 2);
        assert_eq!((bands(&all), all.end), (vec![7, 3], None));
        assert_eq!(parts(&[], 2), Parts::default());
    }

    /// It may have no row in range.
    #[test]
    fn the_first_row_of_an_edge_does_not_count() {
        let query = query(&[("limit", "1"), ("minPrice", "9.93")]);
        let cut = cut("9.93", "11.00");
        let edge = cut.edges[0];
        let first_rows = [first(edge.band.number(), 10), first(320, 20), first(321, 30), first(322, 40)];
        let parts = Parts::of(&query, &cut, &first_rows, 9);
        assert_eq!(bands(&parts), [edge.band.number(), 320, 321]);
        assert_eq!((parts.walked[0].prices, parts.end), (edge.prices, Some(first_rows[3].position.clone())));
    }
}
