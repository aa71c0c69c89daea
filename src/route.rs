//! Where a call would go and what it would cost, without making it: behind `tierway route` and the admin port's `/v1/route`.
use crate::{
    config::Config,
    routing::{self, Routing},
    stack,
};
use bytes::Bytes;
use http::{HeaderMap, Uri};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::Arc,
};
use tierway_layers::{
    bind::Bindings,
    classify::{Client, Decision, Explanation, Policy},
};
use tierway_services::{
    chat::{self, Kind, Operation, Prompt, Refusal, Target, Tenant, Tier, Usage, Usd},
    dialect::Dialect,
    prices::PriceList,
    providers::Provider,
    tokens, translate,
};

/// Tokens that an answer is taken to have where nobody knows.
const ANSWER: u64 = 1000;

/// Tells where calls would go. A clone costs a few reference counts.
#[derive(Clone, Debug)]
pub struct Router {
    policy: Routing,
    bindings: Bindings,
    prices: PriceList,
    tiers: Arc<BTreeMap<Tier, Target>>,
}

/// Where one call would go, and why.
#[derive(Clone, Debug)]
pub struct Route {
    /// Who calls, and for what.
    pub client: Client,
    /// The decision and what it was made from.
    pub explained: Explanation,
    /// Who would answer, or why nobody would.
    pub target: Result<Target, Refusal>,
    /// Tokens of the prompt, counted here.
    pub prompt_tokens: u64,
    /// Tokens of the answer that the prices are for.
    pub output_tokens: u64,
    /// The limit on them that the caller sets.
    pub max_tokens: Option<u64>,
    /// Each bound tier, who serves it, and what this call would cost there.
    pub tiers: Vec<Offer>,
}

/// What a call would cost in one tier; `None` where nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The tier.
    pub tier: Tier,
    /// Its model.
    pub target: Target,
    /// The price with the answer that is expected.
    pub price: Option<Usd>,
    /// The price with the longest answer that the caller accepts.
    pub most: Option<Usd>,
}

// === impl Router ===

impl Router {
    /// Routes as `config` says; `providers` are the ones that it names.
    #[must_use]
    pub fn new(config: &Config, providers: &[Provider]) -> Self {
        let names = stack::names(config);
        Self {
            bindings: stack::bindings(config, &names),
            policy: routing::policy(config, names, providers),
            prices: stack::prices(config),
            tiers: Arc::new(config.tiers.clone()),
        }
    }

    /// What decides the tier.
    #[must_use]
    pub const fn policy(&self) -> &Routing {
        &self.policy
    }

    /// Where `req` would go.
    #[must_use]
    pub fn route(&self, mut req: chat::Request) -> Route {
        let client = Client::of(&req);
        let explained = self.policy.explain(&req);
        if let Some(decision) = &explained.decision {
            req.extensions_mut().insert(decision.tier);
        }
        let facts = req.body().facts();
        let max_tokens = facts.max_tokens;
        let output_tokens = match facts.operation {
            Operation::CountTokens | Operation::Embed => 0,
            _ => max_tokens.map_or(ANSWER, |most| most.min(ANSWER)),
        };
        let prompt_tokens = tokens::count(req.body());
        let offer = |(tier, target): (&Tier, &Target)| {
            let price = self.prices.price(target);
            let cost = |output| {
                let usage = Usage {
                    input: prompt_tokens,
                    output,
                    ..Usage::default()
                };
                price.map(|price| price.cost(&usage))
            };
            let longest = price.and_then(|price| price.max_output).unwrap_or(u64::MAX);
            Offer {
                tier: *tier,
                target: target.clone(),
                price: cost(output_tokens),
                most: max_tokens.and_then(|most| cost(most.min(longest).max(output_tokens))),
            }
        };
        let tiers = self.tiers.iter().map(offer).collect();
        Route {
            client,
            explained,
            target: self.bindings.resolve(&req),
            prompt_tokens,
            output_tokens,
            max_tokens,
            tiers,
        }
    }
}

// === what is asked ===

