//! One dispatcher in the place of another, and the bounds that both keep together.
use super::{Dispatch, entry::Entry};
use crate::{providers::Provider, upstream::Client};
use std::sync::Arc;

impl Dispatch {
    /// Another dispatcher in the place of this one. Providers of which `unchanged` holds keep their connections, their tokens and what was
    /// found out about them; what is held of answers is counted together.
    #[must_use]
    pub fn succeed(
        &self,
        providers: impl IntoIterator<Item = Provider>,
        client: &Client,
        unchanged: impl Fn(&str) -> bool,
    ) -> Self {
        let entry = |provider: Provider| {
            let name = provider.name();
            let mut known = self.entries.iter();
            match known.find(|e| e.provider.name() == name && unchanged(name)) {
                Some(entry) => entry.clone(),
                None => Arc::new(Entry::new(provider, client, &self.buffer)),
            }
        };
        Self {
            entries: providers.into_iter().map(entry).collect(),
            ..self.clone()
        }
    }
    /// The most bytes of answers that are read whole, at a time and all together; by default without limit. A call whose answer would be
    /// over it fails.
    #[must_use]
    pub fn max_buffered(self, bytes: usize) -> Self {
        self.buffer.at_most(bytes);
        self
    }
    /// The most bytes of an answer that is read whole; 64 MiB by default, and at most. A longer one fails.
    #[must_use]
    pub fn max_answer(self, bytes: usize) -> Self {
        self.buffer.answers_at_most(bytes);
        self
    }
    /// The most bytes of an event, and so of a line, of a stream; 16 MiB by default, and at most. A longer one ends the stream with an error.
    #[must_use]
    pub fn max_event(self, bytes: usize) -> Self {
        self.buffer.events_at_most(bytes);
        self
    }
}
