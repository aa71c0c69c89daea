//! A tool that was run for a call.
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A tool that was run in the course of a call, or was not. What it was told and what it answered is nobody's business.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolRun {
    /// Whose tool it is.
    pub server: Arc<str>,
    /// The tool.
    pub tool: Arc<str>,
    /// What became of it: `ok`, `error`, `unconfirmed` (the user was to allow it first), or `abandoned` (the caller left).
    pub outcome: &'static str,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The bytes of its arguments.
    pub sent: u64,
    /// The bytes of its answer, as far as the model was shown them.
    pub got: u64,
}

impl ToolRun {
    /// All outcomes.
    pub const OUTCOMES: [&'static str; 4] = ["ok", "error", "unconfirmed", "abandoned"];

    /// A run that begins now, abandoned until it is said to have ended otherwise.
    #[must_use]
    pub fn new(server: &Arc<str>, tool: &Arc<str>) -> Self {
        Self {
            server: server.clone(),
            tool: tool.clone(),
            outcome: "abandoned",
            started: SystemTime::now(),
            took: Duration::ZERO,
            sent: 0,
            got: 0,
        }
    }
}
