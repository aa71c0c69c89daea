//! The intermediate form: what any dialect's request or answer comes down to. Each dialect brings one reader into it and one writer out of it,
//! so that a new dialect costs two, not two for every other.
//!
//! Everything is borrowed from the body it was read from, texts in their sender's spelling, JSON as its sender wrote it.
use super::{
    ids,
    json::{Fields, Json},
    text::Text,
};
use crate::chat::{Kind, Prompt, Refusal, StopReason, Usage};
use std::borrow::Cow;

/// A request.
#[derive(Debug, Default)]
pub(crate) struct Form<'a> {
    /// How many bytes it was read from; in another dialect it takes about as many.
    pub(crate) size: usize,
    /// The instructions before the conversation; text blocks.
    pub(crate) system: Vec<Block<'a>>,
    /// The conversation. Tool results stand right behind the turn whose calls they answer, before all else of their turn.
    pub(crate) turns: Vec<Turn<'a>>,
    pub(crate) tools: Vec<Tool<'a>>,
    pub(crate) tool_choice: Option<ToolChoice<'a>>,
    /// Whether several tools may be called at once, where the caller said so.
    pub(crate) parallel_tools: Option<bool>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) temperature: Option<Json<'a>>,
    pub(crate) top_p: Option<Json<'a>>,
    pub(crate) stop: Vec<Text<'a>>,
    pub(crate) format: Option<Format<'a>>,
    pub(crate) thinking: Thinking,
    pub(crate) stream: bool,
    pub(crate) user: Option<Text<'a>>,
    /// The top-level fields that no place above holds.
    pub(crate) rest: Fields<'a>,
}

/// Top-level fields of chat completions that ask for what few other dialects can bring back, each with the values that ask for nothing.
const BEYOND: &[(&str, &[&str])] = &[
    ("audio", &[]),
    ("logit_bias", &["{}"]),
    ("logprobs", &["false"]),
    ("modalities", &["[\"text\"]"]),
    ("n", &["1"]),
    ("top_logprobs", &["0"]),
    ("web_search_options", &[]),
];

impl Form<'_> {
    /// Refuses what a model of another dialect cannot do, rather than leave it out; but for the fields that the writer judges itself.
    pub(crate) fn refuse_beyond(&self, but: &[&str]) -> Result<(), Refusal> {
        for (name, harmless) in BEYOND.iter().filter(|(name, _)| !but.contains(name)) {
            if let Some(json) = self.rest.get(name)
                && !harmless.contains(&json.get())
            {
                let why = format!("{name}: the model behind this name cannot do this");
                return Err(Refusal::new(Kind::InvalidRequest, why).with_param(*name));
            }
        }
        Ok(())
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    User,
    Assistant,
}

#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) role: Role,
    pub(crate) blocks: Vec<Block<'a>>,
}

impl Turn<'_> {
    /// Instructions in the middle of the conversation, for models that take them only at its head: the user's words are the only place left,
    /// so they are marked.
    pub(crate) fn as_users(&self) -> Option<Block<'static>> {
        let texts = self.blocks.iter().filter_map(|block| match &block.kind {
            BlockKind::Text(text) => Some(text.decode()),
            _ => None,
        });
        let text = texts.collect::<Vec<_>>().join("\n\n");
        (!text.trim().is_empty())
            .then(|| Block::text(Text::Plain(format!("<system>\n{text}\n</system>").into())))
    }
}

/// A piece of a turn or of an answer.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) kind: BlockKind<'a>,
    /// The caller's wish to have the prompt cached up to here (`cache_control`).
    pub(crate) cache: Option<Json<'a>>,
}

impl<'a> Block<'a> {
    pub(crate) const fn new(kind: BlockKind<'a>) -> Self {
        Self { kind, cache: None }
    }
    pub(crate) const fn text(text: Text<'a>) -> Self {
        Self::new(BlockKind::Text(text))
    }
}

