//! What a model can take, where it is asked in another dialect than the caller's.
use std::{fmt, str::FromStr};

/// What the model behind a provider can do. Consulted only where a request is translated: what already is in the provider's dialect passes
/// as it came, and the provider judges it.
///
/// ```
/// use tierway_services::translate::{Capabilities, MaxTokensField};
/// let mut o_series = Capabilities::default();
/// o_series.max_tokens_field = MaxTokensField::MaxCompletionTokens;
/// assert!(o_series.tools && o_series.vision);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// By which name the limit on output goes (chat completions).
    pub max_tokens_field: MaxTokensField,
    /// The limit on output where the caller sets none and the dialect demands one (Messages). 4096 by default.
    pub default_max_tokens: u64,
    /// The most output tokens that the model takes as a limit; a higher wish is lowered to it. `None`, the default, passes any wish.
    pub max_output: Option<u64>,
    /// Whether tools can be offered; without, a request with tools is refused.
    pub tools: bool,
    /// Whether images can be shown; without, a request with images is refused.
    pub vision: bool,
    /// Whether documents (PDF) can be shown; without, a request with one is refused. Text documents always pass, as text.
    pub documents: bool,
    /// Whether the probabilities of tokens are told; without, a request that wants them is refused.
    pub logprobs: bool,
    /// Whether the model can be told to call one tool at a time; without, it is told so in the instructions.
    pub parallel_tools: bool,
    /// Whether `role: "system"` may stand inside `messages` (Messages). Newer Claude models take it, others do not: off by default.
    pub system_in_messages: bool,
    /// Whether instructions may stand at the head of the conversation alone (chat completions). `OpenAI` takes them anywhere, and so does the
    /// default; many chat templates of local models do not.
    pub leading_system_only: bool,
    /// Whether a JSON schema for the answer is enforced by the provider; without, it is put into the instructions.
    pub structured_output: bool,
    /// How the model is told to think; by default not at all, and such wishes are left out.
    pub reasoning: Reasoning,
    /// Whether a stream may be asked to report its usage (chat completions' `stream_options`).
    pub streaming_usage: bool,
    /// Whether texts may bear the marks up to which a prompt is to be kept in the provider's cache (`cache_control` in chat completions, which
    /// `OpenRouter` and Databricks hand on to Claude).
    pub cache_marks: bool,
    /// Top-level fields of the provider's own, which pass into chat completions whatever the caller's dialect.
    pub own_fields: &'static [&'static str],
}

impl Capabilities {
    /// A model that can do everything and cannot be told how much to think.
    pub(crate) const ALL: Self = Self {
        max_tokens_field: MaxTokensField::MaxTokens,
        default_max_tokens: 4096,
        max_output: None,
        tools: true,
        vision: true,
        documents: true,
        logprobs: true,
        parallel_tools: true,
        system_in_messages: false,
        leading_system_only: false,
        structured_output: true,
        reasoning: Reasoning::Unsupported,
        streaming_usage: true,
        cache_marks: false,
        own_fields: &[],
    };
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::ALL
    }
}

/// The name of the limit on output in chat completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaxTokensField {
    /// `max_tokens`: understood by every server but deprecated at `OpenAI`.
    MaxTokens,
    /// `max_completion_tokens`: demanded by `OpenAI`'s reasoning models.
    MaxCompletionTokens,
}

impl MaxTokensField {
    /// The field's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

impl Reasoning {
    /// The name in the configuration: `none`, `effort`, `budget`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsupported => "none",
            Self::Effort => "effort",
            Self::Budget => "budget",
        }
    }
}

impl FromStr for Reasoning {
    type Err = ParseReasoningError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        [Self::Unsupported, Self::Effort, Self::Budget]
            .into_iter()
            .find(|reasoning| reasoning.as_str() == s)
            .ok_or(ParseReasoningError(()))
    }
}

/// A word that names no [`Reasoning`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseReasoningError(());

impl fmt::Display for ParseReasoningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a way to ask for thinking: write none, effort or budget")
    }
}
impl std::error::Error for ParseReasoningError {}

/// How a model is told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reasoning {
    /// It cannot be told.
    Unsupported,
    /// By a word: `reasoning_effort` in chat completions, `output_config.effort` with adaptive thinking in Messages.
    Effort,
    /// By a number of tokens: `thinking.budget_tokens` in Messages; in chat completions the same as [`Effort`](Self::Effort).
    Budget,
}
