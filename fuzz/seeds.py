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
import zlib
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


def aedat3(*packets):
    out = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"
    for events in packets:
        out += struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, len(events), len(events), len(events))
        out += b"".join(struct.pack("<Ii", x << 17 | y << 2 | p << 1 | 1, t) for x, y, p, t in events)
    return out


def png(width, height, colour, rows, bits=8, interlaced=0, more=()):
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, bits, colour, 0, 0, interlaced)), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
def array(descr, shape, data, version=1):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def photographs(*labels):
    return b"".join(bytes(label) + bytes(range(256)) * 12 for label in labels)


def packet3(kind, events, size=8, overflow=0):
    return struct.pack("<hhiiiiii", kind, 1, size, 4, overflow, len(events), len(events), len(events)) + b"".join(events)


def polarity3(x, y, p, t):
    return struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t)


def events4(events):
    body = b"".join(struct.pack("<qhhBxxx", t, x, y, p) for x, y, p, t in events)
    flat = struct.pack("<I4sHHHHiII", 16, b"EVTS", 6, 8, 4, 0, 8, 4, len(events)) + body
    return struct.pack("<I", len(flat)) + flat


def lz4_stored(data):
    return b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<I", len(data) | 1 << 31) + data + bytes(4)


def zstd_stored(data):
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)) + struct.pack("<I", len(data) << 3 | 1)[:3] + data


XML = (
    b'<dv version="2.0"><node name="outInfo" path="/o/"><node name="0" path="/o/0/"><attr key="typeIdentifier" type="string">EVTS</attr>'
    b'<node name="info" path="/o/0/info/"><attr key="sizeX" type="int">346</attr><attr key="sizeY" type="int">260</attr></node></node></node></dv>'
)


def aedat4(compression, packets, xml=b""):
    head = struct.pack("<I4sHHHHHxxiiqII", 20, b"IOHE", 10, 20, 4, 8, 16, 12, compression, -1, 4, len(xml)) + xml + b"\0"
    pack = (lambda data: data, lz4_stored, lz4_stored, zstd_stored, zstd_stored)[compression]
    body = b"".join(struct.pack("<ii", 0, len(pack(data))) + pack(data) for data in packets)
    return b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(head)) + head + body


def npy(version, header, data):
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + data


def recordings(events):
    yield "orchard", recording([*events, (0, 240, 0, 0)])
    head = b"#!AER-DAT2.0\r\n# This is a raw AE data file\n"
    pairs = [(y << 8 | x << 1 | p, t) for x, y, p, t in events]
    yield "aedat2", head + b"".join(struct.pack(">II", *pair) for pair in pairs)
    pairs = [(y << 22 | x << 12 | p << 11, t) for x, y, p, t in events] + [(1 << 31, 5), (1 << 10, 6), (0, 0xFFFFFFFF), (0, 1)]
    head += b"# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n#End Of ASCII Header\r\n"
    yield "aedat2", head + b"".join(struct.pack(">II", *pair) for pair in pairs)
    polarity = [polarity3(*event) for event in events]
    packets = [packet3(1, polarity[:9]), packet3(3, [bytes(36)], 36), packet3(1, polarity[9:]), packet3(1, polarity[:2], 8, 1)]
    yield "aedat3", b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n" + b"".join(packets)
    yield "aedat3", b"#!AER-DAT3.0\r\n#Source 1: DAVIS240C\r\n" + b"".join(packets) + bytes(9)
    for compression in range(5):
        yield "aedat4", aedat4(compression, [events4(events), events4(events[:3])], XML if compression % 2 else b"")
    lines = "".join(f"{t},{x},{y},{p}\n" for x, y, p, t in events)
    yield "csv", lines.encode()
    yield "csv", ("# note\r\nid;t_ms;p;y;x\r\n" + "".join(f"{t};{t / 1e3};{2 * p - 1};{y};{x:e}\r\n" for x, y, p, t in events)).encode()
    yield "csv", b"\xef\xbb\xbfpolarity on_time timestamp y x\ntrue 1 1.5e3 2 3\nFalse 1 +2000000E-3 0 0"
    flat = b"".join(struct.pack("<qHHB", t, x, y, p) for x, y, p, t in events)
    dtype = b"[('t', '<i8'), ('x', '<u2'), ('y', '<u2'), ('p', '|b1')]"
    yield "npy", npy(1, b"{'descr': " + dtype + b", 'fortran_order': False, 'shape': (40,), }  \n", flat)
    flat = b"".join(struct.pack(">4d", x, y, p, t) for x, y, p, t in events)
    yield "npy", npy(3, b"{'descr': '>f8', 'fortran_order': False, 'shape': (40, 4)}", flat)
    yield "npy", npy(2, b"{'shape': (2, 4), 'descr': '<f2', 'fortran_order': True}", bytes(16))


