//! What providers are told to keep of prompts.
use super::{
    super::{file, settings::Breakpoints},
    Resolver,
};

impl Resolver<'_, '_> {
    pub(super) fn breakpoints(&mut self, typed: file::Breakpoints) -> Breakpoints {
        let default = Breakpoints::default();
        Breakpoints {
            enabled: self
                .take("breakpoints.enabled", typed.enabled)
                .unwrap_or(default.enabled),
            ttl: self
                .take("breakpoints.ttl", typed.ttl)
                .unwrap_or(default.ttl),
            openai_keys: self
                .take("breakpoints.openai_keys", typed.openai_keys)
                .unwrap_or(default.openai_keys),
        }
    }
}
