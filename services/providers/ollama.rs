//! Ollama: chat completions; newer versions speak Messages and Responses, without a token counter.
use super::spec::{Auth, Native, Presence, Spec};
use crate::translate::MaxTokensField;

pub(super) static SPEC: Spec = Spec {
    name: "ollama",
    base_url: Some("http://127.0.0.1:11434"),
    base_url_env: Some("OLLAMA_ENDPOINT"),
    key_env: Some("OLLAMA_API_KEY"),
    needs_key: false,
    local: true,
    auth: Auth::Bearer,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Found, None),
        Native::responses(Presence::Found, false),
    ],
    models: "/models",
    max_tokens_field: MaxTokensField::MaxTokens,
    documents: false,
};
