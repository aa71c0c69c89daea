//! Traces of calls, for a collector that takes OTLP over HTTP: one span for each call, one below it for each upstream call.
//!
//! Spans are made when a call has ended, of what its journal holds: nothing is written while it runs, and no word of prompt or answer is
//! in them. Attributes have the names of OpenTelemetry's conventions for generative AI; what those do not know is called `tierway.*`.
use crate::config;
use async_trait::async_trait;
use http_body_util::{BodyExt, Limited};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor},
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};
use tierway_layers::telemetry::{CallRecord, Outcome, error_of, operation_name};
use tierway_services::{
    chat::{Attempt, Pieces, Target, TraceContext, Usage, Usd},
    upstream::Client,
};
use tokio::runtime::Handle;

/// How long a collector may take to take a batch.
const EXPORT: Duration = Duration::from_secs(10);
/// What a collector may have to say about it.
const ANSWER: usize = 64 << 10;

/// Who sends spans. A clone sends to the same collector.
#[derive(Clone, Debug)]
pub struct Traces {
    processor: Arc<BatchSpanProcessor>,
    scope: InstrumentationScope,
    /// What conventions call the providers.
    systems: Arc<HashMap<String, &'static str>>,
}

impl Traces {
    /// Sends to the collector that `settings` name, from a thread of its own; nothing where they name none, or outside of a tokio runtime.
    /// `systems` is what conventions call the providers, by the names that these have here.
    #[must_use]
    pub fn new(settings: &config::Traces, systems: HashMap<String, &'static str>) -> Option<Self> {
        let address = settings.otlp.as_ref()?;
        let runtime = Handle::try_current().ok()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender {
                client: Client::new(),
                runtime,
                failing: AtomicBool::new(false),
            })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint(address))
            .with_timeout(EXPORT)
            .build()
            .inspect_err(|error| tracing::error!(%error, "no traces are sent"))
            .ok()?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        // Reads OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
        let resource = Resource::builder();
        let unnamed = std::env::var_os("OTEL_SERVICE_NAME").is_none();
        let resource = if unnamed {
            resource.with_service_name("tierway")
        } else {
            resource
        };
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        processor.set_resource(&resource.with_attribute(version).build());
        let scope = InstrumentationScope::builder("tierway")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Some(Self {
            processor: Arc::new(processor),
            scope,
            systems: Arc::new(systems),
        })
    }

    /// Sends a call that has ended, if its trace is recorded. It does not wait: where the collector does not keep up, spans are lost.
    pub fn call(&self, record: &CallRecord<'_>) {
        let Some(trace) = record.entries.trace.filter(TraceContext::is_sampled) else {
            return;
        };
        for (attempt, cost) in record.entries.attempts.iter().zip(record.costs) {
            if let Some(trace) = &attempt.trace {
                self.send(trace, self.attempt_span(record, attempt, *cost));
            }
        }
        self.send(&trace, self.call_span(record));
    }

    /// Sends what is left. It blocks, for five seconds at most.
    pub fn close(&self) {
        if let Err(error) = self.processor.shutdown() {
            tracing::warn!(%error, "the last traces may be lost");
        }
    }

    fn send(&self, trace: &TraceContext, span: Span) {
        let flags = TraceFlags::SAMPLED;
        let id = SpanId::from(trace.span_id());
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(
                TraceId::from(trace.trace_id()),
                id,
                flags,
                false,
                TraceState::NONE,
            ),
            parent_span_id: trace.parent().map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote: trace.is_remote(),
            span_kind: span.kind,
            name: span.name.into(),
            start_time: span.start,
            end_time: span.start + span.took,
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.status,
            instrumentation_scope: self.scope.clone(),
        });
    }
}

/// What is said of a call, or of an attempt.
struct Span {
    name: String,
    kind: SpanKind,
    start: SystemTime,
    took: Duration,
    attributes: Vec<KeyValue>,
    status: Status,
}

