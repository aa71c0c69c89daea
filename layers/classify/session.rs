//! Which conversation a call belongs to.
use serde::Deserialize;
use std::borrow::Cow;
use tierway_services::chat::{self, Facts, Part, PartKind, Prompt, Session, Speaker, Tenant};

/// Headers that name a conversation. The first set of which one is there counts, and of that set all that are there.
const HEADERS: [&[&str]; 6] = [
    // Claude Code; a sub-agent is a conversation of its own.
    &["x-claude-code-session-id", "x-claude-code-agent-id"],
    // Codex, and Codex of old.
    &["session-id", "thread-id"],
    &["session_id", "conversation_id"],
    &["x-session-id"],
    &["x-conversation-id"],
    &["x-session-affinity"],
];

/// A fingerprint reads so many parts of the system prompt, and of the ask,
const PARTS: usize = 8;
/// and so many bytes of a part from either end, beside its length. What it costs is bounded by that, however long the body is.
const EDGE: usize = 256;

/// A header or a field that is longer enters by its hash, so that no caller has it copied.
const LONG: usize = 4096;

/// Claude Code begins with a block that changes from call to call; as JSON.
const BILLING: &[u8] = b"\"x-anthropic-billing-header:";

/// The conversation that `req` belongs to; `None` where there is none: embeddings, or nothing said yet.
///
/// In this order, the first that is there, and always apart for each tenant:
/// 1. A header of the client: Claude Code's session and agent, Codex's session and thread, `x-session-id` and its like.
/// 2. `metadata.user_id` where it holds a session, as Claude Code writes it; `metadata.session_id`, `metadata.conversation_id`.
/// 3. `prompt_cache_key` together with how the conversation began: some programs give all their conversations one key.
/// 4. How the conversation began: the system prompt and the user's first words, and the user where `metadata.user_id` names one. Two
///    conversations that begin with the same words are one by this.
///
/// ```
/// use tierway_layers::classify::session;
/// use tierway_services::{chat::{Operation, Prompt, Request}, dialect::Dialect};
/// let call = |turns: &str| {
///     let body = format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"Fix the parser."}}{turns}]}}"#);
///     Request::new(Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap())
/// };
/// let later = call(r#",{"role":"assistant","content":"Done."},{"role":"user","content":"thanks"}"#);
/// assert_eq!(session(&call("")), session(&later));
/// ```
#[must_use]
pub fn session(req: &chat::Request) -> Option<Session> {
    let prompt = req.body();
    let facts = prompt.facts();
    if !facts.operation.is_conversation() {
        return None;
    }
    let mut name = Name::new(Tenant::of(req));
    let metadata = metadata(prompt);
    if header(req, &mut name) || metadata.session(&mut name) {
        return Some(name.finish());
    }
    let key = facts.prompt_cache_key_span.as_ref().map(|s| prompt.json(s));
    let begun = match key.filter(|key| key.starts_with('"') && key.len() > 2) {
        Some(key) => {
            name.add(b"prompt_cache_key", key.as_bytes());
            first_ask(prompt, &mut name);
            true
        }
        None => {
            if let Some(user) = &metadata.user_id {
                name.add(b"user", user.as_bytes());
            }
            let system = system(prompt, &mut name);
            first_ask(prompt, &mut name) || system
        }
    };
    begun.then(|| name.finish())
}

/// What the name of a conversation is made of, framed so that no two makings give one name. It is hashed as a whole, which costs half of what
/// many pieces do. The hash must be one in which nobody finds a collision, for a name is known outside this process: to other gateways, to the
/// ledger, to whoever asks for a session's costs; so there is no key that would keep a faster one from being forged for another tenant.
struct Name(Vec<u8>);

