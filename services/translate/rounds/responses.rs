//! Responses: items, calls and their outputs among them.
use super::{list, messages::Pass, quoted, text, usage, with, written};
use crate::{
    chat::ToolCall,
    tools::Output,
    translate::json::{Array, Fields, Json},
};
use bytes::BytesMut;

pub(super) fn calls(body: &str) -> Option<Vec<ToolCall>> {
    let fields = Fields::parse(body)?;
    fields.get("output")?;
    let items = list(&fields, "output");
    Some(items.into_iter().filter_map(call).collect())
}

fn call(item: Json<'_>) -> Option<ToolCall> {
    let item = Fields::parse(item.get())?;
    (item.string("type")? == "function_call").then(|| ToolCall {
        id: text(&item, "call_id"),
        name: text(&item, "name"),
        arguments: text(&item, "arguments"),
    })
}

pub(super) fn said(body: &str) -> Option<String> {
    let fields = Fields::parse(body)?;
    let items: Vec<&str> = list(&fields, "output").iter().map(|i| i.get()).collect();
    Some(items.join(","))
}

pub(super) fn results(results: &[(String, Output)], out: &mut BytesMut) {
    let mut items = BytesMut::new();
    {
        let mut list = Array::new(&mut items);
        for (id, output) in results {
            let mut item = list.object();
            item.str("type", "function_call_output");
            item.str("call_id", id);
            let mut said = output.text.clone();
            if output.is_error && !said.to_lowercase().starts_with("error") {
                said.insert_str(0, "Error: ");
            }
            if output.images.is_empty() {
                item.str("output", &said);
                continue;
            }
            let mut parts = item.array("output");
            let mut part = parts.object();
            part.str("type", "input_text");
            part.str("text", &said);
            drop(part);
            for image in &output.images {
                let mut part = parts.object();
                part.str("type", "input_image");
                let url = format!("data:{};base64,{}", image.media_type, image.data);
                part.str("image_url", &url);
            }
        }
    }
    let items = written(&items);
    let told = items.strip_prefix('[').and_then(|i| i.strip_suffix(']'));
    out.extend_from_slice(told.unwrap_or_default().as_bytes());
}

fn shown<'a>(items: Vec<Json<'a>>, ours: &dyn Fn(&str) -> bool) -> Vec<&'a str> {
    let items = items.into_iter();
    let hidden = |item: &Json<'a>| call(item).is_some_and(|call| ours(&call.name));
    items.filter(|i| !hidden(i)).map(|i| i.get()).collect()
}

pub(super) fn merged(bodies: &[&str], ours: &dyn Fn(&str) -> bool) -> Option<String> {
    let rounds: Vec<Fields<'_>> = bodies.iter().filter_map(|b| Fields::parse(b)).collect();
    let items: Vec<&str> = rounds
        .iter()
        .flat_map(|round| shown(list(round, "output"), ours))
        .collect();
    let output = format!("[{}]", items.join(","));
    let usage = usage::sum(rounds.iter().map(|r| r.get("usage").map(|u| u.get())));
    Some(with(
        rounds.last()?,
        &[("output", &output), ("usage", &usage)],
    ))
}

/// One stream out of those of several rounds.
#[derive(Debug, Default)]
pub(super) struct Weave {
    round: u32,
    sequence: u64,
    next: u64,
    items: Vec<(u64, Option<u64>)>,
    /// The id that the answer began with.
    id: Option<String>,
    output: Vec<String>,
    usages: Vec<String>,
    end: Option<(String, String)>,
}

impl Weave {
    pub(super) fn push(&mut self, data: &str, ours: &dyn Fn(&str) -> bool) -> Pass {
        let Some(fields) = Fields::parse(data) else {
            return Pass::AsItIs;
        };
        let kind = text(&fields, "type");
        match &*kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                if self.round > 0 {
                    return Pass::Nothing;
                }
                let response = fields.object("response").unwrap_or_default();
                self.id = response.get("id").map(|id| id.get().to_owned());
                return self.numbered(&kind, &fields, &[]);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                let response = fields.object("response").unwrap_or_default();
                for item in shown(list(&response, "output"), ours) {
                    self.output.push(item.to_owned());
                }
                if let Some(usage) = response.get("usage") {
                    self.usages.push(usage.get().to_owned());
                }
                self.end = Some((kind, data.to_owned()));
                return Pass::Nothing;
            }
            _ => {}
        }
        let index = fields.get("output_index");
        let Some(index) = index.and_then(|i| i.get().parse::<u64>().ok()) else {
            return self.numbered(&kind, &fields, &[]);
        };
        if kind == "response.output_item.added" {
            let hidden = fields
                .get("item")
                .and_then(call)
                .is_some_and(|call| ours(&call.name));
            self.items.push((index, (!hidden).then_some(self.next)));
            self.next += u64::from(!hidden);
        }
        match self.items.iter().rfind(|(i, _)| *i == index) {
            Some((_, None)) => Pass::Nothing,
            Some((_, Some(new))) => {
                let new = new.to_string();
                self.numbered(&kind, &fields, &[("output_index", &new)])
            }
            None => self.numbered(&kind, &fields, &[]),
        }
    }

    /// An event with the number that is its own in the whole answer.
    fn numbered(&mut self, kind: &str, fields: &Fields<'_>, replaced: &[(&str, &str)]) -> Pass {
        let number = self.sequence.to_string();
        self.sequence += 1;
        let mut all = replaced.to_vec();
        all.push(("sequence_number", &number));
        Pass::Instead(format!("event: {kind}\ndata: {}\n\n", with(fields, &all)))
    }

    pub(super) fn end_round(&mut self) {
        self.items.clear();
        self.end = None;
        self.round += 1;
    }

    pub(super) fn finish(&mut self) -> String {
        let Some((kind, data)) = self.end.take() else {
            return String::new();
        };
        let fields = Fields::parse(&data).unwrap_or_default();
        let response = fields.object("response").unwrap_or_default();
        let output = format!("[{}]", self.output.join(","));
        let usage = usage::sum(self.usages.iter().map(|u| Some(u.as_str())));
        let mut replaced = vec![("output", output.as_str())];
        if !usage.is_empty() {
            replaced.push(("usage", &usage));
        }
        let id = self.id.clone().unwrap_or_default();
        if !id.is_empty() {
            replaced.push(("id", &id));
        }
        let response = with(&response, &replaced);
        match self.numbered(&kind, &fields, &[("response", &response)]) {
            Pass::Instead(event) => event,
            _ => String::new(),
        }
    }
}

/// What an item says and which call it makes or answers.
pub(super) fn look(fields: &Fields<'_>, see: &mut dyn FnMut(&str)) {
    if let Some(id) = fields.string("call_id") {
        return see(&quoted(&id));
    }
    let Some(content) = fields.get("content") else {
        return;
    };
    if content.get().starts_with('"') {
        return see(&super::plain(content));
    }
    for part in list(fields, "content") {
        if let Some(part) = Fields::parse(part.get()) {
            see(&text(&part, "text"));
        }
    }
}
