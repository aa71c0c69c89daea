//! One call: which dialect its provider is spoken to in, what is sent, and what is made of the answer.
use super::{
    Error,
    answer::Answering,
    count,
    entry::{Entry, Outgoing},
    headers,
    logprobs::Tap,
    passage,
    record::Recorder,
    signatures::{Signatures, Signer},
};
use crate::{
    chat::{
        self, AttemptEnd, KeptUpstream, Kind, Notes, Operation, Pieces, Prompt, Refusal, Response,
        Role, Target,
    },
    dialect::Dialect,
    providers::Native,
    translate,
    upstream::Incoming,
};
use std::{borrow::Cow, sync::Arc};

/// What came of asking for log-probabilities.
enum WithLogprobs {
    NotAsked,
    /// The request was refused, perhaps for the sake of them.
    Refused,
    Answered(Response),
}

/// A call whose provider is known.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) entry: &'a Entry,
    pub(super) target: &'a Target,
    pub(super) req: &'a chat::Request,
    pub(super) notes: &'a Notes,
    pub(super) prompt: &'a Prompt,
    pub(super) signatures: &'a Arc<Signatures>,
    pub(super) estimate_tokens: bool,
}

impl<'a> Call<'a> {
    pub(super) async fn generate(self) -> Result<Response, Error> {
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
        let Some(wish) = &self.notes.logprobs else {
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
        let wish = self.notes.logprobs.as_ref()?;
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
        let is_draft = self.notes.role == Role::Small;
        if let Some(early) = self.notes.early.as_ref().filter(|_| !is_draft) {
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
            .dialect_for(self.prompt, &self.target.model, self.req.headers())
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
        let (model, headers) = (&*self.target.model, self.req.headers());
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
    pub(super) async fn pass(self) -> Result<Response, Error> {
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
                (fitted, Cow::Borrowed(self.req.headers()))
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

    pub(super) async fn count_tokens(self) -> Result<Response, Error> {
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
        let (model, headers) = (&self.target.model, self.req.headers());
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
            headers: self.req.headers(),
            query: self.req.uri().query(),
            body,
        }
    }

    async fn send(
        self,
        outgoing: Outgoing<'_>,
    ) -> Result<(Answering<'a>, http::Response<Incoming>), Error> {
        let from = outgoing.dialect;
        let mut request = self.entry.request(outgoing)?;
        let (journal, target) = (self.notes.journal.clone(), self.target.clone());
        let mut recorder = Recorder::start(journal, target, self.notes.role).asked(self.prompt);
        recorder.trace(request.headers_mut());
        let first_byte_until = recorder.started() + self.entry.provider.limits().first_byte;
        match self.entry.send(&mut request, first_byte_until).await {
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
