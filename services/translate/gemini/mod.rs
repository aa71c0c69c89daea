//! Google's `generateContent`, read into the intermediate form and written from it.
use super::{
    Summary,
    capabilities::Capabilities,
    error,
    event::{Event, Sink},
    form::{Form, Whole},
};
use crate::{
    chat::{Refusal, Usage},
    dialect::Dialect,
};
use bytes::Bytes;

/// Writes a request.
pub(super) fn write_request(
    _form: &Form<'_>,
    _model: &str,
    _caps: &Capabilities,
) -> Result<Bytes, Refusal> {
    Err(error::not_spoken(Dialect::Gemini))
}

/// What a whole answer says about itself.
pub(super) fn summary(_body: &str) -> Summary {
    Summary::default()
}

/// Reads an answer; `None` where this is none.
pub(super) const fn read_answer(_body: &str) -> Option<Whole<'_>> {
    None
}

/// A recorded stream as the whole answer that it brought; `None` where it did not end well.
pub(super) const fn to_whole(_events: &[Bytes]) -> Option<Bytes> {
    None
}

/// A stream, read into the intermediate form.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) usage: Option<Usage>,
}

impl Reader {
    /// Takes the data of one event.
    #[expect(
        clippy::needless_pass_by_ref_mut,
        clippy::unused_self,
        reason = "a reader"
    )]
    pub(super) fn push(&mut self, _data: &str, sink: Sink<'_>) {
        sink(Event::Error(error::not_spoken(Dialect::Gemini)));
    }

    /// The body has ended.
    #[expect(
        clippy::needless_pass_by_ref_mut,
        clippy::unused_self,
        reason = "a reader"
    )]
    pub(super) fn finish(&mut self, _sink: Sink<'_>) -> Result<(), Refusal> {
        Err(error::cut())
    }
}
