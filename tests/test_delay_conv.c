/* SPDX-License-Identifier: Apache-2.0
 * test_delay_conv.c - the layer `delay_conv`: against sums that are written out, against `conv` and `delay` where it is
 * the same as they are, cuts, and the configs that are refused. */
#include "net_rig.h"

#include <math.h>

/* ---- one layer, whatever is before it ---- */

static void open_model(const char *model, struct made_network *m) {
    struct snn_model_input input = {.C = 2, .H = 6, .W = 6, .is_sparse = true, .steps = STEPS};
    char text[600];
    *m = (struct made_network){0};
    ck_ok(snn_device_open("cpu", 2, &m->device));
    m->net.device = &m->device;
    snprintf(text, sizeof text, "model: %s\nloss: {name: ce, over: step}\n", model);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &m->doc));
    ck_ok(snn_loss_read(snn_conf_at(m->doc, "loss"), &m->net.loss));
    ck_ok(snn_model_build(snn_conf_at(m->doc, "model"), &input, 0, &m->net.model));
}

/* Forward over a whole batch, and backward from a gradient that is made up. */
static void run_model(struct made_network *m, struct made_batch *made, bool train) {
    struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = STEPS, .train = true, .slice = SAMPLES};
    struct snn_tensor *y = m->net.model.tape.output;
    uint32_t seed = 5;
    make_batch(STEPS, false, false, made);
    ck_ok(snn_network_allocate(&m->net, &plan));
    snn_params_init(&m->net.model.params, 3, m->net.model.params.value);
    struct snn_cut cut = {.batch = &made->batch, .T = STEPS, .train = train};
    snn_network_forward(&m->net, &cut);
    if (!train) return;
    for (ptrdiff_t i = 0; i < STEPS * SAMPLES * y->units; ++i) y->grad[i] = (real)(made_noise(&seed) % 201) / 100 - 1;
}

static const struct snn_param *param(const struct made_network *m, const char *name) {
    const struct snn_param *p = snn_params_find(&m->net.model.params, name);
    ck_assert_msg(p, "no %s", name);
    return p;
}

/* ---- sums ---- */

struct geometry {
    int taps, count, kernel[3], stride[3], padding[3], dilation[3], groups;
};
static const struct {
    const char *model; /* the layer is model.INDEX.delay_conv */
    int index;
    bool train;
    enum snn_form form;
    struct geometry of;
} sums[] = {
    /* lists of events, bits of spikes, numbers */
    {"[delay_conv: {out: 5, kernel: 3, padding: 1, taps: 3, version: all}]",
     0,
     true,
     SNN_LISTS,
     {3, 0, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, 1}},
    {"[lif, delay_conv: {out: 5, kernel: 3, padding: 1, taps: 3, version: all}]",
     1,
     true,
     SNN_BITS,
     {3, 0, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, 1}},
    {"[batchnorm, delay_conv: {out: 20, kernel: 3, padding: 1, taps: 3, version: all}]",
     1,
     true,
     SNN_DENSE,
     {3, 0, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, 1}},
    {"[delay_conv: {out: 4, kernel: [2, 3], stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2, taps: 7, "
     "version: all, bias: false}]",
     0,
     true,
     SNN_LISTS,
     {7, 0, {1, 2, 3}, {1, 2, 1}, {0, 1, 2}, {1, 1, 2}, 2}},
    {"[lif, reshape: [2, -1], delay_conv: {out: 4, kernel: 5, stride: 3, taps: 2, version: all}]",
     2,
     true,
     SNN_BITS,
     {2, 0, {1, 1, 5}, {1, 1, 3}, {0, 0, 0}, {1, 1, 1}, 1}},
    {"[reshape: [2, 3, 2, -1], delay_conv: {out: 3, kernel: [2, 1, 3], padding: [1, 0, 0], taps: 5, version: all}]",
     1,
     true,
     SNN_LISTS,
     {5, 0, {2, 1, 3}, {1, 1, 1}, {1, 0, 0}, {1, 1, 1}, 1}},
    /* elements, and in evaluation the nearest whole delays */
    {"[delay_conv: {out: 5, kernel: 3, padding: 1, taps: 5, version: v1}]",
     0,
     true,
     SNN_LISTS,
     {5, 1, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, 1}},
    {"[lif, delay_conv: {out: 5, kernel: 2, taps: 7, version: max, sigma: 0.7, count: 3}]",
     1,
     true,
     SNN_BITS,
     {7, 3, {1, 2, 2}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 1}},
    {"[batchnorm, delay_conv: {out: 4, kernel: 3, groups: 2, taps: 3, sigma: 0.6, count: 2}]",
     1,
     true,
     SNN_DENSE,
     {3, 2, {1, 3, 3}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 2}},
    {"[delay_conv: {out: 5, kernel: 3, padding: 1, taps: 5, version: gauss, count: 2}]",
     0,
     false,
     SNN_LISTS,
     {5, 2, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, 1}},
};

