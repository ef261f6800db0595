#!/usr/bin/env python3
"""Drives the example of an HTTP server: example_6_http_server_test.py PROGRAM"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = ""
PATIENCE = 120  # seconds; only a test that fails waits so long


def eventually(condition) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class HttpServer(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.project = Path(folder.name)
        for name in ("a", "b", ".hidden"):
            (self.project / name).mkdir()
        self.server = subprocess.Popen([PROGRAM, "0", str(self.project)], stdout=subprocess.PIPE,
                                       text=True)
        self.addCleanup(self.end)
        self.address = self.server.stdout.readline().strip().removeprefix("http://")

    def end(self) -> None:
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        try:
            if body is not None:
                headers = {"Content-Type": "application/json"} | {
                    name.replace("_", "-"): value for name, value in headers.items()}
            text = body if body is None or isinstance(body, str) else json.dumps(body)
            connection.request(method, path, text, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def start(self, command: str, worktree: str = "a") -> str:
        status, state = self.ask("POST", "/commands", {"command": command, "worktree": worktree})
        self.assertEqual(status, 202)
        return f"/commands/{state['id']}"

    def result_of(self, path: str) -> dict:
        self.assertTrue(eventually(lambda: self.ask("GET", path)[1]["finished"]))
        return self.ask("GET", path)[1]["result"]

    def stop(self, number: int = signal.SIGINT) -> None:
        self.server.send_signal(number)
        self.assertEqual(self.server.wait(PATIENCE), 0)

    def test_a_command_is_started_and_its_result_fetched(self) -> None:
        result = self.result_of(self.start("echo text > made; echo done"))
        self.assertEqual(result["status"], "completed")
        self.assertEqual(result["output"], "done\n")
        self.assertEqual((self.project / "a" / "made").read_text(), "text\n")
        failed = self.result_of(self.start("exit 3", "b"))
        self.assertEqual((failed["status"], failed["exit_code"]), ("failed", 3))
        self.assertEqual(self.result_of(self.start("true", "missing"))["status"], "failed")
        self.stop(signal.SIGTERM)

    def test_a_running_command_can_be_cancelled(self) -> None:
        path = self.start("touch started; sleep 1000")
        self.assertTrue(eventually((self.project / "a" / "started").exists))
        self.assertEqual(self.ask("GET", path), (200, {"id": 1, "finished": False}))
        self.assertEqual(self.ask("DELETE", path)[0], 200)
        self.assertEqual(self.result_of(path)["status"], "cancelled")
        self.stop()

    def test_what_is_no_acceptable_request_starts_nothing(self) -> None:
        good = {"command": "touch made", "worktree": "a"}
        for expected, method, path, body, headers in [
            (404, "GET", "/", None, {}),
            (404, "GET", "/commands/1", None, {}),
            (404, "GET", "/commands/1x", None, {}),
            (405, "GET", "/commands", None, {}),
            (400, "POST", "/commands", "{", {}),
            (400, "POST", "/commands", [], {}),
            (400, "POST", "/commands", {"command": 1, "worktree": "a"}, {}),
            (400, "POST", "/commands", good | {"worktree": ".."}, {}),
            (400, "POST", "/commands", good | {"worktree": ".hidden"}, {}),
            (400, "POST", "/commands", good | {"worktree": "../a"}, {}),
            (400, "POST", "/commands", good | {"worktree": str(self.project / "a")}, {}),
            (415, "POST", "/commands", good, {"Content_Type": "text/plain"}),
            (403, "POST", "/commands", good, {"Host": "example.org"}),
            (413, "POST", "/commands", "", {"Content_Length": "1000000000"}),
            (431, "POST", "/commands", good, {"X_Long": "x" * 10_000}),
        ]:
            with self.subTest(expected=expected, path=path, body=body, headers=headers):
                status, answer = self.ask(method, path, body, **headers)
                self.assertEqual(status, expected)
                self.assertIn("error", answer)
        self.assertEqual(self.ask("GET", "/commands/1")[0], 404)
        self.assertFalse((self.project / "a" / "made").exists())
        self.assertFalse((self.project / ".hidden" / "made").exists())
        self.stop()

    def test_a_port_that_does_not_exist_is_refused(self) -> None:
        for port in ("65536", "-1", "80x", ""):
            ended = subprocess.run([PROGRAM, port, str(self.project)], capture_output=True,
                                   text=True, timeout=PATIENCE)
            self.assertEqual((ended.returncode, ended.stderr),
                             (1, "PORT is a number up to 65535\n"))

    def test_bytes_that_are_no_request_end_their_connection_alone(self) -> None:
        host, port = self.address.split(":")
        for text in (b"\0\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /commands HTTP/1.1\r\n"):
            with socket.create_connection((host, int(port)), PATIENCE) as connection:
                connection.sendall(text)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
        self.assertEqual(self.result_of(self.start("true"))["status"], "completed")
        self.stop()

    def test_an_interrupt_stops_the_commands_and_closes_idle_connections(self) -> None:
        host, port = self.address.split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as idle:
            self.start("echo $$ > pid.new; mv pid.new pid; sleep 1000")
            self.start("sleep 1001")  # waits for the same worktree
            pid = self.project / "a" / "pid"
            self.assertTrue(eventually(pid.exists))
            self.stop()
            self.assertEqual(self.server.stdout.read(), "stopped\n")
            self.assertEqual(idle.recv(1), b"")
        with self.assertRaises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)
        self.assertEqual([path.name for path in (self.project / "a").iterdir()], ["pid"])

    def test_it_listens_on_the_loopback_address_alone(self) -> None:
        self.assertTrue(self.address.startswith("127.0.0.1:"))
        port = f"{int(self.address.split(':')[1]):04X}"
        sockets = Path("/proc/net/tcp").read_text().splitlines()[1:]
        listening = [line.split()[1] for line in sockets
                     if line.split()[3] == "0A" and line.split()[1].endswith(":" + port)]
        self.assertEqual(listening, ["0100007F:" + port])
        self.stop()


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
