//! What the user last asked, for whoever reads words: found without looking at the rest of the conversation.
use super::ask::clean;
use memchr::memmem;
use std::borrow::Cow;
use tierway_services::{
    chat::{Part, PartKind, Prompt, Speaker},
    json::unescaped,
};

/// How much of one part is read, in bytes of JSON: what is longer than this is pasted, and was asked about at its beginning.
const MOST: usize = 16 * 1024;

/// How many asks mere consent is followed back.
const MAX_BACK: usize = 5;

/// The newest ask with words in it; where it only agrees ("yes, go ahead"), the one before too, for that is what is agreed to.
///
/// Calls `words` with each stretch of it; stretches of one part follow each other, and stretches of two parts do not.
pub(super) fn asked(prompt: &Prompt, mut words: impl FnMut(&str)) {
    let turns = prompt.facts().turns.iter().rev();
    let mut asks = 0;
    for turn in turns.filter(|t| t.speaker == Speaker::User) {
        let (mut some, mut agrees) = (false, true);
        for part in turn.parts.iter().filter(|p| p.kind == PartKind::Text) {
            if is_reminder(prompt.json(&part.span)) {
                continue;
            }
            clean(&text(prompt, part), |stretch| {
                if !stretch.trim_ascii().is_empty() {
                    some = true;
                    agrees &= consents(stretch);
                    words(stretch);
                }
            });
        }
        asks += usize::from(some);
        if some && !agrees || asks == MAX_BACK {
            return;
        }
    }
}

/// Whether the whole of a part is one reminder of a harness: no need to unescape it only to drop it.
fn is_reminder(json: &str) -> bool {
    const OPEN: &str = "\"<system-reminder>";
    const CLOSE: &str = "</system-reminder>";
    json.strip_prefix(OPEN).is_some_and(|rest| {
        let inside = rest.strip_suffix('"').unwrap_or(rest);
        let inside = inside.strip_suffix("\\n").unwrap_or(inside);
        memmem::find(inside.as_bytes(), CLOSE.as_bytes()) == inside.len().checked_sub(CLOSE.len())
    })
}

/// The text of a part, or as much of it as is read.
fn text<'p>(prompt: &'p Prompt, part: &Part) -> Cow<'p, str> {
    let json = prompt.json(&part.span);
    if json.len() <= MOST {
        return prompt.text(part);
    }
    let mut end = (0..=MOST).rev().find(|i| json.is_char_boundary(*i));
    // Nothing after the last blank: an escape may be cut in two.
    end = end.and_then(|end| json.get(..end)?.rfind(' '));
    let cut = end.and_then(|end| json.get(..end)?.strip_prefix('"'));
    Cow::Owned(cut.and_then(unescaped).unwrap_or_default())
}

/// Whether this only agrees to what was asked before.
fn consents(text: &str) -> bool {
    const CONSENT: &[&str] = &[
        "yes", "yep", "yeah", "yup", "sure", "ok", "okay", "continue", "proceed", "go", "ahead",
        "do", "it", "lgtm", "retry", "again", "please", "correct", "right", "exactly", "agreed",
        "resume", "k", "that", "and", "then", "on", "with", "now", "this", "fine", "good",
    ];
    let words = text.split(|c: char| !c.is_alphanumeric());
    let mut count = 0;
    words.filter(|w| !w.is_empty()).all(|word| {
        count += 1;
        count < 7 && CONSENT.iter().any(|c| c.eq_ignore_ascii_case(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::messages_request;
    use serde_json::json;

    fn said(messages: serde_json::Value) -> String {
        let body = json!({"model": "auto", "messages": messages}).to_string();
        let mut all = Vec::new();
        asked(messages_request(&body).body(), |words| {
            all.push(words.trim().to_owned());
        });
        all.join("|")
    }

    #[test]
    fn the_newest_ask_without_the_harness() {
        let reminder = "<system-reminder>\nrotate the keys\n</system-reminder>";
        let two = format!("{reminder}\nfix it\n{reminder}");
        assert_eq!(
            said(
                json!([{"role": "user", "content": "first"}, {"role": "assistant", "content": "ok"},
                {"role": "user", "content": [{"type": "text", "text": reminder}, {"type": "text", "text": two}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "x", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "drop the table"}]}])
            ),
            "fix it"
        );
        assert_eq!(said(json!([])), "");
    }

    #[test]
    fn consent_is_consent_to_something() {
        let talk = |last: &str| {
            said(
                json!([{"role": "user", "content": "rename it"}, {"role": "assistant", "content": "shall I?"},
                {"role": "user", "content": last}]),
            )
        };
        assert_eq!(talk("yes, go ahead"), "yes, go ahead|rename it");
        assert_eq!(talk("no, stop"), "no, stop");
    }

    #[test]
    fn of_a_long_paste_the_beginning_is_read() {
        let long = format!("why? {}", "\u{e9}\u{1f980}\"\\\n ab ".repeat(40_000));
        let got = said(json!([{"role": "user", "content": long}]));
        assert!(got.starts_with("why? ") && got.len() > 8_000 && got.len() < MOST);
        let blob = "a".repeat(100_000);
        assert_eq!(said(json!([{"role": "user", "content": blob}])), "");
    }
}
