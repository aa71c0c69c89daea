//! From a conversation to the chance that each tier's model suffices.
//!
//! The ask that decides is found first (a consent goes on with the ask before it, an error that came back raises it), then read as a
//! [`Vector`], then graded by three linear heads: the chance that the simple, the medium, the complex tier's model is good enough. The
//! tier is the cheapest whose chance is at least one half.
use super::{
    Decision,
    ask::{clean, continued},
    features::Features,
    heuristic,
    prior::Prior,
    tools,
    vector::{self, Ask, Setting},
};
use crate::learn::Vector;
use std::borrow::Cow;
use tierway_services::chat::{Facts, PartKind, Prompt, Speaker, Tier, Turn};

/// How many asks "yes" and "continue" are followed back.
const MAX_BACK: usize = 5;

/// Words up to which "still failing" is a complaint, not an ask of its own.
const MOST_COMPLAINT: u32 = 16;

/// Complaints in a row that count.
const MOST_RAISED: u8 = 3;

/// By how much the log-odds of every tier fall when an error came back: about a third of a tier.
const STILL_FAILING: f32 = 1.0;

/// By how much the log-odds that a small model suffices fall when no offered tool fits the ask: small models call one all the same.
const MISFIT: f32 = 2.0;

/// What a conversation asks for now.
#[derive(Debug)]
pub(super) struct Grade {
    /// The tier.
    pub(super) tier: Tier,
    /// Why.
    pub(super) reason: Cow<'static, str>,
    /// The chance that each tier's model suffices.
    pub(super) suffices: [f32; 4],
    /// What it was graded by; `None` where there was no ask to read.
    pub(super) vector: Option<Vector>,
}

/// The ask that decides, and what was said after it.
#[derive(Debug, Default)]
struct Decisive {
    ask: Option<Ask>,
    /// Asks after it that only went on.
    later: usize,
    /// How many of them said that it still fails.
    raised: u8,
    /// Whether anything was said at all.
    talk: bool,
}

impl Grade {
    /// Grades what was last asked.
    pub(super) fn of(prompt: &Prompt, prior: &Prior) -> Self {
        let decisive = decisive(prompt);
        let Some(ask) = &decisive.ask else {
            let facts = prompt.facts();
            let shown = |t: &Turn| t.parts.iter().any(|p| p.kind != PartKind::Text);
            return Self::without_ask(&decisive, !facts.turns.iter().any(shown));
        };
        let by_hand = heuristic::score(&ask.features);
        let setting = setting(prompt, &ask.features);
        let vector = vector::vector(ask, &setting, by_hand.score);
        let mut suffices = prior.suffices(&vector, |logit| {
            logit
                - STILL_FAILING * f32::from(decisive.raised)
                - MISFIT * setting.tool_misfit.unwrap_or(0.0)
        });
        if ask.features.is_small_talk() {
            suffices = [1.0; 4];
        }
        let tier = cheapest(&suffices);
        let reason = match () {
            () if decisive.raised > 0 => Cow::Borrowed("still_failing"),
            () if decisive.later > 0 => Cow::Borrowed("continued"),
            () if tier == by_hand.tier => by_hand.reason,
            // The learned weights moved it; which of them, `explain` tells.
            () => Cow::Borrowed("weighed"),
        };
        Self {
            tier,
            reason,
            suffices,
            vector: Some(vector),
        }
    }

    fn without_ask(decisive: &Decisive, nothing_shown: bool) -> Self {
        let (tier, reason) = match decisive {
            Decisive { raised: 1.., .. } => (Tier::Medium, "still_failing"),
            Decisive { talk: true, .. } => (Tier::Simple, "greeting"),
            _ if nothing_shown => (Tier::Simple, "no_ask"),
            _ => (Tier::Medium, "no_ask"),
        };
        let mut suffices = [0.0; 4];
        for at in Tier::ALL {
            if at >= tier {
                suffices[at as usize] = 1.0;
            }
        }
        Self {
            tier,
            reason: Cow::Borrowed(reason),
            suffices,
            vector: None,
        }
    }

    /// As a decision.
    pub(super) fn decide(self) -> Decision {
        let mut decision = Decision::new(self.tier, self.reason.clone()).with_score(self.score());
        decision.suffices = Some(self.suffices);
        decision
    }

    /// How demanding it is, from 0 to 1: the tiers that are expected not to suffice, of the three that may not.
    pub(super) fn score(&self) -> f32 {
        let [simple, medium, complex, _] = self.suffices;
        1.0 - (simple + medium + complex) / 3.0
    }
}

/// The cheapest tier that more probably suffices than not.
fn cheapest(suffices: &[f32; 4]) -> Tier {
    Tier::ALL
        .into_iter()
        .find(|tier| suffices[*tier as usize] >= 0.5)
        .unwrap_or(Tier::Reasoning)
}

/// Reads the user's turns, newest first, as far back as they only go on with what was asked before.
fn decisive(prompt: &Prompt) -> Decisive {
    let mut found = Decisive::default();
    let mut turns = user_turns(prompt.facts()).peekable();
    while let Some(turn) = turns.next() {
        let ask = read(prompt, turn);
        let f = &ask.features;
        if f.is_empty() {
            continue;
        }
        let consents = f.is_small_talk() && f.affirmations > 0;
        let fails = f.error_loop && f.words <= MOST_COMPLAINT;
        // A reply to nothing is an ask.
        let replies = f.is_reply() && !f.is_small_talk() && turns.peek().is_some();
        if (consents || fails || replies) && found.later + 1 < MAX_BACK {
            found.later += 1;
            found.raised = (found.raised + u8::from(fails)).min(MOST_RAISED);
            found.talk = true;
            continue;
        }
        found.ask = Some(ask);
        return found;
    }
    // All that is left of what was asked may be the summary that a compaction left behind.
    found.ask = user_turns(prompt.facts()).find_map(|turn| summary(prompt, turn));
    found
}

/// The summary of a conversation that went before, where this turn is one.
fn summary(prompt: &Prompt, turn: &Turn) -> Option<Ask> {
    let texts = turn.parts.iter().filter(|p| p.kind == PartKind::Text);
    texts.into_iter().find_map(|part| {
        let text = prompt.text(part);
        let mut ask = Ask::default();
        ask.read(continued(&text)?);
        Some(ask)
    })
}

fn read(prompt: &Prompt, turn: &Turn) -> Ask {
    let mut ask = Ask::default();
    for part in turn.parts.iter().filter(|p| p.kind == PartKind::Text) {
        clean(&prompt.text(part), |words| ask.read(words));
    }
    ask
}

/// The user's turns, newest first.
fn user_turns(facts: &Facts) -> impl Iterator<Item = &Turn> {
    let turns = facts.turns.iter().rev();
    turns.filter(|t| t.speaker == Speaker::User)
}

fn setting(prompt: &Prompt, ask: &Features) -> Setting {
    let facts = prompt.facts();
    Setting {
        turns: facts.turns.len(),
        tools: facts.tool_count,
        results_pending: facts.tool_results_pending(),
        images: facts.has_images(),
        thinking: facts.thinking,
        json: facts.json_output,
        max_tokens: facts.max_tokens,
        tool_misfit: tools::misfit(prompt, ask),
    }
}
