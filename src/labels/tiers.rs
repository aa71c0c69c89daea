//! From labels to the weights by which tiers are chosen, and their file.
//!
//! A draft that was compared tells about the tiers whose model made it: it suffices as far as the big model's answer is no better. An answer
//! that a caller told about tells the same of the tier whose model gave it. Only some drafts are compared, and more of the deferred ones,
//! which are the worse ones: each counts by how probably a call like it is.
use super::{Label, Quality, Source, model_file};
use crate::config::Config;
use std::{fs, io, path::Path};
use tierway_layers::{
    classify::{self, Outcome, Seen, TierModel},
    learn::Vector,
    telemetry::names,
};
use tierway_services::chat::{Target, Tier};

/// The tiers whose model is `small`.
#[must_use]
pub fn of(config: &Config, small: &Target) -> Vec<Tier> {
    let bound = config.tiers.iter().filter(|(_, target)| *target == small);
    bound.map(|(tier, _)| *tier).collect()
}

/// What `labels`, one a call, tell about tiers; `small` are those that the small model serves.
#[must_use]
pub fn outcomes(labels: &[Label], small: &[Tier]) -> Vec<Outcome> {
    let least = labels
        .iter()
        .filter_map(|l| l.propensity)
        .fold(1.0, f64::min);
    let kept_are_compared = labels.iter().any(|l| l.accepted && l.propensity.is_some());
    labels
        .iter()
        .filter_map(|label| {
            let weight = match (label.source, label.propensity) {
                // Of two texts the same words tell that both are good, but others do not tell that one is bad.
                (Source::Overlap | Source::Unlabelled, _) => return None,
                (Source::Feedback, _) => 1.0,
                (_, Some(chance)) if label.accepted => least / chance,
                // All that were deferred are compared: they weigh what they would if only as many were as of the kept ones.
                (_, Some(_)) => least,
                (_, None) if !label.accepted && kept_are_compared => least,
                (_, None) => return None,
            };
            Some(outcome(label, small)?.weight(weight as f32))
        })
        .collect()
}

fn outcome(label: &Label, small: &[Tier]) -> Option<Outcome> {
    let (asked, Quality { small: own, big }) = (label.asked?, label.quality?);
    let numbers = label.vector.numbers.iter().take(classify::NUMBERS);
    let grams = label.vector.grams.iter().take(asked.grams);
    let seen = Seen {
        vector: Vector {
            numbers: numbers.copied().collect(),
            grams: grams.copied().collect(),
        },
        shift: asked.shift,
    };
    // Where the big model is wrong, too, asking it buys nothing.
    let sufficed = 1.0 - (big - own).max(0.0);
    let outcome = Outcome::new(seen);
    Some(match label.answered {
        Some(tier) => outcome.suffices(tier, sufficed),
        None => small
            .iter()
            .fold(outcome.right(own), |o, tier| o.suffices(*tier, sufficed)),
    })
}

/// Reads the weights; `None` where there is no file.
///
/// # Errors
/// Where it cannot be read, or was learned on top of weights of another version.
pub fn read(path: &Path) -> io::Result<Option<TierModel>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(model_file::named(path, error)),
    };
    let fault = || io::Error::new(io::ErrorKind::InvalidData, "no weights of this version");
    let model = TierModel::from_text(&text);
    model
        .map(Some)
        .ok_or_else(|| model_file::named(path, fault()))
}

/// The weights that the gateway starts with: a file that cannot be read is none, which is said and stops nothing.
#[must_use]
pub fn read_or_shipped(path: Option<&Path>) -> TierModel {
    let read = path.map_or(Ok(None), read).unwrap_or_else(|error| {
        tracing::warn!(%error, "tiers are chosen by the shipped weights, without what was learned");
        None
    });
    read.unwrap_or_else(TierModel::shipped)
}

/// Writes the weights: whole or not at all.
///
/// # Errors
/// Where the folder or the file cannot be written.
pub fn write(path: &Path, model: &TierModel) -> io::Result<()> {
    let text = model.to_text();
    model_file::replace(path, text.as_bytes()).map_err(|error| model_file::named(path, error))
}

/// Puts what is known of the weights into metrics.
pub fn show(model: &TierModel) {
    let learning = model.learning();
    names::tiers_revision().set(learning.revision as f64);
    names::tiers_labels().set(learning.labels as f64);
}

#[cfg(test)]
mod tests {
    use super::{super::label::tests::label, *};

    fn weights(labels: &[Label]) -> Vec<f32> {
        let outcomes = outcomes(labels, &[Tier::Simple]);
        outcomes.iter().map(Outcome::weighs).collect()
    }

    fn compared(id: &str, accepted: bool, propensity: Option<f64>) -> Label {
        let mut label = label(id, 1.0, 1.0);
        (label.accepted, label.propensity) = (accepted, propensity);
        label
    }

    #[test]
    fn each_counts_by_how_probably_it_is_compared() {
        let kept = compared("a", true, Some(0.02));
        let (fell, not) = (compared("b", false, Some(0.02)), compared("c", false, None));
        assert_eq!(
            weights(&[kept.clone(), fell, not.clone()]),
            [1.0, 0.02, 0.02]
        );
        // Without any kept one that is compared, deferred ones alone would tell that drafts are bad.
        assert!(weights(std::slice::from_ref(&not)).is_empty());
        let always = compared("d", false, Some(1.0));
        assert_eq!(weights(&[always]), [1.0]);
        let mut told = compared("e", true, None);
        told.source = Source::Feedback;
        assert_eq!(weights(&[told, kept]), [1.0, 1.0]);
        let mut unseen = not;
        (unseen.asked, unseen.propensity) = (None, Some(1.0));
        assert!(weights(&[unseen]).is_empty());
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/tiers");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, &TierModel::shipped().with_revision(2)).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().learning().revision, 2);
        fs::write(&path, "something else").unwrap();
        assert!(
            read(&path)
                .unwrap_err()
                .to_string()
                .ends_with("no weights of this version")
        );
        assert_eq!(read_or_shipped(Some(&path)), TierModel::shipped());
    }
}
