//! A scripted upstream on a real socket: both wire formats, whole and streamed, faults by model name, every request recorded.
//!
//! A model name that contains one of these words changes the answer: `tool` one call, `parallel` two calls, `think` a reasoning block
//! first, `eNNN` that status, `flood` a stream that does not end and waits for nobody, `wide` a stream with an event of 2 MiB, `cutoff` the
//! connection breaks mid-stream, `midfail` an error event mid-stream, `garbage` a stream that is not JSON, `hang` silence after the head, `refuse` a refusal, `empty` no text, `cached` a long prefix that is read from the cache (messages).
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;

/// What arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Bytes,
    pub(crate) body: Value,
}

/// A running scripted upstream.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    open_streams: Arc<AtomicUsize>,
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Counts a stream as open until its body is dropped.
struct Open(Arc<AtomicUsize>);
impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Upstream {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let up = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            open_streams: Arc::default(),
        };
        let script = up.clone();
        let service = tower::service_fn(move |req| {
            let script = script.clone();
            async move { Ok::<_, Infallible>(script.answer(req).await) }
        });
        let limits = tierway::server::Limits {
            connections: 4096,
            drain: Duration::ZERO,
            ..tierway::server::Limits::default()
        };
        tokio::spawn(tierway::server::serve(
            listener,
            service,
            limits,
            std::future::pending(),
        ));
        up
    }
    /// Its address as a base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
    /// Every generating request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|s| s.raw != "{}")
            .cloned()
            .collect()
    }
    /// The last request.
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("a request")
    }
    /// How many streams are still being written.
    pub(crate) fn open_streams(&self) -> usize {
        self.open_streams.load(Ordering::SeqCst)
    }

    async fn answer(&self, req: Request<Incoming>) -> Response<Body> {
        let (head, body) = req.into_parts();
        let raw = body
            .collect()
            .await
            .map(|b| b.to_bytes())
            .unwrap_or_default();
        let body: Value = serde_json::from_slice(&raw).unwrap_or_default();
        let path = head
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default();
        self.seen.lock().unwrap().push(Seen {
            path: path.clone(),
            headers: head.headers,
            raw,
            body: body.clone(),
        });
        let path = path.split('?').next().unwrap_or_default();
        let model = body["model"].as_str().unwrap_or_default();
        if let Some(status) = status_of(model) {
            return error(path, status);
        }
        match path {
            "/v1/messages/count_tokens" => whole(json!({"input_tokens": 42})),
            "/v1/models" => {
                whole(json!({"object": "list", "data": [{"id": "scripted", "object": "model"}]}))
            }
            "/v1/messages" => self.send(&body, messages(model), messages_events(model)),
            "/v1/chat/completions" => {
                self.send(&body, chat(model), chat_events(model, asks_usage(&body)))
            }
            "/v1/embeddings" => whole(embeddings(&body)),
            "/v1/completions" => self.send(&body, completion(), completion_events()),
            "/v1/responses" => {
                let answer = responses(model);
                let told = tierway::services::translate::to_stream(
                    tierway::services::dialect::Dialect::Responses,
                    answer.to_string().as_bytes(),
                    false,
                );
                let told = told.unwrap_or_default();
                let events = told.iter().map(|e| String::from_utf8_lossy(e).into_owned());
                self.send(&body, answer, events.collect())
            }
            _ => error(path, 404),
        }
    }

    fn send(&self, ask: &Value, answer: Value, events: Vec<String>) -> Response<Body> {
        let model = ask["model"].as_str().unwrap_or_default();
        if ask["stream"] != true {
            return whole(answer);
        }
        self.open_streams.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&self.open_streams));
        let events = if model.contains("garbage") {
            vec!["data: {nonsense\n\n".to_owned(); 3]
        } else {
            events
        };
        let mut events = events;
        if model.contains("wide") {
            let text = "x".repeat(2 << 20);
            let wide = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
            events.insert(2, format!("event: content_block_delta\ndata: {wide}\n\n"));
        }
        let first: Vec<String> = events.iter().take(2).cloned().collect();
        let (cut, hang, slow) = (
            model.contains("cutoff"),
            model.contains("hang"),
            model.contains("slow"),
        );
        if model.contains("flood") {
            let piece = events.into_iter().nth(2).unwrap_or_default();
            let frames = futures_util::stream::repeat(piece).map(move |event| {
                let _ = &open;
                Ok(Frame::data(Bytes::from(event)))
            });
            let head = futures_util::stream::iter(
                first
                    .into_iter()
                    .map(|event| Ok(Frame::data(Bytes::from(event)))),
            );
            return respond(
                StatusCode::OK,
                "text/event-stream; charset=utf-8",
                StreamBody::new(head.chain(frames)).boxed_unsync(),
            );
        }
        let state = (events.into_iter().enumerate(), open);
        let frames = futures_util::stream::unfold(state, move |(mut events, open)| async move {
            let (i, event) = events.next()?;
            if hang && i == 1 {
                std::future::pending::<()>().await;
            }
            if slow {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if cut && i == 3 {
                // A reset throws away what has not been read yet; what was sent is to arrive first.
                tokio::time::sleep(Duration::from_millis(30)).await;
                return Some((Err(io::Error::other("cut")), (events, open)));
            }
            Some((Ok(Frame::data(Bytes::from(event))), (events, open)))
        });
        respond(
            StatusCode::OK,
            "text/event-stream; charset=utf-8",
            StreamBody::new(frames).boxed_unsync(),
        )
    }
}