MODEL = """data: {name: mnist, timesteps: 4, coding: %s, validation: 0.1, augment: [crop: 2, flip, {name: cutout, size: 4, fill: mean}, auto_augment, mixup: 0.2]}
model:
  - residual: {body: [conv: {out: 4, kernel: 3, padding: 1, groups: 1, stride: 1, dilation: 1}, batchnorm: {over: joint}],
               shortcut: [conv: {out: 4, kernel: 1}]}
  - plif: {tau: 3, reset: subtract, fire: gt, detach_reset: false, surrogate: {name: slayer, alpha: 2, scale: 1}}
  - maxpool: {kernel: 2, stride: 2}
  - repeat: {times: 2, body: [conv: {out: 4, kernel: 3, padding: 1}, lif: {beta: 0.9, decay_input: true, surrogate: norse.triangle}]}
  - {dropout: 0.2, name: half}
  - flatten
  - layernorm
  - linear: {out: 10, bias: false, init: {name: kaiming_uniform, a: 2.2}}
  - li: {tau: 4, decay: exp}
train: {epochs: 3, batch: 8, loss: [{name: ce, over: %s, weight: 0.5}, {name: mse, over: last}], optimizer: {name: %s,
  groups: [{match: "*.bias", lr: 0.1}]}, schedule: %s, clip: 1, anneal: [{key: model.1.plif.threshold, to: 2}], freeze: [model.0.*]}
run: {stop: {metric: validation.loss, patience: 3}, checkpoint_every: 10 steps}
"""


EVENTS = """data: {name: nmnist, augment: [nda: {cutout: 8}, drop, time_jitter: 3 ms, time_mask: {most: 20 ms, p: 0.5}, cutmix: area]}
model: [flatten, linear: 10, lif]
train: {}
run: {}
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
    yield "arrays", b"\0" + array("<f4", (2, 3, 2), bytes(48))
    yield "arrays", b"\0" + array(">i2", (2, 3, 1, 2, 1), bytes(range(24)), 2)
    yield "arrays", b"\1" + array("<f2", (2, 3, 1), bytes(12))
    yield "arrays", b"\1" + array("<f8", (2,), bytes(16), 3)
    yield "arrays", b"\2" + array("<i8", (2,), b"\1" + bytes(7) + b"\2" + bytes(7))
    for form in range(3):
        yield "shd", bytes([form]) + bytes(300)
        yield "shd", bytes([form, 5, 0, 0, 0]) + bytes(96) + b"\7"
    for target, data in recordings(events):
        yield f"events_{target}", b"\0" + data
        yield f"events_{target}", b"\x82" + data
    for form in range(3):
        yield "events_h5", bytes([form]) + bytes(150)
        yield "events_h5", bytes([form + 3, 0, 0, 0x40]) + bytes(96) + b"\1"
    camera = aedat3(events[:10], events[5:], [(127, 127, 1, 900000)])
    table = b"class,startTime_usec,endTime_usec\n1,0,500\n11,400,999999\n"
    for form in (0, 2, 4):
        yield "gesture", bytes([form, 0]) + camera
        yield "gesture", bytes([form, len(table)]) + table + camera
    members = [("DvsGesture/user01_x.aedat", camera), ("DvsGesture/user01_x_labels.csv", table)]
    members += [(f"DvsGesture/trials_to_{split}.txt", b"user01_x.aedat\n") for split in ("train", "test")]
    yield "gesture", b"\1" + tar_gz(members, tarfile.USTAR_FORMAT)
    for form in range(4):
        yield "png", bytes([form]) + png(3, 2, 2, b"\0" + bytes(range(9)) + b"\1" + bytes(range(9)))
    yield "png", b"\0" + png(3, 2, 0, b"\0abc\2def")
    yield "png", b"\1" + png(3, 2, 3, b"\0\0\1\2\0\2\1\0", more=[(b"PLTE", bytes(range(9))), (b"tRNS", b"\0\x80")])
    yield "png", b"\2" + png(3, 2, 4, b"\0abcdef" * 2, interlaced=1)
    yield "png", b"\3" + png(1, 2, 6, b"\0abcdefgh" * 2, bits=16, more=[(b"gAMA", struct.pack(">I", 45455))])
    yield "png", b"\1" + png(9, 1, 0, b"\0\xaa\x80", bits=1)
    rows = bytes([3, 0, 2, 0, 1, 10, 7, 0xC8, 9, 3])
    yield "cache", b"\4" + rows
    yield "cache", b"\4" + bytes([1, 2, 1, 10]) + struct.pack("<f", -0.5)
    yield "cache", b"\4" + bytes([40, 1]) + bytes(40)
    yield "cache", b"\3" + struct.pack("<I", 10) + rows  # as it is
    yield "cache", b"\3" + struct.pack("<I", 60) + b"\x1f\0\1\0\x23\x50" + bytes(5)  # LZ4: a run of zeros
    yield "cache", b"\6" + bytes([2, 34, 200, 1, 5, 0, 0, 4])
    yield "cache", b"\7" + bytes([1, 35, 0xFF, 0xFF, 1, 0])
    yield "cache", b"\0recipe"
    yield "cache", b"\1SNTINDX1" + struct.pack("<5Q", 3, 0, 0, 8, 9) + bytes(96)
    yield "cache", b"\2SNTDATA1" + struct.pack("<I", 10) + rows
    yield from (("model", path.read_bytes()) for path in configs)
    yield "model", EVENTS.encode()
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
