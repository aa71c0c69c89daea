//! Every setting: its key, what it takes, its default and its meaning. The one place that documents them.
//!
//! The README's table is printed from here, unknown keys are found from here, and tests hold the rest of the configuration to it.
use std::fmt::Write;
use tierway_layers::classify::{Class, ClientKind};
use tierway_services::providers::Kind;

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
    entry("server.admin", "address", "\"127.0.0.1:9787\"", "TIERWAY_ADMIN", "Where metrics and health are. On a port of its own."),
    entry("server.max_body", "size", "\"32MiB\"", "", "The largest request body."),
    entry("server.max_connections", "count", "8192", "", "How many connections may be open at a time."),
    entry("server.max_connections_per_ip", "turns", "0", "", "How many of them one address may have; 0 for as many as it likes, as behind a load balancer."),
    entry("server.max_in_flight", "count", "4096", "", "How many calls may be under way at a time, until their answers have ended; more are refused at once with 503 (529)."),
    entry("server.tls.cert_file", "path", "", "", "The certificate chain (PEM) with which callers are spoken to in TLS, HTTP/2 and HTTP/1.1. It is read anew when it changes."),
    entry("server.tls.key_file", "path", "", "", "Its private key (PEM)."),
    entry("server.tls.client_ca_file", "path", "", "", "The authorities (PEM) of callers' certificates; with it every caller must have one (mTLS), beside a key."),
    entry("server.max_answer", "size", "\"64MiB\"", "", "The longest answer that is read whole; `\"64MiB\"` at most. A longer one fails with 502."),
    entry("server.max_event", "size", "\"16MiB\"", "", "The longest event, and so the longest line, of a provider's stream; `\"16MiB\"` at most. A longer one ends the stream with an error."),
    entry("server.max_depth", "count", "128", "", "How deep JSON may be nested in a request; 128 at most."),
    entry("server.write_timeout", "duration", "\"1m\"", "", "How long a caller may read nothing of an answer that is there; then it is hung up on. `\"0s\"` for as long as it likes."),
    entry("server.max_buffered", "size", "\"1GiB\"", "", "How much of answers that are read whole may be held at a time, all together; a call whose answer would be over it fails with 503 (529)."),
    entry("server.max_head", "size", "\"64KiB\"", "", "The largest head of a request; 8 KiB at least."),
    entry("server.max_messages", "count", "100000", "", "The most messages of a conversation."),
    entry("server.head_timeout", "duration", "\"15s\"", "", "How long the head of a request may take to arrive."),
    entry("server.body_timeout", "duration", "\"30s\"", "", "How long a caller may pause within a request's body."),
    entry("server.timeout", "duration", "\"1h\"", "", "How long a call may take in all; `\"0s\"` for as long as it takes. A caller can say less with `x-tierway-deadline-ms`."),
    entry("server.drain_delay", "duration", "\"0s\"", "", "How long new calls are still taken after the signal to stop, while `/readyz` already says 503: as long as load balancers take to notice."),
    entry("server.drain_timeout", "duration", "\"30s\"", "", "How long streams may go on after that."),
    entry("server.keep_alive", "duration", "\"15s\"", "", "How long a stream may be silent before its caller is shown a sign of life; `\"0s\"` for never."),
    entry("server.watch", "switch", "true", "", "Reads the configuration anew when its file changes, or a file with a secret that it names; SIGHUP always does: [docs/operations.md](docs/operations.md)."),
    entry("providers.*.kind", "kind", "", "", "The kind of server: {kinds}. Needed unless the provider's name is one of these."),
    entry("providers.*.base_url", "URL", "", "OPENAI_ENDPOINT, OPENROUTER_ENDPOINT, OLLAMA_ENDPOINT, LLAMACPP_ENDPOINT, LMSTUDIO_ENDPOINT, AZURE_OPENAI_ENDPOINT, AZURE_ANTHROPIC_ENDPOINT, ANTHROPIC_FOUNDRY_BASE_URL, DATABRICKS_API_BASE, DATABRICKS_HOST, GEMINI_API_BASE, VERTEX_ENDPOINT, DEEPSEEK_ENDPOINT, GROQ_ENDPOINT, MISTRAL_ENDPOINT, XAI_ENDPOINT, TOGETHER_ENDPOINT, FIREWORKS_ENDPOINT, MOONSHOT_ENDPOINT, ZAI_ENDPOINT, CEREBRAS_ENDPOINT, VLLM_ENDPOINT", "Its address, with or without `/v1`; by default the kind's own."),
    entry("providers.*.api_key", "text", "", "ANTHROPIC_API_KEY, OPENAI_API_KEY, OPENROUTER_API_KEY, AWS_BEARER_TOKEN_BEDROCK, AWS_BEDROCK_API_KEY, OLLAMA_API_KEY, LLAMACPP_API_KEY, LMSTUDIO_API_KEY, AZURE_OPENAI_API_KEY, AZURE_ANTHROPIC_API_KEY, ANTHROPIC_FOUNDRY_API_KEY, DATABRICKS_API_KEY, DATABRICKS_TOKEN, GEMINI_API_KEY, GOOGLE_API_KEY, VERTEX_ACCESS_TOKEN, DEEPSEEK_API_KEY, GROQ_API_KEY, MISTRAL_API_KEY, XAI_API_KEY, TOGETHER_API_KEY, TOGETHERAI_API_KEY, FIREWORKS_API_KEY, FIREWORKS_AI_API_KEY, MOONSHOT_API_KEY, ZAI_API_KEY, Z_AI_API_KEY, CEREBRAS_API_KEY, VLLM_API_KEY", "The key to send. Better out of the file, with one of the next two."),
    entry("providers.*.api_key_env", "text", "", "", "The environment variable that holds the key. Without any key setting and with the kind's own address: the kind's variable."),
    entry("providers.*.api_key_file", "path", "", "", "The file that holds the key, from the configuration file's folder."),
    entry("providers.*.api_key_command", "texts", "", "", "A program and its arguments that print the key, for example `[\"pass\", \"show\", \"openai\"]`. It has 10 s, and is asked again after `api_key_ttl` or when the provider answers 401."),
    entry("providers.*.api_key_ttl", "duration", "", "", "How long a key that a program has told is good; five minutes unless this says otherwise."),
    entry("providers.*.auth", "style", "", "", "How the key is sent: `\"bearer\"`, `\"api-key\"` or `\"x-api-key\"`; by default as its kind takes it. An Entra token for Azure needs `\"bearer\"`."),
    entry("providers.*.pass_credentials", "switch", "false", "", "Sends the caller's own credentials on, as a Claude subscription needs."),
    entry("providers.*.native_messages", "switch", "", "", "Whether it speaks Anthropic's dialect itself; unset means: find out."),
    entry("providers.*.native_responses", "switch", "", "", "Whether it speaks OpenAI's Responses itself; unset means: find out."),
    entry("providers.*.native_chat", "switch", "", "", "Asks in its own dialect rather than in chat completions: Ollama's `/api/chat`, OpenAI's Responses."),
    entry("providers.*.api_version", "text", "", "AZURE_OPENAI_API_VERSION, OPENAI_API_VERSION", "Azure OpenAI: uses the older routes of this version, with the deployment in the path."),
    entry("providers.*.project", "text", "", "GOOGLE_CLOUD_PROJECT, VERTEXAI_PROJECT", "Vertex AI: the project; by default that of the credentials."),
    entry("providers.*.region", "text", "", "AWS_REGION, AWS_DEFAULT_REGION, GOOGLE_CLOUD_LOCATION, VERTEXAI_LOCATION, CLOUD_ML_REGION", "Vertex AI and Bedrock: where the models run, from which the address follows; by default `global` and `us-east-1`."),
    entry("providers.*.client_id", "text", "", "DATABRICKS_CLIENT_ID", "Databricks: the service principal for which tokens are fetched, instead of a key."),
    entry("providers.*.client_secret", "text", "", "DATABRICKS_CLIENT_SECRET", "Its secret. Better out of the file, with one of the next two."),
    entry("providers.*.client_secret_env", "text", "", "", "The environment variable that holds the secret."),
    entry("providers.*.client_secret_file", "path", "", "", "The file that holds the secret, from the configuration file's folder."),
    entry("providers.*.credentials_file", "path", "", "GOOGLE_APPLICATION_CREDENTIALS", "Vertex AI: a service account's key file, or application-default credentials."),
    entry("providers.*.models.*.tools", "switch", "", "", "Whether the model takes tools. Models are named, or their names' patterns with `*`; without, a request with tools is refused."),
    entry("providers.*.models.*.vision", "switch", "", "", "Whether it sees images; without, a request with one is refused."),
    entry("providers.*.models.*.documents", "switch", "", "", "Whether it reads documents such as PDF; without, a request with one is refused."),
    entry("providers.*.models.*.logprobs", "switch", "", "", "Whether it tells probabilities; without, a request that wants them is refused."),
    entry("providers.*.models.*.parallel_tools", "switch", "", "", "Whether it can be told to call one tool at a time; without, it is told so in words."),
    entry("providers.*.models.*.structured_output", "switch", "", "", "Whether it keeps to a JSON schema by itself; without, the schema is put into the instructions."),
    entry("providers.*.models.*.streaming_usage", "switch", "", "", "Whether its streams can be asked for their usage."),
    entry("providers.*.models.*.max_tokens_field", "field", "", "", "By which name it takes the limit on output: `\"max_tokens\"` or `\"max_completion_tokens\"`."),
    entry("providers.*.models.*.max_output", "count", "", "", "The most output that it takes as a limit; a higher wish is lowered to it where a request is translated."),
    entry("providers.*.models.*.context", "count", "", "", "How many tokens of prompt and output it holds together; a call that would not fit goes to a tier whose model holds it. By default as the price list says."),
    entry("providers.*.models.*.reasoning", "style", "", "", "How it is told how much to think: `\"none\"`, `\"effort\"` or `\"budget\"`."),
    entry("providers.*.headers.*", "text", "", "", "A header to send with each call."),
    entry("providers.*.timeouts.connect", "duration", "\"10s\"", "", "How long to wait for a connection, TLS included."),
    entry("providers.*.timeouts.first_byte", "duration", "\"10m\"", "", "How long to wait for the first byte of the answer."),
    entry("providers.*.timeouts.idle", "duration", "\"2m\"", "", "How long to wait between two pieces of an answer."),
    entry("providers.*.tls.ca_file", "path", "", "", "Authorities (PEM) to trust for it, beside the system's."),
    entry("providers.*.tls.cert_file", "path", "", "", "The certificate chain (PEM) that proves to it who we are."),
    entry("providers.*.tls.key_file", "path", "", "", "Its private key (PEM)."),
    entry("tiers.simple", "targets", "", "TIER_SIMPLE", "The model for a greeting, a lookup, a one-line edit; or a list, of which the next is asked where one fails."),
    entry("tiers.medium", "targets", "", "TIER_MEDIUM", "The model for everyday work."),
    entry("tiers.complex", "targets", "", "TIER_COMPLEX", "The model for work that spans files, systems or many steps."),
    entry("tiers.reasoning", "targets", "", "TIER_REASONING", "The model for long chains of inference: proofs, audits, root causes."),
    entry("models.*", "route", "", "", "Where a requested model name leads: `\"auto\"`, a tier or a target. The name may end in `*`."),
    entry("embeddings.default", "target", "", "", "The model for `/v1/embeddings` where the caller names none that is known here."),
    entry("count_tokens.estimate", "switch", "true", "", "Counts tokens here where a provider cannot; off, such calls are refused with 501 `not_supported`."),
    entry("keys[].key", "text", "", "", "A key that callers may use. Better out of the file, with one of the next two."),
    entry("keys[].key_env", "text", "", "", "The environment variable that holds the key."),
    entry("keys[].key_file", "path", "", "", "The file that holds the key, from the configuration file's folder."),
    entry("keys[].tenant", "text", "\"default\"", "", "For whom the key calls: caches and bills are kept apart by it."),
    entry("keys[].limits.requests_per_minute", "count", "", "", "The most requests of this key within any minute."),
    entry("keys[].limits.tokens_per_minute", "count", "", "", "The most tokens within any minute, prompts and answers."),
    entry("keys[].limits.concurrent", "count", "", "", "The most calls under way at a time."),
    entry("keys[].limits.usd_per_day", "number", "", "", "The most US dollars a day (UTC)."),
    entry("keys[].limits.usd_per_month", "number", "", "", "The most a month (UTC)."),
    entry("keys[].limits.usd_total", "number", "", "", "The most in all."),
    entry("tenants.*.tiers", "tiers", "", "", "The tiers that this tenant may use; a higher one is lowered to the highest of these."),
    entry("tenants.*.models", "texts", "", "", "The models that it may use, as `\"provider:model\"` with `*` for anything; another is refused with 403, and tiers bound to another are not used."),
    entry("tenants.*.cache", "switch", "", "", "Whether its requests may be answered from the prompt cache, and its answers kept there; by default they may."),
    entry("tenants.*.limits.requests_per_minute", "count", "", "", "The most requests of all its keys together within any minute."),
    entry("tenants.*.limits.tokens_per_minute", "count", "", "", "The most tokens within any minute, prompts and answers."),
    entry("tenants.*.limits.concurrent", "count", "", "", "The most calls under way at a time."),
    entry("tenants.*.limits.usd_per_day", "number", "", "", "The most US dollars a day (UTC)."),
    entry("tenants.*.limits.usd_per_month", "number", "", "", "The most a month (UTC)."),
    entry("tenants.*.limits.usd_total", "number", "", "", "The most in all."),
    entry("rules.*.enabled", "switch", "true", "", "Whether the rule counts. Built in are the floors `secrets`, `payments`, `migrations` and `production`."),
    entry("rules.*.at_least", "tier", "", "", "A floor: the tier that a call gets at least. A rule has this or one of the next two; the built-in ones have `\"complex\"` here."),
    entry("rules.*.at_most", "tier", "", "", "A ceiling: the tier that it gets at most."),
    entry("rules.*.exactly", "tier", "", "", "A force: the tier that it gets, whatever else was decided, ceilings aside."),
    entry("rules.*.phrases", "texts", "", "", "Holds where the user's ask has one of these as whole words. A built-in floor with phrases looks for these alone."),
    entry("rules.*.paths", "texts", "", "", "Holds on one of these paths; one may end in `*`."),
    entry("rules.*.headers.*", "text", "", "", "Holds where one of these headers has its value; it may end in `*`."),
    entry("rules.*.tenants", "texts", "", "", "Holds for one of these tenants."),
    entry("rules.*.clients", "texts", "", "", "Holds for one of these clients: {clients}."),
    entry("rules.*.classes", "texts", "", "", "Holds for calls of one of these classes: {classes}."),
    entry("admin.token", "text", "", "TIERWAY_ADMIN_TOKEN", "What opens the admin port, as `Authorization: Bearer`, as a Basic password or on its login page: 16 characters at least. Without one it is open, and on loopback only. Better out of the file, with one of the next two."),
    entry("admin.token_env", "text", "", "", "The environment variable that holds it."),
    entry("admin.token_file", "path", "", "", "The file that holds it, from the configuration file's folder."),
    entry("admin.tls", "switch", "false", "", "Speaks TLS on the admin port, with the certificate of `[server.tls]`, and its `client_ca_file` where there is one."),
    entry("admin.open_metrics", "switch", "false", "", "Shows `/metrics` without it. `/healthz` and `/readyz` never need it."),
    entry("access.required", "switch", "false", "", "Nobody calls without a key even where the file has none: for keys of [`tierway keys`](docs/access.md)."),
    entry("access.file", "path", "", "", "The file (SQLite) of virtual keys and sign-ins; by default `access.db` in the state folder. With `ledger.url` they are in that PostgreSQL."),
    entry("access.pepper", "text", "", "", "What is mixed into the digests of keys, so that they are of no use without it. Keys that were made with another one no longer admit. Better out of the file, with one of the next two."),
    entry("access.pepper_env", "text", "", "", "The environment variable that holds it."),
    entry("access.pepper_file", "path", "", "", "The file that holds it, from the configuration file's folder."),
    entry("oidc.*.issuer", "URL", "", "", "Whose signed tokens (JWT) admit, as they name it in `iss`: [docs/access.md](docs/access.md)."),
    entry("oidc.*.audience", "texts", "", "", "What tokens must name in `aud`, one of these; without, they do not admit, and the issuer is for the sign-in page alone."),
    entry("oidc.*.jwks_url", "URL", "", "", "Where its public keys are; by default where its `/.well-known/openid-configuration` says."),
    entry("oidc.*.algorithms", "texts", "", "", "The signatures that are accepted, all with public keys; by default `RS256`, `ES256` and `EdDSA`."),
    entry("oidc.*.leeway", "duration", "", "", "How far its clock and ours may differ, ten minutes at most; by default one."),
    entry("oidc.*.tenant", "text", "", "", "For whom its callers call; by default the issuer's name here."),
    entry("oidc.*.tenant_claim", "text", "", "", "The claim that tells instead, where a token has it."),
    entry("oidc.*.tiers", "tiers", "", "", "The tiers that its callers may use; by default all."),
    entry("oidc.*.models_claim", "text", "", "", "The claim that lists the models that its holder may use, as `\"provider:model\"` with `*` for anything."),
    entry("oidc.*.tags_claim", "text", "", "", "The claim that lists words for the ledger."),
    entry("oidc.*.client_id", "text", "", "", "As whom the sign-in page introduces itself to the issuer (code flow with PKCE)."),
    entry("oidc.*.client_secret", "text", "", "", "What it shows for that, where the issuer wants it. Better out of the file, with one of the next two."),
    entry("oidc.*.client_secret_env", "text", "", "", "The environment variable that holds it."),
    entry("oidc.*.client_secret_file", "path", "", "", "The file that holds it, from the configuration file's folder."),
    entry("sign_in.enabled", "switch", "false", "", "Lets users of Claude Code sign in to the gateway (`claude /login`) instead of holding keys."),
    entry("sign_in.public_url", "URL", "", "", "Where users reach the gateway, such as `\"https://llm.example.com\"`; by default what their client calls it."),
    entry("sign_in.settings", "path", "", "", "A file of Claude Code's settings (JSON) that clients are told; without one there is no policy."),
    entry("sign_in.token_ttl", "duration", "\"1h\"", "", "How long a token admits before it has to be renewed."),
    entry("sign_in.refresh_ttl", "duration", "\"30days\"", "", "How long a sign-in lasts without use."),
    entry("sign_in.max_pending", "count", "1000", "", "How many sign-ins may be under way at a time."),
    entry("sign_in.users.*.password_hash", "text", "", "", "What `tierway keys password` prints for this user's password (Argon2id)."),
    entry("sign_in.users.*.tenant", "text", "", "", "For whom the user calls; by default the user's own name."),
    entry("affinity.enabled", "switch", "true", "", "Lets a conversation keep its model until its task outgrows it, or a cheaper one pays."),
    entry("affinity.ttl", "duration", "\"1h\"", "", "How long a conversation is remembered after its last call."),
    entry("affinity.max_sessions", "count", "100000", "", "How many conversations this process remembers."),
    entry("affinity.store", "store", "\"memory\"", "", "Who remembers them: `\"memory\"`, this process alone, or `\"redis\"`, for gateways that share one."),
    entry("breakpoints.enabled", "switch", "true", "", "Tells providers to keep the beginning of a prompt (`cache_control`) where the client tells nothing and it pays: [docs/caching.md](docs/caching.md)."),
    entry("breakpoints.ttl", "word", "\"auto\"", "", "For how long: `\"5m\"`, `\"1h\"` where that can be had, or `\"auto\"`, whichever is worth more."),
    entry("breakpoints.openai_keys", "switch", "false", "", "Tells OpenAI which calls are of one conversation (`prompt_cache_key`) where the client does not."),
    entry("compress.enabled", "switch", "false", "", "Sends tools' results with fewer tokens, without losing anything of them; results of reading files stay as they are: [docs/compression.md](docs/compression.md)."),
    entry("compress.json", "switch", "true", "", "With it: JSON without spaces between its things."),
    entry("compress.table", "switch", "true", "", "Lists of objects with the same keys as tables, still JSON."),
    entry("compress.terminal", "switch", "true", "", "Without a terminal's colours, and with the last state of each progress bar alone."),
    entry("compress.trailing", "switch", "true", "", "Without spaces at the ends of lines."),
    entry("compress.duplicate", "switch", "true", "", "A result that stands in the same request already becomes a reference to the first."),
    entry("limits.store", "store", "\"memory\"", "", "Who counts for the limits of keys and tenants: `\"memory\"`, this process alone, or `\"redis\"`, for gateways that share one."),
    entry("limits.without_redis", "word", "\"local\"", "", "What becomes of rates while Redis is away: `\"local\"` (each gateway keeps them for itself), `\"open\"` or `\"closed\"`."),
    entry("limits.budgets_without_redis", "word", "\"local\"", "", "The same for budgets."),
    entry("balance.tiers", "tiers", "", "", "The tiers whose list of models are peers that share its calls, the least loaded first, rather than a first and its stand-ins."),
    entry("balance.sticky", "switch", "true", "", "Whether a conversation stays with one of them, so that its prefix is cached there."),
    entry("balance.weights.*", "number", "", "", "What the model `\"provider:model\"` takes beside the others; 1 where it is not said."),
    entry("retry.max", "turns", "2", "", "How often a failed call is made again at most, before the first byte of its answer; 0 for never."),
    entry("retry.backoff", "duration", "\"250ms\"", "", "The first pause before that; each further one is twice as long, and all vary by chance."),
    entry("retry.max_backoff", "duration", "\"8s\"", "", "The longest pause."),
    entry("retry.max_retry_after", "duration", "\"5s\"", "", "The longest wait that a provider may ask for (`retry-after`); one that wants longer is not asked again. Where the tier has another model: a second at most."),
    entry("retry.budget", "share", "0.2", "", "The most retries, as a share of all calls to a provider in ten seconds; one a second is free."),
    entry("breaker.enabled", "switch", "true", "", "Leaves a model alone for a while that keeps failing."),
    entry("breaker.failures", "count", "5", "", "After so many failures at least: 5xx, 429, timeouts, broken connections."),
    entry("breaker.share", "share", "0.5", "", "And when they are this share of its calls."),
    entry("breaker.window", "duration", "\"30s\"", "", "Within this time."),
    entry("breaker.open_for", "duration", "\"10s\"", "", "For how long at first; twice as long each time that it fails again."),
    entry("breaker.max_open", "duration", "\"2m\"", "", "For how long at most."),
    entry("breaker.store", "store", "\"memory\"", "", "Who is told of it: `\"memory\"`, this process alone, or `\"redis\"`, for gateways that share one: there one failure is then enough."),
    entry("cascade.enabled", "switch", "false", "LYNKR_CASCADE_ENABLED", "Tries a small model first and keeps its answer when that is good enough."),
    entry("cascade.small", "target", "", "", "The small model; by default the simple tier's."),
    entry("cascade.tiers", "tiers", "[\"medium\", \"complex\"]", "", "The tiers whose requests the small model may answer."),
    entry("cascade.threshold", "share", "0.85", "", "The confidence from which on the small model's answer is kept."),
    entry("cascade.streams", "mode", "\"off\"", "", "What becomes of streams: `\"off\"` (they go straight to the model of their tier), `\"buffer\"` (a draft is held back until it is judged), `\"prefix\"` (until its beginning is sure enough, where that is certified), `\"hedged\"` (the big model may start beside it). `true` is `\"buffer\"`, `false` is `\"off\"`."),
    entry("cascade.tools", "switch", "false", "", "Whether the small model may answer requests with tools. Nothing is executed here: its calls are judged before the client sees them."),
    entry("cascade.max_added_latency", "duration", "", "", "How long the big model may be kept waiting for a draft and its verdict; by default, and with `\"0s\"`, as long as it takes."),
    entry("cascade.max_price_ratio", "number", "1", "", "From this price on, as a share of the big model's for the same request, the small model is not tried; unknown prices are no reason."),
    entry("cascade.stay_big", "turns", "3", "", "For how many requests a conversation stays with the big model after that had to answer."),
    entry("cascade.logprobs", "switch", "true", "", "Asks the small model for log-probabilities where it gives them. Clients see those alone that they asked for."),
    entry("cascade.samples", "count", "0", "", "How many further answers the small model is asked for beside a draft; how many say the same, or how far they do, is a sign. Each costs as much as a draft."),
    entry("cascade.verify", "who", "\"off\"", "", "Who is asked whether a draft is right, before it is kept: `\"off\"`, `\"small\"` (the small model itself; `true` is the same), or a target. One short call."),
    entry("cascade.hedge_share", "share", "0.05", "", "With `\"hedged\"`: the most drafts beside which the big model is started."),
    entry("cascade.hedge_after", "share", "0.5", "", "With `\"hedged\"`: the share of `max_added_latency` after which it is."),
    entry("cascade.model", "path", "", "", "The file of the model that judges drafts; by default `cascade.model` in the state folder: `tierway` in `$XDG_STATE_HOME` or `~/.local/state`. One that does not exist: nothing has been learned yet."),
    entry("cascade.uncertified", "word", "\"keep\"", "", "What becomes of drafts of a kind for which nothing is certified: `\"keep\"` (the threshold decides, and the header says `certified=no`) or `\"defer\"` (the big model answers)."),
    entry("cascade.tier.*.streams", "mode", "", "", "The same for one tier, as in `[cascade.tier.complex]`."),
    entry("cascade.tier.*.max_added_latency", "duration", "", "", "The same for one tier."),
    entry("labels.enabled", "switch", "false", "", "Learns which drafts are good enough: compares with the big model, takes feedback, keeps labels (numbers, no texts) and learns from them."),
    entry("labels.file", "path", "", "", "Where labels are kept; by default `labels.jsonl` in the state folder."),
    entry("labels.tiers_model", "path", "", "", "The file of what labels teach about tiers; by default `tiers.model` in the state folder. One that does not exist: the shipped weights choose."),
    entry("labels.max_bytes", "size", "\"64MiB\"", "", "How much room they may take there; the oldest go first."),
    entry("labels.shadow_share", "share", "0.02", "", "The share of kept drafts whose request the big model answers too, after the client has its answer."),
    entry("labels.shadow_focus", "number", "4", "", "How many times that share it is where the confidence is within 0.05 of the threshold: there a label teaches most. What is certified stands on as many of those as of all others."),
    entry("labels.shadow_usd_per_day", "number", "1", "", "What that may cost in a day (UTC), in US dollars. A model whose price is not known is never asked."),
    entry("labels.shadow_in_flight", "count", "4", "", "How many such calls may be under way at a time."),
    entry("labels.judge", "target", "", "", "The model that compares two answers that are not plainly the same; without one, prose that differs is not labelled."),
    entry("labels.learn_every", "count", "50", "", "After how many new labels the model is learned anew."),
    entry("labels.alpha", "share", "0.05", "", "The harm to be certified: the share of calls whose draft is kept although the big model would have been better."),
    entry("labels.delta", "share", "0.1", "", "The probability with which a certificate may be wrong."),
    entry("labels.feedback_ttl", "duration", "\"1h\"", "", "How long after a call `POST /v1/feedback` may tell how good its answer was."),
    entry("labels.store", "store", "\"memory\"", "", "Who uses what is learned: `\"memory\"`, this process alone, or `\"redis\"`, for gateways that share one; the newest weights are everybody's."),
    entry("cache.enabled", "switch", "true", "PROMPT_CACHE_ENABLED", "Answers a repeated request without a model."),
    entry("cache.store", "store", "\"memory\"", "", "Who keeps answers: `\"memory\"`, this process; `\"disk\"`, a file too, over restarts; `\"redis\"`, the Redis of `redis.url` too, for gateways that share one."),
    entry("cache.max_bytes", "size", "\"256MiB\"", "", "How much memory the cache may fill."),
    entry("cache.ttl", "duration", "\"5m\"", "PROMPT_CACHE_TTL_MS", "How long an answer is kept."),
    entry("cache.max_entry", "size", "\"1MiB\"", "", "The largest answer that is kept."),
    entry("cache.sampled", "switch", "false", "", "Keeps answers to requests with a temperature above 0 too."),
    entry("cache.tool_calls", "switch", "false", "", "Keeps answers that call tools too: whoever gets one acts again."),
    entry("cache.coalesce", "switch", "true", "", "Lets requests that are the same at the same time share one upstream call; requests with tools only where `tool_calls` is on."),
    entry("cache.file", "path", "", "", "The file of `store = \"disk\"`; by default `cache.redb` in the state folder."),
    entry("cache.max_disk_bytes", "size", "\"1GiB\"", "", "How much it may hold; the oldest answers go first."),
    entry("semantic_cache.enabled", "switch", "false", "", "Answers a question as one that was asked before in other words, where `cache` has that answer: [docs/caching.md](docs/caching.md)."),
    entry("semantic_cache.embeddings", "target", "", "", "The model that turns questions into vectors, at any provider with `/v1/embeddings`."),
    entry("semantic_cache.local_model", "path", "", "", "The folder of a model that does so in this process, in a build with `local-embeddings`."),
    entry("semantic_cache.threshold", "share", "0.87", "", "The least cosine at which two questions are taken for the same; calibrated for all-MiniLM-L6-v2."),
    entry("semantic_cache.max_bytes", "size", "\"64MiB\"", "", "How much room questions and vectors may take."),
    entry("semantic_cache.timeout", "duration", "\"1s\"", "", "How long a call may wait for its vector before it goes on without."),
    entry("responses.max_bytes", "size", "\"128MiB\"", "", "How much memory answers of Responses may fill that no provider keeps."),
    entry("responses.ttl", "duration", "\"1day\"", "", "How long one is kept."),
    entry("mcp.serve", "switch", "false", "", "Serves the tools, resources and prompts of all servers, and a few of the gateway's own, at `/mcp`, for clients such as Claude Code."),
    entry("mcp.origins", "list", "", "", "The web pages that may call `/mcp`, as `\"https://example.com\"`; others are refused (DNS rebinding)."),
    entry("mcp.models", "list", "", "", "Calls that name one of these models get tools without asking; `*` stands for anything."),
    entry("mcp.allow", "list", "", "", "The tools that anybody may use, as `server.tool`, in which `*` stands for anything; by default all."),
    entry("mcp.deny", "list", "", "", "The tools that nobody may use."),
    entry("mcp.writes", "word", "\"confirm\"", "", "What becomes of calls of tools whose server does not say that they only read: `\"allow\"`, `\"confirm\"` (the user is asked first), or `\"deny\"` (they are not shown)."),
    entry("mcp.max_rounds", "count", "10", "", "How often the model may be asked in one call."),
    entry("mcp.max_calls", "count", "50", "", "How many tools it may call."),
    entry("mcp.max_time", "duration", "\"5m\"", "", "How long that may take before it must answer with what it knows."),
    entry("mcp.max_usd", "number", "1", "", "What that may cost before, in US dollars."),
    entry("mcp.search_from", "count", "", "", "From so many tools on, models are not shown all of them but a tool that finds tools: [docs/mcp.md](docs/mcp.md). By default never."),
    entry("mcp.sign_ins", "path", "", "", "The folder in which sign-ins to servers are kept ([`tierway mcp login`](docs/mcp.md)); by default `mcp` in the state folder."),
    entry("mcp.tenants.*.always", "switch", "", "", "The tenant's calls get tools without asking."),
    entry("mcp.tenants.*.allow", "list", "", "", "The tools that it may use, of those that anybody may; by default all."),
    entry("mcp.tenants.*.deny", "list", "", "", "The tools that it may not use."),
    entry("mcp.servers.*.command", "text", "", "", "A program that is started and spoken to over its standard input and output."),
    entry("mcp.servers.*.args", "list", "", "", "Its arguments."),
    entry("mcp.servers.*.env.*", "text", "", "", "A variable in its environment, which is clean otherwise."),
    entry("mcp.servers.*.pass_env", "list", "", "", "Variables of the gateway's own environment that it gets."),
    entry("mcp.servers.*.folder", "path", "", "", "The folder that it works in, from the configuration file's folder."),
    entry("mcp.servers.*.url", "URL", "", "", "The address of a server that runs elsewhere and speaks streamable HTTP."),
    entry("mcp.servers.*.headers.*", "text", "", "", "A header that is sent there."),
    entry("mcp.servers.*.token", "text", "", "", "A token that is sent there as `authorization: Bearer`. Better out of the file, with one of the next two."),
    entry("mcp.servers.*.token_env", "text", "", "", "The environment variable that holds it."),
    entry("mcp.servers.*.token_file", "path", "", "", "The file that holds it, from the configuration file's folder."),
    entry("mcp.servers.*.token_url", "URL", "", "", "The address of a server for tokens (OAuth, client credentials), where the gateway logs in instead."),
    entry("mcp.servers.*.client_id", "text", "", "", "Who the gateway is there. Without `token_url`: who it is where somebody signs in for it; by default it registers itself."),
    entry("mcp.servers.*.client_secret", "text", "", "", "Its secret. Better out of the file, with one of the next two."),
    entry("mcp.servers.*.client_secret_env", "text", "", "", "The environment variable that holds it."),
    entry("mcp.servers.*.client_secret_file", "path", "", "", "The file that holds it, from the configuration file's folder."),
    entry("mcp.servers.*.scope", "text", "", "", "What it asks to be allowed, with spaces between."),
    entry("mcp.servers.*.writes", "word", "", "", "As `mcp.writes`, for this server."),
    entry("mcp.servers.*.timeout", "duration", "\"1m\"", "", "How long a call may take."),
    entry("mcp.servers.*.connect_timeout", "duration", "\"30s\"", "", "How long it may take to start and tell what it has."),
    entry("mcp.servers.*.max_output", "size", "\"64KiB\"", "", "The most of an answer that a model is shown; of a longer one the middle is left out."),
    entry("mcp.servers.*.max_tools", "count", "256", "", "The most tools that are taken from it."),
    entry("redis.url", "URL", "", "", "The Redis that several gateways share: `redis://` or `rediss://` (TLS), with user and password where it wants them. Better out of the file, with one of the next two."),
    entry("redis.url_env", "text", "", "", "The environment variable that holds the URL."),
    entry("redis.url_file", "path", "", "", "The file that holds the URL, from the configuration file's folder."),
    entry("redis.timeout", "duration", "\"50ms\"", "", "How long to wait for it. One that fails or is slow holds up no call: what it would have known is not known."),
    entry("prices.*.input", "price", "", "", "US dollars for a million tokens sent to a model, written `\"provider:model\"`, that the built-in list does not know."),
    entry("prices.*.output", "price", "", "", "The same for tokens answered."),
    entry("prices.*.cache_read", "price", "", "", "The same for tokens read from the provider's cache; by default as `input`."),
    entry("prices.*.cache_write", "price", "", "", "The same for tokens written to the provider's cache; by default as `input`."),
    entry("prices.*.hour", "number", "", "", "US dollars for an hour in which one's own machine works on a call of this model; calls that overlap pay each for itself."),
    entry("savings.baseline", "target", "", "", "What savings are measured against; by default the model that the caller named."),
    entry("savings.holdout", "share", "0", "", "The share of conversations whose calls the baseline answers all the same, chosen by chance: it tells what is saved with nothing assumed, and costs that share of it. 0.01 is a good beginning."),
    entry("savings.prices", "path", "", "", "A price list that is used before the built-in one; by default `prices.tsv` in the state folder, where `tierway prices update` writes it. One that does not exist: the built-in one alone."),
    entry("ledger.enabled", "switch", "true", "", "Keeps what every call cost and saved, for `tierway usage` and the dashboard. No texts."),
    entry("ledger.file", "path", "", "", "The file of its embedded database (SQLite); by default `ledger.db` in the state folder: `tierway` in `$XDG_STATE_HOME` or `~/.local/state`."),
    entry("ledger.url", "URL", "", "", "The PostgreSQL that is used instead, for several gateways: `postgres://user@host/database`, with `?sslmode=require` for TLS. Better out of the file, with one of the next two."),
    entry("ledger.url_env", "text", "", "", "The environment variable that holds the URL."),
    entry("ledger.url_file", "path", "", "", "The file that holds the URL, from the configuration file's folder."),
    entry("ledger.retention", "duration", "\"3months\"", "", "How long calls are kept; `\"0s\"` for ever."),
    entry("ledger.spill", "path", "", "", "The folder for what the database cannot take at once; by default that of `ledger.file`, or the state folder."),
    entry("ledger.max_spill", "size", "\"64MiB\"", "", "How much room that may take there; what comes on top is lost, and counted."),
    entry("ledger.asks", "switch", "false", "", "Keeps the user's own words of each call too, what looks like a secret blacked out."),
    entry("ledger.asks_retention", "duration", "\"7days\"", "", "How long those are kept."),
    entry("metrics.gen_ai", "switch", "true", "", "Counts calls under OpenTelemetry's names for generative AI (`gen_ai_...`) too, by model."),
    entry("traces.otlp", "URL", "", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT", "The collector that is sent traces, as OTLP over HTTP: `\"http://127.0.0.1:4318\"`, with or without `/v1/traces`. Without one, nothing is traced. They hold no word of prompt or answer."),
    entry("traces.share", "share", "1", "", "The share of traces that is recorded; where the caller names a trace (`traceparent`), the caller has decided."),
    entry("log.format", "format", "\"auto\"", "", "`\"human\"`, `\"json\"`, or `\"auto\"`: for people on a terminal, JSON otherwise."),
    entry("log.level", "level", "\"info\"", "TIERWAY_LOG", "`\"error\"` to `\"trace\"`, or a list such as `\"info,tierway=debug\"`. `RUST_LOG`, where it is set, says it instead."),
];

