//! Learns the weights that are shipped with `classify`, and prints them: `layers/classify/prior.txt` is its output.
//!
//! ```sh
//! cargo run --release -p tierway-layers --example learn_prior -- tests/routing/train OUTCOMES.jsonl... > layers/classify/prior.txt
//! ```
//!
//! The first argument is a folder of labelled asks: a line `=== tier[,second tier]`, then the ask. The others are outcomes of a small model,
//! one JSON object a line: `{"request": {"messages": [...]}, "small": {"correct": 0..1}}`. From the asks come the heads of the tiers, from the
//! outcomes that of a small model's being right. The same input gives the same output, byte for byte.
#![allow(clippy::print_stdout, reason = "printing is what it is for")]
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{error::Error, fs, path::Path};
use tierway_layers::{
    classify,
    learn::{Example, Fit, Head, Vector},
};
use tierway_services::{
    chat::{Operation, Prompt, Tier},
    dialect::Dialect,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The share of the first tier where two are accepted.
const FIRST: f32 = 0.65;
/// How strongly the tiers' weights are held at zero; chosen by five-fold cross-validation over the asks.
const TIERS_PENALTY: f64 = 1.0;
/// The same for a small model's being right, chosen by leaving out one set after the other: what transfers is little.
const RIGHT_PENALTY: f64 = 150.0;
/// Each file of outcomes counts as this many, however long it is.
const OUTCOMES: f32 = 1000.0;

struct Ask {
    vector: Vector,
    /// How much each tier is the right one.
    tiers: [f32; 4],
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of asks first")?;
    let asks = asks(Path::new(&folder))?;
    let mut outcomes = Vec::new();
    for (origin, file) in arguments.enumerate() {
        outcomes.extend(read_outcomes(&file, origin)?);
    }
    let mut heads: Vec<Head> = (0..3)
        .map(|tier| {
            let examples: Vec<Example> = asks.iter().map(|ask| example(ask, tier)).collect();
            Fit::default().penalty(TIERS_PENALTY).fit(&examples).head(0)
        })
        .collect();
    heads.push(
        Fit::default()
            .penalty(RIGHT_PENALTY)
            .fit(&outcomes)
            .average(),
    );
    let heads: Vec<String> = heads.iter().map(Head::to_text).collect();
    println!("{}", heads.join("--\n").trim_end());
    Ok(())
}

/// The ask as an example of whether `tier` suffices: it does where the right tier is this one or a cheaper one.
fn example(ask: &Ask, tier: usize) -> Example {
    Example {
        vector: classify::stepped(&ask.vector),
        intercept: 0,
        positive: ask.tiers.iter().take(tier + 1).sum(),
        weight: 1.0,
        offset: 0.0,
    }
}

fn asks(folder: &Path) -> Result<Vec<Ask>> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut asks = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        for (tiers, words) in pieces(&text) {
            let mut weights = [0.0; 4];
            for (rank, tier) in tiers.iter().enumerate() {
                weights[*tier as usize] = match (tiers.len(), rank) {
                    (1, _) => 1.0,
                    (_, 0) => FIRST,
                    _ => 1.0 - FIRST,
                };
            }
            let body = serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": words.trim_end()}]});
            if let Some(vector) = see(body.to_string()) {
                asks.push(Ask {
                    vector,
                    tiers: weights,
                });
            }
        }
    }
    Ok(asks)
}

/// The labels and words of each ask. Only a line that holds tiers is a label: `===` stands in code too.
fn pieces(text: &str) -> Vec<(Vec<Tier>, String)> {
    let mut pieces: Vec<(Vec<Tier>, String)> = Vec::new();
    for line in text.lines() {
        let tiers = line.strip_prefix("=== ").and_then(|tiers| {
            let tiers = tiers.split(',').map(|tier| tier.trim().parse().ok());
            tiers.collect::<Option<Vec<Tier>>>()
        });
        match (tiers, pieces.last_mut()) {
            (Some(tiers), _) => pieces.push((tiers, String::new())),
            (None, Some((_, words))) => {
                words.push_str(line);
                words.push('\n');
            }
            (None, None) => {}
        }
    }
    pieces
}

fn read_outcomes(file: &str, origin: usize) -> Result<Vec<Example>> {
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        request: &'a RawValue,
        small: Small,
    }
    #[derive(Deserialize)]
    struct Small {
        correct: f32,
    }
    let text = fs::read_to_string(file)?;
    let mut examples = Vec::new();
    for line in text.lines() {
        let row: Row<'_> = serde_json::from_str(line)?;
        let Some(vector) = see(row.request.get().to_owned()) else {
            continue;
        };
        examples.push(Example {
            vector,
            intercept: origin,
            positive: row.small.correct,
            weight: 1.0,
            offset: 0.0,
        });
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let weight = OUTCOMES / examples.len().max(1) as f32;
    examples.iter_mut().for_each(|e| e.weight = weight);
    Ok(examples)
}

fn see(body: String) -> Option<Vector> {
    let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).ok()?;
    classify::vector(&prompt)
}
