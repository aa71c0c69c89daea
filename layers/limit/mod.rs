//! Keeps callers within their limits: requests and tokens a minute, requests at a time, money a day, a month and in all.
//!
//! Two layers share one set of counters, the [`Quotas`]. [`LimitLayer`] stands where a call is known by its head alone, before anything is
//! spent on it: it counts requests and tokens, and holds a place until the *end* of the answer, not its head. [`BudgetLayer`] stands where
//! the model is known: it sets aside the most that the call may cost, and books what it has cost.
//!
//! # Exactly what
//! * **A minute** is any sixty seconds, by quarters of one: never more than the limit within any of them, and at full load at most one
//!   in 240 less. Whoever is refused learns when the oldest requests are forgotten (`retry-after`).
//! * **Tokens** are taken when a call begins, four bytes of its body for one, and corrected at its end to what its upstream calls have used,
//!   prompt and answer; so an answer can exceed the limit, and what comes next pays for it.
//! * **Money** is set aside before the call. What does not fit in what is left for certain waits until what is under way has ended; only
//!   the last call of a node may go beyond. So a budget is overspent by at most one call a node.
//! * Counting tokens, reading lists and whatever is no `POST` are free.
//!
//! # Several nodes
//! `Quotas::shared` keeps the counters in Redis, each question one atomic script by Redis's own clock. While Redis is away [`Without`] says,
//! for rates and budgets apart, whether each node goes on by what it has seen, or lets everything or nothing through.
//!
//! # What callers see
//! A 429 in their own dialect with `retry-after`, and on every answer the headers of their dialect: `x-ratelimit-limit-requests` and its
//! like, or `anthropic-ratelimit-requests-limit` and its like. A budget that is used up is `insufficient_quota`, with `x-should-retry: false`.
//!
//! # Example
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use std::convert::Infallible;
//! use tierway_layers::limit::{LimitLayer, Limits, Quotas, Table};
//! use tierway_services::chat::{Notes, Tenant};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let two = Limits { requests_per_minute: Some(2), ..Limits::default() };
//! let service = ServiceBuilder::new()
//!     .layer(LimitLayer::new(Quotas::new(), Table::default().tenant("interns", two)))
//!     .service_fn(|_: Request<Full<Bytes>>| async {
//!         Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
//!     });
//! let mut statuses = Vec::new();
//! for _ in 0..3 {
//!     let mut req = Request::post("/v1/messages").body(Full::default()).unwrap();
//!     Notes::of_mut(&mut req).tenant = Some(Tenant::new("interns"));
//!     statuses.push(service.clone().oneshot(req).await.unwrap().status().as_u16());
//! }
//! assert_eq!(statuses, [200, 200, 429]);
//! # }
//! ```
#[cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "gateways that count together need it")
)]
mod account;
mod budget;
mod headers;
mod limits;
mod quotas;
mod service;
#[cfg(feature = "redis")]
mod shared;
mod window;

pub use self::{
    budget::{Budget, BudgetLayer},
    limits::{Limits, Lookup, Subject, Table},
    quotas::{Excess, Quotas, Without},
    service::{Limit, LimitLayer, Permits, ResponseBody, ResponseFuture},
};
pub use crate::detour::ResponseFuture as BudgetFuture;

use quotas::Refused;
use std::sync::Arc;
use tierway_services::chat::{Kind, Refusal};

/// Is shown who was refused, and why.
type OnRefusal = Arc<dyn Fn(&str, Excess) + Send + Sync>;

impl Excess {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
            Self::Day => "usd_per_day",
            Self::Month => "usd_per_month",
            Self::Total => "usd_total",
            Self::Busy => "budget_busy",
            Self::Unknown => "unknown",
        }
    }

    /// Whether asking again soon is of no use.
    const fn is_final(self) -> bool {
        matches!(self, Self::Day | Self::Month | Self::Total)
    }
}

impl Refused {
    fn refusal(&self) -> Refusal {
        let name = &self.subject;
        let (message, code) = match self.excess {
            Excess::Requests => (
                format!("{name} has made all its requests of this minute"),
                "rate_limit_exceeded",
            ),
            Excess::Tokens => (
                format!("{name} has used all its tokens of this minute"),
                "rate_limit_exceeded",
            ),
            Excess::Concurrent => (
                format!("{name} has as many requests under way as it may have"),
                "rate_limit_exceeded",
            ),
            Excess::Day => (
                format!("{name} has spent its budget of this day"),
                "insufficient_quota",
            ),
            Excess::Month => (
                format!("{name} has spent its budget of this month"),
                "insufficient_quota",
            ),
            Excess::Total => (format!("{name} has spent its budget"), "insufficient_quota"),
            Excess::Busy => (
                format!(
                    "what is left of the budget of {name} may be needed by its requests under way"
                ),
                "rate_limit_exceeded",
            ),
            Excess::Unknown => (
                format!("the limits of {name} cannot be looked up at the moment"),
                "rate_limit_exceeded",
            ),
        };
        let refusal = Refusal::new(Kind::RateLimit, message).with_code(code);
        match self.retry_after {
            Some(after) => refusal.with_retry_after(after),
            None => refusal,
        }
    }
}

#[cfg(test)]
mod tests;
