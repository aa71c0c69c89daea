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
mod buffer;
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
    chat::{
        self, AttemptEnd, EarlyHead, Journal, KeptUpstream, Kind, Logprobs, Operation, Pieces,
        Prompt, Refusal, Response, Role, Target,
    },
    dialect::Dialect,
    providers::{Native, Provider},
    translate,
    upstream::Client,
};
use answer::Answering;
use buffer::Buffer;
use entry::{Entry, Outgoing};
use http::request;
use logprobs::Tap;
use record::Recorder;
use signatures::{Signatures, Signer};
use std::{
    borrow::Cow,
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
        signatures: &this.signatures,
        estimate_tokens: this.estimate_tokens,
    };
    match prompt.facts().operation {
        Operation::Generate => call.generate().await,
        // In boxes, so that the future of what is asked most is no larger for them.
        Operation::CountTokens => Box::pin(call.count_tokens()).await,
        Operation::Embed | Operation::Complete => Box::pin(call.pass()).await,
    }
}

/// What came of asking for log-probabilities.
enum WithLogprobs {
    NotAsked,
    /// The request was refused, perhaps for the sake of them.
    Refused,
    Answered(Response),
}

/// A call whose provider is known.
#[derive(Clone, Copy)]
struct Call<'a> {
    entry: &'a Entry,
    target: &'a Target,
    head: &'a request::Parts,
    prompt: &'a Prompt,
    signatures: &'a Arc<Signatures>,
    estimate_tokens: bool,
}

impl<'a> Call<'a> {
    async fn generate(self) -> Result<Response, Error> {
        let caller = self.prompt.facts().dialect;
        let dialect = self.dialect().await;
        let (body, mut dropped) = match self.body(dialect) {
            Ok(made) => made,
            Err(refusal) => return Ok(refusal.into_response(caller)),
        };
        let translated = translate::dropped(self.prompt, dialect);
        dropped.extend(translated.into_iter().map(str::to_owned));
        self.say_early(&dropped);
        let mut response = match self.ask_logprobs(dialect, &body).await? {
            WithLogprobs::Answered(response) => response,
            without => {
                let (mut answering, upstream) = self.send(self.outgoing(dialect, body)).await?;
                if matches!(without, WithLogprobs::Refused) && upstream.status().is_success() {
                    self.entry.logprobs.note(&self.target.model, false);
                }
                answering.tap = self.passing_logprobs(dialect);
                answering.answer(upstream).await?
            }
        };
        headers::dropped(&dropped, response.headers_mut());
        let native = self.entry.provider.spec().native(dialect);
        if dialect == caller && native.is_some_and(|n| n.keeps) {
            response.extensions_mut().insert(KeptUpstream);
        }
        Ok(response)
    }

    /// Asks for log-probabilities beyond what the caller wants, where somebody wants them and the model is not known to tell none. Nothing
    /// fails for the sake of them: what is refused goes again as it is.
    async fn ask_logprobs(self, dialect: Dialect, body: &Pieces) -> Result<WithLogprobs, Error> {
        let model = &*self.target.model;
        let Some(wish) = self.head.extensions.get::<Logprobs>() else {
            return Ok(WithLogprobs::NotAsked);
        };
        let memory = &self.entry.logprobs;
        let tells = self.entry.provider.capabilities(model).logprobs && !memory.refuses(model);
        if !tells || translate::logprobs::asks(self.prompt) {
            return Ok(WithLogprobs::NotAsked);
        }
        let Some(body) = translate::logprobs::wanted(dialect, &body.whole()) else {
            return Ok(WithLogprobs::NotAsked);
        };
        let (mut answering, upstream) = self.send(self.outgoing(dialect, body.into())).await?;
        if matches!(upstream.status().as_u16(), 400 | 404 | 422 | 501) {
            let refusal = answering.refusal(upstream).await;
            return Ok(refusal.map_or(WithLogprobs::Refused, WithLogprobs::Answered));
        }
        answering.tap = Some(Tap {
            wish: wish.clone(),
            dialect,
            hide: true,
            memory: Some((memory.clone(), model.into())),
            words: false,
            came: false,
        });
        answering.answer(upstream).await.map(WithLogprobs::Answered)
    }

