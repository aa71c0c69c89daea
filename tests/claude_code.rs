//! What Claude Code really sends arrives as it was, headers and body: `fixtures/claude_code.jsonl` holds recorded calls with their long texts
//! cut, and `TIERWAY_CAPTURES` may name a folder of whole ones.
use crate::support::{Gateway, Upstream, two_formats};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::{collections::BTreeMap, fs, path::Path};

#[derive(Deserialize)]
struct Recorded {
    #[serde(default)]
    name: String,
    #[serde(default)]
    method: Option<String>,
    path: String,
    headers: Headers,
    body: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    Map(BTreeMap<String, String>),
    List(Vec<(String, String)>),
}

fn recorded() -> Vec<Recorded> {
    let fixture = include_str!("fixtures/claude_code.jsonl");
    let mut calls: Vec<Recorded> = fixture
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    if let Some(folder) = std::env::var_os("TIERWAY_CAPTURES") {
        read(Path::new(&folder), &mut calls);
    }
    calls.retain(|call| {
        let posted = call.method.as_deref().is_none_or(|m| m == "POST");
        posted && call.path.starts_with("/v1/messages") && call.body.is_some()
    });
    calls
}

fn read(folder: &Path, calls: &mut Vec<Recorded>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, calls);
        } else if path.extension().is_some_and(|e| e == "json") {
            let text = fs::read_to_string(&path).unwrap();
            if let Ok(call) = serde_json::from_str::<Recorded>(&text) {
                let name = path.display().to_string();
                calls.push(Recorded { name, ..call });
            }
        }
    }
}

impl Recorded {
    /// The headers that make the call what it is; those of the connection are made anew.
    fn headers(&self) -> Vec<(String, String)> {
        let all: Vec<(String, String)> = match &self.headers {
            Headers::Map(map) => map.clone().into_iter().collect(),
            Headers::List(list) => list.clone(),
        };
        let kept = |name: &str| {
            [
                "anthropic-",
                "x-app",
                "x-claude-code-",
                "x-stainless-",
                "user-agent",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        };
        all.into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .filter(|(name, _)| kept(name))
            .collect()
    }
    fn body(&self) -> &str {
        self.body.as_ref().map_or("", |body| body.get())
    }
    /// The body as it is to arrive at the model `text-x`.
    fn arrived(&self) -> String {
        let body: Value = serde_json::from_str(self.body()).unwrap();
        let model = body["model"].to_string();
        let at = self.body().find("\"model\"").unwrap();
        let (before, after) = self.body().split_at(at);
        before.to_owned() + &after.replacen(&model, "\"text-x\"", 1)
    }
}

// Cases 6, 7 and 9: unknown fields, betas and tools of each release, to the byte.
#[tokio::test]
async fn every_recorded_call_arrives_as_it_was() {
    let up = Upstream::start().await;
    for kind in ["anthropic", "anthropic-compatible"] {
        let models = "[models]\n\"*\" = \"a:text-x\"\n";
        let toml = two_formats(&up, models).replace("anthropic-compatible", kind);
        let gw = Gateway::start(&toml).await;
        for call in recorded() {
            let headers = call.headers();
            let named: Vec<_> = headers
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            let res = gw
                .call(Method::POST, &call.path, &named, call.body().to_owned())
                .await;
            assert_eq!(res.status, 200, "{}: {}", call.name, res.text());
            let seen = up.last();
            assert_eq!(seen.path, call.path, "{}", call.name);
            assert!(seen.raw == call.arrived(), "{} has changed", call.name);
            for (name, value) in &headers {
                assert_eq!(seen.headers[name], value, "{} {name}", call.name);
            }
        }
    }
}

// Case 5: the same calls at a provider that speaks chat completions only.
#[tokio::test]
async fn every_recorded_call_is_understood_by_the_other_format() {
    let up = Upstream::start().await;
    let models = "[models]\n\"*\" = \"o:text-x\"\n";
    let gw = Gateway::start(&two_formats(&up, models)).await;
    for call in recorded() {
        let headers = call.headers();
        let named: Vec<_> = headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let res = gw
            .call(Method::POST, &call.path, &named, call.body().to_owned())
            .await;
        assert_eq!(res.status, 200, "{}: {}", call.name, res.text());
        if call.path.contains("count_tokens") {
            assert!(res.json()["input_tokens"].as_u64().unwrap() > 0);
            continue;
        }
        let seen = up.last();
        assert_eq!(seen.path, "/v1/chat/completions", "{}", call.name);
        assert!(!seen.headers.contains_key("anthropic-beta"));
        for foreign in [
            "thinking",
            "context_management",
            "output_config",
            "metadata",
            "system",
        ] {
            assert!(seen.body.get(foreign).is_none(), "{}: {foreign}", call.name);
        }
    }
}
