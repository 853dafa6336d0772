/* SPDX-License-Identifier: Apache-2.0
 * bench_neurons.c - every neuron's scan, forward and backward, as a share of what this machine copies in that time.
 *
 * A scan has little to compute: it reads its input, writes the states that backward will read and the spikes, and on
 * the way back reads those states and the output's gradient and writes the input's. These bytes over the bandwidth of a
 * copy are the least time that it can take from memory; arrays are larger than caches. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/math.h"
#include "cli.h"
#include "core/rng.h"
#include "core/status.h"
#include "train/device.h"
#include "train/network.h"
#include "train/progress.h"

enum { STEPS = 32, SAMPLES = 32, NEURONS = 16384, NUMBERS = STEPS * SAMPLES * NEURONS, ROUNDS = 10 };

struct bench {
    struct snn_device device;
    struct snn_batch batch;
    float *frames;
    real *from, *to; /* of the copy */
    int32_t small[3 * SAMPLES];
    double copy_s; /* best */
    long rounds;
};

struct figures {
    int kept; /* numbers a neuron and step from forward to backward; -1: not known */
    double bytes, forward_s, backward_s;
};

static int prepare(struct bench *b) {
    b->frames = malloc((size_t)NUMBERS * sizeof *b->frames);
    b->from = malloc((size_t)NUMBERS * sizeof *b->from), b->to = malloc((size_t)NUMBERS * sizeof *b->to);
    if (!b->frames || !b->from || !b->to) return snn_error(SNN_EFAIL, "out of memory for the arrays of the bench");
    for (uint32_t i = 0; i < NUMBERS; ++i) {
        b->frames[i] = (float)(1.5 * snn_rng_unit(snn_rng_u32(1, SNN_RNG_TEST, 0, 0, i)) - 0.5);
        b->from[i] = (real)b->frames[i], b->to[i] = 0;
    }
    for (int i = 0; i < SAMPLES; ++i) b->small[SAMPLES + i] = STEPS, b->small[2 * SAMPLES + i] = i;
    b->batch = (struct snn_batch){.form = SNN_BATCH_FRAMES,
                                  .T = STEPS,
                                  .B = SAMPLES,
                                  .C = NEURONS,
                                  .H = 1,
                                  .W = 1,
                                  .frames = b->frames,
                                  .label = b->small,
                                  .length = b->small + SAMPLES,
                                  .sample = b->small + 2 * SAMPLES};
    b->copy_s = INFINITY;
    return SNN_OK;
}

static void copy_once(struct bench *b) {
    double started = snn_now();
    b->device.math->accumulate(&b->device, NUMBERS, b->from, false, b->to);
    b->copy_s = fmin(b->copy_s, snn_now() - started);
}

/* Seconds of the layer's nodes in one pass of each kind. */
static void round_of(struct bench *b, struct snn_network *n, double *profile, struct figures *f) {
    const struct snn_layer *layer = &n->model.layer[1];
    struct snn_cut cut = {.batch = &b->batch, .T = STEPS, .train = true};
    double seconds[2] = {0};
    memset(profile, 0, 2 * (size_t)n->model.tape.nodes * sizeof *profile);
    n->model.tape.profile = profile;
    snn_network_zero_gradients(n);
    snn_network_forward(n, &cut);
    snn_network_loss(n, &cut, true);
    snn_network_backward(n, &cut);
    n->model.tape.profile = NULL;
    for (int i = layer->first_node; i < layer->first_node + layer->nodes; ++i)
        for (int k = 0; k < 2; ++k) seconds[k] += profile[2 * i + k];
    f->forward_s = fmin(f->forward_s, seconds[0]), f->backward_s = fmin(f->backward_s, seconds[1]);
}

/* The bytes that have to move. */
static void count_bytes(const struct snn_network *n, bool scan, struct figures *f) {
    const struct snn_node *node = n->model.tape.node[n->model.layer[1].first_node];
    bool reads_input = false;
    f->kept = scan ? snn_neuron_kept(node, &reads_input) : -1;
    double numbers = 3 + 2 * (f->kept > 0 ? f->kept : 0) + reads_input; /* input; gradients of output and input */
    double out = node->out->bits ? 1.0 / 8 : sizeof(real);
    f->bytes = NUMBERS * (numbers * sizeof(real) + out);
}

static int measure(struct bench *b, const char *neuron, bool scan, struct figures *f) {
    struct snn_network n = {.device = &b->device};
    struct snn_conf_doc *doc = NULL;
    struct snn_model_input input = {.C = NEURONS, .H = 1, .W = 1, .steps = STEPS};
    struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = STEPS, .slice = SAMPLES, .train = true};
    double *profile = NULL;
    char text[200];
    snprintf(text, sizeof text, "{model: [scale: {learn: true}, %s: {}, linear: 2], loss: {name: ce, over: step}}\n",
             neuron);
    *f = (struct figures){.forward_s = INFINITY, .backward_s = INFINITY};
    int rc = snn_conf_parse(text, strlen(text), neuron, &doc);
    if (rc >= 0) rc = snn_loss_read(snn_conf_get(snn_conf_root(doc), "loss"), &n.loss);
    if (rc >= 0) rc = snn_model_build(snn_conf_get(snn_conf_root(doc), "model"), &input, 2, &n.model);
    if (rc >= 0) rc = snn_network_allocate(&n, &plan);
    if (rc >= 0) {
        snn_params_init(&n.model.params, 1, n.model.params.value);
        profile = calloc(2 * (size_t)n.model.tape.nodes, sizeof *profile);
        if (!profile) rc = snn_error(SNN_EFAIL, "out of memory");
    }
    if (rc >= 0) snn_network_set_step(&n, 1, 0, 1.0 / SAMPLES);
    for (long i = 0; rc >= 0 && i < b->rounds; ++i) {
        copy_once(b);
        round_of(b, &n, profile, f);
        if (cli_stop) rc = snn_error(SNN_EINTR, "interrupted");
    }
    if (rc >= 0) count_bytes(&n, scan, f);
    free(profile);
    snn_network_free(&n);
    snn_conf_free(&doc);
    return rc;
}

