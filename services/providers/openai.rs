//! `OpenAI`: chat completions and Responses; its newer models take `max_completion_tokens` only.
//!
//! Callers of other dialects are translated into chat completions, which most resemble theirs; into Responses with `native_chat = true`, and
//! for the models that only Responses reaches.
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
    own: Some(&RESPONSES),
    own_models: RESPONSES_ONLY,
    models_can: &[MODELS],
    ..Spec::BASE
};

/// What it speaks to its own clients.
static RESPONSES: Native = Native::responses(Presence::Always, true);

/// The models that chat completions do not reach.
pub(super) const RESPONSES_ONLY: &[&str] = &[
    "codex-*",
    "*-codex*",
    "*-pro",
    "*-pro-20*",
    "*-deep-research*",
    "computer-use-*",
];

/// The models that think are told how much by a word.
pub(super) const MODELS: &[(&str, Abilities)] = &[
    ("gpt-5*", Abilities::EFFORT),
    ("gpt-6*", Abilities::EFFORT),
    ("o1*", Abilities::EFFORT),
    ("o3*", Abilities::EFFORT),
    ("o4*", Abilities::EFFORT),
];
