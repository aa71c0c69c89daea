use super::*;
use crate::testing::{chat_request, messages_request, reply};
use http::StatusCode;
use http_body_util::BodyExt;
use std::future::pending;
use tierway_services::chat::{Kind, Refusal};
use tokio::time::sleep;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{ServiceBuilder, ServiceExt};
use tower_test::mock;

const SECOND: Duration = Duration::from_secs(1);
const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
const STREAM: &str = r#"{"model":"m","max_tokens":9,"stream":true,"messages":[]}"#;

fn layer() -> KeepAliveLayer {
    KeepAliveLayer::new(15 * SECOND)
}

fn events(
    body: impl http_body::Body<Data = bytes::Bytes, Error = BoxError> + Send + 'static,
) -> chat::Response {
    let mut res = chat::Response::new(Reply::stream(body));
    let value = HeaderValue::from_static("text/event-stream");
    res.headers_mut().insert(header::CONTENT_TYPE, value);
    res
}

/// A body that yields these texts, each after so many seconds.
fn script(steps: &'static [(u32, &'static str)]) -> chat::Response {
    let frames = futures(steps);
    events(frames)
}

fn futures(
    steps: &'static [(u32, &'static str)],
) -> impl http_body::Body<Data = bytes::Bytes, Error = BoxError> + Send + 'static {
    Scripted {
        steps: steps.iter(),
        sleep: None,
    }
}

struct Scripted {
    steps: std::slice::Iter<'static, (u32, &'static str)>,
    sleep: Option<(Pin<Box<Sleep>>, &'static str)>,
}

impl http_body::Body for Scripted {
    type Data = bytes::Bytes;
    type Error = BoxError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, BoxError>>> {
        if self.sleep.is_none() {
            let Some((seconds, text)) = self.steps.next() else {
                return Poll::Ready(None);
            };
            self.sleep = Some((Box::pin(sleep(*seconds * SECOND)), text));
        }
        let Some((timer, text)) = &mut self.sleep else {
            return Poll::Ready(None);
        };
        std::task::ready!(timer.as_mut().poll(cx));
        let text = *text;
        self.sleep = None;
        Poll::Ready(Some(match text {
            "!" => Err(Refusal::new(Kind::Timeout, "silent for too long").into()),
            text => Ok(http_body::Frame::data(bytes::Bytes::from_static(
                text.as_bytes(),
            ))),
        }))
    }
}

async fn told(res: chat::Response) -> Result<String, String> {
    let mut body = res.into_body();
    let mut all = String::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => all.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap()),
            Err(error) => return Err(format!("{all}{error}")),
        }
    }
    Ok(all)
}

