"""The bodies that coding clients put on the wire, around an ask.

A conversation is a list of turns, the same for every client:

    {"user": "text"}                                   the person typed this
    {"assistant": "text", "calls": [(tool, {args})]}   the model answered, perhaps with tool calls
    {"results": [("output", is_error), ...]}           the client ran them, in the order of the calls

`CLIENTS[name](key, turns)` gives `(path, headers, body)`. `key` is the id of the row: whatever varies
between two rows of the same client (open files, project notes, model, which of two shapes) is drawn
from it, so that the same row is always built alike.

System prompts, tool descriptions and project notes are shortened and in our own words. They are full of
words such as security, production, payment or migration on purpose: every real prompt is, and a router
that reads them sends everything to the largest model.
"""

import json
import zlib

from shapes_tools import CLAUDE_TOOLS, CODEX_TOOLS, CURSOR_TOOLS

ZERO = "00000000-0000-4000-8000-000000000000"


def draw(key, salt, options):
    """One of `options`, always the same one for the same key and salt."""
    return options[zlib.crc32(f"{salt}:{key}".encode()) % len(options)]


NOTES = [
    "# Shop\nPayments go through src/payments, never log card data. Production deploys happen on tuesdays.\n"
    "- run `make lint test` before a commit\n- migrations live in db/migrations and need a review",
    "# Gateway\nArchitecture: see docs/architecture.md. Concurrency rules: no lock is held over an await.\n"
    "- think hard before touching the scheduler\n- secrets come from vault, never from files",
    "# Notes app\nSmall app, keep it simple.\n- prettier, 2 spaces\n- no new dependencies without asking",
    "# Ledger\nSecurity first: authentication and authorization are checked in middleware/auth.ts.\n"
    "- money is integer cents\n- never run scripts against the production database",
]
FILES = [
    ("src/auth/session.ts", "export function session(req) {\n  return req.cookies.sid ?? null\n}"),
    ("db/migrations/0042_add_tenant.sql", "ALTER TABLE projects ADD COLUMN tenant_id uuid;"),
    ("src/components/Header.tsx", "export const Header = () => <header className=\"top\">Acme</header>"),
    ("README.md", "# acme\n\nInternal tools."),
    ("payments/refund.ts", "export const refund = (cents: number) => gateway.refund({ amount: cents })"),
    ("worker/queue.py", "def take(self):\n    with self.lock:\n        return self.items.popleft()"),
]
CC_BETA = ("claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
           "per-turn-control-2026-07-01,effort-2025-11-24")
CC_USER = json.dumps({"device_id": "0" * 64, "account_uuid": "", "session_id": ZERO})
CC_AGENT = (
    "\nYou are an agent working with the user towards their goal in a software project. Use the tools at hand.\n\n"
    "# Safety\nHelp with authorized security testing, defensive work and education; refuse destructive attacks and "
    "mass credential theft. Never introduce vulnerabilities such as command injection, XSS or SQL injection. Never "
    "commit secrets. Ask before a step that is hard to undo: deleting branches, dropping tables, force pushes, "
    "anything that reaches production or sends money.\n\n"
    "# Doing tasks\nThe user will mostly ask for software engineering work: fixing bugs, new features, refactoring, "
    "explaining code. For complex tasks with several steps plan first; for architecture decisions present the "
    "trade-offs. Do not add error handling for what cannot happen. Prefer editing to creating files.\n\n"
    "# Tone\nShort and concrete. Cite code as file_path:line_number.\n")
CC_ENV = (
    "# Environment\nYou have been invoked in the following environment:\n - Primary working directory: "
    "/home/dev/project\n - Is a git repository: true\n - Platform: linux\n - Shell: bash\n - OS Version: Linux 6.1.0\n"
    " - The most capable models are made for complex reasoning; the fast ones for simple work.\n\n"
    "gitStatus: This is the git status at the start of the conversation.\nCurrent branch: {branch}\n\nStatus:\n"
    " M {file}\n\nRecent commits:\n3f9ac21 fix race in the payment webhook\nb81d02e migrate sessions to the new schema\n"
    "77aa01c prove the invariant in a comment\n\nThe following deferred tools are now available via ToolSearch: "
    "CronCreate, EnterWorktree, Monitor, NotebookEdit, TaskStop, WebFetch, WebSearch")


