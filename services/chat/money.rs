//! Exact money.
use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Sub},
};

/// An amount of US dollars, held as a whole number of picodollars (10^-12 USD), so that sums never drift.
///
/// Prices are quoted per million tokens with at most six decimals, hence every price of one token is a whole number of picodollars:
/// 0.0375 USD per million tokens is 37 500 picodollars a token.
///
/// ```
/// use tierway_services::chat::Usd;
/// let a_token = Usd::per_million(0.15);
/// assert_eq!(a_token.times(1_000_000), Usd::from_dollars(0.15));
/// assert_eq!(Usd::from_dollars(1.5).to_string(), "1.500000000000");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i128);

const PICO: f64 = 1e12;

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The price of one token, from a quote in US dollars per million tokens, to the nearest picodollar.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a price is far below 2^53 picodollars a token"
    )]
    pub fn per_million(quote: f64) -> Self {
        Self((quote * PICO / 1e6).round() as i128)
    }
    /// An amount in dollars, to the nearest picodollar.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to the unit is the point"
    )]
    pub fn from_dollars(dollars: f64) -> Self {
        Self((dollars * PICO).round() as i128)
    }
    /// This amount `n` times.
    #[must_use]
    pub fn times(self, n: u64) -> Self {
        Self(self.0 * i128::from(n))
    }
    /// The amount in picodollars.
    #[must_use]
    pub const fn picodollars(self) -> i128 {
        self.0
    }
    /// An amount in picodollars.
    #[must_use]
    pub const fn from_picodollars(picodollars: i128) -> Self {
        Self(picodollars)
    }
    /// The amount in dollars, for display; sums are taken before, not after.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / PICO
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}
impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}
impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}
impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}
impl fmt::Display for Usd {
    /// Plain decimal dollars with all twelve digits, exact; a precision (`{:.4}`) rounds towards zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, abs) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let (whole, fraction) = (abs / 1_000_000_000_000, abs % 1_000_000_000_000);
        let digits = format!("{fraction:012}");
        match f.precision() {
            Some(0) => write!(f, "{sign}{whole}"),
            Some(p) => write!(f, "{sign}{whole}.{}", &digits[..p.min(12)]),
            None => write!(f, "{sign}{whole}.{digits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_billion_additions_do_not_drift() {
        // One addition of 10^9 equal amounts is the same number as 10^9 additions, because integers are exact.
        let token = Usd::per_million(0.0375);
        let mut sum = Usd::ZERO;
        for _ in 0..1_000_000 {
            sum += token;
        }
        assert_eq!(sum.times(1_000), token.times(1_000_000_000));
        assert_eq!(sum.times(1_000).to_string(), "37.500000000000");
    }

    #[test]
    fn shown_exactly() {
        assert_eq!(Usd::from_picodollars(-1).to_string(), "-0.000000000001");
        assert_eq!(format!("{:.4}", Usd::from_dollars(12.34567)), "12.3456");
    }
}
