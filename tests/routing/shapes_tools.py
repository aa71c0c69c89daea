"""Tool lists in the shape that Claude Code, Codex and Cursor send, with shortened descriptions of our own."""

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def claude(name, description, required, /, **properties):
    return {"name": name, "description": description, "input_schema": {
        "$schema": DRAFT, "type": "object", "properties": properties, "required": required,
        "additionalProperties": False}}


def text(description):
    return {"type": "string", "description": description}


def number(description):
    return {"type": "number", "description": description}


def flag(description):
    return {"type": "boolean", "description": description}


CLAUDE_TOOLS = [
    claude("Agent", "Launch a new agent to handle complex, multi-step tasks on its own: wide searches, architecture "
           "plans, security reviews. Not for reading one known file.", ["description", "prompt"],
           description=text("A short (3-5 word) description of the task"), prompt=text("The task for the agent"),
           subagent_type=text("The type of specialized agent to use for this task"),
           model={"type": "string", "enum": ["sonnet", "opus", "haiku"], "description": "Optional model override"},
           run_in_background=flag("Run it in the background")),
    claude("Bash", "Executes a bash command and returns its output. Never run destructive git commands (push --force, "
           "reset --hard) or touch production unless the user asked for it. Never commit files with secrets.",
           ["command"], command=text("The command to execute"), timeout=number("Timeout in milliseconds"),
           description=text("What this command does"), run_in_background=flag("Run it in the background")),
    claude("Edit", "Performs exact string replacement in a file.", ["file_path", "old_string", "new_string"],
           file_path=text("The absolute path to the file to modify"), old_string=text("The text to replace"),
           new_string=text("The text to replace it with"), replace_all=flag("Replace all occurrences")),
    claude("Read", "Reads a file from the local filesystem.", ["file_path"],
           file_path=text("The absolute path to the file to read"),
           offset=number("The line to start from"), limit=number("The number of lines")),
    claude("ReportFindings", "Report code-review findings as a typed list: correctness, security, races, data loss.",
           ["findings"], level={"type": "string", "enum": ["low", "high"]},
           findings={"type": "array", "items": {"type": "object", "properties": {
               "file": {"type": "string"}, "line": {"type": "integer"}, "summary": {"type": "string"}}}}),
    claude("Skill", "Invoke a skill: a packaged set of instructions.", ["skill"],
           skill=text("The name of a skill from the list"), args=text("Optional arguments")),
    claude("ToolSearch", "Fetches full schema definitions for deferred tools.", ["query", "max_results"],
           query=text("select:<tool_name> or keywords"), max_results=number("Maximum number of results")),
    {"name": "DeferredToolPlaceholder", "description": "Reserved placeholder; never call this tool.",
     "input_schema": {"type": "object", "properties": {}}, "defer_loading": True},
    claude("Write", "Writes a file to the local filesystem, overwriting what is there.", ["file_path", "content"],
           file_path=text("The absolute path to the file to write"), content=text("The content to write")),
]


def codex(name, description, required, /, **properties):
    return {"type": "function", "name": name, "description": description, "strict": False, "parameters": {
        "type": "object", "properties": properties, "required": required, "additionalProperties": False}}


CODEX_TOOLS = [
    codex("exec_command", "Runs a command in a PTY, returning output or a session ID for ongoing interaction.", ["cmd"],
          cmd=text("Shell command to execute."), workdir=text("Working directory."),
          yield_time_ms=number("Wait before yielding output."),
          justification=text("User-facing approval question, for risky or destructive commands only.")),
    codex("write_stdin", "Writes characters to an existing session and returns recent output.", ["session_id"],
          session_id=number("Identifier of the running session."), chars=text("Bytes to write to stdin.")),
    codex("view_image", "View a local image file when visual inspection is needed.", ["path"],
          path=text("Local filesystem path to an image file.")),
    codex("create_goal", "Create a goal only when explicitly requested by the user, for long multi-step work.",
          ["objective"], objective=text("The concrete objective."), token_budget=number("Token budget.")),
]


def cursor(name, description, required, /, **properties):
    return {"name": name, "description": description,
            "input_schema": {"type": "object", "properties": properties, "required": required}}


CURSOR_TOOLS = [
    cursor("codebase_search", "Semantic search that finds code by meaning, e.g. how does authentication work?",
           ["query", "target_directories"], query=text("A complete question"),
           target_directories={"type": "array", "items": {"type": "string"}}),
    cursor("run_terminal_cmd", "Propose a command to run. Dangerous commands need the user's approval.", ["command"],
           command=text("The terminal command"), is_background=flag("Whether it runs in the background")),
    cursor("grep", "Exact search over the workspace, built on ripgrep.", ["pattern"], pattern=text("The regex"),
           path=text("File or directory"), glob=text("Glob pattern")),
    cursor("read_file", "Reads a file from the workspace.", ["target_file"], target_file=text("The path"),
           offset=number("Line to start from"), limit=number("Number of lines")),
    cursor("search_replace", "Exact string replacement in a file.", ["file_path", "old_string", "new_string"],
           file_path=text("The path"), old_string=text("Text to replace"), new_string=text("New text")),
    cursor("todo_write", "Keep a todo list for complex multi-step tasks (3+ steps, refactors, migrations).", ["todos"],
           todos={"type": "array", "items": {"type": "object", "properties": {
               "id": {"type": "string"}, "content": {"type": "string"}, "status": {"type": "string"}}}}),
]
