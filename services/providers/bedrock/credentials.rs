//! Amazon's credentials, kept for as long as they are good.
use aws_credential_types::Credentials as Amazons;
use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{sync::Semaphore, time::timeout};

/// New ones are asked for this long before the old ones expire.
const AHEAD: Duration = Duration::from_secs(300);
/// So shortly before their end they are not used any more: a request takes its time.
const MARGIN: Duration = Duration::from_secs(15);
/// Credentials without an end are asked for again after this time: somebody may have changed them.
const LASTING: Duration = Duration::from_secs(900);
/// After a failure there is a pause.
const PAUSE: Duration = Duration::from_secs(30);
/// While there still are old ones, a question for new ones may take this long.
const SOON: Duration = Duration::from_secs(5);
/// Else this long; a role in another account takes several calls.
const PATIENCE: Duration = Duration::from_secs(30);

/// The credentials in use. One call at a time asks for new ones, and as long as the old ones are good nobody waits for it.
pub(crate) struct Credentials {
    state: Mutex<State>,
    asking: Semaphore,
}

#[derive(Clone, Default)]
struct State {
    known: Option<Known>,
    /// What the last question came to, if it came to nothing.
    failure: Option<String>,
    /// How many questions were asked to the end.
    asked: u64,
}

#[derive(Clone)]
struct Known {
    credentials: Amazons,
    /// When to ask for new ones.
    fresh_until: SystemTime,
    /// When they are of no use any more.
    good_until: Option<SystemTime>,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            asking: Semaphore::new(1),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// The credentials, asked for where there are none or their end is near.
    ///
    /// # Errors
    /// Where there are none to be had, in words without any secret.
    pub(super) async fn get<F>(&self, ask: impl FnOnce() -> F) -> Result<Amazons, String>
    where
        F: Future<Output = Result<Amazons, String>>,
    {
        let before = self.read();
        let now = SystemTime::now();
        let old = before
            .known
            .filter(|k| k.good_until.is_none_or(|t| now < t));
        let Some(old) = old else {
            // A cancelled asker gives its permit back, and the next one asks. The semaphore is never closed.
            let _permit = self.asking.acquire().await.map_err(|e| e.to_string())?;
            let state = self.read();
            if state.asked != before.asked {
                // Somebody asked while we waited; had it failed, asking again at once would only make a queue of failures.
                return match (state.failure, state.known) {
                    (None, Some(known)) => Ok(known.credentials),
                    (failure, _) => Err(failure.unwrap_or_default()),
                };
            }
            return self.ask(PATIENCE, ask).await;
        };
        if now < old.fresh_until {
            return Ok(old.credentials);
        }
        let Ok(_permit) = self.asking.try_acquire() else {
            return Ok(old.credentials);
        };
        if let Ok(new) = self.ask(SOON, ask).await {
            return Ok(new);
        }
        // A failure costs this call some seconds, and the next ones nothing.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &mut state.known {
            known.fresh_until = SystemTime::now() + PAUSE;
        }
        Ok(old.credentials)
    }

    /// Amazon did not accept them: new ones are asked for at the next call, though not at every call.
    pub(super) fn doubt(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let soon = SystemTime::now() + PAUSE;
        if let Some(known) = &mut state.known {
            known.fresh_until = known.fresh_until.min(soon);
        }
    }

    async fn ask<F>(&self, patience: Duration, ask: impl FnOnce() -> F) -> Result<Amazons, String>
    where
        F: Future<Output = Result<Amazons, String>>,
    {
        let told = match timeout(patience, ask()).await {
            Ok(told) => told,
            Err(_) => Err("asking for AWS credentials took too long".to_owned()),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked += 1;
        match &told {
            Ok(credentials) => {
                state.known = Some(Known::new(credentials.clone(), SystemTime::now()));
                state.failure = None;
            }
            Err(why) => {
                tracing::warn!("{why}");
                state.failure = Some(why.clone());
            }
        }
        told
    }

    fn read(&self) -> State {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }
}

