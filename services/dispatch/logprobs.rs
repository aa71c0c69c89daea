//! Log-probabilities that somebody beside the caller wants: asked for, put aside, and kept out of the caller's answer.
use crate::{
    chat::Logprobs,
    dialect::Dialect,
    translate::logprobs::{has_words, hidden, of_answer, of_event},
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// So many models are remembered of a provider.
const MODELS: usize = 1024;

/// Which models of a provider tell log-probabilities, as far as they have been asked.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<Box<str>, bool>>);

impl Memory {
    /// Whether it is known that this model does not.
    pub(super) fn refuses(&self, model: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(model) == Some(&false)
    }
    /// This model was asked, and does or does not.
    pub(super) fn note(&self, model: &str, tells: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(model) == Some(&tells) {
            return;
        }
        if known.len() >= MODELS {
            known.clear();
        }
        known.insert(model.into(), tells);
    }
}

/// Taps an answer as it passes.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) wish: Logprobs,
    pub(super) dialect: Dialect,
    /// The caller did not ask for them.
    pub(super) hide: bool,
    /// Where to note whether they came; `None` where the caller asked, in its own way.
    pub(super) memory: Option<(Arc<Memory>, Box<str>)>,
    pub(super) words: bool,
    pub(super) came: bool,
}

impl Tap {
    /// Takes an event; gives what the caller is to get of it.
    pub(super) fn event(&mut self, event: Bytes) -> Bytes {
        self.found(of_event(self.dialect, &event));
        self.words = self.words || has_words(self.dialect, &event);
        self.passed(event)
    }

    /// Takes a whole answer, which has come to its end.
    pub(super) fn whole(&mut self, body: Bytes) -> Bytes {
        self.found(of_answer(self.dialect, &body));
        self.words = self.words || has_words(self.dialect, &body);
        self.ended();
        self.passed(body)
    }

    /// The answer has come to its end. One without words, of calls alone, tells nothing of the model.
    pub(super) fn ended(&self) {
        if let Some((memory, model)) = &self.memory
            && (self.came || self.words)
        {
            memory.note(model, self.came);
        }
    }

    fn found(&mut self, logprobs: Vec<crate::chat::Logprob>) {
        self.came = self.came || !logprobs.is_empty();
        self.wish.extend(logprobs);
    }

    fn passed(&self, bytes: Bytes) -> Bytes {
        if self.hide {
            hidden(self.dialect, bytes)
        } else {
            bytes
        }
    }
}
