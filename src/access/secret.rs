//! How keys look, and what is kept of them.
//!
//! A key is `sk-tw-`, its public name (50 random bits), a dash and its secret (256 random bits), in lower case and digits, so that a double
//! click takes the whole of it. What is kept is its BLAKE3 digest, keyed with the pepper. A slow hash such as Argon2id protects what people
//! think up; nobody tries out 2^256 secrets however fast a try is, and every call would wait for it.
use ring::rand::{SecureRandom, SystemRandom};
use std::io;
use tierway_services::providers::Secret;

/// What every key begins with.
pub const PREFIX: &str = "sk-tw-";
/// Five bits a character: no 0, 1, 8, 9, which are read as letters.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const ID: usize = 10;

/// Turns keys into digests.
#[derive(Clone)]
pub(crate) struct Pepper([u8; 32]);

/// A key that was just made: shown once, kept nowhere.
pub(crate) struct Fresh {
    pub(crate) id: String,
    pub(crate) key: String,
}

impl Pepper {
    pub(crate) fn new(told: Option<&Secret>) -> Self {
        let told = told.map_or("", |pepper| pepper.expose());
        Self(blake3::derive_key(
            "tierway 2026-11 virtual keys",
            told.as_bytes(),
        ))
    }
    /// What is kept of a secret.
    pub(crate) fn digest(&self, secret: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.0, secret)
    }
}

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pepper")
    }
}

impl Fresh {
    /// A key with a name of its own, or another key for `id`.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub(crate) fn new(id: Option<&str>) -> io::Result<Self> {
        let id = match id {
            Some(id) => id.to_owned(),
            None => random(ID)?,
        };
        let key = format!("{PREFIX}{id}-{}", random(52)?);
        Ok(Self { id, key })
    }
}

/// So many random characters, of five bits each.
///
/// # Errors
/// Where the system has no randomness.
pub(crate) fn random(length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system has no randomness"))?;
    // 256 is a multiple of 32, so every character is as likely as any other.
    let letter = |byte: u8| char::from(ALPHABET[usize::from(byte % 32)]);
    Ok(bytes.into_iter().map(letter).collect())
}

/// The public name within a key, where it looks like one of ours.
pub(crate) fn id_of(presented: &[u8]) -> Option<&str> {
    let rest = presented.strip_prefix(PREFIX.as_bytes())?;
    let (id, _) = rest.split_at_checked(ID)?;
    // Whatever is wrong behind it, it pretends to be ours.
    std::str::from_utf8(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let one = Fresh::new(None).unwrap();
        let two = Fresh::new(Some(&one.id)).unwrap();
        assert_ne!(one.key, two.key);
        assert_eq!(one.key.len(), PREFIX.len() + ID + 1 + 52);
        assert_eq!(id_of(one.key.as_bytes()), Some(one.id.as_str()));
        for (text, id) in [
            ("sk-tw-short", None),
            ("sk-ant-abcdefghij", None),
            ("", None),
        ] {
            assert_eq!(id_of(text.as_bytes()), id);
        }
    }

    #[test]
    fn digests_depend_on_the_pepper() {
        let plain = Pepper::new(None);
        let salted = Pepper::new(Some(&Secret::new("pepper")));
        assert_eq!(plain.digest(b"k"), Pepper::new(None).digest(b"k"));
        assert_ne!(plain.digest(b"k"), salted.digest(b"k"));
        assert!(!format!("{salted:?}").contains("pepper"));
    }
}
