//! Every setting: its key, what it takes, its default and its meaning. The one place that documents them.
//!
//! The README's table is printed from here, unknown keys are found from here, and tests hold the rest of the configuration to it.
use std::fmt::Write;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its path: `*` is a name that the user chooses, `[]` an entry of a list.
    pub key: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What it is when nobody sets it, as it would be typed; empty where it stays unset.
    pub default: &'static str,
    /// The environment variables that set it.
    pub environment: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

const fn entry(
    key: &'static str,
    takes: &'static str,
    default: &'static str,
    environment: &'static str,
    meaning: &'static str,
) -> Entry {
    Entry {
        key,
        takes,
        default,
        environment,
        meaning,
    }
}

/// Every setting, in the order of the file.
#[rustfmt::skip]
pub const ENTRIES: &[Entry] = &[
    entry("server.listen", "address", "\"127.0.0.1:8787\"", "TIERWAY_LISTEN, PORT", "Where callers connect. Beyond loopback only with `[[keys]]`."),
    entry("server.admin", "address", "\"127.0.0.1:9787\"", "TIERWAY_ADMIN", "Where metrics and health are."),
    entry("server.max_body", "size", "\"32MiB\"", "", "The largest request body."),
    entry("server.max_connections", "count", "4096", "", "How many connections may be open at a time."),
    entry("server.drain_timeout", "duration", "\"30s\"", "", "How long streams may go on after the signal to stop."),
    entry("providers.*.kind", "kind", "", "", "The kind of server: {kinds}. Needed unless the provider's name is one of these."),
    entry("providers.*.base_url", "URL", "", "OPENAI_ENDPOINT, OPENROUTER_ENDPOINT, OLLAMA_ENDPOINT, LLAMACPP_ENDPOINT, LMSTUDIO_ENDPOINT", "Its address, with or without `/v1`; by default the kind's own."),
    entry("providers.*.api_key", "text", "", "ANTHROPIC_API_KEY, OPENAI_API_KEY, OPENROUTER_API_KEY, OLLAMA_API_KEY, LLAMACPP_API_KEY, LMSTUDIO_API_KEY", "The key to send. Better kept out of the file:"),
    entry("providers.*.api_key_env", "text", "", "", "the environment variable that holds the key, or"),
    entry("providers.*.api_key_file", "path", "", "", "the file that holds the key, relative to the configuration file."),
    entry("providers.*.pass_credentials", "switch", "false", "", "Sends the caller's own credentials on, as a Claude subscription needs."),
    entry("providers.*.native_messages", "switch", "", "", "Whether it speaks Anthropic's dialect itself; unset means: find out."),
    entry("providers.*.headers.*", "text", "", "", "A header to send with each call."),
    entry("providers.*.timeouts.connect", "duration", "\"10s\"", "", "How long to wait for a connection,"),
    entry("providers.*.timeouts.first_byte", "duration", "\"10m\"", "", "from the request to the first byte of the answer,"),
    entry("providers.*.timeouts.idle", "duration", "\"2m\"", "", "and between two pieces of a stream."),
    entry("tiers.simple", "target", "", "TIER_SIMPLE", "The model for a greeting, a lookup, a one-line edit;"),
    entry("tiers.medium", "target", "", "TIER_MEDIUM", "for everyday work;"),
    entry("tiers.complex", "target", "", "TIER_COMPLEX", "for work of many steps;"),
    entry("tiers.reasoning", "target", "", "TIER_REASONING", "for proofs, audits, root causes."),
    entry("models.*", "route", "", "", "Where a requested model name leads: `\"auto\"`, a tier or a target. The name may end in `*`."),
    entry("keys[].key", "text", "", "", "A key that callers may use. Better kept out of the file:"),
    entry("keys[].key_env", "text", "", "", "the environment variable that holds the key, or"),
    entry("keys[].key_file", "path", "", "", "the file that holds the key, relative to the configuration file."),
    entry("keys[].tenant", "text", "\"default\"", "", "For whom the key calls: caches and bills are kept apart by it."),
    entry("cascade.enabled", "switch", "false", "LYNKR_CASCADE_ENABLED", "Tries a small model first and keeps its answer when that is good enough."),
    entry("cascade.small", "target", "", "", "The small model; by default the simple tier's."),
    entry("cascade.tiers", "tiers", "[\"medium\", \"complex\"]", "", "The tiers whose requests may be answered by it."),
    entry("cascade.threshold", "share", "0.85", "", "The confidence from which on its answer is kept."),
    entry("cascade.streams", "`false`", "false", "", "Streams go straight to the model of their tier."),
    entry("cascade.tools", "`false`", "false", "", "So do requests with tools."),
    entry("cache.enabled", "switch", "true", "PROMPT_CACHE_ENABLED", "Answers a repeated request from memory."),
    entry("cache.max_bytes", "size", "\"256MiB\"", "", "How much memory that may fill."),
    entry("cache.ttl", "duration", "\"5m\"", "PROMPT_CACHE_TTL_MS", "How long an answer is kept."),
    entry("cache.sampled", "switch", "false", "", "Keeps answers to requests with a temperature above 0 too."),
    entry("prices.*.input", "price", "", "", "For a model written `\"provider:model\"` that the built-in list does not know: what is sent,"),
    entry("prices.*.output", "price", "", "", "what is answered,"),
    entry("prices.*.cache_read", "price", "", "", "what is read from the provider's cache,"),
    entry("prices.*.cache_write", "price", "", "", "what is written to it."),
    entry("savings.baseline", "target", "", "", "What savings are measured against; by default the model that the caller named."),
    entry("log.format", "format", "\"auto\"", "", "`\"human\"`, `\"json\"`, or `\"auto\"`: for people on a terminal, JSON otherwise."),
    entry("log.level", "level", "\"info\"", "TIERWAY_LOG", "`\"error\"` to `\"trace\"`, or a list such as `\"info,tierway=debug\"`."),
];

/// The table of all settings for the README, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut table =
        String::from("| Key | Takes | Default | Environment | Meaning |\n|---|---|---|---|---|\n");
    for entry in ENTRIES {
        let code = |text: &str| match text {
            "" => String::new(),
            text => format!("`{text}`"),
        };
        let variables: Vec<String> = entry
            .environment
            .split(", ")
            .filter(|name| !name.is_empty())
            .map(code)
            .collect();
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {} |",
            entry.key,
            entry.takes,
            code(entry.default),
            variables.join(", "),
            entry.meaning.replace("{kinds}", &kinds()),
        );
    }
    table
}

fn kinds() -> String {
    let kinds: Vec<String> = tierway_services::providers::Kind::ALL
        .iter()
        .map(|kind| format!("`\"{kind}\"`"))
        .collect();
    kinds.join(", ")
}