/// The request that `body` is: in the dialect of `path`, or where no path is given, in the one that its fields tell. A row of a routing
/// suite (`path`, `headers`, `request`) is taken for the request in it; what is given here wins over what the row says.
///
/// # Errors
/// Where the path is no chat route, a header is none, or the body is no request.
pub fn request(
    path: Option<&str>,
    mut headers: HeaderMap,
    tenant: Option<&str>,
    body: Bytes,
) -> Result<chat::Request, Refusal> {
    let whole = body.clone();
    let row = row(&whole);
    let mut body = body;
    let mut path = path.map(str::to_owned);
    if let Some(row) = row {
        path = path.or(row.path);
        for (name, value) in row.headers {
            let header = http::HeaderName::try_from(&name).ok();
            let value = http::HeaderValue::try_from(value).ok();
            let (header, value) = header
                .zip(value)
                .ok_or_else(|| bad(format!("not a header: {name}")))?;
            headers.entry(header).or_insert(value);
        }
        body = Bytes::copy_from_slice(row.request.get().as_bytes());
    }
    let (dialect, operation) = match &path {
        Some(path) => of_path(path.split('?').next().unwrap_or_default()).ok_or_else(|| {
            bad(format!(
                "not a chat route: {path}; try /v1/messages, /v1/chat/completions or /v1/responses"
            ))
        })?,
        None => (of_shape(&body), Operation::Generate),
    };
    let prompt = match (dialect, operation) {
        (Dialect::ChatCompletions, Operation::Generate) => translate::chat_prompt(body)?,
        _ => Prompt::parse(dialect, operation, body)?,
    };
    let mut req = chat::Request::new(prompt);
    let path = path.unwrap_or_else(|| usual_path(dialect).to_owned());
    *req.uri_mut() = path
        .parse::<Uri>()
        .map_err(|_| bad(format!("not a path: {path}")))?;
    *req.headers_mut() = headers;
    if let Some(tenant) = tenant {
        req.extensions_mut().insert(Tenant::new(tenant));
    }
    Ok(req)
}

#[derive(Deserialize)]
struct Row<'b> {
    path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    request: &'b RawValue,
}

fn row(body: &[u8]) -> Option<Row<'_>> {
    serde_json::from_slice::<Row<'_>>(body).ok()
}

fn bad(message: String) -> Refusal {
    Refusal::new(Kind::InvalidRequest, message)
}

fn of_path(path: &str) -> Option<(Dialect, Operation)> {
    Some(match path.trim_end_matches('/') {
        "/v1/messages" => (Dialect::Messages, Operation::Generate),
        "/v1/messages/count_tokens" => (Dialect::Messages, Operation::CountTokens),
        "/v1/chat/completions" => (Dialect::ChatCompletions, Operation::Generate),
        "/v1/completions" => (Dialect::ChatCompletions, Operation::Complete),
        "/v1/embeddings" => (Dialect::ChatCompletions, Operation::Embed),
        "/v1/responses" => (Dialect::Responses, Operation::Generate),
        "/v1/responses/input_tokens" => (Dialect::Responses, Operation::CountTokens),
        _ => return None,
    })
}

const fn usual_path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "/v1/messages",
        Dialect::Responses => "/v1/responses",
        _ => "/v1/chat/completions",
    }
}

/// The dialect that the fields of a body tell. What could be either is a chat completion.
fn of_shape(body: &[u8]) -> Dialect {
    /// Top-level fields that only Messages has.
    const MESSAGES: [&str; 9] = [
        "system",
        "thinking",
        "output_config",
        "context_management",
        "stop_sequences",
        "top_k",
        "mcp_servers",
        "anthropic_version",
        "anthropic_beta",
    ];
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return Dialect::ChatCompletions;
    };
    if !fields.contains_key("messages")
        && ["input", "previous_response_id", "prompt"]
            .iter()
            .any(|f| fields.contains_key(*f))
    {
        return Dialect::Responses;
    }
    let any = |of: &str, is: &dyn Fn(&Value) -> bool| {
        let list = fields.get(of).and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(is))
    };
    let blocks = |message: &Value| {
        let content = message["content"].as_array();
        content.is_some_and(|parts| {
            let kinds = ["tool_use", "tool_result", "thinking", "document", "image"];
            parts
                .iter()
                .any(|p| kinds.iter().any(|kind| p["type"] == *kind))
        })
    };
    let told = MESSAGES.iter().any(|field| fields.contains_key(*field))
        || any("tools", &|tool| tool.get("input_schema").is_some())
        || any("messages", &blocks)
        || fields
            .get("metadata")
            .is_some_and(|m| m.get("user_id").is_some());
    if told {
        Dialect::Messages
    } else {
        Dialect::ChatCompletions
    }
}