impl Name {
    fn new(tenant: Option<&Tenant>) -> Self {
        let mut name = Self(Vec::with_capacity(1024));
        name.add(b"tenant", tenant.map_or("", Tenant::as_str).as_bytes());
        name
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn add(&mut self, what: &[u8], value: &[u8]) {
        for bytes in [what, value] {
            self.put(&(bytes.len() as u64).to_le_bytes());
            if bytes.len() > LONG {
                self.put(blake3::hash(bytes).as_bytes());
            } else {
                self.put(bytes);
            }
        }
    }

    /// The ends of a long value, and its length.
    fn add_edges(&mut self, what: &[u8], value: &[u8]) {
        let tail = value.len().saturating_sub(EDGE).max(EDGE);
        self.add(what, value.get(..EDGE).unwrap_or(value));
        self.put(&(value.len() as u64).to_le_bytes());
        self.put(value.get(tail..).unwrap_or_default());
    }

    fn finish(self) -> Session {
        let hash = blake3::hash(&self.0);
        let mut session = [0; 16];
        session.copy_from_slice(&hash.as_bytes()[..16]);
        Session(session)
    }
}

fn header(req: &chat::Request, name: &mut Name) -> bool {
    let headers = req.headers();
    // Callers send few headers, and fewer with a value that is one of these: so those that are there are gone through, not those that may be.
    let told = headers.iter().filter(|(_, value)| !value.is_empty());
    let set = told.filter_map(|(name, _)| set_of(name.as_str())).min();
    let set = set.and_then(|set| HEADERS.get(set));
    for header in set.into_iter().flat_map(|set| set.iter()) {
        if let Some(value) = headers.get(*header) {
            name.add(header.as_bytes(), value.as_bytes());
        }
    }
    set.is_some()
}

/// Which of [`HEADERS`] a header is of.
fn set_of(name: &str) -> Option<usize> {
    HEADERS.iter().position(|set| set.contains(&name))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    user_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    conversation_id: Option<Cow<'a, str>>,
}

fn metadata(prompt: &Prompt) -> Metadata<'_> {
    let span = prompt.facts().metadata_span.as_ref();
    span.and_then(|span| serde_json::from_str(prompt.json(span)).ok())
        .unwrap_or_default()
}

impl Metadata<'_> {
    /// Whether it names a session.
    fn session(&self, name: &mut Name) -> bool {
        let user = self.user_id.as_deref();
        // Claude Code before it wrote JSON here: user_..._account_..._session_...
        let of_old = user.and_then(|user| Some(user.rsplit_once("_session_")?.1));
        let json = user.filter(|user| user.starts_with('{'));
        let written = json.and_then(|json| serde_json::from_str::<Metadata<'_>>(json).ok());
        let written = written.unwrap_or_default();
        let session = written.session_id.as_deref().or(of_old);
        let named = self.session_id.as_deref();
        let session = session.or(named).or(self.conversation_id.as_deref());
        if let Some(id) = session.filter(|id| !id.is_empty()) {
            name.add(b"metadata", id.as_bytes());
            return true;
        }
        false
    }
}

/// Reads the system prompt: what stands at the top, and in the conversation before the user speaks.
fn system(prompt: &Prompt, name: &mut Name) -> bool {
    let facts = prompt.facts();
    let before = facts
        .turns
        .iter()
        .take_while(|t| t.speaker == Speaker::System)
        .flat_map(|t| &t.parts);
    edges(prompt, facts.system.iter().chain(before), b"system", name)
}

/// Reads what the user said first.
fn first_ask(prompt: &Prompt, name: &mut Name) -> bool {
    first_user(prompt.facts()).is_some_and(|parts| edges(prompt, parts.iter(), b"ask", name))
}

fn first_user(facts: &Facts) -> Option<&[Part]> {
    let mut turns = facts.turns.iter();
    let first = turns.find(|t| t.speaker == Speaker::User && t.has(PartKind::Text))?;
    Some(&first.parts)
}

