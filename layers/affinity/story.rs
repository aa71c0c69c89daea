//! The story of one call: what its conversation had, what it gets, and what is remembered.
use super::{
    Settings,
    decide::{Seen, Verdict, decide},
    note,
    remember::{Recording, Remembering, within},
    store::{Pin, Sessions, now},
};
use crate::{classify::Decision, commit::Committed};
use std::sync::Arc;
use tierway_services::chat::{
    self, AffinityStatus, CacheStatus, Journal, Notes, Operation, Reply, Session,
};
use tower_service::Service;

/// `ready` has been made ready and waits for its call.
pub(super) async fn tell<S, St>(
    mut ready: S,
    store: Arc<St>,
    settings: Arc<Settings>,
    session: Session,
    decision: Decision,
    mut req: chat::Request,
) -> Result<chat::Response, S::Error>
where
    S: Service<chat::Request, Response = chat::Response>,
    St: Sessions + Send + Sync + 'static,
{
    let known = within(settings.patience, store.get(session)).await;
    let known = known.flatten();
    let seen = Seen::of(req.body().facts(), now());
    let fits = |tier| settings.fits(&req, tier);
    let mut verdict = decide(known.as_ref(), &decision, &seen, &settings, fits);
    let generates = req.body().facts().operation == Operation::Generate;
    if let (AffinityStatus::Aside, Some(pin), false) = (verdict.status, &known, generates) {
        // Clients count pieces of a conversation, and mean the model that it has.
        verdict.status = AffinityStatus::Kept;
        verdict.tier = pin.tier;
    }
    note(&req, verdict.status);
    let wanted = decision.tier;
    let said = said(decision, &verdict);
    if verdict.status == AffinityStatus::Aside {
        Notes::of_mut(&mut req).aside = true;
    }
    if let Some(decision) = &said {
        Notes::of_mut(&mut req).tier = Some(decision.tier);
        req.extensions_mut().insert(decision.clone());
        if let Some(journal) = Journal::of(&req) {
            journal.write(|j| {
                j.tier = Some(decision.tier);
                j.tier_reason = Some(decision.to_string().into());
            });
        }
    }
    // The leaf's word on tokens is wanted here, even where nobody above counts.
    let journal = match Journal::of(&req) {
        Some(journal) => journal.clone(),
        None => {
            let journal = Journal::default();
            Notes::of_mut(&mut req).journal = Some(journal.clone());
            journal
        }
    };
    let learns = generates && verdict.status != AffinityStatus::Aside;
    let mut res = ready.call(req).await?;
    if let Some(decision) = said
        && res.extensions().get::<Decision>().is_none()
    {
        res.extensions_mut().insert(decision);
    }
    // An answer out of our own cache says nothing of the provider's; one that another call pays for is that call's to remember.
    let hit = journal.read(|j| {
        let cache = j.cache;
        matches!(
            cache,
            Some(CacheStatus::Hit | CacheStatus::Semantic | CacheStatus::Coalesced)
        )
    });
    if !learns || hit || !res.status().is_success() {
        return Ok(res);
    }
    let bound = journal.read(|j| j.target.clone());
    let target = bound.unwrap_or_else(|| settings.target(verdict.tier));
    let moved = known
        .as_ref()
        .is_none_or(|pin| (pin.tier, &pin.target) != (verdict.tier, &target));
    let mut pin = Pin::new(verdict.tier, target);
    pin.follow(known.as_ref(), &verdict, wanted, &seen);
    let remembering = Remembering {
        store,
        session,
        pin,
        journal,
        patience: settings.patience,
    };
    let (head, body) = res.into_parts();
    if !body.is_stream() {
        remembering.put().await;
        return Ok(http::Response::from_parts(head, body));
    }
    if moved {
        // Before the caller sees a tool call in it, and comes back with the result to whichever node.
        remembering.announce().await;
    }
    let body = Reply::stream(Committed::new(body, Recording::new(remembering)));
    Ok(http::Response::from_parts(head, body))
}

/// The decision with the conversation's word in it; `None` where that had none.
fn said(decision: Decision, verdict: &Verdict) -> Option<Decision> {
    let name = match verdict.status {
        AffinityStatus::Kept => "session:kept",
        AffinityStatus::Escalated => "session:escalated",
        AffinityStatus::Deescalated => "session:deescalated",
        _ => return None,
    };
    Some(decision.moved(verdict.tier, name))
}
