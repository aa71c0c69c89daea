//! How many connections each address has.
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Counts connections by address.
pub(super) struct Addresses {
    most: usize,
    counts: Counts,
}

/// A connection's place, until it is dropped; nothing where nobody counts.
pub(super) struct Place(Option<(Counts, IpAddr)>);

impl Addresses {
    /// At most so many each; 0 for as many as they like.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            counts: Counts::default(),
        }
    }

    /// A place for one more connection of `address`, if it has one left.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        if self.most == 0 {
            return Some(Place(None));
        }
        let address = network(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place(Some((self.counts.clone(), address))))
    }
}

/// Whoever has one IPv6 address has the 64 bits behind its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((counts, address)) = self.0.take() else {
            return;
        };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_places() {
        let addresses = Addresses::new(2);
        let enter = |text: &str| addresses.enter(text.parse().unwrap());
        let first = enter("10.0.0.1").unwrap();
        let _second = enter("::ffff:10.0.0.1").unwrap();
        assert!(enter("10.0.0.1").is_none());
        let _other = enter("10.0.0.2").unwrap();
        drop(first);
        assert!(enter("10.0.0.1").is_some());
        let _a = enter("2001:db8::1").unwrap();
        let _b = enter("2001:db8::2").unwrap();
        assert!(enter("2001:db8::3").is_none());
        assert!(enter("2001:db8:0:1::3").is_some());
        let free = Addresses::new(0);
        assert!((0..9).all(|_| free.enter("10.0.0.1".parse().unwrap()).is_some()));
        assert!(free.counts.lock().unwrap().is_empty());
    }
}
