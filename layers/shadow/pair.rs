//! The work beside a call: the big model's answer, and what the two show.
use super::{By, Call, Comparison, Event, Graded, Shared, purse::Aside};
use crate::cascade::{
    Asked, Beginning, Draft, Family, Sighted,
    compare::{Shown, compare},
    signals::{self, Told},
};
use crate::{classify, wire};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};
use tierway_services::{
    chat::{self, Answer, AttemptEnd, Journal, Notes, Role, Target, Tenant, Tier, Usage, Usd},
    dialect::Dialect,
    sse::Splitter,
    tokens, translate,
};
use tower::util::Oneshot;
use tower_service::Service;

/// What an answer may cost that nobody has bounded, in tokens.
const OUTPUT: u64 = 4096;
/// How much of each text a judge is shown, in characters.
const SHOWN: usize = 12_000;

/// A request that has been sent on, and is kept to be asked again.
pub(super) struct Kept {
    pub(super) req: chat::Request,
    pub(super) journal: Journal,
}

impl Kept {
    /// A copy that has nothing to say to the caller or about the call.
    pub(super) fn new(req: &chat::Request) -> Self {
        let (mut req, journal) = (req.clone(), Journal::default());
        req.extensions_mut().remove::<crate::cascade::Sight>();
        let notes = Notes::of_mut(&mut req);
        notes.early = None;
        notes.journal = Some(journal.clone());
        notes.role = Role::Shadow;
        Self { req, journal }
    }

    /// The most that the big model's answer will cost; `None` where its price is not known.
    pub(super) fn dearest(&self, shared: &Shared) -> Option<Usd> {
        let price = (shared.prices)(Target::of(&self.req)?)?;
        let output = self.req.body().facts().max_tokens.unwrap_or(OUTPUT);
        let usage = Usage {
            input: tokens::estimate(self.req.body()),
            output: output.min(price.max_output.unwrap_or(u64::MAX)),
            ..Usage::default()
        };
        Some(price.cost(&usage))
    }

    pub(super) fn call(&self, seen: &Sighted, judged: bool, accepted: bool) -> Call {
        let id = self.req.headers().get("x-request-id");
        Call {
            request_id: id.and_then(|id| Some(id.to_str().ok()?.to_owned())),
            tenant: Tenant::of(&self.req).cloned(),
            target: Target::of(&self.req).cloned(),
            family: seen.family,
            vector: seen.vector.clone(),
            prior: seen.prior,
            confidence: judged.then_some(seen.confidence),
            asked: classify::see(self.req.body()).as_ref().map(Graded::of),
            tier: Tier::of(&self.req),
            drafted: true,
            accepted,
            vetoed: seen.vetoed,
            early: seen.early,
            propensity: None,
        }
    }

    /// A call that nobody drafted an answer to; `None` where nothing is to be learned from it.
    pub(super) fn undrafted(&self) -> Option<Call> {
        let asked = classify::see(self.req.body())?;
        Tier::of(&self.req)?;
        let seen = Sighted {
            answer: Answer::default(),
            vector: asked.vector,
            prior: 0.0,
            family: Family::of(&self.req, ""),
            confidence: 0.0,
            vetoed: false,
            early: false,
        };
        let mut call = self.call(&seen, false, false);
        call.drafted = false;
        Some(call)
    }

    /// What is seen of an answer that no cascade has looked at.
    pub(super) fn see(&self, answer: Answer) -> Sighted {
        let told = Told::default();
        let asked = Asked::new(&self.req);
        let draft = Draft::new(&answer, &self.req, Duration::ZERO).with(&asked);
        Sighted {
            vector: signals::see(&draft, &told),
            prior: signals::prior(&draft, &told),
            family: draft.family(),
            confidence: 0.0,
            vetoed: false,
            early: false,
            answer,
        }
    }

    /// What is seen of the beginnings of an answer.
    pub(super) fn beginnings(&self, answer: &Answer) -> Vec<Beginning> {
        let asked = Asked::new(&self.req);
        Beginning::all(&Draft::new(answer, &self.req, Duration::ZERO).with(&asked))
    }

    /// An answer in the dialect of the request, from all of its body.
    pub(super) fn read(&self, streamed: bool, body: &Bytes) -> Option<Answer> {
        read(self.req.body().facts().dialect, streamed, body)
    }
}

fn read(dialect: Dialect, streamed: bool, body: &Bytes) -> Option<Answer> {
    if !streamed {
        return translate::read_answer(dialect, body);
    }
    let mut splitter = Splitter::new(body.len());
    splitter.push(body.clone()).ok()?;
    let events: Vec<Bytes> = splitter.by_ref().collect();
    translate::read_answer(dialect, &translate::to_whole(dialect, &events)?)
}

