"""Rows of figures: a ratio of two things that were measured in turn, with its spread and its aim."""

import json
import os
import platform
import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    group: str
    what: str
    values: list[float]  # one of each round
    unit: str = "×"
    aim: str = ""  # "≤ 2" or "≥ 4"; empty: told without one

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        if not self.aim:
            return ""
        relation, bound = self.aim.split()
        bound = float(bound.replace(",", ""))
        met = self.median <= bound if relation == "≤" else self.median >= bound
        return "met" if met else "short of aim"

    def to_json(self) -> dict:
        return {"group": self.group, "what": self.what, "unit": self.unit, "median": self.median,
                "min": min(self.values), "max": max(self.values), "values": self.values,
                "aim": self.aim, "verdict": self.verdict}

    def cells(self) -> list[str]:
        return [self.what, f"{short(self.median)} {self.unit}", spread(self.values), self.aim,
                self.verdict]


def short(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def measure_in_turn(rounds: int, ways: dict) -> dict[str, list[dict]]:
    """Each way once a round, so that a noisy minute hits all of them."""
    samples: dict[str, list[dict]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            samples[name].append(way())
    return samples


def ratios(ours: list[dict], beside: list[dict], key: str) -> list[float]:
    """Round by round."""
    return [a[key] / b[key] for a, b in zip(ours, beside, strict=True)]


def per_command(samples: list[dict]) -> list[dict]:
    """With CPU seconds of one command, and commands a second."""
    return [{**s, "cpu_each": s["cpu"] / s["count"], "rate": s["count"] / s["wall"]}
            for s in samples]


def spread(values: list[float]) -> str:
    return f"{short(min(values))} – {short(max(values))}"


def count_calls(summary: str) -> dict[str, int]:
    """The calls by name in what `strace -c` prints."""
    calls = {}
    for line in summary.splitlines():
        found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if found and found[2] != "total":
            calls[found[2]] = int(found[1])
    return calls


def calls_per_command(fewer: dict[str, int], more: dict[str, int], commands: int) -> dict[str, float]:
    """From two runs with a different number of commands, so that their start cancels out."""
    names = sorted(set(fewer) | set(more))
    return {name: (more.get(name, 0) - fewer.get(name, 0)) / commands for name in names}


def text_table(header: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    lines = []
    for row in [header, *rows]:
        cells = [cell.ljust(width) if index == 0 else cell.rjust(width)
                 for index, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  " + "   ".join(cells).rstrip())
    return "\n".join(lines)


class Machine:
    """What it is, and how much others used of it meanwhile."""

    idle_limit = 0.05  # of one processor

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.start, self.busy_at_start = time.monotonic(), self.busy_seconds()

    @staticmethod
    def busy_seconds() -> float:
        user, nice, system, _, _, irq, softirq, steal = map(
            int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")

    def describe(self) -> dict:
        used = os.times()
        ours = used.user + used.system + used.children_user + used.children_system
        took = time.monotonic() - self.start
        others = max(0.0, self.busy_seconds() - self.busy_at_start - ours) / took
        cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        return {"cpu": cpu[1] if cpu else platform.machine(), "processors": os.cpu_count(),
                "kernel": platform.release(), "file_system": self.file_system(),
                "load": os.getloadavg()[0], "others": others, "idle": others < self.idle_limit,
                "seconds": took, "date": time.strftime("%Y-%m-%d")}

    def file_system(self) -> str:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
        return max((len(point), kind) for point, kind in mounts
                   if self.scratch.is_relative_to(point))[1]


def sentence(machine: dict) -> str:
    idle = "" if machine["idle"] else (
        f" The machine was not idle: others used {100 * machine['others']:.0f} % of a processor.")
    return (f"{machine['cpu']}, {machine['processors']} processors, Linux {machine['kernel']}, "
            f"{machine['file_system']}; {machine['date']}, in {machine['seconds']:.0f} s; load "
            f"{machine['load']:.1f} at the end.{idle}")


def as_text(rows: list[Row], tables: dict) -> str:
    parts = []
    for group in dict.fromkeys(row.group for row in rows):
        parts += [group, text_table(["", "median", "range", "aim", ""],
                                    [row.cells() for row in rows if row.group == group])]
    for title, (header, cells) in tables.items():
        parts += [title, text_table(header, cells)]
    return "\n".join(parts)


def as_json(rows: list[Row], tables: dict, machine: dict, quick: bool) -> str:
    return json.dumps({"machine": machine, "quick": quick, "rows": [row.to_json() for row in rows],
                       "tables": {title: [dict(zip(header, row)) for row in cells]
                                  for title, (header, cells) in tables.items()}},
                      indent=2, ensure_ascii=False) + "\n"
