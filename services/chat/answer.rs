//! An answer, freed of its dialect.
use super::Usage;
use std::borrow::Cow;

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// It had said all (`end_turn`, `stop`).
    EndTurn,
    /// It reached the token limit (`max_tokens`, `length`): the answer is truncated.
    MaxTokens,
    /// It wrote one of the caller's stop sequences.
    StopSequence,
    /// It calls a tool.
    ToolUse,
    /// It declined (`refusal`, `content_filter`).
    Refusal,
    /// The provider paused a long turn (`pause_turn`).
    Pause,
    /// The conversation outgrew the context window.
    ContextWindow,
    /// A reason that this crate does not know.
    Other,
}

/// A tool call that a model made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The call's id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as JSON text, exactly as the model wrote them; not necessarily valid.
    pub arguments: String,
}

/// The log-probability of one output token.
#[derive(Clone, Debug, PartialEq)]
pub struct Logprob {
    /// The token's text.
    pub token: String,
    /// Its natural log-probability.
    pub logprob: f64,
    /// The runner-up's natural log-probability, where the provider gave one.
    pub runner_up: Option<f64>,
}

/// A complete answer, normalised: the same text whichever dialect carried it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// All visible text, blocks joined by a newline.
    pub text: String,
    /// Whether the provider marked the answer as a refusal.
    pub refused: bool,
    /// Tool calls, in order.
    pub tool_calls: Vec<ToolCall>,
    /// Why the model stopped; `None` where the provider did not say.
    pub stop: Option<StopReason>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// Tokens, where the provider counted.
    pub usage: Option<Usage>,
    /// Log-probabilities, where they were asked for and given; else empty.
    pub logprobs: Vec<Logprob>,
}

impl Answer {
    /// The text without surrounding white space.
    #[must_use]
    pub fn trimmed(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.text.trim())
    }
}
