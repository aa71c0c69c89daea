//! Holds a small random share of conversations out: the baseline model answers them, whatever tier they deserve.
//!
//! What a gateway saves is what its calls would have cost without it, and that nobody has seen: a dearer model might have said more, or
//! less, or needed fewer turns. A random hold-out is the one way to measure it with nothing assumed. [`HoldoutLayer`] divides what the
//! gateway may choose a model for, by chance alone, into calls that it chooses for and calls that the baseline answers, and writes the side
//! into the [`Journal`]; the mean cost of a conversation on one side, against that on the other, is an unbiased measure.
//!
//! Whole conversations are held out, so that none changes its model half-way and loses what its provider has cached; a call that belongs
//! to none is held out by itself. A conversation stays on its side for ever, at every gateway with the same salt.
//!
//! Calls for which the caller has chosen the model or the tier are on neither side: nothing would have been different. Cascade and prompt
//! cache leave held-out calls alone. It stands below [`Bind`](crate::bind), whose target it overrules, and above those two.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use tierway_layers::{holdout::HoldoutLayer, names::Names};
//! use tierway_services::{chat::{self, Notes, Operation, Prompt, Reply, Target, Tier}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(HoldoutLayer::new(1.0, Target::new("cloud", "big"), Names::default()))
//!     .service_fn(|req: chat::Request| async move {
//!         assert_eq!(Target::of(&req).unwrap().to_string(), "cloud:big");
//!         Ok::<_, Infallible>(chat::Response::new(Reply::whole("yes")))
//!     });
//! let body = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;
//! let mut req = chat::Request::new(Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap());
//! Notes::of_mut(&mut req).tier = Some(Tier::Simple);
//! Notes::of_mut(&mut req).target = Some(Target::new("local", "small"));
//! service.oneshot(req).await.unwrap();
//! # }
//! ```
use crate::names::{Names, Wish, wished};
use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};
use tierway_services::chat::{self, Holdout, Journal, Notes, Operation, Session, Target, Tier};
use tower_layer::Layer;
use tower_service::Service;

/// Applies [`HoldOut`].
#[derive(Clone)]
pub struct HoldoutLayer {
    shared: Arc<Shared>,
}

/// Sends some calls to the baseline model. See the [module](self).
#[derive(Clone, Debug)]
pub struct HoldOut<S> {
    inner: S,
    shared: Arc<Shared>,
}

type May = Box<dyn Fn(&chat::Request) -> bool + Send + Sync>;

struct Shared {
    share: f64,
    baseline: Target,
    names: Names,
    salt: u64,
    may: Option<May>,
    chance: RandomState,
    alone: AtomicU64,
}

// === impl HoldoutLayer ===

impl HoldoutLayer {
    /// Holds out this share of conversations, from 0 to 1, for `baseline`; `names` tells what callers leave to the gateway.
    #[must_use]
    pub fn new(share: f64, baseline: Target, names: Names) -> Self {
        Self {
            shared: Arc::new(Shared {
                share,
                baseline,
                names,
                salt: 0,
                may: None,
                chance: RandomState::new(),
                alone: AtomicU64::new(0),
            }),
        }
    }

    /// Leaves calls on neither side for which `may` is false: those that the baseline could not serve, or is not allowed to. By default
    /// there are none.
    #[must_use]
    pub fn only(self, may: impl Fn(&chat::Request) -> bool + Send + Sync + 'static) -> Self {
        let old = &*self.shared;
        Self {
            shared: Arc::new(Shared {
                share: old.share,
                baseline: old.baseline.clone(),
                names: old.names.clone(),
                salt: old.salt,
                may: Some(Box::new(may)),
                chance: old.chance.clone(),
                alone: AtomicU64::new(0),
            }),
        }
    }
}

impl fmt::Debug for HoldoutLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl<S> Layer<S> for HoldoutLayer {
    type Service = HoldOut<S>;
    fn layer(&self, inner: S) -> HoldOut<S> {
        HoldOut {
            inner,
            shared: self.shared.clone(),
        }
    }
}

// === impl Shared ===

impl Shared {
    fn side(&self, req: &chat::Request) -> Option<Holdout> {
        let facts = req.body().facts();
        let ours = Tier::of(req).is_some()
            && facts.operation == Operation::Generate
            && self.names.resolve(&facts.model) == Some(Wish::Auto)
            && !matches!(wished(req.headers()), Some(Ok(Some(_))))
            && self.may.as_ref().is_none_or(|may| may(req));
        if !ours {
            return None;
        }
        let drawn = match Session::of(req) {
            Some(session) => mix(session, self.salt),
            None => self
                .chance
                .hash_one(self.alone.fetch_add(1, Ordering::Relaxed)),
        };
        // 53 bits are what a double holds exactly.
        let drawn = (drawn >> 11) as f64 / (1_u64 << 53) as f64;
        Some(if drawn < self.share {
            Holdout::Baseline
        } else {
            Holdout::Gateway
        })
    }
}