fn edges<'a>(
    prompt: &Prompt,
    parts: impl Iterator<Item = &'a Part>,
    what: &[u8],
    name: &mut Name,
) -> bool {
    let raw = prompt.raw();
    let mut any = false;
    let texts = parts
        .filter(|p| p.kind == PartKind::Text)
        // Not as text, which would be looked through as a whole.
        .filter_map(|p| raw.get(p.span.start as usize..p.span.end as usize))
        .filter(|json| !json.starts_with(BILLING));
    for text in texts.take(PARTS) {
        name.add_edges(what, text);
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{chat_request, messages_request};
    use serde_json::{Value, json};
    use tierway_services::chat::Notes;

    fn named(headers: &[(&'static str, &str)], body: &Value) -> Option<Session> {
        let mut req = messages_request(&body.to_string());
        for (name, value) in headers {
            req.headers_mut().insert(*name, value.parse().unwrap());
        }
        session(&req)
    }

    fn said(text: &str) -> Value {
        json!({"model": "auto", "messages": [{"role": "user", "content": text}]})
    }

    #[test]
    fn a_header_names_it_whatever_is_said() {
        let id = [("x-claude-code-session-id", "s1")];
        let of = |headers: &[(&'static str, &str)], text: &str| named(headers, &said(text));
        assert_eq!(of(&id, "a"), of(&id, "b"));
        assert_ne!(of(&id, "a"), of(&[("x-claude-code-session-id", "s2")], "a"));
        // The same value under another name is another thing.
        assert_ne!(of(&id, "a"), of(&[("x-session-id", "s1")], "a"));
        let agent = [
            ("x-claude-code-session-id", "s1"),
            ("x-claude-code-agent-id", "a1"),
        ];
        assert_ne!(of(&id, "a"), of(&agent, "a"));
        assert_eq!(of(&agent, "a"), of(&agent, "b"));
        let codex = [("session-id", "s1"), ("thread-id", "t1")];
        assert_eq!(of(&codex, "a"), of(&codex, "b"));
        assert_ne!(of(&codex, "a"), of(&[("session-id", "s1")], "a"));
    }

    #[test]
    fn tenants_share_no_conversation() {
        let mut req = messages_request(&said("hi").to_string());
        let nobody = session(&req);
        Notes::of_mut(&mut req).tenant = Some(Tenant::new("alice"));
        let alice = session(&req);
        Notes::of_mut(&mut req).tenant = Some(Tenant::new("bob"));
        assert!(nobody.is_some() && nobody != alice && alice != session(&req));
    }

    #[test]
    fn claude_code_writes_its_session_into_the_user_id() {
        let with = |user: &str, text: &str| {
            let mut body = said(text);
            body["metadata"] = json!({"user_id": user});
            named(&[], &body)
        };
        let user = |session: &str| {
            json!({"device_id": "d", "account_uuid": "", "session_id": session}).to_string()
        };
        assert_eq!(with(&user("s1"), "a"), with(&user("s1"), "b"));
        assert_ne!(with(&user("s1"), "a"), with(&user("s2"), "a"));
        let old = "user_ab_account__session_s1";
        assert_eq!(with(old, "a"), with(old, "b"));
        assert_eq!(with(old, "a"), with(&user("s1"), "a"));
        // A user without a session: apart from other users, and by what was said first.
        assert_ne!(with("u1", "a"), with("u1", "b"));
        assert_ne!(with("u1", "a"), with("u2", "a"));
    }

    #[test]
    fn a_cache_key_names_a_prefix_of_perhaps_many_conversations() {
        let with = |key: &str, text: &str| {
            let mut body = said(text);
            body["prompt_cache_key"] = key.into();
            session(&chat_request(&body.to_string()))
        };
        assert_eq!(with("k", "a"), with("k", "a"));
        assert_ne!(with("k", "a"), with("k", "b"));
        assert_ne!(with("k", "a"), with("l", "a"));
    }

    #[test]
    fn else_the_beginning_does() {
        let body = |billing: &str, system: &str, turns: Value| {
            json!({"model": "auto", "system": [{"type": "text", "text": format!("x-anthropic-billing-header: {billing}")},
                {"type": "text", "text": system}], "messages": turns})
        };
        let ask = json!({"role": "user", "content": "do"});
        let later =
            json!([ask, {"role": "assistant", "content": "did"}, {"role": "user", "content": "x"}]);
        let first = named(&[], &body("1", "s", json!([ask])));
        assert!(first.is_some());
        assert_eq!(first, named(&[], &body("2", "s", later.clone())));
        assert_ne!(first, named(&[], &body("1", "other", later)));
        let none = json!({"model": "auto", "messages": []});
        assert_eq!(named(&[], &none), None);
        // Reminders that come later are not the beginning.
        let chat = |rest: &str| {
            format!(
                r#"{{"model":"m","messages":[{{"role":"developer","content":"d"}},{{"role":"user","content":"hi"}}{rest}]}}"#
            )
        };
        let reminded = chat(r#",{"role":"system","content":"remember"}"#);
        assert_eq!(
            session(&chat_request(&chat(""))),
            session(&chat_request(&reminded))
        );
    }

    #[test]
    fn the_ends_and_the_length_of_a_long_text_count() {
        let text = |head: char, middle: usize, tail: char| {
            named(&[], &said(&format!("{head}{}{tail}", "x".repeat(middle))))
        };
        let one = text('a', 5000, 'z');
        assert_eq!(one, text('a', 5000, 'z'));
        for other in [
            text('b', 5000, 'z'),
            text('a', 5000, 'y'),
            text('a', 5001, 'z'),
        ] {
            assert_ne!(one, other);
        }
        for length in [0, 254, 255, 256, 257, 511, 512, 513] {
            assert_ne!(text('a', length, 'z'), text('a', length, 'y'), "{length}");
        }
    }
}
