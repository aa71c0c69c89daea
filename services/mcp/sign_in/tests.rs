//! Against a scripted server of tokens. A real one is in tests/mcp.
use super::{session::example, *};
use crate::{mcp::SignIn, upstream::Client};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tokio::sync::Notify;

/// What is answered at each path, and what was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<HashMap<String, (u16, String)>>,
    asked: Mutex<Vec<(String, String)>>,
    /// Told of each question; where `slow`, an answer waits for `go`.
    came: Notify,
    slow: bool,
    go: Notify,
}

impl Script {
    fn answer(&self, path: &str, status: u16, body: &str) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(path.to_owned(), (status, body.to_owned()));
    }
    fn asked(&self, path: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let of = asked.iter().filter(|(at, _)| at == path);
        of.map(|(_, body)| body.clone()).collect()
    }
    async fn reply(&self, req: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = req.uri().path().to_owned();
        let body = req.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.asked.lock().unwrap().push((path.clone(), body));
        self.came.notify_one();
        if self.slow {
            self.go.notified().await;
        }
        let answer = self.answers.lock().unwrap().get(&path).cloned();
        let (status, body) = answer.unwrap_or((404, String::new()));
        let mut res = Response::builder().status(status);
        if status == 401 {
            res = res.header("www-authenticate", "Bearer scope=\"tools\"");
        }
        res.body(Full::from(body)).unwrap()
    }
}

