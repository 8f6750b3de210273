"""What `card.py` checks and measures on a card, stage by stage, in the order of what is wanted most."""
import json
import math
import pathlib
import re
import shutil
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Callable

from compare import machine

# Inputs, outputs and the poolings before each, up to conv5_1.
CONVOLUTIONS = [(3, 64, 0), (64, 64, 0), (64, 128, 1), (128, 128, 1), (128, 256, 2), *[(256, 256, 2)] * 3,
                (256, 512, 3), *[(512, 512, 3)] * 3, (512, 512, 4)]
STEP = re.compile(r"both \S+ \((?P<least>\S+)\) s; peak \S+ MB, (?P<megabytes>\S+) MB on the card")
# The last line under each table of kernels, and its rows.
KERNELS = re.compile(r"^all kernels (\S+) ms, (\S+) GFLOP", re.MULTILINE)
KERNEL = re.compile(r"^\| (?:picture|convolve|pool|second|means|inject|symmetric|squared)\S* \|", re.MULTILINE)
# How far a judge's figures of the card's pictures may be from those of the processor's, beside twice what chance makes.
JUDGED_APART = 0.02
TESTS = "compute::cuda::tests::"
SMOKE = {
    "TF32 against float64": "on_a_card::float64::with_the_network_that_is_built_in_so_it_is_by_its_own",
    "float32 against float64": "on_a_card::float32_agrees_with_the_oracle",
}
PAIR = ("chelsea.png", "painting.png")


@dataclass
class Amounts:
    """How much of each is done."""
    smoke: dict = field(default_factory=lambda: SMOKE)
    sizes: tuple = (512, 1024, 2048)
    rounds: int = 5
    repetitions: int = 9
    peer: tuple = (sys.executable, pathlib.Path(__file__).with_name("card_peer.py"))
    render: tuple = ("--size=1024",)
    chosen: str = "CUDA"
    large: tuple = ("8192x8192", "--steps=2", "memory_limit=8")
    judged: tuple = ("--size=512",)
    # What the style's strength is multiplied by: nothing to be seen, but another descent.
    strengths: tuple = (0.9998, 0.9999, 1, 1.0001, 1.0002)
    pairs: tuple = (PAIR, PAIR[::-1])
    kernels: tuple = (512, 1024)
    kernel_options: tuple = ()
    optimiser: tuple = ()
    checked: int = 64
    sanitized: tuple = ("a step", "a draft's step", "L-BFGS")
    checks: tuple = ("on_a_card::", "vectors_on_a_card::", "renders_on_a_card::", "plans_on_a_card::")
    jobs: int = 500
    job_settings: tuple = ()


@dataclass
class Stage:
    """What is done, its weight in sharing what is left of the time, and the rows that it gives."""
    title: str
    weight: float
    run: Callable
    rows: str


def facts(bench):
    fields = "name,driver_version,memory.total,power.limit,persistence_mode,clocks.sm,clocks.max.sm,clocks.mem"
    found = bench.run("nvidia-smi", ["nvidia-smi", f"--query-gpu={fields}", "--format=csv"], 0.5)
    bench.say(f"```\n{(found or 'not known').strip()}\n```\n")
    bench.say(f"- built of {bench.origin}")
    bench.say(f"- beside it: {machine()}; Python {sys.version.split()[0]}")


def smoke(bench):
    for what, group in bench.amounts.smoke.items():
        tests(bench, what, group, 0.7)


def tests(bench, what, group, share=1.0):
    said = bench.ours(what, "tests", ["--ignored", "--nocapture", "--test-threads=1", TESTS + group], share)
    if said is None:
        return
    passed = int(re.search(r"(\d+) passed", said)[1])
    if passed:
        bench.say(f"- {what}: {passed} tests passed")
    else:
        bench.fail(what, "no test was run")
    for line in re.findall(r"^.*the gradient is off by.*$", said, re.MULTILINE):
        bench.say(f"  - {line.strip()}")


def steps(bench):
    """In turn, a round after the other as long as the time lasts for one more."""
    sizes, longest = bench.amounts.sizes, 0.0
    ours, theirs = {size: [] for size in sizes}, {size: [] for size in sizes}
    has_peer = peer_is_there(bench)
    for number in range(bench.amounts.rounds):
        begun = time.monotonic()
        if number and bench.left() < 1.2 * longest:
            bench.say(f"{number} rounds of {bench.amounts.rounds}, for which there was time.\n")
            break
        for size in sizes:
            found = our_step(bench, size)
            if found:
                ours[size].append(found)
        for size in sizes if has_peer else ():
            said = bench.run(f"PyTorch at {size}", [*bench.amounts.peer, size, "--device", bench.device], 0.5)
            if said:
                theirs[size].append(json.loads(said.splitlines()[-1]))
        # If everything is ended from outside, this much has been told.
        print(f"round {number + 1}: {ours} {theirs}", file=sys.stderr, flush=True)
        longest = max(longest, time.monotonic() - begun)
    bench.say("| size | PyTorch | ours | ratio | MB on the card: PyTorch | ours | ratio | of TF32's rate |")
    bench.say("|---|---|---|---|---|---|---|---|")
    for size in sizes:
        if ours[size]:
            bench.say(row(size, ours[size], theirs[size]))
    clocks = bench.probe(["nvidia-smi", "--query-gpu=clocks.sm,clocks.mem,temperature.gpu", "--format=csv,noheader"])
    bench.say(f"\nClocks and temperature right after: {clocks or 'not known'}")


