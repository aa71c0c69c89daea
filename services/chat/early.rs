//! What is known of a head before there is one.
use super::Notes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::{Arc, Mutex, PoisonError};

/// The headers of an answer that are certain before the answer is there.
///
/// Whoever may have to send a head early lays one into the request; whoever decides something that the head is to tell says so here at once,
/// and again in the answer's own head. Clones share it, so that a cascade's arms write into one.
///
/// ```
/// use http::{HeaderName, HeaderValue};
/// use tierway_services::chat::{EarlyHead, Notes};
/// let early = EarlyHead::default();
/// let mut req = http::Request::new(());
/// Notes::of_mut(&mut req).early = Some(early.clone());
/// EarlyHead::say(&req, HeaderName::from_static("x-tierway-cache"), HeaderValue::from_static("miss"));
/// assert_eq!(early.said()["x-tierway-cache"], "miss");
/// ```
#[derive(Clone, Debug, Default)]
pub struct EarlyHead(Arc<Mutex<HeaderMap>>);

impl EarlyHead {
    /// Says a header of the answer to `req`, where somebody may have to know it early.
    pub fn say<B>(req: &http::Request<B>, name: HeaderName, value: HeaderValue) {
        if let Some(early) = &Notes::of(req).early {
            early.write(|said| drop(said.insert(name, value)));
        }
    }
    /// Writes several of them.
    pub fn write(&self, write: impl FnOnce(&mut HeaderMap)) {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
    /// What was said so far.
    #[must_use]
    pub fn said(&self) -> HeaderMap {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
