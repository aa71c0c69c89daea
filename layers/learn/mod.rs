//! Linear models over what a gateway can see of a call: named numbers and hashed n-grams.
//!
//! A [`Vector`] is what was seen; a [`Head`] turns it into a log-odds, and [`Fit`] learns heads from labelled vectors. It is ridge-penalised
//! logistic regression and nothing more: on 50 to 2,000 labels of one deployment it reaches what larger models reach, costs microseconds,
//! and tells for each decision which numbers made it.
//!
//! # Example
//! ```
//! use tierway_layers::learn::{Example, Fit, Vector};
//!
//! let seen = |size: f32, gram: u32| Vector { numbers: vec![size], grams: vec![gram] };
//! let examples: Vec<_> = (0..40)
//!     .map(|i| Example { vector: seen(f32::from(i as u8), 7 + i % 2), intercept: 0, positive: f32::from(i >= 20), weight: 1.0, offset: 0.0 })
//!     .collect();
//! let head = Fit::default().fit(&examples).head(0);
//! assert!(head.probability(&seen(35.0, 7)) > 0.5 && head.probability(&seen(5.0, 7)) < 0.5);
//! ```
mod fit;
mod head;
mod minimize;
mod ngrams;
mod texture;

pub use fit::{Example, Fit, Fitted};
pub use head::Head;
pub(crate) use head::sigmoid;
pub use ngrams::{BUCKETS, Ngrams};
pub(crate) use texture::Texture;

/// What was seen of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vector {
    /// Numbers, each with a fixed meaning by its place; one that is not known is NaN and counts as the mean.
    pub numbers: Vec<f32>,
    /// Buckets of the n-grams that occur, each once, below [`BUCKETS`].
    pub grams: Vec<u32>,
}
