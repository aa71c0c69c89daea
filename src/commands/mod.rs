//! The command line: what can be said, and one file for each command.
pub mod calibrate;
pub mod check;
pub mod doctor;
pub mod eval;
pub mod init;
pub mod keys;
pub mod ledger;
pub mod mcp;
pub mod prices;
pub mod replay;
pub mod route;
pub mod score;
pub mod serve;
pub mod statusline;
pub mod usage;
pub mod wrap;

use crate::{
    config::{Config, Flags, Loaded, Process, Strings, load},
    log,
};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// A self-hosted LLM gateway: answers each request with the cheapest model that is good enough, and proves what it saved.
///
/// Started without a configuration it looks for local model servers (Ollama, llama.cpp, LM Studio) and for API keys in the
/// environment, binds its four tiers to what it finds, and says so.
// Not a documentation comment, which would be part of the help:
// `Cli::parse().into_command()` is the command to run.
#[derive(Clone, Debug, Parser)]
#[command(name = "tierway", version, max_term_width = 100, args_conflicts_with_subcommands = true, after_long_help = AFTER_HELP)]
pub struct Cli {
    /// What to do; without one: serve.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of `serve`, which may be given without naming it.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the gateway (what happens without a command)
    Serve(ServeArgs),
    /// Validate the configuration and print what it means, secrets hidden
    ///
    /// Prints every setting with where its value came from: a line of the file, an environment variable, a flag, or the default. Where
    /// something is wrong, prints all of it with what to write instead, and exits with 2.
    Check(CheckArgs),
    /// Tell where a request would go, why, and what it would cost, without sending it
    ///
    /// Reads the body of one request from standard input and prints its tier, the scores, features, rules and guards behind it, and the
    /// price of each tier for this request.
    Route(RouteArgs),
    /// Measure how well scores tell which requests need the big model
    ///
    /// Reads labelled rows, one JSON object a line: {id, set, request, small: {model, correct, cost_usd}, big: {..}, signals}. Prints for
    /// the route, the cascade and both: APGR, cost-APGR, CPT50, CPT80 and AUROC, with 95 % bootstrap intervals, and the threshold that can
    /// be promised.
    Eval(EvalArgs),
    /// Find the thresholds at which the small model's answers may be kept, with a guarantee
    ///
    /// Learns from one half of the labels and certifies on the other: the share of calls whose draft is kept although the big model would
    /// have been better is at most ALPHA, said with confidence 1 - DELTA (Learn then Test, arXiv 2110.01052). Prints for each kind of task
    /// the threshold, what it keeps and saves, or how many labels are missing.
    Calibrate(CalibrateArgs),
    /// Read recorded requests and print the tier of each, without calling a model
    ///
    /// Reads one JSON object a line from standard input: an id, a request, perhaps the small model's response. Writes one for each:
    /// the tier, how complex the request is and how far the response can be trusted (both from 0 to 1), and why.
    Score,
    /// Run a program whose calls go through the gateway, and tell at its end what it spent and saved
    ///
    /// Uses the gateway that listens where the configuration says, or starts one for as long as the program runs. Claude Code, Codex and
    /// aider are told in their own way, others by ANTHROPIC_BASE_URL, OPENAI_BASE_URL and OPENAI_API_BASE; nothing of yours is changed.
    /// Who has signed in to Claude with a subscription keeps using it: its credentials pass untouched. Example: tierway wrap claude
    Wrap(WrapArgs),
    /// Write a first configuration, from what is found here or from that of another gateway
    ///
    /// Looks for local model servers and for keys in the environment, asks few questions, asks each model for a word, and writes
    /// tierway.toml. With --import it starts from Lynkr's .env or LiteLLM's config.yaml, and tells what could be said exactly, nearly, and
    /// not. Keys are never copied into the file.
    Init(InitArgs),
    /// Look whether the gateway would work here and now, and tell what cures what does not
    ///
    /// Looks at the configuration, at each provider (reachable, willing, same time), at the tiers' models (listed, priced), at this machine's
    /// limits, sockets and files, and at Redis. Exits with 1 where calls would fail.
    Doctor(DoctorArgs),
    /// Print a script that completes this command line in a shell: tierway completions bash > ...
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page: tierway man | man -l -
    Man,
    /// Tell what was spent and saved, from the ledger
    Usage(usage::UsageArgs),
    /// Tell what the calls in the ledger would have cost under another configuration
    ///
    /// The tiers stay what they were, and answers as long as they were: other models behind the tiers, other prices, with or without cache
    /// and cascade. With a 95 % interval from a bootstrap over conversations.
    Replay(replay::ReplayArgs),
    /// Print one line for Claude Code's status line, which tells of the session on standard input
    Statusline(statusline::StatuslineArgs),
    /// Use newer prices than the built-in ones
    Prices(prices::PricesArgs),
    /// Make, list, rotate and revoke the keys by which callers are admitted
    ///
    /// They are kept as digests beside the ledger, and a running gateway heeds a change within a second.
    Keys(keys::KeysArgs),
    /// Sign in to servers of tools that ask for it, and list them
    Mcp(mcp::McpArgs),
    /// Export the ledger: every call, and every upstream call, that was ever made
    Ledger(ledger::LedgerArgs),
}

