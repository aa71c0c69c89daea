//! Keeps conversations for callers of Responses whose provider does not.
//!
//! Responses lets a caller go on from an earlier answer by its id (`previous_response_id`) instead of sending the conversation along.
//! `OpenAI` keeps answers for that; other providers do not, and a translated answer is no provider's to keep. This layer keeps those: an
//! answer passes and is kept with the conversation that it ends (unless the caller says `store: false`), and a call that names it gets that
//! conversation put before its own input. So whoever answers next need not know the earlier answer.
//!
//! A call may also name single items of what was said, `{"type":"item_reference","id":"fc_1"}`; what is kept here is put in their place.
//!
//! An id that is not kept here is passed on, since the provider may know it. Where the call has to be translated, it is refused: 404.
//!
//! Each tenant has its own answers. [`ResponsesLayer::desk`] serves them by id.
//!
//! # Example
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use tierway_layers::responses::{Memory, ResponsesLayer};
//! use tierway_services::{chat::{self, Operation, Prompt, Reply}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(ResponsesLayer::new(Memory::new(1024 * 1024, Duration::from_secs(60))))
//!     .service_fn(|req: chat::Request| async move {
//!         // Tells how many turns it was shown.
//!         let turns = req.body().facts().turns.len();
//!         let answer = format!(r#"{{"id":"resp_{turns}","object":"response","status":"completed","output":[
//!             {{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"hi"}}]}}]}}"#);
//!         Ok::<_, Infallible>(chat::Response::new(Reply::whole(answer)))
//!     });
//!
//! let ask = |body: &'static str| {
//!     chat::Request::new(Prompt::parse(Dialect::Responses, Operation::Generate, body.into()).unwrap())
//! };
//! service.clone().oneshot(ask(r#"{"model":"m","input":"hello"}"#)).await.unwrap();
//! let answer = service.oneshot(ask(r#"{"model":"m","previous_response_id":"resp_1","input":"and now?"}"#)).await.unwrap();
//! # use http_body_util::BodyExt;
//! let body = answer.into_body().collect().await.unwrap().to_bytes();
//! assert!(body.starts_with(br#"{"id":"resp_3""#));
//! # }
//! ```
//!
//! # Backpressure
//! Ready when the inner service is. A call that is kept or goes on from one that is runs the inner service inside its own future.
mod desk;
mod record;
mod refer;
mod store;

pub use self::{
    desk::Desk,
    store::{Kept, Key, Memory, Store},
};
pub use crate::detour::ResponseFuture;

use self::record::{Recorder, Recording};
use crate::commit::Committed;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    fmt, mem,
    ops::Range,
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::{
    chat::{self, Edit, KeptUpstream, Operation, Prompt, Refusal, Reply, Tenant},
    dialect::Dialect,
};
use tower_layer::Layer;
use tower_service::Service;

/// Applies [`Responses`].
pub struct ResponsesLayer<St> {
    store: Arc<St>,
}

/// Keeps conversations for callers whose provider does not.
pub struct Responses<S, St> {
    inner: S,
    store: Arc<St>,
}

// === impl ResponsesLayer ===

impl<St> ResponsesLayer<St> {
    /// Keeps answers in `store`.
    pub fn new(store: St) -> Self {
        Self {
            store: Arc::new(store),
        }
    }
    /// What serves the answers that are kept, by id.
    #[must_use]
    pub fn desk(&self) -> Desk<St> {
        Desk::new(self.store.clone())
    }
}

impl<S, St> Layer<S> for ResponsesLayer<St> {
    type Service = Responses<S, St>;
    fn layer(&self, inner: S) -> Self::Service {
        Responses {
            inner,
            store: self.store.clone(),
        }
    }
}

impl<St> Clone for ResponsesLayer<St> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
        }
    }
}

impl<St> fmt::Debug for ResponsesLayer<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsesLayer").finish_non_exhaustive()
    }
}

// === impl Responses ===

impl<S, St> Service<chat::Request> for Responses<S, St>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    St: Store + Send + Sync + 'static,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: chat::Request) -> Self::Future {
        let Some(wanted) = Wanted::of(req.body()).filter(Wanted::is_any) else {
            return ResponseFuture::past(self.inner.call(req));
        };
        // The future takes the instance that was polled ready; the clone stays and must be polled anew.
        let clone = self.inner.clone();
        let service = mem::replace(&mut self.inner, clone);
        ResponseFuture::story(tell(service, self.store.clone(), wanted, req))
    }
}

impl<S: Clone, St> Clone for Responses<S, St> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            store: self.store.clone(),
        }
    }
}

impl<S: fmt::Debug, St> fmt::Debug for Responses<S, St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responses")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

// === impl Wanted ===

/// What a call wants kept, and what it goes on from.
struct Wanted {
    /// Whether its answer is to be kept.
    store: bool,
    /// The id of the answer that it goes on from, and where it stands.
    previous: Option<(String, Range<u32>)>,
    /// Where its own input stands.
    input: Option<Range<u32>>,
    /// The items that it names instead of sending them along.
    references: Vec<refer::Reference>,
}

