//! Another configuration in the place of the one at work: what goes on, and what changes.
use crate::support::{Gateway, Upstream, two_formats};
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMITED: &str = r#"
[[keys]]
key = "sk-one"
tenant = "team"
limits.requests_per_minute = 2
"#;

fn ask(text: &str) -> Value {
    json!({"model": "a:text-x", "max_tokens": 1, "temperature": 0, "messages": [{"role": "user", "content": text}]})
}

async fn said(gw: &Gateway, text: &str) -> crate::support::Answer {
    let headers = [
        ("content-type", "application/json"),
        ("x-api-key", "sk-one"),
    ];
    let body = ask(text).to_string();
    gw.call(Method::POST, "/v1/messages", &headers, body).await
}

#[tokio::test]
async fn a_stream_ends_as_it_began_and_the_next_call_sees_the_new_configuration() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let slow = json!({"model": "a:slow-text", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let kind = [("content-type", "application/json")];
    let req = gw.request(Method::POST, "/v1/messages", &kind, slow.to_string());
    let mut stream = gw.send(req).await.into_body();
    stream.frame().await.unwrap().unwrap();
    let changed = two_formats(&up, "[models]\nfast = \"o:text-new\"\n");
    gw.reload(&changed.replace("sk-up-anthropic", "sk-up-rotated"));
    let answer = gw
        .chat(&json!({"model": "fast", "messages": [{"role": "user", "content": "hi"}]}))
        .await;
    assert_eq!(answer.header("x-tierway-model"), "text-new");
    gw.messages(&ask("other")).await;
    assert_eq!(up.last().headers["x-api-key"], "sk-up-rotated");
    let rest = stream.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("message_stop"));
    let end = Instant::now() + Duration::from_secs(5);
    while up.open_streams() > 0 {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_was_kept_and_counted_goes_on() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, LIMITED)).await;
    assert_eq!(said(&gw, "one").await.status, 200);
    gw.reload(&two_formats(&up, &format!("{LIMITED}[retry]\nmax = 1\n")));
    let again = said(&gw, "one").await;
    assert_eq!(again.header("x-tierway-cache"), "hit");
    assert_eq!(
        said(&gw, "two").await.status,
        429,
        "two of a minute are used up"
    );
    // More is allowed from now on; what was used stays used.
    let more = LIMITED.replace("= 2", "= 3");
    gw.reload(&two_formats(&up, &more));
    assert_eq!(said(&gw, "two").await.status, 200);
    assert_eq!(said(&gw, "three").await.status, 429);
    // Another cache is an empty one.
    let other = LIMITED.replace("= 2", "= 9");
    gw.reload(&two_formats(
        &up,
        &format!("{other}[cache]\nmax_bytes = 70000\n"),
    ));
    assert_eq!(said(&gw, "one").await.header("x-tierway-cache"), "miss");
    gw.reload(&two_formats(&up, &other.replace("sk-one", "sk-two")));
    assert_eq!(said(&gw, "one").await.status, 401, "the key is gone");
}

#[tokio::test]
async fn a_model_that_is_left_alone_stays_so() {
    let up = Upstream::start().await;
    let extra = "[retry]\nmax = 0\n[breaker]\nfailures = 2\nopen_for = \"1m\"\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    let bad = json!({"model": "o:e500-x", "messages": [{"role": "user", "content": "hi"}]});
    for _ in 0..2 {
        assert_eq!(gw.chat(&bad).await.status, 500);
    }
    assert_eq!(gw.chat(&bad).await.status, 503);
    gw.reload(&two_formats(
        &up,
        &format!("{extra}[cache]\nenabled = false\n"),
    ));
    let before = up.seen().len();
    assert_eq!(gw.chat(&bad).await.status, 503);
    assert_eq!(up.seen().len(), before, "nobody was asked");
    let other = extra.replace("failures = 2", "failures = 3");
    gw.reload(&two_formats(&up, &other));
    assert_eq!(gw.chat(&bad).await.status, 500);
}

#[tokio::test]
async fn calls_under_way_count_in_the_new_stack_too() {
    let up = Upstream::start().await;
    let extra = "[server]\nmax_in_flight = 1\n[cache]\nenabled = false\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    let hang = json!({"model": "a:hang-x", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let kind = [("content-type", "application/json")];
    let req = gw.request(Method::POST, "/v1/messages", &kind, hang.to_string());
    let mut held = gw.send(req).await.into_body();
    held.frame().await.unwrap().unwrap();
    gw.reload(&two_formats(&up, &format!("{extra}[retry]\nmax = 0\n")));
    assert_eq!(gw.messages(&ask("hi")).await.status.as_u16(), 529);
    drop(held);
    let end = Instant::now() + Duration::from_secs(5);
    while gw.messages(&ask("hi")).await.status != 200 {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
