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
//! one [`Attempt`](crate::chat::Attempt) in the call's [`Journal`](crate::chat::Journal), however it ends.
mod answer;
mod body;
mod buffer;
mod call;
mod collect;
mod count;
mod cutter;
mod entry;
mod error;
mod finding;
mod headers;
mod logprobs;
mod models;
mod passage;
mod record;
mod replaced;
mod scrub;
mod signatures;

pub use error::{Cause, Error};
pub use models::{Listing, Model, Unlisted, probe};

use crate::{
    chat::{self, Kind, Notes, Operation, Refusal, Response},
    providers::Provider,
    upstream::Client,
};
use buffer::Buffer;
use call::Call;
use entry::Entry;
use signatures::Signatures;
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
    entries: Arc<[Arc<Entry>]>,
    signatures: Arc<Signatures>,
    estimate_tokens: bool,
    buffer: Buffer,
}

impl Dispatch {
    /// A dispatcher to these providers. Of two with one name, the first is meant.
    pub fn new(providers: impl IntoIterator<Item = Provider>, client: Client) -> Self {
        let buffer = Buffer::default();
        Self {
            entries: providers
                .into_iter()
                .map(|provider| Arc::new(Entry::new(provider, &client, &buffer)))
                .collect(),
            signatures: Arc::default(),
            estimate_tokens: true,
            buffer,
        }
    }
    /// Whether tokens are counted here where a provider has no counter; so by default. Off, such a call is refused as not supported, and
    /// the client counts as it sees fit.
    #[must_use]
    pub const fn estimate_tokens(mut self, estimate: bool) -> Self {
        self.estimate_tokens = estimate;
        self
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

    fn entry(&self, name: &str) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries
            .find(|e| e.provider.name() == name)
            .map(|entry| &**entry)
    }

    async fn answer(&self, req: &chat::Request) -> Result<Response, Error> {
        let prompt = req.body();
        let caller = prompt.facts().dialect;
        let refuse = |kind, message: String| Ok(Refusal::new(kind, message).into_response(caller));
        let notes = Notes::of(req);
        let Some(target) = &notes.target else {
            return refuse(Kind::Internal, "no model was bound to this call".into());
        };
        let Some(entry) = self.entry(&target.provider) else {
            let message = format!("no provider is named {}", target.provider);
            return refuse(Kind::NotFound, message);
        };
        let call = Call {
            entry,
            target,
            req,
            notes,
            prompt,
            signatures: &self.signatures,
            estimate_tokens: self.estimate_tokens,
        };
        match prompt.facts().operation {
            Operation::Generate => call.generate().await,
            // In boxes, so that the future of what is asked most is no larger for them.
            Operation::CountTokens => Box::pin(call.count_tokens()).await,
            Operation::Embed | Operation::Complete => Box::pin(call.pass()).await,
        }
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
        let this = self.clone();
        // The one box: what follows is a story of several chapters, not a forwarding.
        ResponseFuture {
            inner: Box::pin(async move { this.answer(&req).await }),
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
