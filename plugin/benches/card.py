#!/usr/bin/env python3
"""Everything that needs a graphics card, in one call of at most ten minutes: checks, then measures, as Markdown.

    card.py [--folder target/card] [--device cuda:0]      builds, checks and measures
    card.py --build-only                                  builds into the folder, which can be carried elsewhere
    card.py --folder FOLDER --built                       checks and measures what was built there

Building takes a Rust toolchain; the rest takes the folder, the scripts beside this one, the sample pictures and an NVIDIA
driver. Where this Python has PyTorch for the card, its steps are timed in turn with ours: cuDNN with TF32, channels last, tuned, and replayed as a CUDA graph.

A check that fails is said and makes the exit code 1, and what can still be measured is. What takes longer than its share of
the time is ended and said, too.
"""
import argparse
import datetime
import json
import math
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

from compare import built

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PICTURES = REPOSITORY / "examples" / "pictures"
# What is built: the package, Cargo's words for it, and the name of what comes of it.
PROGRAMS = {
    "tests": ("pentimento-plugin", ["test", "--release", "--no-run", "--lib"], "pentimento_plugin"),
    "step": ("pentimento-plugin", ["bench", "--no-run", "--bench", "step"], "step"),
    "kernels": ("pentimento-plugin", ["bench", "--no-run", "--bench", "kernels"], "kernels"),
    "large": ("pentimento-tests", ["bench", "--no-run", "--bench", "large"], "large"),
    "soak": ("pentimento-tests", ["bench", "--no-run", "--bench", "soak"], "soak"),
    "pentimento": ("pentimento-cli", ["build", "--release"], "pentimento"),
    "libpentimento_plugin.so": ("pentimento-plugin", ["build", "--release"], "pentimento_plugin"),
}
# Inputs, outputs and the poolings before each, up to conv5_1.
CONVOLUTIONS = [(3, 64, 0), (64, 64, 0), (64, 128, 1), (128, 128, 1), (128, 256, 2), *[(256, 256, 2)] * 3,
                (256, 512, 3), *[(512, 512, 3)] * 3, (512, 512, 4)]
STEP = re.compile(r"both \S+ \((?P<least>\S+)\) s; peak \S+ MB, (?P<megabytes>\S+) MB on the card")
# The last line under each table of kernels, and its rows.
KERNELS = re.compile(r"^all kernels (\S+) ms, (\S+) GFLOP", re.MULTILINE)
KERNEL = re.compile(r"^\| (?:picture|convolve|pool|second|means|inject|symmetric|squared)\S* \|", re.MULTILINE)
LOSS = re.compile(r"loss ([0-9.e+-]+)")


