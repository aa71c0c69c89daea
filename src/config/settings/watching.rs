//! What is shown of the gateway at work.

/// Which metrics are counted beside the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Whether calls are counted under OpenTelemetry's names too, by model.
    pub gen_ai: bool,
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// The address of a collector that takes OTLP over HTTP; absent means: nobody traces.
    pub otlp: Option<String>,
    /// The share of traces that begin here that is recorded; for others the caller has decided.
    pub share: f64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { gen_ai: true }
    }
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            otlp: None,
            share: 1.0,
        }
    }
}
