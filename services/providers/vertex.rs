//! Google's Vertex AI, in a project and a region: Gemini in its own dialect, and Claude in Anthropic's Messages.
//!
//! Claude is named as Anthropic names it, with an `@` before the date (`claude-sonnet-4-5@20250929`). Its bodies travel in an
//! [envelope](super::envelope); betas stay in the header, where Vertex looks for them.
//!
//! It is called with a token: one that is fetched, and renewed before it ends, for a service account or a user's own application-default
//! credentials (`credentials_file`, `GOOGLE_APPLICATION_CREDENTIALS`); or one given as the key.
use super::{
    Abilities, Provider, Secret, Setting, anthropic, envelope, gemini, google,
    spec::{Adapted, Ask, Auth, Framing, Hooks, Native, Path, Presence, Spec, segment},
    step,
};
use crate::{
    chat::{Operation, Prompt},
    dialect::Dialect,
    translate::json::Fields,
    upstream::Client,
};
use bytes::Bytes;
use http::{HeaderMap, Request};
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
    dialects: &[
        Native {
            dialect: Dialect::Gemini,
            presence: Presence::Always,
            generate: Path::Rooted(google_path),
            framing: Framing::Sse,
            count_tokens: Some((":countTokens", Presence::Always)),
            headers: &[],
            keeps: false,
        },
        Native {
            dialect: Dialect::Messages,
            presence: Presence::Always,
            generate: Path::Rooted(anthropic_path),
            framing: Framing::Sse,
            // Not every region counts.
            count_tokens: Some(("/count-tokens:rawPredict", Presence::Found)),
            headers: &[],
            keeps: false,
        },
    ],
    models: None,
    can: gemini::CAN,
    models_can: &[gemini::MODELS, anthropic::MODELS, CLAUDE],
    priced_as: &["vertex_ai", "gemini"],
    ..Spec::BASE
};

/// What Claude can and Gemini cannot.
const CLAUDE: &[(&str, Abilities)] = &[(
    "claude-*",
    Abilities {
        parallel_tools: Some(true),
        ..Abilities::UNKNOWN
    },
)];

pub(super) static HOOKS: Hooks = Hooks {
    speaks: Some(speaks),
    body: Some(body),
    count: Some(count),
    ..Hooks::NONE
};

/// Where nothing else is said, models run wherever there is room.
const ANYWHERE: &str = "global";

fn host(region: &str) -> String {
    match region {
        ANYWHERE => "https://aiplatform.googleapis.com".to_owned(),
        // Wherever there is room in these parts of the world.
        "us" | "eu" => format!("https://aiplatform.{region}.rep.googleapis.com"),
        _ => format!("https://{region}-aiplatform.googleapis.com"),
    }
}

/// Each family has one dialect.
fn speaks(dialect: Dialect, model: &str) -> bool {
    (dialect == Dialect::Messages) == model.starts_with("claude-")
}

// === paths ===

fn google_path(ask: &Ask<'_>) -> String {
    let (model, method) = (segment(ask.model), gemini::method(ask));
    format!("{}/google/models/{model}{method}", publishers(ask))
}

fn anthropic_path(ask: &Ask<'_>) -> String {
    let (model, verb) = match (ask.operation, ask.stream) {
        (Operation::CountTokens, _) => ("count-tokens".into(), "rawPredict"),
        (_, true) => (segment(ask.model), "streamRawPredict"),
        (_, false) => (segment(ask.model), "rawPredict"),
    };
    format!("{}/anthropic/models/{model}:{verb}", publishers(ask))
}

fn publishers(ask: &Ask<'_>) -> String {
    let region = ask.settings.region.as_deref().unwrap_or(ANYWHERE);
    let account = || google::project(ask.settings.credentials.as_ref()?);
    let project = ask.settings.project.clone().or_else(account);
    format!(
        "/v1/projects/{}/locations/{}/publishers",
        segment(&project.unwrap_or_default()),
        segment(region),
    )
}

// === bodies ===

/// The version of the dialect that Vertex asks for.
const VERSION: &str = r#""anthropic_version":"vertex-2023-10-16""#;

fn body(prompt: &Prompt, _: &HeaderMap, _: &str) -> Adapted {
    envelope::adapt(prompt, VERSION.to_owned(), &["model", "anthropic_version"])
}

/// Claude's counter is told the model in the body; Gemini's knows only the part of a request that is read by the model.
fn count(dialect: Dialect, _: &Prompt, body: Bytes, model: &str) -> Bytes {
    if dialect == Dialect::Messages {
        let model = serde_json::Value::from(model);
        return envelope::with(&body, &format!(r#""model":{model}"#)).into();
    }
    const READ: [&str; 4] = ["contents", "systemInstruction", "tools", "generationConfig"];
    let raw = std::str::from_utf8(&body).unwrap_or_default();
    let fields = Fields::parse(raw).unwrap_or_default();
    let read = READ.iter().filter_map(|name| {
        let value = fields.get(name)?;
        Some(format!(r#""{name}":{}"#, value.get()))
    });
    format!("{{{}}}", read.collect::<Vec<_>>().join(",")).into()
}

// === who calls ===

fn prove<'a>(
    provider: &'a Provider,
    client: &'a Client,
    mut request: Request<Bytes>,
) -> Pin<Box<dyn Future<Output = Result<Request<Bytes>, String>> + Send + 'a>> {
    Box::pin(async move {
        if request.uri().path().ends_with("awPredict") {
            step::without_query(&mut request)?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_its_host() {
        for (region, expected) in [
            ("global", "https://aiplatform.googleapis.com"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com"),
            ("us-east5", "https://us-east5-aiplatform.googleapis.com"),
        ] {
            assert_eq!(host(region), expected);
        }
    }

    #[test]
    fn geminis_counter_is_asked_what_it_knows() {
        let body = r#"{"model":"m","messages":[]}"#;
        let prompt = Prompt::parse(Dialect::Messages, Operation::CountTokens, body.into()).unwrap();
        let body = r#"{"contents":[1.00],"toolConfig":{},"tools":[]}"#;
        assert_eq!(
            count(Dialect::Gemini, &prompt, body.into(), "m"),
            r#"{"contents":[1.00],"tools":[]}"#
        );
    }
}
