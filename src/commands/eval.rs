//! `tierway eval`: how well scores tell which requests need the big model.
use super::{EvalArgs, WRONG};
use crate::eval::{GivenScores, Options, Report, curve, evaluate, rows};
use std::{
    fs,
    io::{self, Write},
    process::ExitCode,
};
use tierway_layers::cascade::Promise;

/// Prints the measures to standard output; a file that cannot be used gives exit code 2.
///
/// # Errors
/// Where the output or the curve cannot be written.
pub fn run(args: &EvalArgs) -> io::Result<ExitCode> {
    eval(args, &mut io::stdout().lock(), &mut io::stderr().lock())
}

fn eval(args: &EvalArgs, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<ExitCode> {
    let report = match report(args) {
        Ok(report) => report,
        Err(what) => {
            writeln!(err, "tierway eval: {what}")?;
            return Ok(ExitCode::from(WRONG));
        }
    };
    if let Some(file) = &args.curve {
        let svg = curve::svg(&report).map_err(io::Error::other)?;
        fs::write(file, svg)
            .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn report(args: &EvalArgs) -> Result<Report, String> {
    let promise = Promise::new(args.alpha, args.delta)
        .ok_or("--alpha and --delta must be between 0 and 1")?;
    let options = Options {
        folds: args.folds,
        seed: args.seed,
        draws: args.resamples,
        promise: Some(promise),
    };
    let rows = rows::read(&args.rows).map_err(|problem| problem.to_string())?;
    if rows.is_empty() {
        return Err("there are no rows".to_owned());
    }
    let mut given = GivenScores::read(&args.scores).map_err(|problem| problem.to_string())?;
    if let Some(row) = given.missing(&rows) {
        return Err(format!(
            "`{}` of the set `{}` has no score",
            row.id, row.set
        ));
    }
    Ok(evaluate(&rows, &mut given, &options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{Cli, Command};
    use clap::Parser;
    use std::path::Path;

    fn run_in(folder: &Path, more: &[&str]) -> (ExitCode, String, String) {
        let path = |name: &str| folder.join(name).display().to_string();
        let (rows, scores) = (path("rows.jsonl"), path("scores.jsonl"));
        let line = [
            "tierway",
            "eval",
            &rows,
            "--scores",
            &scores,
            "--resamples",
            "20",
        ];
        let cli = Cli::try_parse_from(line.iter().chain(more)).unwrap();
        let Command::Eval(args) = cli.into_command() else {
            panic!("eval");
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = eval(&args, &mut out, &mut err).unwrap();
        (
            code,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    fn written(rows: usize, scores: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let row = |i: usize| {
            let right = u8::from(!i.is_multiple_of(3));
            format!(
                "{{\"id\":\"q{i}\",\"request\":{{\"messages\":\"{i}\"}},\"small\":{{\"model\":\"s\",\"correct\":{right},\"cost_usd\":1}},\"big\":{{\"model\":\"b\",\"correct\":1,\"cost_usd\":20}}}}\n"
            )
        };
        let score = |i: usize| {
            format!(
                "{{\"id\":\"q{i}\",\"complexity\":{},\"confidence\":{}}}\n",
                i % 2,
                f64::from(i as u32 % 3) / 2.0
            )
        };
        let text = |n, of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<String>();
        fs::write(folder.path().join("rows.jsonl"), text(rows, &row)).unwrap();
        fs::write(folder.path().join("scores.jsonl"), text(scores, &score)).unwrap();
        folder
    }

    #[test]
    fn a_table_json_and_a_curve() {
        let folder = written(120, 120);
        let (code, text, _) = run_in(folder.path(), &[]);
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(
            text.starts_with(
                "rows: 120 rows, 120 questions; small 0.667, big 1.000, 20.0 times dearer"
            ),
            "{text}"
        );

        let curve = folder.path().join("curve.svg");
        let (_, json, _) = run_in(
            folder.path(),
            &["--json", "--curve", &curve.display().to_string()],
        );
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let set = &json["sets"][0];
        // the confidence finds the third that is wrong and recovers everything with it: 1 - 1/6
        let apgr = set["cascade"]["apgr"]["value"].as_f64().unwrap();
        assert!((apgr - 5.0 / 6.0).abs() < 1e-9, "{apgr}");
        assert_eq!(set["certificate"]["alpha"], 0.05);
        assert!(fs::read_to_string(curve).unwrap().contains("always big"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (code, out, err) = run_in(written(3, 2).path(), &[]);
        assert_eq!((code, out.as_str()), (ExitCode::from(WRONG), ""));
        assert_eq!(err, "tierway eval: `q2` of the set `rows` has no score\n");
        assert!(
            run_in(written(0, 0).path(), &[])
                .2
                .contains("there are no rows")
        );
        assert!(
            run_in(written(3, 3).path(), &["--alpha", "1"])
                .2
                .contains("between 0 and 1")
        );
    }
}
