//! The leaf: takes a call to the provider that it is bound to, and brings back the answer in the caller's dialect.
//!
//! ```
//! use tierway_services::{Dispatch, providers::{Kind, Provider}, upstream::Client};
//! let dispatch = Dispatch::new([Provider::new("local", Kind::Ollama)], Client::new());
//! assert!(dispatch.provider("local").is_some());
//! ```
//!
//! # What travels
//! Where the provider speaks the caller's dialect itself, the request's bytes go up as they came (but for the model's name) and the answer's
//! bytes come down as they came; else both are translated. Headers travel by allow-list, and the caller's credentials not at all, unless
//! the provider is configured so.
//!
//! # Backpressure
//! `Dispatch` is always ready: it has no queue, and limits stand above it. A streaming answer is read as fast as the caller reads it.
//!
//! # Cancellation
//! Nothing runs on its own: dropping the future, or the body of the answer, hangs up on the provider at once. Each call upstream leaves
//! one [`Attempt`](crate::chat::Attempt) in the call's [`Journal`], however it ends.
mod answer;
mod body;
mod collect;
mod count;
mod cutter;
mod entry;
mod error;
mod finding;
mod headers;
mod models;
mod record;

pub use error::{Cause, Error};
pub use models::{Model, probe};

use crate::{
    chat::{
        self, AttemptEnd, Journal, KeptUpstream, Kind, Operation, Prompt, Refusal, Response, Role,
        Target,
    },
    providers::Provider,
    translate,
    upstream::Client,
};
use answer::Answering;
use bytes::Bytes;
use entry::{Entry, Outgoing};
use http::request;
use record::Recorder;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// The leaf service: see the [module](self). A clone costs one reference count.
#[derive(Clone, Debug)]
pub struct Dispatch {
    entries: Arc<[Entry]>,
}

impl Dispatch {
    /// A dispatcher to these providers. Of two with one name, the first is meant.
    pub fn new(providers: impl IntoIterator<Item = Provider>, client: Client) -> Self {
        Self {
            entries: providers
                .into_iter()
                .map(|provider| Entry::new(provider, &client))
                .collect(),
        }
    }
    /// The provider of this name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.entry(name).map(|e| &*e.provider)
    }
    /// All providers, in the order in which they were given.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.entries.iter().map(|e| &*e.provider)
    }
    /// The models of all providers, in the providers' order. A list is kept for some minutes; a provider that does not answer within a few
    /// seconds adds what it last said, or nothing.
    pub async fn models(&self) -> Vec<Model> {
        let lists = models::all(self.entries.iter().map(Entry::models)).await;
        lists.iter().flat_map(|list| list.iter().cloned()).collect()
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.provider.name() == name)
    }
}

impl Service<chat::Request> for Dispatch {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, req: chat::Request) -> ResponseFuture {
        let (head, prompt) = req.into_parts();
        // The one box: what follows is a story of several chapters, not a forwarding.
        ResponseFuture {
            inner: Box::pin(dispatch(self.clone(), head, prompt)),
        }
    }
}

/// The future of [`Dispatch`].
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture {
    inner: Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>,
}

impl Future for ResponseFuture {
    type Output = Result<Response, Error>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

async fn dispatch(this: Dispatch, head: request::Parts, prompt: Prompt) -> Result<Response, Error> {
    let caller = prompt.facts().dialect;
    let refuse = |kind, message: String| Ok(Refusal::new(kind, message).into_response(caller));
    let Some(target) = head.extensions.get::<Target>() else {
        return refuse(Kind::Internal, "no model was bound to this call".into());
    };
    let Some(entry) = this.entry(&target.provider) else {
        let message = format!("no provider is named {}", target.provider);
        return refuse(Kind::NotFound, message);
    };
    let call = Call {
        entry,
        target,
        head: &head,
        prompt: &prompt,
    };
    match prompt.facts().operation {
        Operation::Generate => call.generate().await,
        Operation::CountTokens => call.count_tokens().await,
    }
}

/// A call whose provider is known.
#[derive(Clone, Copy)]
struct Call<'a> {
    entry: &'a Entry,
    target: &'a Target,
    head: &'a request::Parts,
    prompt: &'a Prompt,
}

