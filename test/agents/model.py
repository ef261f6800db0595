#!/usr/bin/env python3
"""A stand-in for the model: an HTTP server on loopback that plays one scenario.

    model.py SCENARIO [--folder DIR] [--port N]      the worktree in which files are written

A scenario is a generator of moves. Each request that offers tools gets the next move; requests
without tools (titles, summaries, checks) get a short text. A move that is not in a generator
answers everything.
"""

import argparse
import itertools
import json
import os
import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from wire import Answer, dialect_of

REPORT = "report.md"
CONTENT = "# Report\n\nAll is well.\n"
LARGE = 5 * 1024 * 1024


@dataclass
class Error:
    """An HTTP error, in the words of the provider."""

    kind: str
    retry_after: int = None


@dataclass
class Broken:
    """An answer that is not delivered as it should be: 'cut', 'error', 'html', 'sse' or 'hang'."""

    how: str


def say(text, end="stop"):
    return Answer(text, end=end)


@dataclass
class Write:
    path: str = REPORT


@dataclass
class Shell:
    command: str
    background: bool = False


# What a scenario's tool is called in each program, and where its arguments go.
WRITERS = {"Write": "file_path", "write_file": "file_path", "write": "filePath"}
SHELLS = {"Bash": "command", "run_shell_command": "command", "bash": "command",
          "exec_command": "cmd", "shell_command": "command"}


def filled(arguments, schema):
    """The arguments, with something for whatever else the program requires."""
    samples = {"string": "as the task says", "boolean": False, "integer": 1, "number": 1,
               "array": [], "object": {}}
    for name in schema.get("required", []):
        kind = schema.get("properties", {}).get(name, {}).get("type", "string")
        arguments.setdefault(name, samples.get(kind, ""))
    return arguments


def shell_call(move, request, asks=False):
    for tool, key in SHELLS.items():
        schema = request.tools.get(tool)
        if schema is not None:
            arguments = {key: move.command}
            if asks and "sandbox_permissions" in schema.get("properties", {}):
                arguments |= {"sandbox_permissions": "require_escalated",
                              "justification": "The task needs it."}
            flag = next((flag for flag in ("run_in_background", "is_background")
                         if flag in schema.get("properties", {})), None)
            if flag:
                arguments[flag] = move.background
            elif move.background:
                arguments[key] += " >/dev/null 2>&1 &"
            return Answer("I run a command.", tool, filled(arguments, schema))
    raise LookupError(f"no tool for a command among {sorted(request.tools)}")


def write_call(move, request, folder, asks):
    path = os.path.join(folder, move.path)
    for tool, key in WRITERS.items():
        if tool in request.tools:
            return Answer("I write the report.", tool,
                          filled({key: path, "content": CONTENT}, request.tools[tool]))
    if "apply_patch" in request.freeform:
        lines = "".join(f"+{line}\n" for line in CONTENT.splitlines())
        return Answer("I write the report.", "apply_patch",
                      f"*** Begin Patch\n*** Add File: {path}\n{lines}*** End Patch\n")
    return shell_call(Shell(f"printf '{CONTENT}' >'{path}'".replace("\n", "\\n")), request, asks)


# Scenarios

def success():
    yield Write()
    yield say("Done: the report is in report.md.")


def pretends():
    yield say("Done: the report is in report.md.")


def denied():
    yield Shell("mkdir ../forbidden")
    yield say("I could not do it: a tool was refused.")


def denied_recovers():
    yield Shell("mkdir ../forbidden")
    yield Write()
    yield say("Done another way: the report is in report.md.")


def question():
    yield say("Should the report be in English or in German?")


def rate_limited_once():
    yield Error("rate_limited", 1)
    yield from success()


def cut_once():
    yield Broken("cut")
    yield from success()


def cut_in_answer():
    yield Write()
    while True:
        yield Broken("cut")


def max_tokens():
    while True:
        yield say("The report begins with", "length")


def refusal():
    while True:
        yield say("I can't help with that.", "refusal")


def empty():
    while True:
        yield say("")


