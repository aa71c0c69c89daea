//! Gemini's count of tokens: `promptTokenCount` includes cached tokens, `candidatesTokenCount` does not include thoughts.
use crate::{
    chat::Usage,
    translate::{count::Count, json::Json},
};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    prompt_token_count: Option<Count>,
    cached_content_token_count: Option<Count>,
    candidates_token_count: Option<Count>,
    thoughts_token_count: Option<Count>,
    tool_use_prompt_token_count: Option<Count>,
}

/// Reads a `usageMetadata`; `None` where it is no object.
pub(super) fn read(json: Json<'_>) -> Option<Usage> {
    let wire: Wire = serde_json::from_str(json.get()).ok()?;
    let count = |c: Option<Count>| c.unwrap_or_default().0;
    let prompt = count(wire.prompt_token_count);
    let cache_read = count(wire.cached_content_token_count).min(prompt);
    let reasoning = count(wire.thoughts_token_count);
    Some(Usage {
        input: prompt - cache_read + count(wire.tool_use_prompt_token_count),
        output: count(wire.candidates_token_count) + reasoning,
        cache_read,
        reasoning,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_output_and_cached_tokens_no_input() {
        let json = r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":7,
            "thoughtsTokenCount":5,"totalTokenCount":112}"#;
        let usage = read(serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(
            (usage.input, usage.cache_read, usage.output, usage.reasoning),
            (40, 60, 12, 5)
        );
        assert_eq!(read(serde_json::from_str("7").unwrap()), None);
    }
}
