/* SPDX-License-Identifier: Apache-2.0
 * layer_ultra.c - UltraLIF's family as layers. */
#include <math.h>

#include "core/status.h"
#include "layers/layer.h"

static void learn(struct snn_builder *b, struct snn_param **param, const char *name, double start) {
    int32_t one = 1;
    *param = snn_builder_param(b, name, false, 1, &one);
    (*param)->fill = start;
}

/* softplus(x) = y */
static double softplus_inverse(double y) { return y > 30 ? y : log(expm1(y)); }

int snn_build_ultra(struct snn_builder *b, struct snn_conf *node, int variant) {
    struct snn_ultra_options *o = snn_builder_options(b, sizeof *o);
    struct snn_key *movable = snn_builder_options(b, SNN_ULTRA_KEYS * sizeof *movable);
    struct snn_param *param[SNN_ULTRA_PARAMS] = {0};
    SNN_TRY(snn_ultra_read(node, variant, o));
    snn_ultra_movable(o, movable);
    snn_builder_bind(b, node, movable, o);
    if (snn_ultra_models[variant].learns) {
        bool log_leak = o->leak == SNN_ULTRA_LOG;
        learn(b, &param[SNN_ULTRA_TAU], log_leak ? "log_tau" : "tau_raw",
              log_leak ? log(o->tau) : log(o->tau / (1 - o->tau)));
    }
    if (o->learn_epsilon == SNN_ULTRA_EXP) learn(b, &param[SNN_ULTRA_RHO], "rho", log(o->epsilon));
    if (o->learn_epsilon == SNN_ULTRA_SOFTPLUS)
        learn(b, &param[SNN_ULTRA_RHO], "rho", softplus_inverse(o->epsilon - o->epsilon_min));
    if (o->learn_threshold) learn(b, &param[SNN_ULTRA_THETA], "threshold", o->threshold);
    if (o->learn_reset) learn(b, &param[SNN_ULTRA_V_RESET], "v_reset", o->v_reset);
    if (o->learn_slope) learn(b, &param[SNN_ULTRA_LOG_SLOPE], "log_slope", log(o->slope));
    b->model->soft = true;
    b->x = snn_ultra(&b->model->tape, b->path, b->x, o, b->hard, param);
    return SNN_OK;
}
