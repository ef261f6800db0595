"""Keeps what a program has printed, without what differs from machine to machine and run to run."""

import json
import re

LIMIT = 48 * 1024  # of one recording
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
IDS = [(UUID, "00000000-0000-4000-8000-{:012}"),
       (re.compile(r"\bses_[0-9A-Za-z]{26}\b"), "ses_{:026}"),
       (re.compile(r"\bmsg_[0-9A-Za-z]{26}\b"), "msg_{:026}"),
       (re.compile(r"\bprt_[0-9A-Za-z]{26}\b"), "prt_{:026}"),
       (re.compile(r"\b[0-9a-f]{40}\b"), "{:040}")]


# Lists of which two elements show all that a reader needs.
LISTS = {"availableCommands", "availableModels", "options", "slash_commands", "skills", "tools",
         "agents"}


def shortened(value, key=""):
    if isinstance(value, dict):
        return {name: shortened(below, name) for name, below in value.items()}
    if isinstance(value, list):
        some = value[:2] if key in LISTS or len(value) > 20 else value
        return [shortened(below) for below in some]
    return f"{value[:100]}…" if isinstance(value, str) and len(value) > 2000 else value


def shortened_line(line):
    """Permission requests stay whole: their options are what is chosen from."""
    if len(line) < 1000 or "request_permission" in line:
        return line
    try:
        return json.dumps(shortened(json.loads(line)), separators=(",", ":"), ensure_ascii=False)
    except ValueError:
        return line


def trimmed(text, cell):
    for folder, name in ((cell.tree, "/tree"), (cell.project, "/project"),
                         (cell.home, "/home/user"), (cell.folder / "tmp", "/tmp"),
                         (cell.install, "/agents"), (cell.folder, "/cell")):
        text = text.replace(str(folder), name)
        # Claude's folders are named like this.
        text = text.replace(str(folder).replace("/", "-"), name.replace("/", "-"))
    for pattern, form in IDS:
        known = {}
        text = pattern.sub(
            lambda found: known.setdefault(found[0], form.format(len(known) + 1)), text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", text)
    return "\n".join(map(shortened_line, text.split("\n")))


def keep(cell, result, folder):
    """Writes <agent>/<scenario>.jsonl, and how it ended to <agent>/ends.json."""
    output, end = cell.recorded / "stdout", cell.recorded / "end.json"
    if not output.exists() or output.stat().st_size > LIMIT:
        return
    target = folder / cell.agent
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{cell.name}.jsonl").write_text(trimmed(output.read_text(errors="replace"), cell))
    ends = target / "ends.json"
    known = json.loads(ends.read_text()) if ends.exists() else {}
    code = json.loads(end.read_text())["code"] if end.exists() else None
    words = trimmed((cell.recorded / "stderr").read_text(errors="replace"), cell)
    if len(words) > 2000:
        words = f"{words[:1200]}\n…\n{words[-600:]}"
    known[cell.name] = {"exit_code": code if code is None or code >= 0 else None,
                        "signal": -code if code is not None and code < 0 else None,
                        "timed_out": result.status == "timeout",
                        "stderr": words, "requests": result.requests}
    ends.write_text(json.dumps(dict(sorted(known.items())), indent=1, ensure_ascii=False) + "\n")
