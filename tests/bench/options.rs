//! What can be said on the command line.
use crate::bare::Runtimes;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub(crate) const HELP: &str = "\
usage: tests/bench/run.sh [options]
  --full            every configuration, every peer, more sizes and connections
  --rounds N        rounds of each case and target, which take turns [3; 7 of --full]
  --seconds S       of each round [1; 2 of --full]
  --tierway FILE    another binary than the one that cargo built
  --only WORD       only cases with this word in their name
  --out FOLDER      writes results.md, results.tsv and plots there
  --peers FOLDER    where run.sh has put nginx and the peers
  --smoke           a tenth of a second of everything: does it run at all?";

pub(crate) enum Command {
    Help,
    Run(Options),
    /// The mock upstream, as a process of its own.
    Upstream,
    /// The server of fixed answers, likewise.
    Fixed,
    /// The bare proxy, likewise.
    Bare {
        upstream: SocketAddr,
        on: Runtimes,
    },
}

pub(crate) struct Options {
    pub(crate) full: bool,
    pub(crate) smoke: bool,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) tierway: PathBuf,
    pub(crate) only: Option<String>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) peers: Option<PathBuf>,
}

pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let arguments: Vec<String> = arguments.collect();
    let full = arguments.iter().any(|a| a == "--full");
    let mut options = Options {
        full,
        smoke: false,
        rounds: if full { 7 } else { 3 },
        time: Duration::from_secs(if full { 2 } else { 1 }),
        tierway: env!("CARGO_BIN_EXE_tierway").into(),
        only: None,
        out: None,
        peers: None,
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "upstream" => return Ok(Command::Upstream),
            "fixed" => return Ok(Command::Fixed),
            "bare" | "bare-each-core" | "bare-each-listener" => {
                return Ok(Command::Bare {
                    upstream: number(&value()?)?,
                    on: match argument.as_str() {
                        "bare" => Runtimes::Shared,
                        "bare-each-core" => Runtimes::EachCore,
                        _ => Runtimes::EachListener,
                    },
                });
            }
            "--rounds" => options.rounds = number::<usize>(&value()?)?.max(1),
            "--seconds" => options.time = Duration::from_secs_f64(number(&value()?)?),
            "--tierway" => options.tierway = value()?.into(),
            "--only" => options.only = Some(value()?),
            "--out" => options.out = Some(value()?.into()),
            "--peers" => options.peers = Some(value()?.into()),
            "--smoke" => {
                options.smoke = true;
                (options.rounds, options.time) = (1, Duration::from_millis(100));
            }
            "--full" | "--bench" => {}
            _ => return Err(format!("unknown: {argument}")),
        }
    }
    Ok(Command::Run(options))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a value: {text}"))
}
