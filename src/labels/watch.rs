//! Puts models to work that somebody else has written, as `tierway calibrate --write` does, while the gateway runs.
use super::{keeper, model_file, tiers};
use crate::config::Config;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    thread,
    time::{Duration, SystemTime},
};
use tierway_layers::{cascade::Learned, classify::LearnedTiers};

/// How often files are looked at. Two seconds cost nothing, and nobody waits longer for what takes labels of days.
const EVERY: Duration = Duration::from_secs(2);

/// Files are watched until the last clone of this is gone.
#[derive(Clone)]
pub struct Watch(#[expect(dead_code, reason = "it is held, and let go")] Arc<()>);

/// What a file looked like when it was last read: its time and its length.
type Stamp = Option<(SystemTime, u64)>;

struct File {
    path: PathBuf,
    stamp: Stamp,
    read: Box<dyn Fn(&Path) + Send>,
}

impl Watch {
    /// Watches the files of both models that `config` names.
    #[must_use]
    pub fn start(config: &Config, cascade: &Learned, routing: &LearnedTiers) -> Self {
        let mut files = Vec::new();
        if let Some(path) = config
            .cascade
            .model
            .clone()
            .filter(|_| config.cascade.enabled)
        {
            let cascade = cascade.clone();
            files.push(File::new(path, move |path| read_cascade(path, &cascade)));
        }
        if let Some(path) = config.labels.tiers_model.clone() {
            let routing = routing.clone();
            files.push(File::new(path, move |path| read_tiers(path, &routing)));
        }
        let held = Arc::new(());
        let watched = Arc::downgrade(&held);
        if !files.is_empty() {
            let name = thread::Builder::new().name("models".to_owned());
            if let Err(error) = name.spawn(move || look(&mut files, &watched)) {
                tracing::warn!(%error, "models that somebody else writes are not seen: no thread for it");
            }
        }
        Self(held)
    }
}

fn look(files: &mut [File], watched: &Weak<()>) {
    while watched.strong_count() > 0 {
        files.iter_mut().for_each(File::look);
        thread::sleep(EVERY);
    }
}

impl File {
    fn new(path: PathBuf, read: impl Fn(&Path) + Send + 'static) -> Self {
        Self {
            path,
            // Read at the first look, too: it may have been written since the gateway started.
            stamp: None,
            read: Box::new(read),
        }
    }

    fn look(&mut self) {
        let seen = fs::metadata(&self.path);
        let stamp = seen.ok().and_then(|m| Some((m.modified().ok()?, m.len())));
        // One that is gone changes nothing before the next start.
        if stamp.is_some() && stamp != self.stamp {
            self.stamp = stamp;
            (self.read)(&self.path);
        }
    }
}

fn read_cascade(path: &Path, learned: &Learned) {
    let now = learned.model();
    match model_file::read(path) {
        Ok(model) if (model.revision(), model.labels()) != (now.revision(), now.labels()) => {
            tracing::info!(
                revision = model.revision(),
                "drafts are judged by the model that was written"
            );
            keeper::show(&model);
            learned.replace(model);
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the model that was written is not put to work"),
    }
}

fn read_tiers(path: &Path, learned: &LearnedTiers) {
    match tiers::read(path) {
        Ok(Some(model)) if model.learning() != learned.model().learning() => {
            let revision = model.learning().revision;
            tracing::info!(
                revision,
                "tiers are chosen by the weights that were written"
            );
            tiers::show(&model);
            learned.replace(model);
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the weights that were written are not put to work"),
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierway_layers::{cascade::Model, classify::TierModel};

    #[test]
    fn what_is_written_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let (cascade, routing) = (Learned::new(Model::prior()), LearnedTiers::default());
        let (one, two) = (folder.path().join("cascade"), folder.path().join("tiers"));
        let (a, b) = (cascade.clone(), routing.clone());
        let mut files = [
            File::new(one.clone(), move |path| read_cascade(path, &a)),
            File::new(two.clone(), move |path| read_tiers(path, &b)),
        ];
        let revisions = |files: &mut [File]| {
            files.iter_mut().for_each(File::look);
            (
                cascade.model().revision(),
                routing.model().learning().revision,
            )
        };
        assert_eq!(revisions(&mut files), (0, 0));
        model_file::write(&one, &Model::prior().with_revision(3)).unwrap();
        tiers::write(&two, &TierModel::shipped().with_revision(4)).unwrap();
        assert_eq!(revisions(&mut files), (3, 4));
        // What was learned since stays, and what is broken or gone changes nothing.
        cascade.replace(Model::prior().with_revision(9));
        assert_eq!(revisions(&mut files), (9, 4));
        fs::write(&one, "broken").unwrap();
        fs::remove_file(&two).unwrap();
        assert_eq!(revisions(&mut files), (9, 4));
    }
}
