//! What makes tools' results smaller.
use crate::config::Config;
use tierway_layers::{compress::CompressLayer, telemetry::names as metrics};

pub(super) fn compress(config: &Config) -> Option<CompressLayer> {
    let settings = &config.compress;
    settings.enabled.then(|| {
        let layer = CompressLayer::new().on_saved(|transformation, tokens| {
            metrics::compressed(transformation.as_str()).increment(tokens);
        });
        let without = settings.without.iter().copied();
        without.fold(layer, CompressLayer::without)
    })
}
