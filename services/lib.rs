//! What a call to a language model is, and who answers it.
//!
//! Without features this crate is vocabulary only: the [`chat`] types that layers exchange, the [`dialect`]s that callers and
//! providers speak, and the [`translate`] functions between them. It pulls in no runtime, no TLS, no sockets.
//!
//! | feature | adds |
//! |---|---|
//! | `bedrock` | Amazon Bedrock with AWS credentials; without it, with its API keys alone |
//! | `client` | [`providers`], [`upstream`] and [`Dispatch`]: the leaf services that answer |
//! | `mcp` | [`mcp`]: servers of the Model Context Protocol as a [`tools::Toolbox`] |
//! | `prices` | the embedded price list, [`prices::PriceList::embedded`] |
//! | `time` | [`alarm`]: a timer for bodies |
//! | `tokens` | [`tokens::count`]: a real tokenizer for counts that no provider gives |
pub mod chat;
pub mod dialect;
pub mod json;
pub mod ndjson;
pub mod prices;
pub mod sse;
pub mod tokens;
pub mod tools;
pub mod translate;

#[cfg(feature = "time")]
pub mod alarm;
#[cfg(feature = "client")]
pub mod dispatch;
#[cfg(feature = "client")]
pub mod event_stream;
#[cfg(feature = "client")]
pub mod fetch;
#[cfg(feature = "mcp")]
pub mod mcp;
#[cfg(feature = "client")]
pub mod providers;
#[cfg(feature = "client")]
pub mod upstream;

#[cfg(feature = "client")]
pub use dispatch::{Dispatch, Error as DispatchError};

/// The error type that bodies and services erase to.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
