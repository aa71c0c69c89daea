//! From a conversation to the chance that each tier's model suffices.
//!
//! The ask that decides is found first (a consent goes on with the ask before it, an error that came back raises it), then read as a
//! [`Vector`], then graded by three linear heads: the chance that the simple, the medium, the complex tier's model is good enough. The
//! tier is the cheapest whose chance is high enough.
use super::{
    Client, Decision,
    ask::{begins_anew, clean, continued, has_tag},
    features::Features,
    heuristic,
    model::{self, Seen, TierModel},
    numbers::{Ask, Setting},
    tools,
};
use crate::learn::Vector;
use std::borrow::Cow;
use tierway_services::chat::{self, Facts, PartKind, Prompt, Speaker, Tier, Turn};

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
    /// How demanding it is, from 0 to 1.
    pub(super) score: f32,
}

/// What the user asks, cleaned of what a harness wrapped around it; empty where nothing was asked.
#[must_use]
pub fn question(prompt: &Prompt) -> String {
    let mut question = String::new();
    for turn in user_turns(prompt.facts()) {
        for part in turn.parts.iter().filter(|p| p.kind == PartKind::Text) {
            if !question.is_empty() && !question.ends_with('\n') {
                question.push('\n');
            }
            clean(&prompt.text(part), |words| question.push_str(words));
        }
        if !question.trim().is_empty() {
            break;
        }
    }
    question
}

/// How probably a small model gets right what was asked so, by the shipped weights.
#[must_use]
pub fn chance(vector: &Vector) -> f32 {
    model::shipped().right(vector, 0.0)
}

/// What a model reads of a conversation: its deciding ask as numbers and n-grams; `None` where nothing was asked.
///
/// ```
/// use tierway_layers::classify;
/// use tierway_services::{chat::{Operation, Prompt}, dialect::Dialect};
/// let body = r#"{"model":"auto","messages":[{"role":"user","content":"Why is the sky blue?"}]}"#;
/// let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
/// assert_eq!(classify::vector(&prompt).unwrap().numbers.len(), classify::NUMBERS);
/// ```
#[must_use]
pub fn vector(prompt: &Prompt) -> Option<Vector> {
    let ask = decisive(prompt).ask?;
    let setting = setting(prompt, &ask.features);
    Some(ask.vector(&setting, heuristic::score(&ask.features).score))
}

/// What a tier is decided by, as labels of the call's answers teach it; `None` where no weights decide: nothing is asked, or only a
/// greeting, or what is asked stands somewhere else.
///
/// ```
/// use tierway_layers::classify;
/// use tierway_services::{chat::{Operation, Prompt}, dialect::Dialect};
/// let see = |ask: &str| {
///     let body = format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"{ask}"}}]}}"#);
///     classify::see(&Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap())
/// };
/// assert!(see("Why is the sky blue?").is_some() && see("hi").is_none());
/// ```
#[must_use]
pub fn see(prompt: &Prompt) -> Option<Seen> {
    let decisive = decisive(prompt);
    let how = decisive.how(prompt.facts());
    let ask = decisive.ask.filter(|ask| {
        let features = &ask.features;
        !features.only_points() && !features.is_small_talk()
    })?;
    let by_hand = heuristic::score(&ask.features);
    let setting = setting(prompt, &ask.features);
    Some(Seen {
        vector: ask.vector(&setting, by_hand.score),
        shift: shift(&ask.features, &by_hand, how),
    })
}

/// What is added by hand to the log-odds of every tier.
fn shift(ask: &Features, by_hand: &Decision, how: How) -> f32 {
    let inference = match how.carried_out {
        true => 0.0,
        false => long_inference(by_hand),
    };
    little(ask) - inference - STILL_FAILING * f32::from(how.raised)
}

