/* SPDX-License-Identifier: Apache-2.0 */
#include "train/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/status.h"
#include "train/check_parts.h"
#include "train/penalty.h"

/* A batch of random frames, in memory of its own. */
struct synthetic {
    struct snn_batch batch;
    float *frames, *target;
    int32_t *small; /* label, length, sample */
};

static double draw(uint32_t stream, uint32_t i) { return snn_rng_unit(snn_rng_u32(7, SNN_RNG_TEST, stream, 0, i)); }

/* Targets (B,C) or (T,B,C) between -1 and 1, or shares of the classes. */
static int make_targets(const struct snn_check_options *o, int32_t C, struct synthetic *out) {
    struct snn_batch *b = &out->batch;
    b->targets = C, b->target_steps = o->targets == SNN_CHECK_NUMBERS_STEP;
    size_t count = snn_batch_targets(b);
    b->target = out->target = calloc(count, sizeof *out->target);
    if (!out->target) return snn_error(SNN_EFAIL, "out of memory for a gradient check");
    for (size_t i = 0; i < count; ++i) out->target[i] = (float)(2 * draw(2, 1000 + (uint32_t)i) - 1);
    for (float *row = out->target; o->targets == SNN_CHECK_SOFT && row < out->target + count; row += C) {
        double sum = 0;
        for (int32_t c = 0; c < C; ++c) sum += fabs((double)row[c]);
        for (int32_t c = 0; c < C; ++c) row[c] = (float)(fabs((double)row[c]) / sum);
    }
    return SNN_OK;
}

static int make_batch(const struct snn_network *n, const struct snn_check_options *o, struct synthetic *out) {
    const struct snn_tensor *x = n->model.tape.input;
    int32_t classes = (int32_t)n->model.tape.output->units;
    size_t count = (size_t)o->B * (size_t)x->units * (size_t)(x->is_static ? 1 : o->T);
    *out =
        (struct synthetic){.frames = calloc(count, sizeof(float)), .small = calloc(3 * (size_t)o->B, sizeof(int32_t))};
    if (!out->frames || !out->small) return snn_error(SNN_EFAIL, "out of memory for a gradient check");
    for (size_t i = 0; i < count; ++i) out->frames[i] = (float)(2 * draw(1, (uint32_t)i) - 0.5);
    struct snn_batch *b = &out->batch;
    *b = (struct snn_batch){.form = x->is_static ? SNN_BATCH_STATIC : SNN_BATCH_FRAMES,
                            .T = o->T,
                            .B = o->B,
                            .C = x->dim[0],
                            .H = x->nd == 3 ? x->dim[1] : 1,
                            .W = x->nd == 3 ? x->dim[2] : 1,
                            .frames = out->frames,
                            .label = out->small,
                            .length = out->small + o->B,
                            .sample = out->small + 2 * o->B,
                            .masked = o->lengths};
    for (int32_t i = 0; i < o->B; ++i) {
        b->label[i] = (int32_t)snn_rng_below(snn_rng_u32(7, SNN_RNG_TEST, 2, 0, (uint32_t)i), (uint32_t)classes);
        b->length[i] = o->lengths && i >= o->B / 2 ? (o->T + 1) / 2 : o->T;
        b->sample[i] = i;
    }
    return o->targets == SNN_CHECK_LABELS ? SNN_OK : make_targets(o, classes, out);
}

struct probe { /* one network, its batch, and a way to evaluate the loss */
    struct snn_network *n;
    struct snn_batch *batch;
};

static double loss_of(const struct probe *p, enum snn_smooth smooth, bool gradient) {
    struct snn_cut cut = {.batch = p->batch, .T = p->batch->T, .train = true, .smooth = smooth};
    double loss;
    snn_network_set_step(p->n, 3, 0, 1);
    snn_network_forward(p->n, &cut);
    snn_network_loss(p->n, &cut, gradient);
    SNN_CHECK(snn_network_loss_sum(p->n, &cut, &loss) >= 0, "the host's own memory cannot be read");
    if (!gradient) return loss;
    snn_network_zero_gradients(p->n);
    snn_network_backward(p->n, &cut);
    snn_network_backward_batch(p->n, &cut);
    return loss;
}

/* A number that can be moved: a parameter, or an input (kept as float). */
struct number {
    real *value;
    float *frame;
};
static double get(struct number x) { return x.value ? (double)*x.value : (double)*x.frame; }
static void put(struct number x, double v) {
    if (x.value) *x.value = (real)v;
    else *x.frame = (float)v;
}

static double difference(const struct probe *p, struct number x, double h) {
    double at = get(x);
    put(x, at + h);
    double up = get(x), high = loss_of(p, SNN_SMOOTH_REPLAY, false);
    put(x, at - h);
    double down = get(x), low = loss_of(p, SNN_SMOOTH_REPLAY, false);
    put(x, at);
    return (high - low) / (up - down); /* the distance that was really moved */
}

