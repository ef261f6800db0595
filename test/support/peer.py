#!/usr/bin/env python3
"""An independent peer of the file protocol, written from its description alone.

    peer.py agent WORKTREE... --dialect structured-renamed --once
    peer.py engine WORKTREE COMMAND --timeout 10 --protocol 1.1
    peer.py read-metrics executions_2025-01-31.jsonl...
    peer.py read-audit execution_audit.log...

It shares no code with the library, so that a mistake on one side cannot hide on the other. It
speaks version 1.1 of the protocol, or 1.0 where it is told to, whatever the library speaks.
A broken promise is reported on stderr as `peer: REASON`, and the exit status is 1.
"""
import argparse
import fcntl
import json
import math
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

COMMAND, SIMPLE = ".cursor-skill-command.txt", ".cursor-skill-command-simple.txt"
METADATA, STATUS = ".cursor-skill-metadata.json", ".cursor-skill-status.json"
CANCEL, TEMPORARY = ".cursor-skill-cancel.json", ".cursor-skill-tmp."
COMMAND_LIMIT = 1024 * 1024
POLL = 0.02
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")}
ECHOED = ("execution_id", "attempt", "attempt_id")
NOT_ORIGINAL = (*ECHOED, "agent_id", "pid", "sequence", "outcome", "exit_code", "signal")
NOT_LEGACY = (*NOT_ORIGINAL, "version", "progress", "partial_results", "metadata")
AT_WORK = {"progress": {"percentage": 10, "current_step": "command", "message": "at work"},
           "partial_results": {"artifacts": [], "output": "working\n"}}
INTERACTION = {"mode": "async", "completion_detection": "status_file_and_artifacts",
               "progress_updates": True, "error_handling": "retry_with_backoff"}


class Violation(ValueError):
    """The other side broke a promise of the protocol."""


def need(condition, reason):
    """Raises a Violation unless the condition holds."""
    if not condition:
        raise Violation(reason)


def strict_object(text):
    """Parses one JSON object: no repeated keys, no NaN, no lone surrogate."""
    def unique(pairs):
        need(len(dict(pairs)) == len(pairs), "a key comes twice")
        return dict(pairs)
    try:
        value = json.loads(text, object_pairs_hook=unique,
                           parse_constant=lambda word: need(False, f"{word} is not JSON"))
    except RecursionError:
        raise Violation("too deep") from None
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    need(type(value) is dict, "not an object")
    return value


def matches(pattern):
    """A test for a text of that form."""
    return lambda v: type(v) is str and re.fullmatch(pattern, v, re.ASCII) is not None


def is_time(value):
    """ISO-8601 that parses, with a date and a time of day."""
    try:
        return type(value) is str and "T" in value and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


# More tests of single values. `type` and not `isinstance`: True is no number, and 1 no float.
def is_text(v): return type(v) is str
def is_word(v): return type(v) is str and v.strip() != ""
def is_flag(v): return type(v) is bool
def is_object(v): return type(v) is dict
def is_integer(v): return type(v) is int
def is_float(v): return type(v) is float and 0 <= v < math.inf
def is_utc(v): return is_time(v) and matches(r"[-\d]{10}T[:\d]{8}(\.\d{3}|\.\d{6})?\+00:00")(v)
def one_of(*words): return lambda v: type(v) is str and v in words
def exactly(wanted): return lambda v: type(v) is type(wanted) and v == wanted
def at_least(least): return lambda v: type(v) is int and v >= least
def or_null(test): return lambda v: v is None or test(v)
def list_of(test): return lambda v: type(v) is list and all(map(test, v))


