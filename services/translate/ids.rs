//! Names and ids where one dialect allows what another does not.
use super::{
    json::{Fields, Json, elements},
    text::Text,
};
use crate::chat::Prompt;
use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// The longest id of a tool call in chat completions.
const LONGEST_ID: usize = 40;
/// The longest name of a tool in chat completions.
const LONGEST_NAME: usize = 64;

/// A tool call's id as both vendors take it: at most 40 letters, digits, `_` and `-`. Others are replaced by one that is made from them, so
/// that a call and its result still meet.
pub(crate) fn call_id<'a>(id: &'a Text<'_>) -> Cow<'a, str> {
    let id = id.decode();
    if id.len() <= LONGEST_ID && !id.is_empty() && id.bytes().all(is_plain) {
        id
    } else {
        format!("call_{:016x}", hash(&id)).into()
    }
}

/// A tool call's id as a caller is given it: such that it can go back to any provider, for it comes back with the history, and the next turn
/// may be another provider's. Where there is none it stays none.
pub(crate) fn given_id<'a>(id: &'a Text<'_>) -> Cow<'a, str> {
    let plain = id.decode();
    if plain.is_empty() { plain } else { call_id(id) }
}

/// A tool's name as both vendors take it: at most 64 letters, digits, `_` and `-`. Others are cut, and marked with what [`restored`] knows
/// them by.
pub(crate) fn tool_name<'a>(name: &'a Text<'_>) -> Cow<'a, str> {
    let name = name.decode();
    if name.len() <= LONGEST_NAME && name.bytes().all(is_plain) {
        return name;
    }
    let kept: String = name
        .chars()
        .take(LONGEST_NAME - 9)
        .map(|c| match u8::try_from(c) {
            Ok(byte) if is_plain(byte) => c,
            _ => '_',
        })
        .collect();
    format!("{kept}_{:08x}", hash(&name) & 0xFFFF_FFFF).into()
}

/// The name under which the caller offered the tool that went upstream as `name`.
pub(crate) fn restored<'a>(name: Text<'a>, prompt: &Prompt) -> Text<'a> {
    let marked = {
        let plain = name.decode();
        let mark = plain.len().checked_sub(9).and_then(|at| plain.get(at..));
        mark.and_then(|mark| mark.strip_prefix('_'))
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if marked {
        Renamed::of(prompt).restored(name)
    } else {
        name
    }
}

/// The tools of a request that go upstream under other names, for whoever must not keep the whole request: the other name first.
#[derive(Debug, Default)]
pub(crate) struct Renamed(Box<[(String, String)]>);

impl Renamed {
    pub(crate) fn of(prompt: &Prompt) -> Self {
        let Some(span) = prompt.facts().tools_span.clone() else {
            return Self::default();
        };
        let tools = crate::json::from_str::<Json<'_>>(prompt.json(&span))
            .ok()
            .and_then(elements)
            .unwrap_or_default();
        let renamed = tools.into_iter().filter_map(|tool| {
            let tool = Fields::parse(tool.get())?;
            let offered = tool.object("function").unwrap_or(tool).text("name")?;
            let (sent, offered) = (tool_name(&offered), offered.decode());
            (sent != offered).then(|| (sent.into_owned(), offered.into_owned()))
        });
        Self(renamed.collect())
    }

    /// As [`restored`].
    pub(crate) fn restored<'a>(&self, name: Text<'a>) -> Text<'a> {
        let known = |(sent, _): &&(String, String)| *sent == name.decode();
        match self.0.iter().find(known) {
            Some((_, offered)) => Text::Plain(Cow::Owned(offered.clone())),
            None => name,
        }
    }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// FNV-1a: ids must come out the same in every process, which the standard library's hasher does not promise.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// An answer's id as callers of another dialect expect it: with their prefix instead of its own.
pub(crate) fn answer_id(prefix: &str, upstream: Option<&Text<'_>>) -> String {
    let id = upstream.map(Text::decode).unwrap_or_default();
    let bare = ["chatcmpl-", "msg_", "resp_", "gen-"]
        .iter()
        .find_map(|known| id.strip_prefix(known))
        .unwrap_or(&id);
    if bare.is_empty() {
        format!("{prefix}{}", fresh())
    } else {
        format!("{prefix}{bare}")
    }
}

/// An id of our own, for where an upstream gives none.
pub(crate) fn fresh() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.map_or(0, |d| d.as_nanos());
    format!("{nanos:016x}{:04x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The id of a call, or one of our own where an upstream gives none.
pub(crate) fn given(id: Text<'_>) -> Text<'_> {
    if id.is_blank() {
        Text::Plain(format!("call_{}", fresh()).into())
    } else {
        id
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chat::Operation, dialect::Dialect};
    use bytes::Bytes;

    #[test]
    fn an_id_that_fits_is_kept() {
        for (id, kept) in [
            ("toolu_01A09q90qw90lq917835lq9", true),
            ("call_abc-1", true),
            ("functions.get_weather:0", false),
            (&"x".repeat(41), false),
            ("", false),
        ] {
            let id = Text::plain(id);
            let sent = call_id(&id);
            assert_eq!(sent == id.decode(), kept, "{id:?}");
            assert!(sent.len() <= LONGEST_ID && sent.bytes().all(is_plain));
        }
    }

    // Case 19: an id longer than its target allows. A given id is its own short form, so that it stays the same however often it crosses.
    #[test]
    fn an_id_is_shortened_once_and_for_all() {
        let long = Text::plain("functions.get_weather:0/and-much-more-of-it-than-fits");
        let given = given_id(&long).into_owned();
        assert_eq!(given, call_id(&long));
        assert_eq!(call_id(&Text::plain(&given)), given);
        assert_eq!(given_id(&Text::plain("")), "");
    }

    #[test]
    fn a_long_tool_name_comes_back_whole() {
        let long = format!("mcp__server__{}", "é".repeat(60));
        let sent = tool_name(&Text::plain(&long)).into_owned();
        assert!(
            sent.len() <= LONGEST_NAME && sent.bytes().all(is_plain),
            "{sent}"
        );
        let body = format!(
            r#"{{"model":"m","messages":[],"tools":[{{"name":"a"}},{{"name":"{long}"}}]}}"#
        );
        let prompt =
            Prompt::parse(Dialect::Messages, Operation::Generate, Bytes::from(body)).unwrap();
        assert_eq!(restored(Text::plain(&sent), &prompt).decode(), long);
        assert_eq!(
            restored(Text::plain("deploy_0badcafe"), &prompt).decode(),
            "deploy_0badcafe"
        );
    }

    #[test]
    fn answers_get_the_prefix_of_the_callers_dialect() {
        for (upstream, id) in [
            ("chatcmpl-7", "msg_7"),
            ("msg_7", "msg_7"),
            ("7", "msg_7"),
            ("gen-7", "msg_7"),
        ] {
            assert_eq!(answer_id("msg_", Some(&Text::plain(upstream))), id);
        }
        assert_ne!(answer_id("msg_", None), answer_id("msg_", None));
    }
}
