/* SPDX-License-Identifier: Apache-2.0
 * fuzz_gesture.c - DVS128 Gesture: a table of gestures and a recording, or the archive of everything.
 *
 * The first byte chooses: archive, or files; how samples are made of rows. Of files, the second says how many bytes are
 * the table; the rest is the recording. What is accepted lies within its row, in order of time. */
#include <glob.h>

#include "datasets/parts.h"
#include "fuzz_files.h"

static const char rows[] = "class,startTime_usec,endTime_usec\n1,0,1000000\n";

static void write_files(const uint8_t *data, size_t size) {
    size_t table = size ? data[0] : 0;
    if (size) ++data, --size;
    if (table > size) table = size;
    fuzz_subfolder("DvsGesture");
    fuzz_file("DvsGesture/trials_to_train.txt", "user01_x.aedat\n", 15);
    fuzz_file("DvsGesture/trials_to_test.txt", "user01_x.aedat\n", 15);
    if (table) fuzz_file("DvsGesture/user01_x_labels.csv", data, table);
    else fuzz_file("DvsGesture/user01_x_labels.csv", rows, sizeof rows - 1);
    fuzz_file("DvsGesture/user01_x.aedat", data + table, size - table);
}

static void remove_all(void) {
    char pattern[FUZZ_PATH];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/DvsGesture/*", fuzz_folder());
    if (!glob(pattern, GLOB_PERIOD, NULL, &found))
        for (size_t i = 0; i < found.gl_pathc; ++i) remove(found.gl_pathv[i]);
    globfree(&found);
    fuzz_remove("DvsGesture");
    fuzz_remove("DvsGesture.tar.gz");
}

static void read_all(struct snn_dataset *set) {
    struct snn_sample sample = {0};
    int32_t count = set->info.count[SNN_TRAIN];
    for (int32_t i = 0; i < count && i < 20; ++i) {
        int status = set->ops->get(set, SNN_TRAIN, i, &sample);
        if (status < 0) {
            claim_refused(status);
            continue;
        }
        CLAIM(sample.label >= 0 && sample.label < set->info.classes);
        for (size_t k = 0; k < sample.event_count; ++k) {
            const struct snn_event *e = &sample.events[k];
            CLAIM(e->x < 128 && e->y < 128 && e->p < 2 && e->t >= 0 && (!k || e[-1].t <= e->t));
        }
    }
    snn_sample_free(&sample);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"", ", samples: windows, window: 10 ms", ", samples: start, window: 1 s"};
    struct snn_conf_doc *doc;
    struct snn_data_config config;
    struct snn_dataset *set;
    char text[100];
    if (!size) return 0;
    if (data[0] % 2) fuzz_file("DvsGesture.tar.gz", data + 1, size - 1);
    else write_files(data + 1, size - 1);
    snprintf(text, sizeof text, "data: {name: dvs_gesture%s}", keys[data[0] / 2 % 3]);
    CLAIM(snn_conf_parse(text, strlen(text), "fuzz", &doc) >= 0);
    CLAIM(snn_data_config_read(snn_conf_get(snn_conf_root(doc), "data"), &config) >= 0);
    int status = snn_dataset_open("dvs_gesture", fuzz_folder(), NULL, snn_data_set_options(&config), &set);
    if (status < 0) {
        claim_refused(status);
    } else {
        read_all(set);
        snn_dataset_close(&set);
    }
    snn_conf_free(&doc);
    remove_all();
    return 0;
}
