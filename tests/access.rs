//! Keys that are made and ended while gateways run, tokens of others, and sign-ins.
use crate::support::{Answer, Gateway, Upstream, metrics, two_formats};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tierway::admin::{Admin, Readiness};
use tower::ServiceExt;

pub(crate) const ADMIN: &str = "0123456789abcdef";

pub(crate) fn settings(folder: &Path, more: &str) -> String {
    let folder = folder.display();
    format!(
        r#"
[access]
required = true
file = "{folder}/access.db"
[admin]
token = "{ADMIN}"
[ledger]
file = "{folder}/ledger.db"
[cache]
enabled = false
[affinity]
enabled = false
[prices."a:text-x"]
input = 0
output = 1000000
{more}"#
    )
}

/// Asks the admin port, in this process.
pub(crate) async fn admin(
    gw: &Gateway,
    method: Method,
    path: &str,
    token: &str,
    body: Value,
) -> (u16, Value) {
    let told = tierway::config::Access {
        admin_token: Some(tierway::services::providers::Secret::new(ADMIN)),
        ..tierway::config::Access::default()
    };
    let service =
        Admin::new(metrics(), Readiness::default()).access(&told, gw.stack().access().cloned());
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let req = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::<bytes::Bytes>::from(body))
        .unwrap();
    let (head, body) = service.oneshot(req).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (head.status.as_u16(), value)
}

