//! Who is to be woken.
use super::lock;
use std::{
    sync::{Arc, Mutex},
    task::{Wake, Waker},
};

/// Wakes everybody when the upstream call may go on.
#[derive(Default)]
pub(super) struct Wakers(Mutex<Vec<Option<Waker>>>);

impl Wakers {
    pub(super) fn register(&self, id: usize, waker: &Waker) {
        let mut wakers = lock(&self.0);
        if wakers.len() <= id {
            wakers.resize(id + 1, None);
        }
        if let Some(slot) = wakers.get_mut(id) {
            match slot {
                Some(old) => old.clone_from(waker),
                None => *slot = Some(waker.clone()),
            }
        }
    }

    pub(super) fn forget(&self, id: usize) {
        if let Some(slot) = lock(&self.0).get_mut(id) {
            *slot = None;
        }
    }

    /// Wakes everybody but the one who is polled anyway.
    pub(super) fn rouse(&self, but: Option<usize>) {
        let mut wakers = lock(&self.0);
        let others = wakers.iter_mut().enumerate();
        let others: Vec<Waker> = others
            .filter(|(id, _)| but != Some(*id))
            .filter_map(|(_, slot)| slot.take())
            .collect();
        drop(wakers);
        others.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.rouse(None);
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.rouse(None);
    }
}
