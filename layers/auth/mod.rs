//! Admits callers who hold a known key, and says for whom they call.
//!
//! A key may come as `Authorization: Bearer`, `x-api-key` or `api-key`; where several are sent, one that is known suffices. Whoever is
//! admitted carries a [`Tenant`](tierway_services::chat::Tenant) from here on. Whoever is not gets a 401 in the caller's own dialect. The
//! body is never read, so this layer stands above whatever does, and wraps any HTTP service.
//!
//! Besides a list of keys it asks every [`Authority`] that it is given: for keys that are made and revoked while it runs, for tokens that
//! others sign.
//!
//! The header that held our key goes no further: it is of no use below, and a provider that is handed its callers' own credentials must
//! not be handed ours. The other credentials stay, marked sensitive.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use std::convert::Infallible;
//! use tierway_layers::auth::{AuthLayer, Key};
//! use tierway_services::chat::Tenant;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(AuthLayer::new([Key::new("sk-alice", "alice")]))
//!     .service_fn(|req: Request<Full<Bytes>>| async move {
//!         assert_eq!(Tenant::of(&req).unwrap().as_str(), "alice");
//!         Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
//!     });
//!
//! let nobody = Request::post("/v1/messages").body(Full::default()).unwrap();
//! assert_eq!(service.clone().oneshot(nobody).await.unwrap().status(), StatusCode::UNAUTHORIZED);
//!
//! let alice = Request::post("/v1/messages").header("x-api-key", "sk-alice").body(Full::default()).unwrap();
//! assert_eq!(service.oneshot(alice).await.unwrap().status(), StatusCode::OK);
//! # }
//! ```
mod authority;
mod future;
mod key;
mod service;

