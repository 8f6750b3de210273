#!/usr/bin/env python3
"""A step of ours beside a step of another program, in turn, as a Markdown table of ratios.

    compare.py [--rounds 5] [--name PyTorch] [--case SIZE:DTYPE ...] [--bench FILE] -- COMMAND...

`COMMAND SIZE DTYPE` (DTYPE f32 or bf16) is to evaluate the article's objective once per repetition, forward and
backward to the pixels, in a picture SIZE pixels wide, and to print one JSON object with `best_s`, the seconds of its
fastest repetition, and `peak_rss_mb`, the largest resident size of its process. Ours is the bench `step`, which
this script builds first if it is not given as a file. Cases are 256:f32 512:f32 1024:f32 512:bf16 where there are none; ours is float32 always.

Of each program, each round starts a process of its own, in turn, at the same niceness (ours lowers its threads by 10, so
the other is started at 10). Both repeat as often: five times up to 512 pixels, twice above, after one that does not
count; the fastest counts, and of the rounds the median. The other gets the allocator settings that spare PyTorch page faults:
it is to be beaten at its best. The machine should have nothing else to do.
"""
import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys

CASES = ["256:f32", "512:f32", "1024:f32", "512:bf16"]
NICENESS = 10
ALLOCATOR = ":".join([
    "glibc.malloc.mmap_max=0",
    "glibc.malloc.trim_threshold=17179869184",
    "glibc.malloc.top_pad=268435456",
    "glibc.malloc.hugetlb=1",
])
BENCH = ["cargo", "bench", "--quiet", "-p", "pentimento-plugin", "--bench", "step"]
LINE = re.compile(r"px, (?P<what>.*): .* both \S+ \((?P<seconds>\S+)\) s; peak (?P<megabytes>\S+) MB")


def repetitions(size):
    return 5 if size <= 512 else 2


def built(command, target, seconds=None):
    """The files that a command of Cargo's makes of a target in so much time, the latest last."""
    ran = subprocess.run(command + ["--message-format=json-render-diagnostics"], check=True, stdout=subprocess.PIPE, text=True,
                         timeout=seconds)
    artifacts = [json.loads(line) for line in ran.stdout.splitlines()]
    return [file for a in artifacts if a.get("target", {}).get("name") == target for file in a.get("filenames", [])]


def bench():
    """Builds our bench; its file."""
    return built(BENCH + ["--no-run"], "step")[-1]


def ours(program, size):
    command = [program, str(size), f"--repetitions={repetitions(size)}"]
    found = LINE.search(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found["what"], float(found["seconds"]), float(found["megabytes"])


def theirs(command, size, dtype):
    ran = subprocess.run(command + [str(size), dtype], check=True, capture_output=True, text=True,
                         env=os.environ | {"GLIBC_TUNABLES": ALLOCATOR}, preexec_fn=lambda: os.nice(NICENESS))
    figures = json.loads(ran.stdout.splitlines()[-1])
    return figures["best_s"], figures["peak_rss_mb"]


def machine():
    """Model and cores, where the system tells; else the architecture."""
    try:
        with open("/proc/cpuinfo") as info:
            model = re.search(r"model name\s*: (.*)", info.read())
    except OSError:
        model = None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores of {model[1] if model else platform.machine()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--name", default="the other")
    parser.add_argument("--case", action="append", metavar="SIZE:DTYPE")
    parser.add_argument("--bench")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    program, rows = options.bench or bench(), []
    for case in options.case or CASES:
        size, dtype = case.split(":")
        size, rounds = int(size), []
        for number in range(options.rounds):
            what, *our = ours(program, size)
            rounds.append((*our, *theirs(options.command, size, dtype)))
            print(case, number + 1, *rounds[-1], file=sys.stderr)
        seconds, megabytes, their_seconds, their_megabytes = map(statistics.median, zip(*rounds))
        rows.append(f"| {size} × {size} | {dtype} | {their_seconds:.3f} | {seconds:.3f} | {seconds / their_seconds:.2f} "
                    f"| {their_megabytes:.0f} | {megabytes:.0f} | {megabytes / their_megabytes:.2f} |")
    compiler = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    print(f"{machine()}, {platform.system()}; {datetime.date.today()}; ours: {what}, by rustc {compiler}; "
          f"medians of {options.rounds}\n")
    print(f"| picture | {options.name} in | seconds: {options.name} | ours | ratio | MB: {options.name} | ours | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
