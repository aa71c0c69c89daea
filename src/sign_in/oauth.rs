//! What the client asks: where to begin, to begin, whether it is done, for another token.
use super::{Answer, SignIn, book, json, passes::Who, peer};
use crate::access::form_value;
use book::Stand;
use http::{HeaderValue, StatusCode, header, request::Parts};
use serde_json::{Value, json};

pub(super) const METADATA: &str = "/.well-known/oauth-authorization-server";
pub(super) const BEGIN: &str = "/oauth/device_authorization";
pub(super) const TOKEN: &str = "/oauth/token";
pub(super) const REVOKE: &str = "/oauth/revoke";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Where what is (RFC 8414).
pub(super) fn metadata(base: &str) -> Answer {
    let told = json!({
        "issuer": base,
        "device_authorization_endpoint": format!("{base}{BEGIN}"),
        "token_endpoint": format!("{base}{TOKEN}"),
        "revocation_endpoint": format!("{base}{REVOKE}"),
        "grant_types_supported": [DEVICE, "refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    });
    json(StatusCode::OK, &told)
}

/// A sign-in begins (RFC 8628, section 3.1).
pub(super) async fn begin(desk: &SignIn, head: &Parts) -> Answer {
    let peer = peer(head);
    if let Err(wait) = desk.0.begun.may(peer) {
        let mut res = no(
            StatusCode::TOO_MANY_REQUESTS,
            "slow_down",
            "too many sign-ins have begun here",
        );
        res.headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        return res;
    }
    desk.0.begun.failed(peer);
    let store = match desk.0.access.store().await {
        Ok(store) => store,
        Err(error) => return away(&error),
    };
    let base = desk.base(head);
    match book::begin(store, desk.0.told.max_pending).await {
        Ok(Some(begun)) => {
            let code = &begun.user_code;
            let told = json!({
                "device_code": begun.device_code,
                "user_code": code,
                "verification_uri": format!("{base}/device"),
                "verification_uri_complete": format!("{base}/device?user_code={code}"),
                "expires_in": book::CODE_TTL.as_secs(),
                "interval": book::INTERVAL.as_secs(),
            });
            json(StatusCode::OK, &told)
        }
        Ok(None) => no(
            StatusCode::TOO_MANY_REQUESTS,
            "slow_down",
            "too many sign-ins are under way",
        ),
        Err(error) => away(&error),
    }
}

/// Whether it is done, or another token for one that renews.
pub(super) async fn token(desk: &SignIn, head: &Parts, body: &[u8]) -> Answer {
    let store = match desk.0.access.store().await {
        Ok(store) => store,
        Err(error) => return away(&error),
    };
    let field = |name: &str| form_value(body, name).filter(|value| !value.is_empty());
    match (
        field("grant_type").as_deref(),
        field("device_code"),
        field("refresh_token"),
    ) {
        (Some(DEVICE), Some(code), _) => {
            let peer = peer(head);
            if desk.0.wrong.may(peer).is_err() {
                return no(StatusCode::BAD_REQUEST, "slow_down", "too many wrong codes");
            }
            match book::poll(store, &code).await {
                Ok(Stand::Pending) => pending("authorization_pending"),
                Ok(Stand::TooFast) => pending("slow_down"),
                Ok(Stand::Denied) => pending("access_denied"),
                Ok(Stand::Expired) => {
                    desk.0.wrong.failed(peer);
                    pending("expired_token")
                }
                Ok(Stand::Approved(who)) => {
                    tracing::info!(tenant = who.tenant, "somebody has signed in");
                    issue(desk, store, &who, None).await
                }
                Err(error) => away(&error),
            }
        }
        (Some("refresh_token"), _, Some(token)) => match book::renew(store, &token).await {
            Ok(Some((who, family))) if desk.0.passes.is_welcome(&who) => {
                issue(desk, store, &who, Some(family)).await
            }
            // As the client expects it of somebody who has left.
            Ok(_) => no(StatusCode::UNAUTHORIZED, "invalid_grant", "sign in again"),
            Err(error) => away(&error),
        },
        (Some(DEVICE | "refresh_token"), ..) => no(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "the code or token is missing",
        ),
        _ => no(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "a device_code or a refresh_token",
        ),
    }
}

async fn issue(
    desk: &SignIn,
    store: &crate::access::Store,
    who: &Who,
    family: Option<String>,
) -> Answer {
    if let Err(error) = desk.ready(store).await {
        return away(&error);
    }
    let refresh = match book::keep(store, who, family, desk.0.told.refresh_ttl).await {
        Ok(refresh) => refresh,
        Err(error) => return away(&error),
    };
    let Some(token) = desk.0.passes.issue(who) else {
        return no(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "try again",
        );
    };
    let mut told = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": desk.0.told.token_ttl.as_secs(),
        "refresh_token": refresh,
    });
    if let (Some(email), Some(fields)) = (&who.email, told.as_object_mut()) {
        fields.insert("email".to_owned(), Value::from(email.as_str()));
    }
    json(StatusCode::OK, &told)
}

/// Signs out; whoever shows a token that nobody knows has signed out already (RFC 7009).
pub(super) async fn revoke(desk: &SignIn, body: &[u8]) -> Answer {
    let token = form_value(body, "token").unwrap_or_default();
    let done = match desk.0.access.store().await {
        Ok(store) => book::revoke(store, &token).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => json(StatusCode::OK, &json!({})),
        Err(error) => away(&error),
    }
}

fn pending(error: &str) -> Answer {
    json(StatusCode::BAD_REQUEST, &json!({"error": error}))
}

fn no(status: StatusCode, error: &str, why: &str) -> Answer {
    json(status, &json!({"error": error, "error_description": why}))
}

fn away(error: &sqlx::Error) -> Answer {
    tracing::warn!(%error, "sign-ins cannot be kept");
    no(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        "try again",
    )
}
