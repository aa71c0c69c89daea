//! A price list: its text, and which of its names a model's name may stand for.
//!
//! A line is a model's name and its prices in US dollars for a million tokens, divided by tabs, in the order of [`COLUMNS`]; a cell may be
//! empty, and those at the end may be missing. Lines that begin with `#` are remarks.
use super::Price;
use crate::chat::Usd;
use std::{borrow::Cow, sync::LazyLock};

const TEXT: &str = include_str!("../prices.tsv");

/// What stands in each cell after the name.
pub const COLUMNS: [&str; 22] = [
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "input_above_200k",
    "output_above_200k",
    "context",
    "max_output",
    "input_above_272k",
    "output_above_272k",
    "input_audio",
    "output_audio",
    "input_image",
    "output_image",
    "output_reasoning",
    "input_batch",
    "output_batch",
    "input_flex",
    "output_flex",
    "input_priority",
    "output_priority",
];

/// The embedded list, read once, at the first question.
static EMBEDDED: LazyLock<Table> = LazyLock::new(|| Table::read(TEXT));

/// The price of `model` in the embedded list.
pub(super) fn find(model: &str) -> Option<Price> {
    EMBEDDED.find(model)
}

/// A price list, sorted by name.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<(Box<str>, Price)>);

fn row(line: &str) -> Option<(Box<str>, Price)> {
    if line.starts_with('#') {
        return None;
    }
    let mut cells = line.split('\t');
    let name = cells.next().filter(|name| !name.is_empty())?;
    let mut cell = || cells.next().unwrap_or_default();
    fn usd(cell: &str) -> Option<Usd> {
        let quote: f64 = cell.parse().ok()?;
        (quote.is_finite() && quote >= 0.0).then(|| Usd::per_million(quote))
    }
    let (input, output) = (usd(cell())?, usd(cell()).unwrap_or_default());
    let (cache_read, cache_write, cache_write_1h) = (usd(cell()), usd(cell()), usd(cell()));
    // The list does not have it of older models. Anthropic's is twice the input's for all of them.
    let twice = || (cache_write.is_some() && name.contains("claude")).then(|| input + input);
    let cache_write_1h = cache_write_1h.or_else(twice);
    let above_200k = usd(cell()).zip(usd(cell()));
    let (context, max_output) = (cell().parse().ok(), cell().parse().ok());
    Some((
        name.into(),
        Price {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            above_200k,
            context,
            max_output,
            above_272k: usd(cell()).zip(usd(cell())),
            input_audio: usd(cell()),
            output_audio: usd(cell()),
            input_image: usd(cell()),
            output_image: usd(cell()),
            output_reasoning: usd(cell()),
            batch: usd(cell()).zip(usd(cell())),
            flex: usd(cell()).zip(usd(cell())),
            priority: usd(cell()).zip(usd(cell())),
            hour: None,
        },
    ))
}

/// How brokers (`OpenRouter` first) name a vendor, and how the list does. A vendor that is not here is not guessed.
const VENDORS: [(&str, &str); 8] = [
    ("anthropic/", ""),
    ("deepseek/", "deepseek/"),
    ("google/", "gemini/"),
    ("mistralai/", "mistral/"),
    ("moonshotai/", "moonshot/"),
    ("openai/", ""),
    ("x-ai/", "xai/"),
    ("z-ai/", "zai/"),
];

