//! Anthropic: Messages only, its own token counter, a list of models in pages.
use super::{
    Abilities,
    spec::{Auth, COUNT_TOKENS, Native, Path, Presence, Spec},
};

pub(super) static SPEC: Spec = Spec {
    name: "anthropic",
    base_url: Some("https://api.anthropic.com"),
    key_env: &["ANTHROPIC_API_KEY"],
    auth: Auth::XApiKey,
    dialects: &[Native::messages(
        Presence::Always,
        Some((COUNT_TOKENS, Presence::Always)),
    )],
    models: Some(Path::Fixed("/models?limit=1000")),
    models_can: &[MODELS],
    ..Spec::BASE
};

/// How much to think is told newer models by a word, older ones by a number.
pub(super) const MODELS: &[(&str, Abilities)] = &[
    ("claude-*", Abilities::EFFORT),
    ("claude-3*", Abilities::UNTOLD),
    ("claude-3-7*", Abilities::BUDGET),
    ("claude-*-4-0*", Abilities::BUDGET),
    ("claude-*-4-1*", Abilities::BUDGET),
    ("claude-*-4-2025*", Abilities::BUDGET),
    ("claude-*-4-5*", Abilities::BUDGET),
];
