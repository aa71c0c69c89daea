//! What a caller means by the name of a model.
//!
//! Clients send the names that their vendors baked in (`claude-opus-5-5`, `gpt-5`), a person may ask for a tier (`tierway/complex`) or for a
//! certain model of a certain provider (`ollama:qwen2.5:3b`). [`Names`] tells these apart, in this order; the first that fits decides:
//!
//! 1. `provider:model`, where the provider is known: that model.
//! 2. `auto`, `tierway/auto`, and a tier's name, bare or after `tierway/`.
//! 3. The operator's own map: a name, or a prefix ended by `*`; the longest that fits.
//! 4. The families that clients send by default ([`Names::DEFAULT_FAMILIES`]): routed by tier, except that `haiku`, `-mini` and `-nano`
//!    models, which clients use for side work, mean the simple tier.
//! 5. Models that a provider is known to serve.
//!
//! ```
//! use tierway_layers::names::{Names, Wish};
//! use tierway_services::chat::{Target, Tier};
//!
//! let names = Names::new(["ollama", "cloud"])
//!     .map("claude-opus-*", Wish::Tier(Tier::Reasoning))
//!     .serves("smollm", Target::new("ollama", "smollm"));
//! assert_eq!(names.resolve("ollama:qwen2.5:3b"), Some(Wish::Target(Target::new("ollama", "qwen2.5:3b"))));
//! assert_eq!(names.resolve("claude-opus-5-5"), Some(Wish::Tier(Tier::Reasoning)));
//! assert_eq!(names.resolve("gpt-5"), Some(Wish::Auto));
//! assert_eq!(names.resolve("gpt-4o-mini"), Some(Wish::Tier(Tier::Simple)));
//! assert_eq!(names.resolve("smollm"), Some(Wish::Target(Target::new("ollama", "smollm"))));
//! assert_eq!(names.resolve("nobody-knows"), None);
//! ```
use http::{HeaderMap, HeaderName};
use std::{collections::BTreeMap, sync::Arc};
use tierway_services::chat::{ParseTierError, Target, Tier};

/// The header in which a caller may ask for a tier, whatever it calls the model: `x-tierway-tier: complex`, or `auto` for no wish.
pub const TIER_HEADER: HeaderName = HeaderName::from_static("x-tierway-tier");

/// What the caller asks for in [`TIER_HEADER`]: nothing at all, no tier in particular, a tier, or what is none.
///
/// ```
/// use tierway_layers::names::{TIER_HEADER, wished};
/// use tierway_services::chat::Tier;
/// let mut headers = http::HeaderMap::new();
/// assert!(wished(&headers).is_none());
/// headers.insert(TIER_HEADER, "Complex".parse().unwrap());
/// assert_eq!(wished(&headers), Some(Ok(Some(Tier::Complex))));
/// headers.insert(TIER_HEADER, "huge".parse().unwrap());
/// assert!(wished(&headers).is_some_and(|wish| wish.is_err()));
/// ```
#[must_use]
pub fn wished(headers: &HeaderMap) -> Option<Result<Option<Tier>, ParseTierError>> {
    let value = headers.get(TIER_HEADER)?;
    let word = value.to_str().unwrap_or_default().trim();
    Some(match word.eq_ignore_ascii_case("auto") {
        true => Ok(None),
        false => word.parse().map(Some),
    })
}

/// What a caller wants by the name of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Whatever is good enough.
    Auto,
    /// A model of this tier.
    Tier(Tier),
    /// This very model.
    Target(Target),
}

/// Tells what the name of a model means. A clone costs one reference count.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Inner>);

#[derive(Clone, Debug, Default)]
struct Inner {
    providers: Vec<Arc<str>>,
    exact: BTreeMap<String, Wish>,
    /// Without their `*`, longest first.
    prefixes: Vec<(String, Wish)>,
    served: BTreeMap<String, Target>,
}

impl Names {
    /// Prefixes of the names that clients send without anybody having chosen them.
    pub const DEFAULT_FAMILIES: [&'static str; 7] =
        ["claude-", "gpt-", "chatgpt-", "codex-", "o1", "o3", "o4"];

    /// Names that mean models of these providers, a tier, or one of the default families.
    pub fn new<P: Into<Arc<str>>>(providers: impl IntoIterator<Item = P>) -> Self {
        Self(Arc::new(Inner {
            providers: providers.into_iter().map(Into::into).collect(),
            ..Inner::default()
        }))
    }

    /// Gives `pattern` (a name, or a prefix ended by `*`, in any case) a meaning of the operator's choice. A later one replaces an equal
    /// earlier one.
    #[must_use]
    pub fn map(mut self, pattern: &str, wish: Wish) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        let pattern = pattern.to_ascii_lowercase();
        if let Some(prefix) = pattern.strip_suffix('*') {
            inner.prefixes.retain(|(p, _)| p != prefix);
            inner.prefixes.push((prefix.to_owned(), wish));
            inner
                .prefixes
                .sort_by_key(|(p, _)| std::cmp::Reverse(p.len()));
        } else {
            inner.exact.insert(pattern, wish);
        }
        self
    }

