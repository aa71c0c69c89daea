//! Amazon Bedrock: Converse for every model, and Anthropic's Messages, in envelopes of Amazon's, for Claude.
//!
//! A call bears an API key, or is signed with the credentials that Amazon's own tools would use (feature `bedrock`). Models are named by
//! their ids (`anthropic.claude-...`), by inference profiles (`us.anthropic.claude-...`), or by ARNs.
#[cfg(feature = "bedrock")]
mod chain;
#[cfg(feature = "bedrock")]
mod credentials;
mod messages;
#[cfg(feature = "bedrock")]
mod sign;

#[cfg(feature = "bedrock")]
pub(super) use credentials::Credentials;

use super::{
    Abilities, Provider, Setting,
    spec::{Ask, Auth, Framing, Hooks, Native, Path, Presence, Spec},
    step,
};
use crate::{
    chat::{Operation, Refusal},
    dialect::Dialect,
    translate::{
        Capabilities,
        converse::{Family, refusal, scrubbed},
    },
    upstream::Client,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION},
};
use std::{borrow::Cow, fmt::Write, pin::Pin};

/// Where calls go unless told otherwise.
#[cfg(feature = "bedrock")]
const REGION: &str = "us-east-1";

pub(super) static SPEC: Spec = Spec {
    name: "bedrock",
    base_url: Some("https://bedrock-runtime.us-east-1.amazonaws.com"),
    regional: Some(host),
    key_env: &["AWS_BEARER_TOKEN_BEDROCK", "AWS_BEDROCK_API_KEY"],
    settings_env: &[(Setting::Region, &["AWS_REGION", "AWS_DEFAULT_REGION"])],
    needs_key: false,
    auth: Auth::Step(prove),
    dialects: &[
        Native {
            dialect: Dialect::Converse,
            presence: Presence::Always,
            generate: Path::Rooted(converse_path),
            framing: Framing::EventStream,
            count_tokens: None,
            headers: &[],
            keeps: false,
        },
        Native {
            dialect: Dialect::Messages,
            presence: Presence::Always,
            generate: Path::Rooted(invoke_path),
            framing: Framing::EventStream,
            count_tokens: Some(("/count-tokens", Presence::Found)),
            headers: &[],
            keeps: false,
        },
    ],
    // They are listed elsewhere, by another service that needs other rights.
    models: None,
    can: Capabilities {
        logprobs: false,
        parallel_tools: false,
        ..Capabilities::ALL
    },
    models_can: &[MODELS],
    ..Spec::BASE
};

/// How much to think: as Anthropic's own models are told it, whatever stands before and behind their names.
const MODELS: &[(&str, Abilities)] = &[
    ("*anthropic.claude-*", Abilities::EFFORT),
    ("*anthropic.claude-instant*", Abilities::UNTOLD),
    ("*anthropic.claude-v2*", Abilities::UNTOLD),
    ("*anthropic.claude-3*", Abilities::UNTOLD),
    ("*anthropic.claude-3-7*", Abilities::BUDGET),
    ("*anthropic.claude-*-4-0*", Abilities::BUDGET),
    ("*anthropic.claude-*-4-1*", Abilities::BUDGET),
    ("*anthropic.claude-*-4-2025*", Abilities::BUDGET),
    ("*anthropic.claude-*-4-5*", Abilities::BUDGET),
    ("*openai.gpt-oss*", Abilities::EFFORT),
];

pub(super) static HOOKS: Hooks = Hooks {
    speaks: Some(speaks),
    body: Some(messages::body),
    count: Some(messages::count),
    error: Some(error),
};

/// Where it listens in a region.
fn host(region: &str) -> String {
    let end = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://bedrock-runtime.{region}.{end}")
}

/// Claude is spoken to in its own dialect, so that nothing gets lost.
fn speaks(dialect: Dialect, model: &str) -> bool {
    dialect != Dialect::Messages || Family::of(model) == Family::Claude
}

// === paths ===

fn converse_path(ask: &Ask<'_>) -> String {
    let verb = if ask.stream {
        "converse-stream"
    } else {
        "converse"
    };
    format!("/model/{}/{verb}", encoded(ask.model))
}

