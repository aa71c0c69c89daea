//! What comparisons may cost in a day, and how many may be under way.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use tierway_services::chat::Usd;

const DAY: u64 = 24 * 60 * 60;

/// Money for a day (UTC), in picodollars. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Purse(Arc<Mutex<Contents>>);

#[derive(Debug)]
struct Contents {
    a_day: Usd,
    day: u64,
    // Of this day: what was spent, and what is set aside for what is under way.
    spent: Usd,
    aside: Usd,
    most: usize,
    under_way: usize,
}

/// Money that is set aside for one comparison. What it did not need goes back with it; without a word on that, all is spent.
#[derive(Debug)]
pub(super) struct Aside {
    purse: Purse,
    sum: Usd,
    spent: Usd,
}

impl Purse {
    pub(super) fn new(a_day: Usd, most: usize) -> Self {
        Self(Arc::new(Mutex::new(Contents {
            a_day,
            day: 0,
            spent: Usd::ZERO,
            aside: Usd::ZERO,
            most,
            under_way: 0,
        })))
    }

    /// The same with other bounds.
    pub(super) fn bounded(&self, a_day: Option<Usd>, most: Option<usize>) -> Self {
        let (old_day, old_most) = self.with(|c| (c.a_day, c.most));
        Self::new(a_day.unwrap_or(old_day), most.unwrap_or(old_most))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Contents) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets `sum` aside, or tells why not.
    pub(super) fn claim(&self, sum: Usd) -> Result<Aside, &'static str> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.claim_on(now.map_or(0, |now| now.as_secs() / DAY), sum)
    }

    fn claim_on(&self, day: u64, sum: Usd) -> Result<Aside, &'static str> {
        self.with(|c| {
            if c.day != day {
                // What is under way counts on the new day: it may well be billed on that.
                (c.day, c.spent) = (day, Usd::ZERO);
            }
            if c.spent + c.aside + sum > c.a_day {
                return Err("over_budget");
            }
            if c.under_way >= c.most {
                return Err("busy");
            }
            c.under_way += 1;
            c.aside += sum;
            Ok(Aside {
                purse: self.clone(),
                sum,
                spent: sum,
            })
        })
    }
}

impl Aside {
    /// It cost this.
    pub(super) const fn spent(&mut self, sum: Usd) {
        self.spent = sum;
    }
    /// What was set aside.
    pub(super) const fn sum(&self) -> Usd {
        self.sum
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.purse.with(|c| {
            c.under_way -= 1;
            c.aside = c.aside - self.sum;
            c.spent += self.spent;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_bound_and_a_new_day_another() {
        let usd = Usd::from_picodollars;
        let purse = Purse::new(usd(100), 2);
        let mut first = purse.claim_on(1, usd(60)).unwrap();
        assert_eq!(purse.claim_on(1, usd(60)).unwrap_err(), "over_budget");
        let second = purse.claim_on(1, usd(40)).unwrap();
        assert_eq!(purse.claim_on(1, usd(0)).unwrap_err(), "busy");
        first.spent(usd(10));
        drop((first, second));
        // 10 and 40 are spent
        assert_eq!(purse.claim_on(1, usd(51)).unwrap_err(), "over_budget");
        drop(purse.claim_on(1, usd(50)).unwrap());
        assert_eq!(purse.claim_on(1, usd(1)).unwrap_err(), "over_budget");
        assert!(purse.claim_on(2, usd(100)).is_ok());
    }
}
