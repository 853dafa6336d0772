/* SPDX-License-Identifier: Apache-2.0
 * fuzz_idx.c - one of the four files of an MNIST set is hostile: the first byte of the input says which, the rest is
 * the file, packed or not.
 *
 * The others hold two samples, so that images and labels can agree. */
#include "datasets/dataset.h"
#include "fuzz_files.h"

enum { SIDE = 28, SAMPLES = 2, FILES = 4 };
static const char *const name[FILES] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte"};

static void write_good(int i) {
    unsigned char images[16 + SAMPLES * SIDE * SIDE] = {0, 0, 8,    3, 0, 0, 0,    SAMPLES, 0,
                                                        0, 0, SIDE, 0, 0, 0, SIDE, 255};
    unsigned char labels[8 + SAMPLES] = {0, 0, 8, 1, 0, 0, 0, SAMPLES, 3, 9};
    if (i % 2) fuzz_file(name[i], labels, sizeof labels);
    else fuzz_file(name[i], images, sizeof images);
}

static void read_all(struct snn_dataset *set) {
    struct snn_sample sample = {0};
    for (int split = 0; split < 2; ++split) {
        CLAIM(set->info.count[split] > 0);
        for (int32_t i = 0; i < set->info.count[split]; ++i) {
            CLAIM(set->ops->get(set, split, i, &sample) >= 0);
            CLAIM(sample.label >= 0 && sample.label < set->info.classes &&
                  sample.label == set->ops->label(set, split, i));
            CLAIM(sample.pixels_size >= SIDE * SIDE);
        }
    }
    snn_sample_free(&sample);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int hostile = -1;
    if (!size) return 0;
    for (int i = 0; hostile < 0 && i < FILES; ++i) write_good(i);
    if (hostile >= 0 && hostile != data[0] % FILES) write_good(hostile);
    hostile = data[0] % FILES;
    fuzz_file(name[hostile], data + 1, size - 1);
    struct snn_dataset *set;
    int status = snn_dataset_open("mnist", fuzz_folder(), NULL, NULL, &set);
    if (status < 0) {
        claim_refused(status);
        return 0;
    }
    read_all(set);
    snn_dataset_close(&set);
    return 0;
}
