//! What classification costs beyond the parse that happens anyway: time and allocations, at the sizes of a chat app and of coding agents.
//!
//! ```sh
//! cargo bench -p tierway-layers --bench classify
//! ```
#![allow(
    clippy::expect_used,
    reason = "a benchmark whose input is wrong should stop"
)]
use std::hint::black_box;
use tierway_layers::{
    classify::{Policy, Rule, Ruled, SideRequests, TierClassifier},
    names::{Names, Wish},
};
use tierway_services::{
    chat::{Operation, Prompt, Request},
    dialect::Dialect,
};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// A request as Claude Code sends it, padded to `bytes`: the ask stays short, what grows are the system prompt and the tools' results.
fn agent(bytes: usize) -> Request {
    let filler = "Lorem ipsum dolor sit amet, consectetur. ".repeat(bytes / 2 / 41);
    let body = serde_json::json!({
        "model": "claude-opus-5-5", "max_tokens": 32000, "stream": true,
        "system": [{"type": "text", "text": "You are Claude Code."}, {"type": "text", "text": filler}],
        "tools": [{"name": "Bash", "input_schema": {"type": "object"}}, {"name": "Edit", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "<system-reminder>\nBe careful.\n</system-reminder>"},
                {"type": "text", "text": "refunds are off by one cent sometimes. fix the rounding in payments/refund.ts and add a test"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "Bash", "input": {"command": "ls"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": filler}]},
        ],
    });
    request(&body)
}

/// The same length, all of it pasted into the ask: the worst that a person can do.
fn pasted(bytes: usize) -> Request {
    let line = "2026-03-01T10:00:00Z ERROR payments: charge 8124 failed, will retry in 4 s\n";
    let text = format!("why does this fail?\n\n{}", line.repeat(bytes / line.len()));
    let body =
        serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": text}]});
    request(&body)
}

/// So many bytes of prose with markdown, all of it typed into the ask: the dearest per byte, since every word of it is read.
fn typed(bytes: usize) -> Request {
    let prose = include_str!("../../docs/caching.md");
    let text: String = prose.chars().take(bytes).collect();
    let body =
        serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": text}]});
    request(&body)
}

fn request(body: &serde_json::Value) -> Request {
    let prompt = Prompt::parse(
        Dialect::Messages,
        Operation::Generate,
        body.to_string().into(),
    );
    Request::new(prompt.expect("a request that was just written"))
}

fn policy() -> impl Policy {
    let classifier = TierClassifier::new(Names::default().map("*", Wish::Auto));
    Ruled::new(SideRequests::new(classifier), Rule::built_in())
}

#[divan::bench(args = [1 << 10, 16 << 10, 200 << 10])]
fn decide(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let (policy, request) = (policy(), agent(bytes));
    bencher.bench(|| policy.classify(black_box(&request)));
}

#[divan::bench(args = [1 << 10, 16 << 10, 200 << 10])]
fn decide_what_was_pasted(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let (policy, request) = (policy(), pasted(bytes));
    bencher.bench(|| policy.classify(black_box(&request)));
}

#[divan::bench(args = [100, 4 << 10, 16 << 10])]
fn decide_what_was_typed(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let (policy, request) = (policy(), typed(bytes));
    bencher.bench(|| policy.classify(black_box(&request)));
}

#[divan::bench(args = [1 << 10, 16 << 10, 200 << 10])]
fn parse(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let raw = agent(bytes).body().raw().clone();
    bencher.bench(|| {
        Prompt::parse(
            Dialect::Messages,
            Operation::Generate,
            black_box(raw.clone()),
        )
    });
}
