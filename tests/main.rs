//! The gateway from socket to socket, against a scripted upstream that speaks the recorded wire formats of both dialects.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]
mod support;

mod access;
mod affinity;
mod bad_input;
mod breakpoints;
mod cache;
mod cache_and_cascade;
mod cascade;
mod claude_code;
mod labels;
mod limits;
mod mcp_search;
mod passthrough;
mod policies;
mod reload;
mod resilience;
mod responses;
mod semantic;
mod sign_in;
mod streams;
mod surfaces;
mod tiers;
mod tls;
mod tokens;
mod translation;
mod trust;
