//! A property: an ask is graded the same bare and in the wire shape of each coding client, whatever it says.
use super::{Decision, Policy, Ruled, SideRequests, TierClassifier, rules::Rule};
use crate::{names::Names, names::Wish, testing::ask};
use proptest::prelude::*;
use serde_json::{Value, json};
use tierway_services::{
    chat::{Operation, Prompt, Request},
    dialect::Dialect,
};

/// What harnesses say to every model, full of words that would move a tier.
const SYSTEM: &str = "You are an expert software engineer. Think hard about security audits; never drop production tables, \
    never leak secrets. Prove invariants, find root causes, plan complex refactors of the entire codebase.";
const FILE: &str = "payments/refund.ts";
const CODE: &str = "export const refund = (cents: number) => gateway.refund({ amount: cents })";

fn sent(dialect: Dialect, agent: &'static str, body: &Value) -> Request {
    let prompt = Prompt::parse(dialect, Operation::Generate, body.to_string().into()).unwrap();
    let mut req = Request::new(prompt);
    let agent = http::HeaderValue::from_static(agent);
    req.headers_mut().insert(http::header::USER_AGENT, agent);
    req
}

/// As many functions as a harness offers, in the shape of chat completions.
fn functions(names: &[&str]) -> Vec<Value> {
    let one = |name: &&str| json!({"type": "function", "function": {"name": name, "description": SYSTEM, "parameters": {"type": "object"}}});
    names.iter().map(one).collect()
}

fn claude_code(text: &str) -> Request {
    let tools: Vec<Value> = [
        "Bash",
        "Edit",
        "Glob",
        "Grep",
        "Read",
        "Task",
        "TodoWrite",
        "WebFetch",
        "Write",
    ]
    .iter()
    .map(|name| json!({"name": name, "description": SYSTEM, "input_schema": {"type": "object"}}))
    .collect();
    let reminder = format!("<system-reminder>\n{SYSTEM}\n</system-reminder>");
    let body = json!({"model": "auto", "max_tokens": 64_000, "stream": true, "thinking": {"type": "adaptive"}, "tools": tools,
        "system": [{"type": "text", "text": SYSTEM}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": reminder}, {"type": "text", "text": text}]},
            {"role": "system", "content": format!("# Environment\n{SYSTEM}")}]});
    sent(
        Dialect::Messages,
        "claude-cli/2.1.330 (external, cli)",
        &body,
    )
}

fn codex(text: &str) -> Request {
    let says = |role: &str, kind: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]});
    let environment =
        "<environment_context>\n  <cwd>/home/dev/race/condition</cwd>\n</environment_context>";
    let body = json!({"model": "auto", "instructions": SYSTEM, "stream": true, "prompt_cache_key": "k", "reasoning": {"summary": "auto"},
        "tools": [{"type": "function", "name": "exec_command", "description": SYSTEM, "parameters": {"type": "object"}}],
        "input": [says("developer", "input_text", "<permissions instructions>\nNever delete.\n</permissions instructions>"),
            says("user", "input_text", environment), says("user", "input_text", text)]});
    sent(Dialect::Responses, "codex_exec/0.169.0", &body)
}

fn cursor(text: &str) -> Request {
    let wrapped = format!(
        "<open_and_recently_viewed_files>\nRecently viewed files:\n- /Users/dev/{FILE} (total lines: 21)\n\
         </open_and_recently_viewed_files>\n\n<attached_files>\n<code_selection path=\"/Users/dev/{FILE}\" lines=\"1-1\">\n{CODE}\n\
         </code_selection>\n</attached_files>\n\n<user_query>\n{text}\n</user_query>"
    );
    let info =
        format!("<user_info>\nOS Version: darwin\n</user_info>\n\n<rules>\n{SYSTEM}\n</rules>");
    let body = json!({"model": "auto", "stream": true, "user": "u_0", "tools": functions(&["read_file", "edit_file", "run_terminal_cmd"]),
        "messages": [{"role": "system", "content": format!("You are a coding agent in the Cursor IDE. {SYSTEM}")},
            {"role": "user", "content": [{"type": "text", "text": info}, {"type": "text", "text": wrapped}]}]});
    sent(Dialect::ChatCompletions, "Go-http-client/2.0", &body)
}

