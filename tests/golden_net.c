/* SPDX-License-Identifier: Apache-2.0
 * golden_net.c - a network over a stored case: input, parameters, forward, backward. */
#include <stdlib.h>
#include <string.h>

#include "cell_reference.h"
#include "core/status.h"
#include "golden.h"
#include "train/device.h"

/* The real scan with all of its states kept, and then a copy of what came out: the engine may reuse that memory later
 * in the pass. A recurrent layer scans step by step. */
static void watch_neuron(struct snn_device *device, const struct snn_scan *scan) {
    struct golden_net *net = (struct golden_net *)device;
    const struct snn_neuron_spec *spec = scan->spec;
    const struct cell_reference *cell = &cell_references[spec->cell];
    int states = snn_cell_shapes[spec->cell].states;
    struct snn_scan all = *scan;
    if (net->neurons == GOLDEN_NEURONS) {
        net->real_neuron->forward(device, scan);
        return;
    }
    struct golden_seen *seen = &net->seen[net->neurons];
    size_t rows = (size_t)scan->T * (size_t)scan->B, n = (size_t)scan->N, count = rows * n;
    if (scan->from == 0) {
        *seen = (struct golden_seen){.s = golden_own(net->c, count, sizeof *seen->s), .count = count};
        for (int j = 0; j < states; ++j) {
            seen->h[j] = golden_own(net->c, count, sizeof(double));
            seen->v[j] = golden_own(net->c, count, sizeof(double));
            seen->kept[j] = golden_own(net->c, count, sizeof(real));
        }
        seen->late = golden_own(net->c, count, sizeof(real));
    }
    for (int j = 0; j < states; ++j)
        if (!scan->h[j]) all.h[j] = seen->kept[j];
    if (!scan->late) all.late = spec->delay ? seen->late : NULL;
    net->real_neuron->forward(device, &all);
    size_t step = (size_t)scan->B * n;
    for (size_t i = (size_t)scan->from * step; i < (size_t)scan->to * step; ++i) {
        const uint64_t *bits = scan->bits ? scan->bits + i / n * (size_t)scan->words : NULL;
        size_t at = scan->x_step ? i : i % step;
        real c[SNN_CELL_COEFS], v[SNN_CELL_STATES], x = scan->x ? scan->x[at] : 0;
        real s = bits ? (real)(bits[i % n / 64] >> (i % n % 64) & 1) : scan->y[i];
        for (int j = 0; j < snn_cell_shapes[spec->cell].coefs; ++j)
            c[j] = scan->coef[j].at[i % n / (size_t)scan->coef[j].inner];
        for (int j = 0; j < states; ++j) v[j] = all.h[j][i], seen->h[j][i] = (double)v[j];
        cell->settle(c, spec->delay == SNN_DELAY_NEXT ? SNN_RESET_NONE : (int)spec->reset, spec->options, x, s,
                     spec->delay ? s - all.late[i] : s, v);
        for (int j = 0; j < states; ++j) seen->v[j][i] = (double)v[j];
        seen->s[i] = (double)s;
    }
    if (scan->to == scan->T) ++net->neurons;
}

static void given_mask(struct snn_device *device, const struct snn_dropout_shape *s, const uint32_t *clock,
                       uint32_t layer, const int32_t *sample, const struct snn_dropout *p, uint64_t *mask) {
    const struct golden_net *net = (const struct golden_net *)device;
    (void)clock, (void)layer, (void)sample, (void)p;
    int32_t words = snn_dropout_words(s), B = s->B, units = s->units;
    memset(mask, 0, (size_t)B * (size_t)words * sizeof *mask);
    for (int32_t b = 0; b < B; ++b)
        for (int32_t i = 0; i < units; ++i)
            mask[b * words + i / 64] |= (uint64_t)(net->mask[b * units + i] != 0) << (i % 64);
}

bool golden_net_open(struct golden *c, struct golden_net *net) {
    *net = (struct golden_net){.c = c};
    if (!golden_ok(c, snn_device_open("cpu", 1, &net->device))) return false;
    net->real_neuron = net->device.neuron;
    net->neuron = *net->device.neuron;
    net->neuron.forward = watch_neuron;
    net->math = *net->device.math;
    net->math.dropout_mask = given_mask;
    net->device.neuron = &net->neuron, net->device.math = &net->math;
    net->network.device = &net->device;
    snn_tape_init(&net->network.model.tape, &net->network.model.params);
    return true;
}

void golden_net_close(struct golden_net *net) {
    snn_network_free(&net->network);
    snn_conf_free(&net->doc);
}

struct snn_conf *golden_parse(struct golden *c, struct golden_net *net, const char *text) {
    if (!golden_ok(c, snn_conf_parse(text, strlen(text), "case", &net->doc))) return NULL;
    return snn_conf_root(net->doc)->first;
}

