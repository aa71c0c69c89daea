//! What the gateway costs on the way: the same load on a mock upstream directly, on a bare hyper reverse proxy, and on tierway.
//!
//! `cargo bench --bench proxy` builds all three and prints one table; `-- --help` tells the options. Upstream, bare proxy and gateway are
//! processes of their own, so that the processor time and the memory of each can be read from `/proc`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a program for people at a terminal"
)]
mod bare;
mod fixed;
mod load;
mod options;
mod process;
mod report;
mod upstream;

use options::{Command, Options};
use report::{Figures, Workload};

fn main() {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => return println!("{}", options::HELP),
        Ok(Command::Upstream) => return upstream::serve(),
        Ok(Command::Fixed) => return fixed::serve(),
        Ok(Command::Bare { upstream }) => return bare::serve(upstream),
        Ok(Command::Run(options)) => options,
        Err(unknown) => panic!("{unknown}\n{}", options::HELP),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let upstream = process::Server::own(&["upstream"]);
    println!(
        "{} rounds of {:?} on {} connections; medians. CPU is the target process's own, by /proc; ratios are to the bare hyper proxy.\n",
        options.rounds, options.time, options.connections
    );
    println!("{}", report::HEAD);
    for workload in Workload::ALL {
        measure(&runtime, &options, &upstream, workload);
    }
    println!(
        "Hits of 16 KB: ratios are to a static answer of hyper's. First one connection at a time, which tells how long a hit takes.\n\n{}",
        report::HEAD
    );
    for workload in Workload::CACHED {
        for connections in [1, options.connections] {
            hits(&runtime, &options, &upstream, workload, connections);
        }
    }
}

/// Answers that are kept, against a server that has nothing else to give.
fn hits(
    runtime: &tokio::runtime::Runtime,
    options: &Options,
    upstream: &process::Server,
    workload: Workload,
    connections: usize,
) {
    let fixed = process::Server::own(&["fixed"]);
    let tierway = process::Server::tierway(&options.tierway, upstream.address, true);
    let targets = [("static", &fixed), ("tierway", &tierway)];
    let mut figures: [Vec<Figures>; 2] = Default::default();
    let load = |server: &process::Server, time| {
        let before = server.processor_time();
        let mut round = runtime.block_on(load::run(server.address, workload, connections, time));
        round.processor =
            (server.processor_time() - before).as_secs_f64() / round.requests.max(1) as f64;
        round
    };
    for (_, server) in &targets {
        load(server, options.time / 4);
    }
    for _ in 0..options.rounds {
        for (rounds, (_, server)) in figures.iter_mut().zip(&targets) {
            rounds.push(load(server, options.time));
        }
    }
    let medians = figures.map(report::median);
    for ((name, server), median) in targets.iter().zip(&medians) {
        let memory = Some(server.peak_memory());
        println!(
            "{}",
            report::line(workload, name, median, memory, &medians[0])
        );
    }
    println!();
}

/// One workload on fresh processes, the targets taking turns in every round.
fn measure(
    runtime: &tokio::runtime::Runtime,
    options: &Options,
    upstream: &process::Server,
    workload: Workload,
) {
    let bare = process::Server::own(&["bare", &upstream.address.to_string()]);
    let tierway = process::Server::tierway(&options.tierway, upstream.address, false);
    let targets = [
        ("direct", upstream, false),
        ("bare hyper", &bare, true),
        ("tierway", &tierway, true),
    ];
    let mut figures: [Vec<Figures>; 3] = Default::default();
    for (_, server, _) in &targets {
        runtime.block_on(load::run(
            server.address,
            workload,
            options.connections,
            options.time / 4,
        ));
    }
    for _ in 0..options.rounds {
        for (rounds, (_, server, _)) in figures.iter_mut().zip(&targets) {
            let before = server.processor_time();
            let mut round = runtime.block_on(load::run(
                server.address,
                workload,
                options.connections,
                options.time,
            ));
            round.processor =
                (server.processor_time() - before).as_secs_f64() / round.requests.max(1) as f64;
            rounds.push(round);
        }
    }
    let medians = figures.map(report::median);
    for ((name, server, own), median) in targets.iter().zip(&medians) {
        println!(
            "{}",
            report::line(
                workload,
                name,
                median,
                own.then(|| server.peak_memory()),
                &medians[1]
            )
        );
    }
    println!();
}
