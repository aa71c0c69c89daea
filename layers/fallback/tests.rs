use super::*;
use crate::{
    frames::Frames,
    testing::{ask, body, reply},
};
use http::StatusCode;
use std::{convert::Infallible, sync::Mutex, time::Duration};
use tierway_services::chat::{Cause, Declined, Kind, Notes, Refusal, Reply, Response};
use tower::{ServiceBuilder, ServiceExt};

fn status(code: u16) -> Response {
    let mut res = reply("{}");
    *res.status_mut() = StatusCode::from_u16(code).unwrap();
    res
}

fn call() -> chat::Request {
    let mut req = ask("m", "hi");
    Notes::of_mut(&mut req).target = Some(Target::new("a", "x"));
    // The first again is no other.
    let others = ["a:x", "b:y", "c:z"].map(|t| t.parse().unwrap());
    Notes::of_mut(&mut req).alternatives = Some(Alternatives::new(others));
    req
}

/// Who was asked, and what came of it, where each target answers as `answer` has it.
async fn asked(
    req: chat::Request,
    answer: impl Fn(&str) -> Result<Response, BoxError> + Clone + Send + Sync + 'static,
) -> (Vec<String>, Outcome) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = asked.clone();
    let service = ServiceBuilder::new()
        .layer(FallbackLayer::new())
        .service_fn(move |req: chat::Request| {
            let target = Target::of(&req).unwrap().to_string();
            note.lock().unwrap().push(target.clone());
            std::future::ready(answer(&target))
        });
    let outcome = service.oneshot(req).await;
    let asked = asked.lock().unwrap().clone();
    (asked, outcome)
}

#[tokio::test]
async fn the_next_is_asked_where_one_fails() {
    for failing in [401, 403, 404, 408, 429, 500, 503, 529] {
        let (asked, res) = asked(call(), move |target| {
            Ok(if target == "c:z" {
                reply("z")
            } else {
                status(failing)
            })
        })
        .await;
        assert_eq!(asked, ["a:x", "b:y", "c:z"]);
        let res = res.unwrap();
        let word = res.headers()["x-tierway-fallback"].to_str().unwrap();
        assert!(word.starts_with("2; from=a:x; reason="), "{word}");
        assert_eq!(
            res.extensions().get::<FellBack>(),
            Some(&FellBack(Target::new("a", "x")))
        );
        assert_eq!(body(res).await, "z");
    }
    let (asked, res) = asked(call(), |target| match target {
        "a:x" => {
            let refusal = Refusal::new(Kind::Upstream, "gone").with_cause(Cause::Unreachable);
            Err(refusal.into())
        }
        _ => Ok(reply("y")),
    })
    .await;
    assert_eq!(asked, ["a:x", "b:y"]);
    assert_eq!(
        res.unwrap().headers()["x-tierway-fallback"],
        "1; from=a:x; reason=unreachable"
    );
}

#[tokio::test]
async fn the_requests_own_faults_are_nobody_elses() {
    for fault in [400, 413, 422] {
        let (asked, res) = asked(call(), move |_| Ok(status(fault))).await;
        assert_eq!((asked.len(), res.unwrap().status().as_u16()), (1, fault));
    }
    let mut req = call();
    req.headers_mut()
        .insert("authorization", "Bearer own".parse().unwrap());
    let (asked, _) = asked(req, |_| Ok(status(401))).await;
    assert_eq!(asked, ["a:x"]);
}

#[tokio::test]
async fn where_all_fail_the_last_provider_has_the_word() {
    let (asked, res) = asked(call(), |target| {
        let mut res = status(if target == "b:y" { 529 } else { 503 });
        if target == "c:z" {
            res.extensions_mut().insert(Declined);
        }
        Ok(res)
    })
    .await;
    assert_eq!(asked.len(), 3);
    let res = res.unwrap();
    assert_eq!(res.status().as_u16(), 529);
    assert!(res.headers().contains_key("x-tierway-fallback"));
    let (_, res) = self::asked(call(), |target| Err(target.to_owned().into())).await;
    assert_eq!(res.unwrap_err().to_string(), "c:z");
}

#[tokio::test]
async fn a_stream_that_breaks_before_it_has_begun_fails_over_and_no_other() {
    let events = |body: Frames| Ok(Response::new(Reply::stream(body)));
    let (who, res) = asked(call(), move |target| match target {
        "a:x" => events(Frames::of([]).then_fail("reset")),
        _ => events(Frames::of(["data: 1\n\n"]).then_fail("late")),
    })
    .await;
    assert_eq!(who, ["a:x", "b:y"]);
    use http_body_util::BodyExt;
    let mut stream = res.unwrap().into_body();
    let first = stream.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "data: 1\n\n");
    assert_eq!(
        stream.frame().await.unwrap().unwrap_err().to_string(),
        "late"
    );
}

#[tokio::test]
async fn alone_or_too_late_there_is_no_fallback() {
    let mut alone = call();
    Notes::of_mut(&mut alone).alternatives = None;
    let (who, res) = asked(alone, |_| Ok(status(500))).await;
    assert_eq!(who, ["a:x"]);
    assert!(!res.unwrap().headers().contains_key("x-tierway-fallback"));
    let mut late = call();
    let past = std::time::Instant::now() - Duration::from_millis(1);
    Notes::of_mut(&mut late).deadline = Some(Deadline(past));
    let (who, _) = asked(late, |_| Ok(status(500))).await;
    assert_eq!(who, ["a:x"]);
}

#[tokio::test]
async fn a_head_that_went_out_early_tells_too() {
    let early = EarlyHead::default();
    let mut req = call();
    Notes::of_mut(&mut req).early = Some(early.clone());
    asked(req, |target| {
        Ok(if target == "a:x" {
            status(500)
        } else {
            reply("y")
        })
    })
    .await
    .1
    .unwrap();
    assert_eq!(
        early.said()["x-tierway-fallback"],
        "1; from=a:x; reason=server_error"
    );
}

#[tokio::test]
async fn failovers_are_heard_and_it_is_always_ready() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    let layer = FallbackLayer::new().on_fallback(move |over| {
        ear.lock()
            .unwrap()
            .push(format!("{} {} {}", over.from, over.to, over.reason));
    });
    let service = ServiceBuilder::new()
        .layer(layer)
        .service_fn(|_: chat::Request| async { Ok::<_, Infallible>(status(429)) });
    service.oneshot(call()).await.unwrap();
    let expected = ["a:x b:y rate_limited", "b:y c:z rate_limited"];
    assert_eq!(*heard.lock().unwrap(), expected);
    let (mut service, mut handle) =
        tower_test::mock::spawn_layer::<chat::Request, Response, _>(FallbackLayer::new());
    handle.allow(0);
    tokio_test::assert_ready_ok!(service.poll_ready());
}
