//! What is peculiar to a kind of provider, as data.
use super::Provider;
use crate::{
    chat::{Operation, Prompt, Refusal},
    dialect::Dialect,
    translate::{Capabilities, MaxTokensField},
    upstream::Client,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use std::pin::Pin;

/// What is peculiar to a kind of provider.
#[derive(Debug)]
pub(crate) struct Spec {
    /// Its name in the configuration.
    pub(crate) name: &'static str,
    /// Where it listens unless told otherwise.
    pub(crate) base_url: Option<&'static str>,
    /// The environment variable of its address.
    pub(crate) base_url_env: Option<&'static str>,
    /// The environment variable of its key.
    pub(crate) key_env: Option<&'static str>,
    /// Whether it answers nobody without a key.
    pub(crate) needs_key: bool,
    /// Whether it runs on one's own machine.
    pub(crate) local: bool,
    /// How it takes its key.
    pub(crate) auth: Auth,
    /// The dialects that it speaks, the one to translate into first.
    pub(crate) dialects: &'static [Native],
    /// The path of its list of models, after the version.
    pub(crate) models: &'static str,
    /// By which name it takes the output limit in chat completions.
    pub(crate) max_tokens_field: MaxTokensField,
    /// Whether it can be shown documents such as PDF.
    pub(crate) documents: bool,
}

/// A dialect that a provider speaks.
#[derive(Debug)]
pub(crate) struct Native {
    /// Which.
    pub(crate) dialect: Dialect,
    /// Whether every server of this kind does.
    pub(crate) presence: Presence,
    /// The path that generates.
    pub(crate) generate: Path,
    /// How its streams are cut into events.
    pub(crate) framing: Framing,
    /// The path that counts tokens, after the version, and whether every server of this kind has it.
    pub(crate) count_tokens: Option<(&'static str, Presence)>,
    /// Headers that it wants, unless the caller sent them.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Whether it keeps its answers, to be gone on from by id.
    pub(crate) keeps: bool,
}

/// Where a provider takes calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path {
    /// Always here, after the version.
    Fixed(&'static str),
    /// Made for each call, after the version; with a query, if it needs one.
    Made(fn(&Ask<'_>) -> String),
    /// Made for each call, after the address without its version; with a query, if it needs one.
    Rooted(fn(&Ask<'_>) -> String),
}

/// What the path of a call may depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// What is wanted.
    pub(crate) operation: Operation,
    /// The provider's name for the model.
    pub(crate) model: &'a str,
    /// Whether a stream is wanted.
    pub(crate) stream: bool,
}

/// How a stream is cut into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Sse,
    /// Amazon's binary event stream.
    EventStream,
    /// One JSON object a line.
    Ndjson,
}

/// Whether a server of a kind has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// All have it.
    Always,
    /// Newer versions have it: find out.
    Found,
    /// Only the user knows.
    Configured,
}

/// How a provider takes its key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Auth {
    /// `authorization: Bearer ...`
    Bearer,
    /// `x-api-key: ...`
    XApiKey,
    /// In a header of this name (in lower case), by itself.
    Header(&'static str),
    /// By a step of its own, which is given each request when nothing else will change it: to sign it, or to fetch a token for it.
    Step(Step),
}

/// A step that gives a request what proves who calls. What is wrong is said without the key.
pub(crate) type Step =
    for<'a> fn(
        &'a Provider,
        &'a Client,
        Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Request<Bytes>, String>> + Send + 'a>>;

/// Makes a body out of the prompt, the caller's headers and the provider's name for the model.
pub(crate) type Adapt = fn(&Prompt, &HeaderMap, &str) -> Adapted;
/// Reads a count of tokens.
pub(crate) type Count = fn(&[u8]) -> Option<u64>;
/// Reads an error out of its head and body.
pub(crate) type ReadError = fn(&Provider, &HeaderMap, StatusCode, &[u8]) -> Refusal;

/// What only some kinds of provider need: functions for where data does not reach.
pub(crate) struct Hooks {
    /// Whether it speaks a dialect with a model, unless the user says otherwise; one that does with every model needs no hook.
    pub(crate) speaks: Option<fn(Dialect, &str) -> bool>,
    /// The body of a request in the caller's own dialect.
    pub(crate) body: Option<Adapt>,
    /// The same for a count of tokens.
    pub(crate) count: Option<Adapt>,
    /// Reads the answer to that.
    pub(crate) counted: Option<Count>,
    /// Reads an error.
    pub(crate) error: Option<ReadError>,
}

impl Hooks {
    /// None at all.
    pub(crate) const NONE: Self = Self {
        speaks: None,
        body: None,
        count: None,
        counted: None,
        error: None,
    };
}

/// A body as a provider takes it.
#[derive(Debug)]
pub(crate) struct Adapted {
    pub(crate) body: Bytes,
    /// What the caller asked for and the provider would refuse, by name.
    pub(crate) dropped: Vec<String>,
}

impl Native {
    /// Anthropic's Messages on its usual paths.
    pub(super) const fn messages(
        presence: Presence,
        count_tokens: Option<(&'static str, Presence)>,
    ) -> Self {
        Self {
            dialect: Dialect::Messages,
            presence,
            generate: Path::Fixed("/messages"),
            framing: Framing::Sse,
            count_tokens,
            headers: &[("anthropic-version", "2023-06-01")],
            keeps: false,
        }
    }
    /// `OpenAI`'s chat completions on their usual path.
    pub(super) const fn chat() -> Self {
        Self {
            dialect: Dialect::ChatCompletions,
            presence: Presence::Always,
            generate: Path::Fixed("/chat/completions"),
            framing: Framing::Sse,
            count_tokens: None,
            headers: &[],
            keeps: false,
        }
    }
    /// `OpenAI`'s Responses on their usual path.
    pub(super) const fn responses(presence: Presence, keeps: bool) -> Self {
        Self {
            dialect: Dialect::Responses,
            presence,
            generate: Path::Fixed("/responses"),
            framing: Framing::Sse,
            count_tokens: None,
            headers: &[],
            keeps,
        }
    }
    /// The path for an operation.
    pub(crate) fn path(&self, operation: Operation) -> Option<Path> {
        match operation {
            Operation::Generate => Some(self.generate),
            Operation::CountTokens => {
                let (path, _) = self.count_tokens?;
                Some(match self.generate {
                    Path::Fixed(_) => Path::Fixed(path),
                    made => made,
                })
            }
        }
    }
}

/// The path that counts tokens in Anthropic's Messages.
pub(super) const COUNT_TOKENS: &str = "/messages/count_tokens";

impl Spec {
    /// The dialect, if servers of this kind speak it.
    pub(crate) fn native(&self, dialect: Dialect) -> Option<&'static Native> {
        self.dialects.iter().find(|n| n.dialect == dialect)
    }
    /// What the translation must know of a provider of this kind.
    pub(crate) fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_tokens_field: self.max_tokens_field,
            documents: self.documents,
            ..Capabilities::default()
        }
    }
}

impl Auth {
    /// The header that carries the key, unless a step sees to that.
    pub(crate) const fn header(self) -> Option<HeaderName> {
        match self {
            Self::Bearer => Some(header::AUTHORIZATION),
            Self::XApiKey => Some(HeaderName::from_static("x-api-key")),
            Self::Header(name) => Some(HeaderName::from_static(name)),
            Self::Step(_) => None,
        }
    }
    /// What stands before the key.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer ",
            Self::XApiKey | Self::Header(_) | Self::Step(_) => "",
        }
    }
}
