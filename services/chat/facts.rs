//! What a request body says about itself, read once.
use crate::dialect::Dialect;
use std::ops::Range;

/// What the caller wants done with the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// An answer.
    Generate,
    /// The number of its tokens.
    CountTokens,
    /// Vectors for texts: `OpenAI`'s embeddings. There is no conversation, and so no tier.
    Embed,
    /// The continuation of a text: `OpenAI`'s legacy completions. There is no conversation; the prompt is taken for what a user says.
    Complete,
}

impl Operation {
    /// Whether it is about a conversation, which can be put into another dialect. The others pass as they are, or not at all.
    #[must_use]
    pub const fn is_conversation(self) -> bool {
        matches!(self, Self::Generate | Self::CountTokens)
    }
}

/// Who speaks a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Speaker {
    /// The operator: system or developer instructions, wherever they stand.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool, answering a call (`OpenAI`'s `role: "tool"`).
    Tool,
    /// A role that this crate does not know; it passes unchanged.
    Other,
}

/// What a part of a turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartKind {
    /// Text. The span covers the JSON string literal.
    Text,
    /// An image.
    Image,
    /// A document or file.
    Document,
    /// A tool call.
    ToolUse,
    /// A tool's result.
    ToolResult,
    /// Tools, offered in the middle of a conversation.
    Tools,
    /// Thinking, readable or redacted.
    Thinking,
    /// Anything else.
    Other,
}

/// One part of a turn: what it is and where in the body it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Where: for [`PartKind::Text`] the JSON string literal with its quotes, else the whole JSON value.
    pub span: Range<u32>,
}

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who speaks.
    pub speaker: Speaker,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

impl Turn {
    /// Whether some part is of this kind.
    #[must_use]
    pub fn has(&self, kind: PartKind) -> bool {
        self.parts.iter().any(|p| p.kind == kind)
    }
}

/// What a request body says about itself. Read in one borrowed pass; holds places in the body, not copies of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// The dialect of the body.
    pub dialect: Dialect,
    /// What the caller wants.
    pub operation: Operation,
    /// The model that the caller named.
    pub model: String,
    /// Where the model's name stands: the JSON string literal with its quotes.
    pub model_span: Range<u32>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Where `stream_options` stands, and whether it asks for usage (chat completions).
    pub stream_options: Option<(Range<u32>, bool)>,
    /// The most output tokens that the caller accepts, by whichever name.
    pub max_tokens: Option<u64>,
    /// The sampling temperature, where given.
    pub temperature: Option<f64>,
    /// The top-level system prompt's parts (Anthropic's `system`).
    pub system: Vec<Part>,
    /// The conversation, system turns inside it included.
    pub turns: Vec<Turn>,
    /// How many tools are offered.
    pub tool_count: usize,
    /// Where `tools` stands.
    pub tools_span: Option<Range<u32>>,
    /// Whether extended thinking or a reasoning effort above the lowest is asked for.
    pub thinking: bool,
    /// Whether JSON output is demanded (`response_format`, `output_config.format`).
    pub json_output: bool,
    /// How many answers are asked for (`n`); 1 where not said.
    pub choices: u64,
    /// Where `metadata` stands.
    pub metadata_span: Option<Range<u32>>,
    /// Where `prompt_cache_key` stands, `OpenAI`'s name for a prefix that calls have in common.
    pub prompt_cache_key_span: Option<Range<u32>>,
    /// Where `tool_choice` stands.
    pub tool_choice_span: Option<Range<u32>>,
    /// How many texts are to be embedded or continued; 0 in a conversation.
    pub inputs: usize,
}

impl Facts {
    /// The last turn in which the user says something in words, tool results aside.
    #[must_use]
    pub fn last_user_turn(&self) -> Option<&Turn> {
        self.turns
            .iter()
            .rev()
            .find(|t| t.speaker == Speaker::User && t.has(PartKind::Text))
    }
    /// Whether the newest turn (system reminders aside) brings tool results, so that the model is in the middle of a task.
    #[must_use]
    pub fn tool_results_pending(&self) -> bool {
        self.turns
            .iter()
            .rev()
            .find(|t| t.speaker != Speaker::System)
            .is_some_and(|t| t.speaker == Speaker::Tool || t.has(PartKind::ToolResult))
    }
    /// Whether any turn shows an image.
    #[must_use]
    pub fn has_images(&self) -> bool {
        self.turns.iter().any(|t| t.has(PartKind::Image))
    }
}
