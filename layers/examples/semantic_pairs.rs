//! Measures the semantic cache on labelled pairs of questions, and calibrates its threshold.
//!
//! ```sh
//! cargo run --release -p tierway-layers --features local-embeddings --example semantic_pairs -- MODEL_FOLDER tests/semantic/pairs.tsv [--write]
//! ```
//!
//! `--write` puts the cosines into the file. The threshold is fitted on two thirds of the pairs: the highest at which the words' own recall drops by
//! no more than a twentieth, of those at which precision is 0.99 or better. Every third pair is held out; what it says is told and not used.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a program of measurements"
)]
use std::time::Instant;
use tierway_layers::semantic_cache::{Local, difference};

struct Pair {
    same: bool,
    texts: [String; 2],
    cosine: f32,
    agree: bool,
}

/// Right hits, wrong hits, and hits missed.
fn count<'a>(pairs: impl Iterator<Item = &'a Pair>, threshold: f32, words: bool) -> [usize; 3] {
    let mut counts = [0; 3];
    for pair in pairs {
        let hit = pair.cosine >= threshold && (pair.agree || !words);
        match (pair.same, hit) {
            (true, true) => counts[0] += 1,
            (false, true) => counts[1] += 1,
            (true, false) => counts[2] += 1,
            (false, false) => {}
        }
    }
    counts
}

fn rates([right, wrong, missed]: [usize; 3]) -> (f64, f64) {
    let precision = right as f64 / (right + wrong).max(1) as f64;
    (precision, right as f64 / (right + missed).max(1) as f64)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, file, rest @ ..] = &*args else {
        println!("usage: semantic_pairs MODEL_FOLDER PAIRS [--write]");
        return;
    };
    let model = Local::open(folder.as_ref()).expect("a model");
    let text = std::fs::read_to_string(file).expect("pairs");
    let mut taken = Vec::new();
    let mut pairs: Vec<Pair> = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [label, a, b, ..] = &*cells else { continue };
        let vectors = [a, b].map(|text| {
            let started = Instant::now();
            let vector = model.vector(text);
            taken.push(started.elapsed());
            vector
        });
        let cosine = vectors[0].iter().zip(&vectors[1]).map(|(x, y)| x * y).sum();
        pairs.push(Pair {
            same: *label == "same",
            texts: [(*a).to_owned(), (*b).to_owned()],
            cosine,
            agree: difference(a, b).is_none(),
        });
    }
    taken.sort();
    println!(
        "{} pairs; a vector takes {:?} (median)",
        pairs.len(),
        taken[taken.len() / 2]
    );
    let split = |held_out: bool| {
        pairs
            .iter()
            .enumerate()
            .filter(move |(i, _)| (i % 3 == 2) == held_out)
            .map(|(_, pair)| pair)
    };
    let grid = (50..=99).map(|t| t as f32 / 100.0);
    let all = rates(count(split(false), -1.0, true)).1;
    let fits = |t: &f32| {
        let (precision, recall) = rates(count(split(false), *t, true));
        precision >= 0.99 && recall >= 0.95 * all
    };
    let threshold = grid.clone().rfind(fits).unwrap_or(0.99);
    println!(
        "threshold  words+vectors: precision recall (fitted)   vectors alone: precision recall (fitted)"
    );
    for t in grid.step_by(5) {
        let (with, without) = (
            rates(count(split(false), t, true)),
            rates(count(split(false), t, false)),
        );
        println!(
            "{t:.2}  {:.3} {:.3}   {:.3} {:.3}",
            with.0, with.1, without.0, without.1
        );
    }
    println!("chosen: {threshold:.2}");
    for (name, held_out) in [("fitted", false), ("held out", true)] {
        let counts = count(split(held_out), threshold, true);
        let (precision, recall) = rates(counts);
        println!(
            "{name}: {} right, {} wrong, {} missed: precision {precision:.3}, recall {recall:.3}",
            counts[0], counts[1], counts[2]
        );
    }
    for pair in pairs
        .iter()
        .filter(|p| !p.same && p.agree && p.cosine >= threshold)
    {
        println!(
            "wrong: {:.3} {} | {}",
            pair.cosine, pair.texts[0], pair.texts[1]
        );
    }
    // What the file tells is what this model says, or it is of another model.
    let told = text
        .lines()
        .filter_map(|line| line.split('\t').nth(3)?.parse::<f32>().ok());
    let far = pairs
        .iter()
        .zip(told)
        .filter(|(pair, told)| (pair.cosine - told).abs() > 0.001);
    match far.count() {
        0 => println!("same cosines as in the file"),
        n => println!("{n} other cosines than in the file"),
    }
    if rest.iter().any(|arg| arg == "--write") {
        let lines = pairs.iter().map(|pair| {
            let label = if pair.same { "same" } else { "other" };
            format!(
                "{label}\t{}\t{}\t{:.4}\n",
                pair.texts[0], pair.texts[1], pair.cosine
            )
        });
        std::fs::write(file, lines.collect::<String>()).expect("written");
    }
}
