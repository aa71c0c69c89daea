//! What the tests share: a scripted upstream, the gateway on a real socket, a client, and readers of both event grammars.
pub(crate) mod issuer;
pub(crate) mod upstream;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use std::{collections::HashMap, net::SocketAddr, sync::OnceLock, time::Duration};
use tierway::{config, metrics::Metrics, server, stack::Stack};
use tokio::net::TcpListener;
pub(crate) use upstream::Upstream;

/// The metrics of this process, which are installed once.
pub(crate) fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| Metrics::install().unwrap()).clone()
}

/// The gateway on a free port, with its metrics kept apart from other tests'.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    stack: Option<Stack>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
    /// The JSON payloads of an event stream; `[DONE]` becomes a string.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = self.text();
        text.split("\n\n")
            .filter_map(|event| event.lines().find_map(|l| l.strip_prefix("data: ")))
            .map(|data| serde_json::from_str(data).unwrap_or_else(|_| Value::from(data)))
            .collect()
    }
}

/// Two providers at one scripted upstream: `a` speaks Messages, `o` chat completions.
pub(crate) fn two_formats(up: &Upstream, extra: &str) -> String {
    let url = up.url();
    format!(
        r#"
[providers.a]
kind = "anthropic-compatible"
base_url = "{url}"
api_key = "sk-up-anthropic"
[providers.o]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "sk-up-openai"
[tiers]
simple = "o:text-small"
medium = "o:text-medium"
complex = "a:text-big"
reasoning = "a:text-reason"
{extra}"#
    )
}

impl Gateway {
    pub(crate) async fn start(toml: &str) -> Self {
        let environment = HashMap::<String, String>::new();
        let loaded = config::read(
            "tierway.toml".as_ref(),
            toml,
            &config::Flags::default(),
            &environment,
        );
        let config = loaded.unwrap_or_else(|e| panic!("{e}")).config;
        let stack = Stack::new(&config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = server::Limits {
            connections: 4096,
            per_ip: config.server.max_connections_per_ip,
            head: config.server.max_head,
            head_timeout: config.server.head_timeout,
            drain: Duration::from_secs(5),
        };
        tokio::spawn(server::serve(
            listener,
            stack.service(),
            limits,
            std::future::pending(),
        ));
        let mut gateway = Self::at(address);
        gateway.stack = Some(stack);
        gateway
    }

    pub(crate) fn stack(&self) -> &Stack {
        self.stack.as_ref().expect("a gateway of this process")
    }

    /// Writes down what waits to be written.
    pub(crate) fn close(&self) {
        self.stack.iter().for_each(Stack::close);
    }

    /// A client of what listens there.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            address,
            client,
            stack: None,
        }
    }

    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Request<Full<Bytes>> {
        let mut req = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            req = req.header(*name, *value);
        }
        req.body(Full::new(body.into())).unwrap()
    }

    pub(crate) async fn send(
        &self,
        req: Request<Full<Bytes>>,
    ) -> http::Response<hyper::body::Incoming> {
        self.client.request(req).await.unwrap()
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let res = self.send(self.request(method, path, headers, body)).await;
        let (head, body) = res.into_parts();
        let bytes = tokio::time::timeout(Duration::from_secs(20), body.collect())
            .await
            .expect("an end")
            .unwrap()
            .to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            bytes,
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(
            Method::POST,
            path,
            &[("content-type", "application/json")],
            body.to_string(),
        )
        .await
    }
    pub(crate) async fn messages(&self, body: &Value) -> Answer {
        self.post("/v1/messages", body).await
    }
    pub(crate) async fn chat(&self, body: &Value) -> Answer {
        self.post("/v1/chat/completions", body).await
    }
}
