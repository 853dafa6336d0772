/* SPDX-License-Identifier: Apache-2.0
 * layer_delay.c - a fully connected layer whose synapses have delays that are learned (DCLS, autograd/delay.h), and
 * delays of whole channels.
 *
 * The parameters have the names and shapes of the DCLS package: weight (out, in/groups, count), and P as `position`
 * (1, out, in/groups, count), in steps from the middle of the kernel: the delay is kernel/2 - position. */
#include <stddef.h>

#include "core/status.h"
#include "layers/delays.h"

struct delay_options {
    struct snn_delays delays;
    long long out, kernel, groups, right;
};
#define DELAY(field) offsetof(struct delay_options, field)
static const char *const version_names[] = {"gauss", "max", "v1", "v0", NULL};
const struct snn_key snn_delay_keys[] = {
    {"out", SNN_INT, DELAY(out), NULL, 1, 1 << 20, NULL, "units"},
    {"kernel", SNN_INT, DELAY(kernel), "25", 1, 4095, NULL, "steps that delays span: an odd number"},
    {"right", SNN_INT, DELAY(right), "0", 0, 4094, snn_half,
     "steps that the output is longer by; half: (kernel - 1)/2, as SNN-delays pads"},
    {"groups", SNN_INT, DELAY(groups), "1", 1, 1 << 20, NULL, "units are connected in this many separate groups"},
    SNN_DELAYS_KEYS(struct delay_options, delays, version_names),
    {0},
};

static int judge(const struct snn_builder *b, struct snn_conf *node, const struct delay_options *o) {
    char text[48];
    if (b->x->nd != 1)
        return snn_conf_error(node, "needs a flat input, got %s: put `- flatten` before it",
                              snn_shape_text(b->x, text));
    if (b->x->is_static)
        return snn_conf_error(node,
                              "its input is the same at every step, so that delays make no difference: use linear");
    SNN_TRY(snn_delays_judge(b, node, &o->delays, "kernel", o->kernel));
    if (o->right >= o->kernel)
        return snn_conf_error(snn_conf_get(node, "right"), "expected half or at most kernel - 1 = %lld steps, got %lld",
                              o->kernel - 1, o->right);
    if (b->x->dim[0] % o->groups || o->out % o->groups)
        return snn_conf_error(snn_conf_get(node, "groups"), "%d inputs and %lld outputs do not divide into %lld groups",
                              (int)b->x->dim[0], o->out, o->groups);
    long long most = o->kernel > o->delays.count ? o->kernel : o->delays.count;
    if ((double)o->out * b->x->dim[0] / (double)o->groups * (double)most > 1 << 28)
        return snn_conf_error(node, "%lld x %lld synapses of %lld steps are too many", o->out, b->x->dim[0] / o->groups,
                              o->kernel);
    return SNN_OK;
}

int snn_build_delay(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct delay_options *o = snn_builder_options(b, sizeof *o);
    struct snn_delay_params p;
    SNN_TRY(snn_conf_read(node, snn_delay_keys, o));
    SNN_TRY(judge(b, node, o));
    struct snn_delay_shape s = {.in = b->x->dim[0],
                                .out = (int32_t)o->out,
                                .groups = (int32_t)o->groups,
                                .taps = (int32_t)o->kernel,
                                .count = (int32_t)o->delays.count};
    int32_t append = o->right < 0 ? (s.taps - 1) / 2 : (int32_t)o->right;
    int32_t dim[4] = {1, s.out, s.in / s.groups, s.count};
    SNN_TRY(snn_delays_params(b, node, snn_delay_keys, o, &o->delays, &s, (struct snn_delay_dims){3, dim + 1},
                              (struct snn_delay_dims){4, dim}, s.out / s.groups * s.count, &p));
    b->x = snn_delay(&b->model->tape, b->path, b->x, &s, &o->delays.of, p.weight, p.position, p.width, append);
    return SNN_OK;
}

/* ---- a delay for every channel ---- */

struct axonal_options {
    struct snn_shift_options of;
    long long most;
    double low, high;
    bool learn;
};
#define AXONAL(field) offsetof(struct axonal_options, field)
const struct snn_key snn_axonal_keys[] = {
    {"max", SNN_INT, AXONAL(most), "62", 1, 4094, NULL, "the longest delay, in steps"},
    {"low", SNN_REAL, AXONAL(low), "0", 0, 4094, NULL, "delays start uniformly from here,"},
    {"high", SNN_REAL, AXONAL(high), "1", 0, 4094, NULL, "to here"},
    {"learn", SNN_BOOL, AXONAL(learn), "true", 0, 0, NULL, "false: they stay as drawn, rounded to whole steps"},
    {"round", SNN_BOOL, AXONAL(of.round), "true", 0, 0, NULL, "evaluate with delays rounded to whole steps"},
    {0},
};
const struct snn_key snn_shift_keys[] = {
    {"steps", SNN_INT, AXONAL(most), NULL, 1, 4094, NULL, "of the delay"},
    {0},
};

int snn_build_axonal(struct snn_builder *b, struct snn_conf *node, int variant) {
    bool fixed = variant == 1;
    struct axonal_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, fixed ? snn_shift_keys : snn_axonal_keys, o));
    if (fixed) o->low = o->high = (double)o->most;
    const char *key = fixed ? "steps" : "max";
    if (b->x->is_static)
        return snn_conf_error(node, "its input is the same at every step, so that delays make no difference");
    if (o->low > o->high || o->high > (double)o->most)
        return snn_conf_error(snn_conf_get(node, o->low > o->high ? "low" : "high"),
                              "expected low <= high <= max = %lld, got %g and %g", o->most, o->low, o->high);
    if (b->steps && o->most >= b->steps)
        return snn_conf_error(snn_conf_get(node, key) ? snn_conf_get(node, key) : node,
                              "expected less than the %d steps of a sample (data.timesteps), got %s %lld",
                              (int)b->steps, key, o->most);
    struct snn_param *p = snn_builder_param(b, "delay", false, 1, b->x->dim);
    p->fill = (o->low + o->high) / 2, p->bound = (o->high - o->low) / 2;
    p->bounded = true, p->high = (double)o->most;
    p->whole = p->frozen = fixed || !o->learn;
    b->x = snn_shift(&b->model->tape, b->path, b->x, &o->of, p, (int32_t)o->most);
    return SNN_OK;
}
