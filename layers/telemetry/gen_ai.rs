//! The same calls under the names of OpenTelemetry's conventions for generative AI, for dashboards that know those.
//!
//! Each upstream call is an operation of a *client*, by provider and model; each call of a caller is a request that this *server*
//! answers, by the model that was asked for. Tokens are the provider's own count, else ours; cached input is input.
use super::{
    Outcome,
    names::{self, GenAi as Labels},
    series::Cached,
};
use foldhash::fast::RandomState;
use metrics::Histogram;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};
use tierway_services::chat::{Attempt, AttemptEnd, Operation, Tier};

/// What conventions call the providers, and which models may be labels.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary {
    /// By the provider's configured name.
    pub(super) systems: HashMap<Arc<str>, Arc<str>, RandomState>,
    /// With `auto` and the tiers, which callers may ask for.
    pub(super) models: HashSet<Arc<str>, RandomState>,
    pub(super) gateway: Arc<str>,
    pub(super) other: Arc<str>,
}

type Key = (Arc<str>, Arc<str>, &'static str, &'static str);

/// The histograms that have been made so far.
#[derive(Default)]
pub(super) struct GenAi {
    tokens: Cached<Key, Histogram>,
    operations: Cached<Key, Histogram>,
    first_chunks: Cached<Key, Histogram>,
    requests: Cached<Key, Histogram>,
    first_tokens: Cached<Key, Histogram>,
    per_token: Cached<Key, Histogram>,
    /// Models that are labels because they have a price: as many as there is room for.
    priced: Cached<Arc<str>, Arc<str>>,
}

/// A call of a caller, once it has ended.
pub(super) struct Request<'a> {
    pub(super) operation: Operation,
    /// The model that was asked for.
    pub(super) model: Option<&'a str>,
    pub(super) provider: Option<&'a Arc<str>>,
    pub(super) outcome: Outcome,
    pub(super) total: Duration,
    /// Of streams only.
    pub(super) first_byte: Option<Duration>,
    /// Tokens of the answer that the caller got.
    pub(super) output: Option<u64>,
}

impl GenAi {
    /// Counts an upstream call; `priced` where its model's price is known.
    pub(super) fn attempt(
        &self,
        words: &Vocabulary,
        operation: Operation,
        attempt: &Attempt,
        streamed: bool,
        priced: bool,
    ) {
        let provider = words.system(&attempt.target.provider);
        let model = self.model(words, &attempt.target.model, priced);
        let name = operation_name(operation);
        let key = |last| (provider.clone(), model.clone(), name, last);
        let labels = |(provider, model, operation, last): &Key| Labels {
            operation,
            provider: provider.clone(),
            model: model.clone(),
            last,
        };
        self.operations
            .get(key(error_of(attempt.end)), |key| {
                names::client_operation_seconds(labels(key))
            })
            .record(attempt.total);
        if let Some(first) = attempt.first_byte.filter(|_| streamed) {
            self.first_chunks
                .get(key(""), |key| {
                    names::client_first_chunk_seconds(labels(key))
                })
                .record(first);
        }
        if let Some(usage) = &attempt.usage {
            for (kind, count) in [("input", usage.input_total()), ("output", usage.output)] {
                self.tokens
                    .get(key(kind), |key| names::client_token_usage(labels(key)))
                    .record(exact(count));
            }
        }
    }

    /// Counts a call of a caller.
    pub(super) fn request(&self, words: &Vocabulary, call: &Request<'_>) {
        let gateway = || words.gateway.clone();
        let provider = call.provider.map_or_else(gateway, |p| words.system(p));
        let model = self.asked(words, call.model);
        let name = operation_name(call.operation);
        let ok = call.outcome == Outcome::Ok;
        let error = if ok { "" } else { call.outcome.as_str() };
        let key = |last| (provider.clone(), model.clone(), name, last);
        let labels = |(provider, model, operation, last): &Key| Labels {
            operation,
            provider: provider.clone(),
            model: model.clone(),
            last,
        };
        self.requests
            .get(key(error), |key| names::server_request_seconds(labels(key)))
            .record(call.total);
        let Some(first) = call.first_byte.filter(|_| ok) else {
            return;
        };
        self.first_tokens
            .get(key(""), |key| {
                names::server_first_token_seconds(labels(key))
            })
            .record(first);
        if let Some(after) = call
            .output
            .and_then(|n| n.checked_sub(1))
            .filter(|n| *n > 0)
        {
            let each = call.total.saturating_sub(first).as_secs_f64() / exact(after);
            self.per_token
                .get(key(""), |key| names::server_per_token_seconds(labels(key)))
                .record(each);
        }
    }

    /// What a caller asked for, as a label: `auto`, a tier, or a model that is known here.
    fn asked(&self, words: &Vocabulary, model: Option<&str>) -> Arc<str> {
        let name = model.unwrap_or_default();
        let plain = name.strip_prefix("tierway/").unwrap_or(name);
        let model = plain.split_once(':').map_or(plain, |(_, model)| model);
        let known = words.models.get(plain).or_else(|| words.models.get(model));
        known
            .cloned()
            .or_else(|| self.priced.find(model))
            .unwrap_or_else(|| words.other.clone())
    }