// === what is told ===

fn dollars(price: Option<Usd>) -> Value {
    price.map_or(Value::Null, |usd| json!(usd.as_dollars()))
}

impl Route {
    fn decision(&self) -> Option<&Decision> {
        self.explained.decision.as_ref()
    }

    /// Everything, as JSON: `null` is unknown, or not there.
    #[must_use]
    pub fn json(&self) -> Value {
        let decision = self.decision();
        let suffices = decision.and_then(|d| d.suffices).map(|s| {
            let each = Tier::ALL
                .iter()
                .zip(s)
                .map(|(tier, p)| (tier.to_string(), json!(p)));
            Value::Object(each.collect())
        });
        let notes = decision.map_or(&[][..], |d| &d.notes);
        let notes: Vec<Value> = notes
            .iter()
            .map(|n| json!({"name": n.name, "from": n.from.as_str(), "to": n.to.as_str()}))
            .collect();
        let features = self.explained.features.iter();
        let features: serde_json::Map<String, Value> = features
            .map(|(name, v)| ((*name).to_owned(), json!(v)))
            .collect();
        let tiers: Vec<Value> = self
            .tiers
            .iter()
            .map(|o| json!({"tier": o.tier.as_str(), "model": o.target.to_string(), "usd": dollars(o.price), "usd_at_most": dollars(o.most)}))
            .collect();
        let refused = self
            .target
            .as_ref()
            .err()
            .map(|no| json!({"code": no.code(), "message": no.message()}));
        json!({
            "tier": decision.map(|d| d.tier.as_str()),
            "model": self.target.as_ref().ok().map(ToString::to_string),
            "refused": refused,
            "reason": decision.map(|d| d.reason.clone()),
            "score": decision.map(|d| d.score),
            "suffices": suffices,
            "notes": notes,
            "client": {"kind": self.client.kind.as_str(), "class": self.client.class.as_str(), "side": self.client.side.map(|s| s.as_str())},
            "features": features,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "max_tokens": self.max_tokens,
            "tiers": tiers,
        })
    }
}