fn cline(text: &str) -> Request {
    let details = format!(
        "<environment_details>\n# Visual Studio Code Open Tabs\n{FILE}\n{SYSTEM}\n</environment_details>"
    );
    let body = json!({"model": "auto", "max_tokens": 8192, "stream": true, "system": SYSTEM, "messages": [{"role": "user", "content": [
        {"type": "text", "text": format!("<task>\n{text}\n</task>")},
        {"type": "text", "text": "# task_progress RECOMMENDED\n\nInclude a todo list of the steps."},
        {"type": "text", "text": details}]}]});
    sent(Dialect::Messages, "cline/3.60.0", &body)
}

fn continue_dev(text: &str) -> Request {
    let body = json!({"model": "auto", "stream": true, "max_tokens": 4096, "tools": functions(&["read_file", "edit_existing_file", "ls"]),
        "messages": [{"role": "system", "content": format!("<important_rules>\n{SYSTEM}\n</important_rules>")},
            {"role": "user", "content": format!("```{FILE} (1-1)\n{CODE}\n```\n\n{text}")}]});
    sent(Dialect::ChatCompletions, "Continue/1.5.0", &body)
}

fn aider(text: &str) -> Request {
    let rules = "# *SEARCH/REPLACE block* Rules:\n\nEvery block starts with the full file path alone on a line.";
    let body = json!({"model": "auto", "temperature": 0, "stream": true, "messages": [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "Change get_factorial() to use math.factorial"},
        {"role": "assistant", "content": "app.py\n```python\n    return str(math.factorial(n))\n```"},
        {"role": "user", "content": "I switched to a new code base. Please don't consider the above files or try to edit them any longer."},
        {"role": "assistant", "content": "Ok."},
        {"role": "user", "content": format!("I have *added these files to the chat* so you can go ahead and edit them.\n\n{FILE}\n```\n{CODE}\n```\n")},
        {"role": "assistant", "content": "Ok, any changes I propose will be to those files."},
        {"role": "user", "content": format!("{text}\n\n{rules}")}]});
    sent(Dialect::ChatCompletions, "litellm/1.80.0", &body)
}

fn decide(req: &Request) -> Decision {
    let classifier = TierClassifier::new(Names::default().map("*", Wish::Auto));
    let policy = Ruled::new(SideRequests::new(classifier), Rule::built_in());
    policy.classify(req).unwrap()
}

const WORDS: &[&str] = &[
    "add",
    "fix",
    "prove",
    "rename",
    "refactor",
    "write",
    "explain",
    "why",
    "does",
    "the",
    "a",
    "in",
    "of",
    "test",
    "tests",
    "function",
    "deadlock",
    "race",
    "author",
    "field",
    "payments",
    "production",
    "migrate",
    "users",
    "table",
    "schema",
    "line",
    "12",
    "from",
    "to",
    "typo",
    "README.md",
    "src/main.rs",
    "`retry_delay`",
    "\"Send\"",
    "entire",
    "codebase",
    "each",
    "module",
    "please",
    "still",
    "failing",
    "and",
    "design",
    "cache",
    "lock",
    "free",
    "queue",
    "is",
    "it",
    "correct?",
    "show",
    "sql",
    "regex",
    "button",
    "colour",
    "für",
    "datei",
    "schreibe",
    "fonction",
    "修复",
    "登录",
    "ошибка",
    "100",
    "0.5",
    "x^2",
    "n log n",
    "API",
    "keys",
    "rotate",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn an_ask_is_graded_the_same_in_every_client(
        words in proptest::collection::vec((0..WORDS.len(), prop_oneof![8 => Just(" "), 1 => Just(", "), 1 => Just(". "), 1 => Just("\n")]), 1..40)
    ) {
        let text: String = words.iter().map(|(at, gap)| [WORDS[*at], gap].concat()).collect();
        let text = text.trim();
        let bare = decide(&ask("auto", text));
        for (name, wrap) in [
            ("Claude Code", claude_code as fn(&str) -> Request), ("Codex", codex), ("Cursor", cursor), ("Cline", cline),
            ("Continue", continue_dev), ("aider", aider),
        ] {
            prop_assert_eq!(&decide(&wrap(text)), &bare, "{}: {}", name, text);
        }
    }
}
