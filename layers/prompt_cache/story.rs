//! The way of a call that may be answered from the cache.
use super::{
    Entry, Event, Key, Store,
    eligible::{CACHE, Form, Settings, Wish},
    flight::{Answered, AnyError, Boarding, Flights, Seat, Slot, Told},
    only,
    record::{Recorder, Recording, may_keep},
    replay,
};
use crate::{commit::Committed, headers::header_value};
use bytes::Bytes;
use http::{HeaderValue, header::AGE};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::{
    BoxError,
    chat::{self, CacheStatus, EarlyHead, Journal, Notes, Reply, Target},
};
use tower::util::Oneshot;
use tower_service::Service;

/// So many upstream calls of others may fail a caller before it makes its own, whatever else is under way.
const PATIENCE: usize = 2;

/// A call, and what it is answered with.
pub(super) struct Story<St> {
    pub(super) store: Arc<St>,
    pub(super) flights: Arc<Flights>,
    pub(super) settings: Arc<Settings>,
    pub(super) key: Key,
    pub(super) wish: Wish,
    pub(super) req: chat::Request,
}

/// The frames of a stream that several callers share.
struct Frames(Seat);

impl<St: Store + Send + Sync + 'static> Story<St> {
    /// Looks the call up; else shares the upstream call of the same one, or makes its own and keeps the answer while it passes.
    pub(super) async fn tell<S>(self, inner: S) -> Result<chat::Response, S::Error>
    where
        S: Service<chat::Request, Response = chat::Response> + Send + 'static,
        S::Future: Send,
        S::Error: Send,
    {
        let form = Form::of(&self.req);
        // Who wants a new answer wants none that has begun already.
        let looks = matches!(self.wish, Wish::Any { .. });
        let shares = looks && self.settings.may_share(&self.req);
        let mut landed = self.flights.landed(&self.key);
        if looks && let Some(res) = self.look().await {
            return Ok(res);
        }
        if only::is_wanted(&self.req) {
            return Ok(only::nothing(&self.req));
        }
        let (mut failed, mut looked) = (0, 1);
        while shares && failed < PATIENCE {
            let journal = Journal::of(&self.req);
            let bound = self.settings.max_entry;
            match self.flights.board(self.key, landed, form, journal, bound) {
                Boarding::Lead(seat) => return self.lead(inner, seat).await,
                Boarding::Follow(seat) => {
                    note(&self.req, CacheStatus::Coalesced);
                    if let Some(told) = self.follow(seat).await {
                        return told;
                    }
                    failed += 1;
                }
                Boarding::Landed if looked < PATIENCE => {
                    looked += 1;
                    landed = self.flights.landed(&self.key);
                    if let Some(res) = self.look().await {
                        return Ok(res);
                    }
                }
                Boarding::Landed | Boarding::Apart => break,
            }
        }
        note(&self.req, CacheStatus::Miss);
        let recording = self.recording(Journal::of(&self.req).cloned(), Slot::default());
        let answered = ask(inner, self.req, recording).await?;
        Ok(marked(answered.response, CacheStatus::Miss))
    }

    /// The answer that was kept.
    async fn look(&self) -> Option<chat::Response> {
        let entry = self.store.get(&self.key).await?;
        let age = entry.age();
        if let Wish::Any { max_age: Some(max) } = self.wish
            && age > max
        {
            return None;
        }
        let mut res = self.replay(&entry, CacheStatus::Hit)?;
        let seconds = header_value(format_args!("{}", age.as_secs()));
        res.headers_mut().insert(AGE, seconds);
        self.settings.tell(Event::Served { age });
        Some(res)
    }

    fn replay(&self, entry: &Entry, status: CacheStatus) -> Option<chat::Response> {
        let res = replay::replay(entry, self.req.body())?;
        if let Some(journal) = Journal::of(&self.req) {
            journal.write(|j| {
                j.cache = Some(status);
                j.replayed = entry.cost();
            });
        }
        Some(marked(res, status))
    }

    fn recording(&self, journal: Option<Journal>, slot: Slot) -> Recording<St> {
        Recording {
            store: self.store.clone(),
            key: self.key,
            settings: self.settings.clone(),
            prompt: self.req.body().clone(),
            target: Target::of(&self.req).cloned(),
            journal,
            slot,
        }
    }

    /// Makes the upstream call, for whoever else asks the same too.
    async fn lead<S>(mut self, inner: S, seat: Seat) -> Result<chat::Response, S::Error>
    where
        S: Service<chat::Request, Response = chat::Response> + Send + 'static,
        S::Future: Send,
        S::Error: Send,
    {
        note(&self.req, CacheStatus::Miss);
        let journal = seat.journal().cloned();
        if let Some(journal) = &journal {
            Notes::of_mut(&mut self.req).journal = Some(journal.clone());
        }
        let recording = self.recording(journal, seat.slot());
        let asked = ask(inner, self.req, recording);
        seat.start(Box::pin(async move {
            asked.await.map_err(|error| Box::new(error) as AnyError)
        }));
        match poll_fn(|cx| seat.poll_told(cx)).await {
            Told::Own(Ok(res)) => Ok(marked(res, CacheStatus::Miss)),
            Told::Own(Err(error)) => match error.downcast() {
                Ok(error) => Err(*error),
                // It is of this type, for it is this very service's.
                Err(_) => Ok(chat::Response::default()),
            },
            Told::Streams(head) => Ok(marked(streamed(head, seat), CacheStatus::Miss)),
            // Only who follows is told these.
            Told::Kept(_) | Told::Nothing => Ok(chat::Response::default()),
        }
    }

    /// Shares the upstream call of another caller; `None` where that comes to nothing that could be shared.
    async fn follow<E: 'static>(&self, seat: Seat) -> Option<Result<chat::Response, E>> {
        let told = poll_fn(|cx| seat.poll_told(cx)).await;
        let status = if seat.pays() {
            CacheStatus::Miss
        } else {
            CacheStatus::Coalesced
        };
        match told {
            Told::Own(Ok(res)) => Some(Ok(marked(res, status))),
            Told::Own(Err(error)) => error.downcast().ok().map(|error| Err(*error)),
            Told::Streams(head) => Some(Ok(marked(streamed(head, seat), status))),
            Told::Kept(entry) if status == CacheStatus::Miss => {
                Some(Ok(marked(replay::replay(&entry, self.req.body())?, status)))
            }
            Told::Kept(entry) => self.replay(&entry, status).map(Ok),
            Told::Nothing => None,
        }
    }
}

