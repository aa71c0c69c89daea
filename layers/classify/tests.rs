//! What the classifier makes of asks that people write, bare and inside what harnesses wrap around them.
use super::{Decision, Policy, SideRequests, TierClassifier};
use crate::{
    names::Names,
    testing::{ask, chat_request, messages_request},
};
use serde_json::{Value, json};
use tierway_services::chat::{Request, Tier};

const S: &[Tier] = &[Tier::Simple];
const M: &[Tier] = &[Tier::Medium];
const C: &[Tier] = &[Tier::Complex];
const R: &[Tier] = &[Tier::Reasoning];
const SM: &[Tier] = &[Tier::Simple, Tier::Medium];
const MC: &[Tier] = &[Tier::Medium, Tier::Complex];

/// Asks, and the tiers that a person would accept for each.
const ASKS: &[(&[Tier], &str)] = &[
    // talk and lookups
    (S, "hi"),
    (S, "Hello there!"),
    (S, "thanks, that's great"),
    (S, "ok"),
    (S, "What is the capital of France?"),
    (S, "What time is it in Tokyo?"),
    (S, "Say hello"),
    (S, "what does HTTP 418 mean?"),
    (S, "What is a race condition?"),
    (S, "How do I exit vim?"),
    (S, "Translate \"prove the theorem\" into German"),
    (S, "Run the probe command and tell me what it printed."),
    (S, "List all files in the current directory"),
    (S, "Can you verify the file exists"),
    (S, "Prove me wrong lol"),
    (S, "who wrote The Old Man and the Sea"),
    // small edits, wrong-word traps among them
    (S, "Fix typo"),
    (S, "Add an author field to the Book class"),
    (S, "Rename the administrator label"),
    (S, "Change the default timeout to 30 seconds"),
    (S, "Rename `prove_theorem` to `check_theorem`"),
    (S, "Add a comment above the payment import"),
    (S, "bump the version to 1.2.3 and commit"),
    (S, "Sort the pathology reports by date"),
    (S, "Remove the unused import in src/security/audit.rs"),
    (SM, "Write a haiku about production"),
    (SM, "Why is the sky blue?"),
    // everyday work
    (M, "Write unit tests for the date parser"),
    (M, "Explain how TCP congestion control works"),
    (M, "Implement a function that reverses a linked list"),
    (M, "Solve the two-sum problem in Python"),
    (M, "Debug the failing unit test until it passes"),
    (
        M,
        "Summarize this article in three paragraphs for a general audience",
    ),
    (
        M,
        "Create a REST endpoint that returns the user's orders, newest first",
    ),
    (M, "Refactor this function so that it reads better"),
    (M, "Compare PostgreSQL and MySQL for a small web shop"),
    (
        M,
        "Fix the bug where the login page shows a blank screen after a wrong password",
    ),
    (M, "Write an email to my landlord about the broken heating"),
    (M, "Review this pull request"),
    (M, "Figure out why the upload button does nothing on Safari"),
    (
        M,
        "Generate a SQL query that finds customers without orders in the last 90 days",
    ),
    (
        MC,
        "Compare the constitutional history of France and Britain since 1789 and explain how each shaped its capital, with dates, then argue which mattered more.",
    ),
    (
        MC,
        "Build a full-stack todo app with login, tests and a Docker setup",
    ),
    // work that spans things
    (C, "Refactor the entire ingestion pipeline"),
    (
        C,
        "Design a horizontally scalable architecture for a payment platform with failure-mode analysis",
    ),
    (
        C,
        "Implement a distributed rate limiter with Redis and a sliding window, tested under concurrency",
    ),
    (
        C,
        "Migrate the project from Express to Fastify, keeping every route and all middleware working",
    ),
    (
        C,
        "Rename User to Account across all modules and update every test, migration and document",
    ),
    (
        C,
        "Analyse every module of this codebase and write a refactoring plan with priorities",
    ),
    (
        C,
        "Design the database schema and the API for a multi-tenant booking system",
    ),
    (
        C,
        "Rewrite the scheduler so that jobs survive a restart, with idempotent retries and backpressure",
    ),
    (
        C,
        "Split the monolith into microservices: plan the boundaries, the data ownership and the order of migration",
    ),
    (
        C,
        "Add OAuth login across the backend and the frontend: update src/auth.rs, src/session.rs, src/routes.rs, web/login.tsx and the tests",
    ),
    // long inference
    (R, "Prove that sqrt(2) is irrational"),
    (
        R,
        "Give a formal proof that this locking protocol is free of starvation",
    ),
    (R, "Show that the sum of two odd integers is even"),
    (
        R,
        "Find the root cause of this intermittent deadlock in our worker pool",
    ),
    (
        R,
        "We have a race condition between the cache refresh and the writer. Fix it.",
    ),
    (R, "Do a security audit of the authentication module"),
    (R, "Review this service for security vulnerabilities"),
    (R, "Write a threat model for our upload service"),
    (
        R,
        "Think hard about which of these two designs loses data on a crash",
    ),
    (R, "Derive the gradient of the softmax cross-entropy loss"),
    (
        R,
        "Reason step by step: three gods answer da or ja, one lies, one is random",
    ),
    (
        R,
        "Why does the counter get corrupted only under load? Diagnose the memory corruption.",
    ),
    // asked by others, about anything
    (S, "good morning"),
    (S, "yo"),
    (S, "what's 17*23?"),
    (S, "Who is the president of Brazil?"),
    (S, "convert 5 miles to km"),
    (S, "make the button blue"),
    (S, "delete the console.log lines"),
    (S, "rename foo to bar in utils.py"),
    (S, "what's the syntax for a list comprehension"),
    (S, "git status"),
    (S, "add a newline at end of file"),
    (S, "capitalize the heading"),
    (S, "Set the port to 8080"),
    (S, "translate 'good night' to spanish"),
    (S, "is it going to rain tomorrow"),
    (S, "which version of node are we on"),
    (S, "remove trailing whitespace"),
    (S, "show me the contents of package.json"),
    (S, "what does this error mean: ENOENT"),
    (SM, "give me a regex for email addresses"),
    (SM, "tell me a story about a dragon"),
    (SM, "how do I reverse a string in Go"),
    (
        M,
        "Write a Python script that downloads all images from a web page",
    ),
    (M, "Implement binary search in Rust with tests"),
    (M, "why does my React component re-render twice"),
    (M, "Add pagination to the users endpoint"),
    (
        M,
        "Explain the difference between TCP and UDP with examples",
    ),
    (M, "write a cover letter for a data analyst position"),
    (M, "Help me plan a 5-day trip to Japan"),
    (
        M,
        "The test test_login fails with KeyError: 'token'. Fix it.",
    ),
    (M, "Convert this class component to hooks"),
    (M, "review my code"),
    (
        M,
        "Implement retry with exponential backoff for the HTTP client",
    ),
    (
        M,
        "Create a Dockerfile for a Node app with a multi-stage build",
    ),
    (M, "optimize this SQL query"),
    (M, "summarize the meeting notes and list action items"),
    (
        C,
        "Migrate our authentication from sessions to JWT across all services",
    ),
    (
        C,
        "Design a message queue that guarantees exactly-once delivery",
    ),
    (
        C,
        "Build a compiler for a small language with a lexer, parser, type checker and code generator",
    ),
    (
        C,
        "Refactor the payment module into a separate service with its own database and API",
    ),
    (
        C,
        "Rearchitect the frontend: replace Redux with Zustand in every component and update the tests",
    ),
    (
        C,
        "Implement Raft consensus with log replication and snapshots",
    ),
    (C, "Port this whole C++ codebase to Rust module by module"),
    (
        C,
        "design a multi-region deployment with failover for our database",
    ),
    (
        MC,
        "Implement an LRU cache that is thread-safe and has TTL support, with benchmarks",
    ),
    (
        MC,
        "Set up CI/CD with GitHub Actions: lint, test, build, deploy to staging, then production on tag",
    ),
    (R, "Prove by induction that 1+2+...+n = n(n+1)/2"),
    (
        R,
        "Is there a deadlock in this code? find it and explain why",
    ),
    (
        R,
        "Figure out why requests sometimes hang forever, I suspect a race between shutdown and accept",
    ),
    (R, "Audit this smart contract for vulnerabilities"),
    (R, "ultrathink about the best sharding strategy"),
    (
        R,
        "prove or disprove: every continuous function on [0,1] is bounded",
    ),
    (
        R,
        "Find all integer solutions of the equation x^2 + y^2 = 2025 and show that there are no others",
    ),
    (
        R,
        "Is this lock-free queue linearizable? Give a formal proof or a counterexample",
    ),
    (
        R,
        "perform a penetration test plan and threat model for the API",
    ),
    (
        R,
        "what is the root cause of the outage described in this log",
    ),
];

