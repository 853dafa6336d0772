/* SPDX-License-Identifier: Apache-2.0
 * golden_ultra.c - UltraLIF and UltraDLIF: single layers, soft, sharp and hard, one step of the algebra, and networks
 * with two steps of an optimiser, against float64 runs of the equations. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "golden.h"
#include "layers/ultra.h"

/* A network whose device looks on, and starts from another V or adds a penalty where a case says so. */
struct watched {
    struct golden_net net; /* first: the device is its first member */
    const struct snn_ultra_kernels *real_ultra;
    struct snn_ultra_kernels ultra;
    double v0;
    double penalty;    /* of the mean spike: added to the gradient of every one */
    double *s, *v, *m; /* (T,B,N) of the last forward pass */
    double mean;       /* spike */
};

static real fired_by(const struct snn_ultra_scan *scan, const real *u, ptrdiff_t i) {
    ptrdiff_t ring = scan->spec->ring, first = i / ring * ring, at = i - first;
    if (scan->spec->charge != SNN_ULTRA_SPREAD) return u[i];
    real l = u[first + (at + ring - 1) % ring], r = u[first + (at + 1) % ring];
    return scan->spec->hard ? ultra_largest(l, u[i], r) : ultra_three(scan->numbers, l, u[i], r).soft;
}

/* The scan, then step by step once more: V between steps is nowhere kept. */
static void watch_forward(struct snn_device *device, const struct snn_ultra_scan *given) {
    struct watched *w = (struct watched *)device;
    struct golden *c = w->net.c;
    struct snn_ultra_scan scan = *given;
    ptrdiff_t step = scan.B * scan.N, n = scan.T * step;
    real *state = golden_own(c, (size_t)step, sizeof *state), *spikes = golden_own(c, (size_t)step, sizeof *spikes),
         *u = golden_own(c, (size_t)step, sizeof *u), *v = golden_own(c, (size_t)step, sizeof *v);
    uint64_t *bits = golden_own(c, (size_t)scan.B * (size_t)scan.words, sizeof *bits);
    for (ptrdiff_t i = 0; i < step; ++i) state[i] = (real)w->v0;
    w->s = golden_own(c, (size_t)n, sizeof *w->s), w->v = golden_own(c, (size_t)n, sizeof *w->v);
    w->m = golden_own(c, (size_t)n, sizeof *w->m), w->mean = 0;
    for (int32_t t = 0; t < scan.T; ++t) { /* before the scan itself, which may take the place of its input */
        struct snn_ultra_scan one = scan;
        one.T = 1, one.x += t * scan.x_step, one.u = u, one.u_step = 0, one.v = v, one.y = spikes;
        one.state_in = state;
        if (scan.bits) one.bits = bits;
        w->real_ultra->forward(device, &one);
        memcpy(state, v, (size_t)step * sizeof *state);
        for (ptrdiff_t i = 0; i < step; ++i) {
            ptrdiff_t b = i / scan.N, j = i % scan.N;
            bool bit = bits[b * scan.words + j / 64] >> (j % 64) & 1;
            if (scan.bits && bit != (spikes[i] != 0)) golden_fail(c, "bits differ from numbers");
            w->s[t * step + i] = (double)spikes[i], w->v[t * step + i] = (double)v[i];
            w->m[t * step + i] = (double)fired_by(&scan, u + b * scan.N, j);
            w->mean += (double)spikes[i] / (double)n;
        }
    }
    for (ptrdiff_t i = 0; i < step; ++i) state[i] = (real)w->v0;
    if (w->v0 != 0) scan.state_in = state;
    w->real_ultra->forward(device, &scan);
}

static void watch_backward(struct snn_device *device, const struct snn_ultra_scan *given) {
    struct watched *w = (struct watched *)device;
    struct snn_ultra_scan scan = *given;
    ptrdiff_t step = scan.B * scan.N, n = scan.T * step;
    real *state = golden_own(w->net.c, (size_t)step, sizeof *state), *gy = (real *)scan.gy;
    for (ptrdiff_t i = 0; i < step; ++i) state[i] = (real)w->v0;
    if (w->v0 != 0) scan.state_in = state;
    for (ptrdiff_t i = 0; i < n; ++i) gy[i] += (real)(w->penalty / (double)n);
    w->real_ultra->backward(device, &scan);
}