/// What the table alone would not tell.
const NOTES: &str = "
A size is a number of bytes or a text such as `\"32MiB\"`; a duration is a text such as `\"30s\"` or `\"5m\"`; a target is
`\"provider:model\"`, split at its first colon; a price is in US dollars for a million tokens.

The command line (`--listen`, `--admin`) wins over the environment, the environment over the file, the file over the defaults. The
file is `--config`, else `TIERWAY_CONFIG`, else `./tierway.toml`, else `tierway/tierway.toml` in `$XDG_CONFIG_HOME` or `~/.config`.

A provider named after its kind exists without the file when its address or, unless it is a local server, its key is in the
environment; a local server or `bedrock` also when a tier names it. The environment changes no provider of the file, but for a key or
a region that the file leaves out. Without a key, `bedrock` signs with the credentials that Amazon's own tools would use: environment,
profile, web identity, container, machine. `PORT` changes the port of `server.listen` and keeps its host. A `TIER_` variable without
a colon names a model of `MODEL_PROVIDER`; `PROMPT_CACHE_TTL_MS` is in milliseconds.
";

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
            entry.key.replace('*', "NAME"),
            entry.takes,
            code(entry.default),
            variables.join(", "),
            meaning(entry),
        );
    }
    table + NOTES
}

/// With the names filled in that exist.
fn meaning(entry: &Entry) -> String {
    let (kinds, clients, classes) = (Kind::ALL, ClientKind::ALL, Class::ALL);
    entry
        .meaning
        .replace("{kinds}", &list(kinds))
        .replace("{clients}", &list(clients))
        .replace("{classes}", &list(classes))
}

fn list(names: &[impl std::fmt::Display]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`\"{name}\"`")).collect();
    names.join(", ")
}
