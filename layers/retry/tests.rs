use super::*;
use crate::{
    frames::Frames,
    testing::{ask, body, chat_request, messages_request, reply, request},
};
use http::StatusCode;
use tierway_services::{
    chat::{Alternatives, Cause, Deadline, Kind, Notes, Refusal, Reply, Response, Role},
    dialect::Dialect,
};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower_test::mock::{self, Handle, SendResponse, Spawn};

type Handled = Handle<chat::Request, Response>;

fn pair(layer: RetryLayer) -> (Spawn<Retry<mock::Mock<chat::Request, Response>>>, Handled) {
    mock::spawn_layer(layer)
}

fn status(code: u16, headers: &[(&'static str, &'static str)]) -> Response {
    let mut res = reply("{}");
    *res.status_mut() = StatusCode::from_u16(code).unwrap();
    for (name, value) in headers {
        res.headers_mut().insert(*name, value.parse().unwrap());
    }
    res
}

fn failed(cause: Cause) -> Refusal {
    Refusal::new(Kind::Upstream, "p failed").with_cause(cause)
}

/// How often `req` was asked, how long that took, and what came of it, where each attempt ends as `answer` has it.
async fn asked(
    layer: RetryLayer,
    req: chat::Request,
    mut answer: impl FnMut(usize, SendResponse<Response>),
) -> (usize, Duration, Result<Response, BoxError>) {
    let (mut service, mut handle) = pair(layer);
    assert_ready_ok!(service.poll_ready());
    let started = Instant::now();
    let call = service.call(req);
    let mut attempts = 0;
    let answering = async {
        while let Some((_, send)) = handle.next_request().await {
            answer(attempts, send);
            attempts += 1;
        }
    };
    let outcome = tokio::select! { outcome = call => outcome, () = answering => unreachable!() };
    (attempts, started.elapsed(), outcome)
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_asked_again_and_answers() {
    for code in [408, 409, 429, 500, 502, 503, 504, 529] {
        let (attempts, took, res) = asked(RetryLayer::new(2), ask("m", "hi"), |n, send| {
            send.send_response(if n < 2 {
                status(code, &[])
            } else {
                reply("yes")
            });
        })
        .await;
        assert_eq!((attempts, body(res.unwrap()).await.as_str()), (3, "yes"));
        // 250 ms and 500 ms, and at most as much again.
        let bounds = Duration::from_millis(750)..Duration::from_millis(1510);
        assert!(bounds.contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_requests_own_faults_and_what_would_fail_again_are_not() {
    for code in [200, 400, 401, 403, 404, 413, 422, 501] {
        let (attempts, ..) = asked(RetryLayer::new(2), ask("m", "hi"), |_, send| {
            send.send_response(status(code, &[]));
        })
        .await;
        assert_eq!(attempts, 1, "{code}");
    }
    for (cause, times) in [
        (Cause::Unreachable, 3),
        (Cause::ConnectTimeout, 3),
        (Cause::Cut, 3),
        (Cause::Stale, 3),
        (Cause::FirstByteTimeout, 1),
        (Cause::Nonsense, 1),
        (Cause::Misconfigured, 1),
    ] {
        let (attempts, _, res) = asked(RetryLayer::new(2), ask("m", "hi"), |_, send| {
            send.send_error(failed(cause));
        })
        .await;
        assert_eq!(attempts, times, "{cause:?}");
        assert!(Refusal::of(&*res.unwrap_err()).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_was_closed_costs_no_pause() {
    let (attempts, took, res) = asked(RetryLayer::new(1), ask("m", "hi"), |n, send| {
        if n == 0 {
            send.send_error(failed(Cause::Stale));
        } else {
            send.send_response(reply("yes"));
        }
    })
    .await;
    assert_eq!((attempts, took), (2, Duration::ZERO));
    assert_eq!(res.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn what_would_leave_something_twice_is_asked_again_only_where_nothing_was_done() {
    let stored = chat_request(r#"{"model":"m","store":true,"messages":[]}"#);
    let responses = |store: &str| {
        request(
            Dialect::Responses,
            &format!(r#"{{"model":"m","input":"hi"{store}}}"#),
        )
    };
    for (req, times) in [
        (stored, 1),
        (
            chat_request(r#"{"model":"m","store":false,"messages":[]}"#),
            2,
        ),
        (responses(""), 1),
        (responses(r#","store":false"#), 2),
        (
            messages_request(r#"{"model":"m","max_tokens":1,"messages":[]}"#),
            2,
        ),
    ] {
        for (cause, code) in [(Some(Cause::Cut), 0), (Some(Cause::Stale), 0), (None, 500)] {
            let (attempts, ..) = asked(RetryLayer::new(1), req.clone(), |_, send| match cause {
                Some(cause) => send.send_error(failed(cause)),
                None => send.send_response(status(code, &[])),
            })
            .await;
            assert_eq!(attempts, times, "{cause:?} {code}");
        }
        let (attempts, ..) = asked(RetryLayer::new(1), req, |_, send| {
            send.send_response(status(529, &[]));
        })
        .await;
        assert_eq!(attempts, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_taken_at_its_word_within_reason() {
    for (headers, times, least) in [
        (&[("retry-after", "4")][..], 2, 4000),
        (&[("retry-after-ms", "3000"), ("retry-after", "7")], 2, 3000),
        (&[("retry-after", "6")], 1, 0),
        (&[("x-should-retry", "false")], 1, 0),
    ] {
        let (attempts, took, _) = asked(RetryLayer::new(1), ask("m", "hi"), |_, send| {
            send.send_response(status(429, headers));
        })
        .await;
        assert_eq!(attempts, times, "{headers:?}");
        assert!(took.as_millis() >= least && took.as_millis() < least + 600);
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_be_done_without_is_not_waited_for() {
    let answer =
        |n: usize, send: SendResponse<Response>, headers: &[(&'static str, &'static str)]| {
            send.send_response(if n == 0 {
                status(429, headers)
            } else {
                reply("yes")
            });
        };
    let mut draft = ask("m", "hi");
    Notes::of_mut(&mut draft).role = Role::Small;
    let (attempts, ..) = asked(RetryLayer::new(2), draft.clone(), |n, send| {
        answer(n, send, &[]);
    })
    .await;
    assert_eq!(attempts, 1);
    let (attempts, ..) = asked(RetryLayer::new(2), draft, |_, send| {
        send.send_error(failed(Cause::Stale));
    })
    .await;
    assert_eq!(attempts, 2);
    let mut req = ask("m", "hi");
    let other = Alternatives::new([Target::new("q", "n")]);
    Notes::of_mut(&mut req).alternatives = Some(other);
    for (after, times) in [("1", 2), ("2", 1)] {
        let headers = [("retry-after", after)];
        let (attempts, ..) = asked(RetryLayer::new(2), req.clone(), |n, send| {
            answer(n, send, &headers);
        })
        .await;
        assert_eq!(attempts, times, "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_that_would_come_too_late() {
    let mut req = ask("m", "hi");
    let until = Instant::now() + Duration::from_secs(2);
    Notes::of_mut(&mut req).deadline = Some(Deadline(until.into_std()));
    let layer = RetryLayer::new(9).backoff(Duration::from_secs(3), Duration::from_secs(3));
    let (attempts, took, _) = asked(layer, req, |_, send| {
        send.send_response(status(503, &[]));
    })
    .await;
    assert_eq!((attempts, took), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_asked_again_until_its_first_bytes_and_not_after() {
    let events = |body: Frames| {
        let mut res = Response::new(Reply::stream(body));
        let kind = http::HeaderValue::from_static("text/event-stream");
        res.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        res
    };
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
    let req = || messages_request(r#"{"model":"m","max_tokens":1,"stream":true,"messages":[]}"#);
    let (attempts, _, res) = asked(RetryLayer::new(2), req(), |n, send| {
        send.send_response(events(match n {
            0 => Frames::of([overloaded]),
            _ => Frames::of(["event: ping\ndata: {\"type\":\"ping\"}\n\n"]).then_fail("reset"),
        }));
    })
    .await;
    assert_eq!(attempts, 2);
    let res = res.unwrap();
    assert_eq!(res.status(), 200);
    use http_body_util::BodyExt;
    let mut stream = res.into_body();
    let first = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"event: ping"));
    assert_eq!(
        stream.frame().await.unwrap().unwrap_err().to_string(),
        "reset"
    );
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_is_asked_hardly_more_than_one_that_is_up() {
    let layer = RetryLayer::new(3).budget(0.2, 0);
    let (service, mut handle) = mock::pair::<chat::Request, Response>();
    let service = layer.layer(service);
    let attempts = tokio::spawn(async move {
        let mut attempts = 0;
        while let Some((_, send)) = handle.next_request().await {
            attempts += 1;
            send.send_response(status(503, &[]));
        }
        attempts
    });
    for _ in 0..100 {
        let mut req = ask("m", "hi");
        Notes::of_mut(&mut req).target = Some(Target::new("p", "m"));
        let res = tower::util::Oneshot::new(service.clone(), req).await;
        assert_eq!(res.unwrap().status(), 503);
    }
    drop(service);
    let attempts: u32 = attempts.await.unwrap();
    assert!((101..=121).contains(&attempts), "{attempts}");
}

#[tokio::test(start_paused = true)]
async fn retries_are_heard() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    let layer = RetryLayer::new(1).on_retry(move |retried| {
        let target = retried.target.map(ToString::to_string);
        ear.lock().unwrap().push((target, retried.reason));
    });
    let mut req = ask("m", "hi");
    Notes::of_mut(&mut req).target = Some(Target::new("p", "m"));
    asked(layer, req, |_, send| send.send_response(status(429, &[])))
        .await
        .2
        .unwrap();
    let expected = (Some("p:m".to_owned()), "rate_limited");
    assert_eq!(*heard.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn is_not_ready_when_the_inner_is_not_and_a_clone_is_not_ready() {
    let (mut service, mut handle) = pair(RetryLayer::new(2));
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    // A clone is not ready for having been made of a ready one.
    let mut other = service.clone();
    let mut call = task::spawn(service.call(ask("m", "hi")));
    assert_pending!(call.poll());
    assert_pending!(other.poll_ready());
}

#[tokio::test]
async fn whoever_leaves_ends_the_attempt() {
    let (mut service, mut handle) = pair(RetryLayer::new(2));
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(ask("m", "hi")));
    assert_pending!(call.poll());
    let (_, send) = handle.next_request().await.unwrap();
    drop(call);
    send.send_response(status(503, &[]));
    drop(service);
    assert!(handle.next_request().await.is_none());
}
