//! The models that callers may name, listed in the shape of their dialect.
use serde_json::{Value, json};
use std::sync::Arc;
use tierway_layers::names::Names;
use tierway_services::{Dispatch, dialect::Dialect};

/// Names that always exist: they stand for a tier, or for the gateway's own choice.
const OWN: [&str; 5] = ["auto", "tierway/simple", "tierway/medium", "tierway/complex", "tierway/reasoning"];

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
        Self { dispatch, names, bound: bound.into() }
    }

    /// The whole list.
    pub async fn list(&self, dialect: Dialect) -> String {
        let ids = self.ids().await;
        let data: Vec<Value> = ids.iter().map(|id| entry(dialect, id)).collect();
        let list = match dialect {
            Dialect::Messages => json!({"data": data, "has_more": false, "first_id": ids.first(), "last_id": ids.last()}),
            _ => json!({"object": "list", "data": data}),
        };
        list.to_string()
    }

    /// One model, where a call that names `id` would be served.
    pub async fn find(&self, dialect: Dialect, id: &str) -> Option<String> {
        let known = self.names.resolve(id).is_some() || self.ids().await.iter().any(|i| i == id);
        known.then(|| entry(dialect, id).to_string())
    }

    async fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = OWN.iter().map(ToString::to_string).chain(self.bound.iter().cloned()).collect();
        for id in self.dispatch.models().await.iter().map(ToString::to_string) {
            if !self.bound.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }
}

fn entry(dialect: Dialect, id: &str) -> Value {
    match dialect {
        // Anthropic's own list gives the epoch where a release date is unknown.
        Dialect::Messages => json!({"type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z"}),
        _ => json!({"id": id, "object": "model", "created": 0, "owned_by": id.split_once(':').map_or("tierway", |(provider, _)| provider)}),
    }
}
