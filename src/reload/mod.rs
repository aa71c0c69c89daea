//! The configuration read anew while the gateway runs: on SIGHUP, and when its file or a file that it names changes.
//!
//! It is validated as a whole first. What cannot be used is refused, and the one that runs goes on; the log, `/v1/config` on the admin port
//! and `tierway_config_reloads_total` say so. What can is assembled into a new stack that takes the place of the old one at once: calls
//! under way end as they began, and what was kept, counted and learned goes on where its settings are the same. Settings that
//! only a restart can change keep their values, and are named.
mod fixed;
mod live;
mod watch;

pub use live::{Current, Live};

use crate::{
    config::{Loaded, Plan, Problems},
    discovery, log, metrics,
    server::{self, systemd},
};
use live::Last;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
pub(crate) use watch::Watch;

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Reads the configuration from where it was read at the start.
pub type Reread = Box<dyn Fn() -> Result<Loaded, Problems> + Send + Sync>;

/// What became of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is at work.
    Applied,
    /// It says what the one at work says.
    Unchanged,
    /// It cannot be used; the one before goes on.
    Refused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Applied, Self::Unchanged, Self::Refused];

    /// The label in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// Waits for reasons to read the configuration anew.
pub struct Reloader {
    live: Arc<Live>,
    reread: Arc<Reread>,
    /// What was found at the start, for a configuration that binds no tier.
    plan: Option<Arc<Plan>>,
    /// Files that are watched; nothing where nobody wants that.
    files: Option<Vec<PathBuf>>,
}

impl Reloader {
    /// Keeps `live` up to date with what `reread` reads. `loaded` is what runs, bound by `plan` where it binds no tier itself.
    #[must_use]
    pub fn new(live: Arc<Live>, reread: Reread, loaded: &Loaded, plan: Option<Plan>) -> Self {
        for outcome in Outcome::ALL {
            metrics::reloads(outcome.as_str()).increment(0);
        }
        metrics::config_stale().set(0);
        metrics::config_restart().set(0);
        Self {
            live,
            reread: Arc::new(reread),
            plan: plan.map(Arc::new),
            files: loaded.config.server.watch.then(|| loaded.files()),
        }
    }

    /// Reloads whenever there is a reason to; for ever.
    pub async fn run(mut self) {
        let mut hangups = server::hangups();
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Watch::new(self.files.take().unwrap_or_default());
        loop {
            let why = tokio::select! {
                () = hangups.next() => "signal",
                _ = tick.tick() => if watch.changed().await { "file" } else { continue },
            };
            if let Some(files) = self.reload(why).await {
                watch.files(files);
            }
        }
    }

    /// Reads the configuration and puts it to work. Tells which files it was made from, where it can be used.
    pub async fn reload(&self, why: &'static str) -> Option<Vec<PathBuf>> {
        systemd::reloading();
        let (live, reread, plan) = (self.live.clone(), self.reread.clone(), self.plan.clone());
        // Reads files, and may wait until what was learned is written down.
        let told = tokio::task::spawn_blocking(move || renew(&live, &reread, plan.as_deref()));
        let told = told.await.unwrap_or_else(|_| Renewed {
            files: None,
            last: Last::refused("the configuration could not be assembled", Vec::new()),
            restart: Vec::new(),
        });
        let last = &told.last;
        metrics::reloads(last.outcome.as_str()).increment(1);
        log::reload(why, last.outcome, &last.problems, &told.restart);
        self.live.tell(why, told.last, told.restart);
        systemd::ready();
        told.files
    }
}

/// What came of reading it.
struct Renewed {
    files: Option<Vec<PathBuf>>,
    last: Last,
    restart: Vec<String>,
}

fn renew(live: &Live, reread: &Reread, plan: Option<&Plan>) -> Renewed {
    let mut loaded = match reread() {
        Ok(loaded) => loaded,
        Err(problems) => {
            let each = problems
                .iter()
                .map(|p| format!("{}: {}", p.message, p.advice));
            return Renewed {
                files: None,
                last: Last::refused(&problems.render(false), each.collect()),
                restart: live.restart(),
            };
        }
    };
    if let Some(plan) = plan {
        discovery::again(&mut loaded, plan);
    }
    let files = Some(loaded.files());
    let stack = live.stack();
    let restart = fixed::keep(stack.config(), &mut loaded.config);
    if *stack.config() == loaded.config {
        let last = Last::new(Outcome::Unchanged);
        return Renewed {
            files,
            last,
            restart,
        };
    }
    let last = match stack.succeed(&loaded.config) {
        Ok(next) => {
            live.replace(next);
            Last::new(Outcome::Applied)
        }
        Err(error) => Last::refused(&error.to_string(), vec![error.to_string()]),
    };
    Renewed {
        files,
        last,
        restart,
    }
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader")
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}
