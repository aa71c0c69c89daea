//! Spreads calls over the models that may answer them, where they are peers rather than one and its stand-ins.
//!
//! Where [`Bind`](crate::bind) has marked the [`Alternatives`] of a call as [balanced](Alternatives::is_balanced), this layer chooses which of
//! them, and of the first, is asked first; the others stand in for it, as [`Fallback`](crate::fallback) has it.
//!
//! * **Least loaded of two.** Two are drawn by their [`weight`](BalanceLayer::weight), and the one with fewer calls under way for its weight is
//!   asked ("power of two choices", Mitzenmacher 1996): close to the least loaded of all, without everybody rushing to the same one. A
//!   call is under way until its answer has ended.
//! * **Sticky.** A conversation ([`Session`]) goes to the one that its name falls to, by weighted rendezvous hashing, so that the cache of its
//!   prefix is found again, on every node alike; when one joins or leaves, only the conversations of that one move. Off with
//!   [`sticky(false)`](BalanceLayer::sticky).
//! * Whom [`avoid`](BalanceLayer::avoid) names (a breaker is open) is asked last.
//!
//! # Example
//! ```
//! use std::convert::Infallible;
//! use tierway_layers::balance::BalanceLayer;
//! use tierway_services::{chat::{self, Alternatives, Notes, Operation, Prompt, Reply, Target}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (a, b) = (Target::new("a", "m"), Target::new("b", "m"));
//! let service = ServiceBuilder::new()
//!     .layer(BalanceLayer::new().weight(a.clone(), 3.0))
//!     .service_fn(|req: chat::Request| async move {
//!         let target = Target::of(&req).map(ToString::to_string).unwrap_or_default();
//!         Ok::<_, Infallible>(chat::Response::new(Reply::whole(target)))
//!     });
//! let body = r#"{"model":"auto","messages":[]}"#;
//! let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
//! let mut req = chat::Request::new(prompt);
//! Notes::of_mut(&mut req).target = Some(a);
//! Notes::of_mut(&mut req).alternatives = Some(Alternatives::new([b]).balanced());
//! let res = service.oneshot(req).await.unwrap(); // by either
//! # }
//! ```
//!
//! # Backpressure and cancellation
//! Readiness is the inner service's. Whoever leaves is under way no more.
use pin_project_lite::pin_project;
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};
use tierway_services::chat::{self, Alternatives, Notes, Session, Target, Witness};
use tower_layer::Layer;
use tower_service::Service;

type Avoid = Arc<dyn Fn(&Target) -> bool + Send + Sync>;

/// Applies [`Balance`]. All services that one layer makes, and its clones, count together.
#[derive(Clone, Default)]
pub struct BalanceLayer {
    weights: Arc<HashMap<Target, f64>>,
    spread: bool,
    avoid: Option<Avoid>,
    loads: Arc<RwLock<HashMap<Target, Load>>>,
    /// Where the sequence of chance stands.
    dice: Arc<AtomicU64>,
}

/// How many calls are under way.
type Load = Arc<AtomicUsize>;

/// Spreads calls. See the [module](self).
#[derive(Clone, Debug)]
pub struct Balance<S> {
    inner: S,
    layer: BalanceLayer,
}

/// A call under way, until it is dropped.
#[derive(Debug)]
struct Place(Load);

pin_project! {
    /// Response future of [`Balance`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: F,
        place: Option<Place>,
    }
}

// === impl BalanceLayer ===

