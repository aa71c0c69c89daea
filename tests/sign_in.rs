//! How users of a client that signs in come to their tokens.
use crate::support::{Answer, Gateway, Upstream, issuer::Issuer, two_formats};
use http::Method;
use serde_json::{Value, json};
use std::path::Path;

/// The word of Argon2id for "correct horse", with little work.
fn hash() -> String {
    use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};
    let little = Params::new(8, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, little);
    argon2.hash_password(b"correct horse").unwrap().to_string()
}

const FORM: &str = "application/x-www-form-urlencoded";

fn settings(folder: &Path, more: &str) -> String {
    let (folder, hash) = (folder.display(), hash());
    format!(
        r#"
[access]
file = "{folder}/access.db"
[ledger]
enabled = false
[sign_in]
enabled = true
settings = "{folder}/settings.json"
[sign_in.users.ann]
password_hash = "{hash}"
tenant = "staff"
{more}"#
    )
}

async fn form(gw: &Gateway, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let headers = [("content-type", FORM), ("sec-fetch-site", "same-origin")];
    gw.call(Method::POST, path, &headers, body).await
}

async fn get(gw: &Gateway, path: &str, headers: &[(&str, &str)]) -> Answer {
    gw.call(Method::GET, path, headers, "").await
}

/// Begins: the device's code and the user's.
async fn begin(gw: &Gateway) -> (String, String) {
    let told = form(gw, "/oauth/device_authorization", &[("surface", "cli")]).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let told = told.json();
    assert_eq!(told["interval"], 5);
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    let code = text("user_code");
    assert!(text("verification_uri_complete").ends_with(&format!("/device?user_code={code}")));
    (text("device_code"), code)
}

async fn ask(gw: &Gateway, device_code: &str) -> Answer {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    form(
        gw,
        "/oauth/token",
        &[("grant_type", grant), ("device_code", device_code)],
    )
    .await
}

async fn renew(gw: &Gateway, token: &str) -> Answer {
    form(
        gw,
        "/oauth/token",
        &[("grant_type", "refresh_token"), ("refresh_token", token)],
    )
    .await
}

async fn call(gw: &Gateway, token: &str) -> u16 {
    let body = json!({"model": "a:text-x", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]});
    let bearer = format!("Bearer {token}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
    ];
    gw.call(Method::POST, "/v1/messages", &headers, body.to_string())
        .await
        .status
        .as_u16()
}

fn text<'a>(told: &'a Value, name: &str) -> &'a str {
    told[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name}: {told}"))
}

