//! The prompt cache's settings, and what they need of others.
use super::{
    super::{
        file,
        origin::Origin,
        settings::{Cache, CacheStore, Config},
    },
    Resolver,
};

impl Resolver<'_, '_> {
    pub(super) fn cache(&mut self, typed: file::Cache) -> Cache {
        let default = Cache::default();
        Cache {
            enabled: self
                .take("cache.enabled", typed.enabled)
                .unwrap_or(default.enabled),
            store: self
                .take("cache.store", typed.store)
                .unwrap_or(default.store),
            max_bytes: self
                .take("cache.max_bytes", typed.max_bytes)
                .map_or(default.max_bytes, |size| size.0),
            ttl: self.take("cache.ttl", typed.ttl).unwrap_or(default.ttl),
            max_entry: self
                .take("cache.max_entry", typed.max_entry)
                .map_or(default.max_entry, |size| size.0),
            sampled: self
                .take("cache.sampled", typed.sampled)
                .unwrap_or(default.sampled),
            tool_calls: self
                .take("cache.tool_calls", typed.tool_calls)
                .unwrap_or(default.tool_calls),
            coalesce: self
                .take("cache.coalesce", typed.coalesce)
                .unwrap_or(default.coalesce),
            file: self.file_of("cache.file", typed.file),
            max_disk_bytes: self
                .take("cache.max_disk_bytes", typed.max_disk_bytes)
                .map_or(default.max_disk_bytes, |size| size.0),
        }
    }

    /// What is to be kept on disk needs a file, the usual one where none is named.
    pub(super) fn cache_file(&mut self, config: &mut Config) {
        let cache = &mut config.cache;
        if !cache.enabled || cache.store != CacheStore::Disk || cache.file.is_some() {
            return;
        }
        cache.file = self.state_folder().map(|folder| folder.join("cache.redb"));
        if cache.file.is_none() {
            let origin = self.origins.get("cache.store").cloned();
            self.refuse(
                origin.unwrap_or(Origin::Default),
                "`cache.file` is not set, and neither HOME nor XDG_STATE_HOME tells a folder for it",
                "add cache.file = \"path\"",
            );
        }
    }
}