/* Largest relative error over some numbers of one tensor. Steps are tried from large to small: near a kink only a small
 * one is right. */
static double check_tensor(const struct probe *p, real *values, float *frames, const real *grad, ptrdiff_t count,
                           int tries, double planted) {
    double scale = 0, worst = 0;
    for (ptrdiff_t i = 0; i < count; ++i) scale = fabs((double)grad[i]) > scale ? fabs((double)grad[i]) : scale;
    int n = (ptrdiff_t)tries < count ? tries : (int)count;
    for (int k = 0; k < n; ++k) {
        ptrdiff_t i = n == count ? k : (ptrdiff_t)(draw(3, (uint32_t)k) * (double)count);
        struct number x = {values ? values + i : NULL, frames ? frames + i : NULL};
        double analytic = (double)grad[i] * (1 + planted), best = INFINITY;
        for (double h = 1e-4; h > 1e-8 && best > SNN_CHECK_TOLERANCE / 10; h /= 8) {
            double numeric = difference(p, x, h), size = fmax(fabs(numeric), fabs(analytic));
            double error = fabs(numeric - analytic) /
                           fmax(size, 1e-3 * scale + 1e-6) /* a bias before a norm has none but rounding */;
            best = error < best ? error : best;
        }
        worst = best > worst ? best : worst;
    }
    return worst;
}

static void note(struct snn_check_report *r, const struct snn_check_options *o, const char *tensor, double error) {
    double tolerance = o->directions ? SNN_CHECK_TOLERANCE_ALONG : SNN_CHECK_TOLERANCE;
    ++r->checks;
    if (error > r->worst) r->worst = error;
    if (tolerance > r->tolerance) r->tolerance = tolerance;
    if (error <= tolerance) return;
    ++r->failed;
    char what[700];
    snprintf(what, sizeof what, "%s: gradient of %s", o->what, tensor);
    if (r->failure) r->failure(r->payload, what, error);
}

/* ---- directions ---- */

struct part { /* a tensor; a direction moves number i of it by h r_i g_i / |g|^2, r random in 0..2 with a mean of 1 */
    const char *name;
    real *value;
    float *frame;
    real *start; /* its numbers when the direction begins */
    const real *grad;
    ptrdiff_t count;
    double square; /* |g|^2 */
    double reach;  /* |g| times the tensor's length */
};

/* The step of an input, which is a float: so many of its units that it is the given one on average. */
static double float_step(double at, double step, double chance) {
    double unit = (double)nextafterf((float)at, INFINITY) - at;
    return copysign(unit * floor(fabs(step) / unit + chance), step);
}

/* Move by h from where it was. Returns what the analytic gradient makes of the way that was really gone. */
static double move(const struct part *part, uint32_t stream, double h) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < part->count; ++i) {
        double at = (double)part->start[i], g = (double)part->grad[i],
               step = h != 0 ? h * 2 * draw(stream, (uint32_t)i) * g / part->square : 0;
        struct number x = {part->value ? part->value + i : NULL, part->frame ? part->frame + i : NULL};
        put(x, at + (x.frame ? float_step(at, step, draw(~stream, (uint32_t)i)) : step));
        sum += g * (get(x) - at);
    }
    return sum;
}

/* The step with which no tensor moves by more than a ten-thousandth of its length. */
static double first_step(const struct part *part, int parts) {
    double h = INFINITY;
    for (int i = 0; i < parts; ++i) h = fmin(h, 1e-4 * part[i].reach);
    return h;
}

/* The difference quotient along a direction of these parts over the derivative: 1. `wrong` is planted into the
 * derivative of the first one. */
static double quotient(const struct probe *p, const struct part *part, int parts, uint32_t stream, double h, int wrong,
                       double planted) {
    double loss[2], way[2] = {0, 0};
    for (int k = 0; k < 2; ++k) {
        for (int i = 0; i < parts; ++i)
            way[k] += move(part + i, stream + (uint32_t)i, k ? -h : h) * (i == wrong ? 1 + planted : 1);
        loss[k] = loss_of(p, SNN_SMOOTH_REPLAY, false);
    }
    return (loss[0] - loss[1]) / (way[0] - way[1]);
}

/* Its relative error. Kinks within a step (maxima that change places) make an error that shrinks with it, rounding one
 * that grows, and a wrong derivative one that stays. By how much a quotient differs from that of a step eight times as
 * long counts as its error too, so that none is right by chance. */
static double check_direction(const struct probe *p, const struct part *part, int parts, uint32_t stream, int wrong,
                              double planted) {
    double h = first_step(part, parts), before = INFINITY, best = INFINITY;
    for (int tries = 0; tries < 7 && best > SNN_CHECK_TOLERANCE_ALONG / 5; ++tries, h /= 8) {
        double now = quotient(p, part, parts, stream, h, wrong, planted);
        best = fmin(best, fmax(fabs(now - 1) / fmax(fabs(now), 1), fabs(now - before)));
        before = now;
    }
    for (int i = 0; i < parts; ++i) move(part + i, stream, 0);
    return best;
}