#[tokio::test]
async fn a_user_signs_in_with_a_password() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let gw = Gateway::start(&two_formats(&up, &settings(folder.path(), ""))).await;
    assert_eq!(call(&gw, "anything").await, 401);
    let told = get(&gw, "/.well-known/oauth-authorization-server", &[])
        .await
        .json();
    let base = format!("http://{}", gw.address);
    assert_eq!(told["issuer"], base);
    assert_eq!(told["token_endpoint"], format!("{base}/oauth/token"));
    let (device, code) = begin(&gw).await;
    assert_eq!(
        ask(&gw, &device).await.json()["error"],
        "authorization_pending"
    );
    assert_eq!(ask(&gw, &device).await.json()["error"], "slow_down");
    // Opening the page does nothing, and runs nothing.
    let page = get(&gw, &format!("/device?user_code={code}"), &[]).await;
    assert!(page.text().contains(&code) && !page.text().contains("<script"));
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    for (name, password) in [("ann", "wrong"), ("bob", "correct horse"), ("", "")] {
        let fields = [
            ("user_code", code.as_str()),
            ("username", name),
            ("password", password),
            ("do", "approve"),
        ];
        assert_eq!(form(&gw, "/device", &fields).await.status, 403);
    }
    let right = [
        ("user_code", code.as_str()),
        ("username", "ann"),
        ("password", "correct horse"),
        ("do", "approve"),
    ];
    // Another site's form is not heard.
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(right)
        .finish();
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
        ("x", "y"),
    ] {
        let headers = [("content-type", FORM), foreign];
        let answer = gw
            .call(Method::POST, "/device", &headers, body.clone())
            .await;
        assert_eq!(answer.status, 403, "{foreign:?}");
    }
    let done = form(&gw, "/device", &right).await;
    assert!(
        done.status == 200 && done.text().contains("Signed in"),
        "{}",
        done.text()
    );
    assert_eq!(form(&gw, "/device", &right).await.status, 404, "once");
    let told = ask(&gw, &device).await.json();
    assert_eq!(
        ask(&gw, &device).await.json()["error"],
        "expired_token",
        "once"
    );
    assert_eq!(
        (told["token_type"].as_str(), told["email"].as_str()),
        (Some("Bearer"), Some("ann"))
    );
    assert_eq!(told["expires_in"], 3600);
    let token = text(&told, "access_token");
    assert_eq!(call(&gw, token).await, 200);
    assert_eq!(call(&gw, &format!("{token}0")).await, 401);
    // Renewed once each; whoever shows one twice ends it.
    let second = renew(&gw, text(&told, "refresh_token")).await.json();
    assert_eq!(call(&gw, text(&second, "access_token")).await, 200);
    let stolen = renew(&gw, text(&told, "refresh_token")).await;
    assert_eq!(
        (
            stolen.status.as_u16(),
            stolen.json()["error"].as_str().unwrap().to_owned()
        ),
        (401, "invalid_grant".to_owned())
    );
    assert_eq!(renew(&gw, text(&second, "refresh_token")).await.status, 401);
}

#[tokio::test]
async fn what_a_client_asks_besides() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let gw = Gateway::start(&two_formats(&up, &settings(folder.path(), ""))).await;
    let (device, code) = begin(&gw).await;
    let right = [
        ("user_code", code.as_str()),
        ("username", "ann"),
        ("password", "correct horse"),
        ("do", "approve"),
    ];
    form(&gw, "/device", &right).await;
    let pass = ask(&gw, &device).await.json();
    let bearer = format!("Bearer {}", text(&pass, "access_token"));
    let known = ("authorization", bearer.as_str());
    assert_eq!(get(&gw, "/managed/settings", &[]).await.status, 401);
    assert_eq!(get(&gw, "/managed/settings", &[known]).await.status, 404);
    let file = folder.path().join("settings.json");
    std::fs::write(&file, r#"{"model": "auto"}"#).unwrap();
    let first = get(&gw, "/managed/settings", &[known]).await;
    let told = first.json();
    assert_eq!(first.status, 200);
    assert_eq!(told["settings"], json!({"model": "auto"}));
    assert_eq!(first.header("etag"), told["checksum"].to_string());
    assert!(told["uuid"].is_string());
    let tag = first.header("etag").to_owned();
    let same = get(&gw, "/managed/settings", &[known, ("if-none-match", &tag)]).await;
    assert_eq!((same.status.as_u16(), same.text()), (304, String::new()));
    // A policy does not vanish by a slip.
    std::fs::write(&file, "not JSON").unwrap();
    assert_eq!(
        get(&gw, "/managed/settings", &[known]).await.header("etag"),
        tag
    );
    for path in ["/v1/metrics", "/v1/logs", "/v1/traces"] {
        for kind in ["application/json", "application/x-protobuf"] {
            let headers = [known, ("content-type", kind)];
            let answer = gw.call(Method::POST, path, &headers, "{}").await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("content-type")),
                (200, kind)
            );
        }
        assert_eq!(gw.call(Method::POST, path, &[], "{}").await.status, 401);
    }
    let revoked = form(
        &gw,
        "/oauth/revoke",
        &[("token", text(&pass, "refresh_token"))],
    )
    .await;
    assert_eq!(revoked.status, 200);
    assert_eq!(renew(&gw, text(&pass, "refresh_token")).await.status, 401);
}

