//! Compares the keys of a file with those that exist, before any value is looked at.
//!
//! What does not fit is reported and taken out, so that one misspelled key hides no other problem.
use super::{
    origin::{Origin, Problem},
    reference::{ENTRIES, Entry},
};
use std::{collections::BTreeMap, ops::Range};
use strsim::damerau_levenshtein;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

/// What may stand at a place of the file.
#[derive(Debug)]
enum Shape {
    /// A value, which `values` looks at.
    Value,
    /// A table of these keys.
    Table(BTreeMap<&'static str, Shape>),
    /// A table whose keys the user chooses.
    Any(Box<Shape>),
    /// A list of tables.
    List(Box<Shape>),
}

/// Names that users know from elsewhere.
const ALIASES: [(&str, &str); 14] = [
    ("address", "listen"),
    ("bind", "listen"),
    ("host", "listen"),
    ("port", "listen"),
    ("type", "kind"),
    ("provider", "kind"),
    ("url", "base_url"),
    ("endpoint", "base_url"),
    ("api_base", "base_url"),
    ("token", "api_key"),
    ("name", "tenant"),
    ("ttl_ms", "ttl"),
    ("small_model", "small"),
    ("confidence", "threshold"),
];

/// Takes out of `table` what no key is called, and tells so.
pub(super) fn check(table: &mut DeTable<'_>, problems: &mut Vec<Problem>) {
    if let Shape::Table(keys) = shape() {
        check_table(table, &keys, "", problems);
    }
}

fn check_table(
    table: &mut DeTable<'_>,
    keys: &BTreeMap<&'static str, Shape>,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    retain(table, |key, value| {
        let name: &str = key.get_ref();
        let Some(shape) = keys.get(name) else {
            problems.push(unknown(name, key.span(), keys, path));
            return false;
        };
        let inner = join(path, name);
        check_value(key.span(), value, shape, &inner, problems)
    });
}

/// Whether `value` has the right shape; if not, that was told.
fn check_value(
    key: Range<usize>,
    value: &mut Spanned<DeValue<'_>>,
    shape: &Shape,
    path: &str,
    problems: &mut Vec<Problem>,
) -> bool {
    match (shape, value.get_mut()) {
        (Shape::Value, _) => return true,
        (Shape::Table(keys), DeValue::Table(table)) => {
            check_table(table, keys, path, problems);
            return true;
        }
        (Shape::Any(inner), DeValue::Table(table)) => {
            retain(table, |name, value| {
                let path = join(path, name.get_ref());
                check_value(name.span(), value, inner, &path, problems)
            });
            return true;
        }
        (Shape::List(inner), DeValue::Array(items)) => {
            let mut fits = true;
            for item in items.iter_mut() {
                let span = item.span();
                fits &= check_value(span, item, inner, path, problems);
            }
            return fits;
        }
        _ => {}
    }
    let what = match shape {
        Shape::List(_) => "a list of tables",
        _ => "a table of keys",
    };
    let advice = match (shape, path) {
        (Shape::List(_), _) => format!("write [[{path}]] and its keys below"),
        (Shape::Any(_), "providers") => {
            "write [providers.NAME] with a name of your choice, and its keys below".to_owned()
        }
        (Shape::Table(_), _)
            if path.starts_with("providers.") && path.matches('.').count() == 1 =>
        {
            format!(
                "write [providers.NAME] with a name of your choice, and `{}` below it",
                leaf(path)
            )
        }
        _ => format!("write [{path}] and its keys below"),
    };
    problems.push(Problem {
        origin: Origin::File(key),
        message: format!("`{path}` has to be {what}"),
        advice,
    });
    false
}

/// Keeps the entries of `table` that `keep` wants.
fn retain<'i>(
    table: &mut DeTable<'i>,
    mut keep: impl FnMut(&Spanned<DeString<'i>>, &mut Spanned<DeValue<'i>>) -> bool,
) {
    let entries = std::mem::take(table).into_iter();
    *table = entries
        .filter_map(|(key, mut value)| keep(&key, &mut value).then_some((key, value)))
        .collect();
}

fn unknown(
    name: &str,
    span: Range<usize>,
    keys: &BTreeMap<&'static str, Shape>,
    path: &str,
) -> Problem {
    let place = if path.is_empty() {
        "at the top".to_owned()
    } else {
        format!("in [{path}]")
    };
    Problem {
        origin: Origin::File(span),
        message: format!("unknown key `{name}` {place}"),
        advice: advice(name, keys),
    }
}

/// What to write instead of the key `name`.
fn advice(name: &str, keys: &BTreeMap<&'static str, Shape>) -> String {
    if let Some(close) = closest(name, keys.keys().copied()) {
        return format!("write `{close}`");
    }
    let alias = ALIASES
        .iter()
        .find(|(alias, key)| name.eq_ignore_ascii_case(alias) && keys.contains_key(key));
    if let Some((_, key)) = alias {
        return format!("write `{key}`");
    }
    let elsewhere = ENTRIES
        .iter()
        .filter_map(|entry| entry.key.rsplit_once('.'));
    if let Some((section, key)) = elsewhere.into_iter().find(|(_, key)| *key == name) {
        return format!("`{key}` belongs into [{}]", section.replace('*', "NAME"));
    }
    let all: Vec<&str> = keys.keys().copied().collect();
    format!("write one of {}", all.join(", "))
}

/// The one of `known` that `name` may be a misspelling of.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let name = plain(name);
    let near = known
        .into_iter()
        .map(|key| (damerau_levenshtein(&name, &plain(key)), key))
        .min()?;
    // One slip in three letters: more, and the guess would be as strange as the key.
    let slips = near.1.len().max(name.len()).div_ceil(3).min(3);
    (near.0 <= slips && near.0 < near.1.len()).then_some(near.1)
}

/// The shape of the whole file, from the reference.
fn shape() -> Shape {
    let mut root = Shape::Table(BTreeMap::new());
    for Entry { key, .. } in ENTRIES {
        let mut at = &mut root;
        for part in key.split('.') {
            let (part, list) = part
                .strip_suffix("[]")
                .map_or((part, false), |part| (part, true));
            if part == "*" {
                if !matches!(at, Shape::Any(_)) {
                    *at = Shape::Any(Box::new(Shape::Value));
                }
                let Shape::Any(inner) = at else { break };
                at = inner;
                continue;
            }
            if !matches!(at, Shape::Table(_)) {
                *at = Shape::Table(BTreeMap::new());
            }
            let Shape::Table(keys) = at else { break };
            at = keys.entry(part).or_insert(Shape::Value);
            if list {
                if !matches!(at, Shape::List(_)) {
                    *at = Shape::List(Box::new(Shape::Value));
                }
                let Shape::List(inner) = at else { break };
                at = inner;
            }
        }
    }
    root
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
