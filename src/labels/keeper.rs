//! Who writes labels down and learns from them: one thread, which no call waits for.
use super::{
    Label, Settings,
    label::one_a_call,
    learn::{learn, stays},
    model_file,
    store::Store,
    tiers,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};
use tierway_layers::{
    cascade::{Drift, Family, Learned, Model},
    classify::{LearnedTiers, TierModel},
    telemetry::names,
};
use tierway_services::chat::Tier;

/// So many of the newest labels are learned from.
const NEWEST: usize = 2000;
/// A model that was learned from this many labels or more gives way to one that was, too.
const MANY: usize = 200;
/// With this probability a promise that holds is ever taken for broken.
const FALSE_ALARM: f64 = 0.01;
/// How long labels may be in the system's memory alone.
const FLUSH: Duration = Duration::from_secs(5);

/// What a keeper is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A new label.
    Label(Box<Label>),
    /// There will be no more.
    Stop,
}

/// Keeps labels, and the model that they make.
pub(super) struct Keeper {
    pub(super) store: Store,
    pub(super) learned: Learned,
    pub(super) model: Option<PathBuf>,
    pub(super) tiers: Tiers,
    pub(super) settings: Settings,
    /// The least probability with which a call is compared.
    pub(super) share: f64,
    /// After how many new labels it learns anew.
    pub(super) every: usize,
    pub(super) labels: Vec<Label>,
    pub(super) new: usize,
    /// By family, and whether drafts are kept for their beginnings.
    pub(super) drifts: BTreeMap<(&'static str, bool), Drift>,
    /// The revision of the model whose promises are watched.
    pub(super) watched: u64,
}

/// What chooses tiers, and where it is kept.
pub(super) struct Tiers {
    pub(super) learned: LearnedTiers,
    pub(super) file: Option<PathBuf>,
    /// The tiers that the small model serves.
    pub(super) small: Vec<Tier>,
}

impl Keeper {
    /// Until it is told to stop, or nobody is left to tell it anything.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        match self.store.read() {
            Ok(labels) => self.labels = newest(one_a_call(labels)),
            Err(error) => tracing::warn!(%error, "labels of earlier runs cannot be read"),
        }
        if self.tiers.learned.model().learning().revision == 0 {
            // Learned on top of other weights than those that are shipped now, or never.
            self.learn_tiers();
        }
        let mut written = false;
        loop {
            match messages.recv_timeout(FLUSH) {
                Ok(Message::Label(label)) => {
                    self.take(*label);
                    written = true;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if std::mem::take(&mut written) {
                        self.flush();
                    }
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.store.flush() {
            tracing::warn!(%error, "labels are not safe on the disk");
        }
    }

    fn take(&mut self, label: Label) {
        names::labels(label.source.as_str()).increment(1);
        if let Err(error) = self.store.add(&label) {
            names::labels_lost("disk").increment(1);
            tracing::warn!(%error, "a label cannot be kept");
        }
        self.watch(&label);
        self.labels.push(label);
        self.new += 1;
        if self.new >= self.every {
            self.new = 0;
            self.learn();
        }
    }

    /// Whether what was promised of a family still holds.
    fn watch(&mut self, label: &Label) {
        if label.answered.is_some() {
            return;
        }
        let (model, family) = (self.learned.model(), label.family);
        if model.revision() != self.watched {
            // Somebody else has put another model to work.
            self.watched = model.revision();
            self.drifts.clear();
        }
        // A vetoed draft is none of those that whole drafts are promised about.
        if label.vetoed && !label.early {
            return;
        }
        let promise = if label.early {
            model.early_of(family).map(|(_, promise)| promise)
        } else {
            model.operating_of(family).and_then(|o| o.certified)
        };
        let (Some(promise), Some(chance)) = (promise, label.propensity) else {
            return;
        };
        // Of what was likelier to be compared as many are left as if it had not been.
        if !stays(&label.id, chance, self.share) {
            return;
        }
        let new = || Drift::new(promise.alpha(), FALSE_ALARM);
        let place = (family.as_str(), label.early);
        let drift = self.drifts.entry(place).or_insert_with(new);
        drift.observe(label.accepted && label.is_harm());
        if drift.alarmed() {
            let (labels, harms) = drift.seen();
            tracing::warn!(
                family = family.as_str(),
                labels,
                harms,
                "a promise no longer holds: the family is not certified any more"
            );
            self.drifts.remove(&place);
            self.settings.since.insert(family.as_str(), label.at + 1);
            let model = Model::clone(&model);
            let model = if label.early {
                let early = model
                    .early()
                    .cloned()
                    .map(|early| early.uncertified(family));
                model.with_early(early)
            } else {
                model.uncertified(family)
            };
            let revision = model.revision() + 1;
            self.replace(model.with_revision(revision));
        }
    }

    fn learn(&mut self) {
        self.labels = newest(one_a_call(std::mem::take(&mut self.labels)));
        self.learn_tiers();
        let before = self.learned.model();
        let learnt = learn(&self.labels, &self.settings);
        if learnt.fitted < before.labels().clamp(1, MANY) {
            return;
        }
        let model = learnt.model.with_revision(before.revision() + 1);
        self.drifts.retain(|(family, early), _| {
            let family = Family::ALL.into_iter().find(|f| f.as_str() == *family);
            family.is_some_and(|f| match early {
                true => model.early_of(f).is_some(),
                false => certified(&model, f),
            })
        });
        tracing::info!(
            labels = model.labels(),
            revision = model.revision(),
            "the cascade has learned"
        );
        self.replace(model);
    }

    fn learn_tiers(&self) {
        let outcomes = tiers::outcomes(&self.labels, &self.tiers.small);
        let before = self.tiers.learned.model().learning();
        if outcomes.len() < before.labels.clamp(1, MANY) {
            return;
        }
        let model = TierModel::learn(&outcomes).with_revision(before.revision + 1);
        let (labels, revision) = (model.labels(), before.revision + 1);
        tracing::info!(labels, revision, "tiers are chosen by what was learned");
        if let Some(path) = &self.tiers.file
            && let Err(error) = tiers::write(path, &model)
        {
            tracing::warn!(%error, "what was learned about tiers cannot be kept");
        }
        tiers::show(&model);
        self.tiers.learned.replace(model);
    }

    fn replace(&mut self, model: Model) {
        self.watched = model.revision();
        if let Some(path) = &self.model
            && let Err(error) = model_file::write(path, &model)
        {
            tracing::warn!(%error, "what the cascade has learned cannot be kept");
        }
        show(&model);
        self.learned.replace(model);
    }
}

fn newest(mut labels: Vec<Label>) -> Vec<Label> {
    labels.drain(..labels.len().saturating_sub(NEWEST));
    labels
}

fn certified(model: &Model, family: Family) -> bool {
    model
        .operating_of(family)
        .is_some_and(|o| o.certified.is_some())
}

/// Puts the model into metrics.
pub(super) fn show(model: &Model) {
    names::model_revision().set(model.revision() as f64);
    names::model_labels().set(model.labels() as f64);
    for family in Family::ALL {
        let certified = f64::from(u8::from(certified(model, family)));
        names::certified(family.as_str()).set(certified);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::label::tests::label, *};
    use tierway_layers::cascade::{Operating, Promise};

    fn keeper(folder: &std::path::Path, every: usize) -> Keeper {
        Keeper {
            store: Store::new(folder.join("labels"), 1 << 20),
            learned: Learned::new(Model::prior()),
            model: Some(folder.join("model")),
            tiers: Tiers {
                learned: LearnedTiers::default(),
                file: Some(folder.join("tiers")),
                small: vec![Tier::Simple],
            },
            settings: Settings {
                promise: Promise::new(0.1, 0.1).unwrap(),
                recent: 400,
                since: BTreeMap::new(),
            },
            share: 0.1,
            every,
            labels: Vec::new(),
            new: 0,
            drifts: BTreeMap::new(),
            watched: 0,
        }
    }

    #[test]
    fn it_learns_promises_and_takes_back_what_drifts() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = keeper(folder.path(), 100);
        let give = |keeper: &mut Keeper, i: usize, small: f32, at: u64| {
            let mut label = label(&format!("id{i}"), 9.0, small);
            (label.propensity, label.at) = (Some(0.1), at);
            keeper.take(label);
        };
        for i in 0..99 {
            give(&mut keeper, i, 1.0, 1);
        }
        assert_eq!(keeper.learned.model().labels(), 0);
        give(&mut keeper, 99, 1.0, 1);
        let learned = keeper.learned.clone();
        assert!((30..70).contains(&learned.model().labels()));
        assert!(certified(&learned.model(), Family::Math));
        let saved = model_file::read(&folder.path().join("model")).unwrap();
        assert_eq!(saved.revision(), 1);
        assert!(certified(&saved, Family::Math));

        let alarm = (100..199).find(|i| {
            give(&mut keeper, *i, 0.0, 2);
            !certified(&learned.model(), Family::Math)
        });
        assert!(alarm.unwrap() < 150, "{alarm:?}");
        let saved = model_file::read(&folder.path().join("model")).unwrap();
        assert!(!certified(&saved, Family::Math));
        // The next model does not stand on what was true before.
        for i in 200..400 {
            give(&mut keeper, i, 0.0, 3);
        }
        assert!(!certified(&learned.model(), Family::Math));
        assert!(learned.model().revision() > 2);
    }

    #[test]
    fn a_promise_about_beginnings_is_watched_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = keeper(folder.path(), 10_000);
        let operating = Operating {
            threshold: 0.5,
            certified: Some(keeper.settings.promise),
        };
        let model = Model::prior().operating(Family::Math, operating);
        let model = model.clone().with_early(Some(model));
        keeper.learned.replace(model);
        let alarm = (0..100).find(|i| {
            let mut label = label(&format!("id{i}"), 9.0, 0.0);
            (label.early, label.propensity) = (true, Some(0.1));
            keeper.take(label);
            keeper.learned.model().early_of(Family::Math).is_none()
        });
        assert!(alarm.unwrap() < 50, "{alarm:?}");
        assert!(certified(&keeper.learned.model(), Family::Math));
    }

    #[test]
    fn labels_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        for i in 0..5 {
            let label = Box::new(label(&format!("id{i}"), 1.0, 1.0));
            sender.send(Message::Label(label)).unwrap();
        }
        sender.send(Message::Stop).unwrap();
        keeper(folder.path(), 100).run(&receiver);
        assert_eq!(keeper(folder.path(), 100).store.read().unwrap().len(), 5);
    }
}