fn decide(req: &Request) -> Decision {
    let policy = SideRequests::new(TierClassifier::new(Names::default()));
    policy.classify(req).unwrap()
}

fn tier(text: &str) -> Tier {
    decide(&ask("auto", text)).tier
}

#[test]
fn labelled_asks() {
    let wrong: Vec<String> = ASKS
        .iter()
        .filter(|(accepted, text)| !accepted.contains(&tier(text)))
        .map(|(accepted, text)| {
            format!("{:?}, not {accepted:?}: {text}", decide(&ask("auto", text)))
        })
        .collect();
    let right = ASKS.len() - wrong.len();
    assert!(
        right * 100 >= ASKS.len() * 95,
        "{right} of {} right:\n{}",
        ASKS.len(),
        wrong.join("\n")
    );
}

/// `text` as Claude Code sends it: reminders around it, a system turn after it, a system prompt and a dozen tools.
fn as_claude_code(text: &str) -> Request {
    let tools: Vec<Value> = (0..12)
        .map(|i| json!({"name": format!("Tool{i}"), "description": "prove, audit security, refactor the entire codebase", "input_schema": {}}))
        .collect();
    messages_request(
        &json!({"model": "claude-opus-5-5", "max_tokens": 128_000, "stream": true, "thinking": {"type": "adaptive"},
            "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2;"}, {"type": "text", "text": "You are an agent. Think step by step about security audits."}],
            "tools": tools,
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "<system-reminder>\nAs you answer, prove that every theorem holds; design a distributed architecture.\n</system-reminder>"},
                    {"type": "text", "text": text}]},
                {"role": "system", "content": "# Environment\nThink hard. Root cause. Deadlock."}]})
        .to_string(),
    )
}

