//! The usage of several rounds, added up whatever its fields are called.
use serde_json::{Map, Value};

/// Adds `more` to `sum`: numbers are added, objects field by field; of everything else the later one counts.
pub(super) fn add(sum: &mut Value, more: Value) {
    match (sum, more) {
        (Value::Object(sum), Value::Object(more)) => {
            for (name, value) in more {
                match sum.get_mut(&name) {
                    Some(known) => add(known, value),
                    None => drop(sum.insert(name, value)),
                }
            }
        }
        (_, Value::Null) => {}
        (Value::Number(sum), Value::Number(more)) => {
            *sum = match (sum.as_u64(), more.as_u64()) {
                (Some(sum), Some(more)) => sum.saturating_add(more).into(),
                _ => serde_json::Number::from_f64(
                    sum.as_f64().unwrap_or_default() + more.as_f64().unwrap_or_default(),
                )
                .unwrap_or(more),
            };
        }
        (sum, more) => *sum = more,
    }
}

/// Puts what `more` says over `told`: the same field counts as it was said last.
pub(super) fn overlay(told: &mut Value, more: Value) {
    let Value::Object(more) = more else {
        return;
    };
    if !told.is_object() {
        *told = Value::Object(Map::new());
    }
    if let Value::Object(told) = told {
        for (name, value) in more {
            if !value.is_null() {
                told.insert(name, value);
            }
        }
    }
}

/// The sum of what all of these say; empty where none says anything.
pub(super) fn sum<'a>(all: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut sum = Value::Null;
    for usage in all.into_iter().flatten() {
        add(&mut sum, serde_json::from_str(usage).unwrap_or_default());
    }
    if sum.is_null() {
        String::new()
    } else {
        sum.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_added_wherever_they_stand() {
        let one = r#"{"a":1,"d":{"x":2},"tier":"standard","n":null,"cost":0.5}"#;
        let two = r#"{"a":2,"d":{"x":3,"y":1},"tier":"priority","n":4,"cost":0.25}"#;
        let sum: Value = serde_json::from_str(&sum([Some(one), None, Some(two)])).unwrap();
        assert_eq!(
            sum,
            serde_json::json!({"a":3,"d":{"x":5,"y":1},"tier":"priority","n":4,"cost":0.75})
        );
        assert_eq!(super::sum([None]), "");
    }
}
