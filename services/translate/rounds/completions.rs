//! Chat completions: `tool_calls` of a message, and results as messages of role `tool`.
use super::{list, messages::Pass, quoted, text, usage, with, written};
use crate::{
    chat::ToolCall,
    tools::Output,
    translate::json::{Array, Fields},
};
use bytes::BytesMut;

fn message(body: &str) -> Option<(Fields<'_>, Fields<'_>)> {
    let fields = Fields::parse(body)?;
    let choice = *list(&fields, "choices").first()?;
    let choice = Fields::parse(choice.get())?;
    let message = choice.object("message")?;
    Some((choice, message))
}

pub(super) fn calls(body: &str) -> Option<Vec<ToolCall>> {
    let (_, message) = message(body)?;
    let calls = list(&message, "tool_calls").into_iter();
    Some(
        calls
            .filter_map(|call| {
                let call = Fields::parse(call.get())?;
                let function = call.object("function")?;
                Some(ToolCall {
                    id: text(&call, "id"),
                    name: text(&function, "name"),
                    arguments: match function.get("arguments") {
                        Some(json) if json.get().starts_with('"') => super::plain(json),
                        Some(json) => json.get().to_owned(),
                        None => String::new(),
                    },
                })
            })
            .collect(),
    )
}

pub(super) fn said(body: &str) -> Option<String> {
    let (_, message) = message(body)?;
    // `null` says nothing, and some servers do not know the fields that others leave empty.
    let empty: Vec<(&str, &str)> = message
        .0
        .iter()
        .filter(|(name, json)| name != "content" && matches!(json.get(), "null" | "[]"))
        .map(|(name, _)| (name.as_ref(), ""))
        .collect();
    Some(with(&message, &empty))
}

pub(super) fn results(results: &[(String, Output)], beside: bool, out: &mut BytesMut) {
    let mut messages = BytesMut::new();
    {
        let mut list = Array::new(&mut messages);
        for (id, output) in results {
            let mut message = list.object();
            message.str("role", "tool");
            message.str("tool_call_id", id);
            let mut said = output.text.clone();
            if output.is_error && !said.to_lowercase().starts_with("error") {
                said.insert_str(0, "Error: ");
            }
            if beside && !output.images.is_empty() {
                said.push_str("\n[an image left out]");
            }
            message.str("content", &said);
        }
        // The dialect has no other place for them.
        let mut seen = results
            .iter()
            .flat_map(|(_, output)| &output.images)
            .peekable();
        if !beside && seen.peek().is_some() {
            let mut message = list.object();
            message.str("role", "user");
            let mut content = message.array("content");
            let mut part = content.object();
            part.str("type", "text");
            part.str("text", "What the tools showed:");
            drop(part);
            for image in seen {
                let mut part = content.object();
                part.str("type", "image_url");
                let url = format!("data:{};base64,{}", image.media_type, image.data);
                part.object("image_url").str("url", &url);
            }
        }
    }
    let messages = written(&messages);
    let told = messages.strip_prefix('[').and_then(|m| m.strip_suffix(']'));
    out.extend_from_slice(told.unwrap_or_default().as_bytes());
}

