/* SPDX-License-Identifier: Apache-2.0
 * fuzz_model.c - a whole config as `snntrain plan` reads it: network, loss, optimiser, schedule, and the bytes it would
 * take.
 *
 * A config that is accepted, written with its defaults, is accepted again and written the same. */
#include "fuzz.h"
#include "train/experiment.h"

static int read_text(const char *text, size_t size, struct snn_experiment *out) {
    const struct snn_experiment_options options = {.device = "cpu", .threads = 1};
    struct snn_conf_doc *doc;
    SNN_TRY(snn_conf_parse(text, size, "input", &doc));
    return snn_experiment_read(doc, &options, out);
}

static void measure(struct snn_experiment *e) {
    e->steps = e->data.timesteps > 0 ? (int32_t)e->data.timesteps : 10;
    for (int train = 0; train < 2; ++train) {
        struct snn_network_plan plan = snn_experiment_plan(e, train);
        struct snn_arena arena;
        snn_network_measure(&e->network, &plan, &arena);
        size_t sum = 0;
        for (int i = 0; i < SNN_MEM_PURPOSES; ++i) sum += arena.by_purpose[i];
        CLAIM(sum == arena.used && sum > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct snn_experiment first, second;
    int status = read_text((const char *)data, size, &first);
    if (status < 0) {
        claim_refused(status);
        return 0;
    }
    char *resolved = snn_conf_write(snn_conf_root(first.doc));
    CLAIM(resolved);
    CLAIM(read_text(resolved, strlen(resolved), &second) >= 0);
    char *again = snn_conf_write(snn_conf_root(second.doc));
    CLAIM(again && !strcmp(resolved, again));
    measure(&first);
    free(resolved), free(again);
    snn_experiment_close(&first);
    snn_experiment_close(&second);
    return 0;
}
