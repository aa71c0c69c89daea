//! The story of one call: the rounds, whole or as a stream.
use super::{
    MCP, Shared,
    body::{Slot, Told},
    catalog::Catalog,
    policy::Wanted,
    run::{Next, Run},
    told,
};
use crate::wire;
use bytes::Bytes;
use http::{HeaderValue, header, request::Parts};
use http_body_util::BodyExt;
use std::sync::Arc;
use tierway_services::{
    BoxError,
    chat::{self, EarlyHead, Notes, Operation, Prompt, Reply, Tenant},
    sse::Splitter,
    tools::Toolbox,
    translate::{
        self,
        rounds::{self, Hidden, Round, Shown, Weaver},
    },
};
use tokio::time::Instant;
use tower::util::Oneshot;
use tower_service::Service;

/// One event may be this long; a whole generated image fits.
const EVENT_LIMIT: usize = 16 << 20;

pub(super) async fn tell<S, T>(
    mut inner: S,
    shared: Arc<Shared<T>>,
    wanted: Wanted,
    req: chat::Request,
) -> Result<chat::Response, S::Error>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
    T: Toolbox,
{
    let until = Instant::now() + shared.limits.time;
    let tenant = Tenant::of(&req).cloned();
    let asked = req.body().clone();
    let dialect = asked.facts().dialect;
    let catalog = Catalog::of(&shared, &wanted, &asked, tenant.as_ref());
    let found = shared.memory.find(&asked, tenant.as_ref());
    let prompt = match prepared(&asked, &catalog, &found) {
        Ok(Some(prompt)) => prompt,
        // Nothing to add: it passes as it is.
        Ok(None) => return inner.call(req).await,
        Err(refusal) => return Ok(refusal.into_response(dialect)),
    };
    EarlyHead::say(&req, MCP, HeaderValue::from_static("on"));
    let (head, _) = req.into_parts();
    let first = chat::Request::from_parts(head.clone(), prompt.clone());
    let res = inner.call(first).await?;
    if asked.facts().operation != Operation::Generate || !res.status().is_success() {
        return Ok(res);
    }
    let mut run = Run {
        shared,
        catalog,
        tenant,
        journal: Notes::among(&head.extensions).journal.clone(),
        asked,
        prompt,
        until,
        earlier: String::new(),
        rounds: Vec::new(),
        calls: 0,
        last: false,
    };
    if wire::is_event_stream(res.headers()) {
        let (mut parts, reply) = res.into_parts();
        parts.headers.insert(MCP, HeaderValue::from_static("on"));
        parts.headers.remove(header::CONTENT_LENGTH);
        let slot = Slot::default();
        let story = stream(inner, run, head, reply, slot.clone());
        let body = Reply::stream(Told::new(slot, story));
        return Ok(http::Response::from_parts(parts, body));
    }
    let mut res = res;
    loop {
        let (mut parts, reply) = res.into_parts();
        // It is all here; this cannot fail.
        let whole = reply.collect().await.unwrap_or_default().to_bytes();
        let next = match Round::read(dialect, whole.clone()) {
            Some(round) => run.next(round).await,
            // Nothing that we know: the caller shall see it.
            None => return Ok(http::Response::from_parts(parts, Reply::whole(whole))),
        };
        match next {
            Ok(Next::Done) => {
                let ours = |name: &str| run.catalog.is_ours(name);
                let body = rounds::merged(&run.rounds, &ours).unwrap_or(whole);
                parts.headers.insert(MCP, told(run.rounds.len(), run.calls));
                parts.headers.remove(header::CONTENT_LENGTH);
                return Ok(http::Response::from_parts(parts, Reply::whole(body)));
            }
            Ok(Next::Ask) => {}
            Err(refusal) => return Ok(refusal.into_response(dialect)),
        }
        res = Oneshot::new(inner.clone(), again(&head, &run.prompt)).await?;
        if !res.status().is_success() {
            return Ok(res);
        }
    }
}

/// The request of a further round. What it decides comes too late for the head.
fn again(head: &Parts, prompt: &Prompt) -> chat::Request {
    let mut req = chat::Request::from_parts(head.clone(), prompt.clone());
    Notes::of_mut(&mut req).early = None;
    req
}

/// What the model is asked in the caller's place; `None` where that is what the caller asks.
fn prepared(
    asked: &Prompt,
    catalog: &Catalog,
    found: &[(Shown, Arc<Hidden>)],
) -> Result<Option<Prompt>, chat::Refusal> {
    let mut prompt = None;
    if !found.is_empty() {
        let found: Vec<_> = found.iter().map(|(s, h)| (s.clone(), &**h)).collect();
        prompt = Some(rounds::restored(asked, &found)?);
    }
    let offered = rounds::offer(prompt.as_ref().unwrap_or(asked), &catalog.shown())?;
    Ok(offered.or(prompt))
}

/// All rounds as one stream.
async fn stream<S, T>(
    inner: S,
    mut run: Run<T>,
    head: Parts,
    mut reply: Reply,
    slot: Slot,
) -> Result<(), BoxError>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
    T: Toolbox,
{
    let dialect = run.asked.facts().dialect;
    let mut weaver = Weaver::new(dialect);
    loop {
        let events = pass(&mut reply, &mut weaver, &run.catalog, &slot).await?;
        // With the body the leaf's count of this round is written down.
        drop(std::mem::take(&mut reply));
        let round = translate::to_whole(dialect, &events);
        let next = match round.and_then(|whole| Round::read(dialect, whole)) {
            Some(round) => run.next(round).await,
            // It broke off, or with an error that the caller has seen.
            None => Ok(Next::Done),
        };
        match next {
            Ok(Next::Ask) => {}
            Ok(Next::Done) => {
                slot.put(weaver.finish()).await;
                return Ok(());
            }
            Err(refusal) => {
                slot.put(refusal.event(dialect)).await;
                return Ok(());
            }
        }
        weaver.end_round();
        let asked = Oneshot::new(inner.clone(), again(&head, &run.prompt));
        let res = asked.await.map_err(Into::into)?;
        let (parts, body) = res.into_parts();
        if parts.status.is_success() && wire::is_event_stream(&parts.headers) {
            reply = body;
            continue;
        }
        let whole = body.collect().await?.to_bytes();
        if !parts.status.is_success() {
            let event = translate::error(dialect, parts.status, &whole).event(dialect);
            slot.put(event).await;
            return Ok(());
        }
        // A cache may answer whole.
        let events = translate::to_stream(dialect, &whole, true).unwrap_or_default();
        reply = Reply::whole(events.concat());
    }
}

/// Shows what of a round is to be shown, as it comes; gives all of it.
async fn pass(
    reply: &mut Reply,
    weaver: &mut Weaver,
    catalog: &Catalog,
    slot: &Slot,
) -> Result<Vec<Bytes>, BoxError> {
    let ours = |name: &str| catalog.is_ours(name);
    let mut splitter = Splitter::new(EVENT_LIMIT);
    let mut events = Vec::new();
    while let Some(frame) = reply.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        splitter.push(data)?;
        let mut shown = Vec::new();
        for event in splitter.by_ref() {
            shown.extend(weaver.push(&event, &ours));
            events.push(event);
        }
        // One piece in, one piece out.
        let piece = match <[Bytes; 1]>::try_from(shown) {
            Ok([only]) => only,
            Err(several) => several.concat().into(),
        };
        slot.put(piece).await;
    }
    let rest = Bytes::copy_from_slice(splitter.remainder());
    if !rest.is_empty() {
        slot.put(weaver.push(&rest, &ours).unwrap_or_default())
            .await;
        events.push(rest);
    }
    Ok(events)
}
