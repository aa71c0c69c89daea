//! Whether a count of input tokens includes cached ones, by provider, and what an answer costs by it: each body below is the `usage` that its
//! provider documents or was recorded to send. Cases 4 and 34: cached tokens counted twice, or not at all, are the field's dearest mistake.
use super::super::summary;
use crate::{
    chat::{Usage, Usd},
    dialect::Dialect::{self, ChatCompletions, Messages, Responses},
    prices::Price,
};

/// Provider, dialect, `usage`, and: input, read from cache, written to it for minutes, for an hour, output, reasoning within that.
type Row = (&'static str, Dialect, &'static str, [u64; 6]);

const ROWS: &[Row] = &[
    // docs.anthropic.com, prompt caching: `input_tokens` is what comes after the last cache breakpoint.
    (
        "anthropic",
        Messages,
        r#"{"input_tokens":50,"cache_creation_input_tokens":1000,"cache_read_input_tokens":5000,"cache_creation":{"ephemeral_5m_input_tokens":600,"ephemeral_1h_input_tokens":400},"output_tokens":503,"service_tier":"standard"}"#,
        [50, 5000, 600, 400, 503, 0],
    ),
    // Recorded from llama.cpp's `/v1/messages`.
    (
        "llamacpp messages",
        Messages,
        r#"{"cache_read_input_tokens":30,"input_tokens":5,"output_tokens":7}"#,
        [5, 30, 0, 0, 7, 0],
    ),
    // ollama/ollama, anthropic/anthropic.go: no word of caches.
    (
        "ollama messages",
        Messages,
        r#"{"input_tokens":35,"output_tokens":7}"#,
        [35, 0, 0, 0, 7, 0],
    ),
    // platform.openai.com, prompt caching: `prompt_tokens` includes cached tokens, `completion_tokens` reasoning.
    (
        "openai chat",
        ChatCompletions,
        r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":192,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#,
        [86, 1920, 0, 0, 300, 192],
    ),
    (
        "openai responses",
        Responses,
        r#"{"input_tokens":2006,"input_tokens_details":{"cached_tokens":1920,"cache_write_tokens":0},"output_tokens":300,"output_tokens_details":{"reasoning_tokens":192},"total_tokens":2306}"#,
        [86, 1920, 0, 0, 300, 192],
    ),
    (
        "openai embeddings",
        ChatCompletions,
        r#"{"prompt_tokens":8,"total_tokens":8}"#,
        [8, 0, 0, 0, 0, 0],
    ),
    // openrouter.ai/docs/use-cases/usage-accounting: as OpenAI, and what was written to a cache.
    (
        "openrouter",
        ChatCompletions,
        r#"{"prompt_tokens":10339,"completion_tokens":60,"total_tokens":10399,"cost":0.01,"is_byok":false,"prompt_tokens_details":{"cached_tokens":10000,"cache_write_tokens":300},"cost_details":{"upstream_inference_cost":null},"completion_tokens_details":{"reasoning_tokens":0}}"#,
        [39, 10000, 300, 0, 60, 0],
    ),
    // api-docs.deepseek.com, context caching: hits and misses add up to `prompt_tokens`.
    (
        "deepseek",
        ChatCompletions,
        r#"{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,"prompt_cache_hit_tokens":896,"prompt_cache_miss_tokens":104,"completion_tokens_details":{"reasoning_tokens":20}}"#,
        [104, 896, 0, 0, 50, 20],
    ),
    // platform.moonshot.ai: `cached_tokens` beside the others, inside `prompt_tokens`.
    (
        "moonshot",
        ChatCompletions,
        r#"{"prompt_tokens":19,"completion_tokens":21,"total_tokens":40,"cached_tokens":10}"#,
        [9, 10, 0, 0, 21, 0],
    ),
    // docs.x.ai, reasoning: counted beside `completion_tokens`, as the total gives away.
    (
        "xai",
        ChatCompletions,
        r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"prompt_tokens_details":{"text_tokens":32,"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":94}}"#,
        [26, 6, 0, 0, 103, 94],
    ),
    // console.groq.com: as OpenAI, with times.
    (
        "groq",
        ChatCompletions,
        r#"{"queue_time":0.03,"prompt_tokens":4641,"prompt_time":0.01,"completion_tokens":1817,"completion_time":5.5,"total_tokens":6458,"total_time":5.5,"prompt_tokens_details":{"cached_tokens":4608}}"#,
        [33, 4608, 0, 0, 1817, 0],
    ),
    // vLLM without `--enable-prompt-tokens-details`.
    (
        "vllm",
        ChatCompletions,
        r#"{"prompt_tokens":11,"total_tokens":16,"completion_tokens":5,"prompt_tokens_details":null}"#,
        [11, 0, 0, 0, 5, 0],
    ),
    // Recorded from llama.cpp.
    (
        "llamacpp chat",
        ChatCompletions,
        r#"{"completion_tokens":7,"prompt_tokens":35,"total_tokens":42,"prompt_tokens_details":{"cached_tokens":30}}"#,
        [5, 30, 0, 0, 7, 0],
    ),
    // Mistral, Together, Ollama, LM Studio.
    (
        "plain",
        ChatCompletions,
        r#"{"prompt_tokens":26,"completion_tokens":298,"total_tokens":324}"#,
        [26, 0, 0, 0, 298, 0],
    ),
];

fn told(dialect: Dialect, usage: &str) -> Option<Usage> {
    let body = match dialect {
        Messages => format!(
            r#"{{"id":"m","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"end_turn","usage":{usage}}}"#
        ),
        Responses => format!(
            r#"{{"id":"r","object":"response","status":"completed","model":"m","output":[],"usage":{usage}}}"#
        ),
        _ => format!(
            r#"{{"id":"c","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"x"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        ),
    };
    summary(dialect, body.as_bytes()).usage
}

#[test]
fn each_providers_count_comes_to_one_form() {
    for (provider, dialect, usage, expected) in ROWS {
        let [
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
        ] = *expected;
        let expected = Usage {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
            ..Usage::default()
        };
        assert_eq!(told(*dialect, usage), Some(expected), "{provider}");
    }
}

/// The same call costs the same, whichever way its provider counts.
#[test]
fn an_invoice_is_the_same_either_way() {
    let price = Price {
        input: Usd::per_million(3.0),
        output: Usd::per_million(15.0),
        cache_read: Some(Usd::per_million(0.3)),
        cache_write: Some(Usd::per_million(3.75)),
        ..Price::FREE
    };
    let excluded = r#"{"input_tokens":100,"cache_creation_input_tokens":200,"cache_read_input_tokens":700,"output_tokens":10}"#;
    let included = r#"{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010,"prompt_tokens_details":{"cached_tokens":700,"cache_write_tokens":200}}"#;
    // 100 x 3 + 700 x 0.3 + 200 x 3.75 + 10 x 15 dollars a million.
    let invoice = Usd::from_picodollars(1_410_000_000);
    for (dialect, usage) in [(Messages, excluded), (ChatCompletions, included)] {
        assert_eq!(price.cost(&told(dialect, usage).unwrap()), invoice);
    }
}
