//! OpenAI's count of tokens: `prompt_tokens` includes cached tokens. Servers of Claude that tell them by Anthropic's names (Databricks, LiteLLM) do
//! not all include them; the total gives away who does.
use crate::{
    chat::{Usage, Usd},
    translate::{
        count::Count,
        json::{Json, Object},
    },
};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    prompt_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    total_tokens: Option<Count>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's word for cached tokens.
    prompt_cache_hit_tokens: Option<Count>,
    /// Moonshot's.
    cached_tokens: Option<Count>,
    /// Anthropic's, where Claude is served in this dialect.
    cache_read_input_tokens: Option<Count>,
    /// Anthropic's for what was written.
    cache_creation_input_tokens: Option<Count>,
}
#[derive(Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
    /// The same by LiteLLM's name, and by Alibaba's.
    cache_creation_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    audio_tokens: Option<Count>,
    image_tokens: Option<Count>,
}
#[derive(Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<Count>,
    audio_tokens: Option<Count>,
    image_tokens: Option<Count>,
}

/// Reads a `usage`; `None` where it is no object.
pub(crate) fn read(json: Json<'_>) -> Option<Usage> {
    let wire: Wire = serde_json::from_str(json.get()).ok()?;
    let count = |c: Option<Count>| c.unwrap_or_default().0;
    let details = wire.prompt_tokens_details.unwrap_or_default();
    let completion = count(wire.completion_tokens);
    let mut prompt = count(wire.prompt_tokens);
    let (read, written) = (
        wire.cache_read_input_tokens,
        wire.cache_creation_input_tokens,
    );
    let cached = count(read) + count(written);
    let beside = cached > prompt || count(wire.total_tokens) == prompt + completion + cached;
    if cached > 0 && beside {
        prompt += cached;
    }
    let cache_read = count(
        details
            .cached_tokens
            .or(wire.prompt_cache_hit_tokens)
            .or(wire.cached_tokens)
            .or(read),
    )
    .min(prompt);
    let cache_write = count(
        details
            .cache_write_tokens
            .or(details.cache_creation_tokens)
            .or(details.cache_creation_input_tokens)
            .or(written),
    )
    .min(prompt - cache_read);
    let answered = wire.completion_tokens_details.unwrap_or_default();
    let reasoning = count(answered.reasoning_tokens);
    let mut output = completion;
    // xAI counts reasoning beside the completion, not inside it; only the total gives it away.
    if reasoning > 0 && count(wire.total_tokens) == prompt + output + reasoning {
        output += reasoning;
    }
    Some(Usage {
        input: prompt - cache_read - cache_write,
        output,
        cache_read,
        cache_write,
        cache_write_1h: 0,
        reasoning,
        input_audio: count(details.audio_tokens),
        input_image: count(details.image_tokens),
        output_audio: count(answered.audio_tokens),
        output_image: count(answered.image_tokens),
        ..Usage::default()
    })
}

/// What an answer cost in US dollars, where its `usage` says so (`OpenRouter`). What the vendor behind bills to the caller's own account
/// comes on top.
pub(crate) fn cost(json: Json<'_>) -> Option<Usd> {
    #[derive(Deserialize)]
    struct Wire {
        cost: Option<f64>,
        #[serde(default)]
        is_byok: Option<bool>,
        cost_details: Option<Details>,
    }
    #[derive(Deserialize)]
    struct Details {
        upstream_inference_cost: Option<f64>,
    }
    let wire: Wire = serde_json::from_str(json.get()).ok()?;
    let upstream = wire
        .cost_details
        .filter(|_| wire.is_byok == Some(true))
        .and_then(|details| details.upstream_inference_cost);
    let cost = wire.cost? + upstream.unwrap_or_default();
    (cost.is_finite() && cost >= 0.0).then(|| Usd::from_dollars(cost))
}

/// Writes the fields of a `usage`.
pub(crate) fn write(usage: &Usage, object: &mut Object<'_>) {
    object.number("prompt_tokens", usage.input_total());
    object.number("completion_tokens", usage.output);
    object.number("total_tokens", usage.input_total() + usage.output);
    {
        let mut details = object.object("prompt_tokens_details");
        details.number("cached_tokens", usage.cache_read);
        let written = usage.cache_write + usage.cache_write_1h;
        if written > 0 {
            details.number("cache_write_tokens", written);
        }
    }
    object
        .object("completion_tokens_details")
        .number("reasoning_tokens", usage.reasoning);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Usage {
        read(serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn kinds_are_disjoint() {
        let usage = of(
            r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,
            "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},"completion_tokens_details":{"reasoning_tokens":5}}"#,
        );
        assert_eq!(
            (
                usage.input,
                usage.cache_read,
                usage.cache_write,
                usage.output,
                usage.reasoning
            ),
            (30, 60, 10, 20, 5)
        );
        assert_eq!(usage.input_total(), 100);
    }

    #[test]
    fn a_cost_is_read_where_it_is_told() {
        let cost = |json: &str| cost(serde_json::from_str(json).unwrap());
        assert_eq!(cost(r#"{"cost":0.0001}"#), Some(Usd::from_dollars(0.0001)));
        assert_eq!(
            cost(r#"{"cost":0.01,"is_byok":true,"cost_details":{"upstream_inference_cost":0.02}}"#),
            Some(Usd::from_dollars(0.03))
        );
        assert_eq!(
            cost(r#"{"cost":0.01,"cost_details":{"upstream_inference_cost":0.02}}"#),
            Some(Usd::from_dollars(0.01))
        );
        for none in [
            r#"{"cost":-1}"#,
            r#"{"cost":"x"}"#,
            r#"{"cost":null}"#,
            "7",
            "{}",
        ] {
            assert_eq!(cost(none), None, "{none}");
        }
    }

    #[test]
    fn reasoning_beside_the_completion_is_output() {
        let usage = of(
            r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":20,"completion_tokens_details":{"reasoning_tokens":8}}"#,
        );
        assert_eq!(usage.output, 10);
    }

    #[test]
    fn sound_and_images_are_shares() {
        let usage = of(
            r#"{"prompt_tokens":100,"completion_tokens":50,"prompt_tokens_details":{"audio_tokens":30,"image_tokens":9},
            "completion_tokens_details":{"audio_tokens":40,"reasoning_tokens":2}}"#,
        );
        let shares = (usage.input_audio, usage.input_image, usage.output_audio);
        assert_eq!((shares, usage.input, usage.output), ((30, 9, 40), 100, 50));
    }

    #[test]
    fn more_cached_than_sent_is_not_believed() {
        assert_eq!(
            of(r#"{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":9}}"#).input_total(),
            3
        );
        assert_eq!(
            of(r#"{"prompt_tokens":9,"prompt_cache_hit_tokens":4}"#).cache_read,
            4
        );
    }
}
