//! A stack that is used again rather than cloned for each call.
//!
//! Who may call a service in tower must have found it ready, so that whoever calls later, or from several places at once, needs a clone of his
//! own: of twenty layers, for every call. Their instances are the same but for what readiness they hold, and a call takes that with it; so
//! one that has been called may be called again.
use futures_util::future::Either;
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};
use tower::{Layer, Service, ServiceExt, util::Oneshot};

/// So many instances are kept. More are in use at a time only where as many threads are within [`Service::call`].
const KEPT: usize = 64;

/// Makes [`Reused`] services.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReuseLayer;

/// `S` behind one reference count. It is always ready: where an instance is not, the call waits for that one.
pub(super) struct Reused<S>(Arc<Inside<S>>);

struct Inside<S> {
    first: S,
    /// In boxes, for a stack is large and goes in and out with each call.
    idle: Mutex<Vec<Box<S>>>,
}

impl<S> Layer<S> for ReuseLayer {
    type Service = Reused<S>;
    fn layer(&self, first: S) -> Reused<S> {
        let idle = Mutex::default();
        Reused(Arc::new(Inside { first, idle }))
    }
}

impl<S: Clone> Inside<S> {
    fn take(&self) -> Box<S> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle.pop();
        drop(idle);
        taken.unwrap_or_else(|| Box::new(self.first.clone()))
    }
    fn give_back(&self, instance: Box<S>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(instance);
        }
    }
}

impl<S: Service<Req> + Clone, Req> Service<Req> for Reused<S> {
    type Response = S::Response;
    type Error = S::Error;
    /// The box is for what is rare, and as large as the stack itself.
    type Future = Either<S::Future, Pin<Box<Oneshot<S, Req>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let mut taken = self.0.take();
        let instance = &mut *taken;
        let ready = instance.poll_ready(&mut Context::from_waker(Waker::noop()));
        if matches!(ready, Poll::Ready(Ok(()))) {
            let future = instance.call(req);
            self.0.give_back(taken);
            return Either::Left(future);
        }
        // It has perhaps begun to wait for something: nobody else gets it.
        Either::Right(Box::pin((*taken).oneshot(req)))
    }
}

impl<S> Clone for Reused<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: fmt::Debug> fmt::Debug for Reused<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reused").field(&self.0.first).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::{Ready, ready},
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    };
    use tokio_test::{assert_pending, assert_ready_ok, task};

    /// Counts its clones, and is ready when it is told.
    #[derive(Debug, Default)]
    struct Counted {
        clones: Arc<AtomicUsize>,
        open: Arc<AtomicBool>,
    }

    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.clones.fetch_add(1, Ordering::Relaxed);
            let (clones, open) = (self.clones.clone(), self.open.clone());
            Self { clones, open }
        }
    }

    impl Service<u8> for Counted {
        type Response = u8;
        type Error = ();
        type Future = Ready<Result<u8, ()>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            match self.open.load(Ordering::Relaxed) {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            }
        }
        fn call(&mut self, req: u8) -> Self::Future {
            assert!(self.open.load(Ordering::Relaxed), "called before ready");
            ready(Ok(req))
        }
    }

    #[tokio::test]
    async fn one_instance_serves_call_after_call() {
        let counted = Counted::default();
        let clones = counted.clones.clone();
        counted.open.store(true, Ordering::Relaxed);
        let service = ReuseLayer.layer(counted);
        for n in 0..100 {
            assert_eq!(service.clone().oneshot(n).await, Ok(n));
        }
        assert_eq!(clones.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_call_waits_for_an_instance_that_is_not_ready() {
        let counted = Counted::default();
        let open = counted.open.clone();
        let mut service = ReuseLayer.layer(counted);
        let mut future = task::spawn(service.call(7));
        assert_pending!(future.poll());
        open.store(true, Ordering::Relaxed);
        assert_eq!(assert_ready_ok!(future.poll()), 7);
    }
}