const ARGS: &str = r#"{"command": "echo \"hi\""}"#;

fn calls(model: &str) -> usize {
    if model.contains("parallel") {
        2
    } else {
        usize::from(model.contains("tool"))
    }
}

fn text(model: &str) -> &'static str {
    if model.contains("refuse") {
        "I'm sorry, but I can't help with that."
    } else if model.contains("empty") {
        ""
    } else {
        "Paris is the capital of France."
    }
}

fn cached(model: &str) -> u64 {
    if model.contains("cached") { 100_000 } else { 5 }
}

fn asks_usage(body: &Value) -> bool {
    body["stream_options"]["include_usage"] == true
}

fn responses(model: &str) -> Value {
    json!({"id": "resp_native", "object": "response", "created_at": 1, "status": "completed", "model": model, "odd": 1.50,
        "output": [{"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text(model)}]}],
        "usage": {"input_tokens": 25, "input_tokens_details": {"cached_tokens": 5}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 32}})
}

fn messages(model: &str) -> Value {
    let mut content = Vec::new();
    if model.contains("think") {
        content.push(json!({"type": "thinking", "thinking": "Let me think.", "signature": "c2ln"}));
    }
    if !text(model).is_empty() {
        content.push(json!({"type": "text", "text": text(model)}));
    }
    for i in 0..calls(model) {
        let input: Value = serde_json::from_str(ARGS).unwrap();
        content.push(
            json!({"type": "tool_use", "id": format!("toolu_{i}"), "name": "bash", "input": input}),
        );
    }
    let stop = if calls(model) > 0 {
        "tool_use"
    } else {
        "end_turn"
    };
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content, "stop_reason": stop,
        "stop_sequence": null, "usage": {"input_tokens": 20, "cache_creation_input_tokens": 0, "cache_read_input_tokens": cached(model), "output_tokens": 7}})
}

fn messages_events(model: &str) -> Vec<String> {
    let whole = messages(model);
    let event = |v: Value| format!("event: {}\ndata: {v}\n\n", v["type"].as_str().unwrap());
    let mut start = whole.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["usage"]["output_tokens"] = 1.into();
    let mut out = vec![
        event(json!({"type": "message_start", "message": start})),
        event(json!({"type": "ping"})),
    ];
    if model.contains("midfail") {
        out.push(event(json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})));
        return out;
    }
    for (i, block) in whole["content"].as_array().unwrap().iter().enumerate() {
        let (empty, deltas) = match block["type"].as_str().unwrap() {
            "text" => (
                json!({"type": "text", "text": ""}),
                split(block["text"].as_str().unwrap())
                    .map(|t| json!({"type": "text_delta", "text": t}))
                    .collect::<Vec<_>>(),
            ),
            "thinking" => (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                vec![
                    json!({"type": "thinking_delta", "thinking": block["thinking"]}),
                    json!({"type": "signature_delta", "signature": "c2ln"}),
                ],
            ),
            _ => (
                json!({"type": "tool_use", "id": block["id"], "name": "bash", "input": {}}),
                split(ARGS)
                    .map(|t| json!({"type": "input_json_delta", "partial_json": t}))
                    .collect(),
            ),
        };
        out.push(event(
            json!({"type": "content_block_start", "index": i, "content_block": empty}),
        ));
        out.extend(
            deltas
                .into_iter()
                .map(|d| event(json!({"type": "content_block_delta", "index": i, "delta": d}))),
        );
        out.push(event(json!({"type": "content_block_stop", "index": i})));
    }
    out.push(event(json!({"type": "message_delta", "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": null}, "usage": {"output_tokens": 7}})));
    out.push(event(json!({"type": "message_stop"})));
    out
}

