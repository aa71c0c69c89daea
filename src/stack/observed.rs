//! By which names calls are counted and traced.
use crate::config::{Config, Route};
use std::collections::HashMap;
use tierway_layers::telemetry::TelemetryLayer;
use tierway_services::providers::Kind;

/// What OpenTelemetry's conventions call a kind of provider (`gen_ai.provider.name`); what they do not know has our name.
const fn system(kind: Kind) -> &'static str {
    match kind {
        Kind::Bedrock => "aws.bedrock",
        Kind::AzureOpenAi => "azure.ai.openai",
        Kind::AzureAnthropic => "azure.ai.inference",
        Kind::Gemini => "gcp.gemini",
        Kind::Vertex => "gcp.vertex_ai",
        Kind::Mistral => "mistral_ai",
        Kind::Xai => "x_ai",
        Kind::Moonshot => "moonshot_ai",
        // Anthropic, DeepSeek, Groq and OpenAI among them.
        other => other.as_str(),
    }
}

/// What the conventions call each provider.
pub(super) fn systems(config: &Config) -> HashMap<String, &'static str> {
    let providers = config.providers.iter();
    providers
        .map(|(name, provider)| (name.clone(), system(provider.kind)))
        .collect()
}

/// Adds OpenTelemetry's names, where they are wanted.
pub(super) fn gen_ai(config: &Config, layer: TelemetryLayer) -> TelemetryLayer {
    if !config.metrics.gen_ai {
        return layer;
    }
    let systems = systems(config);
    let routed = config.models.values().filter_map(|route| match route {
        Route::Target(target) => Some(target),
        _ => None,
    });
    let targets = config.tiers.values().chain(routed);
    let targets = targets.chain(config.fallbacks.values().flatten());
    let targets = targets.chain(&config.cascade.small);
    let targets = targets.chain(&config.labels.judge);
    let targets = targets.chain(&config.embeddings.default);
    let models = targets.map(|target| target.model.clone());
    let asked = config.models.keys().filter(|name| !name.ends_with('*'));
    layer.gen_ai(
        systems,
        models.chain(asked.map(|name| name.as_str().into())),
    )
}
