//! Which path is whose: model calls go down the stack; lists and probes are answered here.
use bytes::Bytes;
use futures_util::future::Either;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};
use tierway_layers::{
    RefusalBody,
    responses::{Desk, Memory},
};
use tierway_services::{
    BoxError,
    chat::{self, Kind, Notes, Refusal, Reply},
    dialect::Dialect,
};
use tower::{Layer, Service};

use crate::{catalog::Catalog, labels, mcp};

/// Answers what clients ask before they have shown a key: `GET /`, `HEAD /`, `GET` and `HEAD /api/hello`.
///
/// Claude Code probes `/api/hello` before its first call; load balancers probe `/`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProbesLayer;

/// See [`ProbesLayer`].
#[derive(Clone, Debug)]
pub struct Probes<S> {
    inner: S,
}

/// Sends each path to whom it belongs.
#[derive(Clone, Debug)]
pub struct Routes<C> {
    chat: C,
    catalog: Catalog,
    kept: Desk<Memory>,
    labels: Option<labels::Desk>,
    mcp: Option<mcp::Desk>,
}

impl<C> Routes<C> {
    /// Model calls go to `chat`, lists of models to `catalog`, answers that are kept to `kept`, and what callers say of answers to `labels`.
    pub const fn new(
        chat: C,
        catalog: Catalog,
        kept: Desk<Memory>,
        labels: Option<labels::Desk>,
    ) -> Self {
        Self {
            chat,
            catalog,
            kept,
            labels,
            mcp: None,
        }
    }

    /// What speaks the Model Context Protocol goes to `mcp`.
    #[must_use]
    pub(crate) fn mcp(mut self, mcp: Option<mcp::Desk>) -> Self {
        self.mcp = mcp;
        self
    }
}

/// What the routes of answers that are kept begin with.
const RESPONSE: &str = "/v1/responses/";
const HELLO: &str = r#"{"name":"tierway","ok":true}"#;

// === impl Probes ===

impl<S> Layer<S> for ProbesLayer {
    type Service = Probes<S>;
    fn layer(&self, inner: S) -> Probes<S> {
        Probes { inner }
    }
}

type OrHello<F, B, E> = Either<F, Ready<Result<Response<RefusalBody<B>>, E>>>;

impl<S, ReqB, ResB> Service<Request<ReqB>> for Probes<S>
where
    S: Service<Request<ReqB>, Response = Response<RefusalBody<ResB>>>,
    ResB: Body<Data = Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = OrHello<S::Future, ResB, S::Error>;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }
    fn call(&mut self, req: Request<ReqB>) -> Self::Future {
        let probe = matches!(req.uri().path(), "/" | "/api/hello")
            && matches!(*req.method(), Method::GET | Method::HEAD);
        if !probe {
            return Either::Left(self.inner.call(req));
        }
        // hyper cuts the body of an answer to HEAD by itself.
        let mut res = Response::new(RefusalBody::from(Bytes::from_static(HELLO.as_bytes())));
        res.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        Either::Right(ready(Ok(res)))
    }
}

// === impl Routes ===

type Listing<E> = Pin<Box<dyn Future<Output = Result<chat::Response, E>> + Send>>;
type Routed<F, E> = Either<F, Either<Listing<E>, Ready<Result<chat::Response, E>>>>;