/* Those of the parts that have a gradient, with all their numbers kept. Where a small move would change no more of the
 * loss than its rounding does, differences tell nothing: a bias before a norm, or layers that hardly learn. */
static int keep_parts(struct part *part, int parts, real *start, double loss) {
    int kept = 0;
    for (int k = 0; k < parts; ++k) {
        double length = 0;
        for (ptrdiff_t i = 0; i < part[k].count; ++i) {
            double g = (double)part[k].grad[i], at = part[k].value ? (double)part[k].value[i] : part[k].frame[i];
            part[k].square += g * g, length += at * at;
        }
        part[k].reach = sqrt(part[k].square * length);
        if (!(part[k].reach > 1e-7 * fabs(loss))) continue;
        part[kept] = part[k];
        part[kept].start = start;
        for (ptrdiff_t i = 0; i < part[k].count; ++i)
            start[i] = part[k].value ? part[k].value[i] : (real)part[k].frame[i];
        start += part[kept++].count;
    }
    return kept;
}

static void check_directions(const struct probe *p, const struct snn_check_options *o, struct part *part, int parts,
                             struct snn_check_report *report) {
    uint32_t stream = 1000;
    int wrong = o->planted != 0 ? o->planted_in : -1;
    for (int k = 0; k < o->directions; ++k, stream += (uint32_t)parts) {
        double error = check_direction(p, part, parts, stream, wrong, o->planted);
        bool found = false;
        for (int i = 0; i < parts && error > SNN_CHECK_TOLERANCE_ALONG; ++i) {
            double own = check_direction(p, part + i, 1, stream, wrong - i, o->planted);
            found = found || own > SNN_CHECK_TOLERANCE_ALONG;
            note(report, o, part[i].name, own);
        }
        if (!found) note(report, o, "all parameters together", error);
        if (error > SNN_CHECK_TOLERANCE_ALONG) return;
    }
}

/* kept: gradients of all parameters and of the input; loss: where they are from */
static int check_along(const struct probe *p, const struct snn_check_options *o, const real *kept, double loss,
                       float *frames, struct snn_check_report *report) {
    const struct snn_params *params = &p->n->model.params;
    const struct snn_tensor *x = p->n->model.tape.input;
    ptrdiff_t inputs = snn_plan_rows(&p->n->model.tape, x) * x->units, most = params->learned + inputs;
    struct part *part = calloc((size_t)params->count + 1, sizeof *part);
    real *start = malloc((size_t)most * sizeof *start);
    int parts = 0;
    if (!part || !start) {
        free(part), free(start);
        return snn_error(SNN_EFAIL, "out of memory for a gradient check");
    }
    for (int i = 0; i < params->count; ++i) {
        const struct snn_param *w = params->list[i];
        if (!w->buffer && !w->frozen)
            part[parts++] =
                (struct part){.name = w->name, .value = w->value, .grad = kept + w->offset, .count = w->count};
    }
    if (x->grad)
        part[parts++] =
            (struct part){.name = "the input", .frame = frames, .grad = kept + params->learned, .count = inputs};
    int told = keep_parts(part, parts, start, loss);
    report->left_out += parts - told;
    check_directions(p, o, part, told, report);
    free(part), free(start);
    return SNN_OK;
}

int snn_check_network(struct snn_network *n, const struct snn_check_options *o, struct snn_check_report *report) {
    SNN_CHECK(sizeof(real) == sizeof(double) && n->device->shared, "gradients are checked in double, on the CPU");
    struct synthetic data;
    struct snn_network_plan plan = {.T = o->T, .B = o->B, .cut = o->T, .slice = o->B, .train = true, .smooth = true};
    int rc = make_batch(n, o, &data);
    if (rc >= 0) rc = snn_network_allocate(n, &plan);
    if (rc >= 0) {
        struct snn_params *params = &n->model.params;
        const struct snn_tensor *x = n->model.tape.input;
        snn_params_init(params, 5, params->value);
        for (int i = 0; i < params->count;
             ++i) /* weights large enough that neurons are near their thresholds, biases not all 0 */
            for (ptrdiff_t k = 0; !params->list[i]->buffer && k < params->list[i]->count; ++k)
                params->list[i]->value[k] += (real)(0.3 * (draw(4 + (uint32_t)i, (uint32_t)k) - 0.5));
        struct probe probe = {n, &data.batch};
        double loss = loss_of(&probe, SNN_SMOOTH_RECORD, true);
        ptrdiff_t inputs = snn_plan_rows(&n->model.tape, x) * x->units;
        real *kept = calloc((size_t)(params->learned + inputs), sizeof *kept); /* evaluations overwrite gradients */
        if (!kept) rc = snn_error(SNN_EFAIL, "out of memory for a gradient check");
        if (kept) {
            memcpy(kept, params->grad, (size_t)params->learned * sizeof *kept);
            if (x->grad) memcpy(kept + params->learned, x->grad, (size_t)inputs * sizeof *kept);
            if (o->directions) rc = check_along(&probe, o, kept, loss, data.frames, report);
            for (int i = 0; i < params->count && !o->directions; ++i) {
                struct snn_param *p = params->list[i];
                if (p->buffer || p->frozen) continue;
                note(report, o, p->name,
                     check_tensor(&probe, p->value, NULL, kept + p->offset, p->count, o->per_tensor, o->planted));
            }
            if (x->grad && !o->directions)
                note(
                    report, o, "the input",
                    check_tensor(&probe, NULL, data.frames, kept + params->learned, inputs, o->per_tensor, o->planted));
        }
        free(kept);
    }
    free(data.frames), free(data.small), free(data.target);
    return rc;
}

