//! Who is calling, and for what: told by headers where they tell, by how the body begins where they do not.
//!
//! A coding client makes many calls that its user never sees: titles, labels, probes, summaries. It also works through agents of its own.
//! [`Client::of`] tells these apart, for [`SideRequests`](super::SideRequests), for [rules](super::Ruled) and for any handler;
//! [`Classify`](super::Classify) leaves what it found as an extension of the request.
//!
//! | told by | says |
//! |---|---|
//! | `user-agent`, `originator`, `x-title`, `x-app` | which client |
//! | `x-claude-code-request-class` | `main`, `auxiliary`, `compaction`: believed before anything in the body |
//! | `x-claude-code-agent-id`, `x-claude-code-parent-agent-id`, `x-openai-subagent` | an agent that the main one started |
//! | `x-codex-turn-metadata` | Codex: the agent's name, and what kind of request it is |
//! | how the system prompt and the newest turn begin | all of it, for clients that send none of these |
use super::side;
use aho_corasick::AhoCorasick;
use http::{HeaderMap, HeaderName, header};
use memchr::memmem;
use std::{fmt, sync::LazyLock};
use tierway_services::chat::{self, Facts, Part, PartKind, Prompt, Speaker};

/// Who is calling, and for what.
///
/// ```
/// use tierway_layers::classify::{Class, Client, ClientKind};
/// use tierway_services::{chat::{Operation, Prompt, Request}, dialect::Dialect};
/// let body = r#"{"model":"claude-opus-5-5","messages":[{"role":"user","content":"hi"}]}"#;
/// let mut req = Request::new(Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap());
/// assert_eq!(Client::of(&req), Client::default());
/// req.headers_mut().insert("user-agent", "claude-cli/2.1.330 (external, cli)".parse().unwrap());
/// req.headers_mut().insert("x-claude-code-agent-id", "acf22f3c7f95ce13c".parse().unwrap());
/// let client = Client::of(&req);
/// assert_eq!((client.kind, client.class), (ClientKind::ClaudeCode, Class::SubAgent));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    /// Which client.
    pub kind: ClientKind,
    /// What the call is for.
    pub class: Class,
    /// What of its own the client wants, where the class is [`Class::Side`].
    pub side: Option<Side>,
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in configuration and in explanations.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The one of this name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// A client that is known by its wire.
    ClientKind {
        /// None that is known.
        #[default]
        Other = "other",
        /// Aider.
        Aider = "aider",
        /// Claude Code, and what is built on its agent SDK.
        ClaudeCode = "claude-code",
        /// Cline.
        Cline = "cline",
        /// Codex, on the command line or in an editor.
        Codex = "codex",
        /// Continue.
        Continue = "continue",
        /// Cursor.
        Cursor = "cursor",
        /// Goose.
        Goose = "goose",
        /// `LibreChat`.
        LibreChat = "librechat",
        /// opencode.
        OpenCode = "opencode",
        /// Open `WebUI`.
        OpenWebUi = "open-webui",
        /// Roo Code.
        RooCode = "roo-code",
        /// Zed.
        Zed = "zed",
    }
}

named! {
    /// What a call is for.
    Class {
        /// What the user asked.
        #[default]
        Main = "main",
        /// Something of the client's own, beside what its user asked: a title, a label, a probe.
        Side = "side",
        /// The summary that is to replace the conversation so far.
        Compaction = "compaction",
        /// Work that the main agent gave to another.
        SubAgent = "sub-agent",
        /// A plan that the user wants to see before anything is done.
        Plan = "plan",
    }
}

named! {
    /// What a client wants of its own.
    Side {
        /// Something that its header calls auxiliary, or that fits nothing below: labels, paths, prefixes of commands.
        #[default]
        Auxiliary = "auxiliary",
        /// A message for a commit.
        Commit = "commit",
        /// Whether anybody answers, or what is left of a quota.
        Probe = "probe",
        /// What the user may want to type or ask next.
        Suggestion = "suggestion",
        /// A title for a conversation, or its topic.
        Title = "title",
    }
}

/// How clients name themselves in `user-agent`; in lower case, the beginning.
const USER_AGENTS: &[(&str, ClientKind)] = &[
    ("claude-cli/", ClientKind::ClaudeCode),
    ("claude-code/", ClientKind::ClaudeCode),
    ("codex_", ClientKind::Codex),
    ("codex-", ClientKind::Codex),
    ("cursor/", ClientKind::Cursor),
    ("cline/", ClientKind::Cline),
    ("roocode/", ClientKind::RooCode),
    ("continue/", ClientKind::Continue),
    ("aider/", ClientKind::Aider),
    ("opencode/", ClientKind::OpenCode),
    ("zed/", ClientKind::Zed),
    ("goose/", ClientKind::Goose),
    ("librechat", ClientKind::LibreChat),
];

