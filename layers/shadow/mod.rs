//! Compares small models' answers with the big model's, beside the calls and never before them.
//!
//! Above a [`Cascade`](crate::cascade), this layer learns how good drafts are. Where one is *kept*, the same request goes to the big model
//! too, for a configured [share](ShadowLayer::share) of calls; where one is *deferred*, both answers are there anyway, and cost nothing
//! more. Above any other service it compares that service's answers: a way to try a cheaper model on real traffic.
//!
//! Two answers are compared by what they are: calls by name and arguments, JSON by value, choices and numbers by the answer, texts by their
//! words. Where that does not tell, a [`Judge`] model may; where there is none, texts that differ stay unlabelled, for other words are not
//! worse ones.
//!
//! # Nobody waits
//! The layer spawns nothing by itself: it hands futures to the function it was given. A caller's answer is handed on before its comparison
//! has begun, and a caller who leaves does not end it. At most so many comparisons [are under way](ShadowLayer::in_flight), and they cost at
//! most so much [a day](ShadowLayer::a_day): before each the dearest that it can be is set aside (its input, and as much output as the
//! request allows, or 4,096 tokens), afterwards what it was is counted. A judge is counted afterwards alone. What has no known price is not
//! asked for.
//!
//! # What may be promised
//! A label comes with the probability with which a call like it is compared. That is [larger](ShadowLayer::focus) where the confidence was close
//! to the threshold, where a label tells most. For deferred calls the same coin is thrown as for kept ones, although they are compared either way,
//! and only where it falls alike do they have one. So what has a probability becomes an even sample of all calls that got a judged draft, as
//! [`certify`](crate::cascade::certify()) needs it, once each is left in it with the least of these probabilities over its own.
//!
//! # Example
//! ```
//! use std::{convert::Infallible, sync::{Arc, Mutex}};
//! use tierway_layers::shadow::{Event, ShadowLayer};
//! use tierway_services::{chat::{self, Notes, Operation, Prompt, Reply}, dialect::Dialect, prices::Price};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! fn says(number: &str) -> chat::Response {
//!     let choice = serde_json::json!({"message": {"role": "assistant", "content": number}, "finish_reason": "stop"});
//!     chat::Response::new(Reply::whole(serde_json::json!({"choices": [choice]}).to_string()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let big = service_fn(|_: chat::Request| async { Ok::<_, Infallible>(says("It is 42.")) });
//! let heard = Arc::new(Mutex::new(Vec::new()));
//! let (hear, (tell, told)) = (heard.clone(), tokio::sync::oneshot::channel());
//! let tell = Mutex::new(Some(tell));
//! let layer = ShadowLayer::new(big, |comparison| { tokio::spawn(comparison); })
//!     .share(1.0)
//!     .prices(|_| Some(Price::FREE))
//!     .on_event(move |event| {
//!         if let Event::Compared(_, comparison) = &event {
//!             hear.lock().unwrap().push(comparison.quality.unwrap());
//!             tell.lock().unwrap().take().unwrap().send(()).unwrap();
//!         }
//!     });
//! let service = ServiceBuilder::new().layer(layer).service_fn(|_: chat::Request| async { Ok::<_, Infallible>(says("41")) });
//!
//! let body = r#"{"model":"m","messages":[{"role":"user","content":"How much is 6 times 7?"}]}"#;
//! let mut request = chat::Request::new(Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap());
//! Notes::of_mut(&mut request).target = Some("p:big".parse().unwrap()); // Bind would
//! service.oneshot(request).await.unwrap();
//! told.await.unwrap();
//! assert_eq!(heard.lock().unwrap()[..], [(0.0, 1.0)]); // the small one's answer was not good
//! # }
//! ```
//!
//! # Backpressure
//! Ready when the inner service is.
//!
//! # Cancellation
//! The inner call is dropped with the future; a comparison that has begun goes on.
mod pair;
mod purse;
mod service;
mod tee;

#[cfg(test)]
mod tests;

pub use self::service::{Shadow, ShadowLayer};

