//! Whether it pays to have the beginning of a prompt kept.
//!
//! A provider that is told to keep a prefix bills what it writes dearer than plain input, and what it reads again cheaper. With
//!
//! - `R` tokens that it still has and reads if it is asked to, `F` tokens behind them that it would write,
//! - `i`, `r`, `w`: what a token of input costs that is plain, read and written ([`Price`]),
//! - `E`: how often the new tokens are expected to be read before they are forgotten,
//!
//! a mark is worth
//!
//! ```text
//! gain = R (i - r) + F (E (i - r) - (w - i))
//! ```
//!
//! more than no mark, and is set where that is above zero. At Anthropic's `r = 0.1 i` and `w = 1.25 i` new tokens alone pay from `E = 0.28` on; kept
//! for an hour, at `w = 2 i`, from `E = 1.12` on.
//!
//! `E` comes from what was seen: of the calls of this kind so far, the share `p` that another one went on from within the time for which the
//! provider keeps them. If each call is followed with probability `p`, its tokens are read `p / (1 - p)` times ([`Habit::reads`]).
//!
//! ```
//! use tierway_layers::breakpoints::{gain, Habit};
//! use tierway_services::{chat::Usd, prices::Price};
//! let price = Price {
//!     input: Usd::per_million(3.0),
//!     cache_read: Some(Usd::per_million(0.3)),
//!     cache_write: Some(Usd::per_million(3.75)),
//!     ..Price::FREE
//! };
//! // The second turn of a conversation: 10 000 tokens are there, 500 come anew.
//! assert_eq!(gain(&price, 10_000, 500, 1.0, false), Usd::from_dollars(0.027 + 500.0 * (2.7 - 0.75) / 1e6));
//! // A question that nobody will go on from.
//! assert!(gain(&price, 0, 10_000, 0.0, false) < Usd::ZERO);
//! assert_eq!(Habit::default().reads(false), 1.0);
//! ```
use tierway_services::{chat::Usd, prices::Price};

/// No prefix is expected to be read more often than this.
const MOST_READS: f64 = 20.0;
/// After so many calls the older half weighs half as much, so that habits may change.
const MEMORY: f64 = 400.0;

/// What a mark is worth: see the [module](self). `hour` is for how long it asks; a price that is not told is that of plain input, as in a bill.
#[must_use]
pub fn gain(price: &Price, read: u64, fresh: u64, reads: f64, hour: bool) -> Usd {
    let input = price.input;
    let short = price.cache_write.unwrap_or(input);
    let write = if hour {
        price.cache_write_1h.unwrap_or(short)
    } else {
        short
    };
    let saved = input - price.cache_read.unwrap_or(input);
    let premium = write - input;
    saved.times(read) + scaled(saved.times(fresh), reads) - premium.times(fresh)
}

fn scaled(amount: Usd, by: f64) -> Usd {
    Usd::from_dollars(amount.as_dollars() * by)
}

/// How often calls of one kind are gone on from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habit {
    calls: f64,
    soon: f64,
    within_hour: f64,
}

impl Default for Habit {
    /// Of nobody is anything known: one call in two is gone on from, as if two had been seen.
    fn default() -> Self {
        Self {
            calls: 2.0,
            soon: 1.0,
            within_hour: 1.0,
        }
    }
}

impl Habit {
    /// Counts a call, and how many seconds after the one that it goes on from it came, if it goes on from any.
    pub fn count(&mut self, after: Option<u64>) {
        if self.calls > MEMORY {
            self.calls /= 2.0;
            self.soon /= 2.0;
            self.within_hour /= 2.0;
        }
        self.calls += 1.0;
        if after.is_some_and(|seconds| seconds < 5 * 60) {
            self.soon += 1.0;
        }
        if after.is_some_and(|seconds| seconds < 60 * 60) {
            self.within_hour += 1.0;
        }
    }

    /// How often tokens that are written now will be read, if they are kept for five minutes, or for an hour, after each use.
    #[must_use]
    pub fn reads(&self, hour: bool) -> f64 {
        let followed = if hour { self.within_hour } else { self.soon };
        let share = (followed / self.calls).clamp(0.0, 1.0);
        (share / (1.0 - share)).min(MOST_READS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sonnet() -> Price {
        Price {
            input: Usd::per_million(3.0),
            output: Usd::per_million(15.0),
            cache_read: Some(Usd::per_million(0.3)),
            cache_write: Some(Usd::per_million(3.75)),
            cache_write_1h: Some(Usd::per_million(6.0)),
            ..Price::FREE
        }
    }

    #[test]
    fn break_even_is_where_the_formula_says() {
        let pays = |reads, hour| gain(&sonnet(), 0, 1_000_000, reads, hour) > Usd::ZERO;
        assert!(!pays(0.27, false) && pays(0.28, false));
        assert!(!pays(1.11, true) && pays(1.12, true));
    }

    #[test]
    fn what_is_there_already_is_read_whatever_comes() {
        // 10 000 x 2.7 saved, 500 x 0.75 paid on top.
        assert_eq!(
            gain(&sonnet(), 10_000, 500, 0.0, false),
            Usd::from_dollars(0.027 - 0.000_375)
        );
    }

    #[test]
    fn free_writes_never_cost() {
        let nova = Price {
            cache_write: None,
            cache_write_1h: None,
            ..sonnet()
        };
        assert_eq!(gain(&nova, 0, 1000, 0.0, false), Usd::ZERO);
        assert!(gain(&nova, 0, 1000, 0.1, false) > Usd::ZERO);
    }

    #[test]
    fn habits_are_learned_and_unlearned() {
        let mut habit = Habit::default();
        for _ in 0..200 {
            habit.count(None);
        }
        assert!(habit.reads(false) < 0.01);
        for _ in 0..2000 {
            habit.count(Some(20 * 60));
        }
        assert!(habit.reads(false) < 0.01);
        assert_eq!(habit.reads(true), MOST_READS);
    }
}