/// Options of `serve`.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    /// The configuration file [or: TIERWAY_CONFIG] [otherwise: ./tierway.toml, then ~/.config/tierway/tierway.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where callers connect [or: TIERWAY_LISTEN] [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Where metrics and health are [or: TIERWAY_ADMIN] [default: 127.0.0.1:9787]
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
}

/// Options of `check`.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckArgs {
    /// What `serve` would be given
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Print the reference of all settings, as Markdown, instead
    #[arg(long)]
    pub reference: bool,
}

/// Options of `route`.
#[derive(Args, Clone, Debug, Default)]
pub struct RouteArgs {
    /// The configuration file, found as `serve` finds it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The path that the request came to, which tells its dialect [otherwise: its fields tell]
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// A header of the request; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub header: Vec<String>,
    /// For whom the call is made, where keys tell tenants apart
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Print one JSON object instead
    #[arg(long)]
    pub json: bool,
}

/// Options of `eval`.
#[derive(Args, Clone, Debug)]
pub struct EvalArgs {
    /// Files of labelled rows; each set among them is measured by itself
    #[arg(required = true, value_name = "FILE")]
    pub rows: Vec<PathBuf>,
    /// Scores to measure, as `tierway score` prints them: {id, complexity, confidence} a line. Without any: what the gateway would learn
    /// from the rows, each scored by what was learned from the other folds
    #[arg(long, value_name = "FILE")]
    pub scores: Vec<PathBuf>,
    /// Learn from at most so many rows of each fold
    #[arg(long, value_name = "N", conflicts_with = "scores")]
    pub labels: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Draw quality over cost into this SVG file
    #[arg(long, value_name = "FILE")]
    pub curve: Option<PathBuf>,
    /// Into how many folds a set is divided; 0: nothing is learned, what is shipped scores
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub folds: usize,
    /// The seed of folds, halves and draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// How often the bootstrap draws
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub resamples: usize,
    /// The harm to be certified: the share of calls kept although the big model would have been better
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub alpha: f64,
    /// The probability with which the certificate may be wrong
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub delta: f64,
}

/// Options of `calibrate`.
#[derive(Args, Clone, Debug)]
pub struct CalibrateArgs {
    /// A file of labels, or of labelled rows as `eval` reads them; may be given several times [otherwise: labels.file]
    #[arg(long, value_name = "FILE")]
    pub labels: Vec<PathBuf>,
    /// The harm to be certified: the share of calls kept although the big model would have been better
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub alpha: f64,
    /// The probability with which a certificate may be wrong
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub delta: f64,
    /// Write the model with its thresholds to cascade.model, and what the labels teach about tiers to labels.tiers_model; a gateway that
    /// runs puts both to work
    #[arg(long)]
    pub write: bool,
    /// The configuration file, found as `serve` finds it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `wrap`.
#[derive(Args, Clone, Debug)]
pub struct WrapArgs {
    /// The configuration file, found as `serve` finds it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The program: claude, codex, aider, or any other
    #[arg(value_name = "PROGRAM")]
    pub program: PathBuf,
    /// Its own arguments
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub arguments: Vec<OsString>,
}

/// Options of `init`.
#[derive(Args, Clone, Debug, Default)]
pub struct InitArgs {
    /// The file to write [otherwise: ./tierway.toml]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Start from Lynkr's .env or LiteLLM's config.yaml; may be given several times
    #[arg(long, value_name = "FILE")]
    pub import: Vec<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
    /// Ask nothing, and take what would be proposed
    #[arg(long, short)]
    pub yes: bool,
}

/// Options of `doctor`.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArgs {
    /// The configuration file, found as `serve` finds it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ask each tier's model for a word, too, which its provider bills
    #[arg(long)]
    pub call: bool,
}

/// The exit code for a configuration or a file that cannot be used.
pub(crate) const WRONG: u8 = 2;

