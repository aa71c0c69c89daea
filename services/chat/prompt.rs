//! The body of a chat request.
use super::{Facts, Operation, Part, Pieces, Refusal};
use crate::dialect::Dialect;
use bytes::{Bytes, BytesMut};
use std::{borrow::Cow, ops::Range, sync::Arc};

/// A chat request's body: the bytes as they arrived, and the [`Facts`] read from them once. A clone costs two reference counts.
///
/// ```
/// use bytes::Bytes;
/// use tierway_services::{chat::{Operation, Prompt}, dialect::Dialect};
/// let body = Bytes::from_static(br#"{"model":"auto","messages":[{"role":"user","content":"hi"}],"temperature":1.00}"#);
/// let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.clone()).unwrap();
/// assert_eq!(prompt.facts().model, "auto");
/// // Another model, and not another byte:
/// let sent = prompt.with_model("qwen2.5:3b", false);
/// assert_eq!(sent, r#"{"model":"qwen2.5:3b","messages":[{"role":"user","content":"hi"}],"temperature":1.00}"#);
/// ```
#[derive(Clone, Debug)]
pub struct Prompt {
    raw: Bytes,
    facts: Arc<Facts>,
}

/// A replacement of one span of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit<'a> {
    /// What is replaced.
    pub span: Range<u32>,
    /// By what.
    pub with: Cow<'a, str>,
}

impl Prompt {
    /// Reads the facts out of `raw` without copying it.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field at fault, where the body is no request of this dialect.
    pub fn parse(dialect: Dialect, operation: Operation, raw: Bytes) -> Result<Self, Refusal> {
        let facts = Arc::new(dialect.read_facts(operation, &raw)?);
        Ok(Self { raw, facts })
    }
    /// The body exactly as it arrived.
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }
    /// What it says about itself.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
    /// The JSON text at a span that the facts name; empty where the span is not of this body.
    #[must_use]
    pub fn json(&self, span: &Range<u32>) -> &str {
        let bytes = self
            .raw
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default();
        crate::json::utf8(bytes).unwrap_or_default()
    }
    /// The text of a [`Text`](super::PartKind::Text) part; borrowed where the JSON holds no escapes.
    #[must_use]
    pub fn text(&self, part: &Part) -> Cow<'_, str> {
        let literal = self.json(&part.span);
        match literal.strip_prefix('"').and_then(|l| l.strip_suffix('"')) {
            Some(plain) if !plain.as_bytes().contains(&b'\\') => Cow::Borrowed(plain),
            inside => Cow::Owned(inside.and_then(crate::json::unescaped).unwrap_or_default()),
        }
    }
    /// The body with another model named and, if `ask_usage`, with the stream asked to report its usage (chat completions; without it a
    /// stream could not be billed). Everything else stays byte for byte the same; where nothing changes, these are the very same bytes.
    #[must_use]
    pub fn with_model(&self, model: &str, ask_usage: bool) -> Bytes {
        match self.naming(model, ask_usage) {
            edits if edits.is_empty() => self.raw.clone(),
            edits => self.edited(edits),
        }
    }
    /// The body of [`with_model`](Self::with_model) to be sent: a long one is not copied, but sent in pieces around what is exchanged.
    #[must_use]
    pub fn sent_to_model(&self, model: &str, ask_usage: bool) -> Pieces {
        let mut edits = self.naming(model, ask_usage);
        if edits.is_empty() {
            return self.raw.clone().into();
        }
        if self.raw.len() < IN_PIECES {
            return self.edited(edits).into();
        }
        edits.sort_by_key(|e| e.span.start);
        let mut pieces = Vec::with_capacity(2 * edits.len() + 1);
        let mut from = 0;
        for edit in edits {
            let until = (edit.span.start as usize).clamp(from, self.raw.len());
            pieces.push(self.raw.slice(from..until));
            pieces.push(edit.with.into_owned().into());
            from = (edit.span.end as usize).clamp(until, self.raw.len());
        }
        pieces.push(self.raw.slice(from..));
        pieces.into_iter().collect()
    }
    /// What is to be exchanged in the body so that it names another model.
    fn naming(&self, model: &str, ask_usage: bool) -> Vec<Edit<'static>> {
        let facts = &*self.facts;
        let ask = ask_usage && facts.stream && !matches!(facts.stream_options, Some((_, true)));
        if model == facts.model && !ask {
            return Vec::new();
        }
        let mut name = quote(model);
        let mut edits = Vec::with_capacity(2);
        match &facts.stream_options {
            Some((span, false)) if ask => edits.push(Edit {
                span: span.clone(),
                with: with_usage(self.json(span)),
            }),
            None if ask => name.push_str(r#","stream_options":{"include_usage":true}"#),
            _ => {}
        }
        edits.push(Edit {
            span: facts.model_span.clone(),
            with: name.into(),
        });
        edits
    }
    /// The body with some spans replaced and everything else byte for byte the same.
    #[must_use]
    pub fn edited(&self, mut edits: Vec<Edit<'_>>) -> Bytes {
        edits.sort_by_key(|e| e.span.start);
        let added: usize = edits.iter().map(|e| e.with.len()).sum();
        let mut out = BytesMut::with_capacity(self.raw.len() + added);
        let mut from = 0;
        for edit in &edits {
            out.extend_from_slice(
                self.raw
                    .get(from..edit.span.start as usize)
                    .unwrap_or_default(),
            );
            out.extend_from_slice(edit.with.as_bytes());
            from = edit.span.end as usize;
        }
        out.extend_from_slice(self.raw.get(from..).unwrap_or_default());
        out.freeze()
    }
}