int snn_check_yaml(struct snn_device *device, const char *model, const char *loss, const struct snn_model_input *input,
                   const struct snn_check_options *options, struct snn_check_report *report) {
    struct snn_network n = {.device = device};
    struct snn_conf_doc *doc = NULL;
    char *text = NULL;
    if (asprintf(&text, "model: %s\nloss: %s\n", model, loss) < 0) return snn_error(SNN_EFAIL, "out of memory");
    int rc = snn_conf_parse(text, strlen(text), options->what, &doc);
    if (rc >= 0) rc = snn_loss_read(snn_conf_get(snn_conf_root(doc), "loss"), &n.loss);
    if (rc >= 0 && options->targets >= SNN_CHECK_NUMBERS)
        rc = snn_loss_check_targets(&n.loss, snn_conf_get(snn_conf_root(doc), "loss"), true,
                                    options->targets == SNN_CHECK_NUMBERS_STEP);
    struct snn_model_input watched = *input;
    watched.loss = &n.loss;
    if (rc >= 0) rc = snn_model_build(snn_conf_get(snn_conf_root(doc), "model"), &watched, 0, &n.model);
    if (rc >= 0) rc = snn_penalty_settle(&n);
    if (rc >= 0) rc = snn_check_network(&n, options, report);
    snn_network_free(&n);
    snn_conf_free(&doc);
    free(text);
    return rc;
}

/* ---- everything ---- */

void snn_check_one(struct snn_check_suite *s, const char *model, const char *loss, struct snn_model_input input,
                   bool lengths, enum snn_check_targets targets) {
    static const char *const words[] = {"", ", soft labels", ", numbers", ", numbers for every step"};
    if (s->rc < 0) return;
    char what[400];
    snprintf(what, sizeof what, "%s, loss %s%s%s", model, loss, words[targets], lengths ? ", lengths differ" : "");
    struct snn_check_options o = {
        .what = what, .T = 5, .B = 3, .lengths = lengths, .targets = targets, .per_tensor = s->per_tensor};
    input.wants_grad = true;
    s->rc = snn_check_yaml(s->device, model, loss, &input, &o, s->report);
}

static void one(struct snn_check_suite *s, const char *model, const char *loss, struct snn_model_input input,
                bool lengths) {
    snn_check_one(s, model, loss, input, lengths, SNN_CHECK_LABELS);
}

void snn_check_flat(struct snn_check_suite *s, const char *model, bool lengths) {
    one(s, model, "ce", (struct snn_model_input){.C = 6, .H = 1, .W = 1}, lengths);
}

static const struct snn_model_input flat = {.C = 6, .H = 1, .W = 1}, image = {.C = 2, .H = 7, .W = 6},
                                    still = {.C = 2, .H = 6, .W = 6, .is_static = true};

