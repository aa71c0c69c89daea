//! `OpenRouter`: chat completions over many vendors; Messages too, which the user may ask for.
use super::spec::{Auth, Native, Presence, Spec};
use crate::translate::MaxTokensField;

pub(super) static SPEC: Spec = Spec {
    name: "openrouter",
    base_url: Some("https://openrouter.ai/api/v1"),
    base_url_env: Some("OPENROUTER_ENDPOINT"),
    key_env: Some("OPENROUTER_API_KEY"),
    needs_key: true,
    local: false,
    auth: Auth::Bearer,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Configured, None),
        Native::responses(Presence::Configured, false),
    ],
    models: "/models",
    max_tokens_field: MaxTokensField::MaxTokens,
    documents: true,
};
