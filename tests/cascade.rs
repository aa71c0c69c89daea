//! The cascade over streams and tools, from socket to socket, in every dialect.
use crate::support::{Answer, Gateway, Upstream, two_formats};
use serde_json::{Value, json};
use std::time::Duration;
use tierway::services::{dialect::Dialect, translate::grammar};

const PATHS: [(&str, Dialect); 3] = [
    ("/v1/messages", Dialect::Messages),
    ("/v1/chat/completions", Dialect::ChatCompletions),
    ("/v1/responses", Dialect::Responses),
];

async fn gateway(up: &Upstream, small: &str, more: &str) -> Gateway {
    let extra = format!(
        "[cascade]\nenabled = true\nsmall = \"o:{small}\"\nstreams = \"buffer\"\ntools = true\nstay_big = 0\n{more}"
    );
    Gateway::start(&two_formats(up, &extra)).await
}

fn ask(dialect: Dialect, stream: bool, tool: Option<&str>) -> Value {
    let words = "What is the capital of France?";
    let mut ask = json!({"model": "tierway/complex", "stream": stream});
    let schema = tool.map(|argument| {
        json!({"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]})
    });
    let turns = json!([{"role": "user", "content": words}]);
    match dialect {
        Dialect::Responses => {
            ask["input"] = words.into();
            if let Some(schema) = schema {
                ask["tools"] = json!([{"type": "function", "name": "bash", "parameters": schema}]);
            }
        }
        Dialect::Messages => {
            ask["max_tokens"] = 99.into();
            ask["messages"] = turns;
            if let Some(schema) = schema {
                ask["tools"] = json!([{"name": "bash", "input_schema": schema}]);
            }
        }
        _ => {
            ask["messages"] = turns;
            if let Some(schema) = schema {
                ask["tools"] = json!([{"type": "function", "function": {"name": "bash", "parameters": schema}}]);
            }
        }
    }
    ask
}

fn sound(dialect: Dialect, stream: bool, answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    if stream {
        grammar::check(dialect, &answer.bytes)
            .unwrap_or_else(|wrong| panic!("{wrong}: {}", answer.text()));
    }
}

#[tokio::test]
async fn a_good_draft_is_shown_and_a_bad_one_never() {
    let up = Upstream::start().await;
    for (small, told, model, calls) in [
        (
            "text-draft",
            "accepted; threshold=0.85; reason=prior; certified=no",
            "text-draft",
            1,
        ),
        (
            "refuse-x",
            "deferred; confidence=0.00; threshold=0.85; reason=refusal; certified=no",
            "text-big",
            2,
        ),
        ("e503-x", "deferred; reason=small_failed", "text-big", 2),
    ] {
        // One that fails again and again would not be asked at all.
        let gw = gateway(&up, small, "[breaker]\nenabled = false\n").await;
        for (path, dialect) in PATHS {
            for stream in [false, true] {
                for tool in [None, Some("command")] {
                    let before = up.seen().len();
                    let answer = gw.post(path, &ask(dialect, stream, tool)).await;
                    sound(dialect, stream, &answer);
                    let header = answer.header("x-tierway-cascade");
                    // How sure it is depends on the question.
                    let words = header.split("; ").filter(|w| {
                        !told.starts_with("accepted") || !w.starts_with("confidence=0.")
                    });
                    let words: Vec<&str> = words.collect();
                    assert_eq!(words.join("; "), told, "{path} {stream}: {header}");
                    assert_eq!(answer.header("x-tierway-model"), model);
                    let text = answer.text();
                    assert!(!text.contains("sorry") && text.contains(model), "{text}");
                    assert_eq!(
                        text.matches("event: message_start").count(),
                        usize::from(stream && dialect == Dialect::Messages)
                    );
                    assert_eq!(up.seen().len() - before, calls, "{path} {small}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_draft_that_breaks_off_is_none() {
    let up = Upstream::start().await;
    for small in ["cutoff-x", "midfail-x", "garbage-x"] {
        let gw = gateway(&up, small, "").await;
        for (path, dialect) in &PATHS[..2] {
            let answer = gw.post(path, &ask(*dialect, true, None)).await;
            sound(*dialect, true, &answer);
            assert_eq!(
                answer.header("x-tierway-cascade"),
                "deferred; reason=small_failed",
                "{small}"
            );
            assert_eq!(answer.header("x-tierway-model"), "text-big");
        }
    }
}

#[tokio::test]
async fn a_tools_call_is_held_to_its_schema() {
    let up = Upstream::start().await;
    let gw = gateway(&up, "tool-draft", "").await;
    for (path, dialect) in &PATHS[..2] {
        for stream in [false, true] {
            let good = gw.post(path, &ask(*dialect, stream, Some("command"))).await;
            sound(*dialect, stream, &good);
            assert!(
                good.header("x-tierway-cascade").starts_with("accepted"),
                "{:?}",
                good.headers
            );
            assert!(good.text().contains("bash"));
            let bad = gw.post(path, &ask(*dialect, stream, Some("cmd"))).await;
            sound(*dialect, stream, &bad);
            assert!(
                bad.header("x-tierway-cascade")
                    .contains("reason=missing_argument"),
                "{:?}",
                bad.headers
            );
            assert!(!bad.text().contains("echo"), "{}", bad.text());
        }
    }
}

#[tokio::test]
async fn further_answers_and_a_verdict_are_asked_for_and_told() {
    let up = Upstream::start().await;
    let gw = gateway(
        &up,
        "tool-draft",
        "samples = 2\nverify = \"small\"\nthreshold = 0.1\n",
    )
    .await;
    for (path, dialect) in &PATHS[..2] {
        for stream in [false, true] {
            let before = up.seen().len();
            let answer = gw.post(path, &ask(*dialect, stream, Some("command"))).await;
            sound(*dialect, stream, &answer);
            let header = answer.header("x-tierway-cascade");
            assert!(
                header.starts_with("accepted; ") && header.contains("; agreement=1.00"),
                "{header}"
            );
            assert_eq!(up.seen().len() - before, 4);
        }
    }
}

#[tokio::test]
async fn a_silent_draft_is_given_up_and_hung_up_on() {
    let up = Upstream::start().await;
    let gw = gateway(
        &up,
        "hang-x",
        "[cascade.tier.complex]\nmax_added_latency = \"80ms\"\n",
    )
    .await;
    let answer = gw.messages(&ask(Dialect::Messages, true, None)).await;
    sound(Dialect::Messages, true, &answer);
    assert_eq!(
        answer.header("x-tierway-cascade"),
        "deferred; reason=deadline"
    );
    for _ in 0..100 {
        if up.open_streams() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} streams are open", up.open_streams());
}

#[tokio::test]
async fn a_caller_who_leaves_takes_the_draft_along() {
    let up = Upstream::start().await;
    let gw = gateway(&up, "hang-x", "").await;
    let body = ask(Dialect::Messages, true, None).to_string();
    let req = gw.request(http::Method::POST, "/v1/messages", &[], body);
    let call = tokio::time::timeout(Duration::from_millis(150), gw.send(req)).await;
    assert!(call.is_err() && up.seen().len() == 1);
    for _ in 0..100 {
        if up.open_streams() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} streams are open", up.open_streams());
}

#[tokio::test]
async fn a_head_that_goes_early_says_that_nothing_is_decided() {
    let up = Upstream::start().await;
    for (small, model) in [("slow-text", "slow-text"), ("slow-refuse", "text-big")] {
        let gw = gateway(&up, small, "[server]\nkeep_alive = \"25ms\"\n").await;
        for (path, dialect) in &PATHS[..2] {
            let answer = gw.post(path, &ask(*dialect, true, None)).await;
            sound(*dialect, true, &answer);
            assert_eq!(answer.header("x-tierway-cascade"), "pending");
            assert_eq!(answer.header("x-tierway-model"), "");
            let text = answer.text();
            assert!(
                text.contains("ping") || text.contains(": keep-alive"),
                "{text}"
            );
            assert!(text.contains(model) && !text.contains("sorry"), "{text}");
            let starts = text.matches("event: message_start").count();
            assert_eq!(starts, usize::from(*dialect == Dialect::Messages));
        }
    }
}

#[tokio::test]
async fn a_tier_may_differ_and_a_dear_small_model_is_not_tried() {
    let up = Upstream::start().await;
    let gw = gateway(
        &up,
        "text-draft",
        "[cascade.tier.complex]\nstreams = \"off\"\n",
    )
    .await;
    let streamed = gw.messages(&ask(Dialect::Messages, true, None)).await;
    assert_eq!(
        streamed.header("x-tierway-cascade"),
        "skipped; reason=stream"
    );
    let whole = gw.messages(&ask(Dialect::Messages, false, None)).await;
    assert!(whole.header("x-tierway-cascade").starts_with("accepted"));

    let price =
        |target: &str, usd: f64| format!("[prices.\"{target}\"]\ninput = {usd}\noutput = {usd}\n");
    for (small, ratio, told) in [
        (1.0, 1.0, "accepted"),
        (3.0, 1.0, "skipped; reason=price"),
        (1.0, 0.25, "skipped; reason=price"),
    ] {
        let more = format!(
            "max_price_ratio = {ratio}\n{}{}",
            price("o:text-draft", small),
            price("a:text-big", 3.0)
        );
        let gw = gateway(&up, "text-draft", &more).await;
        let answer = gw.messages(&ask(Dialect::Messages, true, None)).await;
        assert!(
            answer.header("x-tierway-cascade").starts_with(told),
            "{small} {ratio}: {:?}",
            answer.headers
        );
    }
}
