//! Reading an answer to its end, within limits of size and time.
use super::error::Error;
use crate::{BoxError, providers::Provider};
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

/// A whole answer may be this long.
pub(super) const WHOLE: usize = 64 * 1024 * 1024;
/// An error may be this long.
pub(super) const ERROR: usize = 1024 * 1024;

/// Reads `body` to its end. A body of one chunk is not copied.
///
/// # Errors
/// Where it is over `limit`, silent for too long, or cut; with what came before, which for an error's text is better than nothing.
pub(super) async fn collect<B>(
    mut body: B,
    limit: usize,
    provider: &Provider,
    first_byte_until: Instant,
    mut first_byte: impl FnMut(),
) -> Result<Bytes, (Error, Bytes)>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut until = first_byte_until;
    let mut begun = false;
    let failure = loop {
        let data = match timeout_at(until, body.frame()).await {
            Ok(None) => break None,
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(Some(Err(error))) => break Some(super::error::cut(provider, &error.into())),
            Err(_) if begun => break Some(Error::idle(provider)),
            Err(_) => break Some(Error::first_byte(provider)),
        };
        if data.is_empty() {
            continue;
        }
        if !begun {
            begun = true;
            first_byte();
        }
        until = Instant::now() + provider.limits().idle;
        let length = first.len() + rest.len() + data.len();
        if length > limit {
            let what = format!("sent an answer over {} MiB", limit >> 20);
            break Some(Error::nonsense(provider, what));
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0);
                rest.reserve((length + expected).min(limit));
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&data);
        }
    };
    let bytes = if rest.is_empty() {
        first
    } else {
        rest.freeze()
    };
    match failure {
        None => Ok(bytes),
        Some(error) => Err((error, bytes)),
    }
}
