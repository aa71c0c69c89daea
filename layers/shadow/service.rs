use super::{
    By, Comparison, Event, Shared, Task,
    pair::{self, Kept, coin},
    purse::Purse,
    tee::Tee,
};
use crate::{
    cascade::{Judge, Sight, Sighted},
    wire,
};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::{
    chat::{self, Operation, Reply, Target, Usd},
    prices::Price,
};
use tower_layer::Layer;
use tower_service::Service;

/// Applies [`Shadow`].
#[derive(Clone, Debug)]
pub struct ShadowLayer<B> {
    big: B,
    shared: Shared,
}

/// Compares answers with the big model's. See the [module](super).
#[derive(Clone, Debug)]
pub struct Shadow<S, B> {
    inner: S,
    big: B,
    shared: Shared,
}

// === impl ShadowLayer ===

impl<B> ShadowLayer<B> {
    /// Compares with the answers of `big`, which gets each request as it came here: bound to the big model. `spawn` runs what it is given.
    pub fn new(big: B, spawn: impl Fn(Task) + Send + Sync + 'static) -> Self {
        Self {
            big,
            shared: Shared {
                share: 0.02,
                focus: (1.0, 0.0),
                judge: None,
                prices: Arc::new(|_| None),
                purse: Purse::new(Usd::from_dollars(1.0), 4),
                spawn: Arc::new(spawn),
                hear: Arc::new(|_| ()),
                most: 4 << 20,
            },
        }
    }

    /// The share of kept answers whose request goes to the big model too; 0.02 by default.
    #[must_use]
    pub const fn share(mut self, share: f64) -> Self {
        self.shared.share = share;
        self
    }

    /// Compares `times` as many of those whose confidence is within `width` of the threshold, kept or not: there labels are worth most, both to
    /// learn from and to place the threshold. Once as many by default.
    #[must_use]
    pub const fn focus(mut self, times: f64, width: f64) -> Self {
        self.shared.focus = (times, width);
        self
    }

    /// Who compares what is not plainly the same; nobody by default.
    #[must_use]
    pub fn judge(mut self, judge: Option<Judge>) -> Self {
        self.shared.judge = judge;
        self
    }

    /// What models cost. By default no price is known, and so nothing is asked for.
    #[must_use]
    pub fn prices(
        mut self,
        price: impl Fn(&Target) -> Option<Price> + Send + Sync + 'static,
    ) -> Self {
        self.shared.prices = Arc::new(price);
        self
    }

    /// What comparisons may cost in a day (UTC); a dollar by default.
    #[must_use]
    pub fn a_day(mut self, most: Usd) -> Self {
        self.shared.purse = self.shared.purse.bounded(Some(most), None);
        self
    }

    /// How many may be under way at a time; 4 by default.
    #[must_use]
    pub fn in_flight(mut self, most: usize) -> Self {
        self.shared.purse = self.shared.purse.bounded(None, Some(most));
        self
    }

    /// Shows everything to `hear`, which must neither block nor panic.
    #[must_use]
    pub fn on_event(mut self, hear: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.shared.hear = Arc::new(hear);
        self
    }
}

impl<S, B: Clone> Layer<S> for ShadowLayer<B> {
    type Service = Shadow<S, B>;
    fn layer(&self, inner: S) -> Self::Service {
        Shadow {
            inner,
            big: self.big.clone(),
            shared: self.shared.clone(),
        }
    }
}

// === impl Shadow ===

impl<S, B> Service<chat::Request> for Shadow<S, B>
where
    S: Service<chat::Request, Response = chat::Response>,
    S::Future: Send + 'static,
    B: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    B::Future: Send,
    B::Error: Send,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<chat::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: chat::Request) -> Self::Future {
        let facts = req.body().facts();
        if facts.operation != Operation::Generate || facts.choices > 1 {
            return Box::pin(self.inner.call(req));
        }
        let (kept, sight) = (Kept::new(&req), Sight::default());
        req.extensions_mut().insert(sight.clone());
        let answered = self.inner.call(req);
        let (big, mut shared) = (self.big.clone(), self.shared.clone());
        Box::pin(async move {
            let res = answered.await?;
            if !res.status().is_success() {
                return Ok(res);
            }
            let seen = sight.take();
            if let (Some(seen), Some(threshold)) = (&seen, threshold(res.headers())) {
                shared.share = shared.share_at(seen.confidence, threshold);
            }
            Ok(match (Outcome::of(res.headers()), seen) {
                (Outcome::Accepted, Some(seen)) => {
                    accepted(shared, big, kept, seen);
                    res
                }
                // It was kept for its beginning, and the rest is on its way.
                (Outcome::Accepted, None) => committed(shared, big, kept, sight, res).await,
                (Outcome::Deferred { .. }, Some(seen)) if seen.vetoed => {
                    vetoed(&shared, &kept, &seen);
                    res
                }
                (Outcome::Deferred { always }, Some(seen)) => {
                    deferred(shared, kept, seen, always, res).await
                }
                (Outcome::NoCascade, _) => alone(shared, big, kept, res).await,
                _ => {
                    if let Some(call) = kept.undrafted() {
                        (shared.hear)(Event::Answered(Arc::new(call)));
                    }
                    res
                }
            })
        })
    }
}

