/* SPDX-License-Identifier: Apache-2.0
 * rule_rig.h - a small network under a learning rule, and the gradients of one batch. */
#ifndef SNN_TEST_RULE_RIG_H
#define SNN_TEST_RULE_RIG_H

#include "autograd/memory.h"
#include "net_rig.h"
#include "train/step.h"

struct ruled {
    struct made_network of;
    struct snn_trainer trainer;
    struct snn_conf_doc *rule;
};

/* The network of the rig under `rule`, as in a config; SNN_EUSAGE when it is refused. */
static inline int build_ruled(const char *device, const char *model, const char *rule, const char *loss, bool still,
                              struct ruled *r) {
    char text[2048];
    struct snn_network *n = &r->of.net;
    struct snn_model_input input = {.C = 2, .H = 6, .W = 6, .is_static = still, .is_sparse = !still, .steps = STEPS};
    *r = (struct ruled){0};
    ck_ok(snn_device_open(device, 1, &r->of.device));
    n->device = &r->of.device;
    snprintf(text, sizeof text, "model: %s\nloss: %s\nrule: %s\n", model, loss ? loss : "{name: ce, over: step}", rule);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &r->of.doc));
    ck_ok(snn_loss_read(snn_conf_at(r->of.doc, "loss"), &n->loss));
    SNN_TRY(snn_trainer_read(snn_conf_at(r->of.doc, "rule"), &r->trainer));
    snn_trainer_need(&r->trainer, &input);
    ck_ok(snn_model_build(snn_conf_at(r->of.doc, "model"), &input, CLASSES, &n->model));
    n->learner.steps = snn_trainer_update(&r->trainer);
    return snn_trainer_settle(&r->trainer, n, snn_conf_at(r->of.doc, "rule"), snn_conf_at(r->of.doc, "loss"));
}

static inline void plan_ruled(struct ruled *r, int32_t T, int32_t slice) {
    struct snn_network *n = &r->of.net;
    struct snn_network_plan plan = {
        .T = T, .B = SAMPLES, .cut = snn_trainer_cut(&r->trainer, T), .slice = slice, .train = true};
    ck_ok(snn_network_allocate(n, &plan));
    size_t bytes = (size_t)n->model.params.size * sizeof(real);
    void *values;
    ck_ok(snn_borrow(n->device, n->model.params.value, bytes, &values));
    snn_params_init(&n->model.params, 3, values);
    snn_borrow_end(n->device, n->model.params.value, bytes, values, true);
}

static inline void open_ruled(const char *device, const char *model, const char *rule, bool still, int32_t T,
                              struct ruled *r) {
    ck_ok(build_ruled(device, model, rule, NULL, still, r));
    plan_ruled(r, T, SAMPLES);
}

static inline void close_ruled(struct ruled *r) { close_network(&r->of); }

/* The gradients of a batch are added to the slab. */
static inline void pass_ruled(struct ruled *r, const struct snn_batch *batch, double scale) {
    struct snn_network *n = &r->of.net;
    ck_ok(snn_network_stage(n, batch));
    snn_network_set_step(n, 5, 9, scale);
    r->trainer.ops->batch(&r->trainer, n);
}

/* Gradient of parameter i, (count), to be freed. */
static inline real *gradient_of(struct ruled *r, int i) {
    const struct snn_param *p = r->of.net.model.params.list[i];
    real *out = calloc((size_t)p->count, sizeof *out);
    ck_assert_ptr_nonnull(out);
    ck_ok(r->of.device.memory->download(&r->of.device, out, p->grad, (size_t)p->count * sizeof *out));
    return out;
}

/* Largest difference of the gradients of parameters whose names contain `part`, `factor` times a's and b's, relative to
 * the largest of a's; the parameters must be the same but for buffers. */
static inline double apart(struct ruled *a, struct ruled *b, double factor, const char *part) {
    double worst = 0;
    int seen = 0;
    for (int i = 0; i < a->of.net.model.params.count; ++i) {
        const struct snn_param *p = a->of.net.model.params.list[i];
        if (p->buffer || !strstr(p->name, part)) continue;
        struct snn_param *q = snn_params_find(&b->of.net.model.params, p->name);
        ck_assert_msg(q && q->count == p->count, "%s is in one network only", p->name);
        int k = 0;
        while (b->of.net.model.params.list[k] != q) ++k;
        real *x = gradient_of(a, i), *y = gradient_of(b, k);
        double most = 0, off = 0;
        for (ptrdiff_t j = 0; j < p->count; ++j) {
            most = fmax(most, fabs((double)x[j] * factor));
            off = fmax(off, fabs((double)x[j] * factor - (double)y[j]));
        }
        worst = fmax(worst, most > 0 ? off / most : off > 0);
        free(x), free(y), seen += most > 0;
    }
    ck_assert_msg(seen, "nothing has a gradient");
    return worst;
}

#endif