/// Bodies of this size and more are sent in pieces. Of shorter ones a copy costs less than the pieces do.
const IN_PIECES: usize = 32 * 1024;

/// `text` as a JSON string literal.
fn quote(text: &str) -> String {
    // Cannot fail: it is a text.
    serde_json::to_string(text).unwrap_or_default()
}

/// A `stream_options` object that asks for usage and keeps what else it held.
fn with_usage(options: &str) -> Cow<'static, str> {
    let mut kept: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(options).unwrap_or_default();
    kept.insert("include_usage".into(), true.into());
    serde_json::Value::Object(kept).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(body: &'static str) -> Prompt {
        Prompt::parse(
            Dialect::ChatCompletions,
            Operation::Generate,
            Bytes::from_static(body.as_bytes()),
        )
        .unwrap()
    }

    #[test]
    fn rewriting_the_model_touches_nothing_else() {
        let p = chat(
            r#"{ "x": 1.00, "model" : "ab", "messages":[], "stream":true, "y":{"b":1,"a":2} }"#,
        );
        assert_eq!(p.facts().model, "ab");
        assert_eq!(
            &p.with_model("q", false)[..],
            br#"{ "x": 1.00, "model" : "q", "messages":[], "stream":true, "y":{"b":1,"a":2} }"#
        );
    }

    #[test]
    fn the_same_model_costs_no_copy() {
        let p = chat(r#"{"model":"ab","messages":[]}"#);
        assert_eq!(p.with_model("ab", true).as_ptr(), p.raw().as_ptr());
    }

    #[test]
    fn a_long_body_is_sent_in_pieces_of_itself() {
        for text in ["hi", &"long ".repeat(IN_PIECES)] {
            for options in ["", r#","stream_options":{"x":1}"#] {
                for first in [true, false] {
                    let (a, b) = (r#""model":"ab""#, format!(r#""stream":true{options}"#));
                    let (a, b) = if first { (a, &*b) } else { (&*b, a) };
                    let body =
                        format!(r#"{{{a},"messages":[{{"role":"user","content":"{text}"}}],{b}}}"#);
                    let p =
                        Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into());
                    let p = p.unwrap();
                    for (model, ask) in [
                        ("ab", false),
                        ("ab", true),
                        ("other", false),
                        ("other", true),
                    ] {
                        assert_eq!(
                            p.sent_to_model(model, ask).whole(),
                            p.with_model(model, ask)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_stream_is_asked_for_its_usage_once() {
        let p = chat(r#"{"model":"a","messages":[],"stream":true}"#);
        assert_eq!(
            p.with_model("a", true),
            r#"{"model":"a","stream_options":{"include_usage":true},"messages":[],"stream":true}"#
        );
        let p = chat(r#"{"stream_options":{"x":1},"model":"a","messages":[],"stream":true}"#);
        assert_eq!(
            p.with_model("b", true),
            r#"{"stream_options":{"include_usage":true,"x":1},"model":"b","messages":[],"stream":true}"#
        );
        let p = chat(
            r#"{"stream_options":{"include_usage":true},"model":"a","messages":[],"stream":true}"#,
        );
        assert_eq!(p.with_model("a", true).as_ptr(), p.raw().as_ptr());
    }
}
