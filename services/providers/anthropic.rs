//! Anthropic: Messages only, its own token counter, a list of models in pages.
use super::spec::{Auth, COUNT_TOKENS, Native, Presence, Spec};
use crate::translate::MaxTokensField;

pub(super) static SPEC: Spec = Spec {
    name: "anthropic",
    base_url: Some("https://api.anthropic.com"),
    base_url_env: None,
    key_env: Some("ANTHROPIC_API_KEY"),
    needs_key: true,
    local: false,
    auth: Auth::XApiKey,
    dialects: &[Native::messages(
        Presence::Always,
        Some((COUNT_TOKENS, Presence::Always)),
    )],
    models: "/models?limit=1000",
    max_tokens_field: MaxTokensField::MaxTokens,
    documents: true,
};
