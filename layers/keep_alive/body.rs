use crate::wire;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tierway_services::{
    BoxError,
    alarm::Alarm,
    chat::{self, Kind, Prompt, Refusal, Reply},
    dialect::Dialect,
    translate,
};
use tokio::time::Instant;

pin_project! {
    /// A stream, with signs of life where it is silent. Frames end where events end, so nothing is broken in two.
    pub(super) struct Paced<F> {
        #[pin]
        source: Source<F>,
        #[pin]
        alarm: Alarm,
        silent_until: Option<Instant>,
        dialect: Dialect,
        interval: Duration,
    }
}
pin_project! {
    #[project = SourceProj]
    #[project_replace = SourceOwned]
    enum Source<F> {
        // The answer's head is still to come.
        Head { future: Pin<Box<F>>, prompt: Prompt },
        Events { #[pin] reply: Reply },
        // An answer that is no stream, though the caller has been promised one.
        Whole { #[pin] reply: Reply, status: StatusCode, prompt: Prompt, gathered: BytesMut },
        Ended,
    }
}

/// A whole answer in the place of a stream may be this long.
const WHOLE: usize = 64 * 1024 * 1024;

impl<F> Paced<F> {
    pub(super) fn of_head(future: Pin<Box<F>>, prompt: Prompt, interval: Duration) -> Self {
        let dialect = prompt.facts().dialect;
        // The silence that made us speak has just ended with the head: the first sign of life goes with it.
        let mut paced = Self::new(Source::Head { future, prompt }, dialect, interval);
        paced.silent_until = Some(Instant::now());
        paced
    }
    pub(super) fn of_body(reply: Reply, dialect: Dialect, interval: Duration) -> Self {
        Self::new(Source::Events { reply }, dialect, interval)
    }
    fn new(source: Source<F>, dialect: Dialect, interval: Duration) -> Self {
        Self {
            source,
            alarm: Alarm::default(),
            silent_until: None,
            dialect,
            interval,
        }
    }
}

impl<F, E> Body for Paced<F>
where
    F: Future<Output = Result<chat::Response, E>>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = poll_source(this.source.as_mut(), cx) {
            *this.silent_until = None;
            return Poll::Ready(frame);
        }
        let until = *this
            .silent_until
            .get_or_insert_with(|| Instant::now() + *this.interval);
        ready!(this.alarm.poll_until(until, cx));
        *this.silent_until = Some(Instant::now() + *this.interval);
        Poll::Ready(Some(Ok(Frame::data(sign_of_life(*this.dialect)))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Events { reply } => reply.is_end_stream(),
            Source::Ended => true,
            Source::Head { .. } | Source::Whole { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        // More may come than anybody has counted.
        if self.is_end_stream() {
            SizeHint::with_exact(0)
        } else {
            SizeHint::new()
        }
    }
}

fn poll_source<F, E>(
    mut source: Pin<&mut Source<F>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
where
    F: Future<Output = Result<chat::Response, E>>,
    E: Into<BoxError>,
{
    loop {
        let next = match source.as_mut().project() {
            SourceProj::Head { future, prompt } => match ready!(future.as_mut().poll(cx)) {
                Ok(res) => {
                    let (head, reply) = res.into_parts();
                    if wire::is_event_stream(&head.headers) {
                        Source::Events { reply }
                    } else {
                        Source::Whole {
                            reply,
                            status: head.status,
                            prompt: prompt.clone(),
                            gathered: BytesMut::new(),
                        }
                    }
                }
                Err(error) => {
                    source.set(Source::Ended);
                    return Poll::Ready(Some(Err(error.into())));
                }
            },
            SourceProj::Events { reply } => return reply.poll_frame(cx),
            SourceProj::Whole {
                reply,
                status,
                prompt,
                gathered,
            } => match ready!(reply.poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    if gathered.len() + data.len() <= WHOLE {
                        gathered.extend_from_slice(&data);
                    }
                    continue;
                }
                Some(Err(error)) => {
                    source.set(Source::Ended);
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    let told = told(*status, gathered, prompt);
                    source.set(Source::Ended);
                    return Poll::Ready(Some(Ok(Frame::data(told))));
                }
            },
            SourceProj::Ended => return Poll::Ready(None),
        };
        source.as_mut().project_replace(next);
    }
}

/// What an answer that is no stream is within one: a refusal its event, an answer its events.
fn told(status: StatusCode, body: &[u8], prompt: &Prompt) -> Bytes {
    let facts = prompt.facts();
    let dialect = facts.dialect;
    if !status.is_success() {
        return translate::error(dialect, status, body).event(dialect);
    }
    let usage = matches!(facts.stream_options, Some((_, true)));
    match translate::to_stream(dialect, body, usage) {
        Some(events) => events.concat().into(),
        None => {
            Refusal::new(Kind::Upstream, "the answer is none that can be streamed").event(dialect)
        }
    }
}

/// An event that says nothing.
const fn sign_of_life(dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::Messages => Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n"),
        _ => Bytes::from_static(b": keep-alive\n\n"),
    }
}
