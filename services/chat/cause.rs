//! Why a model gave no answer.

/// What went wrong between us and a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// No connection: refused, no such host, no trust in its certificate.
    Unreachable,
    /// No connection in time.
    ConnectTimeout,
    /// A connection that had been kept from an earlier call was closed by the provider before it answered.
    Stale,
    /// No first byte in time.
    FirstByteTimeout,
    /// Silence in the middle of an answer.
    IdleTimeout,
    /// The connection broke before the answer was whole.
    Cut,
    /// An answer that is none.
    Nonsense,
    /// Too much of too many answers would have to be held here at once.
    Crowded,
    /// The provider cannot be called as it is configured.
    Misconfigured,
}