impl BalanceLayer {
    /// Everybody weighs 1, and conversations are sticky.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Counts together with `before` what is under way.
    #[must_use]
    pub fn continuing(mut self, before: &Self) -> Self {
        self.loads = before.loads.clone();
        self
    }
    /// How much this model takes beside the others; below nothing is nothing.
    #[must_use]
    pub fn weight(mut self, target: Target, weight: f64) -> Self {
        Arc::make_mut(&mut self.weights).insert(target, weight.max(0.0));
        self
    }
    /// Whether a conversation stays with the one that its name falls to; it does by default.
    #[must_use]
    pub const fn sticky(mut self, sticky: bool) -> Self {
        self.spread = !sticky;
        self
    }
    /// Asks whomever `avoid` names last. It must neither block nor panic.
    #[must_use]
    pub fn avoid(mut self, avoid: impl Fn(&Target) -> bool + Send + Sync + 'static) -> Self {
        self.avoid = Some(Arc::new(avoid));
        self
    }
    /// How many calls this model has under way.
    #[must_use]
    pub fn under_way(&self, target: &Target) -> usize {
        let loads = self.loads.read().unwrap_or_else(PoisonError::into_inner);
        loads
            .get(target)
            .map_or(0, |load| load.load(Ordering::Relaxed))
    }

    fn load(&self, target: &Target) -> Load {
        let loads = self.loads.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(load) = loads.get(target) {
            return load.clone();
        }
        drop(loads);
        let mut loads = self.loads.write().unwrap_or_else(PoisonError::into_inner);
        loads.entry(target.clone()).or_default().clone()
    }

    fn weight_of(&self, target: &Target) -> f64 {
        self.weights.get(target).copied().unwrap_or(1.0)
    }

    /// A number from 0 to 1, by chance. SplitMix64 (Steele, Lea and Flood 2014) over a shared counter: no lock, and good enough for dice.
    fn roll(&self) -> f64 {
        let seed = self.dice.fetch_add(GOLDEN, Ordering::Relaxed);
        unit(mix(seed.wrapping_add(GOLDEN)))
    }

    /// Where the one to ask first stands among `targets`.
    fn choose(&self, targets: &[Target], session: Option<Session>) -> usize {
        let good = |target: &&Target| !self.avoid.as_ref().is_some_and(|avoid| avoid(target));
        let mut fit: Vec<(usize, &Target)> = targets.iter().enumerate().collect();
        if fit.iter().any(|(_, target)| good(target)) {
            fit.retain(|(_, target)| good(target));
        }
        let chosen = match session.filter(|_| !self.spread) {
            Some(session) => fit
                .iter()
                .map(|(at, target)| (*at, self.claim(session, target)))
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(at, _)| at),
            None => {
                let first = self.draw(&fit);
                let rest: Vec<_> = fit.iter().copied().filter(|f| Some(f.0) != first).collect();
                let second = self.draw(&rest);
                match (first, second) {
                    (Some(a), Some(b))
                        if self.pressure(&targets[b]) < self.pressure(&targets[a]) =>
                    {
                        second
                    }
                    _ => first,
                }
            }
        };
        chosen.unwrap_or_default()
    }

    /// One of them, by weight.
    fn draw(&self, fit: &[(usize, &Target)]) -> Option<usize> {
        let all: f64 = fit.iter().map(|(_, target)| self.weight_of(target)).sum();
        let mut left = self.roll() * all;
        for (at, target) in fit {
            left -= self.weight_of(target);
            if left < 0.0 {
                return Some(*at);
            }
        }
        fit.first().map(|(at, _)| *at)
    }

    /// What one more call would mean for this model, for its weight.
    #[expect(
        clippy::cast_precision_loss,
        reason = "nobody has so many calls under way"
    )]
    fn pressure(&self, target: &Target) -> f64 {
        (self.under_way(target) as f64 + 1.0) / self.weight_of(target).max(f64::MIN_POSITIVE)
    }

    /// How strongly `target` claims a conversation: weighted rendezvous hashing, -w / ln(u) (Schindelhauer and Schomaker 2005).
    fn claim(&self, session: Session, target: &Target) -> f64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let name = target
            .provider
            .bytes()
            .chain([b':'])
            .chain(target.model.bytes());
        for byte in session.0.into_iter().chain(name) {
            // FNV-1a: the same on every node, and mixed below.
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        -self.weight_of(target) / unit(mix(hash)).ln()
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// As a number above 0 and below 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

impl<S> Layer<S> for BalanceLayer {
    type Service = Balance<S>;
    fn layer(&self, inner: S) -> Balance<S> {
        Balance {
            inner,
            layer: self.clone(),
        }
    }
}

impl fmt::Debug for BalanceLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceLayer")
            .field("weights", &self.weights)
            .field("sticky", &!self.spread)
            .finish_non_exhaustive()
    }
}