/// What a cascade below did, as its header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    /// `always`: not for its confidence, but because all of its kind are.
    Deferred {
        always: bool,
    },
    Skipped,
    NoCascade,
}

/// The confidence that would have been enough, as the header tells.
fn threshold(head: &HeaderMap) -> Option<f64> {
    let word = head.get("x-tierway-cascade")?.to_str().ok()?;
    let said = word
        .split("; ")
        .find_map(|part| part.strip_prefix("threshold="));
    said?.parse().ok()
}

impl Shared {
    /// With which probability a call of this confidence is compared.
    fn share_at(&self, confidence: f64, threshold: f64) -> f64 {
        let (times, width) = self.focus;
        let near = (confidence - threshold).abs() <= width;
        let share = if near {
            self.share * times.max(1.0)
        } else {
            self.share
        };
        share.min(1.0)
    }
}

impl Outcome {
    fn of(head: &HeaderMap) -> Self {
        let Some(word) = head.get("x-tierway-cascade") else {
            return Self::NoCascade;
        };
        let word = word.to_str().unwrap_or_default();
        if word.starts_with("accepted") {
            Self::Accepted
        } else if word.starts_with("deferred") {
            let always = word.contains("reason=uncertified");
            Self::Deferred { always }
        } else {
            Self::Skipped
        }
    }
}

/// The small model's answer is the caller's.
fn accepted<B>(shared: Shared, big: B, kept: Kept, seen: Sighted)
where
    B: Service<chat::Request, Response = chat::Response> + Send + 'static,
    B::Future: Send,
    B::Error: Send,
{
    let mut call = kept.call(&seen, true, true);
    let aside = (coin() < shared.share).then(|| claim(&shared, &kept));
    let aside = aside.and_then(|aside| match aside {
        Ok(aside) => Some(aside),
        Err(why) => {
            (shared.hear)(Event::Skipped(why));
            None
        }
    });
    call.propensity = aside.is_some().then_some(shared.share);
    let call = Arc::new(call);
    (shared.hear)(Event::Judged(call.clone()));
    if let Some(aside) = aside {
        let spawn = shared.spawn.clone();
        spawn(Box::pin(pair::shadow(
            shared,
            big,
            kept,
            call,
            seen.answer,
            aside,
        )));
    }
}

/// The small model's answer is the caller's, of which only a beginning has been seen.
async fn committed<B>(
    shared: Shared,
    big: B,
    kept: Kept,
    sight: Sight,
    res: chat::Response,
) -> chat::Response
where
    B: Service<chat::Request, Response = chat::Response> + Send + 'static,
    B::Future: Send,
    B::Error: Send,
{
    let most = shared.most;
    let then = move |_| {
        if let Some(seen) = sight.take() {
            accepted(shared, big, kept, seen);
        }
    };
    read_along(res, most, Box::new(then)).await
}

/// A draft that is plainly broken: of the whole nothing is to be learned, but it had beginnings that may have looked well.
fn vetoed(shared: &Shared, kept: &Kept, seen: &Sighted) {
    let mut call = kept.call(seen, true, false);
    let falls = coin() < shared.share && claim(shared, kept).is_ok_and(returned);
    call.propensity = falls.then_some(shared.share);
    let call = Arc::new(call);
    (shared.hear)(Event::Judged(call.clone()));
    if falls {
        let comparison = Comparison {
            by: By::Nobody,
            quality: None,
            small: seen.answer.usage,
            big: None,
            beginnings: kept.beginnings(&seen.answer),
        };
        (shared.hear)(Event::Compared(call, comparison));
    }
}

fn claim(shared: &Shared, kept: &Kept) -> Result<super::purse::Aside, &'static str> {
    shared.purse.claim(kept.dearest(shared).ok_or("unpriced")?)
}

