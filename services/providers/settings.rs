//! What some kinds want to know besides an address and a key.
use super::Secret;
use std::{fmt, str::FromStr};

/// What some kinds of provider want to know besides an address and a key. What a kind does not know, it does not look at.
///
/// ```
/// use tierway_services::providers::{Kind, Provider, Settings};
/// let settings = Settings { project: Some("my-project".into()), region: Some("europe-west1".into()), ..Settings::default() };
/// let provider = Provider::new("google", Kind::Vertex).settings(settings);
/// assert_eq!(provider.origin(), "https://europe-west1-aiplatform.googleapis.com");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The version of the API, where it is part of a query: Azure OpenAI's older routes.
    pub api_version: Option<String>,
    /// The project that calls are billed to: Vertex AI.
    pub project: Option<String>,
    /// Where the models run: Vertex AI, Bedrock.
    pub region: Option<String>,
    /// The id of a service principal: Databricks.
    pub client_id: Option<String>,
    /// The secret of a service principal: Databricks.
    pub client_secret: Option<Secret>,
    /// The contents of a credentials file: a service account's key for Vertex AI.
    pub credentials: Option<Secret>,
    /// How the key is sent, where that is not as the kind usually does.
    pub auth: Option<AuthStyle>,
    /// Whether the server is asked in its own dialect rather than in chat completions: Ollama's `/api/chat`, `OpenAI`'s Responses.
    pub native_chat: bool,
}

/// How a key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthStyle {
    /// `authorization: Bearer ...`
    Bearer,
    /// `api-key: ...`
    ApiKey,
    /// `x-api-key: ...`
    XApiKey,
}

impl AuthStyle {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Bearer, Self::ApiKey, Self::XApiKey];

    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::ApiKey => "api-key",
            Self::XApiKey => "x-api-key",
        }
    }
}

impl fmt::Display for AuthStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no [`AuthStyle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseAuthStyleError(());

impl fmt::Display for ParseAuthStyleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a way to send a key: write bearer, api-key or x-api-key")
    }
}
impl std::error::Error for ParseAuthStyleError {}

impl FromStr for AuthStyle {
    type Err = ParseAuthStyleError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|style| style.as_str().eq_ignore_ascii_case(s))
            .ok_or(ParseAuthStyleError(()))
    }
}
