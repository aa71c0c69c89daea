//! Invoices, worked out by hand: for each provider an answer as it sends it, the tokens' prices as in its list, and what the call must cost to the
//! picodollar. Cached tokens counted twice, or at the wrong price, are the field's dearest mistake; `docs/caching.md` shows the same table.
use super::super::{cost, summary};
use super::{asked, run};
use crate::{
    chat::{Target, Usd},
    dialect::Dialect::{self, ChatCompletions, Converse, Gemini, Messages, Ollama, Responses},
    prices::PriceList,
    providers::Kind,
};

struct Invoice {
    kind: &'static str,
    model: &'static str,
    dialect: Dialect,
    body: &'static str,
    /// In millionths of a dollar.
    micro: f64,
}

const fn invoice(
    kind: &'static str,
    model: &'static str,
    dialect: Dialect,
    body: &'static str,
    micro: f64,
) -> Invoice {
    Invoice {
        kind,
        model,
        dialect,
        body,
        micro,
    }
}

const INVOICES: &[Invoice] = &[
    // Input without cached tokens; 50 x 3 + 5000 x 0.3 + 600 x 3.75 + 400 x 6 + 503 x 15.
    invoice(
        "anthropic",
        "claude-sonnet-4-5-20250929",
        Messages,
        r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","stop_sequence":null,
        "usage":{"input_tokens":50,"cache_creation_input_tokens":1000,"cache_read_input_tokens":5000,"cache_creation":{"ephemeral_5m_input_tokens":600,"ephemeral_1h_input_tokens":400},"output_tokens":503,"service_tier":"standard"}}"#,
        13_845.0,
    ),
    // A model whose list has no price for an hour, which is twice the input's: 100 x 15 + 1000 x 30 + 10 x 75.
    invoice(
        "bedrock",
        "anthropic.claude-opus-4-1-20250805-v1:0",
        Messages,
        r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-4-1-20250805","content":[],"stop_reason":"end_turn",
        "usage":{"input_tokens":100,"cache_creation_input_tokens":1000,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":1000},"output_tokens":10}}"#,
        32_250.0,
    ),
    // InvokeModel: as Anthropic, at Bedrock's regional prices; 12 x 3.3 + 2048 x 4.125 + 40 x 16.5.
    invoice(
        "bedrock",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        Messages,
        r#"{"model":"claude-sonnet-4-5-20250929","id":"msg_bdrk_1","type":"message","role":"assistant","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","stop_sequence":null,
        "usage":{"input_tokens":12,"cache_creation_input_tokens":2048,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":2048,"ephemeral_1h_input_tokens":0},"output_tokens":40}}"#,
        9_147.6,
    ),
    // Converse: input without cached tokens; 10 x 3.3 + 100 x 0.33 + 10 x 4.125 + 20 x 6.6 + 5 x 16.5.
    invoice(
        "bedrock",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        Converse,
        r#"{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn","metrics":{"latencyMs":700},
        "usage":{"inputTokens":10,"outputTokens":5,"totalTokens":145,"cacheReadInputTokens":100,"cacheWriteInputTokens":30,"cacheDetails":[{"ttl":"5m","inputTokens":10},{"ttl":"1h","inputTokens":20}]}}"#,
        321.75,
    ),
    // Nova: 40 x 0.8 + 2048 x 0.2 + 100 x 3.2.
    invoice(
        "bedrock",
        "amazon.nova-pro-v1:0",
        Converse,
        r#"{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn","metrics":{"latencyMs":551},
        "usage":{"inputTokens":40,"outputTokens":100,"totalTokens":2188,"cacheReadInputTokens":2048,"cacheWriteInputTokens":0}}"#,
        761.6,
    ),
    // Input with cached tokens, output with reasoning: 86 x 1.25 + 1920 x 0.125 + 300 x 10.
    invoice(
        "openai",
        "gpt-5.1",
        ChatCompletions,
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5.1","choices":[{"index":0,"message":{"role":"assistant","content":"x","refusal":null},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":192,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#,
        3_347.5,
    ),
    // Written tokens are input too, at a price of their own: 500 x 4 + 3000 x 0.4 + 1500 x 5 + 200 x 20.
    invoice(
        "openai",
        "gpt-5.6",
        Responses,
        r#"{"id":"resp_1","object":"response","status":"completed","model":"gpt-5.6","output":[],
        "usage":{"input_tokens":5000,"input_tokens_details":{"cached_tokens":3000,"cache_write_tokens":1500},"output_tokens":200,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5200}}"#,
        14_700.0,
    ),
    // As OpenAI, in Azure's list.
    invoice(
        "azure-openai",
        "gpt-5.1",
        ChatCompletions,
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5.1-2025-11-13","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}],"choices":[{"index":0,"content_filter_results":{},"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920},"completion_tokens_details":{"reasoning_tokens":192}}}"#,
        3_347.5,
    ),
    // Input with cached tokens, output without thoughts: 40 x 1.25 + 60 x 0.125 + 12 x 10.
    invoice(
        "gemini",
        "gemini-2.5-pro",
        Gemini,
        r#"{"candidates":[{"content":{"parts":[{"text":"x"}],"role":"model"},"finishReason":"STOP","index":0}],"modelVersion":"gemini-2.5-pro","responseId":"r",
        "usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":7,"thoughtsTokenCount":5,"totalTokenCount":112,"cacheTokensDetails":[{"modality":"TEXT","tokenCount":60}]}}"#,
        177.5,
    ),
    // Over 200 000 tokens all of it is dearer, cached tokens in proportion: 50 000 x 2.5 + 200 000 x 0.25 + 1000 x 15.
    invoice(
        "vertex",
        "gemini-2.5-pro",
        Gemini,
        r#"{"candidates":[{"content":{"parts":[{"text":"x"}],"role":"model"},"finishReason":"STOP","index":0}],"modelVersion":"gemini-2.5-pro","responseId":"r",
        "usageMetadata":{"promptTokenCount":250000,"cachedContentTokenCount":200000,"candidatesTokenCount":1000,"totalTokenCount":251000,"trafficType":"ON_DEMAND"}}"#,
        190_000.0,
    ),
    // Claude on Vertex AI, as Anthropic: 3 x 3 + 1000 x 0.3 + 200 x 3.75 + 20 x 15.
    invoice(
        "vertex",
        "claude-sonnet-4-5@20250929",
        Messages,
        r#"{"id":"msg_vrtx_1","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[],"stop_reason":"end_turn",
        "usage":{"input_tokens":3,"cache_creation_input_tokens":200,"cache_read_input_tokens":1000,"output_tokens":20}}"#,
        1_359.0,
    ),
    // As OpenAI, and it tells the sum: 39 x 3 + 10 000 x 0.3 + 300 x 3.75 + 60 x 15.
    invoice(
        "openrouter",
        "anthropic/claude-sonnet-4.5",
        ChatCompletions,
        r#"{"id":"gen-1","provider":"Anthropic","model":"anthropic/claude-sonnet-4.5","object":"chat.completion","created":1,"choices":[{"logprobs":null,"finish_reason":"stop","native_finish_reason":"stop","index":0,"message":{"role":"assistant","content":"x","refusal":null,"reasoning":null}}],
        "usage":{"prompt_tokens":10339,"completion_tokens":60,"total_tokens":10399,"cost":0.005142,"is_byok":false,"prompt_tokens_details":{"cached_tokens":10000,"cache_write_tokens":300},"cost_details":{"upstream_inference_cost":null},"completion_tokens_details":{"reasoning_tokens":0}}}"#,
        5_142.0,
    ),
    // Claude in chat completions with Anthropic's names for cached tokens, inside the prompt's: 200 x 5.00003 + 1500 x 0.50001 + 300 x 6.25002 + 100 x 25.00001.
    invoice(
        "databricks",
        "databricks-claude-opus-4-6",
        ChatCompletions,
        r#"{"id":"msg_bdrk_1","object":"chat.completion","created":1,"model":"us.anthropic.claude-opus-4-6-v1","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":2000,"completion_tokens":100,"total_tokens":2100,"cache_read_input_tokens":1500,"cache_creation_input_tokens":300}}"#,
        6_125.028,
    ),
    // The same beside the prompt's, as the total gives away.
    invoice(
        "databricks",
        "databricks-claude-opus-4-6",
        ChatCompletions,
        r#"{"id":"msg_bdrk_1","object":"chat.completion","created":1,"model":"us.anthropic.claude-opus-4-6-v1","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":200,"completion_tokens":100,"total_tokens":2100,"cache_read_input_tokens":1500,"cache_creation_input_tokens":300}}"#,
        6_125.028,
    ),
    // Hits and misses make up the prompt: 104 x 0.28 + 896 x 0.028 + 50 x 0.42.
    invoice(
        "deepseek",
        "deepseek-chat",
        ChatCompletions,
        r#"{"id":"1","object":"chat.completion","created":1,"model":"deepseek-chat","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"logprobs":null,"finish_reason":"stop"}],"system_fingerprint":"fp",
        "usage":{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,"prompt_tokens_details":{"cached_tokens":896},"prompt_cache_hit_tokens":896,"prompt_cache_miss_tokens":104}}"#,
        75.208,
    ),
    // 9 x 0.6 + 10 x 0.1 + 21 x 3.
    invoice(
        "moonshot",
        "kimi-k2.5",
        ChatCompletions,
        r#"{"id":"cmpl-1","object":"chat.completion","created":1,"model":"kimi-k2.5","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":19,"completion_tokens":21,"total_tokens":40,"cached_tokens":10}}"#,
        69.4,
    ),
    // Reasoning beside the completion: 26 x 1.25 + 6 x 0.2 + (9 + 94) x 2.5.
    invoice(
        "xai",
        "grok-4.20",
        ChatCompletions,
        r#"{"id":"1","object":"chat.completion","created":1,"model":"grok-4.20","choices":[{"index":0,"message":{"role":"assistant","content":"x","refusal":null},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"prompt_tokens_details":{"text_tokens":32,"audio_tokens":0,"image_tokens":0,"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":94,"audio_tokens":0},"num_sources_used":0}}"#,
        291.2,
    ),
    // 33 x 0.15 + 4608 x 0.075 + 1817 x 0.6.
    invoice(
        "groq",
        "openai/gpt-oss-120b",
        ChatCompletions,
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"openai/gpt-oss-120b","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"logprobs":null,"finish_reason":"stop"}],"x_groq":{"id":"req"},
        "usage":{"queue_time":0.03,"prompt_tokens":4641,"prompt_time":0.01,"completion_tokens":1817,"completion_time":5.5,"total_tokens":6458,"total_time":5.5,"prompt_tokens_details":{"cached_tokens":4608}}}"#,
        1_440.75,
    ),
    // No cache in it: 26 x 0.5 + 298 x 1.5.
    invoice(
        "mistral",
        "mistral-large-latest",
        ChatCompletions,
        r#"{"id":"1","object":"chat.completion","created":1,"model":"mistral-large-latest","choices":[{"index":0,"message":{"role":"assistant","tool_calls":null,"content":"x"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":26,"total_tokens":324,"completion_tokens":298}}"#,
        460.0,
    ),
    // One's own machine is free, whatever it counts.
    invoice(
        "llamacpp",
        "qwen",
        ChatCompletions,
        r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":"x"}}],"created":1,"model":"qwen","system_fingerprint":"b0-unknown","object":"chat.completion","id":"chatcmpl-1","timings":{"cache_n":30,"prompt_n":5},
        "usage":{"completion_tokens":7,"prompt_tokens":35,"total_tokens":42,"prompt_tokens_details":{"cached_tokens":30}}}"#,
        0.0,
    ),
    invoice(
        "ollama",
        "qwen2.5:3b",
        Ollama,
        r#"{"model":"qwen2.5:3b","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"x"},"done":true,"done_reason":"stop","total_duration":1,"prompt_eval_count":26,"eval_count":298}"#,
        0.0,
    ),
];

