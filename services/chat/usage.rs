//! Tokens of one answer.
use std::ops::AddAssign;

/// The tokens of one answer, by kind. The kinds are disjoint: each token is counted once, at one price.
///
/// Providers disagree on whether their input count includes cached tokens (Anthropic: excludes; OpenAI: includes); the dialect that reads
/// a provider's usage brings it to this one form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens that no cache served or stored.
    pub input: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Input tokens read from the provider's cache.
    pub cache_read: u64,
    /// Input tokens written to the provider's cache for its short term (five minutes at Anthropic).
    pub cache_write: u64,
    /// Input tokens written to the provider's cache for an hour.
    pub cache_write_1h: u64,
    /// The share of `output` spent on reasoning; already inside `output`.
    pub reasoning: u64,
    /// The share of `input` that was sound.
    pub input_audio: u64,
    /// The share of `input` that was images, where the provider tells.
    pub input_image: u64,
    /// The share of `output` that was sound.
    pub output_audio: u64,
    /// The share of `output` that was images.
    pub output_image: u64,
    /// In which manner the provider served the call.
    pub service: Service,
}

/// In which manner a provider served a call; each may have its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Service {
    /// As usual.
    #[default]
    Standard,
    /// As part of a batch, hours later perhaps.
    Batch,
    /// When there was time.
    Flex,
    /// Before others.
    Priority,
}

impl Service {
    /// What `service_tier` says in an answer.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "batch" => Self::Batch,
            "flex" => Self::Flex,
            "priority" => Self::Priority,
            _ => Self::Standard,
        }
    }
}

impl Usage {
    /// All input tokens, cached or not.
    #[must_use]
    pub const fn input_total(&self) -> u64 {
        self.input + self.cache_read + self.cache_write + self.cache_write_1h
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_write += other.cache_write;
        self.cache_write_1h += other.cache_write_1h;
        self.reasoning += other.reasoning;
        self.input_audio += other.input_audio;
        self.input_image += other.input_image;
        self.output_audio += other.output_audio;
        self.output_image += other.output_image;
    }
}
