//! Other terms for a key that is in use: its secret stays, and so does what it has spent.
use super::{store::Store, terms::Terms};
use serde_json::{Map, Value};

/// So often another change may come between reading and writing.
const TRIES: usize = 5;

/// What of a key is to be otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Amendment {
    /// Its terms, as a merge patch (RFC 7396): what is absent stays, what is null is limited no more.
    pub terms: Map<String, Value>,
    /// When it stops to admit, in milliseconds since 1970, where that changes; `Some(None)` for never.
    pub expires: Option<Option<i64>>,
}

/// Changes a key's terms. `false` where there is no such key, or it was revoked.
///
/// # Errors
/// What is wrong, for whoever asked.
pub(crate) async fn amend(store: &Store, id: &str, with: &Amendment) -> Result<bool, String> {
    if with.terms.contains_key("tenant") {
        return Err(
            "a key stays its tenant's, for what it spent was theirs: make another key".to_owned(),
        );
    }
    let away = |error: sqlx::Error| format!("the key cannot be kept: {error}");
    for _ in 0..TRIES {
        let Some(record) = store.get(id).await.map_err(away)? else {
            return Ok(false);
        };
        if record.revoked.is_some() {
            return Ok(false);
        }
        let mut merged = serde_json::to_value(&record.terms).map_err(|e| e.to_string())?;
        merge(&mut merged, with.terms.clone());
        let terms: Terms = serde_json::from_value(merged).map_err(|e| e.to_string())?;
        terms.check()?;
        let expires = with.expires.unwrap_or(record.expires);
        let done = store.amend(id, &record.terms, &terms, expires).await;
        if done.map_err(away)? {
            return Ok(true);
        }
    }
    Err("others change this key at the same time: try again".to_owned())
}

/// Merges as RFC 7396 has it.
fn merge(target: &mut Value, patch: Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => {
                fields.remove(&name);
            }
            Value::Object(inner) => merge(fields.entry(name).or_insert(Value::Null), inner),
            other => {
                fields.insert(name, other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of RFC 7396, those whose patch is an object.
    #[test]
    fn merges_as_the_standard_has_it() {
        for (target, patch, wanted) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ] {
            let mut merged = target;
            let Value::Object(patch) = patch else {
                unreachable!()
            };
            merge(&mut merged, patch);
            assert_eq!(merged, wanted);
        }
    }
}