/// What a caller gets of a service that answers so.
async fn ask<F, Fut>(body: &str, answer: F) -> chat::Response
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<chat::Response, BoxError>> + Send + 'static,
{
    let service = ServiceBuilder::new()
        .layer(layer())
        .service_fn(move |_: chat::Request| answer());
    service.oneshot(messages_request(body)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn silence_within_a_stream_is_broken() {
    let res = ask(STREAM, || async {
        Ok(script(&[(1, "a"), (31, "b"), (14, "c")]))
    })
    .await;
    assert_eq!(told(res).await.unwrap(), format!("a{PING}{PING}bc"));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_late_is_not_waited_for() {
    let started = Instant::now();
    let res = ask(STREAM, || async {
        sleep(40 * SECOND).await;
        Ok(script(&[(1, "a")]))
    })
    .await;
    assert_eq!(
        (started.elapsed(), res.status()),
        (15 * SECOND, StatusCode::OK)
    );
    assert_eq!(res.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(told(res).await.unwrap(), format!("{PING}{PING}a"));
    assert_eq!(started.elapsed(), 41 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_head_sent_early_has_what_was_said_by_then() {
    const WORD: http::HeaderName = http::HeaderName::from_static("x-tierway-cascade");
    let service =
        ServiceBuilder::new()
            .layer(layer())
            .service_fn(|req: chat::Request| async move {
                let say = |word| EarlyHead::say(&req, WORD, HeaderValue::from_static(word));
                say("undecided");
                sleep(10 * SECOND).await;
                say("deferred");
                sleep(10 * SECOND).await;
                say("too late");
                Ok::<_, BoxError>(script(&[(1, "a")]))
            });
    let res = service.oneshot(messages_request(STREAM)).await.unwrap();
    assert_eq!(res.headers()[WORD], "deferred");
    assert_eq!(res.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(told(res).await.unwrap(), format!("{PING}a"));
}

// Cases 17 and 14 of the field's list: signs of life are bounded by whoever keeps the provider's time.
#[tokio::test(start_paused = true)]
async fn a_dead_provider_is_still_noticed() {
    let res = ask(STREAM, || async {
        sleep(20 * SECOND).await;
        Err::<chat::Response, BoxError>(Refusal::new(Kind::Timeout, "no answer").into())
    })
    .await;
    assert_eq!(told(res).await.unwrap_err(), format!("{PING}no answer"));
    let res = ask(STREAM, || async { Ok(script(&[(1, "a"), (20, "!")])) }).await;
    assert_eq!(
        told(res).await.unwrap_err(),
        format!("a{PING}silent for too long")
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_refusal_becomes_the_error_event() {
    let res = ask(STREAM, || async {
        sleep(20 * SECOND).await;
        let no = Refusal::new(Kind::RateLimit, "slow down");
        Ok(no.into_response(tierway_services::dialect::Dialect::Messages))
    })
    .await;
    let event = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow down\"}}\n\n";
    assert_eq!(told(res).await.unwrap(), format!("{PING}{event}"));
}

#[tokio::test(start_paused = true)]
async fn a_late_whole_answer_becomes_a_stream() {
    const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":3}}"#;
    let res = ask(STREAM, || async {
        sleep(20 * SECOND).await;
        Ok(reply(MESSAGE))
    })
    .await;
    let told = told(res).await.unwrap();
    assert!(
        told.starts_with(PING) && told.contains("message_stop"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_whole_answer_waits_for_it() {
    let service = ServiceBuilder::new()
        .layer(layer())
        .service_fn(|_: chat::Request| async {
            sleep(100 * SECOND).await;
            Ok::<_, BoxError>(reply("yes"))
        });
    let req = chat_request(r#"{"model":"m","messages":[]}"#);
    let res = service.oneshot(req).await.unwrap();
    assert_eq!(told(res).await.unwrap(), "yes");
}

#[tokio::test(start_paused = true)]
async fn an_interval_of_zero_turns_it_off() {
    let service = ServiceBuilder::new()
        .layer(KeepAliveLayer::new(Duration::ZERO))
        .service_fn(|_: chat::Request| async { Ok::<_, BoxError>(script(&[(100, "a")])) });
    let res = service.oneshot(messages_request(STREAM)).await.unwrap();
    assert_eq!(told(res).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_takes_the_call_along() {
    let gone = std::sync::Arc::new(());
    let held = gone.clone();
    let res = ask(STREAM, move || {
        let held = held.clone();
        async move {
            let _held = held;
            pending().await
        }
    })
    .await;
    // The service's own copy, and the one in the future.
    let before = std::sync::Arc::strong_count(&gone);
    drop(res);
    assert!(std::sync::Arc::strong_count(&gone) < before);
}

#[tokio::test]
async fn is_not_ready_when_the_inner_is_not() {
    let (mut svc, mut handle) = mock::spawn_layer::<chat::Request, chat::Response, _>(layer());
    handle.allow(0);
    assert_pending!(svc.poll_ready());
    handle.allow(1);
    assert_ready_ok!(svc.poll_ready());
    let mut fut = task::spawn(svc.call(messages_request(STREAM)));
    assert_pending!(fut.poll());
}