async fn serve(slow: bool) -> (Arc<Script>, String) {
    let script = Arc::new(Script {
        slow,
        ..Script::default()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let there = script.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let script = there.clone();
            let service = service_fn(move |req| {
                let script = script.clone();
                async move { Ok::<_, Infallible>(script.reply(req).await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (script, base)
}

/// A sign-in at `base` that is to be renewed, and where it is kept.
async fn old(base: &str, folder: &tempfile::TempDir) -> (Session, Place) {
    let session = Session {
        token_endpoint: format!("{base}/token"),
        renew: Some(1),
        ..example()
    };
    let place = Place::new(folder.path(), "tickets");
    place.put(&session).await.unwrap();
    (session, place)
}

fn keep(folder: &tempfile::TempDir) -> Keep {
    Keep::new(&SignIn::new(folder.path()), "tickets", &example().url)
}

const FRESH: &str = r#"{"access_token":"secret-a2","token_type":"bearer","expires_in":"600","refresh_token":"secret-r2"}"#;

#[tokio::test]
async fn a_token_is_renewed_once_however_many_ask() {
    let folder = tempfile::tempdir().unwrap();
    let (script, base) = serve(false).await;
    script.answer("/token", 200, FRESH);
    let (_, place) = old(&base, &folder).await;
    // Two gateways of one machine, each with several calls.
    let (one, other, client) = (keep(&folder), keep(&folder), Client::new());
    let (a, b, c) = tokio::join!(one.token(&client), one.token(&client), other.token(&client));
    for token in [a, b, c] {
        assert_eq!(token.unwrap().unwrap().expose(), "secret-a2");
    }
    let asked = script.asked("/token");
    assert_eq!(asked.len(), 1, "{asked:?}");
    for part in [
        "grant_type=refresh_token",
        "refresh_token=secret-r&",
        "resource=http%3A%2F%2F127.0.0.1%3A1%2Fmcp",
        "client_id=c&client_secret=secret-c",
    ] {
        assert!(asked[0].contains(part), "{}", asked[0]);
    }
    let kept = place.get().unwrap().unwrap();
    assert_eq!(kept.refresh_token.unwrap().expose(), "secret-r2");
    // What the server does not take is renewed though it is not old.
    let bad = one.token(&client).await.unwrap().unwrap();
    script.answer("/token", 200, r#"{"access_token":"secret-a3"}"#);
    one.refuse(&bad);
    let token = one.token(&client).await.unwrap().unwrap();
    assert_eq!(token.expose(), "secret-a3");
    assert!(script.asked("/token")[1].contains("refresh_token=secret-r2&"));
}

#[tokio::test]
async fn what_renews_is_not_lost_with_a_caller() {
    let folder = tempfile::tempdir().unwrap();
    let (script, base) = serve(true).await;
    script.answer("/token", 200, FRESH);
    let (_, place) = old(&base, &folder).await;
    let (keep, client) = (keep(&folder), Client::new());
    tokio::select! {
        token = keep.token(&client) => panic!("{token:?}"),
        () = script.came.notified() => {}
    }
    script.go.notify_one();
    let token = keep.token(&client).await.unwrap().unwrap();
    assert_eq!(token.expose(), "secret-a2");
    assert_eq!(script.asked("/token").len(), 1);
    let kept = place.get().unwrap().unwrap();
    assert_eq!(kept.refresh_token.unwrap().expose(), "secret-r2");
}

#[tokio::test]
async fn a_sign_in_that_has_ended_waits_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let (script, base) = serve(false).await;
    script.answer(
        "/token",
        400,
        r#"{"error":"invalid_grant","error_description":"secret-r is old"}"#,
    );
    let (session, place) = old(&base, &folder).await;
    let (keep, client) = (keep(&folder), Client::new());
    let since = keep.since();
    for _ in 0..2 {
        let why = keep.token(&client).await.unwrap_err();
        assert_eq!(why, "the sign-in has ended");
    }
    assert_eq!(script.asked("/token").len(), 1);
    let cure = keep.want().unwrap().cure;
    assert_eq!(cure, "run `tierway mcp login tickets`");
    assert!(place.get().unwrap().unwrap().has_ended());
    assert_eq!(keep.since(), since, "it is still the same");

    let again = Session {
        since: 2,
        renew: None,
        ..session
    };
    place.put(&again).await.unwrap();
    keep.changed(since).await;
    let token = keep.token(&client).await.unwrap().unwrap();
    assert_eq!(token.expose(), "secret-a");
    place.take().await.unwrap();
    assert_eq!(keep.token(&client).await, Ok(None));
}

#[tokio::test]
async fn a_token_is_used_to_its_end_while_it_cannot_be_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let (script, base) = serve(false).await;
    script.answer("/token", 503, "");
    let (session, place) = old(&base, &folder).await;
    let (keep, client) = (keep(&folder), Client::new());
    let token = keep.token(&client).await.unwrap().unwrap();
    assert_eq!(token.expose(), "secret-a");
    let session = Session {
        expires: Some(2),
        ..session
    };
    place.put(&session).await.unwrap();
    let why = keep.token(&client).await.unwrap_err();
    assert!(why.contains("cannot be renewed now"), "{why}");
    assert_eq!(keep.want(), None);
    assert!(!place.get().unwrap().unwrap().has_ended());
}

#[tokio::test]
async fn a_token_goes_to_no_other_server() {
    let folder = tempfile::tempdir().unwrap();
    let (_, base) = serve(false).await;
    old(&base, &folder).await;
    let moved = Keep::new(
        &SignIn::new(folder.path()),
        "tickets",
        "http://127.0.0.1:1/mcp2",
    );
    let why = moved.token(&Client::new()).await.unwrap_err();
    assert_eq!(why, "the sign-in is for another address");
}

fn metadata(base: &str, change: &[(&str, &str)]) -> String {
    let mut told = serde_json::json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "registration_endpoint": format!("{base}/register"),
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["tools", "offline_access"],
    });
    for (name, value) in change {
        told[*name] = (*value).into();
    }
    told.to_string()
}

const SERVER: &str = "/.well-known/oauth-authorization-server";
const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";

#[tokio::test]
async fn a_sign_in_from_the_challenge_to_the_tokens() {
    let (script, base) = serve(false).await;
    let url = format!("{base}/mcp");
    script.answer("/mcp", 401, "");
    script.answer(RESOURCE, 200, &format!(r#"{{"resource":"{url}","authorization_servers":["{base}"],"scopes_supported":["other"]}}"#));
    script.answer(SERVER, 200, &metadata(&base, &[]));
    script.answer(
        "/register",
        201,
        r#"{"client_id":"c 1","client_secret":"secret-c","token_endpoint_auth_method":"client_secret_basic"}"#,
    );
    script.answer("/token", 200, FRESH);
    let client = Client::new();
    let target = discover(&client, &url, &[]).await.unwrap().unwrap();
    // The challenge counts for more than the metadata; and one wants to stay signed in.
    assert_eq!(target.scope.as_deref(), Some("tools offline_access"));
    let wanted = SignIn::new("/nowhere");
    let back = "http://127.0.0.1:2/callback";
    let attempt = Attempt::begin(&client, target, &wanted, back)
        .await
        .unwrap();
    let registered = &script.asked("/register")[0];
    assert!(
        registered.contains(back) && registered.contains(r#""token_endpoint_auth_method":"none""#)
    );
    let state = attempt.url().split_once("state=").unwrap().1;
    let state = state.split('&').next().unwrap();
    let answer = format!("{back}?code=x%2Fy&state={state}");
    let session = attempt.finish(&answer).await.unwrap();
    let asked = &script.asked("/token")[0];
    // The client's name and secret are in a header.
    assert!(!asked.contains("client_"), "{asked}");
    for part in ["code=x%2Fy", "code_verifier=", "resource=", "redirect_uri="] {
        assert!(asked.contains(part), "{asked}");
    }
    assert!(session.is_for(&url) && session.is_renewed() && !session.has_ended());
    assert_eq!(session.issuer(), base);
}

#[tokio::test]
async fn whom_not_to_trust() {
    let (script, base) = serve(false).await;
    let url = format!("{base}/mcp");
    let client = Client::new();
    let asked = || discover(&client, &url, &[]);
    script.answer("/mcp", 200, "{}");
    assert_eq!(asked().await, Ok(None), "it lets anybody in");
    script.answer("/mcp", 500, "");
    assert!(asked().await.unwrap_err().contains("500"));
    script.answer("/mcp", 401, "");
    assert!(
        asked()
            .await
            .unwrap_err()
            .contains("does not tell its endpoints")
    );
    // As the first editions had it: the server itself, without metadata of its own.
    script.answer(SERVER, 200, &metadata(&base, &[]));
    assert!(asked().await.unwrap().is_some());
    for (changed, why) in [
        (("issuer", "http://127.0.0.1:1"), "calls itself"),
        (("code_challenge_methods_supported", "plain"), "PKCE"),
        (
            ("token_endpoint", "http://evil.example/token"),
            "no https token_endpoint",
        ),
        (
            ("authorization_endpoint", "javascript:1"),
            "no https authorization_endpoint",
        ),
    ] {
        script.answer(SERVER, 200, &metadata(&base, &[changed]));
        let told = asked().await.unwrap_err();
        assert!(told.contains(why), "{told}");
    }
    script.answer(SERVER, 200, &metadata(&base, &[]));
    for (resource, why) in [
        (
            r#"{"resource":"http://other.example/mcp"}"#,
            "another server",
        ),
        (
            r#"{"authorization_servers":["http://evil.example"]}"#,
            "not an https address",
        ),
    ] {
        script.answer(RESOURCE, 200, resource);
        let told = asked().await.unwrap_err();
        assert!(told.contains(why), "{told}");
    }
}
