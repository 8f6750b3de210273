#!/usr/bin/env python3
"""Everything that needs a graphics card, in calls of at most ten minutes: checks, and measurements as Markdown.

    card.py [--folder target/card] [--device cuda:0]      builds, checks and measures
    card.py --build-only                                  builds into the folder, which can be carried elsewhere
    card.py --folder FOLDER --built                       checks and measures what was built there
    card.py --stages steps cold ...                       these stages alone, be they done or not

Building takes a Rust toolchain; the rest takes the folder, the scripts beside this one and an NVIDIA driver. Where this
Python has PyTorch for the card, its steps are timed in turn with ours: cuDNN with TF32, channels last, tuned, and
replayed as a CUDA graph.

The stages are {stages}, in this order, of what is wanted most.
Each may take its share of what is left of --seconds, counted from the start of this process, and is ended when that is
over; what is cut is named at the end. What is said is added to a report, FOLDER/report.md, too, and the next call goes
on with the stages that the report does not have: call again until nothing is left.

Exit status: 0 everything is done and holds; 1 something failed; 2 something is left to do.
"""
import time

BEGUN = time.monotonic()

import argparse
import datetime
import pathlib
import shutil
import subprocess
import sys

from card_bench import Bench, marks
from card_stages import STAGES, Amounts
from compare import built

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PICTURES = REPOSITORY / "examples" / "pictures"
# What is built: the package, Cargo's words for it, and the name of what comes of it.
PROGRAMS = {
    "tests": ("pentimento-plugin", ["test", "--release", "--no-run", "--lib"], "pentimento_plugin"),
    "step": ("pentimento-plugin", ["bench", "--no-run", "--bench", "step"], "step"),
    "kernels": ("pentimento-plugin", ["bench", "--no-run", "--bench", "kernels"], "kernels"),
    "optimiser": ("pentimento-plugin", ["bench", "--no-run", "--bench", "optimiser"], "optimiser"),
    "large": ("pentimento-tests", ["bench", "--no-run", "--bench", "large"], "large"),
    "soak": ("pentimento-tests", ["bench", "--no-run", "--bench", "soak"], "soak"),
    "pentimento": ("pentimento-cli", ["build", "--release"], "pentimento"),
    "libpentimento_plugin.so": ("pentimento-plugin", ["build", "--release"], "pentimento_plugin"),
}


def build(folder, seconds):
    """Builds all programs and the library into a folder, with all that they need."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = str(REPOSITORY / "Cargo.toml")
    end = time.monotonic() + seconds
    for name, (package, words, target) in PROGRAMS.items():
        command = ["cargo", *words, "--package", package, "--manifest-path", manifest]
        files = built(command, target, max(1.0, end - time.monotonic()))
        found = [file for file in files if name == pathlib.Path(file).name] or files[-1:]
        shutil.copy2(found[-1], folder / name)
    for file in [REPOSITORY / "manifest.toml", *PICTURES.glob("*.png")]:
        shutil.copy2(file, folder)


def perform(bench, wanted):
    """Runs stages, each in its share of the time."""
    for number, name in enumerate(wanted):
        stage = STAGES[name]
        weights = sum(STAGES[other].weight for other in wanted[number:])
        bench.begin(stage.weight / weights)
        bench.say(f"\n## {stage.title}\n")
        try:
            stage.run(bench)
        except Exception as error:  # What one stage did not reckon with is not to cost the others.
            bench.fail(name, f"FAILED: {error!r}")
        bench.finish(name, stage.rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.format(stages=", ".join(STAGES)),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=REPOSITORY / "target" / "card")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--built", action="store_true")
    parser.add_argument("--stages", nargs="+", choices=STAGES, metavar="STAGE")
    parser.add_argument("--report", type=pathlib.Path, help="where it is and goes on")
    parser.add_argument("--seconds", type=float, default=570, help="the time for everything, building included")
    options = parser.parse_args()
    folder, end = options.folder.resolve(), BEGUN + options.seconds
    if not options.built:
        try:
            build(folder, 1e9 if options.build_only else end - time.monotonic())
        except subprocess.TimeoutExpired:
            print("Building took all of the time; call again, and it goes on.")
            return 2
    if options.build_only:
        return 0
    report = (options.report or folder / "report.md").resolve()
    before = marks(report)
    wanted = options.stages or [name for name in STAGES if name not in before]
    bench = Bench(folder, options.device, Amounts(), report, end)
    bench.say(f"# {datetime.date.today()}")
    perform(bench, wanted)
    after = marks(report)
    left = [name for name in STAGES if name not in after]
    failed = [name for name in STAGES if after.get(name) == "failed"]
    bench.say(f"\nFailed: {', '.join(failed) or 'nothing'}. Left to do: {', '.join(left) or 'nothing'}. "
              f"{time.monotonic() - BEGUN:.0f} s.")
    return 1 if failed else 2 if left else 0


if __name__ == "__main__":
    sys.exit(main())
