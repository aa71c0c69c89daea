//! What a token costs.
//!
//! A [`PriceList`] knows the price of a [`Target`], or says that it does not: a guess would be a wrong bill. With the feature `prices` it
//! starts from an embedded list; without, from what [`PriceList::with_override`] is told.
mod found;

use crate::chat::{Service, Target, Usage, Usd};
use found::Found;
use std::{collections::HashMap, sync::Arc, time::Duration};

#[cfg(feature = "prices")]
mod table;

#[cfg(feature = "prices")]
pub use table::COLUMNS;

/// What one token of each kind costs.
///
/// ```
/// use tierway_services::{chat::{Usage, Usd}, prices::Price};
/// let price = Price { input: Usd::per_million(3.0), output: Usd::per_million(15.0), cache_read: Some(Usd::per_million(0.3)), ..Price::FREE };
/// let usage = Usage { input: 1000, output: 100, cache_read: 5000, ..Usage::default() };
/// assert_eq!(price.cost(&usage), Usd::from_dollars(0.003 + 0.0015 + 0.0015));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// An input token that no cache served or stored.
    pub input: Usd,
    /// An output token.
    pub output: Usd,
    /// An input token read from the provider's cache; `None` = as `input`.
    pub cache_read: Option<Usd>,
    /// An input token written to the provider's cache; `None` = as `input`.
    pub cache_write: Option<Usd>,
    /// An input token written to the provider's cache for an hour; `None` = as `cache_write`.
    pub cache_write_1h: Option<Usd>,
    /// Input and output prices of a call whose input is over 200 000 tokens, where they differ.
    pub above_200k: Option<(Usd, Usd)>,
    /// The most tokens that the model takes in.
    pub context: Option<u64>,
    /// The most tokens that the model puts out.
    pub max_output: Option<u64>,
    /// Input and output prices of a call whose input is over 272 000 tokens, where they differ.
    pub above_272k: Option<(Usd, Usd)>,
    /// A token of sound sent; `None` = as `input`.
    pub input_audio: Option<Usd>,
    /// A token of sound answered; `None` = as `output`.
    pub output_audio: Option<Usd>,
    /// A token of an image sent; `None` = as `input`.
    pub input_image: Option<Usd>,
    /// A token of an image answered; `None` = as `output`.
    pub output_image: Option<Usd>,
    /// A token of reasoning; `None` = as `output`.
    pub output_reasoning: Option<Usd>,
    /// Input and output prices of a call that was part of a batch; `None` = as usual.
    pub batch: Option<(Usd, Usd)>,
    /// Of one that could wait.
    pub flex: Option<(Usd, Usd)>,
    /// Of one that was served first.
    pub priority: Option<(Usd, Usd)>,
    /// An hour of work on a call: what one's own machine costs while it computes.
    pub hour: Option<Usd>,
}

impl Price {
    /// Nothing: a model on one's own machine.
    pub const FREE: Self = Self {
        input: Usd::ZERO,
        output: Usd::ZERO,
        cache_read: None,
        cache_write: None,
        cache_write_1h: None,
        above_200k: None,
        context: None,
        max_output: None,
        above_272k: None,
        input_audio: None,
        output_audio: None,
        input_image: None,
        output_image: None,
        output_reasoning: None,
        batch: None,
        flex: None,
        priority: None,
        hour: None,
    };

    /// What `usage` costs.
    ///
    /// Over 200 000 tokens of input, or over 272 000, a model that has a long-context price has it for the whole call, as its vendors bill
    /// it. A batch, a call that could wait and one that was served first have prices of their own. The prices of cached tokens, of sound,
    /// images and reasoning are multiples of these in price sheets, so they rise and fall with them.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Usd {
        let standard = (self.input, self.output);
        let served = match usage.service {
            Service::Standard => None,
            Service::Batch => self.batch,
            Service::Flex => self.flex,
            Service::Priority => self.priority,
        };
        let all = usage.input_total();
        let long = [(272_000, self.above_272k), (200_000, self.above_200k)]
            .into_iter()
            .find_map(|(most, price)| price.filter(|_| all > most));
        let (input, output) = match (served, long) {
            (Some(served), Some(long)) => (
                rise(served.0, standard.0, long.0),
                rise(served.1, standard.1, long.1),
            ),
            (served, long) => served.or(long).unwrap_or(standard),
        };
        let cached = |price: Option<Usd>| match price {
            Some(price) => rise(price, self.input, input),
            None => input,
        };
        let spoken = |price: Option<Usd>| match price {
            Some(price) => rise(price, self.output, output),
            None => output,
        };
        let heard = usage.input_audio.min(usage.input);
        let seen = usage.input_image.min(usage.input - heard);
        let said = usage.output_audio.min(usage.output);
        let drawn = usage.output_image.min(usage.output - said);
        let thought = usage.reasoning.min(usage.output - said - drawn);
        input.times(usage.input - heard - seen)
            + cached(self.input_audio).times(heard)
            + cached(self.input_image).times(seen)
            + output.times(usage.output - said - drawn - thought)
            + spoken(self.output_audio).times(said)
            + spoken(self.output_image).times(drawn)
            + spoken(self.output_reasoning).times(thought)
            + cached(self.cache_read).times(usage.cache_read)
            + cached(self.cache_write).times(usage.cache_write)
            + cached(self.cache_write_1h.or(self.cache_write)).times(usage.cache_write_1h)
    }
}

