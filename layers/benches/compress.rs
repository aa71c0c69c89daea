//! What it costs to look at a request's tool results and to make them smaller: time and allocations.
//!
//! ```sh
//! cargo bench -p tierway-layers --bench compress
//! ```
#![allow(
    clippy::expect_used,
    reason = "a benchmark whose input is wrong should stop"
)]
use divan::Bencher;
use serde_json::{Value, json};
use std::convert::Infallible;
use tierway_layers::compress::CompressLayer;
use tierway_services::{
    chat::{Operation, Prompt, Reply, Request, Response},
    dialect::Dialect,
};
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt, service_fn};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const SIZES: [usize; 3] = [1 << 10, 16 << 10, 200 << 10];

fn main() {
    divan::main();
}

/// A conversation whose tools have answered about so many bytes, in results of a kilobyte.
fn conversation(bytes: usize, result: impl Fn(usize) -> String) -> Prompt {
    let turns = (0..bytes.div_ceil(1 << 10)).flat_map(|n| {
        let call = json!({"id": n.to_string(), "type": "function", "function": {"name": "Bash", "arguments": "{}"}});
        [
            json!({"role": "assistant", "content": null, "tool_calls": [call]}),
            json!({"role": "tool", "tool_call_id": n.to_string(), "content": result(n)}),
        ]
    });
    let body = json!({"model": "m", "messages": turns.collect::<Vec<_>>()}).to_string();
    Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).expect("a prompt")
}

/// As a JSON API answers, indented.
fn rows(n: usize) -> String {
    let row = |i: usize| json!({"id": n * 100 + i, "name": "a name", "state": "open", "url": "https://example.com/a/b"});
    serde_json::to_string_pretty(&Value::from_iter((0..7).map(row))).expect("JSON")
}

/// As a compiler tells, in colours.
fn colours(n: usize) -> String {
    format!("\u{1b}[32m   Compiling\u{1b}[0m crate-{n} v0.1.0 (/home/user/project)   \n").repeat(14)
}

/// Words, of which nothing can be left out.
fn prose(n: usize) -> String {
    format!("{n}: the quick brown fox jumps over the lazy dog. ").repeat(21)
}

fn run(bencher: Bencher, bytes: usize, result: fn(usize) -> String) {
    let runtime = Runtime::new().expect("a runtime");
    let service = CompressLayer::new().layer(service_fn(|_: Request| async {
        Ok::<_, Infallible>(Response::new(Reply::whole("{}")))
    }));
    bencher
        .with_inputs(|| Request::new(conversation(bytes, result)))
        .bench_values(|req| runtime.block_on(service.clone().oneshot(req)));
}

#[divan::bench(args = SIZES)]
fn json_rows(bencher: Bencher, bytes: usize) {
    run(bencher, bytes, rows);
}

#[divan::bench(args = SIZES)]
fn terminal(bencher: Bencher, bytes: usize) {
    run(bencher, bytes, colours);
}

#[divan::bench(args = SIZES)]
fn nothing_to_do(bencher: Bencher, bytes: usize) {
    run(bencher, bytes, prose);
}
