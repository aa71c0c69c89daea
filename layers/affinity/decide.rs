//! Whether a conversation keeps its model. Pure: no clock, no store.
use super::{Outlook, Pin, Settings};
use crate::classify::{Decision, Note};
use tierway_services::chat::{AffinityStatus, Facts, Target, Tier};

/// From so many tokens on providers cache a prefix by themselves (`OpenAI`).
const CACHED_FROM: u64 = 1024;
/// No more turns than these are reckoned with.
const MOST_TURNS: u32 = 50;
/// Reasons of decisions that rest on nothing which the user said; they move no conversation.
const NO_EVIDENCE: [&str; 2] = ["no_ask", "no_weights"];

/// What a call shows of its conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// It answers a tool call.
    pub(super) pending: bool,
    /// Its turns.
    pub(super) turns: u32,
    /// It offers tools.
    pub(super) tools: bool,
    /// The most output that it wants.
    pub(super) max_tokens: u64,
    /// Now, in seconds since 1970.
    pub(super) now: u64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) status: AffinityStatus,
    pub(super) tier: Tier,
}

impl Seen {
    pub(super) fn of(facts: &Facts, now: u64) -> Self {
        Self {
            pending: facts.tool_results_pending(),
            turns: u32::try_from(facts.turns.len()).unwrap_or(u32::MAX),
            tools: facts.tool_count > 0,
            max_tokens: facts.max_tokens.unwrap_or(0),
            now,
        }
    }

    /// Whether the conversation has been cut down to less than half: what its provider had of it is worth little.
    const fn shrunk(&self, pin: &Pin) -> bool {
        self.turns.saturating_mul(2) <= pin.turns
    }

    /// A harness always offers its tools; what goes back behind the conversation's end and offers none is its own.
    const fn is_aside(&self, pin: &Pin) -> bool {
        !self.pending && !self.tools && pin.tools && self.turns < pin.turns
    }
}

/// The tier of a call whose own decision is `decision`, in the conversation `pin`. `fits` tells whether the model of a tier can serve it.
pub(super) fn decide(
    pin: Option<&Pin>,
    decision: &Decision,
    seen: &Seen,
    settings: &Settings,
    fits: impl Fn(Tier) -> bool,
) -> Verdict {
    use AffinityStatus::{Aside, Deescalated, Escalated, Forced, Kept, New, Same};
    let wanted = decision.tier;
    let verdict = |status, tier| Verdict { status, tier };
    // A pin of another configuration names a model that its tier no longer means.
    let Some(pin) = pin.filter(|pin| settings.target(pin.tier) == pin.target) else {
        return verdict(New, wanted);
    };
    if seen.is_aside(pin) {
        return verdict(Aside, wanted);
    }
    let kept = |tier| verdict(if tier == wanted { Same } else { Kept }, tier);
    if seen.pending {
        // The user has said nothing since the call, so nothing but impossibility takes the result to another model.
        let mut guards = decision.notes.iter().filter(|n| is_guard(n));
        if guards.any(|note| forbids(note, pin.tier)) || !fits(pin.tier) {
            return verdict(Forced, wanted);
        }
        return kept(pin.tier);
    }
    if wanted == pin.tier {
        return verdict(Same, wanted);
    }
    if settings.target(wanted) == pin.target {
        // Another tier, and the same model: nothing is lost.
        return verdict(Same, wanted);
    }
    if decision.notes.iter().any(|note| forbids(note, pin.tier)) || !fits(pin.tier) {
        return verdict(if wanted > pin.tier { Escalated } else { Forced }, wanted);
    }
    if NO_EVIDENCE.contains(&&*decision.reason) {
        return kept(pin.tier);
    }
    if wanted > pin.tier {
        return verdict(Escalated, wanted);
    }
    if pays(pin, wanted, seen, settings) {
        return verdict(Deescalated, wanted);
    }
    kept(pin.tier)
}

/// Whether going down to `tier` costs less than staying. Where a price or a count is not known, it does not.
fn pays(pin: &Pin, tier: Tier, seen: &Seen, settings: &Settings) -> bool {
    let target: Target = settings.target(tier);
    let prices = settings.price(&pin.target).zip(settings.price(&target));
    let Some((current, cheaper)) = prices.filter(|_| pin.input > 0) else {
        return false;
    };
    let shrunk = seen.shrunk(pin);
    let window = cheaper.context.unwrap_or(u64::MAX);
    if !shrunk && pin.input.saturating_add(seen.max_tokens) > window {
        return false;
    }
    // Who sells cached tokens cheaper and writes none to a cache at a price of its own caches by itself.
    let by_itself = current.cache_read.is_some() && current.cache_write.is_none();
    let cached = match pin.cached {
        0 if by_itself && pin.input >= CACHED_FROM => pin.input,
        cached => cached.min(pin.input),
    };
    let (asks, easy) = (pin.asks.max(1), pin.easy.saturating_add(1));
    let outlook = Outlook {
        cached,
        fresh: pin.input - cached,
        output: pin.output / u64::from(pin.calls.max(1)),
        turns: easy
            .saturating_mul(pin.calls.max(1))
            .div_ceil(asks)
            .clamp(1, MOST_TURNS),
        warm: pin.is_warm(seen.now) && !shrunk,
        hour: pin.keeps >= super::HOUR,
    };
    outlook.pays(&current, &cheaper)
}

/// Whether a note is about what a model can, not about what is wished.
fn is_guard(note: &Note) -> bool {
    note.name.starts_with("guard:")
}

/// Whether a note rules `tier` out: a floor or a guard raised the decision above it, a ceiling or a guard lowered it below, or somebody set
/// it who is neither and so means just this tier.
fn forbids(note: &Note, tier: Tier) -> bool {
    let bound = is_guard(note)
        || ["floor:", "ceiling:"]
            .iter()
            .any(|p| note.name.starts_with(p));
    if note.from == note.to {
        false
    } else if !bound {
        tier != note.to
    } else if note.to > note.from {
        tier < note.to
    } else {
        tier > note.to
    }
}
