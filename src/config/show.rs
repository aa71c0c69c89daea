//! Prints a configuration as it could be typed, with where each value came from and no secret.
mod access;
mod compress;
mod mcp;
mod server;
mod values;

pub(crate) use values::{key, quote};

use super::{Loaded, Origin, Provider};
use std::fmt::Write;
use tierway_layers::{
    classify::Effect,
    limit::{self, Without},
};
use tierway_services::providers::Abilities;
use values::{duration, size};

/// What stands for a secret.
const HIDDEN: &str = "\"***\"";

/// Prints sections of `key = value  # origin`, the origins aligned.
struct Sheet<'a> {
    loaded: &'a Loaded,
    text: String,
    rows: Vec<(String, String)>,
}

impl Loaded {
    /// The whole configuration as TOML text: every value with where it came from, secrets as `"***"`.
    #[must_use]
    pub fn show(&self) -> String {
        let config = &self.config;
        let mut sheet = Sheet {
            loaded: self,
            text: String::new(),
            rows: Vec::new(),
        };
        sheet.server();
        for (name, provider) in &config.providers {
            sheet.provider(name, provider);
        }
        for (tier, target) in &config.tiers {
            let mut targets = vec![quote(target)];
            targets.extend(config.fallbacks.get(tier).into_iter().flatten().map(quote));
            let value = match &*targets {
                [only] => only.clone(),
                several => format!("[{}]", several.join(", ")),
            };
            sheet.row("tiers", tier.as_str(), value);
        }
        sheet.end("[tiers]");
        for (name, route) in &config.models {
            sheet.row("models", name, quote(route));
        }
        sheet.end("[models]");
        if let Some(default) = &config.embeddings.default {
            sheet.row("embeddings", "default", quote(default));
        }
        sheet.end("[embeddings]");
        sheet.row("count_tokens", "estimate", config.count_tokens.estimate);
        sheet.end("[count_tokens]");
        for (index, key) in config.keys.iter().enumerate() {
            let path = format!("keys.{index}");
            sheet.row(&path, "key", HIDDEN);
            sheet.row(&path, "tenant", quote(&key.tenant));
            sheet.end("[[keys]]");
            sheet.quota(&path, &key.limits);
            sheet.end("[keys.limits]");
        }
        sheet.access();
        sheet.tenants();
        sheet.rules();
        let affinity = &config.affinity;
        sheet.row("affinity", "enabled", affinity.enabled);
        sheet.row("affinity", "ttl", duration(affinity.ttl));
        sheet.row("affinity", "max_sessions", affinity.max_sessions);
        sheet.row("affinity", "store", quote(affinity.store.as_str()));
        sheet.end("[affinity]");
        let breakpoints = &config.breakpoints;
        sheet.row("breakpoints", "enabled", breakpoints.enabled);
        sheet.row("breakpoints", "ttl", quote(breakpoints.ttl.as_str()));
        sheet.row("breakpoints", "openai_keys", breakpoints.openai_keys);
        sheet.end("[breakpoints]");
        sheet.compress();
        sheet.resilience();
        let cascade = &config.cascade;
        sheet.row("cascade", "enabled", cascade.enabled);
        if let Some(small) = &cascade.small {
            sheet.row("cascade", "small", quote(small));
        }
        let tiers: Vec<String> = cascade.tiers.iter().map(quote).collect();
        sheet.row("cascade", "tiers", format!("[{}]", tiers.join(", ")));
        sheet.row("cascade", "threshold", cascade.threshold);
        sheet.row("cascade", "streams", quote(cascade.streams));
        sheet.row("cascade", "tools", cascade.tools);
        if let Some(limit) = cascade.max_added_latency {
            sheet.row("cascade", "max_added_latency", duration(limit));
        }
        sheet.row("cascade", "max_price_ratio", cascade.max_price_ratio);
        sheet.row("cascade", "stay_big", cascade.stay_big);
        sheet.row("cascade", "logprobs", cascade.logprobs);
        sheet.row("cascade", "samples", cascade.samples);
        sheet.row("cascade", "verify", quote(&cascade.verify));
        sheet.row("cascade", "hedge_share", cascade.hedge_share);
        sheet.row("cascade", "hedge_after", cascade.hedge_after);
        if let Some(model) = &cascade.model {
            sheet.row("cascade", "model", quote(model.display()));
        }
        sheet.row(
            "cascade",
            "uncertified",
            quote(cascade.uncertified.as_str()),
        );
        sheet.end("[cascade]");
        for (tier, own) in &cascade.tier {
            let path = format!("cascade.tier.{tier}");
            if let Some(streams) = own.streams {
                sheet.row(&path, "streams", quote(streams));
            }
            if let Some(limit) = own.max_added_latency {
                sheet.row(&path, "max_added_latency", duration(limit));
            }
            sheet.end(&format!("[{path}]"));
        }
        let labels = &config.labels;
        sheet.row("labels", "enabled", labels.enabled);
        if let Some(file) = &labels.file {
            sheet.row("labels", "file", quote(file.display()));
        }
        if let Some(model) = &labels.tiers_model {
            sheet.row("labels", "tiers_model", quote(model.display()));
        }
        sheet.row("labels", "max_bytes", size(labels.max_bytes));
        sheet.row("labels", "shadow_share", labels.shadow_share);
        sheet.row("labels", "shadow_focus", labels.shadow_focus);
        let a_day = labels.shadow_usd_per_day.as_dollars();
        sheet.row("labels", "shadow_usd_per_day", a_day);
        sheet.row("labels", "shadow_in_flight", labels.shadow_in_flight);
        if let Some(judge) = &labels.judge {
            sheet.row("labels", "judge", quote(judge));
        }
        sheet.row("labels", "learn_every", labels.learn_every);
        sheet.row("labels", "alpha", labels.alpha);
        sheet.row("labels", "delta", labels.delta);
        sheet.row("labels", "feedback_ttl", duration(labels.feedback_ttl));
        sheet.row("labels", "store", quote(labels.store.as_str()));
        sheet.end("[labels]");
        let cache = &config.cache;
        sheet.row("cache", "enabled", cache.enabled);
        sheet.row("cache", "store", quote(cache.store.as_str()));
        sheet.row("cache", "max_bytes", size(cache.max_bytes));
        sheet.row("cache", "ttl", duration(cache.ttl));
        sheet.row("cache", "max_entry", size(cache.max_entry));
        sheet.row("cache", "sampled", cache.sampled);
        sheet.row("cache", "tool_calls", cache.tool_calls);
        sheet.row("cache", "coalesce", cache.coalesce);
        if let Some(file) = &cache.file {
            sheet.row("cache", "file", quote(file.display()));
        }
        sheet.row("cache", "max_disk_bytes", size(cache.max_disk_bytes));
        sheet.end("[cache]");
        let semantic = &config.semantic_cache;
        sheet.row("semantic_cache", "enabled", semantic.enabled);
        if let Some(target) = &semantic.embeddings {
            sheet.row("semantic_cache", "embeddings", quote(target));
        }
        if let Some(folder) = &semantic.local_model {
            sheet.row("semantic_cache", "local_model", quote(folder.display()));
        }
        sheet.row("semantic_cache", "threshold", semantic.threshold);
        sheet.row("semantic_cache", "max_bytes", size(semantic.max_bytes));
        sheet.row("semantic_cache", "timeout", duration(semantic.timeout));
        sheet.end("[semantic_cache]");
        let kept = &config.responses;
        sheet.row("responses", "max_bytes", size(kept.max_bytes));
        sheet.row("responses", "ttl", duration(kept.ttl));
        sheet.end("[responses]");
        sheet.mcp();
        if let Some(url) = config.redis.shown() {
            sheet.row("redis", "url", quote(url));
        }
        sheet.row("redis", "timeout", duration(config.redis.timeout));
        sheet.end("[redis]");
        for (name, price) in &config.prices {
            let path = format!("prices.{name}");
            let per_million = |usd: tierway_services::chat::Usd| usd.times(1_000_000).as_dollars();
            sheet.row(&path, "input", per_million(price.input));
            sheet.row(&path, "output", per_million(price.output));
            for (key, usd) in [
                ("cache_read", price.cache_read),
                ("cache_write", price.cache_write),
            ] {
                if let Some(usd) = usd {
                    sheet.row(&path, key, per_million(usd));
                }
            }
            if let Some(hour) = price.hour {
                sheet.row(&path, "hour", hour.as_dollars());
            }
            sheet.end(&format!("[prices.{}]", key(name)));
        }
        if let Some(baseline) = &config.savings.baseline {
            sheet.row("savings", "baseline", quote(baseline));
        }
        sheet.row("savings", "holdout", config.savings.holdout);
        if let Some(prices) = &config.savings.prices {
            sheet.row("savings", "prices", quote(prices.display()));
        }
        sheet.end("[savings]");
        sheet.ledger();
        sheet.row("metrics", "gen_ai", config.metrics.gen_ai);
        sheet.end("[metrics]");
        if let Some(url) = &config.traces.otlp {
            sheet.row("traces", "otlp", quote(url));
        }
        sheet.row("traces", "share", config.traces.share);
        sheet.end("[traces]");
        sheet.row("log", "format", quote(config.log.format.as_str()));
        sheet.row("log", "level", quote(&config.log.level));
        sheet.end("[log]");
        sheet.text
    }
}

