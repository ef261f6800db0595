"""Programs that people would use instead: the same jobs, and what is left when one is killed."""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median


def become_subreaper() -> None:
    """Programs that put themselves into the background are ours to wait for, with what they used."""
    pr_set_child_subreaper = 36
    if ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0) != 0:
        raise OSError("prctl(PR_SET_CHILD_SUBREAPER)")


def wait_for_all(first: int) -> tuple[float, int, bool]:
    """CPU seconds, the largest peak of one process other than the first, and whether one failed."""
    cpu, peak, failed = 0.0, 0, False
    while True:
        try:
            pid, status, used = os.wait4(-1, 0)
        except ChildProcessError:
            return cpu, peak, failed
        cpu += used.ru_utime + used.ru_stime
        peak = max(peak, used.ru_maxrss * 1024 if pid != first else 0)
        failed = failed or status != 0


def measured(argv: list[str], folder: Path) -> dict:
    """A program and all that it starts, also in the background."""
    start = time.monotonic()
    # The kernel counts what Python used before the exec as its child's memory, so ask GNU time.
    timed = ["time", "-q", "-f", "%M", "-o", "peak", *argv]
    with open(folder / "log", "w") as log:
        child = subprocess.Popen(timed, cwd=folder, stdout=log, stderr=log,
                                 stdin=subprocess.DEVNULL, env=environment(folder))
        cpu, peak, failed = wait_for_all(child.pid)
    if failed:
        raise RuntimeError(f"{argv} failed: {(folder / 'log').read_text()[-2000:]}")
    peak = max(peak, 1024 * int((folder / "peak").read_text()))
    return {"wall": time.monotonic() - start, "cpu": cpu, "peak_bytes": peak}


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TS_SOCKET": str(folder / "tsp"), "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder)}


def sh(script: str) -> list[str]:
    return ["sh", "-ec", script]


def autoexec(folder: Path, words: list[str], count: int, jobs: int, program: str) -> list[str]:
    for number in range(jobs):  # one at a time in each
        (folder / f"tree-{number}").mkdir()
    lines = [json.dumps({"argv": words, "worktree": f"tree-{number % jobs}"})
             for number in range(count)]
    (folder / "list").write_text("\n".join(lines))
    return [program, "run", "--list", "list", "-j", str(jobs), "-q", "--project", "."]


def make(folder: Path, words: list[str], count: int, jobs: int, _: str) -> list[str]:
    names = " ".join(f"job-{number}" for number in range(count))
    (folder / "Makefile").write_text(f".PHONY: {names}\nall: {names}\n{names}:\n\t@{' '.join(words)}\n")
    return ["make", "-s", f"-j{jobs}"]


def xargs(_: Path, words: list[str], count: int, jobs: int, __: str) -> list[str]:
    return sh(f"yes '' | head -n {count} | xargs -d '\\n' -I '{{}}' -P {jobs} {' '.join(words)}")


def parallel(_: Path, words: list[str], count: int, jobs: int, __: str) -> list[str]:
    return sh(f"seq {count} | parallel --will-cite -j {jobs} -N0 {' '.join(words)}")


def tsp_queue(_: Path, words: list[str], count: int, jobs: int, __: str) -> list[str]:
    return sh(f"tsp -S {jobs}; for i in $(seq {count}); do tsp -n {' '.join(words)} >id; done")


def tsp(folder: Path, words: list[str], count: int, jobs: int, program: str) -> list[str]:
    return sh(f"{tsp_queue(folder, words, count, jobs, program)[-1]}; "
              "while tsp | grep -Eq 'running|queued'; do sleep 0.02; done; tsp -K")


def nq_queue(_: Path, words: list[str], count: int, jobs: int, __: str) -> list[str]:
    # A queue runs one at a time, so as many queues.
    return sh(f"for i in $(seq {count}); do NQDIR=q$((i % {jobs})) nq -q {' '.join(words)}; done")


def nq(folder: Path, words: list[str], count: int, jobs: int, program: str) -> list[str]:
    return sh(f"{nq_queue(folder, words, count, jobs, program)[-1]}; "
              f"for i in $(seq 0 {jobs - 1}); do NQDIR=q$i nq -w -q; done")


PEERS = {"autoexec": autoexec, "make -j": make, "xargs -P": xargs, "GNU parallel": parallel,
         "task-spooler": tsp, "nq": nq}
PROGRAMS = {"make -j": "make", "xargs -P": "xargs", "GNU parallel": "parallel",
            "task-spooler": "tsp", "nq": "nq"}


def installed() -> list[str]:
    return [name for name in PEERS if name == "autoexec" or shutil.which(PROGRAMS[name])]


