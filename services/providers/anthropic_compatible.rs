//! Any server that speaks Anthropic's Messages. Not all of them count tokens.
use super::spec::{Auth, COUNT_TOKENS, Native, Presence, Spec};
use crate::translate::MaxTokensField;

pub(super) static SPEC: Spec = Spec {
    name: "anthropic-compatible",
    base_url: None,
    base_url_env: None,
    key_env: None,
    needs_key: false,
    local: false,
    auth: Auth::XApiKey,
    dialects: &[Native::messages(
        Presence::Always,
        Some((COUNT_TOKENS, Presence::Found)),
    )],
    models: "/models?limit=1000",
    max_tokens_field: MaxTokensField::MaxTokens,
    documents: true,
};
