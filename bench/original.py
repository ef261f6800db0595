#!/usr/bin/env python3
"""What the Python original's executor does for each command, with an agent in the process.

The same files, the same JSON, asyncio, and polling at a fixed interval: its best case, since by
default it begins at 5 s and slows down. Written for comparison only; it keeps none of the
promises of the file protocol.

usage: original.py COUNT [INTERVAL]
"""

import asyncio
import json
import logging
import logging.handlers
import re
import resource
import shutil
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

HIDDEN = "***REDACTED***"
SECRETS = [(re.compile(pattern, re.IGNORECASE), replacement) for pattern, replacement in [
    (r"\b(sk|pk)-[a-z0-9]{10,}", rf"\1-{HIDDEN}"),
    (r"\b(sk|pk|api_key|apikey)=[^\s&'\"]+", rf"\1={HIDDEN}"),
    (r"\b(api key|api_key|apikey):\s*[\w-]{20,}", rf"\1: {HIDDEN}"),
    (r"--api[_-]?key[ =](\"[^\"]*\"|'[^']*'|\S+)", f"--api_key {HIDDEN}"),
    (r"\b(password|pwd|passwd)=[^\s&]+", rf"\1={HIDDEN}"),
    (r"\b(password|pwd|passwd):\s*\S+", rf"\1: {HIDDEN}"),
    (r"--(password|pwd|passwd)[ =]\S+", f"--password {HIDDEN}"),
    (r"\b(token|auth|bearer)\s+[\w.-]{20,}", rf"\1 {HIDDEN}"),
    (r"\b(token|auth|bearer):\s*[\w.-]{20,}", rf"\1: {HIDDEN}"),
    (r"--(token|auth)[ =]\S+", f"--token {HIDDEN}"),
    (r"AKIA[0-9A-Z]{16}", HIDDEN),
    (r"aws_secret_access_key\s*[=:]\s*[\w/+=]{40}", f"aws_secret_access_key={HIDDEN}"),
    (r"-----BEGIN (RSA )?PRIVATE KEY-----.*?-----END (RSA )?PRIVATE KEY-----", HIDDEN),
]]


def redact(text: str) -> str:
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


@dataclass
class Metric:
    execution_id: str
    workflow_id: str
    step_id: str
    command: str
    status: str
    duration_ms: float
    started_at: str
    retry_count: int = 0
    completed_at: str | None = None
    error_message: str | None = None


class Metrics:
    def __init__(self, project: Path) -> None:
        self.folder = project / ".tapps-agents" / "metrics"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cache: list[Metric] = []

    def record(self, metric: Metric) -> None:
        self.cache.append(metric)
        self.cache = self.cache[-100:]
        day = datetime.now(timezone.utc).strftime("%Y-%m-%d")
        with open(self.folder / f"executions_{day}.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(metric)) + "\n")


class Audit:
    def __init__(self, project: Path) -> None:
        folder = project / ".tapps-agents" / "audit"
        folder.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            folder / "execution_audit.log", maxBytes=10 * 1024 * 1024, backupCount=5)
        handler.setFormatter(
            logging.Formatter("%(asctime)s | %(levelname)s | %(message)s", "%Y-%m-%d %H:%M:%S"))
        self.logger = logging.getLogger("execution_audit")
        self.logger.setLevel(logging.INFO)
        self.logger.propagate = False
        self.logger.addHandler(handler)

    def log(self, event: str, ids: tuple[str, str], command: str, status: str | None = None,
            **details: object) -> None:
        self.logger.info(json.dumps({
            "timestamp": datetime.now(timezone.utc).isoformat(), "event_type": event,
            "workflow_id": ids[0], "step_id": ids[1], "command": command, "status": status,
            "details": details}))