static bool open_watched(struct golden *c, struct watched *w) {
    *w = (struct watched){0};
    if (!golden_net_open(c, &w->net)) return false;
    w->real_ultra = w->net.device.ultra;
    w->ultra = *w->real_ultra;
    w->ultra.forward = watch_forward, w->ultra.backward = watch_backward;
    w->net.device.ultra = &w->ultra;
    return true;
}

/* ---- single layers ---- */

struct facts { /* of a case */
    bool dlif, code;
    const char *offset; /* "" where it says nothing */
    double tau, theta, v_reset;
};

static bool read_kind(struct golden *c, const char *neuron, const char *form, struct facts *f) {
    f->dlif = strstr(neuron, "dlif") != NULL, f->code = !strcmp(form, "code");
    if (strcmp(neuron, "ultra_lif") && strcmp(neuron, "ultra_dlif") && strcmp(neuron, "lif") && strcmp(neuron, "dlif"))
        return golden_fail(c, "does not understand neuron '%s'", neuron);
    if (!f->code && strcmp(form, "paper")) return golden_fail(c, "does not understand form '%s'", form);
    return true;
}

static bool has_leak(const struct facts *f) { return !f->dlif || f->code; }

/* Keys that are the same everywhere, without the closing brace. */
static void put_layer(FILE *yaml, const struct facts *f, bool learned, const char *leak) {
    bool leaks = has_leak(f);
    fprintf(yaml, "ultra%s%slif: {form: %s, threshold: %.17g, v_reset: %.17g", f->dlif ? "d" : "",
            learned && leaks ? "p" : "", f->code ? "code" : "paper", f->theta, f->v_reset);
    if (leaks) fprintf(yaml, ", tau: %.17g", f->tau);
    if (learned && leaks) fprintf(yaml, ", leak: %s", leak);
    if (*f->offset) fprintf(yaml, ", leak_offset: %s", f->offset);
}

static void build_layer(struct watched *w, const char *text, bool hard) {
    struct golden *c = w->net.c;
    struct snn_network *n = &w->net.network;
    if (!golden_net_input(&w->net, "x", false)) return; /* for the batch: the model makes a tape of its own */
    snn_tape_free(&n->model.tape);
    if (!golden_parse(c, &w->net, text)) return;
    struct snn_model_input input = {
        .C = w->net.batch.C, .H = w->net.batch.H, .W = w->net.batch.W, .wants_grad = !hard, .hard = hard};
    if (!golden_ok(c, snn_model_build(snn_conf_get(snn_conf_root(w->net.doc), "model"), &input, 0, &n->model))) return;
    struct snn_network_plan plan = {
        .T = w->net.batch.T, .B = w->net.batch.B, .cut = w->net.batch.T, .slice = w->net.batch.B, .train = !hard};
    if (golden_ok(c, snn_network_allocate(n, &plan))) snn_params_init(&n->model.params, 1, n->model.params.value);
}

enum mode { LEARNED, SHARP, HARD };
/* A sigmoid of slope 1000 has a slope of 250 at most, by which the rounding of a membrane of 1 grows. */
#define SHARP_VALUE (sizeof(real) == sizeof(double) ? GOLDEN_VALUE : 250 * 6e-8)

static const struct snn_param *param_of(const struct snn_network *n, const char *name) {
    for (int i = 0; i < n->model.params.count; ++i)
        if (!strcmp(strrchr(n->model.params.list[i]->name, '.') + 1, name)) return n->model.params.list[i];
    return NULL;
}

static void compare_gradients(struct watched *w, double epsilon) {
    struct golden *c = w->net.c;
    const struct snn_network *n = &w->net.network;
    const struct snn_tensor *x = n->model.tape.input;
    static const struct {
        const char *param, *theirs[2];
    } names[] = {{"log_tau", {"glogtau", NULL}},
                 {"rho", {"grho", NULL}},
                 {"threshold", {"gtheta", NULL}},
                 {"v_reset", {"gv_reset", "gvreset"}}};
    golden_compare_real(c, "gx", x->grad, (size_t)w->net.batch.T * (size_t)w->net.batch.B * (size_t)x->units,
                        GOLDEN_GRADIENT);
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        const struct snn_param *p = param_of(n, names[i].param);
        double g = p ? (double)p->grad[0] : 0; /* no leak: it has none */
        for (int k = 0; k < 2 && names[i].theirs[k]; ++k) golden_compare(c, names[i].theirs[k], &g, 1, GOLDEN_GRADIENT);
    }
    double geps = (double)param_of(n, "rho")->grad[0] / epsilon;
    golden_compare(c, "geps", &geps, 1, GOLDEN_GRADIENT);
}