def run_peer(name: str, words: list[str], count: int, jobs: int, program: str,
             scratch: Path) -> dict:
    folder = scratch / "peer"
    folder.mkdir()
    try:
        return {**measured(PEERS[name](folder, words, count, jobs, program), folder), "count": count}
    finally:
        shutil.rmtree(folder)


# From the end of a job to the start of the next one, at one at a time. bash tells the time without
# a process.

STAMP = """#!/bin/bash
echo $EPOCHREALTIME >>{file}
read -t 0.02 <> <(:)
echo $EPOCHREALTIME >>{file}
"""


def gaps_between_jobs(name: str, count: int, program: str, scratch: Path) -> dict:
    """Seconds: the median."""
    stamp, file = scratch / "stamp", scratch / "stamps"
    stamp.write_text(STAMP.format(file=file))
    stamp.chmod(0o755)
    run_peer(name, [str(stamp)], count, 1, program, scratch)
    times = [float(line) for line in file.read_text().split()]
    file.unlink()
    if len(times) != 2 * count:
        raise RuntimeError(f"{name} ran {len(times) / 2} of {count} jobs")
    return {"gap": median(start - end for end, start in zip(times[1:-1:2], times[2::2], strict=True))}


# What a manager costs that only waits for its jobs.

QUEUES = {**PEERS, "task-spooler": tsp_queue, "nq": nq_queue}


def processes_of(folder: Path) -> list[int]:
    """By the environment that `environment` gives to all that is started for this folder."""
    mark = f"HOME={folder}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def is_job(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    except OSError:
        return False


def processor_seconds(pids: list[int]) -> float:
    """All their threads, in nanoseconds of the scheduler."""
    total = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(path.read_text().split()[0])
    return total * 1e-9


def wait_until(holds: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + 60
    while not holds():
        if time.monotonic() > give_up:
            raise RuntimeError(what)
        time.sleep(0.05)


def idle_while_queued(name: str, count: int, seconds: float, program: str, scratch: Path) -> dict:
    """The share of a processor that all but the two running jobs use while the others wait."""
    folder, jobs = scratch / "queued", 2
    folder.mkdir()
    argv = QUEUES[name](folder, ["sleep", "1000"], count, jobs, program)
    try:
        with open(folder / "log", "w") as log:
            manager = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL, env=environment(folder))
        queues_only = QUEUES[name] is not PEERS[name]
        wait_until(lambda: (manager.poll() is not None or not queues_only)
                   and sum(map(is_job, processes_of(folder))) == jobs, f"{name} runs no {jobs} jobs")
        time.sleep(1)
        managers = [pid for pid in processes_of(folder) if not is_job(pid)]
        start, before = time.monotonic(), processor_seconds(managers)
        time.sleep(seconds)
        return {"idle": (processor_seconds(managers) - before) / (time.monotonic() - start)}
    finally:
        while left := processes_of(folder):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0] != 0:
                    pass
        shutil.rmtree(folder)


# Steps that each change a file in a worktree of their own, then a last one that waits for all.

def make_repository(project: Path, files: int) -> None:
    for number in range(files):
        folder = project / f"folder-{number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file-{number}").write_text(f"content {number}\n")
    subprocess.run(sh("git init -q -b main; git config user.name bench; git config user.email "
                      "bench@localhost; git config gc.auto 0; git add -A; git commit -q -m files"),
                   cwd=project, check=True)


def work_of(step: int) -> str:
    return f"echo changed >folder-{step}/file-{step}00"


def merge_by_hand(project: Path, steps: int) -> list[str]:
    lines = [f"git worktree add -q -b all {project}/../all"]
    for step in range(steps):
        lines.append(f"git worktree add -q -b s{step} {project}/../s{step}; cd {project}/../s{step};"
                     f" {work_of(step)}; git add -A; git commit -q -m s{step}; cd {project}")
    lines += [f"git -C {project}/../all merge -q -m m s{step}" for step in range(steps)]
    lines.append(f"cd {project}/../all; echo done >done; git add -A; git commit -q -m last")
    return sh("\n".join(lines))


def merge_by_workflow(project: Path, steps: int, program: str) -> list[str]:
    names = [f"s{step}" for step in range(steps)]
    work = [{"id": name, "argv": ["sh", "-c", work_of(step)]} for step, name in enumerate(names)]
    last = {"id": "last", "argv": ["sh", "-c", "echo done >done"], "depends_on": names}
    file = project.parent / "workflow.yaml"
    file.write_text(json.dumps({"id": "bench", "steps": [*work, last]}))
    return [program, "workflow", "run", str(file), "-j", "0", "-q", "--project", str(project)]