    /// Says that `target` answers to `model`.
    #[must_use]
    pub fn serves(mut self, model: &str, target: Target) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.served.insert(model.to_ascii_lowercase(), target);
        self
    }

    /// The names of the known providers.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.0.providers.iter().map(|p| &**p)
    }

    /// What `model` means; `None` where nobody here knows it.
    #[must_use]
    pub fn resolve(&self, model: &str) -> Option<Wish> {
        self.provider_and_model(model)
            .or_else(|| tier_or_auto(model))
            .or_else(|| {
                let model = model.to_ascii_lowercase();
                self.mapped(&model)
                    .or_else(|| family(&model))
                    .or_else(|| self.0.served.get(&model).cloned().map(Wish::Target))
            })
    }

    fn provider_and_model(&self, model: &str) -> Option<Wish> {
        let (provider, model) = model.split_once(':')?;
        let provider = self.0.providers.iter().find(|p| &***p == provider)?;
        (!model.is_empty()).then(|| Wish::Target(Target::new(provider.clone(), model)))
    }

    fn mapped(&self, model: &str) -> Option<Wish> {
        let exact = self.0.exact.get(model);
        exact
            .or_else(|| {
                let mut prefixes = self.0.prefixes.iter();
                let (_, wish) = prefixes.find(|(p, _)| model.starts_with(p.as_str()))?;
                Some(wish)
            })
            .cloned()
    }
}

fn tier_or_auto(model: &str) -> Option<Wish> {
    let word = match model.get(..8) {
        Some(house) if house.eq_ignore_ascii_case("tierway/") => model.get(8..)?,
        _ => model,
    };
    if word.eq_ignore_ascii_case("auto") {
        return Some(Wish::Auto);
    }
    word.parse().ok().map(Wish::Tier)
}

/// What a name that clients send by default means. `model` is in lower case.
fn family(model: &str) -> Option<Wish> {
    let bare = model
        .strip_prefix("anthropic/")
        .or_else(|| model.strip_prefix("openai/"))
        .unwrap_or(model);
    // Open weights that somebody must have chosen to serve; no client sends this by itself.
    if bare.starts_with("gpt-oss") {
        return None;
    }
    let known = Names::DEFAULT_FAMILIES.iter().any(|family| {
        bare.strip_prefix(family)
            // `o1`, `o3-pro`, but not `o1x`.
            .is_some_and(|rest| family.ends_with('-') || !rest.starts_with(char::is_alphanumeric))
    });
    let small = ["haiku", "mini", "nano"]
        .iter()
        .any(|word| bare.split(['-', '_', '.']).any(|part| part == *word));
    known.then_some(if small {
        Wish::Tier(Tier::Simple)
    } else {
        Wish::Auto
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(provider: &str, model: &str) -> Option<Wish> {
        Some(Wish::Target(Target::new(provider, model)))
    }

    #[test]
    fn a_known_provider_splits_at_the_first_colon() {
        let names = Names::new(["ollama"]);
        assert_eq!(names.resolve("ollama:a:b"), target("ollama", "a:b"));
        assert_eq!(names.resolve("ollama:"), None);
        assert_eq!(names.resolve("qwen2.5:3b"), None, "no such provider");
    }

    #[test]
    fn tiers_and_auto_in_any_case() {
        let names = Names::default();
        for auto in ["auto", "AUTO", "tierway/auto", "Tierway/Auto"] {
            assert_eq!(names.resolve(auto), Some(Wish::Auto), "{auto}");
        }
        for complex in ["complex", "tierway/COMPLEX"] {
            assert_eq!(names.resolve(complex), Some(Wish::Tier(Tier::Complex)));
        }
        assert_eq!(names.resolve("tierway/"), None);
        assert_eq!(names.resolve("tierway/hard"), None);
    }

    #[test]
    fn the_operators_map_beats_the_defaults_and_the_longest_prefix_wins() {
        let names = Names::default()
            .map("claude-*", Wish::Tier(Tier::Medium))
            .map("claude-opus-*", Wish::Tier(Tier::Reasoning))
            .map("claude-opus-5-5", Wish::Auto)
            .map("Claude-Haiku*", Wish::Tier(Tier::Complex));
        for (name, wish) in [
            ("claude-x", Wish::Tier(Tier::Medium)),
            ("claude-opus-4", Wish::Tier(Tier::Reasoning)),
            ("claude-opus-5-5", Wish::Auto),
            ("claude-haiku-4-5", Wish::Tier(Tier::Complex)),
        ] {
            assert_eq!(names.resolve(name), Some(wish), "{name}");
        }
    }

    #[test]
    fn default_families() {
        let names = Names::default();
        for name in [
            "claude-opus-5-5",
            "anthropic/claude-sonnet-4",
            "gpt-5",
            "chatgpt-4o-latest",
            "codex-1",
            "o1",
            "o3-pro",
            "gpt-4-minimal",
        ] {
            assert_eq!(names.resolve(name), Some(Wish::Auto), "{name}");
        }
        for name in [
            "claude-3-5-haiku-20241022",
            "gpt-4o-mini",
            "o4-mini",
            "gpt-5-nano",
        ] {
            assert_eq!(
                names.resolve(name),
                Some(Wish::Tier(Tier::Simple)),
                "{name}"
            );
        }
        for name in ["gpt-oss-20b", "o1x", "qwen", ""] {
            assert_eq!(names.resolve(name), None, "{name}");
        }
    }

    #[test]
    fn a_served_model_is_found_by_its_own_name_when_nothing_else_fits() {
        let names = Names::new(["l"])
            .serves("gpt-oss-20b", Target::new("l", "gpt-oss-20b"))
            .serves("gpt-5", Target::new("l", "gpt-5"));
        assert_eq!(names.resolve("gpt-oss-20b"), target("l", "gpt-oss-20b"));
        assert_eq!(names.resolve("gpt-5"), Some(Wish::Auto));
    }
}
