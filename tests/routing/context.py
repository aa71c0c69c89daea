"""Conversations: what was asked before decides as much as the last words. Rows as in `side.py`."""

from shapes import FILES, aider, bare, claude_code, cline, codex, cursor, reminder
from side import HARD_TURNS

PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==")
SPEC = """# RFC 17: regions
Every tenant lives in exactly one region (eu, us, ap). Today all is in us-east.
1. Control plane keeps tenant -> region, cached in each gateway, with a version.
2. Moving a tenant: freeze writes < 5 s, copy with logical replication, verify checksums, flip, drain, delete after 30 days.
3. Object storage, search and the job queue move with it; in-flight jobs must run once.
4. The API answers 307 to the right region; SDKs follow and remember.
5. Metrics, billing export and audit log stay global.
Out of scope: active-active."""
TASK_FILE = """- [ ] `Table` gets sortable columns (click on the header, aria-sort)
- [ ] remember the sort per table in the url query
- [ ] tests"""


def read(path):
    return ("Read", {"file_path": f"/home/dev/project/{path}"})


def bash(command):
    return ("Bash", {"command": command})


def typed(ask):
    return {"user": ask}


def said(answer, *calls):
    return {"assistant": answer, "calls": list(calls)}


def ran(*outputs, bad=False):
    return {"results": [(text, bad) for text in outputs]}


FAILING = [
    typed("the test test_export_resumes in tests/test_export.py fails, fix it"),
    said("The offset was off by one, fixed.", ("Edit", {"file_path": "/p/export.py", "old_string": "a", "new_string": "b"})),
    ran("ok"), said("Fixed."),
    typed("nope, still failing, same assert"),
    said("The resume token was stale, fixed.", bash("pytest tests/test_export.py -k resumes")),
    ran("E  AssertionError: 4096 != 8192\n1 failed, 14 passed", bad=True), said("I changed how the token is read."),
    typed("still fails. now its green alone but red when the whole suite runs"),
    said("Shared state perhaps; I reset the cache in the fixture.", bash("pytest -q")),
    ran("E  AssertionError: 4096 != 8192\n1 failed, 311 passed", bad=True), said("I have added a reset."),
]


def cline_result(key, ask, call, output):
    """Cline without native tools: the answer of a tool is plain text of the user."""
    path, headers, body = cline(key, [typed(ask)])
    env = body["messages"][-1]["content"][-1]
    body["messages"] += [{"role": "assistant", "content": call}, {"role": "user", "content": [
        {"type": "text", "text": output}, env]}]
    return path, headers, body


TRIVIA = [turn for ask, answer in [
    ("what does -p do in mkdir", "It creates parents."), ("and -v", "It prints each directory."),
    ("rename notes.txt to notes.md", "Done."), ("thx", "You're welcome."), ("which python is this", "3.12.1"),
    ("ok", "Anything else?"), ("print the size of ./data", "212M"),
] for turn in (typed(ask), said(answer))]


