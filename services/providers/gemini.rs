//! Google's Gemini API: `generateContent` in Google's own dialect, the model in the path.
use super::{
    Abilities,
    spec::{Ask, Auth, Framing, Hooks, Native, Path, Presence, Spec, segment},
};
use crate::{
    chat::{Operation, Prompt},
    dialect::Dialect,
    translate::Capabilities,
};
use bytes::Bytes;

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
        count_tokens: Some((":countTokens", Presence::Always)),
        headers: &[],
        keeps: false,
    }],
    models: Some(Path::Rooted(models)),
    can: CAN,
    models_can: &[MODELS],
    priced_as: &["gemini"],
    ..Spec::BASE
};

pub(super) static HOOKS: Hooks = Hooks {
    count: Some(count),
    ..Hooks::NONE
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
    format!("/v1beta/models/{}{}", segment(bare(ask.model)), method(ask))
}
fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}
fn models(_: &Ask<'_>) -> String {
    "/v1beta/models?pageSize=1000".to_owned()
}

/// What is done with a model, at the end of its path.
pub(super) const fn method(ask: &Ask<'_>) -> &'static str {
    match (ask.operation, ask.stream) {
        (Operation::CountTokens, _) => ":countTokens",
        (_, true) => ":streamGenerateContent?alt=sse",
        (_, false) => ":generateContent",
    }
}

/// What is counted is a whole request, tools and system included, which names its model again.
fn count(_: Dialect, _: &Prompt, body: Bytes, model: &str) -> Bytes {
    let model = serde_json::Value::from(format!("models/{}", bare(model)));
    let rest = body.strip_prefix(b"{").unwrap_or(&body);
    let head = format!(r#"{{"generateContentRequest":{{"model":{model},"#);
    [head.as_bytes(), rest, b"}"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_carries_a_whole_request() {
        let body = r#"{"model":"m","messages":[]}"#;
        let prompt = Prompt::parse(Dialect::Messages, Operation::CountTokens, body.into()).unwrap();
        let sent = count(
            Dialect::Gemini,
            &prompt,
            r#"{"contents":[]}"#.into(),
            "models/g",
        );
        assert_eq!(
            sent,
            r#"{"generateContentRequest":{"model":"models/g","contents":[]}}"#
        );
    }
}
