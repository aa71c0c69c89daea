//! What is shown of the gateway at work.
use super::{
    super::{
        file,
        settings::{Metrics, Traces},
    },
    Resolver,
};

impl Resolver<'_, '_> {
    pub(super) fn metrics(&mut self, typed: file::Metrics) -> Metrics {
        let gen_ai = self.take("metrics.gen_ai", typed.gen_ai);
        gen_ai.map_or_else(Metrics::default, |gen_ai| Metrics { gen_ai })
    }

    pub(super) fn traces(&mut self, typed: file::Traces) -> Traces {
        Traces {
            otlp: self.take("traces.otlp", typed.otlp).map(|url| url.0),
            share: self
                .take("traces.share", typed.share)
                .map_or_else(|| Traces::default().share, |share| share.0),
        }
    }
}
