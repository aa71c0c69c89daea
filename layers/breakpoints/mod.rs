//! Tells providers to keep the beginning of a prompt, where that pays.
//!
//! Anthropic, and whoever serves its models, keep a prompt's beginning only if they are told up to where (`cache_control`), bill what they keep
//! dearer and what they read again much cheaper. Most clients tell nothing, and pay the whole conversation anew with every turn. This layer sets
//! the marks for them:
//!
//! - behind what conversations have in common: the last block of the system prompt, or the last tool where there is none;
//! - behind the last block of the conversation, so that the next turn finds all of this one;
//! - where a turn has brought so many blocks that the provider would not look back far enough, once more behind what it knows.
//!
//! That is at most three of the four that are allowed, and none of them is set
//!
//! - in a request with a mark of the caller's own, whatever it marks;
//! - below the [least size](tierway_services::chat::Marks::min_tokens) that the model keeps;
//! - where it does not pay: see [`economics`]. What is expected is learned from the calls themselves, for each tenant.
//!
//! Marks are spliced in; not another byte changes, and where nothing is marked the very same bytes go on. Requests in chat completions and Responses
//! are marked too: the translation carries the marks to their places (`cachePoint` in Bedrock's Converse).
//!
//! OpenAI keeps beginnings by itself, but on many machines. A [`prompt_cache_key`](CacheBreakpointLayer::keys), off by default, brings the calls of
//! one conversation to one of them.
//!
//! The answer says in `x-tierway-breakpoints` what was done, with the tokens that should be read and written and what that is worth in US dollars over
//! a call without marks: `placed=2; ttl=5m; read=3100; write=420; worth=0.007551`, or `none; reason=short`.
//!
//! # Example
//! ```
//! use std::convert::Infallible;
//! use tierway_layers::breakpoints::CacheBreakpointLayer;
//! use tierway_services::{chat::{self, Notes, Operation, Prompt, Reply, Target}, dialect::Dialect, providers::Kind};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(CacheBreakpointLayer::new(|target| Kind::Anthropic.prefix_cache(&target.model)))
//!     .service_fn(|req: chat::Request| async move {
//!         let sent = String::from_utf8(req.body().raw().to_vec()).unwrap();
//!         Ok::<_, Infallible>(chat::Response::new(Reply::whole(sent)))
//!     });
//!
//! let manual = "All that our support must know. ".repeat(200);
//! let body = format!(r#"{{"model":"m","system":"{manual}","messages":[{{"role":"user","content":"hi"}}]}}"#);
//! let mut req = chat::Request::new(Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap());
//! Notes::of_mut(&mut req).target = Some(Target::new("cloud", "claude-sonnet-5")); // Bind would
//! let res = service.oneshot(req).await.unwrap();
//! assert!(res.headers()["x-tierway-breakpoints"].to_str().unwrap().starts_with("placed=2; ttl=5m; read=0; write="));
//! # use http_body_util::BodyExt;
//! let sent = res.into_body().collect().await.unwrap().to_bytes();
//! let mark = br#""content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]"#;
//! assert!(sent.windows(mark.len()).any(|w| w == mark));
//! # }
//! ```
mod decide;
pub mod economics;
mod memory;
mod places;

pub use self::economics::{Habit, gain};

use self::{
    decide::{Decided, Grounds},
    memory::{Memory, Prefix},
    places::Prefixes,
};
pub use crate::saying::ResponseFuture;
use crate::{classify::session, headers::header_value};
use http::{HeaderName, HeaderValue};
use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tierway_services::{
    chat::{
        self, BreakpointStatus, EarlyHead, Edit, Journal, Marks, Notes, Operation, PrefixCache,
        Prompt, Role, Session, Target, Tenant, Usd,
    },
    prices::Price,
};
use tower_layer::Layer;
use tower_service::Service;

const HEADER: HeaderName = HeaderName::from_static("x-tierway-breakpoints");

type Caches = Arc<dyn Fn(&Target) -> Option<PrefixCache> + Send + Sync>;
type Prices = Arc<dyn Fn(&Target) -> Option<Price> + Send + Sync>;
type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// For how long a prefix is to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// For whichever is worth more.
    #[default]
    Auto,
    /// For five minutes after each use.
    FiveMinutes,
    /// For an hour, where that can be had.
    Hour,
}

