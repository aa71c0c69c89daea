//! What is done to tools' results.
use tierway_layers::compress::Transformation;

/// How tools' results are made smaller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compress {
    /// Whether they are.
    pub enabled: bool,
    /// What is left out of it.
    pub without: Vec<Transformation>,
}
