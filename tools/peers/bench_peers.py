#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench_peers.py - training steps of the networks of configs/bench/ in snntrain and in its Python peers.

The parent process imports no framework: every measurement is a process of its own, so that peak memory and the time to
the first step belong to one program alone. `--worker NAME` is such a process; it prints one JSON object.
"""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from typing import NamedTuple

KEPT = 8  # batches that the steps go round, as in snntrain
KEPT_LONG = 2  # of 1000 steps, which are 90 MB each as bytes
SIDE, UNITS, SECOND_US = 34, 700, 1_000_000  # N-MNIST: pixels; SHD: units, what is cut into frames
SUMMED, TAPS = 5, 25  # with delays: units of a channel, steps of a kernel
PEERS = ("spikingjelly", "snntorch", "norse")
MODIFIERS = ("compile", "channels_last", "single", "layers")


class Workload(NamedTuple):
    config: str
    steps: int
    batch: int
    classes: int
    settings: tuple = ()  # where snntrain's config differs
    rule: str = "bptt"


WORKLOADS = {
    "conv_nmnist": Workload("configs/bench/conv_nmnist.yaml", 10, 64, 10),
    "shd_fc": Workload("configs/bench/shd_fc.yaml", 100, 128, 20),
    "shd_fc_digits": Workload(
        "configs/bench/shd_fc.yaml", 100, 128, 10, ("data.name=fsdd_spikes", "model.5.linear=10")
    ),
    "delay_shd": Workload("configs/bench/delay_shd.yaml", 100, 128, 20),
    "delay_shd_digits": Workload(
        "configs/bench/delay_shd.yaml", 100, 128, 10, ("data.name=fsdd_spikes", "model.9.delay.out=10")
    ),
}
DIGITS = ("data.name=fsdd_spikes", "model.5.linear=10")
for rule in ("sltt", "ottt"):
    for steps in (10, 100, 1000):
        cut = (f"train.rule={rule}", f"data.timesteps={steps}", f"data.pad.to={steps}", f"data.bin.dt={1000 // steps} ms")
        name = f"rule_fc_{rule}_{steps}"
        WORKLOADS[name] = Workload("configs/bench/rule_fc.yaml", steps, 128, 20, cut, rule)
        WORKLOADS[name + "_digits"] = Workload("configs/bench/rule_fc.yaml", steps, 128, 10, cut + DIGITS, rule)
LEARNS_BY = 20  # steps: before, the loss moves less than it differs between batches
SAME_LOSS = 1e-4  # relative, of peers with equal weights: rounding flips few spikes of millions, a wrong constant many


# ---- a worker: one framework, one process ----


def seconds_alive():
    """Since the kernel started this process, so interpreter and imports count."""
    with open("/proc/self/stat") as f:
        ticks = int(f.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def peak_rss_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def shuffled(found, where, batch):
    """Alike in every worker."""
    if len(found) < batch:
        sys.exit(f"{where}: holds {len(found)} recordings, expected at least {batch}")
    random.Random(0).shuffle(found)
    return found


class NMNIST:
    """Batches (T,B,2,H,W) of counts in bytes, as they are small: n // T events a frame, the last takes the rest."""

    def __init__(self, data, workload):
        self.steps, train = workload.steps, os.path.join(data, "Train")
        found = [
            (os.path.join(train, digit, name), int(digit))
            for digit in "0123456789"
            if os.path.isdir(os.path.join(train, digit))
            for name in sorted(os.listdir(os.path.join(train, digit)))
            if name.endswith(".bin")
        ]
        self.recordings = shuffled(found, f"{train}/<digit>/<name>.bin", workload.batch)

    def frames(self, path):
        import numpy as np

        event = np.fromfile(path, np.uint8).reshape(-1, 5)
        event = event[event[:, 1] != 240].astype(np.int64)  # y = 240: the recorder's clock ran over, no event
        x, y, p = event[:, 0], event[:, 1], event[:, 2] >> 7
        each = len(event) // self.steps
        step = np.minimum(np.arange(len(event)) // each, self.steps - 1) if each else self.steps - 1
        index = ((step * 2 + p) * SIDE + y) * SIDE + x
        counts = np.bincount(index, minlength=self.steps * 2 * SIDE * SIDE)
        return counts.reshape(self.steps, 2, SIDE, SIDE).clip(max=255).astype(np.uint8)

    def load(self, batch):
        import numpy as np
        import torch

        x = np.stack([self.frames(path) for path, _ in batch], axis=1)
        return torch.from_numpy(x), torch.tensor([label for _, label in batch])


class SHD:
    """Batches (T,B,700) of bytes: has the unit spiked within the frame's share of a second? Spikes after it are left out.
    For networks with delays (T,B,140): how often have the 5 units of a channel?"""

    def __init__(self, data, workload):
        import h5py

        path = os.path.join(data, "shd_train.h5")
        self.steps, self.file, self.summed = workload.steps, h5py.File(path, "r"), "delay" in workload.config
        labels = self.file["labels"][:].tolist()
        if max(labels) >= workload.classes:
            sys.exit(f"{path}: has label {max(labels)}, expected less than {workload.classes}")
        self.recordings = shuffled(list(enumerate(labels)), path, workload.batch)

    def frames(self, i):
        import numpy as np

        times, units = self.file["spikes/times"][i], self.file["spikes/units"][i]
        step = (times.astype(np.float64) * 1e6).astype(np.int64) // (SECOND_US // self.steps)
        within = step < self.steps
        if self.summed:
            channels = UNITS // SUMMED
            index = step[within] * channels + units[within].astype(np.int64) // SUMMED
            counts = np.bincount(index, minlength=self.steps * channels)
            return counts.reshape(self.steps, channels).clip(max=255).astype(np.uint8)
        x = np.zeros((self.steps, UNITS), np.uint8)
        x[step[within], units[within]] = 1
        return x

    def load(self, batch):
        import numpy as np
        import torch

        x = np.stack([self.frames(i) for i, _ in batch], axis=1)
        return torch.from_numpy(x), torch.tensor([label for _, label in batch])


def layers_of(workload, kind, lif):
    """The network; `kind` has the stateless layers, torch.nn or SpikingJelly's own."""
    if "conv" in workload.config:
        return [
            kind.Conv2d(2, 16, 5), lif(), kind.AvgPool2d(2),
            kind.Conv2d(16, 32, 5), lif(), kind.AvgPool2d(2),
            kind.Flatten(), kind.Linear(800, 10),
        ]  # fmt: skip
    return [kind.Linear(UNITS, 256), lif(), kind.Linear(256, 256), lif(), kind.Linear(256, workload.classes)]


def delay_network(workload):
    """SNN-delays: convolutions over time by the DCLS package, the rest by SpikingJelly in multi-step mode."""
    import torch
    from DCLS.construct.modules import Dcls1d
    from spikingjelly.activation_based import functional, layer, neuron, surrogate
    from torch import nn

    class Delay(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.of = Dcls1d(
                inputs, outputs, kernel_count=1, dilated_kernel_size=TAPS, groups=1, bias=False, version="gauss"
            )
            nn.init.kaiming_uniform_(self.of.weight, nonlinearity="relu")
            nn.init.uniform_(self.of.P, a=-TAPS // 2, b=TAPS // 2)
            self.of.clamp_parameters()
            nn.init.constant_(self.of.SIG, TAPS // 2)
            self.of.SIG.requires_grad = False

        def forward(self, x):
            padded = nn.functional.pad(x.permute(1, 2, 0), (TAPS - 1, (TAPS - 1) // 2))
            return self.of(padded).permute(2, 0, 1).contiguous()

    def lif(**more):
        spike = surrogate.ATan(alpha=5.0)
        return neuron.LIFNode(tau=1.005, decay_input=False, detach_reset=True, surrogate_function=spike, **more)

    readout = lif(v_threshold=1e9, store_v_seq=True)
    net = nn.Sequential(
        Delay(UNITS // SUMMED, 256), layer.BatchNorm1d(256), lif(), layer.Dropout(0.4),
        Delay(256, 256), layer.BatchNorm1d(256), lif(), layer.Dropout(0.4),
        Delay(256, workload.classes), readout,
    )  # fmt: skip
    functional.set_step_mode(net, "m")

    def forward(x):
        net(x)
        return torch.softmax(readout.v_seq, dim=2).sum(0)

    def after_step():
        functional.reset_net(net)
        for module in net:
            if isinstance(module, Delay):
                module.of.clamp_parameters()

    return net, forward, after_step


def online_network(workload):
    """SpikingJelly's own neurons for rules that learn at each step: one step at a time, the rest of the loop is ours."""
    import torch
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    node = neuron.SLTTLIFNode if workload.rule == "sltt" else neuron.OTTTLIFNode

    def lif():
        return node(tau=2.0, decay_input=False, v_reset=0.0, surrogate_function=surrogate.ATan(2.0))

    kind = torch.nn.Sequential if workload.rule == "sltt" else layer.OTTTSequential
    net = kind(*layers_of(workload, torch.nn, lif))
    return net, net, lambda: functional.reset_net(net)


def spikingjelly_network(workload, modifiers):
    """Multi-step mode: stateless layers see T*B rows at once. (With `single`: the whole network in a time loop.)"""
    if "delay" in workload.config:
        return delay_network(workload)
    if workload.rule != "bptt":
        return online_network(workload)
    import torch
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def lif():
        return neuron.LIFNode(tau=2.0, decay_input=False, detach_reset=True, surrogate_function=surrogate.ATan(2.0))

    single = "single" in modifiers
    net = torch.nn.Sequential(*layers_of(workload, layer, lif))
    functional.set_step_mode(net, "s" if single else "m")

    def forward(x):
        return torch.stack([net(now) for now in x]).mean(0) if single else net(x).mean(0)

    return net, forward, lambda: functional.reset_net(net)


def layer_by_layer(net, initial, x):
    """Stateless layers see all frames at once, neurons one after the other. `initial`: a neuron's class -> its state."""
    import torch

    for module in net:
        if type(module) in initial:
            state, out = initial[type(module)](module), []
            for now in x:
                spikes, state = module(now, state)
                out.append(spikes)
            x = torch.stack(out)
        else:
            x = module(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return x.mean(0)


def snntorch_network(workload, modifiers):
    import snntorch
    import torch
    from snntorch import surrogate
    from torch import nn

    def lif():
        return snntorch.Leaky(beta=0.5, threshold=1.0, reset_mechanism="zero", spike_grad=surrogate.atan(alpha=2.0))

    net = nn.Sequential(*layers_of(workload, nn, lif))

    def forward(x):
        state, out = {m: m.reset_mem() for m in net if isinstance(m, snntorch.Leaky)}, []
        for now in x:
            for module in net:
                if module in state:
                    now, state[module] = module(now, state[module])
                else:
                    now = module(now)
            out.append(now)
        return torch.stack(out).mean(0)

    if "layers" in modifiers:
        return net, lambda x: layer_by_layer(net, {snntorch.Leaky: snntorch.Leaky.reset_mem}, x), lambda: None
    return net, forward, lambda: None


def norse_network(workload, modifiers):
    """LIFBox computes v += dt/tau (x - v): at dt/tau = 0.5 that is half of v = 0.5 v + x, hence half the threshold."""
    import norse.torch as norse
    import torch
    from torch import nn

    def lif():
        constants = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(500.0), v_th=torch.tensor(0.5))
        return norse.LIFBoxCell(constants, dt=1e-3)

    net = norse.SequentialState(*layers_of(workload, nn, lif))

    def forward(x):
        state, out = None, []
        for now in x:
            y, state = net(now, state)
            out.append(y)
        return torch.stack(out).mean(0)

    if "layers" in modifiers:
        return net, lambda x: layer_by_layer(net, {norse.LIFBoxCell: lambda _: None}, x), lambda: None
    return net, forward, lambda: None


def work(name, data, workload, iters, warmup, threads):
    import torch

    networks = {"spikingjelly": spikingjelly_network, "snntorch": snntorch_network, "norse": norse_network}

    framework, *modifiers = name.split("+")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net, forward, reset = networks[framework](workload, modifiers)
    imported_mb = peak_rss_mb()
    if "channels_last" in modifiers:
        net.to(memory_format=torch.channels_last)
    if "compile" in modifiers:
        forward = torch.compile(forward)
    positions = [p for key, p in net.named_parameters() if key.endswith(".P")]
    others = [p for key, p in net.named_parameters() if not key.endswith(".P")]
    groups = [{"params": others}] + ([{"params": positions, "lr": 0.1}] if positions else [])
    optimizer = torch.optim.Adam(groups, lr=1e-3)
    cross_entropy = torch.nn.CrossEntropyLoss()
    losses = []

    def online_step(batch):
        """The loss of each step goes back at once; what is not needed any more is freed."""
        steps, label = batch
        started = time.perf_counter()
        optimizer.zero_grad()
        total = torch.zeros(())
        for now in steps:
            loss = cross_entropy(forward(now.float()), label) / len(steps)
            loss.backward()
            total += loss.detach()
        optimizer.step()
        reset()
        seconds = time.perf_counter() - started
        losses.append(total.item())
        return 1e3 * seconds

    def step(batch):
        if workload.rule != "bptt":
            return online_step(batch)
        x, label = batch[0].float(), batch[1]
        started = time.perf_counter()
        optimizer.zero_grad()
        loss = cross_entropy(forward(x), label)
        loss.backward()
        optimizer.step()
        reset()
        seconds = time.perf_counter() - started
        losses.append(loss.item())
        return 1e3 * seconds

    source = (NMNIST if "conv" in workload.config else SHD)(data, workload)
    files, each = source.recordings, workload.batch
    batches = [source.load(files[:each])]
    step(batches[0])
    first_step_s = seconds_alive()
    kept = KEPT_LONG if workload.steps > 100 else KEPT
    for start in range(each, min(len(files), kept * each) - each + 1, each):
        batches.append(source.load(files[start : start + each]))
    for i in range(warmup):
        step(batches[i % len(batches)])
    ms = [step(batches[i % len(batches)]) for i in range(iters)]
    peak = peak_rss_mb()
    with torch.no_grad():
        torch.manual_seed(1)
        for p in net.parameters():
            p.uniform_(-0.5, 0.5)  # large: with the weights that training starts from, the second LIF layer is silent
    net.eval()
    frames = batches[0][0].float() if workload.rule == "bptt" else batches[0][0][0].float()
    probe = cross_entropy(forward(frames), batches[0][1]).item()
    cuda = ", CUDA build" if torch.version.cuda else ""
    return {
        "version": f"{version(framework)} (torch {torch.__version__}{cuda})",
        "parameters": sum(p.numel() for p in net.parameters() if p.requires_grad),
        "ms_per_step": statistics.median(ms),
        "ms_min": min(ms),
        "peak_rss_mb": peak,
        "imported_mb": imported_mb,
        "first_step_s": first_step_s,
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "loss_probe": probe,
    }


# ---- the parent: alternates the processes, compares, prints ----


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        why = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
        sys.exit(f"{' '.join(command)}: {why[-1]}")
    return done.stdout


def measure(name, o):
    common = ["--data", o.data, "--iters", str(o.iters), "--warmup", str(o.warmup), "--threads", str(o.threads)]
    if name == "snntrain":
        workload = WORKLOADS[o.workload]
        config, settings = os.path.join(o.root, workload.config), [x for kv in workload.settings for x in ("--set", kv)]
        return json.loads(run([o.snntrain, "bench", "speed", config, "--json", "--quiet", *common, *settings]))
    worker = [__file__, "--worker", name, "--workload", o.workload]
    return json.loads(run([sys.executable, "-W", "ignore", *worker, *common]).splitlines()[-1])


def summary(rounds):
    """One row from the rounds of a program: what the machine did in between should not show."""
    row = dict(rounds[0])
    for key in ("ms_per_step", "peak_rss_mb", "first_step_s"):
        row[key] = statistics.median(r[key] for r in rounds)
    row["ms_min"] = min(r["ms_min"] for r in rounds)
    return row


def complaints(rows, steps):
    """What would make the comparison void: other networks, or a network that does not learn."""
    found = []
    peers = [name for name in rows if name != "snntrain"]
    for name, r in rows.items():
        if r["parameters"] != rows["snntrain"]["parameters"]:
            found.append(f"{name} has {r['parameters']} parameters, snntrain {rows['snntrain']['parameters']}")
        if steps >= LEARNS_BY and r["loss_last"] >= r["loss_first"]:
            found.append(f"{name} did not learn: loss {r['loss_first']:.4f} -> {r['loss_last']:.4f}")
    for name in peers[1:]:
        ours, first = rows[name]["loss_probe"], rows[peers[0]]["loss_probe"]
        if abs(ours - first) > SAME_LOSS * first:
            found.append(
                f"{name} and {peers[0]} compute different networks: with the same weights their losses are {ours:.5f} "
                f"and {first:.5f}"
            )
    return found


def cpu_name():
    with open("/proc/cpuinfo") as f:
        names = [line.partition(":")[2].strip() for line in f if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(rows, o):
    ours, workload = rows["snntrain"], WORKLOADS[o.workload]
    config = f"`{workload.config}`" + "".join(f" `--set {kv}`" for kv in workload.settings)
    text = [
        f"{config}: {ours['parameters']} parameters, batch {workload.batch}, {workload.steps} timesteps, "
        f"{o.threads} threads of "
        f"{cpu_name()}; {o.iters} steps after {o.warmup} warm-ups, {o.rounds} alternating rounds; "
        f"Python {platform.python_version()}. In parentheses: times snntrain's.",
        "",
        "| program | ms a step, median | best | peak memory, MB | of which after import | first step after, s | loss |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, r in rows.items():

        def cell(key, form):
            ratio = "" if r is ours else f" ({r[key] / ours[key]:.1f}x)"
            return f"{r[key]:{form}}{ratio}"

        imported = f"{r['imported_mb']:.0f}" if "imported_mb" in r else ""
        text.append(
            f"| {name} {r['version']} | {cell('ms_per_step', '.1f')} | {cell('ms_min', '.1f')} "
            f"| {cell('peak_rss_mb', '.0f')} | {imported} | {cell('first_step_s', '.2f')} "
            f"| {r['loss_first']:.3f} -> {r['loss_last']:.3f} |"
        )
    peers = [r for r in rows.values() if r is not ours]
    fastest = min(peers, key=lambda r: r["ms_per_step"])["ms_per_step"] / ours["ms_per_step"]
    leanest = min(peers, key=lambda r: r["peak_rss_mb"])["peak_rss_mb"] / ours["peak_rss_mb"]
    text += ["", f"The fastest peer takes {fastest:.2f}x snntrain's time, the leanest {leanest:.1f}x its memory."]
    return "\n".join(text)


def compare(o):
    names = ["snntrain", *o.peers]
    rounds = {name: [] for name in names}
    for turn in range(o.rounds):
        for name in names:
            rounds[name].append(measure(name, o))
            print(f"round {turn + 1}: {name}: {rounds[name][-1]['ms_per_step']:.1f} ms", file=sys.stderr)
    rows = {name: summary(rounds[name]) for name in names}
    rows["snntrain"]["version"] = run([o.snntrain, "--version"]).strip().removeprefix("snntrain ")
    print(table(rows, o))
    wrong = complaints(rows, 1 + o.warmup + o.iters)
    for line in wrong:
        print(f"bench_peers: {line}", file=sys.stderr)
    return 1 if wrong else 0


def peer_list(text):
    names = text.split(",")
    for name in names:
        framework, *modifiers = name.split("+")
        if framework not in PEERS or set(modifiers) - set(MODIFIERS):
            raise argparse.ArgumentTypeError(
                f"'{name}': expected {', '.join(PEERS)}, each perhaps with {', '.join('+' + m for m in MODIFIERS)}"
            )
        if "single" in modifiers and framework != "spikingjelly":
            raise argparse.ArgumentTypeError(f"'{name}': +single is a mode of spikingjelly")
        if "layers" in modifiers and framework == "spikingjelly":
            raise argparse.ArgumentTypeError(f"'{name}': spikingjelly goes layer by layer unless it is +single")
    return names


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}': expected a whole number from 1 on")
    return int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", choices=list(WORKLOADS), default="conv_nmnist")
    parser.add_argument("--data", required=True, help="N-MNIST, with its Train/ folder, or shd_train.h5's folder")
    parser.add_argument("--snntrain", default="build/tools/snntrain", help="the program")
    parser.add_argument("--root", default=".", help="the project, where configs/ is")
    parser.add_argument("--peers", type=peer_list, metavar="A,B+compile,...", help="default: all that have the layers")
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--iters", type=positive, default=20)
    parser.add_argument("--warmup", type=positive, default=3)
    parser.add_argument("--threads", type=positive, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--worker", type=lambda text: peer_list(text)[0], help=argparse.SUPPRESS)
    o = parser.parse_args()
    if not o.peers:
        o.peers = ["spikingjelly"] if "delay" in o.workload or "rule" in o.workload else list(PEERS)
    if o.worker:
        print(json.dumps(work(o.worker, o.data, WORKLOADS[o.workload], o.iters, o.warmup, o.threads)))
        return 0
    return compare(o)


if __name__ == "__main__":
    sys.exit(main())