class Executor:
    def __init__(self, project: Path, interval: float) -> None:
        self.interval = interval
        self.metrics = Metrics(project)
        self.audit = Audit(project)

    def publish(self, tree: Path, command: str, ids: tuple[str, str]) -> Path:
        text = redact(command)
        correlation = {"workflow_id": ids[0], "step_id": ids[1],
                       "created_at": datetime.now().isoformat(), "expected_artifacts": []}
        file = tree / ".cursor-skill-command.txt"
        file.write_text(json.dumps({
            "command": text, "correlation": correlation, "worktree_path": str(tree),
            "instructions": "Run this command in the worktree.\nWrite the status file while it "
                            "runs,\nand when it has ended.\nThe command is in `command`.",
            "note": "Secrets were removed from the command."}, indent=2), encoding="utf-8")
        (tree / ".cursor-skill-command-simple.txt").write_text(text, encoding="utf-8")
        (tree / ".cursor-skill-metadata.json").write_text(json.dumps({
            "version": "1.0", "type": "skill_command", "command": text, "correlation": correlation,
            "workflow_context": {"workflow_id": ids[0], "step_id": ids[1],
                                 "expected_artifacts": []},
            "interaction_pattern": {"mode": "async",
                                    "completion_detection": "status_file_and_artifacts",
                                    "progress_updates": True,
                                    "error_handling": "retry_with_backoff"},
            "metadata": {}, "timestamp": datetime.now().isoformat()}, indent=2), encoding="utf-8")
        return file

    @staticmethod
    def check_status(tree: Path) -> dict:
        file = tree / ".cursor-skill-status.json"
        if not file.exists():
            return {"completed": False, "status": "pending", "status_file_exists": False}
        data = json.loads(file.read_text(encoding="utf-8"))
        status = data.get("status", "unknown")
        result = {"completed": status == "completed", "status": status,
                  "status_file_exists": True, "version": data.get("version")}
        for key in ("progress", "partial_results", "error", "artifacts", "output", "metadata"):
            if data.get(key):
                result[key] = data[key]
        return result

    async def poll(self, tree: Path, timeout: float = 3600) -> dict:
        start = datetime.now()
        while (datetime.now() - start).total_seconds() < timeout:
            result = self.check_status(tree)
            if result["status"] in ("completed", "failed"):
                return result
            await asyncio.sleep(self.interval)
        return {"status": "timeout", "completed": False}

    async def execute(self, command: str, tree: Path, ids: tuple[str, str]) -> dict:
        started = datetime.now()
        file = self.publish(tree, command, ids)
        metadata = json.loads((tree / ".cursor-skill-metadata.json").read_text(encoding="utf-8"))
        self.audit.log("command_detected", ids, command, command_file=str(file), metadata={
            "expected_artifacts": metadata["workflow_context"]["expected_artifacts"],
            "interaction_pattern": metadata["interaction_pattern"]})
        self.audit.log("execution_started", ids, command, "started")
        result = await self.poll(tree)
        completed = datetime.now()
        took = (completed - started).total_seconds()
        result.update(command=command, worktree=str(tree), command_file=str(file),
                      duration_seconds=took)
        self.metrics.record(Metric(str(uuid.uuid4()), *ids, command, result["status"], took * 1000,
                                   started.isoformat(), completed_at=completed.isoformat()))
        self.audit.log("execution_completed", ids, command, "completed", duration_ms=took * 1000)
        return result


async def run_agent(trees: list[Path]) -> None:
    """Takes one command after the other, as an agent that is told of each."""
    for tree in trees:
        command = json.loads((tree / ".cursor-skill-command.txt").read_text(encoding="utf-8"))
        now = datetime.now().isoformat()
        (tree / ".cursor-skill-status.json").write_text(json.dumps({
            "version": "1.0", "status": "completed", "started_at": now, "completed_at": now,
            "metadata": {**{key: command["correlation"][key] for key in ("workflow_id", "step_id")},
                         "command": command["command"]}}, indent=2), encoding="utf-8")


async def run_all(project: Path, trees: list[Path], interval: float) -> None:
    executor = Executor(project, interval)
    executions = [
        asyncio.create_task(executor.execute(f"/review --file src/part{number}.cpp", tree,
                                             ("bench", f"step-{number}")))
        for number, tree in enumerate(trees)]
    await asyncio.sleep(0)  # all are published
    await run_agent(trees)
    results = await asyncio.gather(*executions)
    assert all(result["status"] == "completed" for result in results)


def main() -> None:
    count = int(sys.argv[1])
    interval = float(sys.argv[2]) if len(sys.argv) > 2 else 0.1
    project = Path(tempfile.mkdtemp(prefix="autoexec-bench-"))
    try:
        trees = [project / f"tree-{number}" for number in range(count)]
        for tree in trees:
            tree.mkdir()
        cpu, start = time.process_time(), time.monotonic()
        asyncio.run(run_all(project, trees, interval))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"count": count, "cpu": time.process_time() - cpu,
                          "wall": time.monotonic() - start, "peak_bytes": peak}))
    finally:
        shutil.rmtree(project)


if __name__ == "__main__":
    main()
