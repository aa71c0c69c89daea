//! Keeping an answer while it passes.
use super::{Kept, Key, Store};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tierway_services::{
    BoxError,
    chat::{Reply, Tenant},
    sse::{Event, Splitter},
};

/// All that is needed to keep one answer.
pub(super) struct Recording<St> {
    pub(super) store: Arc<St>,
    pub(super) tenant: Option<Tenant>,
    /// The items that it answers, with commas between.
    pub(super) input: String,
}

/// A stream whose last event, which tells the answer whole, is kept before it is handed on: a caller may go on from it at once.
pub(super) struct Recorder<St> {
    inner: Reply,
    recording: Option<Recording<St>>,
    commit: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    held: Option<Frame<Bytes>>,
}

// === impl Recording ===

impl<St: Store> Recording<St> {
    /// Keeps a response object, if it is one that can be gone on from.
    pub(super) async fn keep(self, response: &[u8]) {
        #[derive(Deserialize)]
        struct Response<'a> {
            #[serde(borrow)]
            id: Cow<'a, str>,
            #[serde(borrow)]
            status: Option<Cow<'a, str>>,
        }
        let Ok(told) = serde_json::from_slice::<Response<'_>>(response) else {
            return;
        };
        if matches!(told.status.as_deref(), Some("completed" | "incomplete")) {
            let key = Key::new(self.tenant.as_ref(), &told.id);
            let kept = Kept {
                response: Bytes::copy_from_slice(response),
                input: self.input.into(),
            };
            let named = kept.named();
            self.store.put(key, kept).await;
            let place = Kept {
                response: Bytes::copy_from_slice(told.id.as_bytes()),
                input: Bytes::new(),
            };
            for id in named.keys() {
                let key = Key::item(self.tenant.as_ref(), id);
                self.store.put(key, place.clone()).await;
            }
        }
    }
}

/// The response object in the last event of a stream, if these bytes hold that event.
fn ended(frame: &[u8]) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Last<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
        #[serde(borrow)]
        response: Option<&'a RawValue>,
    }
    let may = [&b"response.completed"[..], b"response.incomplete"];
    if !may.iter().any(|name| memmem::find(frame, name).is_some()) {
        return None;
    }
    let mut splitter = Splitter::new(frame.len());
    splitter.push(Bytes::copy_from_slice(frame)).ok()?;
    let last = splitter.by_ref().filter_map(|event| {
        let event = Event::parse(&event)?;
        let last: Last<'_> = serde_json::from_str(event.data).ok()?;
        let names = ["response.completed", "response.incomplete"];
        let response = last.response.filter(|_| names.contains(&&*last.r#type))?;
        Some(Bytes::copy_from_slice(response.get().as_bytes()))
    });
    last.last()
}

// === impl Recorder ===

impl<St> Recorder<St> {
    pub(super) const fn new(inner: Reply, recording: Recording<St>) -> Self {
        Self {
            inner,
            recording: Some(recording),
            commit: None,
            held: None,
        }
    }
}

impl<St: Store + Send + Sync + 'static> Body for Recorder<St> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some(commit) = &mut this.commit {
                ready!(commit.as_mut().poll(cx));
                this.commit = None;
            }
            if let Some(frame) = this.held.take() {
                return Poll::Ready(Some(Ok(frame)));
            }
            let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let response = match (&this.recording, frame.data_ref()) {
                (Some(_), Some(data)) => ended(data),
                _ => None,
            };
            let Some((recording, response)) =
                response.and_then(|r| Some((this.recording.take()?, r)))
            else {
                return Poll::Ready(Some(Ok(frame)));
            };
            this.held = Some(frame);
            this.commit = Some(Box::pin(async move { recording.keep(&response).await }));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.held.is_some() {
            SizeHint::new()
        } else {
            self.inner.size_hint()
        }
    }
}