/* What delay.h says of an element: its share of tap n. */
static double element(const char *model, bool train, int taps, double position, int n) {
    double p = position + taps / 2, all = 0, own = 0;
    if (!train) return n == (int)rint(p) ? 1 / (1 + 1e-7) : 0;
    for (int k = 0; k < taps; ++k) {
        double far = fabs(k - p), g = strstr(model, "v1")    ? fmax(0, 1 - far)
                                      : strstr(model, "max") ? fmax(0, 1.7 - far)
                                                             : exp(-far * far / (0.87 * 0.87) / 2);
        all += g, own = k == n ? g : own;
    }
    return own / (all + 1e-7);
}

/* Weight of tap n, output o and place k of its fan-in. */
static double weight_at(const struct made_network *m, int which, int n, int64_t o, int64_t k, int64_t fan_in,
                        int64_t O) {
    const struct geometry *g = &sums[which].of;
    char name[64];
    snprintf(name, sizeof name, "model.%d.delay_conv.weight", sums[which].index);
    const struct snn_param *w = param(m, name);
    if (!g->count) return (double)w->value[(n * O + o) * fan_in + k];
    snprintf(name, sizeof name, "model.%d.delay_conv.position", sums[which].index);
    const struct snn_param *p = param(m, name);
    double sum = 0;
    for (int e = 0; e < g->count; ++e) {
        int64_t at = (o * fan_in + k) * g->count + e;
        sum += (double)w->value[at] * element(sums[which].model, sums[which].train, g->taps, (double)p->value[at], n);
    }
    return sum;
}

START_TEST(is_the_sum) {
    const struct geometry *g = &sums[_i].of;
    struct made_network m;
    static struct made_batch made;
    static real x[STEPS * SAMPLES * UNITS];
    open_model(sums[_i].model, &m);
    run_model(&m, &made, sums[_i].train);
    const struct snn_node *node = m.net.model.tape.node[m.net.model.tape.nodes - 1];
    const struct snn_tensor *in = node->in[0], *y = node->out;
    struct snn_rows rows = snn_tensor_rows(in);
    ck_assert_str_eq(node->op->name, "conv delays");
    ck_assert_int_eq(snn_rows_form(&rows), sums[_i].form);
    for (int r = 0; r < STEPS * SAMPLES; ++r) {
        static real spare[UNITS];
        memcpy(x + r * UNITS, snn_rows_expand(&rows, r, UNITS, spare), sizeof spare);
    }
    int size[3] = {1, 1, 1}, out[3] = {1, 1, 1}, C = in->dim[0], O = y->dim[0], c_in = C / g->groups;
    for (int i = 1; i < in->nd; ++i) size[3 - in->nd + i] = in->dim[i], out[3 - in->nd + i] = y->dim[i];
    int64_t places = (int64_t)g->kernel[0] * g->kernel[1] * g->kernel[2], fan_in = c_in * places;
    const struct snn_param *b = node->param[1];
    for (int64_t i = 0; i < STEPS * SAMPLES * y->units; ++i) {
        int64_t r = i / y->units, t = r / SAMPLES, o = i % y->units / (y->units / O), pixel = i % (y->units / O);
        int64_t at[3] = {pixel / out[2] / out[1], pixel / out[2] % out[1], pixel % out[2]};
        double sum = b ? (double)b->value[o] : 0, size_of = 0;
        for (int n = 0; n < g->taps; ++n)
            for (int64_t k = 0; k < fan_in; ++k) {
                int64_t delay = g->taps - 1 - n, c = o / (O / g->groups) * c_in + k / places, from[3];
                int64_t place[3] = {k % places / g->kernel[2] / g->kernel[1], k / g->kernel[2] % g->kernel[1],
                                    k % g->kernel[2]};
                bool inside = delay <= t;
                for (int a = 0; a < 3; ++a) {
                    from[a] = at[a] * g->stride[a] - g->padding[a] + place[a] * g->dilation[a];
                    inside = inside && from[a] >= 0 && from[a] < size[a];
                }
                if (!inside) continue;
                int64_t unit = ((c * size[0] + from[0]) * size[1] + from[1]) * size[2] + from[2];
                double term = weight_at(&m, _i, n, o, k, fan_in, O) * (double)x[(r - delay * SAMPLES) * UNITS + unit];
                sum += term, size_of += fabs(term);
            }
        ck_assert_msg(fabs((double)y->data[i] - sum) <= 2e-6 * (1 + size_of), "%s: %g at %d, not %g", sums[_i].model,
                      (double)y->data[i], (int)i, sum);
    }
    close_network(&m);
}
END_TEST

