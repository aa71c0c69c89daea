//! Which rules fire on what, and who wins.
use super::*;
use crate::{
    classify::SideRequests,
    tenants::Allowance,
    testing::{ask, messages_request},
};
use serde_json::json;
use tierway_services::chat::Notes;

/// Work that one may be sorry for, and the floors that hold it.
const WORK: &[(&str, &str)] = &[
    ("rotate the stripe api keys", "secrets"),
    ("Please revoke the leaked credentials", "secrets"),
    (
        "SESSION_SECRET is committed in config/default.json, get it out of the repo",
        "secrets",
    ),
    ("can you encrypt the webhook tokens at rest", "secrets"),
    ("replace the database password in vault", "secrets"),
    (
        "pin the issuer and move signing to RS256 with key rollover",
        "secrets",
    ),
    ("fix the rounding in payments/refund.ts", "payments"),
    (
        "tiny script to charge everyone $20 via the stripe api",
        "payments",
    ),
    (
        "Refactor the payment module into a separate service",
        "payments",
    ),
    ("refund all invoices of march", "payments"),
    ("integrate adyen", "payments"),
    ("run the migration against staging", "migrations"),
    ("drop the users table", "migrations"),
    ("ok so drop the users table then", "migrations"),
    ("yes", ""),
    ("backfill the existing rows without downtime", "migrations"),
    ("rename table payments to charges", "migrations"),
    (
        "delete all rows older than 2021 from the database",
        "migrations",
    ),
    ("migrate our customers to the new schema", "migrations"),
    ("roll back the last migration", "migrations"),
    (
        "prod is down!! 502 on everything since the deploy",
        "production",
    ),
    ("roll back the release on production", "production"),
    (
        "terraform apply in envs/prod, it wants to recreate the instance",
        "production",
    ),
    ("restart the live database", "production"),
    ("- deploy it to prod\n- tell me", "production"),
    ("run the migration against prod", "migrations production"),
    (
        "rename table payments to charges on prod",
        "migrations production",
    ),
    ("Deploy this. What is a canary?", ""),
];

/// Talk that only sounds like it.
const TALK: &[&str] = &[
    "what is a migration?",
    "whats a database migration? short answer",
    "How do I rotate api keys?",
    "is it safe to drop the users table?",
    "can we drop this table?",
    "explain how stripe refunds work",
    "Write a haiku about production",
    "list past productions of our theatre with year and director",
    "Add an author field to the Book class",
    "the lexer drops the last token if the file has no trailing newline, fix it",
    "fix the token handling in the parser",
    "iterate over the map key by key",
    "Add a comment above the payment import",
    "Fix the typo in the billing docs",
    "swap the icon next to \"Payment\" in the sidebar",
    "change label \"Proof of purchase\" to \"Receipt\" on the payment form",
    "whats the log level in config/prod.yml",
    "secret santa script: names from a txt, nobody draws himself, replace duplicates",
    "placeholder of the password input should be \"your password\" not \"Password\"",
    "fix the failing production build",
    "run the production build",
    "upgrade the webpack production config",
    "add a drop shadow to the table",
    "drop the empty columns from the dataframe table",
    "make the column of the table sortable in the UI",
    "replace the payment icon",
    "don't touch production, only run the tests",
    "show the plan without deploying to prod",
    "fix the git checkout step of the workflow",
    "update the production-ready badge",
    "rename prod_url to base_url",
    "```\ndrop table users;\n```\nwhy is this slow",
    "+ run the migration against prod\nis this line of the diff ok",
    "> rotate the api keys\nwho wrote that",
    "sort the invoices by date",
    "what does \"charge the card\" mean in this log",
    "translate \"delete the database rows\" into german",
    "a live stream of the match",
    "the primary key of the token table is an integer",
];

fn ruled(tier: Tier, rules: impl IntoIterator<Item = Rule>) -> Ruled<impl Policy + Clone> {
    Ruled::new(
        move |_: &chat::Request| Some(Decision::new(tier, "test")),
        rules,
    )
}

fn floors(text: &str) -> String {
    let decision = ruled(Tier::Simple, Rule::built_in()).classify(&ask("auto", text));
    let mut names: Vec<String> = decision
        .unwrap()
        .notes
        .iter()
        .map(|note| note.name.trim_start_matches("floor:").to_owned())
        .collect();
    names.sort_unstable();
    names.join(" ")
}

