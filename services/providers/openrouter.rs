//! `OpenRouter`: chat completions over many vendors; Messages and Responses too, which the user may ask for.
//!
//! It tells what each call cost, and is believed. Which vendor is to answer is told it in fields of its own, and who calls in two headers.
use super::spec::{Native, Presence, Spec};
use crate::translate::{Capabilities, Reasoning};

pub(super) static SPEC: Spec = Spec {
    name: "openrouter",
    base_url: Some("https://openrouter.ai/api/v1"),
    base_url_env: &["OPENROUTER_ENDPOINT"],
    key_env: &["OPENROUTER_API_KEY"],
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Configured, None),
        Native::responses(Presence::Configured, false),
    ],
    can: Capabilities {
        reasoning: Reasoning::Effort,
        own_fields: &[
            "top_k",
            "min_p",
            "repetition_penalty",
            "models",
            "provider",
            "route",
            "transforms",
            "plugins",
        ],
        ..Capabilities::ALL
    },
    tells_cost: true,
    passes: &["http-referer", "x-title"],
    ..Spec::BASE
};