fn invoke_path(ask: &Ask<'_>) -> String {
    match (ask.operation, ask.stream) {
        (Operation::CountTokens, _) => {
            format!("/model/{}/count-tokens", encoded(foundation(ask.model)))
        }
        (_, true) => format!("/model/{}/invoke-with-response-stream", encoded(ask.model)),
        (_, false) => format!("/model/{}/invoke", encoded(ask.model)),
    }
}

/// A segment of a path: everything but letters, digits and `-._~` percent-encoded, the slashes and colons of an ARN too.
fn encoded(model: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if model.bytes().all(plain) {
        return Cow::Borrowed(model);
    }
    let mut out = String::with_capacity(model.len() + 16);
    for byte in model.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Cow::Owned(out)
}

/// The model behind an inference profile of Amazon's own, by their names: tokens are counted by models, not by profiles.
fn foundation(model: &str) -> &str {
    const GEOGRAPHIES: [&str; 8] = [
        "us.", "eu.", "apac.", "global.", "jp.", "au.", "ca.", "us-gov.",
    ];
    let name = match model.rsplit_once("inference-profile/") {
        Some((before, name)) if !before.ends_with("application-") => name,
        Some(_) => return model,
        None => model,
    };
    GEOGRAPHIES
        .iter()
        .find_map(|geography| name.strip_prefix(geography))
        .unwrap_or(name)
}

// === errors ===

/// What an error means, and without whose account it happened in: that goes to the log.
fn error(provider: &Provider, headers: &HeaderMap, status: StatusCode, body: &[u8]) -> Refusal {
    #[derive(Default, serde::Deserialize)]
    struct Told {
        #[serde(alias = "Message")]
        message: Option<String>,
        #[serde(rename = "__type")]
        kind: Option<String>,
    }
    let told: Told = serde_json::from_slice(body).unwrap_or_default();
    let header = headers.get(ERROR_TYPE).and_then(|h| h.to_str().ok());
    let name = header.or(told.kind.as_deref()).unwrap_or_default();
    let message = match told.message {
        Some(message) => message,
        None if name.is_empty() => {
            return crate::translate::error(Dialect::Converse, status, body);
        }
        None => String::new(),
    };
    if let Cow::Owned(_) = scrubbed(&message) {
        tracing::warn!(provider = provider.name(), %status, name, "{message}");
    }
    #[cfg(feature = "bedrock")]
    if provider.key().is_none() && status == StatusCode::FORBIDDEN {
        provider.credentials().doubt();
    }
    refusal(name, Some(status), &message)
}

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

// === who calls ===

/// Anthropic's headers, whose words stand in the body at Bedrock.
const IN_BODY: [&str; 3] = [
    "anthropic-version",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
];

type Proven<'a> = Pin<Box<dyn Future<Output = Result<Request<Bytes>, String>> + Send + 'a>>;

/// Writes a key, or signs.
fn prove<'a>(
    provider: &'a Provider,
    client: &'a Client,
    mut request: Request<Bytes>,
) -> Proven<'a> {
    Box::pin(async move {
        for name in IN_BODY {
            request.headers_mut().remove(name);
        }
        step::without_query(&mut request)?;
        if request.uri().path().ends_with("-stream") {
            request.headers_mut().insert(
                ACCEPT,
                HeaderValue::from_static("application/vnd.amazon.eventstream"),
            );
        }
        if request.headers().contains_key(AUTHORIZATION) {
            // The caller's own.
            return Ok(request);
        }
        if let Some(key) = provider.key() {
            let value = key
                .header("Bearer ")
                .ok_or("api_key holds characters that no header can carry")?;
            request.headers_mut().insert(AUTHORIZATION, value);
            return Ok(request);
        }
        signed(provider, client, request).await
    })
}

#[cfg(feature = "bedrock")]
async fn signed(
    provider: &Provider,
    client: &Client,
    mut request: Request<Bytes>,
) -> Result<Request<Bytes>, String> {
    let region = provider.told().region.as_deref().unwrap_or(REGION);
    let ask = || chain::ask(client, region);
    let credentials = provider.credentials().get(ask).await?;
    let now = std::time::SystemTime::now();
    sign::sign(&mut request, &credentials, region, "bedrock", now)?;
    Ok(request)
}

#[cfg(not(feature = "bedrock"))]
async fn signed(_: &Provider, _: &Client, _: Request<Bytes>) -> Result<Request<Bytes>, String> {
    Err("it has no api_key, and this build cannot sign".to_owned())
}

#[cfg(test)]
mod tests;