impl<'a> Call<'a> {
    async fn generate(self) -> Result<Response, Error> {
        let caller = self.prompt.facts().dialect;
        let (model, headers) = (&self.target.model, &self.head.headers);
        let dialect = self.entry.dialect_for(self.prompt, model, headers).await;
        let mut dropped: Vec<String> = Vec::new();
        let body = match self.entry.provider.kind().hooks().body {
            Some(adapt) if dialect == caller => {
                let adapted = adapt(self.prompt, headers, model);
                dropped = adapted.dropped;
                Ok(adapted.body)
            }
            _ => {
                let capabilities = self.entry.provider.spec().capabilities();
                translate::request(self.prompt, dialect, model, &capabilities)
            }
        };
        let body = match body {
            Ok(body) => body,
            Err(refusal) => return Ok(refusal.into_response(caller)),
        };
        let (answering, upstream) = self.send(self.outgoing(dialect, body)).await?;
        let mut response = answering.answer(upstream).await?;
        let translated = translate::dropped(self.prompt, dialect);
        dropped.extend(translated.into_iter().map(str::to_owned));
        headers::dropped(&dropped, response.headers_mut());
        let native = self.entry.provider.spec().native(dialect);
        if dialect == caller && native.is_some_and(|n| n.keeps) {
            response.extensions_mut().insert(KeptUpstream);
        }
        Ok(response)
    }

    async fn count_tokens(self) -> Result<Response, Error> {
        let dialect = self.prompt.facts().dialect;
        let (model, headers) = (&self.target.model, &self.head.headers);
        let counted = match self.entry.counter(dialect) {
            Some(presence)
                if self.entry.dialect_for(self.prompt, model, headers).await == dialect =>
            {
                let body = match self.entry.provider.kind().hooks().count {
                    Some(adapt) => adapt(self.prompt, headers, model).body,
                    None => self.prompt.with_model(model, false),
                };
                let (answering, upstream) = self.send(self.outgoing(dialect, body)).await?;
                answering.count(presence, upstream).await
            }
            _ => None,
        };
        match counted {
            Some(counted) => Ok(counted),
            None => Ok(count::ours(self.prompt).await),
        }
    }

    fn outgoing(self, dialect: crate::dialect::Dialect, body: Bytes) -> Outgoing<'a> {
        let facts = self.prompt.facts();
        Outgoing {
            dialect,
            operation: facts.operation,
            model: &self.target.model,
            same: dialect == facts.dialect,
            stream: facts.stream,
            headers: &self.head.headers,
            query: self.head.uri.query(),
            body,
        }
    }

    async fn send(
        self,
        outgoing: Outgoing<'_>,
    ) -> Result<(Answering<'a>, http::Response<hyper::body::Incoming>), Error> {
        let from = outgoing.dialect;
        let request = self.entry.request(outgoing)?;
        let extensions = &self.head.extensions;
        let mut recorder = Recorder::start(
            extensions.get::<Journal>().cloned(),
            self.target.clone(),
            extensions.get::<Role>().copied().unwrap_or_default(),
        );
        let first_byte_until = recorder.started() + self.entry.provider.limits().first_byte;
        match self.entry.send(request, first_byte_until).await {
            Ok(upstream) => Ok((
                Answering {
                    entry: self.entry,
                    prompt: self.prompt,
                    target: self.target,
                    from,
                    recorder,
                    first_byte_until,
                },
                upstream,
            )),
            Err(error) => {
                recorder.end(AttemptEnd::Failed);
                Err(error)
            }
        }
    }
}

/// A last event whose blank line was forgotten, with it.
fn ended(event: &[u8]) -> Bytes {
    let end: &[u8] = if event.ends_with(b"\n") {
        b"\n"
    } else {
        b"\n\n"
    };
    [event, end].concat().into()
}