    /// Taps what the caller itself has asked for.
    fn passing_logprobs(self, dialect: Dialect) -> Option<Tap> {
        let wish = self.head.extensions.get::<Logprobs>()?;
        translate::logprobs::asks(self.prompt).then(|| Tap {
            wish: wish.clone(),
            dialect,
            hide: false,
            memory: None,
            words: false,
            came: false,
        })
    }

    /// Says what the head will tell, where it may have to be sent before the provider's. A draft may come to nothing.
    fn say_early(self, dropped: &[String]) {
        let extensions = &self.head.extensions;
        let early = extensions.get::<EarlyHead>();
        let is_draft = extensions.get::<Role>() == Some(&Role::Small);
        if let Some(early) = early.filter(|_| !is_draft) {
            early.write(|head| {
                headers::answers(self.target, head);
                headers::dropped(dropped, head);
            });
        }
    }

    /// The dialect in which to ask: the caller's own where the provider speaks it, and sees in it all that there is to see.
    async fn dialect(self) -> Dialect {
        let facts = self.prompt.facts();
        let dialect = self
            .entry
            .dialect_for(self.prompt, &self.target.model, &self.head.headers)
            .await;
        let provider = &self.entry.provider;
        let blind = provider.kind().passage().blind_to;
        let unseen = || {
            let mut turns = facts.turns.iter();
            turns.any(|turn| blind.iter().any(|kind| turn.has(*kind)))
        };
        match provider.spec().dialects.first() {
            Some(other) if dialect == facts.dialect && unseen() => other.dialect,
            _ => dialect,
        }
    }

    /// The prompt as the provider takes it in this dialect: the caller's own, without what would be refused, and without another dialect's
    /// shapes; and what the caller is to be told that it has lost.
    fn fit(self, dialect: Dialect) -> Result<(Cow<'a, Prompt>, Vec<String>), Refusal> {
        let facts = self.prompt.facts();
        if dialect != facts.dialect {
            return Ok((Cow::Borrowed(self.prompt), Vec::new()));
        }
        let passage = self.entry.provider.kind().passage();
        let (model, headers) = (&*self.target.model, &self.head.headers);
        // Thoughts are signed in one dialect alone.
        let house = match dialect {
            Dialect::Messages => self.house(),
            _ => "",
        };
        let names = (house, model);
        let (mut edits, told) =
            passage::edits(self.prompt, passage, names, self.signatures, headers);
        let capabilities = self.entry.provider.capabilities(model);
        edits.extend(passage::shapes(self.prompt, &capabilities)?);
        if edits.is_empty() {
            return Ok((Cow::Borrowed(self.prompt), told));
        }
        let body = self.prompt.edited(edits);
        // What was a request before is one without a block or a field; were it none, the provider should say so.
        let fit = Prompt::parse(dialect, facts.operation, body);
        Ok((fit.map_or(Cow::Borrowed(self.prompt), Cow::Owned), told))
    }