#[tokio::test]
async fn guessing_and_flooding_end_soon() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let gw = Gateway::start(&two_formats(&up, &settings(folder.path(), ""))).await;
    let (device, code) = begin(&gw).await;
    let denied = form(&gw, "/device", &[("user_code", &code), ("do", "deny")]).await;
    assert!(denied.text().contains("Denied"));
    assert_eq!(ask(&gw, &device).await.json()["error"], "access_denied");
    let mut begun = 1;
    let refused = loop {
        let told = form(&gw, "/oauth/device_authorization", &[]).await;
        if told.status != 200 {
            break told;
        }
        begun += 1;
    };
    assert_eq!((begun, refused.status.as_u16()), (30, 429));
    assert_eq!(refused.json()["error"], "slow_down");
    for tried in 0..12 {
        let page = get(&gw, "/device?user_code=BCDF-GHJK", &[]).await;
        assert_eq!(page.status.as_u16(), if tried < 10 { 404 } else { 429 });
    }
    let page = get(&gw, "/device?user_code=%3Cscript%3E", &[]).await;
    assert_eq!(page.status, 429);
}

#[tokio::test]
async fn a_user_signs_in_at_a_provider() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let issuer = Issuer::start().await;
    issuer.rotate("one", false);
    let oidc = format!(
        "[oidc.corp]\nissuer = \"{}\"\nclient_id = \"gateway\"\nclient_secret = \"s\"\ntenant = \"corp\"\n",
        issuer.url
    );
    let gw = Gateway::start(&two_formats(&up, &settings(folder.path(), &oidc))).await;
    let (device, code) = begin(&gw).await;
    let page = get(&gw, &format!("/device?user_code={code}"), &[])
        .await
        .text();
    assert!(
        page.contains(&format!("/device/oidc/corp?user_code={code}")),
        "{page}"
    );
    let there = get(&gw, &format!("/device/oidc/corp?user_code={code}"), &[]).await;
    assert_eq!(there.status, 303);
    let cookie = there
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    assert!(
        there
            .header("set-cookie")
            .contains("HttpOnly; SameSite=Lax")
    );
    let there = there.header("location").to_owned();
    assert!(there.starts_with(&format!("{}/authorize?", issuer.url)));
    let at = Gateway::at(issuer.url.strip_prefix("http://").unwrap().parse().unwrap());
    let back = get(&at, there.strip_prefix(&issuer.url).unwrap(), &[]).await;
    let back = back.header("location").to_owned();
    let back = back
        .strip_prefix(&format!("http://{}", gw.address))
        .unwrap()
        .to_owned();
    // Another browser, or another sign-in's state.
    assert_eq!(get(&gw, &back, &[]).await.status, 502);
    let other = back.replace("state=", "state=x");
    assert_eq!(get(&gw, &other, &[("cookie", &cookie)]).await.status, 502);
    let confirm = get(&gw, &back, &[("cookie", &cookie)]).await;
    assert!(
        confirm.text().contains("ann@example.com"),
        "{}",
        confirm.text()
    );
    // Nothing is decided before the click.
    assert_eq!(
        ask(&gw, &device).await.json()["error"],
        "authorization_pending"
    );
    let proof = confirm.text();
    let proof = proof
        .split("name=\"proof\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let (_, another) = begin(&gw).await;
    let wrong = [
        ("user_code", another.as_str()),
        ("proof", &proof),
        ("do", "approve"),
    ];
    assert_eq!(
        form(&gw, "/device", &wrong).await.status,
        403,
        "of this code alone"
    );
    let right = [
        ("user_code", code.as_str()),
        ("proof", &proof),
        ("do", "approve"),
    ];
    assert!(
        form(&gw, "/device", &right)
            .await
            .text()
            .contains("Signed in")
    );
    let told = ask(&gw, &device).await.json();
    assert_eq!(told["email"], "ann@example.com");
    assert_eq!(call(&gw, text(&told, "access_token")).await, 200);
    assert_eq!(
        get(&gw, "/device/oidc/nobody?user_code=x", &[])
            .await
            .status,
        404
    );
}
