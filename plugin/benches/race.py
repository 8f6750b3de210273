#!/usr/bin/env python3
"""To the same picture: how long another program takes for so many steps, and ours to a loss no greater, pair by pair.

    race.py POINTS --pair CONTENT STYLE [--pair ...] --judge JUDGE --other OTHER
            [--steps 300] [--few 20] [--rounds 3] [--name PyTorch] [--pentimento FILE]

OTHER and JUDGE are command lines, the pictures have their size, and both programs minimise the objective of plain Gatys
style transfer: all as in loss_over_time.py, whose file POINTS this shares. Where POINTS does not have it yet, the other
paints each pair once with all of its steps, for the loss of the picture that it saves. Of ours, the fewest steps after
which its own saved picture is no worse are found by trial, to a few percent. Then both run in turn, so many rounds,
start-up included: ours to there, and the other for a few steps and for twice as many, which tell what all of them would
take. Each figure is a median. What was measured is added to POINTS, a line for each pair, and not measured again; `table`
below is Markdown, made of all pairs in POINTS.

    race.py table POINTS [--name PyTorch]
"""
import argparse
import json
import math
import pathlib
import re
import shlex
import statistics
import subprocess
import sys

from compare import machine
from loss_over_time import PENTIMENTO, judged, ours, our_command, pair_name, read, theirs

# To how little the fewest steps are found.
GROWTH = 1.04
SERIES = "race"


def goal(points, pair, render, judge, options):
    """The loss of the other's picture."""
    for point in read(points) if points.exists() else []:
        if (point["pair"], point["series"], point["steps"]) == (pair_name(*pair), options.name, options.steps):
            return point["total"]
    out = str(points.with_suffix("") / "other.png")
    taken = render(*pair, out, options.steps)
    total = judged(judge, *pair, out)
    add(points, {"pair": pair_name(*pair), "series": options.name, "steps": options.steps, "seconds": taken, "total": total})
    return total


def add(points, point):
    line = json.dumps(point, ensure_ascii=False)
    print(line, file=sys.stderr)
    with open(points, "a") as file:
        print(line, file=file)


def foretold(pair, loss, command, out, most):
    """About the fewest steps to a loss, by what a render says of itself on its way there."""
    render = subprocess.Popen(command(*pair, out, most), stderr=subprocess.PIPE, text=True)
    steps, before = 0, math.inf
    for line in render.stderr:
        said = re.search(r"step (\d+)/\d+, loss ([\d.e]+)", line)
        if not said:
            continue
        now, reached = int(said[1]), float(said[2])
        if reached <= loss:
            render.kill()
            render.wait()
            share = (before - loss) / (before - reached) if steps else 1
            return round(steps + share * (now - steps))
        steps, before = now, reached
    return most


def fewest(pair, loss, render, command, judge, out, most):
    """The fewest steps, to a few percent, after which our saved picture has no greater a loss, and that loss."""
    def total(steps):
        render(*pair, out, steps)
        return judged(judge, *pair, out)

    steps = foretold(pair, loss, command, out, most)
    reached = total(steps)
    if reached <= loss:
        while steps > 1 and (less := total(fewer := math.floor(steps / GROWTH))) <= loss:
            steps, reached = fewer, less
        return steps, reached
    while reached > loss:
        if steps >= most:
            sys.exit(f"{pair_name(*pair)}: {most} steps do not do")
        steps = min(most, math.ceil(steps * GROWTH))
        reached = total(steps)
    return steps, reached


def race(options):
    points = pathlib.Path(options.points)
    pictures = points.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    judge, other = shlex.split(options.judge), theirs(shlex.split(options.other))
    own = ours(options.pentimento, {})
    known = {point["pair"] for point in read(points) if point["series"] == SERIES} if points.exists() else set()
    for pair in options.pair:
        if pair_name(*pair) in known:
            continue
        loss = goal(points, pair, other, judge, options)
        out = str(pictures / "ours.png")
        steps, total = fewest(pair, loss, own, our_command(options.pentimento, {}), judge, out, options.steps)
        mine, told = [], []
        for _ in range(options.rounds):
            mine.append(own(*pair, out, steps))
            short, long = (other(*pair, str(pictures / "short.png"), few) for few in [options.few, 2 * options.few])
            told.append(short + (long - short) / options.few * (options.steps - options.few))
        add(points, {
            "pair": pair_name(*pair), "series": SERIES, "steps": steps, "total": total, "goal": loss,
            "seconds": statistics.median(mine), "told": statistics.median(told),
        })


def table(options):
    rows = [point for point in read(options.points) if point["series"] == SERIES]
    if not rows:
        sys.exit(f"{options.points} has no pair")
    print(f"{machine()}\n")
    print(f"| pair | loss: {options.name}'s | ours | steps | seconds: {options.name} | ours | {options.name}'s time is |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        times = row["told"] / row["seconds"]
        print(f"| {row['pair']} | {row['goal']:.0f} | {row['total']:.0f} | {row['steps']} | {row['told']:.1f} | "
              f"{row['seconds']:.1f} | {times:.1f} × |")
    ratios = [row["told"] / row["seconds"] for row in rows]
    print(f"\nThe median is {statistics.median(ratios):.1f} times as fast, and the slowest {min(ratios):.1f}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("points")
    parser.add_argument("--pair", nargs=2, action="append", metavar=("CONTENT", "STYLE"))
    parser.add_argument("--judge")
    parser.add_argument("--other")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--name", default="PyTorch")
    parser.add_argument("--pentimento", default=PENTIMENTO)
    words = sys.argv[1:]
    if words[:1] == ["table"]:
        return table(parser.parse_args(words[1:]))
    options = parser.parse_args(words)
    if not (options.pair and options.judge and options.other):
        parser.error("--pair, --judge and --other are needed, or the word table before POINTS")
    race(options)


if __name__ == "__main__":
    main()