impl Wanted {
    fn of(prompt: &Prompt) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            previous_response_id: Option<&'a RawValue>,
            #[serde(borrow)]
            input: Option<&'a RawValue>,
            store: Option<bool>,
        }
        let facts = prompt.facts();
        if facts.dialect != Dialect::Responses {
            return None;
        }
        let raw = prompt.raw();
        let body: Body<'_> = tierway_services::json::from_slice(raw).ok()?;
        let span = |json: &RawValue| {
            let from = json.get().as_ptr() as usize - raw.as_ptr() as usize;
            let to = from + json.get().len();
            Some(u32::try_from(from).ok()?..u32::try_from(to).ok()?)
        };
        let id = |json: &RawValue| serde_json::from_str::<String>(json.get()).ok();
        Some(Self {
            store: body.store != Some(false) && facts.operation == Operation::Generate,
            previous: body
                .previous_response_id
                .and_then(|json| Some((id(json)?, span(json)?))),
            input: body.input.and_then(span),
            references: refer::references(prompt),
        })
    }

    /// Whether there is anything to do for it here.
    const fn is_any(&self) -> bool {
        self.store || self.previous.is_some() || !self.references.is_empty()
    }

    /// The items of a call's own input, with commas between.
    fn items<'a>(&self, prompt: &'a Prompt) -> Cow<'a, str> {
        let json = self.input.as_ref().map_or("", |span| prompt.json(span));
        if json.starts_with('"') {
            format!(r#"{{"type":"message","role":"user","content":[{{"type":"input_text","text":{json}}}]}}"#).into()
        } else {
            inside(json).into()
        }
    }

    /// The call with the conversation that it goes on from before its own input.
    fn expanded(&self, prompt: &Prompt, kept: &Kept) -> Result<Prompt, Refusal> {
        let mut items = kept.items();
        let own = self.items(prompt);
        if !own.is_empty() {
            if !items.is_empty() {
                items.push(',');
            }
            items.push_str(&own);
        }
        let mut edits = Vec::with_capacity(2);
        let mut nothing = String::from("null");
        match &self.input {
            Some(span) => edits.push(Edit {
                span: span.clone(),
                with: format!("[{items}]").into(),
            }),
            None => nothing = format!("null,\"input\":[{items}]"),
        }
        if let Some((_, span)) = &self.previous {
            edits.push(Edit {
                span: span.clone(),
                with: nothing.into(),
            });
        }
        let operation = prompt.facts().operation;
        Prompt::parse(Dialect::Responses, operation, prompt.edited(edits))
    }
}

/// The elements of a JSON array as they are written; empty where it is none.
fn inside(json: &str) -> &str {
    let elements = json.strip_prefix('[').and_then(|j| j.strip_suffix(']'));
    elements.unwrap_or_default().trim()
}

/// Puts the items that the call names in their places and the earlier conversation before it, and keeps its answer while it passes.
async fn tell<S, St>(
    mut inner: S,
    store: Arc<St>,
    mut wanted: Wanted,
    mut req: chat::Request,
) -> Result<chat::Response, S::Error>
where
    S: Service<chat::Request, Response = chat::Response>,
    St: Store + Send + Sync + 'static,
{
    let tenant = Tenant::of(&req).cloned();
    if !wanted.references.is_empty() {
        match refer::resolved(req.body(), &wanted.references, &*store, tenant.as_ref()).await {
            Ok(None) => {}
            Ok(Some(prompt)) => {
                // Every span has moved.
                wanted = Wanted::of(&prompt).unwrap_or(wanted);
                *req.body_mut() = prompt;
            }
            Err(refusal) => return Ok(refusal.into_response(Dialect::Responses)),
        }
    }
    let mut items = wanted.items(req.body()).into_owned();
    if let Some((id, _)) = &wanted.previous
        && let Some(kept) = store.get(&Key::new(tenant.as_ref(), id)).await
    {
        match wanted.expanded(req.body(), &kept) {
            Ok(prompt) => *req.body_mut() = prompt,
            Err(refusal) => return Ok(refusal.into_response(Dialect::Responses)),
        }
        let mut all = kept.items();
        if !all.is_empty() && !items.is_empty() {
            all.push(',');
        }
        items = all + &items;
    }
    let res = inner.call(req).await?;
    let kept_there = res.extensions().get::<KeptUpstream>().is_some();
    if !wanted.store || kept_there || !res.status().is_success() {
        return Ok(res);
    }
    let recording = Recording {
        store,
        tenant,
        input: items,
    };
    let (head, body) = res.into_parts();
    let body = if body.is_stream() || crate::wire::is_event_stream(&head.headers) {
        Reply::stream(Committed::new(body, Recorder::new(recording)))
    } else {
        // It is all here; this cannot fail.
        let whole = body.collect().await.unwrap_or_default().to_bytes();
        recording.keep(&whole).await;
        Reply::whole(whole)
    };
    Ok(http::Response::from_parts(head, body))
}

#[cfg(test)]
mod tests;
