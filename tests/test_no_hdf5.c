/* SPDX-License-Identifier: Apache-2.0
 * test_no_hdf5.c - a build without HDF5 knows the sets that need it, and says what is missing. */
#include "data_folder.h"
#include "datasets/events.h"

START_TEST(says_that_there_is_no_hdf5) {
    static const char *const files[] = {"shd_train.h5", "shd_test.h5", "ssc_train.h5", "ssc_valid.h5", "ssc_test.h5"};
    static const char *const names[] = {"shd", "ssc", "fsdd_spikes"};
    for (size_t i = 0; i < sizeof files / sizeof *files; ++i) write_file(files[i], "\x89HDF\r\n\x1a\n", 8);
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        struct snn_dataset *set;
        ck_error(snn_dataset_open(names[i], folder, NULL, NULL, &set), SNN_EDATA,
                 "_train.h5: is an HDF5 file, and this build has no HDF5: install libhdf5-dev");
        ck_assert_ptr_null(set);
    }
    struct snn_sample sample = {0};
    struct snn_events_facts facts;
    ck_error(snn_events_read(in("shd_test.h5"), NULL, &sample, &facts), SNN_EDATA,
             "shd_test.h5: is an HDF5 file, and this build has no HDF5: install libhdf5-dev");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("no_hdf5");
    TCase *none = tcase_create("no_hdf5");
    tcase_add_checked_fixture(none, make_data_folder, remove_folder);
    tcase_add_test(none, says_that_there_is_no_hdf5);
    suite_add_tcase(suite, none);
    return run_suite(suite);
}
