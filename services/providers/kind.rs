//! The kinds of provider, by name.
use super::{
    Setting, anthropic, anthropic_compatible, azure_anthropic, azure_openai, bedrock, databricks,
    gemini, llamacpp, lmstudio, ollama, openai, openai_compatible, openrouter, presets,
    spec::{Hooks, Spec},
    vertex,
};
use std::{fmt, str::FromStr};

/// A kind of provider: who made it, and so how it is spoken to.
///
/// ```
/// use tierway_services::providers::Kind;
/// let kind: Kind = "llamacpp".parse().unwrap();
/// assert_eq!(kind.default_base_url(), Some("http://127.0.0.1:8080"));
/// assert!(kind.is_local());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Anthropic.
    Anthropic,
    /// `OpenAI`.
    OpenAi,
    /// `OpenRouter`.
    OpenRouter,
    /// Amazon Bedrock.
    Bedrock,
    /// Ollama.
    Ollama,
    /// llama.cpp's server.
    LlamaCpp,
    /// LM Studio.
    LmStudio,
    /// Azure OpenAI.
    AzureOpenAi,
    /// Anthropic's models in Azure AI Foundry.
    AzureAnthropic,
    /// Databricks.
    Databricks,
    /// Google's Gemini API.
    Gemini,
    /// Google's Vertex AI.
    Vertex,
    /// DeepSeek.
    DeepSeek,
    /// Groq.
    Groq,
    /// Mistral.
    Mistral,
    /// xAI.
    Xai,
    /// Together.
    Together,
    /// Fireworks.
    Fireworks,
    /// Moonshot.
    Moonshot,
    /// Z.ai.
    Zai,
    /// Cerebras.
    Cerebras,
    /// vLLM.
    Vllm,
    /// Any server that speaks `OpenAI`'s chat completions.
    OpenAiCompatible,
    /// Any server that speaks Anthropic's Messages.
    AnthropicCompatible,
}

impl Kind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[
        Self::Anthropic,
        Self::OpenAi,
        Self::OpenRouter,
        Self::Bedrock,
        Self::Ollama,
        Self::LlamaCpp,
        Self::LmStudio,
        Self::AzureOpenAi,
        Self::AzureAnthropic,
        Self::Databricks,
        Self::Gemini,
        Self::Vertex,
        Self::DeepSeek,
        Self::Groq,
        Self::Mistral,
        Self::Xai,
        Self::Together,
        Self::Fireworks,
        Self::Moonshot,
        Self::Zai,
        Self::Cerebras,
        Self::Vllm,
        Self::OpenAiCompatible,
        Self::AnthropicCompatible,
    ];

    pub(crate) const fn spec(self) -> &'static Spec {
        match self {
            Self::Anthropic => &anthropic::SPEC,
            Self::OpenAi => &openai::SPEC,
            Self::OpenRouter => &openrouter::SPEC,
            Self::Bedrock => &bedrock::SPEC,
            Self::Ollama => &ollama::SPEC,
            Self::LlamaCpp => &llamacpp::SPEC,
            Self::LmStudio => &lmstudio::SPEC,
            Self::AzureOpenAi => &azure_openai::SPEC,
            Self::AzureAnthropic => &azure_anthropic::SPEC,
            Self::Databricks => &databricks::SPEC,
            Self::Gemini => &gemini::SPEC,
            Self::Vertex => &vertex::SPEC,
            Self::DeepSeek => &presets::DEEPSEEK,
            Self::Groq => &presets::GROQ,
            Self::Mistral => &presets::MISTRAL,
            Self::Xai => &presets::XAI,
            Self::Together => &presets::TOGETHER,
            Self::Fireworks => &presets::FIREWORKS,
            Self::Moonshot => &presets::MOONSHOT,
            Self::Zai => &presets::ZAI,
            Self::Cerebras => &presets::CEREBRAS,
            Self::Vllm => &presets::VLLM,
            Self::OpenAiCompatible => &openai_compatible::SPEC,
            Self::AnthropicCompatible => &anthropic_compatible::SPEC,
        }
    }

    pub(crate) const fn hooks(self) -> &'static Hooks {
        match self {
            Self::Bedrock => &bedrock::HOOKS,
            Self::Gemini => &gemini::HOOKS,
            Self::Vertex => &vertex::HOOKS,
            _ => &Hooks::NONE,
        }
    }

    /// The name in the configuration: `anthropic`, `openai-compatible`, ...
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.spec().name
    }
    /// Where it listens unless told otherwise; `None` where only the user can know.
    #[must_use]
    pub const fn default_base_url(self) -> Option<&'static str> {
        self.spec().base_url
    }
    /// Where it listens in a region; `None` where that is the same everywhere, or where this can be no region's name.
    ///
    /// ```
    /// use tierway_services::providers::Kind;
    /// let url = Kind::Bedrock.base_url_in("eu-west-1");
    /// assert_eq!(url.as_deref(), Some("https://bedrock-runtime.eu-west-1.amazonaws.com"));
    /// ```
    #[must_use]
    pub fn base_url_in(self, region: &str) -> Option<String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let named = !region.is_empty() && region.len() <= 32 && region.bytes().all(plain);
        let host = self.spec().regional.filter(|_| named)?;
        Some(host(region))
    }
    /// The environment variables that users of this kind keep its key in, the usual one first.
    #[must_use]
    pub const fn key_env(self) -> &'static [&'static str] {
        self.spec().key_env
    }
    /// The environment variables that users of this kind keep its address in, the usual one first.
    #[must_use]
    pub const fn base_url_env(self) -> &'static [&'static str] {
        self.spec().base_url_env
    }
    /// The environment variables that users of this kind keep other settings in.
    #[must_use]
    pub const fn settings_env(self) -> &'static [(Setting, &'static [&'static str])] {
        self.spec().settings_env
    }
    /// What its models are called in price lists, before a slash.
    #[must_use]
    pub const fn priced_as(self) -> &'static [&'static str] {
        self.spec().priced_as
    }
    /// Whether it runs on one's own machine: it needs no key, and its answers cost nothing.
    #[must_use]
    pub const fn is_local(self) -> bool {
        self.spec().local
    }
    /// Whether calls without a key are signed with credentials that are found when they are needed.
    #[must_use]
    pub const fn signs(self) -> bool {
        matches!(self, Self::Bedrock)
    }
    /// Whether it answers nobody without a key.
    #[must_use]
    pub const fn needs_key(self) -> bool {
        self.spec().needs_key
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseKindError(());

impl fmt::Display for ParseKindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a kind of provider: write one of")?;
        for (i, kind) in Kind::ALL.iter().enumerate() {
            write!(f, "{} {kind}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
impl std::error::Error for ParseKindError {}

impl FromStr for Kind {
    type Err = ParseKindError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(s))
            .ok_or(ParseKindError(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_are_unique() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
        }
        let error = "gpt".parse::<Kind>().unwrap_err().to_string();
        assert!(
            error.contains("one of anthropic, openai, openrouter,"),
            "{error}"
        );
    }

    #[test]
    fn who_is_local_needs_no_key() {
        for kind in Kind::ALL {
            assert!(!(kind.is_local() && kind.needs_key()), "{kind}");
            assert!(!kind.spec().dialects.is_empty(), "{kind}");
        }
    }
}
