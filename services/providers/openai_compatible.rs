//! Any server that speaks `OpenAI`'s chat completions. Some speak Messages or Responses too, which the user says.
use super::spec::{Auth, COUNT_TOKENS, Native, Presence, Spec};
use crate::translate::MaxTokensField;

pub(super) static SPEC: Spec = Spec {
    name: "openai-compatible",
    base_url: None,
    base_url_env: None,
    key_env: None,
    needs_key: false,
    local: false,
    auth: Auth::Bearer,
    dialects: &[
        Native::chat(),
        Native::messages(Presence::Configured, Some((COUNT_TOKENS, Presence::Found))),
        Native::responses(Presence::Configured, false),
    ],
    models: "/models",
    max_tokens_field: MaxTokensField::MaxTokens,
    documents: true,
};