impl Traces {
    fn call_span(&self, record: &CallRecord<'_>) -> Span {
        let entries = record.entries;
        let operation = operation_name(record.operation);
        let model = entries.requested_model.as_deref();
        let mut of = vec![KeyValue::new("gen_ai.operation.name", operation)];
        let mut say = |name: &'static str, value: Option<String>| {
            of.extend(value.map(|value| KeyValue::new(name, value)));
        };
        say("gen_ai.request.model", model.map(str::to_owned));
        let target = record.target;
        say("gen_ai.provider.name", target.map(|t| self.system(t)));
        say("tierway.provider", target.map(|t| t.provider.to_string()));
        say("gen_ai.response.model", target.map(|t| t.model.to_string()));
        let id = record.request_id.and_then(|id| id.to_str().ok());
        say("tierway.request.id", id.map(str::to_owned));
        say("tierway.dialect", Some(record.dialect.as_str().to_owned()));
        say("tierway.outcome", Some(record.outcome.as_str().to_owned()));
        say(
            "tierway.tenant",
            entries.tenant.as_ref().map(|t| t.as_str().to_owned()),
        );
        say("tierway.tier", record.tier.map(|t| t.as_str().to_owned()));
        let reason = entries.tier_reason.as_deref();
        say("tierway.tier.reason", reason.map(str::to_owned));
        say(
            "tierway.cache",
            entries.cache.map(|c| c.as_str().to_owned()),
        );
        let affinity = entries.affinity.map(|a| a.as_str().to_owned());
        say("tierway.affinity", affinity);
        let cascade = entries.cascade.as_ref();
        say("tierway.cascade", cascade.map(|c| c.outcome().to_owned()));
        say(
            "tierway.cascade.reason",
            cascade.map(|c| c.reason.to_owned()),
        );
        let number = |name, value: Option<f64>| value.map(|value| KeyValue::new(name, value));
        of.extend(number(
            "tierway.cascade.confidence",
            cascade.and_then(|c| c.confidence),
        ));
        of.extend(number(
            "tierway.cost.usd",
            record.cost.map(|usd| usd.as_dollars()),
        ));
        of.extend(number(
            "tierway.baseline.usd",
            record.baseline.map(|usd| usd.as_dollars()),
        ));
        of.push(KeyValue::new("gen_ai.request.stream", entries.stream));
        of.extend(number(
            "gen_ai.response.time_to_first_chunk",
            record
                .first_byte
                .filter(|_| entries.stream)
                .map(|time| time.as_secs_f64()),
        ));
        if let Some(status) = record.status {
            of.push(KeyValue::new(
                "http.response.status_code",
                i64::from(status.as_u16()),
            ));
        }
        let fault = match record.outcome {
            Outcome::Ok | Outcome::ClientError | Outcome::Refused | Outcome::Cancelled => None,
            other => Some(other.as_str()),
        };
        if record.outcome != Outcome::Ok {
            of.push(KeyValue::new("error.type", record.outcome.as_str()));
        }
        Span {
            name: named(operation, model),
            kind: SpanKind::Server,
            start: record.began,
            took: record.total,
            attributes: of,
            status: fault.map_or(Status::Unset, Status::error),
        }
    }

    fn attempt_span(&self, record: &CallRecord<'_>, attempt: &Attempt, cost: Option<Usd>) -> Span {
        let operation = operation_name(record.operation);
        let (provider, model) = (&attempt.target.provider, &attempt.target.model);
        let mut of = vec![
            KeyValue::new("gen_ai.operation.name", operation),
            KeyValue::new("gen_ai.provider.name", self.system(&attempt.target)),
            KeyValue::new("tierway.provider", provider.to_string()),
            KeyValue::new("gen_ai.request.model", model.to_string()),
            KeyValue::new("gen_ai.request.stream", record.entries.stream),
            KeyValue::new("tierway.role", attempt.role.as_str()),
        ];
        if let Some(usage) = &attempt.usage {
            of.extend(tokens(usage));
            of.push(KeyValue::new("tierway.usage.estimated", attempt.estimated));
        }
        if let Some(cost) = cost {
            of.push(KeyValue::new("tierway.cost.usd", cost.as_dollars()));
        }
        if let Some(first) = attempt.first_byte.filter(|_| record.entries.stream) {
            let name = "gen_ai.response.time_to_first_chunk";
            of.push(KeyValue::new(name, first.as_secs_f64()));
        }
        let error = error_of(attempt.end);
        if !error.is_empty() {
            of.push(KeyValue::new("error.type", error));
        }
        let fault = !matches!(error, "" | "cancelled");
        Span {
            name: named(operation, Some(model)),
            kind: SpanKind::Client,
            start: attempt.started,
            took: attempt.total,
            attributes: of,
            status: if fault {
                Status::error(error)
            } else {
                Status::Unset
            },
        }
    }

    fn system(&self, target: &Target) -> String {
        let known = self.systems.get(&*target.provider);
        known.map_or_else(|| target.provider.to_string(), |known| (*known).to_owned())
    }
}

