//! What can go wrong between us and a provider.
pub use crate::chat::Cause;
use crate::{
    BoxError,
    chat::{Kind, Refusal},
    providers::Provider,
    upstream::{self, ConnectTimeout},
};
use hyper_util::client::legacy;
use std::{error::Error as StdError, fmt, io, sync::Arc, time::Duration};

/// A provider gave no answer, or none that can be passed on.
///
/// An error *status* is no such error: it is a response. The message names the provider and the cause, never a key and never an
/// address. Its [`source`](std::error::Error::source) is the [`Refusal`] that the caller is to get, so that whoever renders errors
/// need not know this type.
///
/// ```
/// # fn show(error: &tierway_services::DispatchError) {
/// let refusal = error.refusal();
/// assert_eq!(refusal.message(), error.to_string());
/// # }
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    provider: Arc<str>,
    cause: Cause,
    refusal: Refusal,
}

impl Error {
    fn new(provider: &Provider, cause: Cause, what: impl fmt::Display) -> Self {
        let kind = match cause {
            Cause::ConnectTimeout | Cause::FirstByteTimeout | Cause::IdleTimeout => Kind::Timeout,
            Cause::Misconfigured => Kind::Internal,
            Cause::Crowded => Kind::Overloaded,
            Cause::Unreachable | Cause::Stale | Cause::Cut | Cause::Nonsense => Kind::Upstream,
        };
        let message = format!("provider {} {what}", provider.name());
        tracing::debug!(provider = provider.name(), ?cause, "{message}");
        Self(Box::new(Inner {
            provider: provider.shared_name(),
            cause,
            refusal: Refusal::new(kind, message).with_cause(cause),
        }))
    }
    /// What the HTTP client says before there is a head.
    pub(super) fn before_head(provider: &Provider, error: &legacy::Error) -> Self {
        if chain(error).any(|e| e.is::<ConnectTimeout>()) {
            let limit = seconds(provider.limits().connect);
            let what = format!("timed out: no connection after {limit}");
            return Self::new(provider, Cause::ConnectTimeout, what);
        }
        let why = describe(error);
        if error.is_connect() {
            let what = format!("could not be reached: {why}");
            return Self::new(provider, Cause::Unreachable, what);
        }
        let what = format!("broke the connection before it answered: {why}");
        let cause = if upstream::was_kept(error) {
            Cause::Stale
        } else {
            Cause::Cut
        };
        Self::new(provider, cause, what)
    }
    pub(super) fn first_byte(provider: &Provider) -> Self {
        let limit = seconds(provider.limits().first_byte);
        let what = format!("timed out: no answer after {limit}");
        Self::new(provider, Cause::FirstByteTimeout, what)
    }
    pub(super) fn idle(provider: &Provider) -> Self {
        let limit = seconds(provider.limits().idle);
        let what = format!("timed out: silent for {limit} in the middle of an answer");
        Self::new(provider, Cause::IdleTimeout, what)
    }
    pub(super) fn cut(provider: &Provider, error: &(dyn StdError + 'static)) -> Self {
        let what = format!("broke off in the middle of an answer: {}", describe(error));
        Self::new(provider, Cause::Cut, what)
    }
    /// The body ended in good order, the answer did not.
    pub(super) fn incomplete(provider: &Provider, refusal: &Refusal) -> Self {
        let what = format!("broke off in the middle of an answer: {refusal}");
        Self::new(provider, Cause::Cut, what)
    }
    pub(super) fn nonsense(provider: &Provider, what: impl fmt::Display) -> Self {
        Self::new(provider, Cause::Nonsense, what)
    }
    pub(super) fn crowded(provider: &Provider) -> Self {
        let what = "is answering more at once than is held here";
        Self::new(provider, Cause::Crowded, what)
    }
    pub(super) fn misconfigured(provider: &Provider, what: &str) -> Self {
        let what = format!("cannot be called as it is configured: {what}");
        Self::new(provider, Cause::Misconfigured, what)
    }

    /// The configured name of the provider.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.0.provider
    }
    /// What went wrong.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.0.cause
    }
    /// What the caller is to get.
    #[must_use]
    pub fn refusal(&self) -> &Refusal {
        &self.0.refusal
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.refusal.fmt(f)
    }
}
impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0.refusal)
    }
}

fn seconds(d: Duration) -> String {
    match d.as_secs() {
        0 => format!("{} ms", d.as_millis()),
        s => format!("{s} s"),
    }
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn StdError + 'static)| {
        (*e).source()
    })
}

/// The cause in a few words, without addresses: what the innermost error says, in better words where there are any.
fn describe(error: &(dyn StdError + 'static)) -> String {
    if chain(error).any(|e| e.to_string().starts_with("dns error")) {
        return "its host name is not known".into();
    }
    let io = chain(error)
        .filter_map(|e| e.downcast_ref::<io::Error>())
        .last();
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => return "connection refused".into(),
        Some(io::ErrorKind::ConnectionReset) => return "connection reset".into(),
        Some(io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof) => {
            return "connection closed".into();
        }
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            return "no route to its host".into();
        }
        _ => {}
    }
    let hyper = chain(error).find_map(|e| e.downcast_ref::<hyper::Error>());
    if hyper.is_some_and(hyper::Error::is_incomplete_message) {
        return "connection closed".into();
    }
    let mut text = chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    if let Some((end, _)) = text.char_indices().nth(200) {
        text.truncate(end);
    }
    text
}

/// For bodies, whose errors are erased.
pub(super) fn cut(provider: &Provider, error: &BoxError) -> Error {
    Error::cut(provider, &**error)
}
