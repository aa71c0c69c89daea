#!/usr/bin/env python3
"""A flame graph out of what perf has sampled:

    perf record --call-graph dwarf,65528 -F 299 -p PID -o out.data -- sleep 5
    perf script --no-inline -i out.data | tests/bench/flame.py > flame.svg

Stacks are deep: of shorter copies of them more than half would lack their beginning. Each box is a function, as wide as its share of the
samples, above who called it; names are shown where they fit, and whole on pointing."""
import html, re, sys

WIDTH, ROW, LEAST = 1200, 16, 0.0015


def stacks(lines):
    """Functions from the outermost in, once for each sample."""
    stack = []
    for line in lines:
        line = line.rstrip()
        if not line:
            if stack:
                yield stack[::-1]
            stack = []
        elif line[0].isspace():
            found = re.match(r"\s*[0-9a-f]+ (.*?)(\+0x[0-9a-f]+)? \(", line)
            if found:
                stack.append(short(found[1]))
    if stack:
        yield stack[::-1]


def short(name):
    """A Rust path without its type arguments and hashes."""
    name = re.sub(r"::h[0-9a-f]{16}$", "", name)
    while True:
        less = re.sub(r"<[^<>]*>", lambda m: m[0][1:-1].split(" as ")[0] if " as " in m[0] else "", name.replace("->", "-"))
        if less == name:
            return name.replace("{{closure}}", "{}").strip(":") or "?"
        name = less


# What every stack begins with and what only hands on: left out, so that what is done can be seen.
HANDS_ON = re.compile(r"^(core::|alloc::|std::|tokio::|futures_util::|__rust|start_thread|clone3|tower::util|\[unknown\]|\?$)")


def main():
    root = {}
    count = 0
    for stack in stacks(sys.stdin):
        count += 1
        node = root
        kept = [f for f in stack[:-1] if not HANDS_ON.match(f)] + stack[-1:]
        before = None
        for function in kept:
            if function == before:
                continue
            before = function
            child = node.setdefault(function, [0, {}])
            child[0] += 1
            node = child[1]
    boxes, deepest = [], 0

    def place(children, x, depth):
        nonlocal deepest
        for name, (samples, inside) in sorted(children.items()):
            width = samples / count
            if width >= LEAST:
                deepest = max(deepest, depth)
                boxes.append((x, depth, width, name))
                place(inside, x, depth + 1)
            x += width

    place(root, 0.0, 0)
    height = (deepest + 1) * ROW + 30
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11"><rect width="{WIDTH}" height="{height}" fill="#fff"/>')
    print(f'<text x="6" y="16" font-family="sans-serif" font-size="13">{count} samples; what only hands on (the standard library, tokio, tower) is left out</text>')
    for x, depth, width, name in boxes:
        left, wide, top = x * WIDTH, width * WIDTH, height - (depth + 1) * ROW - 4
        ours = "tierway" in name
        fill = "#93c5fd" if ours else "#fdba74" if "::" in name else "#d4d4d8"
        text = html.escape(name)
        fits = int(wide / 6.7)
        label = html.escape(name if len(name) <= fits else name[-fits:] if fits > 3 else "")
        print(f'<g><title>{text}: {width:.1%}</title><rect x="{left:.1f}" y="{top}" width="{max(wide - 0.4, 0.4):.1f}" height="{ROW - 1}" fill="{fill}"/>'
              f'<text x="{left + 2:.1f}" y="{top + 11}">{label}</text></g>')
    print("</svg>")


main()