/// Does what the command line says.
#[must_use]
pub fn run() -> ExitCode {
    let environment = Process;
    let done = match Cli::parse().into_command() {
        Command::Serve(args) => serve::run(args, &environment),
        Command::Check(args) => check::run(args, &environment),
        Command::Route(args) => route::run(&args, &environment),
        Command::Eval(args) => eval::run(&args),
        Command::Calibrate(args) => calibrate::run(&args, &environment),
        Command::Score => score::run(),
        Command::Init(args) => init::run(&args, &environment),
        Command::Completions { shell } => print(|out| {
            clap_complete::generate(shell, &mut Cli::command(), "tierway", out);
            Ok(())
        }),
        Command::Man => print(|out| clap_mangen::Man::new(Cli::command()).render(out)),
        Command::Doctor(args) => doctor::run(&args, &environment),
        Command::Wrap(args) => wrap::run(&args, &environment),
        Command::Usage(args) => usage::run(&args, &environment),
        Command::Replay(args) => replay::run(&args, &environment),
        Command::Statusline(args) => statusline::run(&args, &environment),
        Command::Prices(args) => prices::run(&args, &environment),
        Command::Keys(args) => keys::run(&args, &environment),
        Command::Mcp(args) => mcp::run(&args, &environment),
        Command::Ledger(args) => ledger::run(&args, &environment),
    };
    log::close();
    done.unwrap_or_else(|error| {
        // A reader that has closed our output (`| head`) wants no complaint about it.
        if error.kind() != io::ErrorKind::BrokenPipe {
            let _ = writeln!(io::stderr().lock(), "tierway: {error}");
        }
        ExitCode::FAILURE
    })
}

/// Prints what `write` writes, whole: generators panic where their reader has gone.
fn print(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<ExitCode> {
    let mut text = Vec::new();
    write(&mut text)?;
    io::stdout().lock().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether to paint: on a terminal, unless `NO_COLOR` says otherwise (<https://no-color.org>).
pub(crate) fn colour(terminal: bool, environment: &dyn Strings) -> bool {
    let unwanted = environment.get("NO_COLOR");
    terminal && !unwanted.is_ok_and(|value| value.is_some_and(|value| !value.is_empty()))
}

/// What is configured for a command, by `file` or where it usually is. What is wrong with it is printed, and the exit code returned.
fn loaded(
    file: Option<&PathBuf>,
    environment: &dyn Strings,
    colour: bool,
    err: &mut dyn Write,
) -> io::Result<Result<Loaded, ExitCode>> {
    let flags = Flags {
        config: file.cloned(),
        ..Flags::default()
    };
    match load(&flags, environment) {
        Ok(loaded) => Ok(Ok(loaded)),
        Err(problems) => {
            writeln!(err, "{}", problems.render(colour))?;
            Ok(Err(ExitCode::from(WRONG)))
        }
    }
}

/// The configuration of a command that only reads it, as [`loaded`].
fn configuration(
    file: Option<&PathBuf>,
    environment: &dyn Strings,
    err: &mut dyn Write,
) -> io::Result<Result<Config, ExitCode>> {
    Ok(loaded(file, environment, false, err)?.map(|loaded| loaded.config))
}

const AFTER_HELP: &str = "\
Connect a client:
  tierway wrap claude                              or, where the gateway runs already:
  ANTHROPIC_BASE_URL=http://127.0.0.1:8787 claude
  OPENAI_BASE_URL=http://127.0.0.1:8787/v1 your-program

Ask for a model:
  auto                 the tier that the request deserves
  tierway/simple       this tier; also medium, complex, reasoning
  ollama:qwen2.5:3b    this model of this provider

Bind tiers without a file:
  TIER_SIMPLE=ollama:qwen2.5:3b TIER_COMPLEX=anthropic:MODEL ANTHROPIC_API_KEY=... tierway

All settings: tierway check --reference";

impl Cli {
    /// The command, with `serve` for none.
    #[must_use]
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

impl From<ServeArgs> for Flags {
    fn from(args: ServeArgs) -> Self {
        Self {
            config: args.config,
            listen: args.listen,
            admin: args.admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_serve() {
        let listen = |args: &[&str]| match Cli::try_parse_from(args).unwrap().into_command() {
            Command::Serve(args) => args.listen,
            Command::Check(_) | Command::Route(_) => None,
            _ => None,
        };
        let address = Some("127.0.0.1:1".to_owned());
        assert_eq!(listen(&["tierway", "--listen", "127.0.0.1:1"]), address);
        assert_eq!(
            listen(&["tierway", "serve", "--listen", "127.0.0.1:1"]),
            address
        );
    }

    #[test]
    fn completions_and_the_manual_name_every_command() {
        let mut man = Vec::new();
        clap_mangen::Man::new(Cli::command())
            .render(&mut man)
            .unwrap();
        let man = String::from_utf8(man).unwrap();
        let mut bash = Vec::new();
        clap_complete::generate(
            clap_complete::Shell::Bash,
            &mut Cli::command(),
            "tierway",
            &mut bash,
        );
        let bash = String::from_utf8(bash).unwrap();
        for command in Cli::command().get_subcommands() {
            assert!(man.contains(command.get_name()) && bash.contains(command.get_name()));
        }
    }

    #[test]
    fn help() {
        insta::assert_snapshot!(Cli::command().render_long_help());
    }
}
