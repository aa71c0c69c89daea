//! What is configured, from what was typed to what it means.
//!
//! Three steps, each in files of its own: the file as it may be typed (`file`, `typed`, `values`), the environment and the command line laid
//! over it (`environment`), and the checked [`Config`] with all defaults, secrets and targets (`resolve`, `settings`). Whatever is
//! wrong is collected on the way and told at once, with the line it is about and what to write instead: [`Problems`].
//!
//! The command line wins over the environment, the environment over the file, the file over the defaults. One thing is never
//! overridden: a provider that the file defines; a key or an address in the environment then defines no second one of that name.
//!
//! [`mod@reference`] documents every setting.
//!
//! ```
//! use std::collections::HashMap;
//! use tierway::config::{Flags, read};
//!
//! let text = r#"
//!     [providers.local]
//!     kind = "ollama"
//!     [tiers]
//!     simple = "local:qwen2.5:3b"
//! "#;
//! let environment = HashMap::from([("TIERWAY_LISTEN", "127.0.0.1:9000")]);
//! let loaded = read("tierway.toml".as_ref(), text, &Flags::default(), &environment)?;
//! assert_eq!(loaded.config.server.listen.port(), 9000);
//!
//! let problems = read("tierway.toml".as_ref(), "[tiers]\nsimple = 'locl:m'", &Flags::default(), &environment);
//! assert!(problems.unwrap_err().to_string().contains("tierway.toml:2"));
//! # Ok::<(), tierway::config::Problems>(())
//! ```
mod base_url;
mod environment;
mod file;
mod locate;
mod mask;
mod node;
mod origin;
mod plan;
pub mod reference;
mod resolve;
mod settings;
mod shape;
mod show;
mod typed;
mod values;

pub use environment::{NotUnicode, Process, Strings};
pub use locate::load;
pub(crate) use locate::state_folder;
pub use origin::{Origin, Problem, Problems};
pub use plan::{Candidate, Found, Plan, candidates, plan};
pub use settings::{
    Access, Affinity, Balance, Breaker, Breakpoints, Cache, CacheStore, Cascade, CascadeTier,
    Compress, Config, CountTokens, Embeddings, Key, Labels, Ledger, Limits, Log, LogFormat, Mcp,
    McpServer, McpTenant, Metrics, Oidc, Provider, Redis, Responses, Retry, Route, Rule, Savings,
    SemanticCache, Server, ServerTls, SharedBy, SignIn, Tenant, Traces, Uncertified, User, Verify,
};

pub(crate) use shape::closest;
pub(crate) use show::{key, quote};

use environment::Environment;
use node::Node;
use origin::Source;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use toml::de::DeTable;

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`: the file to read.
    pub config: Option<PathBuf>,
    /// `--listen`: the address for callers.
    pub listen: Option<String>,
    /// `--admin`: the address for metrics and health.
    pub admin: Option<String>,
}

/// A configuration, and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file, where there was one.
    source: Option<Source>,
    origins: BTreeMap<String, Origin>,
    /// Files that were read for it, its own aside.
    files: Vec<PathBuf>,
}

impl Loaded {
    /// The configuration file, where there was one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.source.as_ref().map(|source| &*source.path)
    }

    /// Every file that it was made from: its own, and those that hold secrets.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let own = self.path().map(Path::to_owned);
        own.into_iter().chain(self.files.iter().cloned()).collect()
    }

    /// Where the setting at `path`, such as `server.listen`, came from.
    #[must_use]
    pub fn origin(&self, path: &str) -> &Origin {
        self.origins.get(path).unwrap_or(&Origin::Default)
    }
}

/// Reads the text of the configuration file `path`.
///
/// # Errors
/// Everything that is wrong with it, with the environment, and with the flags.
pub fn read(
    path: &Path,
    text: &str,
    flags: &Flags,
    environment: &dyn Strings,
) -> Result<Loaded, Problems> {
    read_source(Some((path, text)), flags, environment)
}

fn read_source(
    typed: Option<(&Path, &str)>,
    flags: &Flags,
    environment: &dyn Strings,
) -> Result<Loaded, Problems> {
    let source = typed.map(|(path, text)| Source::new(path, text));
    let mut problems = Vec::new();
    let mut file = match typed {
        Some((_, text)) => match parse(text, &mut problems) {
            Some(file) => file,
            None => return Err(Problems::new(source, problems)),
        },
        None => file::File::default(),
    };
    let mut environment = Environment::new(environment);
    environment.overlay(&mut file);
    for (flag, text, setting) in [
        ("--listen", &flags.listen, &mut file.server.listen),
        ("--admin", &flags.admin, &mut file.server.admin),
    ] {
        if let Some(text) = text {
            *setting = Some(typed::Typed::text(Origin::Flag(flag), text));
        }
    }
    let folder = typed
        .and_then(|(path, _)| path.parent())
        .unwrap_or(Path::new(""));
    let mut resolver = resolve::Resolver::new(&mut environment, folder);
    let config = resolver.config(file);
    let (resolved, origins) = (resolver.problems, resolver.origins);
    let files = resolver.files;
    problems.extend(resolved);
    problems.append(&mut environment.problems);
    if problems.is_empty() {
        Ok(Loaded {
            config,
            source,
            origins,
            files,
        })
    } else {
        Err(Problems::new(source, problems))
    }
}

/// The typed file; nothing where it is not TOML, for then every further message would be a guess.
fn parse(text: &str, problems: &mut Vec<Problem>) -> Option<file::File> {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    problems.extend(errors.iter().map(not_toml));
    if !problems.is_empty() {
        return None;
    }
    shape::check(table.get_mut(), problems);
    match serde::Deserialize::deserialize(Node::from(table)) {
        Ok(file) => Some(file),
        Err(error) => {
            problems.push(not_toml(&error));
            None
        }
    }
}

fn not_toml(error: &toml::de::Error) -> Problem {
    let fault = error.message();
    let advice = if fault.contains("duplicate") {
        "write it once"
    } else if ["float", "integer", "date", "must be quoted"]
        .iter()
        .any(|word| fault.contains(word))
    {
        "write a text between quotes"
    } else {
        "this is not TOML"
    };
    Problem {
        origin: Origin::File(error.span().unwrap_or_default()),
        message: fault.lines().next().unwrap_or(fault).to_owned(),
        advice: advice.to_owned(),
    }
}

#[cfg(test)]
mod tests;
