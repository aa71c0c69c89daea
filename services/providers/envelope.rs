//! Anthropic's Messages as the clouds take them: the caller's body with a few spans changed, and not another byte.
//!
//! The model stands in the path, and the version of the dialect in the body.
use crate::{
    chat::{Edit, Prompt},
    providers::spec::Adapted,
    translate::json::{Fields, Json},
};
use std::{borrow::Cow, ops::Range};

/// Fields of which the clouds know nothing, and which only wish for another price, place or pace.
const UNKNOWN: [&str; 3] = ["inference_geo", "service_tier", "speed"];

/// The body of a call: what comes `first` (members without the brace, the version at least), and the caller's members without those in `gone`.
pub(super) fn adapt(prompt: &Prompt, mut first: String, gone: &[&str]) -> Adapted {
    let raw = std::str::from_utf8(prompt.raw()).unwrap_or_default();
    let fields = Fields::parse(raw).unwrap_or_default();
    let mut dropped = Vec::new();
    // A member reaches from the end of the one before, whose comma it takes along; ours stands first and takes none.
    let open = raw.find('{').map_or(0, |at| at + 1);
    let mut edits = Vec::new();
    let mut from = open;
    let mut leading = true;
    let mut lead = open..open;
    for (name, json) in &fields.0 {
        let Some(value) = place(raw, json) else {
            break;
        };
        let unknown = UNKNOWN.contains(&&**name);
        if unknown {
            dropped.push(name.clone().into_owned());
        }
        match (unknown || gone.contains(&&**name), leading) {
            // What goes at the front makes place for ours.
            (true, true) => lead.end = value.end,
            (true, false) => edits.push(edit(from..value.end, "")),
            (false, true) => {
                leading = false;
                if lead.is_empty() {
                    first.push(',');
                }
            }
            (false, false) => {}
        }
        from = value.end;
    }
    edits.push(edit(lead, first));
    Adapted {
        body: prompt.edited(edits),
        dropped,
    }
}

/// A body that [`adapt`] has made, with a further member (written without a comma).
pub(super) fn with(body: &[u8], member: &str) -> Vec<u8> {
    let rest = body.strip_prefix(b"{").unwrap_or(body);
    [b"{", member.as_bytes(), b",", rest].concat()
}

fn edit<'a>(span: Range<usize>, with: impl Into<Cow<'a, str>>) -> Edit<'a> {
    let at = |at| u32::try_from(at).unwrap_or(u32::MAX);
    Edit {
        span: at(span.start)..at(span.end),
        with: with.into(),
    }
}

/// Where in `raw` a value of it stands.
fn place(raw: &str, json: &Json<'_>) -> Option<Range<usize>> {
    let start = (json.get().as_ptr() as usize).checked_sub(raw.as_ptr() as usize)?;
    Some(start..start + json.get().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chat::Operation, dialect::Dialect};

    const GONE: [&str; 3] = ["model", "stream", "anthropic_version"];

    #[test]
    fn model_and_stream_go_wherever_they_stand() {
        for (sent, expected) in [
            (
                r#"{"model":"m","max_tokens":9,"messages":[],"stream":true}"#,
                r#"{"anthropic_version":"v","max_tokens":9,"messages":[]}"#,
            ),
            (
                "{ \"max_tokens\" : 9 ,\n \"stream\" : false , \"messages\" : [ ] , \"model\":\"m\" , \"top_p\":1.00 }",
                "{\"anthropic_version\":\"v\", \"max_tokens\" : 9 , \"messages\" : [ ] , \"top_p\":1.00 }",
            ),
            (
                r#"{"stream":true,"model":"m","messages":[{"role":"user","content":"\"model\":1"}]}"#,
                r#"{"anthropic_version":"v","messages":[{"role":"user","content":"\"model\":1"}]}"#,
            ),
            (
                r#"{"messages":[],"model":"m"}"#,
                r#"{"anthropic_version":"v","messages":[]}"#,
            ),
            (
                r#"{"messages":[],"anthropic_version":"x","model":"m","metadata":{"user_id":"u"}}"#,
                r#"{"anthropic_version":"v","messages":[],"metadata":{"user_id":"u"}}"#,
            ),
        ] {
            let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, sent.into());
            let sent = adapt(&prompt.unwrap(), r#""anthropic_version":"v""#.into(), &GONE);
            assert_eq!(sent.body, expected);
            assert!(sent.dropped.is_empty());
            let more = with(&sent.body, r#""model":"m""#);
            assert_eq!(
                more,
                expected.replacen('{', r#"{"model":"m","#, 1).as_bytes()
            );
        }
    }

    #[test]
    fn what_no_cloud_knows_is_dropped_and_told() {
        let body = r#"{"model":"m","service_tier":"auto","messages":[],"inference_geo":"us","speed":"fast"}"#;
        let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap();
        let sent = adapt(&prompt, r#""anthropic_version":"v""#.into(), &GONE);
        assert_eq!(sent.body, r#"{"anthropic_version":"v","messages":[]}"#);
        assert_eq!(sent.dropped, ["service_tier", "inference_geo", "speed"]);
    }
}
