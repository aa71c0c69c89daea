//! What a client that has signed in asks besides: its settings, and somebody to take its telemetry.
use super::{Answer, answer, json, layer::Desk, text};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};
use tierway_layers::telemetry::names;

const SETTINGS: &str = "/managed/settings";
/// More than any settings take.
const LARGEST: u64 = 1 << 20;

/// Answers them. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    file: Option<PathBuf>,
    held: Arc<Mutex<Option<Held>>>,
}

/// The file as it was read, and when it was written.
#[derive(Clone, Debug)]
struct Held {
    written: Option<SystemTime>,
    text: Bytes,
    tag: HeaderValue,
}

impl Clients {
    /// With the file of settings, where there is one.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        for signal in ["metrics", "logs", "traces"] {
            names::client_telemetry(signal).increment(0);
        }
        Self {
            file,
            held: Arc::default(),
        }
    }

    /// The settings as they are now. What can no longer be read stays as it was: a policy must not vanish by a slip.
    async fn settings(&self) -> Option<Held> {
        let file = self.file.clone()?;
        let held = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let read = tokio::task::spawn_blocking(move || {
            let about = std::fs::metadata(&file).ok()?;
            let written = about.modified().ok();
            if let Some(held) = held.filter(|held| held.written == written && written.is_some()) {
                return Some(held);
            }
            if about.len() > LARGEST {
                tracing::warn!(file = %file.display(), "the settings are too long");
                return None;
            }
            let text = std::fs::read(&file).ok()?;
            let settings = match serde_json::from_slice::<Map<String, Value>>(&text) {
                Ok(settings) => sorted(&Value::Object(settings)),
                Err(error) => {
                    tracing::warn!(file = %file.display(), %error, "the settings are no JSON object");
                    return None;
                }
            };
            // As the client counts it over what it holds, so that it can ask whether there is anything new.
            let sum = digest(&SHA256, settings.to_string().as_bytes());
            let sum: String = sum
                .as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let (name, checksum) = (uuid(&sum), format!("sha256:{sum}"));
            let tag = format!("\"{checksum}\"");
            let text =
                json!({"uuid": name, "checksum": checksum, "settings": settings}).to_string();
            Some(Held {
                written,
                text: text.into(),
                tag: HeaderValue::try_from(tag).ok()?,
            })
        });
        let read = read.await.ok().flatten();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = read {
            *held = Some(read);
        }
        held.clone()
    }
}

/// The same with the keys of every object in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            let pairs = names
                .into_iter()
                .map(|name| (name.clone(), sorted(&fields[name])));
            Value::Object(pairs.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// A name in the form that the client wants.
fn uuid(hex: &str) -> String {
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

fn signal(path: &str) -> Option<&'static str> {
    match path {
        "/v1/metrics" => Some("metrics"),
        "/v1/logs" => Some("logs"),
        "/v1/traces" => Some("traces"),
        _ => None,
    }
}

impl Desk for Clients {
    fn is_here(&self, _: &Method, path: &str) -> bool {
        path == SETTINGS || signal(path).is_some()
    }

    async fn answer(&self, head: Parts, _: Bytes) -> Answer {
        if let Some(signal) = signal(head.uri.path()) {
            if head.method != Method::POST {
                return text(StatusCode::METHOD_NOT_ALLOWED, "POST\n");
            }
            names::client_telemetry(signal).increment(1);
            let kind = head.headers.get(header::CONTENT_TYPE);
            let protobuf =
                kind.is_some_and(|k| k.as_bytes().starts_with(b"application/x-protobuf"));
            // An empty message, in the form of the question.
            return match protobuf {
                true => answer(StatusCode::OK, "application/x-protobuf", Bytes::new()),
                false => json(StatusCode::OK, &json!({})),
            };
        }
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET\n");
        }
        let Some(held) = self.settings().await else {
            let error = json!({"type": "error", "error": {"type": "not_found_error", "message": "there is no policy"}});
            return json(StatusCode::NOT_FOUND, &error);
        };
        let known = head.headers.get_all(header::IF_NONE_MATCH).iter();
        let mut tags = known
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let tag = held.tag.to_str().unwrap_or_default();
        let same = tags.any(|known| known.trim().trim_start_matches("W/") == tag);
        let mut res = match same {
            true => answer(StatusCode::NOT_MODIFIED, "application/json", Bytes::new()),
            false => answer(StatusCode::OK, "application/json", held.text.clone()),
        };
        let headers = res.headers_mut();
        headers.insert(header::ETAG, held.tag);
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        );
        res
    }
}