/// How they name themselves in `x-title`, which brokers list them by; in lower case, the whole.
const TITLES: &[(&str, ClientKind)] = &[
    ("cline", ClientKind::Cline),
    ("roo code", ClientKind::RooCode),
    ("continue", ClientKind::Continue),
    ("aider", ClientKind::Aider),
    ("opencode", ClientKind::OpenCode),
    ("goose", ClientKind::Goose),
    ("open webui", ClientKind::OpenWebUi),
    ("librechat", ClientKind::LibreChat),
    ("zed", ClientKind::Zed),
    ("zed editor", ClientKind::Zed),
];

/// How their system prompts begin, or what stands near the beginning.
const OPENINGS: &[(&str, ClientKind)] = &[
    ("You are Claude Code,", ClientKind::ClaudeCode),
    ("You are a Claude agent, built on", ClientKind::ClaudeCode),
    ("x-anthropic-billing-header: cc_", ClientKind::ClaudeCode),
    ("running in the Codex CLI", ClientKind::Codex),
    ("You are Codex,", ClientKind::Codex),
    ("operate in Cursor", ClientKind::Cursor),
    ("in the Cursor IDE", ClientKind::Cursor),
    ("You are Cline,", ClientKind::Cline),
    ("You are Roo,", ClientKind::RooCode),
    ("<important_rules>", ClientKind::Continue),
    ("Act as an expert software developer.", ClientKind::Aider),
    ("You are opencode", ClientKind::OpenCode),
    ("agent called goose", ClientKind::Goose),
];

/// How a turn says that a plan is wanted and nothing else: Claude Code, opencode, Codex, Cline.
const PLANNING: [&[u8]; 4] = [
    b"Plan mode is active",
    b"# Plan Mode - System Reminder",
    b"<collaboration_mode># Plan Mode",
    b"# Current Mode\\nPLAN MODE",
];

/// How much of a part's beginning, or end, is looked at.
pub(super) const LOOK: usize = 320;

/// Parts of the newest turns that are looked at.
const PARTS: usize = 12;

// === impl Client ===

impl Client {
    /// Who makes this call, and for what: what somebody above found, or what the request tells.
    #[must_use]
    pub fn of(req: &chat::Request) -> Self {
        req.extensions()
            .get()
            .copied()
            .unwrap_or_else(|| Self::seen(req))
    }

    /// Who makes this call, and for what, by the request alone.
    fn seen(req: &chat::Request) -> Self {
        let (headers, prompt) = (req.headers(), req.body());
        let kind = by_headers(headers)
            .or_else(|| by_system(prompt))
            .unwrap_or_default();
        let own = match hinted(headers) {
            // Which of them it is may still be seen; that it is one is said.
            Some(Class::Side) => match side::seen(prompt, kind) {
                Some((Class::Side, side)) => Some((Class::Side, side)),
                _ => Some((Class::Side, Some(Side::Auxiliary))),
            },
            Some(Class::Main) => None,
            Some(class) => Some((class, None)),
            None => side::seen(prompt, kind),
        };
        let (class, side) = own.unwrap_or_else(|| {
            if is_sub_agent(headers, prompt, kind) {
                (Class::SubAgent, None)
            } else if is_planning(prompt) {
                (Class::Plan, None)
            } else {
                (Class::Main, None)
            }
        });
        Self { kind, class, side }
    }

    /// Whether its calls carry a harness's settings, tools and reminders whatever its user asks.
    #[must_use]
    pub fn is_harness(self) -> bool {
        self.kind != ClientKind::Other
    }

    /// Whether what is asked comes from the client rather than from its user.
    #[must_use]
    pub const fn is_own_account(self) -> bool {
        matches!(self.class, Class::Side | Class::Compaction)
    }
}

/// The value of a header, where there is one that is text.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn by_headers(headers: &HeaderMap) -> Option<ClientKind> {
    const ORIGINATOR: HeaderName = HeaderName::from_static("originator");
    const TITLE: HeaderName = HeaderName::from_static("x-title");
    const SESSION: HeaderName = HeaderName::from_static("x-claude-code-session-id");
    const CHAT: HeaderName = HeaderName::from_static("x-openwebui-chat-id");
    let begins = |text: &str, with: &str| {
        text.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    if let Some(agent) = text(headers, &header::USER_AGENT)
        && let Some((_, kind)) = USER_AGENTS.iter().find(|(start, _)| begins(agent, start))
    {
        return Some(*kind);
    }
    if text(headers, &ORIGINATOR).is_some_and(|o| begins(o, "codex")) {
        return Some(ClientKind::Codex);
    }
    if headers.contains_key(SESSION) {
        return Some(ClientKind::ClaudeCode);
    }
    if headers.contains_key(CHAT) {
        return Some(ClientKind::OpenWebUi);
    }
    let title = text(headers, &TITLE)?;
    let mut titles = TITLES.iter();
    titles
        .find(|(name, _)| title.eq_ignore_ascii_case(name))
        .map(|(_, kind)| *kind)
}