/* ---- layers that it is the same as ---- */

static const struct {
    const char *model, *other;
    int index, other_index; /* of the layer */
    int params;
    double within;
} pairs[] = {
    {"[flatten, reshape: [72, 1, 1], delay_conv: {out: 9, kernel: 1, taps: 5, count: 2, bias: false, sigma: 0.5}, "
     "flatten]",
     "[flatten, delay: {out: 9, kernel: 5, count: 2, sigma: 0.5}]", 2, 1, 2, 1e-5},
    {"[flatten, reshape: [72, 1, 1], delay_conv: {out: 6, kernel: 1, taps: 3, groups: 3, bias: false, learn_sigma: "
     "true, sigma: 0.6, version: max}, flatten]",
     "[flatten, delay: {out: 6, kernel: 3, groups: 3, learn_sigma: true, sigma: 0.6, version: max}]", 2, 1, 3, 1e-5},
    {"[delay_conv: {out: 5, kernel: 3, padding: 1, taps: 1, version: all}]", "[conv: {out: 5, kernel: 3, padding: 1}]",
     0, 0, 1, 0},
    {"[lif, delay_conv: {out: 4, kernel: [2, 3], stride: 2, groups: 2, taps: 1, version: v1, bias: false}]",
     "[lif, conv: {out: 4, kernel: [2, 3], stride: 2, groups: 2, bias: false}]", 1, 1, 1, 1e-5},
};