    /// Under whose name the target's thoughts are signed.
    fn house(self) -> &'a str {
        let kind = self.entry.provider.kind();
        kind.signs_as(&self.target.model)
            .unwrap_or(&self.target.provider)
    }

    /// What is about no conversation passes as it is: to whoever takes it so.
    async fn pass(self) -> Result<Response, Error> {
        let (dialect, operation) = (self.prompt.facts().dialect, self.prompt.facts().operation);
        let spec = self.entry.provider.spec();
        let native = spec.native(dialect);
        if native.and_then(|n| n.path(operation)).is_none() {
            let what = match operation {
                Operation::Embed => {
                    "has no embeddings: ask for a model of another as provider:model, or set embeddings.default"
                }
                _ => "has no legacy completions: ask it through /v1/chat/completions",
            };
            let message = format!("provider {} ({})", self.target.provider, spec.name);
            let refusal = Refusal::new(Kind::NotSupported, format!("{message} {what}"));
            return Ok(refusal.into_response(dialect));
        }
        let provider = &self.entry.provider;
        let ask_usage = provider.capabilities(&self.target.model).streaming_usage;
        let body = self.prompt.sent_to_model(&self.target.model, ask_usage);
        let (answering, upstream) = self.send(self.outgoing(dialect, body)).await?;
        answering.answer(upstream).await
    }

    /// The body for the provider, in this dialect, and by name what the caller asked for and this provider would refuse.
    fn body(self, dialect: Dialect) -> Result<(Pieces, Vec<String>), Refusal> {
        let (provider, model) = (&self.entry.provider, &*self.target.model);
        let same = dialect == self.prompt.facts().dialect;
        if !(same && provider.kind().passage().threads) {
            passage::whole(self.prompt)?;
        }
        let said = provider.said_of(model).filter(|_| same);
        if let Some(said) = &said {
            translate::guard(self.prompt, &said.all())?;
        }
        let (fitted, mut dropped) = self.fit(dialect)?;
        let capabilities = provider.capabilities(model);
        if dialect == Dialect::Messages
            && let Some(adapt) = provider.kind().hooks().body
        {
            // A caller of another dialect has no headers of this one.
            let (asked, headers) = if same {
                (fitted, Cow::Borrowed(&self.head.headers))
            } else {
                let body = translate::request(&fitted, dialect, model, &capabilities)?;
                let operation = fitted.facts().operation;
                let asked = Prompt::parse(dialect, operation, body)?;
                (Cow::Owned(asked), Cow::default())
            };
            let adapted = adapt(&asked, &headers, model);
            dropped.extend(adapted.dropped);
            return Ok((adapted.body.into(), dropped));
        }
        let field = said.and_then(|said| said.max_tokens_field);
        let field = field.filter(|_| dialect == Dialect::ChatCompletions);
        let body = match field {
            None if same => {
                let asks = dialect == Dialect::ChatCompletions && capabilities.streaming_usage;
                fitted.sent_to_model(model, asks)
            }
            None => translate::request(&fitted, dialect, model, &capabilities)?.into(),
            Some(field) => {
                let body = translate::request(&fitted, dialect, model, &capabilities)?;
                translate::with_limit_as(body, field).into()
            }
        };
        Ok((body, dropped))
    }

    async fn count_tokens(self) -> Result<Response, Error> {
        let caller = self.prompt.facts().dialect;
        let counted = self.counted().await?;
        match counted {
            Some(counted) => Ok(counted),
            None if self.estimate_tokens => Ok(count::ours(self.prompt).await),
            None => {
                let message = format!(
                    "provider {} does not count tokens, and counting them here is turned off (count_tokens.estimate)",
                    self.target.provider
                );
                Ok(Refusal::new(Kind::NotSupported, message).into_response(caller))
            }
        }
    }

    /// The provider's count of tokens; `None` where it has no counter.
    async fn counted(self) -> Result<Option<Response>, Error> {
        let provider = &self.entry.provider;
        let counts = |native: &Native| native.count_tokens.is_some();
        if !provider.spec().dialects.iter().any(counts) {
            return Ok(None);
        }
        let caller = self.prompt.facts().dialect;
        let (model, headers) = (&self.target.model, &self.head.headers);
        let dialect = self.entry.dialect_for(self.prompt, model, headers).await;
        // Translated into Messages a request says more than their counters take.
        if dialect != caller && dialect == Dialect::Messages {
            return Ok(None);
        }
        let Some(presence) = self.entry.counter(dialect) else {
            return Ok(None);
        };
        let body = match self.body(dialect) {
            Ok((body, _)) => body,
            Err(refusal) if dialect == caller => return Ok(Some(refusal.into_response(caller))),
            Err(_) => return Ok(None),
        };
        let body = match provider.kind().hooks().count {
            Some(ask) => ask(dialect, self.prompt, body.whole(), model).into(),
            None => body,
        };
        let (answering, upstream) = self.send(self.outgoing(dialect, body)).await?;
        Ok(answering.count(presence, upstream).await)
    }

    fn outgoing(self, dialect: Dialect, body: Pieces) -> Outgoing<'a> {
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
        let mut request = self.entry.request(outgoing)?;
        let extensions = &self.head.extensions;
        let mut recorder = Recorder::start(
            extensions.get::<Journal>().cloned(),
            self.target.clone(),
            extensions.get::<Role>().copied().unwrap_or_default(),
        )
        .asked(self.prompt);
        recorder.trace(request.headers_mut());
        let first_byte_until = recorder.started() + self.entry.provider.limits().first_byte;
        match self.entry.send(request, first_byte_until).await {
            Ok(upstream) => Ok((
                Answering {
                    entry: self.entry,
                    prompt: self.prompt,
                    target: self.target,
                    from,
                    signer: (from == Dialect::Messages).then(|| Signer {
                        signatures: self.signatures.clone(),
                        house: self.house().into(),
                    }),
                    tap: None,
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