is_uuid = matches(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def shape(value, where, required, optional=None):
    """Needs an object with all required keys, any optional ones, and no other."""
    need(type(value) is dict, f"{where}: not an object")
    optional = optional or {}
    for key in required:
        need(key in value, f"{where}.{key}: missing")
    for key, item in value.items():
        test = required.get(key) or optional.get(key)
        need(test, f"{where}.{key}: no such field")
        if callable(test):
            need(test(item), f"{where}.{key}: {item!r}")
        elif item is not None or key in required:
            shape(item, f"{where}.{key}", test)


def some_of(where, optional, required=None):
    """A test for an object some of whose fields a writer leaves out where they are empty."""
    return or_null(lambda v: not shape(v, where, required or {}, optional))


CONTEXT = {"workflow_id": or_null(is_text), "step_id": or_null(is_text),
           "expected_artifacts": list_of(is_word)}
CORRELATION = {**CONTEXT, "created_at": is_time}
COMMAND_BY_ORIGINAL = {"command": is_word, "correlation": CORRELATION, "worktree_path": is_word,
                       "instructions": is_text, "note": is_text}
COMMAND_FILE = {**COMMAND_BY_ORIGINAL, "protocol": matches(r"1\.[1-9]\d*"), "execution_id": is_uuid,
                "attempt": at_least(1), "attempt_id": is_uuid}
COMMAND_OPTIONAL = {"agent": is_word, "env_refs": list_of(matches(r"[A-Za-z_]\w*")),
                    "env": lambda v: type(v) is dict and all(
                        re.fullmatch(r"[A-Za-z_]\w*", k) and type(t) is str for k, t in v.items()),
                    "working_directory": is_word,
                    "resume": {"session": is_word, "failure": is_text},
                    "budget": some_of("budget", {
                        "max_cost_usd": lambda v: type(v) in (int, float) and 0 < v < math.inf,
                        "max_tokens": at_least(1)}),
                "argv": lambda v: list_of(is_text)(v) and v and v[0],
                    "deadline_seconds": lambda v: type(v) in (int, float) and 0 < v < math.inf}
METADATA_FILE = {"version": exactly("1.0"), "type": exactly("skill_command"), "command": is_word,
                 "correlation": CORRELATION, "workflow_context": CONTEXT,
                 "interaction_pattern": {k: exactly(v) for k, v in INTERACTION.items()},
                 "metadata": is_object, "timestamp": is_time}
STATUS_FILE = {"version": exactly("1.0"),
               "status": one_of("pending", "running", "completed", "failed")}
STATUS_OPTIONAL = {
    "started_at": or_null(is_time), "completed_at": or_null(is_time),
    "progress": some_of("status.progress", {
        "percentage": lambda v: type(v) in (int, float) and 0 <= v <= 100,
        "current_step": or_null(is_text), "message": or_null(is_text)}),
    "partial_results": some_of("status.partial_results", {
        "artifacts": list_of(is_word), "output": or_null(is_text)}),
    "error": some_of("status.error", {
        "message": is_text, "code": or_null(is_text), "retryable": is_flag,
        "retry_count": at_least(0)}, {"message": is_text}),
    "artifacts": list_of(is_word), "output": or_null(is_text),
    "metadata": dict.fromkeys(("workflow_id", "step_id", "command"), or_null(is_text)),
    "execution_id": is_uuid, "attempt": at_least(1), "attempt_id": is_uuid, "agent_id": is_word,
    "pid": at_least(1), "sequence": at_least(0), "exit_code": or_null(is_integer),
    "signal": or_null(is_integer), "output_truncated": is_flag,
    "outcome": one_of("completed", "failed", "cancelled", "timeout"),
    "usage": some_of("status.usage", {
        **dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens",
                         "cache_write_tokens", "reasoning_tokens", "peak_memory_kib"), at_least(0)),
        "cost_usd": is_float, "cpu_seconds": is_float, "model": is_word,
        "of_session": is_flag, "cost_of_session": is_flag}),
    "prompts_taken": at_least(0),
    "agent": is_word, "session": is_word, "permission_denied": is_word, "tree_unchanged": is_flag,
    "cause": some_of("status.cause", {"message": is_text, "code": is_word}),
    "waiting_for": some_of("status.waiting_for", {
        "kind": one_of("question", "permission"), "id": is_word, "text": is_word,
        "options": list_of(is_object), "since": is_time})}
METRIC = {"execution_id": is_word, "workflow_id": or_null(is_text),
          "step_id": or_null(is_text), "command": is_text,
          "status": one_of("completed", "failed", "timeout", "cancelled"),
          "duration_ms": is_float, "started_at": is_utc, "retry_count": at_least(0),
          "completed_at": is_utc, "error_message": or_null(is_text)}
AUDIT = {"timestamp": is_utc, "event_type": matches("[a-z_]+"), "workflow_id": or_null(is_text),
         "step_id": or_null(is_text), "command": or_null(is_text),
         "status": or_null(one_of("started", "pending", "running", "completed", "failed",
                                  "timeout", "cancelled")), "details": is_object}