static void run_layer(struct golden *c, const struct facts *f, enum mode mode, double epsilon, double v0) {
    struct watched w;
    char *text = NULL;
    size_t size;
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    fprintf(yaml, "model: [");
    put_layer(yaml, f, mode == LEARNED, "log");
    fprintf(yaml, ", learn_threshold: true, learn_reset: true"); /* a network must have something to learn */
    if (mode == LEARNED) fprintf(yaml, ", epsilon: %.17g, epsilon_min: 1e-6, epsilon_max: 1e6", epsilon);
    else
        fprintf(yaml, ", epsilon: %s, learn_epsilon: none",
                mode == SHARP ? "1e-3" : "1e-6"); /* the leak's offset may have a factor of epsilon */
    fprintf(yaml, "}]\n");
    fclose(yaml);
    if (c->verdict == GOLDEN_PASS && open_watched(c, &w)) {
        w.v0 = v0;
        build_layer(&w, text, mode == HARD);
        if (c->verdict == GOLDEN_PASS) {
            const struct snn_tensor *y = w.net.network.model.tape.output;
            size_t count = (size_t)w.net.batch.T * (size_t)w.net.batch.B * (size_t)y->units;
            golden_net_forward(&w.net, mode == LEARNED, SNN_HARD);
            golden_compare_real(c,
                                mode == LEARNED ? "s"
                                : mode == SHARP ? "s_eps1e-3"
                                                : "s_hard",
                                y->data, count,
                                mode == HARD    ? GOLDEN_EXACT
                                : mode == SHARP ? SHARP_VALUE
                                                : GOLDEN_VALUE);
            if (mode == HARD) golden_compare(c, "v_hard", w.v, count, GOLDEN_VALUE);
            if (mode == LEARNED) {
                golden_compare(c, "v", w.v, count, GOLDEN_VALUE);
                golden_compare(c, "pre", w.m, count, GOLDEN_VALUE);
                golden_net_backward(&w.net, "gs", true);
                compare_gradients(&w, epsilon);
            }
        }
        golden_net_close(&w.net);
    }
    free(text);
}

/* ---- one step of the algebra ---- */

static void scalar_step(struct golden *c) {
    double eps = golden_number(c, "epsilon"), v = golden_number(c, "V"), x = golden_number(c, "I");
    struct snn_ultra k = {.tau = (real)golden_number(c, "tau"),
                          .offset = (real)log(golden_number(c, "tau")),
                          .eps = (real)eps,
                          .rate = (real)(1 / eps),
                          .slope = (real)(1 / eps),
                          .theta = (real)golden_number(c, "theta"),
                          .v_reset = (real)golden_number_or(c, "v_reset", 0)};
    struct snn_two two = ultra_two(&k, (real)v + k.offset, (real)x);
    struct snn_ultra_spike spike = ultra_fire(&k, two.soft);
    real next = ultra_reset(&k, SNN_ULTRA_VALUE, two.soft, two.soft, &spike);
    struct snn_ultra_adjoint a = ultra_adjoint(&k, SNN_ULTRA_VALUE, two.soft, two.soft, &spike,
                                               (real)golden_number(c, "gs"), (real)golden_number(c, "gv"));
    real g = a.u + a.m;
    double grad[5] = {(double)(g * two.a), (double)(g * two.b), (double)(g * two.a), (double)a.theta,
                      (double)(a.eps + g * two.entropy) - (double)a.slope / (eps * eps)};
    golden_compare_real(c, "s", &spike.s, 1, GOLDEN_VALUE);
    golden_compare_real(c, "vnew", &next, 1, GOLDEN_VALUE);
    golden_compare(c, "grad", grad, 5, GOLDEN_VALUE);
}

/* ---- networks ---- */

/* Parameters of "linear, neuron, linear" under the case's names. */
static const struct {
    const char *ours, *theirs;
} net_params[] = {{"model.0.linear.weight", "w1"},
                  {"model.0.linear.bias", "b1"},
                  {"model.2.linear.weight", "w2"},
                  {"model.2.linear.bias", "b2"},
                  {".rho", "rho"},
                  {".tau_raw", "tau_raw"}};
enum { NET_PARAMS = sizeof net_params / sizeof *net_params };

