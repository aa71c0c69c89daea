//! What becomes of a demanded JSON schema.
use super::{form::Format, json::Json, text::Text};
use serde_json::Value;
use std::borrow::Cow;

/// Whether a schema is one that OpenAI enforces strictly: each object closed, each of its fields required.
pub(crate) fn is_strict(schema: Json<'_>) -> bool {
    serde_json::from_str(schema.get()).is_ok_and(|value: Value| is_closed(&value))
}

fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                let required = fields.get("required").and_then(Value::as_array);
                let is_required = |name: &String| {
                    required.is_some_and(|list| list.iter().any(|r| r.as_str() == Some(name)))
                };
                if fields.get("additionalProperties") != Some(&Value::Bool(false))
                    || !properties.keys().all(is_required)
                {
                    return false;
                }
            }
            fields.values().all(is_closed)
        }
        Value::Array(list) => list.iter().all(is_closed),
        _ => true,
    }
}

/// A demand for JSON, for models whose provider enforces none.
pub(crate) fn in_words(format: &Format<'_>) -> Text<'static> {
    Text::Plain(match format {
        Format::Object => Cow::Borrowed("Answer with one valid JSON object and nothing else."),
        Format::Schema { schema, .. } => Cow::Owned(format!(
            "Answer with one valid JSON value and nothing else. It must fulfil this JSON schema: {}",
            schema.get()
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_is_what_is_closed_and_required_all_the_way_down() {
        let strict = |schema: &str| is_strict(serde_json::from_str(schema).unwrap());
        assert!(strict(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#
        ));
        assert!(!strict(
            r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#
        ));
        assert!(!strict(
            r#"{"type":"object","properties":{"a":{}},"additionalProperties":false}"#
        ));
        assert!(!strict(
            r#"{"items":{"type":"object","properties":{"a":{}},"additionalProperties":false}}"#
        ));
        assert!(strict(r#"{"type":"string"}"#));
    }
}
