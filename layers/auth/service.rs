use super::{Key, ResponseFuture, key};
use crate::RefusalBody;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::{
    chat::{Journal, Kind, Refusal},
    dialect::Dialect,
};
use tower_layer::Layer;
use tower_service::Service;

/// Where callers put keys: both dialects' own ways, and Azure's. Where several hold known keys, the first one decides for whom.
const CREDENTIALS: [HeaderName; 3] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
];

/// Applies [`Auth`].
#[derive(Clone, Debug)]
pub struct AuthLayer {
    keys: Option<Arc<[Key]>>,
}

/// Admits callers who hold a known key. See the [module](super).
#[derive(Clone, Debug)]
pub struct Auth<S> {
    inner: S,
    keys: Option<Arc<[Key]>>,
}

// === impl AuthLayer ===

impl AuthLayer {
    /// Admits who presents one of `keys`, and nobody where there are none.
    pub fn new<K: Into<Key>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self {
            keys: Some(keys.into_iter().map(Into::into).collect()),
        }
    }
    /// Admits everybody: for a service that only its own machine can reach. Credentials are marked sensitive all the same.
    #[must_use]
    pub const fn open() -> Self {
        Self { keys: None }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;
    fn layer(&self, inner: S) -> Auth<S> {
        Auth {
            inner,
            keys: self.keys.clone(),
        }
    }
}

// === impl Auth ===

impl<S, ReqB, ResB> Service<Request<ReqB>> for Auth<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = Response<RefusalBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqB>) -> Self::Future {
        // First thing, so that no layer below can print a credential by accident.
        mark_sensitive(req.headers_mut());
        let Some(keys) = &self.keys else {
            return ResponseFuture::admitted(self.inner.call(req));
        };
        match admit(keys, req.headers()) {
            Ok((key, header)) => {
                let tenant = key.tenant().clone();
                req.headers_mut().remove(header);
                if let Some(journal) = Journal::of(&req) {
                    journal.write(|entries| entries.tenant = Some(tenant.clone()));
                }
                req.extensions_mut().insert(key.id().clone());
                req.extensions_mut().insert(tenant);
                ResponseFuture::admitted(self.inner.call(req))
            }
            Err(refusal) => ResponseFuture::refused(refusal, Dialect::of(req.uri(), req.headers())),
        }
    }
}

fn mark_sensitive(headers: &mut HeaderMap) {
    for name in CREDENTIALS {
        if let header::Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|v| v.set_sensitive(true));
        }
    }
}

/// The known key among those presented, and the header that held it.
fn admit<'k>(keys: &'k [Key], headers: &HeaderMap) -> Result<(&'k Key, HeaderName), Refusal> {
    let (mut found, mut presented) = (None, false);
    for name in CREDENTIALS {
        for value in headers.get_all(&name) {
            let Some(secret) = secret(&name, value) else {
                continue;
            };
            presented = true;
            let key = key::find(keys, secret);
            found = found.or(key.map(|key| (key, name.clone())));
        }
    }
    found.ok_or_else(|| {
        Refusal::new(
            Kind::Authentication,
            if presented {
                "this key is not known here: send a valid one as `Authorization: Bearer <key>` or `x-api-key: <key>`"
            } else {
                "no key was sent: send it as `Authorization: Bearer <key>` or `x-api-key: <key>`"
            },
        )
    })
}

/// What a header presents as a key; nothing for an authorization of another scheme.
fn secret<'v>(name: &HeaderName, value: &'v HeaderValue) -> Option<&'v [u8]> {
    let value = value.as_bytes().trim_ascii();
    if name != header::AUTHORIZATION {
        return Some(value);
    }
    let (scheme, secret) = value.split_at_checked("Bearer".len())?;
    (scheme.eq_ignore_ascii_case(b"Bearer") && secret.first()?.is_ascii_whitespace())
        .then(|| secret.trim_ascii())
}
