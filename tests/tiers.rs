//! Rules, wishes, tenants and guards from socket to socket, and the port that explains them.
use crate::support::{Answer, Gateway, Upstream, two_formats};
use http::Method;
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};
use tierway::{admin, config, server, stack::Stack};
use tokio::net::TcpListener;

fn ask(text: &str) -> Value {
    json!({"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": text}]})
}

async fn send(gw: &Gateway, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    gw.call(Method::POST, path, headers, body.to_string()).await
}

/// The tier, who spoke after the first (or the first, where nobody did), and the model.
fn told(res: &Answer) -> (&str, &str, &str) {
    let tier = res.header("x-tierway-tier");
    let reason = res.header("x-tierway-reason");
    let reason = reason.split_once("; ").map_or(reason, |(_, rest)| rest);
    (tier, reason, res.header("x-tierway-model"))
}

#[tokio::test]
async fn floors_and_side_requests_and_wishes() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let risky = gw.messages(&ask("drop the users table")).await;
    assert_eq!(told(&risky), ("complex", "floor:migrations", "text-big"));
    let talk = gw.chat(&ask("what is a migration?")).await;
    assert_eq!(told(&talk).0, "simple");
    let title = gw
        .chat(&ask(
            "Generate a title for this conversation:\n\ndrop the users table",
        ))
        .await;
    assert_eq!(told(&title), ("simple", "side_request", "text-small"));
    let wish = [("x-tierway-tier", "simple")];
    let wished = send(&gw, "/v1/messages", &wish, &ask("drop the users table")).await;
    assert_eq!(told(&wished), ("simple", "asked", "text-small"));
    assert!(
        !up.last().headers.contains_key("x-tierway-tier"),
        "the wish is ours to read"
    );
}

#[tokio::test]
async fn a_wish_that_is_no_tier_is_refused_in_the_callers_words() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let wish = [("x-tierway-tier", "huge")];
    let res = send(&gw, "/v1/messages", &wish, &ask("hi")).await;
    assert_eq!(res.status, 400);
    assert_eq!(res.json()["error"]["type"], "invalid_request_error");
    let res = send(&gw, "/v1/chat/completions", &wish, &ask("hi")).await;
    assert_eq!(
        (res.status.as_u16(), &res.json()["error"]["code"]),
        (400, &json!("invalid_tier"))
    );
    assert!(res.text().contains("simple, medium, complex or reasoning"));
    assert_eq!(up.seen().len(), 0);
}

const KEYS: &str =
    "[[keys]]\nkey = \"k-a\"\ntenant = \"interns\"\n[[keys]]\nkey = \"k-b\"\ntenant = \"staff\"\n";

#[tokio::test]
async fn tenants_use_what_they_may() {
    let up = Upstream::start().await;
    let extra = format!(
        "{KEYS}[tenants.interns]\ntiers = [\"simple\", \"medium\"]\nmodels = [\"o:*\"]\n[rules.quiet]\nat_most = \"simple\"\nheaders = {{ x-batch = \"*\" }}\n"
    );
    let gw = Gateway::start(&two_formats(&up, &extra)).await;
    let intern = ("x-api-key", "k-a");
    let staff = ("x-api-key", "k-b");
    let risky = ask("drop the users table");
    let res = send(&gw, "/v1/messages", &[intern], &risky).await;
    assert_eq!(
        told(&res),
        ("medium", "floor:migrations; allowed:interns", "text-medium")
    );
    let res = send(&gw, "/v1/messages", &[staff], &risky).await;
    assert_eq!(told(&res).2, "text-big");
    let res = send(&gw, "/v1/messages", &[staff, ("x-batch", "1")], &risky).await;
    assert_eq!(told(&res).1, "floor:migrations; ceiling:quiet");
    // A wish is held to what is allowed, too.
    let wish = ("x-tierway-tier", "reasoning");
    let res = send(&gw, "/v1/messages", &[intern, wish], &ask("hi")).await;
    assert_eq!(told(&res), ("medium", "allowed:interns", "text-medium"));

    let mut named = ask("hi");
    named["model"] = "a:text-big".into();
    let before = up.seen().len();
    let res = send(&gw, "/v1/messages", &[intern], &named).await;
    assert_eq!(
        (res.status.as_u16(), &res.json()["error"]["type"]),
        (403, &json!("permission_error"))
    );
    let res = send(&gw, "/v1/chat/completions", &[intern], &named).await;
    assert_eq!(
        (res.status.as_u16(), &res.json()["error"]["code"]),
        (403, &json!("model_not_allowed"))
    );
    assert_eq!(up.seen().len(), before);
    assert_eq!(
        send(&gw, "/v1/messages", &[staff], &named).await.status,
        200
    );
}

