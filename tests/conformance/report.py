"""The table of results, for a terminal and as Markdown."""
import datetime
import os
import platform


def text(cases, table):
    """One line for each case, one column for each target."""
    lines = []
    wide = {name: max(len(name), 4) for name in table}
    lines.append("  #  " + "  ".join(f"{name:{wide[name]}}" for name in table) + "  case")
    for case in cases:
        cells = "  ".join(f"{table[name][1][case.number][0]:{wide[name]}}" for name in table)
        lines.append(f" {case.number:2}  {cells}  {case.line}")
    for word in ("pass", "FAIL", "skip"):
        cells = "  ".join(f"{sum(r == word for r, _ in table[name][1].values()):<{wide[name]}}" for name in table)
        lines.append(f"     {cells}  {word}")
    return "\n".join(lines) + "\n"


def markdown(cases, table):
    """The page docs/conformance.md."""
    today = datetime.date.today().isoformat()
    names = list(table)
    heads = [f"{name} {table[name][0]}".strip() for name in names]
    out = [
        "# Conformance",
        "",
        "What clients need of a gateway between them and a model, as executable cases. Each comes from what users of gateways reported; each is",
        "tried with upstreams of both formats, Anthropic's messages and OpenAI's chat completions, where it makes sense. The upstream is scripted",
        "(`tests/clients/upstream.py`) and refuses what the vendors' servers refuse.",
        "",
        f"Made by `tests/conformance/run.py --markdown` on {today}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores. *skip*: the",
        "gateway does not have what the case is about, or it cannot be seen from outside. Others were run in their default configuration with the",
        "least that the suite needs, in the version named; a setting of theirs that we missed may change a result.",
        "",
        "| # | what must hold | " + " | ".join(heads) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    words = {"pass": "pass", "FAIL": "**fail**", "skip": "skip"}
    for case in cases:
        cells = " | ".join(words[table[name][1][case.number][0]] for name in names)
        out.append(f"| {case.number} | {case.line} | {cells} |")
    totals = " | ".join("/".join(str(sum(r == w for r, _ in table[n][1].values())) for w in ("pass", "FAIL", "skip")) for n in names)
    out += ["| | **passed/failed/skipped** | " + totals + " |", ""]
    for name in names:
        noted = [(c, *table[name][1][c.number]) for c in cases if table[name][1][c.number][0] == "FAIL"]
        if noted:
            out += [f"## What failed: {name}", ""]
            for case, _, why in noted:
                said = "; ".join(" ".join(w.split())[:220].replace("|", "\\|").replace("<", "&lt;") for w in why)
                out.append(f"- {case.number}: {said}")
            out.append("")
    return "\n".join(out)
