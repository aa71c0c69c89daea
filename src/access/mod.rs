//! Who may call: keys that are made, rotated and revoked while gateways run.
//!
//! They are kept in a database, as digests (`secret`), and held in memory by every gateway that uses it (`ring`), so that no call waits
//! for a disk. A change by `tierway keys` or by another node is seen within a second (`watch`); where nodes share a Redis, within a
//! quarter of one. What a key may use rides with its calls: limits for [`limit`](tierway_layers::limit), tiers and models for
//! [`tenants`](tierway_layers::tenants).
mod amend;
mod attempts;
mod jwt;
mod password;
mod ring;
mod secret;
mod store;
mod terms;
mod watch;

pub(crate) use self::{
    amend::{Amendment, amend},
    attempts::Attempts,
    jwt::{IdTokens, Tokens, discover},
    password::{hash_password, is_password},
    ring::{Allow, Ring},
    secret::{Pepper, random},
    store::{Store, create, now, rotate},
};
pub use self::{
    secret::PREFIX,
    store::Record,
    terms::{Quota, Terms},
};

use crate::{config::Config, ledger::Place};
use std::{sync::Arc, time::Duration};
use tierway_layers::redis::Redis;
use tokio::sync::OnceCell;

/// Is told the secret that all nodes share.
pub(crate) type Keyed = Arc<dyn Fn(&str) + Send + Sync>;

/// Counts changes, for nodes that share a Redis.
pub(crate) const CHANGES: &str = "tierway:keys:version";

/// The keys of this gateway, and where they are kept. Clones are the same.
#[derive(Clone, Debug)]
pub struct Access {
    place: Place,
    ring: Ring,
    store: Arc<OnceCell<Store>>,
    redis: Option<Redis>,
}

impl Access {
    /// Begins to watch the keys, and waits a moment for the first look. `None` where there is no place for them.
    ///
    /// Where `keyed` is given, the place is made if it is not there, and `keyed` told the secret that all nodes share.
    pub(crate) fn open(
        config: &Config,
        allow: Allow,
        redis: Option<Redis>,
        keyed: Option<Keyed>,
    ) -> Option<Self> {
        let place = config.access.place(&config.ledger)?;
        let ring = Ring::new(Pepper::new(config.access.pepper.as_ref()), allow);
        let own = crate::stack::redis(&config.redis).filter(|_| redis.is_some());
        watch::start(&place, &ring, own, keyed);
        Some(Self {
            place,
            ring,
            store: Arc::default(),
            redis,
        })
    }

    /// The keys that admit.
    pub(crate) const fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Where they are kept; made where it is not there.
    pub(crate) async fn store(&self) -> sqlx::Result<&Store> {
        self.store
            .get_or_try_init(|| Store::open(&self.place))
            .await
    }

    /// Has this node heed a change now, and the others soon.
    pub(crate) async fn changed(&self) -> sqlx::Result<()> {
        self.ring.set(self.store().await?.all().await?);
        if let Some(redis) = &self.redis {
            tell(redis).await;
        }
        Ok(())
    }

    /// Writes down when keys were last used.
    pub(crate) fn close(&self, limit: Duration) {
        watch::write_down(&self.place, &self.ring, limit);
    }
}

/// The value of a field of a form.
pub(crate) fn form_value(form: &[u8], name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(form);
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    Some(value.into_owned())
}

/// Tells the other nodes that something has changed.
pub(crate) async fn tell(redis: &Redis) {
    redis.bump(CHANGES).await;
}
