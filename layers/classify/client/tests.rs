//! Who is taken for whom, by headers and by bodies.
use super::*;
use crate::testing::{chat_request, messages_request};
use serde_json::json;

fn with(mut req: chat::Request, headers: &[(&'static str, &'static str)]) -> Client {
    for (name, value) in headers {
        let value = http::HeaderValue::from_static(value);
        req.headers_mut().insert(*name, value);
    }
    Client::of(&req)
}

fn bare() -> chat::Request {
    chat_request(r#"{"model":"auto","messages":[{"role":"user","content":"fix the parser"}]}"#)
}

#[test]
fn headers_name_the_client() {
    for (name, value, kind) in [
        (
            "user-agent",
            "claude-cli/2.1.330 (external, sdk-cli)",
            ClientKind::ClaudeCode,
        ),
        (
            "user-agent",
            "codex_cli_rs/0.169.0 (Debian 12.0.0; x86_64)",
            ClientKind::Codex,
        ),
        ("user-agent", "Zed/0.200.3 (linux; x86_64)", ClientKind::Zed),
        ("user-agent", "Cline/3.60.0", ClientKind::Cline),
        ("user-agent", "OpenAI/Python 3.54.0", ClientKind::Other),
        ("user-agent", "continued/1", ClientKind::Other),
        ("originator", "codex_vscode", ClientKind::Codex),
        ("x-title", "Roo Code", ClientKind::RooCode),
        ("x-title", "Open WebUI", ClientKind::OpenWebUi),
        ("x-title", "Zedong", ClientKind::Other),
        ("x-claude-code-session-id", "1", ClientKind::ClaudeCode),
    ] {
        let got = with(bare(), &[(name, value)]);
        assert_eq!(
            (got.kind, got.class),
            (kind, Class::Main),
            "{name}: {value}"
        );
    }
}

#[test]
fn where_headers_are_silent_the_system_prompt_tells() {
    for (system, kind) in [
        (
            "You are Cline, a highly skilled engineer.",
            ClientKind::Cline,
        ),
        (
            "<important_rules>\n  You are in agent mode.",
            ClientKind::Continue,
        ),
        (
            "You are an assistant. You operate in Cursor.",
            ClientKind::Cursor,
        ),
        ("You are a helpful assistant.", ClientKind::Other),
    ] {
        let req = chat_request(
            &json!({"model": "auto", "messages": [{"role": "system", "content": system}, {"role": "user", "content": "fix it"}]})
                .to_string(),
        );
        assert_eq!(Client::of(&req).kind, kind, "{system}");
    }
    // What a user says about a client makes nobody that client.
    let talk = chat_request(
        r#"{"model":"auto","messages":[{"role":"user","content":"You are Cline, a highly skilled engineer."}]}"#,
    );
    assert_eq!(Client::of(&talk).kind, ClientKind::Other);
}

#[test]
fn what_the_client_says_is_believed_before_its_body() {
    let title = || {
        chat_request(
            r#"{"model":"auto","messages":[{"role":"user","content":"Generate a title for this conversation"}]}"#,
        )
    };
    let class = "x-claude-code-request-class";
    assert_eq!(Client::of(&title()).side, Some(Side::Title));
    assert_eq!(with(title(), &[(class, "main")]).class, Class::Main);
    assert_eq!(
        with(title(), &[(class, "auxiliary")]).side,
        Some(Side::Title)
    );
    assert_eq!(
        with(bare(), &[(class, "auxiliary")]).side,
        Some(Side::Auxiliary)
    );
    assert_eq!(
        with(bare(), &[(class, "compaction")]).class,
        Class::Compaction
    );
}

#[test]
fn agents_of_the_main_agent() {
    let root = r#"{"session_id":"s","agent_name":"/root","request_kind":"turn"}"#;
    let other = r#"{"session_id":"s","agent_name":"/root/reviewer","request_kind":"turn"}"#;
    let codex = ("originator", "codex_exec");
    let turn = "x-codex-turn-metadata";
    assert_eq!(with(bare(), &[codex, (turn, root)]).class, Class::Main);
    assert_eq!(with(bare(), &[codex, (turn, other)]).class, Class::SubAgent);
    let review = ("x-openai-subagent", "review");
    assert_eq!(with(bare(), &[codex, review]).class, Class::SubAgent);
    let compact = ("x-openai-subagent", "compact");
    assert_eq!(with(bare(), &[codex, compact]).class, Class::Compaction);
    let billed = messages_request(
        r#"{"model":"auto","system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2; cc_is_subagent=true;"}],"messages":[{"role":"user","content":"look"}]}"#,
    );
    let expected = Client {
        kind: ClientKind::ClaudeCode,
        class: Class::SubAgent,
        side: None,
    };
    assert_eq!(Client::of(&billed), expected);
}

#[test]
fn plans_are_wanted_by_a_reminder_and_not_by_talk() {
    let planning = |text: &str, then: &str| {
        let body = json!({"model": "auto", "messages": [
            {"role": "user", "content": [{"type": "text", "text": text}, {"type": "text", "text": "move the queue to redis"}]},
            {"role": "assistant", "content": "ok"},
            {"role": "user", "content": then}]});
        Client::of(&messages_request(&body.to_string())).class
    };
    let reminder = "<system-reminder>\nPlan mode is active. The user does not want you to execute yet.\n</system-reminder>";
    assert_eq!(planning("hello", reminder), Class::Plan);
    assert_eq!(
        planning(reminder, "go ahead"),
        Class::Main,
        "that was before"
    );
    assert_eq!(
        planning("hello", "why does it say Plan mode is active?"),
        Class::Main
    );
    let cline = "<environment_details>\nfiles\n\n# Current Mode\nPLAN MODE\nIn this mode\n</environment_details>";
    assert_eq!(planning("hello", cline), Class::Plan);
}

#[test]
fn what_was_found_above_stands() {
    let mut req = bare();
    let found = Client {
        kind: ClientKind::Goose,
        class: Class::Side,
        side: Some(Side::Title),
    };
    req.extensions_mut().insert(found);
    assert_eq!(Client::of(&req), found);
    assert!(found.is_own_account() && found.is_harness());
    for kind in ClientKind::ALL {
        assert_eq!(ClientKind::named(kind.as_str()), Some(*kind));
    }
    assert_eq!(Class::named("nothing"), None);
}
