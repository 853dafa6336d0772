/* SPDX-License-Identifier: Apache-2.0
 * layer_init.c - initial values of weights: the key `init`. */
#include <math.h>
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

struct init {
    double a, bound, std, value;
};
static const char *const init_names[] = {"kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal",
                                         "uniform",         "normal",         "constant",       NULL};
static const struct snn_key kaiming_keys[] = {SNN_KEY_NAME,
                                              {"a", SNN_REAL, offsetof(struct init, a), "2.2360679774997896", 0, 1e6,
                                               NULL, "negative slope: gain = sqrt(2/(1+a^2))"},
                                              {0}};
static const struct snn_key xavier_keys[] = {SNN_KEY_NAME, {0}};
static const struct snn_key uniform_keys[] = {
    SNN_KEY_NAME,
    {"bound", SNN_REAL, offsetof(struct init, bound), NULL, 0, 1e6, NULL, "uniform in -bound..bound"},
    {0}};
static const struct snn_key normal_keys[] = {
    SNN_KEY_NAME, {"std", SNN_REAL, offsetof(struct init, std), NULL, 0, 1e6, NULL, "standard deviation"}, {0}};
static const struct snn_key constant_keys[] = {
    SNN_KEY_NAME, {"value", SNN_REAL, offsetof(struct init, value), NULL, -1e6, 1e6, NULL, "of every weight"}, {0}};

int snn_init_read(struct snn_conf *node, int32_t fan_in, int32_t fan_out, struct snn_param *weight) {
    static const struct snn_key *const keys[] = {kaiming_keys, kaiming_keys, xavier_keys,  xavier_keys,
                                                 uniform_keys, normal_keys,  constant_keys};
    int which = snn_conf_variant(node, "an initialisation", init_names);
    SNN_TRY(which);
    struct init init = {0};
    SNN_TRY(snn_conf_read(node, keys[which], &init));
    double kaiming = sqrt(2 / (1 + init.a * init.a) / fan_in), xavier = sqrt(2.0 / ((double)fan_in + fan_out));
    const double bound[] = {kaiming * sqrt(3), kaiming, xavier * sqrt(3), xavier, init.bound, init.std, 0};
    weight->bound = bound[which];
    weight->normal = which == 1 || which == 3 || which == 5;
    weight->fill = init.value;
    return SNN_OK;
}
