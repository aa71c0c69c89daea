//! What happened to one call, written down as it happens.
use super::{
    BreakpointStatus, KeyId, Notes, Session, Target, Tenant, Tier, ToolRun, TraceContext, Usage,
    Usd,
};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// The shared record of one call, which survives the caller's departure.
///
/// It rides in the request's [`Notes`], and clones of the request (a cascade's two arms) share it. Whoever decides writes a line; the
/// leaf writes one [`Attempt`] when an upstream answer ends, *however* it ends. The lock is taken a few times per call, never per token,
/// and never held across an await.
///
/// ```
/// use tierway_services::chat::{CacheStatus, Journal};
/// let journal = Journal::default();
/// journal.write(|entries| entries.cache = Some(CacheStatus::Miss));
/// assert_eq!(journal.read(|entries| entries.cache), Some(CacheStatus::Miss));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<JournalEntries>>);

impl Journal {
    /// The journal that `Telemetry` laid in `req`, if any.
    #[must_use]
    pub fn of<B>(req: &http::Request<B>) -> Option<&Self> {
        Notes::of(req).journal.as_ref()
    }
    /// Adds to the record.
    pub fn write<T>(&self, entry: impl FnOnce(&mut JournalEntries) -> T) -> T {
        entry(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// Looks at the record.
    pub fn read<T>(&self, look: impl FnOnce(&JournalEntries) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a [`Journal`] holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct JournalEntries {
    /// Which trace the call belongs to, where somebody traces.
    pub trace: Option<TraceContext>,
    /// For whom the call was made, where a key told.
    pub tenant: Option<Tenant>,
    /// By which key it came, where one told.
    pub key: Option<KeyId>,
    /// Words that the key's owner wants to find in the books.
    pub tags: Option<Arc<str>>,
    /// The model that the caller named.
    pub requested_model: Option<String>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The tier, where one was chosen.
    pub tier: Option<Tier>,
    /// Why that tier.
    pub tier_reason: Option<Cow<'static, str>>,
    /// Where the call was to go.
    pub target: Option<Target>,
    /// Who calls, by the name of its kind, where it is known.
    pub client: Option<&'static str>,
    /// What the call is for: what the user asked, or something of the client's own.
    pub class: Option<&'static str>,
    /// The conversation that the call belongs to.
    pub session: Option<Session>,
    /// The user's own words, where they are to be kept.
    pub ask: Option<String>,
    /// On which side of a hold-out the call is, where there is one.
    pub holdout: Option<Holdout>,
    /// About how many tokens of input were left out before the call went upstream.
    pub compressed: u64,
    /// What became of the conversation's model.
    pub affinity: Option<AffinityStatus>,
    /// What the prompt cache did.
    pub cache: Option<CacheStatus>,
    /// What the answer that a cache hit replayed, or that another call paid for, had cost in tokens, and from whom.
    pub replayed: Option<(Target, Usage)>,
    /// Whether the answer broke off, where that was another call's upstream call; of one of its own, the attempt tells.
    pub cut: bool,
    /// What the cascade did.
    pub cascade: Option<CascadeStatus>,
    /// What the provider was told to keep.
    pub breakpoints: Option<BreakpointStatus>,
    /// Every upstream call, rejected drafts included, in the order in which they ended.
    pub attempts: Vec<Attempt>,
    /// Every tool that was run for the call, in the order in which they ended. Between them the model was asked again, each time an attempt.
    pub tool_runs: Vec<ToolRun>,
}

/// Which part an upstream call played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The only one.
    #[default]
    Only,
    /// A cascade's draft by the small model.
    Small,
    /// The small model once more, to see whether its answers agree.
    Sample,
    /// The big model, after a draft was not good enough.
    Big,
    /// A model that was asked whether a draft is good enough.
    Judge,
    /// A model that turned the question into a vector, to look it up by its meaning.
    Embedding,
    /// The big model, asked beside a kept draft so that both can be compared; nobody waits for it.
    Shadow,
}

impl Role {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Small => "small",
            Self::Sample => "sample",
            Self::Big => "big",
            Self::Judge => "judge",
            Self::Embedding => "embedding",
            Self::Shadow => "shadow",
        }
    }
}

/// On which side of a random hold-out a call is.
///
/// A small random share of what the gateway may choose a model for goes to the baseline model all the same. As chance alone decides, what
/// the others cost against these is what the gateway saves, with nothing assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holdout {
    /// The gateway chose.
    Gateway,
    /// Held out: the baseline model answers.
    Baseline,
}

impl Holdout {
    /// Both sides.
    pub const ALL: [Self; 2] = [Self::Gateway, Self::Baseline];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Baseline => "baseline",
        }
    }

    /// The side that `req` is on, if any.
    #[must_use]
    pub fn of<B>(req: &http::Request<B>) -> Option<Self> {
        Notes::of(req).holdout
    }
}

/// How an upstream call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptEnd {
    /// With a whole answer.
    Complete,
    /// With an error status.
    Status(u16),
    /// Broken off by the provider or the network, before or after the head.
    Failed,
    /// Broken off by us, because the caller left or no longer needed it.
    #[default]
    Cancelled,
}

