//! What is the same in every call to a provider: made with the first, and kept.
use http::{HeaderValue, Uri};
use std::sync::{OnceLock, PoisonError, RwLock};

/// Where a provider's fixed paths lead, and the header that bears its key.
#[derive(Debug, Default)]
pub(super) struct Ready {
    uris: RwLock<Vec<(&'static str, Uri)>>,
    key: OnceLock<Option<HeaderValue>>,
}

// A copy is made to be changed, so it begins anew.
impl Clone for Ready {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Ready {
    /// Where `path` leads: there are as many as a kind of provider has.
    pub(super) fn uri(
        &self,
        path: &'static str,
        make: impl FnOnce() -> Option<Uri>,
    ) -> Option<Uri> {
        let known = self.uris.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, uri)) = known.iter().find(|(known, _)| *known == path) {
            return Some(uri.clone());
        }
        drop(known);
        let uri = make()?;
        let mut known = self.uris.write().unwrap_or_else(PoisonError::into_inner);
        if known.iter().all(|(known, _)| *known != path) {
            known.push((path, uri.clone()));
        }
        Some(uri)
    }

    /// The header; `None` where the key is one that no header can carry.
    pub(super) fn key(&self, make: impl FnOnce() -> Option<HeaderValue>) -> Option<HeaderValue> {
        self.key.get_or_init(make).clone()
    }
}
