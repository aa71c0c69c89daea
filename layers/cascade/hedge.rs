//! Starting the big model beside the small one, and waiting for both.
use super::checks::Checks;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tierway_services::chat::{self, Notes, Role};
use tokio::time::{Sleep, sleep_until};
use tower::util::Oneshot;
use tower_service::Service;

/// How many calls may be hedged: a share of those that get a draft, and a few at once after a quiet time.
///
/// Kept as parts of a hedge: each draft adds the share, each hedge takes a whole. Clones share the budget.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    share: u64,
    left: Arc<AtomicU64>,
}

/// The parts of one hedge.
const WHOLE: u64 = 1_000_000;
/// As many hedges can be saved up.
const SAVED_UP: u64 = 10 * WHOLE;

impl Budget {
    /// A budget of this share of drafts, from 0 to 1.
    pub(super) fn new(share: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a million is in range"
        )]
        let share = (share.clamp(0.0, 1.0) * WHOLE as f64) as u64;
        Self {
            share,
            left: Arc::new(AtomicU64::new(0)),
        }
    }
    /// A draft is asked for.
    pub(super) fn earn(&self) {
        let more = |left: u64| Some((left + self.share).min(SAVED_UP));
        let _ = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
    /// Whether one more call may be hedged.
    pub(super) fn spend(&self) -> bool {
        let less = |left: u64| left.checked_sub(WHOLE);
        let spent = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        spent.is_ok()
    }
}

/// The draft has taken longer than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Late;

/// The big model, and the clock, while a draft is waited for.
pub(super) struct Meanwhile<S: Service<chat::Request>> {
    big: S,
    arm: Arm<S>,
    budget: Budget,
    deadline: Option<Pin<Box<Sleep>>>,
    hedge_at: Option<Pin<Box<Sleep>>>,
    /// Further answers of the small one.
    checks: Option<Arc<Checks>>,
    /// What the big model would be asked.
    req: Option<chat::Request>,
    pub(super) asked_at: Option<Instant>,
}

/// How far the big model is.
enum Arm<S: Service<chat::Request>> {
    Idle,
    Asked(Pin<Box<Oneshot<S, chat::Request>>>),
    Answered(Result<S::Response, S::Error>),
}

impl<S> Meanwhile<S>
where
    S: Service<chat::Request, Response = chat::Response> + Clone,
{
    /// Nothing but the draft until `deadline`.
    pub(super) fn new(big: S, deadline: Option<Duration>) -> Self {
        let after = |wait: Duration| Box::pin(sleep_until(tokio::time::Instant::now() + wait));
        Self {
            big,
            arm: Arm::Idle,
            budget: Budget::new(0.0),
            deadline: deadline.map(after),
            hedge_at: None,
            checks: None,
            req: None,
            asked_at: None,
        }
    }

    /// The big model may start beside the draft: when told, or `after` some time.
    pub(super) fn may_hedge(
        &mut self,
        req: chat::Request,
        budget: Budget,
        after: Option<Duration>,
    ) {
        let wait = |wait: Duration| Box::pin(sleep_until(tokio::time::Instant::now() + wait));
        self.hedge_at = after.map(wait);
        self.budget = budget;
        self.req = Some(req);
    }

    /// Further answers of the small model are under way, too.
    pub(super) fn beside(&mut self, checks: Arc<Checks>) {
        self.checks = Some(checks);
    }

    /// Nobody waits for further answers any more.
    pub(super) fn unchecked(&mut self) {
        self.checks = None;
    }

    /// Starts the big model now, if it may.
    pub(super) fn hedge(&mut self) {
        if matches!(self.arm, Arm::Idle)
            && self.req.is_some()
            && self.budget.spend()
            && let Some(req) = self.req.take()
        {
            self.ask(req);
        }
    }

    /// Waits for `work`; and for the big model with it, where that was started.
    pub(super) async fn wait<F: Future>(&mut self, work: F) -> Result<F::Output, Late> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            // First what is waited for: what has arrived is not late.
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            if let Some(checks) = &self.checks {
                let _ = checks.poll(cx);
            }
            if expired(&mut self.deadline, cx) {
                return Poll::Ready(Err(Late));
            }
            if expired(&mut self.hedge_at, cx) {
                self.hedge_at = None;
                self.hedge();
            }
            if let Arm::Asked(future) = &mut self.arm
                && let Poll::Ready(answer) = future.as_mut().poll(cx)
            {
                self.arm = Arm::Answered(answer);
            }
            Poll::Pending
        })
        .await
    }

    /// The big model's answer: begun already, or asked for now.
    pub(super) async fn answer(mut self, req: chat::Request) -> Result<S::Response, S::Error> {
        if matches!(self.arm, Arm::Idle) {
            self.ask(req);
        }
        match self.arm {
            Arm::Asked(future) => future.await,
            Arm::Answered(answer) => answer,
            // Asked just above.
            Arm::Idle => std::future::pending().await,
        }
    }

    fn ask(&mut self, mut req: chat::Request) {
        Notes::of_mut(&mut req).role = Role::Big;
        self.asked_at = Some(Instant::now());
        self.arm = Arm::Asked(Box::pin(Oneshot::new(self.big.clone(), req)));
    }
}

fn expired(timer: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> bool {
    timer
        .as_mut()
        .is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_hedged_and_not_more() {
        let budget = Budget::new(0.05);
        let mut spent = 0;
        for _ in 0..1000 {
            budget.earn();
            spent += u32::from(budget.clone().spend());
        }
        assert_eq!(spent, 50);
        for _ in 0..10_000 {
            budget.earn();
        }
        let at_once = (0..100).filter(|_| budget.spend()).count();
        assert_eq!(at_once, 10, "what is saved up is bounded");
        let none = Budget::new(0.0);
        none.earn();
        assert!(!none.spend());
    }
}
