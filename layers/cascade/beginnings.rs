//! Beginnings of answers: where they end, and which may be judged.
use super::{Draft, Family, signals};
use crate::learn::Vector;
use tierway_services::chat::Answer;

/// How much of an answer there is, in bytes of text, when it is judged by its beginning. What is certified of beginnings is certified of
/// these.
pub const LENGTHS: [usize; 4] = [60, 150, 300, 600];

/// What is seen of a beginning, beside what it was cut from.
#[derive(Clone, Debug, PartialEq)]
pub struct Beginning {
    /// After how many bytes it was cut.
    pub length: usize,
    /// What was seen of question and beginning, see [`signals::see`].
    pub vector: Vector,
    /// What was believed of it before any label.
    pub prior: f32,
}

impl Beginning {
    /// All beginnings of a draft that are judged before its end; none where drafts of its kind are judged whole.
    #[must_use]
    pub fn all(draft: &Draft<'_>) -> Vec<Self> {
        Self::from(draft, 0)
    }

    /// Those of at least `from` bytes.
    pub(super) fn from(draft: &Draft<'_>, from: usize) -> Vec<Self> {
        if !judged(draft.family()) || !draft.tool_calls().is_empty() {
            return Vec::new();
        }
        let lengths = LENGTHS.into_iter().filter(|length| *length >= from);
        let cut = lengths.filter_map(|length| Some((length, cut(draft.answer(), length)?)));
        cut.map(|(length, answer)| {
            let told = signals::Told::default();
            let beginning = draft.begun(&answer);
            Self {
                length,
                vector: signals::see(&beginning, &told),
                prior: signals::prior(&beginning, &told),
            }
        })
        .collect()
    }
}

/// Whether drafts of this kind may be judged by their beginnings. Calls and JSON are held to a schema, which only a whole can keep to.
const fn judged(family: Family) -> bool {
    !matches!(family, Family::Tool | Family::Json)
}

/// The first `length` bytes of an answer that has more, and the tokens in them; at most that much, where a character would be cut.
fn cut(answer: &Answer, length: usize) -> Option<Answer> {
    if answer.text.len() <= length {
        return None;
    }
    let end = (0..=length)
        .rev()
        .find(|at| answer.text.is_char_boundary(*at))?;
    let mut beginning = Answer::default();
    beginning.text = answer.text.get(..end)?.to_owned();
    let mut size = 0;
    let tokens = answer.logprobs.iter().take_while(|token| {
        size += token.token.len();
        size <= end
    });
    beginning.logprobs = tokens.cloned().collect();
    Some(beginning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use std::time::Duration;
    use tierway_services::chat::Logprob;

    #[test]
    fn beginnings_are_cut_between_characters_and_tokens() {
        let mut answer = Answer::default();
        answer.text = "\u{e9}".repeat(50) + "x";
        answer.logprobs = (0..50)
            .map(|_| Logprob {
                token: "\u{e9}".to_owned(),
                logprob: -0.1,
                runner_up: None,
            })
            .collect();
        let begun = cut(&answer, 61).unwrap();
        assert_eq!((begun.text.len(), begun.logprobs.len()), (60, 30));
        assert_eq!(cut(&answer, 101), None);
    }

    #[test]
    fn a_draft_has_beginnings_of_all_lengths_that_it_exceeds() {
        let mut answer = Answer::default();
        let (prose, request) = ("word ".repeat(40), ask("m", "Why is the sky blue?"));
        answer.text = prose;
        let lengths = |answer: &Answer, from| {
            let draft = Draft::new(answer, &request, Duration::ZERO);
            let all = Beginning::from(&draft, from);
            all.iter().map(|b| b.length).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&answer, 0), [60, 150]);
        assert_eq!(lengths(&answer, 61), [150]);
        answer.text.truncate(60);
        assert!(lengths(&answer, 0).is_empty());
    }
}