def filler(size):
    """Prose of about `size` characters, so that some bodies are as long as the real ones (48 kB)."""
    out, n = [], 0
    while sum(map(len, out)) < size:
        n += 1
        out.append(f"{n}. When {draw(n, 'w', ['a tool fails', 'tests are red', 'the task is complex', 'a file is missing'])}, "
                   f"{draw(n, 'd', ['say so and stop', 'look for the root cause', 'plan before you edit', 'ask once'])}; "
                   f"{draw(n, 'n', ['keep secrets out of logs', 'leave production alone', 'prefer small steps'])}.\n")
    return "".join(out)


def reminder(text):
    return {"type": "text", "text": f"<system-reminder>\n{text}\n</system-reminder>"}


def claude_headers(entry="cli", extra=None):
    headers = {
        "user-agent": f"claude-cli/2.1.330 (external, {entry})",
        "x-app": "cli",
        "x-claude-code-session-id": ZERO,
        "anthropic-version": "2023-06-01",
        "anthropic-beta": CC_BETA,
    }
    headers.update(extra or {})
    return headers


def claude_system(entry="cli", agent=CC_AGENT, subagent=False):
    bill = f"x-anthropic-billing-header: cc_version=2.1.330.83a; cc_entrypoint={entry};"
    bill += " cc_is_subagent=true;" if subagent else ""
    who = ("You are Claude Code, Anthropic's official CLI for Claude." if entry == "cli"
           else "You are a Claude agent, built on Anthropic's Claude Agent SDK.")
    cache = {"type": "ephemeral"}
    return [{"type": "text", "text": bill}, {"type": "text", "text": who, "cache_control": cache},
            {"type": "text", "text": agent, "cache_control": cache}]


def claude_messages(key, turns, first_extra=()):
    file = draw(key, "file", FILES)[0]
    env = CC_ENV.format(branch=draw(key, "branch", ["main", "fix/login-race", "feat/tenant", "deps"]), file=file)
    notes = reminder("As you answer the user's questions, you can use the following context:\n# claudeMd\n"
                     f"Contents of /home/dev/project/CLAUDE.md (project instructions):\n\n{draw(key, 'notes', NOTES)}\n\n"
                     "This context may or may not be relevant to the task. Do not answer it unless it is.")
    commits = reminder("Attribution for git commits and pull requests: end the message with a Co-Authored-By line "
                       "that names the model. Applies to commits you author, not to other authors.")
    first = [notes, commits] if draw(key, "md", [True, True, False]) else [commits]
    first += list(first_extra)
    out, ids, n = [], [], 0
    for turn in turns:
        if "user" in turn:
            block = {"type": "text", "text": turn["user"]}
            content = first + [block] if not out else [block]
            if out and draw(key, f"todo{len(out)}", [True, False]):
                content = [reminder("The task tools have not been used recently. If you are on a complex task with "
                                    "several steps, consider tracking it. Ignore this if not applicable.")] + content
            out.append({"role": "user", "content": content})
            if len(out) == 1:
                out.append({"role": "system", "content": env, "output_config": {"effort": "medium"}})
        elif "assistant" in turn:
            content = [{"type": "text", "text": turn["assistant"]}] if turn["assistant"] else []
            ids = []
            for name, args in turn.get("calls", []):
                n += 1
                ids.append(f"toolu_{zlib.crc32(f'{key}:{n}'.encode()):08x}{n:04d}")
                content.append({"type": "tool_use", "id": ids[-1], "name": name, "input": args})
            out.append({"role": "assistant", "content": content})
        else:
            out.append({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": i, "content": text, "is_error": bad}
                for i, (text, bad) in zip(ids, turn["results"])]})
    return out


