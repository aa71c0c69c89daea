//! The models that callers may name, listed in the shape of their dialect.
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tierway_layers::names::Names;
use tierway_services::{Dispatch, dialect::Dialect, dispatch::Model};

/// Names that always exist: they stand for a tier, or for the gateway's own choice.
const OWN: [&str; 5] = [
    "auto",
    "tierway/simple",
    "tierway/medium",
    "tierway/complex",
    "tierway/reasoning",
];

/// What `GET /v1/models` shows: the gateway's own names, the tiers' models, and what the providers list.
#[derive(Clone, Debug)]
pub struct Catalog {
    dispatch: Dispatch,
    names: Names,
    bound: Arc<[String]>,
}

impl Catalog {
    /// A catalog of what `dispatch`'s providers serve and of the `bound` targets, named `provider:model`.
    pub fn new(dispatch: Dispatch, names: Names, bound: impl IntoIterator<Item = String>) -> Self {
        let mut bound: Vec<String> = bound.into_iter().collect();
        bound.sort_unstable();
        bound.dedup();
        Self {
            dispatch,
            names,
            bound: bound.into(),
        }
    }

    /// The whole list.
    pub async fn list(&self, dialect: Dialect) -> String {
        let data: Vec<Value> = self
            .entries()
            .await
            .iter()
            .map(|e| e.show(dialect))
            .collect();
        let list = match dialect {
            Dialect::Messages => {
                let id = |entry: Option<&Value>| entry.map(|e| e["id"].clone());
                json!({"first_id": id(data.first()), "last_id": id(data.last()), "has_more": false, "data": data})
            }
            _ => json!({"object": "list", "data": data}),
        };
        list.to_string()
    }

    /// One model, where a call that names `id` would be served.
    pub async fn find(&self, dialect: Dialect, id: &str) -> Option<String> {
        let listed = self.entries().await.into_iter().find(|e| e.id == id);
        let entry = listed.or_else(|| self.names.resolve(id).map(|_| Entry::named(id)))?;
        Some(entry.show(dialect).to_string())
    }

    async fn entries(&self) -> Vec<Entry> {
        let listed = self.dispatch.models().await;
        let own = OWN.into_iter().map(Entry::named);
        let listed_ids: HashSet<String> = listed.iter().map(|m| m.target.to_string()).collect();
        let bound = self
            .bound
            .iter()
            .filter(|id| !listed_ids.contains(*id))
            .map(|id| Entry::named(id));
        own.chain(bound)
            .chain(listed.into_iter().map(Entry::listed))
            .collect()
    }
}

/// One line of the list.
struct Entry {
    id: String,
    display_name: Option<String>,
    owner: Option<String>,
    created: Option<u64>,
}

impl Entry {
    fn named(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            display_name: None,
            owner: None,
            created: None,
        }
    }

    fn listed(model: Model) -> Self {
        let owner = model
            .owned_by
            .unwrap_or_else(|| model.target.provider.to_string());
        Self {
            id: model.target.to_string(),
            display_name: model.display_name,
            owner: Some(owner),
            created: model.created,
        }
    }

    fn show(&self, dialect: Dialect) -> Value {
        let created = self.created.unwrap_or_default();
        match dialect {
            // Anthropic's own list gives the epoch where a release date is unknown.
            Dialect::Messages => {
                json!({"type": "model", "id": self.id, "lifecycle": "active", "display_name": self.display_name.as_ref().unwrap_or(&self.id),
                "created_at": humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(created)).to_string()})
            }
            _ => {
                json!({"id": self.id, "object": "model", "created": created, "owned_by": self.owner.as_deref().unwrap_or("tierway")})
            }
        }
    }
}
