/* SPDX-License-Identifier: Apache-2.0
 * bptt.c - backpropagation through time: one cut over all steps. */
#include "train/trainer.h"

static const struct snn_key keys[] = {SNN_KEY_NAME, {0}};

static int32_t whole(const struct snn_trainer *trainer, int32_t T) {
    (void)trainer;
    return T;
}

static void batch(const struct snn_trainer *trainer, struct snn_network *network) {
    struct snn_slice slice;
    (void)trainer;
    for (int32_t first = 0; snn_network_slice(network, &first, &slice);) {
        struct snn_cut cut = snn_slice_cut(&slice, true);
        snn_network_forward(network, &cut);
        snn_network_loss(network, &cut, true);
        snn_network_tally(network, &cut);
        snn_network_backward(network, &cut);
        snn_network_backward_batch(network, &cut);
    }
}

const struct snn_trainer_ops snn_trainer_bptt = {
    .name = "bptt", .help = "backpropagation through time over all steps", .keys = keys, .cut = whole, .batch = batch};