impl Known {
    fn new(credentials: Amazons, now: SystemTime) -> Self {
        let end = credentials.expiry();
        let left = end.map(|end| end.duration_since(now).unwrap_or_default());
        // Credentials of a short life are renewed at half of it.
        let fresh_for = left.map_or(LASTING, |left| left.saturating_sub(AHEAD.min(left / 2)));
        Self {
            credentials,
            fresh_until: now + fresh_for,
            good_until: left.map(|left| now + left.saturating_sub(MARGIN.min(left / 4))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use tokio::task::yield_now;

    fn of(name: &str, left: Option<u64>) -> Amazons {
        let end = left.map(|secs| SystemTime::now() + Duration::from_secs(secs));
        Amazons::new(name, "secret", None, end, "test")
    }

    #[tokio::test]
    async fn one_question_serves_all_who_wait() {
        let (kept, asked) = (Credentials::default(), AtomicU32::new(0));
        let ask = |told: Result<Amazons, String>| {
            let asked = &asked;
            move || async move {
                asked.fetch_add(1, Relaxed);
                yield_now().await;
                told
            }
        };
        let none = || Err("none".to_owned());
        let (a, b) = tokio::join!(kept.get(ask(none())), kept.get(ask(none())));
        assert!(a.is_err() && b.is_err(), "a failure is shared");
        assert_eq!(asked.swap(0, Relaxed), 1);
        let good = || Ok(of("a", None));
        let (a, b) = tokio::join!(kept.get(ask(good())), kept.get(ask(good())));
        assert!(a.is_ok() && b.is_ok());
        kept.get(ask(none())).await.unwrap();
        assert_eq!(asked.load(Relaxed), 1, "it is remembered");
    }

    #[tokio::test]
    async fn nobody_waits_while_the_old_ones_are_good() {
        let kept = Credentials::default();
        kept.get(|| async { Ok(of("old", Some(100))) })
            .await
            .unwrap();
        {
            let mut state = kept.state.lock().unwrap();
            state.known.as_mut().unwrap().fresh_until = SystemTime::UNIX_EPOCH;
        }
        let slow = kept.get(|| async {
            yield_now().await;
            Ok(of("new", Some(3600)))
        });
        let other = kept.get(|| async { Err("nobody asks twice".to_owned()) });
        let (slow, other) = tokio::join!(slow, other);
        assert_eq!(slow.unwrap().access_key_id(), "new");
        assert_eq!(other.unwrap().access_key_id(), "old");
    }

    #[tokio::test]
    async fn a_failure_leaves_the_old_ones_in_use_and_the_expired_are_not_used() {
        let kept = Credentials::default();
        kept.get(|| async { Ok(of("old", Some(100))) })
            .await
            .unwrap();
        let set = |fresh: SystemTime, good: SystemTime| {
            let mut state = kept.state.lock().unwrap();
            let known = state.known.as_mut().unwrap();
            known.fresh_until = fresh;
            known.good_until = Some(good);
        };
        let (past, later) = (
            SystemTime::UNIX_EPOCH,
            SystemTime::now() + Duration::from_secs(60),
        );
        set(past, later);
        let failing = || async { Err("no".to_owned()) };
        let used = kept.get(failing).await.unwrap();
        assert_eq!(used.access_key_id(), "old");
        set(past, past);
        assert_eq!(kept.get(failing).await.unwrap_err(), "no");
    }

    #[test]
    fn new_ones_are_wanted_before_the_end() {
        let now = SystemTime::now();
        let secs = |t: SystemTime| t.duration_since(now).unwrap().as_secs();
        for (left, fresh, good) in [(3600, 3299..=3300, 3584..=3585), (100, 49..=50, 84..=85)] {
            let known = Known::new(of("a", Some(left)), now);
            assert!(fresh.contains(&secs(known.fresh_until)));
            assert!(good.contains(&secs(known.good_until.unwrap())));
        }
        assert!(Known::new(of("a", None), now).good_until.is_none());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let kept = Credentials::default();
        assert_eq!(format!("{kept:?}"), "Credentials { .. }");
    }
}
