//! Lists of like objects as tables: what they have in common is said once.
//!
//! `[{"id":1,"by":{"name":"a","bot":false}},{"id":2,"by":{"name":"b","bot":false}}, ...]` becomes
//! `{"$columns":["id","by.name",{"by.bot":false}],"$rows":[[1,"a"],[2,"b"], ...]}`: JSON still, in which objects within are columns of their own, and
//! what is the same in all rows stands with its column. JSON Lines become a table with `$lines`. [`original`] turns it back.
use super::json::{Node, list, parse};
use std::fmt::Write;

const COLUMNS: &str = "\"$columns\"";
const ROWS: &str = "\"$rows\"";
const LINES: &str = "\"$lines\"";

/// Fewer objects make no table.
const LEAST: usize = 3;
/// Objects with more fields make none.
const WIDEST: usize = 256;

/// Writes `node` without needless spaces, and as tables what is shorter so. `None` where there is no table in it.
pub(super) fn lay(node: &Node<'_>) -> Option<String> {
    let mut out = String::new();
    (!looks_laid(node) && write(node, &mut out)).then_some(out)
}

/// The same for JSON Lines: one table, or none.
pub(super) fn lay_lines(lines: &[Node<'_>]) -> Option<String> {
    let laid = lines.iter().any(looks_laid);
    let mut out = String::new();
    let columns = columns_of(lines)?;
    (!laid && write_table(lines, &columns, LINES, &mut out)).then_some(out)
}

/// Whether it has a key of ours already, so that nobody could tell what is whose.
fn looks_laid(node: &Node<'_>) -> bool {
    match node {
        Node::Leaf(_) => false,
        Node::Array(items) => items.iter().any(looks_laid),
        Node::Object(fields) => fields
            .iter()
            .any(|(key, value)| [COLUMNS, ROWS, LINES].contains(key) || looks_laid(value)),
    }
}

/// Writes a value, its tables as such; tells whether there was one.
fn write(node: &Node<'_>, out: &mut String) -> bool {
    let mut laid = false;
    match node {
        Node::Leaf(text) => out.push_str(text),
        Node::Object(fields) => list(out, ['{', '}'], fields, |(key, value), out| {
            let _ = write!(out, "{key}:");
            laid |= write(value, out);
        }),
        Node::Array(items) => match columns_of(items) {
            Some(columns) => return write_table(items, &columns, ROWS, out),
            None => list(out, ['[', ']'], items, |item, out| laid |= write(item, out)),
        },
    }
    laid
}

/// The columns of a list, where it is one of objects that are alike.
fn columns_of<'a>(items: &'a [Node<'a>]) -> Option<Vec<Column<'a>>> {
    let all: Vec<&Node<'_>> = items.iter().collect();
    (items.len() >= LEAST).then(|| columns(&all, "")).flatten()
}

/// Writes objects as a table, or as they were where that is no longer; tells whether it is a table.
fn write_table(items: &[Node<'_>], columns: &[Column<'_>], rows: &str, out: &mut String) -> bool {
    let from = out.len();
    let _ = write!(out, "{{{COLUMNS}:");
    list(out, ['[', ']'], columns, |column, out| {
        match column.same() {
            None => out.push_str(&column.name()),
            Some(value) => {
                let _ = write!(out, "{{{}:", column.name());
                write(value, out);
                out.push('}');
            }
        }
    });
    let _ = write!(out, ",{rows}:");
    let changing: Vec<&Column<'_>> = columns.iter().filter(|c| c.same().is_none()).collect();
    let numbers: Vec<usize> = (0..items.len()).collect();
    list(out, ['[', ']'], &numbers, |n, out| {
        list(out, ['[', ']'], &changing, |column, out| {
            if let Some(cell) = column.cells.get(*n) {
                write(cell, out);
            }
        });
    });
    out.push('}');
    // As they were without any table inside: so each level is written but twice, however deep they are.
    let mut plain = String::new();
    list(&mut plain, ['[', ']'], items, |item, out| item.write(out));
    let shorter = out.len() - from < plain.len();
    if !shorter {
        out.truncate(from);
        out.push_str(&plain);
    }
    shorter
}

/// A column: the way to it, without quotes, and what stands there in each row.
struct Column<'a> {
    path: String,
    cells: Vec<&'a Node<'a>>,
}

impl Column<'_> {
    fn name(&self) -> String {
        format!("\"{}\"", self.path)
    }
    /// What stands in all rows, where it is the same.
    fn same(&self) -> Option<&Node<'_>> {
        let (first, rest) = self.cells.split_first()?;
        rest.iter().all(|cell| cell == first).then_some(*first)
    }
}

