//! Messages: content blocks, and results as blocks of a user turn.
use super::{list, quoted, text, usage, with, written};
use crate::{
    chat::ToolCall,
    tools::Output,
    translate::json::{Array, Fields, Json},
};
use bytes::BytesMut;
use serde_json::Value;

pub(super) fn calls(body: &str) -> Option<Vec<ToolCall>> {
    let fields = Fields::parse(body)?;
    fields.get("content")?;
    let blocks = list(&fields, "content");
    Some(blocks.into_iter().filter_map(call).collect())
}

fn call(block: Json<'_>) -> Option<ToolCall> {
    let block = Fields::parse(block.get())?;
    (block.string("type")? == "tool_use").then(|| ToolCall {
        id: text(&block, "id"),
        name: text(&block, "name"),
        arguments: block.get("input").map_or("{}", |i| i.get()).to_owned(),
    })
}

pub(super) fn said(body: &str) -> Option<String> {
    let fields = Fields::parse(body)?;
    let content = fields.get("content")?.get();
    Some(format!(r#"{{"role":"assistant","content":{content}}}"#))
}

pub(super) fn results(results: &[(String, Output)], beside: bool, out: &mut BytesMut) {
    let mut blocks = BytesMut::new();
    {
        let mut list = Array::new(&mut blocks);
        for (id, output) in results {
            let mut block = list.object();
            block.str("type", "tool_result");
            block.str("tool_use_id", id);
            if output.images.is_empty() {
                block.str("content", &output.text);
            } else {
                let mut content = block.array("content");
                if !output.text.is_empty() {
                    let mut part = content.object();
                    part.str("type", "text");
                    part.str("text", &output.text);
                }
                for image in &output.images {
                    let mut part = content.object();
                    part.str("type", "image");
                    let mut source = part.object("source");
                    source.str("type", "base64");
                    source.str("media_type", &image.media_type);
                    source.str("data", &image.data);
                }
            }
            if output.is_error {
                block.bool("is_error", true);
            }
        }
    }
    let blocks = written(&blocks);
    let told = if beside {
        inside(&blocks).to_owned()
    } else {
        format!(r#"{{"role":"user","content":{blocks}}}"#)
    };
    out.extend_from_slice(told.as_bytes());
}

fn inside(array: &str) -> &str {
    array
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'))
        .unwrap_or_default()
}

pub(super) fn merged(bodies: &[&str], ours: &dyn Fn(&str) -> bool) -> Option<String> {
    let rounds: Vec<Fields<'_>> = bodies.iter().filter_map(|b| Fields::parse(b)).collect();
    let last = rounds.last()?;
    let mut calls = false;
    let mut blocks = Vec::new();
    for block in rounds.iter().flat_map(|round| list(round, "content")) {
        let made = call(block);
        if made.as_ref().is_some_and(|call| ours(&call.name)) {
            continue;
        }
        calls |= made.is_some();
        blocks.push(block.get());
    }
    let content = format!("[{}]", blocks.join(","));
    let usage = usage::sum(rounds.iter().map(|r| r.get("usage").map(|u| u.get())));
    let mut replaced = vec![("content", content.as_str()), ("usage", usage.as_str())];
    let id = rounds.first().and_then(|first| first.get("id"));
    if let Some(id) = id {
        replaced.push(("id", id.get()));
    }
    if !calls && last.string("stop_reason").as_deref() == Some("tool_use") {
        replaced.push(("stop_reason", "\"end_turn\""));
    }
    Some(with(last, &replaced))
}

/// One stream out of those of several rounds.
#[derive(Debug, Default)]
pub(super) struct Weave {
    started: bool,
    /// The number that the next block gets.
    next: u64,
    /// The blocks of this round by their numbers there, and what they are called in the answer, if shown.
    blocks: Vec<(u64, Option<u64>)>,
    /// Whether this round calls a tool of the caller's.
    calls: bool,
    usage: Value,
    total: Value,
    delta: Option<String>,
}

impl Weave {
    pub(super) fn push(&mut self, data: &str, ours: &dyn Fn(&str) -> bool) -> Pass {
        let Some(fields) = Fields::parse(data) else {
            return Pass::AsItIs;
        };
        let index = || fields.get("index")?.get().parse::<u64>().ok();
        match &*fields.string("type").unwrap_or_default() {
            "message_start" => {
                let told = fields.object("message").and_then(|m| m.get("usage"));
                usage::overlay(&mut self.usage, parsed(told));
                if std::mem::replace(&mut self.started, true) {
                    Pass::Nothing
                } else {
                    Pass::AsItIs
                }
            }
            "content_block_start" => {
                let block = fields.object("content_block").unwrap_or_default();
                let calls = block.string("type").as_deref() == Some("tool_use");
                let hidden = calls && ours(&text(&block, "name"));
                self.calls |= calls && !hidden;
                let shown = (!hidden).then_some(self.next);
                self.next += u64::from(!hidden);
                self.blocks.push((index().unwrap_or_default(), shown));
                self.renumbered(&fields, index(), data)
            }
            "content_block_delta" | "content_block_stop" => self.renumbered(&fields, index(), data),
            "message_delta" => {
                usage::overlay(&mut self.usage, parsed(fields.get("usage")));
                self.delta = Some(data.to_owned());
                Pass::Nothing
            }
            "message_stop" => Pass::Nothing,
            _ => Pass::AsItIs,
        }
    }

    fn renumbered(&self, fields: &Fields<'_>, index: Option<u64>, data: &str) -> Pass {
        let known = self.blocks.iter().rfind(|(i, _)| Some(*i) == index);
        match known {
            Some((_, None)) => Pass::Nothing,
            Some((old, Some(new))) if old != new => {
                let name = fields.string("type").unwrap_or_default();
                let json = with(fields, &[("index", &new.to_string())]);
                Pass::Instead(event(&name, &json))
            }
            _ if data.is_empty() => Pass::Nothing,
            _ => Pass::AsItIs,
        }
    }

    pub(super) fn end_round(&mut self) {
        self.blocks.clear();
        self.calls = false;
        self.delta = None;
        usage::add(&mut self.total, std::mem::take(&mut self.usage));
    }

    /// The answer's end, of which the last round told.
    pub(super) fn finish(&mut self) -> String {
        usage::add(&mut self.total, std::mem::take(&mut self.usage));
        let ended = self.delta.take().unwrap_or_default();
        let Some(fields) = Fields::parse(&ended) else {
            return String::new();
        };
        let delta = fields.object("delta").unwrap_or_default();
        let stop = delta.string("stop_reason");
        let delta = if !self.calls && stop.as_deref() == Some("tool_use") {
            with(&delta, &[("stop_reason", "\"end_turn\"")])
        } else {
            with(&delta, &[])
        };
        let total = if self.total.is_null() {
            String::new()
        } else {
            self.total.to_string()
        };
        let json = with(&fields, &[("delta", &delta), ("usage", &total)]);
        event("message_delta", &json) + &event("message_stop", r#"{"type":"message_stop"}"#)
    }
}

/// What becomes of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pass {
    AsItIs,
    Instead(String),
    Nothing,
}

fn parsed(json: Option<Json<'_>>) -> Value {
    json.and_then(|json| serde_json::from_str(json.get()).ok())
        .unwrap_or_default()
}

fn event(name: &str, json: &str) -> String {
    format!("event: {name}\ndata: {json}\n\n")
}

/// Used for what a turn says and which calls it makes or answers.
pub(super) fn look(fields: &Fields<'_>, see: &mut dyn FnMut(&str)) {
    let Some(content) = fields.get("content") else {
        return;
    };
    if content.get().starts_with('"') {
        return see(&super::plain(content));
    }
    for block in list(fields, "content") {
        let Some(block) = Fields::parse(block.get()) else {
            continue;
        };
        match &*block.string("type").unwrap_or_default() {
            "text" => see(&text(&block, "text")),
            "tool_use" => see(&quoted(&text(&block, "id"))),
            "tool_result" => see(&quoted(&text(&block, "tool_use_id"))),
            _ => {}
        }
    }
}
