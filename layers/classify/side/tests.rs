//! What is a client's own, and what its user's.
use super::*;
use crate::{
    classify::TierClassifier,
    names::Names,
    testing::{ask, chat_request, messages_request},
};
use serde_json::json;

fn own(system: &str, user: &str) -> Option<Side> {
    let body = json!({"model": "auto", "messages": [
        {"role": "system", "content": system}, {"role": "user", "content": user}]});
    Client::of(&chat_request(&body.to_string())).side
}

#[test]
fn what_clients_ask_for_themselves() {
    let none = "You are a helpful assistant.";
    for (system, user, expected) in [
        (
            none,
            "Please write a 5-10 word title for the following conversation:\n\nUser: hi",
            Side::Title,
        ),
        (
            none,
            "Given the following... please reply with a title for the chat that is 3-4 words in length",
            Side::Title,
        ),
        (
            none,
            "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history",
            Side::Title,
        ),
        (
            none,
            "### Task:\nSuggest 3-5 relevant follow-up questions that the user might ask next in this chat",
            Side::Suggestion,
        ),
        (
            none,
            "### Task:\nAnalyze the chat history to determine the necessity of generating search queries",
            Side::Auxiliary,
        ),
        (
            "You are an expert in crafting pithy titles for chatbot conversations.",
            "Please write a brief title",
            Side::Title,
        ),
        (
            "Based on the conversation so far, provide a concise description of this session in 4 words or less.",
            "- hi",
            Side::Title,
        ),
        (
            "You are an expert software engineer that generates concise, one-line Git commit messages",
            "diff",
            Side::Commit,
        ),
        (
            "Summarize this coding conversation in under 50 characters.",
            "User: hi",
            Side::Title,
        ),
    ] {
        assert_eq!(own(system, user), Some(expected), "{system} / {user}");
    }
}

#[test]
fn what_users_ask_is_theirs() {
    let none = "You are a helpful assistant.";
    for (system, user) in [
        (none, "Create a title bar for the chat window"),
        (none, "Write a title for my essay about whales"),
        (none, "Add a title column to the sessions table"),
        (none, "why does the conversation list show no titles?"),
        (none, "Generate an image gallery for this thread of photos"),
        (
            none,
            "Write a function that names sessions after the user in 3 lines",
        ),
        (none, "hi"),
        (
            "You are the assistant of a forum. Answer questions about threads.",
            "how do I delete one?",
        ),
    ] {
        assert_eq!(own(system, user), None, "{system} / {user}");
    }
}

#[test]
fn with_tools_a_question_is_the_users() {
    let tooled = |text: &str| {
        let body = json!({"model": "auto", "max_tokens": 100, "tools": [{"name": "Bash", "input_schema": {}}],
            "system": "You are Claude Code, Anthropic's official CLI for Claude.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": text}, {"type": "text", "text": "<system-reminder>\nx\n</system-reminder>"}]}]});
        Client::of(&messages_request(&body.to_string()))
    };
    assert_eq!(
        tooled("Generate a title for this conversation").class,
        Class::Main
    );
    assert_eq!(tooled("Warmup").side, Some(Side::Probe));
    assert_eq!(tooled("Warmup exercises for a runner").class, Class::Main);
    assert_eq!(
        tooled("[SUGGESTION MODE: what might come next]").side,
        Some(Side::Suggestion)
    );
    let summary = "Your task is to create a detailed summary of the conversation so far, paying close attention";
    assert_eq!(tooled(summary).class, Class::Compaction);
    let with_result = messages_request(
        r#"{"model":"auto","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"x"},{"type":"text","text":"Generate a title for this conversation"}]}]}"#,
    );
    assert_eq!(Client::of(&with_result).class, Class::Main);
}

#[test]
fn compaction_without_a_header() {
    for (system, user) in [
        (
            "You are a helpful AI assistant tasked with summarizing conversations. Give a summary.",
            "go",
        ),
        (
            "x",
            "You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary.",
        ),
        (
            "x",
            "<explicit_instructions type=\"summarize_task\">\nThe current conversation",
        ),
        (
            "x",
            "*Briefly* summarize this partial conversation about programming.",
        ),
        ("x", "Please summarize our session so far"),
    ] {
        let body = json!({"model": "auto", "messages": [
            {"role": "system", "content": system}, {"role": "user", "content": user}]});
        let req = chat_request(&body.to_string());
        assert_eq!(Client::of(&req).class, Class::Compaction, "{user}");
    }
}

#[test]
fn the_policy_moves_what_was_not_asked_for() {
    let policy = SideRequests::new(TierClassifier::new(Names::default()));
    let title = "Generate a title for this conversation:\n\nprove that sqrt(2) is irrational";
    assert_eq!(
        policy.classify(&ask("auto", title)).map(|d| d.tier),
        Some(Tier::Simple)
    );
    let named = policy.classify(&ask("tierway/complex", title));
    assert_eq!(named.map(|d| d.tier), Some(Tier::Complex));
    assert_eq!(policy.classify(&ask("nobody-knows", title)), None);
    assert_eq!(
        policy.explain(&ask("auto", title)).decision,
        policy.classify(&ask("auto", title))
    );
}

#[test]
fn plans_of_real_work_are_complex_and_lookups_are_not() {
    let policy = SideRequests::new(TierClassifier::new(Names::default()));
    let planned = |text: &str| {
        let reminder = "<system-reminder>\nPlan mode is active. Do not edit.\n</system-reminder>";
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": [
            {"type": "text", "text": reminder}, {"type": "text", "text": text}]}]});
        policy
            .classify(&messages_request(&body.to_string()))
            .unwrap()
    };
    let work =
        planned("write unit tests for parse_duration in util/time.py, negative and garbage too");
    assert_eq!(
        (work.tier, work.notes[0].name.as_ref()),
        (Tier::Complex, "plan_mode")
    );
    assert_eq!(planned("what does HTTP 418 mean?").tier, Tier::Simple);
}

#[test]
fn any_bytes_are_words() {
    for text in [&b"\\"[..], b"\\u12", b"", b"\xff\xfe", &[b'a'; 400]] {
        Words::of(text).asks();
    }
    assert_eq!(Words::of(b"a\\nb c").len, 3);
}
