use super::*;
use crate::testing::{chat_request, messages_request};
use http::HeaderValue;
use proptest::{collection::vec, prelude::*};
use tierway_services::{
    chat::{Notes, Operation, Prompt, Request},
    dialect::Dialect,
};

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0}"#;

fn key(body: &str) -> Key {
    Key::of(&chat_request(body)).unwrap()
}

fn with(set: impl FnOnce(&mut Request)) -> Key {
    let mut req = chat_request(BODY);
    set(&mut req);
    Key::of(&req).unwrap()
}

#[test]
fn what_cannot_change_the_answer_is_left_out() {
    for same in [
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0,"stream":true}"#,
        r#"{"stream_options":{"include_usage":true},"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0}"#,
        r#"{"model":"m","metadata":{"a":"b"},"user":"me","messages":[{"content":"\u0068i","role":"user"}], "temperature" : 0 }"#,
    ] {
        assert_eq!(key(same), key(BODY), "{same}");
    }
    let told = |version: &str| {
        Key::of(&messages_request(&format!(
            r#"{{"model":"m","messages":[],"system":[{{"type":"text","text":"x-anthropic-billing-header: cc_version={version};"}},{{"type":"text","text":"be kind"}}]}}"#
        )))
    };
    assert_eq!(told("1"), told("2"));
    let kind = |text: &str| {
        Key::of(&messages_request(&format!(
            r#"{{"model":"m","messages":[],"system":[{{"type":"text","text":"{text}"}}]}}"#
        )))
    };
    assert_eq!(kind("be kind"), told("1"));
    assert_ne!(kind("be cruel"), told("1"));
    let said = |text: &str| {
        Key::of(&messages_request(&format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"x-anthropic-billing-header: {text}"}}]}}]}}"#
        )))
    };
    assert_ne!(
        said("a"),
        said("b"),
        "a user's own words count, whatever they are"
    );
}

#[test]
fn all_else_counts() {
    let same = key(BODY);
    for other in [
        r#"{"model":"n","messages":[{"role":"user","content":"hi"}],"temperature":0}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.0}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"hi","user":"x"}],"temperature":0}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0,"seed":12345678901234567890123}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0,"seed":12345678901234567890124}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0,"x":1,"x":2}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0,"x":2,"x":1}"#,
    ] {
        assert_ne!(key(other), same, "{other}");
    }
    let tools = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[]}"#;
    let messages = messages_request(tools);
    assert_ne!(Key::of(&messages).unwrap(), key(tools), "another dialect");
    assert_ne!(same.within(b"http://a"), same.within(b"http://b"));
    assert_ne!(same.within(b"http://a"), same);
    let mut keys = vec![same];
    keys.push(with(|r| Notes::of_mut(r).tenant = Some(Tenant::new("a"))));
    keys.push(with(|r| Notes::of_mut(r).tenant = Some(Tenant::new("b"))));
    keys.push(with(|r| {
        Notes::of_mut(r).tier = Some(Tier::Medium);
    }));
    keys.push(with(|r| {
        Notes::of_mut(r).target = Some(Target::new("p", "m"));
    }));
    keys.push(with(|r| {
        Notes::of_mut(r).target = Some(Target::new("pm", ""));
    }));
    for (name, value) in [
        ("anthropic-beta", "x"),
        ("openai-beta", "x"),
        ("x-api-key", "x"),
        ("x-api-key", "y"),
    ] {
        keys.push(with(|r| {
            drop(
                r.headers_mut()
                    .insert(name, HeaderValue::from_static(value)),
            )
        }));
    }
    for (i, a) in keys.iter().enumerate() {
        assert!(keys.iter().skip(i + 1).all(|b| a != b), "{i}");
    }
}

#[test]
fn a_tenant_is_the_same_whichever_key_it_shows() {
    let shown = |key: &'static str| {
        with(|r| {
            Notes::of_mut(r).tenant = Some(Tenant::new("a"));
            r.headers_mut()
                .insert(AUTHORIZATION, HeaderValue::from_static(key));
        })
    };
    assert_eq!(shown("Bearer one"), shown("Bearer two"));
}

