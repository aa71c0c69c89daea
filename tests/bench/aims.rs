//! What is to be reached, and whether it is; and what the gateway takes while nobody asks.
use crate::{
    load,
    options::Options,
    process::Server,
    report::{Figures, Outcome},
    targets::{Setting, Target},
    workload::{Special, Workload},
};
use std::{
    fmt::Write as _,
    fs, thread,
    time::{Duration, Instant},
};

/// Idle streams that are opened at a time.
const IDLE: usize = 500;

/// The binary's size, how long it takes to listen, and its memory: at rest, and for each stream that says nothing.
pub(crate) fn resting(options: &Options, upstream: &Server) -> String {
    let begun = Instant::now();
    let ours = Target::Tierway(Setting::Default);
    let Some(server) = ours.start(options, upstream.address) else {
        return String::new();
    };
    let started = begun.elapsed();
    thread::sleep(Duration::from_secs(1));
    let rest = server.memory("VmRSS");
    let workload = Workload::chat(1).streamed().special(Special::Hold);
    let streams = load::idle(server.address, workload, IDLE);
    thread::sleep(Duration::from_millis(500));
    let each = server.memory("VmRSS").saturating_sub(rest) / IDLE as u64;
    drop(streams);
    let size = fs::metadata(&options.tierway).map_or(0, |file| file.len());
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!(
        "\n### At rest\n\n| what | figure |\n|---|--:|\n| binary | {:.1} MB |\n| from start to listening | {:.0} ms |\n| resident memory, idle | {:.1} MB |\n| resident memory for each idle stream | {:.1} KiB |\n",
        size as f64 / 1e6,
        started.as_secs_f64() * 1e3,
        mib(rest) * 1.048_576,
        each as f64 / 1024.0
    )
}

/// Each aim with what was seen.
pub(crate) fn judge(outcomes: &[Outcome]) -> String {
    let mut out = "\n### Aims\n\n| case | aim | seen | |\n|---|---|---|---|\n".to_owned();
    let mut line = |what: &str, aim: String, seen: Option<(String, bool)>| {
        let (seen, word) = match seen {
            Some((seen, true)) => (seen, "met"),
            Some((seen, false)) => (seen, "missed"),
            None => ("not measured".to_owned(), ""),
        };
        let _ = writeln!(out, "| {what} | {aim} | {seen} | {word} |");
    };
    let find = |title: &str, workload: Workload, connections: usize| {
        outcomes.iter().find(move |o| {
            o.case.title == title
                && o.case.workload == workload
                && o.case.connections == connections
        })
    };
    let (chat, ours) = (Workload::chat, Target::Tierway(Setting::Default));
    let cpu = |f: &Figures| f.processor;
    let aims = [
        ("same dialect", chat(1), Target::Bare, ours, 1.25),
        ("same dialect", chat(200), Target::Bare, ours, 1.35),
        ("same dialect", chat(1).streamed(), Target::Bare, ours, 1.25),
        ("translated", chat(16).messages(), Target::Bare, ours, 2.0),
        (
            "translated",
            chat(16).messages().streamed(),
            Target::Bare,
            ours,
            2.0,
        ),
        (
            "from the cache",
            chat(16).special(Special::Kept),
            Target::Static,
            Target::Tierway(Setting::Cache),
            1.3,
        ),
    ];
    for (title, workload, yardstick, target, most) in aims {
        let ratio = find(title, workload, 16).and_then(|outcome| {
            let ratio = outcome
                .column(target)?
                .ratio(outcome.column(yardstick)?, cpu);
            let seen = format!(
                "{:.2} ({:.2} to {:.2})",
                ratio.median, ratio.least, ratio.most
            );
            Some((seen, ratio.median <= most))
        });
        let what = format!(
            "{title}, {}: CPU against {}",
            workload.name(),
            yardstick.name()
        );
        line(&what, format!("at most {most}"), ratio);
    }
    let tail = outcomes.iter().find(|o| o.case.rate == Some(3000));
    let tail = tail.and_then(|o| {
        let p99 = |target| Some(o.column(target)?.spread(|f| f.p99).median);
        let (direct, mine) = (p99(Target::Direct)?, p99(ours)?);
        let nginx = p99(Target::Nginx);
        let seen = format!(
            "+{:.2} ms; nginx {}",
            mine - direct,
            nginx.map_or("not measured".into(), |n| format!("+{:.2} ms", n - direct))
        );
        let met = mine - direct <= 0.3 && nginx.is_none_or(|nginx| mine <= nginx);
        Some((seen, met))
    });
    line(
        "open loop, 3000/s of 1 KB: p99 against direct",
        "at most +0.3 ms, and not above nginx's".into(),
        tail,
    );
    for (peer, least) in [("switchyard", 6.0), ("portkey", 40.0), ("litellm", 400.0)] {
        let ratio = find("peers", chat(1), 16).and_then(|outcome| {
            let ratio = outcome
                .column(Target::Peer(peer))?
                .ratio(outcome.column(ours)?, cpu);
            let seen = format!(
                "{:.1} ({:.1} to {:.1})",
                ratio.median, ratio.least, ratio.most
            );
            Some((seen, ratio.median >= least))
        });
        let what = format!("peers, 1 KB whole: CPU of {peer} over ours");
        line(&what, format!("at least {least}"), ratio);
    }
    let slope = |target| {
        let at = |kilobytes| {
            let outcome = find("same dialect", chat(kilobytes), 16)?;
            Some(outcome.column(target)?.spread(cpu).median)
        };
        Some((at(200)? - at(1)?) / 199.0)
    };
    let slopes = slope(ours).zip(slope(Target::Bare)).map(|(mine, bare)| {
        let seen = format!("{:.2} ({mine:.2} to {bare:.2} us/KB)", mine / bare);
        (seen, mine / bare <= 1.2)
    });
    line(
        "CPU for each further KB against bare hyper",
        "at most 1.2".into(),
        slopes,
    );
    out
}
