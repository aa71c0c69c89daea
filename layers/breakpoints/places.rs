//! Where in a body a mark can stand, and the edit that sets it there. Nothing else of the body changes.
use super::memory::Prefix;
use std::{borrow::Cow, ops::Range};
use tierway_services::{
    chat::{Edit, Facts, Marks, Part, PartKind, Prompt, Speaker, Target, Tenant},
    dialect::Dialect,
    tokens,
};

/// A prefix of a prompt.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// Its name.
    pub(super) prefix: Prefix,
    /// About how many tokens it has.
    pub(super) tokens: u64,
    /// How many blocks.
    pub(super) blocks: usize,
    /// Where its end can be marked.
    pub(super) place: Option<Place>,
}

/// A prompt as a provider's cache sees it.
#[derive(Debug)]
pub(super) struct Prefixes {
    /// Tools and system prompt, which conversations have in common; `None` where there are none.
    pub(super) common: Option<Stretch>,
    /// Up to the end of each turn behind those.
    pub(super) turns: Vec<Stretch>,
}

/// Where a mark goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind the text of a block.
    Behind(u32),
    /// Into an object, before its closing brace.
    Into(u32),
    /// Around a text that stands alone where blocks can stand too.
    Around { text: Range<u32>, shape: Shape },
}

/// What a lone text becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A block, in a list of them.
    Block,
    /// A list of one block.
    Blocks,
    /// A list of one message of the user's.
    Messages,
}

// === impl Prefixes ===

impl Prefixes {
    /// Reads the prefixes of `prompt`, as told apart for `tenant` at `target`.
    pub(super) fn of(
        prompt: &Prompt,
        tenant: Option<&Tenant>,
        target: &Target,
        marks: &Marks,
    ) -> Self {
        let facts = prompt.facts();
        let mut reader = Reader {
            prompt,
            marks,
            hasher: blake3::Hasher::new(),
            tokens: 0,
            blocks: 0,
        };
        let names = [
            tenant.map_or("", Tenant::as_str),
            &target.provider,
            &target.model,
        ];
        names.iter().for_each(|name| reader.hash(name.as_bytes()));
        let leading = facts.turns.iter().take_while(|t| is_system(t.speaker));
        let leading = leading.count();
        let common = reader.common(facts, leading);
        let turns = facts.turns.iter().skip(leading);
        let turns = turns.map(|turn| {
            reader.hash(&[speaker(turn.speaker)]);
            turn.parts.iter().for_each(|part| reader.part(part));
            let place = turn.parts.last().filter(|_| takes_marks(turn.speaker));
            let place = place.and_then(|part| reader.place(part));
            reader.stretch(place)
        });
        let turns = turns.collect();
        Self { common, turns }
    }
}

struct Reader<'a> {
    prompt: &'a Prompt,
    marks: &'a Marks,
    hasher: blake3::Hasher,
    tokens: u64,
    blocks: usize,
}