impl<C, B> Service<Request<B>> for Routes<C>
where
    C: Service<Request<B>, Response = chat::Response>,
    C::Error: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = chat::Response;
    type Error = C::Error;
    type Future = Routed<C::Future, C::Error>;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.chat.poll_ready(cx)
    }
    fn call(&mut self, req: Request<B>) -> Self::Future {
        let path = req.uri().path();
        let here = Dialect::of(req.uri(), req.headers());
        let done = |res: chat::Response| Either::Right(Either::Right(ready(Ok(res))));
        match path {
            "/v1/messages"
            | "/v1/messages/count_tokens"
            | "/v1/chat/completions"
            | "/v1/responses"
            | "/v1/responses/input_tokens"
            | "/v1/embeddings"
            | "/v1/completions" => match *req.method() {
                Method::POST => Either::Left(self.chat.call(req)),
                _ => done(not_allowed(here, "POST")),
            },
            "/v1/models" | "/v1/models/" => match *req.method() {
                Method::GET | Method::HEAD => {
                    let catalog = self.catalog.clone();
                    Either::Right(Either::Left(Box::pin(async move {
                        Ok(json(catalog.list(here).await))
                    })))
                }
                _ => done(not_allowed(here, "GET")),
            },
            labels::feedback::PATH => match *req.method() {
                Method::POST => {
                    let desk = self.labels.clone();
                    Either::Right(Either::Left(Box::pin(async move {
                        Ok(labels::feedback::answer(desk.as_ref(), req).await)
                    })))
                }
                _ => done(not_allowed(here, "POST")),
            },
            mcp::PATH => match self.mcp.clone() {
                Some(desk) => {
                    Either::Right(Either::Left(Box::pin(
                        async move { Ok(desk.answer(req).await) },
                    )))
                }
                None => done(no_route(here, path)),
            },
            _ if path.starts_with(RESPONSE) => {
                let kept = self.kept.clone();
                let (head, _) = req.into_parts();
                Either::Right(Either::Left(Box::pin(async move {
                    let path = head.uri.path().strip_prefix(RESPONSE).unwrap_or_default();
                    let tenant = Notes::among(&head.extensions).tenant.as_ref();
                    Ok(kept
                        .answer(&head.method, path, head.uri.query(), tenant)
                        .await)
                })))
            }
            _ => match path.strip_prefix("/v1/models/") {
                Some(id) if *req.method() == Method::GET => {
                    let (catalog, id) = (self.catalog.clone(), decoded(id));
                    Either::Right(Either::Left(Box::pin(async move {
                        Ok(match catalog.find(here, &id).await {
                            Some(model) => json(model),
                            None => Refusal::new(
                                Kind::NotFound,
                                format!("no model named {id}: see /v1/models"),
                            )
                            .into_response(here),
                        })
                    })))
                }
                _ => done(no_route(here, path)),
            },
        }
    }
}

/// A part of a path without its percent-encoding. What is no text thereafter stays as it was, and will not be found.
fn decoded(part: &str) -> String {
    let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(hex);
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| part.to_owned())
}

fn json(body: String) -> chat::Response {
    let mut res = Response::new(Reply::whole(body));
    res.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    res
}

fn no_route(dialect: Dialect, path: &str) -> chat::Response {
    const ROUTES: &str = "/v1/messages, /v1/messages/count_tokens, /v1/chat/completions, /v1/responses, /v1/responses/input_tokens, /v1/completions, /v1/embeddings, /v1/models, /v1/feedback";
    Refusal::new(
        Kind::NotFound,
        format!("no route {path}: this gateway serves {ROUTES}"),
    )
    .into_response(dialect)
}

fn not_allowed(dialect: Dialect, allowed: &'static str) -> chat::Response {
    let refusal = Refusal::new(Kind::InvalidRequest, format!("this route takes {allowed}"))
        .with_status(StatusCode::METHOD_NOT_ALLOWED);
    let mut res = refusal.into_response(dialect);
    res.headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    res
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn names_in_paths_are_decoded() {
        for (part, id) in [
            ("ollama:qwen2.5:3b", "ollama:qwen2.5:3b"),
            ("ollama%3Aqwen2.5%3a3b", "ollama:qwen2.5:3b"),
            ("r:openai%2Fgpt-5", "r:openai/gpt-5"),
            ("r:openai/gpt-5", "r:openai/gpt-5"),
            ("100%", "100%"),
            ("a%zz%4", "a%zz%4"),
            ("%ff", "%ff"),
            ("%C3%A9", "é"),
        ] {
            assert_eq!(decoded(part), id);
        }
    }
}
