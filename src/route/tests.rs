//! What is told of a request, and how it may be handed in.
use super::*;
use crate::{config, labels::tiers};
use http::HeaderMap;
use serde_json::{Value, json};
use std::collections::HashMap;
use tierway_layers::classify::TierModel;
use tierway_services::{chat::Kind, dialect::Dialect};

fn router() -> Router {
    let toml = "
        [providers.cloud]
        kind = 'anthropic'
    api_key = 'k'
        [providers.local]
        kind = 'ollama'
        [providers.odd]
        kind = 'openai-compatible'
        base_url = 'http://127.0.0.1:1'
        [tiers]
        simple = 'local:small'
        medium = 'odd:nobody-prices-this'
        complex = 'cloud:claude-opus-5-5'
        [[keys]]
        key = 'k'
        tenant = 'interns'
        [tenants.interns]
        models = ['local:*']
        ";
    let environment = HashMap::<String, String>::new();
    let config = config::read("t".as_ref(), toml, &config::Flags::default(), &environment)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config;
    Router::new(&config, &stack::providers(&config).unwrap())
}

fn route(tenant: Option<&str>, body: &Value) -> Route {
    let body = body.to_string().into();
    router().route(request(None, HeaderMap::new(), tenant, body).unwrap())
}

fn ask(text: &str) -> Value {
    json!({"model": "auto", "max_tokens": 2000, "messages": [{"role": "user", "content": text}]})
}

#[test]
fn all_that_is_told() {
    let told = route(None, &ask("drop the users table"));
    insta::assert_snapshot!("route", told.to_string());
    let json = told.json();
    assert_eq!(
        (&json["tier"], &json["model"]),
        (&json!("complex"), &json!("cloud:claude-opus-5-5"))
    );
    assert_eq!(json["notes"][0]["name"], "floor:migrations");
    assert_eq!(json["tiers"][0]["usd"], 0.0);
    assert_eq!(json["tiers"][1]["usd"], Value::Null);
    let tokens = json["prompt_tokens"].as_f64().unwrap();
    let price = (tokens * 4.0 + 1000.0 * 20.0) / 1e6;
    assert!((json["tiers"][2]["usd"].as_f64().unwrap() - price).abs() < 1e-9);
    assert!(json["tiers"][2]["usd_at_most"].as_f64().unwrap() > price);
}

#[test]
fn a_tenant_and_a_named_model() {
    let held = route(Some("interns"), &ask("drop the users table"));
    assert_eq!(
        held.target.as_ref().map(ToString::to_string),
        Ok("local:small".to_owned())
    );
    let named = json!({"model": "cloud:x", "messages": [{"role": "user", "content": "hi"}]});
    let refused = route(Some("interns"), &named).json();
    assert_eq!(refused["refused"]["code"], "model_not_allowed");
    assert_eq!(refused["tier"], Value::Null);
    let free = route(None, &named);
    assert!(free.to_string().starts_with("tier      none"), "{free}");
}

#[test]
fn what_was_learned_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tiers");
    tiers::write(&file, &TierModel::shipped().with_revision(4)).unwrap();
    let toml = format!("[labels]\ntiers_model = '{}'", file.display());
    let environment = HashMap::<String, String>::new();
    let read = config::read("t".as_ref(), &toml, &config::Flags::default(), &environment);
    let router = Router::new(&read.unwrap().config, &[]);
    let body = ask("Write a function").to_string().into();
    let told = router.route(request(None, HeaderMap::new(), None, body).unwrap());
    assert_eq!(told.json()["learned"]["revision"], 4);
    let text = told.to_string();
    assert!(
        text.contains("learned   from 0 labels, revision 4"),
        "{text}"
    );
}

#[test]
fn dialects_by_path_and_by_shape() {
    let dialect = |path: Option<&str>, body: Value| {
        let req = request(path, HeaderMap::new(), None, body.to_string().into());
        req.map(|req| req.body().facts().dialect)
            .map_err(|no| no.kind())
    };
    let plain = || json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}]});
    let with = |field: &str, value: Value| {
        let mut body = plain();
        body[field] = value;
        body
    };
    assert_eq!(dialect(None, plain()), Ok(Dialect::ChatCompletions));
    assert_eq!(
        dialect(Some("/v1/messages?beta=true"), plain()),
        Ok(Dialect::Messages)
    );
    assert_eq!(
        dialect(None, with("system", json!("x"))),
        Ok(Dialect::Messages)
    );
    assert_eq!(
        dialect(
            None,
            with("tools", json!([{"name": "f", "input_schema": {}}]))
        ),
        Ok(Dialect::Messages)
    );
    assert_eq!(
        dialect(None, json!({"model": "auto", "input": "hi"})),
        Ok(Dialect::Responses)
    );
    let row = json!({"id": "x", "path": "/v1/messages", "headers": {"user-agent": "claude-cli/1"}, "request": plain()});
    assert_eq!(dialect(None, row), Ok(Dialect::Messages));
    assert_eq!(dialect(Some("/v2"), plain()), Err(Kind::InvalidRequest));
    assert_eq!(dialect(None, json!([])), Err(Kind::InvalidRequest));
}
