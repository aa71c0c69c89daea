//! What gateways share, and with whom.
use super::{
    super::{
        file,
        origin::Origin,
        settings::{Affinity, CacheStore, Config, Redis, SharedBy},
    },
    Resolver,
};

impl Resolver<'_, '_> {
    pub(super) fn affinity(&mut self, typed: file::Affinity) -> Affinity {
        let default = Affinity::default();
        Affinity {
            enabled: self
                .take("affinity.enabled", typed.enabled)
                .unwrap_or(default.enabled),
            ttl: self.take("affinity.ttl", typed.ttl).unwrap_or(default.ttl),
            max_sessions: self
                .take("affinity.max_sessions", typed.max_sessions)
                .map_or(default.max_sessions, |count| count.0),
            store: self
                .take("affinity.store", typed.store)
                .unwrap_or(default.store),
        }
    }

    pub(super) fn redis(&mut self, typed: file::Redis) -> Redis {
        let places = [
            typed.url.as_ref().map(|typed| typed.origin.clone()),
            typed.url_env.as_ref().map(|typed| typed.origin.clone()),
            typed.url_file.as_ref().map(|typed| typed.origin.clone()),
        ];
        let url = self.secret("redis.url", typed.url, typed.url_env, typed.url_file);
        let url = url.filter(|url| {
            let fits = tierway_layers::redis::is_url(url.expose());
            if !fits {
                let origin = places.into_iter().flatten().next();
                self.refuse(
                    origin.unwrap_or(Origin::Default),
                    "`redis.url` is not the address of a Redis",
                    "write for example \"redis://127.0.0.1:6379\", or rediss:// for TLS",
                );
            }
            fits
        });
        Redis {
            url,
            timeout: self
                .take("redis.timeout", typed.timeout)
                .unwrap_or_else(|| Redis::default().timeout),
        }
    }

    /// What is to be shared needs somebody who holds it.
    pub(super) fn check_redis(&mut self, config: &Config) {
        let cache = config.cache.enabled && config.cache.store == CacheStore::Redis;
        for (wanted, path) in [
            (config.affinity.store == SharedBy::Redis, "affinity.store"),
            (cache, "cache.store"),
            (config.breaker.store == SharedBy::Redis, "breaker.store"),
            (config.labels.store == SharedBy::Redis, "labels.store"),
        ] {
            if wanted && config.redis.url.is_none() && self.problems.is_empty() {
                let origin = self.origins.get(path).cloned();
                self.refuse(
                    origin.unwrap_or(Origin::Default),
                    format!("`{path}` is \"redis\", and there is none"),
                    "add [redis] with url = \"redis://host:6379\"",
                );
            }
        }
    }
}
