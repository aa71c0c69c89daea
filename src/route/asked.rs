//! The request whose route is asked for, however it is handed in.
use bytes::Bytes;
use http::{HeaderMap, Uri};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::collections::BTreeMap;
use tierway_services::{
    chat::{self, Kind, Notes, Operation, Prompt, Refusal, Tenant},
    dialect::Dialect,
    translate,
};

/// The request that `body` is: in the dialect of `path`, or where no path is given, in the one that its fields tell. A row of a routing
/// suite (`path`, `headers`, `request`) is taken for the request in it; what is given here wins over what the row says.
///
/// # Errors
/// Where the path is no chat route, a header is none, or the body is no request.
pub fn request(
    path: Option<&str>,
    mut headers: HeaderMap,
    tenant: Option<&str>,
    body: Bytes,
) -> Result<chat::Request, Refusal> {
    let whole = body.clone();
    let row = row(&whole);
    let mut body = body;
    let mut path = path.map(str::to_owned);
    if let Some(row) = row {
        path = path.or(row.path);
        for (name, value) in row.headers {
            let header = http::HeaderName::try_from(&name).ok();
            let value = http::HeaderValue::try_from(value).ok();
            let (header, value) = header
                .zip(value)
                .ok_or_else(|| bad(format!("not a header: {name}")))?;
            headers.entry(header).or_insert(value);
        }
        body = Bytes::copy_from_slice(row.request.get().as_bytes());
    }
    let (dialect, operation) = match &path {
        Some(path) => of_path(path.split('?').next().unwrap_or_default()).ok_or_else(|| {
            bad(format!(
                "not a chat route: {path}; try /v1/messages, /v1/chat/completions or /v1/responses"
            ))
        })?,
        None => (of_shape(&body), Operation::Generate),
    };
    let prompt = match (dialect, operation) {
        (Dialect::ChatCompletions, Operation::Generate) => translate::chat_prompt(body)?,
        _ => Prompt::parse(dialect, operation, body)?,
    };
    let mut req = chat::Request::new(prompt);
    let path = path.unwrap_or_else(|| usual_path(dialect).to_owned());
    *req.uri_mut() = path
        .parse::<Uri>()
        .map_err(|_| bad(format!("not a path: {path}")))?;
    *req.headers_mut() = headers;
    if let Some(tenant) = tenant {
        Notes::of_mut(&mut req).tenant = Some(Tenant::new(tenant));
    }
    Ok(req)
}

#[derive(Deserialize)]
struct Row<'b> {
    path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    request: &'b RawValue,
}

fn row(body: &[u8]) -> Option<Row<'_>> {
    serde_json::from_slice::<Row<'_>>(body).ok()
}

fn bad(message: String) -> Refusal {
    Refusal::new(Kind::InvalidRequest, message)
}

fn of_path(path: &str) -> Option<(Dialect, Operation)> {
    Some(match path.trim_end_matches('/') {
        "/v1/messages" => (Dialect::Messages, Operation::Generate),
        "/v1/messages/count_tokens" => (Dialect::Messages, Operation::CountTokens),
        "/v1/chat/completions" => (Dialect::ChatCompletions, Operation::Generate),
        "/v1/completions" => (Dialect::ChatCompletions, Operation::Complete),
        "/v1/embeddings" => (Dialect::ChatCompletions, Operation::Embed),
        "/v1/responses" => (Dialect::Responses, Operation::Generate),
        "/v1/responses/input_tokens" => (Dialect::Responses, Operation::CountTokens),
        _ => return None,
    })
}

const fn usual_path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "/v1/messages",
        Dialect::Responses => "/v1/responses",
        _ => "/v1/chat/completions",
    }
}

/// The dialect that the fields of a body tell. What could be either is a chat completion.
fn of_shape(body: &[u8]) -> Dialect {
    /// Top-level fields that only Messages has.
    const MESSAGES: [&str; 9] = [
        "system",
        "thinking",
        "output_config",
        "context_management",
        "stop_sequences",
        "top_k",
        "mcp_servers",
        "anthropic_version",
        "anthropic_beta",
    ];
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return Dialect::ChatCompletions;
    };
    if !fields.contains_key("messages")
        && ["input", "previous_response_id", "prompt"]
            .iter()
            .any(|f| fields.contains_key(*f))
    {
        return Dialect::Responses;
    }
    let any = |of: &str, is: &dyn Fn(&Value) -> bool| {
        let list = fields.get(of).and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(is))
    };
    let blocks = |message: &Value| {
        let content = message["content"].as_array();
        content.is_some_and(|parts| {
            let kinds = ["tool_use", "tool_result", "thinking", "document", "image"];
            parts
                .iter()
                .any(|p| kinds.iter().any(|kind| p["type"] == *kind))
        })
    };
    let told = MESSAGES.iter().any(|field| fields.contains_key(*field))
        || any("tools", &|tool| tool.get("input_schema").is_some())
        || any("messages", &blocks)
        || fields
            .get("metadata")
            .is_some_and(|m| m.get("user_id").is_some());
    if told {
        Dialect::Messages
    } else {
        Dialect::ChatCompletions
    }
}