def claude_code(key, turns, headers=None, subagent=False, first_extra=()):
    entry = draw(key, "entry", ["cli", "cli", "sdk-cli"])
    if subagent:
        headers = {"x-claude-code-agent-id": "acf22f3c7f95ce13c", **(headers or {})}
    agent = CC_AGENT if not subagent else (
        "You are an agent for Claude Code. Given the user's message, use the tools to complete the task fully, no "
        "more. Report back concisely: what was done, key findings, absolute file paths. Be careful with production "
        "and secrets.\n")
    tools = CLAUDE_TOOLS[1:] if subagent else CLAUDE_TOOLS
    if draw(key, "full", [True] + 7 * [False]):
        agent += filler(10_000)
        tools = [{**tool, "description": tool["description"] + "\n" + filler(3_500)} for tool in tools]
    body = {
        "model": draw(key, "model", ["claude-opus-5-5", "claude-sonnet-5", "auto"]),
        "messages": claude_messages(key, turns, first_extra),
        "system": claude_system(entry, agent, subagent),
        "tools": tools,
        "metadata": {"user_id": CC_USER},
        "max_tokens": 128000,
        "thinking": {"type": "adaptive", "display": "updates"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "stream": True,
    }
    return "/v1/messages?beta=true", claude_headers(entry, headers), body


CODEX_BASE = (
    "You are a coding agent running in the Codex CLI, a terminal-based assistant. You are expected to be precise, safe "
    "and helpful.\n\n# Planning\nUse a plan for complex, multi-step or ambiguous work; skip it for simple queries that "
    "you can answer at once.\n\n# Task execution\nKeep going until the query is resolved. Fix the root cause, not the "
    "symptom. Do not fix unrelated bugs. Never revert changes you did not make. Never print secrets.\n\n# Validation\n"
    "Run the narrowest tests first. For security audits or reviews put findings first, by severity, with the file.\n")
CODEX_SKILLS = ("<skills_instructions>\n## Skills\nA skill is a set of local instructions kept in a SKILL.md file.\n"
                "- migrate-db: plan and run a database migration\n- security-review: audit a diff\n"
                "- imagegen: make images\n</skills_instructions>")
CODEX_PERMS = ("<permissions instructions>\nFilesystem sandboxing defines which files can be read or written. "
               "`sandbox_mode` is `workspace-write`: network access is restricted; ask for approval before "
               "destructive commands.\n</permissions instructions>")


def codex_item(role, *texts):
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "id": f"msg_{ZERO}", "role": role,
            "content": [{"type": kind, "text": text} for text in texts]}


def codex(key, turns, extra_items=()):
    known = draw(key, "known", [True, False])
    items = []
    if known:
        items.append({"type": "additional_tools", "id": f"at_{ZERO}", "role": "developer",
                      "tools": [{"type": "namespace", "name": "functions", "description": "", "tools": CODEX_TOOLS}]})
    long = filler(17_000) if draw(key, "full", [True] + 7 * [False]) else ""
    items.append(codex_item("developer", CODEX_BASE + long))
    items.append(codex_item("developer", CODEX_SKILLS, CODEX_PERMS))
    if draw(key, "agents", [True, False]):
        items.append(codex_item("user", "# AGENTS.md instructions for /home/dev/project\n\n<INSTRUCTIONS>\n"
                                f"{draw(key, 'notes', NOTES)}\n</INSTRUCTIONS>"))
    items.append(codex_item("user", "<environment_context>\n  <cwd>/home/dev/project</cwd>\n  <shell>bash</shell>\n"
                            "  <current_date>2026-11-20</current_date>\n  <timezone>Etc/UTC</timezone>\n"
                            "</environment_context>"))
    ids, n = [], 0
    for turn in turns:
        if "user" in turn:
            items.append(codex_item("user", turn["user"]))
        elif "assistant" in turn:
            if turn["assistant"]:
                items.append({**codex_item("assistant", turn["assistant"]), "status": "completed"})
            ids = []
            for name, args in turn.get("calls", []):
                n += 1
                ids.append(f"call_{zlib.crc32(f'{key}:{n}'.encode()):08x}{n:04d}")
                cmd = args.get("command") or args.get("cmd") or f"sed -n 1,200p {args.get('file_path', '.')}"
                items.append({"type": "function_call", "id": f"fc_{ids[-1]}", "status": "completed",
                              "name": "exec_command", "arguments": json.dumps({"cmd": cmd}), "call_id": ids[-1]})
        else:
            for i, (text, bad) in zip(ids, turn["results"]):
                items.append({"type": "function_call_output", "id": f"fco_{ZERO}", "call_id": i, "output":
                              f"Chunk ID: 85518c\nWall time: 0.4 seconds\nProcess exited with code {int(bad)}\n"
                              f"Output:\n{text}\n"})
    items += list(extra_items)
    body = {
        "model": draw(key, "cxmodel", ["gpt-6.1-sol", "gpt-6-astra"]) if known else "auto",
        "stream": True, "input": items, "tool_choice": "auto", "parallel_tool_calls": True,
        "reasoning": {"summary": "auto"}, "store": False, "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": ZERO, "client_metadata": {"session_id": ZERO, "thread_id": ZERO, "turn_id": ZERO},
    }
    if not known:
        body["tools"] = CODEX_TOOLS + [{"type": "web_search", "external_web_access": True}]
    headers = {"user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64) unknown (codex_exec; 0.169.0)",
               "originator": "codex_exec", "session-id": ZERO, "thread-id": ZERO}
    return "/v1/responses", headers, body