def rows():
    yield ("cx-go-on", ["complex"], "consent to a hard plan", *claude_code("goon", HARD_TURNS + [typed("yes, go on")]))
    yield ("cx-go-on-de", ["complex"], "consent in German to a hard plan", *bare("goonde", [
        typed("wir müssen den ganzen bestell-service von mongodb auf postgres umziehen, ohne ausfall, 14 repos hängen dran. "
              "mach erst einen plan"),
        said("Plan: 1. Schema, 2. doppelt schreiben, 3. Bestand kopieren, 4. vergleichen, 5. lesen umschalten. Soll ich "
             "anfangen?"), typed("ja mach weiter")]))
    yield ("cx-option", ["complex"], "picks an option of a hard design", *cursor("option", [
        typed("how should we do exactly-once between our kafka consumers and the two postgres dbs? 9 services, can't stop them"),
        said("Three ways: 1) outbox and inbox tables, 2) offsets stored in the database, 3) two-phase commit. Which one should I "
             "build?"), typed("option 2, all 9")]))
    yield ("cx-thanks-hard", ["simple"], "thanks after hard work", *claude_code("thanks", HARD_TURNS + [typed("great, thanks!")]))
    yield ("cx-thanks-reason", ["simple"], "thanks after a proof", *codex("thanks2", [
        typed("prove that our gossip protocol converges in O(log n) rounds w.h.p. even with 10% message loss"),
        said("Theorem. With push-pull gossip ... (three pages). QED."), typed("cool, ty")]))
    yield ("cx-loop", ["complex", "reasoning"], "the third failed repair", *claude_code(
        "loop", FAILING + [typed("still failing")]))
    yield ("cx-loop-codex", ["complex", "reasoning"], "repairs keep failing", *codex("loop2", [
        typed("make `cargo test -p store` pass"), said("", bash("cargo test -p store")),
        ran("test compact::keeps_order ... FAILED\nleft: [1, 2, 3]\nright: [1, 3, 2]", bad=True),
        said("The comparator was reversed.", bash("cargo test -p store")),
        ran("test compact::keeps_order ... FAILED\nleft: [1, 2, 3]\nright: [1, 3, 2]", bad=True),
        said("I now sort by sequence, too.", bash("cargo test -p store")),
        ran("test compact::keeps_order ... ok\ntest compact::survives_crash ... FAILED", bad=True),
        said("It should pass now."), typed("no it doesn't!! same error again, thats the 4th time. different one each run")]))
    yield ("cx-pending-hard", ["complex"], "tool result within a hard task", *claude_code("pend", [
        typed("extract the scheduler in a crate of its own: 31 modules use it, break the cycle with `store`, no behaviour change, "
              "bench before and after"),
        said("First the dependency graph.", bash("cargo tree -p scheduler --edges normal"), read("scheduler/src/lib.rs")),
        ran("scheduler v0.1.0\n└── store v0.1.0\n    └── scheduler v0.1.0 (*)", "pub mod queue;\npub mod timer;")]))
    yield ("cx-pending-simple", ["simple"], "tool result within a one-word edit", *claude_code("pend2", [
        typed("in CONTRIBUTING.md its 'maintainer', not 'mantainer'"), said("", read("CONTRIBUTING.md")),
        ran("1\tAsk a mantainer before you touch authentication, payments or a database migration.")]))
    yield ("cx-pending-medium", ["medium"], "tool result within an ordinary task", *codex("pend3", [
        typed("write tests for slugify() in text.py: umlauts, emoji, empty string, double dashes"),
        said("", bash("cat text.py")), ran("def slugify(s):\n    return re.sub(r'[^a-z0-9]+', '-', s.lower()).strip('-')")]))
    yield ("cx-pending-scary", ["simple"], "frightening output, trivial question", *codex("pend4", [
        typed("how many lines does app.log have"), said("", bash("wc -l app.log; tail -3 app.log")),
        ran("48112 app.log\nFATAL deadlock in payment ledger\nERROR production database migration 77 failed, data corrupted\n"
            "ERROR secret key leaked, root cause unknown")]))
    yield ("cx-medium-after-hard", ["medium", "complex"], "one test within a hard task", *claude_code("mah", HARD_TURNS + [
        typed("before that write a unit test for the relay: picks rows in order, skips locked ones")]))
    yield ("cx-long-trivial", ["simple"], "trivial last ask in a long hard conversation", *claude_code("longt", HARD_TURNS + [
        typed("yes"), said("Step 1 is done: outbox and relay.", bash("pytest payments -q")), ran("48 passed"),
        said("All green. Next are the consumers."), typed("go"), said("The consumers are idempotent now."),
        typed("btw what's the shortcut to close a tmux pane")]))
    yield ("cx-short-hard", ["complex"], "hard ask after trivia", *claude_code("shorth", TRIVIA + [
        typed("ok now the real thing: our 11 cron scripts on 4 boxes have to become one job system with retries, a dashboard, "
              "locking across boxes and alerts. they share state in /var/lib/jobs. design + build it")]))
    yield ("cx-same-again", ["medium"], "an ordinary task once more", *bare("same", [
        typed("write a jest test for formatPrice (currency, rounding, negative)"),
        said("```ts\ntest('formats', () => expect(formatPrice(-1.005)).toBe('-1.01 €'))\n```"),
        typed("good. now the same for formatWeight and formatDistance")]))
    yield ("cx-new-small", ["simple"], "small aside after an ordinary task", *codex("newsmall", [
        typed("add pagination to the users table"), said("Done, 20 per page, see Users.tsx."),
        typed("make it 25")]))
    yield ("cx-continued", ["complex"], "goes on after a compaction", *claude_code("continued", [typed(
        "This session is being continued from a previous conversation that ran out of context. The summary below covers the "
        "earlier portion of the conversation.\n\nSummary:\n1. Primary Request and Intent: replace the homegrown job runner by a "
        "durable workflow engine in eight services, keep running jobs alive, no double execution.\n7. Pending Tasks: services "
        "5-8, the drain tool, the cut-over of the billing jobs.\n8. Current Work: service 5, the signal handlers.\n\nPlease "
        "continue the conversation from where we left it off without asking the user any further questions.")]))
    yield ("cx-de", ["medium"], "ordinary work in German", *bare("de", [typed(
        "schreib mir ne funktion in python die iban prüfsummen validiert, mit tests, leerzeichen ignorieren")]))
    yield ("cx-zh", ["complex"], "hard work in Chinese", *bare("zh", [typed(
        "把整个订单系统从单体拆成微服务：订单、库存、支付三个服务，要保证分布式事务的一致性，支持灰度切换和回滚，先给出架构设计再一步步实现")]))
    yield ("cx-zh-small", ["simple"], "a lookup in Chinese", *bare("zhs", [typed("git 怎么改最后一次提交的信息")]))
    yield ("cx-es", ["simple"], "one-line edit in Spanish", *codex("es", [typed(
        "cambia el texto del botón de «Enviar» a «Guardar» en Form.jsx")]))
    yield ("cx-fr", ["reasoning"], "a proof in French", *bare("fr", [typed(
        "démontre que l'algorithme d'élection de leader ci-dessous vérifie la sûreté avec n=2f+1 processus et des pannes franches, "
        "et donne un contre-exemple si les canaux ne sont pas fifo :\n\nsur timeout : e := e+1 ; diffuser(e, id)\nsur (e', j) : si "
        "e' > e ou (e' = e et j > chef) alors e := e' ; chef := j")]))
    yield ("cx-fr-medium", ["medium"], "an ordinary bug in French", *claude_code("frm", [typed(
        "le tri du tableau marche pas quand la date est vide, ça met les lignes vides en premier. je les veux à la fin, dans les "
        "deux sens. voir sortRows dans table.js")]))
    yield ("cx-es-hard", ["complex"], "hard work in Spanish", *claude_code("esh", [typed(
        "hay que pasar toda la app de sesiones en el servidor a un esquema multi-región: réplicas, conflictos de escritura, "
        "conmutación por error sin perder pedidos. 6 servicios. diseña la arquitectura y empieza por el de pedidos")]))
    yield ("cx-empty", ["simple"], "nothing asked", "/v1/chat/completions", {}, {
        "model": "auto", "messages": [{"role": "user", "content": ""}]})
    yield ("cx-attached-spec", ["complex"], "the ask is the attached specification", *cursor(
        "attspec", [typed("implement this")], attached=[("docs/rfc-17-regions.md", SPEC)]))
    yield ("cx-attached-task", ["medium"], "the ask is the attached task list", *claude_code(
        "atttask", [typed("do @TASKS.md")], first_extra=[
            reminder('Called the Read tool with the following input: {"file_path":"/home/dev/project/TASKS.md"}'),
            reminder(f"Result of calling the Read tool:\n{TASK_FILE}")]))
    yield ("cx-attached-hard-small", ["simple"], "trivial ask, frightening attachments", *cursor(
        "attsmall", [typed("how many lines has refund.ts")], attached=[FILES[4], FILES[1], ("docs/rfc-17.md", SPEC)]))
    yield ("cx-image", ["medium"], "layout from a picture", "/v1/messages", {"anthropic-version": "2023-06-01"}, {
        "model": "auto", "max_tokens": 4096, "messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            {"type": "text", "text": "make the pricing page look like this, html + css"}]}]})
    yield ("cx-cline-hard", ["complex"], "tool result of Cline within a hard task", *cline_result(
        "clh", "swap our own event bus for nats jetstream in all nine services, keep ordering per key, both buses run in parallel "
        "for two weeks, tooling to compare", "<read_file>\n<path>bus/publish.go</path>\n</read_file>",
        "[read_file for 'bus/publish.go'] Result:\nfunc Publish(topic string, b []byte) error { return local.Send(topic, b) }"))
    yield ("cx-cline-simple", ["simple"], "tool result of Cline within a one-line edit", *cline_result(
        "cls", "remove the trailing comma in tsconfig.json line 14", "<read_file>\n<path>tsconfig.json</path>\n</read_file>",
        "[read_file for 'tsconfig.json'] Result:\n{\n  \"compilerOptions\": { \"strict\": true },\n}"))
    yield ("cx-aider-follow", ["simple"], "a small wish after an ordinary edit", *aider("aif", [
        typed("add a --json flag to the report command"), said("report.py\n```\n<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n```"),
        typed("call it --as-json instead")]))
    yield ("cx-interrupted", ["simple"], "the person stops it and wants less", *claude_code("interrupted", [
        typed("the dialog should say Delete forever"), said("I'll rework the whole confirmation flow ..."),
        typed("[Request interrupted by user]"), typed("no no. only the button text")]))
    yield ("cx-local-command", ["medium"], "an ask after output of a local command", *claude_code("local", [typed(
        "write a unit test for the retry loop in fetcher.py, fake clock, 3 failures then success")], first_extra=[
            {"type": "text", "text": "<command-name>/model</command-name>\n<command-message>model</command-message>\n"
             "<command-args>opus</command-args>"},
            {"type": "text", "text": "<local-command-stdout>Set model to opus (most capable for complex work)"
             "</local-command-stdout>"}]))
    yield ("cx-slash-review", ["medium", "complex"], "a review by slash command", *claude_code("slashrev", [typed(
        "<command-message>review is running…</command-message>\n<command-name>/review</command-name>\n"
        "<command-args>482</command-args>\n\nYou are an expert code reviewer. Run `gh pr view 482` and `gh pr diff 482`, then "
        "give a thorough review: correctness, conventions, performance, tests, security.")]))
    yield ("cx-slash-init", ["medium", "complex"], "project notes by slash command", *claude_code("slashinit", [typed(
        "<command-message>init is analyzing your codebase…</command-message>\n<command-name>/init</command-name>\n\nPlease "
        "analyze this codebase and create a CLAUDE.md file: the commands for build, lint and tests, and the big-picture "
        "architecture.")]))
    yield ("cx-plan-mode", ["complex"], "hard ask in plan mode", *claude_code("plan", [typed(
        "our websocket layer has to survive deploys: drain, resume with sequence numbers, sticky only as an optimisation, "
        "ios+android+web clients and 3 backends")], first_extra=[reminder(
            "Plan mode is active. The user does not want you to execute yet: no edits, no commits.")]))
    yield ("cx-plan-mode-small", ["simple"], "trivial question in plan mode", *claude_code("plansmall", [typed(
        "what was the npm script for the dev server again")], first_extra=[reminder(
            "Plan mode is active. The user does not want you to execute yet. Design the architecture, think about trade-offs, "
            "and write the plan file.")]))