fn chat(model: &str) -> Value {
    let calls: Vec<Value> =
        (0..calls(model)).map(|i| json!({"id": format!("call_{i}"), "type": "function", "function": {"name": "bash", "arguments": ARGS}})).collect();
    let finish = if calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    };
    let mut message = json!({"role": "assistant", "content": text(model), "refusal": null});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    if model.contains("think") {
        message["reasoning_content"] = "Let me think.".into();
    }
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "system_fingerprint": "fp",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": {"prompt_tokens": 25, "completion_tokens": 7, "total_tokens": 32, "prompt_tokens_details": {"cached_tokens": 5}}})
}

fn chat_events(model: &str, usage: bool) -> Vec<String> {
    let whole = chat(model);
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
    };
    let mut chunks = vec![chunk(
        json!({"role": "assistant", "content": ""}),
        Value::Null,
    )];
    if model.contains("think") {
        chunks.push(chunk(
            json!({"reasoning_content": "Let me think."}),
            Value::Null,
        ));
    }
    chunks.extend(split(text(model)).map(|t| chunk(json!({"content": t}), Value::Null)));
    for (i, call) in whole["choices"][0]["message"]["tool_calls"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let head = json!({"tool_calls": [{"index": i, "id": call["id"], "type": "function", "function": {"name": "bash", "arguments": ""}}]});
        chunks.push(chunk(head, Value::Null));
        chunks.extend(split(ARGS).map(|t| {
            chunk(
                json!({"tool_calls": [{"index": i, "function": {"arguments": t}}]}),
                Value::Null,
            )
        }));
    }
    chunks.push(chunk(
        json!({}),
        whole["choices"][0]["finish_reason"].clone(),
    ));
    if usage {
        let mut last = chunk(json!({}), Value::Null);
        last["choices"] = json!([]);
        last["usage"] = whole["usage"].clone();
        chunks.push(last);
    }
    let mut out: Vec<String> = chunks.iter().map(|c| format!("data: {c}\n\n")).collect();
    if model.contains("midfail") {
        out.truncate(2);
        out.push("data: {\"error\":{\"message\":\"Overloaded\",\"type\":\"server_error\",\"code\":500}}\n\n".into());
    }
    out.push("data: [DONE]\n\n".into());
    out
}

fn embeddings(body: &Value) -> Value {
    let inputs = body["input"].as_array().map_or(1, Vec::len);
    let data: Vec<Value> = (0..inputs)
        .map(|i| json!({"object": "embedding", "index": i, "embedding": [0.5, -1.0]}))
        .collect();
    json!({"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 4, "total_tokens": 4}})
}

fn completion() -> Value {
    json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"text": " upon a time", "index": 0, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}})
}

fn completion_events() -> Vec<String> {
    let mut chunk = completion();
    chunk["usage"] = Value::Null;
    vec![format!("data: {chunk}\n\n"), "data: [DONE]\n\n".into()]
}

/// Pieces of five characters, so that escapes and words are cut anywhere.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.as_bytes()
        .chunks(5)
        .map(|c| std::str::from_utf8(c).unwrap())
}

fn status_of(model: &str) -> Option<u16> {
    let at = model.find("e4").or_else(|| model.find("e5"))?;
    model.get(at + 1..at + 4)?.parse().ok()
}

fn error(path: &str, status: u16) -> Response<Body> {
    let body = if path.starts_with("/v1/messages") {
        json!({"type": "error", "error": {"type": if status == 429 { "rate_limit_error" } else { "api_error" }, "message": format!("scripted {status}")}})
    } else {
        json!({"error": {"message": format!("scripted {status}"), "type": "server_error", "param": null, "code": null}})
    };
    let mut res = whole(body);
    *res.status_mut() = StatusCode::from_u16(status).unwrap();
    res.headers_mut()
        .insert("retry-after", "7".parse().unwrap());
    res.headers_mut().insert(
        "anthropic-ratelimit-requests-remaining",
        "0".parse().unwrap(),
    );
    res
}

fn whole(value: Value) -> Response<Body> {
    respond(
        StatusCode::OK,
        "application/json",
        Full::new(Bytes::from(value.to_string()))
            .map_err(|e| match e {})
            .boxed_unsync(),
    )
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut res = Response::new(body);
    *res.status_mut() = status;
    res.headers_mut()
        .insert(header::CONTENT_TYPE, content_type.parse().unwrap());
    res.headers_mut()
        .insert("request-id", "req_upstream".parse().unwrap());
    res
}
