//! The code of the book, compiled and run as doctests; nothing of it is in the library.

/// Composing layers.
#[doc = include_str!("../docs/layers.md")]
pub struct Layers;

/// Caching: a store of one's own.
#[doc = include_str!("../docs/caching.md")]
pub struct Caching;
