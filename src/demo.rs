//! Two built-in models, so that routing, cascade and metrics can be seen in the first minute, without a key or a download.
//!
//! They speak chat completions on a loopback port of their own, like any other upstream, and every word they say says that they are a
//! demo: `demo-small` answers short asks and cuts longer ones off, so that a cascade has something to defer (streams, which are not
//! cascaded, it always answers); `demo-big` always answers.
use crate::reload::Current;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

/// The provider's name under which the demo models stand.
pub const PROVIDER: &str = "demo";
/// Pretended prices of [`SMALL`] and [`BIG`] in US dollars per million tokens, input and output, so that there are savings to look at.
pub const PRICES: [(&str, f64, f64); 2] = [(SMALL, 0.1, 0.4), (BIG, 3.0, 15.0)];
/// The small demo model.
pub const SMALL: &str = "demo-small";
/// The big demo model.
pub const BIG: &str = "demo-big";

/// An ask over this many characters is too much for the small model.
const SMALL_LIMIT: usize = 160;
/// Between two words of a stream.
const PAUSE: Duration = Duration::from_millis(15);
/// The largest request body.
const MAX_BODY: usize = 64 * 1024 * 1024;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Starts the demo models on a free loopback port and tells it.
///
/// # Errors
/// Where no port can be bound.
pub async fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let limits = crate::server::Limits {
        connections: 1024,
        drain: Duration::ZERO,
        ..crate::server::Limits::default()
    };
    tokio::spawn(crate::server::serve(
        listener,
        Current::always(tower::service_fn(answer)),
        limits,
        std::future::pending(),
    ));
    Ok(address)
}

async fn answer(req: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, body) = req.into_parts();
    Ok(match (&head.method, head.uri.path()) {
        (&Method::GET, "/v1/models") => whole(
            StatusCode::OK,
            &json!({"object": "list", "data": [model(SMALL), model(BIG)]}),
        ),
        (&Method::POST, "/v1/chat/completions") => {
            match Limited::new(body, MAX_BODY).collect().await {
                Ok(body) => match serde_json::from_slice(&body.to_bytes()) {
                    Ok(ask) => complete(&ask),
                    Err(error) => fail(StatusCode::BAD_REQUEST, &error.to_string()),
                },
                Err(error) => fail(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string()),
            }
        }
        _ => fail(
            StatusCode::NOT_FOUND,
            "the demo models serve /v1/chat/completions and /v1/models",
        ),
    })
}

fn complete(ask: &Value) -> Response<Body> {
    let model = ask["model"].as_str().unwrap_or_default();
    let question = last_user_text(ask);
    let stream_asked = ask["stream"].as_bool() == Some(true);
    let (text, finish) = reply(model, &question, stream_asked);
    let (prompt_tokens, completion_tokens) = (
        ask["messages"].to_string().len() / 4 + 1,
        text.len() / 4 + 1,
    );
    let usage = json!({"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens});
    let base = json!({"id": "chatcmpl-demo", "created": 0, "model": model});
    if stream_asked {
        return stream(base, &text, finish, &usage);
    }
    let mut answer = base;
    answer["object"] = "chat.completion".into();
    answer["choices"] = json!([{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}]);
    answer["usage"] = usage;
    whole(StatusCode::OK, &answer)
}

/// What a demo model says, and why it stops.
fn reply(model: &str, question: &str, stream: bool) -> (String, &'static str) {
    let shown: String = question.chars().take(80).collect();
    if model == SMALL && !stream && question.chars().count() > SMALL_LIMIT {
        return (
            format!("[{SMALL}] This demo model gives up on long asks such as \u{201c}{shown}"),
            "length",
        );
    }
    let text = format!(
        "[{model}] This is a built-in demo answer, not a language model's. You asked: \u{201c}{shown}\u{201d}. \
         Connect a real model (ANTHROPIC_API_KEY, OPENAI_API_KEY, Ollama, llama.cpp) and restart to get real answers."
    );
    (text, "stop")
}

/// What the user asked last: agents put their own reminders, in tags, around it.
fn last_user_text(ask: &Value) -> String {
    let messages = ask["messages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let user = messages.iter().rev().filter(|m| m["role"] == "user");
    let texts = user.flat_map(|message| match &message["content"] {
        Value::String(text) => vec![text.as_str()],
        Value::Array(parts) => parts
            .iter()
            .rev()
            .filter_map(|p| p["text"].as_str())
            .collect(),
        _ => Vec::new(),
    });
    let mut said = texts.map(|text| {
        text.rsplit("</system-reminder>")
            .next()
            .unwrap_or_default()
            .trim()
    });
    said.find(|text| !text.is_empty())
        .unwrap_or_default()
        .to_owned()
}

fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 0, "owned_by": "tierway-demo"})
}

fn stream(base: Value, text: &str, finish: &'static str, usage: &Value) -> Response<Body> {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = base.clone();
        chunk["object"] = "chat.completion.chunk".into();
        chunk["choices"] = choices;
        if !usage.is_null() {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        chunk(
            json!([{"index": 0, "delta": delta, "finish_reason": finish}]),
            Value::Null,
        )
    };
    let mut events = vec![delta(
        json!({"role": "assistant", "content": ""}),
        Value::Null,
    )];
    events.extend(
        text.split_inclusive(' ')
            .map(|word| delta(json!({"content": word}), Value::Null)),
    );
    events.push(delta(json!({}), finish.into()));
    events.push(chunk(json!([]), usage.clone()));
    events.push("data: [DONE]\n\n".into());
    let frames = futures_util::stream::unfold(events.into_iter(), |mut events| async {
        let event = events.next()?;
        tokio::time::sleep(PAUSE).await;
        Some((Ok(Frame::data(Bytes::from(event))), events))
    });
    respond(
        StatusCode::OK,
        "text/event-stream",
        StreamBody::new(frames).boxed_unsync(),
    )
}

fn whole(status: StatusCode, value: &Value) -> Response<Body> {
    respond(
        status,
        "application/json",
        Full::new(Bytes::from(value.to_string())).boxed_unsync(),
    )
}

fn fail(status: StatusCode, message: &str) -> Response<Body> {
    whole(
        status,
        &json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}}),
    )
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut res = Response::new(body);
    *res.status_mut() = status;
    res.headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    res
}
