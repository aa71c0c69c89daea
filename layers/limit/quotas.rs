//! The counters of everybody who is limited.
use super::{
    Subject,
    account::{Account, Period},
};
#[cfg(feature = "redis")]
use super::{account::Word, shared::Shared};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tierway_services::chat::Usd;
use tokio::time::Instant;

/// When it is worth asking again where nobody knows.
#[cfg(feature = "redis")]
const RETRY: Duration = Duration::from_secs(1);

/// What was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Excess {
    /// Requests of the last minute.
    Requests,
    /// Tokens of the last minute.
    Tokens,
    /// Requests at a time.
    Concurrent,
    /// Money of this day.
    Day,
    /// Money of this month.
    Month,
    /// All money.
    Total,
    /// What is left of a budget may be needed by calls that are under way.
    Busy,
    /// Those who would know cannot be reached, and nobody is to be let through then.
    Unknown,
}

/// What becomes of a limit that several nodes keep together while their Redis is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Without {
    /// Each node keeps it for itself, by what it has seen.
    #[default]
    Local,
    /// Everything is let through.
    Open,
    /// Nothing is let through.
    Closed,
}

/// Why somebody is not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) excess: Excess,
    pub(crate) subject: Arc<str>,
    pub(crate) retry_after: Option<Duration>,
}

/// How one subject stands after a request of it was let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Requests and tokens of the last minute.
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
    /// How long until all of them are forgotten.
    pub(crate) reset: Duration,
    /// Where the tokens were taken.
    pub(super) bucket: u64,
}

/// The counters of everybody who is limited: in this process, or [shared](Self::shared) by the nodes that use one Redis. A clone counts on
/// the same counters.
#[derive(Clone)]
pub struct Quotas(pub(super) Arc<Inner>);

pub(super) struct Inner {
    accounts: RwLock<HashMap<Arc<str>, Arc<Mutex<Account>>>>,
    started: Instant,
    #[cfg(feature = "redis")]
    pub(super) shared: Option<Shared>,
    rates: Without,
    budgets: Without,
}

impl Default for Quotas {
    fn default() -> Self {
        Self::new()
    }
}

impl Quotas {
    /// Counts in this process alone; a restart forgets.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            accounts: RwLock::default(),
            started: Instant::now(),
            #[cfg(feature = "redis")]
            shared: None,
            rates: Without::Local,
            budgets: Without::Local,
        }))
    }

    /// Counts together with all nodes that use the same Redis, under keys that begin with `tierway:`. While it is away, `rates` and `budgets`
    /// say what becomes of the two kinds of limits. To be called before the first clone.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn shared(redis: crate::redis::Redis, rates: Without, budgets: Without) -> Self {
        Self(Arc::new(Inner {
            accounts: RwLock::default(),
            started: Instant::now(),
            shared: Some(Shared::new(redis)),
            rates,
            budgets,
        }))
    }

    /// What `subject` has spent, as far as this process knows: this day, this month, and in all.
    #[must_use]
    pub fn spent(&self, subject: &str) -> [Usd; 3] {
        let account = self.0.account(subject);
        let mut account = lock(&account);
        account.spent(Period::now())
    }

    /// Makes `subject` start from what it has spent before: this day, this month, and in all. For a host that keeps books across restarts.
    pub fn begin_with(&self, subject: &str, spent: [Usd; 3]) {
        let account = self.0.account(subject);
        lock(&account).begin_with(Period::now(), spent);
    }

    // === rates ===

    pub(super) async fn admit(&self, subject: &Subject, tokens: u64) -> Result<Standing, Refused> {
        let inner = &*self.0;
        let account = inner.account(&subject.name);
        let refused = |(excess, wait)| Refused {
            excess,
            subject: subject.name.clone(),
            retry_after: Some(wait),
        };
        #[cfg(feature = "redis")]
        if let Some(shared) = &inner.shared {
            // Taken here first, so that calls of this node cannot overtake each other on their way.
            let hold = Hold::new(&account);
            let told = shared.admit(subject, tokens, hold.held).await;
            return match (told, inner.rates) {
                (Some(Ok(standing)), _) => {
                    hold.keep();
                    lock(&account).note(inner.now(), tokens);
                    Ok(standing)
                }
                (Some(Err(why)), _) => Err(refused(why)),
                (None, Without::Open) => {
                    hold.keep();
                    Ok(Standing::default())
                }
                (None, Without::Closed) => Err(refused((Excess::Unknown, RETRY))),
                (None, Without::Local) => {
                    drop(hold);
                    lock(&account)
                        .admit(&subject.limits, tokens, inner.now())
                        .map_err(refused)
                }
            };
        }
        let admitted = lock(&account).admit(&subject.limits, tokens, inner.now());
        admitted.map_err(refused)
    }

    /// An answer has ended that was let through with `standing` for `taken` tokens, and has used `used` of them.
    pub(super) fn leave(&self, subject: &Subject, standing: &Standing, taken: u64, used: u64) {
        let inner = &*self.0;
        let account = inner.account(&subject.name);
        {
            let mut account = lock(&account);
            account.correct(inner.now(), standing.bucket, taken, used);
            account.leave();
        }
        #[cfg(feature = "redis")]
        if let Some(shared) = &inner.shared {
            let change = i128::from(used) - i128::from(taken);
            let change = i64::try_from(change).unwrap_or(i64::MAX);
            shared.leave(subject, account, standing.bucket, (0, change));
        }
    }

    /// What was let through has come to nothing: another limit forbade it.
    pub(super) fn undo(&self, subject: &Subject, standing: &Standing, taken: u64) {
        let inner = &*self.0;
        let account = inner.account(&subject.name);
        lock(&account).undo(inner.now(), standing.bucket);
        {
            let mut account = lock(&account);
            account.correct(inner.now(), standing.bucket, taken, 0);
            account.leave();
        }
        #[cfg(feature = "redis")]
        if let Some(shared) = &inner.shared {
            let taken = i64::try_from(taken).unwrap_or(i64::MAX);
            shared.leave(subject, account, standing.bucket, (-1, -taken));
        }
    }

    // === budgets ===

    /// Sets `most` aside, of which the call may cost less.
    pub(crate) async fn reserve(&self, subject: &Subject, most: Usd) -> Result<(), Refused> {
        let inner = &*self.0;
        let account = inner.account(&subject.name);
        let refused = |(excess, retry_after)| Refused {
            excess,
            subject: subject.name.clone(),
            retry_after,
        };
        #[cfg(feature = "redis")]
        if let Some(shared) = &inner.shared {
            let mut aside = Aside::new(&account, most);
            let told = shared.reserve(subject, most, aside.word).await;
            aside.answered(told.is_some());
            return match (told, inner.budgets) {
                (Some(Ok(spent)), _) => {
                    aside.keep();
                    lock(&account).begin_with(Period::now(), spent);
                    Ok(())
                }
                (Some(Err(why)), _) => Err(refused(why)),
                (None, Without::Open) => {
                    aside.keep();
                    Ok(())
                }
                (None, Without::Closed) => Err(refused((Excess::Unknown, Some(RETRY)))),
                (None, Without::Local) => {
                    drop(aside);
                    lock(&account)
                        .reserve(&subject.limits, most, Period::now())
                        .map_err(refused)
                }
            };
        }
        let reserved = lock(&account).reserve(&subject.limits, most, Period::now());
        reserved.map_err(refused)
    }

    /// A call has ended for which `most` was set aside, and has cost `cost`.
    pub(crate) fn settle(&self, subject: &Subject, most: Usd, cost: Usd) {
        let account = self.0.account(&subject.name);
        #[cfg(feature = "redis")]
        if let Some(shared) = &self.0.shared {
            lock(&account).settle_untold(Period::now(), most, cost);
            shared.settle(subject, account);
            return;
        }
        lock(&account).settle(Period::now(), most, cost);
    }
}

