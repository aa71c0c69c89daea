//! `OpenAI`: chat completions and Responses; its newer models take `max_completion_tokens` only.
use super::{
    Abilities,
    spec::{Native, Presence, Spec},
};
use crate::translate::{Capabilities, MaxTokensField};

pub(super) static SPEC: Spec = Spec {
    name: "openai",
    base_url: Some("https://api.openai.com"),
    base_url_env: &["OPENAI_ENDPOINT"],
    key_env: &["OPENAI_API_KEY"],
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Configured, None),
        Native::responses(Presence::Always, true),
    ],
    can: Capabilities {
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
        ..Capabilities::ALL
    },
    models_can: &[MODELS],
    ..Spec::BASE
};

/// The models that think are told how much by a word.
pub(super) const MODELS: &[(&str, Abilities)] = &[
    ("gpt-5*", Abilities::EFFORT),
    ("gpt-6*", Abilities::EFFORT),
    ("o1*", Abilities::EFFORT),
    ("o3*", Abilities::EFFORT),
    ("o4*", Abilities::EFFORT),
];
