//! The exact prompt cache, as callers, upstreams and bills see it.
use crate::support::{Answer, Gateway, Upstream, two_formats};
use http::Method;
use serde_json::{Value, json};
use std::path::Path;

const KEYS: &str = "[[keys]]\nkey = \"k-a\"\ntenant = \"a\"\n[[keys]]\nkey = \"k-a2\"\ntenant = \"a\"\n[[keys]]\nkey = \"k-b\"\ntenant = \"b\"\n";
const MESSAGES: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

fn ask(model: &str, text: &str, more: Value) -> Value {
    let mut ask = json!({"model": model, "max_tokens": 50, "temperature": 0, "messages": [{"role": "user", "content": text}]});
    ask.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    ask
}

/// The same ask, as Responses has it.
fn ask_responses(model: &str, text: &str, stream: bool) -> Value {
    json!({"model": model, "max_output_tokens": 50, "temperature": 0, "stream": stream, "input": text})
}

async fn with_key(gw: &Gateway, path: &str, key: &str, body: &Value) -> Answer {
    with(
        gw,
        path,
        &[("authorization", &format!("Bearer {key}"))],
        body,
    )
    .await
}

async fn with(gw: &Gateway, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let answer = gw.call(Method::POST, path, headers, body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

fn status(answer: &Answer) -> &str {
    answer.header("x-tierway-cache")
}

/// What an answer says, whichever its form.
fn said(path: &str, stream: bool, answer: &Answer) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    match (path, stream) {
        (MESSAGES, false) => text(&answer.json()["content"][0]["text"]),
        (CHAT, false) => text(&answer.json()["choices"][0]["message"]["content"]),
        (_, false) => text(&answer.json()["output"][0]["content"][0]["text"]),
        (MESSAGES, true) => {
            let events = answer.events();
            assert_eq!(events.last().unwrap()["type"], "message_stop");
            events.iter().map(|e| text(&e["delta"]["text"])).collect()
        }
        (CHAT, true) => {
            let events = answer.events();
            assert_eq!(events.last().unwrap(), "[DONE]");
            let delta = |e: &Value| text(&e["choices"][0]["delta"]["content"]);
            events.iter().map(delta).collect()
        }
        (_, true) => {
            let events = answer.events();
            let last = events.last().unwrap();
            assert_eq!(last["type"], "response.completed");
            text(&last["response"]["output"][0]["content"][0]["text"])
        }
    }
}

#[tokio::test]
async fn any_form_answers_any_other() {
    const SAID: &str = "Paris is the capital of France.";
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, KEYS)).await;
    let forms: Vec<(&str, bool)> = [MESSAGES, CHAT, RESPONSES]
        .into_iter()
        .flat_map(|path| [(path, false), (path, true)])
        .collect();
    for model in ["a:text-x", "o:text-x"] {
        for (n, (path, stream)) in forms.iter().enumerate() {
            let words = format!("form {n}");
            let body = |(path, stream): (&str, bool)| match path {
                RESPONSES => ask_responses(model, &words, stream),
                _ => ask(model, &words, json!({"stream": stream})),
            };
            let before = up.seen().len();
            let first = with_key(&gw, path, "k-a", &body((path, *stream))).await;
            assert_eq!(status(&first), "miss", "{model} {path} {stream}");
            assert_eq!(said(path, *stream, &first), SAID);
            for (path, stream) in &forms {
                let again = with_key(&gw, path, "k-a", &body((path, *stream))).await;
                assert_eq!(status(&again), "hit", "{model} {n} {path} {stream}");
                assert_eq!(
                    said(path, *stream, &again),
                    SAID,
                    "{model} {n} {path} {stream}"
                );
                assert!(!again.header("age").is_empty());
            }
            assert_eq!(up.seen().len() - before, 1);
        }
    }
}

#[tokio::test]
async fn ten_at_once_cost_one_call_in_each_form() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, KEYS)).await;
    for (path, stream) in [(CHAT, true), (MESSAGES, true), (RESPONSES, true)] {
        let before = up.seen().len();
        let body = match path {
            RESPONSES => ask_responses("o:slow-text", "at once", stream),
            // What it adds makes another question of it than the one in the other dialect.
            _ => ask(
                "o:slow-text",
                "at once",
                json!({"stream": stream, "top_p": 1, "x": path}),
            ),
        };
        let calls = (0..10).map(|_| with_key(&gw, path, "k-a", &body));
        let answers = futures_util::future::join_all(calls).await;
        let count = |word: &str| answers.iter().filter(|a| status(a) == word).count();
        assert_eq!((count("miss"), count("coalesced")), (1, 9), "{path}");
        assert!(
            answers.iter().all(|a| a.bytes == answers[0].bytes),
            "{path}"
        );
        assert_eq!(up.seen().len() - before, 1, "{path}");
    }
}