/// Asks, and keeps the answer while it passes.
async fn ask<S, St>(
    inner: S,
    req: chat::Request,
    recording: Recording<St>,
) -> Result<Answered, S::Error>
where
    S: Service<chat::Request, Response = chat::Response>,
    St: Store + Send + Sync + 'static,
{
    let response = Oneshot::new(inner, req).await?;
    let (head, body) = response.into_parts();
    let keeps = may_keep(&head, &body, recording.settings.max_entry);
    if !keeps {
        let response = chat::Response::from_parts(head, body);
        return Ok(Answered { response, keeps });
    }
    let whole = !body.is_stream();
    let recorder = Committed::new(body, Recorder::new(head.headers.clone(), recording));
    let body = if whole {
        // It is all here, so it is kept at once and stays a whole reply; this cannot fail.
        let collected = recorder.collect().await.unwrap_or_default();
        Reply::whole(collected.to_bytes())
    } else {
        Reply::stream(recorder)
    };
    let response = chat::Response::from_parts(head, body);
    Ok(Answered { response, keeps })
}

fn streamed(head: http::response::Parts, seat: Seat) -> chat::Response {
    chat::Response::from_parts(head, Reply::stream(Frames(seat)))
}

/// Writes down, and says where it may have to be known early, what becomes of a call.
pub(super) fn note(req: &chat::Request, status: CacheStatus) {
    if let Some(journal) = Journal::of(req) {
        journal.write(|j| j.cache = Some(status));
    }
    let value = HeaderValue::from_static(status.as_str());
    EarlyHead::say(req, CACHE, value);
}

pub(super) fn marked(mut res: chat::Response, status: CacheStatus) -> chat::Response {
    let value = HeaderValue::from_static(status.as_str());
    res.headers_mut().insert(CACHE, value);
    res
}

impl Body for Frames {
    type Data = Bytes;
    type Error = BoxError;
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0
            .poll_frame(cx)
            .map(|frame| frame.map(|data| data.map(Frame::data)))
    }
    fn is_end_stream(&self) -> bool {
        self.0.is_end()
    }
    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
