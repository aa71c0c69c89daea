//! All servers as one.
use super::own::{self, Own};
use crate::ledger::Ledger;
use http::{header, request::Parts};
use std::{borrow::Cow, sync::Arc, time::Instant};
use tierway_layers::mcp::Policy;
use tierway_services::{
    chat::{Notes, Tenant, ToolRun},
    mcp::{
        CallError, Servers,
        rmcp::{
            ErrorData, Peer, RoleServer, ServerHandler,
            model::{
                CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
                GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult,
                ListResourcesResult, ListToolsResult, PaginatedRequestParams, Prompt,
                ReadResourceRequestParams, ReadResourceResponse, Resource, ServerCapabilities,
                ServerConfig, Tool,
            },
            service::{NotificationContext, RequestContext},
        },
    },
    tools,
};

/// The server that clients see.
#[derive(Clone)]
pub(super) struct Aggregate {
    pub(super) servers: Servers,
    pub(super) policy: Policy,
    pub(super) ledger: Option<Ledger>,
    pub(super) own: Arc<Own>,
}

/// Who calls.
#[derive(Default)]
struct Caller {
    tenant: Option<Tenant>,
    client: Option<String>,
}

impl Caller {
    fn of(context: &RequestContext<RoleServer>) -> Self {
        let Some(parts) = context.extensions.get::<Parts>() else {
            return Self::default();
        };
        let agent = parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|v| v.to_str().ok()).map(str::to_owned);
        Self {
            tenant: Notes::among(&parts.extensions).tenant.clone(),
            client: context.client_info().map(|info| info.name).or(agent),
        }
    }
    fn tenant(&self) -> &str {
        self.tenant.as_ref().map_or("", Tenant::as_str)
    }
}

impl Aggregate {
    /// What the caller may use: whose it is, what it is called there, and how it is described.
    fn tools(&self, caller: &Caller) -> Vec<(Arc<str>, Cow<'static, str>, Tool)> {
        let mut all = Vec::new();
        for (server, found) in self.servers.found() {
            let name: Arc<str> = server.name.as_str().into();
            for (tool, described) in found.tools.iter().zip(found.described.iter()) {
                if self.policy.may(caller.tenant.as_ref(), tool).is_some() {
                    let mut shown = described.clone();
                    let own =
                        std::mem::replace(&mut shown.name, here(&tool.offered).to_owned().into());
                    all.push((name.clone(), own, shown));
                }
            }
        }
        for described in self.own.tools() {
            let tool = tools::Tool::new(own::NAME, &described.name, "", "{}").read_only(true);
            if self.policy.may(caller.tenant.as_ref(), &tool).is_some() {
                all.push((own::NAME.into(), described.name.clone(), described));
            }
        }
        all
    }

    fn reads(&self, caller: &Caller, server: &str, what: &str) -> bool {
        let tool = tools::Tool::new(server, what, "", "{}").read_only(true);
        self.policy.may(caller.tenant.as_ref(), &tool).is_some()
    }

    fn resources(&self, caller: &Caller) -> Vec<(String, Resource)> {
        let mut all = Vec::new();
        for (server, found) in self.servers.found() {
            if self.reads(caller, &server.name, "resources") {
                let named = found.resources.iter().cloned();
                all.extend(named.map(|resource| (server.name.clone(), resource)));
            }
        }
        all
    }

    fn prompts(&self, caller: &Caller) -> Vec<(String, String, Prompt)> {
        let mut all = Vec::new();
        for (server, found) in self.servers.found() {
            if !self.reads(caller, &server.name, "prompts") {
                continue;
            }
            for prompt in found.prompts.iter() {
                let mut shown = prompt.clone();
                shown.name = here(&tools::offered(&server.name, &prompt.name)).to_owned();
                all.push((server.name.clone(), prompt.name.clone(), shown));
            }
        }
        all
    }

    async fn run(
        &self,
        caller: &Caller,
        server: &str,
        tool: &str,
        params: &CallToolRequestParams,
    ) -> Result<CallToolResult, ErrorData> {
        let arguments = params.arguments.clone();
        if server == own::NAME {
            return self.own.call(tool, caller.tenant.as_ref(), arguments).await;
        }
        match self.servers.call_tool(server, tool, arguments).await {
            Ok(result) => Ok(result),
            // Where it is the call that is wrong, the client is told so as the server did.
            Err(CallError::Refused(_, why)) => Err(ErrorData::invalid_params(why, None)),
            Err(error) => Ok(CallToolResult::error(vec![ContentBlock::text(
                error.to_string(),
            )])),
        }
    }
}

