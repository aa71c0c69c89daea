//! The gateway from socket to socket, against a scripted upstream that speaks the recorded wire formats of both dialects.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]
mod support;

mod affinity;
mod bad_input;
mod breakpoints;
mod cache;
mod cache_and_cascade;
mod cascade;
mod claude_code;
mod labels;
mod limits;
mod passthrough;
mod policies;
mod reload;
mod resilience;
mod responses;
mod semantic;
mod streams;
mod surfaces;
mod tiers;
mod tls;
mod translation;
mod trust;
