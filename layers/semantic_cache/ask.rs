//! What is asked last, and all that stands around it.
use crate::prompt_cache::Key;
use std::{borrow::Cow, ops::Range};
use tierway_services::chat::{self, Edit, Operation, PartKind, Prompt, Speaker};

/// Longer texts are hardly asked twice in other words, and vectors tell little of them.
const LONGEST: usize = 2000;

/// The last text of a call, and the name of all else.
pub(super) struct Ask {
    /// Covers whom the call is for, who is to answer, and the request with its last text blank.
    pub(super) scope: Key,
    /// That text.
    pub(super) text: String,
    span: Range<u32>,
}

impl Ask {
    /// Of a call whose last word is a text of the user's; `None` where there is nothing to compare.
    pub(super) fn of(req: &chat::Request) -> Option<Self> {
        let facts = req.body().facts();
        if facts.operation != Operation::Generate || facts.choices != 1 {
            return None;
        }
        let last = facts.turns.last()?;
        let plain = last.parts.iter().all(|part| part.kind == PartKind::Text);
        if last.speaker != Speaker::User || !plain {
            return None;
        }
        let part = last.parts.last()?;
        let text = req.body().text(part).into_owned();
        if text.trim().is_empty() || text.len() > LONGEST {
            return None;
        }
        let span = part.span.clone();
        let scope = Key::of(&with(req, &span, "")?)?;
        Some(Self { scope, text, span })
    }

    /// The call with another last text.
    pub(super) fn with(&self, req: &chat::Request, text: &str) -> Option<chat::Request> {
        with(req, &self.span, text)
    }
}

fn with(req: &chat::Request, span: &Range<u32>, text: &str) -> Option<chat::Request> {
    let prompt = req.body();
    let edit = Edit {
        span: span.clone(),
        with: Cow::Owned(serde_json::to_string(text).ok()?),
    };
    let (dialect, operation) = (prompt.facts().dialect, prompt.facts().operation);
    let prompt = Prompt::parse(dialect, operation, prompt.edited(vec![edit])).ok()?;
    let mut req = req.clone();
    *req.body_mut() = prompt;
    Some(req)
}
