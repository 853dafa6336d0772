/* SPDX-License-Identifier: Apache-2.0
 * layer_delay.c - a fully connected layer whose synapses have delays that are learned (DCLS, autograd/delay.h), and
 * delays of whole channels.
 *
 * The parameters have the names and shapes of the DCLS package: weight (out, in/groups, count), and P as `position`
 * (1, out, in/groups, count), in steps from the middle of the kernel: the delay is kernel/2 - position. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct delay_options {
    struct snn_delay_options of; /* first: `sigma` is annealed there */
    long long out, kernel, count, groups, right;
    bool learn, learn_sigma;
    struct snn_conf *init, *position;
};
#define DELAY(field) offsetof(struct delay_options, field)
static const char *const version_names[] = {"gauss", "max", "v1", "v0", NULL};
static const char *const half[] = {"half", NULL};
const struct snn_key snn_delay_keys[] = {
    {"out", SNN_INT, DELAY(out), NULL, 1, 1 << 20, NULL, "units"},
    {"kernel", SNN_INT, DELAY(kernel), "25", 1, 4095, NULL, "steps that delays span: an odd number"},
    {"count", SNN_INT, DELAY(count), "1", 1, 64, NULL, "elements (a weight and a delay each) of a synapse"},
    {"version", SNN_CHOICE, DELAY(of.version), "gauss", 0, 0, version_names,
     "shape of an element: a bell, a triangle as wide as sigma + 1, one of width 1, or two taps"},
    {"sigma", SNN_REAL, DELAY(of.sigma), "half", 0, 1e6, half,
     "width of elements, may be annealed; half: kernel/2 with gauss, 0 with max"},
    {"learn_sigma", SNN_BOOL, DELAY(learn_sigma), "false", 0, 0, NULL, "a width for every element, which is learned"},
    {"learn", SNN_BOOL, DELAY(learn), "true", 0, 0, NULL, "false: positions stay as drawn, rounded to whole steps"},
    {"round", SNN_BOOL, DELAY(of.round), "true", 0, 0, NULL, "evaluate with positions rounded to whole steps"},
    {"right", SNN_INT, DELAY(right), "0", 0, 4094, half,
     "steps that the output is longer by; half: (kernel - 1)/2, as SNN-delays pads"},
    {"groups", SNN_INT, DELAY(groups), "1", 1, 1 << 20, NULL, "units are connected in this many separate groups"},
    SNN_INIT_KEY(struct delay_options),
    {"position", SNN_NODE, DELAY(position), "snn_delays", 0, 0, NULL, "initial positions: NAME or {name, parameters}"},
    {0},
};

/* ---- positions ---- */

struct position {
    double bound, std, value;
};
static const char *const position_names[] = {"snn_delays", "uniform", "normal", "constant", NULL};
static const struct snn_key snn_delays_keys[] = {SNN_KEY_NAME, {0}};
static const struct snn_key uniform_keys[] = {
    SNN_KEY_NAME,
    {"bound", SNN_REAL, offsetof(struct position, bound), "half", 0, 1e6, half, "uniform in -bound..bound"},
    {0}};
static const struct snn_key normal_keys[] = {
    SNN_KEY_NAME,
    {"std", SNN_REAL, offsetof(struct position, std), "0.5", 0, 1e6, NULL, "standard deviation around the middle"},
    {0}};
static const struct snn_key constant_keys[] = {
    SNN_KEY_NAME, {"value", SNN_REAL, offsetof(struct position, value), "0", -1e6, 1e6, NULL, "of all"}, {0}};

static int read_position(struct snn_conf *node, int32_t taps, struct snn_param *p) {
    static const struct snn_key *const keys[] = {snn_delays_keys, uniform_keys, normal_keys, constant_keys};
    int which = snn_conf_variant(node, "initial positions", position_names);
    SNN_TRY(which);
    struct position o = {NAN, 0, 0};
    SNN_TRY(snn_conf_read(node, keys[which], &o));
    if (which == 1 && isnan(o.bound)) o.bound = taps / 2;
    /* SNN-delays draws from U(-kernel // 2, kernel // 2) with floors, which is not symmetric: U(-13, 12) for 25. */
    const double centre[] = {-0.5, 0, 0, o.value}, spread[] = {0.5 * taps, o.bound, o.std, 0};
    p->fill = centre[which], p->bound = spread[which], p->normal = which == 2;
    p->bounded = true, p->low = -(taps / 2), p->high = taps / 2;
    return SNN_OK;
}

