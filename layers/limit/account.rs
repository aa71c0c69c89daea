//! What one subject has used, as far as this process knows.
use super::{
    Limits,
    quotas::{Excess, Standing},
    window::Window,
};
use std::time::Duration;
use tierway_services::chat::Usd;

/// A day and a month (UTC), and how long they last still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) day: u64,
    pub(super) month: u64,
    day_ends: Duration,
    month_ends: Duration,
}

/// The counters of one subject.
#[derive(Debug, Default)]
pub(super) struct Account {
    requests: Window,
    tokens: Window,
    held: u32,
    day: (u64, Usd),
    month: (u64, Usd),
    total: Usd,
    aside: Usd,
    /// How many calls have set something aside.
    calls: u32,
    /// What is spent and not told to the others.
    untold: Usd,
    /// What is being told to them and may not have arrived: until it has, it counts as set aside.
    telling: Usd,
    /// How many words the others were told.
    words: u64,
}

/// What the others are told of a subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// What is set aside here, or on its way.
    pub(super) own: Usd,
    /// What is spent and has not been told before.
    pub(super) spent: Usd,
    /// Later words have larger numbers.
    pub(super) nth: u64,
}

const DAY: u64 = 86_400;

// === impl Period ===

impl Period {
    /// The day and the month of a time in seconds since 1970.
    pub(super) fn at(seconds: u64) -> Self {
        let day = seconds / DAY;
        let (month, next) = month_of(day);
        Self {
            day,
            month,
            day_ends: Duration::from_secs((day + 1) * DAY - seconds),
            month_ends: Duration::from_secs(next * DAY - seconds),
        }
    }
}

/// The number of the month of a day since 1970, counted from the year 0, and the first day of the next one.
///
/// After Hinnant's `civil_from_days`: in years that begin in March, the months' lengths are `(153 m + 2) / 5`.
const fn month_of(day: u64) -> (u64, u64) {
    let z = day + 719_468;
    let era = z / 146_097;
    let of_era = z - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let next = if month == 11 {
        // February is the last, and as long as the year has it.
        let leap = (year + 1).is_multiple_of(4)
            && (!(year + 1).is_multiple_of(100) || (year + 1).is_multiple_of(400));
        if leap { 366 } else { 365 }
    } else {
        (153 * (month + 1) + 2) / 5
    };
    // Counted from March of the year 0.
    ((era * 400 + year) * 12 + month, day + next - of_year)
}

// === impl Account ===

impl Account {
    /// Lets a request for `tokens` through, or says what forbids it and for how long.
    pub(super) fn admit(
        &mut self,
        limits: &Limits,
        tokens: u64,
        now: u64,
    ) -> Result<Standing, (Excess, Duration)> {
        if limits.concurrent.is_some_and(|most| self.held >= most) {
            return Err((Excess::Concurrent, Duration::from_secs(1)));
        }
        let requests = self.requests.sum(now);
        if let Some(most) = limits.requests_per_minute
            && requests >= most
        {
            return Err((
                Excess::Requests,
                self.requests.wait(now, requests + 1 - most),
            ));
        }
        let used = self.tokens.sum(now);
        // One that is larger than the limit itself waits until nothing else counts.
        if let Some(most) = limits.tokens_per_minute
            && used > 0
            && used.saturating_add(tokens) > most
        {
            let free = used.saturating_add(tokens) - most;
            return Err((Excess::Tokens, self.tokens.wait(now, free)));
        }
        self.held += 1;
        let bucket = self.note(now, tokens);
        Ok(Standing {
            requests: requests + 1,
            tokens: used + tokens,
            reset: self.requests.wait(now, u64::MAX),
            bucket,
        })
    }

    /// Counts a request that was let through.
    pub(super) fn note(&mut self, now: u64, tokens: u64) -> u64 {
        self.requests.add(now, 1);
        self.tokens.add(now, tokens)
    }

