//! The whole stack in somebody's axum router: their routes stay theirs, and model calls are answered beside them.
//!
//! `cargo run -p tierway-layers --example axum_host` asks itself once; with an address, `... axum_host 127.0.0.1:3000`, it stays for you.
#![expect(clippy::print_stdout, reason = "an example talks")]
use axum::{
    Json, Router,
    routing::{get, post},
};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client as Http, rt::TokioExecutor};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use std::{error::Error, net::SocketAddr, time::Duration};
use tierway_layers::{
    auth::{AuthLayer, Key},
    bind::{BindLayer, Bindings, RetargetLayer},
    cascade::{CascadeLayer, Vetoes},
    classify::{ClassifyLayer, TierClassifier},
    decode::DecodeLayer,
    names::Names,
    prompt_cache::{Memory, PromptCacheLayer},
    rescue::RescueLayer,
    telemetry::TelemetryLayer,
};
use tierway_services::{
    Dispatch,
    chat::{Target, Tier},
    prices::PriceList,
    providers::{Kind, Provider},
    upstream::Client,
};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Their router, with two routes more. `models` is where some server of models listens.
fn app(models: SocketAddr, metrics: PrometheusHandle) -> Result<Router> {
    let local =
        Provider::new("local", Kind::OpenAiCompatible).base_url(&format!("http://{models}"))?;
    let dispatch = Dispatch::new([local], Client::new());
    let (small, big) = (Target::new("local", "small"), Target::new("local", "big"));
    let names = Names::new(["local"]);
    let bindings = Bindings::new(names.clone())
        .tier(Tier::Simple, small.clone())
        .tier(Tier::Complex, big);

    let prices = PriceList::empty().with_free_provider("local");
    let answers = Memory::new(64 * 1024 * 1024, Duration::from_secs(300));

    let draft = ServiceBuilder::new()
        .layer(RetargetLayer::new(small))
        .service(dispatch.clone());
    let chat = ServiceBuilder::new() // runs top to bottom
        .layer(TelemetryLayer::new(prices)) // counts it all
        .layer(RescueLayer::new()) // errors become answers
        .layer(AuthLayer::new([Key::new("sk-alice", "alice")])) // before a byte of the body is read
        .layer(DecodeLayer::new(32 * 1024 * 1024)) // bytes become a prompt
        .layer(ClassifyLayer::new(TierClassifier::new(names))) // how hard is it?
        .layer(BindLayer::new(bindings)) // so who answers?
        .layer(PromptCacheLayer::new(answers)) // has it been answered?
        .layer(CascadeLayer::new(draft, Vetoes::default())) // the small model first, where that may do
        .service(dispatch);

    Ok(Router::new()
        .route("/", get(|| async { "my own page" }))
        .route("/metrics", get(|| async move { metrics.render() }))
        .route_service("/v1/messages", chat.clone())
        .route_service("/v1/chat/completions", chat))
}

/// A stand-in for a server of models, such as llama.cpp's: it says who was asked.
fn models() -> Router {
    let answer = |Json(ask): Json<Value>| async move {
        let message = json!({"role": "assistant", "content": format!("{} speaking", ask["model"])});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        let usage = json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11});
        Json(json!({"model": ask["model"], "choices": [choice], "usage": usage}))
    };
    Router::new().route("/v1/chat/completions", post(answer))
}

/// Serves `app` until the program ends, and says where.
async fn serve(app: Router, address: &str) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let here = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(here)
}

/// Starts both, at `address` if any.
async fn start(address: &str) -> Result<SocketAddr> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder)?; // before the first call
    serve(
        app(serve(models(), "127.0.0.1:0").await?, metrics)?,
        address,
    )
    .await
}

const ASK: &str =
    r#"{"model":"auto","messages":[{"role":"user","content":"Prove that 2 is prime."}]}"#;

async fn send(to: SocketAddr, path: &str, body: &'static str) -> Result<String> {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let req = Request::builder()
        .method(method)
        .uri(format!("http://{to}{path}"))
        .header("authorization", "Bearer sk-alice")
        .body(Full::<Bytes>::from(body))?;
    let res = Http::builder(TokioExecutor::new())
        .build_http()
        .request(req)
        .await?;
    Ok(String::from_utf8(
        res.into_body().collect().await?.to_bytes().into(),
    )?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let here = start(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    println!(
        "curl http://{here}/v1/chat/completions -H 'authorization: Bearer sk-alice' -d '{ASK}'"
    );
    if address.is_some() {
        tokio::signal::ctrl_c().await?;
    } else {
        println!("{}", send(here, "/v1/chat/completions", ASK).await?);
    }
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn the_stack_answers_beside_their_own_page() {
    let here = start("127.0.0.1:0").await.unwrap();
    assert_eq!(send(here, "/", "").await.unwrap(), "my own page");
    let answer = send(here, "/v1/chat/completions", ASK).await.unwrap();
    assert!(answer.contains(r#"\"big\" speaking"#), "{answer}");
    let metrics = send(here, "/metrics", "").await.unwrap();
    assert!(
        metrics.contains(r#"tier="reasoning",provider="local",outcome="ok"} 1"#),
        "{metrics}"
    );
}