/// `text` as Codex and its kin send it through chat completions.
fn as_codex(text: &str) -> Request {
    chat_request(
        &json!({"model": "gpt-5", "messages": [
            {"role": "developer", "content": "You are a coding agent. Audit security."},
            {"role": "user", "content": "<environment_context>\n  <cwd>/home/dev/race/condition</cwd>\n</environment_context>"},
            {"role": "user", "content": format!("# Context from my IDE setup:\n\n## Active file: security/audit.rs\n\n## My request for Codex:\n{text}")}]})
        .to_string(),
    )
}

/// `text` in the middle of a task: a tool was called and its result is pending, with a reminder after it.
fn amid_a_task(text: &str) -> Request {
    messages_request(
        &json!({"model": "auto", "messages": [
            {"role": "user", "content": "Prove that P is not NP."},
            {"role": "assistant", "content": "No."},
            {"role": "user", "content": text},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "Bash", "input": {"command": "audit --security"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "deadlock; root cause; prove that"},
                {"type": "text", "text": "<system-reminder>think hard</system-reminder>"}]}]})
        .to_string(),
    )
}

#[test]
fn the_same_ask_is_in_the_same_tier_bare_and_wrapped() {
    for (_, text) in ASKS {
        let bare = decide(&ask("auto", text));
        for (name, wrapped) in [
            ("claude code", as_claude_code(text)),
            ("codex", as_codex(text)),
        ] {
            assert_eq!(decide(&wrapped), bare, "{name}: {text}");
        }
        // In a conversation, mere consent goes on with what was asked before.
        if bare.reason != "greeting" {
            assert_eq!(decide(&amid_a_task(text)), bare, "amid a task: {text}");
        }
    }
}