pub(super) fn merged(bodies: &[&str], ours: &dyn Fn(&str) -> bool) -> Option<String> {
    let rounds: Vec<Fields<'_>> = bodies.iter().filter_map(|b| Fields::parse(b)).collect();
    let (choice, last) = message(bodies.last()?)?;
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    for body in bodies {
        let (_, message) = message(body)?;
        let said = text(&message, "content");
        if !said.trim().is_empty() {
            texts.push(said);
        }
        for call in list(&message, "tool_calls") {
            let function = Fields::parse(call.get()).and_then(|c| c.object("function"));
            if !function.is_some_and(|f| ours(&text(&f, "name"))) {
                calls.push(call.get());
            }
        }
    }
    let content = if texts.is_empty() {
        "null".to_owned()
    } else {
        quoted(&texts.join("\n\n"))
    };
    let made = if calls.is_empty() {
        String::new()
    } else {
        format!("[{}]", calls.join(","))
    };
    let message = with(&last, &[("content", &content), ("tool_calls", &made)]);
    let mut replaced = vec![("message", message.as_str())];
    if calls.is_empty() && choice.string("finish_reason").as_deref() == Some("tool_calls") {
        replaced.push(("finish_reason", "\"stop\""));
    }
    let choices = format!("[{}]", with(&choice, &replaced));
    let usage = usage::sum(rounds.iter().map(|r| r.get("usage").map(|u| u.get())));
    let mut replaced = vec![("choices", choices.as_str()), ("usage", usage.as_str())];
    if let Some(id) = rounds.first().and_then(|first| first.get("id")) {
        replaced.push(("id", id.get()));
    }
    Some(with(rounds.last()?, &replaced))
}

/// One stream out of those of several rounds.
#[derive(Debug, Default)]
pub(super) struct Weave {
    /// What the chunks of one answer have in common, as the first round has it.
    head: Vec<(&'static str, String)>,
    round: u32,
    /// Whether anything was said so far, and in this round.
    spoke: (bool, bool),
    next: u64,
    calls: Vec<(u64, Option<u64>)>,
    shows_calls: bool,
    usages: Vec<String>,
    usage: Option<String>,
    end: Option<String>,
    done: bool,
}

impl Weave {
    pub(super) fn push(&mut self, data: &str, ours: &dyn Fn(&str) -> bool) -> Pass {
        if data.trim() == "[DONE]" {
            self.done = true;
            return Pass::Nothing;
        }
        let Some(fields) = Fields::parse(data) else {
            return Pass::AsItIs;
        };
        if fields.get("error").is_some() {
            return Pass::AsItIs;
        }
        if self.round == 0 && self.head.is_empty() {
            for name in ["id", "created"] {
                if let Some(json) = fields.get(name) {
                    self.head.push((name, json.get().to_owned()));
                }
            }
        }
        if let Some(usage) = fields.get("usage") {
            self.usage = Some(usage.get().to_owned());
        }
        let choices = list(&fields, "choices");
        let Some(choice) = choices.first().and_then(|c| Fields::parse(c.get())) else {
            // The usage, which is told of all rounds at the end; or a filter's verdict on the prompt.
            return if fields.get("usage").is_some() || self.round > 0 {
                Pass::Nothing
            } else {
                Pass::AsItIs
            };
        };
        if choice.get("finish_reason").is_some() {
            self.end = Some(data.to_owned());
        }
        let delta = choice.object("delta").unwrap_or_default();
        let (delta, says) = self.delta(&delta, ours);
        let ended = choice.get("finish_reason").is_some();
        // What is left when calls of ours are taken out says nothing, and would show that there was something.
        if !says && (self.round > 0 || ended || delta.is_some()) {
            return Pass::Nothing;
        }
        if self.round == 0 && !ended && fields.get("usage").is_none() && delta.is_none() {
            return Pass::AsItIs;
        }
        let raw = delta.unwrap_or_else(|| choice.get("delta").map_or("{}", |d| d.get()).to_owned());
        let choice = with(&choice, &[("delta", &raw), ("finish_reason", "null")]);
        Pass::Instead(self.chunk(&fields, &format!("[{choice}]"), ""))
    }

