//! Workloads, figures, and the table.
use crate::upstream::LARGE_FLAG;
use bytes::Bytes;
use std::time::Duration;

/// The size of the request, and the form of the answer.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) bytes: usize,
    pub(crate) stream: bool,
    /// Whether it is answered from the cache, with 16 KB.
    pub(crate) cached: bool,
}

impl Workload {
    /// Small and large asks for an answer that is kept.
    pub(crate) const CACHED: [Self; 2] = [
        Self {
            bytes: 1 << 10,
            stream: false,
            cached: true,
        },
        Self {
            bytes: 16 << 10,
            stream: false,
            cached: true,
        },
    ];

    pub(crate) const ALL: [Self; 4] = [
        Self {
            bytes: 1 << 10,
            stream: false,
            cached: false,
        },
        Self {
            bytes: 200 << 10,
            stream: false,
            cached: false,
        },
        Self {
            bytes: 1 << 10,
            stream: true,
            cached: false,
        },
        Self {
            bytes: 200 << 10,
            stream: true,
            cached: false,
        },
    ];

    fn name(self) -> String {
        format!(
            "{} KB {}",
            self.bytes >> 10,
            match self {
                Self { cached: true, .. } => "hit",
                Self { stream: true, .. } => "stream",
                Self { .. } => "whole",
            }
        )
    }

    /// A chat completion of this size, of several turns as conversations have them.
    pub(crate) fn body(self) -> Bytes {
        let kept = if self.cached {
            format!(r#""temperature":0,{LARGE_FLAG},"#)
        } else {
            String::new()
        };
        let mut body = format!(
            r#"{{"model":"o:bench","stream":{},{kept}"messages":["#,
            self.stream
        );
        let turn = "The quick brown fox jumps over the lazy dog, \\\"again\\\". "
            .repeat(if self.bytes > 4096 { 40 } else { 6 });
        let mut at = 0;
        while body.len() + turn.len() / 2 < self.bytes {
            let role = if at % 2 == 0 { "user" } else { "assistant" };
            body += &format!(r#"{{"role":"{role}","content":"{turn}"}},"#);
            at += 1;
        }
        body += r#"{"role":"user","content":"And then?"}]}"#;
        body.into()
    }
}

/// One round.
#[derive(Clone, Default)]
pub(crate) struct Figures {
    pub(crate) requests: usize,
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Seconds of processor time for each request.
    pub(crate) processor: f64,
}

/// The median of each figure, on its own.
pub(crate) fn median(rounds: Vec<Figures>) -> Figures {
    fn of<T: PartialOrd + Copy>(rounds: &[Figures], figure: impl Fn(&Figures) -> T) -> T {
        let mut values: Vec<T> = rounds.iter().map(figure).collect();
        values.sort_by(|a, b| a.partial_cmp(b).unwrap());
        values[values.len() / 2]
    }
    Figures {
        requests: of(&rounds, |f| f.requests),
        per_second: of(&rounds, |f| f.per_second),
        p50: of(&rounds, |f| f.p50),
        p99: of(&rounds, |f| f.p99),
        processor: of(&rounds, |f| f.processor),
    }
}

pub(crate) const HEAD: &str = "\
workload       target        requests/s   p50 ms   p99 ms   CPU us/req   peak MiB   CPU ratio   rate ratio
-------------  -----------  -----------  -------  -------  -----------  ---------  ----------  -----------";

pub(crate) fn line(
    workload: Workload,
    target: &str,
    figures: &Figures,
    memory: Option<u64>,
    bare: &Figures,
) -> String {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let rates = format!(
        "{:<13}  {target:<11}  {:>11.0}  {:>7.3}  {:>7.3}",
        workload.name(),
        figures.per_second,
        milliseconds(figures.p50),
        milliseconds(figures.p99)
    );
    let rate = figures.per_second / bare.per_second;
    match memory {
        // the upstream's own time says nothing of what a proxy adds
        None => format!(
            "{rates}  {:>11}  {:>9}  {:>10}  {rate:>11.2}",
            "-", "-", "-"
        ),
        Some(bytes) => format!(
            "{rates}  {:>11.0}  {:>9.1}  {:>10.2}  {rate:>11.2}",
            figures.processor * 1e6,
            bytes as f64 / f64::from(1 << 20),
            figures.processor / bare.processor
        ),
    }
}
