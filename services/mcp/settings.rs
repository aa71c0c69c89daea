use crate::providers::Secret;
use std::{path::PathBuf, time::Duration};

/// A server, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Its name, of letters, digits, `_` and `-`.
    pub name: String,
    /// How it is reached.
    pub road: Road,
    /// How long a call may take.
    pub timeout: Duration,
    /// How long it may take to start and say what it has.
    pub connect_timeout: Duration,
    /// The most bytes of an answer that a model is shown.
    pub max_output: usize,
    /// The most tools that are taken from it; the first by name.
    pub max_tools: usize,
    /// The longest message that is taken from it, in bytes.
    pub max_message: usize,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Road {
    /// It is started, and spoken to over its standard input and output.
    Program {
        /// The program, by path or by name in `PATH`.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// What is added to its clean environment.
        env: Vec<(String, Secret)>,
        /// The folder that it works in.
        folder: Option<PathBuf>,
    },
    /// It is at this address and speaks streamable HTTP.
    Http {
        /// `https://...`, with path.
        url: String,
        /// What is sent with every request.
        headers: Vec<(String, Secret)>,
        /// Sent as `authorization: Bearer ...`.
        token: Option<Secret>,
        /// Where tokens are had instead.
        login: Option<Login>,
        /// Where the token of somebody who has signed in is kept instead.
        sign_in: Option<SignIn>,
    },
}

/// How the gateway logs in where a server asks for OAuth: as itself, with the client credentials grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The address that gives tokens.
    pub token_url: String,
    /// Who the gateway is there.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What it asks to be allowed, with spaces between.
    pub scope: Option<String>,
}

/// How somebody signs in for the gateway where a server asks for OAuth: in a browser, as [`sign_in`](super::sign_in) tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignIn {
    /// The folder in which sign-ins are kept.
    pub folder: PathBuf,
    /// Who the gateway is there; without: it registers itself.
    pub client_id: Option<String>,
    /// Its secret, where it has one.
    pub client_secret: Option<Secret>,
    /// What it asks to be allowed, with spaces between; without: what the server says.
    pub scope: Option<String>,
}

impl SignIn {
    /// Kept in this folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            client_id: None,
            client_secret: None,
            scope: None,
        }
    }
}

impl Server {
    /// A program that is started here.
    #[must_use]
    pub fn program<A: Into<String>>(
        name: impl Into<String>,
        command: impl Into<String>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::new(
            name,
            Road::Program {
                command: command.into(),
                args: args.into_iter().map(Into::into).collect(),
                env: Vec::new(),
                folder: None,
            },
        )
    }
    /// A server at an address.
    #[must_use]
    pub fn http(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(
            name,
            Road::Http {
                url: url.into(),
                headers: Vec::new(),
                token: None,
                login: None,
                sign_in: None,
            },
        )
    }
    /// A server that is reached so.
    #[must_use]
    pub fn new(name: impl Into<String>, road: Road) -> Self {
        Self {
            name: name.into(),
            road,
            timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(30),
            max_output: 64 * 1024,
            max_tools: 256,
            max_message: 8 * 1024 * 1024,
        }
    }
    /// With a variable in the environment of the program; without effect on a server at an address.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: Secret) -> Self {
        if let Road::Program { env, .. } = &mut self.road {
            env.push((name.into(), value));
        }
        self
    }
}
