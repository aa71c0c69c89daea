//! Virtual keys for operators and their programs.
//!
//! | request | what |
//! |---|---|
//! | `GET /v1/keys` | all keys, without their secrets |
//! | `POST /v1/keys` | makes one; the answer is the only one that shows it |
//! | `GET /v1/keys/ID` | one key |
//! | `PATCH /v1/keys/ID` | changes what it may use: what is absent stays, what is null is limited no more (RFC 7396) |
//! | `POST /v1/keys/ID/rotate` | gives it another secret, shown once; `{"grace_seconds": 3600}` lets the old one admit that long |
//! | `DELETE /v1/keys/ID` | revokes it |
//!
//! They need the admin port's credential to be set: who can make keys can spend money.
use super::respond;
use crate::access::{self, Access, Amendment, Terms};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::time::Duration;
use tierway_services::BoxError;

pub(super) const PATH: &str = "/v1/keys";
const LARGEST: usize = 64 << 10;
/// Nobody needs two secrets for longer.
const MOST_GRACE: u64 = 30 * 24 * 60 * 60;

type Answer = Response<Full<Bytes>>;
type Told = Result<(StatusCode, Value), (StatusCode, String)>;

/// What a key is made of, or what of it is to be otherwise: its terms, and until when.
#[derive(Debug, Deserialize)]
struct Wanted {
    /// When it stops to admit, in milliseconds since 1970; null for never.
    #[serde(default, deserialize_with = "given")]
    expires: Option<Option<i64>>,
    /// Or so many seconds from now.
    expires_in: Option<u64>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

/// Tells null from absent.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Wanted {
    /// When it stops to admit, where that was said.
    fn expires(&self) -> Option<Option<i64>> {
        let later = |seconds: u64| {
            let ms = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
            access::now().saturating_add(ms)
        };
        self.expires
            .or_else(|| self.expires_in.map(|seconds| Some(later(seconds))))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rotation {
    grace_seconds: u64,
}

pub(super) fn is_here(path: &str) -> bool {
    path == PATH
        || path
            .strip_prefix(PATH)
            .is_some_and(|rest| rest.starts_with('/'))
}

pub(super) async fn answer<B>(access: Option<&Access>, closed: bool, req: Request<B>) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (head, body) = req.into_parts();
    let told = match (access, closed) {
        (_, false) => Err((
            StatusCode::FORBIDDEN,
            "set admin.token first: who makes keys must show who he is".to_owned(),
        )),
        (None, _) => Err((
            StatusCode::NOT_FOUND,
            "there is no place for keys (access.file)".to_owned(),
        )),
        (Some(access), true) => match Limited::new(body, LARGEST).collect().await {
            Ok(body) => act(access, &head, &body.to_bytes()).await,
            Err(_) => Err((StatusCode::BAD_REQUEST, "the body is too large".to_owned())),
        },
    };
    let (status, value) =
        told.unwrap_or_else(|(status, message)| (status, json!({"error": {"message": message}})));
    let mut res = respond(status, "application/json", value.to_string());
    let headers = res.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    res
}

async fn act(access: &Access, head: &Parts, body: &[u8]) -> Told {
    let path = head.uri.path();
    let rest = path.strip_prefix(PATH).unwrap_or_default();
    let rest = rest.trim_matches('/');
    let store = access.store().await.map_err(away)?;
    let json_wanted = |body: &[u8]| {
        let kind = head.headers.get(header::CONTENT_TYPE);
        let json = kind.is_some_and(|k| k.as_bytes().starts_with(b"application/json"));
        // A form of another page can send no such thing unasked.
        match json || body.is_empty() {
            true => Ok(()),
            false => Err((
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send application/json".to_owned(),
            )),
        }
    };
    match (&head.method, rest, rest.strip_suffix("/rotate")) {
        (&Method::GET, "", _) => {
            let keys = store.all().await.map_err(away)?;
            Ok((StatusCode::OK, json!({"keys": keys})))
        }
        (&Method::POST, "", _) => {
            json_wanted(body)?;
            let wanted: Wanted = serde_json::from_slice(body).map_err(wrong)?;
            let expires = wanted.expires().flatten();
            let terms: Terms = serde_json::from_value(Value::Object(wanted.rest)).map_err(wrong)?;
            let fresh = access::create(store, access.ring().pepper(), &terms, expires)
                .await
                .map_err(|message| (StatusCode::BAD_REQUEST, message))?;
            access.changed().await.map_err(away)?;
            let record = store.get(&fresh.id).await.map_err(away)?;
            tracing::info!(id = fresh.id, tenant = terms.tenant, "a key was made");
            Ok((StatusCode::CREATED, shown_once(&fresh.key, record)))
        }
        (&Method::GET, id, None) => match store.get(id).await.map_err(away)? {
            Some(record) => Ok((StatusCode::OK, json!(record))),
            None => Err(nobody(id)),
        },
        (&Method::PATCH, id, None) if !id.is_empty() => {
            json_wanted(body)?;
            let wanted: Wanted = serde_json::from_slice(body).map_err(wrong)?;
            let expires = wanted.expires();
            let with = Amendment {
                terms: wanted.rest,
                expires,
            };
            let done = access::amend(store, id, &with).await;
            if !done.map_err(|message| (StatusCode::BAD_REQUEST, message))? {
                return Err(nobody(id));
            }
            access.changed().await.map_err(away)?;
            let record = store.get(id).await.map_err(away)?;
            tracing::info!(id, "a key was changed");
            Ok((StatusCode::OK, json!(record)))
        }
        (&Method::POST, _, Some(id)) => {
            json_wanted(body)?;
            let told = match body {
                [] => Rotation::default(),
                body => serde_json::from_slice(body).map_err(wrong)?,
            };
            let grace = Duration::from_secs(told.grace_seconds.min(MOST_GRACE));
            let fresh = access::rotate(store, access.ring().pepper(), id, grace)
                .await
                .map_err(|message| (StatusCode::SERVICE_UNAVAILABLE, message))?
                .ok_or_else(|| nobody(id))?;
            access.changed().await.map_err(away)?;
            let record = store.get(id).await.map_err(away)?;
            tracing::info!(id, "a key was rotated");
            Ok((StatusCode::OK, shown_once(&fresh.key, record)))
        }
        (&Method::DELETE, id, None) if !id.is_empty() => {
            if !store.revoke(id).await.map_err(away)? {
                return Err(nobody(id));
            }
            access.changed().await.map_err(away)?;
            let record = store.get(id).await.map_err(away)?;
            tracing::info!(id, "a key was revoked");
            Ok((StatusCode::OK, json!(record)))
        }
        _ => Err((
            StatusCode::METHOD_NOT_ALLOWED,
            "GET or POST /v1/keys, GET, PATCH or DELETE /v1/keys/ID, POST /v1/keys/ID/rotate"
                .to_owned(),
        )),
    }
}

fn shown_once(key: &str, record: Option<access::Record>) -> Value {
    let mut value = json!(record);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("key".to_owned(), key.into());
    }
    value
}

fn nobody(id: &str) -> (StatusCode, String) {
    (
        StatusCode::NOT_FOUND,
        format!("there is no key {id:?} to do this with"),
    )
}

fn wrong(error: serde_json::Error) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, error.to_string())
}

fn away(error: sqlx::Error) -> (StatusCode, String) {
    tracing::warn!(%error, "the keys cannot be reached");
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "the keys cannot be reached; the log has more".to_owned(),
    )
}
