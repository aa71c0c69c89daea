//! What is plainly wrong with the words of an answer, seen beside the question.
use super::{
    super::{Draft, Family},
    code::without_code,
};
use tierway_services::chat::{PartKind, Prompt};

/// Whether the answer is the question again, and little else.
pub(super) fn echoes(answer: &str, question: &str) -> bool {
    const SHORT: usize = 20;
    let plain = |text: &str| -> String {
        let kept = text.chars().filter(|c| c.is_alphanumeric());
        kept.flat_map(char::to_lowercase).collect()
    };
    if question.len() < SHORT || answer.len() > question.len() * 2 {
        return false;
    }
    let (answer, question) = (plain(answer), plain(question));
    let rest = answer.strip_prefix(&question);
    question.len() >= SHORT && rest.is_some_and(|rest| rest.len() * 10 <= question.len())
}

// === language ===

/// A script, as far as telling languages apart by it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    Indic,
    Thai,
    EastAsian,
}

impl Script {
    const fn of(c: char) -> Option<Self> {
        match c as u32 {
            0x41..=0x5A | 0x61..=0x7A | 0xC0..=0x24F | 0x1E00..=0x1EFF => Some(Self::Latin),
            0x370..=0x3FF | 0x1F00..=0x1FFF => Some(Self::Greek),
            0x400..=0x52F => Some(Self::Cyrillic),
            0x590..=0x5FF => Some(Self::Hebrew),
            0x600..=0x6FF | 0x750..=0x77F => Some(Self::Arabic),
            0x900..=0xDFF => Some(Self::Indic),
            0xE00..=0xE7F => Some(Self::Thai),
            // Kana, Han, Hangul: one sentence may mix them.
            0x3040..=0x30FF | 0x3400..=0x9FFF | 0xAC00..=0xD7AF | 0x1100..=0x11FF => {
                Some(Self::EastAsian)
            }
            _ => None,
        }
    }
}

/// Letters, and how many of them are of `script`.
fn letters(text: &str, script: Script) -> (usize, usize) {
    let scripts = text.chars().filter_map(Script::of);
    scripts.fold((0, 0), |(all, own), s| {
        (all + 1, own + usize::from(s == script))
    })
}

/// Words that may ask for another language.
const LANGUAGES: &[&str] = &[
    "translat",
    "language",
    "chinese",
    "mandarin",
    "cantonese",
    "japanese",
    "korean",
    "russian",
    "ukrainian",
    "bulgarian",
    "serbian",
    "greek",
    "arabic",
    "persian",
    "farsi",
    "urdu",
    "hebrew",
    "hindi",
    "bengali",
    "tamil",
    "thai",
    "kanji",
    "hiragana",
    "katakana",
    "cyrillic",
    "transliterat",
    "script",
    "english",
    "latin",
    "unicode",
    "emoji",
    "alphabet",
];

/// Whether the answer is in another script than the question, and nobody asked for one.
pub(super) fn drifts(draft: &Draft<'_>, answer: &str, question: &str) -> bool {
    /// Fewer letters tell nothing: names, symbols, single words.
    const ENOUGH: usize = 20;
    let Some(script) = question.chars().find_map(Script::of) else {
        return false;
    };
    let (asked, own) = letters(question, script);
    if asked < ENOUGH || own * 10 < asked * 9 {
        return false;
    }
    let answer = without_code(answer);
    let (given, kept) = letters(&answer, script);
    // Seven letters in ten of another script are no quotation.
    if given < ENOUGH || kept * 10 >= given * 3 {
        return false;
    }
    let code = matches!(draft.family(), Family::Code | Family::Tool | Family::Json);
    !code && !may_ask_for_another(draft.request().body(), script)
}

/// Whether anything in the conversation may ask for another script than `script`.
fn may_ask_for_another(prompt: &Prompt, script: Script) -> bool {
    let facts = prompt.facts();
    let turns = facts.turns.iter().flat_map(|turn| &turn.parts);
    facts.system.iter().chain(turns).any(|part| {
        part.kind == PartKind::Text && {
            let text = prompt.text(part);
            let low = text.to_lowercase();
            let (all, own) = letters(&text, script);
            own < all || LANGUAGES.iter().any(|word| low.contains(word))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use std::time::Duration;
    use tierway_services::chat::Answer;

    fn drifted(question: &str, answer: &str) -> bool {
        let request = ask("m", question);
        let reply = Answer::default();
        drifts(
            &Draft::new(&reply, &request, Duration::ZERO),
            answer,
            question,
        )
    }

    #[test]
    fn an_echo_is_the_question_and_little_else() {
        let question = "What is the capital of France, and why?";
        assert!(echoes("what is the capital of France - and why", question));
        assert!(echoes(
            "What is the capital of France, and why? A:",
            question
        ));
        for answer in [
            "Paris.",
            "What is the capital of France? It is Paris, because of the kings.",
        ] {
            assert!(!echoes(answer, question), "{answer}");
        }
        assert!(
            !echoes("Hi there", "Hi there"),
            "a greeting is answered by one"
        );
    }

    #[test]
    fn another_script_is_seen_unless_it_was_asked_for() {
        let question = "Why is the sky blue in the daytime?";
        let chinese = "\u{56e0}\u{4e3a}\u{5927}\u{6c14}\u{6563}\u{5c04}\u{84dd}\u{5149}".repeat(4);
        assert!(drifted(question, &chinese));
        assert!(!drifted(
            question,
            "Because short waves are scattered more."
        ));
        assert!(!drifted(
            question,
            &format!(
                "It is called {} there, as every child knows.",
                &chinese[..9]
            )
        ));
        assert!(!drifted("Translate 'why is the sky blue' for me", &chinese));
        assert!(!drifted("Why? \u{56e0}\u{4e3a}", &chinese));
    }
}
