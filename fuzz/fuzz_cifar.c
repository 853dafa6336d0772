/* SPDX-License-Identifier: Apache-2.0
 * fuzz_cifar.c - a file of a CIFAR set, or the archive that holds the set, is hostile: the first byte of the input says
 * which.
 *
 * What is accepted has labels in range, and as many samples as its length says. The other files hold one image each. */
#include "datasets/dataset.h"
#include "fuzz_files.h"

enum { PIXELS = 3 * 32 * 32 };

static const struct form {
    const char *set, *file;
    size_t record; /* bytes of a record; 0: the file is an archive */
    int split;
} forms[] = {
    {"cifar10", "data_batch_3.bin", 1 + PIXELS, SNN_TRAIN}, {"cifar10", "test_batch.bin", 1 + PIXELS, SNN_TEST},
    {"cifar100", "train.bin", 2 + PIXELS, SNN_TRAIN},       {"cifar100_coarse", "test.bin", 2 + PIXELS, SNN_TEST},
    {"cifar10", "cifar-10-binary.tar.gz", 0, SNN_TRAIN},    {"cifar100", "cifar-100-binary.tar.gz", 0, SNN_TRAIN},
};
enum { FORMS = sizeof forms / sizeof *forms };

static const char *const ten[] = {"data_batch_1.bin",
                                  "data_batch_2.bin",
                                  "data_batch_3.bin",
                                  "data_batch_4.bin",
                                  "data_batch_5.bin",
                                  "test_batch.bin",
                                  NULL};
static const char *const hundred[] = {"train.bin", "test.bin", NULL};

/* Nothing but the form's file, and for a form that is not an archive one image in each of the others. */
static void prepare(const struct form *form) {
    static const unsigned char image[2 + PIXELS] = {3, 7};
    const char *const *names = form->record == 1 + PIXELS ? ten : hundred;
    for (int i = 0; ten[i]; ++i) fuzz_remove(ten[i]);
    for (int i = 0; hundred[i]; ++i) fuzz_remove(hundred[i]);
    for (int i = 0; i < FORMS; ++i) fuzz_remove(forms[i].file);
    for (int i = 0; form->record && names[i]; ++i) fuzz_file(names[i], image, form->record);
}

static void read_all(struct snn_dataset *set) {
    struct snn_sample sample = {0};
    for (int split = 0; split < 2; ++split) {
        CLAIM(set->info.count[split] > 0);
        for (int32_t i = 0; i < set->info.count[split]; ++i) {
            CLAIM(set->ops->get(set, split, i, &sample) >= 0);
            CLAIM(sample.label >= 0 && sample.label < set->info.classes &&
                  sample.label == set->ops->label(set, split, i));
            CLAIM(sample.pixels_size >= PIXELS && set->info.class_name[sample.label]);
        }
    }
    snn_sample_free(&sample);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct form *last;
    if (!size) return 0;
    const struct form *form = &forms[data[0] % FORMS];
    if (form != last) prepare(last = form);
    fuzz_file(form->file, data + 1, size - 1);
    struct snn_dataset *set;
    int status = snn_dataset_open(form->set, fuzz_folder(), NULL, NULL, &set);
    if (status < 0) {
        claim_refused(status);
        return 0;
    }
    if (form->record) {
        int32_t others = form->record == 1 + PIXELS && form->split == SNN_TRAIN ? 4 : 0;
        CLAIM((size_t)(set->info.count[form->split] - others) * form->record == size - 1);
    }
    read_all(set);
    snn_dataset_close(&set);
    return 0;
}
