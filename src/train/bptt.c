/* SPDX-License-Identifier: Apache-2.0
 * bptt.c - backpropagation through time: one cut over all steps. */
#include "train/trainer.h"

static const struct snn_key keys[] = {SNN_KEY_NAME, {0}};

static int32_t whole(int32_t T) { return T; }

static double batch(struct snn_network *network, const struct snn_batch *data, double scale,
                    const struct snn_watch *watch) {
    struct snn_batch slice;
    double sum = 0;
    for (int32_t first = 0; snn_network_slice(network, data, &first, &slice);) {
        struct snn_cut cut = {.batch = &slice, .T = slice.T, .train = true};
        snn_network_forward(network, &cut);
        double loss = snn_network_loss(network, &cut, true, scale);
        if (watch) watch->cut(watch->payload, network, &cut, loss);
        snn_network_backward(network, &cut);
        snn_network_backward_batch(network, &cut);
        sum += loss;
    }
    return sum;
}

const struct snn_trainer_ops snn_trainer_bptt = {"bptt", "backpropagation through time over all steps", keys, whole,
                                                 batch};
