//! Prices: whole cents, never floats.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sqlx::{
    Decode, Encode, MySql, Type, TypeInfo as _,
    encode::IsNull,
    error::BoxDynError,
    mysql::{MySqlTypeInfo, MySqlValueRef},
};

/// A price in cents, stored as `DECIMAL(10,2)`: 0.00 to 99,999,999.99.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Price(u64);

/// Why a text is not a [`Price`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrice {
    /// Not digits with at most two decimals.
    #[error("must be a decimal number with at most two decimals, such as 12.50")]
    Malformed,
    /// More than [`Price::MAX`].
    #[error("must be at most {}", Price::MAX)]
    OutOfRange,
}

impl Price {
    /// Nothing costs less: 0.00.
    pub const MIN: Price = Price(0);
    /// The most that the column holds: 99999999.99.
    pub const MAX: Price = Price(9_999_999_999);

    /// A price of so many cents, if it is at most [`Price::MAX`].
    #[must_use]
    pub fn from_cents(cents: u64) -> Option<Price> {
        (cents <= Self::MAX.0).then_some(Price(cents))
    }

    /// The price in cents.
    #[must_use]
    pub fn cents(self) -> u64 {
        self.0
    }
}

impl FromStr for Price {
    type Err = InvalidPrice;

    /// Accepts `12`, `12.5` and `12.50`; no sign, no exponent, no digit lost to rounding.
    fn from_str(text: &str) -> Result<Price, InvalidPrice> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "00"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() > 2 {
            return Err(InvalidPrice::Malformed);
        }
        // Only digits are left: the one way to fail is too many of them.
        let cents = format!("{whole}{decimals:0<2}").parse().ok();
        cents.and_then(Price::from_cents).ok_or(InvalidPrice::OutOfRange)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Type<MySql> for Price {
    fn type_info() -> MySqlTypeInfo {
        <str as Type<MySql>>::type_info()
    }

    fn compatible(ty: &MySqlTypeInfo) -> bool {
        ty.name() == "DECIMAL"
    }
}

/// Bound as text: a statement casts it (`CAST(? AS DECIMAL(10,2))`), or the column does on insert.
impl Encode<'_, MySql> for Price {
    fn encode_by_ref(&self, buffer: &mut Vec<u8>) -> Result<IsNull, BoxDynError> {
        Encode::<MySql>::encode(self.to_string(), buffer)
    }
}

impl Decode<'_, MySql> for Price {
    fn decode(value: MySqlValueRef<'_>) -> Result<Price, BoxDynError> {
        Ok(<&str as Decode<MySql>>::decode(value)?.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_at_most_two_decimals() {
        for (text, cents) in [("0", 0), ("12", 1200), ("12.5", 1250), ("12.05", 1205), ("007.10", 710)] {
            assert_eq!(text.parse(), Ok(Price(cents)), "{text}");
        }
        for text in
            ["", ".", "1.", ".5", "1.234", "-1", "+1", "1e3", "1,5", " 1", "1 ", "0x1", "NaN", "١", "1.2.3"]
        {
            assert_eq!(text.parse::<Price>(), Err(InvalidPrice::Malformed), "{text}");
        }
    }

    #[test]
    fn ends_where_the_column_ends() {
        assert_eq!("99999999.99".parse(), Ok(Price::MAX));
        for text in ["100000000", "99999999999999999999999", "184467440737095516.16"] {
            assert_eq!(text.parse::<Price>(), Err(InvalidPrice::OutOfRange), "{text}");
        }
        assert_eq!(Price::from_cents(10_000_000_000), None);
    }

    #[test]
    fn shows_two_decimals() {
        assert_eq!(Price(5).to_string(), "0.05");
        assert_eq!(Price(123_450).to_string(), "1234.50");
    }
}
