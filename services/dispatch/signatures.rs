//! Whose signature stands under a thought.
//!
//! A signature says nothing that we could read. But every answer passes here on its way to the caller, so it can be remembered who gave
//! it, and told apart when it comes back with the history of a conversation that has gone on elsewhere.
use bytes::Bytes;
use memchr::{memchr2, memmem};
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

/// So many signatures are remembered, some megabytes; the eldest are forgotten first.
const MOST: usize = 65_536;

/// The signatures that were seen made.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    hasher: RandomState,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    houses: HashMap<u64, Arc<str>>,
    order: VecDeque<u64>,
}

/// The house whose answer is passing.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) signatures: Arc<Signatures>,
    pub(super) house: Arc<str>,
}

impl Signer {
    /// Remembers the signatures in an event, or in a whole answer.
    pub(super) fn note(&self, bytes: &Bytes) {
        let mut rest: &[u8] = bytes;
        while let Some(at) = memmem::find(rest, KEY) {
            rest = rest.get(at + KEY.len()..).unwrap_or_default();
            if let Some(signature) = literal(rest) {
                self.signatures.remember(signature, &self.house);
            }
        }
    }
}

impl Signatures {
    fn remember(&self, signature: &[u8], house: &Arc<str>) {
        let hash = self.hasher.hash_one(signature);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.houses.insert(hash, house.clone()).is_some() {
            return;
        }
        seen.order.push_back(hash);
        if seen.order.len() > MOST
            && let Some(eldest) = seen.order.pop_front()
        {
            seen.houses.remove(&eldest);
        }
    }

    /// Who made a signature, where that was seen. `signature` is what stands between the quotes.
    pub(super) fn house(&self, signature: &str) -> Option<Arc<str>> {
        let hash = self.hasher.hash_one(signature.as_bytes());
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.houses.get(&hash).cloned()
    }
}

/// A key cannot stand inside a text, where its quotes would be escaped.
const KEY: &[u8] = b"\"signature\"";

/// The inside of the string that follows a key; `None` where there is none, or nothing in it.
fn literal(json: &[u8]) -> Option<&[u8]> {
    let json = json
        .trim_ascii_start()
        .strip_prefix(b":")?
        .trim_ascii_start();
    let text = json.strip_prefix(b"\"")?;
    let end = memchr2(b'"', b'\\', text)?;
    (end > 0 && text.get(end) == Some(&b'"')).then(|| text.get(..end))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(signatures: &Arc<Signatures>, house: &str) -> Signer {
        Signer {
            signatures: signatures.clone(),
            house: house.into(),
        }
    }

    #[test]
    fn who_signed_is_known_again() {
        let signatures = Arc::new(Signatures::default());
        let event = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature": "EqQB+/="}}"#;
        signer(&signatures, "anthropic").note(&Bytes::from(event));
        let whole = r#"{"content":[{"type":"thinking","thinking":"say \"signature\":\"no\"","signature":"k1"},{"signature":""},{"signature":"k2"}]}"#;
        signer(&signatures, "kimi").note(&Bytes::from(whole));
        let house = |s: &str| signatures.house(s).map(|h| h.to_string());
        assert_eq!(house("EqQB+/=").as_deref(), Some("anthropic"));
        assert_eq!(house("k1").as_deref(), Some("kimi"));
        assert_eq!(house("k2").as_deref(), Some("kimi"));
        assert_eq!((house(""), house("no")), (None, None));
    }

    #[test]
    fn the_eldest_are_forgotten() {
        let signatures = Arc::new(Signatures::default());
        let house: Arc<str> = "h".into();
        for i in 0..=MOST {
            signatures.remember(i.to_string().as_bytes(), &house);
        }
        assert!(signatures.house("0").is_none() && signatures.house("1").is_some());
        assert_eq!(signatures.seen.lock().unwrap().houses.len(), MOST);
    }
}