/// The columns of objects that all have the same keys in the same order, none twice, and none with a dot, which divides ways here.
fn columns<'a>(items: &[&'a Node<'a>], above: &str) -> Option<Vec<Column<'a>>> {
    let objects: Vec<&Vec<(&str, Node<'a>)>> = items
        .iter()
        .map(|item| match item {
            Node::Object(fields) if !fields.is_empty() => Some(fields),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let first = objects.first().filter(|first| first.len() <= WIDEST)?;
    for (n, (key, _)) in first.iter().enumerate() {
        if key.contains('.') || first.iter().take(n).any(|(other, _)| other == key) {
            return None;
        }
    }
    let alike = |fields: &&Vec<(&str, Node<'a>)>| {
        fields.len() == first.len() && fields.iter().zip(*first).all(|((a, _), (b, _))| a == b)
    };
    if !objects.iter().all(alike) {
        return None;
    }
    let mut found = Vec::with_capacity(first.len());
    for (n, (key, _)) in first.iter().enumerate() {
        let cells: Vec<&Node<'a>> = objects
            .iter()
            .filter_map(|fields| fields.get(n).map(|(_, value)| value))
            .collect();
        let path = format!("{above}{}", bare(key));
        match columns(&cells, &format!("{path}.")) {
            Some(within) => found.extend(within),
            None => found.push(Column { path, cells }),
        }
    }
    Some(found)
}

/// A key without its quotes.
fn bare(key: &str) -> &str {
    key.get(1..key.len().saturating_sub(1)).unwrap_or_default()
}

// === and back ===

/// What a text was before it was laid out in tables, without needless spaces. `None` where it is no JSON, or holds a table that is none.
///
/// ```
/// use tierway_layers::compress::original;
/// let laid = r#"{"$columns":["id","by.name",{"by.bot":false}],"$rows":[[1,"a"],[2,"b"]]}"#;
/// let was = r#"[{"id":1,"by":{"name":"a","bot":false}},{"id":2,"by":{"name":"b","bot":false}}]"#;
/// assert_eq!(original(laid).as_deref(), Some(was));
/// ```
#[must_use]
pub fn original(text: &str) -> Option<String> {
    let mut out = String::new();
    let node = parse(text)?;
    if let Node::Object(fields) = &node
        && let [(COLUMNS, Node::Array(columns)), (LINES, Node::Array(lines))] = &**fields
    {
        for (n, line) in lines.iter().enumerate() {
            if n > 0 {
                out.push('\n');
            }
            row(columns, line, &mut out)?;
        }
        return Some(out);
    }
    restore(&node, &mut out)?;
    Some(out)
}

fn restore(node: &Node<'_>, out: &mut String) -> Option<()> {
    let mut sound = Some(());
    match node {
        Node::Leaf(text) => out.push_str(text),
        Node::Array(items) => list(out, ['[', ']'], items, |item, out| {
            sound = sound.and(restore(item, out));
        }),
        Node::Object(fields) => {
            if let [(COLUMNS, Node::Array(columns)), (ROWS, Node::Array(rows))] = &**fields {
                list(out, ['[', ']'], rows, |cells, out| {
                    sound = sound.and(row(columns, cells, out));
                });
                return sound;
            }
            list(out, ['{', '}'], fields, |(key, value), out| {
                let _ = write!(out, "{key}:");
                sound = sound.and(restore(value, out));
            });
        }
    }
    sound
}

/// One row as the object that it was.
fn row(columns: &[Node<'_>], cells: &Node<'_>, out: &mut String) -> Option<()> {
    let Node::Array(cells) = cells else {
        return None;
    };
    let mut cells = cells.iter();
    // The ways, as keys, to where we are.
    let mut open: Vec<&str> = Vec::new();
    out.push('{');
    for (n, column) in columns.iter().enumerate() {
        let (name, value) = match column {
            Node::Leaf(name) => (*name, cells.next()?),
            Node::Object(same) => same.first().map(|(name, value)| (*name, value))?,
            Node::Array(_) => return None,
        };
        let path: Vec<&str> = bare(name).split('.').collect();
        let (key, above) = path.split_last()?;
        let common = open.iter().zip(above).take_while(|(a, b)| a == b).count();
        out.extend(std::iter::repeat_n('}', open.len() - common));
        if n > 0 {
            out.push(',');
        }
        open.truncate(common);
        for part in above.iter().skip(common) {
            let _ = write!(out, "\"{part}\":{{");
            open.push(part);
        }
        let _ = write!(out, "\"{key}\":");
        restore(value, out)?;
    }
    out.extend(std::iter::repeat_n('}', open.len() + 1));
    cells.next().is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::{super::json::lines, *};
    use proptest::prelude::*;

    fn plain(text: &str) -> String {
        let mut out = String::new();
        parse(text).unwrap().write(&mut out);
        out
    }

    #[test]
    fn like_objects_become_a_table() {
        let text = r#"{"total": 3, "items": [
            {"id": 1, "by": {"name": "a", "bot": false, "x": {}}, "tags": ["u", "v"]},
            {"id": 2, "by": {"name": "b", "bot": false, "x": {}}, "tags": []},
            {"id": 2.0, "by": {"name": "c", "bot": false, "x": {}}, "tags": null}]}"#;
        let laid = lay(&parse(text).unwrap()).unwrap();
        let wanted = r#"{"total":3,"items":{"$columns":["id","by.name",{"by.bot":false},{"by.x":{}},"tags"],"$rows":[[1,"a",["u","v"]],[2,"b",[]],[2.0,"c",null]]}}"#;
        assert_eq!(laid, wanted);
        assert_eq!(original(&laid).unwrap(), plain(text));
    }

    #[test]
    fn tables_stand_within_tables() {
        let inner =
            r#"[{"name":"aaaa","size":1},{"name":"bbbb","size":2},{"name":"cccc","size":3}]"#;
        let rows: Vec<String> = (0..3)
            .map(|n| format!(r#"{{"number":{n},"files":{inner}}}"#))
            .collect();
        let text = format!("[{}]", rows.join(","));
        let laid = lay(&parse(&text).unwrap()).unwrap();
        assert_eq!(laid.matches("$columns").count(), 2, "{laid}"); // the files are the same in all rows
        assert_eq!(original(&laid).unwrap(), text);
    }

    #[test]
    fn what_could_not_be_told_apart_is_left() {
        for text in [
            // too few, unlike, in another order, doubled, dotted, empty, ours already
            r#"[{"abcdef":1},{"abcdef":2}]"#,
            r#"[{"abcdef":1},{"abcdef":2},{"abcdeg":3}]"#,
            r#"[{"abc":1,"def":1},{"def":2,"abc":2},{"abc":1,"def":1}]"#,
            r#"[{"abc":1,"abc":1},{"abc":2,"abc":2},{"abc":1,"abc":1}]"#,
            r#"[{"ab.cdef":1},{"ab.cdef":2},{"ab.cdef":3}]"#,
            r#"[{},{},{}]"#,
            r#"[{"abcdef":{"$rows":1}},{"abcdef":2},{"abcdef":3}]"#,
            r#"[1,2,3]"#,
        ] {
            assert_eq!(lay(&parse(text).unwrap()), None, "{text}");
        }
    }

    #[test]
    fn json_lines_become_a_table_of_lines() {
        let text = "{\"level\": \"info\", \"at\": 1}\n{\"level\": \"info\", \"at\": 2}\n{\"level\": \"warn\", \"at\": 3}";
        let laid = lay_lines(&lines(text).unwrap()).unwrap();
        assert_eq!(
            laid,
            r#"{"$columns":["level","at"],"$lines":[["info",1],["info",2],["warn",3]]}"#
        );
        assert_eq!(
            original(&laid).unwrap(),
            text.replace(": ", ":").replace(", ", ",")
        );
    }

    #[test]
    fn what_is_no_table_is_not_turned_back() {
        for text in [
            r#"{"$columns":["a"],"$rows":[[1,2]]}"#,
            r#"{"$columns":["a","b"],"$rows":[[1]]}"#,
            r#"{"$columns":["a"],"$rows":[1]}"#,
            "nope",
        ] {
            assert_eq!(original(text), None, "{text}");
        }
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let key = "[ab.]{0,2}|[$]rows|[$]columns|\"|\\\\";
            let object = prop::collection::btree_map(key, inner.clone(), 0..4);
            // Lists of objects with the same keys, as tables are made of.
            let alike = (
                prop::collection::btree_set("[a-d]{1,2}", 1..4),
                prop::collection::vec(prop::collection::vec(inner.clone(), 4), 3..6),
            )
                .prop_map(|(keys, rows)| {
                    let row = |cells: Vec<Value>| {
                        Value::Object(keys.iter().cloned().zip(cells).collect())
                    };
                    Value::Array(rows.into_iter().map(row).collect())
                });
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(Value::Array),
                object.prop_map(|map| Value::Object(map.into_iter().collect())),
                alike,
            ]
        })
    }

    proptest! {
        #[test]
        fn a_table_is_turned_back_into_what_it_was(value in value(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            let node = parse(&text).unwrap();
            prop_assert_eq!(plain(&text), value.to_string());
            if let Some(laid) = lay(&node) {
                prop_assert!(laid.len() < value.to_string().len());
                prop_assert!(serde_json::from_str::<serde_json::Value>(&laid).is_ok());
                prop_assert_eq!(original(&laid), Some(value.to_string()));
            }
        }
    }
}
