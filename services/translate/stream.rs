//! One stream, on its way from an upstream to a caller.
use super::{Summary, error, observe::Observer};
use crate::{
    chat::{Prompt, Refusal},
    dialect::Dialect,
};
use bytes::Bytes;

/// Takes an upstream's stream event by event and gives the events for the caller, in the caller's dialect, while it gathers the
/// [`Summary`] of the answer.
///
/// Where both speak the same dialect the very bytes pass, save for usage that the caller did not ask for. Whatever comes in, what goes out
/// obeys the grammar of the caller's dialect.
///
/// ```
/// use bytes::Bytes;
/// use tierway_services::{chat::{Operation, Prompt}, dialect::Dialect, translate::StreamTranslator};
/// let body = Bytes::from_static(br#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
/// let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, body).unwrap();
/// let mut stream = StreamTranslator::new(Dialect::Messages, Dialect::Messages, &prompt, 1);
/// let mut out = Vec::new();
/// let event = Bytes::from_static(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
/// stream.push(event.clone(), &mut out);
/// assert_eq!(out[0].as_ptr(), event.as_ptr());
/// assert!(stream.finish(&mut out).is_ok() && stream.summary().complete);
/// ```
#[derive(Debug)]
pub struct StreamTranslator {
    summary: Summary,
    output_bytes: u64,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Same(Observer),
}

impl StreamTranslator {
    /// A translator of one answer to `prompt`. `input_estimate` stands for the prompt's tokens where the caller's dialect tells them at the
    /// start and the upstream only at the end.
    #[must_use]
    pub fn new(from: Dialect, to: Dialect, prompt: &Prompt, input_estimate: u64) -> Self {
        let _ = (to, input_estimate);
        Self {
            summary: Summary::default(),
            output_bytes: 0,
            way: Way::Same(Observer::new(from, prompt)),
        }
    }

    /// Takes one whole event, as [`sse::Splitter`](crate::sse::Splitter) cuts them, and appends what the caller is to get. What comes after
    /// the end of the answer, or after an error, is dropped.
    pub fn push(&mut self, event: Bytes, out: &mut Vec<Bytes>) {
        if self.summary.complete || self.summary.error.is_some() {
            return;
        }
        match &mut self.way {
            Way::Same(observer) => {
                let brought = observer.push(event, &mut self.summary, out);
                self.output_bytes += brought as u64;
            }
        }
    }

    /// The upstream's body has ended: closes what must be closed. To be called also where the body broke off, since all that matters may
    /// have come before. After an error event was passed on there is nothing left to say, and this is `Ok`.
    ///
    /// # Errors
    /// A [`Refusal`] where the stream ended before its answer did; its [event](Refusal::event) is what the caller should get next.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if self.summary.complete || self.summary.error.is_some() {
            return Ok(());
        }
        match &mut self.way {
            Way::Same(observer) if self.summary.stop.is_some() => {
                out.push(observer.terminal());
                self.summary.complete = true;
                Ok(())
            }
            Way::Same(_) => Err(error::nonsense(
                "the upstream's stream ended before its answer did",
            )),
        }
    }

    /// What the answer has said about itself so far.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The bytes of text, thinking and tool arguments seen so far, for an estimate where the stream ends before its usage is told.
    #[must_use]
    pub const fn output_bytes(&self) -> u64 {
        self.output_bytes
    }
}
