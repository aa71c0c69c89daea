//! `tierway calibrate`: thresholds with a guarantee, from labels.
use super::{CalibrateArgs, WRONG, configuration};
use crate::{
    config::{Config, Strings},
    eval::{folds, learned, rows},
    labels::{
        FamilyReport, Label, Learnt, Quality, Settings, Source, label, learn, model_file, tiers,
    },
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tierway_layers::{
    cascade::Promise,
    classify::{self, TierModel},
    shadow::Graded,
};
use tierway_services::{
    chat::{Operation, Prompt},
    dialect::Dialect,
};

/// Prints what can be promised to standard output; a file or a configuration that cannot be used gives exit code 2.
///
/// # Errors
/// Where the output or the model cannot be written.
pub fn run(args: &CalibrateArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let (out, err) = (&mut io::stdout().lock(), &mut io::stderr().lock());
    calibrate(args, environment, out, err)
}

fn calibrate(
    args: &CalibrateArgs,
    environment: &dyn Strings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    let config = match configuration(args.config.as_ref(), environment, err)? {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let (learnt, labels) = match learnt(args, &config) {
        Ok(learnt) => learnt,
        Err(what) => {
            writeln!(err, "tierway calibrate: {what}")?;
            return Ok(ExitCode::from(WRONG));
        }
    };
    let total = labels.len();
    let held = total - learnt.fitted.min(total);
    writeln!(
        out,
        "{total} labels: {} to learn from, {held} to certify on\npromise: harm in at most {} % of calls, wrong with probability {} %\n",
        learnt.fitted,
        percent(args.alpha),
        percent(args.delta),
    )?;
    write!(out, "{}", table(&learnt.families))?;
    if !args.write {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(path) = &config.cascade.model else {
        writeln!(
            err,
            "tierway calibrate: nowhere to write to: turn the cascade on, or set cascade.model"
        )?;
        return Ok(ExitCode::from(WRONG));
    };
    let before = model_file::read_or_prior(Some(path)).revision();
    let model = learnt.model.with_revision(before + 1);
    model_file::write(path, &model)?;
    writeln!(
        out,
        "\nwritten to {}, revision {}: a gateway that runs puts it to work within seconds",
        path.display(),
        model.revision()
    )?;
    if let Some(path) = &config.labels.tiers_model {
        write_tiers(path, &labels, &config, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the labels teach about tiers, beside what they teach about drafts.
fn write_tiers(
    path: &Path,
    labels: &[Label],
    config: &Config,
    out: &mut dyn Write,
) -> io::Result<()> {
    let small = config.small().map(|small| tiers::of(config, small));
    let outcomes = tiers::outcomes(labels, &small.unwrap_or_default());
    if outcomes.is_empty() {
        return Ok(());
    }
    let before = tiers::read_or_shipped(Some(path)).learning().revision;
    let model = TierModel::learn(&outcomes).with_revision(before + 1);
    tiers::write(path, &model)?;
    writeln!(
        out,
        "what {} of them teach about tiers: {}, revision {}",
        outcomes.len(),
        path.display(),
        before + 1
    )
}

fn learnt(args: &CalibrateArgs, config: &Config) -> Result<(Learnt, Vec<Label>), String> {
    let promise = Promise::new(args.alpha, args.delta)
        .ok_or("--alpha and --delta must be between 0 and 1")?;
    let mut files: Vec<PathBuf> = args.labels.clone();
    if files.is_empty() {
        let usual = config.labels.file.clone();
        files.extend(usual.or_else(|| {
            Some(
                config
                    .cascade
                    .model
                    .as_ref()?
                    .with_file_name("labels.jsonl"),
            )
        }));
    }
    if files.is_empty() {
        return Err("no labels: name a file with --labels, or set labels.file".to_owned());
    }
    let mut labels = Vec::new();
    for file in &files {
        labels.extend(read(file)?);
    }
    let labels = label::one_a_call(labels);
    if labels.is_empty() {
        return Err("there are no labels".to_owned());
    }
    let settings = Settings {
        promise,
        recent: usize::MAX,
        since: BTreeMap::new(),
    };
    Ok((learn(&labels, &settings), labels))
}

/// Labels as the gateway keeps them, or rows of somebody's own.
fn read(file: &Path) -> Result<Vec<Label>, String> {
    let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let kept: Vec<Label> = text.lines().filter_map(Label::from_line).collect();
    if !kept.is_empty() || text.trim().is_empty() {
        return Ok(kept);
    }
    let rows = rows::read(&[file.to_owned()]).map_err(|problem| problem.to_string())?;
    let questions = folds::questions(&rows.iter().collect::<Vec<_>>());
    Ok(rows.iter().zip(questions).filter_map(recorded).collect())
}

/// Rows of one question are learned from together or certified on together: their ids differ behind the last `#`, which is not looked at.
fn recorded((row, question): (&rows::Row, usize)) -> Option<Label> {
    let (seen, beginnings) = learned::recorded(row)?;
    let verified = row.signals.verify_cost.unwrap_or(0.0);
    let body = row.request.get().to_owned().into();
    let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body).ok();
    let asked = prompt.as_ref().and_then(classify::see);
    Some(Label {
        id: format!("{}:{question}#{}", row.set, row.id),
        at: 0,
        source: Source::Recorded,
        score: f64::NAN,
        accepted: false,
        vetoed: false,
        early: false,
        beginnings: Some(beginnings),
        propensity: Some(1.0),
        quality: Some(Quality {
            small: seen.small,
            big: seen.big,
        }),
        asked: asked.as_ref().map(Graded::of),
        answered: None,
        small_cost: row.small.cost_usd + verified,
        big_cost: row.big.cost_usd,
        vector: seen.vector,
        prior: seen.prior,
        family: seen.family,
    })
}

fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    text.trim_end_matches(".0").to_owned()
}

fn table(families: &[FamilyReport]) -> String {
    let mut rows = vec![
        ["family", "labels", "threshold", "kept", "harm", "saved", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    let outcomes = families.iter().flat_map(|report| {
        let whole = (report, report.family.as_str().to_owned(), &report.outcome);
        let early = report.early.as_ref();
        let name = format!("{}, begun", report.family.as_str());
        [Some(whole), early.map(|early| (report, name, early))]
    });
    for (report, name, outcome) in outcomes.flatten() {
        let labels = match outcome {
            Ok(found) => found.labels,
            Err(short) => short.labels,
        };
        let mut row = vec![name, labels.to_string()];
        match outcome {
            Ok(found) => {
                let saving = if found.saving.is_finite() {
                    format!("{} %", percent(found.saving))
                } else {
                    "unknown".to_owned()
                };
                row.extend([
                    format!("{:.3}", found.threshold),
                    format!("{} %", percent(found.kept)),
                    format!("<= {} %", percent(found.bound)),
                    saving,
                    format!("certified: {} of {} harmed", found.harms, found.labels),
                ]);
            }
            Err(short) => {
                let why = match short.missing {
                    Some(missing) => format!("not certified: at least {missing} more labels"),
                    None => "not certified: no threshold keeps a draft".to_owned(),
                };
                let least = match report.least_deferred {
                    least if least > 0.0 => {
                        format!("; at least {} % must be deferred", percent(least))
                    }
                    _ => String::new(),
                };
                row.extend(["-", "-", "-", "-"].map(str::to_owned));
                row.push(why + &least);
            }
        }
        rows.push(row);
    }
    let widths: Vec<usize> = (0..6)
        .map(|i| rows.iter().filter_map(|row| Some(row.get(i)?.len())).max())
        .map(Option::unwrap_or_default)
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(i, cell)| match widths.get(i) {
            Some(width) => format!("{cell:<width$}  "),
            None => cell.clone(),
        });
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Sums, one in eight of which the small model gets wrong, and shows it by a wrong sum of its own.
    fn rows(n: usize) -> String {
        let row = |i: usize| {
            let wrong = i.is_multiple_of(8);
            let said = format!("{i} + 1 = {}", if wrong { i + 2 } else { i + 1 });
            serde_json::json!({
                "id": format!("q{i}"), "request": {"model": "s", "messages": [{"role": "user", "content": format!("How much is {i} plus one?")}]},
                "small": {"model": "s", "correct": u8::from(!wrong), "cost_usd": 0.001,
                    "response": {"choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]}},
                "big": {"model": "b", "correct": 1, "cost_usd": 0.02},
            })
            .to_string()
                + "\n"
        };
        (1..=n).map(row).collect()
    }

    fn told(rows: &str, write: bool) -> (String, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let labels = folder.path().join("rows.jsonl");
        fs::write(&labels, rows).unwrap();
        let config = folder.path().join("tierway.toml");
        fs::write(
            &config,
            "[cascade]\nmodel = \"judge\"\n[labels]\ntiers_model = \"tiers\"\n",
        )
        .unwrap();
        let args = CalibrateArgs {
            labels: vec![labels],
            alpha: 0.05,
            delta: 0.1,
            write,
            config: Some(config),
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let nothing = HashMap::<String, String>::new();
        let code = calibrate(&args, &nothing, &mut out, &mut err).unwrap();
        assert_eq!(code, ExitCode::SUCCESS, "{}", String::from_utf8_lossy(&err));
        (String::from_utf8(out).unwrap(), folder)
    }

    #[test]
    fn a_threshold_is_certified_and_written() {
        let (told, folder) = told(&rows(400), true);
        assert!(told.contains("  certified: "), "{told}");
        assert!(told.contains("revision 1"), "{told}");
        let model = model_file::read(&folder.path().join("judge")).unwrap();
        let family = tierway_layers::cascade::Family::ALL
            .into_iter()
            .find_map(|f| model.operating_of(f));
        assert!(family.unwrap().certified.is_some());
        assert!(told.contains("400 of them teach about tiers"), "{told}");
        let tiers = tiers::read(&folder.path().join("tiers")).unwrap().unwrap();
        let learning = tiers.learning();
        assert_eq!((learning.revision, learning.labels), (1, 400));
    }

    #[test]
    fn too_few_labels_are_said_to_be() {
        let (told, folder) = told(&rows(40), false);
        assert!(told.contains("more labels"), "{told}");
        assert!(!folder.path().join("judge").exists());
    }
}