impl Inner {
    fn account(&self, name: &str) -> Arc<Mutex<Account>> {
        let known = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = known.get(name) {
            return account.clone();
        }
        drop(known);
        let mut all = self
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        all.entry(name.into()).or_default().clone()
    }

    /// Milliseconds since the counters exist, which no clock that is set can change.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One more answer under way, taken back when it is dropped: whoever asks may leave before there is an answer.
#[cfg(feature = "redis")]
struct Hold<'a> {
    account: Option<&'a Mutex<Account>>,
    held: u32,
}

#[cfg(feature = "redis")]
impl<'a> Hold<'a> {
    fn new(account: &'a Mutex<Account>) -> Self {
        let held = lock(account).hold();
        Self {
            account: Some(account),
            held,
        }
    }
    fn keep(mut self) {
        self.account = None;
    }
}

#[cfg(feature = "redis")]
impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if let Some(account) = self.account {
            lock(account).leave();
        }
    }
}

/// Money that is set aside, given back when it is dropped.
#[cfg(feature = "redis")]
struct Aside<'a> {
    account: &'a Mutex<Account>,
    kept: bool,
    most: Usd,
    word: Word,
    answered: bool,
}

#[cfg(feature = "redis")]
impl<'a> Aside<'a> {
    fn new(account: &'a Mutex<Account>, most: Usd) -> Self {
        Self {
            account,
            kept: false,
            most,
            word: lock(account).ask(most),
            answered: false,
        }
    }
    fn answered(&mut self, arrived: bool) {
        if !self.answered {
            lock(self.account).told(self.word.spent, arrived);
            self.answered = true;
        }
    }
    fn keep(mut self) {
        self.kept = true;
    }
}

#[cfg(feature = "redis")]
impl Drop for Aside<'_> {
    fn drop(&mut self) {
        // Whoever left before there was an answer cannot know whether it arrived: better told twice than not at all.
        self.answered(false);
        if !self.kept {
            lock(self.account).give_back(self.most);
        }
    }
}

pub(super) fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Period {
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self::at(since.map_or(0, |since| since.as_secs()))
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas")
            .field("rates", &self.0.rates)
            .field("budgets", &self.0.budgets)
            .finish_non_exhaustive()
    }
}
