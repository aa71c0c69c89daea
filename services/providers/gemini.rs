//! Google's Gemini API: `generateContent` in Google's own dialect, the model in the path.
use super::{
    Abilities,
    spec::{Ask, Auth, Framing, Native, Path, Presence, Spec, segment},
};
use crate::{dialect::Dialect, translate::Capabilities};

pub(super) static SPEC: Spec = Spec {
    name: "gemini",
    base_url: Some("https://generativelanguage.googleapis.com"),
    base_url_env: &["GEMINI_API_BASE"],
    key_env: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    auth: Auth::Header("x-goog-api-key"),
    dialects: &[Native {
        dialect: Dialect::Gemini,
        presence: Presence::Always,
        generate: Path::Rooted(generate),
        framing: Framing::Sse,
        count_tokens: None,
        headers: &[],
        keeps: false,
    }],
    models: Some(Path::Rooted(models)),
    can: CAN,
    models_can: MODELS,
    priced_as: &["gemini"],
    ..Spec::BASE
};

/// What Gemini's models can, wherever they are asked.
pub(super) const CAN: Capabilities = Capabilities {
    logprobs: false,
    parallel_tools: false,
    ..Capabilities::ALL
};
/// How much to think is told newer ones by a word, older ones by a number.
pub(super) const MODELS: &[(&str, Abilities)] = &[
    ("gemini-*", Abilities::EFFORT),
    ("gemini-1*", Abilities::UNTOLD),
    ("gemini-2.0*", Abilities::UNTOLD),
    ("gemini-2.5*", Abilities::BUDGET),
];

fn generate(ask: &Ask<'_>) -> String {
    let model = ask.model.strip_prefix("models/").unwrap_or(ask.model);
    format!("/v1beta/models/{}{}", segment(model), method(ask.stream))
}
fn models(_: &Ask<'_>) -> String {
    "/v1beta/models?pageSize=1000".to_owned()
}

/// What is done with a model, at the end of its path.
pub(super) const fn method(stream: bool) -> &'static str {
    if stream {
        ":streamGenerateContent?alt=sse"
    } else {
        ":generateContent"
    }
}