#[tokio::test]
async fn no_trick_gets_another_tenants_answer() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, KEYS)).await;
    let body = ask("o:text-x", "secret", json!({}));
    assert_eq!(status(&with_key(&gw, CHAT, "k-a", &body).await), "miss");
    assert_eq!(
        status(&with_key(&gw, CHAT, "k-a2", &body).await),
        "hit",
        "another key of the same tenant"
    );
    let before = up.seen().len();
    let tricks: [&[(&str, &str)]; 6] = [
        &[("x-tierway-tenant", "a")],
        &[("x-tenant", "a"), ("tenant", "a")],
        &[("x-api-key", "k-a")],
        &[("cache-control", "only-if-cached")],
        &[("x-tierway-cache", "hit")],
        &[("x-tierway-cache", "on, a")],
    ];
    for (n, trick) in tricks.into_iter().enumerate() {
        let headers = [&[("authorization", "Bearer k-b"), ("cookie", "k-a")], trick].concat();
        let body = ask(
            "o:text-x",
            "secret",
            json!({"user": "a", "metadata": {"tenant": "a", "n": n}}),
        );
        let answer = with(&gw, CHAT, &headers, &body).await;
        // The first fills b's own; what is told then is b's.
        assert_eq!(
            status(&answer),
            if n == 0 { "miss" } else { "hit" },
            "{trick:?}"
        );
    }
    assert_eq!(up.seen().len() - before, 1);
    // Nor does it get part of one that is under way.
    let body = ask("o:slow-text", "in flight", json!({"stream": true}));
    let (a, b) = tokio::join!(
        with_key(&gw, CHAT, "k-a", &body),
        with_key(&gw, CHAT, "k-b", &body)
    );
    assert_eq!((status(&a), status(&b)), ("miss", "miss"));
    assert_eq!(up.seen().len() - before, 3);
}

#[tokio::test]
async fn who_opted_out_is_left_alone() {
    let up = Upstream::start().await;
    let toml = format!("{KEYS}[tenants.b]\ncache = false\n");
    let gw = Gateway::start(&two_formats(&up, &toml)).await;
    for (key, second) in [("k-a", "hit"), ("k-b", "bypass")] {
        let body = ask("o:text-x", "opt", json!({}));
        with_key(&gw, CHAT, key, &body).await;
        assert_eq!(status(&with_key(&gw, CHAT, key, &body).await), second);
    }
}

#[tokio::test]
async fn a_caller_decides_how_old_an_answer_may_be() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let body = ask("o:text-x", "old", json!({}));
    with(&gw, CHAT, &[], &body).await;
    for (value, expected) in [
        ("max-age=60", "hit"),
        ("max-age=0", "miss"),
        ("no-cache", "miss"),
        ("no-store", "bypass"),
        ("max-age=nonsense", "hit"),
    ] {
        let answer = with(&gw, CHAT, &[("cache-control", value)], &body).await;
        assert_eq!(status(&answer), expected, "{value}");
    }
}

fn on_disk(file: &Path, more: &str) -> String {
    format!(
        "{KEYS}[cache]\nstore = \"disk\"\nfile = \"{}\"\n{more}",
        file.display()
    )
}

// The upstream answers on other threads than the one that waits here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_disk_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answers.redb");
    let up = Upstream::start().await;
    let body = ask("o:text-x", "kept", json!({"stream": true}));
    let toml = two_formats(&up, &on_disk(&file, ""));
    // The gateway of a test ends with its runtime.
    let run = |toml: String, expected: &'static str, key: &'static str| {
        let body = body.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let gw = Gateway::start(&toml).await;
                let answer = with_key(&gw, CHAT, key, &body).await;
                assert_eq!(status(&answer), expected, "{key}");
                assert_eq!(said(CHAT, true, &answer), "Paris is the capital of France.");
                gw.close();
                drop(gw);
            });
            // With it the last who has the file.
            drop(runtime);
        })
        .join()
        .unwrap();
    };
    run(toml.clone(), "miss", "k-a");
    run(toml.clone(), "hit", "k-a");
    run(toml.clone(), "miss", "k-b");
    // Another server under the same provider's name has not said that.
    let other = Upstream::start().await;
    run(two_formats(&other, &on_disk(&file, "")), "miss", "k-a");
    assert_eq!((up.seen().len(), other.seen().len()), (2, 1));
    run(
        two_formats(&up, &on_disk(&file, "ttl = \"1ms\"\n")),
        "miss",
        "k-a",
    );
}
