#!/usr/bin/env python3
"""Makes kernels.ptx and kernels.fatbin, the CUDA kernels as the plugin carries them. Needs Python, pip and a C++
compiler, but no toolkit.

    make.py                     write the files beside this script
    make.py --check             compile again and compare; write nothing
    make.py --check-sources     compare the sources with the hash that the files carry; needs no compiler
    make.py --nvcc FILE         take this compiler rather than ask pip for one

The compiler is NVIDIA's nvcc 13.0, from its packages on PyPI, in a folder that is thrown away. PTX is made
for compute capability 8.0: what a driver makes machine code of for that card and every later one. Its version is then
set back from the compiler's own to 7.0, the first that has these instructions, so that drivers older than the compiler
take it as well; NVIDIA's assembler, which refuses an instruction that a version does not have, checks that.

A driver takes seconds to make machine code of the PTX. So NVIDIA's assembler makes it here, for cards of today, and all
of it is packed into the other file: drivers as new as the compiler load that in no time. For compute capability 9.0 there
are more kernels in it (hopper.cu), by instructions that no other has.

Exit status: 0 done, or the same; 1 a committed file differs; 2 the compiler cannot be had or refuses the sources.
"""

import argparse
import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile

PACKAGES = ["nvidia-cuda-nvcc", "nvidia-cuda-crt", "nvidia-cuda-runtime", "nvidia-cuda-cccl", "nvidia-nvvm"]
RELEASE = "13.0.*"
HERE = pathlib.Path(__file__).parent
OUTPUT = HERE / "kernels.ptx"
PACKED = HERE / "kernels.fatbin"
PTX_VERSION = "7.0"
FLAGS = ["-std=c++17", "-Werror", "all-warnings"]
# Architectures that there is machine code for. Cards take that of an older one of the same tens.
MACHINES = [80, 100, 120]
# The one with kernels of its own, which takes no other's.
OWN = "90a"
# Sources that the PTX is not made of.
OTHERS = ["emulated.h", "emulated_block.h", "emulated_card.h", "emulated_warpgroup.h"]


class Refused(Exception):
    """The compiler cannot be had or refuses the sources."""


def run(command, **options):
    try:
        return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused(f"{error}\n{getattr(error, 'stderr', '') or ''}") from error


def hash_of_sources():
    """SHA-256 of the sources' names and contents, in alphabetical order, with the lines' ends of Unix."""
    digest = hashlib.sha256()
    for path in sorted(HERE.glob("*.cu")) + sorted(HERE.glob("*.h")):
        if path.name not in OTHERS:
            digest.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def fetch(folder):
    """Installs the compiler's packages and returns its path."""
    wanted = [f"{package}=={RELEASE}" for package in PACKAGES]
    run([sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--target", folder, *wanted])
    return pathlib.Path(folder) / "nvidia/cu13/bin/nvcc"


def compile_kernels(nvcc, folder):
    """The contents of both files."""
    made = pathlib.Path(folder) / "made.ptx"
    run([nvcc, *FLAGS, "-arch=compute_80", "-ptx", "all.cu", "-o", made], cwd=HERE)
    text, count = re.subn(r"^\.version .*$", f".version {PTX_VERSION}", made.read_text(), flags=re.MULTILINE)
    if count != 1:
        raise Refused("the compiler's PTX has no version")
    # The compiler's own comments tell its build, and nothing of the kernels. Its hints of what a wide load is read for
    # are newer than the version, and change nothing of what is computed.
    dropped = ("//", '.pragma "used_bytes_mask')
    lines = [line.rstrip() for line in text.splitlines() if not line.lstrip().startswith(dropped)]
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
    made.write_text(body)
    tools, packed, images = pathlib.Path(nvcc).parent, pathlib.Path(folder) / "packed", []
    for machine in MACHINES:
        code = f"{folder}/sm_{machine}"
        run([tools / "ptxas", f"-arch=sm_{machine}", made, "-o", code])
        images.append(f"--image3=kind=elf,sm={machine},file={code}")
    code = f"{folder}/sm_{OWN}"
    run([nvcc, *FLAGS, f"-gencode=arch=compute_{OWN},code=sm_{OWN}", "-cubin", "every.cu", "-o", code], cwd=HERE)
    images.append(f"--image3=kind=elf,sm={OWN},file={code}")
    run([tools / "fatbinary", "-64", "--compress-all", "--compress-mode=size", f"--create={packed}", *images])
    origin = f"// Made by make.py from sources with SHA-256 {hash_of_sources()}\n"
    # The driver does not look at what comes after the images.
    return (origin + body).encode(), packed.read_bytes() + origin.encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compile again and compare, write nothing")
    parser.add_argument("--check-sources", action="store_true", help="compare the sources' hash, compile nothing")
    parser.add_argument("--nvcc", metavar="FILE", help="a compiler of CUDA 13.0, with ptxas beside it")
    options = parser.parse_args()
    committed = tuple(path.read_bytes() if path.exists() else b"" for path in (OUTPUT, PACKED))
    if options.check_sources:
        origins = committed[0].splitlines()[:1] + committed[1].splitlines()[-1:]
        is_current = len(origins) == 2 and all(hash_of_sources().encode() in origin for origin in origins)
    else:
        try:
            with tempfile.TemporaryDirectory() as folder:
                made = compile_kernels(options.nvcc or fetch(folder), folder)
        except Refused as error:
            print(f"make.py: {error}", file=sys.stderr)
            return 2
        if not options.check:
            for path, content in zip((OUTPUT, PACKED), made):
                path.write_bytes(content)
                print(f"{path.name}: {len(content)} bytes")
            return 0
        is_current = made == committed
    if not is_current:
        print(f"make.py: {OUTPUT.name} or {PACKED.name} is not what this script makes of the sources", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