    /// One more answer that has not ended; how many there are with it.
    pub(super) const fn hold(&mut self) -> u32 {
        self.held += 1;
        self.held
    }

    /// One less.
    pub(super) const fn leave(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// How many there are.
    pub(super) const fn held(&self) -> u32 {
        self.held
    }

    pub(super) fn correct(&mut self, now: u64, at: u64, before: u64, after: u64) {
        self.tokens.correct(now, at, before, after);
    }

    pub(super) fn undo(&mut self, now: u64, at: u64) {
        self.requests.correct(now, at, 1, 0);
    }

    fn roll(&mut self, now: Period) {
        // A clock that is set back must not give a day twice.
        if now.day > self.day.0 {
            self.day = (now.day, Usd::ZERO);
        }
        if now.month > self.month.0 {
            self.month = (now.month, Usd::ZERO);
        }
    }

    pub(super) fn spent(&mut self, now: Period) -> [Usd; 3] {
        self.roll(now);
        [self.day.1, self.month.1, self.total]
    }

    /// How it stands, and how much of what is set aside is only on its way to the others.
    pub(super) fn tell(&mut self) -> (Word, Usd) {
        let telling = self.telling;
        (self.word(self.aside + telling), telling)
    }

    /// Sets `most` aside whatever is left; how it stood before.
    pub(super) fn ask(&mut self, most: Usd) -> Word {
        let before = self.set_aside(most) + self.telling;
        self.word(before)
    }

    fn word(&mut self, own: Usd) -> Word {
        let spent = std::mem::take(&mut self.untold);
        self.telling += spent;
        self.words += 1;
        Word {
            own,
            spent,
            nth: self.words,
        }
    }

    /// What was being told has arrived, or has to be told again.
    pub(super) fn told(&mut self, untold: Usd, arrived: bool) {
        self.telling = (self.telling - untold).max(Usd::ZERO);
        if !arrived {
            self.untold += untold;
        }
    }

    /// Whether something is on its way.
    pub(super) fn is_telling(&self) -> bool {
        self.telling > Usd::ZERO
    }

    /// As [`settle`](Self::settle), to be told to the others: in one step, so that none of it is forgotten in between.
    pub(super) fn settle_untold(&mut self, now: Period, most: Usd, cost: Usd) {
        self.settle(now, most, cost);
        self.untold += cost;
    }

    /// What others have told: never less than what is known here.
    pub(super) fn begin_with(&mut self, now: Period, [day, month, total]: [Usd; 3]) {
        self.roll(now);
        self.day.1 = self.day.1.max(day);
        self.month.1 = self.month.1.max(month);
        self.total = self.total.max(total);
    }

    /// Sets `most` aside where that is left, or where nobody else of this process has anything set aside and anything is left.
    pub(super) fn reserve(
        &mut self,
        limits: &Limits,
        most: Usd,
        now: Period,
    ) -> Result<(), (Excess, Option<Duration>)> {
        self.roll(now);
        let mut fits = true;
        for (limit, spent, excess, ends) in [
            (limits.usd_total, self.total, Excess::Total, None),
            (
                limits.usd_per_month,
                self.month.1,
                Excess::Month,
                Some(now.month_ends),
            ),
            (
                limits.usd_per_day,
                self.day.1,
                Excess::Day,
                Some(now.day_ends),
            ),
        ] {
            let Some(limit) = limit else { continue };
            if spent >= limit {
                return Err((excess, ends));
            }
            fits &= spent + self.aside + most <= limit;
        }
        if !fits && self.calls > 0 {
            return Err((Excess::Busy, Some(Duration::from_secs(1))));
        }
        self.set_aside(most);
        Ok(())
    }

    /// Sets `most` aside whatever is left; what was set aside before.
    pub(super) fn set_aside(&mut self, most: Usd) -> Usd {
        let before = self.aside;
        self.aside += most;
        self.calls += 1;
        before
    }

    /// Gives back what was set aside.
    pub(super) fn give_back(&mut self, most: Usd) {
        self.calls = self.calls.saturating_sub(1);
        self.aside = if self.calls == 0 {
            Usd::ZERO
        } else {
            (self.aside - most).max(Usd::ZERO)
        };
    }

    /// `cost` is spent, of `most` that was set aside.
    pub(super) fn settle(&mut self, now: Period, most: Usd, cost: Usd) {
        self.roll(now);
        self.day.1 += cost;
        self.month.1 += cost;
        self.total += cost;
        self.give_back(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1000;

    fn usd(dollars: f64) -> Usd {
        Usd::from_dollars(dollars)
    }

    #[test]
    fn months_end_when_they_end() {
        // 2024-02-29, 2024-12-31, 2100-02-28 and 1970-01-01, each at 23:00.
        for (day, left) in [(19_782, 1), (20_088, 1), (47_540, 1), (0, 31)] {
            let period = Period::at(day * DAY + 23 * 3600);
            let hours = period.month_ends.as_secs() / 3600;
            assert_eq!(hours, (left - 1) * 24 + 1, "{day}");
            assert_eq!(period.day_ends.as_secs(), 3600);
            let next = Period::at((day + left) * DAY);
            assert_eq!(next.month, period.month + 1, "{day}");
        }
    }

    #[test]
    fn requests_tokens_and_concurrency() {
        let limits = Limits {
            requests_per_minute: Some(2),
            tokens_per_minute: Some(100),
            concurrent: Some(1),
            ..Limits::default()
        };
        let mut account = Account::default();
        let first = account.admit(&limits, 10, 0).unwrap();
        assert_eq!((first.requests, first.tokens), (1, 10));
        let (excess, _) = account.admit(&limits, 10, 0).unwrap_err();
        assert_eq!(excess, Excess::Concurrent);
        account.correct(SECOND, first.bucket, 10, 95);
        account.leave();
        let (excess, wait) = account.admit(&limits, 10, SECOND).unwrap_err();
        assert_eq!((excess, wait.as_millis()), (Excess::Tokens, 59_250));
        account.admit(&limits, 5, SECOND).unwrap();
        account.leave();
        let (excess, _) = account.admit(&limits, 0, 2 * SECOND).unwrap_err();
        assert_eq!(excess, Excess::Requests);
        assert!(account.admit(&limits, 1000, 62 * SECOND).is_ok(), "alone");
    }

    #[test]
    fn a_budget_is_overspent_by_one_call_at_most() {
        let limits = Limits {
            usd_per_day: Some(usd(1.0)),
            ..Limits::default()
        };
        let (mut account, now) = (Account::default(), Period::at(5 * DAY));
        // Three fit, the fourth has to wait for them.
        for _ in 0..3 {
            account.reserve(&limits, usd(0.3), now).unwrap();
        }
        let (excess, _) = account.reserve(&limits, usd(0.3), now).unwrap_err();
        assert_eq!(excess, Excess::Busy);
        for _ in 0..3 {
            account.settle(now, usd(0.3), usd(0.3));
        }
        // What is left is not enough, but nobody else needs it.
        account.reserve(&limits, usd(0.3), now).unwrap();
        assert!(account.reserve(&limits, usd(0.01), now).is_err());
        account.settle(now, usd(0.3), usd(0.3));
        let (excess, wait) = account.reserve(&limits, usd(0.0), now).unwrap_err();
        assert_eq!(
            (excess, wait),
            (Excess::Day, Some(Duration::from_secs(DAY)))
        );
        assert_eq!(account.spent(now)[0], usd(1.2));
        // Another day, another dollar; but not the same day again.
        let tomorrow = Period::at(6 * DAY);
        account.reserve(&limits, usd(0.3), tomorrow).unwrap();
        account.settle(tomorrow, usd(0.3), usd(0.9));
        let back = account.reserve(&limits, usd(0.3), now);
        back.unwrap();
        assert_eq!(account.spent(now), [usd(0.9), usd(2.1), usd(2.1)]);
    }
}
