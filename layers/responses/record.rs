//! Keeping an answer while it passes.
use super::{Kept, Key, Store};
use crate::commit::{Commit, Tap};
use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc};
use tierway_services::{
    chat::Tenant,
    sse::{Event, Splitter},
};

/// All that is needed to keep one answer.
pub(super) struct Recording<St> {
    pub(super) store: Arc<St>,
    pub(super) tenant: Option<Tenant>,
    /// The items that it answers, with commas between.
    pub(super) input: String,
}

/// A stream's last event, which tells the answer whole, is kept before it is handed on: a caller may go on from it at once.
pub(super) struct Recorder<St>(Option<Recording<St>>);

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
    pub(super) const fn new(recording: Recording<St>) -> Self {
        Self(Some(recording))
    }
}

impl<St: Store + Send + Sync + 'static> Tap for Recorder<St> {
    fn pass(&mut self, data: &Bytes) -> Option<Commit> {
        self.0.as_ref()?;
        let response = ended(data)?;
        let recording = self.0.take()?;
        Some(Box::pin(async move { recording.keep(&response).await }))
    }
}