START_TEST(is_the_same_as) {
    static const char *const names[] = {"weight", "position", "sigma"};
    struct made_network m[2];
    static struct made_batch made[2];
    for (int k = 0; k < 2; ++k) {
        open_model(k ? pairs[_i].other : pairs[_i].model, &m[k]);
        run_model(&m[k], &made[k], true);
        snn_network_zero_gradients(&m[k].net);
        struct snn_cut cut = {.batch = &made[k].batch, .T = STEPS, .train = true};
        snn_network_backward(&m[k].net, &cut);
        snn_network_backward_batch(&m[k].net, &cut);
    }
    const struct snn_tensor *y = m[0].net.model.tape.output, *z = m[1].net.model.tape.output;
    ck_assert_int_eq(y->units, z->units);
    for (ptrdiff_t i = 0; i < STEPS * SAMPLES * y->units; ++i)
        ck_assert_msg(fabs((double)y->data[i] - (double)z->data[i]) <=
                          pairs[_i].within * (1 + fabs((double)z->data[i])),
                      "%g at %d, not %g", (double)y->data[i], (int)i, (double)z->data[i]);
    for (int k = 0; k < pairs[_i].params; ++k) {
        char name[64], other[64];
        bool conv = strstr(pairs[_i].other, " conv") || pairs[_i].other[1] == 'c';
        snprintf(name, sizeof name, "model.%d.delay_conv.%s", pairs[_i].index, names[k]);
        snprintf(other, sizeof other, "model.%d.%s.%s", pairs[_i].other_index, conv ? "conv" : "delay", names[k]);
        const struct snn_param *p = param(&m[0], name), *q = param(&m[1], other);
        double most = 0;
        ck_assert_int_eq(p->count, q->count);
        for (ptrdiff_t i = 0; i < p->count; ++i) most = fmax(most, fabs((double)q->grad[i]));
        ck_assert(most > 0);
        for (ptrdiff_t i = 0; i < p->count; ++i) {
            ck_assert(fabs((double)p->value[i] - (double)q->value[i]) < 1e-6);
            ck_assert_msg(fabs((double)p->grad[i] - (double)q->grad[i]) <= pairs[_i].within * most,
                          "gradient of %s: %g at %d, not %g", name, (double)p->grad[i], (int)i, (double)q->grad[i]);
        }
    }
    for (int k = 0; k < 2; ++k) close_network(&m[k]);
}
END_TEST

/* ---- cuts ---- */

static void run_cuts(const char *model, int32_t each, int32_t T, real *out) {
    struct made_network m;
    open_network(model, false, &m);
    outputs_of_cuts(&m, T, each, out);
    close_network(&m);
}

START_TEST(chunked_is_whole) {
    static const char *const models[] = {
        "[delay_conv: {out: 3, kernel: 3, taps: 5, version: all}, lif, delay_conv: {out: 2, kernel: 3, taps: 7}, lif, "
        "flatten, linear: 4]",
        "[batchnorm: {over: step}, delay_conv: {out: 3, kernel: 3, stride: 2, taps: 3, count: 2, version: v1}, "
        "flatten, "
        "linear: 4]"};
    real whole[STEPS * SAMPLES * CLASSES], cut[STEPS * SAMPLES * CLASSES];
    for (int k = 0; k < 2; ++k) {
        run_cuts(models[k], STEPS, STEPS, whole);
        for (int32_t each = 1; each < STEPS; ++each) {
            run_cuts(models[k], each, STEPS, cut);
            for (int i = 0; i < STEPS * SAMPLES * CLASSES; ++i)
                ck_assert_msg(fabs((double)cut[i] - (double)whole[i]) < 1e-5, "cuts of %d: %g at %d, not %g", (int)each,
                              (double)cut[i], i, (double)whole[i]);
        }
        run_cuts(models[k], 1, 1, cut); /* fewer steps than delays */
        for (int i = 0; i < SAMPLES * CLASSES && k == 0; ++i) ck_assert(fabs((double)cut[i] - (double)whole[i]) < 1e-5);
    }
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *keys, *error;
} refused[] = {
    {"out: 3, kernel: 3", "model.0.delay_conv: key 'taps' is missing"},
    {"kernel: 3, taps: 3", "model.0.delay_conv: key 'out' is missing"},
    {"out: 3, kernel: 3, taps: 0", "model.0.delay_conv.taps: expected an integer of 1..255, got 0"},
    {"out: 3, kernel: 3, taps: 4", "model.0.delay_conv.taps: expected an odd number of steps, got 4"},
    {"out: 3, kernel: 3, taps: 9",
     "model.0.delay_conv.taps: expected at most the 7 steps of a sample (data.timesteps), got 9"},
    {"out: 3, kernel: 3, taps: 8, version: all",
     "model.0.delay_conv.taps: expected at most the 7 steps of a sample (data.timesteps), got 8"},
    {"out: 3, kernel: 9, taps: 3", "model.0.delay_conv: the kernel does not fit into (2,6,6)"},
    {"out: 3, kernel: 3, taps: 3, groups: 2", "model.0.delay_conv: 2 input and 3 output channels do not divide"},
    {"out: 3, kernel: 3, taps: 3, sigma: -1", "model.0.delay_conv.sigma: expected a number of 0..1000000, got -1"},
    {"out: 3, kernel: 3, taps: 3, version: v1, sigma: 1",
     "model.0.delay_conv.sigma: takes effect with version: gauss or max only"},
    {"out: 3, kernel: 3, taps: 3, version: every", "model.0.delay_conv.version: expected "},
    {"out: 3, kernel: 3, taps: 3, count: 65", "model.0.delay_conv.count: expected an integer of 1..64, got 65"},
    {"out: 3, kernel: 3, taps: 3, position: nowhere", "model.0.delay_conv.position: "},
    {"out: 3, kernel: 3, taps: 3, version: all, count: 2", "model.0.delay_conv.count: takes effect with elements only"},
    {"out: 3, kernel: 3, taps: 3, version: all, sigma: 2", "model.0.delay_conv.sigma: takes effect with elements only"},
    {"out: 3, kernel: 3, taps: 3, version: all, learn_sigma: true",
     "model.0.delay_conv.learn_sigma: takes effect with elements only"},
    {"out: 3, kernel: 3, taps: 3, version: all, learn: false",
     "model.0.delay_conv.learn: takes effect with elements only"},
    {"out: 3, kernel: 3, taps: 3, version: all, round: false",
     "model.0.delay_conv.round: takes effect with elements only"},
    {"out: 3, kernel: 3, taps: 3, version: all, position: uniform",
     "model.0.delay_conv.position: takes effect with elements only"},
    {"[reshape: [2, 36, 1], delay_conv: {out: 65536, kernel: 63, padding: 31, taps: 3}]",
     "model.1.delay_conv: 520224768 synapses of 3 steps are too many"},
};

