"""The list of cases: each has the number it has in the docs, a line that says what must hold, and a function that tries it."""
from dataclasses import dataclass
from typing import Callable


@dataclass
class Case:
    """`formats`: for which formats of the upstream it runs (a, o), once each; `l`: against any live gateway too."""

    number: int
    group: str
    line: str
    formats: str
    run: Callable

    @property
    def id(self):
        return f"{self.number:02}-{self.run.__name__.replace('_', '-')}"


CASES = []


def case(number, line, formats="ao"):
    def register(function):
        group = function.__module__.rsplit(".", 1)[-1]
        CASES.append(Case(number, group, line, formats, function))
        return function

    return register


def all_cases():
    """Every case, by number."""
    from cases import caching, counting, failures, limits, thinking, tools, wire  # noqa: F401

    return sorted(CASES, key=lambda c: c.number)
