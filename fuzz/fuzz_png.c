/* SPDX-License-Identifier: Apache-2.0
 * fuzz_png.c - the second training image of a folder is a hostile PNG file; the first byte of the input chooses the
 * options.
 *
 * What is accepted has the set's shape, and is the same when it is read again. */
#include "datasets/loader.h"
#include "fuzz_files.h"

static const char *const options[4] = {"", ", shape: [1, 2, 3]", ", shape: [3, 5, 4], resize: nearest",
                                       ", shape: [1, 4, 7], resize: bilinear"};

static struct snn_dataset *open_set(int which) {
    static struct snn_data_config config; /* options live as long as the set */
    static struct snn_conf_doc *doc;
    struct snn_dataset *set;
    char text[200];
    int n = snprintf(text, sizeof text, "{name: image_folder%s}", options[which]);
    snn_conf_free(&doc);
    CLAIM(snn_conf_parse(text, (size_t)n, "made.yaml", &doc) >= 0);
    CLAIM(snn_data_config_read(snn_conf_root(doc), &config) >= 0);
    CLAIM(snn_dataset_open("image_folder", fuzz_folder(), NULL, snn_data_set_options(&config), &set) >= 0);
    return set;
}

/* 3x2 black pixels in colour. */
static const unsigned char good[] = {0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48,
                                     0x44, 0x52, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x02, 0x08, 0x02, 0x00, 0x00,
                                     0x00, 0x12, 0x16, 0xF1, 0x4D, 0x00, 0x00, 0x00, 0x0B, 0x49, 0x44, 0x41, 0x54, 0x78,
                                     0x9C, 0x63, 0x60, 0xC0, 0x04, 0x00, 0x00, 0x14, 0x00, 0x01, 0x7D, 0xFE, 0x1E, 0xEE,
                                     0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool made;
    if (!size) return 0;
    if (!made) {
        fuzz_subfolder("train/a");
        fuzz_subfolder("test/a");
        fuzz_file("train/a/1.png", good, sizeof good);
        fuzz_file("test/a/1.png", good, sizeof good);
        made = true;
    }
    fuzz_file("train/a/2.png", data + 1, size - 1);
    struct snn_dataset *set = open_set(data[0] % 4);
    size_t units = (size_t)(set->info.C * set->info.H * set->info.W);
    struct snn_sample sample = {0}, again = {0};
    int status = set->ops->get(set, SNN_TRAIN, 1, &sample);
    if (status < 0) {
        claim_refused(status);
    } else {
        CLAIM(sample.label == 0 && sample.pixels_size >= units);
        CLAIM(set->ops->get(set, SNN_TRAIN, 1, &again) >= 0 && !memcmp(sample.pixels, again.pixels, units));
    }
    snn_sample_free(&sample);
    snn_sample_free(&again);
    snn_dataset_close(&set);
    return 0;
}