    fn model(&self, words: &Vocabulary, model: &Arc<str>, priced: bool) -> Arc<str> {
        if words.models.contains(model) {
            return model.clone();
        }
        if priced {
            let other = words.other.clone();
            return self.priced.get_or(model.clone(), other, Clone::clone);
        }
        words.other.clone()
    }
}

impl Vocabulary {
    pub(super) fn new(
        systems: impl Iterator<Item = (Arc<str>, &'static str)>,
        models: impl Iterator<Item = Arc<str>>,
    ) -> Self {
        let asked = std::iter::once("auto").chain(Tier::ALL.iter().map(|tier| tier.as_str()));
        Self {
            systems: systems
                .map(|(name, system)| (name, system.into()))
                .collect(),
            models: models.chain(asked.map(Arc::from)).collect(),
            gateway: names::GATEWAY.into(),
            other: names::OTHER.into(),
        }
    }

    fn system(&self, provider: &Arc<str>) -> Arc<str> {
        self.systems.get(provider).unwrap_or(provider).clone()
    }
}

impl fmt::Debug for GenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenAi").finish_non_exhaustive()
    }
}

/// `gen_ai.operation.name`.
#[must_use]
pub const fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Embed => "embeddings",
        Operation::Complete => "text_completion",
        _ => "chat",
    }
}

/// `error.type` of an upstream call, empty where it was none: the status where it is a usual one, else a word.
#[must_use]
pub const fn error_of(end: AttemptEnd) -> &'static str {
    match end {
        AttemptEnd::Complete => "",
        AttemptEnd::Cancelled => "cancelled",
        AttemptEnd::Failed => "failed",
        AttemptEnd::Status(status) => match status {
            400 => "400",
            401 => "401",
            402 => "402",
            403 => "403",
            404 => "404",
            408 => "408",
            409 => "409",
            413 => "413",
            422 => "422",
            429 => "429",
            500 => "500",
            501 => "501",
            502 => "502",
            503 => "503",
            504 => "504",
            529 => "529",
            _ => "_OTHER",
        },
        _ => "_OTHER",
    }
}

/// A count as histograms take it.
#[expect(clippy::cast_precision_loss, reason = "no answer has 2^53 tokens")]
const fn exact(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tierway_services::chat::{Role, Target, Usage};

    fn words() -> Vocabulary {
        let systems = [(Arc::from("work"), "aws.bedrock")];
        Vocabulary::new(systems.into_iter(), [Arc::from("sonnet")].into_iter())
    }

    #[test]
    fn what_callers_write_makes_no_label() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let (series, words) = (GenAi::default(), words());
        for n in 0..1000 {
            let target = Target::new("work", format!("made-up-{n}"));
            let mut attempt = Attempt::new(target, Role::Only);
            attempt.end = AttemptEnd::Status(404);
            series.attempt(&words, Operation::Generate, &attempt, false, false);
            let model = format!("work:made-up-{n}");
            let call = Request {
                operation: Operation::Generate,
                model: Some(&model),
                provider: None,
                outcome: Outcome::ClientError,
                total: Duration::from_millis(1),
                first_byte: None,
                output: None,
            };
            series.request(&words, &call);
        }
        let text = recorder.handle().render();
        assert!(!text.contains("made-up"), "{text}");
        for line in [
            r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="aws.bedrock",gen_ai_request_model="other",error_type="404"} 1000"#,
            r#"gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="tierway",gen_ai_request_model="other",error_type="client_error"} 1000"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn models_with_a_price_are_labels_while_there_is_room() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let (series, words) = (GenAi::default(), words());
        for n in 0..2000 {
            let target = Target::new("home", format!("local-{n}"));
            let mut attempt = Attempt::new(target, Role::Only);
            attempt.usage = Some(Usage {
                input: 3,
                output: 4,
                cache_read: 5,
                ..Usage::default()
            });
            series.attempt(&words, Operation::Embed, &attempt, true, true);
        }
        let text = recorder.handle().render();
        let labels = |name: &str| text.lines().filter(|l| l.starts_with(name)).count();
        assert!(labels("gen_ai_client_operation_duration_seconds_count") < 300);
        let sum = r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="embeddings",gen_ai_provider_name="home",gen_ai_request_model="local-0",gen_ai_token_type="input"} 8"#;
        assert!(text.contains(sum), "{text}");
    }

    #[test]
    fn a_stream_tells_what_each_token_took() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let (series, words) = (GenAi::default(), words());
        for (model, label) in [
            ("auto", "auto"),
            ("tierway/complex", "complex"),
            ("work:sonnet", "sonnet"),
            ("sonnet", "sonnet"),
        ] {
            let call = Request {
                operation: Operation::Generate,
                model: Some(model),
                provider: Some(&Arc::from("work")),
                outcome: Outcome::Ok,
                total: Duration::from_secs(11),
                first_byte: Some(Duration::from_secs(1)),
                output: Some(101),
            };
            series.request(&words, &call);
            let text = recorder.handle().render();
            let count = format!(
                r#"gen_ai_server_time_to_first_token_seconds_count{{gen_ai_operation_name="chat",gen_ai_provider_name="aws.bedrock",gen_ai_request_model="{label}"}}"#
            );
            assert!(text.contains(&count), "{text}");
        }
        let text = recorder.handle().render();
        let sum = r#"gen_ai_server_time_per_output_token_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="aws.bedrock",gen_ai_request_model="auto"} 0.1"#;
        assert!(text.contains(sum), "{text}");
    }
}
