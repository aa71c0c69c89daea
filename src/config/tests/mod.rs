mod access;
mod clouds;
mod files;
mod problems;
mod readme;

use super::*;
use std::collections::{BTreeSet, HashMap};
use tierway_services::{mcp::Road, providers::Secret};

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let environment: HashMap<&str, &str> = variables.iter().copied().collect();
    read(
        "tierway.toml".as_ref(),
        text,
        &Flags::default(),
        &environment,
    )
}

fn sound(text: &str, variables: &[(&str, &str)]) -> Loaded {
    read_with(text, variables).unwrap_or_else(|problems| panic!("{problems}"))
}

const WHOLE: &str = include_str!("whole.toml");
const WHOLE_ENVIRONMENT: [(&str, &str); 2] = [("CLOUD_KEY", "sk-cloud\n"), ("BOB_KEY", "sk-bob")];

#[test]
fn every_setting_is_read_and_shown_without_secrets() {
    let loaded = sound(WHOLE, &WHOLE_ENVIRONMENT);
    let shown = loaded.show();
    insta::assert_snapshot!("whole", shown);
    for text in [shown, format!("{loaded:?}")] {
        assert!(
            !text.contains("sk-") && !text.contains("secret-team"),
            "{text}"
        );
    }
    assert_eq!(loaded.config.keys[1].key.expose(), "sk-bob");
    assert_eq!(loaded.config.keys[1].tenant, "default");
}

#[test]
fn what_is_shown_can_be_typed() {
    let mut first = sound(WHOLE, &WHOLE_ENVIRONMENT).config;
    // Two keys shown as the same stars would be one key.
    first.keys.truncate(1);
    let shown = sound(
        &WHOLE.replace("[[keys]]\nkey_env = \"BOB_KEY\"", ""),
        &WHOLE_ENVIRONMENT,
    )
    .show();
    let second = sound(&shown, &[]).config;
    let without_secrets = |mut config: Config| {
        for provider in config.providers.values_mut() {
            provider.api_key = None;
            provider.headers.clear();
        }
        config
            .keys
            .iter_mut()
            .for_each(|key| key.key = Secret::new("***"));
        for server in config.mcp.servers.values_mut() {
            match &mut server.server.road {
                Road::Program { env, .. } => env.clear(),
                Road::Http {
                    headers,
                    token,
                    login,
                    sign_in,
                    ..
                } => {
                    headers.clear();
                    (*token, *login) = (None, None);
                    if let Some(sign_in) = sign_in {
                        sign_in.client_secret = None;
                    }
                }
                _ => {}
            }
        }
        config.redis.url = config.redis.shown().map(Secret::new);
        config.ledger.url = config.ledger.shown().map(Secret::new);
        config
    };
    assert_eq!(without_secrets(first), without_secrets(second));
}

#[test]
fn nothing_typed_is_the_default() {
    assert_eq!(sound("", &[]).config, Config::default());
    assert_eq!(sound("keys = []", &[]).config, Config::default());
    insta::assert_snapshot!("nothing", sound("", &[]).show());
}

#[test]
fn the_reference_tells_the_defaults() {
    let toml = "[providers.p]\nkind = \"ollama\"\n[mcp.servers.p]\nurl = \"https://p\"\n[[keys]]\nkey = \"k\"\n[rules.p]\nat_least = \"complex\"";
    let shown: toml::Table = sound(toml, &[]).show().parse().unwrap();
    for entry in reference::ENTRIES {
        let path: Vec<&str> = entry
            .key
            .split('.')
            .map(|part| part.trim_end_matches("[]"))
            .collect();
        let mut at = Some(&toml::Value::Table(shown.clone())).cloned();
        for part in path {
            let part = if part == "*" { "p" } else { part };
            at = at.and_then(|value| match value {
                toml::Value::Table(table) => table.get(part).cloned(),
                toml::Value::Array(list) => list.first()?.get(part).cloned(),
                _ => None,
            });
        }
        if !entry.default.is_empty() {
            let typed: toml::Table = format!("v = {}", entry.default).parse().unwrap();
            assert_eq!(at.as_ref(), typed.get("v"), "{}", entry.key);
        }
    }
}