// === impl Balance ===

impl<S> Service<chat::Request> for Balance<S>
where
    S: Service<chat::Request, Response = chat::Response>,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: chat::Request) -> Self::Future {
        let balanced = Notes::of(&req).alternatives.as_ref();
        let balanced = balanced.filter(|others| others.is_balanced());
        let mut place = None;
        if let Some((others, first)) = balanced.zip(Target::of(&req)) {
            let mut all: Vec<Target> = vec![first.clone()];
            all.extend(others.targets().iter().filter(|t| *t != first).cloned());
            let chosen = all.remove(self.layer.choose(&all, Session::of(&req)));
            let load = self.layer.load(&chosen);
            load.fetch_add(1, Ordering::Relaxed);
            place = Some(Place(load));
            let notes = Notes::of_mut(&mut req);
            notes.target = Some(chosen);
            notes.alternatives = Some(Alternatives::new(all));
        }
        ResponseFuture {
            future: self.inner.call(req),
            place,
        }
    }
}

/// Held until the stream has gone.
impl Witness for Place {}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<chat::Response, E>>,
{
    type Output = F::Output;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let res = ready!(this.future.poll(cx))?;
        Poll::Ready(Ok(match this.place.take() {
            Some(place) => res.map(|reply| reply.witnessed(place)),
            None => res,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frames::Frames,
        testing::{ask, reply},
    };
    use tierway_services::chat::Reply;
    use tokio_test::{assert_pending, assert_ready_ok, task};
    use tower_test::mock::{self, Handle, Spawn};

    type Balanced = Spawn<Balance<mock::Mock<chat::Request, chat::Response>>>;

    fn targets() -> [Target; 3] {
        ["a:m", "b:m", "c:m"].map(|target| target.parse().unwrap())
    }

    fn call(session: Option<u8>) -> chat::Request {
        let [a, b, c] = targets();
        let mut req = ask("auto", "hi");
        Notes::of_mut(&mut req).target = Some(a);
        let others = Alternatives::new([b, c]).balanced();
        Notes::of_mut(&mut req).alternatives = Some(others);
        if let Some(session) = session {
            Notes::of_mut(&mut req).session = Some(Session([session; 16]));
        }
        req
    }

    fn pair(layer: &BalanceLayer) -> (Balanced, Handle<chat::Request, chat::Response>) {
        let (service, mut handle) = mock::spawn_layer(layer.clone());
        handle.allow(100_000);
        (service, handle)
    }

    /// Who is asked first, by call, where each call has ended before the next.
    async fn asked(layer: &BalanceLayer, calls: impl Iterator<Item = Option<u8>>) -> Vec<String> {
        let (mut service, mut handle) = pair(layer);
        let mut asked = Vec::new();
        for session in calls {
            assert_ready_ok!(service.poll_ready());
            let mut answer = task::spawn(service.call(call(session)));
            assert_pending!(answer.poll());
            let (req, send) = handle.next_request().await.unwrap();
            let first = Target::of(&req).unwrap();
            assert_eq!(Alternatives::of(&req).len(), 2);
            assert!(!Alternatives::of(&req).contains(first));
            asked.push(first.to_string());
            send.send_response(reply("yes"));
            assert_ready_ok!(answer.poll());
        }
        asked
    }

    fn share(asked: &[String], target: &str) -> f64 {
        let hits = asked.iter().filter(|a| *a == target).count();
        f64::from(u32::try_from(hits).unwrap()) / f64::from(u32::try_from(asked.len()).unwrap())
    }

    #[tokio::test]
    async fn calls_are_spread_by_weight_and_conversations_stay() {
        let [a, ..] = targets();
        let even = BalanceLayer::new();
        let all = asked(&even, std::iter::repeat_n(None, 900)).await;
        for target in ["a:m", "b:m", "c:m"] {
            assert!((share(&all, target) - 1.0 / 3.0).abs() < 0.06, "{target}");
        }
        let heavy = BalanceLayer::new().weight(a.clone(), 4.0);
        let all = asked(&heavy, std::iter::repeat_n(None, 900)).await;
        assert!(share(&all, "a:m") > 0.6, "{}", share(&all, "a:m"));
        let sessions = || (0..=255).map(Some);
        let (once, twice) = (
            asked(&even, sessions()).await,
            asked(&even, sessions()).await,
        );
        assert_eq!(once, twice);
        assert!((share(&once, "a:m") - 1.0 / 3.0).abs() < 0.1);
        // Only those move that the heavier one now claims.
        let moved = asked(&heavy, sessions()).await;
        for (before, after) in once.iter().zip(&moved) {
            assert!(before == after || after == "a:m");
        }
        assert!((share(&moved, "a:m") - 4.0 / 6.0).abs() < 0.1);
        let spread = asked(&even.sticky(false), std::iter::repeat_n(Some(1), 50)).await;
        assert!(share(&spread, &spread[0]) < 1.0);
    }

    #[tokio::test]
    async fn the_less_loaded_of_two_is_asked_until_an_answer_has_ended() {
        let layer = BalanceLayer::new();
        let (mut service, mut handle) = pair(&layer);
        let mut bodies = Vec::new();
        for _ in 0..300 {
            assert_ready_ok!(service.poll_ready());
            let mut answer = task::spawn(service.call(call(None)));
            assert_pending!(answer.poll());
            let (_, send) = handle.next_request().await.unwrap();
            let stream = Reply::stream(Frames::of(["a"]).then_wait());
            send.send_response(chat::Response::new(stream));
            bodies.push(assert_ready_ok!(answer.poll()));
        }
        let loads = targets().map(|target| layer.under_way(&target));
        assert_eq!(loads.iter().sum::<usize>(), 300);
        let (most, least) = (loads.iter().max().unwrap(), loads.iter().min().unwrap());
        assert!(most - least <= 4, "{loads:?}");
        drop(bodies);
        assert_eq!(targets().map(|target| layer.under_way(&target)), [0; 3]);
    }

    #[tokio::test]
    async fn whom_to_avoid_is_asked_last_and_all_alike_are_not_avoided() {
        let layer = BalanceLayer::new().avoid(|target| &*target.provider != "b");
        let all = asked(&layer, (0..40).map(|n| (n % 2 == 0).then_some(n))).await;
        assert!((share(&all, "b:m") - 1.0).abs() < f64::EPSILON);
        let layer = BalanceLayer::new().avoid(|_| true);
        let all = asked(&layer, std::iter::repeat_n(None, 60)).await;
        assert!(share(&all, "b:m") > 0.0 && share(&all, "a:m") > 0.0);
    }

    #[tokio::test]
    async fn what_is_not_balanced_passes_as_it_is() {
        let (mut service, mut handle) = pair(&BalanceLayer::new());
        assert_ready_ok!(service.poll_ready());
        let mut req = call(None);
        let [a, b, _] = targets();
        Notes::of_mut(&mut req).alternatives = Some(Alternatives::new([b.clone()]));
        let _answer = service.call(req);
        let (req, _) = handle.next_request().await.unwrap();
        assert_eq!(Target::of(&req), Some(&a));
        assert_eq!(Alternatives::of(&req), [b]);
        handle.allow(0);
        let (mut service, mut handle) = pair(&BalanceLayer::new());
        handle.allow(0);
        assert_pending!(service.poll_ready());
    }
}
