//! The cascade, and what is learned about it.
use super::SharedBy;
use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};
use tierway_layers::cascade::StreamMode;
use tierway_services::chat::{Target, Tier, Usd};

/// When a small model is tried first.
#[derive(Clone, Debug, PartialEq)]
pub struct Cascade {
    /// Whether it ever is.
    pub enabled: bool,
    /// The small model; absent means the simple tier's.
    pub small: Option<Target>,
    /// The tiers whose requests may be answered by it.
    pub tiers: Vec<Tier>,
    /// The confidence from which on its answer is kept.
    pub threshold: f64,
    /// What becomes of streams.
    pub streams: StreamMode,
    /// Whether it may answer requests with tools.
    pub tools: bool,
    /// How long the big model may be kept waiting; absent means as long as it takes.
    pub max_added_latency: Option<Duration>,
    /// The price ratio, small to big, from which on it is not tried.
    pub max_price_ratio: f64,
    /// For how many calls a session stays with the big model after that had to answer.
    pub stay_big: u32,
    /// Whether it is asked for log-probabilities.
    pub logprobs: bool,
    /// How many further answers of it a draft is compared with.
    pub samples: u32,
    /// Who is asked whether a draft is right.
    pub verify: Verify,
    /// The most drafts beside which the big model is started, as a share.
    pub hedge_share: f64,
    /// The share of `max_added_latency` after which it is.
    pub hedge_after: f64,
    /// The file of the model that judges drafts; absent means that nothing has been learned.
    pub model: Option<PathBuf>,
    /// What becomes of drafts of a family for which nothing is certified.
    pub uncertified: Uncertified,
    /// What is different for single tiers.
    pub tier: BTreeMap<Tier, CascadeTier>,
}

/// What is different for one tier; absent means as for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CascadeTier {
    /// What becomes of streams.
    pub streams: Option<StreamMode>,
    /// How long the big model may be kept waiting; zero means as long as it takes.
    pub max_added_latency: Option<Duration>,
}

/// Who is asked whether a draft is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Nobody.
    #[default]
    Nobody,
    /// The small model itself.
    Small,
    /// Another model.
    By(Target),
}

/// What becomes of drafts for which nothing is certified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uncertified {
    /// They are judged by the threshold, and said to be uncertified.
    #[default]
    Keep,
    /// The big model answers.
    Defer,
}

/// What is learned about the cascade, and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// Whether anything is.
    pub enabled: bool,
    /// Where labels are kept.
    pub file: Option<PathBuf>,
    /// The file of what they teach about tiers; absent means that nothing has been learned about them.
    pub tiers_model: Option<PathBuf>,
    /// How much room they may take there.
    pub max_bytes: u64,
    /// The share of kept drafts whose request the big model answers too, for comparison.
    pub shadow_share: f64,
    /// How many times as many of those whose confidence is close to the threshold.
    pub shadow_focus: f64,
    /// What that may cost in a day.
    pub shadow_usd_per_day: Usd,
    /// How many such calls may be under way at a time.
    pub shadow_in_flight: usize,
    /// Who compares answers that are not plainly the same.
    pub judge: Option<Target>,
    /// After how many new labels the model is learned anew.
    pub learn_every: usize,
    /// The harm to be certified: the share of calls whose draft is kept although the big model would have been better.
    pub alpha: f64,
    /// The probability with which a certificate may be wrong.
    pub delta: f64,
    /// How long callers may tell how good an answer was.
    pub feedback_ttl: Duration,
    /// Who shares what is learned.
    pub store: SharedBy,
}

impl Default for Cascade {
    fn default() -> Self {
        Self {
            enabled: false,
            small: None,
            tiers: vec![Tier::Medium, Tier::Complex],
            threshold: 0.85,
            streams: StreamMode::Off,
            tools: false,
            max_added_latency: None,
            max_price_ratio: 1.0,
            stay_big: 3,
            logprobs: true,
            samples: 0,
            verify: Verify::Nobody,
            hedge_share: 0.05,
            hedge_after: 0.5,
            model: None,
            uncertified: Uncertified::Keep,
            tier: BTreeMap::new(),
        }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            enabled: false,
            file: None,
            tiers_model: None,
            max_bytes: 64 << 20,
            shadow_share: 0.02,
            shadow_focus: 4.0,
            shadow_usd_per_day: Usd::from_dollars(1.0),
            shadow_in_flight: 4,
            judge: None,
            learn_every: 50,
            alpha: 0.05,
            delta: 0.1,
            feedback_ttl: Duration::from_secs(60 * 60),
            store: SharedBy::Memory,
        }
    }
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("off"),
            Self::Small => f.write_str("small"),
            Self::By(target) => target.fmt(f),
        }
    }
}

impl Uncertified {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Defer => "defer",
        }
    }
}