#[test]
fn floors_hold_work_and_not_talk() {
    let mut wrong = Vec::new();
    for (text, expected) in WORK {
        let got = floors(text);
        if got != *expected {
            wrong.push(format!("{got:?}, not {expected:?}: {text}"));
        }
    }
    for text in TALK {
        let got = floors(text);
        if !got.is_empty() {
            wrong.push(format!("{got:?}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn consent_to_risky_work_is_risky() {
    let body = json!({"model": "auto", "messages": [
        {"role": "user", "content": "drop the users table"}, {"role": "assistant", "content": "Shall I?"},
        {"role": "user", "content": "yes, go ahead"}]});
    let decision =
        ruled(Tier::Simple, Rule::built_in()).classify(&messages_request(&body.to_string()));
    assert_eq!(decision.unwrap().to_string(), "test; floor:migrations");
}

#[test]
fn what_a_harness_says_is_no_work_and_neither_is_a_side_request() {
    let reminder = "<system-reminder>\nDeploy to production on tuesdays.\n</system-reminder>";
    let body = json!({"model": "auto", "system": "run the migration on prod", "messages": [{"role": "user", "content": [
        {"type": "text", "text": reminder}, {"type": "text", "text": format!("{reminder}\nfix the typo")}]}]});
    let policy = ruled(Tier::Simple, Rule::built_in());
    assert_eq!(
        policy
            .classify(&messages_request(&body.to_string()))
            .unwrap()
            .to_string(),
        "test"
    );
    let title = ask(
        "auto",
        "Generate a title for this conversation:\n\ndrop the users table",
    );
    let side = SideRequests::new(policy);
    assert_eq!(side.classify(&title).unwrap().notes, []);
    let sub_agent = {
        let mut req = ask("auto", "drop the users table");
        let id = http::HeaderValue::from_static("a1");
        req.headers_mut().insert("x-claude-code-agent-id", id);
        req
    };
    assert_eq!(side.classify(&sub_agent).unwrap().tier, Tier::Complex);
}

#[test]
fn a_phrase_is_whole_words_in_any_case() {
    let rule = Rule::new("ledger", Effect::AtLeast(Tier::Reasoning))
        .phrase("general ledger")
        .phrase("GL")
        .phrase(" ");
    let policy = ruled(Tier::Simple, [rule]);
    for (text, fires) in [
        ("close the General Ledger", true),
        ("the gl, please", true),
        ("the general ledgers", false),
        ("glue it", false),
        ("gl_total", false),
        ("\u{e9}gl\u{e9}", false),
    ] {
        let decision = policy.classify(&ask("auto", text)).unwrap();
        assert_eq!(decision.tier == Tier::Reasoning, fires, "{text}");
    }
}

fn with(
    text: &str,
    headers: &[(&'static str, &'static str)],
    path: &str,
    tenant: &'static str,
) -> chat::Request {
    let mut req = ask("auto", text);
    for (name, value) in headers {
        let value = http::HeaderValue::from_static(value);
        req.headers_mut().insert(*name, value);
    }
    *req.uri_mut() = path.parse().unwrap();
    Notes::of_mut(&mut req).tenant = Some(Tenant::new(tenant));
    req
}

#[test]
fn conditions_of_all_kinds_must_hold_and_one_of_each_is_enough() {
    let rule = Rule::new("batch", Effect::AtMost(Tier::Medium))
        .path("/v1/chat/completions")
        .path("/v1/mess*")
        .header("x-team", "batch-*")
        .tenant("a")
        .tenant("b")
        .client(ClientKind::Aider)
        .class(Class::Main);
    let policy = ruled(Tier::Complex, [rule]);
    let tier = |headers: &[(&'static str, &'static str)], path, tenant| {
        policy
            .classify(&with("hi", headers, path, tenant))
            .unwrap()
            .tier
    };
    let aider = ("user-agent", "aider/1");
    let batch = ("x-team", "batch-7");
    assert_eq!(
        tier(&[aider, batch], "/v1/messages?beta=true", "a"),
        Tier::Medium
    );
    assert_eq!(
        tier(&[aider, batch], "/v1/chat/completions", "b"),
        Tier::Medium
    );
    assert_eq!(
        tier(&[batch], "/v1/messages", "a"),
        Tier::Complex,
        "another client"
    );
    assert_eq!(
        tier(&[aider], "/v1/messages", "a"),
        Tier::Complex,
        "no header"
    );
    assert_eq!(tier(&[aider, batch], "/v1/responses", "a"), Tier::Complex);
    assert_eq!(tier(&[aider, batch], "/v1/messages", "c"), Tier::Complex);
    let never = ruled(
        Tier::Complex,
        [Rule::new("x", Effect::AtMost(Tier::Simple)).header("no header", "*")],
    );
    assert_eq!(
        never.classify(&ask("auto", "hi")).unwrap().tier,
        Tier::Complex
    );
}

#[test]
fn wishes_beat_floors_forces_beat_wishes_and_ceilings_hold_all() {
    let floor = Rule::new("f", Effect::AtLeast(Tier::Complex));
    let force = Rule::new("x", Effect::Exactly(Tier::Medium));
    let ceiling = Rule::new("team-a", Effect::AtMost(Tier::Simple));
    let told = |rules: &[&Rule], wish: Option<&'static str>| {
        let policy = ruled(Tier::Medium, rules.iter().copied().cloned());
        let headers: Vec<_> = wish.map(|w| ("x-tierway-tier", w)).into_iter().collect();
        policy
            .classify(&with("hi", &headers, "/", "t"))
            .unwrap()
            .to_string()
    };
    assert_eq!(told(&[&floor], None), "test; floor:f");
    assert_eq!(told(&[&floor], Some("simple")), "asked");
    assert_eq!(told(&[&floor], Some("auto")), "test; floor:f");
    assert_eq!(told(&[&floor, &force], Some("simple")), "asked; force:x");
    assert_eq!(told(&[&floor, &force], None), "test; force:x");
    assert_eq!(
        told(&[&floor, &ceiling], Some("reasoning")),
        "asked; ceiling:team-a"
    );
    assert_eq!(
        told(&[&floor, &ceiling], None),
        "test; floor:f; ceiling:team-a"
    );
    assert_eq!(
        told(&[&floor], Some("huge")),
        "test; floor:f",
        "refused elsewhere"
    );
}

#[test]
fn a_tenant_gets_the_highest_tier_that_it_may_use() {
    let some = Allowance::default().tiers([Tier::Simple, Tier::Medium]);
    let policy = ruled(
        Tier::Simple,
        [Rule::new("f", Effect::AtLeast(Tier::Reasoning))],
    )
    .tenants(Tenants::default().with("interns", some));
    let decision = policy.classify(&with("hi", &[], "/", "interns")).unwrap();
    assert_eq!(
        (decision.tier, decision.to_string().as_str()),
        (Tier::Medium, "test; floor:f; allowed:interns")
    );
    assert_eq!(
        policy
            .classify(&with("hi", &[], "/", "others"))
            .unwrap()
            .tier,
        Tier::Reasoning
    );
    assert_eq!(
        policy.explain(&with("hi", &[], "/", "interns")).decision,
        Some(decision)
    );
}

#[test]
fn the_later_of_two_rules_of_one_name_counts() {
    let rules = Rule::built_in()
        .chain([Rule::new("migrations", Effect::AtLeast(Tier::Reasoning)).risk(Risk::Migrations)]);
    let decision = ruled(Tier::Simple, rules)
        .classify(&ask("auto", "drop the users table"))
        .unwrap();
    assert_eq!((decision.tier, decision.notes.len()), (Tier::Reasoning, 1));
    assert_eq!(
        Rule::new("a b;c\n", Effect::AtMost(Tier::Simple)).note,
        "ceiling:abc"
    );
    assert_eq!(Risk::named("secrets"), Some(Risk::Secrets));
}

#[test]
fn many_floors_keep_the_highest() {
    let rules = (0..20).map(|i| {
        let tier = if i == 19 {
            Tier::Reasoning
        } else {
            Tier::Medium
        };
        Rule::new(format!("r{i}"), Effect::AtLeast(tier))
    });
    let decision = ruled(Tier::Simple, rules)
        .classify(&ask("auto", "hi"))
        .unwrap();
    assert_eq!((decision.tier, decision.notes.len()), (Tier::Reasoning, 8));
}

#[test]
fn what_decides_nothing_is_left_alone() {
    let policy = Ruled::new(|_: &chat::Request| None, Rule::built_in());
    assert_eq!(policy.classify(&ask("auto", "drop the users table")), None);
}

#[test]
fn any_text_is_read_in_bounded_time() {
    let policy = ruled(Tier::Simple, Rule::built_in());
    for text in [
        "key ".repeat(200_000),
        "secret.".repeat(100_000),
        "\u{e9}key\u{1f980}".repeat(50_000),
        "drop table ".repeat(100_000),
        "`".repeat(300_000),
    ] {
        let req = ask("auto", &text);
        let start = std::time::Instant::now();
        policy.classify(&req);
        assert!(start.elapsed().as_millis() < 1000, "{}", &text[..4]);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_odd(text in "([a-z]{0,3}|drop|table|prod|key|api|\u{e9}|[ .?\n`_/+-]){0,30}") {
        ruled(Tier::Simple, Rule::built_in()).classify(&ask("auto", &text));
    }
}
