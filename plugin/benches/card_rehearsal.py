"""`card.py` without a card: every stage, as small as it goes, on the emulated card that the tests have.

What cannot be had without a card stands in the folder `stand-ins`, in front of all else: NVIDIA's driver is the emulated
one, and scripts answer for `nvidia-smi`, `compute-sanitizer` and PyTorch. No figure means anything, but each stage is to
give its rows, and to find them in what the programs say.
"""
import os
import subprocess
import sys

from card_pack import REPOSITORY
from card_stages import PAIR, SMOKE, Amounts

DRIVER = REPOSITORY / "plugin" / "src" / "compute" / "cuda" / "kernels" / "driver.cpp"
STAND_INS = {
    "nvidia-smi": """echo "Emulated card, 1024 MiB" """,
    "compute-sanitizer": """
        shift 4
        "$@" && echo "========= ERROR SUMMARY: 0 errors" """,
    "peer": """
        case $1 in
        --version) echo "0 (a stand-in)" ;;
        *) echo '{"seconds": 0.1, "megabytes": 100.0, "operations_per_second": 1e12}' ;;
        esac""",
}
# A step of the whole network takes the emulated card some four seconds, at any size.
LAYERS = ("style_layers=conv1_1:1", "content_layers=conv1_2:1")
SET = tuple(f"--set={setting}" for setting in LAYERS)
AMOUNTS = Amounts(
    smoke=dict(list(SMOKE.items())[:1]),
    sizes=(32,),
    rounds=1,
    repetitions=1,
    peer=("peer",),
    render=("--size=48", "--set=quality=0.02", *SET),
    # The emulated card is slower.
    chosen="CPU",
    large=("64x48", "--steps=2", "memory_limit=8", *LAYERS),
    judged=("--size=32", "--set=quality=0.05", *SET),
    strengths=(0.9999, 1),
    pairs=(PAIR,),
    kernels=(32,),
    kernel_options=("--steps=1", "--copied=1"),
    optimiser=("32:2",),
    checked=32,
    sanitized=("L-BFGS",),
    checks=("on_a_card::profiles::what_a_card_can_do_is_measured",),
    jobs=3,
    job_settings=LAYERS,
)


def prepare(folder):
    """Puts what stands in for a card into the folder."""
    stand_ins = folder / "stand-ins"
    stand_ins.mkdir(exist_ok=True)
    for name, script in STAND_INS.items():
        (stand_ins / name).write_text(f"#!/bin/sh\n{script.strip()}\n")
        (stand_ins / name).chmod(0o755)
    subprocess.run(["g++", "-std=c++17", "-O2", "-Wno-unknown-pragmas", "-ffp-contract=off", "-shared", "-fPIC",
                    "-o", stand_ins / "libcuda.so", DRIVER], check=True)


def environment(folder):
    """What has the stand-ins found."""
    stand_ins = folder / "stand-ins"
    return {"LD_LIBRARY_PATH": str(stand_ins), "PATH": f"{stand_ins}:{os.environ['PATH']}"}


def rehearse(folder, seconds):
    """Two calls of what was built, of which the second is to go on with what the first left; whether all went well."""
    prepare(folder)
    report = folder / "rehearsal.md"
    report.unlink(missing_ok=True)
    call = [sys.executable, folder / "card.py", "--built", "--rehearse", "--report", report, f"--seconds={seconds:.0f}"]
    first = subprocess.run([*call, "--stages", "facts", "smoke"]).returncode
    second = subprocess.run(call).returncode
    said = report.read_text()
    faults = [fault for fault, is_there in [
        (f"the first call ended with {first}, not with 2, which is for what is left", first != 2),
        (f"the second call ended with {second}", second != 0),
        ("the second call began again", said.count("\n## The card\n") != 1),
        ("a row lacks a figure", "–" in said),
    ] if is_there]
    print(f"Rehearsed: {'; '.join(faults) or 'every stage gives its rows'}.")
    return not faults
