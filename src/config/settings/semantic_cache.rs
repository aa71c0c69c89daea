//! Answers to questions that were asked before in other words.
use std::{path::PathBuf, time::Duration};
use tierway_layers::semantic_cache::THRESHOLD;
use tierway_services::chat::Target;

/// The semantic cache.
#[derive(Clone, Debug, PartialEq)]
pub struct SemanticCache {
    /// Whether it is asked.
    pub enabled: bool,
    /// The model that turns questions into vectors.
    pub embeddings: Option<Target>,
    /// The folder of a model that does so in this process.
    pub local_model: Option<PathBuf>,
    /// The least cosine at which two questions are taken for the same.
    pub threshold: f64,
    /// The most bytes of questions and vectors.
    pub max_bytes: u64,
    /// How long a call may wait for its vector.
    pub timeout: Duration,
}

impl Default for SemanticCache {
    fn default() -> Self {
        Self {
            enabled: false,
            embeddings: None,
            local_model: None,
            threshold: (f64::from(THRESHOLD) * 100.0).round() / 100.0,
            max_bytes: 64 << 20,
            timeout: Duration::from_secs(1),
        }
    }
}