/// Asks the big model what it would have said, and compares.
pub(super) async fn shadow<B>(
    shared: Shared,
    big: B,
    kept: Kept,
    call: Arc<Call>,
    small: Answer,
    mut aside: Aside,
) where
    B: Service<chat::Request, Response = chat::Response>,
{
    let answer = ask(&shared, big, &kept).await;
    match answer {
        Ok(answer) => compared(&shared, &kept, call, &small, &answer).await,
        Err(why) => (shared.hear)(Event::Skipped(why)),
    }
    settle(&shared, &kept, &mut aside);
}

async fn ask<B>(shared: &Shared, big: B, kept: &Kept) -> Result<Answer, &'static str>
where
    B: Service<chat::Request, Response = chat::Response>,
{
    let res = Oneshot::new(big, kept.req.clone()).await;
    let res = res.ok().filter(|res| res.status().is_success());
    let res = res.ok_or("failed")?;
    let streamed = wire::is_event_stream(res.headers());
    let body = Limited::new(res.into_body(), shared.most).collect().await;
    let body = body.map_err(|_| "failed")?.to_bytes();
    kept.read(streamed, &body).ok_or("unreadable")
}

/// Compares two answers that are both there.
pub(super) async fn deferred(
    shared: Shared,
    kept: Kept,
    call: Arc<Call>,
    small: Answer,
    big: Answer,
    mut aside: Aside,
) {
    compared(&shared, &kept, call, &small, &big).await;
    settle(&shared, &kept, &mut aside);
}

async fn compared(shared: &Shared, kept: &Kept, call: Arc<Call>, small: &Answer, big: &Answer) {
    let shown = compare(call.family, small, big);
    let judged = match (shown, &shared.judge) {
        (Shown::Different | Shown::Unclear, Some(judge)) => {
            let draft = Draft::new(small, &kept.req, Duration::ZERO);
            let first = coin() < 0.5;
            let [one, two] = if first { [small, big] } else { [big, small] };
            let question = question(&draft.question(), one, two);
            preferred(judge.ask(&draft, &question, 4).await.as_ref(), first)
        }
        _ => None,
    };
    let (by, quality) = match (shown, judged) {
        (_, Some(quality)) => (By::Judge, Some(quality)),
        (Shown::Same, _) => (By::Agreement, Some((1.0, 1.0))),
        (Shown::SameWords, _) => (By::Overlap, Some((1.0, 1.0))),
        // Of two that cannot both be right the big model's is taken for the one that is.
        (Shown::Different, _) => (By::Agreement, Some((0.0, 1.0))),
        (Shown::Unclear, _) => (By::Nobody, None),
    };
    let comparison = Comparison {
        by,
        quality,
        small: small.usage,
        big: big.usage,
        beginnings: kept.beginnings(small),
    };
    (shared.hear)(Event::Compared(call, comparison));
}

/// Which of two answers is better. The order is thrown for each time, because judges favour a place.
fn question(asked: &str, one: &Answer, two: &Answer) -> String {
    let shown = |answer: &Answer| {
        let mut text = answer.text.clone();
        for call in &answer.tool_calls {
            text += &format!("\n[calls {} with {}]", call.name, call.arguments);
        }
        text.chars().take(SHOWN).collect::<String>()
    };
    let asked: String = asked.chars().take(SHOWN).collect();
    format!(
        "Two assistants were asked:\n\n{asked}\n\n<answer-1>\n{}\n</answer-1>\n\n<answer-2>\n{}\n</answer-2>\n\nWhich answer helps more? Say 1, 2, or 0 if both do equally. Say the number and nothing else.",
        shown(one),
        shown(two),
    )
}

/// The quality of the small and the big answer; `first`: the small one was shown first.
fn preferred(said: Option<&Answer>, first: bool) -> Option<(f32, f32)> {
    let number = said?.text.chars().find(char::is_ascii_digit)?;
    match (number, first) {
        ('0', _) => Some((1.0, 1.0)),
        ('1', true) | ('2', false) => Some((1.0, 0.0)),
        ('2', true) | ('1', false) => Some((0.0, 1.0)),
        _ => None,
    }
}

/// Counts what was spent. An upstream call that did not tell its tokens cost what was set aside.
fn settle(shared: &Shared, kept: &Kept, aside: &mut Aside) {
    let (sum, any) = kept.journal.read(|entries| {
        let cost = |attempt: &chat::Attempt| {
            let counted = attempt
                .usage
                .as_ref()
                .and_then(|usage| Some((shared.prices)(&attempt.target)?.cost(usage)));
            let unknown = match attempt.end {
                AttemptEnd::Status(_) => Usd::ZERO,
                _ => aside.sum(),
            };
            attempt.cost.or(counted).unwrap_or(unknown)
        };
        let sum: Usd = entries.attempts.iter().map(cost).sum();
        (sum, !entries.attempts.is_empty())
    });
    aside.spent(sum);
    if any {
        (shared.hear)(Event::Spent(kept.journal.clone()));
    }
}

/// A number from 0 to 1 that nobody can foresee.
pub(super) fn coin() -> f64 {
    // Each state of the hasher has keys of its own.
    let bits = RandomState::new().build_hasher().finish();
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
    let unit = (bits >> 11) as f64 / (1u64 << 53) as f64;
    unit
}
