//! What can be said on the command line.
use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub(crate) const HELP: &str = "\
usage: cargo bench --bench proxy -- [options]
  --rounds N        rounds for each workload and target [3]
  --seconds S       of each round [3]
  --connections N   kept busy [16]
  --tierway FILE    another binary than the one that cargo built
  --smoke           a quarter of a second of everything: does it run at all?";

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
    },
}

pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) connections: usize,
    pub(crate) tierway: PathBuf,
}

pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = Options {
        rounds: 3,
        time: Duration::from_secs(3),
        connections: 16,
        tierway: env!("CARGO_BIN_EXE_tierway").into(),
    };
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
            "bare" => {
                return Ok(Command::Bare {
                    upstream: number(&value()?)?,
                });
            }
            "--rounds" => options.rounds = number::<usize>(&value()?)?.max(1),
            "--seconds" => options.time = Duration::from_secs_f64(number(&value()?)?),
            "--connections" => options.connections = number::<usize>(&value()?)?.max(1),
            "--tierway" => options.tierway = value()?.into(),
            "--smoke" => (options.rounds, options.time) = (1, Duration::from_millis(250)),
            "--bench" => {} // cargo's own
            _ => return Err(format!("unknown: {argument}")),
        }
    }
    Ok(Command::Run(options))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a value: {text}"))
}
