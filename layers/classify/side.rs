//! What a client asks on its own account, and the policy that gives it the tier it deserves.
//!
//! Most of it is small and looks large: a title for a conversation about a hard matter holds the hard matter. What is looked at is how the
//! system prompt and the newest turn *begin*, a few hundred bytes each, whatever the length of the body; a request that offers tools is
//! only ever taken for what clients really send with tools (a summary, a suggestion, a warm-up), so that a user's short question in a
//! coding client stays the user's.
mod words;

use self::words::Words;
use super::{
    Class, Client, ClientKind, Decision, Explanation, Policy, Side,
    client::{beginning, system_parts},
};
use memchr::memmem;
use tierway_services::chat::{self, Part, PartKind, Prompt, Speaker, Tier};

/// Gives the cheap tier to what a client asks on its own account, and what they deserve to summaries and plans.
///
/// | class | tier |
/// |---|---|
/// | [`Class::Side`] | simple |
/// | [`Class::Compaction`] | medium: the summary replaces the conversation, so a bad one spoils every turn after it |
/// | [`Class::Plan`] | real work at least complex, for everything that follows is built on the plan; a lookup stays a lookup |
/// | [`Class::SubAgent`], [`Class::Main`] | what the wrapped policy says of the ask |
///
/// Where the wrapped policy decides nothing, or the caller asked for a tier by name, that stands.
///
/// ```
/// use tierway_layers::{classify::{TierClassifier, Policy, SideRequests}, names::Names};
/// use tierway_services::{chat::{Operation, Prompt, Request, Tier}, dialect::Dialect};
/// let policy = SideRequests::new(TierClassifier::new(Names::default()));
/// let body = r#"{"model":"auto","messages":[{"role":"user","content":"Generate a title for this conversation:\n\nprove that P is not NP"}]}"#;
/// let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
/// let decision = policy.classify(&Request::new(prompt)).unwrap();
/// assert_eq!((decision.tier, decision.to_string()), (Tier::Simple, "side_request".to_owned()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct SideRequests<P> {
    inner: P,
}

// === impl SideRequests ===

impl<P> SideRequests<P> {
    /// Leaves to `inner` what users ask.
    #[must_use]
    pub const fn new(inner: P) -> Self {
        Self { inner }
    }
}

impl<P: Policy> Policy for SideRequests<P> {
    fn classify(&self, req: &chat::Request) -> Option<Decision> {
        self.inner.classify(req).map(|d| decide(req, d))
    }

    fn explain(&self, req: &chat::Request) -> Explanation {
        let said = self.inner.explain(req);
        said.revised(|d| decide(req, d))
    }
}

fn decide(req: &chat::Request, decision: Decision) -> Decision {
    if decision.is_asked() {
        return decision;
    }
    let client = Client::of(req);
    match (client.class, client.side) {
        (Class::Side, Some(Side::Probe)) => Decision::new(Tier::Simple, "probe"),
        (Class::Side, _) => Decision::new(Tier::Simple, "side_request"),
        (Class::Compaction, _) => Decision::new(Tier::Medium, "compaction"),
        (Class::Plan, _) if decision.tier == Tier::Medium => {
            decision.moved(Tier::Complex, "plan_mode")
        }
        _ => decision,
    }
}

// === recognising ===

/// How clients begin a turn that asks for the summary, whatever else is in it.
const COMPACTIONS: [&[u8]; 6] = [
    b"CRITICAL: Respond with TEXT ONLY. Do NOT call an",
    b"You are performing a CONTEXT CHECKPOINT COMPACTION",
    b"<explicit_instructions type=\\\"summarize_task",
    b"<explicit_instructions type=\\\"condense",
    b"Provide a detailed prompt for continuing our conversation",
    b"Your task is to create a detailed summary of the conversation so far",
];

/// How they begin turns of their own that come with all the tools.
const WITH_TOOLS: [(&[u8], Side); 3] = [
    (b"[SUGGESTION MODE:", Side::Suggestion),
    (b"Warmup\"", Side::Probe),
    (b"The user stepped away and is coming back", Side::Auxiliary),
];

