//! The SDK's streamable HTTP over the gateway's own HTTP client.
use super::oauth::Authority;
use crate::{
    BoxError,
    chat::Pieces,
    providers::Secret,
    upstream::{Client, Incoming},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Limited};
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::{
        common::http_header::{HEADER_LAST_EVENT_ID, HEADER_SESSION_ID},
        streamable_http_client::{
            AuthRequiredError, SseError, StreamableHttpClient, StreamableHttpClientTransportConfig,
            StreamableHttpError, StreamableHttpPostResponse,
        },
    },
};
use sse_stream::{Sse, SseStream};
use std::{collections::HashMap, fmt, sync::Arc};

/// What is read of an answer that says why it is none.
const REASON: usize = 2048;

/// The client. It is given a limit with every request.
#[derive(Clone, Debug, Default)]
pub(super) struct Remote {
    client: Client,
    login: Option<Authority>,
}

/// Why a request failed.
#[derive(Debug)]
pub(super) struct Failed(BoxError);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let mut next = self.0.source();
        while let Some(source) = next {
            write!(f, ": {source}")?;
            next = source.source();
        }
        Ok(())
    }
}
impl std::error::Error for Failed {}

type Error = StreamableHttpError<Failed>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

pub(super) fn config(
    url: &str,
    headers: &[(String, Secret)],
    token: Option<&Secret>,
    most: usize,
) -> Result<StreamableHttpClientTransportConfig, String> {
    let mut sent = HashMap::new();
    for (name, value) in headers {
        let (Ok(key), Some(value)) = (name.parse::<HeaderName>(), value.header("")) else {
            return Err(format!("the header {name} cannot be sent"));
        };
        sent.insert(key, value);
    }
    let mut config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers(sent)
        .max_sse_event_size(most)
        .max_json_response_size(most)
        .reinit_on_expired_session(true);
    if let Some(token) = token {
        config = config.auth_header(token.expose());
    }
    Ok(config)
}

fn failed(error: impl Into<BoxError>) -> Error {
    StreamableHttpError::Client(Failed(error.into()))
}

fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.and_then(|kind| kind.get(..wanted.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// The events of an answer, at most so many bytes of it. A server that means to say more is asked again by the SDK.
fn events(res: Response<Incoming>, most: usize) -> Events {
    SseStream::new(Limited::new(res.into_body(), most).map_err(Failed)).boxed()
}

/// A request, until it is sent.
struct Asked<'a> {
    method: Method,
    uri: &'a str,
    session: Option<&'a str>,
    token: Option<String>,
    headers: HashMap<HeaderName, HeaderValue>,
    body: Bytes,
}

impl Remote {
    pub(super) fn new(login: Option<Authority>) -> Self {
        Self {
            client: Client::new(),
            login,
        }
    }

    /// Sends a request, and once more where it is only the token that is too old.
    async fn send(
        &self,
        mut asked: Asked<'_>,
        more: &[(HeaderName, &str)],
    ) -> Result<Response<Incoming>, Error> {
        for again in [true, false] {
            let mut shown = None;
            if let Some(login) = &self.login {
                shown = login.token(&self.client).await.map_err(failed)?;
                asked.token = shown.as_ref().map(|token| token.expose().to_owned());
            }
            let res = self.once(&asked, more).await?;
            let status = res.status();
            if let Some(login) = &self.login {
                if let (true, StatusCode::UNAUTHORIZED, Some(token)) = (again, status, &shown) {
                    login.refuse(token);
                    continue;
                }
                if let Some(why) = login.hear(status, res.headers(), shown.is_some()) {
                    return Err(failed(why));
                }
            }
            if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                let told = res.headers().get(WWW_AUTHENTICATE);
                let told = told.and_then(|v| v.to_str().ok()).unwrap_or("HTTP 401");
                return Err(StreamableHttpError::AuthRequired(AuthRequiredError::new(
                    told.to_owned(),
                )));
            }
            if status == StatusCode::NOT_FOUND && asked.session.is_some() {
                return Err(StreamableHttpError::SessionExpired);
            }
            return Ok(res);
        }
        Err(failed("no token is good for it"))
    }

    async fn once(
        &self,
        asked: &Asked<'_>,
        more: &[(HeaderName, &str)],
    ) -> Result<Response<Incoming>, Error> {
        let mut req = Request::new(Pieces::from(asked.body.clone()));
        *req.method_mut() = asked.method.clone();
        *req.uri_mut() = asked.uri.parse().map_err(failed)?;
        let sent = req.headers_mut();
        for (name, value) in &asked.headers {
            sent.insert(name, value.clone());
        }
        for (name, value) in more {
            sent.insert(name, HeaderValue::from_str(value).map_err(failed)?);
        }
        if let Some(session) = asked.session {
            let value = HeaderValue::from_str(session).map_err(failed)?;
            sent.insert(HeaderName::from_static("mcp-session-id"), value);
        }
        if let Some(token) = &asked.token {
            let value = Secret::new(token).header("Bearer ");
            let value = value.ok_or_else(|| failed("the token cannot be sent"))?;
            sent.insert(AUTHORIZATION, value);
        }
        self.client.request(req).await.map_err(failed)
    }
}