static struct snn_param *net_param(const struct snn_network *n, int i) {
    const char *ours = net_params[i].ours;
    for (int k = 0; k < n->model.params.count; ++k) {
        const char *name = n->model.params.list[k]->name;
        if (*ours == '.' ? !strcmp(strrchr(name, '.'), ours) : !strcmp(name, ours)) return n->model.params.list[k];
    }
    return NULL; /* a tau that is not learned */
}

static void set_params(struct golden *c, const struct snn_network *n) {
    for (int i = 0; i < NET_PARAMS; ++i) {
        struct snn_param *p = net_param(n, i);
        const struct snn_st_tensor *shape = NULL;
        const double *start = golden_tensor(c, net_params[i].theirs, &shape);
        if (!start || !p) continue;
        if (snn_st_elements(shape) != (uint64_t)p->count)
            golden_fail(c, "'%s' does not fit the network", net_params[i].theirs);
        for (ptrdiff_t k = 0; c->verdict == GOLDEN_PASS && k < p->count; ++k) p->value[k] = (real)start[k];
    }
}

static void compare_net_params(struct golden *c, const struct snn_network *n, const char *format, int step) {
    char name[64];
    for (int i = 0; i < NET_PARAMS; ++i) {
        const struct snn_param *p = net_param(n, i);
        snprintf(name, sizeof name, format, net_params[i].theirs, step);
        if (p) golden_compare_real(c, name, step ? p->value : p->grad, (size_t)p->count, GOLDEN_GRADIENT);
        else if (step) golden_compare(c, name, golden_tensor(c, net_params[i].theirs, NULL), 1, GOLDEN_VALUE);
        else golden_compare(c, name, &(double){0}, 1, GOLDEN_VALUE);
    }
}

static void compare_outputs(struct watched *w, double loss) {
    const struct snn_batch *batch = &w->net.batch;
    const struct snn_tensor *y = w->net.network.model.tape.output;
    size_t row = (size_t)batch->B * (size_t)y->units,
           hidden = (size_t)batch->T * (size_t)batch->B * (size_t)w->net.network.model.layer[1].out->units;
    double *mean = golden_own(w->net.c, row, sizeof *mean);
    for (size_t i = 0; i < row * (size_t)batch->T; ++i) mean[i % row] += (double)y->data[i] / batch->T;
    golden_compare(w->net.c, "s", w->s, hidden, GOLDEN_VALUE);
    golden_compare(w->net.c, "logits", mean, row, GOLDEN_GRADIENT);
    golden_compare(w->net.c, "loss", &loss, 1, GOLDEN_GRADIENT);
}

static void train_net(struct watched *w) {
    struct golden *c = w->net.c;
    struct snn_network *n = &w->net.network;
    struct snn_cut cut = {.batch = &w->net.batch, .T = w->net.batch.T, .train = true};
    int steps = (int)golden_number(c, "steps");
    for (int step = 1; c->verdict == GOLDEN_PASS && step <= steps; ++step) {
        double loss;
        golden_net_forward(&w->net, true, SNN_HARD);
        snn_network_set_step(n, 0, (uint32_t)step, 1.0 / w->net.batch.B);
        snn_network_loss(n, &cut, true);
        if (!golden_ok(c, snn_network_loss_sum(n, &cut, &loss))) return;
        if (step == 1) compare_outputs(w, loss / w->net.batch.B + w->penalty * w->mean);
        golden_net_backward(&w->net, NULL, true);
        if (step == 1) compare_net_params(c, n, "g%s", 0);
        snn_optim_step(n->optim, &w->net.device, 1, NAN);
    }
    compare_net_params(c, n, "%s_after%d", steps);
}

static bool build_net(struct watched *w, const char *text) {
    struct golden *c = w->net.c;
    struct snn_network *n = &w->net.network;
    if (!golden_net_input(&w->net, "x", false)) return false;
    snn_tape_free(&n->model.tape);
    if (!golden_parse(c, &w->net, text)) return false;
    struct snn_conf *root = snn_conf_root(w->net.doc);
    struct snn_model_input input = {.C = w->net.batch.C, .H = 1, .W = 1};
    return golden_ok(c, snn_model_build(snn_conf_get(root, "model"), &input, 0, &n->model)) &&
           golden_ok(c, snn_loss_read(snn_conf_get(root, "loss"), &n->loss)) &&
           golden_ok(c, snn_optim_open(snn_conf_get(root, "optimizer"), &n->model.params, &n->optim)) &&
           golden_net_allocate(&w->net, false);
}

