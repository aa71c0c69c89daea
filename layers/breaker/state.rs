//! One breaker: what it has seen, and whether it lets a call through.
use super::Settings;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tierway_services::chat::Witness;
use tokio::time::Instant;

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls go through.
    Closed,
    /// One call at a time tries.
    HalfOpen,
    /// Calls are refused.
    Open,
}

impl State {
    /// The name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
    /// The value in metrics: 0 closed, 0.5 half open, 1 open.
    #[must_use]
    pub const fn level(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 0.5,
            Self::Open => 1.0,
        }
    }
}

/// The window is so many slots long; a call is forgotten within one of them.
const SLOTS: usize = 10;
/// So many successes in a row close a breaker that was open.
const RECOVERED: u32 = 2;
/// From here on doubling makes no difference.
const DOUBLINGS: u32 = 16;

pub(super) struct Breaker {
    settings: Settings,
    memory: Mutex<Memory>,
    changed: Box<dyn Fn(State) + Send + Sync>,
}

struct Memory {
    now: Now,
    /// How often it has opened without having closed since.
    opened: u32,
    slots: [Slot; SLOTS],
    started: Instant,
    /// Until then one failure is enough.
    suspected_until: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Now {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool, good: u32 },
}

#[derive(Clone, Copy, Default)]
struct Slot {
    number: u64,
    good: u32,
    bad: u32,
}

/// A call that was let through. Dropped without a word it counts for nothing, or as good once its answer had begun.
pub(super) struct Permit {
    breaker: Arc<Breaker>,
    probe: bool,
    elsewhere: bool,
    begun: bool,
    told: bool,
}

// === impl Breaker ===

