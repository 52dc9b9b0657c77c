//! Prices in bands, as the database's column `price_band` has them: 64 bands to every doubling of the price.

use crate::Price;

/// So many leading bits of the cents distinguish bands.
const BITS: u32 = 7;
const BANDS_IN_A_DOUBLING: u32 = BITS - 1;

/// A range of prices that no other overlaps. Bands rise with their prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Band(u16);

impl Band {
    /// No price is in it.
    pub(crate) const EMPTY: Band = Band(u16::MAX);

    /// The cents' leading bits, and how many more there are. The migration has the same expression in SQL.
    pub(crate) fn of(price: Price) -> Band {
        let bits = price.cents().checked_ilog2().map_or(0, |highest| highest + 1);
        let dropped = bits.saturating_sub(BITS);
        let number = u64::from(dropped << BANDS_IN_A_DOUBLING) + (price.cents() >> dropped);
        // The highest price is in band 1802.
        Band(u16::try_from(number).unwrap_or(u16::MAX))
    }

    pub(crate) fn from_number(number: u16) -> Band {
        Band(number)
    }

    pub(crate) fn number(self) -> u16 {
        self.0
    }

    /// Its lowest and its highest price.
    pub(crate) fn prices(self) -> (Price, Price) {
        let dropped = (self.0 >> BANDS_IN_A_DOUBLING).saturating_sub(1);
        let leading = u64::from(self.0 - (dropped << BANDS_IN_A_DOUBLING));
        let price = |leading: u64| leading.checked_mul(1_u64.checked_shl(dropped.into()).unwrap_or(u64::MAX));
        let lowest = price(leading).and_then(Price::from_cents);
        let highest = price(leading + 1).and_then(|above| Price::from_cents(above - 1));
        (lowest.unwrap_or(Price::MAX), highest.unwrap_or(Price::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(cents: u64) -> Price {
        Price::from_cents(cents).unwrap()
    }

    #[test]
    fn bands_follow_one_another_without_gap_or_overlap() {
        let mut lowest = Price::MIN;
        for number in 0..=1802 {
            let band = Band(number);
            let (first, last) = band.prices();
            assert_eq!(first, lowest);
            assert_eq!((Band::of(first), Band::of(last)), (band, band));
            if last < Price::MAX {
                lowest = price(last.cents() + 1);
            }
        }
        assert_eq!(Band::of(Price::MAX), Band(1802));
        assert_eq!(Band(1802).prices().1, Price::MAX);
    }

    #[test]
    fn a_band_is_a_64th_of_its_prices_or_one_cent() {
        for (cents, width) in [(0, 1), (1, 1), (255, 2), (256, 4), (999, 8), (100_000, 1024)] {
            let (first, last) = Band::of(price(cents)).prices();
            assert_eq!(last.cents() - first.cents() + 1, width, "{cents}");
        }
    }

    #[test]
    fn the_empty_band_has_no_price() {
        assert!(Band::EMPTY > Band::of(Price::MAX));
    }
}
