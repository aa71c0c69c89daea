//! A timer for a body, which is polled for every frame and may have to wait before each.
//!
//! To set a timer, or but to poll one, costs more than handing a frame on. So one that was set for an earlier wait is left to run out and only
//! then set anew, and one that will wake whoever asks is not asked again before it has run out.
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use tokio::time::{Instant, Sleep, sleep_until};

pin_project! {
    /// A timer that costs next to nothing while what is waited for keeps coming. See the [module](self).
    ///
    /// ```
    /// use std::{future::poll_fn, pin::pin, time::Duration};
    /// use tierway_services::alarm::Alarm;
    /// use tokio::time::Instant;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let mut alarm = pin!(Alarm::default());
    /// let started = Instant::now();
    /// for seconds in [10, 25] {
    ///     let until = started + Duration::from_secs(seconds);
    ///     poll_fn(|cx| alarm.as_mut().poll_until(until, cx)).await;
    ///     assert_eq!(started.elapsed().as_secs(), seconds);
    /// }
    /// # }
    /// ```
    #[derive(Debug, Default)]
    pub struct Alarm {
        // Made at the first wait.
        #[pin]
        sleep: Option<Sleep>,
        // Whom it will wake.
        wakes: Option<Waker>,
    }
}

impl Alarm {
    /// Ready once it is `until`, which may be another time at every call: the last one counts.
    pub fn poll_until(self: Pin<&mut Self>, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this
            .sleep
            .as_ref()
            .as_pin_ref()
            .is_none_or(|sleep| sleep.deadline() > until)
        {
            this.sleep.set(Some(sleep_until(until)));
            *this.wakes = None;
        }
        while let Some(mut sleep) = this.sleep.as_mut().as_pin_mut() {
            let heard = this.wakes.as_ref();
            if heard.is_some_and(|waker| waker.will_wake(cx.waker())) && !sleep.is_elapsed() {
                return Poll::Pending;
            }
            *this.wakes = Some(cx.waker().clone());
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= until {
                break;
            }
            sleep.as_mut().reset(until);
            *this.wakes = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::advance;
    use tokio_test::{assert_pending, assert_ready, task};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_last_time_counts_whether_it_is_later_or_sooner() {
        let start = Instant::now();
        let mut alarm = task::spawn(Alarm::default());
        let mut ask = |seconds: u32| {
            let until = start + SECOND * seconds;
            alarm.enter(|cx, alarm| alarm.poll_until(until, cx))
        };
        assert_pending!(ask(10));
        assert_pending!(ask(20));
        advance(SECOND * 15).await;
        assert_pending!(ask(20));
        assert_pending!(ask(16));
        advance(SECOND).await;
        assert_ready!(ask(16));
        assert_ready!(ask(16));
        assert_pending!(ask(17));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_last_is_woken() {
        let until = Instant::now() + SECOND;
        let mut alarm = Box::pin(Alarm::default());
        let mut first = task::spawn(());
        let mut second = task::spawn(());
        first.enter(|cx, _| assert_pending!(alarm.as_mut().poll_until(until, cx)));
        second.enter(|cx, _| assert_pending!(alarm.as_mut().poll_until(until, cx)));
        second.enter(|cx, _| assert_pending!(alarm.as_mut().poll_until(until, cx)));
        advance(SECOND).await;
        assert!(second.is_woken() && !first.is_woken());
    }
}
