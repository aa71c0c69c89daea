//! Whether it pays to give up a conversation's cached prefix for a cheaper model.
//!
//! Providers keep the prefix of a prompt and sell it back cheaper: Anthropic reads at 0.1 times the input price and writes at 1.25 times
//! (2 times for an hour); OpenAI reads at a tenth to a half of it and mostly writes at the input price. Another model shares nothing of it: the first
//! turn there writes the whole prefix anew. With
//!
//! - `P` tokens of prefix that the provider caches, `n` tokens of input that it does not, `o` tokens of output in a turn,
//! - `i`, `o$`, `r`, `w`: what a token of input, of output, read from the cache and written to it costs; a prime for the cheaper model,
//! - `N` turns to come (see [`Outlook::turns`]),
//!
//! ```text
//! stay   = N (P r + n i + o o$)                                       the prefix is warm
//! stay   = P w + n i + o o$ + (N-1) (P r + n i + o o$)                it has gone cold
//! switch = P w' + n i' + o o$' + (N-1) (P r' + n i' + o o$') + lost
//! lost   = P (w - r)                                                  warm; 0 where it has gone cold
//! ```
//!
//! and the conversation goes to the cheaper model where `switch < stay`. `lost` is what the warm prefix is worth: should the conversation
//! come back, it would have to be written again. So a short conversation goes down at its second easy turn, a long one hardly ever while
//! its prefix is warm, and any one where it has gone cold.
//!
//! A prefix is warm for five minutes after its last use (an hour where it was written for one).
//!
//! Sources: prices and lifetimes from Anthropic's and OpenAI's pages on prompt caching
//! (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>, <https://developers.openai.com/api/docs/guides/prompt-caching>);
//! prices of single models from the gateway's price list. The formula is plain accounting over these.
//!
//! ```
//! use tierway_layers::affinity::Outlook;
//! use tierway_services::{chat::Usd, prices::Price};
//! let price = |input, output| Price {
//!     input: Usd::per_million(input),
//!     output: Usd::per_million(output),
//!     cache_read: Some(Usd::per_million(0.1 * input)),
//!     cache_write: Some(Usd::per_million(1.25 * input)),
//!     ..Price::FREE
//! };
//! let (big, small) = (price(5.0, 25.0), price(1.0, 5.0));
//! // "thanks", after 100 000 tokens of work.
//! let mut outlook = Outlook { cached: 100_000, fresh: 500, output: 300, turns: 1, warm: true, hour: false };
//! assert_eq!(outlook.stay(&big), Usd::from_dollars(0.050 + 0.0025 + 0.0075));
//! assert_eq!(outlook.switch(&big, &small), Usd::from_dollars(0.125 + 0.0005 + 0.0015 + 0.575));
//! assert!(!outlook.pays(&big, &small));
//! // Back after lunch, nothing is left to lose.
//! outlook.warm = false;
//! assert!(outlook.pays(&big, &small));
//! ```
use tierway_services::{
    chat::{Usage, Usd},
    prices::Price,
};

/// What the turns to come are expected to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Tokens of the prompt that the provider caches.
    pub cached: u64,
    /// Tokens of the prompt that it does not.
    pub fresh: u64,
    /// Tokens of an answer.
    pub output: u64,
    /// How many turns will do with the cheaper model. [`Affinity`](super::Affinity) expects as many as it has just seen in a row, tool
    /// results included: what has lasted so long lasts as long again (Gott, "Implications of the Copernican principle for our future
    /// prospects", Nature 363, 1993).
    pub turns: u32,
    /// Whether the current model's provider still has the prefix.
    pub warm: bool,
    /// Whether prefixes are written for an hour.
    pub hour: bool,
}

impl Outlook {
    /// What the turns to come cost at the current model.
    #[must_use]
    pub fn stay(&self, current: &Price) -> Usd {
        let first = if self.warm {
            self.reads(current)
        } else {
            self.writes(current)
        };
        first + self.reads(current).times(self.further())
    }

    /// What they cost at the cheaper one, with what is lost at the current one.
    #[must_use]
    pub fn switch(&self, current: &Price, cheaper: &Price) -> Usd {
        let lost = if self.warm {
            (self.writes(current) - self.reads(current)).max(Usd::ZERO)
        } else {
            Usd::ZERO
        };
        self.writes(cheaper) + self.reads(cheaper).times(self.further()) + lost
    }

    /// Whether switching costs less than staying.
    #[must_use]
    pub fn pays(&self, current: &Price, cheaper: &Price) -> bool {
        self.switch(current, cheaper) < self.stay(current)
    }

    fn further(&self) -> u64 {
        u64::from(self.turns.max(1)) - 1
    }

    /// A turn that finds its prefix in the cache.
    fn reads(&self, price: &Price) -> Usd {
        price.cost(&Usage {
            cache_read: self.cached,
            ..self.rest()
        })
    }

    /// A turn that writes its prefix to the cache.
    fn writes(&self, price: &Price) -> Usd {
        let mut usage = self.rest();
        if self.hour {
            usage.cache_write_1h = self.cached;
        } else {
            usage.cache_write = self.cached;
        }
        price.cost(&usage)
    }

    fn rest(&self) -> Usage {
        Usage {
            input: self.fresh,
            output: self.output,
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: f64, output: f64) -> Price {
        Price {
            input: Usd::per_million(input),
            output: Usd::per_million(output),
            cache_read: Some(Usd::per_million(0.1 * input)),
            cache_write: Some(Usd::per_million(1.25 * input)),
            cache_write_1h: Some(Usd::per_million(2.0 * input)),
            ..Price::FREE
        }
    }

    const SHORT: Outlook = Outlook {
        cached: 2_000,
        fresh: 500,
        output: 300,
        turns: 1,
        warm: true,
        hour: false,
    };

    /// The number of turns from which on it pays.
    fn break_even(outlook: Outlook, big: &Price, small: &Price) -> Option<u32> {
        (1..1000).find(|turns| {
            Outlook {
                turns: *turns,
                ..outlook
            }
            .pays(big, small)
        })
    }

    #[test]
    fn the_worked_examples() {
        let (big, small) = (price(5.0, 25.0), price(1.0, 5.0));
        assert_eq!(break_even(SHORT, &big, &small), Some(2));
        let long = Outlook {
            cached: 100_000,
            ..SHORT
        };
        // A turn saves 0.048, going down costs 0.115 more than a turn there, and 0.575 are lost.
        assert_eq!(break_even(long, &big, &small), Some(15));
        // Written for an hour it is worth more.
        let hour = Outlook { hour: true, ..long };
        assert!(break_even(hour, &big, &small) > Some(15));
        let cold = Outlook {
            warm: false,
            ..long
        };
        assert_eq!(break_even(cold, &big, &small), Some(1));
    }

    #[test]
    fn a_cheaper_price_that_is_none_never_pays() {
        let same = price(5.0, 25.0);
        assert_eq!(break_even(SHORT, &same, &same), None);
        assert_eq!(break_even(SHORT, &Price::FREE, &Price::FREE), None);
        assert_eq!(break_even(SHORT, &Price::FREE, &same), None);
        // To one's own machine it pays at once where little is cached.
        assert!(
            SHORT.pays(&same, &Price::FREE) || break_even(SHORT, &same, &Price::FREE) == Some(2)
        );
    }
}