/// Applies [`CacheBreakpoint`].
#[derive(Clone)]
pub struct CacheBreakpointLayer {
    settings: Arc<Settings>,
}

/// Tells providers to keep the beginning of a prompt, where that pays.
#[derive(Clone, Debug)]
pub struct CacheBreakpoint<S> {
    inner: S,
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    caches: Caches,
    prices: Option<Prices>,
    ttl: Ttl,
    marks: bool,
    keys: bool,
    memory: Memory,
    clock: Clock,
}

// === impl Ttl ===

impl Ttl {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }
}

// === impl CacheBreakpointLayer ===

impl CacheBreakpointLayer {
    /// `caches` tells what the provider of a target must be told: [`Kind::prefix_cache`](tierway_services::providers::Kind::prefix_cache) of the
    /// provider's kind. Where it says nothing, calls pass as they are.
    pub fn new(caches: impl Fn(&Target) -> Option<PrefixCache> + Send + Sync + 'static) -> Self {
        Self {
            settings: Arc::new(Settings {
                caches: Arc::new(caches),
                prices: None,
                ttl: Ttl::Auto,
                marks: true,
                keys: false,
                memory: Memory::new(100_000),
                clock: Arc::new(Instant::now),
            }),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// What models cost: [`PriceList::price`](tierway_services::prices::PriceList::price). Where it is not known, the decision rests on
    /// Anthropic's proportions (reads at 0.1 of the input price, writes at 1.25, for an hour at 2), and is worth nothing that could be told.
    #[must_use]
    pub fn prices(self, of: impl Fn(&Target) -> Option<Price> + Send + Sync + 'static) -> Self {
        self.set(|s| s.prices = Some(Arc::new(of)))
    }

    /// For how long prefixes are to be kept; [`Ttl::Auto`] by default.
    #[must_use]
    pub fn ttl(self, ttl: Ttl) -> Self {
        self.set(|s| s.ttl = ttl)
    }

    /// Whether marks are set; so by default.
    #[must_use]
    pub fn marks(self, marks: bool) -> Self {
        self.set(|s| s.marks = marks)
    }

    /// Whether OpenAI is told a `prompt_cache_key`, one for each conversation, where the caller tells none; not by default, so that what OpenAI
    /// is sent stays byte for byte the caller's.
    #[must_use]
    pub fn keys(self, keys: bool) -> Self {
        self.set(|s| s.keys = keys)
    }

    /// The most prefixes that are remembered, each for an hour at most and in about 100 bytes; 100 000 by default.
    #[must_use]
    pub fn max_prefixes(self, prefixes: u64) -> Self {
        self.set(|s| s.memory = Memory::new(prefixes))
    }

    #[cfg(test)]
    fn clock(self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.set(|s| s.clock = Arc::new(clock))
    }
}

impl<S> Layer<S> for CacheBreakpointLayer {
    type Service = CacheBreakpoint<S>;
    fn layer(&self, inner: S) -> Self::Service {
        CacheBreakpoint {
            inner,
            settings: self.settings.clone(),
        }
    }
}

impl fmt::Debug for CacheBreakpointLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBreakpointLayer")
            .field("prices", &self.prices.is_some())
            .field("ttl", &self.ttl)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

// === impl CacheBreakpoint ===

impl<S> Service<chat::Request> for CacheBreakpoint<S>
where
    S: Service<chat::Request, Response = chat::Response>,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: chat::Request) -> Self::Future {
        let says = self.settings.mark(&mut req);
        ResponseFuture::new(self.inner.call(req), HEADER, says)
    }
}

// === impl Settings ===

impl Settings {
    /// Marks the call, where its provider is to be told anything; gives what the answer is to say of it.
    fn mark(&self, req: &mut chat::Request) -> Option<HeaderValue> {
        if req.body().facts().operation != Operation::Generate {
            return None;
        }
        let target = Target::of(req)?.clone();
        let decided = match (self.caches)(&target)? {
            PrefixCache::Key if self.keys => self.key(req),
            PrefixCache::Marks(marks) if self.marks => self.marked(req, &target, &marks),
            _ => return None,
        };
        let (status, says) = decided;
        // What a draft or a comparison is told is not the caller's business.
        if matches!(Notes::of(req).role, Role::Only | Role::Big) {
            if let Some(journal) = Journal::of(req) {
                journal.write(|j| j.breakpoints = Some(status));
            }
            EarlyHead::say(req, HEADER, says.clone());
        }
        Some(says)
    }