// === impl Sheet ===

impl Sheet<'_> {
    fn provider(&mut self, name: &str, provider: &Provider) {
        let path = format!("providers.{name}");
        self.row(&path, "kind", quote(provider.kind));
        if let Some(url) = provider.address() {
            self.row(&path, "base_url", quote(url));
        }
        if provider.api_key.is_some() {
            self.row(&path, "api_key", HIDDEN);
        }
        self.key_command(&path, provider);
        self.row(&path, "pass_credentials", provider.pass_credentials);
        if let Some(native) = provider.native_messages {
            self.row(&path, "native_messages", native);
        }
        if let Some(native) = provider.native_responses {
            self.row(&path, "native_responses", native);
        }
        let settings = &provider.settings;
        if settings.native_chat {
            self.row(&path, "native_chat", true);
        }
        if let Some(auth) = settings.auth {
            self.row(&path, "auth", quote(auth));
        }
        for (key, text) in [
            ("api_version", &settings.api_version),
            ("project", &settings.project),
            ("region", &settings.region),
            ("client_id", &settings.client_id),
        ] {
            if let Some(text) = text {
                self.row(&path, key, quote(text));
            }
        }
        if settings.client_secret.is_some() {
            self.row(&path, "client_secret", HIDDEN);
        }
        self.end(&format!("[providers.{}]", key(name)));
        let timeouts = format!("{path}.timeouts");
        self.row(&timeouts, "connect", duration(provider.timeouts.connect));
        self.row(
            &timeouts,
            "first_byte",
            duration(provider.timeouts.first_byte),
        );
        self.row(&timeouts, "idle", duration(provider.timeouts.idle));
        self.end(&format!("[providers.{}.timeouts]", key(name)));
        self.provider_tls(&path, &provider.tls);
        self.end(&format!("[providers.{}.tls]", key(name)));
        for (model, abilities) in &provider.models {
            self.abilities(&format!("{path}.models.{model}"), abilities);
            let section = format!("[providers.{}.models.{}]", key(name), key(model));
            self.end(&section);
        }
        for (header, _) in &provider.headers {
            self.row(&format!("{path}.headers"), header, HIDDEN);
        }
        self.end(&format!("[providers.{}.headers]", key(name)));
    }

    fn abilities(&mut self, path: &str, abilities: &Abilities) {
        for (key, told) in [
            ("tools", abilities.tools),
            ("vision", abilities.vision),
            ("documents", abilities.documents),
            ("logprobs", abilities.logprobs),
            ("parallel_tools", abilities.parallel_tools),
            ("structured_output", abilities.structured_output),
            ("streaming_usage", abilities.streaming_usage),
        ] {
            if let Some(told) = told {
                self.row(path, key, told);
            }
        }
        if let Some(field) = abilities.max_tokens_field {
            self.row(path, "max_tokens_field", quote(field.as_str()));
        }
        if let Some(most) = abilities.max_output {
            self.row(path, "max_output", most);
        }
        if let Some(most) = abilities.context {
            self.row(path, "context", most);
        }
        if let Some(reasoning) = abilities.reasoning {
            self.row(path, "reasoning", quote(reasoning.as_str()));
        }
    }

    fn tenants(&mut self) {
        for (name, tenant) in &self.loaded.config.tenants {
            let path = format!("tenants.{name}");
            self.list(&path, "tiers", tenant.tiers.as_deref().unwrap_or_default());
            self.list(
                &path,
                "models",
                tenant.models.as_deref().unwrap_or_default(),
            );
            self.row(&path, "cache", tenant.cache);
            self.end(&format!("[tenants.{}]", key(name)));
            self.quota(&path, &tenant.limits);
            self.end(&format!("[tenants.{}.limits]", key(name)));
        }
    }

    fn quota(&mut self, path: &str, limits: &limit::Limits) {
        let path = format!("{path}.limits");
        for (name, limit) in [
            ("requests_per_minute", limits.requests_per_minute),
            ("tokens_per_minute", limits.tokens_per_minute),
            ("concurrent", limits.concurrent.map(u64::from)),
        ] {
            if let Some(limit) = limit {
                self.row(&path, name, limit);
            }
        }
        for (name, limit) in [
            ("usd_per_day", limits.usd_per_day),
            ("usd_per_month", limits.usd_per_month),
            ("usd_total", limits.usd_total),
        ] {
            if let Some(limit) = limit {
                self.row(&path, name, limit.as_dollars());
            }
        }
    }

    fn resilience(&mut self) {
        let limits = &self.loaded.config.limits;
        let word = |without: Without| match without {
            Without::Local => "local",
            Without::Open => "open",
            Without::Closed => "closed",
        };
        self.row("limits", "store", quote(limits.store.as_str()));
        self.row("limits", "without_redis", quote(word(limits.without_redis)));
        let budgets = quote(word(limits.budgets_without_redis));
        self.row("limits", "budgets_without_redis", budgets);
        self.end("[limits]");
        let balance = &self.loaded.config.balance;
        self.list("balance", "tiers", &balance.tiers);
        self.row("balance", "sticky", balance.sticky);
        self.end("[balance]");
        for (name, weight) in &balance.weights {
            self.row("balance.weights", name, weight);
        }
        self.end("[balance.weights]");
        let retry = &self.loaded.config.retry;
        self.row("retry", "max", retry.max);
        self.row("retry", "backoff", duration(retry.backoff));
        self.row("retry", "max_backoff", duration(retry.max_backoff));
        self.row("retry", "max_retry_after", duration(retry.max_retry_after));
        self.row("retry", "budget", retry.budget);
        self.end("[retry]");
        let breaker = &self.loaded.config.breaker;
        self.row("breaker", "enabled", breaker.enabled);
        self.row("breaker", "failures", breaker.failures);
        self.row("breaker", "share", breaker.share);
        self.row("breaker", "window", duration(breaker.window));
        self.row("breaker", "open_for", duration(breaker.open_for));
        self.row("breaker", "max_open", duration(breaker.max_open));
        self.row("breaker", "store", quote(breaker.store.as_str()));
        self.end("[breaker]");
    }

    fn rules(&mut self) {
        for (name, rule) in &self.loaded.config.rules {
            let path = format!("rules.{name}");
            self.row(&path, "enabled", rule.enabled);
            match rule.effect {
                Effect::AtMost(tier) => self.row(&path, "at_most", quote(tier)),
                Effect::Exactly(tier) => self.row(&path, "exactly", quote(tier)),
                Effect::AtLeast(tier) => self.row(&path, "at_least", quote(tier)),
                _ => {}
            }
            self.list(&path, "phrases", &rule.phrases);
            self.list(&path, "paths", &rule.paths);
            self.list(&path, "tenants", &rule.tenants);
            self.list(&path, "clients", &rule.clients);
            self.list(&path, "classes", &rule.classes);
            self.end(&format!("[rules.{}]", key(name)));
            for (header, value) in &rule.headers {
                self.row(&format!("{path}.headers"), header, quote(value));
            }
            self.end(&format!("[rules.{}.headers]", key(name)));
        }
    }

    fn ledger(&mut self) {
        let ledger = &self.loaded.config.ledger;
        self.row("ledger", "enabled", ledger.enabled);
        if let Some(file) = &ledger.file {
            self.row("ledger", "file", quote(file.display()));
        }
        if let Some(url) = ledger.shown() {
            self.row("ledger", "url", quote(url));
        }
        self.row("ledger", "retention", duration(ledger.retention));
        if let Some(folder) = &ledger.spill {
            self.row("ledger", "spill", quote(folder.display()));
        }
        self.row("ledger", "max_spill", size(ledger.max_spill));
        self.row("ledger", "asks", ledger.asks);
        self.row("ledger", "asks_retention", duration(ledger.asks_retention));
        self.end("[ledger]");
    }

    /// A list, where there is something in it.
    fn list(&mut self, section: &str, name: &str, items: &[impl std::fmt::Display]) {
        if !items.is_empty() {
            let items: Vec<String> = items.iter().map(quote).collect();
            self.row(section, name, format!("[{}]", items.join(", ")));
        }
    }

    fn row(&mut self, section: &str, name: &str, value: impl std::fmt::Display) {
        let origin = self.loaded.origin(&format!("{section}.{name}"));
        let line = format!("{} = {value}", key(name));
        self.rows
            .push((line, origin.describe(self.loaded.source.as_ref())));
    }

    fn end(&mut self, head: &str) {
        let rows = std::mem::take(&mut self.rows);
        let width = rows.iter().map(|(line, _)| line.chars().count()).max();
        let Some(width) = width else { return };
        let gap = if self.text.is_empty() { "" } else { "\n" };
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.text, "{gap}{head}");
        for (line, origin) in rows {
            let _ = writeln!(self.text, "{line:width$}  # {origin}");
        }
    }
}

impl Loaded {
    /// In one line, where the configuration came from.
    #[must_use]
    pub fn summary(&self) -> String {
        match self.path() {
            Some(path) => format!("configuration: {}", path.display()),
            None if self
                .origins
                .values()
                .any(|origin| *origin != Origin::Default) =>
            {
                "configuration: no file, the environment and the command line only".to_owned()
            }
            None => "configuration: none".to_owned(),
        }
    }
}
