#!/usr/bin/env python3
"""Everything that needs a graphics card, in calls of at most ten minutes: checks, and measurements as Markdown.

    card.py [--folder target/card] [--device cuda:0]      builds into the folder, then checks and measures
    card.py --built                                       checks and measures what was built
    card.py --stages steps cold ...                       these stages alone, be they done or not
    card.py --rehearse                                    builds, and goes through all stages on an emulated card

Building takes a Rust toolchain; the rest takes Python and an NVIDIA driver, so it can be done elsewhere. On the one
machine, then on the other, to which the file was carried:

    card.py --pack card.tar.xz                            builds, and packs all that is needed into a file
    python3 -m tarfile -e card.tar.xz . && python3 card/card.py --built

Where that Python has PyTorch for the card, its steps are timed in turn with ours: cuDNN with TF32, channels last, tuned,
and replayed as a CUDA graph.

The stages are {stages}, in this order, of what is wanted most.
Each may take its share of what is left of --seconds, counted from the start of this process, and is ended when that is
over; what is cut is named at the end. What is said is added to a report, FOLDER/report.md, too, and the next call goes
on with the stages that the report does not have, of what was built of the same commit: call again until nothing is left.

Exit status: 0 everything is done and holds; 1 something failed; 2 something is left to do.
"""
import time

BEGUN = time.monotonic()

import argparse
import datetime
import os
import pathlib
import subprocess
import sys

from card_bench import Bench, marks
from card_pack import REPOSITORY, build, pack
from card_rehearsal import AMOUNTS, environment, rehearse
from card_stages import STAGES, Amounts

HERE = pathlib.Path(__file__).resolve().parent


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
    # What was unpacked lies beside this script.
    place = HERE if (HERE / "origin.txt").exists() else REPOSITORY / "target" / "card"
    parser.add_argument("--folder", type=pathlib.Path, default=place)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--built", action="store_true")
    parser.add_argument("--pack", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--stages", nargs="+", choices=STAGES, metavar="STAGE")
    parser.add_argument("--report", type=pathlib.Path, help="where it is and goes on")
    parser.add_argument("--seconds", type=float, default=570, help="the time for everything, building included")
    options = parser.parse_args()
    folder, end = options.folder.resolve(), BEGUN + options.seconds
    if not options.built:
        try:
            build(folder, None if options.pack else end)
        except subprocess.TimeoutExpired:
            print("Building took all of the time; call again, and it goes on.")
            return 2
    elif not (folder / "origin.txt").exists():
        parser.error(f"nothing was built in {folder}")
    if options.pack:
        return 0 if pack(folder, options.pack) else 1
    if options.rehearse and not options.built:
        return 0 if rehearse(folder, end - time.monotonic()) else 1
    if options.rehearse:
        os.environ.update(environment(folder))
    origin = (folder / "origin.txt").read_text().strip()
    report = (options.report or folder / "report.md").resolve()
    before = marks(report, origin)
    wanted = options.stages or [name for name in STAGES if name not in before]
    bench = Bench(folder, origin, options.device, AMOUNTS if options.rehearse else Amounts(), report, end)
    bench.say(f"# {datetime.date.today()}")
    perform(bench, wanted)
    after = marks(report, origin)
    left = [name for name in STAGES if name not in after]
    failed = [name for name in STAGES if after.get(name) == "failed"]
    bench.say(f"\nFailed: {', '.join(failed) or 'nothing'}. Left to do: {', '.join(left) or 'nothing'}. "
              f"{time.monotonic() - BEGUN:.0f} s.")
    return 1 if failed else 2 if left else 0


if __name__ == "__main__":
    sys.exit(main())
