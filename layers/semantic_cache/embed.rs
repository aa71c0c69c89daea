//! Who turns a text into a vector.
use http_body_util::BodyExt;
use serde::Deserialize;
use std::{future::Future, time::Duration};
use tierway_services::{
    chat::{self, Notes, Operation, Prompt, Role, Target},
    dialect::Dialect,
};
use tower::{ServiceExt, util::Either};
use tower_service::Service;

/// Turns a text into a vector: texts that mean the same into vectors of almost one direction.
///
/// ```
/// use tierway_layers::semantic_cache::Embed;
/// use tierway_services::chat;
///
/// /// Counts letters (do not do this).
/// struct Letters;
/// impl Embed for Letters {
///     async fn embed(&self, text: &str, _: &chat::Request) -> Option<Vec<f32>> {
///         Some(('a'..='z').map(|letter| text.matches(letter).count() as f32).collect())
///     }
/// }
/// ```
pub trait Embed {
    /// The vector of `text`, which `call` asks; `None` where it cannot be had in time. What it costs belongs in the call's journal.
    fn embed(
        &self,
        text: &str,
        call: &chat::Request,
    ) -> impl Future<Output = Option<Vec<f32>>> + Send;
}

impl<A: Embed + Sync, B: Embed + Sync> Embed for Either<A, B> {
    async fn embed(&self, text: &str, call: &chat::Request) -> Option<Vec<f32>> {
        match self {
            Self::Left(a) => a.embed(text, call).await,
            Self::Right(b) => b.embed(text, call).await,
        }
    }
}

/// Asks a model for vectors, through a service that answers embeddings: [`Dispatch`](tierway_services), say.
#[derive(Clone, Debug)]
pub struct Remote<S> {
    service: S,
    target: Target,
    patience: Duration,
}

impl<S> Remote<S> {
    /// Asks `target` through `service`, and waits for a second at most.
    pub const fn new(service: S, target: Target) -> Self {
        Self {
            service,
            target,
            patience: Duration::from_secs(1),
        }
    }

    /// How long a call may be kept waiting for its vector.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn request(&self, text: &str, call: &chat::Request) -> Option<chat::Request> {
        let body = serde_json::json!({"model": &*self.target.model, "input": text});
        let body = body.to_string().into();
        let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Embed, body).ok()?;
        let mut req = chat::Request::new(prompt);
        let (of, to) = (Notes::of(call), Notes::of_mut(&mut req));
        to.journal.clone_from(&of.journal);
        to.tenant.clone_from(&of.tenant);
        to.target = Some(self.target.clone());
        to.role = Role::Embedding;
        Some(req)
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Datum>,
}

#[derive(Deserialize)]
struct Datum {
    embedding: Vec<f32>,
}

impl<S> Embed for Remote<S>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + Sync,
    S::Future: Send,
    S::Error: Send,
{
    async fn embed(&self, text: &str, call: &chat::Request) -> Option<Vec<f32>> {
        let req = self.request(text, call)?;
        let ask = async {
            let res = self.service.clone().oneshot(req).await.ok()?;
            if !res.status().is_success() {
                return None;
            }
            let body = res.into_body().collect().await.ok()?.to_bytes();
            let answer: Answer = serde_json::from_slice(&body).ok()?;
            Some(answer.data.into_iter().next()?.embedding)
        };
        tokio::time::timeout(self.patience, ask).await.ok()?
    }
}