impl Reader<'_> {
    fn hash(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    fn part(&mut self, part: &Part) {
        self.hash(self.prompt.json(&part.span).as_bytes());
        self.tokens += tokens::estimate_part(self.prompt, part);
        self.blocks += 1;
    }

    /// Tools and system prompt. The last block of the latter is marked, or the last tool where there is none.
    fn common(&mut self, facts: &Facts, leading: usize) -> Option<Stretch> {
        let tools = facts.tools_span.as_ref();
        if let Some(span) = tools {
            self.hash(self.prompt.json(span).as_bytes());
            self.tokens += u64::from(span.end - span.start).div_ceil(4);
            self.blocks += facts.tool_count;
        }
        let before = facts.turns.iter().take(leading).flat_map(|t| &t.parts);
        let mut last = None;
        for part in facts.system.iter().chain(before) {
            self.part(part);
            last = Some(part);
        }
        if self.blocks == 0 {
            return None;
        }
        // What Responses call instructions is a text and nothing else, and so are the shapes of their tools.
        let is_responses = facts.dialect == Dialect::Responses;
        let place = match last {
            Some(_) if is_responses && leading == 0 => None,
            Some(part) => self.place(part),
            None if self.marks.tools && !is_responses => tools.and_then(|t| self.last_of(t)),
            None => None,
        };
        Some(self.stretch(place))
    }

    fn stretch(&self, place: Option<Place>) -> Stretch {
        let mut prefix = Prefix::default();
        self.hasher.finalize_xof().fill(&mut prefix);
        Stretch {
            prefix,
            tokens: self.tokens,
            blocks: self.blocks,
            place,
        }
    }

    fn place(&self, part: &Part) -> Option<Place> {
        let json = self.prompt.json(&part.span);
        match part.kind {
            // Empty texts take no mark.
            PartKind::Text if self.prompt.text(part).trim().is_empty() => None,
            PartKind::Text => self.text(&part.span),
            PartKind::ToolResult | PartKind::Image | PartKind::Document if self.marks.blocks => {
                match json.as_bytes().first()? {
                    b'{' => Some(Place::Into(part.span.end - 1)),
                    b'[' => self.last_of(&part.span),
                    b'"' if json.len() > 2 => self.text(&part.span),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// How a text is marked depends on what it is the value of.
    fn text(&self, span: &Range<u32>) -> Option<Place> {
        let around = |shape| {
            let text = span.clone();
            Some(Place::Around { text, shape })
        };
        let before = self.prompt.raw().get(..span.start as usize)?;
        let before = before.trim_ascii_end();
        let Some(key) = before.strip_suffix(b":") else {
            return around(Shape::Block);
        };
        match key.trim_ascii_end() {
            key if key.ends_with(b"\"text\"") => Some(Place::Behind(span.end)),
            key if key.ends_with(b"\"input\"") => around(Shape::Messages),
            key if key.ends_with(b"\"content\"") || key.ends_with(b"\"system\"") => {
                around(Shape::Blocks)
            }
            _ => None,
        }
    }

    /// The last object of an array.
    fn last_of(&self, array: &Range<u32>) -> Option<Place> {
        let inside = self.prompt.json(array).trim_end().strip_suffix(']')?;
        let object = inside.trim_end().strip_suffix('}')?;
        let at = u32::try_from(object.len()).ok()?;
        Some(Place::Into(array.start + at))
    }
}

fn speaker(speaker: Speaker) -> u8 {
    match speaker {
        Speaker::User => b'u',
        Speaker::Assistant => b'a',
        Speaker::Tool => b't',
        _ => b's',
    }
}

fn is_system(speaker: Speaker) -> bool {
    speaker == Speaker::System
}

/// What the model has said itself may end in a thought, which takes no mark; what it is told does not.
fn takes_marks(speaker: Speaker) -> bool {
    matches!(speaker, Speaker::User | Speaker::Tool)
}

// === impl Place ===

impl Place {
    /// Sets the mark.
    pub(super) fn edit(&self, prompt: &Prompt, hour: bool) -> Edit<'static> {
        let mark = if hour {
            r#""cache_control":{"type":"ephemeral","ttl":"1h"}"#
        } else {
            r#""cache_control":{"type":"ephemeral"}"#
        };
        match self {
            Self::Behind(at) | Self::Into(at) => Edit {
                span: *at..*at,
                with: Cow::Owned(format!(",{mark}")),
            },
            Self::Around { text, shape } => {
                let kind = match (prompt.facts().dialect, shape) {
                    (Dialect::Responses, _) => "input_text",
                    _ => "text",
                };
                let json = prompt.json(text);
                let block = format!(r#"{{"type":"{kind}","text":{json},{mark}}}"#);
                let with = match shape {
                    Shape::Block => block,
                    Shape::Blocks => format!("[{block}]"),
                    Shape::Messages => format!(r#"[{{"role":"user","content":[{block}]}}]"#),
                };
                Edit {
                    span: text.clone(),
                    with: Cow::Owned(with),
                }
            }
        }
    }
}