def large():
    yield Write()
    yield say("".join(f"{number}: all is well.\n" for number in range(LARGE // 22)))


def background():
    yield Shell("sleep 600", True)
    yield from success()


def slow_tool():
    yield Shell("touch begun; sleep 600")
    yield say("Done.")


def written_then_hangs():
    yield Write()
    yield Broken("hang")
    yield say("The report is there already.")


def loops():
    for number in itertools.count():  # programs notice when they do the same again and again
        yield Shell(f"true {number}")


SCENARIOS = {scenario.__name__: scenario for scenario in (
    success, pretends, denied, denied_recovers, question, rate_limited_once, cut_once,
    cut_in_answer, max_tokens, refusal, empty, large, background, slow_tool, written_then_hangs,
    loops)}
SCENARIOS |= {
    "unauthorized": Error("unauthorized"),
    "wrong_key": Error("wrong_key"),
    "no_credit": Error("no_credit"),
    "model_missing": Error("model_missing"),
    "context": Error("context"),
    "rate_limited": Error("rate_limited", 3600),
    "overloaded": Error("overloaded"),
    "cut": Broken("cut"),
    "error_in_stream": Broken("error"),
    "broken_json": Broken("html"),
    "broken_sse": Broken("sse"),
    "hang": Broken("hang"),
}


class Model:
    """Plays a scenario for one program; `requests` is what it has asked: (method, path, status).

    With `asks`, calls of tools ask to run outside the program's sandbox, where a tool has a
    parameter for that.
    """

    def __init__(self, scenario, folder=".", port=0, asks=False):
        script = SCENARIOS[scenario]
        self.folder, self.asks = os.path.abspath(folder), asks
        self.requests = []
        self._always = None if callable(script) else script
        self._moves = iter(()) if self._always else script()
        self._last = None
        self._number = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def hangs(self):
        """Whether a request is waiting for ever."""
        return any(status == 0 for _, _, status in self.requests)

    def wait(self):
        self._stopped.wait()

    def next_move(self, request):
        if self._always:
            return self._always
        if request.wants_json:
            return say(json.dumps({"reasoning": "simple", "next_speaker": "user",
                                   "model_choice": "flash", "complexity_score": 1}))
        if not request.tools:
            return say("A report")
        with self._lock:
            self._last = next(self._moves, self._last)
            self._number += 1
            move, number = self._last, self._number
        if isinstance(move, Write):
            move = write_call(move, request, self.folder, self.asks)
        elif isinstance(move, Shell):
            move = shell_call(move, request, self.asks)
        if isinstance(move, Answer):
            move.number = number
        return move

    def _handler(model):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.answer(200, {"data": [], "models": []})

            do_HEAD = do_GET

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                path = urlsplit(self.path).path
                dialect = dialect_of(path)
                if not dialect:
                    self.answer(200, {"totalTokens": 1000, "input_tokens": 1000})
                    return
                request = dialect.request(json.loads(body), path)
                try:
                    move = model.next_move(request)
                except LookupError as error:
                    move = say(f"The stand-in cannot play this: {error}")
                self.play(move, dialect, request)

            def play(self, move, dialect, request):
                if isinstance(move, Error):
                    status, error = dialect.error(move.kind, request, move.retry_after)
                    self.answer(status, error, move.retry_after)
                elif isinstance(move, Broken):
                    getattr(self, move.how)(dialect, request)
                elif request.streamed:
                    self.stream(dialect.events(move, request))
                else:
                    self.answer(200, dialect.message(move, request))

            def cut(self, dialect, request):
                """Closes the connection in the middle of an answer."""
                text = "".join(dialect.events(say("I begin with the report. " * 20), request))
                self.begin_stream()
                self.chunk(text[:len(text) // 2])
                self.reset()

            def error(self, dialect, request):
                """Reports an error within a stream, or instead of an answer in one piece."""
                if not request.streamed:
                    self.answer(*dialect.error("internal", request))
                    return
                events = list(dialect.events(say("I begin with the report."), request))
                self.stream(events[:len(events) // 2] + [dialect.error_event(request)])

            def html(self, *_):
                self.send(200, b"<html><body>Welcome to the hotel. Please sign in.</body></html>",
                          "text/html")

            def sse(self, *_):
                self.stream(['data: {"type": "message_st\n\n', "data: \x01\n\n"])

            def hang(self, *_):
                model.log(self, 0)
                model._stopped.wait()
                self.close_connection = True

            def answer(self, status, body, retry_after=None):
                self.send(status, json.dumps(body).encode(), "application/json", retry_after)

            def send(self, status, body, kind, retry_after=None):
                model.log(self, status)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                if retry_after is not None:
                    self.send_header("retry-after", str(retry_after))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def begin_stream(self):
                model.log(self, 200)
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()

            def chunk(self, text):
                data = text.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            def stream(self, events):
                self.begin_stream()
                for event in events:
                    self.chunk(event)
                self.wfile.write(b"0\r\n\r\n")

            def reset(self):
                linger = struct.pack("ii", 1, 0)  # so the client sees a reset, not an end
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                os.close(self.connection.detach())

            def handle(self):
                try:
                    super().handle()
                except (ConnectionError, ValueError):
                    pass  # the client has gone, or `reset` closed the connection

        return Handler

    def log(self, handler, status):
        with self._lock:
            self.requests.append((handler.command, urlsplit(handler.path).path, status))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--folder", default=".")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    with Model(options.scenario, options.folder, options.port) as model:
        print(f"http://127.0.0.1:{model.port}", flush=True)
        model.wait()


if __name__ == "__main__":
    main()