fn tokens(usage: &Usage) -> impl Iterator<Item = KeyValue> {
    let written = usage.cache_write + usage.cache_write_1h;
    let kinds = [
        ("gen_ai.usage.input_tokens", usage.input_total(), true),
        ("gen_ai.usage.output_tokens", usage.output, true),
        (
            "gen_ai.usage.cache_read.input_tokens",
            usage.cache_read,
            false,
        ),
        ("gen_ai.usage.cache_creation.input_tokens", written, false),
        (
            "gen_ai.usage.reasoning.output_tokens",
            usage.reasoning,
            false,
        ),
    ];
    let said = kinds
        .into_iter()
        .filter(|(_, count, always)| *always || *count > 0);
    said.map(|(name, count, _)| KeyValue::new(name, i64::try_from(count).unwrap_or(i64::MAX)))
}

fn named(operation: &str, model: Option<&str>) -> String {
    match model {
        Some(model) => format!("{operation} {model}"),
        None => operation.to_owned(),
    }
}

/// Where traces are taken at this address.
fn endpoint(address: &str) -> String {
    const PATH: &str = "/v1/traces";
    let address = address.trim_end_matches('/');
    match address.strip_suffix(PATH) {
        Some(_) => address.to_owned(),
        None => format!("{address}{PATH}"),
    }
}

/// The gateway's own client, and so its TLS. The thread that sends spans has no runtime: the connection is driven by the gateway's.
#[derive(Debug)]
struct Sender {
    client: Client,
    runtime: Handle,
    failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = async move {
            let answer = client.request(request.map(Pieces::from)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
            Ok(http::Response::from_parts(head, body))
        };
        // Made within the task: a timer and a connection need the runtime.
        let task = async move { tokio::time::timeout(EXPORT, sent).await? };
        let answer = self.runtime.spawn(task).await?;
        self.tell(&answer);
        answer
    }
}

impl Sender {
    /// Tells the operator once that the collector takes nothing any more, and once that it does again.
    fn tell(&self, answer: &Result<http::Response<Bytes>, HttpError>) {
        let fault = match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(answer.status().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let failed = self.failing.swap(fault.is_some(), Ordering::Relaxed);
        match fault {
            Some(error) if !failed => tracing::warn!(error, "the collector takes no traces"),
            None if failed => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_base_or_whole() {
        for (address, whole) in [
            ("http://h:4318", "http://h:4318/v1/traces"),
            ("http://h:4318/", "http://h:4318/v1/traces"),
            ("https://h/otlp", "https://h/otlp/v1/traces"),
            ("https://h/otlp/v1/traces", "https://h/otlp/v1/traces"),
        ] {
            assert_eq!(endpoint(address), whole);
        }
    }
}
