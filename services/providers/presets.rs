//! Vendors whose servers speak `OpenAI`'s chat completions with few quirks: one table.
use super::{
    Abilities,
    spec::{COUNT_TOKENS, Native, Presence, Spec},
};
use crate::translate::{Capabilities, MaxTokensField};

/// Chat completions and nothing else.
const CHAT: &[Native] = &[Native::chat()];
/// Whatever is peculiar to the models of others that a vendor serves.
const OPEN_MODELS: &[(&str, Abilities)] = &[("*gpt-oss*", Abilities::EFFORT)];
/// The models are not told, or shown no documents.
const CAN: Capabilities = Capabilities {
    documents: false,
    ..Capabilities::ALL
};

pub(super) static DEEPSEEK: Spec = Spec {
    name: "deepseek",
    base_url: Some("https://api.deepseek.com/v1"),
    base_url_env: &["DEEPSEEK_ENDPOINT"],
    key_env: &["DEEPSEEK_API_KEY"],
    dialects: CHAT,
    can: Capabilities {
        vision: false,
        parallel_tools: false,
        ..CAN
    },
    priced_as: &["deepseek"],
    ..Spec::BASE
};

pub(super) static GROQ: Spec = Spec {
    name: "groq",
    base_url: Some("https://api.groq.com/openai/v1"),
    base_url_env: &["GROQ_ENDPOINT"],
    key_env: &["GROQ_API_KEY"],
    dialects: CHAT,
    can: Capabilities {
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
        logprobs: false,
        ..CAN
    },
    models_can: &[OPEN_MODELS],
    priced_as: &["groq"],
    ..Spec::BASE
};

/// It refuses fields that it does not know, `stream_options` among them, and tells the usage of a stream anyway.
pub(super) static MISTRAL: Spec = Spec {
    name: "mistral",
    base_url: Some("https://api.mistral.ai/v1"),
    base_url_env: &["MISTRAL_ENDPOINT"],
    key_env: &["MISTRAL_API_KEY"],
    dialects: CHAT,
    can: Capabilities {
        streaming_usage: false,
        logprobs: false,
        ..CAN
    },
    priced_as: &["mistral"],
    ..Spec::BASE
};

pub(super) static XAI: Spec = Spec {
    name: "xai",
    base_url: Some("https://api.x.ai/v1"),
    base_url_env: &["XAI_ENDPOINT"],
    key_env: &["XAI_API_KEY"],
    dialects: CHAT,
    can: CAN,
    models_can: &[&[("grok-3-mini*", Abilities::EFFORT)]],
    priced_as: &["xai"],
    ..Spec::BASE
};

pub(super) static TOGETHER: Spec = Spec {
    name: "together",
    base_url: Some("https://api.together.xyz/v1"),
    base_url_env: &["TOGETHER_ENDPOINT"],
    key_env: &["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"],
    dialects: CHAT,
    can: Capabilities {
        own_fields: SAMPLING,
        ..CAN
    },
    models_can: &[OPEN_MODELS],
    priced_as: &["together_ai"],
    ..Spec::BASE
};

pub(super) static FIREWORKS: Spec = Spec {
    name: "fireworks",
    base_url: Some("https://api.fireworks.ai/inference/v1"),
    base_url_env: &["FIREWORKS_ENDPOINT"],
    key_env: &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"],
    dialects: CHAT,
    can: Capabilities {
        own_fields: SAMPLING,
        ..CAN
    },
    models_can: &[OPEN_MODELS],
    priced_as: &["fireworks_ai"],
    ..Spec::BASE
};

pub(super) static MOONSHOT: Spec = Spec {
    name: "moonshot",
    base_url: Some("https://api.moonshot.ai/v1"),
    base_url_env: &["MOONSHOT_ENDPOINT"],
    key_env: &["MOONSHOT_API_KEY"],
    dialects: CHAT,
    can: Capabilities {
        parallel_tools: false,
        logprobs: false,
        ..CAN
    },
    priced_as: &["moonshot"],
    ..Spec::BASE
};

pub(super) static ZAI: Spec = Spec {
    name: "zai",
    base_url: Some("https://api.z.ai/api/paas/v4"),
    base_url_env: &["ZAI_ENDPOINT"],
    key_env: &["ZAI_API_KEY", "Z_AI_API_KEY"],
    dialects: CHAT,
    can: Capabilities {
        parallel_tools: false,
        logprobs: false,
        structured_output: false,
        ..CAN
    },
    priced_as: &["zai"],
    ..Spec::BASE
};

pub(super) static CEREBRAS: Spec = Spec {
    name: "cerebras",
    base_url: Some("https://api.cerebras.ai/v1"),
    base_url_env: &["CEREBRAS_ENDPOINT"],
    key_env: &["CEREBRAS_API_KEY"],
    dialects: CHAT,
    can: Capabilities {
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
        vision: false,
        ..CAN
    },
    models_can: &[OPEN_MODELS],
    priced_as: &["cerebras"],
    ..Spec::BASE
};

/// On one's own machine; newer versions speak Messages.
pub(super) static VLLM: Spec = Spec {
    name: "vllm",
    base_url: Some("http://127.0.0.1:8000"),
    base_url_env: &["VLLM_ENDPOINT"],
    key_env: &["VLLM_API_KEY"],
    needs_key: false,
    local: true,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Found, Some((COUNT_TOKENS, Presence::Found))),
    ],
    can: Capabilities {
        own_fields: &[
            "top_k",
            "min_p",
            "repetition_penalty",
            "chat_template_kwargs",
        ],
        ..CAN
    },
    models_can: &[OPEN_MODELS],
    ..Spec::BASE
};

/// How tokens are drawn, beyond what chat completions know.
pub(super) const SAMPLING: &[&str] = &["top_k", "min_p", "repetition_penalty"];

/// All of them, for tests over the table.
#[cfg(test)]
pub(super) static ALL: [&Spec; 10] = [
    &DEEPSEEK, &GROQ, &MISTRAL, &XAI, &TOGETHER, &FIREWORKS, &MOONSHOT, &ZAI, &CEREBRAS, &VLLM,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole() {
        for spec in ALL {
            assert!(spec.base_url.is_some(), "{}", spec.name);
            assert!(!spec.key_env.is_empty(), "{}", spec.name);
            assert_eq!(spec.local, spec.priced_as.is_empty(), "{}", spec.name);
            assert_eq!(spec.needs_key, !spec.local, "{}", spec.name);
        }
    }
}