/* UltraLIF's family: every charge with every reset and kind of slope; epsilon is learned in all ways. */
static void check_ultra(struct snn_check_suite *s) {
    static const char *const charges[] = {"ultralif: {tau: 0.8",
                                          "ultraplif: {leak_offset: eps_log_tau",
                                          "ultraplif: {leak: log, form: code",
                                          "ultraplif: {leak: log, leak_offset: eps_log_tau",
                                          "ultraplif: {membrane: linear",
                                          "ultradlif: {form: paper",
                                          "ultradlif: {form: code, tau: 0.7",
                                          "ultradplif: {tau: 0.6",
                                          "ultradplif: {leak: log"};
    static const char *const resets[] = {"reset: value", "reset: value, v_reset: -0.3, learn_reset: true",
                                         "reset: subtract", "reset: excess"};
    static const char *const epsilons[] = {"epsilon: 0.6", "epsilon: 0.7, learn_epsilon: softplus",
                                           "epsilon: 0.5, learn_epsilon: none"};
    static const char *const slopes[] = {"", ", slope: 2", ", slope: 3, learn_slope: true"};
    char model[400];
    for (int c = 0; c < 9; ++c)
        for (int r = 0; r < 4; ++r)
            for (int k = 0; k < 3; ++k) {
                snprintf(model, sizeof model, "[linear: 5, %s, %s, %s%s, learn_threshold: %s}, linear: 3]", charges[c],
                         resets[r], epsilons[(c + r + k) % 3], slopes[k], (r + k) % 2 ? "true" : "false");
                one(s, model, "ce", flat, k == 2);
            }
    static const char *const rings[] = {"[linear: 1, ultradlif: {}, linear: 3]",
                                        "[linear: 2, ultradlif: {form: code}, linear: 3]",
                                        "[linear: 3, ultradplif: {}, linear: 4, ultradlif: {}, linear: 3]"};
    for (int i = 0; i < 3; ++i) one(s, rings[i], "ce", flat, false);
    one(s, "[linear: 5, ultraplif: {epsilon: 0.4}, delay: {out: 4, kernel: 3, right: half}, ultradplif, linear: 3]",
        "ce", flat, true); /* a delay appends steps */
    static const char *const images[] = {
        "[conv: {out: 3, kernel: 3, padding: 1}, ultradlif: {epsilon: 0.4}, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, ultradplif: {epsilon: 0.4}, avgpool: 2, flatten, linear: 3]",
        "[conv: {out: 2, kernel: 3}, ultraplif: {epsilon: 0.4}, flatten, linear: 3]"};
    for (int i = 0; i < 3; ++i)
        for (int k = 0; k < 2; ++k) one(s, images[i], "ce", k ? still : image, false);
    one(s, "[flatten, residual: {body: [linear: 72, ultraplif]}, linear: 3]", "ce", still, false);
    one(s, "[flatten, linear: 4, residual: {body: [ultralif, linear: 4]}, linear: 3]", "ce", still, false);
}

