//! The questions that were asked, by what is the same around them.
//!
//! Every vector of a scope is compared. At the bound of [`MOST`] vectors of 384 numbers that takes 40 µs, less than a search in a graph of
//! neighbours, and it finds the nearest for certain; such a graph pays from some thousands on (`docs/caching.md` has the figures).
use crate::prompt_cache::Key;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The most questions of one scope; the oldest go first.
pub(super) const MOST: usize = 1000;

/// A question that was answered.
#[derive(Clone, Debug)]
struct Asked {
    text: Arc<str>,
    /// Of length 1.
    vector: Arc<[f32]>,
}

type Scope = Arc<Mutex<VecDeque<Asked>>>;

/// All questions, bounded in bytes and age.
#[derive(Clone, Debug)]
pub(super) struct Index {
    scopes: moka::sync::Cache<Key, Scope>,
}

impl Index {
    pub(super) fn new(max_bytes: u64, ttl: Duration) -> Self {
        Self {
            scopes: moka::sync::Cache::builder()
                .max_capacity(max_bytes)
                .weigher(|_, scope: &Scope| weight(scope))
                .time_to_live(ttl)
                .build(),
        }
    }

    /// Whether these very words were asked.
    pub(super) fn has(&self, scope: &Key, text: &str) -> bool {
        let scope = self.scopes.get(scope);
        scope.is_some_and(|scope| lock(&scope).iter().any(|asked| *asked.text == *text))
    }

    /// The questions that are at least so like, the most like first, each with its cosine.
    pub(super) fn nearest(&self, scope: &Key, vector: &[f32], least: f32) -> Vec<(f32, Arc<str>)> {
        let Some(scope) = self.scopes.get(scope) else {
            return Vec::new();
        };
        let mut found: Vec<(f32, Arc<str>)> = lock(&scope)
            .iter()
            .map(|asked| (dot(&asked.vector, vector), asked.text.clone()))
            .filter(|(likeness, _)| *likeness >= least)
            .collect();
        found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        found
    }

    /// Remembers a question; `vector` is of length 1.
    pub(super) fn add(&self, scope: Key, text: &str, vector: Vec<f32>) {
        let held = self.scopes.get_with(scope, Scope::default);
        {
            let mut asked = lock(&held);
            asked.retain(|asked| *asked.text != *text);
            while asked.len() >= MOST {
                asked.pop_front();
            }
            asked.push_back(Asked {
                text: text.into(),
                vector: vector.into(),
            });
        }
        // Put in anew, so that it is weighed anew.
        self.scopes.insert(scope, held);
    }

    /// Forgets a question whose answer is gone.
    pub(super) fn forget(&self, scope: &Key, text: &str) {
        if let Some(scope) = self.scopes.get(scope) {
            lock(&scope).retain(|asked| *asked.text != *text);
        }
    }

    /// How many questions there are, in how many scopes; for tests.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, u64) {
        self.scopes.run_pending_tasks();
        let all = self.scopes.iter().map(|(_, scope)| lock(&scope).len());
        (all.sum(), self.scopes.weighted_size())
    }
}

fn lock(scope: &Mutex<VecDeque<Asked>>) -> std::sync::MutexGuard<'_, VecDeque<Asked>> {
    scope.lock().unwrap_or_else(PoisonError::into_inner)
}

fn weight(scope: &Scope) -> u32 {
    let asked = lock(scope);
    let bytes: usize = asked
        .iter()
        .map(|asked| asked.text.len() + 4 * asked.vector.len() + 96)
        .sum();
    u32::try_from(bytes + 256).unwrap_or(u32::MAX)
}

/// In eight lanes, which the compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    let (mut sum, mut rest) = ([0.0_f32; 8], 0.0);
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    for (x, y) in a.remainder().iter().zip(b.remainder()) {
        rest += x * y;
    }
    for (x, y) in a.zip(b) {
        for ((sum, x), y) in sum.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    rest + sum.iter().sum::<f32>()
}

/// The vector in the same direction, of length 1; `None` where it has none.
pub(super) fn unit(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = dot(&vector, &vector).sqrt();
    if !length.is_finite() || length <= 0.0 {
        return None;
    }
    vector.iter_mut().for_each(|x| *x /= length);
    Some(vector)
}
