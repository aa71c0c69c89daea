//! Who answers: the providers, and what is peculiar to each.
//!
//! What is peculiar is data, not branches: each [`Kind`] has one static specification in a file of its own (where it listens, how it takes its key,
//! which dialects it speaks on which paths, what it can do), and everything else reads that. A [`Provider`] is a kind under a name, with
//! an address, a key and time limits.
//!
//! ```
//! use tierway_services::providers::{Kind, Provider, Secret};
//! let provider = Provider::new("cloud", Kind::OpenAiCompatible)
//!     .base_url("https://llm.example.com/api/v1")?
//!     .api_key(Secret::new("sk-..."));
//! assert_eq!(provider.name(), "cloud");
//! assert!(!format!("{provider:?}").contains("sk-..."));
//! # Ok::<(), tierway_services::providers::ProviderError>(())
//! ```
mod address;
mod anthropic;
mod anthropic_compatible;
mod azure_anthropic;
mod azure_openai;
mod bedrock;
mod betas;
mod command;
mod databricks;
mod envelope;
mod gemini;
mod google;
mod kind;
mod llamacpp;
mod lmstudio;
mod models;
mod ollama;
mod openai;
mod openai_compatible;
mod openrouter;
mod passage;
mod prefix_cache;
mod presets;
mod provider;
mod ready;
mod secret;
mod settings;
mod spec;
mod step;
mod tls;
pub(crate) mod token;
mod vertex;

#[cfg(test)]
pub(crate) use betas::{Beta, Betas};
pub use command::KeyCommand;
pub use kind::{Kind, ParseKindError};
pub use models::Abilities;
pub(crate) use passage::Passage;
pub use provider::{Provider, ProviderError, Timeouts};
pub use secret::Secret;
pub use settings::{AuthStyle, ParseAuthStyleError, Settings};
pub use spec::Setting;
pub(crate) use spec::{Ask, Auth, Framing, Native, Presence};
pub use tls::Tls;
