//! A caller's part.
use super::{
    Seat, Slot, Start, Told,
    errors::{Behind, Shared},
    lock,
    upstream::{End, Head, Work},
};
use bytes::Bytes;
use http_body::{Body, SizeHint};
use std::{
    mem,
    task::{Context, Poll, ready},
};
use tierway_services::{
    BoxError,
    chat::{CacheStatus, Journal},
};

impl Seat {
    /// The journal for the layers below.
    pub(in crate::prompt_cache) fn journal(&self) -> Option<&Journal> {
        self.flight.journal.as_ref()
    }

    /// Where the answer is to be put once it is kept.
    pub(in crate::prompt_cache) fn slot(&self) -> Slot {
        self.flight.slot.clone()
    }

    /// Begins the upstream call.
    pub(in crate::prompt_cache) fn start(&self, start: Start) {
        lock(&self.flight.state).work = Work::Head(start);
        self.flight.wakers.rouse(None);
    }

    /// Whether the upstream call stands in this caller's journal.
    pub(in crate::prompt_cache) fn pays(&self) -> bool {
        lock(&self.flight.state).payer == self.id
    }

    pub(in crate::prompt_cache) fn poll_told(&self, cx: &mut Context<'_>) -> Poll<Told> {
        let Self { flight, id } = self;
        flight.wakers.register(*id, cx.waker());
        let state = &mut *lock(&flight.state);
        let kept = || flight.slot.get().cloned().map_or(Told::Nothing, Told::Kept);
        loop {
            let place = state.seats.get(*id).and_then(Option::as_ref);
            let reads = place.is_some_and(|p| p.at.is_some());
            match &mut state.head {
                Head::Awaited => {}
                Head::Own(answer) => {
                    let own = answer.take_if(|_| state.payer == *id && reads);
                    return Poll::Ready(own.map_or_else(kept, Told::Own));
                }
                Head::Streams(head) if reads => return Poll::Ready(Told::Streams(head.clone())),
                // What is too large to be kept will not be there at the end either.
                Head::Streams(_) if state.end.is_some() || !state.open => {
                    return Poll::Ready(kept());
                }
                Head::Streams(_) => {}
            }
            ready!(flight.drive(state, *id));
        }
    }

    pub(in crate::prompt_cache) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BoxError>>> {
        let Self { flight, id } = self;
        flight.wakers.register(*id, cx.waker());
        let state = &mut *lock(&flight.state);
        loop {
            let Some(Some(place)) = state.seats.get_mut(*id) else {
                return Poll::Ready(None);
            };
            if place.told {
                return Poll::Ready(None);
            }
            if place.behind {
                place.told = true;
                return Poll::Ready(Some(Err(Behind.into())));
            }
            let at = place.at.unwrap_or_default();
            if let Some(frame) = state.frames.get(at.wrapping_sub(state.first)).cloned() {
                place.at = Some(at + 1);
                let was_full = flight.is_full(state);
                flight.trim(state);
                if was_full {
                    flight.wakers.rouse(Some(*id));
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            if let Some(end) = &state.end {
                place.told = true;
                return Poll::Ready(match end {
                    End::Well => None,
                    End::Broken(error) => Some(Err(Shared(error.clone()).into())),
                });
            }
            // The one who pays is behind.
            if flight.is_full(state) {
                return Poll::Pending;
            }
            ready!(flight.drive(state, *id));
        }
    }

    /// How much more there is to come, as far as the upstream's body tells.
    pub(in crate::prompt_cache) fn size_hint(&self) -> SizeHint {
        let state = lock(&self.flight.state);
        let place = state.seats.get(self.id).and_then(Option::as_ref);
        let at = place.and_then(|p| p.at).unwrap_or_default();
        let held = state.frames.iter().skip(at.saturating_sub(state.first));
        let held: usize = held.map(Bytes::len).sum();
        let mut hint = match &state.work {
            Work::Body(body) => body.size_hint(),
            Work::None => SizeHint::with_exact(0),
            Work::Head(_) => return SizeHint::default(),
        };
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + held as u64);
        }
        hint.set_lower(hint.lower() + held as u64);
        hint
    }

    /// Whether there is nothing more to come.
    pub(in crate::prompt_cache) fn is_end(&self) -> bool {
        let state = lock(&self.flight.state);
        let place = state.seats.get(self.id).and_then(Option::as_ref);
        place.is_none_or(|place| {
            let at = place.at.unwrap_or_default();
            place.told
                || !place.behind
                    && matches!(state.end, Some(End::Well))
                    && at == state.first + state.frames.len()
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Self { flight, id } = self;
        let abandoned = {
            let state = &mut *lock(&flight.state);
            let left = state.seats.get_mut(*id).and_then(Option::take);
            let left = left.and_then(|place| place.journal);
            let pays = state.payer == *id && state.end.is_none();
            if pays {
                flight.settle(left.as_ref());
            }
            let aboard = |reads: bool| {
                state.seats.iter().position(|place| {
                    let place = place.as_ref().filter(|p| !p.behind);
                    place.is_some_and(|p| p.at.is_some() == reads)
                })
            };
            match aboard(true).or_else(|| aboard(false)) {
                Some(next) => {
                    if state.payer == *id {
                        state.payer = next;
                    }
                    if let Some(journal) = state.journal(next).filter(|_| pays) {
                        journal.write(|j| j.cache = Some(CacheStatus::Miss));
                    }
                    flight.trim(state);
                    None
                }
                None => {
                    flight.close(state);
                    let work = mem::replace(&mut state.work, Work::None);
                    pays.then_some((work, left))
                }
            }
        };
        flight.wakers.forget(*id);
        flight.wakers.rouse(None);
        // Nobody is aboard any more: what the upstream call still writes down is for the one who paid.
        if let Some((work, payer)) = abandoned {
            drop(work);
            flight.settle(payer.as_ref());
        }
    }
}
