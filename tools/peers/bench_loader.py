#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench_loader.py - samples a second from files to frames, in snntrain, tonic and SpikingJelly, one worker each.

Every measurement is a process of its own; the programs alternate. The peers read each file and frame it with their own
public functions, sample by sample, as their loaders' workers do; snntrain's figures come from `snntrain bench data`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import types
from importlib.metadata import PackageNotFoundError, version

STEPS, SIDE, CHANNELS, BIN_US, BINS = 10, 34, 700, 10000, 100
SECONDS = 3  # of measuring, after one pass that brings the files into memory


def n_mnist(data):
    train = os.path.join(data, "Train")
    return [
        os.path.join(train, digit, name)
        for digit in sorted(os.listdir(train))
        for name in sorted(os.listdir(os.path.join(train, digit)))
        if name.endswith(".bin")
    ]


# ---- one sample, by program and data ----


def tonic_nmnist(data):
    import tonic
    from tonic import transforms

    dtype = tonic.datasets.NMNIST.dtype
    framed = transforms.ToFrame(sensor_size=(SIDE, SIDE, 2), n_event_bins=STEPS)
    return n_mnist(data), lambda path: framed(tonic.io.read_mnist_file(path, dtype=dtype))


def spikingjelly_nmnist(data):
    # Its data sets import torchaudio, which may not fit the torch that is installed and is for other sets.
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
    from spikingjelly.datasets.utils import integrate_events_by_fixed_frames_number, load_ATIS_bin

    return n_mnist(data), lambda path: integrate_events_by_fixed_frames_number(
        load_ATIS_bin(path), "number", STEPS, SIDE, SIDE
    )


def tonic_shd(data):
    import h5py
    import numpy as np
    import tonic
    from tonic import transforms

    # What tonic.datasets.SHD does for a sample, but for opening the file each time.
    file = h5py.File(os.path.join(data, "shd_train.h5"), "r")
    framed = transforms.ToFrame(sensor_size=(CHANNELS, 1, 1), time_window=BIN_US)

    def one(i):
        times, units = file["spikes/times"][i].astype(np.float64) * 1e6, file["spikes/units"][i]
        return framed(tonic.io.make_structured_array(times, units, 1, dtype=tonic.datasets.hsd.HSD.dtype))

    return list(range(len(file["labels"]))), one


PEERS = {("tonic", "nmnist"): tonic_nmnist, ("spikingjelly", "nmnist"): spikingjelly_nmnist, ("tonic", "shd"): tonic_shd}
RULE = {
    "nmnist": (f"{STEPS} frames of equal event counts", ["data.timesteps=10", "data.bin={by: count}"], "nmnist"),
    "shd": ("frames of 10 ms", ["data.timesteps=100", "data.bin={by: duration, dt: 10 ms, from: zero}"], "fsdd_spikes"),
}


def worker(name, workload, data):
    items, one = PEERS[name, workload](data)
    for item in items:
        one(item)
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        one(items[done % len(items)])
        done += 1
    print(json.dumps({"samples_per_s": done / (time.perf_counter() - start)}))


def ours(options, workload, data):
    _, settings, name = RULE[workload]
    command = [options.snntrain, "bench", "data", name, "--data", data, "--json", "--quiet"]
    for setting in settings:
        command += ["--set", setting]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["rows"]


def measure(options, workload, data):
    names = [name for name, of in PEERS if of == workload and name in options.peers]
    speeds, rows = {name: [] for name in names}, []
    for _ in range(options.rounds):
        rows.append(ours(options, workload, data))
        for name in names:
            command = [sys.executable, __file__, "--worker", name, "--workload", workload, "--data", data]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
            speeds[name].append(json.loads(done.stdout)["samples_per_s"])
    print(f"\n{workload}, {RULE[workload][0]}: {options.rounds} rounds, median (best)\n")
    print("| program | samples/s | as dense frames/s |" + "".join(f" against {name} |" for name in names))
    print("|---|---:|---:|" + "---:|" * len(names))
    for i, first in enumerate(rows[0]):
        lists = [row[i]["samples_per_s"] for row in rows]
        dense = [row[i]["frames_per_s"] for row in rows]
        ratios = "".join(f" {statistics.median(dense) / statistics.median(speeds[name]):.1f}x |" for name in names)
        print(
            f"| snntrain, {first['workers']} worker{'s' * (first['workers'] > 1)} | {statistics.median(lists):.0f} ({max(lists):.0f}) "
            f"| {statistics.median(dense):.0f} ({max(dense):.0f}) |{ratios}"
        )
    for name in names:
        print(f"| {name} {version(name)}, 1 worker | - | {statistics.median(speeds[name]):.0f} ({max(speeds[name]):.0f}) |" + " |" * len(names))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nmnist", metavar="DIR", help="the folder that holds Train/")
    parser.add_argument("--shd", metavar="DIR", help="the folder that holds shd_train.h5")
    parser.add_argument("--snntrain", default="build/tools/snntrain")
    parser.add_argument("--peers", default="tonic,spikingjelly", type=lambda text: text.split(","))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--workload", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options.worker, options.workload, options.data)
    for name in options.peers:
        try:
            version(name)
        except PackageNotFoundError:
            sys.exit(f"{name} is not installed: pip install {name}")
    for workload, data in (("nmnist", options.nmnist), ("shd", options.shd)):
        if data:
            measure(options, workload, data)
    if not (options.nmnist or options.shd):
        parser.error("where are the data? Name --nmnist DIR, --shd DIR, or both")


if __name__ == "__main__":
    main()
