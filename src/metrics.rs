//! The Prometheus recorder: buckets, upkeep, and the text that is scraped.
use metrics::{Counter, Gauge};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use metrics_process::Collector;
use std::{fmt::Write, time::Duration};
use tierway_layers::telemetry::names::{self, Kind, Metric};

/// From a cache hit (under a millisecond) to a long agent turn (ten minutes).
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0,
    600.0,
];
/// What OpenTelemetry's conventions for generative AI want of operations, first pieces, tokens, and the time for each.
const OPERATION: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const FIRST: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const EACH_TOKEN: [f64; 13] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];
/// From an answer that was just given to one of last week.
const AGES: [f64; 8] = [
    1.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0, 604_800.0,
];
/// Buckets of histograms that have others than most.
const BUCKETS: [(&str, &[f64]); 7] = [
    (names::CLIENT_TOKEN_USAGE, &TOKENS),
    (names::CLIENT_OPERATION_SECONDS, &OPERATION),
    (names::SERVER_REQUEST_SECONDS, &OPERATION),
    (names::CLIENT_FIRST_CHUNK_SECONDS, &FIRST),
    (names::SERVER_FIRST_TOKEN_SECONDS, &FIRST),
    (names::SERVER_PER_TOKEN_SECONDS, &EACH_TOKEN),
    (names::CACHE_AGE_SECONDS, &AGES),
];
/// How often histograms are drained into their buckets; without it they grow between scrapes. Often, so that it never takes long.
const UPKEEP: Duration = Duration::from_secs(1);

/// Of the process, beside the layers' own.
const OF_THE_PROCESS: [Metric; 13] = [
    Metric::new(
        "tierway_build_info",
        Kind::Gauge,
        &["version"],
        "Always 1; the label says which version runs.",
    ),
    Metric::new(
        "tierway_config_reloads_total",
        Kind::Counter,
        &["outcome"],
        "How often the configuration was read anew, by outcome: applied, unchanged, refused.",
    ),
    Metric::new(
        "tierway_config_stale",
        Kind::Gauge,
        &[],
        "1 while the configuration that was read last cannot be used and the one before goes on.",
    ),
    Metric::new(
        "tierway_config_restart_needed",
        Kind::Gauge,
        &[],
        "1 while settings were changed that only a restart puts to work.",
    ),
    Metric::new(
        "tierway_tasks",
        Kind::Gauge,
        &[],
        "Tasks of the runtime that are alive: each connection has one, to callers and to providers; what is left of others would grow.",
    ),
    Metric::new(
        "process_cpu_seconds_total",
        Kind::Counter,
        &[],
        "Processor time that the process has used, of user and system.",
    ),
    Metric::new(
        "process_open_fds",
        Kind::Gauge,
        &[],
        "File descriptors that are open.",
    ),
    Metric::new("process_max_fds", Kind::Gauge, &[], "How many may be open."),
    Metric::new(
        "process_virtual_memory_bytes",
        Kind::Gauge,
        &[],
        "Address space in use.",
    ),
    Metric::new(
        "process_virtual_memory_max_bytes",
        Kind::Gauge,
        &[],
        "How much there may be.",
    ),
    Metric::new(
        "process_resident_memory_bytes",
        Kind::Gauge,
        &[],
        "Memory in use.",
    ),
    Metric::new(
        "process_start_time_seconds",
        Kind::Gauge,
        &[],
        "When the process began, since 1970.",
    ),
    Metric::new("process_threads", Kind::Gauge, &[], "Threads."),
];

/// What `/metrics` serves.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: Collector,
}

impl Metrics {
    /// Makes the process's recorder and installs it. Must run before the first metric is counted.
    ///
    /// # Errors
    /// Where a recorder is installed already.
    pub fn install() -> Result<Self, BuildError> {
        let recorder = recorder()?;
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder)
            .map_err(|e| BuildError::FailedToCreateHTTPListener(e.to_string()))?;
        names::describe();
        let process = Collector::default();
        process.describe();
        build_info();
        Ok(Self { handle, process })
    }

    /// Drains histograms, for ever.
    pub async fn upkeep(self) {
        let mut tick = tokio::time::interval(UPKEEP);
        loop {
            tick.tick().await;
            self.handle.run_upkeep();
        }
    }

    /// The exposition text.
    ///
    /// Sums of money are kept exact and published as gauges, because the facade's counters hold whole numbers only. They never fall, and
    /// the text says so: their type is `counter`. What has not been counted yet is declared all the same.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.collect();
        tasks();
        let mut text = self.handle.render();
        for name in names::MONEY {
            text = text.replace(
                &format!("# TYPE {name} gauge"),
                &format!("# TYPE {name} counter"),
            );
        }
        declare_the_rest(&mut text);
        text
    }
}

/// The type that the exposition text tells.
const fn exposed(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter | Kind::Money => "counter",
        Kind::Gauge => "gauge",
        _ => "histogram",
    }
}