/// The list as the gateway has it for a provider of this kind and name.
fn prices(kind: Kind) -> PriceList {
    let list = PriceList::embedded().with_listed_as(kind.as_str(), kind.priced_as());
    if kind.is_local() {
        return list.with_free_provider(kind.as_str());
    }
    list
}

fn micro(amount: f64) -> Usd {
    Usd::from_dollars(amount / 1e6)
}

#[test]
fn golden_invoices() {
    for invoice in INVOICES {
        // Bedrock is built in where its feature is on.
        let Ok(kind) = invoice.kind.parse::<Kind>() else {
            continue;
        };
        let who = format!("{kind} {} in {}", invoice.model, invoice.dialect.as_str());
        let usage = summary(invoice.dialect, invoice.body.as_bytes()).usage;
        let usage = usage.unwrap_or_else(|| panic!("{who}: no usage"));
        let target = Target::new(kind.as_str(), invoice.model);
        let price = prices(kind).price(&target);
        let price = price.unwrap_or_else(|| panic!("{who}: no price"));
        assert_eq!(price.cost(&usage), micro(invoice.micro), "{who}: {usage:?}");
        if let Some(told) = cost(invoice.dialect, invoice.body.as_bytes()) {
            assert_eq!(told, micro(invoice.micro), "{who}");
        }
    }
}

/// Anthropic tells in two parts what it counted, and the second repeats the first.
#[test]
fn a_stream_is_billed_as_its_whole_answer() {
    let first = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"usage":{"input_tokens":50,"cache_creation_input_tokens":1000,"cache_read_input_tokens":5000,"cache_creation":{"ephemeral_5m_input_tokens":600,"ephemeral_1h_input_tokens":400},"output_tokens":1}}}"#;
    let last = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":50,"cache_creation_input_tokens":1000,"cache_read_input_tokens":5000,"output_tokens":503}}"#;
    let stream = format!(
        "event: message_start\ndata: {first}\n\nevent: message_delta\ndata: {last}\n\nevent: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
    );
    for to in [Messages, ChatCompletions, Responses] {
        let (_, _, translator) = run(Messages, to, &asked(to), &[stream.as_bytes()]);
        let usage = translator.summary().usage.unwrap();
        let price = prices(Kind::Anthropic).price(&Target::new("anthropic", "claude-sonnet-4-5"));
        assert_eq!(price.unwrap().cost(&usage), micro(13_845.0), "{to:?}");
    }
}