impl StreamableHttpClient for Remote {
    type Error = Failed;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let most = 8 * 1024 * 1024;
        self.post_message_with_max_sse_event_size(
            uri,
            message,
            session_id,
            auth_header,
            custom_headers,
            most,
        )
        .await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        most: usize,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let asks = matches!(message, ClientJsonRpcMessage::Request(_));
        let body = Bytes::from(serde_json::to_vec(&message)?);
        let more = [
            (CONTENT_TYPE, "application/json"),
            (ACCEPT, "application/json, text/event-stream"),
        ];
        let asked = Asked {
            method: Method::POST,
            uri: &uri,
            session: session_id.as_deref(),
            token: auth_header,
            headers: custom_headers,
            body,
        };
        let res = self.send(asked, &more).await?;
        let status = res.status();
        let session = res.headers().get(HEADER_SESSION_ID);
        let session = session.and_then(|v| v.to_str().ok()).map(str::to_owned);
        if status.is_success() && (!asks || status == StatusCode::ACCEPTED) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if status.is_success() && has_type(res.headers(), "text/event-stream") {
            return Ok(StreamableHttpPostResponse::Sse(events(res, most), session));
        }
        let json = has_type(res.headers(), "application/json");
        let limit = if json { most } else { REASON };
        let body = Limited::new(res.into_body(), limit).collect().await;
        let body = match body {
            Ok(body) => body.to_bytes(),
            Err(_) if !json => Bytes::new(),
            Err(error) => return Err(failed(error)),
        };
        if json && let Ok(answer) = serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
            return Ok(StreamableHttpPostResponse::Json(answer, session));
        }
        let start = body.get(..body.len().min(256)).unwrap_or_default();
        let said = String::from_utf8_lossy(start).into_owned();
        Err(StreamableHttpError::UnexpectedServerResponse(
            format!("HTTP {status}: {said}").into(),
        ))
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Error> {
        let asked = Asked {
            method: Method::DELETE,
            uri: &uri,
            session: Some(&session_id),
            token: auth_header,
            headers: custom_headers,
            body: Bytes::new(),
        };
        let res = self.send(asked, &[]).await?;
        if res.status() == StatusCode::METHOD_NOT_ALLOWED {
            return Err(StreamableHttpError::ServerDoesNotSupportDeleteSession);
        }
        Ok(())
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Events, Error> {
        let mut more = vec![(ACCEPT, "text/event-stream")];
        if let Some(id) = &last_event_id {
            let name = HEADER_LAST_EVENT_ID.to_ascii_lowercase();
            more.push((name.parse().map_err(failed)?, id.as_str()));
        }
        let asked = Asked {
            method: Method::GET,
            uri: &uri,
            session: session_id.as_deref(),
            token: auth_header,
            headers: custom_headers,
            body: Bytes::new(),
        };
        let res = self.send(asked, &more).await?;
        if !res.status().is_success() || !has_type(res.headers(), "text/event-stream") {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        // It lasts as long as the connection, so its bytes cannot be counted; what is on it are notices.
        Ok(SseStream::new(res.into_body()).boxed())
    }
}