static int build(const char *list, bool still) {
    struct snn_conf_doc *doc;
    struct snn_model model;
    struct snn_model_input input = {.C = 2, .H = 6, .W = 6, .steps = STEPS, .is_static = still};
    char text[300];
    snprintf(text, sizeof text, "model: %s", list);
    ck_ok(snn_conf_parse(text, strlen(text), "test", &doc));
    int rc = snn_model_build(snn_conf_at(doc, "model"), &input, 0, &model);
    if (rc >= 0) snn_model_free(&model);
    snn_conf_free(&doc);
    return rc;
}

START_TEST(refuses) {
    char list[250];
    bool whole = refused[_i].keys[0] == '[';
    snprintf(list, sizeof list, "%s%s%s", whole ? "" : "[delay_conv: {", refused[_i].keys, whole ? "" : "}]");
    ck_assert_int_eq(build(list, false), SNN_EUSAGE);
    ck_assert_msg(strstr(snn_error_text(), refused[_i].error), "%s: %s", list, snn_error_text());
}
END_TEST

START_TEST(needs_time_and_space) {
    ck_assert_int_eq(build("[flatten, delay_conv: {out: 3, kernel: 3, taps: 3}]", false), SNN_EUSAGE);
    ck_assert_msg(strstr(snn_error_text(), "delay_conv: needs an input (C,L), (C,H,W) or (C,D,H,W)"), "%s",
                  snn_error_text());
    ck_assert_int_eq(build("[delay_conv: {out: 3, kernel: 3, taps: 3}]", true), SNN_EUSAGE);
    ck_assert_msg(strstr(snn_error_text(), "its input is the same at every step"), "%s", snn_error_text());
    ck_ok(build("[lif, delay_conv: {out: 3, kernel: 3, taps: 3}]", true));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("delay_conv");
    TCase *t = tcase_create("delay_conv");
    tcase_add_loop_test(t, is_the_sum, 0, sizeof sums / sizeof *sums);
    tcase_add_loop_test(t, is_the_same_as, 0, sizeof pairs / sizeof *pairs);
    tcase_add_test(t, chunked_is_whole);
    tcase_add_loop_test(t, refuses, 0, sizeof refused / sizeof *refused);
    tcase_add_test(t, needs_time_and_space);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
