//! Servers of the [Model Context Protocol](https://modelcontextprotocol.io), reached with its own SDK, as one [`Toolbox`].
//!
//! A server is a program that is started here and spoken to over its standard input and output, or an address (streamable HTTP). Each has a
//! keeper, a task that connects, asks what there is, asks again when the server says that its lists have changed, and connects again, after
//! ever longer pauses, when it is gone.
//!
//! What is bounded: how long connecting and each call take, how long a message and an answer may be, how many tools a server may have and how
//! long their descriptions and schemas are.
//!
//! A program gets a clean environment: `PATH`, `HOME`, the language and the temporary folder, and what it is [given](Server::env). So no key
//! of the gateway's own is in its reach. It is killed when its keeper goes.
//!
//! ```no_run
//! use tierway_services::{mcp::{Server, Servers}, tools::Toolbox};
//! # async fn example() {
//! let servers = Servers::start([Server::program("time", "mcp-server-time", ["--local-timezone", "UTC"])]);
//! servers.ready(std::time::Duration::from_secs(5)).await;
//! for tool in servers.tools().iter() {
//!     println!("{}: {}", tool.offered, tool.description);
//! }
//! # }
//! ```
mod found;
mod http;
mod keeper;
mod oauth;
mod output;
mod settings;
pub mod sign_in;

pub use self::{
    found::Found,
    keeper::CallError,
    settings::{Login, Road, Server, SignIn},
};
pub use rmcp;

use self::keeper::Keeper;
use crate::tools::{Call, Output, Tool, Toolbox};
use rmcp::model::{
    CallToolResult, GetPromptRequestParams, GetPromptResult, ReadResourceRequestParams,
    ReadResourceResult,
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// Some servers, each with its keeper. A clone shares them; with the last one they are let go.
#[derive(Clone)]
pub struct Servers {
    all: Arc<[Keeper]>,
    tools: Arc<Mutex<(u64, Arc<[Tool]>)>>,
    changes: watch::Sender<u64>,
}

impl Servers {
    /// Connects to each of these, in the background. Must be called within a runtime.
    #[must_use]
    pub fn start(servers: impl IntoIterator<Item = Server>) -> Self {
        let (changes, _) = watch::channel(0);
        let all = servers
            .into_iter()
            .map(|server| Keeper::start(server, changes.clone()))
            .collect();
        Self {
            all,
            // Of no change yet, so that the first look sees what there is.
            tools: Arc::new(Mutex::new((u64::MAX, Vec::new().into()))),
            changes,
        }
    }
    /// Waits until each server is connected or has failed once, at most for `patience`.
    pub async fn ready(&self, patience: Duration) {
        let all = async {
            for keeper in &*self.all {
                keeper.tried().await;
            }
        };
        let _ = tokio::time::timeout(patience, all).await;
    }
    /// What is known of each, in their order.
    #[must_use]
    pub fn found(&self) -> Vec<(Server, Arc<Found>)> {
        let look = |keeper: &Keeper| (keeper.server().clone(), keeper.found());
        self.all.iter().map(look).collect()
    }
    /// Tells whenever some server's lists or connection have changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
    /// Calls a tool by its own name, with the answer as the server gave it.
    ///
    /// # Errors
    /// Where there is no such server, or it does not answer.
    pub async fn call_tool(
        &self,
        server: &str,
        tool: &str,
        arguments: Option<rmcp::model::JsonObject>,
    ) -> Result<CallToolResult, CallError> {
        self.keeper(server)?.call(tool, arguments).await
    }
    /// Reads a resource.
    ///
    /// # Errors
    /// As [`call_tool`](Self::call_tool).
    pub async fn read_resource(
        &self,
        server: &str,
        params: ReadResourceRequestParams,
    ) -> Result<ReadResourceResult, CallError> {
        let keeper = self.keeper(server)?;
        keeper
            .ask(|peer| async move { peer.read_resource(params).await })
            .await
    }
    /// Gets a prompt.
    ///
    /// # Errors
    /// As [`call_tool`](Self::call_tool).
    pub async fn get_prompt(
        &self,
        server: &str,
        params: GetPromptRequestParams,
    ) -> Result<GetPromptResult, CallError> {
        let keeper = self.keeper(server)?;
        keeper
            .ask(|peer| async move { peer.get_prompt(params).await })
            .await
    }

    fn keeper(&self, name: &str) -> Result<&Keeper, CallError> {
        let found = self.all.iter().find(|keeper| keeper.server().name == name);
        found.ok_or_else(|| CallError::Unknown(name.to_owned()))
    }
}

impl Toolbox for Servers {
    fn tools(&self) -> Arc<[Tool]> {
        let now = *self.changes.borrow();
        let mut known = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != now {
            let all = self.all.iter().flat_map(|k| k.found().tools.to_vec());
            *known = (now, all.collect());
        }
        known.1.clone()
    }

    async fn call(&self, call: Call) -> Output {
        let keeper = match self.keeper(&call.tool.server) {
            Ok(keeper) => keeper,
            Err(error) => return Output::error(error.to_string()),
        };
        let most = keeper.server().max_output;
        let arguments = match output::arguments(&call.arguments) {
            Ok(arguments) => arguments,
            Err(error) => return Output::error(error),
        };
        match keeper.call(&call.tool.name, arguments).await {
            Ok(result) => output::of(result).bounded(most),
            Err(error) => Output::error(error.to_string()).bounded(most),
        }
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.all.iter().map(|keeper| &keeper.server().name);
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests;
