//! A streaming answer on its way from the provider to the caller.
use super::{cutter::Cutter, error::Error, logprobs::Tap, record::Recorder, signatures::Signer};
use crate::{
    BoxError,
    alarm::Alarm,
    chat::{AttemptEnd, Refusal, Usage},
    dialect::Dialect,
    providers::{Framing, Provider},
    translate::StreamTranslator,
    upstream::Incoming,
};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::{
    collections::VecDeque,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// One event may be this long; a whole generated image fits.
pub(super) const EVENT_LIMIT: usize = 16 * 1024 * 1024;
/// After its last event a provider has this long to end its body, so that the connection can be used again.
const GRACE: Duration = Duration::from_secs(2);
/// A timer that is seen so much too late tells of ourselves and not of the provider,
const OVERSLEPT: Duration = Duration::from_millis(250);
/// who then has so much longer.
const CATCH_UP: Duration = Duration::from_secs(1);
/// Translated events that arrived together are sent together up to this size.
const JOIN_LIMIT: usize = 64 * 1024;

pin_project_lite::pin_project! {
    /// The upstream's events, cut, translated and watched. Each frame ends at an event's end. Dropped, it hangs up on the provider and
    /// leaves its line in the journal.
    #[derive(Debug)]
    pub(super) struct Streaming<B = Incoming> {
        #[pin] upstream: B,
        // Checked only while waiting, so that a slow reader is not taken for a silent provider.
        #[pin] alarm: Alarm,
        waiting_until: Option<Instant>,
        state: State,
    }
}

#[derive(Debug)]
struct State {
    provider: Arc<Provider>,
    cutter: Cutter,
    translator: StreamTranslator,
    recorder: Recorder,
    signer: Option<Signer>,
    tap: Option<Tap>,
    input_estimate: u64,
    first_byte_until: Option<Instant>,
    scratch: Vec<Bytes>,
    ready: VecDeque<Bytes>,
    failure: Option<Error>,
    done: bool,
}

impl<B> Streaming<B> {
    /// `first_byte_until`: when the provider must have sent something.
    pub(super) fn new(
        upstream: B,
        provider: Arc<Provider>,
        (framing, dialect): (Framing, Dialect),
        translator: StreamTranslator,
        recorder: Recorder,
        input_estimate: u64,
        first_byte_until: Instant,
    ) -> Self {
        Self {
            upstream,
            alarm: Alarm::default(),
            waiting_until: None,
            state: State {
                provider,
                cutter: Cutter::new(framing, dialect, EVENT_LIMIT),
                translator,
                recorder,
                signer: None,
                tap: None,
                input_estimate,
                first_byte_until: Some(first_byte_until),
                scratch: Vec::new(),
                ready: VecDeque::new(),
                failure: None,
                done: false,
            },
        }
    }
}

impl<B> Streaming<B> {
    /// Whose signatures are to be remembered as they pass.
    pub(super) fn signed_by(mut self, signer: Option<Signer>) -> Self {
        self.state.signer = signer;
        self
    }

    /// How long an event may be; 16 MiB by default.
    pub(super) fn events_at_most(
        mut self,
        (framing, dialect): (Framing, Dialect),
        bytes: usize,
    ) -> Self {
        self.state.cutter = Cutter::new(framing, dialect, bytes);
        self
    }

    /// Who wants log-probabilities beside the caller.
    pub(super) fn tapped_by(mut self, tap: Option<Tap>) -> Self {
        self.state.tap = tap;
        self
    }
}

impl<B> Body for Streaming<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut this = self.project();
        let state = this.state;
        loop {
            if let Some(bytes) = state.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if let Some(error) = state.failure.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if state.done {
                return Poll::Ready(None);
            }
            match this.upstream.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    *this.waiting_until = None;
                    if let Ok(chunk) = frame.into_data()
                        && !chunk.is_empty()
                    {
                        state.chunk(chunk);
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    state.broken(|p| super::error::cut(p, &error.into()));
                }
                Poll::Ready(None) => state.end(),
                Poll::Pending => {
                    let until = *this
                        .waiting_until
                        .get_or_insert_with(|| state.patience(Instant::now()));
                    ready!(this.alarm.as_mut().poll_until(until, cx));
                    if let Some(until) = overslept(until) {
                        *this.waiting_until = Some(until);
                    } else if state.first_byte_until.is_some() {
                        state.broken(Error::first_byte);
                    } else {
                        state.broken(Error::idle);
                    }
                }
            }
        }
    }
    fn is_end_stream(&self) -> bool {
        let state = &self.state;
        state.done && state.ready.is_empty() && state.failure.is_none()
    }
    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            SizeHint::with_exact(0)
        } else {
            SizeHint::default()
        }
    }
}

/// Until when to wait on where this process has come too late to look at its clock: stopped or starved, it has not read yet what may have
/// arrived in time.
pub(super) fn overslept(until: Instant) -> Option<Instant> {
    let now = Instant::now();
    (now.saturating_duration_since(until) > OVERSLEPT).then(|| now + CATCH_UP)
}

// === impl State ===

impl State {
    /// Until when a wait that begins now may last.
    fn patience(&self, now: Instant) -> Instant {
        let idle = self.provider.limits().idle;
        if self.translator.summary().complete {
            now + GRACE.min(idle)
        } else {
            self.first_byte_until.unwrap_or(now + idle)
        }
    }