impl Price {
    /// What the provider's cache did to the bill for `usage`.
    ///
    /// ```
    /// use tierway_services::{chat::{Usage, Usd}, prices::Price};
    /// let price = Price { input: Usd::per_million(3.0), cache_read: Some(Usd::per_million(0.3)), cache_write: Some(Usd::per_million(3.75)), ..Price::FREE };
    /// let effect = price.cache_effect(&Usage { input: 9, cache_read: 10_000, cache_write: 1000, ..Usage::default() });
    /// assert_eq!((effect.saved, effect.premium), (Usd::from_dollars(0.027), Usd::from_dollars(0.00075)));
    /// ```
    #[must_use]
    pub fn cache_effect(&self, usage: &Usage) -> CacheEffect {
        let all = self.cost(usage);
        let read_as_input = self.cost(&Usage {
            input: usage.input + usage.cache_read,
            cache_read: 0,
            ..*usage
        });
        let written_as_input = self.cost(&Usage {
            input: usage.input + usage.cache_write + usage.cache_write_1h,
            cache_write: 0,
            cache_write_1h: 0,
            ..*usage
        });
        CacheEffect {
            saved: read_as_input - all,
            premium: all - written_as_input,
        }
    }
}

/// What a provider's prompt cache did to the bill of one call, against the same tokens as plain input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheEffect {
    /// What tokens that were read cost less.
    pub saved: Usd,
    /// What tokens that were written cost more.
    pub premium: Usd,
}

impl Price {
    /// What a call costs that took so long, beside its tokens. Calls that overlap pay each for itself.
    ///
    /// ```
    /// use tierway_services::{chat::Usd, prices::Price};
    /// let own = Price { hour: Some(Usd::from_dollars(3.6)), ..Price::FREE };
    /// assert_eq!(own.time(std::time::Duration::from_secs(5)), Usd::from_dollars(0.005));
    /// ```
    #[must_use]
    pub fn time(&self, took: Duration) -> Usd {
        let nanos = i128::try_from(took.as_nanos()).unwrap_or(i128::MAX >> 64);
        let hour = self.hour.unwrap_or_default().picodollars();
        Usd::from_picodollars(hour * nanos / 3_600_000_000_000)
    }
}

/// `price` in the proportion in which `from` became `to`.
fn rise(price: Usd, from: Usd, to: Usd) -> Usd {
    if from == to || from == Usd::ZERO {
        return price;
    }
    Usd::from_picodollars(price.picodollars() * to.picodollars() / from.picodollars())
}

/// Who costs what. A clone costs one reference count.
///
/// ```
/// use tierway_services::prices::{Price, PriceList};
/// let prices = PriceList::empty().with_free_provider("ollama");
/// assert_eq!(prices.price(&"ollama:qwen2.5:3b".parse().unwrap()), Some(Price::FREE));
/// assert_eq!(prices.price(&"cloud:gpt-x".parse().unwrap()), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct PriceList(Arc<Entries>);

#[derive(Clone, Debug, Default)]
struct Entries {
    embedded: bool,
    #[cfg(feature = "prices")]
    list: Option<Arc<table::Table>>,
    free: Vec<Box<str>>,
    /// What the list calls the models of a provider, before a slash.
    listed_as: HashMap<Box<str>, &'static [&'static str]>,
    overrides: HashMap<Box<str>, Price>,
    found: Found,
}

