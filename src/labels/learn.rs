//! From labels to a model and its promises.
//!
//! Calls are divided by a hash of their ids: from one half the model is learned, on the other its thresholds are certified, so that no
//! label is on both sides, now or when more have come. What is certified must be a random sample of all calls that got a judged draft; these
//! are compared with different probabilities, those that were decided by little more often than others, so each label stays in the sample
//! with the smallest of these probabilities over its own, decided by the hash; all of them are learned from. What remains was drawn evenly, and the exact
//! binomial test of [`certify`](tierway_layers::cascade::certify()) applies to it (Angelopoulos and others, "Learn then Test", arXiv
//! 2110.01052).
use super::{Label, Source};
use std::collections::BTreeMap;
use tierway_layers::cascade::{
    self, Certificate, Family, Labelled, Model, Operating, Promise, Shortfall, certify, even_grid,
    least_deferred, quantile_grid,
};

/// How many thresholds are tried at most.
const STEPS: usize = 100;

/// How labels become a model.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is to be promised.
    pub promise: Promise,
    /// On how many of a family's newest labels a promise stands at most.
    pub recent: usize,
    /// Promises of these families stand on labels from this second on: before it something else was true.
    pub since: BTreeMap<&'static str, u64>,
}

/// A model, and what became of each family.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The model with its operating points.
    pub model: Model,
    /// From how many labels it was learned.
    pub fitted: usize,
    /// Families of which there are labels.
    pub families: Vec<FamilyReport>,
}

/// What can be promised of one family.
#[derive(Clone, Debug)]
pub struct FamilyReport {
    /// Which.
    pub family: Family,
    /// How many labels the promise stands on, or could.
    pub labels: usize,
    /// The certificate, or what it lacks.
    pub outcome: Result<Certificate, Shortfall>,
    /// The least share of calls that any score would have to defer.
    pub least_deferred: f64,
    /// The same of drafts that may be kept for their beginnings; `None` where of no label a beginning was seen.
    pub early: Option<Result<Certificate, Shortfall>>,
}

/// Learns from `labels`, one a call and the newest last.
#[must_use]
pub fn learn(labels: &[Label], settings: &Settings) -> Learnt {
    let (fit, held): (Vec<&Label>, Vec<&Label>) = labels
        .iter()
        .partition(|l| l.propensity.is_none() || is_fitted(&l.id));
    // Of two texts the same words tell that both are good, but others do not tell that one is bad: learned from, all texts would be good.
    let fit: Vec<&Label> = fit
        .into_iter()
        .filter(|l| l.source != Source::Overlap && !l.vetoed)
        .collect();
    let begun: Vec<Labelled> = fit.iter().flat_map(|l| l.begun()).collect();
    let early = Model::learn(&begun);
    let mut early = Some(early).filter(|_| !begun.is_empty());
    let whole: Vec<Labelled> = fit.iter().filter_map(|l| l.labelled()).collect();
    let mut model = Model::learn(&whole);
    let mut families = Vec::new();
    for family in Family::ALL {
        let since = settings.since.get(family.as_str()).copied();
        let of_family: Vec<&Label> = held
            .iter()
            .copied()
            .filter(|l| l.family == family && since.is_none_or(|since| l.at >= since))
            .collect();
        let sound: Vec<&Label> = of_family.iter().copied().filter(|l| !l.vetoed).collect();
        let sample = even_sample(&sound, settings.recent);
        let fitted = whole.iter().filter(|l| l.family == family);
        let scores: Vec<f64> = fitted.map(|l| model.confidence(l)).collect();
        if sample.is_empty() && scores.is_empty() {
            continue;
        }
        let mut report = promise(family, &sample, &scores, &model, settings.promise);
        if let Ok(found) = &report.outcome {
            let operating = Operating {
                threshold: found.threshold,
                certified: Some(found.promise),
            };
            model = model.operating(family, operating);
        }
        if let Some(begun) = &mut early {
            let seen = |l: &&Label| l.family == family && l.beginnings.is_some();
            let sample: Vec<&Label> = of_family.iter().copied().filter(seen).collect();
            let sample = even_sample(&sample, settings.recent);
            let fitted = fit.iter().copied().filter(seen);
            let scores: Vec<f64> = fitted.map(|l| best(l, &model, begun)).collect();
            let found = promise_early(&sample, &scores, &model, begun, settings.promise);
            if let Ok(found) = &found {
                let operating = Operating {
                    threshold: found.threshold,
                    certified: Some(found.promise),
                };
                *begun = begun.clone().operating(family, operating);
            }
            report.early = Some(found).filter(|_| !sample.is_empty());
        }
        families.push(report);
    }
    let model = model.with_early(early);
    Learnt {
        model,
        fitted: whole.len(),
        families,
    }
}

