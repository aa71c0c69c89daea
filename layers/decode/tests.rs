use super::*;
use crate::frames::Frames;
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, Limited};
use std::convert::Infallible;
use tierway_services::chat::Notes;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::ServiceExt;
use tower_test::mock;

const CHAT: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"auto","messages":[],"stream":true}"#;

type Seen = Result<chat::Request, (StatusCode, String)>;

/// What the inner service sees of a request, if it sees it.
async fn decoded<B>(layer: DecodeLayer, req: Request<B>) -> Seen
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let (inner, mut handle) = mock::pair::<chat::Request, chat::Response>();
    handle.allow(1);
    let mut answer = task::spawn(layer.layer(inner).oneshot(req));
    let (head, body) = match answer.poll() {
        Poll::Pending => return Ok(handle.next_request().await.unwrap().0),
        Poll::Ready(res) => res.unwrap().into_parts(),
    };
    let body = body.collect().await.unwrap().to_bytes();
    Err((head.status, String::from_utf8(body.to_vec()).unwrap()))
}

fn post(path: &str, body: &str) -> Request<Full<Bytes>> {
    Request::post(path)
        .body(Full::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn one_frame_is_not_copied() {
    let body = Bytes::from_static(BODY.as_bytes());
    let req = Request::post(CHAT).body(Full::new(body.clone())).unwrap();
    let seen = decoded(DecodeLayer::new(1024), req).await.unwrap();
    assert_eq!(seen.body().raw().as_ptr(), body.as_ptr());
}

#[tokio::test]
async fn several_frames_become_one() {
    let parts = [&BODY[..7], "", &BODY[7..20], &BODY[20..]];
    let req = Request::post(CHAT).body(Frames::of(parts)).unwrap();
    let seen = decoded(DecodeLayer::new(BODY.len()), req).await.unwrap();
    assert_eq!(seen.body().raw(), BODY);
}

#[tokio::test]
async fn the_path_tells_dialect_and_operation() {
    let layer = DecodeLayer::new(1024);
    for (path, dialect, operation) in [
        (
            "/v1/messages?beta=true",
            Dialect::Messages,
            Operation::Generate,
        ),
        (
            "/v1/messages/count_tokens",
            Dialect::Messages,
            Operation::CountTokens,
        ),
        (CHAT, Dialect::ChatCompletions, Operation::Generate),
    ] {
        let seen = decoded(layer, post(path, BODY)).await.unwrap();
        let facts = seen.body().facts();
        assert_eq!((facts.dialect, facts.operation), (dialect, operation));
    }
    let (status, _) = decoded(layer, post("/mine", BODY)).await.unwrap_err();
    assert_eq!(status, StatusCode::NOT_FOUND);
    let named = layer.dialect(Dialect::Messages);
    let seen = decoded(named, post("/mine", BODY)).await.unwrap();
    assert_eq!(seen.body().facts().dialect, Dialect::Messages);
}

#[tokio::test]
async fn the_journal_learns_what_was_asked() {
    let journal = Journal::default();
    let mut req = post(CHAT, BODY);
    Notes::of_mut(&mut req).journal = Some(journal.clone());
    decoded(DecodeLayer::new(1024), req).await.unwrap();
    journal.read(|e| {
        assert_eq!(
            (e.requested_model.as_deref(), e.stream),
            (Some("auto"), true)
        )
    });
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_unread() {
    struct Unread;
    impl Body for Unread {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            panic!("must not be read")
        }
    }
    let req = Request::post("/v1/messages").header("content-length", 2 * 1024 * 1024 + 1);
    let layer = DecodeLayer::new(2 * 1024 * 1024);
    let (status, body) = decoded(layer, req.body(Unread).unwrap()).await.unwrap_err();
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        body,
        r#"{"type":"error","error":{"type":"request_too_large","message":"request body is over 2 MiB"}}"#
    );
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_is_refused() {
    for parts in [[BODY, ""], [&BODY[..20], &BODY[20..]]] {
        let req = Request::post(CHAT).body(Frames::of(parts)).unwrap();
        let no = decoded(DecodeLayer::new(BODY.len() - 1), req).await;
        assert_eq!(no.unwrap_err().0, StatusCode::PAYLOAD_TOO_LARGE);
    }
    // A smaller limit of the host's own tells the same.
    let limited = Limited::new(Frames::of([BODY]), 9);
    let req = Request::post(CHAT).body(limited).unwrap();
    let no = decoded(DecodeLayer::new(1024), req).await;
    assert_eq!(no.unwrap_err().0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let layer = DecodeLayer::new(1024);
    let cut = Request::post(CHAT).body(Frames::of(["{"]).then_fail("reset"));
    let gzip = Request::post(CHAT).header("content-encoding", "gzip");
    let get = Request::get(CHAT).body(Empty::<Bytes>::new()).unwrap();
    for (no, status, message) in [
        (decoded(layer, post(CHAT, "[]")).await, 400, "JSON object"),
        (decoded(layer, post(CHAT, "")).await, 400, "EOF"),
        (decoded(layer, cut.unwrap()).await, 400, "read to its end"),
        (
            decoded(layer, gzip.body(Full::from(BODY)).unwrap()).await,
            415,
            "content-encoding",
        ),
        (decoded(layer, get).await, 405, "POST"),
    ] {
        let (got, body) = no.unwrap_err();
        assert_eq!(got.as_u16(), status, "{body}");
        assert!(body.contains(message), "{body}");
    }
}

#[tokio::test]
async fn the_ready_instance_is_the_one_that_is_called() {
    let (mut decode, mut handle) =
        mock::spawn_layer::<chat::Request, chat::Response, _>(DecodeLayer::new(1024));
    handle.allow(0);
    assert_pending!(decode.poll_ready::<Request<Full<Bytes>>>());
    handle.allow(1);
    assert_ready_ok!(decode.poll_ready::<Request<Full<Bytes>>>());
    // The mock panics where an instance that was not polled ready is called.
    let mut answer = task::spawn(decode.call(post(CHAT, BODY)));
    assert_pending!(answer.poll());
    assert_pending!(
        decode.poll_ready::<Request<Full<Bytes>>>(),
        "readiness was spent"
    );
    let (_, answerer) = handle.next_request().await.unwrap();
    answerer.send_error("down");
    assert_eq!(
        assert_ready!(answer.poll()).unwrap_err().to_string(),
        "down"
    );
}
