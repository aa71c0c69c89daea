//! The answers that are kept, by id.
use super::{Kept, Key, Store};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use std::{fmt, sync::Arc};
use tierway_services::{
    chat::{self, Kind, Refusal, Reply, Tenant},
    dialect::Dialect,
    translate,
};

/// Serves the answers that are kept: `GET` and `DELETE /v1/responses/{id}`, `GET /v1/responses/{id}/input_items`,
/// `POST /v1/responses/{id}/cancel`.
pub struct Desk<St> {
    store: Arc<St>,
}

impl<St> Clone for Desk<St> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
        }
    }
}

impl<St> fmt::Debug for Desk<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl<St> Desk<St> {
    pub(super) const fn new(store: Arc<St>) -> Self {
        Self { store }
    }
}

impl<St: Store> Desk<St> {
    /// Answers a call for what stands after `/v1/responses/`.
    pub async fn answer(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        tenant: Option<&Tenant>,
    ) -> chat::Response {
        let (id, rest) = path.split_once('/').unwrap_or((path, ""));
        let allowed = match rest {
            "" => "GET, DELETE",
            "input_items" => "GET",
            "cancel" => "POST",
            _ => return unknown(path),
        };
        if !allowed.split(", ").any(|m| m == method.as_str()) {
            return not_allowed(allowed);
        }
        let key = Key::new(tenant, id);
        let Some(kept) = self.store.get(&key).await else {
            return unknown(id);
        };
        match (rest, method) {
            ("input_items", _) => whole(input_items(id, &kept, query).to_string().into()),
            ("", &Method::DELETE) => {
                self.store.remove(&key).await;
                let told = json!({"id": id, "object": "response", "deleted": true});
                whole(told.to_string().into())
            }
            ("", _) if parameter(query, "stream") == Some("true") => {
                match translate::to_stream(Dialect::Responses, &kept.response, false) {
                    Some(events) => typed(events.concat().into(), "text/event-stream"),
                    None => whole(kept.response),
                }
            }
            // What is kept has ended, so that there is nothing left to cancel.
            _ => whole(kept.response),
        }
    }
}

/// The conversation that an answer answers, newest item first unless asked otherwise.
fn input_items(id: &str, kept: &Kept, query: Option<&str>) -> Value {
    let items = String::from_utf8_lossy(&kept.input);
    let mut items: Vec<Value> = serde_json::from_str(&format!("[{items}]")).unwrap_or_default();
    let bare = id.strip_prefix("resp_").unwrap_or(id);
    for (i, item) in items.iter_mut().enumerate() {
        if let Some(fields) = item.as_object_mut() {
            let own = fields.get("id").is_some_and(Value::is_string);
            if !own {
                fields.insert("id".into(), format!("item_{bare}{i:02x}").into());
            }
            if fields.contains_key("role") {
                fields.entry("type").or_insert("message".into());
                if let Some(text) = fields.get("content").and_then(Value::as_str) {
                    let said = fields.get("role").and_then(Value::as_str) == Some("assistant");
                    let kind = if said { "output_text" } else { "input_text" };
                    let part = json!([{"type": kind, "text": text}]);
                    fields.insert("content".into(), part);
                }
                fields.entry("status").or_insert("completed".into());
            }
        }
    }
    if parameter(query, "order") != Some("asc") {
        items.reverse();
    }
    if let Some(after) = parameter(query, "after")
        && let Some(at) = items.iter().position(|item| item["id"] == after)
    {
        items.drain(..=at);
    }
    let limit = parameter(query, "limit").and_then(|l| l.parse().ok());
    let limit = limit.unwrap_or(20_usize).clamp(1, 100);
    let more = items.len() > limit;
    items.truncate(limit);
    let id = |item: Option<&Value>| item.map(|i| i["id"].clone());
    json!({"object": "list", "first_id": id(items.first()), "last_id": id(items.last()), "has_more": more, "data": items})
}

/// A parameter of a query, as it is written.
fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn unknown(id: &str) -> chat::Response {
    let shown: String = id.chars().take(80).collect();
    Refusal::new(
        Kind::NotFound,
        format!("no response {shown} is stored here (any more)"),
    )
    .into_response(Dialect::Responses)
}

fn not_allowed(allowed: &'static str) -> chat::Response {
    let refusal = Refusal::new(Kind::InvalidRequest, format!("this route takes {allowed}"));
    let mut res = refusal
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .into_response(Dialect::Responses);
    let allowed = HeaderValue::from_static(allowed);
    res.headers_mut().insert(header::ALLOW, allowed);
    res
}

fn whole(body: Bytes) -> chat::Response {
    typed(body, "application/json")
}

fn typed(body: Bytes, kind: &'static str) -> chat::Response {
    let mut res = chat::Response::new(Reply::whole(body));
    let kind = HeaderValue::from_static(kind);
    res.headers_mut().insert(header::CONTENT_TYPE, kind);
    res
}