def now():
    """The present as the records write it."""
    return datetime.now(timezone.utc).isoformat()


def read_control(path):
    """Reads a control file: regular, no link, not too large, UTF-8; gives text and fstat."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        need(stat.S_ISREG(found.st_mode), f"{path.name}: not a regular file")
        need(found.st_size <= COMMAND_LIMIT, f"{path.name}: too large")
        text = file.read().decode("utf-8")
    need(not text.startswith("\ufeff"), f"{path.name}: byte-order mark")
    return text, found


def temporary_beside(path):
    """Creates a temporary in the same folder; gives its descriptor and path."""
    name = path.with_name(TEMPORARY + uuid.uuid4().hex)
    return os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR, 0o600), name


def put(path, value, way, tear=0.2):
    """Writes a text, or an object as JSON: whole by rename, in small pieces, or torn at first."""
    data = (value if type(value) is str else json.dumps(value, indent=2)).encode()
    if way == "renamed":
        descriptor, name = temporary_beside(path)
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(name, path)
    elif way == "torn":
        path.write_bytes(data[:len(data) // 2])
        time.sleep(tear)
        path.write_bytes(data)
    else:
        with open(path, "wb") as file:
            piece = len(data) // 8 + 1
            for start in range(0, len(data), piece):
                file.write(data[start:start + piece])
                file.flush()
                time.sleep(0.002)


def identity(path):
    """What tells one file of this name from the next; None without one."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def git(root, *arguments):
    """What git prints in that folder; None where it fails."""
    done = subprocess.run(["git", "-C", root, *arguments], env=ENVIRONMENT, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout.rstrip("\n") if done.returncode == 0 else None


def engine_holds(root):
    """Whether somebody has the worktree's lock. A shared one is tried, and let go at once."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def hold(root):
    """Takes the worktree's lock, as an engine of 1.1; gives the descriptor that has it."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def is_unlocked(path):
    """Whether the claim is there and its agent has released it."""
    try:
        with open(path, "rb") as claim:
            fcntl.flock(claim, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except (FileNotFoundError, BlockingIOError):
        return False


def claims_of(root):
    """The folder of a worktree's claims."""
    own = git(root, "rev-parse", "--absolute-git-dir")
    return Path(own, "autoexec/claims") if own else Path(root) / ".cursor-skill-claims"


def check_surroundings(root, command, options):
    """Everything else an engine has promised by the moment its command file appears."""
    texts, moments = {}, []
    for name in (METADATA, SIMPLE, COMMAND):
        need(identity(root / name), f"{name}: not there with the command file")
        texts[name], found = read_control(root / name)
        mode = stat.S_IMODE(found.st_mode)
        need(mode == options.file_mode, f"{name}: mode {mode:04o}")
        moments.append(found.st_ctime_ns)
    need(moments == sorted(moments), f"published in another order: {moments}")
    for status in (root / options.status_name, root / ".cursor" / options.status_name):
        fresh = identity(status) is None or os.lstat(status).st_ctime_ns >= moments[-1]
        need(fresh, f"{status}: left from before")
    path = command["worktree_path"]
    need(os.path.isabs(path) and os.path.samefile(path, root), f"command.worktree_path: {path}")
    if git(root, "rev-parse", "--absolute-git-dir"):
        for name in (COMMAND, SIMPLE, METADATA, CANCEL, options.status_name, TEMPORARY + "1"):
            need(git(root, "check-ignore", "--no-index", name), f"{name}: not excluded from git")

    context = strict_object(texts[METADATA])
    shape(context, "metadata", METADATA_FILE, {"redaction_applied": exactly(True)})
    need(context["correlation"] == command["correlation"], "metadata.correlation: another")
    for key, value in context["workflow_context"].items():
        need(value == command["correlation"][key], f"metadata.workflow_context.{key}: another")
    need(texts[SIMPLE].strip(), f"{SIMPLE}: empty")
    if "redaction_applied" not in context:
        need(context["command"] == command["command"], "metadata.command: another")
        need(texts[SIMPLE].rstrip("\n") == command["command"].rstrip("\n"), f"{SIMPLE}: another")


class Agent(threading.Thread):
    """Watches one worktree and plays its attempts, one after the other."""
    turn, taken, failures = threading.Lock(), [], []  # of all worktrees together

    def __init__(self, root, options):
        super().__init__(daemon=True)
        self.root, self.options, self.process = Path(root), options, None
        self.kind, self.way = options.dialect.split("-")
        self.seen, self.attempt_ids, self.last_attempt = set(), set(), {}

    def run(self):
        """Until the count is reached, or for ever."""
        try:
            while not self.failures:
                with self.turn:
                    if self.options.count and len(self.taken) >= self.options.count:
                        return
                    if mine := self.take():
                        self.taken.append(self.root)
                if not mine:
                    time.sleep(POLL)
                    continue
                said = {k: self.command.get(k) for k in ECHOED}
                said |= {"worktree": str(self.root), "outcome": self.play()}
                print(json.dumps(said), flush=True)
        except Exception as error:
            self.failures.append(error)

    def check(self, text):
        """Parses a command file and holds it against the protocol."""
        command = strict_object(text)
        if "protocol" not in command:  # an original engine's
            shape(command, "command", {"command": is_word}, COMMAND_BY_ORIGINAL)
            return command
        shape(command, "command", COMMAND_FILE, COMMAND_OPTIONAL)
        check_surroundings(self.root, command, self.options)
        execution, attempt = command["execution_id"], command["attempt"]
        need(command["attempt_id"] not in self.attempt_ids, "command.attempt_id: seen before")
        need(command["attempt_id"] != execution, "command.attempt_id: the execution's")
        need(attempt > self.last_attempt.get(execution, 0), f"command.attempt: {attempt} again")
        self.attempt_ids.add(command["attempt_id"])
        self.last_attempt[execution] = attempt
        return command

    def take(self):
        """Takes the worktree's command, if there is a new one and it is ours to run."""
        self.key = identity(self.root / COMMAND)
        if self.key is None or self.key in self.seen:
            return False
        try:
            self.command = self.check(read_control(self.root / COMMAND)[0])
        except (OSError, ValueError) as broken:
            if identity(self.root / COMMAND) != self.key:
                return False  # withdrawn while we looked
            reason = f"{self.root}: {broken}"
            put(self.root / STATUS, {"status": "failed", "error": f"peer: {reason}"}, "renamed")
            raise Violation(reason) from None
        self.seen.add(self.key)
        self.sequence, self.process, self.lock, self.claim_path = 0, None, None, None
        self.started, self.attempt_id = now(), self.command.get("attempt_id")
        if self.kind == "legacy":
            return True
        if self.attempt_id and not engine_holds(self.root):
            print(f"peer: {self.root}: no engine holds it: a left-over command", file=sys.stderr)
            return False
        return self.options.no_claim or self.claim()

    def claim(self):
        """Links a locked claim, then looks again; False if the attempt is not ours to run."""
        folder = claims_of(self.root)
        folder.parent.mkdir(0o700, exist_ok=True)
        folder.mkdir(0o700, exist_ok=True)
        path = folder / f"{self.attempt_id or '-'.join(map(str, self.key[1:]))}.json"
        descriptor, name = temporary_beside(path)
        self.lock = open(descriptor, "w", encoding="utf-8")
        json.dump({"attempt_id": self.attempt_id, "agent_id": "peer", "pid": os.getpid(),
                   "claimed_at": now()}, self.lock)
        self.lock.flush()
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            os.link(name, path)
            self.claim_path = path
        except FileExistsError:
            pass  # another agent's
        finally:
            os.unlink(name)
        if self.claim_path and identity(self.root / COMMAND) == self.key and not self.cancelled():
            return True
        if self.claim_path:
            self.claim_path.unlink(missing_ok=True)
        self.lock.close()
        return False

    def cancelled(self):
        """Whether we are asked to stop; the legacy dialect knows of no such thing."""
        if self.kind == "legacy" or not self.attempt_id or not identity(self.root / CANCEL):
            return False
        try:
            asked = strict_object(read_control(self.root / CANCEL)[0])
        except FileNotFoundError:
            return False
        return asked.get("attempt_id", self.attempt_id) == self.attempt_id

    def write(self, word, **fields):
        """Writes the status in this dialect; from the fields, what the dialect knows."""
        correlation = self.command.get("correlation", {})
        ids = {key: correlation.get(key) for key in ("workflow_id", "step_id")}
        self.sequence += 1
        status = {"version": "1.0", "status": word, "started_at": self.started, **fields,
                  "metadata": {**ids, "command": self.command["command"]},
                  **{key: self.command[key] for key in ECHOED if key in self.command},
                  "agent_id": "peer", "pid": os.getpid(), "sequence": self.sequence}
        unknown = NOT_ORIGINAL if self.options.no_echo else ()
        if self.kind == "legacy":
            unknown = NOT_LEGACY
            status |= {**ids, "error": status.get("error", {}).get("message")}
        folder = self.root / ".cursor" if self.options.cursor_folder else self.root
        folder.mkdir(exist_ok=True)
        put(folder / self.options.status_name,
            {key: value for key, value in status.items() if key not in unknown},
            self.way, self.options.tear)

    def write_final(self, outcome, reason, **fields):
        """Writes the last status, in the dialect's words for the outcome."""
        kind = "failed" if outcome == "retryable" else outcome
        failed = kind in ("failed", "cancelled", "timeout")
        if failed:
            fields["error"] = {"message": reason, "code": kind, "retry_count": 0,
                               "retryable": outcome == "retryable"}
        if failed or kind == "completed":
            fields["outcome"] = kind
        self.write("failed" if failed and self.kind == "structured" else kind,
                   completed_at=now(), artifacts=self.options.artifact, **fields)

    def play(self):
        """From the running status to the last one; gives the outcome."""
        self.write("running", **AT_WORK)
        outcome, reason, ended = self.options.outcome or "completed", "as asked", {}
        with tempfile.TemporaryFile() as printed:
            if self.options.run:
                try:
                    self.process = subprocess.Popen(
                        self.command.get("argv") or ["sh", "-c", self.command["command"]],
                        cwd=os.path.join(self.root, self.command.get("working_directory", ".")),
                        env={**ENVIRONMENT, **self.command.get("env", {})},
                        stdin=subprocess.DEVNULL, stdout=printed,
                        stderr=subprocess.STDOUT, start_new_session=True)
                except OSError as error:
                    outcome, reason = "failed", str(error)
            stopped = self.wait()
            printed.seek(0)
            output = printed.read().decode("utf-8", "replace") if self.process else "done\n"
        if self.process:
            code = self.process.returncode
            ended = {"exit_code": code} if code >= 0 else {"signal": -code}
            if code and not self.options.outcome:
                outcome, reason = "failed", f"the program ended with {code}"
        if stopped:
            outcome, reason = "cancelled", "cancelled by the engine"
        elif not self.options.run:
            for path in self.options.artifact:
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)
                (self.root / path).write_text(f"made at {now()}\n", encoding="utf-8")
        if outcome != "none":  # an agent that never says how it ended
            given = self.options.output
            self.write_final(outcome, reason, output=output if given is None else given, **ended)
            if self.kind == "structured" and identity(self.root / COMMAND) == self.key:
                (self.root / COMMAND).unlink(missing_ok=True)
            if self.claim_path and not self.attempt_id:  # the engine knows of no claims
                self.claim_path.unlink(missing_ok=True)
        if self.options.hold:
            time.sleep(self.options.hold)
            (self.root / "released").touch()
        if self.lock:
            self.lock.close()
        return outcome

    def wait(self):
        """Waits for the end of the delay and of the program, or for a cancel; True for that."""
        start = beat = time.monotonic()
        while (left := start + self.options.delay - time.monotonic()) > 0 or (
                self.process and self.process.poll() is None):
            if self.cancelled():
                self.stop()
                return True
            if time.monotonic() - beat >= self.options.heartbeat:
                beat = time.monotonic()
                self.write("running", **AT_WORK)
            time.sleep(min(POLL, left) if left > 0 else POLL)
        return False

    def stop(self):
        """Ends the program and what it started in its session."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def play_agents(options):
    """One agent for each worktree, until all have come to their end or one has failed."""
    agents = [Agent(root, options) for root in options.worktree]
    try:
        for agent in agents:
            agent.start()
        while any(agent.is_alive() for agent in agents) and not Agent.failures:
            time.sleep(POLL)
        if Agent.failures:
            raise Agent.failures[0]
    finally:
        for agent in agents:
            agent.stop()


def check_status(status, sequence):
    """What is wrong with a structured status, in a list; [] for none."""
    try:
        shape(status, "status", STATUS_FILE, STATUS_OPTIONAL)
        need(status.get("sequence", sequence) >= sequence, "status.sequence: went back")
        if status["status"] in ("completed", "failed"):
            need(status.get("completed_at"), "status.completed_at: missing at the end")
            need((status["status"] == "failed") == bool(status.get("error")), "status.error")
    except ValueError as broken:
        return [str(broken)]
    return []


def play_engine(options):
    """Hands one command over as the original did, polls for its end and prints the result."""
    root, created = Path(options.worktree), now()
    context = {"workflow_id": options.workflow, "step_id": options.step,
               "expected_artifacts": options.expect}
    both = {"command": options.command, "correlation": {**context, "created_at": created}}
    statuses = [root / STATUS, root / ".cursor" / STATUS]
    for path in statuses:
        path.unlink(missing_ok=True)
    put(root / METADATA, {"version": "1.0", "type": "skill_command", **both,
                          "workflow_context": context, "interaction_pattern": INTERACTION,
                          "metadata": {}, "timestamp": created}, options.way)
    put(root / SIMPLE, options.command, options.way)
    ids, lock, claim = {}, None, None
    if options.protocol == "1.1":
        ids = {"execution_id": str(uuid.uuid4()), "attempt": 1, "attempt_id": str(uuid.uuid4())}
        lock, claim = hold(root), claims_of(root) / f"{ids['attempt_id']}.json"
    put(root / COMMAND, {**both, "worktree_path": str(root), "instructions": "Run the command "
                         "here, then write the status file.", "note": "",
                         **({"protocol": "1.1", **ids} if ids else {})}, options.way)
    start = time.monotonic()
    result = {"status": "timeout", "error": None, "artifacts": [], "output": None}
    words, wrong, torn, sequence = [], [], 0, 0
    while result["status"] == "timeout" and time.monotonic() < start + options.timeout:
        time.sleep(options.poll)
        for path in statuses:
            try:
                status = json.loads(path.read_bytes())
            except FileNotFoundError:
                continue
            except ValueError:
                torn += 1
                continue
            if ids and status.get("attempt_id", ids["attempt_id"]) != ids["attempt_id"]:
                continue
            structured = status.get("version") == "1.0"
            if structured:
                wrong += [each for each in check_status(status, sequence) if each not in wrong]
                sequence = status.get("sequence", sequence)
            word, partial = status.get("status"), status.get("partial_results") or {}
            words += [word] if words[-1:] != [word] else []
            if word in ("completed", "failed"):  # an original reader knows no other final words
                result = {"status": word, "error": status.get("error"), "artifacts":
                          partial.get("artifacts") or status.get("artifacts") or [],
                          "output": partial.get("output") or status.get("output"),
                          "format": "structured" if structured else "legacy", "raw": status}
                break
    if claim:
        while not is_unlocked(claim) and time.monotonic() < start + options.timeout:
            time.sleep(options.poll)
        result["released"] = is_unlocked(claim)
        claim.unlink(missing_ok=True)
    result |= {"duration_ms": (time.monotonic() - start) * 1000, "words": words,
               "torn_reads": torn, "violations": wrong}
    for path in [] if options.keep else (root / COMMAND, *statuses, root / SIMPLE, root / METADATA):
        path.unlink(missing_ok=True)
    if lock is not None:
        os.close(lock)
    print(json.dumps(result, indent=2))
    return {"completed": 0, "failed": 1}.get(result["status"], 124)


def check_metric(path, line):
    """Holds one metric line against the protocol; gives its key."""
    value = strict_object(line)
    need(list(value) == list(METRIC), f"keys: {list(value)}")
    shape(value, "metric", METRIC)
    day = value["completed_at"][:10]
    need(path.name == f"executions_{day}.jsonl", f"completed_at: {day} in {path.name}")
    return value["execution_id"], value["retry_count"]


def check_audit(_, line):
    """Holds one audit line against the protocol; further keys may follow the original's."""
    parts = re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \| INFO \| (\{.*\})", line, re.ASCII)
    need(parts, "not `YYYY-MM-DD HH:MM:SS | INFO | {...}`")
    need(is_time(parts[1].replace(" ", "T")), f"prefix: {parts[1]}")
    value = strict_object(parts[2])
    need(list(value)[:len(AUDIT)] == list(AUDIT), f"keys: {list(value)}")
    shape({key: value[key] for key in AUDIT}, "audit", AUDIT)
    event, status = value["event_type"], value["status"]
    wanted = {"execution_completed": "completed", "execution_failed": "failed"}.get(event, status)
    need(status == wanted, f"status: {status!r} of {event}")


def read_records(options):
    """Checks every line of every file and prints how many are good."""
    count, bad, keys = 0, 0, []
    for path in map(Path, options.file):
        *lines, rest = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines + ([rest] if rest else []), 1):
            try:
                need(number <= len(lines), "cut off: no newline at the end")
                need(line.isascii(), "not ASCII")
                need(line and line == line.strip(), "empty, or blanks around it")
                keys.append(options.check(path, line.decode("ascii")))
                count += 1
            except ValueError as broken:
                bad += 1
                print(f"{path}:{number}: {broken}", file=sys.stderr)
    keys = [key for key in keys if key]
    print(json.dumps({"count": count, "bad": bad, "repeats": len(keys) - len(set(keys))}))
    return 1 if bad else 0


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description="An independent peer of the file protocol.")
    verbs = parser.add_subparsers(required=True)
    paths = {"nargs": "+", "action": "extend", "default": [], "metavar": "PATH"}

    agent = verbs.add_parser("agent", help="play an agent")
    agent.add_argument("worktree", nargs="+", type=os.path.abspath)
    agent.add_argument("--dialect", required=True, choices=[
        f"{k}-{way}" for k in ("legacy", "structured") for way in ("renamed", "inplace", "torn")])
    agent.add_argument("--outcome", help="completed, failed, retryable, cancelled, timeout; none: "
                       "never end; any other word is written as the status")
    agent.add_argument("--artifact", **paths)
    agent.add_argument("--output", metavar="TEXT")
    for flag, meaning in (("run", "run the command; it makes the artifacts itself"),
                          ("no-echo", "write no field beyond the original's"),
                          ("no-claim", "make no claim"), ("cursor-folder", "status in .cursor/")):
        agent.add_argument(f"--{flag}", action="store_true", help=meaning)
    for name, default, meaning in (("delay", 0, "be at it that long at least"),
                                   ("tear", 0.2, "how long a status stays torn"),
                                   ("heartbeat", 30, "between two running statuses"),
                                   ("hold", 0, "keep the claim that long after the last status, "
                                    "then make a file `released`")):
        agent.add_argument(f"--{name}", type=float, default=default, metavar="S", help=meaning)
    agent.add_argument("--status-name", default=STATUS)
    agent.add_argument("--file-mode", type=lambda text: int(text, 8), default=0o600)
    agent.add_argument("--count", type=int, metavar="N", help="end after so many attempts")
    agent.add_argument("--once", dest="count", action="store_const", const=1)
    agent.set_defaults(action=play_agents)

    engine = verbs.add_parser("engine", help="be the original's executor for one command")
    engine.add_argument("worktree", type=os.path.abspath)
    engine.add_argument("command")
    engine.add_argument("--timeout", type=float, default=30, metavar="S")
    engine.add_argument("--poll", type=float, default=POLL, metavar="S")
    engine.add_argument("--workflow", default="peer")
    engine.add_argument("--step")
    engine.add_argument("--expect", **paths)
    engine.add_argument("--way", choices=["renamed", "inplace", "torn"], default="renamed")
    engine.add_argument("--protocol", choices=["1.0", "1.1"], default="1.0")
    engine.add_argument("--keep", action="store_true", help="leave the control files behind")
    engine.set_defaults(action=play_engine)

    for verb, check in (("read-metrics", check_metric), ("read-audit", check_audit)):
        reader = verbs.add_parser(verb, help="check every line")
        reader.add_argument("file", nargs="+")
        reader.set_defaults(action=read_records, check=check)
    return parser.parse_args()


def main():
    """Runs the verb; the exit status is its answer."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    try:
        return options.action(options) or 0
    except (ValueError, OSError) as error:
        print(f"peer: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        pass
    return 1


if __name__ == "__main__":
    sys.exit(main())
