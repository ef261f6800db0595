#!/usr/bin/env python3
"""Records exchanges of the Agent Client Protocol: what programs answer, ask and report.

    acp.py [AGENT...] [--scenario S] [--print]

Writes recordings/acp/AGENT/SCENARIO.jsonl, with a line for each message:
{"to": "agent" or "client", "message": …}.
"""

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import recordings
from model import Model
from programs import PROGRAMS, prepare

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build/agents"
TASK = "Write a report into report.md."
LIMIT = 300  # seconds for each answer
# By name: what the stand-in plays, and the kind of option that answers requests for permission.
SCENARIOS = {
    "success": ("success", "allow_once"),
    "denied": ("success", "reject_once"),
    "cancel": ("slow_tool", "allow_once"),
    "cancel_while_asking": ("success", None),
    "unauthorized": ("unauthorized", "allow_once"),
    "no_credit": ("no_credit", "allow_once"),
    "overloaded": ("overloaded", "allow_once"),
    "refusal": ("refusal", "allow_once"),
    "max_tokens": ("max_tokens", "allow_once"),
    "resume": ("success", "allow_once"),  # the session of an earlier process
}
# Failed turns of codex-acp are `end_turn` without this.
CAPABILITIES = {"_meta": {"jetbrains": {"air": {"version": 1, "capabilities": ["sessionFailure"]}}}}


class Client:
    """Speaks with one agent over its standard streams, and keeps every message."""

    def __init__(self, command, folder, environment, answer_kind):
        self.answer_kind, self.cancelled = answer_kind, None
        self.messages = []
        self.session = None
        self._number = 0
        self._received = queue.Queue()
        self.process = subprocess.Popen(command, cwd=folder, env=environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(folder.parent / "stderr", "w"))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._received.put(json.loads(line))
        self._received.put(None)

    def send(self, message):
        message = {"jsonrpc": "2.0", **message}
        self.messages.append({"to": "agent", "message": message})
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def request(self, method, params, cancel_when=None):
        """Returns the response. The agent's own requests are answered meanwhile."""
        self._number += 1
        self.send({"id": self._number, "method": method, "params": params})
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            if cancel_when and cancel_when():
                self.cancel()
                cancel_when = None
            try:
                message = self._received.get(timeout=0.1)
            except queue.Empty:
                continue
            if message is None:
                raise SystemExit(f"the agent has ended during {method}")
            self.messages.append({"to": "client", "message": message})
            if "method" in message and "id" in message:
                self.answer(message)
            elif message.get("id") == self._number:
                return message
        raise SystemExit(f"no response to {method} within {LIMIT} s")

    def cancel(self):
        self.send({"method": "session/cancel", "params": {"sessionId": self.session}})

    def answer(self, message):
        if message["method"] != "session/request_permission":
            self.send({"id": message["id"],
                       "error": {"code": -32601, "message": "Method not found"}})
            return
        if self.answer_kind is None:  # cancelled while the question is open
            self.cancel()
            outcome = {"outcome": "cancelled"}
        else:
            option = next(option for option in message["params"]["options"]
                          if option["kind"] == self.answer_kind)
            outcome = {"outcome": "selected", "optionId": option["optionId"]}
        self.send({"id": message["id"], "result": {"outcome": outcome}})

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Cell:
    """The folders of one exchange; `recordings` removes their names."""

    def __init__(self, agent, scenario, build):
        self.folder = build / "cells/acp" / agent / scenario
        self.tree, self.home = self.folder / "tree", self.folder / "home"
        self.project = self.folder / "project"
        self.install = build / "programs"


def exchange(agent, scenario):
    plays, answer_kind = SCENARIOS[scenario]
    cell, program = Cell(agent, scenario, BUILD), PROGRAMS[agent]
    shutil.rmtree(cell.folder, ignore_errors=True)
    for folder in (cell.tree, cell.home, cell.folder / "tmp"):
        folder.mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=cell.tree, check=True)
    with Model(plays, cell.tree, asks=True) as model:
        environment = {
            "PATH": f"{cell.install}/node_modules/.bin:{os.environ['PATH']}",
            "HOME": str(cell.home), "TMPDIR": str(cell.folder / "tmp"),
            "LANG": "C.UTF-8", "NO_COLOR": "1",
            **prepare(program, cell.home, f"http://127.0.0.1:{model.port}", True, acp=True)}
        client = play(program, cell, environment, scenario, answer_kind)
        if scenario == "resume":
            client = play(program, cell, environment, scenario, answer_kind, client.session)
        lines = "".join(json.dumps(message, ensure_ascii=False) + "\n"
                        for message in client.messages)
        (cell.folder / "messages.jsonl").write_text(lines)
    return cell, recordings.trimmed(lines, cell)


def play(program, cell, environment, scenario, answer_kind, session=None):
    client = Client(program.acp, cell.tree, environment, answer_kind)
    try:
        ready = client.request("initialize", {
            "protocolVersion": 1, "clientCapabilities": CAPABILITIES,
            "clientInfo": {"name": "autoexec", "title": "autoexec", "version": "1"}})
        folder = {"cwd": str(cell.tree), "mcpServers": []}
        opened = {}
        if session:
            can = ready["result"]["agentCapabilities"].get("sessionCapabilities", {})
            opened = client.request(f"session/{'resume' if 'resume' in can else 'load'}",
                                    {"sessionId": session, **folder})
        if "result" not in opened:  # Gemini 0.61 does not find the session
            session, opened = None, client.request("session/new", folder)
        if "result" in opened:
            client.session = session or opened["result"]["sessionId"]
            if program.acp_mode:
                client.request("session/set_mode", {"sessionId": client.session,
                                                    "modeId": program.acp_mode})
            begun = (cell.tree / "begun").exists if scenario == "cancel" else None
            client.request("session/prompt", {
                "sessionId": client.session, "prompt": [{"type": "text", "text": TASK}]}, begun)
    finally:
        client.close()
    return client


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("agents", nargs="*", metavar="AGENT", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, metavar="S",
                        help=f"of {', '.join(SCENARIOS)}")
    options = parser.parse_args()
    failed = False
    for agent in options.agents or PROGRAMS:
        for scenario in options.scenario or SCENARIOS:
            begin = time.monotonic()
            try:
                _, lines = exchange(agent, scenario)
            except SystemExit as error:
                failed = True
                print(f"{agent} {scenario}: {error}", file=sys.stderr)
                continue
            target = HERE / "recordings/acp" / agent
            target.mkdir(parents=True, exist_ok=True)
            (target / f"{scenario}.jsonl").write_text(lines)
            last = json.loads(lines.splitlines()[-1])["message"]
            print(f"{agent:8} {scenario:20} {time.monotonic() - begin:5.1f} s  "
                  f"{json.dumps(last.get('result', last.get('error')))[:150]}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
