#!/usr/bin/env python3
"""What a saved picture has come to after so many seconds, ours beside another program's: a chart and a table of ratios.

    loss_over_time.py measure POINTS --pair CONTENT STYLE [--pair ...] --judge JUDGE
                              [--steps N ...] [--series NAME] [--set ID=VALUE ...] [--pentimento FILE] [--other OTHER]
    loss_over_time.py chart POINTS OUT.svg
    loss_over_time.py table POINTS --other NAME [--ours NAME]

`measure` renders each pair once for each number of steps and adds a line to the file POINTS for each picture: the
seconds of the whole process, from its start to its end, and the loss of the picture that it saved, in 8 bits. What
POINTS holds already is not measured again, so a long measurement may be broken off and taken up. The pictures lie
in a folder beside POINTS.

Both programs minimise the loss of plain Gatys style transfer: the mean square of the difference from the content at
conv4_2, and 30 times that of Gram matrices, each layer's divided by the square of its channels. What ours needs for it
is in OBJECTIVE; `--set` comes after it. Without `--other` it is ours that is measured, with it the other program; both
get numbers of steps, and `--series` is what the points are called.

OTHER and JUDGE are command lines, split as a shell would. To their ends are added

    OTHER CONTENT STYLE OUT --steps N   which is to paint CONTENT at its own size and to save OUT (PNG)
    JUDGE CONTENT STYLE PICTURE         which is to print a JSON object with `total`, the loss of a saved picture

CONTENT and STYLE are files that already have the size at which both paint, so that nobody's resampling matters. The
other program gets the allocator settings that spare PyTorch page faults, and is started at the niceness that our own
threads take. The machine should have nothing else to do.

`chart` has a panel for each pair and a line for each series, and needs matplotlib. `table` compares with the picture
for which the other took most steps: ours is the quickest whose loss is no greater, or where there is none the one with
the least loss.

For example, with pictures of 512 pixels:

    loss_over_time.py measure points.jsonl --pair cat.png night.png --judge "$JUDGE" --steps 25 50 100 200
    loss_over_time.py measure points.jsonl --pair cat.png night.png --judge "$JUDGE" --steps 50 100 300 \\
        --series PyTorch --other "$OTHER"
    loss_over_time.py chart points.jsonl docs/pictures/loss.svg
    loss_over_time.py table points.jsonl --other PyTorch --ours ours
"""
import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

from compare import ALLOCATOR, NICENESS, machine

PENTIMENTO = "target/release/pentimento"
OBJECTIVE = {
    "loss": "gram",
    "scaling": "chw",
    "style_layers": "conv1_1:1 conv2_1:0.75 conv3_1:0.2 conv4_1:0.2 conv5_1:0.2",
    "beta": "30",
    "edges": "zero",
    "smoothness": "0",
    "pyramid": "false",
}
# Of a single size; the steps of a pyramid's levels are in proportion.
STEPS_AT_QUALITY_1 = 100
# Legible on white and on black.
INK = "#808080"
COLOURS = ["#3f8efc", "#e8590c", "#2f9e44", "#ae3ec9", "#c99a06"]
PANELS_IN_A_ROW = 3


def our_command(program, settings):
    """Its command line for a job: content, style, where to save, and steps; then options."""
    settings = [f"--set={name}={value}" for name, value in (OBJECTIVE | settings).items()]

    def command(content, style, out, steps, *options):
        quality = f"--set=quality={steps / STEPS_AT_QUALITY_1}"
        return [program, "render", content, style, "--output", out, *settings, quality, *options]

    return command


def ours(program, settings):
    command = our_command(program, settings)
    return lambda *job: seconds(command(*job, "--quiet"))


def theirs(program):
    environment = os.environ | {"GLIBC_TUNABLES": ALLOCATOR}

    def command(content, style, out, steps):
        return [*program, content, style, out, "--steps", str(steps)]

    return lambda *job: seconds(command(*job), env=environment, preexec_fn=lambda: os.nice(NICENESS))


