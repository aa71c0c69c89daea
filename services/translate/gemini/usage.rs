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
    prompt_tokens_details: Vec<Detail>,
    candidates_tokens_details: Vec<Detail>,
}
/// Tokens of one modality.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    modality: Option<String>,
    token_count: Option<Count>,
}

/// Reads a `usageMetadata`; `None` where it is no object.
pub(super) fn read(json: Json<'_>) -> Option<Usage> {
    let wire: Wire = serde_json::from_str(json.get()).ok()?;
    let count = |c: Option<Count>| c.unwrap_or_default().0;
    let prompt = count(wire.prompt_token_count);
    let cache_read = count(wire.cached_content_token_count).min(prompt);
    let reasoning = count(wire.thoughts_token_count);
    let of = |details: &[Detail], modality: &str| -> u64 {
        let those = details
            .iter()
            .filter(|d| d.modality.as_deref() == Some(modality));
        those.map(|d| d.token_count.unwrap_or_default().0).sum()
    };
    let (sent, answered) = (&wire.prompt_tokens_details, &wire.candidates_tokens_details);
    Some(Usage {
        input: prompt - cache_read + count(wire.tool_use_prompt_token_count),
        output: count(wire.candidates_token_count) + reasoning,
        cache_read,
        reasoning,
        input_audio: of(sent, "AUDIO"),
        input_image: of(sent, "IMAGE"),
        output_audio: of(answered, "AUDIO"),
        output_image: of(answered, "IMAGE"),
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
        let json = r#"{"promptTokenCount":100,"candidatesTokenCount":7,"promptTokensDetails":[{"modality":"TEXT","tokenCount":40},
            {"modality":"AUDIO","tokenCount":60}],"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":5}]}"#;
        let usage = read(serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!((usage.input_audio, usage.output_image), (60, 5));
    }
}
