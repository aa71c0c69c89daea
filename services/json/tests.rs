use super::*;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value, value::RawValue};
use std::{borrow::Cow, collections::BTreeMap, fmt::Debug};

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what was read is compared as it is shown")]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    messages: Option<Vec<Message<'a>>>,
    n: Option<u64>,
    top_p: Option<f64>,
    stream: Option<bool>,
    rest: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what was read is compared as it is shown")]
struct Message<'a> {
    role: Option<Role>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// What is read here is what `serde_json` reads.
fn same<'a, T: Deserialize<'a> + Debug>(json: &'a str) -> bool {
    let ours = read::<T>(json);
    if let Some(ours) = &ours {
        let theirs = serde_json::from_str::<T>(json);
        let theirs = theirs.unwrap_or_else(|e| panic!("{json:?} is read, but {e}"));
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{json:?}");
    }
    ours.is_some()
}

fn as_every_type(json: &str) {
    same::<&RawValue>(json);
    same::<Vec<&RawValue>>(json);
    same::<BTreeMap<Cow<'_, str>, &RawValue>>(json);
    same::<BTreeMap<u64, IgnoredAny>>(json);
    same::<Vec<Option<String>>>(json);
    same::<(u8, u8)>(json);
    same::<Body<'_>>(json);
    same::<Value>(json);
    same::<IgnoredAny>(json);
    same::<u64>(json);
    same::<f64>(json);
}

#[test]
fn bodies_are_read_here_and_not_by_serde_json() {
    let long = "The quick brown fox \\\"jumps\\\"\\n over\\u00e9 the lazy d\u{f6}g \\\\ ".repeat(9);
    for json in [
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"n":1,"top_p":1.00,"stream":false}"#,
        " {\n\t\"messages\" : [ { \"role\" : \"assistant\" , \"name\" : \"a\\u0062\" } ] , \"rest\" : {\"a\":[1,{},[],null]} } \r\n",
        r#"{"unknown":[{"deep":[[[-0.5e+3,0,1E9]]]},true,false,null,"\ud800"],"model":null}"#,
        r#"{"\u006dodel":"escaped key"}"#,
        &format!(r#"{{"model":"{long}","messages":[{{"content":["{long}"]}}]}}"#),
    ] {
        assert!(same::<Body<'_>>(json), "{json}");
        as_every_type(json);
    }
}

#[test]
fn strings_end_where_they_end_wherever_blocks_do() {
    for escape in ["", "\\\"", "\\\\", "\\u0022", "\\/", "\u{e9}", "\u{1f600}"] {
        for before in 0..70 {
            for after in [0, 1, 57, 58, 59, 63, 64, 65] {
                let json = format!(
                    "[\"{}{escape}{}\",1]",
                    "x".repeat(before),
                    "y".repeat(after)
                );
                assert!(same::<Vec<&RawValue>>(&json), "{json}");
                // Cut off anywhere, it is no JSON.
                for cut in (1..json.len()).filter(|cut| json.is_char_boundary(*cut)) {
                    assert!(
                        read::<IgnoredAny>(&json[..cut]).is_none(),
                        "{json} to {cut}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_no_json_is_refused_in_the_words_of_serde_json() {
    for json in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "[01]",
        "[1.]",
        "[.5]",
        "[1e]",
        "[-]",
        "[+1]",
        "[nul]",
        "[truex]",
        "[1]x",
        "{a:1}",
        "[\"\\x\"]",
        "[\"\\u12g4\"]",
        "[\"\\u12",
        "[\"a\nb\"]",
        "[\"a\tb\"]",
        "[\"a",
        "[\"\\",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "[}",
        "{]",
        "\u{a0}[]",
    ] {
        let error = from_str::<IgnoredAny>(json).unwrap_err();
        let theirs = serde_json::from_str::<IgnoredAny>(json).unwrap_err();
        assert_eq!(error.to_string(), theirs.to_string(), "{json}");
    }
    // Twice the same field, and a struct's fields in an array.
    let error = from_str::<Body<'_>>(r#"{"model":1,"model":2}"#).unwrap_err();
    assert!(error.to_string().contains("duplicate field"), "{error}");
    assert_eq!(
        from_str::<Body<'_>>(r#"[null,null,7,null,null,null]"#)
            .unwrap()
            .n,
        Some(7)
    );
    // What is not UTF-8 passes where nobody reads it, as it always has.
    assert!(from_slice::<Body<'_>>(b"{\"x\":\"\xff\"}").is_ok());
    assert!(from_slice::<Body<'_>>(b"{\"model\":\"\xff\"}").is_err());
}

#[test]
fn nesting_is_judged_by_serde_json() {
    for depth in [1, 99, 100, 101, 127, 128, 129, 130, 100_000] {
        let json = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(
            from_str::<Value>(&json).is_ok(),
            serde_json::from_str::<Value>(&json).is_ok(),
            "{depth}"
        );
        assert!(from_str::<&RawValue>(&json).is_ok(), "{depth}");
    }
}

/// Pieces of which JSON is made, so that what is put together at random is JSON often enough.
const PIECES: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\n",
    "\t",
    "\"a\":",
    "\"model\":",
    "\"messages\":[",
    "\"content\":",
    "\"role\":\"user\"",
    "\"n\":1",
    "\"top_p\":1.0",
    "\"stream\":true",
    "\"rest\":{",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "1e5",
    "01",
    "\"\\u00e9\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"x\"",
    "\u{e9}",
    "\u{0}",
    "\\\"",
    "\\\\",
    "\\u12",
    "{}",
    "[]",
    "\"long text that goes on over more than one block of sixty-four bytes\"",
];

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<f64>().prop_map(|n| if n.is_finite() {
            n.to_string()
        } else {
            "0".into()
        }),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<String>().prop_map(|s| Value::from(s).to_string()),
        "[a-z\\\\\"\n]{0,150}".prop_map(|s| Value::from(s).to_string()),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        let key = prop_oneof![
            Just("\"model\"".to_owned()),
            Just("\"messages\"".to_owned()),
            Just("\"content\"".to_owned()),
            any::<String>().prop_map(|s| Value::from(s).to_string()),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(|v| format!("[{}]", v.join(" ,"))),
            prop::collection::vec((key, inner), 0..8).prop_map(|v| {
                let members: Vec<String> = v.iter().map(|(k, v)| format!("{k} :{v}")).collect();
                format!("{{{}}}", members.join(",\n"))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_alike(json in value()) {
        prop_assert!(same::<&RawValue>(&json) && same::<IgnoredAny>(&json), "{}", json);
        as_every_type(&json);
    }

    #[test]
    fn any_text_is_read_alike(text in any::<String>()) {
        as_every_type(&text);
        as_every_type(&Value::from(text).to_string());
    }

    #[test]
    fn any_pieces_are_read_alike(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24)) {
        as_every_type(&pieces.concat());
    }

    #[test]
    fn any_bytes_are_read_alike(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let ours = from_slice::<&RawValue>(&bytes).map(RawValue::get).map_err(|e| e.to_string());
        let theirs = serde_json::from_slice::<&RawValue>(&bytes).map(RawValue::get).map_err(|e| e.to_string());
        prop_assert_eq!(ours, theirs);
    }
}
