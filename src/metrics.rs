//! The Prometheus recorder: buckets, upkeep, and the text that is scraped.
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::time::Duration;
use tierway_layers::telemetry::names;

/// From a cache hit (under a millisecond) to a long agent turn (ten minutes).
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0,
    600.0,
];
/// From an answer that was just given to one of last week.
const AGES: [f64; 8] = [
    1.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0, 604_800.0,
];
/// How often histograms are drained into their buckets; without it they grow between scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// What `/metrics` serves.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
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
        Ok(Self { handle })
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
    /// the text says so: their type is `counter`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        for name in names::MONEY {
            text = text.replace(
                &format!("# TYPE {name} gauge"),
                &format!("# TYPE {name} counter"),
            );
        }
        text
    }
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full(names::CACHE_AGE_SECONDS.into()), &AGES)?
        .build_recorder())
}
