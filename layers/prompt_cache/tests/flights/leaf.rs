//! A leaf whose answers the test gives, piece by piece.
use super::*;
use tokio::sync::{mpsc, oneshot};

/// What is to come of one upstream call.
pub(super) struct Fed {
    pub(super) head: oneshot::Sender<Result<Response, AnyError>>,
    pub(super) frames: mpsc::Sender<Result<Bytes, &'static str>>,
}
type Expected = (
    oneshot::Receiver<Result<Response, AnyError>>,
    mpsc::Receiver<Result<Bytes, &'static str>>,
);
#[derive(Clone, Default)]
pub(super) struct Leaf(Arc<Mutex<VecDeque<Expected>>>);

/// Expects an upstream call.
pub(super) fn feed(leaf: &Leaf) -> Fed {
    let (head, heads) = oneshot::channel();
    let (frames, pieces) = mpsc::channel(64);
    leaf.0.lock().unwrap().push_back((heads, pieces));
    Fed { head, frames }
}

impl Fed {
    pub(super) fn streams(self) -> mpsc::Sender<Result<Bytes, &'static str>> {
        let mut res = streams(Vec::new());
        for (name, value) in [("x-tierway-provider", "p"), ("x-tierway-model", "real")] {
            res.headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        drop(self.head.send(Ok(res)));
        self.frames
    }
}

impl Leaf {
    pub(super) fn expected(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Leaves its line when it is dropped, as the real leaf does.
struct Record(Option<Journal>, AttemptEnd);
impl Record {
    fn complete(&mut self) {
        self.1 = AttemptEnd::Complete;
    }
}
impl Drop for Record {
    fn drop(&mut self) {
        let mut attempt = Attempt::new(Target::new("p", "real"), Role::Only);
        attempt.end = self.1;
        if let Some(journal) = &self.0 {
            journal.write(|j| j.attempts.push(attempt));
        }
    }
}

struct Pieces(mpsc::Receiver<Result<Bytes, &'static str>>, Record);
impl Body for Pieces {
    type Data = Bytes;
    type Error = AnyError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        let next = ready!(self.0.poll_recv(cx));
        if next.is_none() {
            self.1.complete();
        }
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece?))))
    }
}

impl Service<Request> for Leaf {
    type Response = Response;
    type Error = AnyError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, AnyError>> + Send>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AnyError>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, req: Request) -> Self::Future {
        let (head, pieces) = self
            .0
            .lock()
            .unwrap()
            .pop_front()
            .expect("no call is expected");
        let mut record = Record(Journal::of(&req).cloned(), AttemptEnd::Cancelled);
        Box::pin(async move {
            let res = head.await.unwrap_or_else(|_| Err("gone".into()))?;
            if !res.body().is_stream() {
                record.complete();
                return Ok(res);
            }
            Ok(res.map(|_| Reply::stream(Pieces(pieces, record))))
        })
    }
}