fn promise(
    family: Family,
    sample: &[&Label],
    other_scores: &[f64],
    model: &Model,
    promise: Promise,
) -> FamilyReport {
    let labels: Vec<cascade::Label> = sample
        .iter()
        .map(|l| cascade::Label {
            score: model.score(&l.vector, l.prior),
            harm: l.is_harm(),
            small_cost: l.small_cost,
            big_cost: l.big_cost,
        })
        .collect();
    // Fixed without a look at these labels.
    let grid = match other_scores {
        [] => even_grid(STEPS),
        scores => quantile_grid(scores, STEPS),
    };
    let harms = labels.iter().filter(|l| l.harm).count() as f64;
    FamilyReport {
        family,
        labels: labels.len(),
        outcome: certify(&labels, &grid, promise),
        least_deferred: least_deferred(harms / labels.len().max(1) as f64, promise),
        early: None,
    }
}

/// What can be promised of drafts that are kept as soon as a beginning, or all, of them reaches the threshold. That is one score, the best of
/// all these, and one sequence of thresholds, so the promise is one for all lengths together.
fn promise_early(
    sample: &[&Label],
    other_scores: &[f64],
    model: &Model,
    early: &Model,
    promise: Promise,
) -> Result<Certificate, Shortfall> {
    let labels: Vec<cascade::Label> = sample
        .iter()
        .map(|l| cascade::Label {
            score: best(l, model, early),
            harm: l.is_harm(),
            small_cost: l.small_cost,
            big_cost: l.big_cost,
        })
        .collect();
    let grid = match other_scores {
        [] => even_grid(STEPS),
        scores => quantile_grid(scores, STEPS),
    };
    certify(&labels, &grid, promise)
}

/// The best score that a draft has on its way; of a broken one all but the last. Not a number where it has none.
fn best(label: &Label, model: &Model, early: &Model) -> f64 {
    let begun = label.beginnings.iter().flatten();
    let scores = begun.map(|b| early.score(&b.vector, b.prior));
    let whole = (!label.vetoed).then(|| model.score(&label.vector, label.prior));
    scores.chain(whole).fold(f64::NAN, f64::max)
}

/// The newest of those labels that are left when all have had the same chance to be there.
fn even_sample<'a>(labels: &[&'a Label], recent: usize) -> Vec<&'a Label> {
    let chance = |label: &Label| label.propensity.unwrap_or(1.0);
    let least = labels.iter().map(|l| chance(l)).fold(1.0, f64::min);
    let left = labels.iter().copied();
    let left: Vec<&Label> = left.filter(|l| stays(&l.id, chance(l), least)).collect();
    let old = left.len().saturating_sub(recent);
    left.into_iter().skip(old).collect()
}

/// Whether a call's label is there to learn from, rather than to certify on.
#[must_use]
pub fn is_fitted(id: &str) -> bool {
    hash(question(id)) & 1 == 0
}

/// What comes after a `#` does not count: rows of one question, which would give each other away, have ids that differ there.
fn question(id: &str) -> &str {
    id.split_once('#').map_or(id, |(question, _)| question)
}

/// Whether a call that was compared with this chance is also among those that would have been with the `least` one.
pub(super) fn stays(id: &str, chance: f64, least: f64) -> bool {
    unit(id) * chance < least
}

/// From 0 to 1, and another number than the half that the id is in.
fn unit(id: &str) -> f64 {
    (hash(id) >> 11) as f64 / (1u64 << 53) as f64
}