    fn chunk(&mut self, chunk: Bytes) {
        self.first_byte_until = None;
        self.recorder.first_byte();
        let pushed = self.cutter.push(chunk.clone());
        let mut out = std::mem::take(&mut self.scratch);
        for event in self.cutter.by_ref() {
            if let Some(signer) = &self.signer {
                signer.note(&event);
            }
            let event = match &mut self.tap {
                Some(tap) => tap.event(event),
                None => event,
            };
            self.translator.push(event, &mut out);
        }
        self.scrub(&mut out);
        join(&chunk, &mut out, &mut self.ready);
        self.scratch = out;
        if let Err(what) = pushed {
            self.broken(|p| Error::nonsense(p, what));
        } else if self.translator.summary().error.is_some() {
            // The provider's own error event is on its way to the caller; nothing can come after it.
            self.finish(AttemptEnd::Failed);
        }
    }

    /// The upstream's body ended.
    fn end(&mut self) {
        self.close(Error::incomplete);
    }

    /// The upstream broke off; no harm where all that matters had come.
    fn broken(&mut self, error: impl FnOnce(&Provider) -> Error) {
        self.close(|provider, _| error(provider));
    }

    fn close(&mut self, error: impl FnOnce(&Provider, &Refusal) -> Error) {
        let mut out = std::mem::take(&mut self.scratch);
        if let Some(rest) = self.cutter.rest() {
            let rest = match &mut self.tap {
                Some(tap) => tap.event(rest),
                None => rest,
            };
            self.translator.push(rest, &mut out);
        }
        let finished = self.translator.finish(&mut out);
        self.scrub(&mut out);
        join(&Bytes::new(), &mut out, &mut self.ready);
        self.scratch = out;
        match finished {
            Ok(()) if self.translator.summary().complete => self.finish(AttemptEnd::Complete),
            // The provider's own error event is all that there is to say.
            Ok(()) => self.finish(AttemptEnd::Failed),
            Err(refusal) => {
                self.failure = Some(error(&self.provider, &refusal));
                self.finish(AttemptEnd::Failed);
            }
        }
    }

    /// The provider's own error event, as callers may see it: it is the last that was translated.
    fn scrub(&self, out: &mut [Bytes]) {
        if self.translator.summary().error.is_some()
            && let Some(error) = out.last_mut()
        {
            *error = super::scrub::told(&self.provider, error);
        }
    }

    fn finish(&mut self, end: AttemptEnd) {
        self.done = true;
        if let (Some(tap), AttemptEnd::Complete) = (&self.tap, end) {
            tap.ended();
        }
        let (usage, estimated) = self.usage();
        self.recorder.usage(usage, estimated);
        if self.provider.spec().tells_cost {
            self.recorder.cost(self.translator.cost());
        }
        self.recorder.end(end);
    }

    /// What the provider counted, and an estimate of what it did not get to count.
    fn usage(&self) -> (Usage, bool) {
        let summary = self.translator.summary();
        let output = self.translator.output_bytes().div_ceil(4);
        match summary.usage {
            Some(usage) if summary.complete => (usage, false),
            // Counted at the start of a stream that was then cut: what was put out since is not in it.
            Some(usage) => (
                Usage {
                    output: usage.output.max(output),
                    ..usage
                },
                true,
            ),
            None => (
                Usage {
                    input: self.input_estimate,
                    output,
                    ..Usage::default()
                },
                true,
            ),
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if !self.recorder.ended() {
            // The caller may leave right after the last event, before the provider has ended the body.
            let complete = self.translator.summary().complete;
            self.finish(if complete {
                AttemptEnd::Complete
            } else {
                AttemptEnd::Cancelled
            });
        }
    }
}

/// Puts what came out of one chunk into as few frames as possible: slices of the chunk itself where that is what came out, so that a
/// stream in the caller's own dialect is forwarded without a copy.
fn join(chunk: &Bytes, out: &mut Vec<Bytes>, ready: &mut VecDeque<Bytes>) {
    // Most chunks are one event.
    if out.len() < 2 {
        ready.extend(out.pop());
        return;
    }
    let before = ready.len();
    let mut run = 0..0;
    for piece in out.drain(..) {
        match place(chunk, &piece) {
            Some(at) if at.start == run.end && !run.is_empty() => {
                run.end = at.end;
                ready.pop_back();
                ready.push_back(chunk.slice(run.clone()));
            }
            Some(at) => {
                run = at;
                ready.push_back(piece);
            }
            None => {
                run = 0..0;
                ready.push_back(piece);
            }
        }
    }
    let total = ready.range(before..).map(Bytes::len).sum();
    if ready.len() - before > 2 && total <= JOIN_LIMIT {
        let mut joined = BytesMut::with_capacity(total);
        for piece in ready.drain(before..) {
            joined.extend_from_slice(&piece);
        }
        ready.push_back(joined.freeze());
    }
}

/// Where in `chunk` this slice of it stands; `None` for bytes from elsewhere.
fn place(chunk: &Bytes, piece: &Bytes) -> Option<Range<usize>> {
    let start = (piece.as_ptr() as usize).checked_sub(chunk.as_ptr() as usize)?;
    let end = start.checked_add(piece.len())?;
    (end <= chunk.len()).then_some(start..end)
}

#[cfg(test)]
mod tests;
