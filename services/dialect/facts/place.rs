//! Where the parts of a conversation stand in a body.
use super::{
    Block, Item, Message,
    fault::{missing, read, wrong},
};
use crate::{
    chat::{Kind, Part, PartKind, Refusal, Speaker, Turn},
    dialect::literal::literal_len,
};
use serde_json::value::RawValue;
use std::ops::Range;

/// Where the body begins, so that a borrowed part's place can be told.
pub(in crate::dialect) struct Place {
    start: usize,
}

impl Place {
    pub(in crate::dialect) fn of(raw: &[u8]) -> Result<Self, Refusal> {
        if u32::try_from(raw.len()).is_err() {
            return Err(Refusal::new(Kind::TooLarge, "request body is over 4 GiB"));
        }
        Ok(Self {
            start: raw.as_ptr() as usize,
        })
    }

    pub(in crate::dialect) fn span(&self, json: &RawValue) -> Range<u32> {
        self.place(json.get())
    }

    fn place(&self, json: &str) -> Range<u32> {
        // Fits: the body is under 4 GiB, see `of`.
        let from = (json.as_ptr() as usize - self.start) as u32;
        from..from + json.len() as u32
    }

    pub(super) fn turns(&self, messages: Vec<Message<'_>>) -> Result<Vec<Turn>, Refusal> {
        messages
            .into_iter()
            .enumerate()
            .map(|(i, m)| self.turn(i, &m))
            .collect()
    }

    fn turn(&self, i: usize, message: &Message<'_>) -> Result<Turn, Refusal> {
        self.turn_at(format_args!("messages[{i}]"), message)
    }

    fn turn_at(&self, at: std::fmt::Arguments<'_>, message: &Message<'_>) -> Result<Turn, Refusal> {
        let speaker = match message.role.as_deref() {
            Some("user") => Speaker::User,
            Some("assistant") => Speaker::Assistant,
            Some("system" | "developer") => Speaker::System,
            Some("tool" | "function") => Speaker::Tool,
            Some(_) => Speaker::Other,
            None => return Err(missing(format!("{at}.role"))),
        };
        let mut parts = match message.content {
            Some(content) if speaker == Speaker::Tool => vec![Part {
                kind: PartKind::ToolResult,
                span: self.span(content),
            }],
            Some(content) => self.parts(format_args!("{at}.content"), content)?,
            None => Vec::new(),
        };
        if let Some(calls) = message.tool_calls.filter(|c| c.get() != "null") {
            let calls: Vec<&RawValue> = read(format_args!("{at}.tool_calls"), "an array", calls)?;
            parts.extend(calls.into_iter().map(|c| Part {
                kind: PartKind::ToolUse,
                span: self.span(c),
            }));
        }
        Ok(Turn { speaker, parts })
    }

    /// The items of a Responses input: a string, or an array; an answer's items are one turn.
    pub(in crate::dialect) fn items(&self, input: Option<&RawValue>) -> Result<Vec<Turn>, Refusal> {
        let Some(input) = input.filter(|i| i.get() != "null") else {
            return Ok(Vec::new());
        };
        if input.get().starts_with('"') {
            let part = Part {
                kind: PartKind::Text,
                span: self.span(input),
            };
            return Ok(vec![Turn {
                speaker: Speaker::User,
                parts: vec![part],
            }]);
        }
        let items: Vec<&RawValue> = read("input", "a string or an array of items", input)?;
        let mut turns: Vec<Turn> = Vec::with_capacity(items.len());
        for (i, json) in items.into_iter().enumerate() {
            let turn = self.item(i, json)?;
            match turns.last_mut() {
                Some(last)
                    if last.speaker == turn.speaker
                        && matches!(turn.speaker, Speaker::Assistant | Speaker::Tool) =>
                {
                    last.parts.extend(turn.parts);
                }
                _ => turns.push(turn),
            }
        }
        Ok(turns)
    }

    fn item(&self, i: usize, json: &RawValue) -> Result<Turn, Refusal> {
        let name = format_args!("input[{i}]");
        let item: Item<'_> = read(name, "an object", json)?;
        let (speaker, kind) = match item.r#type.as_deref() {
            None | Some("message") => {
                let message = Message {
                    role: item.role,
                    content: item.content,
                    tool_calls: None,
                };
                return self.turn_at(format_args!("input[{i}]"), &message);
            }
            Some("reasoning") => (Speaker::Assistant, PartKind::Thinking),
            Some(kind) if kind.ends_with("_call") => (Speaker::Assistant, PartKind::ToolUse),
            Some(kind) if kind.ends_with("_output") => (Speaker::Tool, PartKind::ToolResult),
            Some("additional_tools") => (Speaker::System, PartKind::Tools),
            Some(_) => (Speaker::Other, PartKind::Other),
        };
        let part = Part {
            kind,
            span: self.span(json),
        };
        Ok(Turn {
            speaker,
            parts: vec![part],
        })
    }

    /// The parts of a content: a string, an array of blocks, or null.
    pub(in crate::dialect) fn parts(
        &self,
        name: impl std::fmt::Display,
        content: &RawValue,
    ) -> Result<Vec<Part>, Refusal> {
        match content.get().as_bytes().first() {
            Some(b'"') => Ok(vec![Part {
                kind: PartKind::Text,
                span: self.span(content),
            }]),
            Some(b'n') => Ok(Vec::new()),
            Some(b'[') => {
                let blocks: Vec<&RawValue> =
                    read(&name, "a string or an array of blocks", content)?;
                blocks.into_iter().map(|b| self.part(&name, b)).collect()
            }
            _ => Err(wrong(name, "a string or an array of blocks")),
        }
    }

    /// The text of a block that is spelled as most are; others are read field by field.
    fn plain_text(&self, json: &RawValue) -> Option<Range<u32>> {
        let json = json.get();
        let text = json
            .strip_prefix(r#"{"type":"text","text":"#)
            .or_else(|| json.strip_prefix(r#"{"type": "text", "text": "#))?;
        let literal = text.get(..literal_len(text.as_bytes())? + 2)?;
        Some(self.place(literal))
    }

    fn part(&self, name: impl std::fmt::Display, json: &RawValue) -> Result<Part, Refusal> {
        if json.get().starts_with('"') {
            return Ok(Part {
                kind: PartKind::Text,
                span: self.span(json),
            });
        }
        if let Some(span) = self.plain_text(json) {
            return Ok(Part {
                kind: PartKind::Text,
                span,
            });
        }
        let block: Block<'_> = read(name, "an array of blocks, each an object with a type", json)?;
        let kind = match (block.r#type.as_deref(), block.text) {
            (Some("text" | "input_text" | "output_text"), Some(text))
                if text.get().starts_with('"') =>
            {
                return Ok(Part {
                    kind: PartKind::Text,
                    span: self.span(text),
                });
            }
            (Some("image" | "image_url" | "input_image"), _) => PartKind::Image,
            (Some("document" | "file" | "input_file"), _) => PartKind::Document,
            (Some("tool_use" | "server_tool_use"), _) => PartKind::ToolUse,
            (Some(t), _) if t.ends_with("tool_result") => PartKind::ToolResult,
            (Some("thinking" | "redacted_thinking"), _) => PartKind::Thinking,
            _ => PartKind::Other,
        };
        Ok(Part {
            kind,
            span: self.span(json),
        })
    }
}