#[derive(Debug)]
pub(crate) enum BlockKind<'a> {
    Text(Text<'a>),
    Image(Source<'a>),
    Document {
        source: Source<'a>,
        name: Option<Text<'a>>,
    },
    ToolUse {
        id: Text<'a>,
        name: Text<'a>,
        arguments: Arguments<'a>,
    },
    ToolResult {
        id: Text<'a>,
        content: Vec<Block<'a>>,
        is_error: bool,
    },
    Thinking {
        text: Text<'a>,
        signature: Option<Text<'a>>,
    },
    /// Thinking that only its provider can read.
    Redacted,
    /// What has no counterpart elsewhere.
    Other {
        kind: Cow<'a, str>,
    },
}

/// Where an image or a document is.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    Base64 {
        media_type: Text<'a>,
        data: Text<'a>,
    },
    Url(Text<'a>),
    Text(Text<'a>),
    Blocks(Vec<Block<'a>>),
    /// Stored at one provider, where no other finds it.
    File,
}

/// A tool call's arguments.
#[derive(Clone, Debug)]
pub(crate) enum Arguments<'a> {
    /// A JSON object.
    Object(Cow<'a, str>),
    /// What should have been a JSON object and is not: the model's own words.
    Text(Text<'a>),
}

/// The one field of the object in which arguments that are no object travel where an object is demanded.
pub(crate) const RAW_ARGUMENTS: &str = "_raw_arguments";

impl<'a> Arguments<'a> {
    /// From the JSON value of a dialect that demands an object.
    pub(crate) fn of_json(json: Json<'a>) -> Self {
        match Fields::parse(json.get()) {
            Some(Fields(fields)) => match fields.as_slice() {
                [(name, raw)] if name == RAW_ARGUMENTS => {
                    Text::of(raw).map_or(Self::Object(Cow::Borrowed(json.get())), Self::Text)
                }
                _ => Self::Object(Cow::Borrowed(json.get())),
            },
            None if json.get() == "null" => Self::Object(Cow::Borrowed("{}")),
            None => Self::Text(Text::plain(json.get())),
        }
    }
    /// From the text of a dialect that demands JSON in a string. No arguments at all, which small models like to say with an empty string or
    /// `null`, are an empty object; whatever else is no object stays text.
    pub(crate) fn of_text(text: Text<'a>) -> Self {
        let plain = text.decode();
        let trimmed = plain.trim();
        if matches!(trimmed, "" | "null") {
            Self::Object(Cow::Borrowed("{}"))
        } else if trimmed.starts_with('{')
            && crate::json::from_str::<serde::de::IgnoredAny>(trimmed).is_ok()
        {
            Self::Object(Cow::Owned(trimmed.to_owned()))
        } else {
            drop(plain);
            Self::Text(text)
        }
    }
}

/// A tool that the caller offers.
#[derive(Debug)]
pub(crate) struct Tool<'a> {
    pub(crate) name: Text<'a>,
    pub(crate) description: Option<Text<'a>>,
    pub(crate) schema: Option<Json<'a>>,
    pub(crate) strict: Option<Json<'a>>,
    pub(crate) cache: Option<Json<'a>>,
    /// The type of a tool that its vendor defines or runs, for which there is no schema.
    pub(crate) vendor: Option<Cow<'a, str>>,
}

#[derive(Debug)]
pub(crate) enum ToolChoice<'a> {
    Auto,
    Any,
    None,
    Tool(Text<'a>),
}

/// What form the answer must have.
#[derive(Debug)]
pub(crate) enum Format<'a> {
    /// Any JSON object.
    Object,
    /// JSON of this schema.
    Schema {
        name: Option<Text<'a>>,
        schema: Json<'a>,
        strict: Option<bool>,
    },
}

/// How much the model is to think.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Thinking {
    /// By word, if so wished.
    pub(crate) effort: Option<Effort>,
    /// By number of tokens, if so wished.
    pub(crate) budget: Option<u64>,
}