impl Breaker {
    pub(super) fn new(settings: Settings, changed: impl Fn(State) + Send + Sync + 'static) -> Self {
        Self {
            settings,
            memory: Mutex::new(Memory {
                now: Now::Closed,
                opened: 0,
                slots: [Slot::default(); SLOTS],
                started: Instant::now(),
                suspected_until: None,
            }),
            changed: Box::new(changed),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> State {
        match self.memory().now {
            Now::Closed => State::Closed,
            Now::Open { until } if Instant::now() < until => State::Open,
            Now::Open { .. } | Now::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// How long it stays open.
    #[cfg(feature = "redis")]
    pub(super) fn left(&self) -> Option<Duration> {
        match self.memory().now {
            Now::Open { until } => until.checked_duration_since(Instant::now()),
            Now::Closed | Now::HalfOpen { .. } => None,
        }
    }

    /// For so long one failure is enough to open it.
    pub(super) fn suspect(&self, time: Duration) {
        self.memory().suspected_until = Instant::now().checked_add(time);
    }

    pub(super) fn is_suspected(&self) -> bool {
        self.memory().is_suspected(Instant::now())
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// How long none is let through.
    pub(super) fn enter(self: Arc<Self>, elsewhere: bool) -> Result<Permit, Duration> {
        let mut memory = self.memory();
        let now = Instant::now();
        let probe = match memory.now {
            Now::Closed => false,
            Now::Open { until } if now < until => return Err(until - now),
            Now::Open { .. } => {
                memory.now = Now::HalfOpen {
                    probing: true,
                    good: 0,
                };
                (self.changed)(State::HalfOpen);
                true
            }
            Now::HalfOpen { probing: true, .. } => {
                return Err(self.settings.open_for.min(Duration::from_secs(1)));
            }
            Now::HalfOpen { good, .. } => {
                memory.now = Now::HalfOpen {
                    probing: true,
                    good,
                };
                true
            }
        };
        drop(memory);
        Ok(Permit {
            breaker: self,
            probe,
            elsewhere,
            begun: false,
            told: false,
        })
    }

    fn ended(&self, probe: bool, good: Option<bool>, retry_after: Option<Duration>) {
        let mut memory = self.memory();
        let now = Instant::now();
        if let Some(good) = good {
            memory.count(now, self.settings.window, good);
        }
        match (memory.now, good) {
            (Now::Closed, Some(false)) => {
                let (all, bad) = memory.sum(now, self.settings.window);
                let share = f64::from(bad) / f64::from(all.max(1));
                let many = bad >= self.settings.failures && share >= self.settings.share;
                if many || memory.is_suspected(now) {
                    self.open(&mut memory, now, retry_after);
                }
            }
            (Now::HalfOpen { .. }, Some(false)) if probe => {
                self.open(&mut memory, now, retry_after);
            }
            (Now::HalfOpen { good: before, .. }, Some(true)) if probe => {
                if before + 1 >= RECOVERED {
                    memory.now = Now::Closed;
                    memory.opened = 0;
                    memory.slots = [Slot::default(); SLOTS];
                    (self.changed)(State::Closed);
                } else {
                    memory.now = Now::HalfOpen {
                        probing: false,
                        good: before + 1,
                    };
                }
            }
            (Now::HalfOpen { good, .. }, None) if probe => {
                memory.now = Now::HalfOpen {
                    probing: false,
                    good,
                };
            }
            // What was on its way when the breaker changed says nothing new.
            _ => {}
        }
    }

    fn open(&self, memory: &mut Memory, now: Instant, retry_after: Option<Duration>) {
        let doubled = 1_u32 << memory.opened.min(DOUBLINGS);
        let pause = self.settings.open_for.saturating_mul(doubled);
        let pause = pause.max(retry_after.unwrap_or_default());
        memory.opened += 1;
        memory.now = Now::Open {
            until: now + pause.min(self.settings.longest.max(self.settings.open_for)),
        };
        (self.changed)(State::Open);
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

// === impl Memory ===

impl Memory {
    fn is_suspected(&self, now: Instant) -> bool {
        self.suspected_until.is_some_and(|until| now < until)
    }

    fn number(&self, now: Instant, window: Duration) -> u64 {
        let slot = (window.as_millis() / SLOTS as u128).max(1);
        let since = now.saturating_duration_since(self.started).as_millis();
        // The first is not number 0, which an empty slot has.
        u64::try_from(since / slot).unwrap_or(u64::MAX - 1) + SLOTS as u64
    }

    fn count(&mut self, now: Instant, window: Duration, good: bool) {
        let number = self.number(now, window);
        let at = usize::try_from(number % SLOTS as u64).unwrap_or_default();
        let slot = &mut self.slots[at];
        if slot.number != number {
            *slot = Slot {
                number,
                ..Slot::default()
            };
        }
        if good {
            slot.good += 1;
        } else {
            slot.bad += 1;
        }
    }

    /// All calls of the window, and the bad ones.
    fn sum(&self, now: Instant, window: Duration) -> (u32, u32) {
        let number = self.number(now, window);
        let recent = self
            .slots
            .iter()
            .filter(|slot| slot.number + SLOTS as u64 > number);
        recent.fold((0, 0), |(all, bad), slot| {
            (all + slot.good + slot.bad, bad + slot.bad)
        })
    }
}

// === impl Permit ===

impl Permit {
    pub(super) const fn elsewhere(&self) -> bool {
        self.elsewhere
    }
    pub(super) fn failed(mut self, retry_after: Option<Duration>) {
        self.tell(false, retry_after);
    }

    fn tell(&mut self, good: bool, retry_after: Option<Duration>) {
        if !std::mem::replace(&mut self.told, true) {
            self.breaker.ended(self.probe, Some(good), retry_after);
        }
    }
}

impl Witness for Permit {
    fn begun(&mut self) {
        // A caller who leaves from here on has had an answer.
        self.begun = true;
    }
    fn ended(&mut self, in_order: bool) {
        self.tell(in_order, None);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.told {
            self.breaker
                .ended(self.probe, self.begun.then_some(true), None);
        }
    }
}
