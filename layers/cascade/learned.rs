//! A predicate that has seen labels of the deployment's own traffic, or starts without any.
use super::{Beginning, Confidence, Draft, Family, Model, Sight, Sighted, Verdict, signals};
use std::sync::{Arc, PoisonError, RwLock};

/// Judges drafts by a [`Model`], which may be replaced while calls are under way.
///
/// It finds nothing broken, so put [`Vetoes`](super::Vetoes) before it: `Learned::new(model).vetoed_by(Vetoes::default())`. A family that was
/// calibrated brings its own threshold and certificate; any other is judged by the layer's threshold, uncertified, or
/// [not kept at all](Self::uncertified_defers).
///
/// What it saw of a draft it leaves in the request's [`Sight`], where there is one.
///
/// ```
/// use tierway_layers::cascade::{Confidence, Learned, Model, Vetoes};
/// let learned = Learned::new(Model::prior());
/// let predicate = learned.clone().vetoed_by(Vetoes::default());
/// learned.replace(Model::prior()); // seen by the predicate, too
/// # let _ = predicate;
/// ```
#[derive(Clone, Debug)]
pub struct Learned {
    model: Arc<RwLock<Arc<Model>>>,
    uncertified_defers: bool,
}

impl Learned {
    /// Judges by `model` from now on.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Self {
            model: Arc::new(RwLock::new(Arc::new(model))),
            uncertified_defers: false,
        }
    }

    /// Whether drafts of a family without a certificate are rejected, for the reason `uncertified`; they are not by default. A clone has
    /// this for itself.
    #[must_use]
    pub const fn uncertified_defers(mut self, defers: bool) -> Self {
        self.uncertified_defers = defers;
        self
    }

    /// Judges by another model from now on; so do all clones.
    pub fn replace(&self, model: Model) {
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(model);
    }

    fn is_early(&self, draft: &Draft<'_>, family: Family) -> bool {
        draft.is_early() && self.model().early_of(family).is_some()
    }

    /// The model that judges now.
    #[must_use]
    pub fn model(&self) -> Arc<Model> {
        self.model
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Confidence for Learned {
    async fn judge(&self, draft: &Draft<'_>) -> Verdict {
        let told = draft.told().await;
        let model = self.model();
        let vector = signals::see(draft, &told);
        let prior = signals::prior(draft, &told);
        let family = draft.family();
        let early = model.early_of(family).filter(|_| draft.is_early());
        let operating = early.map(|(o, _)| o).or_else(|| model.operating_of(family));
        // A threshold that was calibrated is on the scale of the score; one that was configured is a probability.
        let confidence = match operating {
            Some(_) => model.score(&vector, prior),
            None if model.labels() > 0 => model.good(&vector, prior),
            None => signals::unlabelled(draft, prior, &told),
        };
        let reason = if model.labels() > 0 {
            "learned"
        } else {
            "prior"
        };
        let mut verdict = Verdict::new(confidence, reason);
        if let Some(operating) = operating {
            verdict = verdict.with_threshold(operating.threshold);
            if let Some(promise) = operating.certified {
                verdict = verdict.certified(promise.alpha(), promise.delta());
            }
        }
        if let Some(sight) = Sight::of(draft) {
            sight.set(Sighted {
                answer: draft.answer().clone(),
                vector,
                prior,
                family,
                confidence,
                vetoed: false,
                early: early.is_some(),
            });
        }
        if self.uncertified_defers && verdict.certified.is_none() {
            verdict = Verdict::new(0.0, "uncertified");
        }
        verdict
    }

    fn judge_prefix(&self, draft: &Draft<'_>) -> Option<Verdict> {
        let model = self.model();
        let family = draft.family();
        let (operating, promise) = model.early_of(family)?;
        let early = model.early()?;
        // Each length once, whenever more than that has come: as they were certified.
        let new = Beginning::from(draft, draft.looked_at());
        let scores = new.iter().map(|b| early.score(&b.vector, b.prior));
        let best = scores.reduce(f64::max)?;
        let verdict = Verdict::new(best, "beginning").with_threshold(operating.threshold);
        Some(verdict.certified(promise.alpha(), promise.delta()))
    }

    fn vetoed(&self, draft: &Draft<'_>) {
        let Some(sight) = Sight::of(draft) else {
            return;
        };
        let family = draft.family();
        sight.set(Sighted {
            answer: draft.answer().clone(),
            // That of the question, which is not the draft's fault.
            vector: draft.asked(|asked| asked.vector().cloned().unwrap_or_default()),
            prior: 0.0,
            family,
            confidence: 0.0,
            vetoed: true,
            early: self.is_early(draft, family),
        });
    }

    fn committed(&self, draft: &Draft<'_>) {
        let Some(sight) = Sight::of(draft) else {
            return;
        };
        let (family, told) = (draft.family(), signals::Told::default());
        let vector = signals::see(draft, &told);
        let prior = signals::prior(draft, &told);
        sight.set(Sighted {
            confidence: self.model().score(&vector, prior),
            answer: draft.answer().clone(),
            vector,
            prior,
            family,
            vetoed: false,
            early: true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cascade::{Family, Operating, Promise},
        testing::ask,
    };
    use std::time::Duration;
    use tierway_services::chat::{Answer, Logprob};

    async fn judged(learned: &Learned, answer: &Answer, sight: &Sight) -> Verdict {
        let mut request = ask("m", "Explain how a bicycle stays upright.");
        request.extensions_mut().insert(sight.clone());
        learned
            .judge(&Draft::new(answer, &request, Duration::ZERO))
            .await
    }

    fn says(text: &str) -> Answer {
        let mut answer = Answer::default();
        answer.text = text.to_owned();
        answer
    }

    #[tokio::test]
    async fn without_labels_an_answer_with_nothing_broken_is_kept_at_the_usual_threshold() {
        let (learned, sight) = (Learned::new(Model::prior()), Sight::default());
        let verdict = judged(&learned, &says("By steering into the fall."), &sight).await;
        assert!((0.85..0.95).contains(&verdict.confidence), "{verdict:?}");
        assert_eq!((verdict.reason, verdict.certified), ("prior", None));
        let seen = sight.take().unwrap();
        assert_eq!((seen.family, sight.take()), (Family::Prose, None));
        assert_eq!(seen.answer.text, "By steering into the fall.");

        // What speaks against it counts.
        let verdict = judged(&learned, &says("2 + 2 = 5, and 3 + 3 = 7."), &sight).await;
        assert!(verdict.confidence < 0.85, "{verdict:?}");
        let mut unsure = says("It does");
        unsure.logprobs = vec![Logprob {
            token: "does".to_owned(),
            logprob: -2.0,
            runner_up: None,
        }];
        assert!(judged(&learned, &unsure, &sight).await.confidence < 0.85);
    }

    #[tokio::test]
    async fn uncertified_families_may_be_deferred() {
        let learned = Learned::new(Model::prior()).uncertified_defers(true);
        let (answer, sight) = (says("By steering."), Sight::default());
        let verdict = judged(&learned, &answer, &sight).await;
        assert_eq!(verdict, Verdict::new(0.0, "uncertified"));
        assert!(sight.take().unwrap().confidence > 0.8);
        let promise = Promise::new(0.05, 0.1);
        learned.replace(Model::prior().operating(
            Family::Prose,
            Operating {
                threshold: 0.5,
                certified: promise,
            },
        ));
        let verdict = judged(&learned, &answer, &sight).await;
        assert_eq!(verdict.threshold, Some(0.5));
        assert!(verdict.certified.is_some());
    }
}
