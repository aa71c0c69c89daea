//! What passes untranslated, held against what its model is said to be able to do.
use super::{Capabilities, MaxTokensField, json::Fields, text::escape};
use crate::{
    chat::{Kind, Part, PartKind, Prompt, Refusal},
    dialect::Dialect,
};
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;

/// Refuses what a model cannot do. For requests that pass in their own dialect and whose model somebody has described: what is translated is
/// judged on the way, and of other models their provider judges best.
///
/// # Errors
/// A [`Refusal`] that names what the model cannot do.
pub fn guard(prompt: &Prompt, caps: &Capabilities) -> Result<(), Refusal> {
    let facts = prompt.facts();
    let refuse = |param: &'static str, why: &str| {
        Err(Refusal::new(Kind::InvalidRequest, format!("{param}: {why}")).with_param(param))
    };
    if !caps.tools && facts.tool_count > 0 {
        return refuse("tools", "the model behind this name takes no tools");
    }
    if !caps.vision && facts.has_images() {
        return refuse("messages", "the model behind this name sees no images");
    }
    if !caps.documents {
        let mut parts = facts.turns.iter().flat_map(|turn| &turn.parts);
        if parts.any(|part| is_file(prompt, part)) {
            return refuse("messages", "the model behind this name reads no documents");
        }
    }
    if !caps.logprobs && facts.dialect == Dialect::ChatCompletions && wants_logprobs(prompt) {
        return refuse("logprobs", "the model behind this name tells none");
    }
    Ok(())
}

/// Whether a part is a document that is more than its text.
fn is_file(prompt: &Prompt, part: &Part) -> bool {
    part.kind == PartKind::Document
        && Fields::parse(prompt.json(&part.span))
            .and_then(|block| block.object("source"))
            .and_then(|source| source.string("type"))
            .is_none_or(|kind| !matches!(&*kind, "text" | "content"))
}

fn wants_logprobs(prompt: &Prompt) -> bool {
    memchr::memmem::find(prompt.raw(), b"\"logprobs\"").is_some()
        && top(prompt.raw()).is_some_and(|fields| fields.is_true("logprobs"))
}

fn top(body: &[u8]) -> Option<Fields<'_>> {
    Fields::parse(std::str::from_utf8(body).ok()?)
}

/// Whether a body has one of these fields at its top, other than null.
#[must_use]
pub fn has_field(prompt: &Prompt, names: &[&str]) -> bool {
    let raw = prompt.raw();
    let named = |name: &&str| memchr::memmem::find(raw, name.as_bytes()).is_some();
    names.iter().any(named)
        && top(raw).is_some_and(|fields| names.iter().any(|name| fields.get(name).is_some()))
}

/// How a switch at the top of a body stands; `None` where the body says nothing of it.
#[must_use]
pub fn switch(prompt: &Prompt, name: &str) -> Option<bool> {
    memchr::memmem::find(prompt.raw(), name.as_bytes())?;
    match top(prompt.raw())?.get(name)?.get() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A body of chat completions with its limit on output under this name, and not another byte changed.
#[must_use]
pub fn with_limit_as(body: Bytes, field: MaxTokensField) -> Bytes {
    let other = match field {
        MaxTokensField::MaxTokens => MaxTokensField::MaxCompletionTokens,
        MaxTokensField::MaxCompletionTokens => MaxTokensField::MaxTokens,
    };
    let Some(fields) = top(&body) else {
        return body;
    };
    let place = fields.0.iter().find_map(|(key, _)| match key {
        Cow::Borrowed(key) if *key == other.as_str() => {
            (key.as_ptr() as usize).checked_sub(body.as_ptr() as usize)
        }
        _ => None,
    });
    let Some(at) = place.filter(|_| fields.get(field.as_str()).is_none()) else {
        return body.clone();
    };
    let mut out = BytesMut::with_capacity(body.len() + 16);
    out.extend_from_slice(body.get(..at).unwrap_or_default());
    escape(&mut out, field.as_str());
    let rest = body.get(at + other.as_str().len()..);
    out.extend_from_slice(rest.unwrap_or_default());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Operation;

    fn chat(more: &str) -> Prompt {
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"options"}}]{more}}}"#);
        Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap()
    }

    #[test]
    fn what_is_said_to_be_impossible_is_refused() {
        let mut caps = Capabilities::ALL;
        (caps.tools, caps.vision, caps.documents, caps.logprobs) = (false, false, false, false);
        let file = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#;
        let text = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","data":"x"}}]}]}"#;
        let image = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#;
        let of = |body: &'static str| {
            Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap()
        };
        for (prompt, param) in [
            (chat(r#","tools":[{}]"#), Some("tools")),
            (chat(r#","logprobs":true"#), Some("logprobs")),
            (chat(r#","logprobs":false"#), None),
            (of(file), Some("messages")),
            (of(text), None),
            (of(image), Some("messages")),
        ] {
            let told = guard(&prompt, &caps);
            assert_eq!(told.as_ref().err().and_then(Refusal::param), param);
            assert_eq!(guard(&prompt, &Capabilities::ALL), Ok(()));
        }
    }

    #[test]
    fn fields_at_the_top_are_told_from_words() {
        assert!(!has_field(&chat(""), &["options"]));
        assert!(has_field(
            &chat(r#","options":{"num_ctx":1}"#),
            &["options"]
        ));
        assert!(!has_field(&chat(r#","options":null"#), &["options"]));
    }

    #[test]
    fn the_limit_changes_its_name_and_nothing_else() {
        let body = |name: &str| Bytes::from(format!(r#"{{ "{name}" : 1.0, "x":"max_tokens" }}"#));
        let (old, new) = (
            MaxTokensField::MaxTokens,
            MaxTokensField::MaxCompletionTokens,
        );
        let sent = with_limit_as(body("max_tokens"), new);
        assert_eq!(sent, body("max_completion_tokens"));
        assert_eq!(with_limit_as(sent, old), body("max_tokens"));
        let same = body("max_tokens");
        assert_eq!(with_limit_as(same.clone(), old).as_ptr(), same.as_ptr());
        let both = Bytes::from_static(br#"{"max_tokens":1,"max_completion_tokens":2}"#);
        assert_eq!(with_limit_as(both.clone(), new), both);
    }
}
