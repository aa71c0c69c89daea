//! The keys that admit, in memory: looked at on every call, exchanged as a whole when one changes.
use super::{
    secret::{Pepper, id_of},
    store::{Record, now},
    terms::Terms,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicI64, Ordering},
    },
};
use tierway_layers::{
    auth::{Authority, Caller, Verdict},
    limit::{Limits, Subject},
    tenants::{Allowance, Own},
};
use tierway_services::chat::{KeyId, Tenant, Tier};

/// Says which tiers lead to models that are allowed.
pub(crate) type Allow =
    Arc<dyn Fn(Option<&[Tier]>, Option<&[String]>) -> Option<Allowance> + Send + Sync>;

/// The keys that admit. Clones are the same.
#[derive(Clone)]
pub(crate) struct Ring(Arc<Inner>);

/// A ring that somebody else keeps.
pub(super) struct Watched(Weak<Inner>);

impl Watched {
    pub(super) fn upgrade(&self) -> Option<Ring> {
        self.0.upgrade().map(Ring)
    }
}

struct Inner {
    keys: RwLock<Arc<HashMap<String, Entry>>>,
    pepper: Pepper,
    allow: Allow,
}

#[derive(Clone)]
struct Entry {
    digest: blake3::Hash,
    previous: Option<(blake3::Hash, i64)>,
    expires: Option<i64>,
    revoked: bool,
    caller: Arc<Caller>,
    used: Arc<AtomicI64>,
    told: Arc<AtomicI64>,
}

/// What whoever holds no valid key learns, whatever is wrong with it: which names exist is nobody's business.
const UNKNOWN: &str = "this key is not known here, or no longer: ask for another one";

impl Ring {
    pub(crate) fn new(pepper: Pepper, allow: Allow) -> Self {
        Self(Arc::new(Inner {
            keys: RwLock::default(),
            pepper,
            allow,
        }))
    }

    pub(crate) fn pepper(&self) -> &Pepper {
        &self.0.pepper
    }

