//! Tokens that an identity provider signs.
use crate::support::{
    Gateway, Upstream,
    issuer::{Issuer, seconds},
    two_formats,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use http::Method;
use ring::hmac;
use serde_json::{Value, json};

async fn gateway(up: &Upstream, issuer: &Issuer, more: &str) -> Gateway {
    let toml = format!(
        "[oidc.corp]\nissuer = \"{}\"\naudience = [\"tierway\"]\ntenant = \"staff\"\ntenant_claim = \"team\"\nmodels_claim = \"models\"\n{more}\n[cache]\nenabled = false\n",
        issuer.url
    );
    Gateway::start(&two_formats(up, &toml)).await
}

async fn status(gw: &Gateway, token: &str) -> u16 {
    let body = json!({"model": "a:text-x", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]});
    let bearer = format!("Bearer {token}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
    ];
    let answer = gw
        .call(Method::POST, "/v1/messages", &headers, body.to_string())
        .await;
    answer.status.as_u16()
}

#[tokio::test]
async fn a_token_admits_if_everything_fits() {
    let (up, issuer) = (Upstream::start().await, Issuer::start().await);
    issuer.rotate("one", false);
    let gw = gateway(&up, &issuer, "").await;
    let sign = |more: Value| issuer.sign(&issuer.claims(more));
    let now = seconds();
    for (more, expected) in [
        (json!({}), 200),
        (json!({"aud": ["other", "tierway"]}), 200),
        (json!({"exp": now - 30}), 200),
        (json!({"exp": now - 90}), 401),
        (json!({"exp": "soon"}), 401),
        (json!({"exp": null}), 401),
        (json!({"nbf": now + 30}), 200),
        (json!({"nbf": now + 600}), 401),
        (json!({"nbf": "never"}), 401),
        (json!({"aud": "other"}), 401),
        (json!({"iss": "http://127.0.0.1:1"}), 401),
        (json!({"team": 7}), 401),
        (json!({"models": ["a:*"]}), 200),
        (json!({"models": "o:*"}), 403),
        (json!({"models": {"a": 1}}), 401),
    ] {
        assert_eq!(status(&gw, &sign(more.clone())).await, expected, "{more}");
    }
    let token = sign(json!({}));
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = rest.split_once('.').unwrap();
    let other = BASE64.encode(issuer.claims(json!({"team": "root"})).to_string());
    let none = BASE64.encode(r#"{"alg":"none"}"#);
    for forged in [
        format!("{header}.{other}.{signature}"),
        format!("{header}.{claims}."),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        "eyJ".to_owned(),
        format!("eyJ{}", "x".repeat(20_000)),
    ] {
        assert_eq!(status(&gw, &forged).await, 401);
    }
    assert_eq!(issuer.asked(), 1, "its keys are kept");
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let (up, issuer) = (Upstream::start().await, Issuer::start().await);
    issuer.rotate("one", false);
    // A key of the symmetric kind is published by mistake.
    issuer
        .publish(json!({"kty": "oct", "kid": "oct", "k": BASE64.encode("secret"), "alg": "HS256"}));
    let gw = gateway(&up, &issuer, "").await;
    let claims = BASE64.encode(issuer.claims(json!({})).to_string());
    let public = issuer.sign(&issuer.claims(json!({})));
    assert_eq!(status(&gw, &public).await, 200);
    for (kid, secret) in [("one", "one"), ("oct", "secret")] {
        for algorithm in ["HS256", "ES256"] {
            let header = BASE64.encode(json!({"alg": algorithm, "kid": kid}).to_string());
            let text = format!("{header}.{claims}");
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let signature = BASE64.encode(hmac::sign(&key, text.as_bytes()));
            assert_eq!(status(&gw, &format!("{text}.{signature}")).await, 401);
        }
    }
}

#[tokio::test]
async fn keys_are_exchanged_without_anybody_noticing_and_nobody_can_make_us_ask_forever() {
    let (up, issuer) = (Upstream::start().await, Issuer::start().await);
    issuer.rotate("one", true);
    let gw = gateway(&up, &issuer, "").await;
    let old = issuer.sign(&issuer.claims(json!({})));
    assert_eq!(status(&gw, &old).await, 200);
    issuer.rotate("two", false);
    let new = issuer.sign(&issuer.claims(json!({})));
    // Just asked: it is left alone for a moment, and then the new key admits at once.
    assert_eq!(status(&gw, &new).await, 401);
    for _ in 0..20 {
        assert_eq!(status(&gw, &new).await, 401);
    }
    assert_eq!(issuer.asked(), 1);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(status(&gw, &new).await, 200);
    assert_eq!(status(&gw, &old).await, 401, "the old key is gone");
    assert_eq!(issuer.asked(), 2);
}