/* The case's tensor as the batch of a network that reads it. */
static bool batch_of(struct golden_net *net, const char *name, bool rows, int *nd, int32_t dim[SNN_ROW_AXES]) {
    struct golden *c = net->c;
    const struct snn_st_tensor *t = golden_find(c, name);
    int lead = rows ? 1 : 2;
    if (!t) return golden_fail(c, "the case has no tensor '%s'", name);
    *nd = t->nd - lead;
    if (*nd < 1 || *nd > SNN_ROW_AXES) return golden_fail(c, "does not understand a '%s' of %d axes", name, t->nd);
    for (int i = 0; i < SNN_ROW_AXES; ++i) dim[i] = i < *nd ? (int32_t)t->dim[lead + i] : 1;
    int32_t T = rows ? 1 : (int32_t)t->dim[0], B = (int32_t)t->dim[lead - 1];
    float *frames = golden_own(c, snn_st_elements(t), sizeof *frames);
    int32_t *small = golden_own(c, 3 * (size_t)B, sizeof *small);
    for (int32_t b = 0; b < B; ++b) small[B + b] = T, small[2 * B + b] = b;
    net->batch = (struct snn_batch){.form = SNN_BATCH_FRAMES,
                                    .T = T,
                                    .B = B,
                                    .C = dim[0],
                                    .H = dim[1],
                                    .W = dim[2] * dim[3],
                                    .frames = frames,
                                    .label = small,
                                    .length = small + B,
                                    .sample = small + 2 * B};
    return golden_ok(c, snn_st_to_float(t, frames));
}

struct snn_tensor *golden_net_input(struct golden_net *net, const char *name, bool rows) {
    int nd = 1;
    int32_t dim[SNN_ROW_AXES];
    if (!batch_of(net, name, rows, &nd, dim)) return NULL;
    struct snn_tensor *x = snn_tape_input(&net->network.model.tape, nd, dim, false);
    x->needs_grad = true;
    return x;
}

struct snn_param *golden_net_param(struct golden_net *net, const char *name, bool buffer) {
    const struct snn_st_tensor *t = golden_find(net->c, name);
    int32_t dim[6];
    if (!t) return NULL;
    if (t->nd > 6) {
        golden_fail(net->c, "does not understand a '%s' of %d axes", name, t->nd);
        return NULL;
    }
    for (int i = 0; i < t->nd; ++i) dim[i] = (int32_t)t->dim[i];
    return snn_params_add(&net->network.model.params, name, buffer, t->nd, dim);
}

bool golden_net_allocate(struct golden_net *net, bool smooth) {
    struct golden *c = net->c;
    if (c->verdict != GOLDEN_PASS) return false;
    struct snn_network_plan plan = {.T = net->batch.T * (net->carries_on ? 2 : 1),
                                    .B = net->batch.B,
                                    .cut = net->batch.T,
                                    .slice = net->batch.B,
                                    .train = true,
                                    .smooth = smooth};
    if (!golden_ok(c, snn_network_allocate(&net->network, &plan))) return false;
    struct snn_params *params = &net->network.model.params;
    for (int i = 0; i < params->count; ++i) {
        struct snn_param *p = params->list[i];
        if (!snn_st_find(c->file, p->name)) continue;
        const struct snn_st_tensor *shape;
        const double *numbers = golden_tensor(c, p->name, &shape);
        if (!numbers) return false;
        if (snn_st_elements(shape) != (uint64_t)p->count)
            return golden_fail(c, "'%s' does not fit the network", p->name);
        for (ptrdiff_t k = 0; k < p->count; ++k) p->value[k] = (real)numbers[k];
    }
    return true;
}

static struct snn_cut whole(const struct golden_net *net, bool train, enum snn_smooth smooth) {
    return (struct snn_cut){
        .batch = &net->batch, .T = net->batch.T, .index = net->carries_on, .train = train, .smooth = smooth};
}

void golden_net_forward(struct golden_net *net, bool train, enum snn_smooth smooth) {
    struct snn_cut cut = whole(net, train, smooth);
    net->neurons = 0;
    snn_network_forward(&net->network, &cut);
}

void golden_net_backward(struct golden_net *net, const char *upstream, bool train) {
    struct snn_cut cut = whole(net, train, SNN_HARD);
    const struct snn_tensor *y = net->network.model.tape.output;
    const struct snn_st_tensor *shape;
    size_t count = (size_t)(net->batch.T + y->appended) * (size_t)net->batch.B * (size_t)y->units;
    if (upstream) {
        const double *g = golden_tensor(net->c, upstream, &shape);
        if (g && snn_st_elements(shape) != count) golden_fail(net->c, "'%s' does not fit the output", upstream);
        if (net->c->verdict != GOLDEN_PASS) return;
        for (size_t i = 0; i < count; ++i) y->grad[i] = (real)g[i];
    }
    snn_network_zero_gradients(&net->network);
    snn_network_backward(&net->network, &cut);
    snn_network_backward_batch(&net->network, &cut);
}
