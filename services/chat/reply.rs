//! The body of an answer.
use crate::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The body of an answer in the caller's dialect: whole, or still streaming from a provider.
///
/// A streaming reply yields frames that each end at an event boundary, so that whoever must break in (an error after the head) never
/// breaks an event in two.
#[derive(Default)]
pub struct Reply {
    kind: Kind,
}

enum Kind {
    Whole(Full<Bytes>),
    Stream(Stream),
}

struct Stream {
    // Fields are dropped in this order: first the leaf writes down what was used.
    body: UnsyncBoxBody<Bytes, BoxError>,
    // What has been read of it and not been taken yet.
    first: Option<Bytes>,
    begun: bool,
    witnesses: Vec<Box<dyn Witness>>,
}

/// Who is to know how a streaming [`Reply`] fares, and need not see what passes. A body around the reply would know it, too, but each frame
/// would have to come through that.
///
/// It is dropped after the body, also where nobody reads that to its end.
pub trait Witness: Send + 'static {
    /// The first frame is here.
    fn begun(&mut self) {}
    /// The last one was here, or the stream has broken off. Not told where nobody reads on.
    fn ended(&mut self, _in_order: bool) {}
}

impl Default for Kind {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

impl Reply {
    /// A reply that is already complete.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: Kind::Whole(Full::new(bytes.into())),
        }
    }
    /// A reply that arrives frame by frame. A body that is a `Reply` already is taken as it is, not boxed again.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut body = Some(body);
        if let Some(reply) = (&mut body as &mut dyn std::any::Any).downcast_mut::<Option<Self>>() {
            return reply.take().unwrap_or_default();
        }
        body.map_or_else(Self::default, |body| Self {
            kind: Kind::Stream(Stream {
                body: body.map_err(Into::into).boxed_unsync(),
                first: None,
                begun: false,
                witnesses: Vec::new(),
            }),
        })
    }
    /// This reply, with one more witness. One that is whole already is over for its witness: it is told so, and dropped.
    #[must_use]
    pub fn witnessed(mut self, mut witness: impl Witness) -> Self {
        match &mut self.kind {
            Kind::Stream(stream) => stream.witnesses.push(Box::new(witness)),
            Kind::Whole(_) => {
                witness.begun();
                witness.ended(true);
            }
        }
        self
    }
    /// Waits for the first bytes and looks at them; they stay the first that a reader gets. `None` where nothing is to come, or where it is
    /// whole already.
    ///
    /// # Errors
    /// Where the stream breaks before it has begun; it is over then.
    pub fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&Bytes>, BoxError>> {
        let Kind::Stream(stream) = &mut self.kind else {
            return Poll::Ready(Ok(None));
        };
        while stream.first.is_none() {
            match ready!(stream.poll_next(cx)) {
                None => return Poll::Ready(Ok(None)),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                Some(Ok(frame)) => {
                    stream.first = frame.into_data().ok().filter(|data| !data.is_empty());
                }
            }
        }
        Poll::Ready(Ok(stream.first.as_ref()))
    }
    /// Whether it arrives frame by frame.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Stream(_))
    }
}

impl Stream {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(_)) if self.begun => {}
            Some(Ok(_)) => {
                self.begun = true;
                self.witnesses.iter_mut().for_each(|w| w.begun());
            }
            end => {
                let in_order = end.is_none();
                self.witnesses.iter_mut().for_each(|w| w.ended(in_order));
            }
        }
        Poll::Ready(frame)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("stream", &self.is_stream())
            .finish_non_exhaustive()
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BoxError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.kind {
            Kind::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|e| match e {}),
            Kind::Stream(stream) => match stream.first.take() {
                Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
                None => stream.poll_next(cx),
            },
        }
    }
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(body) => body.is_end_stream(),
            Kind::Stream(stream) => stream.first.is_none() && stream.body.is_end_stream(),
        }
    }
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(body) => body.size_hint(),
            Kind::Stream(stream) => {
                let mut hint = stream.body.size_hint();
                if let Some(first) = &stream.first {
                    let first = first.len() as u64;
                    let upper = hint.upper().map(|upper| upper.saturating_add(first));
                    hint.set_lower(hint.lower().saturating_add(first));
                    if let Some(upper) = upper {
                        hint.set_upper(upper);
                    }
                }
                hint
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Writes down what it is told, and when it goes.
    struct Clerk(&'static str, Arc<Mutex<Vec<String>>>);

    impl Clerk {
        fn note(&self, what: &str) {
            self.1.lock().unwrap().push(format!("{} {what}", self.0));
        }
    }
    impl Witness for Clerk {
        fn begun(&mut self) {
            self.note("begun");
        }
        fn ended(&mut self, in_order: bool) {
            self.note(if in_order { "ended" } else { "broke" });
        }
    }
    impl Drop for Clerk {
        fn drop(&mut self) {
            self.note("gone");
        }
    }

    /// Frames, the last one first.
    struct Script {
        frames: Vec<Result<Bytes, BoxError>>,
        _clerk: Clerk,
    }

    impl Body for Script {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.frames.pop().map(|data| data.map(Frame::data)))
        }
    }

    /// What is told of a stream of which so many frames are read.
    async fn told(breaks: bool, read: usize) -> String {
        let book = Arc::default();
        let clerk = |name| Clerk(name, Arc::clone(&book));
        let last = breaks.then(|| Err("reset".into()));
        let frames = ["b", "a"].map(|data| Ok(data.into()));
        let reply = Reply::stream(Script {
            frames: last.into_iter().chain(frames).collect(),
            _clerk: clerk("body"),
        });
        let mut reply = reply.witnessed(clerk("x")).witnessed(clerk("y"));
        for _ in 0..read {
            let _ = reply.frame().await;
        }
        drop(reply);
        book.lock().unwrap().join(", ")
    }

    #[tokio::test]
    async fn witnesses_are_told_once_and_outlive_the_body() {
        let gone = "body gone, x gone, y gone";
        assert_eq!(told(false, 0).await, gone);
        let begun = "x begun, y begun";
        assert_eq!(told(false, 2).await, format!("{begun}, {gone}"));
        let ended = format!("{begun}, x ended, y ended, {gone}");
        assert_eq!(told(false, 3).await, ended);
        assert_eq!(told(true, 3).await, ended.replace("ended", "broke"));
        let book = Arc::default();
        let whole = Reply::whole("all").witnessed(Clerk("x", Arc::clone(&book)));
        assert_eq!(*book.lock().unwrap(), ["x begun", "x ended", "x gone"]);
        drop(whole);
    }

    #[tokio::test]
    async fn whoever_looks_at_the_first_bytes_has_them_begun() {
        let book = Arc::default();
        let script = Script {
            frames: vec![Ok("a".into())],
            _clerk: Clerk("body", Arc::clone(&book)),
        };
        let mut reply = Reply::stream(script).witnessed(Clerk("x", Arc::clone(&book)));
        let seen =
            std::future::poll_fn(|cx| reply.poll_begin(cx).map(|seen| seen.unwrap().cloned()));
        assert_eq!(seen.await.unwrap(), "a");
        assert_eq!(*book.lock().unwrap(), ["x begun"]);
        assert_eq!(reply.collect().await.unwrap().to_bytes(), "a");
    }
}
