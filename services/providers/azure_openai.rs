//! Azure OpenAI: `OpenAI`'s chat completions and Responses under the name of a deployment.
//!
//! The current routes (`/openai/v1/...`) take the deployment as `model` and need no version; where `api_version` is set, the older ones are
//! used, with the deployment in the path. Key in `api-key`, or an Entra token with `auth = "bearer"`. The first chunk of a stream has no
//! choices, only the verdict of the content filter over the prompt.
use super::{
    Setting,
    spec::{Ask, Auth, Framing, Native, Path, Presence, Spec, segment},
};
use crate::{
    dialect::Dialect,
    translate::{Capabilities, MaxTokensField},
};

pub(super) static SPEC: Spec = Spec {
    name: "azure-openai",
    base_url_env: &["AZURE_OPENAI_ENDPOINT"],
    key_env: &["AZURE_OPENAI_API_KEY"],
    settings_env: &[(
        Setting::ApiVersion,
        &["AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"],
    )],
    auth: Auth::Header("api-key"),
    dialects: &[
        Native {
            dialect: Dialect::ChatCompletions,
            presence: Presence::Always,
            generate: Path::Rooted(chat),
            framing: Framing::Sse,
            count_tokens: None,
            headers: &[],
            keeps: false,
        },
        RESPONSES,
    ],
    own: Some(&OWN),
    own_models: super::openai::RESPONSES_ONLY,
    models: Some(Path::Rooted(models)),
    can: Capabilities {
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
        ..Capabilities::ALL
    },
    models_can: &[super::openai::MODELS],
    priced_as: &["azure", "azure_ai"],
    ..Spec::BASE
};

const RESPONSES: Native = Native {
    generate: Path::Rooted(responses),
    ..Native::responses(Presence::Always, true)
};
static OWN: Native = RESPONSES;

fn chat(ask: &Ask<'_>) -> String {
    match &ask.settings.api_version {
        Some(version) => format!(
            "/openai/deployments/{}/chat/completions?api-version={}",
            segment(ask.model),
            segment(version)
        ),
        None => "/openai/v1/chat/completions".to_owned(),
    }
}

fn responses(ask: &Ask<'_>) -> String {
    match &ask.settings.api_version {
        Some(version) => format!("/openai/responses?api-version={}", segment(version)),
        None => "/openai/v1/responses".to_owned(),
    }
}

fn models(ask: &Ask<'_>) -> String {
    match &ask.settings.api_version {
        Some(version) => format!("/openai/models?api-version={}", segment(version)),
        None => "/openai/v1/models".to_owned(),
    }
}
