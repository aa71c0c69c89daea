//! What is peculiar to a kind of provider, as data.
use super::{Abilities, AuthStyle, Provider, Settings};
use crate::{
    chat::{Operation, Prompt, Refusal},
    dialect::Dialect,
    translate::Capabilities,
    upstream::Client,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use std::{fmt::Write, pin::Pin};

/// What is peculiar to a kind of provider.
#[derive(Debug)]
pub(crate) struct Spec {
    /// Its name in the configuration.
    pub(crate) name: &'static str,
    /// Where it listens unless told otherwise.
    pub(crate) base_url: Option<&'static str>,
    /// Where it listens in a region, where that is another host.
    pub(crate) regional: Option<fn(region: &str) -> String>,
    /// The environment variables of its address, the usual one first.
    pub(crate) base_url_env: &'static [&'static str],
    /// The environment variables of its key, the usual one first.
    pub(crate) key_env: &'static [&'static str],
    /// The environment variables of other settings.
    pub(crate) settings_env: &'static [(Setting, &'static [&'static str])],
    /// Whether it answers nobody without a key.
    pub(crate) needs_key: bool,
    /// Whether it runs on one's own machine.
    pub(crate) local: bool,
    /// How it takes its key.
    pub(crate) auth: Auth,
    /// The dialects that it speaks, the one to translate into first.
    pub(crate) dialects: &'static [Native],
    /// The dialect of its own, to translate into where the user, the request or the model demands it.
    pub(crate) own: Option<&'static Native>,
    /// Top-level fields that only the server's own dialect knows: a request with one of them goes there.
    pub(crate) own_marks: &'static [&'static str],
    /// The models that only the server's own dialect reaches: patterns over their names.
    pub(crate) own_models: &'static [&'static str],
    /// The path of its list of models, where it has one.
    pub(crate) models: Option<Path>,
    /// What its models can.
    pub(crate) can: Capabilities,
    /// What single models can: patterns over their names, by the lists of their makers; the last that fits wins.
    pub(crate) models_can: &'static [&'static [(&'static str, Abilities)]],
    /// Whether the cost that it tells with each answer is to be believed over a price list.
    pub(crate) tells_cost: bool,
    /// Headers of the caller's that go to it whatever the dialects.
    pub(crate) passes: &'static [&'static str],
    /// What its models are called in price lists, before a slash.
    pub(crate) priced_as: &'static [&'static str],
}

/// A setting that some kinds know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// [`Settings::api_version`](super::Settings::api_version).
    ApiVersion,
    /// [`Settings::project`](super::Settings::project).
    Project,
    /// [`Settings::region`](super::Settings::region).
    Region,
    /// [`Settings::client_id`](super::Settings::client_id).
    ClientId,
    /// [`Settings::client_secret`](super::Settings::client_secret).
    ClientSecret,
    /// The file of [`Settings::credentials`](super::Settings::credentials).
    CredentialsFile,
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
    /// Made for each call, after the address without its version; with a query, if it needs one.
    Rooted(fn(&Ask<'_>) -> String),
}

/// A model's name or the like as one segment of a path. A colon is left as it is: models of some vendors have one.
pub(super) fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@') {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
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
    /// What the provider was told besides its address.
    pub(crate) settings: &'a Settings,
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
/// Makes the question for a count of tokens out of what would be asked: its dialect, the caller's prompt, the body, and the provider's name for
/// the model.
pub(crate) type Count = fn(Dialect, &Prompt, Bytes, &str) -> Bytes;
/// Reads an error out of its head and body.
pub(crate) type ReadError = fn(&Provider, &HeaderMap, StatusCode, &[u8]) -> Refusal;

/// What only some kinds of provider need: functions for where data does not reach.
pub(crate) struct Hooks {
    /// Whether it speaks a dialect with a model, unless the user says otherwise; one that does with every model needs no hook.
    pub(crate) speaks: Option<fn(Dialect, &str) -> bool>,
    /// The body of a request in Anthropic's Messages.
    pub(crate) body: Option<Adapt>,
    /// The body of a question for a count of tokens; not every model can be asked then.
    pub(crate) count: Option<Count>,
    /// Reads an error.
    pub(crate) error: Option<ReadError>,
}

impl Hooks {
    /// None at all.
    pub(crate) const NONE: Self = Self {
        speaks: None,
        body: None,
        count: None,
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
            Operation::CountTokens => self.count_tokens.map(|(path, _)| match self.generate {
                // Whoever makes its path makes it for all operations.
                Path::Fixed(_) => Path::Fixed(path),
                made => made,
            }),
            Operation::Embed => self.beside_chat("/embeddings"),
            Operation::Complete => self.beside_chat("/completions"),
        }
    }
    /// A path that stands beside that of chat completions, on servers that keep `OpenAI`'s paths.
    fn beside_chat(&self, path: &'static str) -> Option<Path> {
        matches!(self.generate, Path::Fixed("/chat/completions")).then_some(Path::Fixed(path))
    }
}

/// The path that counts tokens in Anthropic's Messages.
pub(super) const COUNT_TOKENS: &str = "/messages/count_tokens";

impl Spec {
    /// What most kinds are: a cloud that takes a bearer key, with a list of models, whose models can everything.
    pub(super) const BASE: Self = Self {
        name: "",
        base_url: None,
        regional: None,
        base_url_env: &[],
        key_env: &[],
        settings_env: &[],
        needs_key: true,
        local: false,
        auth: Auth::Bearer,
        dialects: &[],
        own: None,
        own_marks: &[],
        own_models: &[],
        models: Some(Path::Fixed("/models")),
        can: Capabilities::ALL,
        models_can: &[],
        tells_cost: false,
        passes: &[],
        priced_as: &[],
    };

    /// The dialect, if servers of this kind speak it.
    pub(crate) fn native(&self, dialect: Dialect) -> Option<&'static Native> {
        let own = self.own.filter(|n| n.dialect == dialect);
        self.dialects.iter().find(|n| n.dialect == dialect).or(own)
    }
}

impl Auth {
    /// The way that a user asks for.
    pub(crate) const fn of(style: AuthStyle) -> Self {
        match style {
            AuthStyle::Bearer => Self::Bearer,
            AuthStyle::ApiKey => Self::Header("api-key"),
            AuthStyle::XApiKey => Self::XApiKey,
        }
    }
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
