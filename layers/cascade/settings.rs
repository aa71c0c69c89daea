//! When a call gets a draft, and on what terms.
use super::Judge;
use std::{fmt, str::FromStr, sync::Arc, time::Duration};
use tierway_services::chat::{self, Holdout, Operation, Target, Tier};

/// What becomes of streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamMode {
    /// They get no draft.
    #[default]
    Off,
    /// A draft is taken in whole, judged and then shown or dropped.
    Buffer,
    /// As `Buffer`, but shown from the place on from which the predicate, certified for beginnings of that length, is sure enough.
    Prefix,
    /// As `Prefix`, and the big model starts beside the small one where its answer is likely to be needed; the loser is hung up on.
    Hedged,
}

/// Tells why a call is not worth a draft.
type SkipWhen = Arc<dyn Fn(&chat::Request) -> Option<&'static str> + Send + Sync>;

/// What the layer was told.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) tiers: Vec<Tier>,
    pub(super) threshold: f64,
    pub(super) tools: bool,
    pub(super) unless_bound_to: Option<Target>,
    pub(super) skip_when: Option<SkipWhen>,
    pub(super) max_draft: usize,
    pub(super) logprobs: bool,
    pub(super) judge: Option<Judge>,
    pub(super) samples: u32,
    pub(super) verify: Option<Judge>,
    pub(super) hedge_after: f64,
    pub(super) hedge_below: f64,
    pub(super) every: Pace,
    pub(super) each: [PerTier; Tier::ALL.len()],
}

/// What may differ from tier to tier.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    pub(super) streams: StreamMode,
    pub(super) max_added_latency: Option<Duration>,
}

/// What does differ.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PerTier {
    pub(super) streams: Option<StreamMode>,
    pub(super) max_added_latency: Option<Option<Duration>>,
}

// === impl StreamMode ===

impl StreamMode {
    /// All modes.
    pub const ALL: [Self; 4] = [Self::Off, Self::Buffer, Self::Prefix, Self::Hedged];

    /// The name: `off`, `buffer`, `prefix`, `hedged`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Buffer => "buffer",
            Self::Prefix => "prefix",
            Self::Hedged => "hedged",
        }
    }
}

impl fmt::Display for StreamMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// On means taken in whole.
impl From<bool> for StreamMode {
    fn from(on: bool) -> Self {
        if on { Self::Buffer } else { Self::Off }
    }
}

/// A word that names no [`StreamMode`].
#[derive(Debug, PartialEq, Eq)]
pub struct ParseStreamModeError(());

impl fmt::Display for ParseStreamModeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a mode for streams: write off, buffer, prefix or hedged")
    }
}
impl std::error::Error for ParseStreamModeError {}

impl FromStr for StreamMode {
    type Err = ParseStreamModeError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|mode| mode.as_str() == s);
        named.ok_or(ParseStreamModeError(()))
    }
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            tiers: vec![Tier::Medium, Tier::Complex],
            threshold: 0.85,
            tools: false,
            unless_bound_to: None,
            skip_when: None,
            max_draft: 4 * 1024 * 1024,
            logprobs: true,
            judge: None,
            samples: 0,
            verify: None,
            hedge_after: 0.5,
            hedge_below: 0.5,
            every: Pace::default(),
            each: Default::default(),
        }
    }
}

impl Settings {
    /// The terms of a call of this tier.
    pub(super) fn pace(&self, tier: Option<Tier>) -> Pace {
        let each = tier.and_then(|tier| self.each.get(tier as usize));
        let each = each.copied().unwrap_or_default();
        Pace {
            streams: each.streams.unwrap_or(self.every.streams),
            max_added_latency: each
                .max_added_latency
                .unwrap_or(self.every.max_added_latency),
        }
    }

    /// Why this call gets no draft, if it gets none.
    pub(super) fn why_not(&self, req: &chat::Request) -> Option<&'static str> {
        let facts = req.body().facts();
        let tier = Tier::of(req);
        if facts.operation != Operation::Generate {
            Some("operation")
        } else if Holdout::of(req) == Some(Holdout::Baseline) {
            Some("holdout")
        } else if !tier.is_some_and(|t| self.tiers.contains(&t)) {
            Some("tier")
        } else if self.unless_bound_to.is_some() && self.unless_bound_to.as_ref() == Target::of(req)
        {
            Some("same_model")
        } else if facts.stream && self.pace(tier).streams == StreamMode::Off {
            Some("stream")
        } else if facts.tool_count > 0 && !self.tools {
            Some("tools")
        } else if facts.choices != 1 {
            Some("choices")
        } else {
            self.skip_when.as_ref().and_then(|why| why(req))
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("tiers", &self.tiers)
            .field("threshold", &self.threshold)
            .field("tools", &self.tools)
            .field("unless_bound_to", &self.unless_bound_to)
            .field("skip_when", &self.skip_when.is_some())
            .field("max_draft", &self.max_draft)
            .field("logprobs", &self.logprobs)
            .field("samples", &self.samples)
            .field("verify", &self.verify)
            .field("every", &self.every)
            .field("each", &self.each)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_names() {
        for mode in StreamMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("on".parse::<StreamMode>().is_err());
        assert_eq!(StreamMode::from(true), StreamMode::Buffer);
    }

    #[test]
    fn a_tier_may_differ() {
        let mut settings = Settings::default();
        let limit = Some(Duration::from_secs(2));
        settings.every = Pace {
            streams: StreamMode::Buffer,
            max_added_latency: limit,
        };
        settings.each[Tier::Complex as usize].streams = Some(StreamMode::Off);
        settings.each[Tier::Complex as usize].max_added_latency = Some(None);
        let of = |tier| {
            let pace = settings.pace(tier);
            (pace.streams, pace.max_added_latency)
        };
        assert_eq!(of(Some(Tier::Complex)), (StreamMode::Off, None));
        assert_eq!(of(Some(Tier::Medium)), (StreamMode::Buffer, limit));
        assert_eq!(of(None), (StreamMode::Buffer, limit));
    }
}