/// Both answers are there once the big model's has passed.
async fn deferred(
    shared: Shared,
    kept: Kept,
    seen: Sighted,
    always: bool,
    res: chat::Response,
) -> chat::Response {
    let mut call = kept.call(&seen, true, false);
    call.propensity = if always {
        Some(1.0)
    } else {
        // As if it were to be asked for: what a kept one is not compared for keeps a deferred one out of the sample, too.
        let falls = coin() < shared.share && claim(&shared, &kept).is_ok_and(returned);
        falls.then_some(shared.share)
    };
    let call = Arc::new(call);
    (shared.hear)(Event::Judged(call.clone()));
    let streamed = wire::is_event_stream(res.headers());
    let most = shared.most;
    let then = move |body: Vec<Bytes>| {
        let aside = match shared.purse.claim(Usd::ZERO) {
            Ok(aside) => aside,
            Err(why) => return (shared.hear)(Event::Skipped(why)),
        };
        let spawn = shared.spawn.clone();
        spawn(Box::pin(async move {
            match kept.read(streamed, &body.concat().into()) {
                Some(big) => pair::deferred(shared, kept, call, seen.answer, big, aside).await,
                None => (shared.hear)(Event::Skipped("unreadable")),
            }
        }));
    };
    read_along(res, most, Box::new(then)).await
}

/// Nothing is spent of what was set aside.
fn returned(mut aside: super::purse::Aside) -> bool {
    aside.spent(Usd::ZERO);
    true
}

/// No cascade: the inner service's answer is the one that is compared.
async fn alone<B>(shared: Shared, big: B, kept: Kept, res: chat::Response) -> chat::Response
where
    B: Service<chat::Request, Response = chat::Response> + Send + 'static,
    B::Future: Send,
    B::Error: Send,
{
    if coin() >= shared.share {
        return res;
    }
    let aside = match claim(&shared, &kept) {
        Ok(aside) => aside,
        Err(why) => {
            (shared.hear)(Event::Skipped(why));
            return res;
        }
    };
    let streamed = wire::is_event_stream(res.headers());
    let most = shared.most;
    let mut aside = aside;
    aside.spent(Usd::ZERO);
    let then = move |body: Vec<Bytes>| {
        let spawn = shared.spawn.clone();
        spawn(Box::pin(async move {
            let Some(answer) = kept.read(streamed, &body.concat().into()) else {
                return (shared.hear)(Event::Skipped("unreadable"));
            };
            let seen = kept.see(answer);
            let mut call = kept.call(&seen, false, true);
            call.propensity = Some(shared.share);
            let call = Arc::new(call);
            pair::shadow(shared, big, kept, call, seen.answer, aside).await;
        }));
    };
    read_along(res, most, Box::new(then)).await
}

/// Hands an answer on, and all of it to `then` once it has passed.
async fn read_along(
    res: chat::Response,
    most: usize,
    then: Box<dyn FnOnce(Vec<Bytes>) + Send>,
) -> chat::Response {
    let (head, body) = res.into_parts();
    if body.is_stream() {
        let body = Reply::stream(Tee::new(body, most, then));
        return chat::Response::from_parts(head, body);
    }
    // It is there, and nothing is waited for.
    let bytes = body.collect().await.unwrap_or_default().to_bytes();
    if bytes.len() <= most {
        then(vec![bytes.clone()]);
    }
    chat::Response::from_parts(head, Reply::whole(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::service_fn;

    #[test]
    fn what_was_decided_by_little_is_compared_more_often() {
        let big = service_fn(|_: chat::Request| async { Err::<chat::Response, _>("down") });
        let layer = ShadowLayer::new(big, |_| ()).share(0.1).focus(4.0, 0.05);
        let mut head = HeaderMap::new();
        assert_eq!(threshold(&head), None);
        let told = "accepted; confidence=0.87; threshold=0.85; reason=prior; certified=no";
        head.insert("x-tierway-cascade", told.parse().unwrap());
        let threshold = threshold(&head).unwrap();
        for (confidence, share) in [(0.87, 0.4), (0.81, 0.4), (0.95, 0.1), (0.2, 0.1)] {
            assert_eq!(
                Some(layer.shared.share_at(confidence, threshold)),
                Some(share)
            );
        }
        let often = layer.share(0.5).shared;
        assert_eq!(Some(often.share_at(0.87, threshold)), Some(1.0));
    }
}
