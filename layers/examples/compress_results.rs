//! Measures what `CompressLayer` saves on real tools' results, in tokens of a real tokenizer, and that nothing is lost.
//!
//! ```sh
//! cargo run -p tierway-layers --example compress_results -- tests/compress/results.jsonl
//! ```
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a program of measurements"
)]
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tierway_layers::compress::{CompressLayer, Transformation, original};
use tierway_services::{
    chat::{self, Operation, Prompt, Reply},
    dialect::Dialect,
    tokens,
};
use tower::{ServiceBuilder, ServiceExt};

#[derive(Default)]
struct Sum {
    results: usize,
    smaller: usize,
    before: u64,
    after: u64,
}

/// How many tokens a text has, by the tokenizer.
fn count(text: &str) -> u64 {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
    let prompt = Prompt::parse(
        Dialect::ChatCompletions,
        Operation::CountTokens,
        body.into(),
    );
    tokens::count(&prompt.expect("a prompt")) - 7 // the turn and its frame
}

/// What a model is shown of a result, and what was estimated to be saved.
async fn shown(row: &Value) -> (String, Vec<(Transformation, u64)>) {
    let call = json!({"id": "1", "type": "function", "function": {
        "name": row["tool"], "arguments": json!({"command": row["command"]}).to_string()}});
    let body = json!({"model": "m", "messages": [
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": row["result"]}]});
    let prompt = Prompt::parse(
        Dialect::ChatCompletions,
        Operation::Generate,
        body.to_string().into(),
    );
    let saved = Arc::new(Mutex::new(Vec::new()));
    let (heard, sent) = (saved.clone(), Arc::new(Mutex::new(Value::Null)));
    let kept = sent.clone();
    let service = ServiceBuilder::new()
        .layer(CompressLayer::new().on_saved(move |by, tokens| {
            heard.lock().expect("a lock").push((by, tokens));
        }))
        .service_fn(move |req: chat::Request| {
            let body: Value = serde_json::from_slice(req.body().raw()).expect("JSON");
            *kept.lock().expect("a lock") = body["messages"][1]["content"].clone();
            async { Ok::<_, Infallible>(chat::Response::new(Reply::whole("{}"))) }
        });
    let Ok(_) = service
        .oneshot(chat::Request::new(prompt.expect("a prompt")))
        .await;
    let text = sent
        .lock()
        .expect("a lock")
        .as_str()
        .expect("a text")
        .to_owned();
    let saved = saved.lock().expect("a lock").clone();
    (text, saved)
}

fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let file = std::env::args().nth(1).expect("a file of results");
    let text = std::fs::read_to_string(file).expect("results");
    let (mut kinds, mut by): (BTreeMap<String, Sum>, BTreeMap<&str, u64>) = Default::default();
    let (mut estimated, mut wrong) = (0, 0);
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let (before, (after, saved)) = (row["result"].as_str().expect("a text"), shown(&row).await);
        // JSON must be the same again, whatever was done to it; an object's order and each number's digits included.
        if original(before.trim()).is_some() && original(&after) != original(before.trim()) {
            println!("wrong: {}", row["command"]);
            wrong += 1;
        }
        let (old, new) = (count(before), count(&after));
        for (transformation, tokens) in saved {
            *by.entry(transformation.as_str()).or_default() += tokens;
            estimated += tokens;
        }
        if std::env::args().any(|arg| arg == "--each") {
            println!(
                "{old:6} {new:6} {:5.1} %  {}",
                share(old - new.min(old), old),
                row["command"]
            );
        }
        for kind in [row["kind"].as_str().expect("a kind"), "~all"] {
            let sum = kinds.entry(kind.to_owned()).or_default();
            sum.results += 1;
            sum.smaller += usize::from(new < old);
            sum.before += old;
            sum.after += new;
        }
    }
    println!("| results | | smaller | tokens before | after | saved |\n|---|---|---|---|---|---|");
    for (kind, sum) in &kinds {
        let (kind, saved) = (
            kind.trim_start_matches('~'),
            sum.before - sum.after.min(sum.before),
        );
        let Sum {
            results,
            smaller,
            before,
            after,
        } = sum;
        println!(
            "| {kind} | {results} | {smaller} | {before} | {after} | {:.1} % |",
            share(saved, *before)
        );
    }
    let all = kinds.get("~all").expect("results");
    println!("estimated, by transformation: {by:?}");
    println!(
        "estimated in all: {estimated}, really: {}",
        all.before - all.after
    );
    println!("{} results, {wrong} wrong", all.results);
}
