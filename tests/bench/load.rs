//! A closed loop of requests on connections that stay open.
use crate::report::{Figures, Workload};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, task::JoinSet};

/// What the gateway is configured to ask for.
pub(crate) const KEY: &str = "bench-key";

pub(crate) async fn run(
    target: SocketAddr,
    workload: Workload,
    connections: usize,
    time: Duration,
) -> Figures {
    let body = workload.body();
    let start = Instant::now();
    let end = start + time;
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(connection(target, body.clone(), workload.stream, end));
    }
    let mut latencies: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let took = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let quantile = |q: f64| latencies[((latencies.len() - 1) as f64 * q) as usize];
    Figures {
        requests: latencies.len(),
        per_second: latencies.len() as f64 / took,
        p50: quantile(0.5),
        p99: quantile(0.99),
        processor: 0.0,
    }
}

async fn connection(target: SocketAddr, body: Bytes, stream: bool, end: Instant) -> Vec<Duration> {
    let socket = TcpStream::connect(target).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (mut sender, driver) = http1::handshake(TokioIo::new(socket)).await.unwrap();
    let driver = tokio::spawn(driver);
    let mut latencies = Vec::new();
    while Instant::now() < end || latencies.is_empty() {
        let request = Request::post("/v1/chat/completions")
            .header("host", target.to_string())
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::new(body.clone()))
            .unwrap();
        let start = Instant::now();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let mut answer = response.into_body();
        let mut last = Bytes::new();
        while let Some(frame) = answer.frame().await {
            if let Ok(data) = frame.unwrap().into_data() {
                last = data;
            }
        }
        latencies.push(start.elapsed());
        assert!(
            status.is_success(),
            "{target} answered {status}: {}",
            String::from_utf8_lossy(&last)
        );
        assert!(
            !stream || last.ends_with(b"[DONE]\n\n"),
            "{target} cut a stream"
        );
    }
    drop(sender);
    driver.abort();
    latencies
}