impl PriceList {
    fn set(mut self, set: impl FnOnce(&mut Entries)) -> Self {
        let entries = Arc::make_mut(&mut self.0);
        entries.found = Found::default();
        set(entries);
        self
    }

    /// A list that knows no price.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }
    /// The embedded list.
    #[cfg(feature = "prices")]
    #[must_use]
    pub fn embedded() -> Self {
        Self(Arc::new(Entries {
            embedded: true,
            ..Entries::default()
        }))
    }
    /// With the prices of this list before those of the embedded one; lines that are no price are passed over. Gives the number of prices
    /// too. The form is that of the embedded list, see [`COLUMNS`].
    ///
    /// ```
    /// use tierway_services::{chat::Usd, prices::PriceList};
    /// let (prices, count) = PriceList::embedded().with_list("# mine\nmy-model\t1.5\t6\n");
    /// let price = prices.price(&"anywhere:my-model".parse().unwrap()).unwrap();
    /// assert_eq!((count, price.output), (1, Usd::per_million(6.0)));
    /// ```
    #[cfg(feature = "prices")]
    #[must_use]
    pub fn with_list(self, text: &str) -> (Self, usize) {
        let list = table::Table::read(text);
        let count = list.len();
        (self.set(|e| e.list = Some(Arc::new(list))), count)
    }
    /// With every model of the provider of this name free: it runs on one's own machine.
    #[must_use]
    pub fn with_free_provider(self, name: &str) -> Self {
        self.set(|e| e.free.push(name.into()))
    }
    /// With the models of the provider of this name looked up under these names of the list first: `azure/...`.
    ///
    /// ```
    /// # #[cfg(feature = "prices")] {
    /// use tierway_services::prices::PriceList;
    /// let prices = PriceList::embedded().with_listed_as("work", &["azure"]);
    /// assert_ne!(prices.price(&"work:eu/gpt-4o-mini".parse().unwrap()), None);
    /// # }
    /// ```
    #[must_use]
    pub fn with_listed_as(self, name: &str, listed: &'static [&'static str]) -> Self {
        self.set(|e| {
            e.listed_as.insert(name.into(), listed);
        })
    }
    /// With the price of one target (`provider:model`), or of a model at whichever provider.
    #[must_use]
    pub fn with_override(self, target_or_model: &str, price: Price) -> Self {
        self.set(|e| {
            e.overrides.insert(target_or_model.into(), price);
        })
    }
    /// Where the embedded prices come from, and of when they are.
    #[must_use]
    pub const fn source() -> &'static str {
        "price list of the LiteLLM project (MIT licence), as of 2026-11"
    }

    /// The price at this target. In this order: an override of the target, a free provider, an override of the model, the embedded
    /// list's entry for this provider (`groq/...`), its entry for the model.
    #[must_use]
    pub fn price(&self, target: &Target) -> Option<Price> {
        self.0.found.get(target, || self.look_up(target))
    }

    fn look_up(&self, target: &Target) -> Option<Price> {
        let entries = &*self.0;
        if !entries.overrides.is_empty()
            && let Some(price) = entries.overrides.get(&*target.to_string())
        {
            return Some(*price);
        }
        if entries.free.iter().any(|name| **name == *target.provider) {
            return Some(Price::FREE);
        }
        if let Some(price) = entries.overrides.get(&*target.model) {
            return Some(*price);
        }
        let listed_as = entries.listed_as.get(&*target.provider);
        listed_as
            .into_iter()
            .flat_map(|names| names.iter())
            .find_map(|name| self.listed(&format!("{name}/{}", target.model)))
            .or_else(|| self.listed(&format!("{}/{}", target.provider, target.model)))
            .or_else(|| self.listed(&target.model))
    }
    /// The price of a model by its name alone.
    #[must_use]
    pub fn price_of_model(&self, model: &str) -> Option<Price> {
        self.0
            .overrides
            .get(model)
            .copied()
            .or_else(|| self.listed(model))
    }

    #[cfg(feature = "prices")]
    fn listed(&self, model: &str) -> Option<Price> {
        let own = self.0.list.as_ref().and_then(|list| list.find(model));
        own.or_else(|| self.0.embedded.then(|| table::find(model)).flatten())
    }
    #[cfg(not(feature = "prices"))]
    fn listed(&self, _: &str) -> Option<Price> {
        debug_assert!(!self.0.embedded);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(quote: f64) -> Usd {
        Usd::per_million(quote)
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let price = Price {
            input: usd(1.0),
            output: usd(10.0),
            cache_read: Some(usd(0.1)),
            cache_write: Some(usd(1.25)),
            cache_write_1h: Some(usd(2.0)),
            ..Price::FREE
        };
        let usage = Usage {
            input: 1,
            output: 1,
            cache_read: 1,
            cache_write: 1,
            cache_write_1h: 1,
            reasoning: 1,
            ..Usage::default()
        };
        assert_eq!(price.cost(&usage), usd(1.0 + 10.0 + 0.1 + 1.25 + 2.0));
        let plain = Price {
            cache_read: None,
            cache_write: None,
            cache_write_1h: None,
            ..price
        };
        assert_eq!(plain.cost(&usage), usd(1.0 * 4.0 + 10.0));
    }

    #[test]
    fn a_long_context_costs_more_as_a_whole() {
        let price = Price {
            input: usd(3.0),
            output: usd(15.0),
            cache_read: Some(usd(0.3)),
            above_200k: Some((usd(6.0), usd(22.5))),
            ..Price::FREE
        };
        let at = |input, cache_read| {
            price.cost(&Usage {
                input,
                output: 1,
                cache_read,
                ..Usage::default()
            })
        };
        assert_eq!(at(200_000, 0), usd(3.0 * 200_000.0 + 15.0));
        assert_eq!(at(1, 200_000), usd(6.0 + 0.6 * 200_000.0 + 22.5));
    }

    #[test]
    fn sound_images_and_reasoning_have_prices_of_their_own() {
        let price = Price {
            input: usd(1.0),
            output: usd(2.0),
            input_audio: Some(usd(10.0)),
            output_audio: Some(usd(20.0)),
            output_image: Some(usd(30.0)),
            output_reasoning: Some(usd(4.0)),
            ..Price::FREE
        };
        let usage = Usage {
            input: 10,
            output: 10,
            reasoning: 3,
            input_audio: 2,
            input_image: 4,
            output_audio: 1,
            output_image: 2,
            ..Usage::default()
        };
        let expected = 8.0 + 2.0 * 10.0 + 4.0 * 2.0 + 20.0 + 2.0 * 30.0 + 3.0 * 4.0;
        assert_eq!(price.cost(&usage), usd(expected));
        // More than there is is not believed.
        let odd = Usage {
            input_audio: 99,
            output_audio: 99,
            ..usage
        };
        assert_eq!(price.cost(&odd), usd(100.0 + 200.0));
    }

    #[test]
    fn service_and_length_set_the_price_together() {
        let price = Price {
            input: usd(5.0),
            output: usd(30.0),
            cache_read: Some(usd(0.5)),
            above_272k: Some((usd(10.0), usd(45.0))),
            batch: Some((usd(2.5), usd(15.0))),
            ..Price::FREE
        };
        let at = |service, input| {
            price.cost(&Usage {
                input,
                output: 1,
                cache_read: 10,
                service,
                ..Usage::default()
            })
        };
        let (plain, batch) = (Service::Standard, Service::Batch);
        assert_eq!(at(plain, 100), usd(500.0 + 30.0 + 5.0));
        assert_eq!(at(batch, 100), usd(250.0 + 15.0 + 2.5));
        assert_eq!(
            at(Service::Priority, 100),
            at(plain, 100),
            "no price of its own"
        );
        assert_eq!(at(plain, 272_000), usd(2_720_000.0 + 45.0 + 10.0));
        assert_eq!(at(batch, 272_000), usd(1_360_000.0 + 22.5 + 5.0));
    }

    #[test]
    fn the_most_specific_word_wins() {
        let (a, b) = (
            Price {
                input: usd(1.0),
                ..Price::FREE
            },
            Price {
                input: usd(2.0),
                ..Price::FREE
            },
        );
        let list = PriceList::empty()
            .with_free_provider("local")
            .with_override("m", a)
            .with_override("p:m", b);
        let price = |t: &str| list.price(&t.parse().unwrap());
        assert_eq!(price("p:m"), Some(b));
        assert_eq!(price("q:m"), Some(a));
        assert_eq!(price("local:m"), Some(Price::FREE));
        assert_eq!(price("q:n"), None);
        assert_eq!(list.price_of_model("m"), Some(a));
        assert_eq!(
            PriceList::empty().price(&"local:m".parse().unwrap()),
            None,
            "a copy is independent"
        );
    }
}
