/* SPDX-License-Identifier: Apache-2.0
 * test_cli.c - the program as a user meets it: from a shell, on files, by exit status, stdout and stderr. */
#include <math.h>
#include <time.h>
#include <zip.h>
#include <zlib.h>

#include "cli_rig.h"
#include "train/run.h"

static char mnist[MADE_PATH], nmnist[MADE_PATH];

/* ---- configs ---- */

enum { DATA, MODEL, TRAIN, RUN, SECTIONS };
static const char *const sections[SECTIONS] = {
    "data: {name: mnist, timesteps: 2}", "model: [flatten, linear: 20, lif, linear: 10]",
    "train: {epochs: 2, batch: 32, optimizer: {name: adam, lr: 0.05}}", "run: {dir: out}"};

/* c.yaml, with one section another. */
static void write_config(int section, const char *line) {
    FILE *f = fopen("c.yaml", "w");
    ck_assert(f);
    for (int i = 0; i < SECTIONS; ++i) fprintf(f, "%s\n", i == section ? line : sections[i]);
    fclose(f);
}

static void enter(void) {
    made_setup();
    ck_assert(!chdir(made_path(".")));
    write_config(0, sections[0]);
}

/* ---- help ---- */

START_TEST(help) {
    static const char *const commands[] = {"train", "eval", "bench", "plan", "check", "list", "data"};
    struct said all = snntrain("--help");
    ck_assert_int_eq(all.status, 0);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i) {
        char line[64];
        snprintf(line, sizeof line, "\n  snntrain %s ", commands[i]);
        ck_assert_msg(strstr(all.out, line), "--help does not show %s", commands[i]);
        struct said one = snntrain(commands[i], "--help");
        snprintf(line, sizeof line, "Usage: snntrain %s ", commands[i]);
        ck_assert_msg(one.status == 0 && !*one.err && !strncmp(one.out, line, strlen(line)), "%s --help: %s",
                      commands[i], one.out);
        ck_assert_ptr_nonnull(strstr(one.out, "\n  --json "));
        forget(one);
    }
    forget(all);
    expect_done(snntrain("train", "c.yaml", "--out", "x", "--help"));
    struct said version = snntrain("--version");
    ck_assert_msg(version.status == 0 && !strncmp(version.out, "snntrain 0.", 11), "%s", version.out);
    forget(version);
    struct said nothing = run((const char *const[]){program, NULL});
    ck_assert_int_eq(nothing.status, 2);
    forget(nothing);
}
END_TEST

/* ---- wrong usage ---- */

static const struct {
    const char *argv[6];
    int status;
    const char *sentence;
} usage[] = {
    {{"trian"}, 2, "unknown command 'trian' (did you mean 'train'?)"},
    {{"frobnicate"}, 2, "unknown command 'frobnicate' (`snntrain --help` lists them)"},
    {{"train"}, 2, "usage: snntrain train CONFIG|RUN [--out DIR] [--resume]"},
    {{"train", "a", "b"}, 2, "usage: snntrain train CONFIG|RUN [--out DIR] [--resume]"},
    {{"train", "c.yaml", "--resmue"}, 2, "train: unknown option '--resmue' (did you mean '--resume'?)"},
    {{"train", "c.yaml", "--frobnicate"},
     2,
     "train: unknown option '--frobnicate' (`snntrain train --help` lists them)"},
    {{"plan", "c.yaml", "--resume"}, 2, "plan: unknown option '--resume' (`snntrain plan --help` lists them)"},
    {{"train", "c.yaml", "--out"}, 2, "train: --out needs a value: DIR"},
    {{"train", "c.yaml", "--resume=yes"}, 2, "train: --resume takes no value"},
    {{"train", "c.yaml", "--threads", "two"}, 2, "train --threads: expected a whole number, got 'two'"},
    {{"train", "c.yaml", "--seed", "x"}, 2, "--set seed=x: seed: expected an integer, got 'x'"},
    {{"train", "c.yaml", "--out", ""}, 2, "the run folder has no name: give --out DIR or run.dir"},
    {{"train", "none.yaml"}, 2, "none.yaml: cannot be read: No such file or directory"},
    {{"train", "/dev/null"}, 2, "/dev/null: is not a regular file"},
    {{"train", "."}, 3, ".: is a folder without config.yaml, not a run"},
    {{"train", "c.yaml", "--device", "cuda"},
     2,
     "--device cuda: the CUDA backend cannot be loaded: /nonexistent.so: cannot open shared object file: No such file "
     "or "
     "directory (--device cpu runs here)"},
    {{"train", "c.yaml", "--device", "tpu"}, 2, "--device: expected auto, cpu or cuda[:N], got 'tpu'"},
    {{"eval", "none"}, 3, "none: no such run folder or file"},
    {{"eval", "."}, 3, "./best.safetensors: there is no such checkpoint (is . a run folder?)"},
    {{"eval", ".", "--checkpoint", "first"}, 2, "--checkpoint: expected best or last, got 'first'"},
    {{"eval", ".", "--split", "tset"}, 2, "--split: expected test, validation or train, got 'tset'"},
    {{"eval", ".", "--timesteps", "0"}, 2, "--timesteps: expected a number of steps, got '0'"},
    {{"eval", ".", "--timesteps", "2x"}, 2, "--timesteps: expected a number of steps, got '2x'"},
    {{"bench"}, 2, "bench: expected timesteps, speed, rules, neurons or data (`snntrain bench --help`)"},
    {{"bench", "fast"}, 2, "bench: expected timesteps, speed, rules, neurons or data, got 'fast'"},
    {{"bench", "neurons", "liff"},
     2,
     "bench neurons: unknown neuron 'liff' (`snntrain bench neurons --iters 1` lists those that are measured)"},
    {{"bench", "neurons", "--iters", "0"}, 2, "--iters: expected 1 or more, got 0"},
    {{"bench", "speed"}, 2, "bench: wrong number of arguments (`snntrain bench --help` shows them)"},
    {{"bench", "timesteps", ".", "--protocol", "x"}, 2, "--protocol: expected truncate or rebin, got 'x'"},
    {{"plan", "c.yaml", "--rule", "x"}, 2, "--rule: unknown learning rule 'x' (`snntrain list rules` shows them)"},
    {{"list", "neuron"}, 2, "list: unknown kind 'neuron' (did you mean 'neurons'?)"},
    {{"list", "birds"}, 2, "list: unknown kind 'birds' (`snntrain list --help` names them)"},
};

START_TEST(wrong_usage) {
    const char *argv[8] = {program};
    char what[256] = "";
    for (int i = 0; i < 6 && usage[_i].argv[i]; ++i) {
        argv[i + 1] = usage[_i].argv[i];
        snprintf(what + strlen(what), sizeof what - strlen(what), "%s ", usage[_i].argv[i]);
    }
    expect_fails(run(argv), usage[_i].status, usage[_i].sentence, what);
}
END_TEST

/* ---- wrong configs ---- */

