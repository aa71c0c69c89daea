//! From one dialect to another.
