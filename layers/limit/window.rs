//! What was used within the last minute.
use std::{collections::VecDeque, time::Duration};

/// Amounts are kept by the quarter of a second.
pub(super) const BUCKET: u64 = 250;
/// So many of these are remembered: a minute, and the one under way, so that in no minute more is let through than the limit.
pub(super) const BUCKETS: u64 = 241;

/// A sliding window over one minute.
#[derive(Debug, Default)]
pub(super) struct Window {
    buckets: VecDeque<(u64, u64)>,
    sum: u64,
}

impl Window {
    /// All that was used in the minute before `now`, in milliseconds.
    pub(super) fn sum(&mut self, now: u64) -> u64 {
        let oldest = (now / BUCKET + 1).saturating_sub(BUCKETS);
        while let Some((bucket, amount)) = self.buckets.front().copied() {
            if bucket >= oldest {
                break;
            }
            self.buckets.pop_front();
            self.sum = self.sum.saturating_sub(amount);
        }
        self.sum
    }

    /// Adds, and says where.
    pub(super) fn add(&mut self, now: u64, amount: u64) -> u64 {
        let mut at = now / BUCKET;
        match self.buckets.back_mut() {
            Some((bucket, sum)) if *bucket >= at => {
                at = *bucket;
                *sum = sum.saturating_add(amount);
            }
            _ => self.buckets.push_back((at, amount)),
        }
        self.sum = self.sum.saturating_add(amount);
        at
    }

    /// What was taken for `before` at `bucket` was `after`. What is over counts where it was taken, or now where that is forgotten.
    pub(super) fn correct(&mut self, now: u64, at: u64, before: u64, after: u64) {
        self.sum(now);
        let place = self.buckets.iter_mut().find(|(bucket, _)| *bucket == at);
        match place {
            Some((_, amount)) => {
                *amount = (*amount + after).saturating_sub(before);
                self.sum = (self.sum + after).saturating_sub(before);
            }
            None if after > before => {
                self.add(now, after - before);
            }
            None => {}
        }
    }

    /// How long until so much is free again.
    pub(super) fn wait(&self, now: u64, free: u64) -> Duration {
        let mut freed = 0_u64;
        let mut buckets = self.buckets.iter();
        let at = buckets.find_map(|(bucket, amount)| {
            freed = freed.saturating_add(*amount);
            (freed >= free).then_some(*bucket)
        });
        let until = at.map_or(now + 60_000, |bucket| (bucket + BUCKETS) * BUCKET);
        Duration::from_millis(until.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_limit_in_any_minute_and_hardly_less() {
        let (mut window, limit) = (Window::default(), 600);
        let mut admitted = Vec::new();
        for now in (0..300_000).step_by(10) {
            if window.sum(now) < limit {
                window.add(now, 1);
                admitted.push(now);
            }
        }
        let within = |from: u64| {
            let minute = from..from + 60_000;
            admitted.iter().filter(|at| minute.contains(at)).count() as u64
        };
        for from in (0..240_000).step_by(37) {
            assert!(within(from) <= limit, "{from}: {}", within(from));
        }
        let all = admitted.len() as u64;
        assert!(all >= 5 * limit * 99 / 100, "{all}");
    }

    #[test]
    fn what_was_taken_is_corrected_where_it_was_taken() {
        let mut window = Window::default();
        let at = window.add(0, 1000);
        window.add(30_000, 10);
        window.correct(40_000, at, 1000, 100);
        assert_eq!(window.sum(40_000), 110);
        window.correct(40_000, at, 100, 150);
        assert_eq!(window.sum(59_000), 160);
        assert_eq!(window.sum(61_000), 10);
        // Long forgotten: less is nothing, more is now.
        window.correct(62_000, at, 150, 20);
        assert_eq!(window.sum(62_000), 10);
        window.correct(62_000, at, 150, 250);
        assert_eq!(window.sum(62_000), 110);
    }

    #[test]
    fn how_long_to_wait() {
        let mut window = Window::default();
        window.add(0, 5);
        window.add(10_000, 5);
        assert_eq!(window.wait(10_000, 5).as_millis(), 50_250);
        assert_eq!(window.wait(10_000, 6).as_millis(), 60_250);
        assert_eq!(window.wait(10_000, 99).as_secs(), 60);
    }
}