impl Table {
    /// Reads a list. Lines that are no price are passed over.
    pub(super) fn read(text: &str) -> Self {
        let mut rows: Vec<_> = text.lines().filter_map(row).collect();
        // The last word on a name counts.
        rows.reverse();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows.dedup_by(|b, a| a.0 == b.0);
        Self(rows)
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The price of `model`: by its name, by its name with or without the date, then the same without a broker's vendor prefix.
    pub(super) fn find(&self, model: &str) -> Option<Price> {
        let model = named_by_arn(model).unwrap_or(model);
        self.dated_or_not(model).or_else(|| {
            let (listed, name) = VENDORS
                .iter()
                .find_map(|(vendor, listed)| Some((*listed, model.strip_prefix(vendor)?)))?;
            let name = if name.starts_with("claude-") {
                // Brokers write claude-sonnet-4.5 where Anthropic writes claude-sonnet-4-5.
                Cow::Owned(name.replace('.', "-"))
            } else {
                Cow::Borrowed(name)
            };
            self.dated_or_not(&format!("{listed}{name}"))
        })
    }

    fn dated_or_not(&self, name: &str) -> Option<Price> {
        self.exact(name).or_else(|| match undated(name) {
            Some(undated) => self.exact(undated),
            None => self.only_dated(name),
        })
    }

    fn exact(&self, name: &str) -> Option<Price> {
        self.0
            .binary_search_by_key(&name, |(n, _)| n)
            .ok()
            .and_then(|i| self.0.get(i))
            .map(|(_, price)| *price)
    }

    /// The price that all dated versions of `name` have, if there are any and they agree.
    fn only_dated(&self, name: &str) -> Option<Price> {
        if name.is_empty() {
            return None;
        }
        let from = self.0.partition_point(|(n, _)| **n < *name);
        let mut prices = self
            .0
            .iter()
            .skip(from)
            .take_while(|(n, _)| n.starts_with(name))
            .filter(|(n, _)| undated(n) == Some(name))
            .map(|(_, price)| *price);
        let first = prices.next()?;
        prices.all(|price| price == first).then_some(first)
    }
}

/// The model or the inference profile of Amazon's own that an ARN names. What the user's own profiles lead to is not in their names.
fn named_by_arn(arn: &str) -> Option<&str> {
    let (kind, name) = arn.strip_prefix("arn:")?.rsplit_once('/')?;
    let kind = kind.rsplit(':').next()?;
    matches!(kind, "foundation-model" | "inference-profile").then_some(name)
}

/// `name` without its date: `-2024-07-18`, `-20240718` or `@20240718` at the end. `None` where there is none.
fn undated(name: &str) -> Option<&str> {
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let plausible = |year: &str| year.starts_with("20");
    if let Some((rest, date)) = name.rsplit_once(['-', '@'])
        && date.len() == 8
        && digits(date)
        && plausible(date)
    {
        return Some(rest).filter(|r| !r.is_empty());
    }
    let (rest, day) = name.rsplit_once('-')?;
    let (rest, month) = rest.rsplit_once('-')?;
    let (rest, year) = rest.rsplit_once('-')?;
    let shaped = (year.len(), month.len(), day.len()) == (4, 2, 2);
    (shaped && digits(year) && digits(month) && digits(day) && plausible(year) && !rest.is_empty())
        .then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::PriceList;

    #[test]
    fn every_line_is_read_and_sorted() {
        let lines = TEXT.lines().filter(|l| !l.starts_with('#')).count();
        assert!(lines > 1500);
        let names: Vec<&str> = TEXT.lines().filter(|l| !l.starts_with('#')).collect();
        assert!(
            names.windows(2).all(|w| w[0] < w[1]),
            "as `tests/tools` writes it"
        );
        assert_eq!(EMBEDDED.len(), lines);
        let columns = TEXT
            .lines()
            .find_map(|l| l.strip_prefix("# model\t"))
            .unwrap();
        assert!(columns.split('\t').eq(COLUMNS));
        assert!(
            EMBEDDED
                .0
                .iter()
                .all(|(_, p)| p.input > Usd::ZERO || p.output > Usd::ZERO),
            "an unknown price is never 0"
        );
    }

    #[test]
    fn models_of_bedrock_by_every_name() {
        let price = |model: &str| find(model).map(|p| (p.input, p.output));
        let usd = |input, output| Some((Usd::per_million(input), Usd::per_million(output)));
        // Profiles of one geography may cost more than the model itself.
        for (model, expected) in [
            ("amazon.nova-lite-v1:0", usd(0.06, 0.24)),
            ("eu.amazon.nova-lite-v1:0", usd(0.078, 0.312)),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", usd(1.1, 5.5)),
            (
                "global.anthropic.claude-haiku-4-5-20251001-v1:0",
                usd(1.0, 5.0),
            ),
            (
                "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0",
                usd(0.078, 0.312),
            ),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
                usd(0.06, 0.24),
            ),
            (
                "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
                None,
            ),
        ] {
            assert_eq!(price(model), expected, "{model}");
        }
        let target =
            crate::chat::Target::new("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0");
        assert!(PriceList::embedded().price(&target).is_some());
    }

    #[test]
    fn a_known_row() {
        let price = find("gpt-4o-mini").unwrap();
        assert_eq!(price.input, Usd::per_million(0.15));
        assert_eq!(price.output, Usd::per_million(0.6));
        assert_eq!(price.cache_read, Some(Usd::per_million(0.075)));
        assert_eq!((price.cache_write, price.above_200k), (None, None));
        assert_eq!(
            (price.context, price.max_output),
            (Some(128_000), Some(16_384))
        );
        let long = find("gemini-2.5-pro").unwrap();
        assert!(long.above_200k.unwrap().0 > long.input);
    }

