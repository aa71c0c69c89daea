//! The `config.yaml` of LiteLLM.
use super::{Draft, DraftProvider, How, Mapped};
use serde_json::{Map, Value};
use std::io;
use tierway_services::{chat::Target, providers::Kind};

/// How its providers are called there, and of what kind they are here.
const PROVIDERS: [(&str, Kind); 22] = [
    ("openai", Kind::OpenAi),
    ("anthropic", Kind::Anthropic),
    ("azure", Kind::AzureOpenAi),
    ("azure_ai", Kind::AzureOpenAi),
    ("bedrock", Kind::Bedrock),
    ("gemini", Kind::Gemini),
    ("vertex_ai", Kind::Vertex),
    ("ollama", Kind::Ollama),
    ("ollama_chat", Kind::Ollama),
    ("openrouter", Kind::OpenRouter),
    ("databricks", Kind::Databricks),
    ("groq", Kind::Groq),
    ("mistral", Kind::Mistral),
    ("deepseek", Kind::DeepSeek),
    ("xai", Kind::Xai),
    ("together_ai", Kind::Together),
    ("fireworks_ai", Kind::Fireworks),
    ("moonshot", Kind::Moonshot),
    ("cerebras", Kind::Cerebras),
    ("lm_studio", Kind::LmStudio),
    ("hosted_vllm", Kind::Vllm),
    ("vllm", Kind::Vllm),
];
/// How it writes that a value is in a variable.
const VARIABLE: &str = "os.environ/";
/// What a tenant is called who holds its one master key.
const MASTER: &str = "master";

/// Reads the text of a `config.yaml`: what it configures, and what became of each of its settings.
///
/// # Errors
/// Where it is not YAML, or holds no `model_list`.
pub fn import(text: &str) -> io::Result<(Draft, Vec<Mapped>)> {
    let file: Map<String, Value> = serde_norway::from_str(text).map_err(io::Error::other)?;
    let mut import = Import::default();
    let models = file.get("model_list").and_then(Value::as_array);
    let models = models
        .ok_or_else(|| io::Error::other("no `model_list`: this is not LiteLLM's configuration"))?;
    for model in models {
        import.model(model);
    }
    for (section, value) in file.iter().filter(|(section, _)| *section != "model_list") {
        match value.as_object() {
            Some(settings) => settings
                .iter()
                .for_each(|(key, value)| import.setting(section, key, value)),
            None => import.told(section, How::Not, "nothing here is like it"),
        }
    }
    Ok((import.draft, import.mapped))
}

#[derive(Default)]
struct Import {
    draft: Draft,
    mapped: Vec<Mapped>,
}

impl Import {
    fn told(&mut self, setting: &str, how: How, note: impl Into<String>) {
        self.mapped.push(Mapped::new(setting, how, note));
    }

    fn model(&mut self, entry: &Value) {
        let parameters = &entry["litellm_params"];
        let (Some(name), Some(model)) =
            (entry["model_name"].as_str(), parameters["model"].as_str())
        else {
            self.told(
                "model_list",
                How::Not,
                "an entry without model_name or litellm_params.model",
            );
            return;
        };
        let (prefix, rest) = model.split_once('/').unwrap_or(("openai", model));
        let base_url = text(parameters, "api_base").or_else(|| text(parameters, "base_url"));
        let known = PROVIDERS.iter().find(|(there, _)| *there == prefix);
        let kind = match (known, &base_url) {
            // Whoever gives OpenAI's dialect another address means a server that is compatible with it.
            (Some((_, Kind::OpenAi)), Some(url)) if !url.contains("api.openai.com") => {
                Kind::OpenAiCompatible
            }
            (Some((_, kind)), _) => *kind,
            (None, Some(_)) => Kind::OpenAiCompatible,
            (None, None) => {
                self.told(
                    name,
                    How::Not,
                    format!("providers called {prefix} are not known here"),
                );
                return;
            }
        };
        let rest = if known.is_some() { rest } else { model };
        let mut provider = DraftProvider {
            base_url: base_url.filter(|url| !url.starts_with(VARIABLE)),
            ..DraftProvider::new(kind)
        };
        let mut notes = Vec::new();
        match text(parameters, "api_key") {
            Some(key) => match key.strip_prefix(VARIABLE) {
                Some(variable) => provider.key_env = Some(variable.to_owned()),
                None => {
                    let usual = kind.key_env().first().copied().unwrap_or("UPSTREAM_KEY");
                    notes.push(format!("its key is not copied: set {usual}"));
                    provider.key_env = Some(usual.to_owned());
                }
            },
            None => {
                provider.key_env = kind
                    .key_env()
                    .first()
                    .filter(|_| kind.needs_key())
                    .map(|v| (*v).to_owned())
            }
        }
        for (there, here) in [
            ("aws_region_name", "region"),
            ("vertex_location", "region"),
            ("vertex_project", "project"),
            ("api_version", "api_version"),
        ] {
            if let Some(value) =
                text(parameters, there).filter(|value| !value.starts_with(VARIABLE))
            {
                provider.settings.push((here, value));
            }
        }
        let left = [
            "model",
            "api_base",
            "base_url",
            "api_key",
            "aws_region_name",
            "vertex_location",
            "vertex_project",
            "api_version",
        ];
        let left: Vec<&str> = parameters
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .filter(|key| !left.contains(key))
            .collect();
        if !left.is_empty() {
            notes.push(format!("left out: {}", left.join(", ")));
        }
        let target = Target::new(self.provider(kind, provider).as_str(), rest);
        if self.draft.models.contains_key(name) {
            notes.push("one of several under this name: only the first is asked".to_owned());
        } else {
            self.draft.models.insert(name.to_owned(), target.clone());
        }
        let how = if notes.is_empty() {
            How::Exactly
        } else {
            How::Approximately
        };
        notes.insert(0, format!("[models] -> {target}"));
        self.told(name, how, notes.join("; "));
    }