static const struct {
    int section;
    const char *line, *sentence;
} mistakes[] = {
    {MODEL, "model: [flatten, linear: 20, lif: {surogate: atan}, linear: 10]",
     "2:36: model.2.lif: unknown key 'surogate' (did you mean 'surrogate'?)"},
    {MODEL, "model: [flatten, linear: 20, lif: {tau: fast}, linear: 10]",
     "2:41: model.2.lif.tau: expected a time (10 ms, 300 us, 1.4 s) or a number of steps, got 'fast'"},
    {MODEL, "model: [flatten, linear: 20, lif: {tau: 0.5}, linear: 10]",
     "2:41: model.2.lif.tau: expected at least 1 step with decay: euler, got 0.5 steps"},
    {MODEL, "model: [flatten, liff, linear: 10]", "2:18: model.1: unknown layer 'liff' (did you mean 'lif'?)"},
    {MODEL, "model: [flatten, wombat: 3, linear: 10]",
     "2:26: model.1.wombat: unknown layer 'wombat' (`snntrain list layers` and `list neurons` show them)"},
    {MODEL, "model: [linear: 20, lif, linear: 10]",
     "2:17: model.0.linear: needs a flat input, got (1,28,28): put `- flatten` before it"},
    {MODEL, "model: [conv: {out: 4, kernel: 40}, lif, flatten, linear: 10]",
     "2:15: model.0.conv: the kernel does not fit into (1,28,28)"},
    {MODEL, "model: [conv: {out: 4, kernel: 64}, lif, flatten, linear: 10]",
     "2:32: model.0.conv.kernel: expected an integer of 1..63, got 64"},
    {MODEL, "model: [flatten, conv: {out: 4, kernel: 3}, lif, linear: 10]",
     "2:24: model.1.conv: needs an input (C,L), (C,H,W) or (C,D,H,W), got (784): `- reshape: [C, L]` makes one"},
    {MODEL, "model: [conv1d: {out: 4, kernel: 3}, lif, flatten, linear: 10]",
     "2:17: model.0.conv1d: needs an input (C,L), got (1,28,28)"},
    {MODEL, "model: [conv: {out: 4, kernel: [3, 3, 3]}, lif, flatten, linear: 10]",
     "2:32: model.0.conv.kernel: expected an integer or a list of 2, one for each axis of (1,28,28) after the "
     "channels, got "
     "a list of 3"},
    {MODEL, "model: [conv: {out: 4, kernel: [1, 1, 1, 1, 1]}, lif, flatten, linear: 10]",
     "2:32: model.0.conv.kernel: expected an integer or a list of one for each axis, got a list of 5"},
    {MODEL, "model: [reshape: [1, 4, 14, 14], conv: {out: 4, kernel: 17}, lif, flatten, linear: 10]",
     "2:57: model.1.conv.kernel: depth times height of the kernel are 289, at most 256 can be"},
    {MODEL, "model: [conv_transpose: {out: 4, kernel: 3, stride: 2, output_padding: 2}, lif, flatten, linear: 10]",
     "2:72: model.0.conv_transpose.output_padding: 2 is not less than the stride 2 or the dilation 1"},
    {MODEL, "model: [conv_transpose: {out: 4, kernel: 3, padding: 15}, lif, flatten, linear: 10]",
     "2:25: model.0.conv_transpose: nothing is left of (1,28,28) after the padding"},
    {MODEL, "model: [conv_transpose: {out: 60000, kernel: 3, stride: 50}, lif, flatten, linear: 10]",
     "2:25: model.0.conv_transpose: makes 81180000 units a step or more: too many"},
    {MODEL, "model: [temporal_conv: 2, lif, flatten, linear: 10]",
     "2:24: model.0.temporal_conv: its input is the same at every step: put it after a spiking layer"},
    {MODEL, "model: [lif, temporal_conv: {kernel: 2, out: 5}, flatten, linear: 10]",
     "2:29: model.1.temporal_conv: out needs a flat input, got (1,28,28): put `- flatten` before it"},
    {MODEL, "model: [flatten, lif, temporal_conv: {kernel: 2, out: 5, groups: 5}, linear: 10]",
     "2:66: model.2.temporal_conv.groups: 784 inputs and 5 outputs do not divide into 5 groups"},
    {MODEL, "model: [flatten, lif, temporal_conv: {kernel: 2, groups: 2}, linear: 10]",
     "2:58: model.2.temporal_conv.groups: takes effect with out only: without it each channel is by itself"},
    {MODEL, "model: [flatten, lif, temporal_conv: {kernel: 99, dilation: 50, out: 1}, linear: 10]",
     "2:47: model.2.temporal_conv.kernel: reaches over 4901 steps, expected at most the 2 of a sample "
     "(data.timesteps)"},
    {MODEL, "model: [lif, temporal_conv: {kernel: 256}, flatten, linear: 10]",
     "2:38: model.1.temporal_conv.kernel: expected an integer of 1..255, got 256"},
    {MODEL, "model: [lif, temporal_conv: {kernel: 3, dilation: 0}, flatten, linear: 10]",
     "2:51: model.1.temporal_conv.dilation: expected an integer of 1..1024, got 0"},
    {MODEL, "model: [reshape: [2, 3, -1], lif, flatten, linear: 10]",
     "2:18: model.0.reshape.shape: 784 units of (1,28,28) do not go into this shape"},
    {MODEL, "model: [reshape: [-1, 2, -1], lif, flatten, linear: 10]",
     "2:18: model.0.reshape.shape: expected at most one -1"},
    {MODEL, "model: [reshape: [0, 2], lif, flatten, linear: 10]",
     "2:18: model.0.reshape.shape: expected sizes of at least 1, or -1 for what is left, got 0"},
    {MODEL, "model: [conv: {out: 5, kernel: 3, groups: 2}, lif, flatten, linear: 10]",
     "2:15: model.0.conv: 1 input and 5 output channels do not divide into 2 groups"},
    {MODEL, "model: [avgpool: {kernel: 3, padding: 2}, lif, flatten, linear: 10]",
     "2:18: model.0.avgpool: padding 2 is over half the window 3"},
    {MODEL, "model: [flatten, linear: 20, lif, linear: 11]",
     "2:8: model: the last layer gives (11), but the data set has 10 classes: end with `- linear: 10`"},
    {MODEL, "model: [lif, conv: {out: 10, kernel: 28}]",
     "2:8: model: the last layer gives (10,1,1), but the data set has 10 classes: end with `- linear: 10`"},
    {MODEL, "model: [flatten, lif, residual: {body: [linear: 20]}, linear: 10]",
     "2:33: model.2.residual: the body gives (20) but the shortcut (784): they must be equal to be joined"},
    {MODEL, "model: [flatten, lif, residual: {shortcut: []}, linear: 10]",
     "2:23: model.2.residual: key 'body' is missing (list of layers)"},
    {MODEL, "model: [flatten, repeat: {times: 0, body: [lif]}, linear: 10]",
     "2:34: model.1.repeat.times: expected an integer of 1..1000, got 0"},
    {MODEL, "model: [flatten, repeat: {times: 2, body: [lif, linaer: 9]}, linear: 10]",
     "2:57: model.1.repeat.body.1.linaer: unknown layer 'linaer' (did you mean 'linear'?)"},
    {MODEL, "model: [flatten, {linear: 20, lif: }, linear: 10]",
     "2:36: model.1.lif: one layer an item: 'linear' and 'lif' stand together (put '-' before each)"},
    {MODEL, "model: []", "2:8: model: expected at least one layer"},
    {MODEL, "model: {lif: }", "2:8: model: expected a list of layers, one '- layer' a line"},
    {MODEL, "model: [flatten, linear: 10]", "2:8: model: nothing in the network depends on time: add a spiking layer"},
    {MODEL, "model: [flatten: 3, lif, linear: 10]", "2:18: model.0.flatten: flatten takes no value"},
    {MODEL, "model: [flatten, dropout: 1, lif, linear: 10]",
     "2:27: model.1.dropout.p: expected a number of 0..0.99, got 1"},
    {MODEL, "model: [flatten, lif: {surrogate: atn}, linear: 10]",
     "2:35: model.1.lif.surrogate: expected a surrogate, got 'atn' (did you mean 'atan'?)"},
    {MODEL, "model: [flatten, lif: {surrogate: {name: atan, aplha: 3}}, linear: 10]",
     "2:48: model.1.lif.surrogate: unknown key 'aplha' (did you mean 'alpha'?)"},
    {MODEL, "model: [flatten, lif: {reset: off}, linear: 10]",
     "2:31: model.1.lif.reset: expected one of zero, subtract, none, value, got 'off'"},
    {MODEL, "model: [flatten, lif: {detach_reset: yes}, linear: 10]",
     "2:38: model.1.lif.detach_reset: expected true or false, got 'yes'"},
    {MODEL, "model: [flatten, lif: {tau: 20 ms}, linear: 10]",
     "2:29: model.1.lif.tau: a time constant with a unit needs bins of known duration (data.bin.by: duration); give it "
     "in steps"},
    {MODEL, "model: [flatten, lif, linear: {bias: true}]", "2:23: model.2.linear: key 'out' is missing (units)"},
    {DATA, "data: {name: nmnist, timesteps: auto, bin: {by: count}}",
     "1:33: data.timesteps: auto needs bin.by: duration, window, events or adaptive"},
    {DATA, "data: {name: mnist, timesteps: auto}",
     "1:32: data.timesteps: auto is for recordings, and mnist has images"},
    {DATA, "data: {name: mnits}", "1:14: data.name: unknown data set 'mnits' (did you mean 'mnist'?)"},
    {DATA, "data: {name: mnist, timesteps: 0}", "1:32: data.timesteps: expected an integer of 1..1000000, got 0"},
    {DATA, "data: {name: mnist, timesteps: 2.5}", "1:32: data.timesteps: expected an integer or auto, got '2.5'"},
    {DATA, "data: {name: mnist, bin: {by: time}}", "1:31: data.bin.by: is for recordings, and mnist has images"},
    {DATA, "data: {name: nmnist, coding: rate}", "1:30: data.coding: is for images, and nmnist has recordings"},
    {DATA, "data: {name: nmnist, bin: {by: duration, dt: 10}}",
     "1:46: data.bin.dt: expected a duration with a unit, such as 10 ms"},
    {DATA, "data: {name: mnist, validation: 1}", "1:33: data.validation.fraction: is 1, expected less than 1"},
    {DATA, "data: mnist", "1:7: data: expected keys: {name: ..., timesteps: ...}"},
    {RUN, "run: {stop: {patience: 3}}", "4:13: run.stop: early stop needs validation data (data.validation)"},
    {RUN, "run: {stop: later}", "4:13: run.stop: expected none or {metric: ..., patience: N}"},
    {RUN, "run: {checkpoint_every: 3 days}",
     "4:25: run.checkpoint_every: expected N epoch, N steps or N min, got '3 days'"},
    {RUN, "run: {keep: worst}", "4:13: run.keep: expected one of best, last, got 'worst'"},
    {TRAIN, "train: {anneal: [{key: model.2.lif.taw, to: 3}]}",
     "3:18: train.anneal.0: 'model.2.lif.taw' is not a number of a layer that can move"},
    {TRAIN, "train: {anneal: [{key: model.2.lif.beta, to: 0.4}]}",
     "3:18: train.anneal.0: 'model.2.lif.beta' has no starting value"},
    {TRAIN, "train: {anneal: [{key: model.2.lif.tau, to: -1, shape: exp}]}",
     "3:18: train.anneal.0: shape: exp needs a start and an end of one sign, got 2 and -1"},
    {TRAIN, "train: {anneal: [{key: model.2.lif.tau, to: -1}]}",
     "3:45: train.anneal.0.to: 'model.2.lif.tau' goes from 0 to 1e+06, got -1"},
    {TRAIN, "train: {freeze: [model.7.*]}",
     "3:18: train.freeze.0: no parameter matches 'model.7.*' (the first is model.1.linear.weight)"},
    {TRAIN, "train: {freeze: model.1.*}", "3:17: train.freeze: expected a list of patterns, [model.0.*]"},
    {TRAIN, "train: {from: f.safetensors}", "3:15: train.from: expected none or {file: F, map: {...}}"},
    {TRAIN, "train: {from: {file: f.safetensors, map: {a: model.9.w}}}",
     "3:46: train.from.map.a: expected the name of a parameter (`snntrain plan` lists them)"},
    {TRAIN, "train: {rule: stlt}",
     "3:15: train.rule: expected a learning rule, got 'stlt' (known: bptt, tbptt, sltt, "
     "sltt_k, ottt, stllr, tess)"},
    {TRAIN, "train: {loss: {name: ce, over: steps}}",
     "3:32: train.loss.over: expected one of mean, sum, step, last, max, softmax_sum, got 'steps' (did you mean "
     "'step'?)"},
    {TRAIN, "train: {loss: []}", "3:15: train.loss: a loss needs at least one term"},
    {TRAIN, "train: {optimizer: adm}",
     "3:20: train.optimizer: expected an optimizer, got 'adm' (did you mean 'adam'?)"},
    {TRAIN, "train: {optimizer: {name: adam, groups: [{match: \"x*\", lr: 1}]}}",
     "3:50: train.optimizer.groups.0.match: no parameter of the model has a name like 'x*'"},
    {TRAIN, "train: {schedule: {name: one_cycle, max_lr: 1}, optimizer: sgd}",
     "3:19: train.schedule: cycles the momentum, but the optimizer has none: add momentum, or cycle_momentum: false"},
    {TRAIN, "train: {schedule: {name: multistep, milestones: [3, 2]}}",
     "3:53: train.schedule.milestones.1: expected a whole number above 3, found '2'"},
    {TRAIN, "train: {batch: 0}", "3:16: train.batch: expected an integer of 1..1048576, got 0"},
    {TRAIN, "train: {recompute: 0}", "3:20: train.recompute: expected an integer of 1..1000000, got 0"},
    {TRAIN, "train: {recompute: 7}",
     "3:20: train.recompute: expected less than the 1 layers of spikes that the network has, got 7"},
    {TRAIN, "train: {epochs: many}", "3:17: train.epochs: expected an integer, got 'many'"},
    {TRAIN, "train: {clip: -1}", "3:15: train.clip: expected a number of 1e-12..1000000000000, got -1"},
    {TRAIN, "train: [1, 2]", "3:8: train: expected keys: {epochs: ..., ...}"},
    {RUN, "rum: {dir: out}", "4:1: unknown key 'rum' (did you mean 'run'?)"},
};

