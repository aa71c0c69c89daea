//! The hand-made score of an ask, from 0 to 100: one of the numbers that the learned weights read, and what names the reason.
//!
//! From structure and whole words: the weightiest verb, then what adds to it (further tasks, length, reach, hard matters, code, files, list
//! items). Under 25 is simple, under 50 medium, above that complex; *reasoning* is told by phrases alone: a proof, a root cause, a race, a
//! security audit.
use super::{Decision, features::Features};
use tierway_services::chat::Tier;

const MEDIUM_FROM: f32 = 25.0;
const COMPLEX_FROM: f32 = 50.0;
const REASONING_FROM: f32 = 80.0;

fn tier_of(score: f32) -> Tier {
    if score >= REASONING_FROM {
        Tier::Reasoning
    } else if score >= COMPLEX_FROM {
        Tier::Complex
    } else if score >= MEDIUM_FROM {
        Tier::Medium
    } else {
        Tier::Simple
    }
}

pub(super) fn score(f: &Features) -> Decision {
    let decided = |score: f32, reason| {
        Decision::new(tier_of(score), reason).with_score(score.clamp(0.0, 100.0) / 100.0)
    };
    if f.is_small_talk() {
        return decided(3.0, "greeting");
    }
    let definition = f.definitional && f.words <= 12 && f.verb < 29;
    if let Some(phrase) = long_inference(f).filter(|_| !definition || f.definite) {
        return decided(90.0, phrase);
    }
    let mut base = f32::from(f.verb.max(12));
    if f.edit || (f.pieces > 0 && f.verb >= 20) {
        base = base.max(26.0);
    }
    // Something small is edited, or something small and nothing else is made.
    let made = f.words <= 9 && f.pieces == 0 && f.hard == 0;
    let small = f.small_objects > 0 && f.words <= 25 && (f.verb < 26 || (f.verb < 33 && made));
    if small {
        base = base.min(14.0);
    }
    let weight = if base < 25.0 { 0.4 } else { 1.0 };
    let tasks = 6.0 * few(f.tasks.saturating_sub(1), 3);
    let reach = falling(f.scope, 12.0) * weight;
    let hard = (8.0 * few(f.hard, 3) + 8.0 * few(f.large_objects, 2) + 10.0 * few(f.elusive, 1))
        * weight
        + 18.0 * few(f.puzzles, 1);
    let structure = structure(f);
    let total = base + tasks + length(f) + reach + hard + structure;
    if definition && structure < 8.0 {
        return decided(total.min(20.0), "lookup");
    }
    let total = total.min(REASONING_FROM - 1.0);
    decided(total, reason(f, total, reach, hard, structure, small))
}

/// What asks for long inference, if anything does.
fn long_inference(f: &Features) -> Option<&'static str> {
    let hunts = f.verb >= 26 || f.edit || f.verb == 14;
    if f.phrase.is_some() {
        f.phrase
    } else if f.shows && f.math > 0 {
        Some("proof")
    } else if f.hidden_faults > 0 && hunts && f.small_objects == 0 {
        Some("root_cause")
    } else if f.math >= 3 && f.words <= 120 {
        Some("mathematics")
    } else {
        None
    }
}

fn reason(
    f: &Features,
    total: f32,
    reach: f32,
    hard: f32,
    structure: f32,
    small: bool,
) -> &'static str {
    match tier_of(total) {
        Tier::Simple if small || f.edit => "small_edit",
        Tier::Simple => "short",
        Tier::Medium => "everyday",
        _ if reach >= hard.max(structure) && reach > 0.0 => "wide_scope",
        _ if f.verb >= 47 => "design",
        _ if hard >= structure && hard > 0.0 => "hard_matter",
        _ => "many_parts",
    }
}

/// What the length of the prose adds.
fn length(f: &Features) -> f32 {
    // Three bytes a character, and about two characters a word.
    match f.words.max(f.dense / 2) {
        0..=8 => 0.0,
        9..=20 => 3.0,
        21..=40 => 8.0,
        41..=80 => 14.0,
        81..=160 => 20.0,
        _ => 26.0,
    }
}

/// What code, files and lists add.
fn structure(f: &Features) -> f32 {
    let code = match f.code_lines {
        0 => 0.0,
        1..=39 => 3.0,
        40..=149 => 8.0,
        _ => 14.0,
    };
    // Code without a word about it is for the reader to make out.
    let bare = if f.words < 4 && f.code_lines > 3 {
        14.0
    } else {
        0.0
    };
    let paths = match f.paths {
        0..=2 => 0.0,
        3..=5 => 10.0,
        _ => 16.0,
    };
    let bullets = match f.bullets {
        0..=2 => 0.0,
        3..=5 => 8.0,
        _ => 16.0,
    };
    let shown = if f.diff || f.trace { 5.0 } else { 0.0 };
    code + bare + paths + bullets + shown
}

/// At most `most` of `n`.
fn few(n: u32, most: u32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let few = n.min(most) as f32;
    few
}

/// The first counts full, the second two thirds, the third a third.
fn falling(n: u32, first: f32) -> f32 {
    match n {
        0 => 0.0,
        1 => first,
        2 => first * 5.0 / 3.0,
        _ => first * 2.0,
    }
}