/// For a person to read.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decision() {
            Some(decision) => {
                writeln!(f, "tier      {}", decision.tier)?;
                writeln!(
                    f,
                    "reason    {}, score {:.2}",
                    decision.reason, decision.score
                )?;
                if let Some(suffices) = decision.suffices {
                    let mut each = String::new();
                    for (tier, p) in Tier::ALL.iter().zip(suffices) {
                        write!(each, "  {tier} {p:.2}")?;
                    }
                    writeln!(f, "suffices{each}")?;
                }
                for note in &decision.notes {
                    match note.from == note.to {
                        true => writeln!(f, "note      {}: stays {}", note.name, note.to)?,
                        false => {
                            writeln!(f, "note      {}: {} -> {}", note.name, note.from, note.to)?
                        }
                    }
                }
            }
            None => writeln!(f, "tier      none: the caller named a model")?,
        }
        match &self.target {
            Ok(target) => writeln!(f, "model     {target}")?,
            Err(no) => writeln!(f, "refused   {no}")?,
        }
        let side = self
            .client
            .side
            .map(|s| format!(", {s}"))
            .unwrap_or_default();
        writeln!(
            f,
            "client    {}, {}{side}",
            self.client.kind, self.client.class
        )?;
        for (name, value) in &self.explained.features {
            writeln!(f, "feature   {name} {value}")?;
        }
        let limit = self
            .max_tokens
            .map(|most| format!(" (of at most {most})"))
            .unwrap_or_default();
        writeln!(
            f,
            "\nprice of {} tokens and an answer of {}{limit}, in US dollars:",
            self.prompt_tokens, self.output_tokens
        )?;
        let shown = |price: Option<Usd>| {
            price.map_or_else(
                || "unknown".to_owned(),
                |usd| format!("{:.6}", usd.as_dollars()),
            )
        };
        for offer in &self.tiers {
            write!(
                f,
                "  {:<9}  {:<10}  {}",
                offer.tier.as_str(),
                shown(offer.price),
                offer.target
            )?;
            match offer.most {
                Some(most) => writeln!(f, "  (at most {})", shown(Some(most)))?,
                None => writeln!(f)?,
            }
        }
        if self.tiers.is_empty() {
            writeln!(f, "  no tier is bound")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::collections::HashMap;

    fn router() -> Router {
        let toml = "
            [providers.cloud]
            kind = 'anthropic'
        api_key = 'k'
            [providers.local]
            kind = 'ollama'
            [providers.odd]
            kind = 'openai-compatible'
            base_url = 'http://127.0.0.1:1'
            [tiers]
            simple = 'local:small'
            medium = 'odd:nobody-prices-this'
            complex = 'cloud:claude-opus-5-5'
            [[keys]]
            key = 'k'
            tenant = 'interns'
            [tenants.interns]
            models = ['local:*']
            ";
        let environment = HashMap::<String, String>::new();
        let config = config::read("t".as_ref(), toml, &config::Flags::default(), &environment)
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config;
        Router::new(&config, &stack::providers(&config).unwrap())
    }

    fn route(tenant: Option<&str>, body: &Value) -> Route {
        let body = body.to_string().into();
        router().route(request(None, HeaderMap::new(), tenant, body).unwrap())
    }

    fn ask(text: &str) -> Value {
        json!({"model": "auto", "max_tokens": 2000, "messages": [{"role": "user", "content": text}]})
    }

    #[test]
    fn all_that_is_told() {
        let told = route(None, &ask("drop the users table"));
        insta::assert_snapshot!("route", told.to_string());
        let json = told.json();
        assert_eq!(
            (&json["tier"], &json["model"]),
            (&json!("complex"), &json!("cloud:claude-opus-5-5"))
        );
        assert_eq!(json["notes"][0]["name"], "floor:migrations");
        assert_eq!(json["tiers"][0]["usd"], 0.0);
        assert_eq!(json["tiers"][1]["usd"], Value::Null);
        let tokens = json["prompt_tokens"].as_f64().unwrap();
        let price = (tokens * 4.0 + 1000.0 * 20.0) / 1e6;
        assert!((json["tiers"][2]["usd"].as_f64().unwrap() - price).abs() < 1e-9);
        assert!(json["tiers"][2]["usd_at_most"].as_f64().unwrap() > price);
    }

    #[test]
    fn a_tenant_and_a_named_model() {
        let held = route(Some("interns"), &ask("drop the users table"));
        assert_eq!(
            held.target.as_ref().map(ToString::to_string),
            Ok("local:small".to_owned())
        );
        let named = json!({"model": "cloud:x", "messages": [{"role": "user", "content": "hi"}]});
        let refused = route(Some("interns"), &named).json();
        assert_eq!(refused["refused"]["code"], "model_not_allowed");
        assert_eq!(refused["tier"], Value::Null);
        let free = route(None, &named);
        assert!(free.to_string().starts_with("tier      none"), "{free}");
    }

    #[test]
    fn dialects_by_path_and_by_shape() {
        let dialect = |path: Option<&str>, body: Value| {
            let req = request(path, HeaderMap::new(), None, body.to_string().into());
            req.map(|req| req.body().facts().dialect)
                .map_err(|no| no.kind())
        };
        let plain = || json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}]});
        let with = |field: &str, value: Value| {
            let mut body = plain();
            body[field] = value;
            body
        };
        assert_eq!(dialect(None, plain()), Ok(Dialect::ChatCompletions));
        assert_eq!(
            dialect(Some("/v1/messages?beta=true"), plain()),
            Ok(Dialect::Messages)
        );
        assert_eq!(
            dialect(None, with("system", json!("x"))),
            Ok(Dialect::Messages)
        );
        assert_eq!(
            dialect(
                None,
                with("tools", json!([{"name": "f", "input_schema": {}}]))
            ),
            Ok(Dialect::Messages)
        );
        assert_eq!(
            dialect(None, json!({"model": "auto", "input": "hi"})),
            Ok(Dialect::Responses)
        );
        let row = json!({"id": "x", "path": "/v1/messages", "headers": {"user-agent": "claude-cli/1"}, "request": plain()});
        assert_eq!(dialect(None, row), Ok(Dialect::Messages));
        assert_eq!(dialect(Some("/v2"), plain()), Err(Kind::InvalidRequest));
        assert_eq!(dialect(None, json!([])), Err(Kind::InvalidRequest));
    }
}
