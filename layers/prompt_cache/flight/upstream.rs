//! The upstream call that those aboard share.
use super::{
    super::{Entry, Key, eligible::Form},
    Answered, AnyError, Boarding, Flights, Seat, Slot, Start, Wakers, lock,
};
use bytes::Bytes;
use http::response::Parts;
use http_body::Body;
use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker, ready},
};
use tierway_services::{
    BoxError,
    chat::{self, Journal, Reply},
};

pub(super) struct Flight {
    pub(super) key: Key,
    pub(super) flights: Arc<Flights>,
    pub(super) form: Form,
    pub(super) bound: usize,
    /// What the layers below write, until it goes to the one who pays.
    pub(super) journal: Option<Journal>,
    pub(super) slot: Slot,
    pub(super) state: Mutex<State>,
    pub(super) wakers: Arc<Wakers>,
}

pub(super) struct State {
    pub(super) work: Work,
    pub(super) head: Head,
    pub(super) frames: VecDeque<Bytes>,
    /// How many frames have been let go of.
    pub(super) first: usize,
    pub(super) bytes: usize,
    /// Whether others may come aboard.
    pub(super) open: bool,
    pub(super) end: Option<End>,
    pub(super) payer: usize,
    pub(super) seats: Vec<Option<Place>>,
}

pub(super) enum Work {
    None,
    Head(Start),
    Body(Reply),
}

pub(super) enum Head {
    Awaited,
    Streams(Parts),
    Own(Option<Result<chat::Response, AnyError>>),
}

#[derive(Clone)]
pub(super) enum End {
    Well,
    Broken(Arc<BoxError>),
}

/// Where somebody is.
pub(super) struct Place {
    /// The next frame; `None` for who waits for the whole.
    pub(super) at: Option<usize>,
    pub(super) journal: Option<Journal>,
    pub(super) behind: bool,
    pub(super) told: bool,
}

// === impl Flight ===

impl Flight {
    pub(super) fn new(
        key: Key,
        flights: Arc<Flights>,
        form: Form,
        journal: Option<&Journal>,
        bound: usize,
    ) -> Self {
        // What stands in it so far is known below; what is added there goes back at the end.
        let own = journal.map(|theirs| {
            let mut entries = theirs.read(Clone::clone);
            entries.attempts.clear();
            let own = Journal::default();
            own.write(|e| *e = entries);
            own
        });
        let state = State {
            work: Work::None,
            head: Head::Awaited,
            frames: VecDeque::new(),
            first: 0,
            bytes: 0,
            open: true,
            end: None,
            payer: 0,
            seats: vec![Some(Place::new(true, journal))],
        };
        Self {
            key,
            flights,
            form,
            bound,
            journal: own,
            slot: Slot::default(),
            state: Mutex::new(state),
            wakers: Arc::default(),
        }
    }

    pub(super) fn follow(self: Arc<Self>, form: Form, journal: Option<&Journal>) -> Boarding {
        let mut state = lock(&self.state);
        if !state.open {
            return Boarding::Landed;
        }
        let same = form == self.form;
        // The whole can be had from any form, but not before its end; who wants a stream wants it before.
        if !same && form.stream {
            return Boarding::Apart;
        }
        let id = state.seats.len();
        state.seats.push(Some(Place::new(same, journal)));
        drop(state);
        Boarding::Follow(Seat { flight: self, id })
    }

    /// Takes the upstream call one step further, for whoever is polled.
    pub(super) fn drive(&self, state: &mut State, driver: usize) -> Poll<()> {
        let waker = Waker::from(self.wakers.clone());
        let cx = &mut Context::from_waker(&waker);
        match &mut state.work {
            Work::None => return Poll::Pending,
            Work::Head(start) => {
                let answered = ready!(start.as_mut().poll(cx));
                state.work = Work::None;
                match answered {
                    Ok(Answered { response, keeps }) if keeps && response.body().is_stream() => {
                        let (head, body) = response.into_parts();
                        state.head = Head::Streams(head);
                        state.work = Work::Body(body);
                    }
                    other => {
                        state.head = Head::Own(Some(other.map(|a| a.response)));
                        self.finish(state, End::Well);
                    }
                }
            }
            Work::Body(body) => match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let ended = body.is_end_stream();
                    if let Ok(data) = frame.into_data() {
                        state.bytes += data.len();
                        state.frames.push_back(data);
                    }
                    if ended {
                        self.finish(state, End::Well);
                    } else if state.open && state.bytes > self.bound {
                        self.close(state);
                    }
                    self.trim(state);
                }
                Some(Err(error)) => self.finish(state, End::Broken(Arc::new(error))),
                None => self.finish(state, End::Well),
            },
        }
        self.wakers.rouse(Some(driver));
        Poll::Ready(())
    }

    pub(super) fn close(&self, state: &mut State) {
        if mem::replace(&mut state.open, false) {
            self.flights.land(self);
        }
    }

    fn finish(&self, state: &mut State, end: End) {
        // Dropped first, so that the leaf has written down what it counted.
        state.work = Work::None;
        self.settle(state.journal(state.payer));
        let broken = matches!(end, End::Broken(_));
        for (id, place) in state.seats.iter().enumerate() {
            let journal = place.as_ref().and_then(|p| p.journal.as_ref());
            if let Some(journal) = journal.filter(|_| id != state.payer) {
                journal.write(|j| {
                    j.cut = broken;
                    j.replayed = self.slot.get().and_then(Entry::cost);
                });
            }
        }
        state.end = Some(end);
        self.close(state);
    }

    /// Gives what has been written below to the one who pays.
    pub(super) fn settle(&self, payer: Option<&Journal>) {
        let (Some(own), Some(payer)) = (&self.journal, payer) else {
            return;
        };
        // All that is written below the cache.
        let (attempts, cascade, breakpoints) =
            own.write(|j| (mem::take(&mut j.attempts), j.cascade.clone(), j.breakpoints));
        payer.write(|j| {
            j.attempts.extend(attempts);
            j.cascade = cascade.or(j.cascade.take());
            j.breakpoints = breakpoints.or(j.breakpoints.take());
        });
    }

    /// Lets go of frames that nobody needs any more, and of who is too far behind.
    pub(super) fn trim(&self, state: &mut State) {
        if state.open {
            return;
        }
        loop {
            let needed = |place: &Place| place.at.filter(|_| !place.behind);
            let places = state.seats.iter().enumerate();
            let slowest = places
                .filter_map(|(id, p)| Some((p.as_ref().and_then(needed)?, id)))
                .min_by_key(|(at, id)| (*at, *id != state.payer));
            let until = slowest.map_or(usize::MAX, |(at, _)| at);
            while state.first < until
                && let Some(frame) = state.frames.pop_front()
            {
                state.first += 1;
                state.bytes -= frame.len();
            }
            match slowest {
                Some((_, id)) if state.bytes > self.bound && id != state.payer => {
                    if let Some(Some(place)) = state.seats.get_mut(id) {
                        place.behind = true;
                    }
                }
                _ => return,
            }
        }
    }

    pub(super) fn is_full(&self, state: &State) -> bool {
        !state.open && state.bytes > self.bound
    }
}

// === impl State ===

impl State {
    pub(super) fn journal(&self, id: usize) -> Option<&Journal> {
        self.seats.get(id)?.as_ref()?.journal.as_ref()
    }
}

// === impl Place ===

impl Place {
    pub(super) fn new(reads: bool, journal: Option<&Journal>) -> Self {
        Self {
            at: reads.then_some(0),
            journal: journal.cloned(),
            behind: false,
            told: false,
        }
    }
}
