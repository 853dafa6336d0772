/* SPDX-License-Identifier: Apache-2.0
 * fuzz_shd.c - spike trains in HDF5, where what this project reads by itself is hostile: references, heap and labels.
 *
 * The input is laid over these bytes of a well-formed file with exclusive or, so that zeros leave it as it is; its
 * first byte chooses the types of numbers. The rest of the file is libhdf5's to read, and is left alone. */
#include "datasets/dataset.h"
#include "fuzz_files.h"
#include "made_spikes.h"

enum { FORMS = 3, RECORDINGS = 3, ROOM = 1 << 16, REGIONS = 4, HEAP = 1024 };

static struct form { /* a file, and where what is changed lies in it */
    unsigned char bytes[ROOM];
    size_t size, at[REGIONS], length[REGIONS];
} forms[FORMS];

static struct made_spikes made_form(int form) {
    static const int length[RECORDINGS] = {4, 0, 9}, label[RECORDINGS] = {3, 0, 9};
    static const double time[] = {0, 0.25, 0.5, 0.125, 0.125, 0.125, 0.375, 1.5, 0.0625, 1, 2, 3, 4};
    static const long long unit[] = {0, 699, 350, 9, 3, 6, 1, 2, 698, 4, 5, 6, 7};
    struct made_spikes made = {.recordings = RECORDINGS, .length = length, .time = time, .unit = unit, .label = label};
    if (form == 1) made.time_type = H5T_IEEE_F32LE, made.unit_type = H5T_STD_I32LE;
    if (form == 2) made.time_type = H5T_IEEE_F64BE, made.unit_type = H5T_STD_U64BE;
    return made;
}

static void find_regions(struct form *form, const char *path) {
    static const char *const name[] = {"/spikes/times", "/spikes/units", "/labels"};
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    for (int i = 0; i < REGIONS - 1; ++i) {
        hid_t set = H5Dopen2(file, name[i], H5P_DEFAULT);
        form->at[i] = (size_t)H5Dget_offset(set);
        form->length[i] = (size_t)H5Dget_storage_size(set);
        H5Dclose(set);
    }
    H5Fclose(file);
    unsigned char *bytes = NULL, *heap;
    CLAIM(snn_file_read(path, ROOM, &bytes, &form->size) >= 0);
    memcpy(form->bytes, bytes, form->size);
    free(bytes);
    heap = memmem(form->bytes, form->size, "GCOL", 4);
    CLAIM(heap);
    form->at[REGIONS - 1] = (size_t)(heap - form->bytes);
    form->length[REGIONS - 1] = HEAP;
    for (int i = 0; i < REGIONS; ++i) CLAIM(form->at[i] + form->length[i] <= form->size);
}

static void make_forms(void) {
    char path[FUZZ_PATH];
    snprintf(path, sizeof path, "%s/shd_test.h5", fuzz_folder());
    for (int i = 0; i < FORMS; ++i) {
        struct made_spikes made = made_form(i);
        CLAIM(!made_spikes_file(path, &made));
        find_regions(&forms[i], path);
    }
}

static void read_all(struct snn_dataset *set) {
    struct snn_sample sample = {0};
    for (int32_t i = 0; i < set->info.count[SNN_TRAIN]; ++i) {
        int status = set->ops->get(set, SNN_TRAIN, i, &sample);
        if (status < 0) {
            claim_refused(status);
            continue;
        }
        CLAIM(sample.label >= 0 && sample.label < set->info.classes);
        CLAIM(sample.event_count < ROOM); /* the file has no more bytes */
        for (size_t k = 0; k < sample.event_count; ++k) {
            const struct snn_event *e = &sample.events[k];
            CLAIM(e->x < set->info.W && !e->y && !e->p && e->t >= 0);
            CLAIM(!k || e[-1].t <= e->t);
        }
    }
    snn_sample_free(&sample);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static unsigned char bytes[ROOM];
    if (!size) return 0;
    if (!forms[0].size) make_forms();
    const struct form *form = &forms[data[0] % FORMS];
    memcpy(bytes, form->bytes, form->size);
    size_t at = 1;
    for (int i = 0; i < REGIONS; ++i)
        for (size_t k = 0; k < form->length[i] && at < size; ++k) bytes[form->at[i] + k] ^= data[at++];
    fuzz_file("shd_train.h5", bytes, form->size);
    struct snn_dataset *set;
    int status = snn_dataset_open("fsdd_spikes", fuzz_folder(), NULL, NULL, &set);
    if (status < 0) {
        claim_refused(status);
        return 0;
    }
    read_all(set);
    snn_dataset_close(&set);
    return 0;
}
