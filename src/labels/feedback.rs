//! `POST /v1/feedback`: a caller tells how good an answer was.
//!
//! ```json
//! {"request_id": "what x-request-id said", "good": true}
//! ```
//! or `"score"` from 0 to 1 instead of `"good"`.
use super::desk::{Desk, Told};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::{Value, json};
use tierway_services::{
    BoxError,
    chat::{self, Notes, Reply},
};

/// Where it is told.
pub const PATH: &str = "/v1/feedback";
/// More than anybody has to say here.
const MOST: usize = 16 << 10;

#[derive(Deserialize)]
struct Word {
    request_id: String,
    #[serde(default)]
    good: Option<bool>,
    #[serde(default)]
    score: Option<f32>,
}

/// Takes a caller's word; whose it is has been made sure of.
pub async fn answer<B>(desk: Option<&Desk>, req: Request<B>) -> chat::Response
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Some(desk) = desk else {
        let message =
            "this gateway learns nothing: labels.enabled and cascade.enabled are not both on";
        return refuse(StatusCode::NOT_FOUND, message);
    };
    let (head, body) = req.into_parts();
    let body = match Limited::new(body, MOST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "the body broke off, or is over 16 KiB",
            );
        }
    };
    let (word, score) = match read(&body) {
        Ok(word) => word,
        Err(fault) => return refuse(StatusCode::BAD_REQUEST, &fault),
    };
    let id = word.request_id;
    let tenant = Notes::among(&head.extensions).tenant.as_ref();
    match desk.feedback(tenant, &id, score) {
        Told::Kept => respond(StatusCode::OK, &json!({"request_id": id, "recorded": true})),
        Told::OfNothing => respond(
            StatusCode::OK,
            &json!({"request_id": id, "recorded": false, "reason": "nothing was asked by which a tier is chosen"}),
        ),
        Told::Unknown => refuse(
            StatusCode::NOT_FOUND,
            "no call of yours that was routed has this request_id, or it is too long ago (labels.feedback_ttl)",
        ),
        Told::Busy => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "too much is to be written down; try again",
        ),
    }
}

fn read(body: &[u8]) -> Result<(Word, f32), String> {
    let word: Word = serde_json::from_slice(body).map_err(|fault| {
        format!("not {{\"request_id\": \"...\", \"good\": true}} or \"score\" from 0 to 1: {fault}")
    })?;
    let score = match (word.good, word.score) {
        (Some(good), None) => f32::from(u8::from(good)),
        (None, Some(score)) if (0.0..=1.0).contains(&score) => score,
        (None, Some(score)) => return Err(format!("score is {score}, not from 0 to 1")),
        _ => return Err("say either good (true or false) or score (from 0 to 1)".to_owned()),
    };
    Ok((word, score))
}

fn refuse(status: StatusCode, message: &str) -> chat::Response {
    let kind = match status {
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::BAD_REQUEST => "invalid_request_error",
        _ => "overloaded_error",
    };
    let error = json!({"type": "error", "error": {"type": kind, "message": message}});
    respond(status, &error)
}

fn respond(status: StatusCode, body: &Value) -> chat::Response {
    let mut res = Response::new(Reply::whole(body.to_string()));
    *res.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    res.headers_mut().insert(header::CONTENT_TYPE, json);
    res
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_good_or_a_score() {
        let read = |text: &str| read(text.as_bytes()).map(|(_, score)| score);
        assert_eq!(read(r#"{"request_id":"a","good":false}"#), Ok(0.0));
        assert_eq!(read(r#"{"request_id":"a","score":0.25}"#), Ok(0.25));
        for wrong in [
            "",
            "[]",
            r#"{"good":true}"#,
            r#"{"request_id":"a"}"#,
            r#"{"request_id":"a","good":true,"score":1}"#,
            r#"{"request_id":"a","score":1.5}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
