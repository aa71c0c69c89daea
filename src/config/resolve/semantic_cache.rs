//! The semantic cache, and what it needs of others.
use super::{
    super::{
        file,
        origin::Origin,
        settings::{Config, SemanticCache},
        values::{Share, Size},
    },
    Resolver,
};

impl Resolver<'_, '_> {
    pub(super) fn semantic_cache(&mut self, typed: file::SemanticCache) -> SemanticCache {
        let default = SemanticCache::default();
        SemanticCache {
            enabled: self
                .take("semantic_cache.enabled", typed.enabled)
                .unwrap_or(default.enabled),
            embeddings: self.target("semantic_cache.embeddings", typed.embeddings),
            local_model: self.file_of("semantic_cache.local_model", typed.local_model),
            threshold: self
                .take("semantic_cache.threshold", typed.threshold)
                .map_or(default.threshold, |Share(share)| share),
            max_bytes: self
                .take("semantic_cache.max_bytes", typed.max_bytes)
                .map_or(default.max_bytes, |Size(bytes)| bytes),
            timeout: self
                .take("semantic_cache.timeout", typed.timeout)
                .unwrap_or(default.timeout),
        }
    }

    /// It needs vectors, from one place, and the exact cache, whose answers it finds.
    pub(super) fn check_semantic_cache(&mut self, config: &Config) {
        let semantic = &config.semantic_cache;
        if !semantic.enabled {
            return;
        }
        let sources = (&semantic.embeddings, &semantic.local_model);
        let (message, advice) = match sources {
            _ if !config.cache.enabled => (
                "`semantic_cache` finds answers of the exact cache, which is off",
                "add cache.enabled = true",
            ),
            (None, None) => (
                "`semantic_cache` has nobody who turns questions into vectors",
                "add semantic_cache.embeddings = \"provider:model\", or semantic_cache.local_model",
            ),
            (Some(_), Some(_)) => (
                "`semantic_cache` has two who turn questions into vectors",
                "remove semantic_cache.embeddings or semantic_cache.local_model",
            ),
            (None, Some(_)) if cfg!(not(feature = "local-embeddings")) => (
                "`semantic_cache.local_model` is not part of this build",
                "build with --features local-embeddings, or use semantic_cache.embeddings",
            ),
            _ => return,
        };
        let origin = self.origins.get("semantic_cache.enabled").cloned();
        self.refuse(origin.unwrap_or(Origin::Default), message, advice);
    }
}
