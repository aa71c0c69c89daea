//! What the tests of several prompt layers share.
use bytes::Bytes;
use http_body_util::BodyExt;
use tierway_services::{
    chat::{Operation, Prompt, Reply, Request, Response},
    dialect::Dialect,
};

/// A chat-completions request with this body.
pub(crate) fn chat_request(body: &str) -> Request {
    request(Dialect::ChatCompletions, body)
}

/// A messages request with this body.
pub(crate) fn messages_request(body: &str) -> Request {
    request(Dialect::Messages, body)
}

/// A request in this dialect with this body.
pub(crate) fn request(dialect: Dialect, body: &str) -> Request {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Request::new(Prompt::parse(dialect, Operation::Generate, body).unwrap())
}

/// A chat-completions request for `model` in which the user says `text`.
pub(crate) fn ask(model: &str, text: &str) -> Request {
    let body = serde_json::json!({"model": model, "messages": [{"role": "user", "content": text}]});
    chat_request(&body.to_string())
}

/// A whole reply.
pub(crate) fn reply(text: &'static str) -> Response {
    Response::new(Reply::whole(text))
}

/// All of a response's body.
pub(crate) async fn body(res: Response) -> String {
    let bytes = res.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
