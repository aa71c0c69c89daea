//! What is marked of one call, and why.
use super::{
    Ttl,
    economics::{Habit, gain},
    memory::{Kept, Memory, Prefix},
    places::{Place, Prefixes, Stretch},
};
use std::time::{Duration, Instant};
use tierway_services::{
    chat::{BreakpointStatus, Marks, Usd},
    prices::Price,
};

const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Claude looks back so many blocks from a mark for what it has; a mark of its own reaches further back.
const LOOKS_BACK: usize = 18;

/// What was decided of one call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decided {
    pub(super) status: BreakpointStatus,
    pub(super) places: Vec<Place>,
    pub(super) hour: bool,
    /// Tokens that the provider should have.
    pub(super) read: u64,
    /// Tokens that it is to keep anew.
    pub(super) write: u64,
    /// What that is worth.
    pub(super) worth: Usd,
}

impl Decided {
    pub(super) const fn none(status: BreakpointStatus) -> Self {
        Self {
            status,
            places: Vec::new(),
            hour: false,
            read: 0,
            write: 0,
            worth: Usd::ZERO,
        }
    }
}

/// What a decision rests on.
pub(super) struct Grounds<'a> {
    pub(super) memory: &'a Memory,
    pub(super) marks: &'a Marks,
    pub(super) price: &'a Price,
    pub(super) ttl: Ttl,
    pub(super) now: Instant,
}

/// Marks of one stretch: for how long, what is read, what written, what that is worth.
#[derive(Clone, Copy)]
struct Worth {
    hour: bool,
    read: u64,
    write: u64,
    gain: Usd,
}