impl Thinking {
    /// The wish as a word.
    pub(crate) fn effort(self) -> Option<Effort> {
        self.effort.or_else(|| {
            Some(match self.budget? {
                0..4096 => Effort::Low,
                4096..16384 => Effort::Medium,
                _ => Effort::High,
            })
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    Low,
    Medium,
    High,
}

impl Effort {
    /// From any dialect's word. Words below `low` that are not "off" become low, those above `high` high: not every model knows them.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "minimal" | "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" | "xhigh" | "max" => Some(Self::High),
            _ => None,
        }
    }
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
    /// Tokens to think with.
    pub(crate) const fn budget(self) -> u64 {
        match self {
            Self::Low => 2048,
            Self::Medium => 8192,
            Self::High => 24576,
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Whole<'a> {
    pub(crate) id: Option<Text<'a>>,
    pub(crate) model: Option<Text<'a>>,
    pub(crate) created: Option<Json<'a>>,
    pub(crate) blocks: Vec<Block<'a>>,
    pub(crate) stop: Option<StopReason>,
    pub(crate) stop_sequence: Option<Text<'a>>,
    pub(crate) usage: Option<Usage>,
}

impl Whole<'_> {
    /// Gives the tools that are called the names under which the caller offered them, and their calls ids where they have none.
    pub(crate) fn restore_calls(&mut self, prompt: &Prompt) {
        for block in &mut self.blocks {
            if let BlockKind::ToolUse { id, name, .. } = &mut block.kind {
                *id = ids::given(std::mem::replace(id, Text::plain("")));
                let sent = std::mem::replace(name, Text::plain(""));
                *name = ids::restored(sent, prompt);
            }
        }
    }
    /// The names of the tools that are called.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Text<'_>> {
        self.blocks.iter().filter_map(|block| match &block.kind {
            BlockKind::ToolUse { name, .. } => Some(name),
            _ => None,
        })
    }
    /// Why the model stopped, brought in line with what it said: some servers say `stop` where they call a tool, and the caller would not
    /// run it.
    pub(crate) fn settled_stop(&self) -> StopReason {
        settle_stop(self.stop, self.calls().next().is_some())
    }
}

pub(crate) const fn settle_stop(stop: Option<StopReason>, calls: bool) -> StopReason {
    match stop {
        None | Some(StopReason::EndTurn | StopReason::Other | StopReason::ToolUse) => {
            if calls {
                StopReason::ToolUse
            } else {
                StopReason::EndTurn
            }
        }
        Some(stop) => stop,
    }
}

/// Moves tool results right behind the turn whose calls they answer, before all else of their turn. Clients do put other turns between
/// (Claude Code its system reminders), and most upstreams refuse that.
pub(crate) fn settle_tool_results(turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let mut settled: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    let mut results = Vec::new();
    let mut behind = None;
    for mut turn in turns {
        if turn.role == Role::Assistant {
            place(&mut settled, behind.take(), std::mem::take(&mut results));
            let calls = turn
                .blocks
                .iter()
                .any(|b| matches!(b.kind, BlockKind::ToolUse { .. }));
            settled.push(turn);
            behind = calls.then_some(settled.len());
        } else if behind.is_some() {
            let (found, others): (Vec<_>, Vec<_>) = turn
                .blocks
                .into_iter()
                .partition(|b| matches!(b.kind, BlockKind::ToolResult { .. }));
            results.extend(found);
            turn.blocks = others;
            if !turn.blocks.is_empty() {
                settled.push(turn);
            }
        } else {
            settled.push(turn);
        }
    }
    place(&mut settled, behind, results);
    settled
}

fn place<'a>(turns: &mut Vec<Turn<'a>>, behind: Option<usize>, mut results: Vec<Block<'a>>) {
    let Some(behind) = behind.filter(|_| !results.is_empty()) else {
        return;
    };
    match turns.get_mut(behind) {
        Some(turn) if turn.role == Role::User => {
            results.append(&mut turn.blocks);
            turn.blocks = results;
        }
        _ => turns.insert(
            behind,
            Turn {
                role: Role::User,
                blocks: results,
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_no_object_stay_what_they_are() {
        let object = |text: &'static str| match Arguments::of_text(Text::plain(text)) {
            Arguments::Object(json) => Some(json.into_owned()),
            Arguments::Text(_) => None,
        };
        assert_eq!(object(" {\"a\":1.00} ").as_deref(), Some("{\"a\":1.00}"));
        assert_eq!(object("").as_deref(), Some("{}"));
        assert_eq!(object("null").as_deref(), Some("{}"));
        for bad in ["{\"a\":", "[1]", "\"{}\"", "{} {}", "7"] {
            assert_eq!(object(bad), None, "{bad}");
        }
    }
}
