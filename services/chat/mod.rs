//! The vocabulary that every layer and service shares.
//!
//! A call is an [`http::Request`] whose body is a [`Prompt`]; its answer is an [`http::Response`] whose body is a [`Reply`]. The HTTP
//! envelope stays, so every `tower-http` layer still fits.
//!
//! Facts that may be absent travel as extensions. Who writes and who reads them:
//!
//! | extension | on | written by | read by | absent means |
//! |---|---|---|---|---|
//! | [`Journal`] | request | `Telemetry` | every layer that decides, the leaf | nobody is counting |
//! | [`Tenant`] | request | `Auth` | `PromptCache`, `Telemetry` | the one anonymous tenant |
//! | [`Tier`] | request, response | `Classify`, `Affinity` | `Bind`, `Cascade`, `Telemetry` | the caller named a concrete model |
//! | [`Session`] | request | `Classify` | `Affinity`, `Cascade` | no conversation, or none that can be told from others |
//! | [`Aside`] | request | `Classify` | `Affinity` | part of the conversation |
//! | [`Logprobs`] | request | `Cascade` | the leaf | nobody wants log-probabilities but the caller |
//! | [`Target`] | request | `Bind` | `PromptCache`, `Dispatch` | `Dispatch` refuses |
//! | [`Alternatives`] | request | `Bind` | `Balance`, `Fallback`, `Breaker` | nobody else may answer |
//! | [`Deadline`] | request | `Timeout` | `Retry`, `Fallback` | it may take as long as it takes |
//! | [`Declined`] | response | `Breaker`, `Limit`, `Shed` | `Fallback`, `Retry` | a model was asked |
//! | [`FellBack`] | response | `Fallback` | `PromptCache` | of the model that was to answer |
//! | [`KeyId`] | request | `Auth` | `Limit` | nobody's key |
//! | [`KeptUpstream`] | response | the leaf | `Responses` | no provider keeps this answer |
//! | [`Role`] | request | `Cascade` | the leaf | the only attempt |
//! | [`EarlyHead`] | request | `KeepAlive` | `PromptCache`, `Cascade`, the leaf | no head is sent early |
mod answer;
mod breakpoints;
mod cause;
mod early;
mod facts;
mod failover;
mod journal;
mod logprobs;
mod money;
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
pub use pattern::fits;
pub use pieces::Pieces;
pub use prompt::{Edit, Prompt};
pub use refusal::{Kind, Refusal};
pub use reply::{Reply, Witness};
pub use route::{
    Aside, KeptUpstream, KeyId, ParseTargetError, ParseTierError, Session, Target, Tenant, Tier,
};
pub use tool_run::ToolRun;
pub use trace::TraceContext;
pub use usage::{Service, Usage};

/// A chat call: the HTTP envelope around a [`Prompt`].
pub type Request = http::Request<Prompt>;
/// The answer to a [`Request`], in the caller's dialect.
pub type Response = http::Response<Reply>;
