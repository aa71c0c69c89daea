//! What single models can and cannot, as rules over names.
use crate::translate::{Capabilities, MaxTokensField, Reasoning};

/// What is known of a model, or of all whose names fit a pattern; `None` leaves what was known before.
///
/// ```
/// use tierway_services::providers::{Abilities, Kind, Provider};
/// let no_tools = Abilities { tools: Some(false), ..Abilities::UNKNOWN };
/// let provider = Provider::new("local", Kind::Ollama).model("smollm2*", no_tools);
/// assert!(!provider.capabilities("smollm2:135m").tools);
/// assert!(provider.capabilities("qwen2.5:3b").tools);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Whether tools can be offered.
    pub tools: Option<bool>,
    /// Whether images can be shown.
    pub vision: Option<bool>,
    /// Whether documents such as PDF can be shown.
    pub documents: Option<bool>,
    /// Whether it tells the probabilities of its tokens.
    pub logprobs: Option<bool>,
    /// Whether it can be told to call one tool at a time.
    pub parallel_tools: Option<bool>,
    /// Whether it keeps to a JSON schema by itself.
    pub structured_output: Option<bool>,
    /// Whether its streams can be asked to report their usage.
    pub streaming_usage: Option<bool>,
    /// By which name it takes the limit on output.
    pub max_tokens_field: Option<MaxTokensField>,
    /// The most output that it takes as a limit.
    pub max_output: Option<u64>,
    /// Tokens of prompt and output together, at most.
    pub context: Option<u64>,
    /// How it is told how much to think.
    pub reasoning: Option<Reasoning>,
}

impl Abilities {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        tools: None,
        vision: None,
        documents: None,
        logprobs: None,
        parallel_tools: None,
        structured_output: None,
        streaming_usage: None,
        max_tokens_field: None,
        max_output: None,
        context: None,
        reasoning: None,
    };
    /// It is told by a word.
    pub(super) const EFFORT: Self = Self {
        reasoning: Some(Reasoning::Effort),
        ..Self::UNKNOWN
    };
    /// It is told by a number of tokens, or by a switch.
    pub(super) const BUDGET: Self = Self {
        reasoning: Some(Reasoning::Budget),
        ..Self::UNKNOWN
    };
    /// It cannot be told.
    pub(super) const UNTOLD: Self = Self {
        reasoning: Some(Reasoning::Unsupported),
        ..Self::UNKNOWN
    };

    /// What is known here, else what was known before.
    pub(super) fn or(&self, before: Self) -> Self {
        Self {
            tools: self.tools.or(before.tools),
            vision: self.vision.or(before.vision),
            documents: self.documents.or(before.documents),
            logprobs: self.logprobs.or(before.logprobs),
            parallel_tools: self.parallel_tools.or(before.parallel_tools),
            structured_output: self.structured_output.or(before.structured_output),
            streaming_usage: self.streaming_usage.or(before.streaming_usage),
            max_tokens_field: self.max_tokens_field.or(before.max_tokens_field),
            max_output: self.max_output.or(before.max_output),
            context: self.context.or(before.context),
            reasoning: self.reasoning.or(before.reasoning),
        }
    }

    /// The same of a model that can all else.
    pub(crate) fn all(&self) -> Capabilities {
        let mut caps = Capabilities::ALL;
        self.apply(&mut caps);
        caps
    }

    /// Writes what is known here over what was known before.
    pub(super) fn apply(&self, to: &mut Capabilities) {
        fn set<T: Copy>(place: &mut T, told: Option<T>) {
            if let Some(told) = told {
                *place = told;
            }
        }
        set(&mut to.tools, self.tools);
        set(&mut to.vision, self.vision);
        set(&mut to.documents, self.documents);
        set(&mut to.logprobs, self.logprobs);
        set(&mut to.parallel_tools, self.parallel_tools);
        set(&mut to.structured_output, self.structured_output);
        set(&mut to.streaming_usage, self.streaming_usage);
        set(&mut to.max_tokens_field, self.max_tokens_field);
        set(&mut to.reasoning, self.reasoning);
        to.max_output = self.max_output.or(to.max_output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_stays() {
        let mut caps = Capabilities::default();
        Abilities::UNKNOWN.apply(&mut caps);
        assert_eq!(caps, Capabilities::default());
        let told = Abilities {
            vision: Some(false),
            max_output: Some(7),
            ..Abilities::EFFORT
        };
        told.apply(&mut caps);
        assert_eq!(
            (caps.vision, caps.max_output, caps.reasoning, caps.tools),
            (false, Some(7), Reasoning::Effort, true)
        );
    }
}
