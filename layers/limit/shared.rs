//! The counters that several nodes keep together, in Redis.
//!
//! Each question is one script, which Redis runs as a whole, and by its own clock. What a node has under way it tells as it is, not as a
//! change, so that a question whose answer is lost spoils nothing; a node that has not been heard of for ten minutes has nothing under way.
use super::{
    Subject,
    account::{Account, Word},
    quotas::{Excess, Standing, lock},
};
use crate::redis::Redis;
use ::redis::Cmd;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tierway_services::chat::Usd;

const ADMIT: &str = include_str!("admit.lua");
const LEAVE: &str = include_str!("leave.lua");
const BUDGET: &str = include_str!("budget.lua");
/// A node that was silent for so many milliseconds is gone.
const GONE: u64 = 600_000;
/// Picodollars in the unit of the books: whole numbers up to millions of dollars, as exact as Redis's own arithmetic is.
const NANO: i128 = 1000;

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Shared {
    redis: Redis,
    node: Arc<str>,
}

impl Shared {
    pub(super) fn new(redis: Redis) -> Self {
        let node = crate::redis::node();
        Self { redis, node }
    }

    /// `None` where Redis does not tell.
    pub(super) async fn admit(
        &self,
        subject: &Subject,
        tokens: u64,
        held: u32,
    ) -> Option<Result<Standing, (Excess, Duration)>> {
        let limits = &subject.limits;
        let mut cmd = script(ADMIT, subject, 4);
        cmd.arg(signed(limits.requests_per_minute))
            .arg(signed(limits.tokens_per_minute))
            .arg(signed(limits.concurrent.map(u64::from)))
            .arg(tokens)
            .arg(&*self.node)
            .arg(held)
            .arg(GONE);
        let told: [u64; 6] = self.redis.ask(cmd).await?;
        let [why, wait, requests, tokens, reset, bucket] = told;
        let excess = match why {
            0 => {
                return Some(Ok(Standing {
                    requests,
                    tokens,
                    reset: Duration::from_millis(reset),
                    bucket,
                }));
            }
            1 => Excess::Concurrent,
            2 => Excess::Requests,
            _ => Excess::Tokens,
        };
        Some(Err((excess, Duration::from_millis(wait))))
    }

    /// An answer has ended: `requests` and `tokens` are added to what was taken at `bucket`.
    pub(super) fn leave(
        &self,
        subject: &Subject,
        account: Arc<Mutex<Account>>,
        bucket: u64,
        (requests, tokens): (i64, i64),
    ) {
        let (shared, subject) = (self.clone(), subject.clone());
        spawn(async move {
            // Looked up as late as it can be, lest an older word overtake a newer one.
            let held = lock(&account).held();
            let mut cmd = script(LEAVE, &subject, 4);
            cmd.arg(&*shared.node).arg(held).arg(bucket);
            cmd.arg(requests).arg(tokens);
            let _: Option<::redis::Value> = shared.redis.ask(cmd).await;
        });
    }

    /// What has been spent today, this month and in all; or what forbids it. `None` where Redis does not tell.
    pub(super) async fn reserve(
        &self,
        subject: &Subject,
        most: Usd,
        word: Word,
    ) -> Option<Result<[Usd; 3], (Excess, Option<Duration>)>> {
        let cmd = self.books(subject, word, Some(most));
        let told: (u64, i64, i64, i64, i64) = self.redis.ask(cmd).await?;
        let (why, wait, day, month, total) = told;
        let wait = u64::try_from(wait).ok().map(Duration::from_secs);
        let excess = match why {
            0 => return Some(Ok([day, month, total].map(dollars))),
            1 => Excess::Day,
            2 => Excess::Month,
            3 => Excess::Total,
            _ => Excess::Busy,
        };
        Some(Err((excess, wait)))
    }

    /// Books what was spent. What cannot be told now is told with the next question.
    pub(super) fn settle(&self, subject: &Subject, account: Arc<Mutex<Account>>) {
        let (shared, subject) = (self.clone(), subject.clone());
        spawn(async move {
            loop {
                let (word, telling) = lock(&account).tell();
                let cmd = shared.books(&subject, word, None);
                let arrived = shared.redis.ask::<::redis::Value>(cmd).await.is_some();
                let mut account = lock(&account);
                account.told(word.spent, arrived);
                // What was on its way has arrived since, and is not set aside any more: the others are to know.
                if !arrived || telling == Usd::ZERO || account.is_telling() {
                    break;
                }
            }
        });
    }

    fn books(&self, subject: &Subject, word: Word, wanted: Option<Usd>) -> Cmd {
        let limits = &subject.limits;
        let limit = |limit: Option<Usd>| limit.map_or(-1, nanodollars);
        let mut cmd = ::redis::cmd("EVAL");
        cmd.arg(BUDGET)
            .arg(1)
            .arg(format!("tierway:budget:{{{}}}", subject.name));
        cmd.arg(&*self.node)
            .arg(nanodollars(word.own))
            .arg(wanted.map_or(-1, nanodollars))
            .arg(nanodollars(word.spent))
            .arg(limit(limits.usd_per_day))
            .arg(limit(limits.usd_per_month))
            .arg(limit(limits.usd_total))
            .arg(GONE)
            .arg(word.nth);
        cmd
    }
}

/// Runs what nobody waits for; not at all where there is no runtime any more.
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(task));
    }
}

/// A script over the keys of the rates of `subject`, of which all stand on one node of a cluster.
fn script(text: &str, subject: &Subject, keys: usize) -> Cmd {
    let mut cmd = ::redis::cmd("EVAL");
    cmd.arg(text).arg(keys);
    for what in ["rate", "requests", "tokens", "under-way"] {
        cmd.arg(format!("tierway:limit:{{{}}}:{what}", subject.name));
    }
    cmd
}

fn signed(limit: Option<u64>) -> i64 {
    limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

/// Rounded up, lest many small sums be nothing.
fn nanodollars(amount: Usd) -> i64 {
    let pico = amount.picodollars();
    let nano = (pico + NANO - 1).div_euclid(NANO);
    i64::try_from(nano).unwrap_or(i64::MAX)
}

fn dollars(nano: i64) -> Usd {
    Usd::from_picodollars(i128::from(nano) * NANO)
}