CURSOR_SYSTEM = (
    "You are a coding agent in the Cursor IDE that helps the USER with software engineering tasks. Follow the "
    "instructions in <user_query>.\n\n<tool_calling>\nUse specialised tools instead of terminal commands. Never talk "
    "about tool names to the USER.\n</tool_calling>\n<making_code_changes>\nRead a file before you edit it. If you "
    "introduced linter errors, fix them. Never write secrets or API keys in code; point out security risks, races and "
    "breaking migrations.\n</making_code_changes>\n<task_management>\nFor complex tasks keep a todo list; skip it for "
    "simple ones.\n</task_management>")


def chat_turns(turns, key, text_of):
    out, ids, n = [], [], 0
    for turn in turns:
        if "user" in turn:
            out.append({"role": "user", "content": text_of(turn["user"], not out)})
        elif "assistant" in turn:
            message = {"role": "assistant", "content": turn["assistant"]}
            ids = []
            for name, args in turn.get("calls", []):
                n += 1
                ids.append(f"call_{zlib.crc32(f'{key}:{n}'.encode()):08x}{n:04d}")
                message.setdefault("tool_calls", []).append(
                    {"id": ids[-1], "type": "function", "function": {"name": name, "arguments": json.dumps(args)}})
            out.append(message)
        else:
            out += [{"role": "tool", "tool_call_id": i, "content": text} for i, (text, _) in zip(ids, turn["results"])]
    return out


def cursor(key, turns, attached=None):
    files = [draw(key, "a", FILES), draw(key, "b", FILES)]
    info = ("<user_info>\nOS Version: darwin 25.1.0\nShell: zsh\nWorkspace Path: /Users/dev/acme\n"
            "Today's date: Friday Nov 20, 2026\n</user_info>\n\n<rules>\n<always_applied_workspace_rules>\n"
            f"{draw(key, 'notes', NOTES)}\n</always_applied_workspace_rules>\n</rules>\n\n")

    def text(ask, first):
        opened = ("<open_and_recently_viewed_files>\nRecently viewed files (recent at the top, oldest at the bottom):\n"
                  + "".join(f"- /Users/dev/acme/{name} (total lines: {20 + len(body)})\n" for name, body in files)
                  + "\nNote: these files may or may not be relevant to the current conversation.\n"
                  "</open_and_recently_viewed_files>\n\n")
        files_in = attached if attached else ([files[0]] if draw(key, "att", [True, False]) else [])
        block = "".join(f'<code_selection path="/Users/dev/acme/{name}" lines="1-{body.count(chr(10)) + 1}">\n'
                        f"{body}\n</code_selection>\n" for name, body in files_in)
        block = f"<attached_files>\n{block}</attached_files>\n\n" if block and first else ""
        parts = [{"type": "text", "text": info}] if first else []
        return parts + [{"type": "text", "text": f"{opened}{block}<user_query>\n{ask}\n</user_query>"}]

    shaped = draw(key, "shape", [True, False])
    tools = CURSOR_TOOLS if shaped else [
        {"type": "function", "function": {"name": t["name"], "description": t["description"],
                                          "parameters": t["input_schema"]}} for t in CURSOR_TOOLS]
    body = {"model": draw(key, "cumodel", ["gpt-6.1-sol", "claude-opus-5-5"]), "user": "u_00000000", "stream": True,
            "messages": [{"role": "system", "content": CURSOR_SYSTEM}] + chat_turns(turns, key, text),
            "tools": tools, "tool_choice": "auto"}
    return "/v1/chat/completions", {"user-agent": "Go-http-client/2.0"}, body