    fn keys(&self) -> Arc<HashMap<String, Entry>> {
        let keys = self.0.keys.read();
        keys.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these and no others.
    pub(crate) fn set(&self, records: Vec<Record>) {
        let before = self.keys();
        let entry = |record: Record| {
            let used = before.get(&record.id).map(|entry| entry.used.clone());
            let entry = Entry {
                digest: record.digest?,
                previous: record.previous,
                expires: record.expires,
                revoked: record.revoked.is_some(),
                caller: Arc::new(self.caller(&record.id, &record.terms)),
                used: used.unwrap_or_default(),
                told: Arc::new(AtomicI64::new(record.last_used.unwrap_or_default())),
            };
            Some((record.id, entry))
        };
        let keys: HashMap<_, _> = records.into_iter().filter_map(entry).collect();
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    fn caller(&self, id: &str, terms: &Terms) -> Caller {
        let limits = Limits::from(terms.limits);
        let tenant = Tenant::new(terms.tenant.as_str());
        let mut caller = Caller::new(tenant, KeyId::new(id));
        if limits.has_rates() || limits.has_budgets() {
            caller = caller.with(Subject {
                name: format!("key:{id}").into(),
                limits,
            });
        }
        let (tiers, models) = (terms.tiers(), terms.models.as_deref());
        if let Some(allowance) = (self.0.allow)(tiers.as_deref(), models) {
            caller = caller.with(Own(Arc::new(allowance)));
        }
        if terms.tags.is_empty() {
            caller
        } else {
            caller.tags(terms.tags.join(","))
        }
    }

    /// Everybody whose money is limited, by the names that limits have for them.
    pub(crate) fn budgets(&self) -> Vec<String> {
        let keys = self.keys();
        let subjects = keys.values().filter_map(|e| e.caller.fact::<Subject>());
        let limited = subjects.filter(|subject| subject.limits.has_budgets());
        limited.map(|subject| subject.name.to_string()).collect()
    }

    /// When keys were last used of which that is not written down yet.
    pub(crate) fn used(&self) -> Vec<(String, i64)> {
        let keys = self.keys();
        let fresh = keys.iter().filter_map(|(id, entry)| {
            let at = entry.used.load(Ordering::Relaxed);
            (at > entry.told.load(Ordering::Relaxed)).then(|| (id.clone(), at))
        });
        fresh.collect()
    }

    /// That is written down now.
    pub(crate) fn written(&self, used: &[(String, i64)]) {
        let keys = self.keys();
        for (id, at) in used {
            if let Some(entry) = keys.get(id) {
                entry.told.fetch_max(*at, Ordering::Relaxed);
            }
        }
    }

    /// For whoever must not keep it alive.
    pub(super) fn downgrade(&self) -> Watched {
        Watched(Arc::downgrade(&self.0))
    }
}

impl Authority for Ring {
    fn who(&self, presented: &[u8]) -> Verdict {
        let Some(id) = id_of(presented) else {
            return Verdict::Unknown;
        };
        let (keys, now) = (self.keys(), now());
        // Made whether there is such a key or not; `Hash` compares in constant time.
        let digest = self.0.pepper.digest(presented);
        let Some(entry) = keys.get(id) else {
            return Verdict::Refused(UNKNOWN.into());
        };
        let before = entry
            .previous
            .is_some_and(|(hash, until)| (hash == digest) & (now < until));
        if !((entry.digest == digest) | before) || entry.revoked {
            return Verdict::Refused(UNKNOWN.into());
        }
        if entry.expires.is_some_and(|expires| now >= expires) {
            return Verdict::Refused("this key has expired: ask for another one".into());
        }
        entry.used.store(now, Ordering::Relaxed);
        Verdict::Known(entry.caller.clone())
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("keys", &self.keys().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret::Fresh;
    use super::*;

    fn record(fresh: &Fresh, pepper: &Pepper, terms: &str) -> Record {
        Record {
            id: fresh.id.clone(),
            prefix: String::new(),
            terms: serde_json::from_str(terms).unwrap(),
            created: 0,
            expires: None,
            revoked: None,
            rotated: None,
            last_used: None,
            digest: Some(pepper.digest(fresh.key.as_bytes())),
            previous: None,
        }
    }

    #[test]
    fn who_is_who() {
        let pepper = Pepper::new(None);
        let ring = Ring::new(pepper.clone(), Arc::new(|_, _| None));
        let one = Fresh::new(None).unwrap();
        let terms = r#"{"tenant":"t","limits":{"usd_total":1},"tags":["a","b"]}"#;
        let first = record(&one, &pepper, terms);
        ring.set(vec![first.clone()]);
        assert_eq!(ring.budgets(), [format!("key:{}", one.id)]);
        let Verdict::Known(caller) = ring.who(one.key.as_bytes()) else {
            panic!("known")
        };
        assert_eq!(caller.tenant().as_str(), "t");
        assert_eq!(ring.used().len(), 1);
        assert!(matches!(ring.who(b"sk-ant-other"), Verdict::Unknown));
        let wrong = format!("{}x", one.key);
        for no in [wrong.as_bytes(), b"sk-tw-abcdefghij-x", b"sk-tw-abcdefghij"] {
            assert!(matches!(ring.who(no), Verdict::Refused(_)));
        }
        // Another secret; the first one for a while.
        let two = Fresh::new(Some(&one.id)).unwrap();
        for (until, admits) in [(now() + 60_000, true), (now(), false)] {
            ring.set(vec![Record {
                previous: first.digest.map(|digest| (digest, until)),
                ..record(&two, &pepper, terms)
            }]);
            assert!(matches!(ring.who(two.key.as_bytes()), Verdict::Known(_)));
            let old = ring.who(one.key.as_bytes());
            assert_eq!(matches!(old, Verdict::Known(_)), admits);
        }
        for ended in [
            Record {
                revoked: Some(1),
                ..first.clone()
            },
            Record {
                expires: Some(now()),
                ..first.clone()
            },
        ] {
            ring.set(vec![ended]);
            assert!(matches!(ring.who(one.key.as_bytes()), Verdict::Refused(_)));
        }
        ring.set(vec![]);
        assert!(matches!(ring.who(one.key.as_bytes()), Verdict::Refused(_)));
    }
}
