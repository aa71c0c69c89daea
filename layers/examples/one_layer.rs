//! One layer on somebody's own service: their axum handler answers model calls itself, and only wants to know how hard each one is.
//!
//! `cargo run -p tierway-layers --example one_layer`
#![expect(clippy::print_stdout, reason = "an example talks")]
use axum::{Router, body::Body};
use http::{Request, Response};
use std::{convert::Infallible, error::Error};
use tierway_layers::{
    classify::{ClassifyLayer, TierClassifier},
    decode::DecodeLayer,
    names::Names,
    recode::RecodeLayer,
};
use tierway_services::chat::Tier;
use tower::{ServiceBuilder, ServiceExt};

/// Their handler: plain HTTP in, plain HTTP out. The tier is among the notes that layers leave on a request.
async fn handler(req: Request<Body>) -> Result<Response<Body>, Infallible> {
    let tier = Tier::of(&req).map_or("unknown", Tier::as_str);
    Ok(Response::new(format!("a {tier} question").into()))
}

fn app() -> Router {
    let classified = ServiceBuilder::new() // runs top to bottom
        .layer(DecodeLayer::new(1024 * 1024)) // bytes become a prompt ...
        .layer(ClassifyLayer::new(TierClassifier::new(Names::default()))) // ... which the one layer reads ...
        .layer(RecodeLayer::<Body>::new()) // ... and the very same bytes again.
        .service_fn(handler);
    Router::new().route_service("/v1/chat/completions", classified)
}

async fn ask(text: &str) -> Result<String, Box<dyn Error>> {
    let body =
        serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": text}]});
    let req = Request::post("/v1/chat/completions").body(Body::from(body.to_string()))?;
    let answer = app().oneshot(req).await?.into_body();
    Ok(String::from_utf8(
        axum::body::to_bytes(answer, 1024).await?.into(),
    )?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    for text in ["hello", "Prove that the square root of 2 is irrational."] {
        println!("{text:?} is {}", ask(text).await?);
    }
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn the_handler_learns_the_tier() {
    assert_eq!(ask("hello").await.unwrap(), "a simple question");
    let proof = ask("Prove that the square root of 2 is irrational.").await;
    assert_eq!(proof.unwrap(), "a reasoning question");
}
