//! A predicate that has seen labels of the deployment's own traffic, or starts without any.
use super::{Confidence, Draft, Model, Verdict, signals};
use std::{
    future::{Future, ready},
    sync::{Arc, PoisonError, RwLock},
};

/// Judges drafts by a [`Model`], which may be replaced while calls are under way.
///
/// It finds nothing broken, so put [`Vetoes`](super::Vetoes) before it: `Learned::new(model).vetoed_by(Vetoes::default())`. A family that was
/// calibrated brings its own threshold and certificate; any other is judged by the layer's threshold, uncertified.
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
}

impl Learned {
    /// Judges by `model` from now on.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Self {
            model: Arc::new(RwLock::new(Arc::new(model))),
        }
    }

    /// Judges by another model from now on; so do all clones.
    pub fn replace(&self, model: Model) {
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(model);
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
    fn judge(&self, draft: &Draft<'_>) -> impl Future<Output = Verdict> + Send {
        let model = self.model();
        let prompt = draft.request().body();
        let told = signals::Told::default();
        let vector = signals::see(draft.answer(), prompt, &told);
        let prior = signals::prior(draft.answer(), prompt, &draft.question(), &told);
        let family = draft.family();
        let confidence = model.score(&vector, prior, family);
        let reason = if model.labels() > 0 {
            "learned"
        } else {
            "prior"
        };
        let mut verdict = Verdict::new(confidence, reason);
        if let Some(operating) = model.operating_of(family) {
            verdict = verdict.with_threshold(operating.threshold);
            if let Some(promise) = operating.certified {
                verdict = verdict.certified(promise.alpha(), promise.delta());
            }
        }
        ready(verdict)
    }
}