/// How an ask is being gone on with.
#[derive(Clone, Copy, Debug)]
struct How {
    /// How often it was said that it still fails.
    raised: u8,
    /// Whether what it asked to be thought out has been, and is carried out now: tools were called, and somebody consented.
    carried_out: bool,
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

impl Decisive {
    fn how(&self, facts: &Facts) -> How {
        let acted = || facts.turns.iter().any(|turn| turn.has(PartKind::ToolUse));
        How {
            raised: self.raised,
            carried_out: self.later > 0 && self.raised == 0 && acted(),
        }
    }
}

impl Grade {
    /// Grades what was last asked.
    pub(super) fn of(req: &chat::Request, model: &TierModel) -> Self {
        let prompt = req.body();
        let decisive = decisive(prompt);
        let Some(ask) = &decisive.ask else {
            let facts = prompt.facts();
            let shown = |t: &Turn| t.parts.iter().any(|p| p.kind != PartKind::Text);
            return Self::without_ask(&decisive, !facts.turns.iter().any(shown));
        };
        if ask.features.only_points() {
            // "do @TASKS.md": what is asked stands where nobody here can read it.
            return Self::without_ask(&Decisive::default(), false);
        }
        let by_hand = heuristic::score(&ask.features);
        let setting = setting(prompt, &ask.features);
        let vector = ask.vector(&setting, by_hand.score);
        let raised = STILL_FAILING * f32::from(decisive.raised);
        let shift = shift(&ask.features, &by_hand, decisive.how(prompt.facts()));
        let mut suffices = model.suffices(&vector, shift);
        // No part of the tier, and nothing that a harness's tools may move: it offers the same ones to every ask.
        let own = setting
            .tool_misfit
            .filter(|_| !Client::of(req).is_harness());
        let misfit = MISFIT * own.unwrap_or(0.0);
        let right = model.right(&vector, -raised - misfit);
        let mut score = demand(&suffices, right);
        if ask.features.is_small_talk() {
            (suffices, score) = ([1.0; 4], 0.0);
        }
        let tier = raise(cheapest(&suffices), decisive.raised);
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
            score,
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
            score: Decision::new(tier, reason).score,
        }
    }

    /// As a decision.
    pub(super) fn decide(self) -> Decision {
        let mut decision = Decision::new(self.tier, self.reason.clone()).with_score(self.score);
        decision.suffices = Some(self.suffices);
        decision
    }
}

/// What plain signs that little is wanted add to the log-odds of every tier. By hand: too few of the asks that the weights were learned
/// from say so in so many words.
fn little(f: &Features) -> f32 {
    const BRIEF: f32 = 1.5;
    const EXACT: f32 = 1.0;
    const ERRAND: f32 = 0.7;
    /// Words beyond which an exact place is one of many things that are said.
    const MOST_WORDS: u32 = 60;
    let brief = if f.wants.brief > 0 { BRIEF } else { 0.0 };
    let exact = f.wants.places > 0 || f.wants.becomes > 0 || (f.edit && f.wants.quoted > 0);
    let exact = if exact && f.words <= MOST_WORDS && f.phrase.is_none() {
        EXACT
    } else {
        0.0
    };
    // "Run the tests and tell me if they pass": an errand.
    let light = (1..=6).contains(&f.verb) && f.tasks == 0 && f.words <= 20;
    let errand = if light && f.code_lines == 0 {
        ERRAND
    } else {
        0.0
    };
    brief + exact + errand
}

/// What a phrase that asks for long inference takes from the log-odds of every tier below the last. By hand: a phrase is what a person
/// writes who wants that tier, and few do. "Think hard" is also written before trifles.
fn long_inference(by_hand: &Decision) -> f32 {
    match &*by_hand.reason {
        _ if by_hand.tier != Tier::Reasoning => 0.0,
        "think_hard" => 1.5,
        "mathematics" => 1.0,
        "security_audit" => 4.3,
        _ => 4.7,
    }
}

/// The share that the tiers have in how demanding a call is; the rest is a small model's chance of being wrong. Chosen on sets that
/// neither was learned from: there the small model's chance ranks best alone, and with a third of the tiers' hardly worse.
const TIERS: f32 = 0.3;

