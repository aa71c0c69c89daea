//! What providers are told to keep of prompts.
use tierway_layers::breakpoints::Ttl;

/// Whether providers are told to keep the beginning of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breakpoints {
    /// Whether marks are set where the caller sets none and it pays.
    pub enabled: bool,
    /// For how long prefixes are to be kept.
    pub ttl: Ttl,
    /// Whether OpenAI is told which calls are of one conversation.
    pub openai_keys: bool,
}

impl Default for Breakpoints {
    fn default() -> Self {
        Self {
            enabled: true,
            ttl: Ttl::Auto,
            openai_keys: false,
        }
    }
}
