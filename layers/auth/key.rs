//! Keys, held as digests.
use super::{Authority, Caller, Verdict};
use std::{fmt, sync::Arc};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use tierway_services::chat::{KeyId, Tenant};

/// A key that admits, and the tenant for whom its holder calls.
///
/// Only a BLAKE3 digest is kept, so that every comparison is over the same 32 bytes however long a key is, and no secret stays in memory.
///
/// ```
/// use tierway_layers::auth::Key;
/// let key = Key::new("sk-alice", "alice");
/// assert_eq!(key.tenant().as_str(), "alice");
/// assert!(!format!("{key:?}").contains("sk-alice"));
/// ```
#[derive(Clone)]
pub struct Key {
    digest: [u8; blake3::OUT_LEN],
    caller: Arc<Caller>,
}

/// The keys of a list that does not change.
pub(super) struct Keys(pub(super) Box<[Key]>);

impl Authority for Keys {
    fn who(&self, presented: &[u8]) -> Verdict {
        match find(&self.0, presented) {
            Some(key) => Verdict::Known(key.caller.clone()),
            None => Verdict::Unknown,
        }
    }
}

impl Key {
    /// The key `secret`, held by `tenant`.
    #[must_use]
    pub fn new(secret: &str, tenant: impl Into<Arc<str>>) -> Self {
        let digest = blake3::hash(secret.as_bytes());
        // The same wherever the same key is known, and of no use for guessing a key that has any length.
        let id = KeyId::new(&digest.to_hex()[..12]);
        Self {
            digest: *digest.as_bytes(),
            caller: Arc::new(Caller::new(Tenant::new(tenant), id)),
        }
    }
    /// By which name limits and logs know it: the beginning of its digest.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        self.caller.id()
    }
    /// For whom its holder calls.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        self.caller.tenant()
    }
}

/// A key of the tenant `default`.
impl From<&str> for Key {
    fn from(secret: &str) -> Self {
        Self::new(secret, "default")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("tenant", self.tenant())
            .finish_non_exhaustive()
    }
}

/// The key that was presented. Every key is looked at whatever was found before, so that time tells nothing about which one matched, or
/// how nearly.
fn find<'k>(keys: &'k [Key], presented: &[u8]) -> Option<&'k Key> {
    // An environment variable set to nothing must not become a key that anybody can send.
    if presented.is_empty() {
        return None;
    }
    let digest = blake3::hash(presented);
    let mut found = 0_u64;
    for (place, key) in (1..).zip(keys) {
        found.conditional_assign(&place, key.digest.ct_eq(digest.as_bytes()));
    }
    keys.get(usize::try_from(found.checked_sub(1)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_is_found() {
        let keys = [
            Key::new("sk-a", "a"),
            Key::new("sk-b", "b"),
            Key::new("", "c"),
        ];
        let tenant = |presented: &str| {
            find(&keys, presented.as_bytes()).map(|k| k.tenant().as_str().to_owned())
        };
        assert_eq!(tenant("sk-a").as_deref(), Some("a"));
        assert_eq!(tenant("sk-b").as_deref(), Some("b"));
        for wrong in ["", "sk-", "sk-a ", "SK-A", "sk-ab"] {
            assert_eq!(tenant(wrong), None, "{wrong:?}");
        }
        assert!(find(&[], b"sk-a").is_none());
    }
}
