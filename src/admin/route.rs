//! `POST /v1/route`: where a request would go, as JSON, without a model being called.
use super::respond;
use crate::route::{Router, request};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde_json::json;
use tierway_services::{BoxError, chat::Refusal};

/// Where it is asked.
pub(super) const PATH: &str = "/v1/route";
const JSON: &str = "application/json";

/// Reads the body, whole or a row of a routing suite. `?path=` is the path that the request came to, `?tenant=` for whom; its headers are
/// this request's own.
pub(super) async fn answer<B>(
    router: &Router,
    max_body: usize,
    req: Request<B>,
) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if req.method() != Method::POST {
        let mut no = refuse(StatusCode::METHOD_NOT_ALLOWED, "this route takes POST only");
        let post = http::HeaderValue::from_static("POST");
        no.headers_mut().insert(header::ALLOW, post);
        return no;
    }
    let (head, body) = req.into_parts();
    let body = match Limited::new(body, max_body).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the request is over {max_body} bytes (server.max_body)");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, &message);
        }
        Err(_) => return refuse(StatusCode::BAD_REQUEST, "the body broke off"),
    };
    let query = head.uri.query().unwrap_or_default();
    let asked = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let path = asked("path").map(|path| path.replace("%2F", "/").replace("%2f", "/"));
    match request(path.as_deref(), head.headers, asked("tenant"), body) {
        Ok(req) => respond(StatusCode::OK, JSON, router.route(req).json().to_string()),
        Err(no) => refuse_as(&no),
    }
}

fn refuse_as(no: &Refusal) -> Response<Full<Bytes>> {
    let status = no.status(tierway_services::dialect::Dialect::ChatCompletions);
    refuse(status, no.message())
}

fn refuse(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let body = json!({"error": {"message": message}});
    respond(status, JSON, body.to_string())
}