CLINE_SYSTEM = (
    "You are Cline, a highly skilled software engineer with extensive knowledge of many languages, frameworks and "
    "design patterns.\n\n====\n\nTOOL USE\n\nYou have tools that run upon the user's approval, one per message, in "
    "XML:\n\n## execute_command\n<execute_command>\n<command>Your command here</command>\n<requires_approval>true or "
    "false</requires_approval>\n</execute_command>\n\n## read_file\n<read_file>\n<path>File path here</path>\n"
    "</read_file>\n\n## replace_in_file\n<replace_in_file>\n<path>File path here</path>\n<diff>Blocks</diff>\n"
    "</replace_in_file>\n\n## attempt_completion\n<attempt_completion>\n<result>Your final result</result>\n"
    "</attempt_completion>\n\n====\n\nRULES\n\n- Work step by step; think in <thinking> tags before a tool.\n- Set "
    "requires_approval for what installs, deletes, migrates or reaches a production system.\n- Never end with a "
    "question.\n\n====\n\nOBJECTIVE\n\nAnalyze the task, set clear goals, work through them in order.")


def cline(key, turns):
    def env(first):
        tree = "".join(f"{name}\n" for name, _ in FILES)
        listing = f"\n\n# Current Working Directory (/home/dev/acme) Files\n{tree}" if first else ""
        return {"type": "text", "text":
                f"<environment_details>\n# Visual Studio Code Visible Files\n{draw(key, 'v', FILES)[0]}\n\n"
                f"# Visual Studio Code Open Tabs\n{draw(key, 't', FILES)[0]}\n\n# Current Time\n11/20/2026, 2:10:31 PM "
                f"(UTC, UTC+0:00){listing}\n\n# Context Window Usage\n12,204 / 200K tokens used (6%)\n\n"
                "# Current Mode\nACT MODE\n</environment_details>"}

    def text(ask, first):
        tag = "task" if first else "feedback"
        progress = {"type": "text", "text": "# task_progress RECOMMENDED\n\nWhen starting a new task, it is recommended "
                                            "to include a todo list of the steps."}
        return ([{"type": "text", "text": f"<{tag}>\n{ask}\n</{tag}>"}] + ([progress] if first else []) + [env(first)])

    if draw(key, "dialect", [True, False]):
        body = {"model": "claude-sonnet-5", "max_tokens": 8192, "temperature": 0, "stream": True,
                "system": [{"type": "text", "text": CLINE_SYSTEM, "cache_control": {"type": "ephemeral"}}],
                "messages": chat_turns(turns, key, text)}
        return "/v1/messages", {"user-agent": "cline/3.60.0", "anthropic-version": "2023-06-01"}, body
    body = {"model": "auto", "temperature": 0, "stream": True, "stream_options": {"include_usage": True},
            "messages": [{"role": "system", "content": CLINE_SYSTEM}] + chat_turns(turns, key, text)}
    return "/v1/chat/completions", {"user-agent": "cline/3.60.0", "x-title": "Cline"}, body


AIDER_SYSTEM = (
    "Act as an expert software developer.\nAlways use best practices when coding.\nRespect and use existing "
    "conventions and libraries that are already present in the code base.\n\nTake requests for changes to the "
    "supplied code.\nIf the request is ambiguous, ask questions.\n\nOnce you understand the request you MUST decide "
    "whether you need to propose *SEARCH/REPLACE* edits to files that are not in the chat, think step-by-step, explain "
    "the changes in a few short sentences, and give each change as a *SEARCH/REPLACE block*.")
