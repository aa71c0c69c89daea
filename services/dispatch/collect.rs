//! Reading an answer to its end, within limits of size and time.
use super::{body::overslept, buffer::Buffer, error::Error};
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
/// Where it is over `limit`, where all together are over that of `buffer`, silent for too long, or cut; with what came before, which for an error's text is better than nothing.
pub(super) async fn collect<B>(
    mut body: B,
    limit: usize,
    buffer: &Buffer,
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
    let mut held = buffer.hold();
    let failure = loop {
        let data = match timeout_at(until, body.frame()).await {
            Ok(None) => break None,
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(Some(Err(error))) => break Some(super::error::cut(provider, &error.into())),
            Err(_) => {
                if let Some(later) = overslept(until) {
                    until = later;
                    continue;
                }
                break Some(if begun {
                    Error::idle(provider)
                } else {
                    Error::first_byte(provider)
                });
            }
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
            let most = match limit >> 20 {
                0 => format!("{limit} bytes"),
                whole => format!("{whole} MiB"),
            };
            let what = format!("sent an answer over {most}");
            break Some(Error::nonsense(provider, what));
        }
        if !held.more(data.len()) {
            break Some(Error::crowded(provider));
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
        // Where it is known, nothing has to be waited for.
        if body.is_end_stream() {
            break None;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::Cause, providers::Kind};
    use http_body::{Frame, SizeHint};
    use std::{
        collections::VecDeque,
        pin::Pin,
        task::{Context, Poll},
        time::Duration,
    };

    struct Chunks(VecDeque<Bytes>);

    impl Body for Chunks {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.pop_front().map(|c| Ok(Frame::data(c))))
        }
        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0.iter().map(|c| c.len() as u64).sum())
        }
    }

    async fn read(chunks: &[Bytes], limit: usize) -> Result<Bytes, (Error, Bytes)> {
        let body = Chunks(chunks.iter().cloned().collect());
        let until = Instant::now() + Duration::from_secs(5);
        let mut begun = 0;
        let provider = Provider::new("p", Kind::OpenAi);
        let buffer = Buffer::default();
        let read = collect(body, limit, &buffer, &provider, until, || begun += 1);
        let read = read.await;
        assert_eq!(begun, usize::from(!chunks.iter().all(Bytes::is_empty)));
        read
    }

    #[tokio::test]
    async fn chunks_are_put_together_and_one_is_not_copied() {
        let (a, b) = (Bytes::from_static(b"abc"), Bytes::from_static(b"de"));
        assert_eq!(read(&[], 9).await.unwrap(), "");
        assert_eq!(
            read(&[Bytes::new(), a.clone()], 9).await.unwrap().as_ptr(),
            a.as_ptr()
        );
        let three = [a.clone(), b.clone(), Bytes::new(), b.clone(), a.clone()];
        assert_eq!(read(&three, 10).await.unwrap(), "abcdedeabc");
    }

    #[tokio::test]
    async fn all_together_have_a_limit_too() {
        let buffer = Buffer::default();
        buffer.at_most(5);
        let provider = Provider::new("p", Kind::OpenAi);
        let until = Instant::now() + Duration::from_secs(5);
        let mut other = buffer.hold();
        for (held, fits) in [(2, true), (1, false)] {
            assert!(other.more(held));
            let body = Chunks([Bytes::from_static(b"abc")].into());
            let read = collect(body, 9, &buffer, &provider, until, || ()).await;
            assert_eq!(read.is_ok(), fits);
            if let Err((error, _)) = read {
                assert_eq!(error.cause(), Cause::Crowded);
            }
        }
        drop(other);
        assert!(buffer.hold().more(5));
    }

    #[tokio::test]
    async fn what_is_too_long_is_not_kept() {
        let chunk = Bytes::from_static(b"abc");
        let (error, part) = read(&[chunk.clone(), chunk.clone(), chunk], 8)
            .await
            .unwrap_err();
        assert_eq!(
            (error.cause(), &part[..]),
            (Cause::Nonsense, &b"abcabc"[..])
        );
    }
}