#[test]
fn consent_goes_on_with_what_was_asked() {
    let talk = |last: &str| {
        decide(&chat_request(
            &json!({"model": "auto", "messages": [
                {"role": "user", "content": "Refactor the entire ingestion pipeline"},
                {"role": "assistant", "content": "Shall I begin?"},
                {"role": "user", "content": last}]})
            .to_string(),
        ))
    };
    for consent in ["yes", "ok, please continue", "go ahead", "Yes, do it!"] {
        let decision = talk(consent);
        assert_eq!(
            (decision.tier, decision.reason),
            (Tier::Complex, "continued".into()),
            "{consent}"
        );
    }
    assert_eq!(talk("thanks!").reason, "greeting");
    assert_eq!(talk("Fix the typo in the readme").tier, Tier::Simple);
    let failing = talk("it is still failing");
    assert_eq!(failing.reason, "still_failing");
    assert!(failing.score > talk("yes").score);
}

#[test]
fn side_requests_are_simple_whatever_they_hold() {
    let hard = "Prove that sqrt(2) is irrational";
    let mut hinted = as_claude_code(hard);
    let class = http::HeaderValue::from_static("auxiliary");
    hinted
        .headers_mut()
        .insert("x-claude-code-request-class", class);
    assert_eq!(decide(&hinted).reason, "side_request");
    let probe = messages_request(
        &json!({"model": "auto", "max_tokens": 1, "messages": [{"role": "user", "content": hard}]})
            .to_string(),
    );
    assert_eq!(decide(&probe).reason, "probe");
    let title = messages_request(
        &json!({"model": "claude-opus-5-5", "max_tokens": 128_000,
            "system": [{"type": "text", "text": "You are Claude Code."}, {"type": "text", "text": "You are naming a coding session so the user can find it."}],
            "output_config": {"effort": "medium", "format": {"type": "json_schema", "schema": {"type": "object", "properties": {"title": {"type": "string"}}}}},
            "messages": [{"role": "user", "content": [{"type": "text", "text": format!("<session>\n{hard}\n</session>")}]}]})
        .to_string(),
    );
    assert_eq!(decide(&title).tier, Tier::Simple);
    assert_eq!(decide(&title).reason, "side_request");
    let mut compaction = as_claude_code("hi");
    let class = http::HeaderValue::from_static("compaction");
    compaction
        .headers_mut()
        .insert("x-claude-code-request-class", class);
    assert_eq!(decide(&compaction).reason, "compaction");
    let untold = ask(
        "auto",
        "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools. Summarize.",
    );
    assert_eq!(decide(&untold).reason, "compaction");
}

#[test]
fn a_named_tier_or_model_is_the_callers_own_choice() {
    let names = Names::new(["local"]);
    let classify = |model: &str| TierClassifier::new(names.clone()).classify(&ask(model, "hi"));
    assert_eq!(
        classify("tierway/complex").map(|d| (d.tier, d.reason)),
        Some((Tier::Complex, "asked".into()))
    );
    assert_eq!(classify("gpt-4o-mini").map(|d| d.tier), Some(Tier::Simple));
    assert_eq!(classify("local:qwen"), None);
    assert_eq!(classify("nobody-knows"), None);
}

#[test]
fn code_and_images_count_as_structure() {
    let code = "let proof = prove(theorem);\n".repeat(60);
    let bare = decide(&ask("auto", &format!("```rust\n{code}```")));
    assert_eq!(bare.tier, Tier::Medium, "{bare:?}");
    let renamed = decide(&ask(
        "auto",
        "Rename `x`:\n```\nfn audit_security() {}\n```",
    ));
    assert_eq!(renamed.tier, Tier::Simple);
    let seen = chat_request(
        &json!({"model": "auto", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "data:,"}}]}]})
        .to_string(),
    );
    assert_eq!(decide(&seen).reason, "image");
    let silent = chat_request(r#"{"model":"auto","messages":[]}"#);
    assert_eq!(decide(&silent).reason, "no_ask");
}

#[test]
fn any_text_gets_a_tier_in_linear_time() {
    let hostile = [
        "<".repeat(300_000),
        "`".repeat(300_000),
        "\"a ".repeat(100_000),
        "<x>".repeat(100_000),
        "\u{4f60}\u{597d}".repeat(50_000),
        "a".repeat(300_000),
        "\n".repeat(300_000),
        "prove that ".repeat(30_000),
    ];
    for text in hostile {
        let start = std::time::Instant::now();
        tier(&text);
        assert!(
            start.elapsed().as_secs() < 2,
            "{}",
            text.get(..6).unwrap_or_default()
        );
    }
}