/* Found before any data is read (there is none), and nothing is written. */
START_TEST(wrong_config) {
    char sentence[1024];
    write_config(mistakes[_i].section, mistakes[_i].line);
    snprintf(sentence, sizeof sentence, "c.yaml:%s", mistakes[_i].sentence);
    expect_fails(snntrain("train", "c.yaml", "--data", "nowhere"), 2, sentence, mistakes[_i].line);
    ck_assert(!snn_is_directory("out"));
}
END_TEST

#define BYTES(literal) literal, sizeof literal - 1
static const struct {
    const char *bytes;
    size_t size;
    const char *sentence;
} texts[] = {
    {BYTES(""), "c.yaml: is empty"},
    {BYTES("# nothing\n"), "c.yaml: is empty"},
    {BYTES("seed: 1\n"), "c.yaml:1:1: key 'data' is missing (the data set and how it becomes batches)"},
    {BYTES("- a\n- b\n"), "c.yaml:1:1: expected a map of keys, got a list"},
    {BYTES("just text\n"), "c.yaml:1:1: expected a map of keys, got text"},
    {BYTES("seed: 1\nseed: 2\n"), "c.yaml:2:1: key 'seed' is given twice"},
    {BYTES("data: &a {name: mnist}\n"), "c.yaml:1:7: anchors (&) are not allowed"},
    {BYTES("seed: !!int 3\n"), "c.yaml:1:7: tags (!) are not allowed"},
    {BYTES("seed: 1\ndata: {name: \xff\xfe}\n"), "c.yaml:2:14: not YAML text: invalid leading UTF-8 octet (byte 0xFF)"},
    {BYTES("a: 1\n---\nb: 2\n"), "c.yaml:2:1: expected one document, got a second"},
    {BYTES("\tseed: 1\n"), "c.yaml:1:1: not YAML: indent with spaces, not tabs"},
    {BYTES("\0\1\2"), "c.yaml:1:1: not YAML text: control characters are not allowed (byte 0x00)"},
    {BYTES("seed: 99999999999999999999\ndata: {name: mnist}\nmodel: []\n"),
     "c.yaml:1:7: seed: expected an integer of 0..9e+15, got 99999999999999999999"},
};

START_TEST(wrong_text) {
    made_write("c.yaml", texts[_i].bytes, texts[_i].size);
    expect_fails(snntrain("plan", "c.yaml"), 2, texts[_i].sentence, texts[_i].bytes);
}
END_TEST

static const struct {
    const char *set, *sentence;
} sets[] = {
    {"model.9.lif.tau=3", "--set model.9.lif.tau=3: model: has no item '9', it has 4"},
    {"model.2.lif.taw=3", "--set model.2.lif.taw=3: model.2.lif: unknown key 'taw' (did you mean 'tau'?)"},
    {"train.epochs", "--set train.epochs: expected KEY=VALUE"},
    {"=3", "--set =3: expected KEY=VALUE"},
    {"train.epochs=", "--set train.epochs=: train.epochs: expected an integer, got nothing"},
    {"train.epochs.x=3", "--set train.epochs.x=3: train.epochs: holds '2', so there is no 'x' in it"},
    {"train.epochs=[1", "--set train.epochs=[1: train.epochs: not YAML: did not find expected ',' or ']' while parsing "
                        "a flow sequence that starts in line 1"},
};

START_TEST(wrong_set) {
    expect_fails(snntrain("plan", "--set", sets[_i].set, "c.yaml"), 2, sets[_i].sentence, sets[_i].set);
}
END_TEST

/* ---- wrong data ---- */

static void copy_file(const char *from, const char *to) {
    size_t size;
    char *bytes = made_read(from, &size);
    made_write(to, bytes, size);
    free(bytes);
}

static const char *const idx_names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte"};
static const char images[] = "d/train-images-idx3-ubyte", labels[] = "d/train-labels-idx1-ubyte",
                  packed[] = "d/train-images-idx3-ubyte.gz";

static void copy_mnist(void) {
    ck_ok(snn_make_directories("d"));
    for (int i = 0; i < 4; ++i) {
        char from[2 * MADE_PATH], to[64];
        snprintf(from, sizeof from, "%s/%s", mnist, idx_names[i]), snprintf(to, sizeof to, "d/%s", idx_names[i]);
        copy_file(from, to);
    }
}

/* `images` as gzip, with byte `flip` changed (0: none; negative: from the end) and `cut` bytes fewer. */
static void pack(long flip, long cut) {
    size_t size;
    char *bytes = made_read(images, &size);
    gzFile z = gzopen(packed, "wb");
    ck_assert(gzwrite(z, bytes, (unsigned)size) == (int)size && gzclose(z) == Z_OK);
    free(bytes);
    remove(images);
    bytes = made_read(packed, &size);
    if (flip) bytes[flip < 0 ? (long)size + flip : flip] ^= 0x55;
    made_write(packed, bytes, size - (size_t)cut);
    free(bytes);
}

