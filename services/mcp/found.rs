use crate::tools::Tool;
use rmcp::{Peer, RoleClient, ServiceError, model};
use std::sync::Arc;

/// The longest description and schema of a tool, in bytes. Whole catalogues are shown to models, and paid for.
const LONGEST_DESCRIPTION: usize = 8 * 1024;
const LONGEST_SCHEMA: usize = 64 * 1024;
/// The most pages of a list. A server that has more turns in a circle.
const PAGES: usize = 100;

/// What is known of a server.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Found {
    /// Whether it is connected.
    pub connected: bool,
    /// Its tools, by name. Those of a server that is gone are still known, so that prompts stay what they were while it comes back.
    pub tools: Arc<[Tool]>,
    /// The same, as it described them, in the same order.
    pub described: Arc<[model::Tool]>,
    /// Its resources.
    pub resources: Arc<[model::Resource]>,
    /// Its prompts.
    pub prompts: Arc<[model::Prompt]>,
    /// How many tools were left out: too many, or with names or schemas that no model can be shown.
    pub left_out: usize,
    /// Why it is not connected.
    pub error: Option<String>,
    /// What would cure that, where that is known.
    pub cure: Option<String>,
}

/// Reads a list page by page, at most `most` of it.
macro_rules! listed {
    ($peer:expr, $method:ident, $field:ident, $most:expr) => {{
        let mut all = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES {
            let params = model::PaginatedRequestParams::default().with_cursor(cursor);
            let page = $peer.$method(Some(params)).await?;
            all.extend(page.$field);
            cursor = page.next_cursor;
            if cursor.is_none() || all.len() > $most {
                break;
            }
        }
        all
    }};
}

impl Found {
    /// Asks a server that has just connected, or says that it has changed.
    pub(super) async fn ask(
        peer: &Peer<RoleClient>,
        server: &str,
        most: usize,
    ) -> Result<Self, ServiceError> {
        let can = peer.peer_info().map(|info| info.capabilities.clone());
        let can = can.unwrap_or_default();
        let mut described = Vec::new();
        if can.tools.is_some() {
            described = listed!(peer, list_tools, tools, most);
        }
        let mut resources = Vec::new();
        if can.resources.is_some() {
            resources = listed!(peer, list_resources, resources, most);
            resources.truncate(most);
        }
        let mut prompts = Vec::new();
        if can.prompts.is_some() {
            prompts = listed!(peer, list_prompts, prompts, most);
            prompts.truncate(most);
        }
        described.sort_by(|a, b| a.name.cmp(&b.name));
        described.dedup_by(|a, b| a.name == b.name);
        let all = described.len();
        described.retain(|tool| tool.name.len() <= 256 && schema(tool).len() <= LONGEST_SCHEMA);
        described.truncate(most);
        let tools: Arc<[Tool]> = described.iter().map(|tool| told(server, tool)).collect();
        Ok(Self {
            connected: true,
            left_out: all - tools.len(),
            tools,
            described: described.into(),
            resources: resources.into(),
            prompts: prompts.into(),
            error: None,
            cure: None,
        })
    }

    /// The same of a server that is gone.
    pub(super) fn gone(&self, error: String, cure: Option<String>) -> Self {
        Self {
            connected: false,
            error: Some(error),
            cure,
            ..self.clone()
        }
    }
}

fn schema(tool: &model::Tool) -> String {
    let mut schema = (*tool.input_schema).clone();
    // Providers demand it, servers forget it.
    schema.entry("type").or_insert_with(|| "object".into());
    serde_json::Value::Object(schema).to_string()
}

fn told(server: &str, tool: &model::Tool) -> Tool {
    let hints = tool.annotations.as_ref();
    let title = tool.title.as_deref();
    let title = title.or_else(|| hints.and_then(|hints| hints.title.as_deref()));
    let mut description = tool.description.as_deref().or(title).unwrap_or_default();
    if description.len() > LONGEST_DESCRIPTION {
        let mut end = LONGEST_DESCRIPTION;
        while !description.is_char_boundary(end) {
            end -= 1;
        }
        description = description.get(..end).unwrap_or_default();
    }
    Tool::new(server, &tool.name, description, &schema(tool))
        .read_only(hints.and_then(|hints| hints.read_only_hint) == Some(true))
}
