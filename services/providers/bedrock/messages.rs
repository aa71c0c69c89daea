//! Anthropic's Messages as Bedrock takes them: in an [envelope](super::super::envelope).
//!
//! Whether to stream stands in the path too, and `anthropic-beta` moves from the headers into the body, as far as Bedrock
//! [knows](super::super::betas) the betas.
use super::super::{
    betas::{BEDROCK, Betas},
    envelope,
};
use crate::{chat::Prompt, dialect::Dialect, providers::spec::Adapted, translate::json::Fields};
use base64::Engine;
use bytes::Bytes;
use http::HeaderMap;

/// The version of the dialect that Bedrock asks for.
const VERSION: &str = r#""anthropic_version":"bedrock-2023-05-31""#;
/// What stands elsewhere, or not as the caller wrote it.
const GONE: [&str; 4] = ["model", "stream", "anthropic_version", "anthropic_beta"];

fn fields(prompt: &Prompt) -> Fields<'_> {
    let raw = std::str::from_utf8(prompt.raw()).unwrap_or_default();
    Fields::parse(raw).unwrap_or_default()
}

/// The body of a call of `InvokeModel`.
pub(super) fn body(prompt: &Prompt, headers: &HeaderMap, model: &str) -> Adapted {
    let listed = fields(prompt).get("anthropic_beta");
    let betas = Betas::Only(BEDROCK).asked(headers, listed, model).kept;
    let mut first = VERSION.to_owned();
    if !betas.is_empty() {
        first.push_str(r#","anthropic_beta":"#);
        first.push_str(&serde_json::Value::from(betas).to_string());
    }
    envelope::adapt(prompt, first, &GONE)
}

/// The question for the count of a body of `InvokeModel`. A limit on output is demanded there, though nothing is put out.
pub(super) fn count(_: Dialect, prompt: &Prompt, mut body: Bytes, _: &str) -> Bytes {
    if prompt.facts().max_tokens.is_none() {
        let budget = fields(prompt)
            .object("thinking")
            .and_then(|thinking| thinking.get("budget_tokens")?.get().parse::<u64>().ok());
        let limit = budget.unwrap_or(0).saturating_add(1);
        body = envelope::with(&body, &format!(r#""max_tokens":{limit}"#)).into();
    }
    let inner = base64::engine::general_purpose::STANDARD.encode(&body);
    format!(r#"{{"input":{{"invokeModel":{{"body":"{inner}"}}}}}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Operation;
    use http::HeaderValue;

    const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

    fn prompt(operation: Operation, body: &'static str) -> Prompt {
        Prompt::parse(Dialect::Messages, operation, body.into()).unwrap()
    }

    #[test]
    fn betas_move_into_the_body_as_far_as_they_are_known() {
        let prompt = prompt(
            Operation::Generate,
            r#"{"model":"m","messages":[],"service_tier":"auto","anthropic_beta":["context-1m-2025-08-07"]}"#,
        );
        let mut headers = HeaderMap::new();
        let betas = "claude-code-20250219, interleaved-thinking-2025-05-14,advanced-tool-use-2025-11-20,effort-2025-11-24";
        headers.insert("anthropic-beta", HeaderValue::from_static(betas));
        let sent = body(&prompt, &headers, CLAUDE);
        assert_eq!(
            sent.body,
            r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["interleaved-thinking-2025-05-14","tool-search-tool-2025-10-19","context-1m-2025-08-07"],"messages":[]}"#
        );
        assert_eq!(sent.dropped, ["service_tier"]);
    }

    #[test]
    fn a_count_carries_a_whole_call() {
        let prompt = prompt(
            Operation::CountTokens,
            r#"{"model":"m","messages":[],"thinking":{"type":"enabled","budget_tokens":1024}}"#,
        );
        let made = body(&prompt, &HeaderMap::new(), CLAUDE).body;
        let sent = count(Dialect::Messages, &prompt, made, CLAUDE);
        let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        let inner = sent["input"]["invokeModel"]["body"].as_str().unwrap();
        let inner = base64::engine::general_purpose::STANDARD
            .decode(inner)
            .unwrap();
        assert_eq!(
            Bytes::from(inner),
            r#"{"max_tokens":1025,"anthropic_version":"bedrock-2023-05-31","messages":[],"thinking":{"type":"enabled","budget_tokens":1024}}"#
        );
    }
}
