//! LM Studio: chat completions; newer versions speak Messages and Responses, without a token counter.
use super::spec::{Auth, Native, Presence, Spec};
use crate::translate::MaxTokensField;

pub(super) static SPEC: Spec = Spec {
    name: "lmstudio",
    base_url: Some("http://127.0.0.1:1234"),
    base_url_env: Some("LMSTUDIO_ENDPOINT"),
    key_env: Some("LMSTUDIO_API_KEY"),
    needs_key: false,
    local: true,
    auth: Auth::Bearer,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Found, None),
        Native::responses(Presence::Found, true),
    ],
    models: "/models",
    max_tokens_field: MaxTokensField::MaxTokens,
    documents: false,
};