/// How demanding a call is, from 0 to 1: how many of the tiers that may fail are expected to, and how probably a small model is wrong.
fn demand(suffices: &[f32; 4], right: f32) -> f32 {
    let [simple, medium, complex, _] = suffices;
    let tiers = 1.0 - (simple + medium + complex) / 3.0;
    TIERS * tiers + (1.0 - TIERS) * (1.0 - right)
}

/// What failed on its own tier is tried on the next, and what fails again on the one after.
fn raise(tier: Tier, by: u8) -> Tier {
    let mut above = Tier::ALL.into_iter().skip(tier as usize);
    above.nth(usize::from(by)).unwrap_or(Tier::Reasoning)
}

/// The chance from which a tier's model is taken to suffice. Above one half where the next tier matters most; chosen by five-fold
/// cross-validation over the asks, but for complex work, where that preferred .65 and the open part of the routing suite .6.
const SUFFICES: [f32; 4] = [0.5, 0.55, 0.6, 0.0];

/// The cheapest tier that suffices.
fn cheapest(suffices: &[f32; 4]) -> Tier {
    let mut tiers = Tier::ALL.into_iter().zip(suffices.iter().zip(SUFFICES));
    tiers
        .find(|(_, (chance, enough))| *chance >= enough)
        .map_or(Tier::Reasoning, |(tier, _)| tier)
}

/// Reads the user's turns, newest first, as far back as they only go on with what was asked before.
fn decisive(prompt: &Prompt) -> Decisive {
    let mut found = Decisive::default();
    // The newest reply: what it answers may be nothing that anybody asked.
    let mut reply = None;
    for turn in user_turns(prompt.facts()) {
        let texts: Vec<_> = texts(prompt, turn).collect();
        let anew = match (&*turn.parts, &*texts) {
            ([_], [text]) => begins_anew(text),
            ([part], []) => begins_anew(&prompt.text(part)),
            _ => false,
        };
        if anew {
            break;
        }
        let ask = read(&texts);
        let f = &ask.features;
        if f.is_empty() {
            continue;
        }
        let consents = f.is_small_talk() && f.affirmations > 0;
        let fails = f.error_loop && f.words <= MOST_COMPLAINT;
        let replies = f.is_reply() && !f.is_small_talk();
        if (consents || fails || replies) && found.later + 1 < MAX_BACK {
            found.later += 1;
            let often = u8::from(fails && f.wants.times > 0);
            found.raised = (found.raised + u8::from(fails) + often).min(MOST_RAISED);
            found.talk = true;
            if replies {
                reply.get_or_insert(ask);
            }
            continue;
        }
        found.ask = Some(ask);
        return found;
    }
    // All that is left of what was asked may be the summary that a compaction left behind.
    found.ask = user_turns(prompt.facts()).find_map(|turn| summary(prompt, turn));
    if found.ask.is_none() && reply.is_some() {
        // A reply to nothing is an ask.
        (found.ask, found.later) = (reply, 0);
    }
    found
}

/// The summary of a conversation that went before, where this turn is one.
fn summary(prompt: &Prompt, turn: &Turn) -> Option<Ask> {
    texts(prompt, turn).find_map(|text| {
        let mut ask = Ask::default();
        ask.read(continued(&text)?);
        Some(ask)
    })
}

fn texts<'p>(prompt: &'p Prompt, turn: &'p Turn) -> impl Iterator<Item = Cow<'p, str>> {
    let parts = turn.parts.iter().filter(|p| p.kind == PartKind::Text);
    parts.map(|part| prompt.text(part))
}

fn read(texts: &[Cow<'_, str>]) -> Ask {
    let mut ask = Ask::default();
    let tagged = texts.len() > 1 && texts.iter().any(|text| has_tag(text));
    for text in texts.iter().filter(|text| !tagged || has_tag(text)) {
        clean(text, |words| ask.read(words));
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
