//! What is peculiar to a kind of provider, as data.
use crate::{
    chat::Operation,
    dialect::Dialect,
    translate::{Capabilities, MaxTokensField},
};
use http::{HeaderName, header};

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
    /// The path that generates, after the version.
    pub(crate) generate: &'static str,
    /// The path that counts tokens, after the version, and whether every server of this kind has it.
    pub(crate) count_tokens: Option<(&'static str, Presence)>,
    /// Headers that it wants, unless the caller sent them.
    pub(crate) headers: &'static [(&'static str, &'static str)],
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `authorization: Bearer ...`
    Bearer,
    /// `x-api-key: ...`
    XApiKey,
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
            generate: "/messages",
            count_tokens,
            headers: &[("anthropic-version", "2023-06-01")],
        }
    }
    /// `OpenAI`'s chat completions on their usual path.
    pub(super) const fn chat() -> Self {
        Self {
            dialect: Dialect::ChatCompletions,
            presence: Presence::Always,
            generate: "/chat/completions",
            count_tokens: None,
            headers: &[],
        }
    }
    /// The path for an operation.
    pub(crate) const fn path(&self, operation: Operation) -> Option<&'static str> {
        match operation {
            Operation::Generate => Some(self.generate),
            Operation::CountTokens => match self.count_tokens {
                Some((path, _)) => Some(path),
                None => None,
            },
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
    /// The header that carries the key.
    pub(crate) const fn header(self) -> HeaderName {
        match self {
            Self::Bearer => header::AUTHORIZATION,
            Self::XApiKey => HeaderName::from_static("x-api-key"),
        }
    }
    /// What stands before the key.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer ",
            Self::XApiKey => "",
        }
    }
}
