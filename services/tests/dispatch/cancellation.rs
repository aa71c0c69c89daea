//! Whoever drops a call hangs up on the provider.
use super::*;
use crate::upstream::{Act, chunk, head};
use http_body_util::BodyExt;
use tierway_services::chat::AttemptEnd;

#[tokio::test]
async fn dropping_the_future_hangs_up() {
    let upstream = Upstream::start(|_| vec![Act::Hang]).await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    let Ask { req, journal } = ask("/v1/chat/completions", CHAT);
    let call = dispatch.oneshot(req);
    tokio::select! {
        _ = call => panic!("the upstream does not answer"),
        () = upstream.asked() => {}
    }
    upstream.hung_up().await;
    let attempts = journal.read(|e| e.attempts.clone());
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].end, AttemptEnd::Cancelled);
    // One arm of two: what it read may be billed.
    assert!(attempts[0].estimated && attempts[0].usage.unwrap().input > 0);
}

#[tokio::test]
async fn dropping_the_body_hangs_up() {
    let upstream = Upstream::start(|_| {
        vec![
            Act::Send(head("text/event-stream") + &chunk(CHUNKS[0])),
            Act::Hang,
        ]
    })
    .await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    let Ask { req, journal } = ask("/v1/chat/completions", CHAT_STREAM);
    let response = dispatch.oneshot(req).await.unwrap();
    let mut body = response.into_body();
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame, CHUNKS[0]);
    assert!(journal.read(|e| e.attempts.is_empty()));
    drop(body);
    let attempts = journal.read(|e| e.attempts.clone());
    assert_eq!(
        (attempts.len(), attempts[0].end),
        (1, AttemptEnd::Cancelled)
    );
    assert!(attempts[0].estimated && attempts[0].usage.unwrap().output > 0);
    upstream.hung_up().await;
}
