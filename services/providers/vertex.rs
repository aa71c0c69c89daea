//! Google's Vertex AI: Gemini's dialect, in a project and a region.
//!
//! It is called with a token: one that is fetched, and renewed before it ends, for a service account or a user's own application-default
//! credentials (`credentials_file`, `GOOGLE_APPLICATION_CREDENTIALS`); or one given as the key.
use super::{
    Provider, Secret, Setting, gemini, google,
    spec::{Ask, Auth, Framing, Native, Path, Presence, Spec, segment},
    step,
};
use crate::{dialect::Dialect, upstream::Client};
use bytes::Bytes;
use http::Request;
use std::pin::Pin;

pub(super) static SPEC: Spec = Spec {
    name: "vertex",
    base_url: Some("https://aiplatform.googleapis.com"),
    regional: Some(host),
    base_url_env: &["VERTEX_ENDPOINT"],
    key_env: &["VERTEX_ACCESS_TOKEN"],
    settings_env: &[
        (
            Setting::Project,
            &["GOOGLE_CLOUD_PROJECT", "VERTEXAI_PROJECT"],
        ),
        (
            Setting::Region,
            &[
                "GOOGLE_CLOUD_LOCATION",
                "VERTEXAI_LOCATION",
                "CLOUD_ML_REGION",
            ],
        ),
        (
            Setting::CredentialsFile,
            &["GOOGLE_APPLICATION_CREDENTIALS"],
        ),
    ],
    auth: Auth::Step(prove),
    dialects: &[Native {
        dialect: Dialect::Gemini,
        presence: Presence::Always,
        generate: Path::Rooted(generate),
        framing: Framing::Sse,
        count_tokens: None,
        headers: &[],
        keeps: false,
    }],
    models: None,
    can: gemini::CAN,
    models_can: gemini::MODELS,
    priced_as: &["vertex_ai", "gemini"],
    ..Spec::BASE
};

/// Where nothing else is said, models run wherever there is room.
const ANYWHERE: &str = "global";

fn host(region: &str) -> String {
    if region == ANYWHERE {
        "https://aiplatform.googleapis.com".to_owned()
    } else {
        format!("https://{region}-aiplatform.googleapis.com")
    }
}

fn generate(ask: &Ask<'_>) -> String {
    let region = ask.settings.region.as_deref().unwrap_or(ANYWHERE);
    let account = || google::project(ask.settings.credentials.as_ref()?);
    let project = ask.settings.project.clone().or_else(account);
    format!(
        "/v1/projects/{}/locations/{}/publishers/google/models/{}{}",
        segment(&project.unwrap_or_default()),
        segment(region),
        segment(ask.model),
        gemini::method(ask.stream)
    )
}

fn prove<'a>(
    provider: &'a Provider,
    client: &'a Client,
    mut request: Request<Bytes>,
) -> Pin<Box<dyn Future<Output = Result<Request<Bytes>, String>> + Send + 'a>> {
    Box::pin(async move {
        let token = match (provider.key(), &provider.told().credentials) {
            (Some(key), _) => key.clone(),
            (None, Some(credentials)) => fetched(provider, client, credentials).await?,
            (None, None) => return Err("it has neither a key nor credentials".to_owned()),
        };
        step::bearer(&mut request, &token)?;
        Ok(request)
    })
}

async fn fetched(
    provider: &Provider,
    client: &Client,
    credentials: &Secret,
) -> Result<Secret, String> {
    let fetch = || google::fetch(client, credentials);
    provider.token().get(fetch).await
}
