#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""seeds.py OUT CONFIG... - small well-formed inputs of every fuzz target, one folder each, from which the fuzzer starts."""

import gzip
import io
import json
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

SIDE = 28


def safetensors(tensors, metadata=None):
    header, data = ({"__metadata__": metadata} if metadata else {}), b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def images(count):
    return struct.pack(">4I", 0x803, count, SIDE, SIDE) + bytes(range(256)) * 6 + bytes(count * SIDE * SIDE - 6 * 256)


def labels(count):
    return struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count))


def recording(events):
    return b"".join(struct.pack(">BBBH", x, y, p << 7 | t >> 16, t & 0xFFFF) for x, y, p, t in events)


def archive(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data, method in members:
            file.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def tar_gz(members, layout):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=layout) as file:
        for name, data in members:
            about = tarfile.TarInfo(name)
            about.size = len(data)
            file.addfile(about, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0)


def photographs(*labels):
    return b"".join(bytes(label) + bytes(range(256)) * 12 for label in labels)


MODEL = """data: {name: mnist, timesteps: 4, coding: %s, validation: 0.1}
model:
  - residual: {body: [conv: {out: 4, kernel: 3, padding: 1, groups: 1, stride: 1, dilation: 1}, batchnorm: {over: joint}],
               shortcut: [conv: {out: 4, kernel: 1}]}
  - plif: {tau: 3, reset: subtract, fire: gt, detach_reset: false, surrogate: {name: slayer, alpha: 2, scale: 1}}
  - maxpool: {kernel: 2, stride: 2}
  - repeat: {times: 2, body: [conv: {out: 4, kernel: 3, padding: 1}, lif: {beta: 0.9, decay_input: true}]}
  - {dropout: 0.2, name: half}
  - flatten
  - layernorm
  - linear: {out: 10, bias: false, init: {name: kaiming_uniform, a: 2.2}}
  - li: {tau: 4, decay: exp}
train: {epochs: 3, batch: 8, loss: [{name: ce, over: %s, weight: 0.5}, {name: mse, over: last}], optimizer: {name: %s,
  groups: [{match: "*.bias", lr: 0.1}]}, schedule: %s, clip: 1, anneal: [{key: model.1.plif.threshold, to: 2}], freeze: [model.0.*]}
run: {stop: {metric: validation.loss, patience: 3}, checkpoint_every: 10 steps}
"""


def seeds(configs):
    events = [(i * 7 % 34, i * 5 % 34, i & 1, 100 * i) for i in range(40)]
    plain = recording(events)
    stored = ("Train/7/1.bin", plain, zipfile.ZIP_STORED)
    pair = images(2)
    yield from (("config", path.read_bytes()) for path in configs)
    yield "config", b"a: {b: [1, 'two', \"th\\tree\"], c: }\nd:\n- x: 1\n  y: |\n    text\n- - deep\0a.b.0=[5]\0d.0.x.z=6\0new=on\0"
    yield "config", b"model:\n- lif\n- name: last\n  linear: 10\n\0model.0.lif.tau=4\0model.last.linear={out: 3}\0a\nb.c]=1\0ta\x94=4\0"
    yield "safetensors", safetensors({})
    yield "safetensors", safetensors({"w": ("F32", [2, 3], bytes(24)), "h": ("F16", [2], b"\0<\0|"), "n": ("BOOL", [], b"\1")}, {"a": "b"})
    yield "safetensors", safetensors({"s": ("F4", [4], b"ab"), "i": ("I64", [1], bytes(8)), "e": ("BF16", [0, 7], b"")})
    for which, data in enumerate((pair, labels(2), pair, labels(2))):
        yield "idx", bytes([which]) + data
        yield "idx", bytes([which]) + gzip.compress(data, mtime=0)
    yield "nmnist", b"\x20"
    yield "nmnist", b"\x20" + plain
    yield "nmnist", b"\x50" + recording([(0, 240, 0, 0), *events[::-1], (33, 33, 1, 0x7FFFFF)])
    yield "nmnist", b"\x21" + archive([stored])
    yield "nmnist", b"\x31" + archive([("Train/0/._x.bin", b"", zipfile.ZIP_STORED), ("Train/0/2.bin", plain, zipfile.ZIP_DEFLATED), stored])
    ten = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    files = [(f"cifar-10-batches-bin/{name}", photographs([i])) for i, name in enumerate(ten)]
    for which, data in enumerate((photographs([0], [9]), photographs([4]), photographs([19, 99]), photographs([0, 0], [3, 50]))):
        yield "cifar", bytes([which]) + data
    yield "cifar", b"\4" + tar_gz([("readme.html", b"text"), *files], tarfile.USTAR_FORMAT)
    yield "cifar", b"\4" + tar_gz([("x" * 200, b""), *files[::-1]], tarfile.GNU_FORMAT)
    files = [(f"./cifar-100-binary/{name}.bin", photographs([1, 2])) for name in ("train", "test")]
    yield "cifar", b"\5" + tar_gz([("\u00e9" * 200, b""), *files], tarfile.PAX_FORMAT)
    yield "cifar", b"\5" + gzip.decompress(tar_gz(files, tarfile.USTAR_FORMAT))[:8000]
    for form in range(3):
        yield "shd", bytes([form]) + bytes(300)
        yield "shd", bytes([form, 5, 0, 0, 0]) + bytes(96) + b"\7"
    yield from (("model", path.read_bytes()) for path in configs)
    yield "model", (MODEL % ("rate", "mean", "adamw", "{name: cosine, per: step}")).encode()
    yield "model", (MODEL % ("direct", "step", "sgd", "{name: one_cycle, max_lr: 0.1, cycle_momentum: false}")).encode()
    yield "model", (MODEL % ("latency", "softmax_sum", "rmsprop", "plateau")).encode()


def main():
    out = Path(sys.argv[1])
    for i, (target, data) in enumerate(seeds([Path(name) for name in sys.argv[2:]])):
        folder = out / f"fuzz_{target}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:02}").write_bytes(data)


main()