static void change(const char *path, long at, int byte) {
    size_t size;
    char *bytes = made_read(path, &size);
    bytes[at < 0 ? (long)size + at : at] = (char)byte;
    made_write(path, bytes, size);
    free(bytes);
}
static void cut_images(void) { ck_assert(!truncate(images, 75279)); }
static void lengthen_images(void) { ck_assert(!truncate(images, 75281)); }
static void empty_images(void) { made_text(images, ""); }
static void huge_images(void) {
    made_write(images, "\0\0\010\003\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
}
static void float_images(void) { change(images, 2, 0x0d); }
static void text_images(void) { made_text(images, "these are the images of the training set"); }
static void wrong_label(void) { change(labels, -1, 11); }
static void no_labels(void) { remove(labels); }
static void few_labels(void) { copy_file("d/t10k-labels-idx1-ubyte", labels); }
static void folder_images(void) { ck_assert(!remove(images) && !mkdir(images, 0777)); }
static void cut_pack(void) { pack(0, 9); }
static void flip_pack(void) { pack(-6, 0); }
static void empty_pack(void) { remove(images), made_text(packed, ""); }

static const struct {
    void (*spoil)(void);
    const char *sentence;
} bad_idx[] = {
    {cut_images, "d/train-images-idx3-ubyte: its header promises 75264 bytes of data, but a file of 75279 bytes cannot "
                 "hold them"},
    {lengthen_images, "d/train-images-idx3-ubyte: goes on behind the 75280 bytes its header promises"},
    {empty_images, "d/train-images-idx3-ubyte: holds 0 bytes, expected 16 for its header"},
    {huge_images, "d/train-images-idx3-ubyte: images have a side of 4294967295 pixels, expected 28"},
    {float_images,
     "d/train-images-idx3-ubyte: starts with 0x00000d03, expected 0x00000803 (IDX, 3 dimensions of bytes)"},
    {text_images,
     "d/train-images-idx3-ubyte: starts with 0x74686573, expected 0x00000803 (IDX, 3 dimensions of bytes)"},
    {wrong_label, "d/train-labels-idx1-ubyte: label 95 is 11, expected 0..9"},
    {no_labels, "d: holds no train-labels-idx1-ubyte[.gz]"},
    {few_labels, "d/train-labels-idx1-ubyte: has 32 labels, expected 96 as there are images"},
    {folder_images, "d/train-images-idx3-ubyte: is not a regular file"},
    {cut_pack, "d/train-images-idx3-ubyte.gz: the gzip stream ends too early, after 75280 bytes of data"},
    {flip_pack,
     "d/train-images-idx3-ubyte.gz: the gzip stream is damaged after 75280 bytes of data: incorrect data check"},
    {empty_pack, "d/train-images-idx3-ubyte.gz: holds 0 bytes, expected 16 for its header"},
};

START_TEST(wrong_idx) {
    copy_mnist();
    bad_idx[_i].spoil();
    expect_fails(snntrain("train", "c.yaml", "--data", "d"), 3, bad_idx[_i].sentence, "train");
    expect_fails(snntrain("data", "info", "mnist", "--data", "d"), 3, bad_idx[_i].sentence, "data info");
    ck_assert(!snn_is_directory("out"));
}
END_TEST

#define EVENTS "data: {name: nmnist, timesteps: 4}"

static char bin[MADE_PATH + 64]; /* one recording of a copy of the set */

static void short_bin(void) { made_text(bin, "abc"); }
static void outside_bin(void) { change(bin, 5, 0xf0); }
static void no_recordings(void) { made_remove("n/Train"), made_folder("n/Train"); }
static void nothing(void) { made_remove("n/Train"); }

/* n/Train as Train.zip */
static void zip_up(void) {
    int error;
    zip_t *zip = zip_open("n/Train.zip", ZIP_CREATE, &error);
    ck_assert(zip);
    for (int digit = 0; digit < 10; ++digit)
        for (int i = 0; i < 3; ++i) {
            char name[64], path[80];
            snprintf(name, sizeof name, "Train/%d/%05d.bin", digit, i);
            snprintf(path, sizeof path, "n/%s", name);
            zip_source_t *source = zip_source_file(zip, path, 0, -1);
            ck_assert(zip_file_add(zip, name, source, 0) >= 0);
        }
    ck_assert(!zip_close(zip));
    made_remove("n/Train");
}
static void cut_zip(void) {
    struct stat info;
    zip_up();
    ck_assert(!stat("n/Train.zip", &info) && !truncate("n/Train.zip", info.st_size - 30));
}
static void flip_zip(void) { zip_up(), change("n/Train.zip", 700, 0); }
static void text_zip(void) { made_remove("n/Train"), made_text("n/Train.zip", "no archive"); }

static const struct {
    void (*spoil)(void);
    const char *sentence;
} bad_nmnist[] = {
    {short_bin, "n/Train/3/00001.bin: has 3 bytes, expected a multiple of 5"},
    {outside_bin, "n/Train/3/00001.bin: byte 5: event at x=240 y=%, expected 0..33"}, /* %: any number */
    {no_recordings, "n/Train: holds no recordings <digit>/<name>.bin"},
    {nothing, "n: holds no Train/ and no Train.zip"},
    {cut_zip, "n/Train.zip: cannot be read: Not a zip archive"},
    {flip_zip, "n/Train.zip/%"},
    {text_zip, "n/Train.zip: cannot be read: Not a zip archive"},
};

START_TEST(wrong_nmnist) {
    made_nmnist("n", 3, 2);
    snprintf(bin, sizeof bin, "n/Train/3/00001.bin");
    write_config(DATA, EVENTS);
    bad_nmnist[_i].spoil();
    struct said said = snntrain("train", "c.yaml", "--data", "n", "--quiet");
    const char *expected = bad_nmnist[_i].sentence, *any = strchr(expected, '%');
    size_t exact = any ? (size_t)(any - expected) : strlen(expected);
    ck_assert_msg(said.status == 3 && !strncmp(said.err, "snntrain: ", 10) &&
                      !strncmp(said.err + 10, expected, exact) &&
                      strchr(said.err, '\n') == said.err + strlen(said.err) - 1 && !*said.out,
                  "status %d: %s%s", said.status, said.err, said.out);
    forget(said);
}
END_TEST

START_TEST(zipped) {
    made_nmnist("n", 3, 2);
    write_config(DATA, EVENTS);
    expect_done(snntrain("train", "c.yaml", "--data", "n", "--quiet", "--out", "a"));
    zip_up();
    expect_done(snntrain("train", "c.yaml", "--data", "n", "--quiet", "--out", "b"));
    ck_assert(made_same("a/last.safetensors", "b/last.safetensors"));
}
END_TEST

START_TEST(missing_data) {
    static const char how[] =
        "run `snntrain data fetch mnist -o DIR`, or download the four *-ubyte.gz files (12 MB) from "
        "https://ossci-datasets.s3.amazonaws.com/mnist/ and name their folder with --data";
    char sentence[1024], base[2 * MADE_PATH];
    ck_ok(snn_make_directories("empty"));
    snprintf(sentence, sizeof sentence, "mnist was not found in empty: %s", how);
    expect_fails(snntrain("train", "c.yaml", "--data", "empty"), 3, sentence, "--data");
    setenv("SNNTRAIN_DATA", "there", 1);
    snprintf(sentence, sizeof sentence, "mnist was not found in here, there/mnist: %s", how);
    expect_fails(snntrain("train", "c.yaml", "--set", "data.root=here"), 3, sentence, "data.root");
    snprintf(base, sizeof base, "%.*s", (int)(strrchr(mnist, '/') - mnist), mnist);
    setenv("SNNTRAIN_DATA", base, 1);
    expect_done(snntrain("train", "c.yaml", "--quiet"));
}
END_TEST

/* ---- train, eval, bench ---- */

#define WITH_DATA "--data", mnist, "--threads", "1"

START_TEST(round_trip) {
    write_config(DATA, "data: {name: mnist, timesteps: 3, validation: 0.25}");
    struct said said = snntrain("train", "c.yaml", WITH_DATA, "--json");
    ck_assert_ptr_nonnull(strstr(said.err, "epoch 2/2  loss ")); /* words for people go to stderr */
    json_t *trained = expect_json(said);
    expect_keys(trained, "run epochs seconds steps parameters train validation test selected_by");
    ck_assert_str_eq(text(trained, "run"), "out");
    ck_assert_str_eq(text(trained, "selected_by"), "validation.accuracy");
    ck_assert(number(trained, "epochs") == 2 && number(trained, "parameters") == 784 * 20 + 20 + 20 * 10 + 10);
    static const char *const splits[] = {"train", "validation", "test"};
    for (int i = 0; i < 3; ++i) expect_keys(json_object_get(trained, splits[i]), "loss accuracy samples");

    for (int i = 1; i < 3; ++i) { /* another process finds the same figures */
        json_t *run_said = expect_json(snntrain("eval", "out", WITH_DATA, "--json", "--split", splits[i])),
               *file_said =
                   expect_json(snntrain("eval", "--json", "out/best.safetensors", WITH_DATA, "--split", splits[i]));
        const json_t *then = json_object_get(trained, splits[i]);
        expect_keys(run_said, "split checkpoint samples correct accuracy loss timesteps spikes_per_sample "
                              "synops_per_sample confusion");
        ck_assert_msg(json_equal(run_said, file_said), "RUN and FILE disagree");
        ck_assert_str_eq(text(run_said, "split"), splits[i]);
        ck_assert(number(run_said, "samples") == number(then, "samples"));
        ck_assert(number(run_said, "accuracy") == number(then, "accuracy") &&
                  number(run_said, "loss") == number(then, "loss"));
        ck_assert(number(run_said, "correct") == round(number(run_said, "accuracy") * number(run_said, "samples")));
        json_decref(run_said), json_decref(file_said);
    }
    json_decref(trained);
    expect_fails(snntrain("eval", "out", WITH_DATA, "--timesteps", "4"), 2, "--timesteps 4: the data has 3 steps",
                 "eval");
    expect_fails(snntrain("train", "c.yaml", WITH_DATA), 2,
                 "out exists already: --resume goes on with it, --out DIR (or run.dir) names another", "again");
}
END_TEST

/* Rows of the CSV agree with the JSON: count, correct, and the confusion matrix. */
/* Transforms are for training: what is evaluated, of the training split too, is the samples as they are. */
START_TEST(augmented) {
    write_config(DATA, "data: {name: mnist, timesteps: 2, augment: [crop: 3, {name: cutout, size: 9, p: 0.5}]}");
    expect_done(snntrain("train", "c.yaml", WITH_DATA, "--quiet"));
    json_t *with = expect_json(snntrain("eval", "out", WITH_DATA, "--json", "--split", "train"));
    json_t *without =
        expect_json(snntrain("eval", "out", WITH_DATA, "--json", "--split", "train", "--set", "data.augment=[]"));
    ck_assert(json_equal(with, without));
    json_decref(with), json_decref(without);
    expect_done(snntrain("train", "c.yaml", WITH_DATA, "--quiet", "--out", "plain", "--set", "data.augment=[]"));
    ck_assert(!made_same("out/last.safetensors", "plain/last.safetensors"));
    expect_done(snntrain("train", "out/config.yaml", WITH_DATA, "--quiet", "--out", "again"));
    ck_assert(made_same("again/last.safetensors", "out/last.safetensors"));
    expect_fails(snntrain("train", "c.yaml", WITH_DATA, "--set", "data.augment.1.p=2"), 2,
                 "--set data.augment.1.p=2: data.augment.1.p: expected a number of 0..1, got 2", "data.augment");
}
END_TEST

START_TEST(predictions) {
    int matrix[10][10] = {{0}}, sample, label, predicted, rows = 0, correct = 0;
    bool seen[32] = {false};
    expect_done(snntrain("train", "c.yaml", WITH_DATA, "--quiet"));
    json_t *said = expect_json(snntrain("eval", "out", WITH_DATA, "--json", "--predictions", "p.csv"));
    FILE *f = fopen("p.csv", "r");
    char line[64];
    ck_assert(f && fgets(line, sizeof line, f));
    ck_assert_str_eq(line, "sample,label,predicted\n");
    for (; fscanf(f, "%d,%d,%d\n", &sample, &label, &predicted) == 3; ++rows) {
        ck_assert(sample >= 0 && sample < 32 && !seen[sample] && label == sample * 7 % 10);
        seen[sample] = true;
        ++matrix[label][predicted];
        correct += label == predicted;
    }
    ck_assert(feof(f));
    fclose(f);
    ck_assert_int_eq(rows, 32);
    ck_assert_int_eq(correct, (int)number(said, "correct"));
    for (size_t i = 0; i < 10; ++i)
        for (size_t j = 0; j < 10; ++j)
            ck_assert_int_eq(matrix[i][j], json_integer_value(json_array_get(
                                               json_array_get(json_object_get(said, "confusion"), i), j)));
    json_decref(said);
    expect_fails(snntrain("eval", "out", WITH_DATA, "--predictions", "no/p.csv"), 1,
                 "no/p.csv: cannot be written: No such file or directory", "a folder that is not there");
    expect_fails(snntrain("eval", "out", WITH_DATA, "--predictions", "/dev/full"), 1,
                 "/dev/full: cannot be written: No space left on device", "a full disk");
}
END_TEST

/* Row n of `truncate` is what `eval --timesteps n` says; the last row of `rebin` is the whole again. */
START_TEST(bench_timesteps) {
    static const char *const equal[] = {"timesteps", "accuracy", "loss", "spikes_per_sample", "synops_per_sample"};
    static const struct {
        const char *line, *loss;
        int steps;
    } data[] = {{"data: {name: mnist, timesteps: 4}", "train.loss={name: ce, over: mean}", 4},
                {"data: {name: mnist, timesteps: 4, coding: latency}", "train.loss={name: ce, over: softmax_sum}", 4},
                {EVENTS, "train.loss={name: ce, over: max}", 4},
                {"data: {name: nmnist, timesteps: auto, bin: {by: duration, dt: 20 ms}}",
                 "train.loss={name: ce, over: step}", 6}};
    const char *where = _i < 2 ? mnist : nmnist;
    write_config(DATA, data[_i].line);
    expect_done(snntrain("train", "c.yaml", "--data", where, "--quiet", "--set", data[_i].loss));
    json_t *bench = expect_json(snntrain("bench", "timesteps", "out", "--data", where, "--json"));
    const json_t *rows = json_object_get(bench, "rows");
    ck_assert_str_eq(text(bench, "protocol"), "truncate");
    ck_assert_int_eq(json_array_size(rows), data[_i].steps);
    for (int n = 1; n <= data[_i].steps; ++n) {
        char steps[16];
        snprintf(steps, sizeof steps, "%d", n);
        json_t *eval = expect_json(snntrain("eval", "out", "--data", where, "--json", "--timesteps", steps));
        const json_t *row = json_array_get(rows, (size_t)n - 1);
        expect_keys(row, "timesteps accuracy loss spikes_per_sample synops_per_sample macs_per_sample energy_uj");
        for (int k = 0; k < 5; ++k)
            ck_assert_msg(number(row, equal[k]) == number(eval, equal[k]), "%s after %d steps: %g, eval says %g",
                          equal[k], n, number(row, equal[k]), number(eval, equal[k]));
        json_decref(eval);
    }
    expect_png("out/timesteps.png");
    ck_assert(snn_file_exists("out/timesteps.csv"));
    json_t *rebin = expect_json(
        snntrain("bench", "--out", "elsewhere", "timesteps", "--protocol=rebin", "out", "--data", where, "--json"));
    const json_t *rebinned = json_object_get(rebin, "rows"), *last = json_array_get(rows, (size_t)data[_i].steps - 1);
    ck_assert_str_eq(text(rebin, "protocol"), "rebin");
    ck_assert_int_eq(json_array_size(rebinned), data[_i].steps);
    if (_i < 3) ck_assert(json_equal(json_array_get(rebinned, (size_t)data[_i].steps - 1), last));
    expect_png("elsewhere/timesteps.png");
    json_decref(rebin), json_decref(bench);
}
END_TEST

/* Every neuron that is listed as a scan has a row, and what it moves takes time. */
START_TEST(bench_neurons) {
    json_t *bench = expect_json(snntrain("bench", "neurons", "--iters", "1", "--threads", "2", "--json"));
    const json_t *rows = json_object_get(bench, "rows"), *first = json_array_get(rows, 0);
    expect_keys(bench, "device threads timesteps batch neurons rounds copy_gb_per_s rows");
    ck_assert_int_gt(json_array_size(rows), 20);
    for (size_t i = 0; i < json_array_size(rows); ++i) {
        const json_t *row = json_array_get(rows, i);
        expect_keys(row, "neuron bytes forward_ms backward_ms share kept");
        ck_assert(number(row, "share") > 0 && number(row, "forward_ms") > 0 && number(row, "backward_ms") > 0);
        if (!strcmp(text(row, "neuron"), "qif")) ck_assert(number(row, "kept") == 1); /* its membrane alone */
        if (!strcmp(text(row, "neuron"), "alif")) ck_assert(number(row, "kept") == 2);
        if (!strcmp(text(row, "neuron"), "klif")) /* not the input */
            ck_assert(number(row, "bytes") <
                      21 * number(bench, "timesteps") * number(bench, "batch") * number(bench, "neurons"));
    }
    ck_assert_str_eq(text(first, "neuron"), "if");
    ck_assert(number(first, "kept") == 1);
    json_decref(bench);
}
END_TEST

/* Soft spikes are multiply-adds; judged hard they are spikes, and both accuracies are told. */
START_TEST(hard_spikes) {
    static const char *const config =
        "data: {name: synthetic, task: delayed_xor, length: 12, delay: 4, train: 64, test: 20}\n"
        "model: [linear: 12, %s, linear: 2]\ntrain: {epochs: 1}\nrun: {dir: %s}\n";
    char yaml[400];
    snprintf(yaml, sizeof yaml, config, "ultralif: {epsilon: 0.5}", "out");
    made_text("c.yaml", yaml);
    snprintf(yaml, sizeof yaml, config, "lif", "other");
    made_text("d.yaml", yaml);
    json_decref(expect_json(snntrain("train", "c.yaml", "--json")));
    json_decref(expect_json(snntrain("train", "d.yaml", "--json")));
    json_t *alone = expect_json(snntrain("eval", "out", "--json")),
           *both = expect_json(snntrain("eval", "out", "--json", "--hard"));
    json_t *hard = json_incref(json_object_get(both, "hard"));
    ck_assert(json_is_object(hard) && !json_object_del(both, "hard"));
    ck_assert_msg(json_equal(alone, both), "--hard changes the figures of soft spikes");
    expect_keys(hard, "split checkpoint samples correct accuracy loss timesteps spikes_per_sample synops_per_sample "
                      "confusion");
    ck_assert(number(both, "spikes_per_sample") == 0 && number(hard, "spikes_per_sample") > 0);
    ck_assert(number(hard, "synops_per_sample") > number(both, "synops_per_sample"));
    json_decref(hard), json_decref(both), json_decref(alone);
    struct said said = snntrain("eval", "out", "--hard");
    const char *soft = strstr(said.out, "soft spikes:\n"), *then = strstr(said.out, "\nhard spikes:\n");
    ck_assert_msg(said.status == 0 && soft && then && then > soft, "%s%s", said.out, said.err);
    forget(said);
    expect_fails(snntrain("eval", "other", "--hard"), 2,
                 "--hard: the network has no neurons with soft spikes (ultralif and its family)", "eval --hard");
}
END_TEST

/* Where numbers are learned nothing claims an accuracy, and nothing stumbles over there being none. */
START_TEST(regression) {
    char line[200];
    made_text("c.yaml", "data: {name: synthetic, task: adding, length: 8, train: 64, test: 20, validation: 0.25}\n"
                        "model: [linear: 12, lif, linear: 1, li]\ntrain: {epochs: 2, loss: {name: mse, over: "
                        "last}}\nrun: {dir: out}\n");
    json_t *trained = expect_json(snntrain("train", "c.yaml", "--json"));
    ck_assert_str_eq(text(trained, "selected_by"), "validation.loss");
    const json_t *test = json_object_get(trained, "test");
    ck_assert(json_is_null(json_object_get(test, "accuracy")) && number(test, "loss") > 0);
    expect_png("out/curves.png");

    json_t *eval = expect_json(snntrain("eval", "out", "--json", "--predictions", "p.csv"));
    static const char *const none[] = {"accuracy", "correct", "confusion"};
    for (int i = 0; i < 3; ++i) ck_assert(json_is_null(json_object_get(eval, none[i])));
    ck_assert(number(eval, "loss") == number(test, "loss"));
    ck_assert(fabs(number(eval, "rmse") - sqrt(number(eval, "loss"))) < 1e-6);
    FILE *f = fopen("p.csv", "r");
    ck_assert(f && fgets(line, sizeof line, f));
    ck_assert_str_eq(line, "sample,target_0,predicted_0\n");
    int rows = 0, sample;
    double target, predicted;
    for (; fscanf(f, "%d,%lf,%lf\n", &sample, &target, &predicted) == 3; ++rows) ck_assert(target > 0 && target < 2);
    ck_assert(feof(f) && rows == 20);
    fclose(f);
    struct said said = snntrain("eval", "out");
    ck_assert(said.status == 0 && strstr(said.out, "root mean square error") && !strstr(said.out, "%"));
    forget(said);

    json_t *bench = expect_json(snntrain("bench", "timesteps", "out", "--timesteps", "4,8", "--json"));
    const json_t *last = json_array_get(json_object_get(bench, "rows"), 1);
    ck_assert(json_is_null(json_object_get(last, "accuracy")) && number(last, "loss") == number(eval, "loss"));
    expect_png("out/timesteps.png");
    f = fopen("out/timesteps.csv", "r");
    ck_assert(f && fgets(line, sizeof line, f) && fgets(line, sizeof line, f) && !strncmp(line, "4,,", 3));
    fclose(f);
    expect_fails(snntrain("bench", "timesteps", "out", "--protocol", "rebin"), 2,
                 "--protocol: rebin is for recordings and images, and synthetic has sequences", "rebin");
    json_decref(trained), json_decref(eval), json_decref(bench);
    expect_done(snntrain("train", "out", "--resume", "--quiet", "--set", "train.epochs=3"));
    json_t *speed = expect_json(snntrain("bench", "speed", "c.yaml", "--iters", "2", "--json"));
    ck_assert(number(speed, "loss_last") > 0);
    json_decref(speed);
    expect_done(snntrain("check", "c.yaml", "--quiet"));
    expect_done(snntrain("plan", "c.yaml", "--quiet"));
    expect_done(snntrain("data", "show", "synthetic", "--quiet", "-o", "s.png"));
    expect_png("s.png");
    said = snntrain("data", "info", "synthetic", "--set", "data.task=adding");
    ck_assert(said.status == 0 && strstr(said.out, "numbers to learn: 1\n"));
    forget(said);
}
END_TEST

START_TEST(bench_timesteps_lists) {
    static const struct {
        const char *list, *sentence;
    } wrong[] = {{"1..9", "--timesteps: expected a range within 1..2, got '1..9'"},
                 {"2,1", "--timesteps: expected ascending numbers"},
                 {"1,,2", "--timesteps: expected a list such as 1,2,4 or 1..2, got '1,,2'"},
                 {"", "--timesteps: expected a list such as 1,2,4 or 1..2, got ''"},
                 {"3", "--timesteps: expected numbers of 1..2 (the data's steps), got 3"},
                 {"-1", "--timesteps: expected numbers of 1..2 (the data's steps), got -1"}};
    expect_done(snntrain("train", "c.yaml", WITH_DATA, "--quiet"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        expect_fails(snntrain("bench", "timesteps", "out", WITH_DATA, "--timesteps", wrong[i].list), 2,
                     wrong[i].sentence, wrong[i].list);
    static const char *const right[] = {"1..T", "1,2", "1..1,2", "1,2..2"};
    for (int i = 0; i < 4; ++i) {
        json_t *said = expect_json(snntrain("bench", "timesteps", "out", WITH_DATA, "--timesteps", right[i], "--json"));
        ck_assert_int_eq(json_array_size(json_object_get(said, "rows")), 2);
        json_decref(said);
    }
}
END_TEST

START_TEST(bench_speed) {
    json_t *said =
        expect_json(snntrain("bench", "speed", "c.yaml", WITH_DATA, "--iters", "30", "--warmup", "0", "--json"));
    expect_keys(said, "config device threads batch timesteps parameters ms_per_step ms_min samples_per_s peak_rss_mb "
                      "first_step_s loss_first loss_last spike_rate");
    ck_assert(number(said, "batch") == 32 && number(said, "timesteps") == 2 && number(said, "threads") == 1);
    ck_assert(number(said, "ms_min") > 0 && number(said, "ms_min") <= number(said, "ms_per_step"));
    ck_assert(number(said, "first_step_s") > 0 && number(said, "first_step_s") < 10);
    ck_assert(number(said, "loss_last") < number(said, "loss_first")); /* it learns what it repeats */
    expect_keys(json_object_get(said, "spike_rate"), "model.2.lif");
    json_decref(said);
    ck_assert(!snn_is_directory("out"));
}
END_TEST

/* ---- checkpoints that are none ---- */

START_TEST(wrong_checkpoint) {
    size_t size;
    char sentence[256];
    expect_done(snntrain("train", "c.yaml", WITH_DATA, "--quiet"));
    char *good = made_read("out/best.safetensors", &size);
    uint64_t header;
    memcpy(&header, good, 8);
    made_write("x.safetensors", good, size - 1);
    struct said said = snntrain("eval", "x.safetensors", WITH_DATA);
    ck_assert_msg(said.status == 3 && strstr(said.err, "x.safetensors: tensor 'optimizer.") &&
                      strstr(said.err, "ends at byte"),
                  "%s", said.err);
    forget(said);
    made_write("x.safetensors", good, 100);
    snprintf(sentence, sizeof sentence, "x.safetensors: a header of %ju bytes, but only 92 follow: the file is cut off",
             (uintmax_t)header);
    expect_fails(snntrain("eval", "x.safetensors", WITH_DATA), 3, sentence, "cut off");
    made_text("x.safetensors", "");
    expect_fails(snntrain("eval", "x.safetensors", WITH_DATA), 3,
                 "x.safetensors: has 0 bytes, expected at least 8: no safetensors file", "empty");
    made_write("x.safetensors", "\x08\0\0\0\0\0\0\0{}      ", 16);
    expect_fails(snntrain("eval", "x.safetensors", WITH_DATA), 3,
                 "x.safetensors: is not a checkpoint of snntrain (it holds no config)", "nothing in it");
    made_write("x.safetensors", "\x08\0\0\0\0\0\0\0{\"\xff\":1}  ", 16);
    expect_fails(snntrain("eval", "x.safetensors", WITH_DATA), 3, "x.safetensors: the header is not valid UTF-8",
                 "UTF-8");
    made_write("out/last.safetensors", good, size / 2);
    said = snntrain("train", "out", "--resume", WITH_DATA, "--quiet");
    ck_assert_msg(said.status == 3 && strstr(said.err, "out/last.safetensors: tensor "), "%s", said.err);
    forget(said);
    made_write("out/last.safetensors", good, size);
    expect_fails(snntrain("eval", "out", WITH_DATA, "--set", "model.1.linear=21"), 3,
                 "out/best.safetensors: tensor 'model.1.linear.weight' does not have the shape of parameter "
                 "'model.1.linear.weight' (16464 numbers)",
                 "another network");
    made_text("out/log.jsonl", "{}\n");
    expect_fails(snntrain("train", "out", "--resume", WITH_DATA, "--quiet"), 3,
                 "out/log.jsonl:1: not a record of a run", "log");
    made_text("out/log.jsonl", "");
    expect_fails(snntrain("train", "out", "--resume", WITH_DATA, "--quiet"), 3,
                 "out/log.jsonl: has 0 records, but the checkpoint goes on behind 4", "empty log");
    free(good);
    /* weights to start from that are not there: nothing is left behind to be in the way */
    write_config(TRAIN, "train: {from: {file: none.safetensors}}");
    for (int i = 0; i < 2; ++i)
        expect_fails(snntrain("train", "c.yaml", WITH_DATA, "--quiet", "--out", "new"), 3,
                     "none.safetensors: cannot be opened: No such file or directory", "from");
    ck_assert(!snn_is_directory("new"));
}
END_TEST

/* ---- run folders ---- */

START_TEST(folders) {
    int lock;
    expect_done(snntrain("train", "c.yaml", WITH_DATA, "--quiet", "--out", "deep/in a b/\xc3\xbc"));
    ck_assert(!symlink("deep/in a b", "link"));
    json_t *a = expect_json(snntrain("eval", "link/\xc3\xbc", WITH_DATA, "--json")),
           *b = expect_json(snntrain("train", "--json", "link/\xc3\xbc", WITH_DATA, "--resume", "--quiet"));
    ck_assert(number(a, "accuracy") == number(json_object_get(b, "test"), "accuracy"));
    json_decref(a), json_decref(b);
    expect_png("link/\xc3\xbc/curves.png");
    ck_ok(snn_run_lock("link/\xc3\xbc", true, &lock));
    expect_fails(snntrain("train", "link/\xc3\xbc", WITH_DATA, "--resume", "--quiet"), 2,
                 "link/\xc3\xbc is in use by another process", "locked");
    snn_run_unlock(&lock);
    expect_fails(snntrain("train", "c.yaml", WITH_DATA, "--quiet", "--out", "c.yaml"), 2,
                 "c.yaml exists already: --resume goes on with it, --out DIR (or run.dir) names another", "a file");
    expect_fails(snntrain("train", "c.yaml", WITH_DATA, "--quiet", "--out", "c.yaml/x"), 1,
                 "c.yaml: the folder cannot be made: File exists", "below a file");
    /* the resolved config is a valid CONFIG that gives the same run */
    expect_done(snntrain("train", "link/\xc3\xbc/config.yaml", WITH_DATA, "--quiet", "--out", "again"));
    ck_assert(made_same("again/best.safetensors", "link/\xc3\xbc/best.safetensors"));
    expect_done(snntrain("train", "again/best.safetensors", WITH_DATA, "--quiet", "--out", "third"));
    ck_assert(made_same("again/best.safetensors", "third/best.safetensors"));
    expect_done(snntrain("train", "c.yaml", WITH_DATA, "--quiet", "--out", "other", "--seed", "5"));
    ck_assert(!made_same("again/best.safetensors", "other/best.safetensors"));
}
END_TEST

static void wait_for_lines(const char *path, int lines) {
    for (int tries = 0; tries < 20000; ++tries) {
        int found = 0;
        FILE *f = fopen(path, "r");
        for (int c; f && (c = fgetc(f)) != EOF;) found += c == '\n';
        if (f) fclose(f);
        if (found >= lines) return;
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    ck_abort_msg("%s: no record", path);
}

/* SIGINT and SIGTERM: saved, 130, one sentence; resumed, the run ends as if nothing had happened. */
START_TEST(interrupted) {
#define LONG                                                                                                           \
    "train", "c.yaml", WITH_DATA, "--set", "run.checkpoint_every=99 epochs", "--set", "data.validation=0.25", "--set", \
        "data.augment=[crop: 2, flip]"
    ck_assert(!unsetenv("GOMP_SPINCOUNT")); /* the program starts itself again, under the same number */
    write_config(TRAIN, "train: {epochs: 25, batch: 32, schedule: cosine}");
    expect_done(snntrain(LONG, "--quiet", "--out", "whole"));
    pid_t child = start((const char *const[]){program, LONG, "--out", "cut", NULL}, "stdout.txt");
#undef LONG
    wait_for_lines("cut/log.jsonl", 2);
    kill(child, _i ? SIGTERM : SIGINT);
    struct said said = finish(child);
    ck_assert_msg(said.status == 130, "status %d: %s", said.status, said.err);
    ck_assert_msg(!strncmp(said.err, "snntrain: interrupted ", 22) &&
                      strstr(said.err, "; saved: `snntrain train cut --resume` goes on\n"),
                  "%s", said.err);
    forget(said);
    ck_assert(snn_file_exists("cut/last.safetensors"));
    expect_done(snntrain("train", "cut", WITH_DATA, "--quiet", "--resume"));
    ck_assert(made_same("cut/last.safetensors", "whole/last.safetensors"));
    ck_assert(made_same("cut/best.safetensors", "whole/best.safetensors"));
}
END_TEST

START_TEST(not_finite) {
    write_config(TRAIN, "train: {optimizer: {name: sgd, lr: 1e30}, loss: mse, batch: 32}");
    struct said said = snntrain("train", "c.yaml", WITH_DATA, "--quiet");
    ck_assert_msg(said.status == 1 && !strncmp(said.err, "snntrain: step ", 15) && strstr(said.err, "model."), "%d: %s",
                  said.status, said.err);
    forget(said);
}
END_TEST

/* ---- what is printed where ---- */

START_TEST(quiet_and_json) {
    struct said said = snntrain("train", "c.yaml", WITH_DATA);
    ck_assert_msg(said.status == 0 && !*said.err, "%s", said.err);
    ck_assert_ptr_nonnull(strstr(said.out, "\nepoch 1/2  loss "));
    ck_assert_ptr_nonnull(strstr(said.out, "\ntest accuracy "));
    ck_assert(!strchr(said.out, '\r') && !strchr(said.out, '\033')); /* no bars, no colours: this is no terminal */
    forget(said);
    said = snntrain("train", "c.yaml", WITH_DATA, "--quiet", "--out", "q");
    ck_assert_msg(said.status == 0 && !*said.err && !*said.out, "%s%s", said.out, said.err);
    forget(said);
    static const char *const commands[][4] = {
        {"eval", "out"}, {"bench", "timesteps", "out"}, {"bench", "speed", "c.yaml"}, {"plan", "c.yaml"},
        {"list"},        {"data", "info", "mnist"},     {"data", "show", "mnist"},    {"check", "c.yaml"},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i) {
        const char *argv[12] = {program};
        int n = 1;
        for (int k = 0; k < 4 && commands[i][k]; ++k) argv[n++] = commands[i][k];
        if (strcmp(commands[i][0], "list") && strcmp(commands[i][0], "check")) argv[n++] = "--data", argv[n++] = mnist;
        argv[n++] = "--json", argv[n++] = "--quiet";
        said = run(argv);
        ck_assert_msg(!*said.err, "%s: %s", commands[i][0], said.err);
        json_decref(expect_json(said));
    }
    struct said full = finish(start((const char *const[]){program, "plan", "c.yaml", "--json", NULL}, "/dev/full"));
    ck_assert_int_eq(full.status, 1);
    ck_assert_str_eq(full.err, "snntrain: cannot write to stdout: No space left on device\n");
    forget(full);
    full = finish(start((const char *const[]){program, "list", NULL}, "/dev/full"));
    ck_assert_int_eq(full.status, 1);
    ck_assert_str_eq(full.err, "snntrain: cannot write to stdout: No space left on device\n");
    forget(full);
    /* a closed stdout: what is printed must not land in the first file that is opened */
    full = finish(start((const char *const[]){program, "train", "c.yaml", WITH_DATA, "--out", "closed", NULL}, NULL));
    ck_assert_msg(full.status == 0 && !*full.err, "%d: %s", full.status, full.err);
    ck_assert(made_same("closed/best.safetensors", "out/best.safetensors"));
    ck_assert(made_same("closed/lock", "out/lock"));
    forget(full);
}
END_TEST

START_TEST(plan) {
    json_t *said = expect_json(snntrain("plan", "c.yaml", "--json")); /* no data is there */
    const json_t *rule = json_object_get(json_object_get(said, "rules"), "bptt"),
                 *layers = json_object_get(said, "layers");
    const char *key;
    json_t *value;
    double sum = 0, parameters = 0;
    json_object_foreach(json_object_get(rule, "purposes"), key, value) sum += json_number_value(value);
    ck_assert(number(rule, "total_bytes") == sum && sum > 2 * 4 * 784 * 20);
    ck_assert_int_eq(json_array_size(layers), 4);
    for (size_t i = 0; i < 4; ++i) {
        expect_keys(json_array_get(layers, i), "name shape parameters bytes");
        parameters += number(json_array_get(layers, i), "parameters");
    }
    ck_assert(parameters == 784 * 20 + 20 + 20 * 10 + 10);
    ck_assert_str_eq(text(json_array_get(layers, 2), "name"), "model.2.lif");
    json_t *all = expect_json(snntrain("plan", "c.yaml", "--json", "--rule", "all"));
    ck_assert(json_equal(json_object_get(json_object_get(all, "rules"), "bptt"), rule));
    json_decref(all), json_decref(said);
}
END_TEST

START_TEST(list) {
    static const struct {
        const char *kind, *member;
    } kinds[] = {{"neurons", "lif"},        {"surrogates", "atan"}, {"layers", "conv"},      {"rules", "bptt"},
                 {"datasets", "nmnist"},    {"codings", "latency"}, {"optimizers", "adamw"}, {"schedules", "one_cycle"},
                 {"augmentations", "crop"}, {"losses", "ce"},       {"recordings", "csv"},   {"exports", NULL},
                 {"keys", "train"},         {"framings", "voxel"},  {"presets", "tonic"},    {"weights", "norm"}};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    json_t *all = expect_json(snntrain("list", "--json"));
    ck_assert_int_eq(json_object_size(all), KINDS);
    for (int i = 0; i < KINDS; ++i) {
        json_t *items = json_object_get(all, kinds[i].kind), *item;
        size_t index;
        bool found = !kinds[i].member;
        ck_assert_msg(json_is_array(items), "%s", kinds[i].kind);
        json_array_foreach(items, index, item) {
            expect_keys(item, "name help keys");
            found = found || !strcmp(text(item, "name"), kinds[i].member);
        }
        ck_assert_msg(found, "%s: no %s", kinds[i].kind, kinds[i].member);
        json_t *one = expect_json(snntrain("list", kinds[i].kind, "--json"));
        ck_assert(json_object_size(one) == 1 && json_equal(json_object_get(one, kinds[i].kind), items));
        json_decref(one);
    }
    json_decref(all);
}
END_TEST

/* A file of the cache's entry of that split. */
static const char *cached_file(const char *folder, const char *split, const char *file) {
    json_t *all = expect_json(snntrain("data", "cache", "--cache", folder, "--json")), *entry;
    size_t i;
    const char *path = NULL;
    json_array_foreach(json_object_get(all, "entries"), i, entry) {
        expect_keys(entry, "name set split holds samples filled bytes last_use");
        ck_assert_str_eq(text(entry, "set"), "nmnist");
        if (strcmp(text(entry, "split"), split) != 0) continue;
        ck_assert(number(entry, "filled") == number(entry, "samples"));
        path = made_path("%s/%s/%s", folder, text(entry, "name"), file);
    }
    ck_assert_msg(path, "no entry of the %s split", split);
    json_decref(all);
    return path;
}

static void flip_byte(const char *path, long at) {
    size_t size;
    char *bytes = made_read(path, &size);
    ck_assert_int_lt(at, (long)size);
    bytes[at] ^= 1;
    made_write(path, bytes, size);
    free(bytes);
}

START_TEST(data_cache) {
    write_config(DATA, "data: {name: nmnist, timesteps: 3, cache: kept}");
    expect_done(snntrain("train", "c.yaml", "--data", nmnist));
    expect_done(snntrain("train", "c.yaml", "--data", nmnist, "--out", "again"));
    expect_done(snntrain("train", "c.yaml", "--data", nmnist, "--out", "without", "--set", "data.cache=none"));
    expect_done(snntrain("eval", "out", "--data", nmnist, "--predictions", "a.csv"));
    expect_done(snntrain("eval", "again", "--data", nmnist, "--predictions", "b.csv"));
    expect_done(snntrain("eval", "without", "--data", nmnist, "--predictions", "c.csv"));
    ck_assert(made_same("a.csv", "b.csv") && made_same("a.csv", "c.csv"));
    json_t *all = expect_json(snntrain("data", "cache", "--cache", "kept", "--json"));
    expect_keys(all, "folder bytes entries");
    ck_assert_uint_eq(json_array_size(json_object_get(all, "entries")), 2);
    json_decref(all);
    flip_byte(cached_file("kept", "test", "data.bin"), 100);
    struct said said = snntrain("eval", "out", "--data", nmnist, "--predictions", "d.csv", "--quiet");
    ck_assert_msg(!said.status && !*said.err, "%s", said.err);
    forget(said);
    flip_byte(cached_file("kept", "test", "index.bin"), 40);
    said = snntrain("eval", "out", "--data", nmnist, "--predictions", "e.csv");
    ck_assert_msg(!said.status && !strncmp(said.err, "snntrain: warning: data.cache: kept/nmnist-", 43) &&
                      strstr(said.err, ": is damaged: what cannot be used of it is made again") &&
                      !strchr(said.err, '\n')[1],
                  "status %d: %s", said.status, said.err);
    forget(said);
    ck_assert(made_same("a.csv", "d.csv") && made_same("a.csv", "e.csv"));
    expect_fails(snntrain("data", "cache", "--cache", "kept", "--clear", "mnist"), 2,
                 "kept: holds no entry of 'mnist' (snntrain data cache lists them)", "another set");
    expect_fails(snntrain("data", "cache", "nmnist", "--cache", "kept"), 2,
                 "data cache: a name goes with --clear (without it, all entries are listed)", "no --clear");
    expect_fails(snntrain("data", "info", "nmnist", "--clear"), 2, "data info: --clear is for data cache", "verb");
    expect_fails(snntrain("train", "c.yaml", "--set", "data={name: mnist, cache: kept}"), 2,
                 "--set data={name: mnist, cache: kept}: data.cache: is for recordings, which mnist has not", "images");
    said = snntrain("data", "cache", "--cache", "kept");
    ck_assert(!said.status && strstr(said.out, "kept: 2 entries, ") && strstr(said.out, " 30 of 30 ") &&
              strstr(said.out, " 20 of 20 "));
    forget(said);
    json_t *gone = expect_json(snntrain("data", "cache", "--cache", "kept", "--clear", "nmnist", "--json"));
    ck_assert(number(gone, "removed") == 2 && number(gone, "in_use") == 0 && number(gone, "bytes") > 1000);
    json_decref(gone);
    expect_done(snntrain("data", "cache", "--cache", "kept", "--clear"));
    ck_assert(!rmdir("kept")); /* it is empty */
}
END_TEST

START_TEST(check) {
    write_config(DATA, "data: {name: nmnist, timesteps: auto, bin: {by: duration, dt: 10 ms}}");
    json_t *said = expect_json(snntrain("check", "--json", "c.yaml", "--set", "model.2.lif.tau=20 ms", "--seed", "4"));
    expect_keys(said, "checks failed left_out worst_relative_error failures");
    ck_assert(number(said, "checks") == 5 && number(said, "failed") == 0 &&
              number(said, "worst_relative_error") < 1e-5);
    json_decref(said);
    expect_fails(
        snntrain("check", "c.yaml", "--set", "model.2.lif.tau=x"), 2,
        "--set model.2.lif.tau=x: model.2.lif.tau: expected a time (10 ms, 300 us, 1.4 s) or a number of steps, "
        "got 'x'",
        "check");
}
END_TEST

#define EACH(test, table) tcase_add_loop_test(t, test, 0, (int)(sizeof table / sizeof *table))

int main(int argc, char **argv) {
    setenv("SNNTRAIN_CUDA", "/nonexistent.so", 1); /* the same choice of device on every machine */
    (void)argc;
    if (!find_program(argv[0])) return 1;
    snprintf(mnist, sizeof mnist, "%s", made_path("mnist"));
    snprintf(nmnist, sizeof nmnist, "%s", made_path("nmnist"));
    made_mnist(mnist, 96, 32);
    made_nmnist(nmnist, 3, 2);
    unsetenv("SNNTRAIN_DATA");
    setenv("GOMP_SPINCOUNT", "3000", 0); /* set, so that the program need not start a second time */

    Suite *suite = suite_create("cli");
    TCase *t = tcase_create("cli");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, enter, made_teardown);
    tcase_add_test(t, help);
    EACH(wrong_usage, usage);
    EACH(wrong_config, mistakes);
    EACH(wrong_text, texts);
    EACH(wrong_set, sets);
    EACH(wrong_idx, bad_idx);
    EACH(wrong_nmnist, bad_nmnist);
    tcase_add_test(t, zipped);
    tcase_add_test(t, missing_data);
    tcase_add_test(t, round_trip);
    tcase_add_test(t, augmented);
    tcase_add_test(t, predictions);
    tcase_add_loop_test(t, bench_timesteps, 0, 4);
    tcase_add_test(t, bench_neurons);
    tcase_add_test(t, hard_spikes);
    tcase_add_test(t, regression);
    tcase_add_test(t, bench_timesteps_lists);
    tcase_add_test(t, bench_speed);
    tcase_add_test(t, wrong_checkpoint);
    tcase_add_test(t, folders);
    tcase_add_loop_test(t, interrupted, 0, 2);
    tcase_add_test(t, not_finite);
    tcase_add_test(t, quiet_and_json);
    tcase_add_test(t, plan);
    tcase_add_test(t, list);
    tcase_add_test(t, data_cache);
    tcase_add_test(t, check);
    suite_add_tcase(suite, t);
    int failed = run_suite(suite);
    made_remove(made_root());
    return failed;
}
