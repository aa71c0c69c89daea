//! Conversations that mean the same in every dialect.
//!
//! Texts by turns under a system prompt, and the few parameters that all dialects have, are the same question whichever way they are asked. What
//! goes beyond has no exact counterpart elsewhere, and so is the same only within its dialect.
use super::{canonical::Tape, feed::Feed};
use tierway_services::dialect::Dialect;

/// The parts of a plain conversation, as places in its text.
#[derive(Default)]
pub(super) struct Plain {
    system: Option<usize>,
    /// Who speaks (the model?) and what.
    turns: Vec<(bool, usize)>,
    /// By name, in this order: the limit on tokens, the temperature, `top_p`.
    numbers: [Option<usize>; 3],
    stop: Option<Vec<usize>>,
}

impl Plain {
    /// The conversation that `tape` holds, members for which `skip` holds aside; `None` where it holds anything but a plain one.
    pub(super) fn of(
        tape: &Tape<'_>,
        dialect: Dialect,
        skip: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let mut plain = Self::default();
        let (mut turns, mut before) = (None, None);
        for (name, value) in tape.members(0) {
            let name = std::str::from_utf8(&name).ok()?;
            // The same name twice has no meaning that all would share.
            if before.replace(name.to_owned()).is_some_and(|b| b == name) {
                return None;
            }
            if skip(name) {
                continue;
            }
            use Dialect::{ChatCompletions, Messages, Responses};
            match (dialect, name) {
                (ChatCompletions | Messages, "messages") | (Responses, "input") => {
                    turns = Some(value);
                }
                (Messages, "system") | (Responses, "instructions") => {
                    plain.system = Some(tape.string(value)?);
                }
                (ChatCompletions | Messages, "max_tokens") | (Responses, "max_output_tokens") => {
                    plain.numbers[0] = Some(tape.number(value)?);
                }
                (_, "temperature") => plain.numbers[1] = Some(tape.number(value)?),
                (_, "top_p") => plain.numbers[2] = Some(tape.number(value)?),
                (ChatCompletions, "stop") | (Messages, "stop_sequences") => {
                    let words = tape.array(value)?;
                    plain.stop = Some(words.map(|w| tape.string(w)).collect::<Option<_>>()?);
                }
                _ => return None,
            }
        }
        plain.talk(tape, dialect, turns?)?;
        Some(plain)
    }

    fn talk(&mut self, tape: &Tape<'_>, dialect: Dialect, turns: usize) -> Option<()> {
        if dialect == Dialect::Responses
            && let Some(text) = tape.string(turns)
        {
            self.turns.push((false, text));
            return Some(());
        }
        for (n, turn) in tape.array(turns)?.enumerate() {
            let (mut role, mut content) = (None, None);
            for (name, value) in tape.object(turn)? {
                match &*name {
                    b"role" if role.is_none() => {
                        role = Some(tape.string_value(tape.string(value)?))
                    }
                    b"content" if content.is_none() => content = Some(tape.string(value)?),
                    b"type"
                        if dialect == Dialect::Responses
                            && *tape.string_value(value) == *b"message" => {}
                    _ => return None,
                }
            }
            match &*role? {
                b"user" => self.turns.push((false, content?)),
                b"assistant" => self.turns.push((true, content?)),
                b"system" if dialect == Dialect::ChatCompletions && n == 0 => {
                    self.system = content;
                }
                _ => return None,
            }
        }
        Some(())
    }

    pub(super) fn feed(&self, tape: &Tape<'_>, feed: &mut Feed) {
        match self.system {
            Some(text) => feed.string(b's', tape.text(text)),
            None => feed.count(b'S', 0),
        }
        feed.count(b'[', self.turns.len());
        for (model, text) in &self.turns {
            feed.string(if *model { b'a' } else { b'u' }, tape.text(*text));
        }
        for number in self.numbers {
            match number {
                Some(number) => feed.framed(b'#', tape.text(number)),
                None => feed.count(b'N', 0),
            }
        }
        match &self.stop {
            Some(words) => {
                feed.count(b'[', words.len());
                for word in words {
                    feed.string(b'"', tape.text(*word));
                }
            }
            None => feed.count(b'N', 0),
        }
    }
}