def our_step(bench, size, *more):
    arguments = [size, f"--device={bench.device}", f"--repetitions={bench.amounts.repetitions}", *more]
    said = bench.ours(f"a step at {size}", "step", arguments, 0.5)
    found = STEP.search(said or "")
    return found and (float(found["least"]), float(found["megabytes"]))


def row(size, ours, theirs):
    seconds, megabytes = (statistics.median(column) for column in zip(*ours))
    if not theirs:
        return f"| {size} | – | {seconds * 1e3:.2f} ms | – | – | {megabytes:.0f} | – | – |"
    their = {key: statistics.median(figures[key] for figures in theirs) for key in theirs[0]}
    share = operations(size) / seconds / their["operations_per_second"]
    return (f"| {size} | {their['seconds'] * 1e3:.2f} ms | {seconds * 1e3:.2f} ms | {seconds / their['seconds']:.2f} "
            f"| {their['megabytes']:.0f} | {megabytes:.0f} | {megabytes / their['megabytes']:.2f} | {share:.0%} |")


def operations(size):
    """A multiplication and an addition for each weight of the convolutions, once up and once down."""
    return 4 * size * size * sum(9 * inputs * outputs / 4 ** pools for inputs, outputs, pools in CONVOLUTIONS)


def peer_is_there(bench):
    version = bench.probe([*bench.amounts.peer, "--version", "--device", bench.device])
    bench.say(f"PyTorch {version}\n" if version else "There is no PyTorch for the card here.\n")
    return version is not None


def render(bench, what, device, output, arguments, share=1.0, environment=None, pictures=PAIR):
    """What a render says."""
    arguments = ["render", "-v", "--plugin", bench.folder, f"--set=device={device}", *arguments]
    return bench.ours(what, "pentimento", [*arguments, *pictures, "-o", bench.folder / output], share, environment)


def computing(said):
    """Where a render computed at its end: a card that fails hands it on to the processor."""
    found = re.findall(r"computing on (.*)", said)
    return found[-1] if found else "?"


def cold(bench):
    """As whoever installs it finds it, without a card named, and with nothing kept of what a driver compiled."""
    compiled = bench.folder / "compiled-cold"
    shutil.rmtree(compiled, ignore_errors=True)
    for what in "cold, the kernels not compiled yet", "warm, with what the driver has kept":
        begun = time.monotonic()
        said = render(bench, what, "auto", "cold.png", bench.amounts.render, 0.6, {"CUDA_CACHE_PATH": str(compiled)})
        if said is None:
            continue
        seconds, on = time.monotonic() - begun, computing(said)
        bench.say(f"- default render, {what}, start to saved PNG: {seconds:.2f} s, chosen {on}")
        if not on.startswith(bench.amounts.chosen):
            bench.fail(what, f"FAILED: {bench.amounts.chosen} was to be chosen")


def large(bench):
    size, *more = bench.amounts.large
    said = bench.ours(f"{size} px", "large", [size, f"device={bench.device}", *more])
    if said is not None:
        bench.say(f"- {size} px, {' '.join(more)}: {said.splitlines()[-1]}")
        if not computing(said).startswith("CUDA"):
            bench.fail(f"{size} px", f"FAILED: it ended on {computing(said)}")


def judged(bench):
    """Of each pair, what a judge says of the pictures that the card paints, beside the processor's."""
    for number, pair in enumerate(bench.amounts.pairs):
        painted = {}
        for on in bench.device, "cpu":
            painted[on] = [paint(bench, pair, on, strength, f"judged-{number}-{on.replace(':', '')}-{strength}.png")
                           for strength in bench.amounts.strengths]
        if all(all(pictures) for pictures in painted.values()):
            compare(bench, pair, *painted.values())


def paint(bench, pair, on, strength, name):
    """Where the picture is, if it was painted there."""
    what = f"{' in the manner of '.join(pair)} on {on}"
    arguments = [*bench.amounts.judged, f"--set=style_strength={strength}"]
    said = render(bench, what, on, name, arguments, 0.5, pictures=pair)
    if said is None:
        return None
    if computing(said).startswith("CPU" if on == "cpu" else "CUDA"):
        return bench.folder / name
    bench.fail(what, f"FAILED: it ended on {computing(said)}")


