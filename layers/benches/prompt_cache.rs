//! What a hit costs: time and allocations, from the call to the last byte of its answer.
//!
//! ```sh
//! cargo bench -p tierway-layers --bench prompt_cache
//! ```
#![allow(
    clippy::expect_used,
    reason = "a benchmark whose input is wrong should stop"
)]
use http_body_util::BodyExt;
use std::{convert::Infallible, hint::black_box, time::Duration};
use tierway_layers::prompt_cache::{Key, Memory, PromptCache, PromptCacheLayer};
use tierway_services::{
    chat::{Notes, Operation, Prompt, Reply, Request, Response, Target, Tenant},
    dialect::Dialect,
};
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt, service_fn};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const SIZES: [usize; 3] = [1 << 10, 16 << 10, 200 << 10];

fn main() {
    divan::main();
}

/// A conversation of about `bytes`.
fn request(bytes: usize, stream: bool) -> Request {
    let turn = "The quick brown fox jumps over the lazy dog, \"again\". ".repeat(10);
    let turns = (0..=bytes / turn.len()).map(|n| {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        serde_json::json!({"role": role, "content": turn})
    });
    let body = serde_json::json!({
        "model": "m", "temperature": 0, "stream": stream, "stream_options": {"include_usage": true},
        "messages": turns.collect::<Vec<_>>(),
    });
    let prompt = Prompt::parse(
        Dialect::ChatCompletions,
        Operation::Generate,
        body.to_string().into(),
    );
    let mut req = Request::new(prompt.expect("a request that was just written"));
    Notes::of_mut(&mut req).tenant = Some(Tenant::new("bench"));
    Notes::of_mut(&mut req).target = Some(Target::new("p", "m"));
    req
}

/// An answer of about `bytes`.
fn answer(bytes: usize) -> Response {
    let text = "Paris is the capital of France. ".repeat(bytes / 32);
    let body = serde_json::json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}});
    Response::new(Reply::whole(body.to_string()))
}

fn cached(
    runtime: &Runtime,
    request: &Request,
    bytes: usize,
) -> PromptCache<
    impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + use<>,
    Memory,
> {
    let layer = PromptCacheLayer::new(Memory::new(64 << 20, Duration::from_secs(3600)));
    let service = layer.layer(service_fn(move |_: Request| async move {
        Ok::<_, Infallible>(answer(bytes))
    }));
    let filled = runtime.block_on(async {
        let mut whole = request.clone();
        *whole.body_mut() = self::request(bytes, false).into_body();
        let res = service.clone().oneshot(whole).await.expect("an answer");
        res.into_body().collect().await.expect("an end").to_bytes()
    });
    assert!(filled.len() > bytes / 2);
    service
}

fn hits(bencher: divan::Bencher<'_, '_>, bytes: usize, stream: bool) {
    let runtime = Runtime::new().expect("a runtime");
    let request = request(bytes, stream);
    let service = cached(&runtime, &request, bytes);
    bencher.with_inputs(|| request.clone()).bench_values(|req| {
        runtime.block_on(async {
            let res = service.clone().oneshot(req).await.expect("an answer");
            assert_eq!(res.headers()["x-tierway-cache"], "hit");
            black_box(res.into_body().collect().await.expect("an end").to_bytes())
        })
    });
}

#[divan::bench(args = SIZES)]
fn hit_whole(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    hits(bencher, bytes, false);
}

/// Kept whole, told as a stream: the dearest way to replay.
#[divan::bench(args = SIZES)]
fn hit_as_stream(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    hits(bencher, bytes, true);
}

#[divan::bench(args = SIZES)]
fn key(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let request = request(bytes, false);
    bencher.bench(|| Key::of(black_box(&request)));
}