/// How they begin turns, or system prompts, of their own that come without tools.
const WITHOUT_TOOLS: [(&[u8], Side); 8] = [
    (
        b"Generate an enhanced version of this prompt",
        Side::Auxiliary,
    ),
    (b"<policy_spec>", Side::Auxiliary),
    (b"Your task is to process Bash commands", Side::Auxiliary),
    (
        b"Extract any file paths that this command reads",
        Side::Auxiliary,
    ),
    (
        b"Analyze if this message indicates a new conversation topic",
        Side::Title,
    ),
    (b"You are a title generator", Side::Title),
    (
        b"### Task:\\nYou are an autocompletion system",
        Side::Suggestion,
    ),
    (b"Web page content:", Side::Auxiliary),
];

/// System prompts of Claude Code's background calls are shorter than this; those of its main loop are ten times as long.
const BACKGROUND: u32 = 4096;

/// What the body tells: a side request and which, a summary, or nothing of the kind.
pub(super) fn seen(prompt: &Prompt, kind: ClientKind) -> Option<(Class, Option<Side>)> {
    let facts = prompt.facts();
    let side = |side| Some((Class::Side, Some(side)));
    if facts.max_tokens.is_some_and(|n| n <= 1) {
        return side(Side::Probe);
    }
    let newest = newest(prompt)?;
    if COMPACTIONS.iter().any(|words| newest.starts_with(words)) {
        return Some((Class::Compaction, None));
    }
    let begun = WITH_TOOLS
        .iter()
        .find(|(words, _)| newest.starts_with(words));
    if let Some((_, which)) = begun.filter(|_| kind == ClientKind::ClaudeCode) {
        return side(*which);
    }
    if facts.tool_count > 0 || facts.turns.iter().any(|t| t.has(PartKind::Tools)) {
        return None;
    }
    // The newest turn may ask about the whole conversation; a system prompt that is about one is no conversation's own.
    let short = facts.turns.len() <= 3;
    let systems = system_parts(facts)
        .take(4)
        .map(|part| unquoted(beginning(prompt, part)));
    let texts = std::iter::once(newest).chain(systems.filter(|_| short));
    for text in texts {
        let mut known = WITHOUT_TOOLS.iter();
        if let Some((_, which)) = known.find(|(words, _)| text.starts_with(words)) {
            return side(*which);
        }
        if let Some(found) = Words::of(text).asks() {
            return Some(found);
        }
    }
    (short && kind == ClientKind::ClaudeCode && is_background(prompt))
        .then_some((Class::Side, Some(Side::Auxiliary)))
}

/// How the newest turn of the user begins, harness blocks and the opening quotation mark aside; nothing where a tool has spoken since.
fn newest(prompt: &Prompt) -> Option<&[u8]> {
    let turns = prompt.facts().turns.iter().rev();
    let turn = turns.into_iter().find(|t| t.speaker != Speaker::System)?;
    if turn.speaker != Speaker::User || turn.has(PartKind::ToolResult) {
        return None;
    }
    let is_text = |part: &&Part| part.kind == PartKind::Text;
    let mut starts = turn
        .parts
        .iter()
        .rev()
        .filter(is_text)
        .map(|part| unquoted(beginning(prompt, part)));
    starts.find(|start| !start.starts_with(b"<system-reminder>"))
}

fn unquoted(start: &[u8]) -> &[u8] {
    start.strip_prefix(b"\"").unwrap_or(start)
}

/// Whether this is how Claude Code, with a person before it, calls for something of its own.
fn is_background(prompt: &Prompt) -> bool {
    let facts = prompt.facts();
    let on_a_terminal = facts
        .system
        .first()
        .is_some_and(|part| memmem::find(beginning(prompt, part), b"cc_entrypoint=cli;").is_some());
    let length: u32 = facts.system.iter().map(|p| p.span.end - p.span.start).sum();
    on_a_terminal && facts.system.len() >= 3 && length < BACKGROUND
}

#[cfg(test)]
mod tests;
