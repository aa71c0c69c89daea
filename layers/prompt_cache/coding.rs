//! Entries as bytes, for stores outside this process.
//!
//! A magic word with the version, 16 bytes that tell whether all of it is there and stands under its own key, then, compressed (LZ4), a head
//! in JSON and the body as it is. What cannot be read, whatever has become of it, is no entry.
use super::{Entry, Key, Recorded};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tierway_services::{
    chat::{Service, Target, Usage},
    dialect::Dialect,
};

const MAGIC: &[u8; 4] = b"TWC2";
const TAG: usize = 16;
/// The numbers of a [`Usage`], in the order in which it is written.
const COUNTS: usize = 11;
/// No entry is larger; so nobody can make us reserve more.
const LARGEST: usize = 64 * 1024 * 1024;

#[derive(Deserialize, Serialize)]
struct Head {
    dialect: String,
    stream: bool,
    headers: Vec<(String, String)>,
    usage: Option<[u64; COUNTS]>,
    target: Option<(String, String)>,
    /// Milliseconds since 1970.
    at: u64,
}

impl Entry {
    /// The entry as bytes, compressed, to be kept under `key`.
    #[must_use]
    pub fn to_bytes(&self, key: &Key) -> Bytes {
        let head = Head {
            dialect: self.dialect.as_str().to_owned(),
            stream: matches!(self.body, Recorded::Events(_)),
            headers: self
                .headers
                .iter()
                .filter_map(|(n, v)| Some((n.as_str().to_owned(), v.to_str().ok()?.to_owned())))
                .collect(),
            usage: self.usage.map(|u| {
                [
                    u.input,
                    u.output,
                    u.cache_read,
                    u.cache_write,
                    u.cache_write_1h,
                    u.reasoning,
                    u.input_audio,
                    u.input_image,
                    u.output_audio,
                    u.output_image,
                    match u.service {
                        Service::Batch => 1,
                        Service::Flex => 2,
                        Service::Priority => 3,
                        _ => 0,
                    },
                ]
            }),
            target: self
                .target
                .as_ref()
                .map(|t| (t.provider.to_string(), t.model.to_string())),
            at: millis(self.stored_at),
        };
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let body = self.body.bytes();
        let mut plain = Vec::with_capacity(4 + head.len() + body.len());
        plain.put_u32_le(u32::try_from(head.len()).unwrap_or(u32::MAX));
        plain.put_slice(&head);
        plain.put_slice(body);
        let packed = lz4_flex::block::compress_prepend_size(&plain);
        let mut out = BytesMut::with_capacity(MAGIC.len() + TAG + packed.len());
        out.put_slice(MAGIC);
        out.put_slice(&tag(key, &packed));
        out.put_slice(&packed);
        out.freeze()
    }

    /// The entry that [`to_bytes`](Self::to_bytes) wrote for `key`; `None` where this is not it, or not all of it.
    #[must_use]
    pub fn from_bytes(key: &Key, bytes: &[u8]) -> Option<Self> {
        let (told, packed) = bytes.strip_prefix(MAGIC)?.split_at_checked(TAG)?;
        let size = u32::from_le_bytes(*packed.first_chunk()?) as usize;
        if *told != tag(key, packed) || size > LARGEST {
            return None;
        }
        let mut plain = Bytes::from(lz4_flex::block::decompress_size_prepended(packed).ok()?);
        let length = u32::from_le_bytes(*plain.first_chunk()?) as usize;
        let body = plain.split_off(length.checked_add(4).filter(|end| *end <= plain.len())?);
        let head: Head = serde_json::from_slice(plain.get(4..)?).ok()?;
        let dialects = [
            Dialect::Messages,
            Dialect::ChatCompletions,
            Dialect::Responses,
        ];
        Some(Self {
            dialect: dialects.into_iter().find(|d| d.as_str() == head.dialect)?,
            headers: head
                .headers
                .iter()
                .map(|(n, v)| {
                    Some((
                        HeaderName::try_from(n).ok()?,
                        HeaderValue::try_from(v).ok()?,
                    ))
                })
                .collect::<Option<_>>()?,
            body: if head.stream {
                Recorded::Events(body)
            } else {
                Recorded::Whole(body)
            },
            usage: head.usage.map(usage),
            target: head.target.map(|(p, m)| Target::new(&*p, &*m)),
            stored_at: UNIX_EPOCH.checked_add(Duration::from_millis(head.at))?,
        })
    }
}

const fn usage(counts: [u64; COUNTS]) -> Usage {
    let [
        input,
        output,
        cache_read,
        cache_write,
        cache_write_1h,
        reasoning,
        input_audio,
        input_image,
        output_audio,
        output_image,
        service,
    ] = counts;
    Usage {
        input,
        output,
        cache_read,
        cache_write,
        cache_write_1h,
        reasoning,
        input_audio,
        input_image,
        output_audio,
        output_image,
        service: match service {
            1 => Service::Batch,
            2 => Service::Flex,
            3 => Service::Priority,
            _ => Service::Standard,
        },
    }
}

pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn tag(key: &Key, packed: &[u8]) -> [u8; TAG] {
    let hash = blake3::keyed_hash(key.as_bytes(), packed);
    let mut tag = [0; TAG];
    tag.copy_from_slice(hash.as_bytes().split_at(TAG).0);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt_cache::testing::{entry, key};
    use proptest::prelude::*;

    #[test]
    fn there_and_back() {
        let mut kept = entry(10_000);
        for stream in [true, false] {
            if !stream {
                kept.body = Recorded::Whole(Bytes::from_static(b"{}"));
                (kept.usage, kept.target) = (None, None);
            }
            let back = Entry::from_bytes(&key("a"), &kept.to_bytes(&key("a"))).unwrap();
            assert_eq!((&back.headers, &back.body), (&kept.headers, &kept.body));
            assert_eq!((back.usage, &back.target), (kept.usage, &kept.target));
            assert_eq!(
                (back.dialect, millis(back.stored_at)),
                (kept.dialect, millis(kept.stored_at))
            );
        }
        let text = "To be, or not to be, that is the question: ".repeat(400);
        kept.body = Recorded::Whole(text.clone().into());
        assert!(kept.to_bytes(&key("a")).len() < text.len() / 20);
    }

    #[test]
    fn it_is_read_under_its_own_key_alone() {
        let bytes = entry(100).to_bytes(&key("a"));
        assert!(Entry::from_bytes(&key("a"), &bytes).is_some());
        assert!(Entry::from_bytes(&key("b"), &bytes).is_none());
    }

    proptest! {
        #[test]
        fn what_is_damaged_is_no_entry(at in 0usize..400, bit in 0u8..8, cut in 0usize..400) {
            let whole = entry(300).to_bytes(&key("a"));
            let mut bytes = whole.to_vec();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(Entry::from_bytes(&key("a"), &bytes).is_none());
            let cut = cut % whole.len();
            prop_assert!(Entry::from_bytes(&key("a"), &whole[..cut]).is_none());
        }
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut told = MAGIC.to_vec();
            told.extend(bytes);
            prop_assert!(Entry::from_bytes(&key("a"), &told).is_none());
        }
    }
}