def build(folder):
    """Builds all programs and the library into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = str(REPOSITORY / "Cargo.toml")
    for name, (package, words, target) in PROGRAMS.items():
        files = built(["cargo", *words, "--package", package, "--manifest-path", manifest], target)
        found = [file for file in files if name == pathlib.Path(file).name] or files[-1:]
        shutil.copy2(found[-1], folder / name)
    shutil.copy2(REPOSITORY / "manifest.toml", folder)


class Bench:
    """Runs what was built, within the time that is left."""

    def __init__(self, folder, seconds):
        self.folder, self.end, self.failed = folder, time.monotonic() + seconds, False

    def run(self, what, command, seconds):
        """The output of a command; None, and a word about it, when it fails or takes too long."""
        left = min(seconds, self.end - time.monotonic())
        if left <= 0:
            return self.fail(what, "NOT RUN: no time is left")
        try:
            ran = subprocess.run([str(word) for word in command], timeout=left, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired:
            return self.fail(what, f"NOT DONE after {left:.0f} s")
        except OSError as error:
            return self.fail(what, f"NOT RUN: {error}")
        if ran.returncode != 0:
            return self.fail(what, f"FAILED ({ran.returncode}):\n\n```\n{ran.stdout[-3000:]}\n```")
        return ran.stdout

    def fail(self, what, how):
        self.failed = True
        say(f"- {what}: {how}")

    def ours(self, what, name, arguments, seconds):
        return self.run(what, [self.folder / name, *arguments], seconds)


def say(line=""):
    print(line, flush=True)


def facts(bench):
    say(f"## The card, {datetime.date.today()}\n")
    fields = "name,driver_version,memory.total,power.limit,clocks.sm,clocks.max.sm,clocks.mem"
    found = bench.run("nvidia-smi", ["nvidia-smi", f"--query-gpu={fields}", "--format=csv"], 30)
    say(f"```\n{(found or 'not known').strip()}\n```\n")


def check(bench, device):
    say("## Checks\n")
    what, group = "kernels against float64 and the plain backend", "compute::cuda::tests::on_a_card::"
    said = bench.ours(what, "tests", ["--ignored", "--nocapture", "--test-threads=1", group], 120)
    if said is not None:
        passed = int(re.search(r"(\d+) passed", said)[1])
        if passed:
            say(f"- {what}: {passed} tests passed")
        else:
            bench.fail(what, "no test was run")
        for line in re.findall(r"^.*the gradient is off by.*$", said, re.MULTILINE):
            say(f"  - {line.strip()}")
    losses = {}
    for on in ["cpu", "auto", device]:
        said = render(bench, f"a render on {on}", on, 256, "compared.png", 60)
        found = LOSS.findall(said or "")
        if found:
            losses[on] = float(found[-1])
            say(f"- {on}, {computing(said)}: loss {found[-1]} at the end")
            if abs(losses[on] / losses.get("cpu", math.nan) - 1) > 0.02:
                bench.fail(f"the render on {on}", "its loss is more than 2 % from the processor's")
    jobs = bench.ours("500 jobs in one process", "soak", ["500", f"device={device}", "memory_limit=0"], 120)
    if jobs is not None:
        say(f"- 500 jobs in one process: {jobs.splitlines()[-1]}")
    say()


def render(bench, what, device, size, output, seconds):
    """What a render of the samples says."""
    arguments = ["render", "-v", "--plugin", bench.folder, "--size", size, f"--set=device={device}",
                 PICTURES / "chelsea.png", PICTURES / "painting.png", "-o", bench.folder / output]
    return bench.ours(what, "pentimento", arguments, seconds)


def computing(said):
    found = re.search(r"computing on (.*)", said)
    return found[1] if found else "?"


def measure(bench, device, sizes, rounds, large):
    say("## A step: forward, statistics, backward\n")
    torch = peer_is_there()
    say("| size | PyTorch | ours | ratio | MB on the card: PyTorch | ours | ratio | of TF32's rate |")
    say("|---|---|---|---|---|---|---|---|")
    for size in sizes:
        ours, theirs = [], []
        for _ in range(rounds):
            said = bench.ours(f"a step at {size}", "step", [size, f"--device={device}", "--repetitions=9"], 60)
            found = STEP.search(said or "")
            if found:
                ours.append((float(found["least"]), float(found["megabytes"])))
            if torch:
                peer = pathlib.Path(__file__).with_name("card_peer.py")
                said = bench.run("PyTorch", [sys.executable, peer, size, "--device", device], 90)
                if said:
                    theirs.append(json.loads(said.splitlines()[-1]))
        if ours:
            say(row(size, ours, theirs))
    say()
    for size in sizes:
        said = bench.ours(f"a draft at {size}", "step", [size, f"--device={device}", "--draft", "--repetitions=9"], 60)
        found = STEP.search(said or "")
        if found:
            say(f"- draft, in bfloat16, at {size}: {float(found['least']) * 1e3:.2f} ms, {found['megabytes']} MB on the card")
    say("\n## Renders\n")
    begun = time.monotonic()
    if (said := render(bench, "the default render at 1024 px", device, 1024, "cold.png", 90)) is not None:
        say(f"- default render at 1024 px, cold start to saved PNG: {time.monotonic() - begun:.2f} s, {computing(said)}")
    what = f"{large} px under a limit of 8 GB"
    said = bench.ours(what, "large", [large, "--steps=2", f"device={device}", "memory_limit=8"], 200)
    if said is not None:
        say(f"- {what}: {said.splitlines()[-1]}")


def kernels(bench, device, sizes, more=()):
    say("## What bounds each kernel\n")
    for precision in [], ["--draft"]:
        what = "the kernels of a draft" if precision else "the kernels of a step"
        said = bench.ours(what, "kernels", [*sizes, f"--device={device}", *precision, *more], 60)
        if said is None:
            continue
        say(said)
        tables = KERNELS.findall(said)
        counted = [float(gigaflop) for _, gigaflop in tables]
        # The network once up and once down, and statistics besides.
        least = [operations(size) / 1e9 for size in sizes]
        if len(counted) != len(sizes) or any(not low < got < 1.5 * low for low, got in zip(least, counted)):
            bench.fail(what, f"{counted} GFLOP are counted where more than {least} are done")
        if len(KERNEL.findall(said)) < 30 * len(sizes):
            bench.fail(what, "its table lacks kernels")


def operations(size):
    """A multiplication and an addition for each weight of the convolutions, once up and once down."""
    return 4 * size * size * sum(9 * inputs * outputs / 4 ** pools for inputs, outputs, pools in CONVOLUTIONS)


def row(size, ours, theirs):
    seconds, megabytes = (statistics.median(column) for column in zip(*ours))
    if not theirs:
        return f"| {size} | – | {seconds * 1e3:.2f} ms | – | – | {megabytes:.0f} | – | – |"
    their = {key: statistics.median(figures[key] for figures in theirs) for key in theirs[0]}
    share = operations(size) / seconds / their["operations_per_second"]
    return (f"| {size} | {their['seconds'] * 1e3:.2f} ms | {seconds * 1e3:.2f} ms | {seconds / their['seconds']:.2f} "
            f"| {their['megabytes']:.0f} | {megabytes:.0f} | {megabytes / their['megabytes']:.2f} | {share:.0%} |")


def peer_is_there():
    probe = "import torch; assert torch.cuda.is_available(); print(torch.__version__)"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    say(f"PyTorch {ran.stdout.strip()}\n" if ran.returncode == 0 else "There is no PyTorch for the card here.\n")
    return ran.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=REPOSITORY / "target" / "card")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--built", action="store_true")
    parser.add_argument("--seconds", type=float, default=570, help="the time for checks and measurements")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--kernel-sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", default="8192x8192", metavar="WIDTHxHEIGHT")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if not options.built:
        build(folder)
    if options.build_only:
        return 0
    os.chdir(folder)
    bench = Bench(folder, options.seconds)
    facts(bench)
    check(bench, options.device)
    kernels(bench, options.device, options.kernel_sizes)
    measure(bench, options.device, options.sizes, options.rounds, options.large)
    say("\nSome checks failed." if bench.failed else "\nAll checks passed.")
    return int(bench.failed)


if __name__ == "__main__":
    sys.exit(main())