static int one(struct bench *b, const struct cli *cli, const char *name, bool scan, json_t *names,
               struct figures **all) {
    size_t count = json_array_size(names);
    bool asked = cli->args == 1;
    for (int i = 1; i < cli->args; ++i) asked = asked || !strcmp(cli->arg[i], name);
    if (!asked) return SNN_OK;
    struct figures *more = realloc(*all, (count + 1) * sizeof **all);
    if (!more) return snn_error(SNN_EFAIL, "out of memory");
    *all = more;
    SNN_TRY(measure(b, name, scan, &more[count]));
    json_array_append_new(names, json_string(name));
    return SNN_OK;
}

/* Names are neurons whose states are a scan or a soft maximum. */
static int check_names(const struct cli *cli) {
    for (int i = 1; i < cli->args; ++i) {
        bool known = false;
        for (const struct snn_neuron_model *m = snn_neuron_models; m->name; ++m)
            known = known || !strcmp(cli->arg[i], m->name);
        for (const struct snn_ultra_model *m = snn_ultra_models; m->name; ++m)
            known = known || !strcmp(cli->arg[i], m->name);
        if (!known)
            return snn_error(SNN_EUSAGE,
                             "bench neurons: unknown neuron '%s' (`snntrain bench neurons --iters 1` lists those "
                             "that are measured)",
                             cli->arg[i]);
    }
    return SNN_OK;
}

/* The copy's figure is the best of all rounds, so shares are worked out when it is known. */
static int report(const struct cli *cli, const struct bench *b, const json_t *names, const struct figures *all) {
    double bandwidth = 2.0 * NUMBERS * sizeof(real) / b->copy_s;
    json_t *rows = json_array();
    if (!cli->json)
        printf("%d steps of %d x %d neurons, %d threads (%s), best of %ld rounds; a copy moves %.1f GB/s\n\n"
               "%-24s %6s %12s %12s %12s %8s\n",
               STEPS, SAMPLES, NEURONS, b->device.threads, b->device.name, b->rounds, bandwidth * 1e-9, "neuron",
               "kept", "bytes", "forward ms", "backward ms", "share");
    for (size_t i = 0; i < json_array_size(names); ++i) {
        const struct figures *f = &all[i];
        const char *name = json_string_value(json_array_get(names, i));
        double share = f->bytes / bandwidth / (f->forward_s + f->backward_s);
        char kept[16] = "-";
        if (f->kept >= 0) snprintf(kept, sizeof kept, "%d", f->kept);
        if (!cli->json)
            printf("%-24s %6s %12.1f %12.3f %12.3f %6.0f %%\n", name, kept, f->bytes / NUMBERS, 1e3 * f->forward_s,
                   1e3 * f->backward_s, 100 * share);
        json_t *row = json_pack("{s:s,s:f,s:f,s:f,s:f}", "neuron", name, "bytes", f->bytes, "forward_ms",
                                1e3 * f->forward_s, "backward_ms", 1e3 * f->backward_s, "share", share);
        json_object_set_new(row, "kept", f->kept < 0 ? json_null() : json_integer(f->kept));
        json_array_append_new(rows, row);
    }
    if (cli->json)
        return cli_print_json(json_pack("{s:s,s:i,s:i,s:i,s:i,s:I,s:f,s:o}", "device", b->device.name, "threads",
                                        b->device.threads, "timesteps", STEPS, "batch", SAMPLES, "neurons", NEURONS,
                                        "rounds", (json_int_t)b->rounds, "copy_gb_per_s", bandwidth * 1e-9, "rows",
                                        rows));
    json_decref(rows);
    return SNN_OK;
}

int bench_neurons(struct cli *cli) {
    struct bench b = {.rounds = cli->iters >= 0 ? cli->iters : ROUNDS};
    struct figures *all = NULL;
    if (b.rounds < 1) return snn_error(SNN_EUSAGE, "--iters: expected 1 or more, got %ld", b.rounds);
    SNN_TRY(check_names(cli));
    SNN_TRY(snn_device_open("cpu", (int)cli->threads, &b.device));
    json_t *names = json_array();
    int rc = prepare(&b);
    for (const struct snn_neuron_model *m = snn_neuron_models; rc >= 0 && m->name; ++m)
        rc = one(&b, cli, m->name, true, names, &all);
    for (const struct snn_ultra_model *m = snn_ultra_models; rc >= 0 && m->name; ++m)
        rc = one(&b, cli, m->name, false, names, &all);
    if (rc >= 0) rc = report(cli, &b, names, all);
    json_decref(names);
    free(all), free(b.frames), free(b.from), free(b.to);
    snn_device_close(&b.device);
    return rc;
}
