//! One answer out of several rounds: for whoever runs tools in the caller's place.
//!
//! A model that calls such a tool is asked again with the tool's result, until it has no more to call. The caller sees one answer: what all
//! rounds said, without those calls. In the next request it sends that one answer back, and what it has not seen must be put into its place,
//! or the model would not know what it had done.
//!
//! * [`offer`] adds tools to a request, behind the caller's own, and changes no other byte.
//! * [`Round`] is what a model said in one round; [`Weaver`] makes one stream of several, [`merged`] one whole answer.
//! * [`go_on`] is the request of the next round.
//! * [`Hidden`] is what the caller has not seen, [`restored`] the request with it in its place.
//!
//! Everything is in the caller's dialect, as all layers see it.
mod completions;
mod history;
mod messages;
mod offer;
mod responses;
mod usage;
mod weave;

pub use self::{
    history::{Digest, Hidden, Shown, go_on, restored, shown},
    offer::{Choice, names, offer},
    weave::Weaver,
};

use super::{
    json::{Fields, Json, Object, elements},
    text::string,
};
use crate::{chat::ToolCall, dialect::Dialect, tools::Output};
use bytes::{Bytes, BytesMut};

/// What a model said in one round.
#[derive(Clone, Debug)]
pub struct Round {
    dialect: Dialect,
    whole: Bytes,
    calls: Vec<ToolCall>,
}

impl Round {
    /// Reads a whole answer of the caller's dialect; `None` where it is none, or of a dialect that no caller speaks.
    #[must_use]
    pub fn read(dialect: Dialect, whole: Bytes) -> Option<Self> {
        let body = std::str::from_utf8(&whole).ok()?;
        let calls = match dialect {
            Dialect::Messages => messages::calls(body),
            Dialect::ChatCompletions => completions::calls(body),
            Dialect::Responses => responses::calls(body),
            _ => None,
        }?;
        Some(Self {
            dialect,
            whole,
            calls,
        })
    }
    /// The tools that it calls, in order.
    #[must_use]
    pub fn calls(&self) -> &[ToolCall] {
        &self.calls
    }
    /// The answer of this round alone.
    #[must_use]
    pub const fn whole(&self) -> &Bytes {
        &self.whole
    }
    /// What the model said, as the conversation has it: messages or items with commas between.
    #[must_use]
    pub fn said(&self) -> String {
        let body = std::str::from_utf8(&self.whole).unwrap_or_default();
        match self.dialect {
            Dialect::Messages => messages::said(body),
            Dialect::ChatCompletions => completions::said(body),
            _ => responses::said(body),
        }
        .unwrap_or_default()
    }
}

/// The results of calls, by the calls' ids, as the conversation has them.
///
/// Where the caller too has results of the same round to tell (`beside`), these stand before them: in Messages as blocks of the caller's own
/// turn, and nothing else can stand between in the others.
#[must_use]
pub fn results(dialect: Dialect, results: &[(String, Output)], beside: bool) -> String {
    let mut out = BytesMut::new();
    match dialect {
        Dialect::Messages => messages::results(results, beside, &mut out),
        Dialect::ChatCompletions => completions::results(results, beside, &mut out),
        _ => responses::results(results, &mut out),
    }
    written(&out)
}

/// One whole answer of several rounds, without the calls of tools that are `ours`.
#[must_use]
pub fn merged(rounds: &[Round], ours: &dyn Fn(&str) -> bool) -> Option<Bytes> {
    let last = rounds.last()?;
    if rounds.len() == 1 && !last.calls.iter().any(|c| ours(&c.name)) {
        return Some(last.whole.clone());
    }
    let bodies: Vec<&str> = rounds
        .iter()
        .filter_map(|round| std::str::from_utf8(&round.whole).ok())
        .collect();
    match last.dialect {
        Dialect::Messages => messages::merged(&bodies, ours),
        Dialect::ChatCompletions => completions::merged(&bodies, ours),
        _ => responses::merged(&bodies, ours),
    }
    .map(Bytes::from)
}

// === what the dialects have in common ===

/// An object's fields again, some with another value; a value that is empty leaves its field out. Those that were not there come last.
fn with(fields: &Fields<'_>, replaced: &[(&str, &str)]) -> String {
    let mut out = BytesMut::new();
    {
        let mut object = Object::new(&mut out);
        for (name, json) in &fields.0 {
            match replaced.iter().find(|(key, _)| key == name) {
                Some((_, "")) => {}
                Some((_, json)) => object.raw(name, json),
                None => object.raw(name, json.get()),
            }
        }
        for (name, json) in replaced {
            if !json.is_empty() && !fields.0.iter().any(|(key, _)| key == name) {
                object.raw(name, json);
            }
        }
    }
    written(&out)
}

fn written(out: &BytesMut) -> String {
    String::from_utf8_lossy(out).into_owned()
}

/// The elements of an array that is a field.
fn list<'a>(fields: &Fields<'a>, name: &str) -> Vec<Json<'a>> {
    fields.get(name).and_then(elements).unwrap_or_default()
}

fn text(fields: &Fields<'_>, name: &str) -> String {
    fields.string(name).unwrap_or_default().into_owned()
}

/// A JSON string literal.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text of a JSON string; empty where it is none.
fn plain(json: Json<'_>) -> String {
    string(json).unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests;
