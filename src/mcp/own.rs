//! The gateway's own tools: what was spent, and where a request would go.
use crate::{
    config::Config,
    ledger::{By, Filter, Place, Reader},
    route::{Router, request},
};
use http::HeaderMap;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tierway_services::{
    chat::Tenant,
    mcp::rmcp::{
        ErrorData,
        model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations},
    },
};
use tokio::sync::OnceCell;

/// Whose tools they are, as rules name it.
pub(super) const NAME: &str = "tierway";
const USAGE: &str = "usage";
const ROUTE: &str = "explain_route";

pub(super) struct Own {
    router: Router,
    place: Option<Place>,
    reader: OnceCell<Reader>,
    /// Without keys there is one user, to whom everything belongs.
    all: bool,
}

impl Own {
    pub(super) fn new(config: &Config, router: Router) -> Self {
        Self {
            router,
            place: config.ledger.place(),
            reader: OnceCell::new(),
            all: !config.is_closed(),
        }
    }

    pub(super) fn tools(&self) -> Vec<Tool> {
        let mut tools = vec![tool(
            ROUTE,
            "Tells where a request would go and why: tier, model, signals and prices. No model is called.",
            json!({"type": "object", "properties": {
                "text": {"type": "string", "description": "What a user would ask."},
                "request": {"type": "object", "description": "Instead of text: a whole request body, in the Messages, Chat Completions or Responses format."}}}),
        )];
        if self.place.is_some() {
            tools.push(tool(
                USAGE,
                "Tells what the caller's calls cost and saved, with tokens, over a time.",
                json!({"type": "object", "properties": {
                    "since": {"type": "string", "description": "How far back, for example 24h or 7days. By default 24h."},
                    "by": {"type": "string", "enum": ["tier", "model", "provider", "client", "session", "day"], "description": "What sums are kept apart by. By default model."}}}),
            ));
        }
        tools
    }

    pub(super) async fn call(
        &self,
        tool: &str,
        tenant: Option<&Tenant>,
        arguments: Option<JsonObject>,
    ) -> Result<CallToolResult, ErrorData> {
        let arguments = Value::Object(arguments.unwrap_or_default());
        let answer = match tool {
            USAGE => self.usage(tenant, &arguments).await,
            _ => self.route(tenant, &arguments),
        };
        Ok(match answer {
            Ok(value) => CallToolResult::success(vec![ContentBlock::text(value.to_string())]),
            Err(why) => CallToolResult::error(vec![ContentBlock::text(why)]),
        })
    }

    fn route(&self, tenant: Option<&Tenant>, arguments: &Value) -> Result<Value, String> {
        let body = match (arguments.get("request"), arguments.get("text")) {
            (Some(body), _) => body.clone(),
            (None, Some(Value::String(text))) => {
                json!({"model": "auto", "messages": [{"role": "user", "content": text}]})
            }
            _ => return Err("write text or request".into()),
        };
        let tenant = tenant.map(Tenant::as_str);
        let asked = request(None, HeaderMap::new(), tenant, body.to_string().into());
        match asked {
            Ok(req) => Ok(self.router.route(req).json()),
            Err(refusal) => Err(refusal.message().to_owned()),
        }
    }

    async fn usage(&self, tenant: Option<&Tenant>, arguments: &Value) -> Result<Value, String> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str);
        let since = humantime::parse_duration(text("since").unwrap_or("24h"));
        let since = since.map_err(|error| format!("since: {error}"))?;
        let by = match text("by").unwrap_or("model") {
            "tier" => By::Tier,
            "model" => By::Model,
            "provider" => By::Provider,
            "client" => By::Client,
            "session" => By::Session,
            "day" => By::Day,
            other => {
                return Err(format!(
                    "by: {other} is nothing that sums are kept apart by"
                ));
            }
        };
        let tenant = tenant.map_or("", Tenant::as_str).to_owned();
        let filter = Filter {
            since: Some(millis(since)),
            tenant: (!self.all).then_some(tenant),
            ..Filter::default()
        };
        let answer = async {
            let reader = self.reader().await?;
            Ok::<_, sqlx::Error>(json!({
                "total": reader.total(&filter).await?,
                "groups": reader.usage(by, &filter).await?,
            }))
        };
        answer.await.map_err(|error| {
            tracing::warn!(%error, "the ledger does not answer");
            "the ledger does not answer".to_owned()
        })
    }

    async fn reader(&self) -> sqlx::Result<&Reader> {
        let place = self.place.as_ref().ok_or(sqlx::Error::PoolClosed)?;
        self.reader.get_or_try_init(|| Reader::open(place)).await
    }
}

/// So long ago, in milliseconds since 1970.
fn millis(ago: Duration) -> i64 {
    let then = SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH);
    let since = then.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn tool(name: &'static str, description: &'static str, schema: Value) -> Tool {
    let schema = match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    Tool::new(name, description, Arc::new(schema)).annotate(ToolAnnotations::new().read_only(true))
}
