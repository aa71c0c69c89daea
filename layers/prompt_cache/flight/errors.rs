//! What those aboard may be told instead of an answer.
use std::{fmt, sync::Arc};
use tierway_services::BoxError;

/// An error that several callers are told.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Arc<BoxError>);

/// Somebody did not keep up.
#[derive(Debug)]
pub(super) struct Behind;

// === impl Shared, Behind ===

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&**self.0)
    }
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller did not keep up with the answer that it shares")
    }
}

impl std::error::Error for Behind {}
