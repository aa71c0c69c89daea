//! A yes or no that is found out once, by whoever needs it first.
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;

/// A fact about a provider that one question answers. Concurrent askers share the question; no answer is not remembered.
#[derive(Debug)]
pub(super) struct Finding {
    state: Mutex<State>,
    asking: Semaphore,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    known: Option<bool>,
    /// How many questions were asked to the end.
    asked: u64,
}

impl Default for Finding {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            asking: Semaphore::new(1),
        }
    }
}

impl Finding {
    /// The answer, asked for if it is not known. `None` where the question got none just now.
    pub(super) async fn get<F>(&self, ask: impl FnOnce() -> F) -> Option<bool>
    where
        F: Future<Output = Option<bool>>,
    {
        let before = self.read();
        if before.known.is_some() {
            return before.known;
        }
        // A cancelled asker gives its permit back, and the next one asks. The semaphore is never closed.
        let _permit = self.asking.acquire().await.ok()?;
        let now = self.read();
        if now.known.is_some() || now.asked != before.asked {
            // Somebody asked while we waited; had it failed, asking again at once would only make a queue of failures.
            return now.known;
        }
        let answer = ask().await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.known = answer;
        state.asked += 1;
        answer
    }
    /// The answer comes from elsewhere.
    pub(super) fn set(&self, answer: bool) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .known = Some(answer);
    }
    /// The answer, if it is known.
    pub(super) fn known(&self) -> Option<bool> {
        self.read().known
    }
    fn read(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::pending,
        sync::atomic::{AtomicU32, Ordering::Relaxed},
    };
    use tokio::task::yield_now;

    #[tokio::test]
    async fn concurrent_askers_share_one_question() {
        let (finding, asked) = (&Finding::default(), &AtomicU32::new(0));
        let ask = |answer| {
            finding.get(move || async move {
                asked.fetch_add(1, Relaxed);
                yield_now().await;
                answer
            })
        };
        assert_eq!(
            tokio::join!(ask(None), ask(None)),
            (None, None),
            "a failure too"
        );
        assert_eq!(asked.swap(0, Relaxed), 1);
        assert_eq!(
            tokio::join!(ask(Some(true)), ask(Some(true)), ask(Some(true))),
            (Some(true), Some(true), Some(true))
        );
        assert_eq!(ask(Some(false)).await, Some(true), "it is remembered");
        assert_eq!(asked.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn a_cancelled_asker_hands_the_question_on() {
        let finding = Finding::default();
        {
            let stuck = finding.get(pending);
            tokio::pin!(stuck);
            let next = finding.get(|| async { Some(true) });
            tokio::pin!(next);
            tokio::select! { biased;
                _ = &mut stuck => unreachable!(),
                _ = &mut next => unreachable!(),
                () = yield_now() => {}
            }
        }
        assert_eq!(finding.get(|| async { Some(false) }).await, Some(false));
    }
}
