//! Counts every call, whatever becomes of it: its outcome, tokens, time and money.
//!
//! Counting begins with the call and ends when the body of its answer is dropped, so that a stream counts until its last event and a
//! caller who leaves is counted as `cancelled` without anybody having to notice. What happened in between is read from the
//! [`Journal`](tierway_services::chat::Journal) that this layer lays into each request and that the layers below write. It stands above
//! all of them, so that their refusals count too.
//!
//! Only chat calls are counted: `POST` to a dialect's own path, or to any path where a [dialect is given](TelemetryLayer::dialect).
//! Counts of tokens (`/count_tokens`) and all else pass unseen.
//!
//! The metrics are listed in [`names::ALL`], and how money is reckoned in [`Bill`]. With [tracing](TelemetryLayer::traces) each call also
//! gets its place in a W3C trace, that of its caller or a new one, and providers are told theirs.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use metrics_exporter_prometheus::PrometheusBuilder;
//! use std::convert::Infallible;
//! use tierway_layers::telemetry::TelemetryLayer;
//! use tierway_services::prices::PriceList;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let recorder = PrometheusBuilder::new().build_recorder();
//! let metrics = recorder.handle();
//! let _recording = metrics::set_default_local_recorder(&recorder);
//!
//! let service = ServiceBuilder::new()
//!     .layer(TelemetryLayer::new(PriceList::empty()).on_end(|call| assert_eq!(call.outcome.as_str(), "ok")))
//!     .service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
//! let req = Request::post("/v1/messages").body(Full::default()).unwrap();
//! drop(service.oneshot(req).await.unwrap());
//!
//! let counted = r#"tierway_requests_total{dialect="messages",tier="none",provider="none",outcome="ok"} 1"#;
//! assert!(metrics.render().contains(counted));
//! # }
//! ```
//!
//! # Several stacks
//!
//! Sums of money are kept in the layer and published as they stand. Make one layer and clone it for every stack of a process: two made
//! separately would overwrite each other's sums.
mod body;
mod call;
mod future;
mod gen_ai;
mod money;
pub mod names;
mod outcome;
mod series;
mod service;

#[cfg(test)]
mod tests;

pub use self::{
    body::ResponseBody,
    call::{BesideRecord, CallRecord},
    future::ResponseFuture,
    gen_ai::{error_of, operation_name},
    money::{Bill, Extra, Saved},
    names::describe,
    outcome::Outcome,
    service::{Meter, Telemetry, TelemetryLayer},
};
