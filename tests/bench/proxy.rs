//! What the gateway costs on the way: the same load on a mock upstream directly, on a bare hyper reverse proxy, on nginx, on the gateway in
//! several settings, and on its peers.
//!
//! `tests/bench/run.sh` builds all and prints the tables; `--help` tells the options. Everybody is a process of its own, so that the processor
//! time and the memory of each can be read from `/proc`; the targets of a case take turns in every round, so that what else the machine does
//! falls on all alike.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a program for people at a terminal"
)]
mod aims;
mod bare;
mod cases;
mod fixed;
mod http;
mod load;
mod options;
mod plot;
mod process;
mod report;
mod targets;
mod upstream;
mod workload;

use cases::Case;
use options::{Command, Options};
use process::Server;
use report::{Column, Figures, Outcome};
use std::fs;
use targets::Target;

fn main() {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => return println!("{}", options::HELP),
        Ok(Command::Upstream) => return upstream::serve(),
        Ok(Command::Fixed) => return fixed::serve(),
        Ok(Command::Bare { upstream, on }) => return bare::serve(upstream, on),
        Ok(Command::Run(options)) => options,
        Err(unknown) => panic!("{unknown}\n{}", options::HELP),
    };
    println!(
        "{} rounds of {:?}, interleaved; medians (smallest to largest). CPU is that of all processes of the target, by /proc; ratios are to the first target of each table, round by round.",
        options.rounds, options.time
    );
    let upstream = Server::own(&["upstream"]);
    let mut tables = String::new();
    let mut lines = report::COLUMNS.to_owned();
    let mut outcomes = Vec::new();
    for case in cases::all(options.full) {
        let name = format!("{} {}", case.title, case.workload.name());
        if options
            .only
            .as_ref()
            .is_some_and(|word| !name.contains(word))
        {
            continue;
        }
        let Some(outcome) = measure(&options, &upstream, case) else {
            continue;
        };
        print!("{}", outcome.table());
        tables += &outcome.table();
        lines += &outcome.lines();
        outcomes.push(outcome);
    }
    if options.only.is_none() && !options.smoke {
        let rest = aims::resting(&options, &upstream);
        let judged = aims::judge(&outcomes);
        println!("{rest}{judged}");
        tables = format!("{judged}{rest}{tables}");
    }
    if let Some(folder) = &options.out {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("results.md"), tables).unwrap();
        fs::write(folder.join("results.tsv"), lines).unwrap();
        plot::all(folder, &outcomes);
    }
}

/// One case on fresh processes, the targets taking turns in every round. A target that fails is left out, which is told; nothing comes of the
/// case where that is the yardstick.
fn measure(options: &Options, upstream: &Server, case: Case) -> Option<Outcome> {
    let start = |target: &Target| {
        let server = target.start(options, upstream.address);
        (server.is_some() || *target == Target::Direct).then_some((*target, server))
    };
    let running: Vec<(Target, Option<Server>)> = case.targets.iter().filter_map(start).collect();
    let mut columns: Vec<Column> = running
        .iter()
        .map(|(target, _)| Column {
            target: *target,
            rounds: Vec::new(),
            memory: None,
        })
        .collect();
    for (target, server) in &running {
        if let Some((word, server)) = target.cascade().zip(server.as_ref()) {
            let fields = load::fields(server.address, case.workload);
            let told = format!("x-tierway-cascade: {word}");
            let name = target.name();
            assert!(fields.contains(&told), "not {word} by {name}: {fields}");
        }
    }
    // The first round warms up, and is forgotten.
    for round in 0..=options.rounds {
        for ((target, server), column) in running.iter().zip(&mut columns) {
            let server = server.as_ref().unwrap_or(upstream);
            let first = case.targets.first() == Some(target);
            let workload = case.yardstick.filter(|_| first).unwrap_or(case.workload);
            let workload = target.asked(workload, upstream.address);
            let time = match round {
                0 => options.time / 2,
                _ => options.time,
            };
            let before = server.processor_time();
            let address = server.address;
            let ask = || match case.rate {
                Some(rate) => load::open(address, workload, rate, case.connections, time),
                None => load::closed(address, workload, case.connections, time),
            };
            let Ok(seen) = std::panic::catch_unwind(ask) else {
                println!(
                    "FAILED: {} at {}, {} connections",
                    target.name(),
                    workload.name(),
                    case.connections
                );
                continue;
            };
            let figures = Figures::of(&seen, server.processor_time() - before);
            if round > 0 {
                column.rounds.push(figures);
            }
        }
    }
    for ((_, server), column) in running.iter().zip(&mut columns) {
        column.memory = server.as_ref().map(|server| server.memory("VmHWM"));
    }
    let first = columns.first().map(|column| column.target);
    columns.retain(|column| column.rounds.len() == options.rounds);
    (first == columns.first().map(|column| column.target)).then_some(Outcome { case, columns })
}
