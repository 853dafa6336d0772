/* SPDX-License-Identifier: Apache-2.0
 * fuzz_events_h5.c - events in HDF5, whose numbers are hostile: the input is laid over them with exclusive or, so that
 * zeros leave them as they are; its first byte chooses their types.
 *
 * The rest of the file is libhdf5's to read, and is left alone. */
#include <hdf5.h>

#include "datasets/events.h"
#include "fuzz_files.h"

enum { FORMS = 3, COLUMNS = 4, ROWS = 8, ROOM = 1 << 16 };

static const char *const name[COLUMNS] = {"/t", "/x", "/y", "/p"};

static struct form { /* a file, and where its numbers lie in it */
    unsigned char bytes[ROOM];
    size_t size, at[COLUMNS], length[COLUMNS];
} forms[FORMS];

static void make_form(struct form *form, const hid_t type[COLUMNS]) {
    char path[FUZZ_PATH];
    unsigned char *bytes;
    hsize_t rows = ROWS;
    snprintf(path, sizeof path, "%s/x.h5", fuzz_folder());
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), space = H5Screate_simple(1, &rows, NULL);
    for (int c = 0; c < COLUMNS; ++c) {
        int numbers[ROWS];
        for (int i = 0; i < ROWS; ++i) numbers[i] = c == 3 ? i % 2 : 10 * i + c;
        hid_t set = H5Dcreate2(file, name[c], type[c], space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        CLAIM(H5Dwrite(set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) >= 0);
        form->at[c] = (size_t)H5Dget_offset(set);
        form->length[c] = (size_t)H5Dget_storage_size(set);
        H5Dclose(set);
    }
    H5Sclose(space), H5Fclose(file);
    CLAIM(snn_file_read(path, ROOM, &bytes, &form->size) >= 0);
    memcpy(form->bytes, bytes, form->size);
    free(bytes);
}

static void make_forms(void) {
    const hid_t types[FORMS][COLUMNS] = {
        {H5T_STD_I64LE, H5T_STD_U16LE, H5T_STD_U16LE, H5T_STD_U8LE},
        {H5T_IEEE_F64LE, H5T_IEEE_F32BE, H5T_STD_I32BE, H5T_STD_I8LE},
        {H5T_STD_U64BE, H5T_STD_I16LE, H5T_IEEE_F64BE, H5T_IEEE_F32LE},
    };
    for (int i = 0; i < FORMS; ++i) make_form(&forms[i], types[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static unsigned char bytes[ROOM];
    if (!size) return 0;
    if (!forms[0].size) make_forms();
    const struct form *form = &forms[data[0] % FORMS];
    memcpy(bytes, form->bytes, form->size);
    size_t at = 1;
    for (int c = 0; c < COLUMNS; ++c)
        for (size_t k = 0; k < form->length[c] && at < size; ++k) bytes[form->at[c] + k] ^= data[at++];
    struct snn_events_options options = {.unit = data[0] / FORMS % 5};
    struct snn_sample sample = {0};
    struct snn_events_facts facts;
    int status = snn_events_decode("x.h5", bytes, form->size, &options, &sample, &facts);
    if (status < 0) {
        claim_refused(status);
    } else {
        CLAIM(sample.event_count == ROWS);
        for (size_t i = 0; i < ROWS; ++i) {
            const struct snn_event *e = &sample.events[i];
            CLAIM(e->x < facts.W && e->y < facts.H && e->p < 2 && e->t >= 0);
            CLAIM(!i || e[-1].t <= e->t);
        }
    }
    snn_sample_free(&sample);
    return 0;
}