use crate::{
    cascade::{Beginning, Family, Judge},
    classify::Seen,
    learn::Vector,
};
use std::{fmt, future::Future, pin::Pin, sync::Arc};
use tierway_services::{
    chat::{Journal, Target, Tenant, Tier, Usage},
    prices::Price,
};

/// What is handed to whoever spawns.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A call whose answer was, or may be, compared. It holds no word of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// Its `x-request-id`, where it has one.
    pub request_id: Option<String>,
    /// For whom it was made.
    pub tenant: Option<Tenant>,
    /// The big model.
    pub target: Option<Target>,
    /// The kind of task.
    pub family: Family,
    /// What was seen of question and draft.
    pub vector: Vector,
    /// What was believed of it before any label.
    pub prior: f32,
    /// The confidence in the draft; `None` where no cascade judged it.
    pub confidence: Option<f64>,
    /// What is needed to learn from it which tier suffices; `None` where nothing was asked that is graded.
    pub asked: Option<Graded>,
    /// The tier that the call was in, where it was in one.
    pub tier: Option<Tier>,
    /// Whether there was a draft; the vector is that of the question alone where there was none.
    pub drafted: bool,
    /// Whether the draft was the answer.
    pub accepted: bool,
    /// Whether the draft was vetoed: never kept whole, whatever the confidence.
    pub vetoed: bool,
    /// Whether it could be kept for its beginning.
    pub early: bool,
    /// With which probability a call like this is compared; `None` where this one is not part of the even sample.
    pub propensity: Option<f64>,
}

/// Which part of a [`Call`]'s vector is the question, see [`classify::see`](crate::classify::see).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Graded {
    /// How many n-grams are the question's: they stand first, as its numbers do.
    pub grams: usize,
    /// What was added by hand to the log-odds of every tier.
    pub shift: f32,
}

impl Graded {
    /// Of a question that the classifier has seen.
    #[must_use]
    pub fn of(seen: &Seen) -> Self {
        Self {
            grams: seen.vector.grams.len(),
            shift: seen.shift,
        }
    }
}

/// What came of comparing two answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// By what it was found.
    pub by: By,
    /// How good the small model's answer and the big one's are, from 0 to 1; `None` where nobody can tell.
    pub quality: Option<(f32, f32)>,
    /// The tokens of the small model's answer, where it told.
    pub small: Option<Usage>,
    /// The tokens of the big model's.
    pub big: Option<Usage>,
    /// What is seen of the beginnings of the small model's answer.
    pub beginnings: Vec<Beginning>,
}

/// By what two answers were compared.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum By {
    /// By what they are: calls, values, choices, numbers.
    Agreement,
    /// By their words.
    Overlap,
    /// By a model.
    Judge,
    /// By nothing: nobody could tell.
    Nobody,
}

/// What a layer has to tell.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "a comparison is told once in thousands of calls, and moved once"
)]
pub enum Event {
    /// A draft was judged, and its call is answered or about to be: told at once, for every one.
    Judged(Arc<Call>),
    /// A call that has a tier was answered without a draft that was judged.
    Answered(Arc<Call>),
    /// Two answers were compared.
    Compared(Arc<Call>, Comparison),
    /// A call was to be compared and was not: `over_budget`, `busy`, `unpriced`, `failed` (the big model), `unreadable`.
    Skipped(&'static str),
    /// A comparison has made upstream calls, which are in this journal and in nobody else's.
    Spent(Journal),
}

type Prices = Arc<dyn Fn(&Target) -> Option<Price> + Send + Sync>;
type Hear = Arc<dyn Fn(Event) + Send + Sync>;
type Spawn = Arc<dyn Fn(Task) + Send + Sync>;

/// What all calls share.
#[derive(Clone)]
struct Shared {
    share: f64,
    /// How many times as often what was decided by little is compared, and how little that is.
    focus: (f64, f64),
    judge: Option<Judge>,
    prices: Prices,
    purse: purse::Purse,
    spawn: Spawn,
    hear: Hear,
    /// The most bytes of an answer that is compared.
    most: usize,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("share", &self.share)
            .field("judge", &self.judge)
            .field("purse", &self.purse)
            .finish_non_exhaustive()
    }
}
