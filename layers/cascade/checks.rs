//! What is found out about a draft by asking further: other answers to the same request, and whether a model believes this one.
//!
//! Answers that are drawn again and say the same are likelier to be right: self-consistency (Wang and others, arXiv 2203.11171). And a model
//! that is asked whether an answer is true knows more than its own probabilities while writing it: P(True) (Kadavath and others,
//! arXiv 2207.05221). Both cost calls, so both are off unless told.
use super::{
    Draft, Family, Judge,
    compare::{Shown, alike, compare, is_short},
    signals::Told,
};
use http_body_util::{BodyExt, Limited};
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};
use tierway_services::{
    chat::{self, Answer, Notes, Operation, Prompt, Role},
    dialect::Dialect,
    translate::{self, AnswerReader},
};
use tokio::sync::OnceCell;
use tower::util::Oneshot;
use tower_service::Service;

/// As many further answers are asked for at the most.
pub(super) const MOST_SAMPLES: u32 = 10;
/// Below this temperature answers that are drawn again are the same again.
const COLD: f64 = 0.5;
/// At which they differ where the model is not sure.
const WARM: &str = "0.7";
/// How much of question and answer is shown, in characters.
const SHOWN: usize = 12_000;

type Asking = Pin<Box<dyn Future<Output = Option<Answer>> + Send>>;

enum Sample {
    Asked(Asking),
    Ended(Option<Answer>),
}

/// Further answers, which are under way beside the draft, and who is asked whether it is right. They are hung up on when this is dropped.
pub(super) struct Checks {
    samples: Mutex<Vec<Sample>>,
    verify: Option<Judge>,
    told: OnceCell<Told>,
}

impl Checks {
    /// Asks `small` for so many further answers to `req`, where these can be compared, and later `verify` about the draft.
    pub(super) fn new<M>(
        small: &M,
        req: &chat::Request,
        samples: u32,
        verify: Option<Judge>,
        most: usize,
    ) -> Self
    where
        M: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
        M::Future: Send,
        M::Error: Send,
    {
        let ask = |req: chat::Request| {
            let dialect = req.body().facts().dialect;
            let asked = Oneshot::new(small.clone(), req);
            Sample::Asked(Box::pin(async move {
                read(dialect, asked.await.ok()?, most).await
            }))
        };
        let request = (samples > 0).then(|| again(req)).flatten();
        let samples = request.map_or_else(Vec::new, |req| {
            (0..samples.min(MOST_SAMPLES))
                .map(|_| ask(req.clone()))
                .collect()
        });
        Self {
            samples: Mutex::new(samples),
            verify,
            told: OnceCell::new(),
        }
    }

    /// Goes on with what is under way.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = true;
        for sample in samples.iter_mut() {
            if let Sample::Asked(asking) = sample {
                match asking.as_mut().poll(cx) {
                    Poll::Ready(answer) => *sample = Sample::Ended(answer),
                    Poll::Pending => ended = false,
                }
            }
        }
        if ended {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// What is found out about `draft`; the same however often it is asked.
    pub(super) async fn told(&self, draft: &Draft<'_>) -> Told {
        let ask = || async {
            let samples = poll_fn(|cx| self.poll(cx));
            let verified = async { p_true(self.verify.as_ref()?, draft).await };
            let ((), p_true) = tokio::join!(samples, verified);
            let agreement = self.agreed(draft);
            // Of long texts it is no share of anything.
            let says = compares(draft.family()) || is_short(&draft.answer().text);
            Told {
                p_true,
                agreement: agreement.filter(|_| says),
                likeness: agreement.filter(|_| !says),
            }
        };
        *self.told.get_or_init(ask).await
    }

    /// What has been found out, where anybody asked.
    pub(super) fn found(&self) -> Told {
        self.told.get().copied().unwrap_or_default()
    }

    /// The share of further answers that say the same, or how far they do; those that failed, or that show nothing, do not count.
    fn agreed(&self, draft: &Draft<'_>) -> Option<f64> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let same = samples.iter().filter_map(|sample| match sample {
            Sample::Ended(Some(other)) => agrees(draft, other),
            _ => None,
        });
        let (mut all, mut agreed) = (0_u32, 0.0);
        for same in same {
            all += 1;
            agreed += same;
        }
        (all > 0).then(|| agreed / f64::from(all))
    }
}