/// Adds what there is to be counted and has not been yet, so that whoever looks knows the name before the first such event.
fn declare_the_rest(text: &mut String) {
    for metric in names::ALL {
        let name = metric.name;
        if text.contains(&format!("# TYPE {name} ")) {
            continue;
        }
        let kind = exposed(metric.kind);
        let help = metric.help;
        // Writing to a `String` cannot fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n\n");
    }
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.into()), buckets)?;
    }
    Ok(builder
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .build_recorder())
}

#[expect(
    clippy::disallowed_macros,
    reason = "what the process is, the layers cannot know"
)]
fn build_info() {
    metrics::describe_gauge!("tierway_build_info", OF_THE_PROCESS[0].help);
    metrics::describe_gauge!("tierway_tasks", OF_THE_PROCESS[4].help);
    metrics::gauge!("tierway_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
    metrics::describe_counter!("tierway_config_reloads_total", OF_THE_PROCESS[1].help);
    metrics::describe_gauge!("tierway_config_stale", OF_THE_PROCESS[2].help);
    metrics::describe_gauge!("tierway_config_restart_needed", OF_THE_PROCESS[3].help);
}

/// Counts configurations that were read anew.
#[expect(
    clippy::disallowed_macros,
    reason = "what the process is, the layers cannot know"
)]
pub fn reloads(outcome: &'static str) -> Counter {
    metrics::counter!("tierway_config_reloads_total", "outcome" => outcome)
}

/// Whether the configuration that was read last was refused.
#[expect(
    clippy::disallowed_macros,
    reason = "what the process is, the layers cannot know"
)]
pub fn config_stale() -> Gauge {
    metrics::gauge!("tierway_config_stale")
}

/// Whether settings wait for a restart.
#[expect(
    clippy::disallowed_macros,
    reason = "what the process is, the layers cannot know"
)]
pub fn config_restart() -> Gauge {
    metrics::gauge!("tierway_config_restart_needed")
}

#[expect(
    clippy::disallowed_macros,
    reason = "the runtime is the process's, not a layer's"
)]
fn tasks() {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let alive = runtime.metrics().num_alive_tasks();
        metrics::gauge!("tierway_tasks").set(alive as f64);
    }
}

/// Every metric that is ever emitted.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    names::ALL.iter().chain(&OF_THE_PROCESS)
}

/// The table of all metrics for `docs/metrics.md`, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut table =
        String::from("| Name | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n");
    for metric in all() {
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        let kind = exposed(metric.kind);
        let (name, unit, labels) = (metric.name, metric.unit(), labels.join(", "));
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            table,
            "| `{name}` | {kind} | {unit} | {labels} | {} |",
            metric.help
        );
    }
    table.push_str(
        "\nBuckets of histograms, in their unit:\n\n| Name | Upper bounds |\n|---|---|\n",
    );
    let others = ("all others", &SECONDS[..]);
    for (name, bounds) in BUCKETS.into_iter().chain([others]) {
        let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
        let _ = writeln!(table, "| `{name}` | {} |", bounds.join(", "));
    }
    table.replace("`all others`", "all others")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_counted_is_declared_once() {
        let mut text =
            "# TYPE tierway_requests_total counter\ntierway_requests_total 1\n".to_owned();
        declare_the_rest(&mut text);
        for metric in names::ALL {
            let declared = format!("# TYPE {} ", metric.name);
            assert_eq!(text.matches(&declared).count(), 1, "{}", metric.name);
        }
    }

    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_said_once_and_says_its_unit() {
        let mut seen = BTreeSet::new();
        for metric in all() {
            assert!(seen.insert(metric.name), "{} twice", metric.name);
            let plain = metric.name.trim_end_matches("_total");
            let is_total = plain != metric.name;
            let grows = matches!(metric.kind, Kind::Counter | Kind::Money);
            assert_eq!(is_total, grows, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            if metric.kind == Kind::Histogram {
                assert_ne!(metric.unit(), "1", "{}", metric.name);
            }
        }
    }

    /// `TIERWAY_WRITE_DOCS=1 cargo test -p tierway --lib metrics` writes it anew.
    #[test]
    fn the_documentation_has_the_table() {
        const MARKS: [&str; 2] = ["<!-- metrics -->", "<!-- /metrics -->"];
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        // A published crate has no docs.
        let Ok(page) = std::fs::read_to_string(path) else {
            return;
        };
        let (before, rest) = page.split_once(MARKS[0]).unwrap();
        let (table, after) = rest.split_once(MARKS[1]).unwrap();
        if std::env::var_os("TIERWAY_WRITE_DOCS").is_some() {
            let [open, close] = MARKS;
            let anew = format!("{before}{open}\n{}{close}{after}", markdown());
            std::fs::write(path, anew).unwrap();
        } else {
            assert!(
                table.trim() == markdown().trim(),
                "docs/metrics.md is old: run this test with TIERWAY_WRITE_DOCS=1"
            );
        }
    }
}