/// One upstream call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Who was asked.
    pub target: Target,
    /// The part that it played.
    pub role: Role,
    /// How it ended.
    pub end: AttemptEnd,
    /// Its tokens, as the provider counted them, or as estimated.
    pub usage: Option<Usage>,
    /// Whether `usage` is our estimate because the provider did not count.
    pub estimated: bool,
    /// What it cost, where the provider says so and is to be believed.
    pub cost: Option<Usd>,
    /// When it began.
    pub started: SystemTime,
    /// From the call to the answer's first byte of body.
    pub first_byte: Option<Duration>,
    /// From the call to its end.
    pub total: Duration,
    /// Its own part of the call's trace, which the provider was told.
    pub trace: Option<TraceContext>,
}

impl AttemptEnd {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Status(_) => "status",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Attempt {
    /// A record of a call to `target` that begins now, cancelled until it is said to have ended otherwise.
    #[must_use]
    pub fn new(target: Target, role: Role) -> Self {
        Self {
            target,
            role,
            end: AttemptEnd::default(),
            usage: None,
            estimated: false,
            cost: None,
            started: SystemTime::now(),
            first_byte: None,
            total: Duration::ZERO,
            trace: None,
        }
    }
}

/// What the prompt cache did with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheStatus {
    /// Answered from it.
    Hit,
    /// Answered from it as another call was that asks the same in other words.
    Semantic,
    /// Looked, not found.
    Miss,
    /// Looked, not found, and answered with another call's upstream answer while that was under way.
    Coalesced,
    /// Not looked: the call is not safe to replay.
    Bypass,
}

impl CacheStatus {
    /// The value of `x-tierway-cache`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Semantic => "semantic",
            Self::Miss => "miss",
            Self::Coalesced => "coalesced",
            Self::Bypass => "bypass",
        }
    }
}

/// What became of a conversation's model when it was decided anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AffinityStatus {
    /// Nothing was known of the conversation.
    New,
    /// The decision was the conversation's own.
    Same,
    /// The decision was another, and the conversation kept its model.
    Kept,
    /// The task outgrew the model.
    Escalated,
    /// A cheaper model suffices, and changing to it pays.
    Deescalated,
    /// The conversation's own model could not serve the call, or was not allowed to.
    Forced,
    /// The call is no part of the conversation.
    Aside,
}

impl AffinityStatus {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Same => "same",
            Self::Kept => "kept",
            Self::Escalated => "escalated",
            Self::Deescalated => "deescalated",
            Self::Forced => "forced",
            Self::Aside => "aside",
        }
    }
}

/// What the cascade did with a call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CascadeStatus {
    /// Whether the small model's answer was kept.
    pub accepted: bool,
    /// The predicate's confidence, from 0 to 1; `None` where there was no answer to judge.
    pub confidence: Option<f64>,
    /// The confidence that would have been enough.
    pub threshold: f64,
    /// Why, in one word: `confident`, `empty`, `small_failed`, ...
    pub reason: &'static str,
    /// How long the small model took, and whoever judged its draft.
    pub small: Duration,
    /// How long judging the draft took, of that.
    pub judging: Duration,
    /// How long the big model took to its head; zero where it was not asked.
    pub big: Duration,
    /// From the call to the answer that was chosen: less than both together where they worked side by side.
    pub total: Duration,
    /// Whether nobody drafted, so that there was nothing to accept or reject.
    pub skipped: bool,
    /// Whether the big model was asked while the small one was still at work.
    pub hedged: bool,
    /// What is promised of drafts that are kept at this confidence: that the big model would have been better for at most `alpha` of them,
    /// said with confidence 1 - `delta`; `None` where nobody has certified it.
    pub certified: Option<(f64, f64)>,
    /// The share of the small model's further answers that said the same, where any were asked for.
    pub agreement: Option<f64>,
    /// With which probability a model took the draft for right, where one was asked.
    pub p_true: Option<f64>,
}

impl CascadeStatus {
    /// A decision.
    #[must_use]
    pub const fn new(
        accepted: bool,
        confidence: Option<f64>,
        threshold: f64,
        reason: &'static str,
    ) -> Self {
        Self {
            accepted,
            confidence,
            threshold,
            reason,
            small: Duration::ZERO,
            judging: Duration::ZERO,
            big: Duration::ZERO,
            total: Duration::ZERO,
            skipped: false,
            hedged: false,
            certified: None,
            agreement: None,
            p_true: None,
        }
    }

    /// No draft was asked for.
    #[must_use]
    pub const fn skipped(threshold: f64, reason: &'static str) -> Self {
        let mut status = Self::new(false, None, threshold, reason);
        status.skipped = true;
        status
    }

    /// `accepted`, `deferred` or `skipped`, as headers and metrics have it.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self { skipped: true, .. } => "skipped",
            Self { accepted: true, .. } => "accepted",
            _ => "deferred",
        }
    }
}