    /// The name of a provider like this one: there already, or new.
    fn provider(&mut self, kind: Kind, provider: DraftProvider) -> String {
        let same = self
            .draft
            .providers
            .iter()
            .find(|(_, other)| **other == provider);
        if let Some((name, _)) = same {
            return name.clone();
        }
        let first = kind.as_str().to_owned();
        let mut names = std::iter::once(first.clone()).chain((2..).map(|n| format!("{first}-{n}")));
        let free = names.find(|name| !self.draft.providers.contains_key(name));
        let name = free.unwrap_or(first);
        self.draft.providers.insert(name.clone(), provider);
        name
    }

    fn setting(&mut self, section: &str, key: &str, value: &Value) {
        let path = format!("{section}.{key}");
        match (key, value.as_str()) {
            ("master_key", Some(master)) => {
                let variable = master.strip_prefix(VARIABLE);
                let (how, note) = match variable {
                    Some(_) => (How::Exactly, "[[keys]]"),
                    None => (
                        How::Approximately,
                        "[[keys]]; the key is not copied: set TIERWAY_KEY",
                    ),
                };
                let variable = variable.unwrap_or("TIERWAY_KEY");
                self.draft
                    .keys
                    .push((variable.to_owned(), MASTER.to_owned()));
                self.told(&path, how, note);
            }
            ("drop_params", _) => self.told(
                &path,
                How::Approximately,
                "what a provider does not know is left out and told in x-tierway-dropped",
            ),
            ("cache" | "cache_params", _) => {
                self.told(&path, How::Approximately, "[cache] is on: docs/caching.md")
            }
            (
                "fallbacks"
                | "context_window_fallbacks"
                | "num_retries"
                | "request_timeout"
                | "routing_strategy"
                | "allowed_fails"
                | "cooldown_time",
                _,
            ) => {
                self.told(
                    &path,
                    How::Not,
                    "see the README for retries, fallbacks and time limits here",
                );
            }
            _ => self.told(&path, How::Not, "nothing here is like it"),
        }
    }
}

fn text(parameters: &Value, key: &str) -> Option<String> {
    parameters[key]
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
  - model_name: gpt-4o
    litellm_params:
      model: azure/my-deployment
      api_base: https://x.openai.azure.com
      api_key: sk-literal
      api_version: '2024-10-21'
      rpm: 6
  - model_name: sonnet
    litellm_params: { model: anthropic/claude-sonnet-4-5 }
  - model_name: mine
    litellm_params: { model: openai/llama, api_base: 'http://10.0.0.1:8000/v1', api_key: none }
  - model_name: strange
    litellm_params: { model: nobody/x }
litellm_settings:
  drop_params: true
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
router_settings:
  num_retries: 2
";

    #[test]
    fn models_providers_and_keys_come_over() {
        let (draft, mapped) = import(YAML).unwrap();
        assert_eq!(draft.models["gpt-4o"].to_string(), "openai:gpt-4o");
        assert_eq!(
            draft.models["sonnet"].to_string(),
            "anthropic:claude-sonnet-4-5"
        );
        assert_eq!(draft.models["mine"].to_string(), "openai-compatible:llama");
        assert_eq!(
            draft.providers["anthropic"].key_env.as_deref(),
            Some("ANTHROPIC_API_KEY")
        );
        assert_eq!(
            draft.providers["azure-openai"].settings,
            [("api_version", "2024-10-21".to_owned())]
        );
        assert_eq!(
            draft.keys,
            [("LITELLM_MASTER_KEY".to_owned(), "master".to_owned())]
        );
        assert!(!draft.to_toml().contains("sk-literal"));
        let how: Vec<How> = mapped.iter().map(|m| m.how).collect();
        use How::{Approximately, Exactly, Not};
        assert_eq!(
            how[..5],
            [Exactly, Approximately, Exactly, Approximately, Not]
        );
        assert_eq!(mapped.len(), 8);
    }

    #[test]
    fn what_is_something_else_is_told() {
        assert!(import("a: 1").is_err());
        assert!(import(": : :").is_err());
    }
}
