"""What `card.py` runs, built into a folder, and packed into one file for a machine without a toolchain.

Each program carries the network, 13 MB that do not compress. In the file they come one after the other, and the
compressor looks back far enough to find the network of the program before, so that it counts once.
"""
import lzma
import pathlib
import shutil
import subprocess
import tarfile
import time

from compare import built

SCRIPTS = pathlib.Path(__file__).resolve().parent
REPOSITORY = SCRIPTS.parent.parent
# What is built: Cargo's words for it, and the name of what comes of it. Packages are not built one by one: what they
# depend on would be built anew for each.
BENCH = ["bench", "--workspace", "--no-run", "--bench"]
PROGRAMS = {
    "tests": (["test", "--release", "--workspace", "--no-run", "--lib"], "pentimento_plugin"),
    **{bench: ([*BENCH, bench], bench) for bench in ("step", "kernels", "optimiser", "large", "judge", "soak")},
    "pentimento": (["build", "--release"], "pentimento"),
    "libpentimento_plugin.so": (["build", "--release"], "pentimento_plugin"),
}
# What the file may have at most, and how far back the compressor looks: farther than any program is long.
LIMIT, WINDOW = 60 << 20, 64 << 20


def build(folder, end=None):
    """Builds all programs and the library into a folder, with all that they and the scripts need, by some time."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (words, target) in PROGRAMS.items():
        command = ["cargo", *words, "--manifest-path", REPOSITORY / "Cargo.toml"]
        left = None if end is None else max(1.0, end - time.monotonic())
        files = [pathlib.Path(file) for file in built(command, target, left)]
        # A library has a suffix, and programs have none.
        found = [file for file in files if file.name == name or not pathlib.Path(name).suffix and not file.suffix]
        shutil.copy2(found[-1], folder / name)
        # Names of functions, which no measurement needs.
        subprocess.run(["strip", folder / name], check=True)
    pictures = (REPOSITORY / "examples" / "pictures").glob("*.png")
    for file in [REPOSITORY / "manifest.toml", *pictures, *SCRIPTS.glob("card*.py"), SCRIPTS / "compare.py"]:
        shutil.copy2(file, folder)
    commit = subprocess.run(["git", "-C", REPOSITORY, "describe", "--always", "--dirty"],
                            capture_output=True, text=True).stdout
    compiler = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout
    (folder / "origin.txt").write_text(f"{commit.strip() or 'no commit'}, {compiler.strip()}\n")


def pack(folder, file):
    """Packs what was built; whether it is small enough."""
    longest = max((folder / name).stat().st_size for name in PROGRAMS)
    assert longest < WINDOW, f"a program of {longest} bytes is longer than the compressor looks back"
    compressor = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": WINDOW}]
    scripts = [path.name for path in folder.glob("*.py")]
    others = ["manifest.toml", "origin.txt", *(path.name for path in folder.glob("*.png")), *scripts]
    with lzma.open(file, "wb", filters=compressor) as stream, tarfile.open(fileobj=stream, mode="w|") as archive:
        for name in [*PROGRAMS, *others]:
            archive.add(folder / name, f"card/{name}")
    size = file.stat().st_size
    print(f"{file}: {size / 2**20:.1f} MiB, of which {LIMIT / 2**20:.0f} can be carried")
    return size <= LIMIT