    /// A delta as it is to be shown, where that is not as it came; and whether it says anything.
    fn delta(&mut self, delta: &Fields<'_>, ours: &dyn Fn(&str) -> bool) -> (Option<String>, bool) {
        let mut replaced: Vec<(&str, String)> = Vec::new();
        let mut says = false;
        for (name, json) in &delta.0 {
            let empty = matches!(json.get(), "null" | "\"\"" | "[]");
            match &**name {
                "role" if self.round > 0 => replaced.push(("role", String::new())),
                "role" => says = true,
                "tool_calls" => {
                    let shown = self.calls(delta, ours);
                    says |= !shown.is_empty();
                    let shown = if shown.is_empty() {
                        shown
                    } else {
                        format!("[{shown}]")
                    };
                    if shown != json.get() {
                        replaced.push(("tool_calls", shown));
                    }
                }
                "content" if !empty => {
                    says = true;
                    if !self.spoke.1 && self.spoke.0 && self.round > 0 {
                        // What two rounds say are two paragraphs.
                        replaced.push(("content", quoted(&format!("\n\n{}", super::plain(json)))));
                    }
                    self.spoke = (true, true);
                }
                _ => says |= !empty,
            }
        }
        if replaced.is_empty() {
            return (None, says);
        }
        let replaced: Vec<(&str, &str)> = replaced.iter().map(|(n, v)| (*n, v.as_str())).collect();
        (Some(with(delta, &replaced)), says)
    }

    fn calls(&mut self, delta: &Fields<'_>, ours: &dyn Fn(&str) -> bool) -> String {
        let mut shown = Vec::new();
        for call in list(delta, "tool_calls") {
            let Some(fields) = Fields::parse(call.get()) else {
                continue;
            };
            let index = fields.get("index").and_then(|i| i.get().parse().ok());
            let index: u64 = index.unwrap_or_default();
            let name = fields.object("function").map(|f| text(&f, "name"));
            let new = match self.calls.iter().find(|(i, _)| *i == index) {
                Some((_, new)) => *new,
                None => {
                    let hidden = name.is_some_and(|name| ours(&name));
                    let new = (!hidden).then_some(self.next);
                    self.next += u64::from(!hidden);
                    self.shows_calls |= !hidden;
                    self.calls.push((index, new));
                    new
                }
            };
            match new {
                Some(new) if new == index => shown.push(call.get().to_owned()),
                Some(new) => shown.push(with(&fields, &[("index", &new.to_string())])),
                None => {}
            }
        }
        shown.join(",")
    }

    /// A chunk with the head that all of the answer have.
    fn chunk(&self, fields: &Fields<'_>, choices: &str, usage: &str) -> String {
        let mut replaced = vec![("choices", choices), ("usage", usage)];
        for (name, json) in &self.head {
            replaced.push((name, json));
        }
        format!("data: {}\n\n", with(fields, &replaced))
    }

    pub(super) fn end_round(&mut self) {
        self.usages.extend(self.usage.take());
        self.calls.clear();
        self.shows_calls = false;
        self.end = None;
        self.done = false;
        self.spoke.1 = false;
        self.round += 1;
    }

    pub(super) fn finish(&mut self) -> String {
        self.usages.extend(self.usage.take());
        let mut out = String::new();
        let last = self.end.take().unwrap_or_default();
        if let Some(fields) = Fields::parse(&last) {
            let choice = list(&fields, "choices").first().map(|c| c.get());
            let choice = choice.and_then(Fields::parse).unwrap_or_default();
            let mut replaced = vec![("delta", "{}")];
            let stop = choice.string("finish_reason");
            if !self.shows_calls && stop.as_deref() == Some("tool_calls") {
                replaced.push(("finish_reason", "\"stop\""));
            }
            let choices = format!("[{}]", with(&choice, &replaced));
            out.push_str(&self.chunk(&fields, &choices, ""));
            let usage = usage::sum(self.usages.iter().map(|u| Some(u.as_str())));
            if !usage.is_empty() {
                out.push_str(&self.chunk(&fields, "[]", &usage));
            }
        }
        if self.done {
            out.push_str("data: [DONE]\n\n");
        }
        out
    }
}

/// What a turn says and which calls it makes or answers.
pub(super) fn look(fields: &Fields<'_>, see: &mut dyn FnMut(&str)) {
    super::messages::look(fields, see);
    for call in list(fields, "tool_calls") {
        if let Some(call) = Fields::parse(call.get()) {
            see(&quoted(&text(&call, "id")));
        }
    }
    if let Some(id) = fields.string("tool_call_id") {
        see(&quoted(&id));
    }
}
