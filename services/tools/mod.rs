//! Tools that somebody other than the caller runs: what they are, and who runs them.
//!
//! A [`Toolbox`] is whatever has tools: the servers of the Model Context Protocol in [`mcp`](crate::mcp), or a few functions of one's own.
//! Models are shown a tool as `mcp__server__tool`, the name that clients of the protocol use.
//!
//! ```
//! use tierway_services::tools::{Call, Output, Tool, Toolbox};
//! use std::sync::Arc;
//!
//! struct Dice(Arc<[Tool]>);
//! impl Toolbox for Dice {
//!     fn tools(&self) -> Arc<[Tool]> {
//!         self.0.clone()
//!     }
//!     async fn call(&self, _: Call) -> Output {
//!         Output::text("4")
//!     }
//! }
//! let roll = Tool::new("dice", "roll", "Rolls a die.", r#"{"type":"object"}"#).read_only(true);
//! assert_eq!(&*roll.offered, "mcp__dice__roll");
//! assert_eq!(Dice([roll].into()).tools().len(), 1);
//! ```
mod output;
mod search;

pub use self::{
    output::{Image, Output},
    search::Index,
};

use std::{fmt::Write, future::Future, sync::Arc};

/// The longest name that every provider takes for a tool.
const LONGEST: usize = 64;

/// A tool, as a model is to be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tool {
    /// Whose it is.
    pub server: Arc<str>,
    /// What it is called there.
    pub name: Arc<str>,
    /// What models are to call it.
    pub offered: Arc<str>,
    /// What it does, in words.
    pub description: Arc<str>,
    /// The JSON schema of its arguments, an object.
    pub schema: Arc<str>,
    /// Whether its server says that it changes nothing. A server may lie.
    pub read_only: bool,
}

impl Tool {
    /// A tool that may change things.
    #[must_use]
    pub fn new(server: &str, name: &str, description: &str, schema: &str) -> Self {
        Self {
            server: server.into(),
            name: name.into(),
            offered: offered(server, name).into(),
            description: description.into(),
            schema: schema.into(),
            read_only: false,
        }
    }
    /// Whether it changes nothing.
    #[must_use]
    pub const fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }
    /// `server.tool`, as rules name it.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.server, self.name)
    }
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which one.
    pub tool: Tool,
    /// Its arguments, as the model wrote them: JSON, or meant as such.
    pub arguments: String,
}

/// Whoever has tools and runs them.
///
/// Everything that goes wrong is an [`Output`] too, marked as an error: the model reads it and goes on.
pub trait Toolbox: Send + Sync + 'static {
    /// The tools that there are now, always in the same order, so that the beginning of a prompt stays what it was.
    fn tools(&self) -> Arc<[Tool]>;
    /// Runs one. Dropping the future gives up.
    fn call(&self, call: Call) -> impl Future<Output = Output> + Send;
}

/// What a model is to call `tool` of `server`: `mcp__server__tool`, made of letters, digits, `_` and `-`, and at most 64 long. A name that is
/// cut ends with a hash of the whole, so that two stay two.
#[must_use]
pub fn offered(server: &str, tool: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
            c
        } else {
            '_'
        }
    };
    let mut name: String = "mcp__".chars().chain(server.chars().map(plain)).collect();
    name.push_str("__");
    name.extend(tool.chars().map(plain));
    let changed = tool.chars().any(|c| plain(c) != c);
    if name.len() > LONGEST || changed {
        name.truncate(LONGEST - 9);
        // Writing to a `String` cannot fail.
        let _ = write!(name, "_{:08x}", fnv(server, tool));
    }
    name
}

/// FNV-1a: stable over versions of this crate and of Rust, which a name that providers cache must be.
fn fnv(server: &str, tool: &str) -> u32 {
    let bytes = server.bytes().chain([0]).chain(tool.bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_every_provider_takes() {
        assert_eq!(
            offered("time", "get_current_time"),
            "mcp__time__get_current_time"
        );
        let dotted = offered("fs", "read.file");
        assert!(dotted.starts_with("mcp__fs__read_file_"), "{dotted}");
        assert_ne!(dotted, offered("fs", "read file"));
        let long = "x".repeat(90);
        let name = offered("server", &long);
        assert_eq!(name.len(), LONGEST);
        assert_ne!(name, offered("server", &(long + "y")));
        assert!(offered("sérvér", "t").is_ascii());
    }
}
