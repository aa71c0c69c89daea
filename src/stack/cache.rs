//! What the prompt cache is made of: who keeps answers, and who hears of it.
use crate::{
    config::{Cache, CacheStore, Config, Provider},
    log,
};
use std::{io, path::Path, time::Duration};
use tierway_layers::{
    prompt_cache::{Disk, Event, Layered, Memory, PromptCacheLayer, Remote},
    redis::Redis,
    telemetry::names,
};
use tower::util::Either;

/// This process's memory, and behind it what the configuration says.
pub(super) type Store = Either<Memory, Layered<Memory, Either<Disk, Remote>>>;

/// How long writing down what has been kept may take.
const CLOSING: Duration = Duration::from_secs(2);

/// Where answers are kept, and what is to be closed at the end.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    store: Store,
    disk: Option<Disk>,
}

impl Kept {
    /// Writes down what waits to be written.
    pub(super) fn close(&self) {
        if let Some(disk) = &self.disk {
            disk.flush(CLOSING);
        }
    }
}

/// `None` where there is to be none; without the store behind memory where that cannot be had, which the log tells.
pub(super) fn store(config: &Config, redis: Option<&Redis>) -> Option<Kept> {
    let told = &config.cache;
    if !told.enabled {
        return None;
    }
    let near = Memory::new(told.max_bytes, told.ttl).on_event(count);
    let mut disk = None;
    let far = match told.store {
        CacheStore::Memory => None,
        CacheStore::Disk => told.file.as_deref().and_then(|file| {
            disk = open(file, told)
                .inspect_err(|error| log::cache_file(file, error))
                .ok();
            disk.clone().map(Either::Left)
        }),
        CacheStore::Redis => {
            redis.map(|redis| Either::Right(Remote::new(redis.clone(), told.ttl).on_event(count)))
        }
    };
    let store = match far {
        Some(far) => Either::Right(Layered::new(near, far)),
        None => Either::Left(near),
    };
    Some(Kept { store, disk })
}

/// Answers from there, as the configuration says.
pub(super) fn cache(config: &Config, kept: Option<&Kept>) -> Option<PromptCacheLayer<Store>> {
    let told = &config.cache;
    let mut layer = PromptCacheLayer::new(kept?.store.clone())
        .sampled(told.sampled)
        .tool_calls(told.tool_calls)
        .coalesce(told.coalesce)
        .max_entry(usize::try_from(told.max_entry).unwrap_or(usize::MAX))
        .on_event(count);
    for (name, provider) in &config.providers {
        layer = layer.identity(name, identity(provider));
    }
    for (name, _) in config.tenants.iter().filter(|(_, tenant)| !tenant.cache) {
        layer = layer.opt_out(name);
    }
    Some(layer)
}

fn open(file: &Path, told: &Cache) -> io::Result<Disk> {
    let disk = Disk::open(file, told.max_disk_bytes, told.ttl)?;
    Ok(disk.on_event(count).on_fault(log::disk))
}

/// What a provider is, beyond its name: another server under the same name has not said what this one has.
fn identity(provider: &Provider) -> String {
    let address = provider.base_url.as_deref().unwrap_or_default();
    format!("{} {address}", provider.kind.as_str())
}

fn count(event: Event) {
    match event {
        Event::Served { age } => names::cache_age_seconds().record(age),
        Event::Stored { store } => names::cache_stored(store).increment(1),
        Event::Evicted { store, cause } => names::cache_evicted(store, cause).increment(1),
        Event::Level {
            store,
            bytes,
            entries,
        } => {
            names::cache_bytes(store).set(bytes as f64);
            names::cache_entries(store).set(entries as f64);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn config(toml: &str) -> Config {
        let environment = HashMap::<String, String>::new();
        let flags = crate::config::Flags::default();
        let loaded = crate::config::read("t".as_ref(), toml, &flags, &environment);
        loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    #[test]
    fn another_address_is_another_upstream() {
        let at = |url: &str| {
            let toml = format!("[providers.o]\nkind = 'openai-compatible'\nbase_url = '{url}'");
            identity(&config(&toml).providers["o"])
        };
        assert_ne!(at("http://127.0.0.1:1/v1"), at("http://127.0.0.1:2/v1"));
    }

    #[tokio::test]
    async fn a_file_that_is_taken_leaves_memory() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cache.redb");
        let toml = format!("[cache]\nstore = 'disk'\nfile = '{}'", file.display());
        let config = config(&toml);
        let first = store(&config, None).unwrap();
        assert!(first.disk.is_some());
        let second = store(&config, None).unwrap();
        assert!(second.disk.is_none());
        assert!(store(&self::config("[cache]\nenabled = false"), None).is_none());
    }
}
