//! Anthropic's Messages as Bedrock takes them: the caller's body with a few spans changed, and not another byte.
//!
//! The model stands in the path, whether to stream too, and `anthropic-beta` moves from the headers into the body. Bedrock refuses a request
//! for a beta that it does not know, as a whole; so what is not in [`BETAS`] is left out, and the caller is told by `x-tierway-dropped`.
use crate::{
    chat::{Edit, Prompt},
    providers::spec::Adapted,
    translate::json::{Fields, Json, elements},
};
use base64::Engine;
use http::HeaderMap;
use serde::Deserialize;
use std::{borrow::Cow, ops::Range};

/// The version of the dialect that Bedrock asks for.
const VERSION: &str = r#""anthropic_version":"bedrock-2023-05-31""#;

/// The betas that Bedrock takes: those of Amazon's documentation of Claude's request and response, and those that Claude Code sends to Bedrock
/// of its own accord. The second word, where there is one, must stand in the model's name.
const BETAS: &[(&str, Option<&str>)] = &[
    ("computer-use-2024-10-22", None),
    ("computer-use-2025-01-24", None),
    ("computer-use-2025-11-24", None),
    ("context-1m-2025-08-07", None),
    ("context-management-2025-06-27", None),
    ("dev-full-thinking-2025-05-14", None),
    // Later models take an effort without.
    ("effort-2025-11-24", Some("claude-opus-4-5")),
    ("interleaved-thinking-2025-05-14", None),
    ("output-128k-2025-02-19", None),
    ("thinking-display-updates-2026-08-18", None),
    ("thinking-token-count-2026-05-13", None),
    ("token-efficient-tools-2025-02-19", None),
    ("tool-examples-2025-10-29", None),
    ("tool-search-tool-2025-10-19", None),
];

/// Betas that go by another name at Bedrock.
const RENAMED: &[(&str, &str)] = &[(
    "advanced-tool-use-2025-11-20",
    "tool-search-tool-2025-10-19",
)];

/// Fields of which Bedrock knows nothing, and which only wish for another price, place or pace.
const UNKNOWN: [&str; 3] = ["inference_geo", "service_tier", "speed"];

/// The body of a call of `InvokeModel`.
pub(super) fn body(prompt: &Prompt, headers: &HeaderMap, model: &str) -> Adapted {
    adapt(prompt, headers, model, None)
}

/// The body of a question for the count of its tokens, which carries a body of `InvokeModel`. A limit on output is demanded there, though
/// nothing is put out.
pub(super) fn count(prompt: &Prompt, headers: &HeaderMap, model: &str) -> Adapted {
    let limit = prompt.facts().max_tokens.is_none().then(|| {
        let raw = std::str::from_utf8(prompt.raw()).unwrap_or_default();
        let budget = Fields::parse(raw)
            .and_then(|fields| fields.object("thinking"))
            .and_then(|thinking| thinking.get("budget_tokens")?.get().parse::<u64>().ok());
        budget.unwrap_or(0).saturating_add(1)
    });
    let adapted = adapt(prompt, headers, model, limit);
    let inner = base64::engine::general_purpose::STANDARD.encode(&adapted.body);
    Adapted {
        body: format!(r#"{{"input":{{"invokeModel":{{"body":"{inner}"}}}}}}"#).into(),
        ..adapted
    }
}

/// A count of tokens.
pub(super) fn counted(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        input_tokens: u64,
    }
    let count: Count = serde_json::from_slice(body).ok()?;
    Some(count.input_tokens)
}

