/* SPDX-License-Identifier: Apache-2.0
 * layer_conv_delays.c - a convolution whose synapses have delays: the receptive fields in space and time of models of
 * motion (Grimaldi & Perrinet, "Learning heterogeneous delays in a layer of spiking neurons for fast motion detection",
 * Biol. Cybern. 2023), or DCLS (autograd/delay.h) for every synapse (o, c, kernel place).
 *
 * version: all has a weight for every delay, (taps, out, in/groups, kernel), of which the last is delay 0: a causal
 * 3-D convolution. The others have weight and position (out, in/groups, kernel, count); delay: taps/2 - position. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/delays.h"

struct conv_delay_options {
    struct snn_delays delays;
    struct snn_window window;
    long long taps;
    bool bias;
};
#define CONV(field) offsetof(struct conv_delay_options, field)
enum { ALL = SNN_DELAY_V0 + 1 };
static const char *const version_names[] = {"gauss", "max", "v1", "v0", "all", NULL};
const struct snn_key snn_conv_delay_keys[] = {
    {"out", SNN_INT, CONV(window.out), NULL, 1, 1 << 16, NULL, "output channels"},
    {"kernel", SNN_SIZES, CONV(window.kernel), NULL, 1, 63, NULL, "size, or one an axis: [height, width]"},
    {"taps", SNN_INT, CONV(taps), NULL, 1, 255, NULL,
     "steps that delays span: 0 to taps - 1; odd unless version is all"},
    {"stride", SNN_SIZES, CONV(window.stride), "1", 1, 64, NULL, "step of the window"},
    {"padding", SNN_SIZES, CONV(window.padding), "0", 0, 64, NULL, "zeros on each side"},
    {"dilation", SNN_SIZES, CONV(window.dilation), "1", 1, 64, NULL, "distance of the taps in space"},
    {"groups", SNN_INT, CONV(window.groups), "1", 1, 1 << 16, NULL,
     "channels are convolved in this many separate groups"},
    {"bias", SNN_BOOL, CONV(bias), "true", 0, 0, NULL, "add a learned bias by channel"},
    SNN_DELAYS_KEYS(struct conv_delay_options, delays, version_names),
    {0},
};

/* With a weight for every delay there are no elements. */
static int judge_all(const struct snn_builder *b, struct snn_conf *node, struct conv_delay_options *o) {
    static const char *const standard[] = {"snn_delays", NULL};
    const struct snn_delays *d = &o->delays;
    const char *key = d->count != 1         ? "count"
                      : !isnan(d->of.sigma) ? "sigma"
                      : d->learn_sigma      ? "learn_sigma"
                      : !d->learn           ? "learn"
                      : !d->of.round        ? "round"
                                            : NULL;
    if (!key && snn_conf_variant(d->position, "initial positions", standard) < 0) key = "position";
    if (key)
        return snn_conf_error(snn_conf_get(node, key), "takes effect with elements only: version gauss, max, v1 or v0");
    if (b->steps && o->taps > b->steps)
        return snn_conf_error(snn_conf_get(node, "taps"),
                              "expected at most the %d steps of a sample (data.timesteps), got %lld", (int)b->steps,
                              o->taps);
    return SNN_OK;
}

static struct snn_param *make_bias(struct snn_builder *b, const struct conv_delay_options *o, double fan_in) {
    int32_t channels = (int32_t)o->window.out;
    if (!o->bias) return NULL;
    struct snn_param *bias = snn_builder_param(b, "bias", false, 1, &channels);
    bias->bound = 1 / sqrt(fan_in);
    return bias;
}

int snn_build_conv_delays(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct conv_delay_options *o = snn_builder_options(b, sizeof *o);
    struct snn_delays *d = &o->delays;
    struct snn_tape *tape = &b->model->tape;
    struct snn_conv_shape c;
    SNN_TRY(snn_conf_read(node, snn_conv_delay_keys, o));
    bool all = d->of.version == ALL;
    if (b->x->is_static)
        return snn_conf_error(node, "its input is the same at every step, so that delays make no difference: use conv");
    SNN_TRY(all ? judge_all(b, node, o) : snn_delays_judge(b, node, d, "taps", o->taps));
    SNN_TRY(snn_window_read(b, node, &o->window, &c));
    int32_t places = (int32_t)snn_conv_taps(&c), in = c.C / c.groups, taps = (int32_t)o->taps;
    double synapses = (double)c.O * in * places;
    if (synapses * (double)(o->taps > d->count ? o->taps : d->count) > 1 << 28)
        return snn_conf_error(node, "%.0f synapses of %lld steps are too many", synapses, o->taps);
    /* (taps, out, in, kernel, count), of which either end is not there */
    int32_t dim[SNN_CONV_AXES + 4] = {taps, c.O, in};
    int nd = 3;
    for (int i = 1; i < b->x->nd; ++i) dim[nd++] = c.kernel[SNN_CONV_AXES - b->x->nd + i];
    if (all) {
        struct snn_param *w = snn_builder_param(b, "weight", false, nd, dim);
        SNN_TRY(snn_init_read(d->init, in * places * taps, c.O / c.groups * places * taps, w));
        struct snn_param *bias = make_bias(b, o, (double)in * places * taps);
        b->x = snn_conv_delays(tape, b->path, b->x, &c, taps, taps, NULL, w, bias);
        return SNN_OK;
    }
    dim[nd] = (int32_t)d->count;
    struct snn_delay_shape s = {.in = in * places, .out = c.O, .groups = 1, .taps = taps, .count = (int32_t)d->count};
    struct snn_delay_dims dims = {nd, dim + 1};
    struct snn_delay_params p;
    SNN_TRY(
        snn_delays_params(b, node, snn_conv_delay_keys, o, d, &s, dims, dims, c.O / c.groups * places * s.count, &p));
    struct snn_param *bias = make_bias(b, o, (double)s.in * s.count);
    struct snn_tensor *kernel = snn_delay_kernel(tape, b->path, &s, &d->of, p.weight, p.position, p.width);
    double used = snn_delay_taps_used(&s, &d->of, p.position);
    b->x = snn_conv_delays(tape, b->path, b->x, &c, taps, used, kernel, NULL, bias);
    return SNN_OK;
}
