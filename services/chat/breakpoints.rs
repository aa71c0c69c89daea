//! How a provider is told to keep the beginning of a prompt, and what became of that.

/// What must be said for a provider to keep the beginning of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrefixCache {
    /// Marks (`cache_control`) on the blocks up to which it is to be kept.
    Marks(Marks),
    /// Nothing; but a name (`prompt_cache_key`) brings calls that have their beginning in common to where it is kept.
    Key,
}

/// What marks a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Marks {
    /// The least tokens that are kept.
    pub min_tokens: u64,
    /// Whether they can be kept for an hour, instead of five minutes.
    pub hour: bool,
    /// Whether tools can be marked.
    pub tools: bool,
    /// Whether other than texts can be marked: results of tools, images, documents.
    pub blocks: bool,
}

/// Whether a call was marked, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakpointStatus {
    /// Marks were set, to last five minutes.
    Placed,
    /// Marks were set, to last an hour.
    PlacedForAnHour,
    /// The conversation was given a name (`prompt_cache_key`).
    Key,
    /// The caller has told the provider himself.
    Client,
    /// The model keeps nothing so short.
    Short,
    /// It would cost more than it is expected to save.
    Unpaid,
    /// There is nothing that could be marked.
    Nowhere,
}

impl BreakpointStatus {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Placed,
        Self::PlacedForAnHour,
        Self::Key,
        Self::Client,
        Self::Short,
        Self::Unpaid,
        Self::Nowhere,
    ];

    /// The name in headers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::PlacedForAnHour => "placed_1h",
            Self::Key => "key",
            Self::Client => "client",
            Self::Short => "short",
            Self::Unpaid => "unpaid",
            Self::Nowhere => "nowhere",
        }
    }
}