/* ---- the layer ---- */

static int judge(const struct snn_builder *b, struct snn_conf *node, const struct delay_options *o) {
    char text[48];
    if (b->x->nd != 1)
        return snn_conf_error(node, "needs a flat input, got %s: put `- flatten` before it",
                              snn_shape_text(b->x, text));
    if (b->x->is_static)
        return snn_conf_error(node,
                              "its input is the same at every step, so that delays make no difference: use linear");
    if (o->kernel % 2 == 0)
        return snn_conf_error(snn_conf_get(node, "kernel"),
                              "expected an odd number of steps, got %lld: positions reach as far to both sides of the "
                              "middle, and at the end of an even kernel lie outside of it",
                              o->kernel);
    if (b->steps && o->kernel > b->steps)
        return snn_conf_error(snn_conf_get(node, "kernel"),
                              "expected at most the %d steps of a sample (data.timesteps), got %lld", (int)b->steps,
                              o->kernel);
    if (o->right >= o->kernel)
        return snn_conf_error(snn_conf_get(node, "right"), "expected half or at most kernel - 1 = %lld steps, got %lld",
                              o->kernel - 1, o->right);
    if (b->x->dim[0] % o->groups || o->out % o->groups)
        return snn_conf_error(snn_conf_get(node, "groups"), "%d inputs and %lld outputs do not divide into %lld groups",
                              (int)b->x->dim[0], o->out, o->groups);
    if ((double)o->out * b->x->dim[0] / (double)o->groups * (double)(o->kernel > o->count ? o->kernel : o->count) >
        1 << 28)
        return snn_conf_error(node, "%lld x %lld synapses of %lld steps are too many", o->out, b->x->dim[0] / o->groups,
                              o->kernel);
    bool wide = o->of.version == SNN_DELAY_GAUSS || o->of.version == SNN_DELAY_MAX;
    if (!wide && (!isnan(o->of.sigma) || o->learn_sigma))
        return snn_conf_error(snn_conf_get(node, isnan(o->of.sigma) ? "learn_sigma" : "sigma"),
                              "takes effect with version: gauss or max only");
    return SNN_OK;
}

int snn_build_delay(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct delay_options *o = snn_builder_options(b, sizeof *o);
    SNN_TRY(snn_conf_read(node, snn_delay_keys, o));
    SNN_TRY(judge(b, node, o));
    struct snn_delay_shape s = {.in = b->x->dim[0],
                                .out = (int32_t)o->out,
                                .groups = (int32_t)o->groups,
                                .taps = (int32_t)o->kernel,
                                .count = (int32_t)o->count};
    int32_t append = o->right < 0 ? (s.taps - 1) / 2 : (int32_t)o->right;
    if (isnan(o->of.sigma)) o->of.sigma = o->of.version == SNN_DELAY_GAUSS ? s.taps / 2 : 0;
    int32_t dim[4] = {1, s.out, s.in / s.groups, s.count}, fan_in = dim[2] * s.count;
    struct snn_param *w = snn_builder_param(b, "weight", false, 3, dim + 1),
                     *p = snn_builder_param(b, "position", false, 4, dim), *sigma = NULL;
    SNN_TRY(snn_init_read(o->init, fan_in, s.out / s.groups * s.count, w));
    SNN_TRY(read_position(o->position, s.taps, p));
    p->whole = p->frozen = !o->learn;
    if (o->learn_sigma) {
        sigma = snn_builder_param(b, "sigma", false, 4, dim);
        sigma->fill = o->of.sigma;
    } else if (o->of.version == SNN_DELAY_GAUSS || o->of.version == SNN_DELAY_MAX) {
        snn_builder_bind(b, node, snn_delay_keys, o);
    }
    b->x = snn_delay(&b->model->tape, b->path, b->x, &s, &o->of, w, p, sigma, append);
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
