//! What happens on the way to a language model: one [`tower::Layer`] per concern.
//!
//! Each module stands alone behind the feature of its name and shows a running example.
#[cfg(any(feature = "breaker", feature = "fallback", feature = "retry"))]
#[allow(dead_code, reason = "a feature alone uses but some of it")]
mod attempt;
#[cfg(any(feature = "affinity", feature = "prompt-cache", feature = "responses"))]
mod commit;
#[cfg(any(
    feature = "affinity",
    feature = "limit",
    feature = "mcp",
    feature = "responses",
    feature = "semantic-cache"
))]
mod detour;
#[cfg(test)]
mod frames;
#[cfg(any(
    feature = "breakpoints",
    feature = "cascade",
    feature = "compress",
    feature = "fallback",
    feature = "limit",
    feature = "mcp",
    feature = "prompt-cache"
))]
mod headers;
#[cfg(any(feature = "limit", feature = "load-shed"))]
mod holding;
mod refusal_body;
#[cfg(any(feature = "breakpoints", feature = "compress"))]
mod saying;
mod wire;

#[cfg(feature = "affinity")]
pub mod affinity;
#[cfg(feature = "auth")]
pub mod auth;
#[cfg(feature = "balance")]
pub mod balance;
#[cfg(feature = "bind")]
pub mod bind;
#[cfg(feature = "breaker")]
pub mod breaker;
#[cfg(feature = "breakpoints")]
pub mod breakpoints;
#[cfg(feature = "cascade")]
pub mod cascade;
#[cfg(feature = "classify")]
pub mod classify;
#[cfg(feature = "compress")]
pub mod compress;
#[cfg(feature = "deadline")]
pub mod deadline;
#[cfg(feature = "decode")]
pub mod decode;
#[cfg(feature = "fallback")]
pub mod fallback;
#[cfg(feature = "holdout")]
pub mod holdout;
#[cfg(feature = "keep-alive")]
pub mod keep_alive;
#[cfg(any(feature = "cascade", feature = "classify"))]
pub mod learn;
#[cfg(feature = "limit")]
pub mod limit;
#[cfg(feature = "load-shed")]
pub mod load_shed;
#[cfg(feature = "mcp")]
pub mod mcp;
#[cfg(any(feature = "bind", feature = "classify", feature = "holdout"))]
pub mod names;
#[cfg(feature = "prompt-cache")]
pub mod prompt_cache;
#[cfg(feature = "recode")]
pub mod recode;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "rescue")]
pub mod rescue;
#[cfg(feature = "responses")]
pub mod responses;
#[cfg(feature = "retry")]
pub mod retry;
#[cfg(feature = "semantic-cache")]
pub mod semantic_cache;
#[cfg(feature = "shadow")]
pub mod shadow;
#[cfg(feature = "telemetry")]
pub mod telemetry;
#[cfg(any(feature = "bind", feature = "classify"))]
pub mod tenants;

#[cfg(test)]
#[allow(dead_code, reason = "a feature alone uses but some of it")]
mod testing;

#[cfg(any(feature = "limit", feature = "load-shed"))]
pub use holding::Holding;
pub use refusal_body::RefusalBody;
