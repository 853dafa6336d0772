/* SPDX-License-Identifier: Apache-2.0
 * check_losses.c - gradients of every loss, over every way to draw steps together and every kind of target, and of
 * every regulariser. */
#include <stdio.h>
#include <string.h>

#include "train/check_parts.h"

static const struct snn_model_input flat = {.C = 6, .H = 1, .W = 1}, image = {.C = 2, .H = 7, .W = 6},
                                    still = {.C = 2, .H = 6, .W = 6, .is_static = true};

static void with_labels(struct snn_check_suite *s, const char *model, const char *loss, struct snn_model_input input,
                        bool lengths) {
    snn_check_one(s, model, loss, input, lengths, SNN_CHECK_LABELS);
}

/* ---- losses: each over all of its options, with lengths that differ and without, and every target it can have ---- */

enum { CAN_NUMBERS = 1, CAN_STEPS = 2, CAN_OVER = 4, WANTS_SPIKES = 8 };
static const struct {
    const char *loss; /* without its end, to which `over` is added */
    int can;
} losses[] = {
    {"{name: ce, label_smoothing: 0.1", CAN_OVER},
    {"{name: ce, label_smoothing: 0.1, class_weights: [0.5, 2, 1.5, 0.25]", CAN_OVER},
    {"{name: mse", CAN_OVER | CAN_NUMBERS | CAN_STEPS},
    {"{name: mse, correct: 0.9, incorrect: 0.1, reduction: sum, class_weights: [0.5, 2, 1.5, 0.25]", CAN_OVER},
    {"{name: smooth_l1, beta: 0.6", CAN_OVER | CAN_NUMBERS | CAN_STEPS},
    {"{name: smooth_l1, beta: 0.1, reduction: sum, target: 0.3", CAN_OVER},
    {"{name: bce, label_smoothing: 0.2", CAN_OVER | CAN_NUMBERS | CAN_STEPS},
    {"{name: bce, alpha: 0.5, theta: 0.1, reduction: sum, class_weights: [0.5, 2, 1.5, 0.25]", CAN_OVER},
    {"mse_membrane", CAN_NUMBERS | CAN_STEPS},
    {"mse_count", 0},
    {"{name: mse_count, class_weights: [0.5, 2, 1.5, 0.25]", 0},
    {"tet", 0},
    {"{name: tet, lambda: 0.3, target: one_hot, label_smoothing: 0.1, class_weights: [0.5, 2, 1.5, 0.25]", 0},
    {"ce_rate", 0},
    {"{name: ce_count, label_smoothing: 0.1", 0},
    {"ce_max_membrane", 0},
    {"integral_ce", 0},
    {"ce_temporal", 0},
    {"{name: ce_temporal, inverse: reciprocal, label_smoothing: 0.1, class_weights: [0.5, 2, 1.5, 0.25]", 0},
    {"mse_temporal", CAN_NUMBERS},
    {"{name: mse_temporal, correct: 1, incorrect: -2, tolerance: 0.5", 0},
    {"{name: spike_max, eps: 0.05", WANTS_SPIKES},
    {"{name: spike_max, label_smoothing: 0.2, class_weights: [0.5, 2, 1.5, 0.25]", WANTS_SPIKES},
    {"{name: spike_moid, alpha: 0.3, theta: 0.4", 0},
    {"spike_rate", CAN_NUMBERS},
    {"spike_time", CAN_NUMBERS | CAN_STEPS},
    {"{name: spike_time, tau: 2, reduction: mean, correct: 0.7, class_weights: [0.5, 2, 1.5, 0.25]", 0},
};

void snn_check_losses(struct snn_check_suite *s) {
    static const char *const overs[] = {"mean", "sum", "step", "last", "max", "softmax_sum"};
    static const char *const membranes = "[linear: 5, lif: {}, linear: 4, li: {tau: 3}]",
                             *const spikes = "[linear: 5, lif: {}, linear: 4, lif: {threshold: 0.5}]";
    s->per_tensor = 4; /* there are many, and all weights see a mistake of the loss */
    for (size_t i = 0; i < sizeof losses / sizeof *losses; ++i)
        for (int k = 0; k < (losses[i].can & CAN_OVER ? 6 : 1); ++k)
            for (int lengths = 0; lengths < 2; ++lengths) {
                int can = losses[i].can;
                char loss[300], over[40] = "";
                const char *ends = losses[i].loss[0] == '{' ? "}" : "";
                if (can & CAN_OVER) snprintf(over, sizeof over, ", over: %s", overs[k]);
                snprintf(loss, sizeof loss, "%s%s%s", losses[i].loss, over, ends);
                const char *model = can & WANTS_SPIKES ? spikes : membranes;
                with_labels(s, model, loss, flat, lengths);
                if (model != spikes && lengths == (int)(i + (size_t)k) % 2) with_labels(s, spikes, loss, flat, lengths);
                snn_check_one(s, model, loss, flat, lengths, SNN_CHECK_SOFT);
                if (can & CAN_NUMBERS && k < 5) snn_check_one(s, membranes, loss, flat, lengths, SNN_CHECK_NUMBERS);
                if (can & CAN_STEPS && (k == 2 || !(can & CAN_OVER)))
                    snn_check_one(s, membranes, loss, flat, lengths, SNN_CHECK_NUMBERS_STEP);
            }
    static const char *const two = "[{name: ce, weight: 0.3}, {name: mse, target: 0.5, weight: 0.7}, spike_time]";
    with_labels(s, membranes, two, flat, true);
    snn_check_one(s, membranes, two, flat, true, SNN_CHECK_SOFT);
    snn_check_one(s, membranes, "{name: mse, over: step, weight: 2}", flat, false, SNN_CHECK_NUMBERS_STEP);
    s->per_tensor = 10;
}

