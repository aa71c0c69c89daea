//! A draft on its way to the caller: the frames that were held back, then those that are still to come.
use super::{Asked, Confidence, Draft};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tierway_services::{
    BoxError,
    chat::{self, Answer, Logprobs, Reply},
    translate::AnswerReader,
};

pin_project_lite::pin_project! {
    /// Gives back frame by frame what the leaf gave, byte for byte.
    pub(super) struct Recorded {
        held: VecDeque<Bytes>,
        #[pin]
        rest: Option<Reply>,
        follower: Option<Follower>,
    }
}

/// Reads along with what is still to come, and tells of the whole at its end; of one that breaks off nothing is told.
pub(super) struct Follower {
    reader: AnswerReader,
    logprobs: Logprobs,
    tell: Box<dyn FnOnce(Answer) + Send>,
}

impl Follower {
    /// Goes on with `reader`, and tells `confidence` of the draft of an answer to `req`.
    pub(super) fn new<C: Confidence + Send + Sync + 'static>(
        reader: AnswerReader,
        logprobs: Logprobs,
        confidence: Arc<C>,
        req: chat::Request,
        start: Instant,
    ) -> Self {
        let tell = Box::new(move |answer: Answer| {
            let asked = Asked::new(&req).early(true);
            confidence.committed(&Draft::new(&answer, &req, start.elapsed()).with(&asked));
        });
        Self {
            reader,
            logprobs,
            tell,
        }
    }
    fn take(&mut self, data: Bytes) {
        self.reader.push(data);
        self.reader.extend_logprobs(self.logprobs.take());
    }
    fn end(mut self) {
        self.reader.extend_logprobs(self.logprobs.take());
        if self.reader.is_complete() && self.reader.error().is_none() {
            (self.tell)(self.reader.into_answer());
        }
    }
}

impl Recorded {
    pub(super) fn new(held: Vec<Bytes>, rest: Option<Reply>, follower: Option<Follower>) -> Self {
        Self {
            held: held.into(),
            rest,
            follower,
        }
    }
}

impl Body for Recorded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        if let Some(bytes) = this.held.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Some(mut rest) = this.rest.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let frame = ready!(rest.as_mut().poll_frame(cx));
        if let (Some(follower), Some(Ok(frame))) = (this.follower.as_mut(), &frame)
            && let Some(data) = frame.data_ref()
        {
            follower.take(data.clone());
        }
        // A server that has all of it does not ask again.
        if frame.as_ref().is_none_or(Result::is_err) || rest.is_end_stream() {
            this.follower.take().into_iter().for_each(Follower::end);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held: u64 = self.held.iter().map(|bytes| bytes.len() as u64).sum();
        match &self.rest {
            None => SizeHint::with_exact(held),
            Some(rest) => {
                let mut hint = SizeHint::new();
                hint.set_lower(held + rest.size_hint().lower());
                hint
            }
        }
    }
}
