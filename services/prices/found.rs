//! Prices that were looked up before.
use super::Price;
use crate::chat::Target;
use foldhash::fast::RandomState;
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

/// What was asked for before: each call asks several times for the same few targets.
#[derive(Debug, Default)]
pub(super) struct Found(RwLock<HashMap<Target, Option<Price>, RandomState>>);

/// More targets than anybody configures; prices of what comes beyond are looked up each time.
const MOST_FOUND: usize = 512;

// A copy is made to be changed, so it begins anew.
impl Clone for Found {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Found {
    pub(super) fn get(
        &self,
        target: &Target,
        look_up: impl FnOnce() -> Option<Price>,
    ) -> Option<Price> {
        let found = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(price) = found.get(target) {
            return *price;
        }
        drop(found);
        let price = look_up();
        let mut found = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if found.len() < MOST_FOUND {
            found.insert(target.clone(), price);
        }
        price
    }
}