static void check_layers(struct snn_check_suite *s) {
    static const char *const images[] = {
        "[conv: {out: 3, kernel: 3}, lif, flatten, linear: 3]",
        "[conv: {out: 4, kernel: [3, 2], stride: 2, padding: 1, groups: 2, bias: false}, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3, dilation: 2, padding: 2}, lif, conv: {out: 2, kernel: 1}, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3, stride: [2, 1], padding: [2, 0], dilation: [1, 2]}, lif, flatten, linear: 3]",
        "[conv: {out: 20, kernel: 3}, lif, conv: {out: 5, kernel: 3}, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3, padding: 1}, lif, avgpool: 2, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3, padding: 1}, lif, avgpool: {kernel: 3, stride: 2, padding: 1}, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3, padding: 1}, maxpool: 2, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3, padding: 1}, maxpool: {kernel: 3, stride: 2, padding: 1}, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3, padding: 1}, lif, sumpool: {kernel: [3, 2], stride: 2}, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3, padding: 1}, lif, adaptiveavgpool: [3, 4], adaptiveavgpool: [5, 3], flatten, "
        "linear: 3]",
        "[adaptiveavgpool: [9, 2], conv: {out: 3, kernel: 2}, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, lif, globalpool, linear: 3]",
        "[conv: {out: 3, kernel: 3}, globalpool: max, lif, linear: 3]",
        "[conv: {out: 3, kernel: 3}, lif, globalpool: sum, linear: 3]",
        "[conv: {out: 3, kernel: 3}, lif, flatten, linear: 6, voting: 2, linear: 4, lif, voting: {size: 2, of: sum}]",
        "[reshape: [2, -1], maxpool: {kernel: 3, stride: 2}, lif, sumpool: 2, adaptiveavgpool: 5, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, batchnorm, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, batchnorm: {over: joint}, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, layernorm, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, batchnorm: {affine: false}, lif, batchnorm: {over: joint, affine: weight}, "
        "flatten, "
        "linear: 3]",
        "[conv: {out: 3, kernel: 3}, tdbn: {alpha: 0.7, threshold: 1.2}, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, bntt: 5, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, bntt: {affine: weight, steps: 7}, lif, bntt: {affine: false, steps: 5}, flatten, "
        "linear: 3]",
        "[conv: {out: 3, kernel: 3}, tebn: 5, lif, tebn: {affine: false, steps: 7}, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, layernorm: {affine: false}, lif, rmsnorm: {affine: false}, flatten, linear: 3]",
        "[conv: {out: 6, kernel: 3}, groupnorm: 3, lif, groupnorm: {groups: 2, affine: false}, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, instancenorm, lif, instancenorm: {affine: true}, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, rmsnorm, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, scale: -0.7, lif, scale: {learn: true}, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, scale: {by: channel, learn: true, value: 1.3}, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, lif, scale: {by: step, learn: true, steps: 5}, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, scale: {by: step, learn: true, steps: 6}, lif, flatten, linear: 3]",
        "[scale: 2, conv: {out: 3, kernel: 3}, relu, conv: {out: 3, kernel: 1}, hardtanh: {low: -0.4, high: 0.6}, lif, "
        "flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, lif, dropout: 0.3, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, dropout: 0.3, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, lif, dropout: {p: 0.3, time_shared: false}, flatten, linear: 3]",
        "[conv: {out: 9, kernel: 3}, dropout: {p: 0.4, channels: true}, lif, dropout: {p: 0.2, channels: true, "
        "time_shared: "
        "false}, flatten, linear: 3]",
        "[batchnorm, conv: {out: 3, kernel: 3}, lif, flatten, linear: 3]",
        "[residual: {body: [conv: {out: 2, kernel: 3, padding: 1}, lif, conv: {out: 2, kernel: 3, padding: 1}]}, lif, "
        "flatten, linear: 3]",
        "[residual: {body: [conv: {out: 4, kernel: 3, padding: 1}, lif], shortcut: [conv: {out: 4, kernel: 1}, "
        "batchnorm]}, lif, flatten, linear: 3]",
        "[repeat: {times: 2, body: [conv: {out: 3, kernel: 3, padding: 1}, lif]}, flatten, linear: 3]",
        "[conv: {out: 2, kernel: 3, padding: 1}, lif, residual: {join: and, body: [conv: {out: 2, kernel: 3, padding: "
        "1}, "
        "lif]}, flatten, linear: 3]",
        "[lif, residual: {join: iand, body: [conv: {out: 2, kernel: 3, padding: 1}, lif], shortcut: [conv: {out: 2, "
        "kernel: "
        "1}]}, flatten, linear: 3]",
        "[residual: {join: and, body: [conv: {out: 2, kernel: 1}], shortcut: [lif]}, residual: {join: iand, body: "
        "[lif], "
        "shortcut: [conv: {out: 2, kernel: 1}]}, flatten, linear: 3]",
        "[concat: [[conv: {out: 2, kernel: 3, padding: 1}, lif], [], [conv: {out: 1, kernel: 1}]], concat: [[], []], "
        "lif, "
        "flatten, linear: 3]",
        "[conv: {out: 2, kernel: 3}, lif, residual: {body: [conv: {out: 5, kernel: 2, stride: 2}], shortcut: [avgpool: "
        "2, "
        "pad_channels: 5]}, lif, pad_channels: 6, flatten, linear: 3]",
        "[residual: {body: [lif, conv: {out: 2, kernel: 3, padding: 1}, batchnorm, lif, conv: {out: 2, kernel: 3, "
        "padding: "
        "1}, batchnorm]}, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, temporal_attention: {reduction: 2, steps: 5}, lif, flatten, linear: 3]",
        "[temporal_attention: {reduction: 1, steps: 8}, conv: {out: 3, kernel: 3}, lif, flatten, linear: 3]",
        "[attention: {body: [conv: {out: 4, kernel: 1}, lif], heads: 2}, lif, flatten, linear: 3]",
        "[avgpool: 3, attention: {body: [conv: {out: 6, kernel: 1}, batchnorm, lif], heads: 1, scale: 0.4}, lif: "
        "{threshold: "
        "0.5}, flatten, linear: 3]",
        "[attention: {body: [conv: {out: 4, kernel: 1}], heads: 4}, lif, flatten, attention: {body: [linear: 6], "
        "heads: 3}, "
        "linear: 3]",
        "[reshape: [3, -1], conv1d: {out: 4, kernel: 5, padding: 2}, lif, conv: {out: 3, kernel: 4, stride: 3, "
        "padding: 1, "
        "dilation: 2}, batchnorm, lif, flatten, linear: 3]",
        "[reshape: [6, -1], conv: {out: 6, kernel: 3, groups: 6, bias: false}, lif, layernorm, flatten, linear: 3]",
        "[reshape: [2, 2, 3, -1], conv3d: {out: 3, kernel: [2, 3, 1], padding: 1}, lif, conv: {out: 2, kernel: 2, "
        "stride: "
        "[2, 1, 1], padding: [1, 0, 0], dilation: [1, 1, 2]}, lif, flatten, linear: 3]",
        "[reshape: [4, 3, -1, 1], conv3d: {out: 8, kernel: [2, 1, 1], groups: 2}, lif, flatten, linear: 3]",
        "[conv_transpose: {out: 3, kernel: 3, stride: 2, padding: 1, output_padding: 1}, lif, flatten, linear: 3]",
        "[conv: {out: 4, kernel: 3, stride: 2}, lif, conv_transpose2d: {out: 6, kernel: [2, 3], stride: [3, 1], "
        "padding: "
        "[1, 0], dilation: [2, 3], output_padding: [1, 2], groups: 2, bias: false}, lif, flatten, linear: 3]",
        "[residual: {body: [conv_transpose: {out: 2, kernel: 3, padding: 1}, lif], shortcut: [conv_transpose: {out: 2, "
        "kernel: 1}]}, lif, flatten, linear: 3]",
        "[reshape: [2, -1], conv_transpose1d: {out: 4, kernel: 4, stride: 2, groups: 2}, lif, flatten, linear: 3]",
        "[conv: {out: 3, kernel: 3}, lif, temporal_conv: 3, lif, temporal_conv: {kernel: 2, dilation: 3, bias: false}, "
        "flatten, linear: 3]",
        "[lif, residual: {body: [temporal_conv: {kernel: 4, dilation: 2}]}, lif, flatten, linear: 3]",
        "[reshape: [2, 2, 3, -1], conv_transpose: {out: 2, kernel: 2, stride: [1, 2, 1]}, lif, flatten, linear: 3]",
        "[conv: {out: 4, kernel: 3, groups: 2, weight: standardised}, lif, flatten, linear: {out: 3, weight: norm}]",
        "[conv: {out: 3, kernel: 3, bias: false, weight: norm}, lif, flatten, linear: {out: 3, weight: {name: "
        "standardised, eps: 0.1}}]",
        "[biper: {out: 4, kernel: 3, padding: 1}, lif, flatten, biper: {out: 3, bias: true}]",
        "[biper: {out: 4, kernel: 3, stride: 2, groups: 2, frequency: 5, stage: 2, bias: true}, lif, biper: {out: 4, "
        "kernel: 1, activation: sign, stage: 2}, flatten, biper: {out: 3, frequency: 10}]",
        "[biper: {out: 3, kernel: 3, scale_activation: false}, batchnorm, biper: {out: 3, kernel: 1}, lif, flatten, "
        "biper: {out: 3, activation: sign, scale_activation: false, stage: 2}]",
    };
    for (size_t i = 0; i < sizeof images / sizeof *images; ++i) {
        one(s, images[i], "ce", image, false);
        one(s, images[i], "{name: ce, over: step}", still,
            true); /* a static input: layers before the first neuron run once a batch */
    }
    one(s, "[batchnorm: {over: joint}, linear: 5, lif: {}, linear: 3]", "{name: ce, over: step}", flat, true);
    one(s, "[linear: 5, batchnorm, lif, residual: {body: [linear: 5, lif]}, linear: 3]", "ce", flat, true);
    one(s,
        "[temporal_conv: {out: 5, kernel: 3}, lif: {}, temporal_conv: {out: 4, kernel: 2, dilation: 2, bias: false}, "
        "lif, "
        "temporal_conv: {out: 4, kernel: 3, groups: 2}, linear: 3]",
        "{name: ce, over: step}", flat, true);
    one(s, "[temporal_conv: {kernel: 5}, linear: 5, lif: {}, temporal_conv: 2, linear: 3]", "{name: ce, over: step}",
        flat, true);
    one(s, "[flatten, residual: {body: [linear: 72, lif]}, linear: 3]", "ce", still, false);
    one(s, "[flatten, linear: 5, residual: {body: [lif, linear: 5]}, lif, linear: 3]", "ce", still, false);
}

