//! Anthropic's models in Azure AI Foundry: Messages below `/anthropic`, under the name of a deployment. There is no list of models.
//!
//! Key in `x-api-key`, or an Entra token with `auth = "bearer"`.
use super::spec::{Ask, Auth, COUNT_TOKENS, Native, Path, Presence, Spec};
use crate::chat::Operation;

pub(super) static SPEC: Spec = Spec {
    name: "azure-anthropic",
    base_url_env: &["AZURE_ANTHROPIC_ENDPOINT", "ANTHROPIC_FOUNDRY_BASE_URL"],
    key_env: &["AZURE_ANTHROPIC_API_KEY", "ANTHROPIC_FOUNDRY_API_KEY"],
    auth: Auth::XApiKey,
    dialects: &[Native {
        generate: Path::Rooted(messages),
        ..Native::messages(Presence::Always, Some((COUNT_TOKENS, Presence::Found)))
    }],
    models: None,
    models_can: &[super::anthropic::MODELS],
    priced_as: &["azure_ai"],
    ..Spec::BASE
};

fn messages(ask: &Ask<'_>) -> String {
    match ask.operation {
        Operation::CountTokens => format!("/anthropic/v1{COUNT_TOKENS}"),
        _ => "/anthropic/v1/messages".to_owned(),
    }
}
