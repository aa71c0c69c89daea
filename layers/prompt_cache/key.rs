//! What makes two calls the same call.
use super::canonical::{Tape, framed};
use http::{HeaderName, header::AUTHORIZATION};
use std::fmt;
use tierway_services::chat::{self, Target, Tenant, Tier};

/// The identity of a call: 256 bits of BLAKE3 over whom it is for, who is to answer, and all that can change the answer.
///
/// That is: the tenant (without one, the credentials that the caller showed), the target and tier, the dialect, the headers that switch
/// features on, and the whole body in canonical form, unknown fields included. Left out is only what cannot change the answer:
/// `stream` and `stream_options` (an entry replays either way), `model` (the target says who answers), `metadata` and `user` (they name
/// the end user for abuse tracking), and the bookkeeping block that Claude Code puts into its system prompt.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// Headers that change what a provider answers.
const SWITCHES: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("openai-beta"),
];

const CREDENTIALS: [HeaderName; 2] = [AUTHORIZATION, HeaderName::from_static("x-api-key")];

impl Key {
    /// The key of `req`; `None` where its body is so deep or so manifold that finding out would cost more than it is worth.
    #[must_use]
    pub fn of(req: &chat::Request) -> Option<Self> {
        let tape = Tape::of(req.body().raw())?;
        let mut hasher = blake3::Hasher::new_derive_key("tierway prompt cache key");
        let mut field = |kind: u8, value: Option<&[u8]>| match value {
            Some(value) => framed(&mut hasher, kind, value),
            None => framed(&mut hasher, kind.to_ascii_uppercase(), b""),
        };
        let tenant = Tenant::of(req);
        field(b'w', tenant.map(|t| t.as_str().as_bytes()));
        if tenant.is_none() {
            for name in &CREDENTIALS {
                field(
                    b'c',
                    req.headers().get(name).map(http::HeaderValue::as_bytes),
                );
            }
        }
        let target = Target::of(req);
        field(b'p', target.map(|t| t.provider.as_bytes()));
        field(b'm', target.map(|t| t.model.as_bytes()));
        // A cascade below answers the tiers differently: who asked for the big model by name must not get a draft.
        field(b't', Tier::of(req).map(|t| t.as_str().as_bytes()));
        field(b'd', Some(req.body().facts().dialect.as_str().as_bytes()));
        for name in &SWITCHES {
            for value in req.headers().get_all(name) {
                field(b'h', Some(name.as_str().as_bytes()));
                field(b'v', Some(value.as_bytes()));
            }
        }
        tape.hash(&mut hasher, |member| match member {
            "stream" | "stream_options" | "metadata" | "user" => true,
            "model" => target.is_some(),
            _ => false,
        });
        Some(Self(*hasher.finalize().as_bytes()))
    }

    /// Its bytes, for stores that live elsewhere.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", blake3::Hash::from_bytes(self.0).to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{chat_request, messages_request};
    use http::HeaderValue;
    use proptest::{collection::vec, prelude::*};
    use tierway_services::chat::Request;

    const BODY: &str =
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0}"#;

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
        let messages = messages_request(BODY);
        assert_ne!(Key::of(&messages).unwrap(), same, "another dialect");
        let mut keys = vec![same];
        keys.push(with(|r| drop(r.extensions_mut().insert(Tenant::new("a")))));
        keys.push(with(|r| drop(r.extensions_mut().insert(Tenant::new("b")))));
        keys.push(with(|r| {
            r.extensions_mut().insert(Tier::Medium);
        }));
        keys.push(with(|r| {
            drop(r.extensions_mut().insert(Target::new("p", "m")))
        }));
        keys.push(with(|r| {
            drop(r.extensions_mut().insert(Target::new("pm", "")))
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
                r.extensions_mut().insert(Tenant::new("a"));
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
}