/* Neurons that are more than a scan. Parallel ones mix steps in every way, all of them and fewer than there are weights
 * for. */
static void check_composed(struct snn_check_suite *s) {
    static const char *const kinds[] = {"psn: {steps: 5",
                                        "psn: {steps: 7, init: {name: normal, std: 0.6}",
                                        "masked_psn: {k: 2, steps: 5",
                                        "masked_psn: {k: 3, lambda: 0.4, steps: 6",
                                        "masked_psn: {k: 1, lambda: 1, steps: 5",
                                        "sliding_psn: {k: 3",
                                        "sliding_psn: {k: 9, init: xavier_uniform",
                                        "sliding_psn: {k: 1"};
    static const char *const fires[] = {"", ", fire: gt, surrogate: sigmoid", ", spikes: signed, spacing: 0.7",
                                        ", spikes: several, levels: 3, surrogate: single_exponential"};
    char model[400];
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; ++k)
        for (int f = 0; f < 4; ++f) {
            snprintf(model, sizeof model, "[linear: 5, %s%s}, linear: 3]", kinds[k], fires[f]);
            one(s, model, f % 2 ? "ce" : "{name: ce, over: step}", flat, f / 2 == 1);
            snprintf(model, sizeof model, "[conv: {out: 2, kernel: 3}, %s%s}, flatten, linear: 3]", kinds[k], fires[f]);
            one(s, model, "{name: ce, over: step}", still, f % 2);
        }
    one(s, "[linear: 5, lif, residual: {body: [psn: {steps: 5}]}, residual: {body: [sliding_psn: 2]}, linear: 3]", "ce",
        flat, true);
    static const char *const cells[] = {"slstm: 5", "slstm: {out: 4, reset: subtract, threshold: 0.1}",
                                        "slstm: {out: 5, reset: zero, threshold: 0.05, fire: gt, bias: false}",
                                        "slstm: {out: 1, threshold: 0.02, surrogate: single_exponential}"};
    for (int k = 0; k < 4; ++k) {
        snprintf(model, sizeof model, "[%s, linear: 4, lif, %s, linear: 3]", cells[k], cells[k]);
        one(s, model, k % 2 ? "ce" : "{name: ce, over: step}", flat, k / 2);
        snprintf(model, sizeof model, "[flatten, %s, linear: 3]", cells[k]);
        one(s, model, "{name: ce, over: step}", still, false);
    }
    one(s, "[delay: {out: 4, kernel: 3, right: half}, psn: {steps: 6}, linear: 3]", "ce", flat, true);
}

