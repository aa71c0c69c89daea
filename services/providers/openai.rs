//! `OpenAI`: chat completions and Responses; its newer models take `max_completion_tokens` only.
use super::spec::{Auth, Native, Presence, Spec};
use crate::translate::MaxTokensField;

pub(super) static SPEC: Spec = Spec {
    name: "openai",
    base_url: Some("https://api.openai.com"),
    base_url_env: Some("OPENAI_ENDPOINT"),
    key_env: Some("OPENAI_API_KEY"),
    needs_key: true,
    local: false,
    auth: Auth::Bearer,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Configured, None),
        Native::responses(Presence::Always, true),
    ],
    models: "/models",
    max_tokens_field: MaxTokensField::MaxCompletionTokens,
    documents: true,
};