/// Whether two answers to such a request can be told to say the same, other than by their words.
const fn compares(family: Family) -> bool {
    matches!(
        family,
        Family::Tool | Family::Json | Family::Choice | Family::Math
    )
}

fn agrees(draft: &Draft<'_>, other: &Answer) -> Option<f64> {
    let (family, answer) = (draft.family(), draft.answer());
    let texts = answer.tool_calls.is_empty() && other.tool_calls.is_empty();
    if texts && !compares(family) {
        return Some(alike(&draft.question(), &answer.text, &other.text));
    }
    match compare(family, answer, other) {
        Shown::Same | Shown::SameWords => Some(1.0),
        Shown::Different => Some(0.0),
        // Whether to call a tool at all is what they agree on.
        Shown::Unclear => (family == Family::Tool).then_some(1.0),
    }
}

/// The request once more, warm enough for another answer.
fn again(req: &chat::Request) -> Option<chat::Request> {
    let prompt = warm(req.body())?;
    let mut req = req.clone();
    *req.body_mut() = prompt;
    let notes = Notes::of_mut(&mut req);
    // None of these is shown to anybody.
    notes.early = None;
    notes.logprobs = None;
    notes.role = Role::Sample;
    Some(req)
}

fn warm(prompt: &Prompt) -> Option<Prompt> {
    let facts = prompt.facts();
    if facts.temperature.is_none_or(|t| t >= COLD) {
        return Some(prompt.clone());
    }
    let mut body: BTreeMap<&str, Box<RawValue>> = serde_json::from_slice(prompt.raw()).ok()?;
    body.insert("temperature", RawValue::from_string(WARM.to_owned()).ok()?);
    body.remove("seed");
    let body = serde_json::to_vec(&body).ok()?;
    Prompt::parse(facts.dialect, Operation::Generate, body.into()).ok()
}

/// Reads all of an answer, whole or streamed, in the dialect in which it was asked for.
async fn read(dialect: Dialect, res: chat::Response, most: usize) -> Option<Answer> {
    if !res.status().is_success() {
        return None;
    }
    let streamed = crate::wire::is_event_stream(res.headers());
    let body = Limited::new(res.into_body(), most).collect().await.ok()?;
    let bytes = body.to_bytes();
    if !streamed {
        return translate::read_answer(dialect, &bytes);
    }
    let mut reader = AnswerReader::new(dialect);
    reader.push(bytes);
    (reader.error().is_none() && reader.is_complete()).then(|| reader.into_answer())
}

/// With which probability the model takes the answer for right: from the log-probabilities of its word where it tells them, else from one
/// draw by the rule of succession.
async fn p_true(judge: &Judge, draft: &Draft<'_>) -> Option<f64> {
    let said = judge.ask(draft, &question(draft), 3).await?;
    let low = said.text.trim().to_ascii_lowercase();
    let yes = low.starts_with("true");
    if !yes && !low.starts_with("false") {
        return None;
    }
    let word = |l: &&chat::Logprob| l.token.chars().any(char::is_alphabetic);
    let sure = match said.logprobs.iter().find(word) {
        Some(told) => {
            let own = told.logprob.exp();
            let other = told.runner_up.map_or(1.0 - own, f64::exp);
            own / (own + other).max(f64::MIN_POSITIVE)
        }
        None => 2.0 / 3.0,
    };
    Some(if yes { sure } else { 1.0 - sure })
}

fn question(draft: &Draft<'_>) -> String {
    let cut = |text: &str| text.chars().take(SHOWN).collect::<String>();
    let mut answer = cut(draft.answer().text.trim());
    for call in draft.tool_calls() {
        let arguments = cut(&call.arguments);
        answer += &format!("\n[calls {} with {arguments}]", call.name);
    }
    let asked = cut(draft.question().trim());
    format!(
        "Question:\n{asked}\n\nProposed answer:\n{answer}\n\nIs the proposed answer right? Say True or False and nothing else."
    )
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks")
            .field("verify", &self.verify)
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}
