//! Keeping an answer while it passes.
use super::{Entry, Key, Recorded, Store, eligible::Settings, flight::Slot};
use crate::commit::{Commit, Tap};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, header::CONTENT_TYPE, response};
use http_body::Body;
use std::{sync::Arc, time::SystemTime};
use tierway_services::{
    chat::{AttemptEnd, FellBack, Journal, Prompt, Reply, StopReason, Target, Usage},
    dialect::Dialect,
    sse::Splitter,
    translate,
};

/// The headers that are worth replaying; the rest speak of the one exchange that brought the answer.
const KEPT: [HeaderName; 4] = [
    CONTENT_TYPE,
    HeaderName::from_static("x-tierway-provider"),
    HeaderName::from_static("x-tierway-model"),
    HeaderName::from_static("x-tierway-dropped"),
];

/// All that is needed to keep one answer.
pub(super) struct Recording<St> {
    pub(super) store: Arc<St>,
    pub(super) key: Key,
    pub(super) settings: Arc<Settings>,
    pub(super) prompt: Prompt,
    pub(super) target: Option<Target>,
    pub(super) journal: Option<Journal>,
    pub(super) slot: Slot,
}

/// Keeps a body once it has ended well.
///
/// It holds references to what passes, not copies, and lets go of them past the bound, on an error, and when it is dropped half-way.
pub(super) struct Recorder<St> {
    head: HeaderMap,
    passed: Vec<Bytes>,
    size: usize,
    recording: Option<Recording<St>>,
}

// === impl Recording ===

impl<St: Store> Recording<St> {
    /// The entry that `body` under `head` makes, if it is one to replay.
    fn entry(&self, head: &HeaderMap, body: Bytes) -> Option<Entry> {
        let dialect = self.prompt.facts().dialect;
        let streamed = is_event_stream(head);
        let whole = if streamed {
            translate::to_whole(dialect, &events(&body)?)?
        } else {
            body.clone()
        };
        let summary = translate::summary(dialect, &whole);
        let answer = translate::read_answer(dialect, &whole)?;
        let paused = matches!(answer.stop, Some(StopReason::Pause | StopReason::ToolUse));
        if !summary.complete
            || summary.error.is_some()
            || ((paused || !answer.tool_calls.is_empty()) && !self.settings.tool_calls)
        {
            return None;
        }
        let usage = summary.usage.or_else(|| self.counted());
        let told = summary.usage.is_some();
        Some(Entry {
            dialect,
            headers: KEPT
                .iter()
                .filter_map(|name| Some((name.clone(), head.get(name)?.clone())))
                .collect(),
            // A stream that was not to tell its usage cannot be replayed to who wants it; the whole answer can.
            body: match (streamed, told) {
                (true, true) => Recorded::Events(body),
                (true, false) => Recorded::Whole(with_usage(dialect, whole, usage)),
                (false, _) => Recorded::Whole(body),
            },
            usage,
            target: answered(head).or_else(|| self.target.clone()),
            stored_at: SystemTime::now(),
        })
    }

    /// The usage that the leaf counted, where the answer itself does not tell.
    fn counted(&self) -> Option<Usage> {
        self.journal.as_ref()?.read(|j| {
            let mut attempts = j.attempts.iter().rev();
            attempts
                .find(|a| a.end == AttemptEnd::Complete && !a.estimated)?
                .usage
        })
    }
}

/// Whether a response is one to keep as far as its head tells, and its body is not known to be over the bound.
pub(super) fn may_keep(head: &response::Parts, body: &Reply, max: usize) -> bool {
    head.status == StatusCode::OK
        && body.size_hint().lower() <= max as u64
        // Of another model than the one that the key names.
        && head.extensions.get::<FellBack>().is_none()
}

pub(super) fn is_event_stream(head: &HeaderMap) -> bool {
    head.get(CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"text/event-stream"))
}

/// The events of a recorded stream; `None` where it ends in the middle of one.
pub(super) fn events(body: &Bytes) -> Option<Vec<Bytes>> {
    let mut splitter = Splitter::new(body.len());
    splitter.push(body.clone()).ok()?;
    let events = splitter.by_ref().collect();
    splitter.remainder().is_empty().then_some(events)
}

/// Who answered, by the leaf's own word.
fn answered(head: &HeaderMap) -> Option<Target> {
    let word = |name: &HeaderName| head.get(name)?.to_str().ok();
    let [_, provider, model, _] = &KEPT;
    Some(Target::new(word(provider)?, word(model)?))
}

/// A whole answer that tells its usage, in its dialect's words.
fn with_usage(dialect: Dialect, whole: Bytes, usage: Option<Usage>) -> Bytes {
    let (Dialect::ChatCompletions, Some(usage)) = (dialect, usage) else {
        return whole;
    };
    let Ok(mut answer) = serde_json::from_slice::<serde_json::Map<_, _>>(&whole) else {
        return whole;
    };
    let (input, output) = (usage.input_total(), usage.output);
    answer.insert(
        "usage".to_owned(),
        serde_json::json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        }),
    );
    serde_json::to_vec(&answer).map_or(whole, Bytes::from)
}

// === impl Recorder ===

impl<St> Recorder<St> {
    pub(super) const fn new(head: HeaderMap, recording: Recording<St>) -> Self {
        Self {
            head,
            passed: Vec::new(),
            size: 0,
            recording: Some(recording),
        }
    }

    fn forget(&mut self) {
        self.recording = None;
        self.passed = Vec::new();
    }
}

impl<St: Store + Send + Sync + 'static> Tap for Recorder<St> {
    fn pass(&mut self, data: &Bytes) -> Option<Commit> {
        let bound = self.recording.as_ref()?.settings.max_entry;
        self.size += data.len();
        self.passed.push(data.clone());
        if self.size > bound {
            self.forget();
        }
        None
    }

    fn end(&mut self) -> Option<Commit> {
        let passed = std::mem::take(&mut self.passed);
        let recording = self.recording.take()?;
        // One buffer of the exact size: the passed pieces hold on to the larger buffers that they were read into.
        let mut body = BytesMut::with_capacity(self.size);
        for data in &passed {
            body.extend_from_slice(data);
        }
        let entry = recording.entry(&self.head, body.freeze())?;
        Some(Box::pin(async move {
            let Recording {
                store, key, slot, ..
            } = recording;
            store.put(key, entry.clone()).await;
            // After that, so that whoever is told of it finds it.
            let _ = slot.set(entry);
        }))
    }

    fn broke(&mut self) {
        self.forget();
    }
}
