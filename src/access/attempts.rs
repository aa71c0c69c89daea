//! How often somebody may guess.
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So many addresses are remembered; beyond, everybody else shares one count.
const MOST: usize = 10_000;
const WINDOW: Duration = Duration::from_secs(60);

/// Counts failures by address, an IPv6 network of 64 bits being one. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    most: u32,
    counts: Arc<Mutex<Counts>>,
}

/// How many failures, since when.
type Counts = HashMap<Option<IpAddr>, (u32, Instant)>;

impl Attempts {
    /// So many failures a minute, each.
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            counts: Arc::default(),
        }
    }

    /// Whether `peer` may try; if not, after how long again.
    pub(crate) fn may(&self, peer: Option<IpAddr>) -> Result<(), Duration> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let name = place(&mut counts, peer);
        match counts.get(&name) {
            Some((count, since)) if *count >= self.most => {
                match WINDOW.checked_sub(since.elapsed()) {
                    Some(left) => Err(left),
                    None => {
                        counts.remove(&name);
                        Ok(())
                    }
                }
            }
            _ => Ok(()),
        }
    }

    /// It has failed.
    pub(crate) fn failed(&self, peer: Option<IpAddr>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let name = place(&mut counts, peer);
        let entry = counts.entry(name).or_insert((0, Instant::now()));
        if entry.1.elapsed() >= WINDOW {
            *entry = (0, Instant::now());
        }
        entry.0 = entry.0.saturating_add(1);
    }
}

/// Under which name `peer` is counted.
fn place(counts: &mut Counts, peer: Option<IpAddr>) -> Option<IpAddr> {
    let name = peer.map(|peer| match peer.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    });
    if counts.len() >= MOST && !counts.contains_key(&name) {
        counts.retain(|_, (_, since)| since.elapsed() < WINDOW);
        if counts.len() >= MOST {
            return None;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_tries() {
        let attempts = Attempts::new(2);
        let ip = |text: &str| Some(text.parse().unwrap());
        let (one, other) = (ip("10.0.0.1"), ip("10.0.0.2"));
        for _ in 0..2 {
            attempts.may(one).unwrap();
            attempts.failed(one);
        }
        let wait = attempts.may(one).unwrap_err();
        assert!(wait <= WINDOW);
        attempts.may(other).unwrap();
        attempts.failed(ip("2001:db8::1"));
        attempts.failed(ip("2001:db8::2"));
        assert!(attempts.may(ip("2001:db8::3")).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::new(1);
        for n in 0..20_000_u32 {
            attempts.failed(Some(IpAddr::from(n.to_be_bytes())));
        }
        assert!(attempts.counts.lock().unwrap().len() <= MOST + 1);
        let new = Some(IpAddr::from(30_000_u32.to_be_bytes()));
        assert!(attempts.may(new).is_err(), "shares one count");
    }
}
