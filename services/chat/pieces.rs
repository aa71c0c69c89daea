//! A body that is sent in pieces.
use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// A body in one piece or a few, which are written one behind the other without being copied into one. A clone costs reference counts, so
/// that it can be sent again.
///
/// ```
/// use tierway_services::chat::Pieces;
/// let body: Pieces = ["{\"model\":", "\"m\"", "}"].into_iter().map(bytes::Bytes::from).collect();
/// assert_eq!(body.len(), 13);
/// assert_eq!(body.whole(), r#"{"model":"m"}"#);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    first: Bytes,
    // Empty, and then not allocated, where the body is in one piece.
    more: VecDeque<Bytes>,
}

impl Pieces {
    /// How many bytes it has in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len() + self.more.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All in one piece: a copy where there are several.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        if self.more.is_empty() {
            return self.first.clone();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        whole.extend_from_slice(&self.first);
        for piece in &self.more {
            whole.extend_from_slice(piece);
        }
        whole.freeze()
    }
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self {
            first: whole,
            more: VecDeque::new(),
        }
    }
}

/// Empty pieces are left out.
impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        let mut pieces = pieces.into_iter().filter(Buf::has_remaining);
        Self {
            first: pieces.next().unwrap_or_default(),
            more: pieces.collect(),
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.more.pop_front().unwrap_or_default();
        let piece = std::mem::replace(&mut self.first, next);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn pieces_come_in_order_uncopied_and_again_from_a_clone() {
        let parts = ["ab", "", "c", "def"].map(Bytes::from);
        let body: Pieces = parts.iter().cloned().collect();
        assert_eq!(body.size_hint().exact(), Some(6));
        assert_eq!(body.whole(), "abcdef");
        for _ in 0..2 {
            let mut sent = body.clone();
            for part in [&parts[0], &parts[2], &parts[3]] {
                assert!(!sent.is_end_stream());
                let frame = sent.frame().await.unwrap().unwrap().into_data().unwrap();
                assert_eq!(frame.as_ptr(), part.as_ptr());
            }
            assert!(sent.is_end_stream() && sent.is_empty());
            assert!(sent.frame().await.is_none());
        }
        let one = Pieces::from(Bytes::from("abc"));
        assert_eq!(one.whole().as_ptr(), one.first.as_ptr());
        assert!(Pieces::default().is_end_stream());
    }
}