AIDER_RULES = ("# *SEARCH/REPLACE block* Rules:\n\nEvery block starts with the full file path alone on a line, then the "
               "opening fence, then <<<<<<< SEARCH, the lines to find exactly as they are, =======, the lines to put "
               "there, >>>>>>> REPLACE. To move code use two blocks. Only edit files the user *added to the chat*!")


def aider(key, turns):
    name, body = draw(key, "f", FILES)
    shown = [
        {"role": "user", "content": "Change get_factorial() to use math.factorial"},
        {"role": "assistant", "content": "mathweb/flask/app.py\n```python\n<<<<<<< SEARCH\n    return "
                                         "str(get_factorial(n))\n=======\n    return str(math.factorial(n))\n"
                                         ">>>>>>> REPLACE\n```"},
        {"role": "user", "content": "I switched to a new code base. Please don't consider the above files or try to "
                                    "edit them any longer."},
        {"role": "assistant", "content": "Ok."},
        {"role": "user", "content": "Here are summaries of some files present in my git repository.\nDo not propose "
                                    "changes to these files, treat them as *read-only*.\n\n"
                                    + "".join(f"{n}:\n⋮\n│{b.splitlines()[0]}\n⋮\n\n" for n, b in FILES[:4])},
        {"role": "assistant", "content": "Ok, I won't try and edit those files without asking first."},
        {"role": "user", "content": "I have *added these files to the chat* so you can go ahead and edit them.\n\n"
                                    f"{name}\n```\n{body}\n```\n"},
        {"role": "assistant", "content": "Ok, any changes I propose will be to those files."},
    ]
    asked = chat_turns(turns, key, lambda ask, _: ask)
    if draw(key, "reminder", [True, False]):
        asked[-1] = {**asked[-1], "content": asked[-1]["content"] + "\n\n" + AIDER_RULES}
    else:
        asked.append({"role": "system", "content": AIDER_RULES})
    return "/v1/chat/completions", {"user-agent": "litellm/1.80.0"}, {
        "model": "auto", "temperature": 0, "stream": True,
        "messages": [{"role": "system", "content": AIDER_SYSTEM}] + shown + asked}


def continue_dev(key, turns):
    name, code = draw(key, "f", FILES)

    def text(ask, first):
        shown = f"```{name} (1-{code.count(chr(10)) + 1})\n{code}\n```\n\n" if first else ""
        return shown + ask

    rules = ("<important_rules>\n  You are in agent mode.\n\n  If you need to use multiple tools, you can call multiple "
             "read-only tools simultaneously.\n\n  Always include the language and file name in the info string of a "
             "code block.\n</important_rules>")
    tools = [{"type": "function", "function": {"name": n, "description": d, "parameters": {
        "type": "object", "required": ["filepath"], "properties": {"filepath": {"type": "string"}}}}}
        for n, d in [("read_file", "View the contents of an existing file."),
                     ("edit_existing_file", "Edit an existing file; for complex edits read it first."),
                     ("ls", "List files and folders in a directory.")]]
    return "/v1/chat/completions", {"user-agent": "Continue/1.5.0"}, {
        "model": "auto", "stream": True, "max_tokens": 4096, "tools": tools,
        "messages": [{"role": "system", "content": rules}] + chat_turns(turns, key, text)}


def bare(key, turns):
    """The ask with nothing around it, as a plain SDK call in one of the three dialects."""
    kind = draw(key, "bare", ["messages", "chat", "responses"])
    plain = [{"role": "user" if "user" in t else "assistant", "content": t.get("user", t.get("assistant"))}
             for t in turns]
    if kind == "messages":
        return "/v1/messages", {"anthropic-version": "2023-06-01"}, {
            "model": "auto", "max_tokens": 4096, "messages": plain}
    if kind == "chat":
        return "/v1/chat/completions", {}, {"model": "auto", "messages": plain}
    only = plain[0]["content"] if len(plain) == 1 else plain
    return "/v1/responses", {}, {"model": "auto", "input": only}


CLIENTS = {"cc": claude_code, "cx": codex, "cu": cursor, "cl": cline, "ai": aider, "co": continue_dev, "bare": bare}