/* Regularisers, in networks with two spiking layers, and beside each other. */
void snn_check_regularisers(struct snn_check_suite *s) {
    static const char *const terms[] = {
        "rate_l1",
        "{name: rate_l1, target: 0.6, reduction: sum, weight: 2}",
        "{name: rate_l1, target: 2, unit: count, per: channel}",
        "rate_l2",
        "{name: rate_l2, target: 0.7, per: layer, layers: \"*.1.*\"}",
        "{name: rate_l2, target: 0.3, per: channel, reduction: sum, weight: 0.5}",
        "{name: upper_bound, bound: 1.5}",
        "{name: upper_bound, bound: 0.4, unit: rate, per: neuron, norm: l1}",
        "{name: upper_bound, bound: 0.5, per: channel, norm: huber, reduction: sum}",
        "{name: lower_bound, bound: 3}",
        "{name: lower_bound, bound: 0.8, unit: rate, per: layer, norm: l1}",
        "{name: lower_bound, bound: 4, per: channel, norm: huber, reduction: sum, weight: 3}",
        "{name: synops, target: 40}",
        "{name: synops, target: 200, layers: \"*.1.*\", weight: 0.3}",
        "weight_l1",
        "{name: weight_l2, match: \"*\", reduction: sum, weight: 0.1}",
        "{name: periodic, frequency: 7, match: \"*.weight\", reduction: sum, weight: 0.2}",
        ("rate_l2, {name: upper_bound, bound: 1}, {name: lower_bound, bound: 4}, {name: synops, target: 60}, "
         "{name: synops, target: 30, layers: \"*.1.*\"}, weight_l2, {name: periodic, match: \"*.weight\"}"),
    };
    static const char *const flats = "[linear: 5, lif, linear: 4, lif, linear: 4]",
                             *const ends = "[linear: 5, lif, linear: 4, lif]",
                             *const images = "[conv: {out: 3, kernel: 3}, lif, avgpool: 2, flatten, linear: 5, lif, "
                                             "linear: 4]",
                             *const shortcut = "[linear: 5, lif, residual: {body: [linear: 5, lif]}, linear: 4]";
    s->per_tensor = 4;
    for (size_t i = 0; i < sizeof terms / sizeof *terms; ++i)
        for (int lengths = 0; lengths < 2; ++lengths) {
            char loss[600];
            snprintf(loss, sizeof loss, "[ce, %s]", terms[i]);
            with_labels(s, flats, loss, flat, lengths);
            if (!strstr(terms[i], "synops")) with_labels(s, ends, loss, flat, lengths);
            with_labels(s, images, loss, image, lengths);
            if (i % 2 == (size_t)lengths) with_labels(s, shortcut, loss, flat, lengths);
        }
    with_labels(s, "[linear: 5, lif: {spikes: several, reset: subtract}, linear: 4]",
                "[ce, rate_l2, {name: synops, target: 30}]", flat, true);
    with_labels(s, "[linear: 5, ultralif, linear: 4, ultradlif]", "[ce, {name: rate_l1, weight: 0.1}, rate_l2]", flat,
                true);
    for (int lengths = 0; lengths < 2; ++lengths) /* delays append steps to what comes after them */
        with_labels(s,
                    "[delay: {out: 5, right: half, kernel: 5}, lif: {}, delay: {out: 4, kernel: 3, right: half}, lif, "
                    "linear: 4]",
                    "[ce, {name: rate_l2, target: 0.4}, {name: lower_bound, bound: 5}, {name: synops, target: 30}]",
                    flat, lengths);
    with_labels(s, "[conv: {out: 3, kernel: 3}, lif, flatten, linear: 4]", "[ce, rate_l2, {name: synops, target: 90}]",
                still, true);
    s->per_tensor = 10;
}