/// A session's name is a cryptographic hash already; the finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) keeps what is drawn
/// here apart from what others may draw from the same bits.
fn mix(session: Session, salt: u64) -> u64 {
    let bytes = session.0;
    let half = |from: usize| {
        let bytes = bytes.iter().skip(from).take(8);
        bytes.fold(0_u64, |n, byte| (n << 8) | u64::from(*byte))
    };
    let mut z = half(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ half(8) ^ salt;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HoldoutLayer")
            .field("share", &self.share)
            .field("baseline", &self.baseline)
            .finish_non_exhaustive()
    }
}

// === impl HoldOut ===

impl<S: Service<chat::Request>> Service<chat::Request> for HoldOut<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: chat::Request) -> S::Future {
        if let Some(side) = self.shared.side(&req) {
            let held = (side == Holdout::Baseline).then(|| self.shared.baseline.clone());
            if let Some(journal) = Journal::of(&req) {
                journal.write(|j| {
                    j.holdout = Some(side);
                    if held.is_some() {
                        j.target.clone_from(&held);
                    }
                });
            }
            Notes::of_mut(&mut req).holdout = Some(side);
            if let Some(target) = held {
                Notes::of_mut(&mut req).target = Some(target);
            }
        }
        self.inner.call(req)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ask, reply};
    use tokio_test::{assert_pending, assert_ready_ok};
    use tower_test::mock;

    fn layer(share: f64) -> HoldoutLayer {
        let names = Names::new(["p"]).map("mine", Wish::Tier(Tier::Simple));
        HoldoutLayer::new(share, Target::new("p", "base"), names)
    }

    fn call(model: &str, session: Option<u8>) -> chat::Request {
        let mut req = ask(model, "hi");
        Notes::of_mut(&mut req).tier = Some(Tier::Simple);
        Notes::of_mut(&mut req).target = Some(Target::new("p", "small"));
        Notes::of_mut(&mut req).journal = Some(Journal::default());
        if let Some(n) = session {
            Notes::of_mut(&mut req).session = Some(Session([n; 16]));
        }
        req
    }

    #[tokio::test]
    async fn a_conversation_stays_on_its_side_and_is_written_down() {
        let (mut svc, mut handle) = mock::spawn_layer::<_, chat::Response, _>(layer(0.5));
        let mut held = 0;
        for n in 0..200_u8 {
            let mut sides = Vec::new();
            for _ in 0..2 {
                assert_ready_ok!(svc.poll_ready());
                let answer = svc.call(call("auto", Some(n)));
                let (req, send) = handle.next_request().await.unwrap();
                send.send_response(reply("yes"));
                drop(answer);
                let side = Holdout::of(&req).unwrap();
                let target = Target::of(&req).unwrap();
                let journal = Journal::of(&req).unwrap();
                journal.read(|j| {
                    assert_eq!(j.holdout, Some(side));
                    let held = (side == Holdout::Baseline).then(|| target.clone());
                    assert_eq!(j.target, held);
                });
                assert_eq!(&*target.model == "base", side == Holdout::Baseline);
                sides.push(side);
            }
            assert_eq!(sides[0], sides[1]);
            held += usize::from(sides[0] == Holdout::Baseline);
        }
        assert!((70..130).contains(&held), "{held}");
    }

    #[test]
    fn calls_of_no_conversation_are_drawn_one_by_one() {
        let shared = layer(0.1).shared;
        let held =
            (0..5000).filter(|_| shared.side(&call("auto", None)) == Some(Holdout::Baseline));
        let held = held.count();
        assert!((380..620).contains(&held), "{held}");
    }

    #[test]
    fn what_the_caller_chose_is_on_neither_side() {
        let shared = layer(1.0).shared;
        assert!(shared.side(&call("auto", None)).is_some());
        assert_eq!(shared.side(&call("mine", None)), None);
        assert_eq!(shared.side(&call("p:m", None)), None);
        let mut req = call("auto", None);
        req.headers_mut()
            .insert("x-tierway-tier", "simple".parse().unwrap());
        assert_eq!(shared.side(&req), None);
        let mut req = call("auto", None);
        Notes::of_mut(&mut req).tier = None;
        assert_eq!(shared.side(&req), None);
        let never = layer(1.0).only(|_| false).shared;
        assert_eq!(never.side(&call("auto", None)), None);
    }

    #[tokio::test]
    async fn is_not_ready_when_the_inner_is_not() {
        let (mut svc, mut handle) =
            mock::spawn_layer::<chat::Request, chat::Response, _>(layer(1.0));
        handle.allow(0);
        assert_pending!(svc.poll_ready());
        handle.allow(1);
        assert_ready_ok!(svc.poll_ready());
    }
}
