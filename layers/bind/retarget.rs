//! Overrules what was bound.
use std::task::{Context, Poll};
use tierway_services::chat::{Alternatives, Notes, Target};
use tower_layer::Layer;
use tower_service::Service;

/// Applies [`Retarget`].
#[derive(Clone, Debug)]
pub struct RetargetLayer {
    target: Target,
    others: Alternatives,
}

/// Sends each call to one model, whatever was bound above.
#[derive(Clone, Debug)]
pub struct Retarget<S> {
    inner: S,
    target: Target,
    others: Alternatives,
}

// === impl RetargetLayer ===

impl RetargetLayer {
    /// Sends every call to `target`.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            others: Alternatives::default(),
        }
    }
    /// Who may answer in its place, in this order; nobody by default.
    #[must_use]
    pub fn others(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.others = Alternatives::new(targets);
        self
    }
}

impl<S> Layer<S> for RetargetLayer {
    type Service = Retarget<S>;
    fn layer(&self, inner: S) -> Retarget<S> {
        Retarget {
            inner,
            target: self.target.clone(),
            others: self.others.clone(),
        }
    }
}

// === impl Retarget ===

impl<S, B> Service<http::Request<B>> for Retarget<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: http::Request<B>) -> S::Future {
        let notes = Notes::of_mut(&mut req);
        notes.target = Some(self.target.clone());
        // Whoever stood in for the target above stands in for this one no more.
        notes.alternatives = Some(self.others.clone());
        self.inner.call(req)
    }
}