impl Grounds<'_> {
    /// Decides, and remembers the call. `own` tells that the caller has marked it himself: then nothing is decided, but it is remembered.
    pub(super) fn decide(&self, prefixes: &Prefixes, habits: [Prefix; 2], own: bool) -> Decided {
        let last = prefixes.turns.last();
        let known = self.known(&prefixes.turns);
        let of_common = prefixes.common.as_ref().map(|common| {
            let seen = self.memory.seen(&common.prefix);
            let after = seen.map(|seen| self.now.duration_since(seen.at));
            self.memory.count(habits[0], after)
        });
        let of_turns = last.map(|_| {
            let seen = known.and_then(|i| self.memory.seen(&prefixes.turns.get(i)?.prefix));
            let after = seen.map(|seen| self.now.duration_since(seen.at));
            self.memory.count(habits[1], after)
        });
        let mut decided = if own {
            Decided::none(BreakpointStatus::Client)
        } else {
            self.marks_of(prefixes, known, of_common, of_turns)
        };
        if decided.places.is_empty() {
            self.remember(prefixes, None, None);
        } else {
            // What is to be kept for an hour must not stand behind what is kept for less, so all are marked alike.
            let ttl = if decided.hour { HOUR } else { FIVE_MINUTES };
            let kept = Kept {
                until: self.now + ttl,
                hour: decided.hour,
            };
            let marked = |stretch: Option<&Stretch>| {
                let place = stretch.and_then(|s| s.place.as_ref());
                let set = place.is_some_and(|place| decided.places.contains(place));
                set.then_some(kept)
            };
            let (common, turns) = (marked(prefixes.common.as_ref()), marked(last));
            self.remember(prefixes, common, turns);
            decided.places.dedup();
        }
        decided
    }

    fn remember(&self, prefixes: &Prefixes, common: Option<Kept>, last: Option<Kept>) {
        if let Some(stretch) = &prefixes.common {
            self.memory.note(stretch.prefix, self.now, common);
        }
        if let Some(stretch) = prefixes.turns.last() {
            self.memory.note(stretch.prefix, self.now, last);
        }
    }

    /// The longest part of the conversation that was asked before.
    fn known(&self, turns: &[Stretch]) -> Option<usize> {
        turns
            .iter()
            .rposition(|turn| self.memory.seen(&turn.prefix).is_some())
    }

    /// The tokens of the longest part that the provider still has, and whether it has them for an hour.
    fn kept(&self, stretches: &[Stretch]) -> (u64, bool) {
        let mut backwards = stretches.iter().rev();
        let kept = backwards.find_map(|stretch| {
            let kept = self.memory.seen(&stretch.prefix)?.kept(self.now)?;
            Some((stretch.tokens, kept.hour))
        });
        kept.unwrap_or_default()
    }

    fn marks_of(
        &self,
        prefixes: &Prefixes,
        known: Option<usize>,
        of_common: Option<Habit>,
        of_turns: Option<Habit>,
    ) -> Decided {
        let least = self.marks.min_tokens;
        let long = |stretch: &&Stretch| stretch.tokens >= least;
        let last = prefixes.turns.last();
        let common = prefixes.common.as_ref();
        if last.filter(long).or(common.filter(long)).is_none() {
            return Decided::none(BreakpointStatus::Short);
        }
        let marked = |stretch: &&Stretch| stretch.place.is_some();
        let common = common.filter(long).filter(marked);
        let last = last.filter(long).filter(marked);
        if common.is_none() && last.is_none() {
            return Decided::none(BreakpointStatus::Nowhere);
        }
        let shared = common.zip(of_common).and_then(|(stretch, habit)| {
            let (kept, hour) = self.kept(std::slice::from_ref(stretch));
            self.worth(kept, stretch.tokens - kept, habit, hour)
        });
        let base = shared.and(common).map_or(0, |stretch| stretch.tokens);
        let own = last.zip(of_turns).and_then(|(stretch, habit)| {
            let (kept, hour) = self.kept(&prefixes.turns);
            let (kept, hour) = (kept.max(base), hour && kept > base);
            let write = stretch.tokens.saturating_sub(kept);
            self.worth(kept - base, write, habit, hour)
        });
        let chosen: Vec<Worth> = shared.into_iter().chain(own).collect();
        let mut places = Vec::new();
        if shared.is_some() {
            places.extend(common.and_then(|s| s.place.clone()));
        }
        if let Some(last) = last.filter(|_| own.is_some()) {
            // What is known already is out of sight from the end, so it is marked again.
            let far = known.and_then(|i| prefixes.turns.get(i));
            let far = far.filter(|turn| last.blocks - turn.blocks > LOOKS_BACK);
            places.extend(far.and_then(|turn| turn.place.clone()));
            places.extend(last.place.clone());
        }
        let hour = chosen.iter().any(|worth| worth.hour);
        let status = match (places.is_empty(), hour) {
            (true, _) => BreakpointStatus::Unpaid,
            (false, false) => BreakpointStatus::Placed,
            (false, true) => BreakpointStatus::PlacedForAnHour,
        };
        Decided {
            status,
            places,
            hour,
            read: chosen.iter().map(|worth| worth.read).sum(),
            write: chosen.iter().map(|worth| worth.write).sum(),
            worth: chosen.iter().map(|worth| worth.gain).sum(),
        }
    }

    /// The better of the two times for which a prefix can be kept; `None` where neither pays. What is kept for an hour already stays so while that
    /// pays.
    fn worth(&self, read: u64, write: u64, habit: Habit, kept_hour: bool) -> Option<Worth> {
        let choice = |hour| Worth {
            hour,
            read,
            write,
            gain: gain(self.price, read, write, habit.reads(hour), hour),
        };
        let short = (self.ttl != Ttl::Hour || !self.marks.hour).then(|| choice(false));
        let long = (self.ttl != Ttl::FiveMinutes && self.marks.hour).then(|| choice(true));
        let best = match (short, long) {
            (Some(_), Some(long)) if kept_hour && long.gain > Usd::ZERO => long,
            (Some(short), Some(long)) if long.gain > short.gain => long,
            (Some(short), _) => short,
            (None, Some(long)) => long,
            (None, None) => return None,
        };
        (best.gain > Usd::ZERO).then_some(best)
    }
}