#[test]
fn depth_and_number_are_bounded() {
    let body = |x: &str| format!(r#"{{"model":"m","messages":[],"x":{x}}}"#);
    let deep = |n: usize| body(&format!("{}1{}", "[".repeat(n), "]".repeat(n)));
    assert!(Key::of(&chat_request(&deep(100))).is_some());
    assert!(Key::of(&chat_request(&deep(50_000))).is_none());
    let many = body(&format!("[{}1]", "1,".repeat(400_000)));
    assert!(Key::of(&chat_request(&many)).is_none());
}

/// JSON with objects as lists, so that their order is ours to choose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Json {
    Word(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Writes it with choices of order, white space and escapes drawn from `dice`.
    fn write(&self, dice: &mut impl Iterator<Item = u8>, out: &mut String) {
        let mut roll = || dice.next().unwrap_or(0);
        out.push_str(["", " ", "\n\t"][usize::from(roll() % 3)]);
        match self {
            Self::Word(word) => out.push_str(word),
            Self::Text(text) => literal(text, roll(), out),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    item.write(dice, out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                let mut order: Vec<usize> = (0..members.len()).collect();
                for i in (1..order.len()).rev() {
                    order.swap(i, usize::from(roll()) % (i + 1));
                }
                out.push('{');
                for (i, member) in order.into_iter().enumerate() {
                    out.push_str(if i > 0 { " ," } else { "" });
                    literal(&members[member].0, dice.next().unwrap_or(0), out);
                    out.push_str(": ");
                    members[member].1.write(dice, out);
                }
                out.push('}');
            }
        }
    }
    fn sorted(&self) -> Self {
        match self {
            Self::Array(items) => Self::Array(items.iter().map(Self::sorted).collect()),
            Self::Object(members) => {
                let mut members: Vec<_> = members
                    .iter()
                    .map(|(k, v)| (k.clone(), v.sorted()))
                    .collect();
                members.sort();
                Self::Object(members)
            }
            word => word.clone(),
        }
    }
}

fn literal(text: &str, dice: u8, out: &mut String) {
    if dice.is_multiple_of(2) {
        out.push_str(&serde_json::to_string(text).unwrap());
    } else {
        out.push('"');
        for unit in text.encode_utf16() {
            out.push_str(&format!("\\u{unit:04X}"));
        }
        out.push('"');
    }
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        proptest::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-1.50",
            "1e5",
            "99999999999999999999"
        ])
        .prop_map(str::to_owned)
        .prop_map(Json::Word),
        "[a-b\u{e9}\u{1f600}\"\\\\ ]{0,3}".prop_map(Json::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::Array),
            proptest::collection::btree_map("[a-b\u{e9}\"]{0,2}", inner, 0..4)
                .prop_map(|m| Json::Object(m.into_iter().collect())),
        ]
    })
}

