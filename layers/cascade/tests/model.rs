//! A model that streams as it is told.
use super::*;
use http::{HeaderValue, header::CONTENT_TYPE};
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tierway_services::{
    chat::{Operation, Prompt},
    dialect::Dialect,
    translate,
};
use tower::ServiceExt;

/// Frames that come one by one, each after a pause if so told; then an end, or a failure.
pub(super) struct Script {
    frames: VecDeque<Bytes>,
    pause: Duration,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    fails: bool,
    /// Counts those that are at work.
    _open: Open,
}

pub(super) struct Open(Arc<AtomicUsize>);
impl Open {
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}
impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = tierway_services::BoxError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.pause.is_zero() {
            let pause = self.pause;
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            std::task::ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        match self.frames.pop_front() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None if self.fails => Poll::Ready(Some(Err("reset".into()))),
            None => Poll::Ready(None),
        }
    }
}

/// A model that streams these frames, and counts how many of its streams are open.
#[derive(Clone)]
pub(super) struct Model {
    pub(super) frames: Vec<Bytes>,
    pause: Duration,
    pub(super) fails: bool,
    open: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Model {
    pub(super) fn new(frames: Vec<Bytes>) -> Self {
        Self {
            frames,
            pause: Duration::ZERO,
            fails: false,
            open: Arc::default(),
            asked: Arc::default(),
        }
    }
    pub(super) fn says(dialect: Dialect, text: &str) -> Self {
        let events = translate::to_stream(dialect, answer(dialect, text).as_bytes(), false);
        Self::new(in_pieces(events.unwrap()))
    }
    pub(super) fn slow(mut self, millis: u64) -> Self {
        self.pause = Duration::from_millis(millis);
        self
    }
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl tower::Service<Request> for Model {
    type Response = Response;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response, &'static str>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Request) -> Self::Future {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let script = Script {
            frames: self.frames.clone().into(),
            pause: self.pause,
            sleep: None,
            fails: self.fails,
            _open: Open::of(&self.open),
        };
        let mut res = Response::new(Reply::stream(script));
        let sse = HeaderValue::from_static("text/event-stream");
        res.headers_mut().insert(CONTENT_TYPE, sse);
        std::future::ready(Ok(res))
    }
}

/// The same stream with its words in pieces of a few letters, an event each.
pub(super) fn in_pieces(events: Vec<Bytes>) -> Vec<Bytes> {
    let (mut out, mut number) = (Vec::new(), 0);
    for event in events {
        let text = std::str::from_utf8(&event).unwrap();
        let (head, data) = text.split_once("data: ").unwrap();
        let Ok(mut value) = serde_json::from_str::<serde_json::Value>(data) else {
            out.push(event);
            continue;
        };
        let mut pieces = vec![None];
        for place in ["/delta/text", "/choices/0/delta/content", "/delta"] {
            if let Some(words) = value
                .pointer(place)
                .and_then(|w| w.as_str())
                .filter(|w| !w.is_empty())
            {
                let letters: Vec<char> = words.chars().collect();
                pieces = letters
                    .chunks(5)
                    .map(|c| Some((place, c.iter().collect::<String>())))
                    .collect();
                break;
            }
        }
        for piece in pieces {
            if let Some((place, words)) = piece {
                *value.pointer_mut(place).unwrap() = words.into();
            }
            if let Some(place) = value.get_mut("sequence_number") {
                *place = number.into();
                number += 1;
            }
            out.push(format!("{head}data: {value}\n\n").into());
        }
    }
    out
}

/// A whole answer.
pub(super) fn answer(dialect: Dialect, text: &str) -> String {
    match dialect {
        Dialect::Messages => json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "stop_sequence": null, "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 9, "output_tokens": 2}}),
        Dialect::Responses => json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
            "output": [{"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]}],
            "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}}),
        _ => serde_json::from_str(&whole(text)).unwrap(),
    }
    .to_string()
}

pub(super) fn asking(dialect: Dialect) -> Request {
    let body = match dialect {
        Dialect::Responses => json!({"model": "auto", "stream": true, "input": "hi"}),
        _ => {
            json!({"model": "auto", "stream": true, "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]})
        }
    };
    let prompt = Prompt::parse(dialect, Operation::Generate, body.to_string().into()).unwrap();
    medium(Request::new(prompt)).0
}

pub(super) async fn answered<C: Confidence + Send + Sync + 'static>(
    layer: CascadeLayer<Model, C>,
    big: &Model,
    req: Request,
) -> (String, String) {
    let res = layer.layer(big.clone()).oneshot(req).await.unwrap();
    let told = cascade(&res).to_owned();
    (told, body(res).await)
}

pub(super) fn text_of(model: &Model) -> String {
    String::from_utf8(model.frames.concat()).unwrap()
}
