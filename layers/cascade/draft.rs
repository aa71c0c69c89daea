//! What a predicate gets to see.
use super::{
    Family, Judge,
    checks::Checks,
    schemas::{Schema, Tools},
    signals::Told,
};
use crate::{classify, learn::Vector};
use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tierway_services::chat::{self, Answer, Logprob, ToolCall};

/// A small model's answer that nobody has been shown: complete, or as much of it as has come.
///
/// Opaque on purpose: what predicates can ask of it may grow.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    answer: &'a Answer,
    request: &'a chat::Request,
    elapsed: Duration,
    complete: bool,
    asked: Option<&'a Asked<'a>>,
}

/// What is read from a request for whoever judges answers to it: once, however often they judge.
#[derive(Debug)]
pub struct Asked<'r> {
    request: &'r chat::Request,
    question: OnceLock<String>,
    vector: OnceLock<Option<Vector>>,
    family: OnceLock<Family>,
    tools: OnceLock<Tools>,
    schema: OnceLock<Option<Schema>>,
    judge: Option<&'r Judge>,
    checks: Option<Arc<Checks>>,
    early: bool,
    looked_at: AtomicUsize,
}

// === impl Draft ===

impl<'a> Draft<'a> {
    /// A draft: `answer` to `request`, after `elapsed`. Made by the layer; public so that a predicate can be tested.
    #[must_use]
    pub const fn new(answer: &'a Answer, request: &'a chat::Request, elapsed: Duration) -> Self {
        Self {
            answer,
            request,
            elapsed,
            complete: true,
            asked: None,
        }
    }
    /// The beginning of a draft, of which more is to come.
    #[must_use]
    pub const fn partial(mut self) -> Self {
        self.complete = false;
        self
    }
    /// With what was read from the request already.
    #[must_use]
    pub const fn with(mut self, asked: &'a Asked<'a>) -> Self {
        self.asked = Some(asked);
        self
    }
    /// The answer, freed of its dialect.
    #[must_use]
    pub const fn answer(&self) -> &'a Answer {
        self.answer
    }
    /// Its tool calls; in a draft that is not complete the last one's arguments may be the beginning of a JSON text.
    #[must_use]
    pub fn tool_calls(&self) -> &'a [ToolCall] {
        &self.answer.tool_calls
    }
    /// The log-probabilities of its tokens, where the small model tells them; else empty.
    #[must_use]
    pub fn logprobs(&self) -> &'a [Logprob] {
        &self.answer.logprobs
    }
    /// What was asked.
    #[must_use]
    pub const fn request(&self) -> &'a chat::Request {
        self.request
    }
    /// How long the small model has taken.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }
    /// Whether this is all of it.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }
    /// What the user asks: the last words that are theirs, without what a harness wrapped around them.
    #[must_use]
    pub fn question(&self) -> Cow<'a, str> {
        match self.asked {
            Some(asked) => Cow::Borrowed(asked.question()),
            None => Cow::Owned(classify::question(self.request.body())),
        }
    }
    /// What kind of task it is.
    #[must_use]
    pub fn family(&self) -> Family {
        match self.asked {
            Some(asked) => asked.family(),
            None => Family::of(self.request, &self.question()),
        }
    }
    /// The model that may be asked about it, where there is one.
    #[must_use]
    pub fn judge(&self) -> Option<&'a Judge> {
        self.asked?.judge
    }
    /// Whether it may be, or might have been, kept for its beginning.
    pub(super) fn is_early(&self) -> bool {
        self.asked.is_some_and(|asked| asked.early)
    }
    /// How much of its text had come when this was last asked.
    pub(super) fn looked_at(&self) -> usize {
        let size = self.answer.text.len();
        let asked = self.asked.map(|asked| &asked.looked_at);
        asked.map_or(0, |at| at.fetch_max(size, Ordering::Relaxed))
    }
    /// A beginning of it.
    pub(super) const fn begun<'b>(&self, beginning: &'b Answer) -> Draft<'b>
    where
        'a: 'b,
    {
        Draft {
            answer: beginning,
            request: self.request,
            elapsed: self.elapsed,
            complete: false,
            asked: self.asked,
        }
    }
    /// What is found out about it by asking further, where the layer [was](super::CascadeLayer::samples)
    /// [told](super::CascadeLayer::verify) to: waits for it, and is the same however often it is asked. Nothing is known of a beginning.
    pub async fn told(&self) -> Told {
        let checks = self.asked.and_then(|asked| asked.checks.as_deref());
        match checks.filter(|_| self.complete) {
            Some(checks) => checks.told(self).await,
            None => Told::default(),
        }
    }
    /// Lets `judge` look at what was read from the request.
    pub(super) fn asked<T>(&self, judge: impl FnOnce(&Asked<'_>) -> T) -> T {
        match self.asked {
            Some(asked) => judge(asked),
            None => judge(&Asked::new(self.request)),
        }
    }
}

// === impl Asked ===

impl<'r> Asked<'r> {
    /// Nothing is read until it is asked for.
    #[must_use]
    pub const fn new(request: &'r chat::Request) -> Self {
        Self {
            request,
            question: OnceLock::new(),
            vector: OnceLock::new(),
            family: OnceLock::new(),
            tools: OnceLock::new(),
            schema: OnceLock::new(),
            judge: None,
            checks: None,
            early: false,
            looked_at: AtomicUsize::new(0),
        }
    }
    /// With a model that may be asked about drafts.
    #[must_use]
    pub const fn judged_by(mut self, judge: Option<&'r Judge>) -> Self {
        self.judge = judge;
        self
    }
    /// Whether a draft may be kept for its beginning.
    #[must_use]
    pub const fn early(mut self, early: bool) -> Self {
        self.early = early;
        self
    }
    /// With what is found out about drafts by asking further.
    pub(super) fn checked_by(mut self, checks: Arc<Checks>) -> Self {
        self.checks = Some(checks);
        self
    }
    /// See [`Draft::question`].
    #[must_use]
    pub fn question(&self) -> &str {
        self.question
            .get_or_init(|| classify::question(self.request.body()))
    }
    /// What a model reads of the question, see [`classify::vector`].
    pub(super) fn vector(&self) -> Option<&Vector> {
        let read = || classify::vector(self.request.body());
        self.vector.get_or_init(read).as_ref()
    }
    /// See [`Draft::family`].
    #[must_use]
    pub fn family(&self) -> Family {
        *self
            .family
            .get_or_init(|| Family::of(self.request, self.question()))
    }
    /// The tools that were offered.
    pub(super) fn tools(&self) -> &Tools {
        self.tools
            .get_or_init(|| Tools::offered(self.request.body()))
    }
    /// The schema that the answer is to keep to.
    pub(super) fn schema(&self) -> Option<&Schema> {
        let read = || Schema::demanded(self.request.body());
        self.schema.get_or_init(read).as_ref()
    }
}