def compare(bench, pair, card, processor):
    """Means over the pictures: where a descent ends is a matter of chance, by some percent."""
    said = bench.ours("the judge", "judge", [*pair, *card, *processor], 0.6)
    if said is None:
        return
    figures = [json.loads(line) for line in said.splitlines()]
    told, far = [], []
    for name in figures[0]:
        ours, theirs = ([one[name] for one in some] for some in (figures[:len(card)], figures[len(card):]))
        mean, other = statistics.mean(ours), statistics.mean(theirs)
        apart, error = mean / other - 1, math.hypot(error_of_mean(ours) / mean, error_of_mean(theirs) / other)
        told.append(f"{name} {mean:.4f} ({apart:+.2%} ± {error:.2%})")
        if not abs(apart) <= JUDGED_APART + 2 * error:
            far.append(name)
    bench.say(f"- {' in the manner of '.join(pair)}: {', '.join(told)}")
    if far:
        bench.fail(f"the judge of {pair[0]}", f"FAILED: {', '.join(far)} are more than {JUDGED_APART:.0%} from the processor's")


def error_of_mean(figures):
    """One standard error; none is known of a single figure."""
    return statistics.stdev(figures) / math.sqrt(len(figures)) if len(figures) > 1 else 0.0


def kernels(bench):
    sizes = bench.amounts.kernels
    for precision in [], ["--draft"]:
        what = "the kernels of a draft" if precision else "the kernels of a step"
        arguments = [*sizes, f"--device={bench.device}", *precision, *bench.amounts.kernel_options]
        said = bench.ours(what, "kernels", arguments, 0.6)
        if said is None:
            continue
        bench.say(said)
        counted = [float(gigaflop) for _, gigaflop in KERNELS.findall(said)]
        # The network once up and once down, and statistics besides.
        least = [operations(size) / 1e9 for size in sizes]
        if len(counted) != len(sizes) or any(not low < got < 1.5 * low for low, got in zip(least, counted)):
            bench.fail(what, f"{counted} GFLOP are counted where more than {least} are done")
        if len(KERNEL.findall(said)) < 30 * len(sizes):
            bench.fail(what, "its table lacks kernels")


def beside(bench):
    """What is not asked of the card by name: drafts, and L-BFGS beside the network."""
    for size in bench.amounts.sizes:
        found = our_step(bench, size, "--draft")
        if found:
            bench.say(f"- draft, in bfloat16, at {size}: {found[0] * 1e3:.2f} ms, {found[1]:.0f} MB on the card")
    for on in [bench.device, "cpu"]:
        said = bench.ours(f"L-BFGS on {on}", "optimiser", [f"--device={on}", *bench.amounts.optimiser], 0.6)
        for line in (said or "").splitlines():
            bench.say(f"- L-BFGS on {on}, median (least): {line}")


def sanitizer(bench):
    """What NVIDIA's own checker says of small jobs, where the machine has it."""
    program = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if program is None:
        return bench.say("- compute-sanitizer is not on this machine")
    step = [bench.folder / "step", bench.amounts.checked, f"--device={bench.device}", "--repetitions=1"]
    commands = {
        "a step": step,
        "a draft's step": [*step, "--draft"],
        "L-BFGS": [bench.folder / "optimiser", f"{bench.amounts.checked}:2", f"--device={bench.device}"],
    }
    for tool in "memcheck", "racecheck", "synccheck":
        for what in bench.amounts.sanitized:
            command = commands[what]
            what = f"{tool}, {what} at {bench.amounts.checked} px"
            said = bench.run(what, [program, "--tool", tool, "--error-exitcode", 9, *command], 0.4)
            if said is not None:
                found = re.search(r"SUMMARY: (.*)", said)
                told = found[1] if found else "no summary"
                if told.startswith("0 "):
                    bench.say(f"- {what}: {told}")
                else:
                    bench.fail(what, f"FAILED: {told}")


def checks(bench):
    for group in bench.amounts.checks:
        tests(bench, group.strip(":").replace("_", " "), group, 0.6)


def soak(bench):
    jobs = bench.amounts.jobs
    arguments = [jobs, f"device={bench.device}", "memory_limit=0", *bench.amounts.job_settings]
    said = bench.ours(f"{jobs} jobs in one process", "soak", arguments)
    if said is not None:
        bench.say(f"- {jobs} jobs in one process: {said.splitlines()[-1]}")


PASSED = r"^- .*: [1-9]\d* tests passed$"
STAGES = {
    "facts": Stage("The card", 1, facts, r"^- beside it: "),
    "smoke": Stage("Whether the gradient is right", 8, smoke, PASSED),
    "steps": Stage("A step: forward, statistics, backward", 16, steps, r"^\| \d+ \| \S+(?: ms)? \| \d\S* ms \|"),
    "cold": Stage("Cold start", 4, cold, r"warm, .* to saved PNG: \S+ s"),
    "large": Stage("A large picture", 10, large, r"s per step, .* at most \d+ MB"),
    "judged": Stage("A judge's figures", 8, judged, r"^- .* in the manner of .*: content \d"),
    "kernels": Stage("What bounds each kernel", 4, kernels, KERNELS.pattern),
    "beside": Stage("Drafts, and L-BFGS beside the network", 3, beside, r"^- draft.* ms, \d+ MB"),
    "checks": Stage("All checks", 8, checks, PASSED),
    "sanitizer": Stage("NVIDIA's checker", 6, sanitizer, r"^- (?:memcheck, .*: \d|compute-sanitizer is not on)"),
    "soak": Stage("Many jobs", 4, soak, r"jobs in one process: .* MB"),
}
