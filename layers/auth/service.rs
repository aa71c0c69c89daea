use super::{
    Authority, Caller, Key, ResponseFuture, Verdict,
    future::{Asked, Held, UNKNOWN, refusal},
    key::Keys,
};
use crate::RefusalBody;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use std::{
    borrow::Cow,
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::{
    chat::{Journal, Notes, Refusal},
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
#[derive(Clone)]
pub struct AuthLayer {
    authorities: Arc<[Arc<dyn Authority>]>,
    open: bool,
}

/// Admits callers who hold a known key. See the [module](super).
#[derive(Clone)]
pub struct Auth<S> {
    inner: S,
    layer: AuthLayer,
}

/// What the headers of a call say about who makes it.
enum Found {
    Caller(Arc<Caller>, HeaderName),
    Nobody(Option<Refusal>),
    Asked(Asked),
}

// === impl AuthLayer ===

impl AuthLayer {
    /// Admits who presents one of `keys`, and nobody where there are none.
    pub fn new<K: Into<Key>>(keys: impl IntoIterator<Item = K>) -> Self {
        let keys = Keys(keys.into_iter().map(Into::into).collect());
        let keys: Arc<dyn Authority> = Arc::new(keys);
        Self {
            authorities: Arc::from([keys]),
            open: false,
        }
    }
    /// Admits everybody: for a service that only its own machine can reach. Credentials are marked sensitive all the same, and one that an
    /// [`authority`](Self::authority) refuses does not admit.
    #[must_use]
    pub fn open() -> Self {
        Self {
            authorities: Arc::new([]),
            open: true,
        }
    }
    /// Asks this one too.
    #[must_use]
    pub fn authority(mut self, authority: impl Authority + 'static) -> Self {
        let known = self.authorities.iter().cloned();
        let another: Arc<dyn Authority> = Arc::new(authority);
        self.authorities = known.chain([another]).collect();
        self
    }

    /// Who calls. Everybody is asked about everything that is presented, whatever was found before, so that time tells nothing about which
    /// one matched.
    fn find(&self, headers: &HeaderMap) -> Found {
        let (mut found, mut presented) = (None, false);
        let mut refused: Option<Cow<'static, str>> = None;
        let mut later = Vec::new();
        for name in CREDENTIALS {
            for value in headers.get_all(&name) {
                let Some(secret) = secret(&name, value) else {
                    continue;
                };
                presented = true;
                for authority in &*self.authorities {
                    match authority.who(secret) {
                        Verdict::Known(caller) => {
                            found = found.or_else(|| Some((caller, name.clone())));
                        }
                        Verdict::Unknown => {}
                        Verdict::Refused(why) => refused = refused.or(Some(why)),
                        Verdict::Later(asked) => later.push((asked, name.clone())),
                    }
                }
            }
        }
        match found {
            Some((caller, name)) => Found::Caller(caller, name),
            None if !later.is_empty() => Found::Asked(Box::pin(async move {
                let mut verdict = refused.map_or(Verdict::Unknown, Verdict::Refused);
                for (asked, name) in later {
                    match asked.await {
                        known @ Verdict::Known(_) => return (known, name),
                        Verdict::Refused(why) if matches!(verdict, Verdict::Unknown) => {
                            verdict = Verdict::Refused(why);
                        }
                        _ => {}
                    }
                }
                (verdict, header::AUTHORIZATION)
            })),
            None => Found::Nobody(match refused {
                Some(why) => Some(refusal(why)),
                None if self.open => None,
                None if presented => Some(refusal(UNKNOWN)),
                None => Some(refusal(
                    "no key was sent: send it as `Authorization: Bearer <key>` or `x-api-key: <key>`",
                )),
            }),
        }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;
    fn layer(&self, inner: S) -> Auth<S> {
        Auth {
            inner,
            layer: self.clone(),
        }
    }
}

impl fmt::Debug for AuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("authorities", &self.authorities.len())
            .field("open", &self.open)
            .finish()
    }
}

// === impl Auth ===

impl<S, ReqB, ResB> Service<Request<ReqB>> for Auth<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone,
{
    type Response = Response<RefusalBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqB, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqB>) -> Self::Future {
        // First thing, so that no layer below can print a credential by accident.
        mark_sensitive(req.headers_mut());
        match self.layer.find(req.headers()) {
            Found::Caller(caller, name) => {
                admit(&mut req, &caller, &name);
                ResponseFuture::admitted(self.inner.call(req))
            }
            Found::Nobody(None) => ResponseFuture::admitted(self.inner.call(req)),
            Found::Nobody(Some(refusal)) => {
                ResponseFuture::refused(refusal, Dialect::of(req.uri(), req.headers()))
            }
            Found::Asked(asked) => {
                let clone = self.inner.clone();
                let held = Held {
                    inner: mem::replace(&mut self.inner, clone),
                    req,
                    open: self.layer.open,
                };
                ResponseFuture::asking(asked, held)
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Auth<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

/// Writes down who calls, and keeps the credential here.
pub(super) fn admit<B>(req: &mut Request<B>, caller: &Caller, held_by: &HeaderName) {
    req.headers_mut().remove(held_by);
    if let Some(journal) = Journal::of(req) {
        journal.write(|entries| {
            entries.tenant = Some(caller.tenant.clone());
            entries.key = Some(caller.id.clone());
            entries.tags.clone_from(&caller.tags);
        });
    }
    req.extensions_mut().extend(caller.facts.clone());
    let notes = Notes::of_mut(req);
    notes.key = Some(caller.id.clone());
    notes.tenant = Some(caller.tenant.clone());
}

fn mark_sensitive(headers: &mut HeaderMap) {
    for name in CREDENTIALS {
        if let header::Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|v| v.set_sensitive(true));
        }
    }
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