def seconds(command, **how):
    """Of a whole process."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **how)
    return time.perf_counter() - begin


def judged(judge, content, style, picture):
    ran = subprocess.run([*judge, content, style, picture], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ran.stdout.splitlines()[-1])["total"]


def pair_name(content, style):
    return f"{pathlib.Path(content).stem} × {pathlib.Path(style).stem}".replace("_", " ")


def read(points):
    with open(points) as file:
        return [json.loads(line) for line in file]


def measure(options):
    points = pathlib.Path(options.points)
    pictures = points.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    known = {(point["pair"], point["series"], point["steps"]) for point in read(points)} if points.exists() else set()
    settings = dict(setting.split("=", 1) for setting in options.set)
    render = theirs(shlex.split(options.other)) if options.other else ours(options.pentimento, settings)
    for content, style in options.pair:
        pair = pair_name(content, style)
        for steps in options.steps:
            if (pair, options.series, steps) in known:
                continue
            out = str(pictures / f"{pair}, {options.series}, {steps}.png".replace(" ", "_"))
            taken = render(content, style, out, steps)
            total = judged(shlex.split(options.judge), content, style, out)
            point = {"pair": pair, "series": options.series, "steps": steps, "seconds": round(taken, 2), "total": total}
            line = json.dumps(point, ensure_ascii=False)
            print(line, file=sys.stderr)
            with open(points, "a") as file:
                print(line, file=file)


def chart(options):
    from matplotlib import pyplot, ticker

    pyplot.rcParams |= {
        "svg.fonttype": "none",
        "svg.hashsalt": "pentimento",
        "font.family": "sans-serif",
        **{f"{part}.color": INK for part in ["text", "xtick", "ytick", "grid"]},
        **{f"axes.{part}color": INK for part in ["label", "edge"]},
    }
    points = read(options.points)
    # In the order in which they were measured.
    pairs, series = (list(dict.fromkeys(point[key] for point in points)) for key in ["pair", "series"])
    columns = min(len(pairs), PANELS_IN_A_ROW)
    rows = -(-len(pairs) // columns)
    width, height = (7.5, 4.2) if columns == 1 else (4 * columns, 3.2 * rows)
    figure, panels = pyplot.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")
    for panel in panels.flat[len(pairs):]:
        panel.set_axis_off()
    for panel, pair in zip(panels.flat, pairs):
        for name, colour in zip(series, COLOURS):
            found = [point for point in points if (point["pair"], point["series"]) == (pair, name)]
            found.sort(key=lambda point: point["seconds"])
            if not found:
                continue
            line = [[point[key] for point in found] for key in ["seconds", "total"]]
            panel.plot(*line, color=colour, marker="o", markersize=4, linewidth=1.6, label=name)
            for point in found[:: max(1, len(found) - 1)]:
                place = {"xy": (point["seconds"], point["total"]), "xytext": (0, 6), "textcoords": "offset points"}
                panel.annotate(point["steps"], **place, ha="center", color=colour, size=8)
        panel.set(xscale="log", yscale="log", title=pair)
        panel.grid(which="both", alpha=0.25, linewidth=0.5)
        panel.margins(0.08, 0.1)
        for axis, unit in [(panel.xaxis, 1), (panel.yaxis, 1000)]:
            axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axis.set_minor_formatter(ticker.NullFormatter())
            axis.set_major_formatter(lambda value, _, unit=unit: f"{value / unit:g}")
        panel.legend(frameon=False)
    figure.supxlabel("seconds, start-up included (numbers in the chart: steps)", size=10)
    figure.supylabel("loss of the saved picture, thousands", size=10)
    figure.savefig(options.out, transparent=True, metadata={"Date": None})


def table(options):
    points = read(options.points)
    pairs = list(dict.fromkeys(point["pair"] for point in points))
    rows, ratios = [], []
    for pair in pairs:
        our, their = (
            [point for point in points if (point["pair"], point["series"]) == (pair, name)]
            for name in [options.ours, options.other]
        )
        if not our or not their:
            continue
        their = max(their, key=lambda point: point["steps"])
        reached = [point for point in our if point["total"] <= their["total"]]
        least = min(our, key=lambda point: point["total"])
        our = min(reached, key=lambda point: point["seconds"], default=least)
        ratios.append([our[key] / their[key] for key in ["total", "seconds"]])
        cells = [f"{point['steps']} | {point['total'] / 1000:.1f} | {point['seconds']:.1f}" for point in [their, our]]
        rows.append(f"| {pair} | {' | '.join(cells)} | {ratios[-1][0]:.3f} | {ratios[-1][1]:.3f} |")
    if not rows:
        sys.exit(f"there is no pair with both {options.ours!r} and {options.other!r}")
    print(f"{machine()}\n")
    head = [f"{name}: steps | total | seconds" for name in [options.other, options.ours]]
    print(f"| pair | {' | '.join(head)} | total: ratio | seconds: ratio |")
    print("|---" * 9 + "|")
    print("\n".join(rows))
    for name, summary in [("median", statistics.median), ("worst", max)]:
        total, taken = map(summary, zip(*ratios))
        print(f"| {name} |" + " |" * 6 + f" {total:.3f} | {taken:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)

    verb = verbs.add_parser("measure", help="render pairs, and add what came of it to a file")
    verb.add_argument("points")
    verb.add_argument("--pair", nargs=2, action="append", required=True, metavar=("CONTENT", "STYLE"))
    verb.add_argument("--judge", required=True)
    verb.add_argument("--steps", nargs="+", type=int, default=[300], metavar="N")
    verb.add_argument("--series", default="ours", metavar="NAME")
    verb.add_argument("--set", action="append", default=[], metavar="ID=VALUE")
    verb.add_argument("--pentimento", default=PENTIMENTO, metavar="FILE")
    verb.add_argument("--other")
    verb.set_defaults(run=measure)

    verb = verbs.add_parser("chart", help="draw what was measured")
    verb.add_argument("points")
    verb.add_argument("out")
    verb.set_defaults(run=chart)

    verb = verbs.add_parser("table", help="ratios of two series, pair by pair")
    verb.add_argument("points")
    verb.add_argument("--ours", default="ours", metavar="NAME")
    verb.add_argument("--other", required=True, metavar="NAME")
    verb.set_defaults(run=table)

    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