fn adapt(prompt: &Prompt, headers: &HeaderMap, model: &str, limit: Option<u64>) -> Adapted {
    let raw = std::str::from_utf8(prompt.raw()).unwrap_or_default();
    let fields = Fields::parse(raw).unwrap_or_default();
    let mut dropped = Vec::new();
    let betas = betas(headers, fields.get("anthropic_beta"), model, &mut dropped);
    let mut added = VERSION.to_owned();
    if let Some(limit) = limit {
        added.push_str(&format!(r#","max_tokens":{limit}"#));
    }
    if !betas.is_empty() {
        added.push_str(r#","anthropic_beta":"#);
        added.push_str(&serde_json::Value::from(betas).to_string());
    }
    // A member reaches from the end of the one before, whose comma it takes along; ours stands first and takes none.
    let open = raw.find('{').map_or(0, |at| at + 1);
    let mut edits = Vec::new();
    let mut from = open;
    let mut first = true;
    let mut lead = open..open;
    for (name, json) in &fields.0 {
        let Some(value) = place(raw, json) else {
            break;
        };
        let gone = match &**name {
            "model" | "stream" | "anthropic_version" | "anthropic_beta" => true,
            name if UNKNOWN.contains(&name) => {
                dropped.push(name.to_owned());
                true
            }
            _ => false,
        };
        match (gone, first) {
            // What goes at the front makes place for ours.
            (true, true) => lead.end = value.end,
            (true, false) => edits.push(edit(from..value.end, "")),
            (false, true) => {
                first = false;
                if lead.is_empty() {
                    added.push(',');
                }
            }
            (false, false) => {}
        }
        from = value.end;
    }
    edits.push(edit(lead, added));
    Adapted {
        body: prompt.edited(edits),
        dropped,
    }
}

fn edit<'a>(span: Range<usize>, with: impl Into<Cow<'a, str>>) -> Edit<'a> {
    let at = |at| u32::try_from(at).unwrap_or(u32::MAX);
    Edit {
        span: at(span.start)..at(span.end),
        with: with.into(),
    }
}

/// Where in `raw` a value of it stands.
fn place(raw: &str, json: &Json<'_>) -> Option<Range<usize>> {
    let start = (json.get().as_ptr() as usize).checked_sub(raw.as_ptr() as usize)?;
    Some(start..start + json.get().len())
}

/// The betas to ask for, each once.
fn betas(
    headers: &HeaderMap,
    in_body: Option<Json<'_>>,
    model: &str,
    dropped: &mut Vec<String>,
) -> Vec<String> {
    let in_headers = headers
        .get_all("anthropic-beta")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|beta| Cow::Borrowed(beta.trim()));
    let in_body = in_body
        .and_then(elements)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|json| serde_json::from_str(json.get()).ok().map(Cow::Owned));
    let mut kept: Vec<String> = Vec::new();
    for beta in in_headers.chain(in_body).filter(|b| !b.is_empty()) {
        let renamed = RENAMED.iter().find(|(name, _)| *name == beta);
        let name = renamed.map_or(&*beta, |(_, name)| name);
        let known = BETAS.iter().any(|(known, models)| {
            *known == name && models.is_none_or(|part| model.contains(part))
        });
        let list = if known { &mut kept } else { &mut *dropped };
        if !list.iter().any(|had| had == name) {
            list.push(name.to_owned());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chat::Operation, dialect::Dialect};
    use bytes::Bytes;
    use http::HeaderValue;

    const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

    fn prompt(operation: Operation, body: &'static str) -> Prompt {
        Prompt::parse(Dialect::Messages, operation, body.into()).unwrap()
    }
    fn asking(betas: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-beta", HeaderValue::from_static(betas));
        headers
    }

    #[test]
    fn model_and_stream_go_wherever_they_stand() {
        for (sent, expected) in [
            (
                r#"{"model":"m","max_tokens":9,"messages":[],"stream":true}"#,
                r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[]}"#,
            ),
            (
                "{ \"max_tokens\" : 9 ,\n \"stream\" : false , \"messages\" : [ ] , \"model\":\"m\" , \"top_p\":1.00 }",
                "{\"anthropic_version\":\"bedrock-2023-05-31\", \"max_tokens\" : 9 , \"messages\" : [ ] , \"top_p\":1.00 }",
            ),
            (
                r#"{"stream":true,"model":"m","messages":[{"role":"user","content":"\"model\":1"}]}"#,
                r#"{"anthropic_version":"bedrock-2023-05-31","messages":[{"role":"user","content":"\"model\":1"}]}"#,
            ),
            (
                r#"{"messages":[],"model":"m"}"#,
                r#"{"anthropic_version":"bedrock-2023-05-31","messages":[]}"#,
            ),
            (
                r#"{"messages":[],"anthropic_version":"x","model":"m","metadata":{"user_id":"u"}}"#,
                r#"{"anthropic_version":"bedrock-2023-05-31","messages":[],"metadata":{"user_id":"u"}}"#,
            ),
        ] {
            let sent = body(
                &prompt(Operation::Generate, sent),
                &HeaderMap::new(),
                CLAUDE,
            );
            assert_eq!(sent.body, expected);
            assert!(sent.dropped.is_empty());
        }
    }

    #[test]
    fn betas_move_into_the_body_as_far_as_they_are_known() {
        let prompt = prompt(
            Operation::Generate,
            r#"{"model":"m","messages":[],"service_tier":"auto","anthropic_beta":["context-1m-2025-08-07"]}"#,
        );
        let headers = asking(
            "claude-code-20250219, interleaved-thinking-2025-05-14,advanced-tool-use-2025-11-20,effort-2025-11-24",
        );
        let sent = body(&prompt, &headers, CLAUDE);
        assert_eq!(
            sent.body,
            r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["interleaved-thinking-2025-05-14","tool-search-tool-2025-10-19","context-1m-2025-08-07"],"messages":[]}"#
        );
        assert_eq!(
            sent.dropped,
            ["claude-code-20250219", "effort-2025-11-24", "service_tier"]
        );
        let sent = body(&prompt, &headers, "anthropic.claude-opus-4-5-20251101-v1:0");
        assert!(!sent.dropped.contains(&"effort-2025-11-24".to_owned()));
    }

    #[test]
    fn a_count_carries_a_whole_call() {
        let prompt = prompt(
            Operation::CountTokens,
            r#"{"model":"m","messages":[],"thinking":{"type":"enabled","budget_tokens":1024}}"#,
        );
        let sent = count(&prompt, &HeaderMap::new(), CLAUDE).body;
        let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        let inner = sent["input"]["invokeModel"]["body"].as_str().unwrap();
        let inner = base64::engine::general_purpose::STANDARD
            .decode(inner)
            .unwrap();
        assert_eq!(
            Bytes::from(inner),
            r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":1025,"messages":[],"thinking":{"type":"enabled","budget_tokens":1024}}"#
        );
        assert_eq!(counted(br#"{"inputTokens":7}"#), Some(7));
        assert_eq!(counted(b"{}"), None);
    }
}
