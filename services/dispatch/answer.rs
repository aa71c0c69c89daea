//! From the upstream's answer to the caller's.
use super::{
    body::Streaming,
    collect::{self, collect},
    cutter::Cutter,
    entry::Entry,
    error::Error,
    headers,
    logprobs::Tap,
    record::Recorder,
    signatures::Signer,
};
use crate::{
    chat::{AttemptEnd, Operation, Prompt, Refusal, Reply, Response, Target, Usage},
    dialect::Dialect,
    providers::Framing,
    translate::{self, StreamTranslator, Summary},
    upstream::Incoming,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE},
    response,
};
use tokio::time::Instant;

/// What is known of a call when its answer's head arrives.
#[derive(Debug)]
pub(super) struct Answering<'a> {
    pub(super) entry: &'a Entry,
    pub(super) prompt: &'a Prompt,
    pub(super) target: &'a Target,
    pub(super) from: Dialect,
    /// Who signs the thoughts in it, where they can be signed.
    pub(super) signer: Option<Signer>,
    /// Who wants log-probabilities beside the caller.
    pub(super) tap: Option<Tap>,
    pub(super) recorder: Recorder,
    pub(super) first_byte_until: Instant,
}

/// What a body is, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Json,
    Events,
}

impl Answering<'_> {
    fn caller(&self) -> Dialect {
        self.prompt.facts().dialect
    }

    /// How the provider's streams are cut into events.
    fn framing(&self) -> Framing {
        let native = self.entry.provider.spec().native(self.from);
        native.map_or(Framing::Sse, |n| n.framing)
    }

    pub(super) async fn answer(
        mut self,
        upstream: http::Response<Incoming>,
    ) -> Result<Response, Error> {
        let (head, body) = upstream.into_parts();
        let target = self.target;
        let mut response = if head.status.is_client_error() || head.status.is_server_error() {
            self.error(&head, body).await
        } else {
            match self.shape(&head) {
                Ok(Shape::Events) if self.prompt.facts().stream => self.stream(body),
                Ok(shape) => self.whole(shape, body).await?,
                Err(what) => {
                    self.recorder.end(AttemptEnd::Failed);
                    return Err(Error::nonsense(&self.entry.provider, what));
                }
            }
        };
        headers::down(target, &head.headers, response.headers_mut());
        Ok(response)
    }

    /// What the body of a success is. What it is called decides; where that says nothing, what was asked for.
    fn shape(&self, head: &response::Parts) -> Result<Shape, String> {
        if !head.status.is_success() {
            return Err(format!("answered {}: is its base_url right?", head.status));
        }
        if let Some(packed) = packed(&head.headers) {
            return Err(format!(
                "answered in {packed:?}, though it was asked not to compress"
            ));
        }
        let called = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if called == Some(b"application/json".as_slice()) {
            return Ok(Shape::Json);
        }
        let called = called.unwrap_or_default().split(|b| *b == b';').next();
        let called = String::from_utf8_lossy(called.unwrap_or_default()).to_ascii_lowercase();
        match called.trim() {
            "text/event-stream" => Ok(Shape::Events),
            "application/vnd.amazon.eventstream" if self.framing() == Framing::EventStream => {
                Ok(Shape::Events)
            }
            "application/x-ndjson" if self.framing() == Framing::Ndjson => Ok(Shape::Events),
            json if json.ends_with("json") => Ok(Shape::Json),
            "" | "text/plain" | "application/octet-stream" if self.prompt.facts().stream => {
                Ok(Shape::Events)
            }
            "" | "text/plain" | "application/octet-stream" => Ok(Shape::Json),
            other => Err(format!("answered with {other}, not with JSON")),
        }
    }

    fn stream(self, body: Incoming) -> Response {
        let input = crate::tokens::estimate(self.prompt);
        let translator = StreamTranslator::new(self.from, self.caller(), self.prompt, input);
        let spoken = (self.framing(), self.from);
        let longest = self.entry.buffer.event();
        let streaming = Streaming::new(
            body,
            self.entry.provider.clone(),
            spoken,
            translator,
            self.recorder,
            input,
            self.first_byte_until,
        );
        let mut response = Response::new(Reply::stream(
            streaming
                .events_at_most(spoken, longest)
                .signed_by(self.signer)
                .tapped_by(self.tap),
        ));
        event_stream(response.headers_mut());
        response
    }

    /// Reads a success to its end. What was asked for is what is given, whatever the upstream made of it.
    async fn whole(&mut self, shape: Shape, body: Incoming) -> Result<Response, Error> {
        let body = match self.collect(body, self.entry.buffer.answer()).await {
            Ok(body) => body,
            Err((error, _)) => {
                self.recorder.end(AttemptEnd::Failed);
                return Err(error);
            }
        };
        if self.entry.provider.spec().tells_cost {
            self.recorder.cost(translate::cost(self.from, &body));
        }
        match self.translated(shape, &body) {
            Ok((answer, summary)) => {
                if let Some(signer) = &self.signer {
                    signer.note(&body);
                }
                self.bill(&summary, &answer);
                self.recorder.end(AttemptEnd::Complete);
                let facts = self.prompt.facts();
                let flagged = facts.operation == Operation::Generate
                    && !facts.stream
                    && translate::has_invalid_arguments(self.caller(), &answer);
                let mut response = Response::new(Reply::whole(answer));
                if facts.stream {
                    event_stream(response.headers_mut());
                } else {
                    json(response.headers_mut());
                }
                if flagged {
                    headers::flag(response.headers_mut(), "invalid_tool_arguments");
                }
                Ok(response)
            }
            // An error in a success's clothes, as `OpenRouter` sends them.
            Err(Wrong::Error(refusal)) => {
                let caller = self.caller();
                let status = refusal.status(caller);
                self.recorder.end(AttemptEnd::Status(status.as_u16()));
                Ok(refusal.into_response(caller))
            }
            Err(Wrong::Nonsense(what)) => {
                self.recorder.end(AttemptEnd::Failed);
                Err(Error::nonsense(&self.entry.provider, what))
            }
        }
    }

    fn translated(&mut self, shape: Shape, body: &Bytes) -> Result<(Bytes, Summary), Wrong> {
        let facts = self.prompt.facts();
        if !facts.operation.is_conversation() && (shape == Shape::Events) != facts.stream {
            // Only a conversation's answer can be retold in the other way.
            let what = if facts.stream {
                "answered as a whole, though it was asked for a stream"
            } else {
                "answered as a stream, though it was not asked for one"
            };
            return Err(Wrong::Nonsense(what.into()));
        }
        let whole = match shape {
            Shape::Json => body.clone(),
            Shape::Events => {
                let events = events(body, self.framing(), self.from);
                let whole = translate::to_whole(self.from, &events);
                whole.ok_or_else(|| {
                    Wrong::Nonsense("streamed an answer that breaks off or cannot be read".into())
                })?
            }
        };
        let whole = match &mut self.tap {
            Some(tap) => tap.whole(whole),
            None => whole,
        };
        let (answer, summary) = translate::answer(self.from, self.caller(), &whole, self.prompt)
            .map_err(
                |refusal| match translate::summary(self.from, &whole).error {
                    Some(told) => Wrong::Error(told),
                    None => {
                        Wrong::Nonsense(format!("gave an answer that cannot be read: {refusal}"))
                    }
                },
            )?;
        if let Some(refusal) = summary.error {
            let told = translate::summary(self.from, &self.entry.scrub(&whole)).error;
            return Err(Wrong::Error(told.unwrap_or(refusal)));
        }
        if !facts.stream {
            return Ok((answer, summary));
        }
        let include_usage = matches!(facts.stream_options, Some((_, true)));
        let events = translate::to_stream(self.caller(), &answer, include_usage)
            .ok_or_else(|| Wrong::Nonsense("gave an answer that cannot be read".into()))?;
        Ok((events.concat().into(), summary))
    }

    /// An error status: the upstream's own words where the caller understands them, else the same in the caller's.
    pub(super) async fn error(&mut self, head: &response::Parts, body: Incoming) -> Response {
        let body = if packed(&head.headers).is_some() {
            Bytes::new()
        } else {
            match self.collect(body, collect::ERROR).await {
                Ok(body) => body,
                Err((_, part)) => part,
            }
        };
        self.told(head, body)
    }

    /// The answer to a refusal of the upstream's; `None` where it may be about log-probabilities, which the caller never asked for: where it
    /// names them, or finds fault with the request, which not every server does by name.
    pub(super) async fn refusal(mut self, upstream: http::Response<Incoming>) -> Option<Response> {
        let (head, body) = upstream.into_parts();
        let body = match self.collect(body, collect::ERROR).await {
            Ok(body) | Err((_, body)) => body,
        };
        let fault = matches!(head.status.as_u16(), 400 | 422);
        if fault || memchr::memmem::find(&body, b"logprob").is_some() {
            self.recorder.end(AttemptEnd::Status(head.status.as_u16()));
            return None;
        }
        let mut response = self.told(&head, body);
        headers::down(self.target, &head.headers, response.headers_mut());
        Some(response)
    }

    fn told(&mut self, head: &response::Parts, body: Bytes) -> Response {
        self.recorder.end(AttemptEnd::Status(head.status.as_u16()));
        let provider = &self.entry.provider;
        let token = provider.token().kept();
        if head.status == StatusCode::UNAUTHORIZED {
            // Perhaps it was taken back before its time; the next call brings another.
            provider.token().forget();
        }
        let ours = provider.key().into_iter().chain(&token);
        let body = ours.fold(body, |body, secret| secret.redact(body));
        let body = self.entry.scrub(&body);
        let caller = self.caller();
        if let Some(read) = provider.kind().hooks().error {
            return read(provider, &head.headers, head.status, &body).into_response(caller);
        }
        if self.from == caller && is_error_object(&body, caller) {
            let mut response = Response::new(Reply::whole(body));
            *response.status_mut() = head.status;
            json(response.headers_mut());
            return response;
        }
        translate::error(self.from, head.status, &body).into_response(caller)
    }

    /// A whole body of ordinary size.
    pub(super) async fn read(&mut self, body: Incoming) -> Result<Bytes, (Error, Bytes)> {
        self.collect(body, collect::ERROR).await
    }

    async fn collect(&mut self, body: Incoming, limit: usize) -> Result<Bytes, (Error, Bytes)> {
        let recorder = &mut self.recorder;
        let (provider, until) = (&self.entry.provider, self.first_byte_until);
        let buffer = &self.entry.buffer;
        let first_byte = || recorder.first_byte();
        collect(body, limit, buffer, provider, until, first_byte).await
    }

    fn bill(&mut self, summary: &Summary, answer: &Bytes) {
        match summary.usage {
            Some(usage) => self.recorder.usage(usage, false),
            None => self.recorder.usage(
                Usage {
                    input: crate::tokens::estimate(self.prompt),
                    output: (answer.len() as u64).div_ceil(4),
                    ..Usage::default()
                },
                true,
            ),
        }
    }
}

