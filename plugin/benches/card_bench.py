"""What the stages of `card.py` run by: programs that are ended in time, and a report that tells what was done.

Every stage has a part of the time and ends by itself when that is over. What it says goes to the standard output and is
added to the report at once, so that whoever ends the whole loses little; under each stage that came to its end a mark
says so, and a later call with the same report goes on with the others.
"""
import os
import re
import signal
import subprocess
import time

MARK = re.compile(r"^<!-- (\w+): (done|failed), of (.*) -->$", re.MULTILINE)


class Bench:
    """The programs in a folder, the device that they are told, and the time that they have."""

    def __init__(self, folder, origin, device, amounts, report, end):
        self.folder, self.origin, self.device, self.amounts = folder, origin, device, amounts
        self.report, self.end = report, end
        self.until, self.said, self.failures, self.cuts = end, [], [], []

    def begin(self, share):
        """A stage begins, which may take a share of what is left."""
        self.until = time.monotonic() + share * self.left(self.end)
        self.said, self.failures, self.cuts = [], [], []

    def left(self, until=None):
        return max(0.0, (until or self.until) - time.monotonic())

    def say(self, line=""):
        print(line, flush=True)
        self.said.append(line)
        with open(self.report, "a") as report:
            report.write(line + "\n")

    def fail(self, what, how):
        self.failures.append(what)
        self.say(f"- {what}: {how}")

    def cut(self, what, how):
        self.cuts.append(what)
        self.say(f"- {what}: {how}")

    def run(self, what, command, share=1.0, environment=None):
        """What a command says; None, and a word about it, when it fails or takes more than a share of the stage's time."""
        seconds = share * self.left()
        if seconds <= 0:
            return self.cut(what, "NOT RUN: no time is left")
        try:
            # In a session of its own, so that what it started is ended with it.
            ran = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, errors="replace", start_new_session=True, cwd=self.folder,
                                   env=os.environ | {"CUDA_CACHE_PATH": str(self.folder / "compiled")} | (environment or {}))
        except OSError as error:
            return self.fail(what, f"NOT RUN: {error}")
        try:
            said, _ = ran.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(ran.pid, signal.SIGKILL)
            return self.cut(what, f"CUT after {seconds:.0f} s{quoted(ran.communicate()[0])}")
        if ran.returncode != 0:
            return self.fail(what, f"FAILED ({ran.returncode}){quoted(said)}")
        return said

    def probe(self, command):
        """What a command says, if there is such a thing here."""
        try:
            return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  text=True, check=True, timeout=self.left() / 3).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return None

    def ours(self, what, name, arguments, share=1.0, environment=None):
        return self.run(what, [self.folder / name, *arguments], share, environment)

    def finish(self, stage, rows):
        """A stage's end: whether it holds, and whether it came to its end. One that says nothing of what it is for fails."""
        if not self.failures and not self.cuts and not re.search(rows, "\n".join(self.said), re.MULTILINE):
            self.fail(stage, "FAILED: it gave no row")
        if self.failures or not self.cuts:
            self.say(f"\n<!-- {stage}: {'failed' if self.failures else 'done'}, of {self.origin} -->")


def quoted(said):
    return f":\n\n```\n{said[-3000:].strip()}\n```" if said.strip() else ", having said nothing"


def marks(report, origin):
    """The stages that a report has of what was built of this origin, and how they ended; the latest word counts."""
    found = MARK.findall(report.read_text()) if report.exists() else []
    return {stage: ended for stage, ended, of in found if of == origin}