    fn marked(
        &self,
        req: &mut chat::Request,
        target: &Target,
        marks: &Marks,
    ) -> (BreakpointStatus, HeaderValue) {
        let tenant = Tenant::of(req);
        let prompt = req.body();
        let prefixes = Prefixes::of(prompt, tenant, target, marks);
        let tools = prompt.facts().tool_count > 0;
        let habits = [b'c', b't'].map(|part| habit(tenant, part, tools));
        let told = self.prices.as_ref().and_then(|of| of(target));
        let grounds = Grounds {
            memory: &self.memory,
            marks,
            price: &told.unwrap_or(proportions()),
            ttl: self.ttl,
            now: (self.clock)(),
        };
        let own = memchr::memmem::find(prompt.raw(), b"\"cache_control\"").is_some();
        let decided = grounds.decide(&prefixes, habits, own);
        let says = says(&decided, told.is_some());
        let edits = decided.places.iter().map(|p| p.edit(prompt, decided.hour));
        let edits: Vec<Edit<'_>> = edits.collect();
        if !edits.is_empty() && !splice(req, edits) {
            return nowhere();
        }
        (decided.status, says)
    }

    /// Gives the conversation a name for OpenAI's sake. It is a hash, and tells nothing of who it is.
    fn key(&self, req: &mut chat::Request) -> (BreakpointStatus, HeaderValue) {
        let facts = req.body().facts();
        let own = facts.prompt_cache_key_span.is_some();
        let name = Session::of(req).or_else(|| session(req)).filter(|_| !own);
        let Some(Session(name)) = name else {
            let says = HeaderValue::from_static("none; reason=client");
            return (BreakpointStatus::Client, says);
        };
        let at = facts.model_span.end;
        let with = format!(
            r#","prompt_cache_key":"{:032x}""#,
            u128::from_be_bytes(name)
        );
        let edit = Edit {
            span: at..at,
            with: Cow::Owned(with),
        };
        if !splice(req, vec![edit]) {
            return nowhere();
        }
        (BreakpointStatus::Key, HeaderValue::from_static("key"))
    }
}

fn nowhere() -> (BreakpointStatus, HeaderValue) {
    let says = HeaderValue::from_static("none; reason=nowhere");
    (BreakpointStatus::Nowhere, says)
}

/// Puts the edited body in place of the request's, if that makes a request; else leaves it.
fn splice(req: &mut chat::Request, edits: Vec<Edit<'_>>) -> bool {
    let prompt = req.body();
    let (dialect, operation) = (prompt.facts().dialect, prompt.facts().operation);
    let edited = Prompt::parse(dialect, operation, prompt.edited(edits));
    edited.map(|edited| *req.body_mut() = edited).is_ok()
}

fn habit(tenant: Option<&Tenant>, part: u8, tools: bool) -> Prefix {
    let mut name = Prefix::default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[part, u8::from(tools)]);
    hasher.update(tenant.map_or("", Tenant::as_str).as_bytes());
    hasher.finalize_xof().fill(&mut name);
    name
}

/// Anthropic's prices, in proportion.
fn proportions() -> Price {
    Price {
        input: Usd::per_million(1.0),
        cache_read: Some(Usd::per_million(0.1)),
        cache_write: Some(Usd::per_million(1.25)),
        cache_write_1h: Some(Usd::per_million(2.0)),
        ..Price::FREE
    }
}

fn says(decided: &Decided, priced: bool) -> HeaderValue {
    if decided.places.is_empty() {
        return header_value(format_args!("none; reason={}", decided.status.as_str()));
    }
    let Decided { read, write, .. } = decided;
    let (places, ttl) = (decided.places.len(), if decided.hour { "1h" } else { "5m" });
    if priced {
        let worth = decided.worth;
        header_value(format_args!(
            "placed={places}; ttl={ttl}; read={read}; write={write}; worth={worth:.6}"
        ))
    } else {
        header_value(format_args!(
            "placed={places}; ttl={ttl}; read={read}; write={write}"
        ))
    }
}

#[cfg(test)]
mod tests;