static void ultra_net(struct golden *c) {
    double least, most;
    int read = 0;
    struct facts f = {.offset = golden_text(c, "leak_offset"), .theta = golden_number(c, "theta")};
    bool learn_tau = golden_flag(c, "learn_tau", false);
    json_t *settings = golden_fact(c, "optimizer");
    const char *kind = json_string_value(json_object_get(settings, "kind")), *epsilon = golden_text(c, "epsilon");
    f.v_reset = golden_number_or(c, "v_reset", 0);
    if (!read_kind(c, golden_text(c, "kind"), golden_text(c, "form"), &f)) return;
    if (sscanf(epsilon, "clamp(exp(rho),%lf,%lf)%n", &least, &most, &read) != 2 || epsilon[read])
        golden_fail(c, "does not understand epsilon '%s'", epsilon);
    if (strcmp(golden_text(c, "tau"), "sigmoid(tau_raw)"))
        golden_fail(c, "does not understand tau '%s'", golden_text(c, "tau"));
    if (strcmp(golden_text(c, "loss_kind"), "CE(mean_t W2 s + b2) + lam*mean(s)"))
        golden_fail(c, "does not understand loss_kind '%s'", golden_text(c, "loss_kind"));
    if (!kind) golden_fail(c, "the case does not say the optimizer's 'kind'");
    const struct snn_st_tensor *b1, *b2, *labels;
    const double *raw = golden_tensor(c, "tau_raw", NULL), *rho = golden_tensor(c, "rho", NULL),
                 *y = golden_tensor(c, "y", &labels);
    if (!golden_tensor(c, "b1", &b1) || !golden_tensor(c, "b2", &b2) || !raw || !rho || !y) return;
    f.tau = 1 / (1 + exp(-raw[0]));
    char *text = NULL;
    size_t size;
    FILE *yaml = open_memstream(&text, &size);
    SNN_CHECK(yaml, "out of memory in a test");
    fprintf(yaml, "model: [linear: %d, ", (int)b1->dim[0]);
    put_layer(yaml, &f, learn_tau, "sigmoid");
    fprintf(yaml, ", epsilon: %.17g, epsilon_min: %.17g, epsilon_max: %.17g}, linear: %d]\nloss: ce\noptimizer: ",
            fmin(fmax(exp(rho[0]), least), most), least, most, (int)b2->dim[0]);
    if (c->verdict == GOLDEN_PASS) golden_put_optimizer(c, yaml, kind, settings);
    fputc('\n', yaml);
    fclose(yaml);
    struct watched w;
    if (c->verdict == GOLDEN_PASS && open_watched(c, &w)) {
        w.penalty = golden_number_or(c, "lam", 0);
        if (build_net(&w, text) && snn_st_elements(labels) != (uint64_t)w.net.batch.B)
            golden_fail(c, "does not understand the shapes");
        if (c->verdict == GOLDEN_PASS) {
            for (int32_t b = 0; b < w.net.batch.B; ++b) w.net.batch.label[b] = (int32_t)y[b];
            set_params(c, &w.net.network);
            train_net(&w);
        }
        golden_net_close(&w.net);
    }
    free(text);
}

void golden_ultra(struct golden *c) {
    const char *op = golden_text(c, "op");
    if (!strcmp(op, "ultra_net")) {
        ultra_net(c);
        return;
    }
    if (*op) golden_fail(c, "does not understand op '%s'", op);
    struct facts f = {.offset = golden_text(c, "leak_offset")};
    if (!read_kind(c, golden_text(c, "neuron"), golden_text(c, "form"), &f)) return;
    if (golden_has(c, "I")) {
        if (f.dlif) golden_fail(c, "does not understand one step of neighbours");
        if (c->verdict == GOLDEN_PASS) scalar_step(c);
        return;
    }
    golden_text(c, "pre"), golden_text(c, "s_hard"); /* what these tensors are */
    const char *how = golden_text(c, "parametrisation");
    if (*how && !strstr(how, "eps=exp(rho)")) golden_fail(c, "does not understand parametrisation '%s'", how);
    f.tau = golden_number(c, "tau"), f.theta = golden_number(c, "theta"), f.v_reset = golden_number_or(c, "v_reset", 0);
    if (f.dlif) f.offset = ""; /* adds no leak */
    double epsilon = golden_number(c, "epsilon"), v0 = golden_number_or(c, "v0", 0);
    run_layer(c, &f, LEARNED, epsilon, v0);
    run_layer(c, &f, SHARP, epsilon, v0);
    run_layer(c, &f, HARD, epsilon, v0);
}