def count_git(argv: list[str], folder: Path, counted_git: str) -> dict:
    """The processes of git that a program starts, and the CPU that they use."""
    place = folder.parent / "counted"
    place.mkdir()
    (place / "git").symlink_to(counted_git)
    calls = place / "calls"
    with open(folder / "log", "w") as log:
        done = subprocess.run(argv, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                              env={**environment(folder), "BENCH_GIT": shutil.which("git"),
                                   "BENCH_GIT_CALLS": str(calls),
                                   "PATH": f"{place}:{os.environ['PATH']}"})
    if done.returncode != 0:
        raise RuntimeError(f"{argv} failed: {(folder / 'log').read_text()[-2000:]}")
    seconds = [float(line) for line in calls.read_text().split()]
    return {"processes": len(seconds), "cpu": sum(seconds)}


# What is left when the manager is killed: jobs that end at once, then as many as run at a time
# that take seconds, then those that wait for them. Each notes its start and its end.

JOB = """#!/bin/sh
folder=$(dirname "$0")
echo $1 >>"$folder/starts"
[ $1 -lt {slow} ] || [ $1 -ge {fast} ] || sleep {seconds}
echo $1 >>"$folder/ends"
"""
SLOW_SECONDS = 3


def resumable_make(folder: Path, count: int, jobs: int, _: str) -> tuple[list[str], list[str]]:
    names = " ".join(f"done-{number}" for number in range(count))
    (folder / "Makefile").write_text(f"all: {names}\ndone-%:\n\t@./job $* && touch $@\n")
    return (["make", "-s", f"-j{jobs}"],) * 2


def resumable_xargs(_: Path, count: int, jobs: int, __: str) -> tuple[list[str], list[str]]:
    return (["xargs", "-a", "numbers", "-n1", f"-P{jobs}", "./job"],) * 2


def resumable_parallel(_: Path, count: int, jobs: int, __: str) -> tuple[list[str], list[str]]:
    return (["parallel", "--will-cite", f"-j{jobs}", "--joblog", "joblog", "--resume", "-a",
             "numbers", "./job"],) * 2


def resumable_autoexec(folder: Path, count: int, jobs: int,
                       program: str) -> tuple[list[str], list[str]]:
    project = folder / "project"
    make_repository(project, 1)
    (project / "jobs.yaml").write_text(json.dumps({"id": "jobs", "steps": [
        {"id": f"s{number}", "argv": [f"{folder}/job", str(number)], "idempotent": True}
        for number in range(count)]}))
    options = ["-j", str(jobs), "-q", "--project", str(project)]
    return ([program, "workflow", "run", str(project / "jobs.yaml"), *options],
            [program, "workflow", "resume", *options])


RESUMABLE = {"autoexec": resumable_autoexec, "make -j": resumable_make,
             "xargs -P": resumable_xargs, "GNU parallel": resumable_parallel}


def running_jobs(folder: Path) -> int:
    count = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        count += words[:1] == [b"/bin/sh"] and words[1:2] in ([b"./job"], [f"{folder}/job".encode()])
    return count


def noted(folder: Path, name: str) -> list[str]:
    path = folder / name
    return path.read_text().split() if path.exists() else []


def kill_manager(name: str, jobs: int, program: str, scratch: Path) -> tuple[int, int, int]:
    """Kills it while `jobs` run, and continues. Jobs that are lost, run twice, and orphaned."""
    folder = scratch / "killed"
    folder.mkdir()
    count = 3 * jobs
    (folder / "job").write_text(JOB.format(slow=jobs, fast=2 * jobs, seconds=SLOW_SECONDS))
    (folder / "job").chmod(0o755)
    (folder / "numbers").write_text("\n".join(map(str, range(count))) + "\n")
    first, again = RESUMABLE[name](folder, count, jobs, program)
    log = open(folder / "log", "a")

    def start(argv: list[str]) -> subprocess.Popen:
        return subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log,
                                stdin=subprocess.DEVNULL, env=environment(folder))

    try:
        manager = start(first)
        give_up = time.monotonic() + 120
        while running_jobs(folder) < jobs or len(noted(folder, "starts")) < 2 * jobs:
            if manager.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{first} did not start: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.01)
        manager.send_signal(signal.SIGKILL)
        manager.wait()
        time.sleep(1)
        orphaned = running_jobs(folder)
        wait_for_all(start(again).pid)
        ends = noted(folder, "ends")
        return count - len(set(ends)), len(ends) - len(set(ends)), orphaned
    finally:
        log.close()
        shutil.rmtree(folder)
