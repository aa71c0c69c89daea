//! Asking a model about a draft.
use super::Draft;
use http_body_util::{BodyExt, Limited};
use std::{fmt, future::Future, pin::Pin, sync::Arc};
use tierway_services::{
    chat::{self, Answer, Logprobs, Notes, Operation, Prompt, Role},
    dialect::Dialect,
    translate,
};
use tower::util::Oneshot;
use tower_service::Service;

/// What a judge says may be this long.
const MOST: usize = 1 << 20;

type Asking = Pin<Box<dyn Future<Output = Option<Answer>> + Send>>;

/// A model that predicates may ask about a draft: a third one, or the small one itself (is this answer true?).
///
/// It costs time that the caller waits and money that the caller pays: what it uses is in the call's
/// [`Journal`](chat::Journal) under [`Role::Judge`]. The answer brings log-probabilities where the model tells them, so a predicate can weigh
/// "yes" against "no" rather than read a number that the model made up.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use tierway_layers::cascade::{Confidence, Draft, Judge, Verdict};
/// use tierway_services::chat::{self, Reply};
///
/// struct AskWhether;
/// impl Confidence for AskWhether {
///     async fn judge(&self, draft: &Draft<'_>) -> Verdict {
///         let Some(judge) = draft.judge() else { return Verdict::new(0.5, "no_judge") };
///         let ask = format!("Question: {}\nAnswer: {}\nIs the answer right? Say yes or no.", draft.question(), draft.answer().text);
///         match judge.ask(draft, &ask, 1).await {
///             Some(said) if said.text.eq_ignore_ascii_case("yes") => Verdict::new(0.9, "judged_right"),
///             Some(_) => Verdict::new(0.1, "judged_wrong"),
///             None => Verdict::new(0.0, "judge_failed"),
///         }
///     }
/// }
///
/// let yes = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Yes"},"finish_reason":"stop"}]}"#;
/// let model = tower::service_fn(move |_: chat::Request| async move { Ok::<_, Infallible>(chat::Response::new(Reply::whole(yes))) });
/// let judge = Judge::new(model);
/// ```
#[derive(Clone)]
pub struct Judge(Arc<dyn Fn(chat::Request) -> Asking + Send + Sync>);

impl Judge {
    /// Asks `model`, which has to send the question to the right one by itself: before a shared leaf stands a
    /// [`RetargetLayer`](crate::bind::RetargetLayer).
    pub fn new<S>(model: S) -> Self
    where
        S: Service<chat::Request, Response = chat::Response> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Send,
    {
        Self(Arc::new(move |req| {
            let asked = Oneshot::new(model.clone(), req);
            Box::pin(async move {
                let res = asked.await.ok().filter(|res| res.status().is_success())?;
                let body = Limited::new(res.into_body(), MOST).collect().await.ok()?;
                translate::read_answer(Dialect::ChatCompletions, &body.to_bytes())
            })
        }))
    }

    /// What the model says to `question`, in at most `tokens` tokens; `None` where it does not answer.
    pub async fn ask(&self, draft: &Draft<'_>, question: &str, tokens: u32) -> Option<Answer> {
        let body = serde_json::json!({"model": "judge", "temperature": 0, "max_tokens": tokens,
            "messages": [{"role": "user", "content": question}]});
        let body = body.to_string().into();
        let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body).ok()?;
        let mut req = chat::Request::new(prompt);
        let (of, to) = (Notes::of(draft.request()), Notes::of_mut(&mut req));
        let logprobs = Logprobs::default();
        to.journal.clone_from(&of.journal);
        to.tenant.clone_from(&of.tenant);
        to.logprobs = Some(logprobs.clone());
        to.role = Role::Judge;
        let mut answer = (self.0)(req).await?;
        let told = logprobs.take();
        if !told.is_empty() {
            answer.logprobs = told;
        }
        Some(answer)
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").finish_non_exhaustive()
    }
}