    #[test]
    fn names_match_with_and_without_date_and_vendor() {
        let mini = find("gpt-4o-mini");
        assert!(mini.is_some());
        for same in [
            "gpt-4o-mini-2024-07-18",
            "gpt-4o-mini-2031-01-01",
            "openai/gpt-4o-mini",
            "openai/gpt-4o-mini-2024-07-18",
        ] {
            assert_eq!(find(same), mini, "{same}");
        }
        let haiku = find("claude-haiku-4-5-20251001");
        assert!(haiku.is_some());
        for same in [
            "claude-haiku-4-5",
            "anthropic/claude-haiku-4.5",
            "anthropic/claude-haiku-4-5",
        ] {
            assert_eq!(find(same), haiku, "{same}");
        }
        assert!(find("google/gemini-2.5-pro").is_some());
        assert!(find("deepseek/deepseek-chat").is_some());
    }

    #[test]
    fn nothing_is_guessed() {
        for unknown in [
            "",
            "gpt",
            "gpt-4o-mini-foo",
            "gpt-4o-mini-2024",
            "gpt-4o-min",
            "claude",
            "claude-haiku",
            "foo/gpt-4o-mini",
            "openai/claude",
            "-2024-07-18",
            "qwen2.5:3b",
            "gpt-4o-mini:free",
        ] {
            assert_eq!(find(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_provider_of_the_list_has_its_own_price() {
        let list = PriceList::embedded();
        let at = |t: &str| list.price(&t.parse().unwrap());
        assert!(at("groq:gpt-4o-mini").is_some(), "the model's price");
        assert_ne!(
            at("azure:eu/gpt-4o-mini"),
            at("openai:gpt-4o-mini"),
            "azure/eu/gpt-4o-mini is dearer"
        );
        assert_eq!(at("openai:no-such-model"), None);
    }

    #[test]
    fn the_names_that_the_list_has_for_a_kind_come_first() {
        let list = PriceList::embedded()
            .with_listed_as("work", &["azure", "azure_ai"])
            .with_listed_as("google", &["vertex_ai", "gemini"])
            .with_listed_as("fast", &["groq"])
            .with_listed_as("lake", &["databricks"]);
        let at = |t: &str| list.price(&t.parse().unwrap());
        assert_eq!(at("work:eu/gpt-4o-mini"), find("azure/eu/gpt-4o-mini"));
        assert_eq!(at("google:gemini-2.5-pro"), find("gemini/gemini-2.5-pro"));
        let there = EMBEDDED
            .0
            .iter()
            .find(|(name, _)| name.starts_with("groq/"))
            .unwrap();
        let model = there.0.strip_prefix("groq/").unwrap();
        assert_eq!(at(&format!("fast:{model}")), Some(there.1));
        assert!(at("lake:databricks-claude-fable-5").is_some());
        assert_eq!(at("work:my-own-deployment"), None, "nothing is guessed");
    }

    #[test]
    fn every_kind_of_price_is_read() {
        let known = find("gpt-5.5").unwrap();
        let pair = |a, b| Some((Usd::per_million(a), Usd::per_million(b)));
        assert_eq!(known.above_272k, pair(10.0, 45.0));
        assert_eq!(
            (known.batch, known.flex),
            (pair(2.5, 15.0), pair(2.5, 15.0))
        );
        assert_eq!(known.priority, pair(12.5, 75.0));
        let table = Table::read(
            "b\t1\nnone\n\t1\t2\nbad\tx\na\t9\na\t1\t2\t\t\t\t\t\t\t\t\t\t3\t4\t5\t6\t7\n",
        );
        assert_eq!(table.len(), 2);
        let a = table.find("a").unwrap();
        assert_eq!(a.input, Usd::per_million(1.0), "the last word on a name");
        assert_eq!(
            [
                a.input_audio,
                a.output_audio,
                a.input_image,
                a.output_image,
                a.output_reasoning
            ],
            [3.0, 4.0, 5.0, 6.0, 7.0].map(|quote| Some(Usd::per_million(quote)))
        );
    }

    #[test]
    fn undated_names() {
        assert_eq!(undated("a-2024-07-18"), Some("a"));
        assert_eq!(undated("a-b-20240718"), Some("a-b"));
        assert_eq!(undated("a@20240718"), Some("a"));
        for not in [
            "a",
            "a-0718",
            "a-99999999",
            "a-2024-7-18",
            "20240718",
            "-20240718",
        ] {
            assert_eq!(undated(not), None, "{not}");
        }
    }
}
