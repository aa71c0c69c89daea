"""Draws other scores' curves into a picture of `tierway eval --curve` of one set.

The picture has a dot for always-small and one for always-big, whose cost and quality are known: they give the scale.
"""
import re

COLOURS = ("#E69F00", "#56B4E9", "#000000")


def line(rows, confidences):
    """Cost as a share of always big, and quality, from all kept to all deferred; rows of the same confidence go together, on a straight line."""
    n = len(rows)
    small, big = sum(row["small"]["correct"] for row in rows) / n, sum(row["big"]["cost_usd"] for row in rows)
    cost, quality = sum(row["small"]["cost_usd"] for row in rows), small
    points, levels = [(cost / big, quality)], {}
    for row, confidence in zip(rows, confidences):
        levels.setdefault(confidence, []).append(row)
    for confidence in sorted(levels):
        cost += sum(row["big"]["cost_usd"] for row in levels[confidence])
        quality += sum(row["big"]["correct"] - row["small"]["correct"] for row in levels[confidence]) / n
        points.append((cost / big, quality))
    return points


def thin(points, most=80):
    return points if len(points) <= most else [points[i * (len(points) - 1) // (most - 1)] for i in range(most)]


def overlay(svg, rows, scores):
    """The picture with a line for each of `scores`, {name: confidences}, and their names in its legend."""
    dots = re.findall(r'<circle cx="(\d+)" cy="(\d+)" r="5"', svg)[:2]
    n = len(rows)
    price = sum(row["small"]["cost_usd"] for row in rows) / sum(row["big"]["cost_usd"] for row in rows)
    (x0, y0), (x1, y1) = ((int(x), int(y)) for x, y in dots)
    low, high = (sum(row[name]["correct"] for row in rows) / n for name in ("small", "big"))

    def place(cost, quality):
        return f"{x0 + (cost - price) / (1 - price) * (x1 - x0):.0f},{y0 + (quality - low) / (high - low) * (y1 - y0):.0f}"

    drawn = []
    box = re.search(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)" opacity="0.85"', svg)
    left, top, width, height = map(int, box.groups())
    room = 16 * len(scores)
    for i, ((name, confidences), colour) in enumerate(zip(scores.items(), COLOURS)):
        # a cascade that defers everything pays both, for which the picture may have no room
        inside = [(cost, quality) for cost, quality in thin(line(rows, confidences)) if cost <= 1.03]
        points = " ".join(place(*point) for point in inside)
        y = top - room + 6 + 16 * i
        drawn += [
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="5,3" points="{points}"/>',
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="5,3" points="{left + 10},{y + 5} {left + 28},{y + 5}"/>',
            f'<text x="{left + 40}" y="{y}" dy="0.76em" font-family="sans-serif" font-size="10.5" fill="#000000">{name}</text>',
        ]
    grown = f'<rect x="{left}" y="{top - room}" width="{width}" height="{height + room}" opacity="0.85"'
    return svg.replace(box[0], grown).replace("</svg>", "\n".join(drawn) + "\n</svg>")