fn key_of(json: &Json, dice: &[u8]) -> Key {
    let mut out = String::new();
    json.write(&mut dice.iter().copied(), &mut out);
    key(&format!(r#"{{"model":"m","messages":[],"x":{out}}}"#))
}

proptest! {
    #[test]
    fn keys_are_equal_exactly_where_contents_are(a in json(), b in json(), one in vec(any::<u8>(), 64), two in vec(any::<u8>(), 64)) {
        prop_assert_eq!(key_of(&a, &one), key_of(&a, &two));
        prop_assert_eq!(key_of(&a, &one) == key_of(&b, &two), a.sorted() == b.sorted());
    }
}

/// A conversation that every dialect can express.
#[derive(Clone, Debug, PartialEq)]
struct Talk {
    system: Option<String>,
    turns: Vec<(bool, String)>,
    max_tokens: Option<u8>,
    temperature: Option<&'static str>,
}

impl Talk {
    fn body(&self, dialect: Dialect) -> String {
        let text = |text: &str| serde_json::to_string(text).unwrap();
        let mut turns: Vec<String> = self
            .turns
            .iter()
            .map(|(model, said)| {
                let role = if *model { "assistant" } else { "user" };
                format!(r#"{{"role":"{role}","content":{}}}"#, text(said))
            })
            .collect();
        let mut members = vec![r#""model":"m""#.to_owned()];
        let (list, limit) = match dialect {
            Dialect::Responses => ("input", "max_output_tokens"),
            _ => ("messages", "max_tokens"),
        };
        match (dialect, &self.system) {
            (_, None) => {}
            (Dialect::ChatCompletions, Some(said)) => {
                turns.insert(
                    0,
                    format!(r#"{{"content":{},"role":"system"}}"#, text(said)),
                );
            }
            (Dialect::Messages, Some(said)) => members.push(format!(r#""system":{}"#, text(said))),
            (_, Some(said)) => members.push(format!(r#""instructions":{}"#, text(said))),
        }
        members.push(format!(r#""{list}":[{}]"#, turns.join(",")));
        members.extend(self.max_tokens.map(|n| format!(r#""{limit}":{n}"#)));
        members.extend(self.temperature.map(|t| format!(r#""temperature":{t}"#)));
        format!("{{{}}}", members.join(", "))
    }

    fn key(&self, dialect: Dialect) -> Key {
        let body = self.body(dialect).into();
        let prompt = Prompt::parse(dialect, Operation::Generate, body).unwrap();
        Key::of(&Request::new(prompt)).unwrap()
    }
}

fn talk() -> impl Strategy<Value = Talk> {
    (
        proptest::option::of("[ab\"]{0,2}"),
        vec((any::<bool>(), "[ab\u{e9}]{0,2}"), 0..3),
        proptest::option::of(0u8..3),
        proptest::option::of(proptest::sample::select(vec!["0", "0.0", "1"])),
    )
        .prop_map(|(system, turns, max_tokens, temperature)| Talk {
            system,
            turns,
            max_tokens,
            temperature,
        })
}

const SPOKEN: [Dialect; 3] = [
    Dialect::Messages,
    Dialect::ChatCompletions,
    Dialect::Responses,
];

proptest! {
    #[test]
    fn a_plain_conversation_is_the_same_in_every_dialect_and_another_one_is_not(a in talk(), b in talk()) {
        for from in SPOKEN {
            for to in SPOKEN {
                prop_assert_eq!(a.key(from), a.key(to), "{} {}", a.body(from), a.body(to));
                prop_assert_eq!(a.key(from) == b.key(to), a == b);
            }
        }
    }

    #[test]
    fn whatever_is_added_to_a_plain_conversation_counts(a in talk(), name in "[a-z_]{1,12}", value in json()) {
        let mut out = String::new();
        value.write(&mut std::iter::empty(), &mut out);
        for dialect in SPOKEN {
            let body = a.body(dialect);
            let more = format!(r#"{}, "x_{name}":{out}}}"#, &body[..body.len() - 1]);
            let prompt = Prompt::parse(dialect, Operation::Generate, more.into()).unwrap();
            prop_assert_ne!(Key::of(&Request::new(prompt)).unwrap(), a.key(dialect));
        }
    }
}

#[test]
fn what_is_said_in_blocks_or_by_others_is_not_plain() {
    let plain = |body: &str, dialect| {
        let tape = Tape::of(body.as_bytes(), Vec::new()).unwrap();
        Plain::of(&tape, dialect, |m| m == "model").is_some()
    };
    use Dialect::{ChatCompletions, Messages, Responses};
    for (body, dialect, expected) in [
        (r#"{"model":"m","messages":[]}"#, Messages, true),
        (r#"{"model":"m"}"#, Messages, false),
        (r#"{"model":"m","input":"hi"}"#, Responses, true),
        (
            r#"{"input":[{"type":"message","role":"user","content":"hi"}]}"#,
            Responses,
            true,
        ),
        (
            r#"{"input":[{"type":"reasoning","role":"user","content":"hi"}]}"#,
            Responses,
            false,
        ),
        (
            r#"{"input":[{"role":"system","content":"hi"}]}"#,
            Responses,
            false,
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#,
            Messages,
            false,
        ),
        (
            r#"{"messages":[{"role":"user","content":"hi","name":"x"}]}"#,
            ChatCompletions,
            false,
        ),
        (
            r#"{"messages":[{"role":"developer","content":"hi"}]}"#,
            ChatCompletions,
            false,
        ),
        (
            r#"{"messages":[{"role":"user","content":"a"},{"role":"system","content":"b"}]}"#,
            ChatCompletions,
            false,
        ),
        (
            r#"{"messages":[],"max_tokens":null}"#,
            ChatCompletions,
            false,
        ),
        (
            r#"{"messages":[],"max_tokens":1,"max_tokens":2}"#,
            ChatCompletions,
            false,
        ),
        (
            r#"{"messages":[],"max_completion_tokens":1}"#,
            ChatCompletions,
            false,
        ),
        (r#"{"messages":[],"stop":["x"]}"#, ChatCompletions, true),
        (r#"{"messages":[],"stop":"x"}"#, ChatCompletions, false),
        (r#"{"messages":[],"stop_sequences":["x"]}"#, Messages, true),
        (
            r#"{"messages":[],"system":[{"type":"text","text":"x"}]}"#,
            Messages,
            false,
        ),
        (r#"{"messages":[],"tools":[]}"#, Messages, false),
    ] {
        assert_eq!(plain(body, dialect), expected, "{body}");
    }
    let version = |value: &'static str| {
        let mut req = messages_request(r#"{"model":"m","messages":[]}"#);
        req.headers_mut()
            .insert("anthropic-version", HeaderValue::from_static(value));
        Key::of(&req).unwrap()
    };
    assert_eq!(version("2023-06-01"), key(r#"{"model":"m","messages":[]}"#));
    assert_ne!(version("2027-01-01"), version("2023-06-01"));
}