#[test]
fn the_reference_names_the_keys_of_the_file() {
    let mut keys = BTreeSet::new();
    let mut add = |section: &str, fields: &[&str]| {
        keys.extend(fields.iter().map(|field| format!("{section}{field}")));
    };
    add("", fields::<file::File>());
    add("server.", fields::<file::Server>());
    add("providers.*.", fields::<file::Provider>());
    add("server.tls.", fields::<file::ServerTls>());
    add("providers.*.timeouts.", fields::<file::Timeouts>());
    add("providers.*.tls.", fields::<file::ProviderTls>());
    add("providers.*.headers.", &["*"]);
    add("providers.*.models.*.", fields::<file::Abilities>());
    add("tiers.", fields::<file::Tiers>());
    add("models.", &["*"]);
    add("embeddings.", fields::<file::Embeddings>());
    add("count_tokens.", fields::<file::CountTokens>());
    add("keys[].", fields::<file::Key>());
    add("tenants.*.", fields::<file::Tenant>());
    add("rules.*.", fields::<file::Rule>());
    add("rules.*.headers.", &["*"]);
    add("admin.", fields::<file::Admin>());
    add("access.", fields::<file::Access>());
    add("oidc.*.", fields::<file::Oidc>());
    add("sign_in.", fields::<file::SignIn>());
    add("sign_in.users.*.", fields::<file::access::User>());
    add("affinity.", fields::<file::Affinity>());
    add("semantic_cache.", fields::<file::SemanticCache>());
    add("breakpoints.", fields::<file::Breakpoints>());
    add("compress.", fields::<file::Compress>());
    add("redis.", fields::<file::Redis>());
    add("keys[].limits.", fields::<file::Quota>());
    add("tenants.*.limits.", fields::<file::Quota>());
    add("limits.", fields::<file::Limits>());
    add("balance.", fields::<file::Balance>());
    add("balance.weights.", &["*"]);
    add("retry.", fields::<file::Retry>());
    add("breaker.", fields::<file::Breaker>());
    add("cascade.", fields::<file::Cascade>());
    add("cascade.tier.*.", fields::<file::CascadeTier>());
    add("labels.", fields::<file::Labels>());
    add("cache.", fields::<file::Cache>());
    add("responses.", fields::<file::Responses>());
    add("mcp.", fields::<file::Mcp>());
    add("mcp.tenants.*.", fields::<file::McpTenant>());
    add("mcp.servers.*.", fields::<file::McpServer>());
    add("mcp.servers.*.env.", &["*"]);
    add("mcp.servers.*.headers.", &["*"]);
    add("prices.*.", fields::<file::Price>());
    add("savings.", fields::<file::Savings>());
    add("ledger.", fields::<file::Ledger>());
    add("metrics.", fields::<file::Metrics>());
    add("traces.", fields::<file::Traces>());
    add("log.", fields::<file::Log>());
    // A section is documented by its keys.
    let leaves: BTreeSet<&str> = keys
        .iter()
        .map(String::as_str)
        .filter(|key| {
            !keys.iter().any(|other| {
                other.starts_with(&format!("{key}.")) || other.starts_with(&format!("{key}[]"))
            })
        })
        .collect();
    let documented: BTreeSet<&str> = reference::ENTRIES.iter().map(|entry| entry.key).collect();
    assert_eq!(documented, leaves);
    assert_eq!(
        documented.len(),
        reference::ENTRIES.len(),
        "a key is documented twice"
    );
}

#[test]
fn signs_of_life_can_be_turned_off_and_nothing_else_takes_no_time() {
    let off = sound("[server]\nkeep_alive = \"0s\"", &[]);
    assert!(off.config.server.keep_alive.is_zero());
    for toml in [
        "[server]\ndrain_timeout = \"0s\"",
        "[server]\nkeep_alive = 0",
        "[server]\nkeep_alive = \"soon\"",
        "[server.tls]\ncert_file = \"nowhere.pem\"",
        "[server.tls]\ncert_file = \"nowhere.pem\"\nkey_file = \"nowhere.key\"",
    ] {
        let problems = read_with(toml, &[]);
        assert!(problems.is_err(), "{toml}");
    }
}

/// The field names that serde knows of `T`.
fn fields<'de, T: serde::Deserialize<'de>>() -> &'static [&'static str] {
    struct Fields<'a>(&'a mut &'static [&'static str]);
    impl<'de> serde::Deserializer<'de> for Fields<'_> {
        type Error = serde::de::value::Error;
        fn deserialize_any<V: serde::de::Visitor<'de>>(
            self,
            _: V,
        ) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("only structs have fields"))
        }
        fn deserialize_struct<V: serde::de::Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }
        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
            tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut fields: &[&str] = &[];
    let _ = T::deserialize(Fields(&mut fields));
    fields
}

#[test]
fn the_reference_names_the_variables_that_are_read() {
    #[derive(Default)]
    struct Asked(std::cell::RefCell<BTreeSet<String>>);
    impl Strings for Asked {
        fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
            self.0.borrow_mut().insert(name.to_owned());
            Ok(None)
        }
    }
    let asked = Asked::default();
    read("t".as_ref(), "", &Flags::default(), &asked).unwrap();
    let documented = reference::ENTRIES
        .iter()
        .flat_map(|entry| entry.environment.split(", "));
    let documented: BTreeSet<String> = documented
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let mut asked = asked.0.into_inner();
    // These tell where a folder is, and set nothing.
    asked.retain(|name| !["HOME", "XDG_STATE_HOME"].contains(&name.as_str()));
    assert_eq!(asked, documented);
}

