//! What answers questions that were asked before in other words.
use crate::config::Config;
use tierway_layers::semantic_cache::{Remote, SemanticCacheLayer};
use tierway_services::Dispatch;

#[cfg(feature = "local-embeddings")]
pub(super) type Embedder =
    tower::util::Either<Remote<Dispatch>, tierway_layers::semantic_cache::Local>;
#[cfg(not(feature = "local-embeddings"))]
pub(super) type Embedder = Remote<Dispatch>;

pub(super) fn cache(config: &Config, dispatch: &Dispatch) -> Option<SemanticCacheLayer<Embedder>> {
    let settings = &config.semantic_cache;
    if !settings.enabled || !config.cache.enabled {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a share needs no more")]
    let threshold = settings.threshold as f32;
    let layer = SemanticCacheLayer::new(embedder(config, dispatch)?)
        .threshold(threshold)
        .sampled(config.cache.sampled)
        .bounds(settings.max_bytes, config.cache.ttl);
    Some(layer)
}

fn remote(config: &Config, dispatch: &Dispatch) -> Option<Remote<Dispatch>> {
    let settings = &config.semantic_cache;
    let target = settings.embeddings.clone()?;
    Some(Remote::new(dispatch.clone(), target).patience(settings.timeout))
}

#[cfg(not(feature = "local-embeddings"))]
fn embedder(config: &Config, dispatch: &Dispatch) -> Option<Embedder> {
    remote(config, dispatch)
}

#[cfg(feature = "local-embeddings")]
fn embedder(config: &Config, dispatch: &Dispatch) -> Option<Embedder> {
    use tower::util::Either;
    let Some(folder) = &config.semantic_cache.local_model else {
        return remote(config, dispatch).map(Either::Left);
    };
    match tierway_layers::semantic_cache::Local::open(folder) {
        Ok(model) => Some(Either::Right(model)),
        Err(error) => {
            // The exact cache goes on without it, as it does without vectors.
            tracing::error!(%error, folder = %folder.display(), "semantic_cache.local_model cannot be read; the semantic cache is off");
            None
        }
    }
}
