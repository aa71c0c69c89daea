//! Saying no, in the caller's own words.
use super::{Cause, Reply};
use crate::dialect::Dialect;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use std::{borrow::Cow, error::Error, fmt, time::Duration};

/// No honest chain of sources is longer.
const MAX_CHAIN: usize = 32;

/// What kind of no. Each dialect has its own word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request is malformed or asks for what cannot be (400).
    InvalidRequest,
    /// No key, or a wrong one (401).
    Authentication,
    /// A key without the right (403).
    Permission,
    /// No such route or model (404).
    NotFound,
    /// The body is over the limit (413).
    TooLarge,
    /// Too many requests (429).
    RateLimit,
    /// This route or feature does not exist behind this gateway (501).
    NotSupported,
    /// Nobody has capacity now (529 in Anthropic's dialect, 503 elsewhere).
    Overloaded,
    /// An upstream did not answer in time (504).
    Timeout,
    /// An upstream could not be reached, or spoke nonsense (502).
    Upstream,
    /// A fault of our own (500).
    Internal,
}

impl Kind {
    /// The kind that an upstream's HTTP status stands for.
    #[must_use]
    pub const fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Authentication,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            501 => Self::NotSupported,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            502 => Self::Upstream,
            _ => Self::Internal,
        }
    }
}

/// A refusal: what is wrong, told so that the caller's SDK understands it. It never holds a secret.
///
/// ```
/// use tierway_services::{chat::{Kind, Refusal}, dialect::Dialect};
/// let no = Refusal::new(Kind::TooLarge, "request body is over 32 MiB (server.max_body)");
/// assert_eq!(no.status(Dialect::Messages), 413);
/// assert!(no.body(Dialect::Messages).starts_with(br#"{"type":"error","error":{"type":"request_too_large""#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: Kind,
    status: Option<StatusCode>,
    error_type: Option<String>,
    code: Option<String>,
    param: Option<Cow<'static, str>>,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    cause: Option<Cause>,
}

impl Refusal {
    /// A refusal with the status that its kind has in the caller's dialect.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self(Box::new(Inner {
            kind,
            status: None,
            error_type: None,
            code: None,
            param: None,
            message,
            retry_after: None,
            cause: None,
        }))
    }
    /// With this status instead of its kind's own: an upstream's status is kept.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }
    /// With an error type as the upstream wrote it, for callers of the upstream's own dialect.
    #[must_use]
    pub fn with_type(mut self, error_type: impl Into<String>) -> Self {
        self.0.error_type = Some(error_type.into());
        self
    }
    /// With a machine-readable code (OpenAI's `error.code`).
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }
    /// With the name of the field at fault (OpenAI's `error.param`).
    #[must_use]
    pub fn with_param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.0.param = Some(param.into());
        self
    }
    /// With a `retry-after`, rounded up to whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }
    /// With what went wrong between us and a provider.
    #[must_use]
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.0.cause = Some(cause);
        self
    }
    /// The refusal that `error` is, or that its chain of sources holds.
    #[must_use]
    pub fn of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        std::iter::successors(Some(error), |&e| e.source())
            .take(MAX_CHAIN)
            .find_map(|e| e.downcast_ref())
    }
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.0.kind
    }
    /// What went wrong between us and a provider, where that is why.
    #[must_use]
    pub const fn cause(&self) -> Option<Cause> {
        self.0.cause
    }
    /// After which time it may be worth asking again, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
    /// What is wrong, in a sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// The upstream's own error type, if any.
    #[must_use]
    pub fn error_type(&self) -> Option<&str> {
        self.0.error_type.as_deref()
    }
    /// The machine-readable code, if any.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }
    /// The field at fault, if any.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }
    /// The HTTP status in `dialect`.
    #[must_use]
    pub fn status(&self, dialect: Dialect) -> StatusCode {
        self.0.status.unwrap_or_else(|| dialect.status(self.0.kind))
    }
    /// The error body in `dialect`.
    #[must_use]
    pub fn body(&self, dialect: Dialect) -> Bytes {
        dialect.error_body(self)
    }
    /// The event that ends a stream in error in `dialect`.
    #[must_use]
    pub fn event(&self, dialect: Dialect) -> Bytes {
        dialect.error_event(self, &[])
    }
    /// The same where `sent` is what the stream last brought: Responses numbers its events.
    #[must_use]
    pub fn event_behind(&self, dialect: Dialect, sent: &[u8]) -> Bytes {
        dialect.error_event(self, sent)
    }
    /// The whole response in `dialect`, around any body that can be made of bytes.
    #[must_use]
    pub fn into_http<B: From<Bytes>>(self, dialect: Dialect) -> Response<B> {
        let body = self.body(dialect);
        let mut res = Response::new(B::from(body));
        *res.status_mut() = self.status(dialect);
        res.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(after) = self.0.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            res.headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        res
    }
    /// The whole response in `dialect`.
    #[must_use]
    pub fn into_response(self, dialect: Dialect) -> super::Response {
        self.into_http::<Bytes>(dialect).map(Reply::whole)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}
impl Error for Refusal {}