async fn made(gw: &Gateway, terms: Value) -> (String, String) {
    let (status, told) = admin(gw, Method::POST, "/v1/keys", ADMIN, terms).await;
    assert_eq!(status, 201, "{told}");
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

async fn said(gw: &Gateway, key: &str, model: &str) -> Answer {
    let body =
        json!({"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]});
    let headers = [("content-type", "application/json"), ("x-api-key", key)];
    gw.call(Method::POST, "/v1/messages", &headers, body.to_string())
        .await
}

async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !check().await {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_key_lives_from_its_making_to_its_end() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let gw = Gateway::start(&two_formats(&up, &settings(folder.path(), ""))).await;
    let nobody = said(&gw, "sk-tw-aaaaaaaaaa-x", "a:text-x").await;
    assert_eq!(nobody.status, 401);
    let (status, _) = admin(
        &gw,
        Method::GET,
        "/v1/keys",
        "0123456789abcdeX",
        Value::Null,
    )
    .await;
    assert_eq!(status, 401);
    let (id, key) = made(
        &gw,
        json!({"tenant": "web", "tags": ["team:a"], "name": "ci"}),
    )
    .await;
    assert!(key.starts_with(&format!("sk-tw-{id}-")) && key.len() == 69);
    assert_eq!(said(&gw, &key, "a:text-x").await.status, 200);
    assert_eq!(
        said(&gw, &key[..key.len() - 1], "a:text-x").await.status,
        401
    );
    // Shown once, and nowhere else.
    let (_, all) = admin(&gw, Method::GET, "/v1/keys", ADMIN, Value::Null).await;
    let text = all.to_string();
    assert!(
        text.contains(&id) && !text.contains(&key[20..]) && !text.contains("digest"),
        "{text}"
    );
    // Another secret; the old one for a while, or not.
    let path = format!("/v1/keys/{id}/rotate");
    let (_, told) = admin(
        &gw,
        Method::POST,
        &path,
        ADMIN,
        json!({"grace_seconds": 60}),
    )
    .await;
    let second = told["key"].as_str().unwrap().to_owned();
    for key in [&key, &second] {
        assert_eq!(said(&gw, key, "a:text-x").await.status, 200);
    }
    let (_, told) = admin(&gw, Method::POST, &path, ADMIN, Value::Null).await;
    let third = told["key"].as_str().unwrap().to_owned();
    for (key, status) in [(&key, 401), (&second, 401), (&third, 200)] {
        assert_eq!(said(&gw, key, "a:text-x").await.status.as_u16(), status);
    }
    let one = format!("/v1/keys/{id}");
    let (status, told) = admin(&gw, Method::DELETE, &one, ADMIN, Value::Null).await;
    assert!(status == 200 && told["revoked"].is_number(), "{told}");
    assert_eq!(said(&gw, &third, "a:text-x").await.status, 401);
    let (status, _) = admin(&gw, Method::POST, &path, ADMIN, Value::Null).await;
    assert_eq!(status, 404, "ended for ever");
    for (method, path, body) in [
        (Method::POST, "/v1/keys", json!({"tenant": ""})),
        (
            Method::POST,
            "/v1/keys",
            json!({"tenant": "a", "budget": 1}),
        ),
    ] {
        assert_eq!(admin(&gw, method, path, ADMIN, body).await.0, 400);
    }
    // What calls leave behind.
    gw.close();
    let place = tierway::ledger::Place::File(folder.path().join("ledger.db"));
    let reader = tierway::ledger::Reader::open(&place).await.unwrap();
    let by = tierway::ledger::By::Key;
    let groups = reader.usage(by, &Default::default()).await.unwrap();
    assert!(
        groups.iter().any(|g| g.key == id && g.calls == 4),
        "{groups:?}"
    );
}

#[tokio::test]
async fn a_key_has_its_own_tiers_models_and_limits() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let gw = Gateway::start(&two_formats(&up, &settings(folder.path(), ""))).await;
    let (_, narrow) = made(
        &gw,
        json!({"tenant": "t", "tiers": ["simple"], "models": ["o:*"]}),
    )
    .await;
    assert_eq!(said(&gw, &narrow, "a:text-x").await.status, 403);
    let lowered = said(&gw, &narrow, "tierway/complex").await;
    assert_eq!(lowered.header("x-tierway-tier"), "simple");
    assert!(lowered.header("x-tierway-reason").contains("allowed:key"));
    let (_, two) = made(
        &gw,
        json!({"tenant": "t", "limits": {"requests_per_minute": 2}}),
    )
    .await;
    let (_, free) = made(&gw, json!({"tenant": "t"})).await;
    let mut statuses = Vec::new();
    for key in [&two, &two, &two, &free] {
        statuses.push(said(&gw, key, "a:text-x").await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 200]);
    let (_, short) = made(&gw, json!({"tenant": "t", "expires_in": 1})).await;
    assert_eq!(said(&gw, &short, "a:text-x").await.status, 200);
    eventually("it expires", async || {
        said(&gw, &short, "a:text-x").await.status == 401
    })
    .await;
}

#[tokio::test]
async fn a_key_gets_other_terms_and_keeps_its_secret() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let gw = Gateway::start(&two_formats(&up, &settings(folder.path(), ""))).await;
    let terms = json!({"tenant": "t", "models": ["o:*"], "tags": ["x"], "limits": {"requests_per_minute": 1, "usd_total": 9}});
    let (id, key) = made(&gw, terms).await;
    let path = format!("/v1/keys/{id}");
    let set = async |patch: Value| admin(&gw, Method::PATCH, &path, ADMIN, patch).await;
    let status = async || said(&gw, &key, "a:text-x").await.status.as_u16();
    assert_eq!(status().await, 403);
    let (code, told) = set(json!({"models": null, "limits": {"requests_per_minute": 100}})).await;
    assert_eq!(code, 200, "{told}");
    assert_eq!(
        (&told["limits"], &told["tags"], &told["models"]),
        (
            &json!({"requests_per_minute": 100, "usd_total": 9.0}),
            &json!(["x"]),
            &Value::Null
        )
    );
    // What was spent of the old rate comes back at the pace of the new one.
    eventually("the rate is higher", async || status().await == 200).await;
    set(json!({"limits": {"requests_per_minute": 1}})).await;
    assert_eq!(status().await, 429);
    let (code, told) = set(json!({"limits": null, "expires_in": 0})).await;
    assert!(code == 200 && told["expires"].is_number(), "{told}");
    assert_eq!(status().await, 401);
    let (_, told) = set(json!({"expires": null})).await;
    assert!(
        told["expires"].is_null() && told["limits"] == json!({}),
        "{told}"
    );
    assert_eq!(status().await, 200);
    for wrong in [
        json!({"tenant": "u"}),
        json!({"tiers": []}),
        json!({"limits": {"concurrent": -1}}),
        json!({"budget": 1}),
        json!([1]),
    ] {
        assert_eq!(set(wrong).await.0, 400);
    }
    admin(&gw, Method::DELETE, &path, ADMIN, Value::Null).await;
    assert_eq!(set(json!({"name": "late"})).await.0, 404);
}

#[tokio::test]
async fn another_gateway_heeds_what_this_one_changes() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let toml = two_formats(
        &up,
        &settings(folder.path(), "").replace("[ledger]\nfile", "[ledger]\nenabled = false\nfile"),
    );
    let (one, other) = (Gateway::start(&toml).await, Gateway::start(&toml).await);
    let (id, key) = made(&one, json!({"tenant": "web"})).await;
    let status = async || said(&other, &key, "a:text-x").await.status.as_u16();
    eventually("it is known", async || status().await == 200).await;
    let path = format!("/v1/keys/{id}");
    admin(&one, Method::DELETE, &path, ADMIN, Value::Null).await;
    let began = Instant::now();
    eventually("it is ended", async || status().await == 401).await;
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_budget_is_overspent_by_one_call_at_most_and_outlives_the_process() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let toml = two_formats(&up, &settings(folder.path(), ""));
    let gw = Gateway::start(&toml).await;
    // What one call costs: a dollar a token of its answer.
    let (probe, key) = made(&gw, json!({"tenant": "probe"})).await;
    assert_eq!(said(&gw, &key, "a:text-x").await.status, 200);
    let (id, key) = made(&gw, json!({"tenant": "web", "limits": {"usd_total": 40}})).await;
    let mut refused = 0;
    while refused < 3 {
        let all = (0..8).map(|_| said(&gw, &key, "a:text-x"));
        for answer in futures_util::future::join_all(all).await {
            refused +=
                u32::from(answer.status != 200 && answer.text().contains("spent its budget"));
        }
    }
    gw.close();
    let place = tierway::ledger::Place::File(folder.path().join("ledger.db"));
    let spent = tierway::ledger::spent(&place).await.unwrap();
    let total = |id: &str| spent[&format!("key:{id}")][2].as_dollars();
    let one = total(&probe);
    assert!(one > 0.0 && total(&id) >= 40.0, "{one} {}", total(&id));
    assert!(
        total(&id) < 40.0 + one,
        "{} of 40, {one} a call",
        total(&id)
    );
    drop(gw);
    let again = Gateway::start(&toml).await;
    let answer = said(&again, &key, "a:text-x").await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(answer.text().contains("spent its budget"));
}

#[tokio::test]
async fn an_open_gateway_still_refuses_a_key_that_was_ended() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let open = settings(folder.path(), "").replace("required = true", "required = false");
    let gw = Gateway::start(&two_formats(&up, &open)).await;
    let (id, key) = made(&gw, json!({"tenant": "web"})).await;
    for (key, status) in [(key.as_str(), 200), ("anything", 200)] {
        assert_eq!(said(&gw, key, "a:text-x").await.status.as_u16(), status);
    }
    admin(
        &gw,
        Method::DELETE,
        &format!("/v1/keys/{id}"),
        ADMIN,
        Value::Null,
    )
    .await;
    assert_eq!(said(&gw, &key, "a:text-x").await.status, 401);
}
