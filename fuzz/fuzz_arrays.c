/* SPDX-License-Identifier: Apache-2.0
 * fuzz_arrays.c - one of the three files of a set of NumPy arrays is hostile: the first byte of the input says which,
 * the rest is the file. The others are of two samples of three steps. */
#include <math.h>

#include "datasets/loader.h"
#include "fuzz_files.h"
#include "made_npy.h"

enum { FILES = 3 };
static const char *const name[FILES] = {"X.npy", "Y.npy", "lengths.npy"};

static void write_good(int i) {
    static const unsigned char zeros[12], labels[2], lengths[2] = {3, 1};
    char path[FUZZ_PATH];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name[i]);
    if (i == 0) made_npy(path, "|u1", "(2, 3, 2)", zeros, sizeof zeros);
    else made_npy(path, "|u1", "(2,)", i == 1 ? labels : lengths, 2);
}

static void read_all(struct snn_dataset *set) {
    const struct snn_dataset_info *info = &set->info;
    struct snn_sample sample = {0};
    size_t units = (size_t)info->C * (size_t)info->H * (size_t)info->W;
    for (int split = 0; split < 2; ++split) {
        CLAIM(info->count[split] > 0);
        for (int32_t i = 0; i < info->count[split]; ++i) {
            int status = set->ops->get(set, split, i, &sample);
            if (status < 0) { /* a number that is not finite */
                claim_refused(status);
                continue;
            }
            CLAIM(sample.steps >= 1 && sample.steps <= (info->steps ? info->steps : 1));
            CLAIM(sample.label == set->ops->label(set, split, i));
            CLAIM(info->classes ? sample.label >= 0 && sample.label < info->classes : info->targets > 0);
            for (size_t k = 0; k < units * (size_t)sample.steps; ++k) CLAIM(isfinite(sample.numbers[k]));
            for (size_t k = 0; k < (size_t)info->targets * (info->target_steps ? (size_t)sample.steps : 1); ++k)
                CLAIM(isfinite(sample.target[k]));
        }
    }
    snn_sample_free(&sample);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int hostile = -1;
    static struct snn_data_config config;
    if (!size) return 0;
    if (hostile < 0) {
        static const char text[] = "{name: arrays, test: 0.5}";
        struct snn_conf_doc *doc;
        CLAIM(snn_conf_parse(text, sizeof text - 1, "fuzz", &doc) >= 0);
        CLAIM(snn_data_config_read(snn_conf_root(doc), &config) >= 0);
        snn_conf_free(&doc);
    }
    for (int i = 0; hostile < 0 && i < FILES; ++i) write_good(i);
    if (hostile >= 0 && hostile != data[0] % FILES) write_good(hostile);
    hostile = data[0] % FILES;
    fuzz_file(name[hostile], data + 1, size - 1);
    struct snn_dataset *set;
    int status = snn_dataset_open("arrays", fuzz_folder(), NULL, snn_data_set_options(&config), &set);
    if (status < 0) {
        claim_refused(status);
        return 0;
    }
    read_all(set);
    snn_dataset_close(&set);
    return 0;
}
