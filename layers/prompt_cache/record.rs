//! Keeping an answer while it passes.
use super::{Entry, Key, Recorded, Settings, Store};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, header::CONTENT_TYPE, response};
use http_body::{Body, Frame, SizeHint};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};
use tierway_services::{
    BoxError,
    chat::{AttemptEnd, FellBack, Journal, Prompt, Reply, StopReason, Target, Usage},
    dialect::Dialect,
    sse::Splitter,
    translate,
};

/// The headers that are worth replaying; the rest speak of the one exchange that brought the answer.
const KEPT: [HeaderName; 3] = [
    CONTENT_TYPE,
    HeaderName::from_static("x-tierway-provider"),
    HeaderName::from_static("x-tierway-model"),
];

/// All that is needed to keep one answer.
pub(super) struct Recording<St> {
    pub(super) store: Arc<St>,
    pub(super) key: Key,
    pub(super) settings: Settings,
    pub(super) prompt: Prompt,
    pub(super) target: Option<Target>,
    pub(super) journal: Option<Journal>,
}

/// A body that is kept once it has ended well.
///
/// It holds references to what passes, not copies, and lets go of them past the bound, on an error, and when it is dropped half-way. What
/// it keeps it keeps *before* the last frame is handed on: a server that has its `content-length` of bytes does not ask again.
pub(super) struct Recorder<St> {
    inner: Option<Reply>,
    head: HeaderMap,
    passed: Vec<Bytes>,
    size: usize,
    recording: Option<Recording<St>>,
    commit: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    last: Option<Frame<Bytes>>,
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
    let [_, provider, model] = &KEPT;
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

impl<St: Store + Send + Sync + 'static> Recorder<St> {
    pub(super) fn new(head: HeaderMap, body: Reply, recording: Recording<St>) -> Self {
        Self {
            inner: Some(body),
            head,
            passed: Vec::new(),
            size: 0,
            recording: Some(recording),
            commit: None,
            last: None,
        }
    }

    fn pass(&mut self, frame: &Frame<Bytes>) {
        let Some(recording) = &self.recording else {
            return;
        };
        if let Some(data) = frame.data_ref() {
            self.size += data.len();
            self.passed.push(data.clone());
        }
        if self.size > recording.settings.max_entry {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.recording = None;
        self.passed = Vec::new();
    }

    /// The body has ended well: keeps it, if it is one to keep.
    fn finish(&mut self) {
        // Dropped first, so that the leaf has written down what it counted.
        self.inner = None;
        let passed = std::mem::take(&mut self.passed);
        let Some(recording) = self.recording.take() else {
            return;
        };
        // One buffer of the exact size: the passed pieces hold on to the larger buffers that they were read into.
        let mut body = BytesMut::with_capacity(self.size);
        for data in &passed {
            body.extend_from_slice(data);
        }
        if let Some(entry) = recording.entry(&self.head, body.freeze()) {
            self.commit = Some(Box::pin(async move {
                recording.store.put(recording.key, entry).await;
            }));
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
            if let Some(frame) = this.last.take() {
                return Poll::Ready(Some(Ok(frame)));
            }
            let Some(inner) = &mut this.inner else {
                return Poll::Ready(None);
            };
            match ready!(Pin::new(&mut *inner).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let ended = inner.is_end_stream();
                    this.pass(&frame);
                    if !ended {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    this.last = Some(frame);
                    this.finish();
                }
                Some(Err(error)) => {
                    this.forget();
                    return Poll::Ready(Some(Err(error)));
                }
                None => this.finish(),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Some(inner) => inner.is_end_stream(),
            None => self.last.is_none() && self.commit.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.inner, &self.last) {
            (Some(inner), _) => inner.size_hint(),
            (None, Some(last)) => {
                SizeHint::with_exact(last.data_ref().map_or(0, |d| d.len() as u64))
            }
            (None, None) => SizeHint::with_exact(0),
        }
    }
}