/// Why a success is none.
enum Wrong {
    Error(Refusal),
    Nonsense(String),
}

/// The compression of a body, if any.
fn packed(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers
        .get(CONTENT_ENCODING)
        .filter(|e| !e.is_empty() && *e != "identity")
}

/// So many headers an answer has, with those that layers above the leaf add: room for them from the start.
const HEADERS: usize = 12;

fn json(headers: &mut HeaderMap) {
    headers.reserve(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

fn event_stream(headers: &mut HeaderMap) {
    headers.reserve(HEADERS);
    headers.insert(CONTENT_TYPE, headers::EVENT_STREAM);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
}

/// Whether these bytes are a JSON object with an `error` in it that an SDK of the dialect can read. A cloud's own errors tell Anthropic's no
/// type.
fn is_error_object(body: &[u8], dialect: Dialect) -> bool {
    #[derive(serde::Deserialize)]
    struct Envelope {
        error: Option<Inner>,
    }
    #[derive(serde::Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "it must be there and be text")]
        message: String,
        r#type: Option<serde_json::Value>,
    }
    let read = serde_json::from_slice::<Envelope>(body).ok();
    read.and_then(|envelope| envelope.error)
        .is_some_and(|error| dialect != Dialect::Messages || error.r#type.is_some())
}

/// The events of a stream that has ended.
fn events(body: &Bytes, framing: Framing, dialect: Dialect) -> Vec<Bytes> {
    let mut cutter = Cutter::new(framing, dialect, collect::WHOLE);
    // Cannot fail: the body is no longer than the limit.
    let _ = cutter.push(body.clone());
    let mut events: Vec<Bytes> = cutter.by_ref().collect();
    events.extend(cutter.rest());
    events
}
