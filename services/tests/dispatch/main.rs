//! `Dispatch` against scripted providers on real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on is to fail"
)]
mod answers;
mod bedrock;
mod breadth;
mod cancellation;
mod clouds;
mod counting;
mod errors;
mod logprobs;
mod models;
mod native;
mod secrets;
mod texts;
mod upstream;
mod vertex;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::BodyExt;
use tierway_services::{
    Dispatch, DispatchError,
    chat::{self, Attempt, Journal, Notes, Operation, Prompt, Role, Target},
    dialect::Dialect,
    providers::{Kind, Provider},
    upstream::Client,
};
use tower::ServiceExt;
use upstream::Upstream;

pub(crate) const MESSAGES: &str =
    r#"{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"top_p":1.00}"#;
pub(crate) const MESSAGES_STREAM: &str =
    r#"{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":true}"#;
pub(crate) const CHAT: &str = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;
pub(crate) const CHAT_STREAM: &str =
    r#"{"model":"auto","messages":[{"role":"user","content":"hi"}],"stream":true}"#;

pub(crate) const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":3}}"#;
pub(crate) const COMPLETION: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#;
pub(crate) const CHUNKS: [&str; 3] = [
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello.\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: [DONE]\n\n",
];

/// A call, its target the model `m` at the provider `p`.
pub(crate) struct Ask {
    pub(crate) req: chat::Request,
    pub(crate) journal: Journal,
}

/// The dialect is known by the path.
pub(crate) fn ask(path: &str, body: &str) -> Ask {
    let uri: http::Uri = path.parse().unwrap();
    let dialect = Dialect::of(&uri, &HeaderMap::new());
    let operation = match uri.path() {
        "/v1/messages/count_tokens" | "/v1/responses/input_tokens" => Operation::CountTokens,
        "/v1/embeddings" => Operation::Embed,
        "/v1/completions" => Operation::Complete,
        _ => Operation::Generate,
    };
    let prompt = Prompt::parse(dialect, operation, body.to_owned().into()).unwrap();
    let mut req = Request::post(uri).body(prompt).unwrap();
    let journal = Journal::default();
    Notes::of_mut(&mut req).journal = Some(journal.clone());
    Notes::of_mut(&mut req).target = Some(Target::new("p", "m"));
    Notes::of_mut(&mut req).role = Role::Small;
    Ask { req, journal }
}

impl Ask {
    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        let (name, value) = (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        self.req.headers_mut().append(name, value);
        self
    }
    pub(crate) async fn send(self, dispatch: &Dispatch) -> Result<Told, DispatchError> {
        let response = dispatch.clone().oneshot(self.req).await?;
        let (head, body) = response.into_parts();
        let stream = body.is_stream();
        let collected = body.collect().await;
        let (body, failure) = match collected {
            Ok(body) => (body.to_bytes(), None),
            Err(error) => (Bytes::new(), Some(error.to_string())),
        };
        Ok(Told {
            status: head.status.as_u16(),
            headers: head.headers,
            stream,
            body: String::from_utf8(body.to_vec()).unwrap(),
            failure,
            attempts: self.journal.read(|e| e.attempts.clone()),
        })
    }
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) stream: bool,
    pub(crate) body: String,
    pub(crate) failure: Option<String>,
    pub(crate) attempts: Vec<Attempt>,
}

impl Told {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
    /// The only line in the journal.
    pub(crate) fn attempt(&self) -> &Attempt {
        assert_eq!(self.attempts.len(), 1, "{:?}", self.attempts);
        &self.attempts[0]
    }
}

pub(crate) fn provider(kind: Kind, upstream: &Upstream) -> Provider {
    Provider::new("p", kind).base_url(&upstream.url).unwrap()
}

pub(crate) fn dispatch(provider: Provider) -> Dispatch {
    Dispatch::new([provider], Client::new())
}
