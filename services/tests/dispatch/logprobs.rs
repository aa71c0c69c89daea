//! Log-probabilities that somebody beside the caller wants.
use super::*;
use crate::upstream::{Act, json, stream};
use tierway_services::chat::{AttemptEnd, Logprobs, Notes};

const TOLD: &str = r#"{"content":[{"token":"Hello.","logprob":-0.25,"top_logprobs":[{"token":"Hi","logprob":-1.5}]}]}"#;

fn completion(logprobs: &str) -> String {
    COMPLETION.replace(
        r#""finish_reason""#,
        &format!("\"logprobs\":{logprobs},\"finish_reason\""),
    )
}

fn chunks(logprobs: &str) -> String {
    let first = CHUNKS[0].replace(
        r#""finish_reason""#,
        &format!("\"logprobs\":{logprobs},\"finish_reason\""),
    );
    stream(&[&first, CHUNKS[1], CHUNKS[2]])
}

/// A server that tells them when asked.
async fn telling() -> Upstream {
    Upstream::start(|seen| {
        let asked = seen.json()["logprobs"] == true;
        let told = if asked { TOLD } else { "null" };
        let streamed = seen.json()["stream"] == true;
        vec![Act::Send(if streamed {
            chunks(told)
        } else {
            json(200, &completion(told))
        })]
    })
    .await
}

fn wishing(path: &str, body: &str) -> (Ask, Logprobs) {
    let mut ask = ask(path, body);
    let wish = Logprobs::default();
    Notes::of_mut(&mut ask.req).logprobs = Some(wish.clone());
    (ask, wish)
}

#[tokio::test]
async fn they_come_beside_the_answer_in_every_dialect() {
    let upstream = telling().await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    for (path, body) in [
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", CHAT_STREAM),
        ("/v1/messages", MESSAGES),
        ("/v1/messages", MESSAGES_STREAM),
        ("/v1/responses", r#"{"model":"auto","input":"hi"}"#),
        (
            "/v1/responses",
            r#"{"model":"auto","input":"hi","stream":true}"#,
        ),
    ] {
        let plain = ask(path, body).send(&dispatch).await.unwrap();
        assert_eq!(upstream.last().json().get("logprobs"), None);
        let (ask, wish) = wishing(path, body);
        let told = ask.send(&dispatch).await.unwrap();
        assert_eq!(upstream.last().json()["top_logprobs"], 2);
        assert_eq!((told.status, told.failure), (200, None));
        let got = wish.take();
        assert_eq!((got.len(), got[0].runner_up), (1, Some(-1.5)), "{path}");
        assert!(!told.body.contains("-0.25"), "{}", told.body);
        if path == "/v1/chat/completions" {
            assert_eq!(told.body, plain.body, "as if nobody had asked");
        }
    }
}

#[tokio::test]
async fn who_asks_gets_them() {
    let upstream = telling().await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    for body in [CHAT, CHAT_STREAM] {
        let body = body.replacen('{', r#"{"logprobs":true,"#, 1);
        let (ask, wish) = wishing("/v1/chat/completions", &body);
        let told = ask.send(&dispatch).await.unwrap();
        assert!(told.body.contains("-0.25"), "{}", told.body);
        assert_eq!(wish.take().len(), 1);
        assert_eq!(
            upstream.last().body,
            body.replace("auto", "m").replace(
                r#""model":"m","#,
                if body.contains("stream") {
                    r#""model":"m","stream_options":{"include_usage":true},"#
                } else {
                    r#""model":"m","#
                },
            )
        );
    }
}

#[tokio::test]
async fn a_fault_may_be_theirs_without_naming_them() {
    let nameless =
        r#"{"error":{"message":"Extra inputs are not permitted","type":"invalid_request_error"}}"#;
    for (always, calls, status) in [(false, [2, 3], 200), (true, [2, 4], 400)] {
        let upstream = Upstream::start(move |seen| {
            let refused = always || seen.json().get("logprobs").is_some();
            vec![Act::Send(if refused {
                json(400, nameless)
            } else {
                json(200, COMPLETION)
            })]
        })
        .await;
        let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
        for calls in calls {
            let (ask, _) = wishing("/v1/chat/completions", CHAT);
            assert_eq!(ask.send(&dispatch).await.unwrap().status, status);
            assert_eq!(upstream.seen().len(), calls, "{always}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_them_is_no_refusal_and_asked_for_once() {
    let upstream = Upstream::start(|seen| {
        vec![Act::Send(match seen.json().get("logprobs") {
            Some(_) => json(
                400,
                r#"{"error":{"message":"logprobs are not supported with reasoning models.","type":"invalid_request_error"}}"#,
            ),
            None => json(200, COMPLETION),
        })]
    })
    .await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    for calls in [2, 3] {
        let (ask, wish) = wishing("/v1/chat/completions", CHAT);
        let told = ask.send(&dispatch).await.unwrap();
        assert_eq!((told.status, &*told.body), (200, COMPLETION));
        assert!(wish.take().is_empty());
        assert_eq!(upstream.seen().len(), calls);
        let last = told.attempts.last().unwrap();
        assert_eq!(last.end, AttemptEnd::Complete);
    }
}

#[tokio::test]
async fn silence_about_them_is_a_no() {
    for body in [CHAT, CHAT_STREAM] {
        let upstream = Upstream::start(|seen| {
            let streamed = seen.json()["stream"] == true;
            vec![Act::Send(if streamed {
                stream(&CHUNKS)
            } else {
                json(200, COMPLETION)
            })]
        })
        .await;
        let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
        for asked in [true, false] {
            let (ask, _) = wishing("/v1/chat/completions", body);
            assert_eq!(ask.send(&dispatch).await.unwrap().status, 200);
            assert_eq!(upstream.last().json().get("logprobs").is_some(), asked);
        }
    }
}

#[tokio::test]
async fn another_refusal_is_the_answer() {
    let error = r#"{"error":{"message":"no such model","type":"invalid_request_error"}}"#;
    let upstream = Upstream::saying(json(404, error)).await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    let (ask, _) = wishing("/v1/chat/completions", CHAT);
    let told = ask.send(&dispatch).await.unwrap();
    assert_eq!((told.status, upstream.seen().len()), (404, 1));
}
