//! A real tokenizer.
