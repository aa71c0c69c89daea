//! Any server that speaks Anthropic's Messages. Not all of them count tokens.
use super::spec::{Auth, COUNT_TOKENS, Native, Path, Presence, Spec};

pub(super) static SPEC: Spec = Spec {
    name: "anthropic-compatible",
    needs_key: false,
    auth: Auth::XApiKey,
    dialects: &[Native::messages(
        Presence::Always,
        Some((COUNT_TOKENS, Presence::Found)),
    )],
    models: Some(Path::Fixed("/models?limit=1000")),
    ..Spec::BASE
};
