//! The vocabulary that every layer and service shares.
//!
//! A call is an [`http::Request`] whose body is a [`Prompt`]; its answer is an [`http::Response`] whose body is a [`Reply`]. The HTTP
//! envelope stays, so every `tower-http` layer still fits.
//!
//! What layers tell each other of a call travels in its [`Notes`]; what they tell of an answer, as extensions of it:
//!
//! | extension | written by | read by | absent means |
//! |---|---|---|---|
//! | [`Tier`] | `Classify` | whoever stands above | the caller named a concrete model |
//! | [`Declined`] | `Breaker`, `Limit`, `Shed` | `Fallback`, `Retry` | a model was asked |
//! | [`FellBack`] | `Fallback` | `PromptCache` | of the model that was to answer |
//! | [`KeptUpstream`] | the leaf | `Responses` | no provider keeps this answer |
mod answer;
mod breakpoints;
mod cause;
mod early;
mod facts;
mod failover;
mod journal;
mod logprobs;
mod money;
mod notes;
mod pattern;
mod pieces;
mod prompt;
mod refusal;
mod reply;
mod route;
mod tool_run;
mod trace;
mod usage;

pub use answer::{Answer, Logprob, StopReason, ToolCall};
pub use breakpoints::{BreakpointStatus, Marks, PrefixCache};
pub use cause::Cause;
pub use early::EarlyHead;
pub use facts::{Facts, Operation, Part, PartKind, Speaker, Turn};
pub use failover::{Alternatives, Deadline, Declined, FellBack};
pub use journal::{
    AffinityStatus, Attempt, AttemptEnd, CacheStatus, CascadeStatus, Holdout, Journal,
    JournalEntries, Role,
};
pub use logprobs::Logprobs;
pub use money::Usd;
pub use notes::Notes;
pub use pattern::fits;
pub use pieces::Pieces;
pub use prompt::{Edit, Prompt};
pub use refusal::{Kind, Refusal};
pub use reply::{Reply, Witness};
pub use route::{
    KeptUpstream, KeyId, ParseTargetError, ParseTierError, Session, Target, Tenant, Tier,
};
pub use tool_run::ToolRun;
pub use trace::TraceContext;
pub use usage::{Service, Usage};

/// A chat call: the HTTP envelope around a [`Prompt`].
pub type Request = http::Request<Prompt>;
/// The answer to a [`Request`], in the caller's dialect.
pub type Response = http::Response<Reply>;
