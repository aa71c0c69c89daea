//! llama.cpp's server: chat completions; newer versions speak Messages and Responses and count tokens.
use super::spec::{Auth, COUNT_TOKENS, Native, Presence, Spec};
use crate::translate::MaxTokensField;

pub(super) static SPEC: Spec = Spec {
    name: "llamacpp",
    base_url: Some("http://127.0.0.1:8080"),
    base_url_env: Some("LLAMACPP_ENDPOINT"),
    key_env: Some("LLAMACPP_API_KEY"),
    needs_key: false,
    local: true,
    auth: Auth::Bearer,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Found, Some((COUNT_TOKENS, Presence::Found))),
        Native::responses(Presence::Found, false),
    ],
    models: "/models",
    max_tokens_field: MaxTokensField::MaxTokens,
    documents: false,
};
