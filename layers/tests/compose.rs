//! The layers together, as a host composes them, around a leaf that needs no network.
#![expect(clippy::unwrap_used, reason = "tests unwrap")]
use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::{convert::Infallible, time::Duration};
use tierway_layers::{
    auth::{AuthLayer, Key},
    bind::{BindLayer, Bindings, RetargetLayer},
    cascade::{CascadeLayer, Draft, Verdict, confidence_fn},
    classify::{ClassifyLayer, TierClassifier},
    decode::DecodeLayer,
    names::Names,
    prompt_cache::{Memory, PromptCacheLayer},
    recode::RecodeLayer,
    rescue::RescueLayer,
    telemetry::TelemetryLayer,
};
use tierway_services::{
    chat::{self, Kind, Refusal, Reply, Target, Tenant, Tier},
    prices::PriceList,
};
use tower::{Service, ServiceBuilder, ServiceExt};

/// A stack must fit where hosts put it: a route of axum's, a task, a connection.
fn fits<S, R>(stack: S) -> S
where
    S: Service<R> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    stack
}

/// A leaf that says which model was asked, and refuses for `down`.
async fn leaf(req: chat::Request) -> Result<chat::Response, Refusal> {
    let target = Target::of(&req)
        .map(ToString::to_string)
        .unwrap_or_default();
    if target == "local:down" {
        return Err(Refusal::new(Kind::Upstream, "local is down"));
    }
    let answer =
        serde_json::json!({"choices": [{"message": {"content": target}, "finish_reason": "stop"}]});
    Ok(Response::new(Reply::whole(answer.to_string())))
}

/// The whole stack, with a host's route beside it.
fn host() -> Router {
    let names = Names::new(["local"]);
    let bindings = Bindings::new(names.clone())
        .tier(Tier::Simple, Target::new("local", "small"))
        .tier(Tier::Complex, Target::new("local", "big"));
    let small = ServiceBuilder::new()
        .layer(RetargetLayer::new(Target::new("local", "small")))
        .service_fn(leaf);
    let never = confidence_fn(|_: &Draft<'_>| Verdict::new(0.0, "test"));
    let stack = ServiceBuilder::new()
        .layer(TelemetryLayer::new(PriceList::empty()))
        .layer(RescueLayer::new())
        .layer(AuthLayer::new([Key::new("sk-alice", "alice")]))
        .layer(DecodeLayer::new(64 * 1024))
        .layer(ClassifyLayer::new(TierClassifier::new(names)))
        .layer(BindLayer::new(bindings))
        .layer(PromptCacheLayer::new(Memory::new(
            1024 * 1024,
            Duration::from_secs(60),
        )))
        .layer(CascadeLayer::new(small, never))
        .service_fn(leaf);
    let stack = fits::<_, Request<Body>>(stack);
    Router::new()
        .route("/mine", get(|| async { "mine" }))
        .route_service("/v1/messages", stack.clone())
        .route_service("/v1/chat/completions", stack)
}

async fn ask(path: &str, key: &str, model: &str) -> (StatusCode, String) {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
    let req = Request::post(path).header("x-api-key", key);
    let res = host()
        .oneshot(req.body(Body::from(body)).unwrap())
        .await
        .unwrap();
    let status = res.status();
    let body = res.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_whole_stack_answers_inside_axum() {
    for path in ["/v1/messages", "/v1/chat/completions"] {
        for (model, expected) in [
            ("auto", "local:small"),
            ("tierway/complex", "local:big"),
            ("local:any", "local:any"),
        ] {
            let (status, body) = ask(path, "sk-alice", model).await;
            assert_eq!(status, StatusCode::OK);
            assert!(body.contains(expected), "{model}: {body}");
        }
    }
    let mine = Request::get("/mine").body(Body::empty()).unwrap();
    assert_eq!(host().oneshot(mine).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn each_layer_refuses_in_the_callers_words() {
    for (key, model, status) in [
        ("sk-eve", "auto", 401),
        ("sk-alice", "nobody-knows", 404),
        ("sk-alice", "local:down", 502),
    ] {
        let (got, body) = ask("/v1/messages", key, model).await;
        assert_eq!(got.as_u16(), status, "{body}");
        assert!(body.starts_with(r#"{"type":"error","error":{"#), "{body}");
        let (got, body) = ask("/v1/chat/completions", key, model).await;
        assert_eq!(got.as_u16(), status, "{body}");
        assert!(body.starts_with(r#"{"error":{"message":"#), "{body}");
    }
}

#[tokio::test]
async fn one_layer_wraps_a_plain_handler() {
    async fn handler(req: Request<Body>) -> Response<Body> {
        let tier = Tier::of(&req).map_or("none", Tier::as_str);
        let sent = req.into_body().collect().await.unwrap().to_bytes();
        Response::new(format!("{tier} {}", sent.len()).into())
    }
    let classified = ServiceBuilder::new()
        .layer(DecodeLayer::new(1024))
        .layer(ClassifyLayer::new(TierClassifier::new(Names::default())))
        .layer(RecodeLayer::<Body>::new())
        .service_fn(|req| async { Ok::<_, Infallible>(handler(req).await) });
    let app = Router::new().route_service("/v1/messages", fits::<_, Request<Body>>(classified));
    let body = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;
    let req = Request::post("/v1/messages")
        .body(Body::from(body))
        .unwrap();
    let res = app.oneshot(req).await.unwrap();
    assert_eq!(res.headers()["x-tierway-tier"], "simple");
    let body = res.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "simple 60");
}

#[tokio::test]
async fn every_edge_layer_wraps_any_service_alone() {
    async fn handler(req: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
        let tenant = Tenant::of(&req).map_or("nobody", Tenant::as_str).to_owned();
        Ok(Response::new(tenant.into()))
    }
    type Req = Request<Full<Bytes>>;
    let req = || {
        Request::post("/")
            .header("x-api-key", "sk-alice")
            .body(Full::default())
    };
    let plain = tower::service_fn(handler);
    fits::<_, Req>(
        ServiceBuilder::new()
            .layer(TelemetryLayer::new(PriceList::empty()))
            .service(plain),
    );
    fits::<_, Req>(
        ServiceBuilder::new()
            .layer(RescueLayer::new())
            .service(plain),
    );
    let auth = ServiceBuilder::new()
        .layer(AuthLayer::new(["sk-alice"]))
        .service(plain);
    let res = fits::<_, Req>(auth).oneshot(req().unwrap()).await.unwrap();
    assert_eq!(
        res.into_body().collect().await.unwrap().to_bytes(),
        "default"
    );
}