fn by_system(prompt: &Prompt) -> Option<ClientKind> {
    // All of them at once. So few words always fit into an automaton.
    static AUTOMATON: LazyLock<Option<AhoCorasick>> =
        LazyLock::new(|| AhoCorasick::new(OPENINGS.iter().map(|(opening, _)| opening)).ok());
    let automaton = AUTOMATON.as_ref()?;
    system_parts(prompt.facts()).take(3).find_map(|part| {
        let found = automaton.find_iter(beginning(prompt, part));
        let first = found.map(|opening| opening.pattern().as_usize()).min()?;
        OPENINGS.get(first).map(|(_, kind)| *kind)
    })
}

/// What the client itself says in a header.
fn hinted(headers: &HeaderMap) -> Option<Class> {
    const CLASS: HeaderName = HeaderName::from_static("x-claude-code-request-class");
    const SUB_AGENT: HeaderName = HeaderName::from_static("x-openai-subagent");
    match headers.get(CLASS).map(http::HeaderValue::as_bytes) {
        Some(b"auxiliary") => return Some(Class::Side),
        Some(b"compaction") => return Some(Class::Compaction),
        Some(b"main") => return Some(Class::Main),
        _ => {}
    }
    (headers.get(SUB_AGENT)?.as_bytes() == b"compact").then_some(Class::Compaction)
}

fn is_sub_agent(headers: &HeaderMap, prompt: &Prompt, kind: ClientKind) -> bool {
    const AGENTS: [HeaderName; 3] = [
        HeaderName::from_static("x-claude-code-agent-id"),
        HeaderName::from_static("x-claude-code-parent-agent-id"),
        HeaderName::from_static("x-openai-subagent"),
    ];
    const TURN: HeaderName = HeaderName::from_static("x-codex-turn-metadata");
    const NAME: &[u8] = b"\"agent_name\":\"";
    if AGENTS.iter().any(|name| headers.contains_key(name)) {
        return true;
    }
    match kind {
        ClientKind::Codex => headers.get(TURN).is_some_and(|turn| {
            let turn = turn.as_bytes();
            memmem::find(turn, NAME)
                .and_then(|at| turn.get(at + NAME.len()..))
                .is_some_and(|name| !name.starts_with(b"/root\""))
        }),
        ClientKind::ClaudeCode => system_parts(prompt.facts())
            .take(1)
            .any(|part| memmem::find(beginning(prompt, part), b"cc_is_subagent=true").is_some()),
        _ => false,
    }
}

/// Whether a turn since the user last asked says that a plan is wanted.
fn is_planning(prompt: &Prompt) -> bool {
    let mut asked = false;
    let newest = prompt
        .facts()
        .turns
        .iter()
        .rev()
        .take_while(|t| {
            let before = asked;
            asked |= t.speaker == Speaker::User && !t.has(PartKind::ToolResult);
            !before
        })
        .filter(|t| matches!(t.speaker, Speaker::User | Speaker::System))
        .flat_map(|t| t.parts.iter().rev())
        .filter(|p| p.kind == PartKind::Text);
    newest.take(PARTS).any(|part| {
        let (start, end) = (beginning(prompt, part), ending(prompt, part));
        // A reminder, not somebody who writes about plan mode.
        let reminds = start.starts_with(b"\"<") || end.ends_with(b">\"");
        reminds
            && PLANNING.iter().any(|words| {
                [start, end]
                    .iter()
                    .any(|s| memmem::find(s, words).is_some())
            })
    })
}

/// The operator's texts, wherever they stand, in order.
pub(super) fn system_parts(facts: &Facts) -> impl Iterator<Item = &Part> {
    let in_turns = facts
        .turns
        .iter()
        .take_while(|t| t.speaker != Speaker::Assistant)
        .filter(|t| t.speaker == Speaker::System)
        .flat_map(|t| &t.parts);
    facts
        .system
        .iter()
        .chain(in_turns)
        .filter(|p| p.kind == PartKind::Text)
}

/// How the JSON of a part begins, its quotation mark included.
pub(super) fn beginning<'p>(prompt: &'p Prompt, part: &Part) -> &'p [u8] {
    let raw: &[u8] = prompt.raw();
    let (start, end) = (part.span.start as usize, part.span.end as usize);
    raw.get(start..end.min(start + LOOK)).unwrap_or_default()
}

fn ending<'p>(prompt: &'p Prompt, part: &Part) -> &'p [u8] {
    let raw: &[u8] = prompt.raw();
    let (start, end) = (part.span.start as usize, part.span.end as usize);
    raw.get(start.max(end.saturating_sub(LOOK))..end)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