/// A name as clients see it: they put the name of this server before it themselves.
fn here(offered: &str) -> &str {
    offered.strip_prefix("mcp__").unwrap_or(offered)
}

impl ServerHandler for Aggregate {
    fn get_info(&self) -> ServerConfig {
        let can = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .build();
        ServerConfig::new(can)
            .with_server_info(Implementation::new("tierway", env!("CARGO_PKG_VERSION")))
            .with_instructions("Tools of several servers behind one gateway, named server__tool.")
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        tokio::spawn(tell(context.peer, self.servers.clone()));
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.tools(&Caller::of(&context)).into_iter();
        Ok(ListToolsResult::with_all_items(
            tools.map(|(_, _, tool)| tool).collect(),
        ))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = Caller::of(&context);
        let mut tools = self.tools(&caller).into_iter();
        let Some((server, tool, _)) = tools.find(|(_, _, tool)| tool.name == params.name) else {
            let message = format!("there is no tool {}", params.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let mut run = ToolRun::new(&server, &Arc::from(&*tool));
        run.sent = params
            .arguments
            .as_ref()
            .and_then(|a| serde_json::to_string(a).ok())
            .map_or(0, |text| text.len() as u64);
        let began = Instant::now();
        // Told as abandoned where the client leaves meanwhile.
        let mut note = Note(self, &caller, Some(run));
        let answer = self.run(&caller, &server, &tool, &params).await;
        if let Some(run) = &mut note.2 {
            run.took = began.elapsed();
            let failed = answer.as_ref().map_or(true, |a| a.is_error == Some(true));
            run.outcome = if failed { "error" } else { "ok" };
            let text = answer.as_ref().ok().map(serde_json::to_string);
            run.got = text
                .and_then(Result::ok)
                .map_or(0, |text| text.len() as u64);
        }
        drop(note);
        answer.map(Into::into)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let all = self.resources(&Caller::of(&context)).into_iter();
        Ok(ListResourcesResult::with_all_items(
            all.map(|(_, resource)| resource).collect(),
        ))
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let mut all = self.resources(&Caller::of(&context)).into_iter();
        let Some((server, _)) = all.find(|(_, resource)| resource.uri == params.uri) else {
            let message = format!("there is no resource {}", params.uri);
            return Err(ErrorData::resource_not_found(message, None));
        };
        let read = self.servers.read_resource(&server, params).await;
        read.map(Into::into).map_err(failed)
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let all = self.prompts(&Caller::of(&context)).into_iter();
        Ok(ListPromptsResult::with_all_items(
            all.map(|(_, _, prompt)| prompt).collect(),
        ))
    }

    async fn get_prompt(
        &self,
        mut params: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let mut all = self.prompts(&Caller::of(&context)).into_iter();
        let Some((server, own, _)) = all.find(|(_, _, prompt)| prompt.name == params.name) else {
            let message = format!("there is no prompt {}", params.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        params.name = own;
        let got = self.servers.get_prompt(&server, params).await;
        got.map(Into::into).map_err(failed)
    }
}

fn failed(error: CallError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// Tells a client whenever something has changed, as long as it is there.
async fn tell(peer: Peer<RoleServer>, servers: Servers) {
    let mut changes = servers.changes();
    changes.mark_unchanged();
    // Else the servers would never be let go as long as some client is connected.
    drop(servers);
    while changes.changed().await.is_ok() {
        let told = async {
            peer.notify_tool_list_changed().await?;
            peer.notify_resource_list_changed().await?;
            peer.notify_prompt_list_changed().await
        };
        if told.await.is_err() {
            return;
        }
    }
}

/// Writes a run down when it is dropped.
struct Note<'a>(&'a Aggregate, &'a Caller, Option<ToolRun>);

impl Drop for Note<'_> {
    fn drop(&mut self) {
        if let (Some(ledger), Some(run)) = (&self.0.ledger, &self.2) {
            ledger.tool(self.1.tenant(), self.1.client.as_deref(), run);
        }
    }
}
