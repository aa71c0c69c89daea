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
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tierway::{
    config::{self, Config},
    metrics::Metrics,
    reload::Live,
    server::{self, tls::Acceptor},
    stack::Stack,
};
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
    live: Option<Arc<Live>>,
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

fn read(toml: &str) -> Config {
    let environment = HashMap::<String, String>::new();
    let flags = config::Flags::default();
    let loaded = config::read("tierway.toml".as_ref(), toml, &flags, &environment);
    loaded.unwrap_or_else(|e| panic!("{e}")).config
}

impl Gateway {
    pub(crate) async fn start(toml: &str) -> Self {
        let config = read(toml);
        let live = Live::new(Stack::new(&config).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = server::Limits {
            connections: 4096,
            per_ip: config.server.max_connections_per_ip,
            head: config.server.max_head,
            head_timeout: config.server.head_timeout,
            write_timeout: config.server.write_timeout,
            drain: Duration::from_secs(5),
        };
        let tls = config.server.tls.map(|told| Acceptor::open(told).unwrap());
        if let Some(tls) = &tls {
            tokio::spawn(tls.clone().watch());
        }
        tokio::spawn(server::serve_in(
            listener,
            tls,
            live.service(),
            limits,
            std::future::pending(),
        ));
        let mut gateway = Self::at(address);
        gateway.live = Some(live);
        gateway
    }

    /// Puts another configuration to work.
    pub(crate) fn reload(&self, toml: &str) {
        let live = self.live.as_ref().unwrap();
        live.replace(live.stack().succeed(&read(toml)).unwrap());
    }

    pub(crate) fn stack(&self) -> Arc<Stack> {
        let live = self.live.as_ref();
        live.expect("a gateway of this process").stack()
    }

    /// Writes down what waits to be written.
    pub(crate) fn close(&self) {
        self.live.iter().for_each(|live| live.stack().close());
    }

    /// A client of what listens there.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            address,
            client,
            live: None,
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
