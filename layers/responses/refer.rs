//! Items of earlier answers that a call names instead of sending them along (`item_reference`).
use super::{Key, Store};
use bytes::Bytes;
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
};
use tierway_services::chat::{Edit, Kind, Prompt, Refusal, Speaker, Tenant};

/// How many bytes of kept answers one call may have looked through. It bounds what its references become, too.
const MOST: usize = 64 * 1024 * 1024;

/// An item that stands elsewhere: its id, and where it is named.
pub(super) type Reference = (String, Range<u32>);

/// The references in a call's input.
pub(super) fn references(prompt: &Prompt) -> Vec<Reference> {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    let turns = prompt.facts().turns.iter();
    let others = turns.filter(|turn| turn.speaker == Speaker::Other);
    others
        .flat_map(|turn| &turn.parts)
        .filter_map(|part| {
            let item: Item<'_> = serde_json::from_str(prompt.json(&part.span)).ok()?;
            (item.r#type == "item_reference").then(|| (item.id.into_owned(), part.span.clone()))
        })
        .collect()
}

/// The call with the items that are kept here in place of their references; none where no reference is known here.
pub(super) async fn resolved<St: Store>(
    prompt: &Prompt,
    references: &[Reference],
    store: &St,
    tenant: Option<&Tenant>,
) -> Result<Option<Prompt>, Refusal> {
    let mut shelf = Shelf {
        store,
        tenant,
        read: HashMap::new(),
        bytes: 0,
    };
    let mut seen = HashSet::new();
    let mut edits = Vec::new();
    for (id, span) in references {
        let Some(item) = shelf.find(id).await? else {
            continue;
        };
        if !seen.insert(id) {
            return Err(twice(id));
        }
        edits.push(Edit {
            span: span.clone(),
            with: String::from_utf8_lossy(&item).into_owned().into(),
        });
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let facts = prompt.facts();
    Prompt::parse(facts.dialect, facts.operation, prompt.edited(edits)).map(Some)
}

/// The answers that a call's items are part of, each read once.
struct Shelf<'a, St> {
    store: &'a St,
    tenant: Option<&'a Tenant>,
    /// The items of an answer by their ids, by the answer's own key.
    read: HashMap<Key, HashMap<String, Bytes>>,
    bytes: usize,
}

impl<St: Store> Shelf<'_, St> {
    async fn find(&mut self, id: &str) -> Result<Option<Bytes>, Refusal> {
        let Some(place) = self.store.get(&Key::item(self.tenant, id)).await else {
            return Ok(None);
        };
        let answer = Key::new(self.tenant, &String::from_utf8_lossy(&place.response));
        if !self.read.contains_key(&answer) {
            let Some(kept) = self.store.get(&answer).await else {
                return Ok(None);
            };
            self.bytes += kept.response.len() + kept.input.len();
            if self.bytes > MOST {
                return Err(too_much());
            }
            self.read.insert(answer.clone(), kept.named());
        }
        let items = self.read.get(&answer);
        Ok(items.and_then(|items| items.get(id)).cloned())
    }
}

fn twice(id: &str) -> Refusal {
    let shown: String = id.chars().take(80).collect();
    Refusal::new(
        Kind::InvalidRequest,
        format!("Duplicate item found with id {shown}. Remove duplicate items from your input and try again."),
    )
    .with_param("input")
}

fn too_much() -> Refusal {
    Refusal::new(
        Kind::TooLarge,
        "input: the answers that its items belong to are over 64 MiB together",
    )
    .with_param("input")
}