pub use self::{
    authority::{Authority, Caller, Verdict},
    future::ResponseFuture,
    key::Key,
    service::{Auth, AuthLayer},
};

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::{BodyExt, Full};
    use std::task::Poll;
    use tierway_services::chat::{Journal, KeyId, Notes, Tenant};
    use tokio_test::{assert_pending, assert_ready_ok, task};
    use tower_test::mock;

    type Req = Request<Full<Bytes>>;
    type Res = Response<Full<Bytes>>;

    fn keys() -> AuthLayer {
        AuthLayer::new([Key::new("sk-alice", "alice"), Key::new("sk-bob", "bob")])
    }

    fn req(path: &str, headers: &[(&str, &str)]) -> Req {
        let mut req = Request::post(path);
        for (name, value) in headers {
            req = req.header(*name, *value);
        }
        req.body(Full::default()).unwrap()
    }

    /// What the inner service sees of a request, if it sees it.
    async fn admitted(layer: AuthLayer, req: Req) -> Result<Req, Response<String>> {
        let (mut auth, mut handle) = mock::spawn_layer::<Req, Res, _>(layer);
        handle.allow(1);
        assert_ready_ok!(auth.poll_ready());
        let mut answer = task::spawn(auth.call(req));
        let (head, body) = match answer.poll() {
            Poll::Pending => return Ok(handle.next_request().await.unwrap().0),
            Poll::Ready(res) => res.unwrap().into_parts(),
        };
        let body = body.collect().await.unwrap().to_bytes();
        Err(Response::from_parts(
            head,
            String::from_utf8(body.to_vec()).unwrap(),
        ))
    }

    #[tokio::test]
    async fn a_known_key_passes_by_any_of_its_ways() {
        for (name, value, tenant) in [
            ("authorization", "Bearer sk-alice", "alice"),
            ("authorization", "bEARER \t sk-bob ", "bob"),
            ("x-api-key", "sk-bob", "bob"),
            ("api-key", "sk-alice", "alice"),
        ] {
            let seen = admitted(keys(), req("/v1/messages", &[(name, value)]))
                .await
                .unwrap();
            assert_eq!(Tenant::of(&seen).unwrap().as_str(), tenant);
            assert!(!seen.headers().contains_key(name), "our key stays here");
        }
    }

    #[tokio::test]
    async fn either_of_two_keys_suffices_and_the_other_travels_on() {
        let both = [
            ("authorization", "Bearer sk-ant-oat-subscription"),
            ("x-api-key", "sk-alice"),
        ];
        let seen = admitted(keys(), req("/v1/messages", &both)).await.unwrap();
        assert_eq!(Tenant::of(&seen).unwrap().as_str(), "alice");
        assert!(!seen.headers().contains_key("x-api-key"));
        let theirs = &seen.headers()["authorization"];
        assert_eq!(theirs, "Bearer sk-ant-oat-subscription");
        assert!(theirs.is_sensitive());
    }

    #[tokio::test]
    async fn the_journal_learns_for_whom() {
        let journal = Journal::default();
        let mut req = req("/", &[("x-api-key", "sk-bob")]);
        Notes::of_mut(&mut req).journal = Some(journal.clone());
        admitted(keys(), req).await.unwrap();
        assert_eq!(journal.read(|e| e.tenant.clone()), Some(Tenant::new("bob")));
    }

    #[tokio::test]
    async fn others_are_refused_in_their_own_words() {
        for headers in [
            &[][..],
            &[("authorization", "Bearer sk-eve-secret")],
            &[("authorization", "Basic sk-alice")],
            &[("authorization", "Bearersk-alice")],
            &[("authorization", "Bearer ")],
            &[("authorization", "B")],
            &[("x-api-key", "")],
            &[("x-api-key", "Bearer sk-alice")],
        ] {
            for (path, shape) in [
                (
                    "/v1/messages",
                    r#"{"type":"error","error":{"type":"authentication_error""#,
                ),
                ("/v1/chat/completions", r#""code":"invalid_api_key""#),
            ] {
                let no = admitted(keys(), req(path, headers)).await.unwrap_err();
                assert_eq!(no.status(), StatusCode::UNAUTHORIZED);
                assert_eq!(no.headers()["www-authenticate"], "Bearer");
                assert!(no.body().contains(shape), "{}", no.body());
                assert!(no.body().contains("x-api-key: <key>"), "tells what to send");
                assert!(!no.body().contains("sk-"), "never echoes a key");
            }
        }
    }

    #[tokio::test]
    async fn no_keys_admit_nobody_and_an_open_door_everybody() {
        let none = AuthLayer::new(Vec::<Key>::new());
        let knock = || req("/", &[("authorization", "Bearer x")]);
        assert!(admitted(none, knock()).await.is_err());
        let seen = admitted(AuthLayer::open(), knock()).await.unwrap();
        assert!(Tenant::of(&seen).is_none());
        assert!(seen.headers()["authorization"].is_sensitive());
    }

    /// Badges: `badge-N` is known where N is even, at once or later.
    struct Badges {
        later: bool,
    }

    impl Authority for Badges {
        fn who(&self, presented: &[u8]) -> Verdict {
            let text = String::from_utf8_lossy(presented).into_owned();
            let Some(n) = text.strip_prefix("badge-") else {
                return Verdict::Unknown;
            };
            let known = n.parse().is_ok_and(|n: u8| n.is_multiple_of(2));
            let verdict = move || match known {
                true => Verdict::Known(std::sync::Arc::new(
                    Caller::new(Tenant::new("staff"), KeyId::new(text.as_str()))
                        .with(7_u8)
                        .tags("team:a"),
                )),
                false => Verdict::Refused("this badge was handed back".into()),
            };
            match self.later {
                true => Verdict::Later(Box::pin(async move {
                    tokio::task::yield_now().await;
                    verdict()
                })),
                false => verdict(),
            }
        }
    }

    /// As [`admitted`], for those who take their time.
    async fn awaited(layer: AuthLayer, req: Req) -> Result<Req, StatusCode> {
        let (mut auth, mut handle) = mock::spawn_layer::<Req, Res, _>(layer);
        handle.allow(9);
        assert_ready_ok!(auth.poll_ready());
        let mut answer = task::spawn(auth.call(req));
        for _ in 0..9 {
            match answer.poll() {
                Poll::Pending => tokio::task::yield_now().await,
                Poll::Ready(res) => return Err(res.unwrap().status()),
            }
        }
        Ok(handle.next_request().await.unwrap().0)
    }

    #[tokio::test]
    async fn other_authorities_are_asked_too() {
        for later in [false, true] {
            let layer = || keys().authority(Badges { later });
            for (key, tenant) in [("badge-2", "staff"), ("sk-bob", "bob")] {
                let journal = Journal::default();
                let mut knock = req("/", &[("x-api-key", key)]);
                Notes::of_mut(&mut knock).journal = Some(journal.clone());
                let seen = awaited(layer(), knock).await.unwrap();
                assert_eq!(Tenant::of(&seen).unwrap().as_str(), tenant);
                assert!(!seen.headers().contains_key("x-api-key"));
                let staff = tenant == "staff";
                assert_eq!(seen.extensions().get() == Some(&7_u8), staff);
                assert_eq!(journal.read(|e| e.tags.is_some()), staff);
                assert!(journal.read(|e| e.key.is_some()));
            }
            for key in ["badge-3", "sk-eve"] {
                let no = awaited(layer(), req("/", &[("x-api-key", key)])).await;
                assert_eq!(no.unwrap_err(), StatusCode::UNAUTHORIZED);
            }
            // A key that is known helps one that is not.
            let both = [("authorization", "Bearer badge-3"), ("x-api-key", "sk-bob")];
            let seen = awaited(layer(), req("/", &both)).await.unwrap();
            assert!(seen.headers().contains_key("authorization"));
        }
    }

    #[tokio::test]
    async fn an_open_door_still_knows_badges_and_refuses_bad_ones() {
        for later in [false, true] {
            let layer = || AuthLayer::open().authority(Badges { later });
            let who = |key: &'static str| awaited(layer(), req("/", &[("x-api-key", key)]));
            let staff = who("badge-2").await.unwrap();
            assert_eq!(Tenant::of(&staff).unwrap().as_str(), "staff");
            assert!(Tenant::of(&who("anything").await.unwrap()).is_none());
            assert!(who("badge-3").await.is_err());
        }
    }

    #[tokio::test]
    async fn is_not_ready_when_the_inner_service_is_not() {
        let (mut auth, mut handle) = mock::spawn_layer::<Req, Res, _>(keys());
        handle.allow(0);
        assert_pending!(auth.poll_ready::<Req>());
        handle.allow(1);
        assert_ready_ok!(auth.poll_ready::<Req>());
        // A clone is not ready for having been made of a ready one.
        let mut other = auth.clone();
        auth.call(req("/", &[("api-key", "sk-bob")]));
        assert_pending!(other.poll_ready::<Req>());
    }
}