#[test]
fn the_reference_reads_well() {
    insta::assert_snapshot!("reference", reference::markdown());
}

#[test]
fn the_environment_of_the_replaced_system_works() {
    let loaded = sound(
        "",
        &[
            ("TIER_SIMPLE", "ollama:qwen2.5:3b"),
            ("TIER_MEDIUM", "openai/gpt-4o-mini"),
            ("MODEL_PROVIDER", "openrouter"),
            ("TIER_COMPLEX", "openai:gpt-4o"),
            ("OPENROUTER_API_KEY", "sk-or"),
            ("OPENAI_API_KEY", "sk-oa"),
            ("OLLAMA_API_KEY", "sk-ol"),
            ("LMSTUDIO_API_KEY", "sk-lm"),
            ("OPENAI_ENDPOINT", "https://oa.example/v1/chat/completions"),
            ("LLAMACPP_ENDPOINT", "http://localhost:8080"),
            ("LLAMACPP_API_KEY", "sk-ll"),
            ("ANTHROPIC_API_KEY", ""),
            ("LYNKR_CASCADE_ENABLED", "true"),
            ("PROMPT_CACHE_ENABLED", "0"),
            ("PROMPT_CACHE_TTL_MS", "60000"),
            ("PORT", "8081"),
        ],
    );
    insta::assert_snapshot!("environment", loaded.show());
}

#[test]
fn the_command_line_beats_the_environment_beats_the_file() {
    let text = "[server]\nlisten = '127.0.0.2:1'\nadmin = '127.0.0.2:2'\n[tiers]\nsimple = 'ollama:a'\nmedium = 'ollama:b'";
    let variables = [
        ("TIERWAY_LISTEN", "127.0.0.1:11"),
        ("TIERWAY_ADMIN", "127.0.0.1:12"),
        ("TIER_SIMPLE", "ollama:e"),
    ];
    let environment = HashMap::from(variables);
    let flags = Flags {
        listen: Some("127.0.0.1:21".into()),
        ..Flags::default()
    };
    let loaded = read("t".as_ref(), text, &flags, &environment).unwrap();
    let server = &loaded.config.server;
    assert_eq!((server.listen.port(), server.admin.port()), (21, 12));
    let tiers: Vec<String> = loaded
        .config
        .tiers
        .values()
        .map(ToString::to_string)
        .collect();
    assert_eq!(tiers, ["ollama:e", "ollama:b"]);
    assert_eq!(loaded.origin("server.listen"), &Origin::Flag("--listen"));
    assert_eq!(
        loaded.origin("server.admin"),
        &Origin::Environment("TIERWAY_ADMIN".into())
    );
    // `PORT` keeps the host, and so opens nothing.
    let loaded = sound(text, &[("PORT", "99")]);
    assert_eq!(loaded.config.server.listen.to_string(), "127.0.0.2:99");
}

#[test]
fn a_provider_of_the_file_is_not_changed_by_the_environment() {
    let text = "[providers.openai]\nbase_url = 'http://127.0.0.1:1'\napi_key = 'sk-file'";
    let loaded = sound(
        text,
        &[
            ("OPENAI_API_KEY", "sk-env"),
            ("OLLAMA_API_KEY", "sk-ol"),
            ("LMSTUDIO_API_KEY", "sk-lm"),
            ("OPENAI_ENDPOINT", "http://evil"),
        ],
    );
    let provider = &loaded.config.providers["openai"];
    assert_eq!(provider.base_url.as_deref(), Some("http://127.0.0.1:1"));
    assert_eq!(
        provider.api_key.as_ref().map(Secret::expose),
        Some("sk-file")
    );
}

#[test]
fn a_key_of_the_environment_goes_to_its_own_address_only() {
    let key = |text: &str| {
        let loaded = sound(text, &[("OPENAI_API_KEY", "sk-env")]);
        loaded.config.providers["p"]
            .api_key
            .as_ref()
            .map(|key| key.expose().to_owned())
    };
    assert_eq!(
        key("[providers.p]\nkind = 'openai'").as_deref(),
        Some("sk-env")
    );
    assert_eq!(
        key("[providers.p]\nkind = 'openai'\nbase_url = 'http://other'"),
        None
    );
    assert_eq!(
        key("[providers.p]\nkind = 'openai'\npass_credentials = true"),
        None
    );
}