/// The same on every machine: FNV-1a, stirred so that each bit depends on all.
fn hash(id: &str) -> u64 {
    let mut z = id.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{super::label::tests::label, *};
    use tierway_layers::cascade::Beginning;

    fn settings() -> Settings {
        Settings {
            promise: Promise::new(0.05, 0.1).unwrap(),
            recent: 400,
            since: BTreeMap::new(),
        }
    }

    /// `x` from 0 to 9 is the chance in ten that the draft is good.
    fn labels(n: usize, propensity: f64) -> Vec<Label> {
        (0..n)
            .map(|i| {
                let x = i % 10;
                let good = (i * 7919) % 89 < x * 10;
                let mut label = label(&format!("id{i}"), x as f32, f32::from(u8::from(good)));
                label.propensity = Some(propensity);
                label
            })
            .collect()
    }

    #[test]
    fn enough_labels_certify_and_few_do_not() {
        let learnt = learn(&labels(1000, 0.1), &settings());
        let [math] = &learnt.families[..] else {
            panic!("{:?}", learnt.families)
        };
        let found = math.outcome.as_ref().unwrap();
        assert!(found.bound <= 0.05 && found.kept > 0.1, "{found:?}");
        let operating = learnt.model.operating_of(Family::Math).unwrap();
        assert_eq!(operating.certified, Some(settings().promise));
        assert!((400..600).contains(&learnt.fitted));
        assert_eq!(math.labels, 400);

        let learnt = learn(&labels(40, 0.1), &settings());
        let short = learnt.families[0].outcome.as_ref().unwrap_err();
        assert!(short.missing.unwrap() > 20, "{short:?}");
        assert_eq!(learnt.model.operating_of(Family::Math), None);
    }

    #[test]
    fn the_sample_is_even() {
        let mut all = labels(4000, 0.1);
        // Deferred calls are always compared, and here they are the bad ones.
        all.extend(labels(4000, 1.0).into_iter().map(|mut l| {
            l.id.push('d');
            l
        }));
        let refs: Vec<&Label> = all.iter().collect();
        let sample = even_sample(&refs, usize::MAX);
        let of = |p: f64| sample.iter().filter(|l| l.propensity == Some(p)).count();
        assert_eq!(of(0.1), 4000);
        assert!((320..480).contains(&of(1.0)), "{}", of(1.0));
        let ids: Vec<String> = (0..4000).map(|i| format!("id{i}")).collect();
        let left = ids.iter().filter(|id| stays(id, 0.08, 0.02)).count();
        assert!((900..1100).contains(&left), "{left}");
    }

    #[test]
    fn what_nobody_could_compare_is_harm_and_nothing_to_learn_from() {
        let mut all = labels(600, 1.0);
        for label in &mut all {
            (label.quality, label.source) = (None, Source::Unlabelled);
        }
        let learnt = learn(&all, &settings());
        assert_eq!(learnt.fitted, 0);
        assert!(learnt.families[0].outcome.is_err());
    }

    #[test]
    fn beginnings_are_certified_with_the_whole_and_broken_drafts_count() {
        let begun = |mut label: Label| {
            let vector = label.vector.clone();
            label.beginnings = Some(vec![Beginning {
                length: 60,
                vector,
                prior: label.prior,
            }]);
            label
        };
        let sound: Vec<Label> = labels(1000, 0.1).into_iter().map(begun).collect();
        let learnt = learn(&sound, &settings());
        let found = learnt.families[0].early.as_ref().unwrap().as_ref().unwrap();
        assert!(found.bound <= 0.05 && found.kept > 0.1, "{found:?}");
        let (early, promise) = learnt.model.early_of(Family::Math).unwrap();
        assert_eq!(
            (early.threshold, promise),
            (found.threshold, settings().promise)
        );

        // Drafts that begin as the best and break later: no threshold that keeps beginnings is safe.
        let mut broken = sound;
        for label in broken.iter_mut().filter(|l| l.vector.numbers[0] > 8.0) {
            (label.vetoed, label.quality, label.source) = (true, None, Source::Unlabelled);
        }
        let learnt = learn(&broken, &settings());
        assert!(learnt.families[0].early.as_ref().unwrap().is_err());
        assert_eq!(learnt.model.early_of(Family::Math), None);
        assert!(
            learnt.families[0].outcome.is_ok(),
            "whole drafts are as they were"
        );
    }

    #[test]
    fn after_an_alarm_only_newer_labels_count() {
        let mut settings = settings();
        settings.since.insert("math", 2);
        let learnt = learn(&labels(1000, 0.1), &settings);
        assert_eq!(learnt.families[0].labels, 0);
        assert!(learnt.families[0].outcome.is_err());
    }
}