static void check_delays(struct snn_check_suite *s) {
    static const char *const versions[] = {"version: gauss, sigma: 0.4",
                                           "version: gauss, learn_sigma: true",
                                           "version: max, sigma: 0.6",
                                           "version: max, sigma: 0.3, learn_sigma: true",
                                           "version: v1",
                                           "version: v0"};
    static const char *const shapes[] = {"out: 5, kernel: 5", "out: 5, kernel: 3, count: 2, right: half",
                                         "out: 4, kernel: 9, groups: 2, right: 3",
                                         "out: 3, kernel: 1, position: {name: normal, std: 0.2}"};
    char model[400];
    for (size_t v = 0; v < sizeof versions / sizeof *versions; ++v)
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; ++k) {
            snprintf(model, sizeof model, "[delay: {%s, %s}, lif: {}, delay: {out: 3, kernel: 3, right: half}, li]",
                     shapes[k], versions[v]);
            one(s, model, "{name: ce, over: softmax_sum}", flat, k % 2);
        }
    static const char *const windows[] = {"out: 3, kernel: 3, taps: 3, padding: 1",
                                          "out: 4, kernel: [2, 3], taps: 5, stride: [1, 2], groups: 2, count: 2",
                                          "out: 3, kernel: 2, taps: 1, dilation: 3, bias: false",
                                          "out: 3, kernel: 1, taps: 9, position: {name: normal, std: 1}, learn: false"};
    for (size_t v = 0; v < sizeof versions / sizeof *versions; ++v)
        for (size_t k = 0; k < sizeof windows / sizeof *windows; ++k) {
            snprintf(model, sizeof model,
                     "[delay_conv: {%s, %s}, lif: {}, delay_conv: {out: 2, kernel: 2, taps: 3}, "
                     "lif, flatten, linear: 3]",
                     windows[k], versions[v]);
            one(s, model, "{name: ce, over: step}", image, k % 2);
        }
    static const char *const all[] = {
        "[delay_conv: {out: 3, kernel: 3, padding: 1, taps: 4, version: all}, lif: {}, delay_conv: {out: 4, kernel: "
        "[2, 3], stride: 2, dilation: [2, 1], taps: 7, version: all, bias: false}, lif, flatten, linear: 3]",
        "[lif: {}, residual: {body: [delay_conv: {out: 2, kernel: 3, padding: 1, taps: 2, version: all}, batchnorm], "
        "shortcut: [delay_conv: {out: 2, kernel: 1, taps: 1}]}, lif, flatten, linear: 3]",
        "[reshape: [2, -1], delay_conv: {out: 4, kernel: 5, padding: 2, groups: 2, taps: 2, version: all}, lif: {}, "
        "reshape: [4, 2, 3, -1], delay_conv: {out: 2, kernel: [2, 1, 3], taps: 3}, flatten, linear: 3]"};
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i) one(s, all[i], "{name: ce, over: step}", image, i % 2 == 0);
    one(s,
        "[delay: {out: 5, right: half, learn: false}, batchnorm: {over: joint}, lif, dropout: 0.3, delay: {out: 3, "
        "kernel: 5, right: 1}]",
        "{name: ce, over: step}", flat, true);
    one(s, "[axonal_delay: {max: 4, high: 3}, linear: 5, lif, axonal_delay: {max: 2}, linear: 3]",
        "{name: ce, over: step}", flat, true);
    one(s, "[linear: 5, lif, residual: {body: [shift: 2, linear: 5]}, linear: 3]", "ce", flat, false);
    one(s,
        "[axonal_delay: {max: 2, high: 2}, conv: {out: 3, kernel: 3}, axonal_delay: {learn: false, max: 2, high: 2}, "
        "lif, flatten, linear: 3]",
        "ce", image, false);
    one(s, "[linear: 5, lif, residual: {body: [delay: {out: 5, kernel: 3}, batchnorm]}, lif, linear: 3]", "ce", flat,
        true);
}

int snn_check_everything(struct snn_device *device, struct snn_check_report *report) {
    struct snn_check_suite s = {device, report, 10, SNN_OK};
    snn_check_neurons(&s);
    check_ultra(&s);
    snn_check_losses(&s);
    snn_check_regularisers(&s);
    check_layers(&s);
    check_composed(&s);
    check_delays(&s);
    return s.rc;
}