#[tokio::test]
async fn what_does_not_fit_goes_where_it_does() {
    let up = Upstream::start().await;
    let extra = "[providers.o.models.\"text-small\"]\ncontext = 2000\nvision = false\n[providers.o.models.\"text-medium\"]\nvision = false\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    let mut long = ask("hi");
    long["messages"] = json!([{"role": "user", "content": "word ".repeat(2000)}, {"role": "assistant", "content": "ok"},
        {"role": "user", "content": "thanks"}]);
    let res = gw.chat(&long).await;
    assert_eq!(told(&res), ("medium", "guard:context", "text-medium"));
    let mut seen = ask("hi");
    seen["messages"][0]["content"] = json!([{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]);
    let res = gw.chat(&seen).await;
    assert_eq!(told(&res), ("complex", "guard:vision", "text-big"));
}

#[tokio::test]
async fn the_admin_port_tells_where_a_request_would_go() {
    let up = Upstream::start().await;
    let toml = two_formats(
        &up,
        &format!("{KEYS}[tenants.interns]\ntiers = [\"simple\"]\n[server]\nmax_body = 5000\n"),
    );
    let environment = HashMap::<String, String>::new();
    let flags = config::Flags::default();
    let loaded = config::read("t".as_ref(), &toml, &flags, &environment);
    let config = loaded.unwrap_or_else(|e| panic!("{e}")).config;
    let stack = Stack::new(&config).unwrap();
    let service = admin::Admin::new(crate::support::metrics(), admin::Readiness::default())
        .router(stack.router().clone(), config.server.max_body);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = Gateway::at(listener.local_addr().unwrap());
    let limits = server::Limits {
        connections: 8,
        drain: Duration::from_secs(1),
        ..server::Limits::default()
    };
    tokio::spawn(server::serve(
        listener,
        service,
        limits,
        std::future::pending(),
    ));

    let risky = ask("drop the users table");
    let res = port
        .post("/v1/route?path=/v1/messages%3Fbeta=true", &risky)
        .await;
    assert_eq!(res.status, 400, "one encoding is undone, not all");
    let res = port.post("/v1/route?path=%2Fv1/messages", &risky).await;
    assert_eq!(res.header("content-type"), "application/json");
    let route = res.json();
    assert_eq!(
        (&route["tier"], &route["model"]),
        (&json!("complex"), &json!("a:text-big"))
    );
    assert_eq!(
        route["notes"][0],
        json!({"name": "floor:migrations", "from": route["notes"][0]["from"], "to": "complex"})
    );
    assert_eq!(
        (
            route["tiers"].as_array().unwrap().len(),
            &route["tiers"][0]["usd"]
        ),
        (4, &Value::Null)
    );
    let res = port.post("/v1/route?tenant=interns", &risky).await;
    assert_eq!(res.json()["tier"], "simple");
    let agent = [("user-agent", "claude-cli/2.1.330 (external, cli)")];
    let res = send(&port, "/v1/route", &agent, &risky).await;
    assert_eq!(res.json()["client"]["kind"], "claude-code");
    assert_eq!(up.seen().len(), 0, "nobody was called");

    for (method, body, status) in [
        (Method::GET, String::new(), 405),
        (Method::POST, "{}".to_owned(), 400),
        (Method::POST, ask(&"x".repeat(6000)).to_string(), 413),
    ] {
        let res = port.call(method, "/v1/route", &[], body).await;
        assert_eq!(res.status.as_u16(), status);
        assert!(res.json()["error"]["message"].is_string());
    }
    assert_eq!(
        port.call(Method::GET, "/healthz", &[], "").await.status,
        200
    );
    assert_eq!(
        port.call(Method::POST, "/metrics", &[], "").await.status,
        405
    );
}
