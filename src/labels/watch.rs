//! Puts models to work that somebody else has written, as `tierway calibrate --write` does, while the gateway runs.
use super::{keeper, model_file, tiers};
use crate::config::Config;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};
use tierway_layers::{cascade::Learned, classify::LearnedTiers};

/// How often files are looked at. Two seconds cost nothing, and nobody waits longer for what takes labels of days.
const EVERY: Duration = Duration::from_secs(2);

/// What a file looked like when it was last read: its time and its length.
type Stamp = Option<(SystemTime, u64)>;

/// A file that is looked at.
#[derive(Debug)]
struct File {
    path: PathBuf,
    stamp: Stamp,
}

/// Both models, as far as they have files.
struct Watch {
    cascade: Option<(File, Learned)>,
    tiers: Option<File>,
    routing: LearnedTiers,
}

/// Watches the files of both models that `config` names, as long as anybody grades by `routing`.
pub fn watch(config: &Config, cascade: &Learned, routing: &LearnedTiers) {
    let told = &config.cascade;
    let model = told.model.clone().filter(|_| told.enabled);
    let mut watch = Watch {
        cascade: model.map(|path| (File::new(path), cascade.clone())),
        tiers: config.labels.tiers_model.clone().map(File::new),
        routing: routing.clone(),
    };
    if watch.cascade.is_none() && watch.tiers.is_none() {
        return;
    }
    let thread = thread::Builder::new().name("models".to_owned());
    let spawned = thread.spawn(move || {
        while watch.routing.is_shared() {
            watch.look();
            thread::sleep(EVERY);
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "models that somebody else writes are not seen: no thread for it");
    }
}

impl Watch {
    fn look(&mut self) {
        if let Some((file, learned)) = &mut self.cascade
            && file.changed()
        {
            read_cascade(&file.path, learned);
        }
        if let Some(file) = &mut self.tiers
            && file.changed()
        {
            read_tiers(&file.path, &self.routing);
        }
    }
}

impl File {
    const fn new(path: PathBuf) -> Self {
        // Read at the first look, too: it may have been written since the gateway started.
        Self { path, stamp: None }
    }

    fn changed(&mut self) -> bool {
        let seen = fs::metadata(&self.path);
        let stamp = seen.ok().and_then(|m| Some((m.modified().ok()?, m.len())));
        // One that is gone changes nothing before the next start.
        let changed = stamp.is_some() && stamp != self.stamp;
        self.stamp = stamp.or(self.stamp);
        changed
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

#[cfg(test)]
mod tests {
    use super::*;
    use tierway_layers::{cascade::Model, classify::TierModel};

    #[test]
    fn what_is_written_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let (cascade, routing) = (Learned::new(Model::prior()), LearnedTiers::default());
        let (one, two) = (folder.path().join("cascade"), folder.path().join("tiers"));
        let mut watch = Watch {
            cascade: Some((File::new(one.clone()), cascade.clone())),
            tiers: Some(File::new(two.clone())),
            routing: routing.clone(),
        };
        let mut revisions = || {
            watch.look();
            (
                cascade.model().revision(),
                routing.model().learning().revision,
            )
        };
        assert_eq!(revisions(), (0, 0));
        model_file::write(&one, &Model::prior().with_revision(3)).unwrap();
        tiers::write(&two, &TierModel::shipped().with_revision(4)).unwrap();
        assert_eq!(revisions(), (3, 4));
        // What was learned since stays, and what is broken or gone changes nothing.
        cascade.replace(Model::prior().with_revision(9));
        assert_eq!(revisions(), (9, 4));
        fs::write(&one, "broken").unwrap();
        fs::remove_file(&two).unwrap();
        assert_eq!(revisions(), (9, 4));
    }
}
