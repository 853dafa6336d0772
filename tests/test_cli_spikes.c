/* SPDX-License-Identifier: Apache-2.0
 * test_cli_spikes.c - `snntrain data` on spike trains, and recordings as HDF5. */
#include "cli_rig.h"
#include "datasets/dataset.h"
#include "made_spikes.h"

enum { RECORDINGS = 12, EACH_SPIKES = 20 };

/* dir/shd_train.h5 and dir/shd_test.h5: recording i is of digit i % 10, with i spikes that begin at 0.1 s; microseconds
 * that doubles do not hold exactly. */
static void make_digits(const char *dir, int words) {
    int length[RECORDINGS];
    double time[RECORDINGS * EACH_SPIKES];
    long long unit[RECORDINGS * EACH_SPIKES];
    int n = 0;
    made_folder(dir);
    for (int i = 0; i < RECORDINGS; ++i) {
        length[i] = i;
        for (int k = 0; k < i; ++k, ++n) {
            time[n] = 0.1 + k * 0.010001;
            unit[n] = (i * 50 + k * 7) % 700;
        }
    }
    for (int split = 0; split < 2; ++split) {
        char path[MADE_PATH];
        const struct made_spikes made = {.recordings = split ? 5 : RECORDINGS,
                                         .length = length,
                                         .time = time,
                                         .unit = unit,
                                         .time_type = H5T_IEEE_F64LE,
                                         .words = words};
        snprintf(path, sizeof path, "%s/shd_%s.h5", dir, split ? "test" : "train");
        ck_assert_int_eq(made_spikes_file(path, &made), 0);
    }
}

static void enter(void) {
    made_setup();
    ck_assert(!chdir(made_path(".")));
    make_digits("d", 10);
}

#define DIGITS "fsdd_spikes", "--data", "d"

START_TEST(info_counts_speakers) {
    json_t *said = expect_json(snntrain("data", "info", DIGITS, "--json"));
    ck_assert_str_eq(text(said, "group"), "speaker");
    const json_t *groups = json_object_get(said, "groups");
    ck_assert_int_eq(json_array_size(groups), 3); /* recording i is of speaker i % 3 */
    for (size_t g = 0; g < 3; ++g) {
        const json_t *group = json_array_get(groups, g);
        ck_assert(number(group, "id") == (double)g && number(group, "train") == 4 && number(group, "validation") == 0);
        ck_assert(number(group, "test") == (g < 2 ? 2 : 1));
    }
    const json_t *train = json_object_get(json_object_get(said, "samples"), "train");
    ck_assert(!json_object_get(train, "on_share")); /* one polarity */
    ck_assert(number(json_object_get(train, "events"), "max") == RECORDINGS - 1);
    json_decref(said);
    struct said words = snntrain("data", "info", DIGITS);
    ck_assert_msg(strstr(words.out, "\n3 speakers, 3 in train, 3 in test\n"), "%s", words.out);
    ck_assert_ptr_nonnull(strstr(words.out, "word 3"));
    forget(words);
}
END_TEST

START_TEST(own_validation_is_counted_apart) {
    made_folder("ssc");
    int length[3] = {0, 0, 0};
    const char *const names[] = {"train", "valid", "test"};
    for (int part = 0; part < 3; ++part) {
        char path[64];
        const struct made_spikes made = {.recordings = 3 - part, .length = length};
        snprintf(path, sizeof path, "ssc/ssc_%s.h5", names[part]);
        ck_assert_int_eq(made_spikes_file(path, &made), 0);
    }
    json_t *said = expect_json(snntrain("data", "info", "ssc", "--data", "ssc", "--json"));
    ck_assert(number(said, "train") == 3 && number(said, "validation") == 2 && number(said, "test") == 1);
    ck_assert_int_eq(json_array_size(json_object_get(said, "validation_by_class")), 35);
    json_decref(said);
    json_decref(expect_json(snntrain("data", "convert", "ssc", "--data", "ssc", "-o", "out.h5", "--json", "--quiet")));
    made_folder("again");
    for (int part = 0; part < 3; ++part) {
        char from[64], to[64];
        snprintf(from, sizeof from, "out_%s.h5", names[part]);
        snprintf(to, sizeof to, "again/ssc_%s.h5", names[part]);
        ck_assert(!rename(from, to));
    }
    json_t *again = expect_json(snntrain("data", "info", "ssc", "--data", "again", "--json"));
    ck_assert(number(again, "train") == 3 && number(again, "validation") == 2 && number(again, "test") == 1);
    json_decref(again);
    said = expect_json(
        snntrain("data", "show", "ssc", "--data", "ssc", "--split", "validation", "--index", "1", "--json", "--quiet"));
    ck_assert(number(said, "sample") == 4);
    json_decref(said);
}
END_TEST

/* Columns and rows of a PNG that have dots in them. */
static void count_dots(const char *path, int *columns, int *rows) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    ck_assert_msg(png_image_begin_read_from_file(&image, path), "%s: %s", path, image.message);
    image.format = PNG_FORMAT_RGB;
    unsigned char *pixels = malloc(PNG_IMAGE_SIZE(image)), *row = calloc(image.height, 1),
                  *column = calloc(image.width, 1);
    ck_assert_msg(png_image_finish_read(&image, NULL, pixels, 0, NULL), "%s: %s", path, image.message);
    for (unsigned y = 0; y < image.height; ++y)
        for (unsigned x = 0; x < image.width; ++x) {
            const unsigned char *c = pixels + 3 * (y * image.width + x);
            if (c[0] == 0 && c[2] > 170) row[y] = column[x] = 1; /* blue */
        }
    *columns = *rows = 0;
    for (unsigned x = 0; x < image.width; ++x) *columns += column[x];
    for (unsigned y = 0; y < image.height; ++y) *rows += row[y];
    free(pixels), free(row), free(column);
}

START_TEST(raster) {
    int columns, rows;
    struct said said = snntrain("data", "show", DIGITS, "--index", "11", "-o", "r.png");
    ck_assert_str_eq(said.out, "r.png: fsdd_spikes, train sample 11, class 1 (word 1), 11 events\n");
    count_dots("r.png", &columns, &rows); /* eleven times and eleven units, each of 3 pixels */
    ck_assert_msg(columns >= 22 && columns <= 44 && rows >= 22 && rows <= 44, "%d columns, %d rows", columns, rows);
    forget(said);
    expect_done(snntrain("data", "show", DIGITS, "--index", "0", "-o", "empty.png")); /* no spike at all */
    expect_png("empty.png");
    expect_fails(snntrain("data", "show", DIGITS, "--index", "4", "-o", "r.gif"), 2,
                 "r.gif: a GIF shows frames one after the other, and this is a row of units: name a .png", "GIF");
    expect_fails(snntrain("data", "show", DIGITS, "--timesteps", "4"), 2,
                 "--timesteps is for recordings of a camera, and fsdd_spikes has rows of units", "timesteps");
    made_text("c.yaml", "data: {name: fsdd_spikes, timesteps: auto, bin: {by: duration, dt: 10 ms, from: zero}}\n");
    said = snntrain("data", "show", "c.yaml", "--data", "d", "--index", "2", "-o", "c.png");
    ck_assert_msg(!said.status && !strncmp(said.out, "c.png: fsdd_spikes, train sample 2, class 2 (word 2)\n", 54),
                  "%s%s", said.out, said.err);
    count_dots("c.png", &columns, &rows); /* two bins */
    ck_assert_msg(columns >= 4 && columns <= 8 && rows >= 4 && rows <= 8, "%d columns, %d rows", columns, rows);
    forget(said);
}
END_TEST

/* Every recording of both sets, unit by unit and microsecond by microsecond. */
static void expect_same_recordings(const char *data, const char *other) {
    struct snn_dataset *set[2];
    struct snn_sample sample[2] = {0};
    ck_ok(snn_dataset_open("fsdd_spikes", data, NULL, NULL, &set[0]));
    ck_ok(snn_dataset_open("fsdd_spikes", other, NULL, NULL, &set[1]));
    for (int split = 0; split < 2; ++split) {
        ck_assert_int_eq(set[0]->info.count[split], set[1]->info.count[split]);
        for (int32_t i = 0; i < set[0]->info.count[split]; ++i) {
            for (int k = 0; k < 2; ++k) ck_ok(set[k]->ops->get(set[k], (enum snn_split)split, i, &sample[k]));
            ck_assert_int_eq(sample[0].label, sample[1].label);
            ck_assert_uint_eq(sample[0].event_count, sample[1].event_count);
            for (size_t e = 0; e < sample[0].event_count; ++e)
                ck_assert(sample[0].events[e].t == sample[1].events[e].t &&
                          sample[0].events[e].x == sample[1].events[e].x);
            ck_assert_int_eq(set[0]->ops->group(set[0], (enum snn_split)split, i),
                             set[1]->ops->group(set[1], (enum snn_split)split, i));
        }
    }
    for (int c = 0; c < 10; ++c) ck_assert_str_eq(set[0]->info.class_name[c], set[1]->info.class_name[c]);
    for (int k = 0; k < 2; ++k) snn_sample_free(&sample[k]), snn_dataset_close(&set[k]);
}

START_TEST(spikes_there_and_back) {
    made_folder("back");
    struct said said = snntrain("data", "convert", DIGITS, "-o", "back/shd.h5");
    ck_assert_msg(!said.status, "%s", said.err);
    ck_assert_str_eq(said.out,
                     "back/shd_train.h5: 12 recordings, 66 events\nback/shd_test.h5: 5 recordings, 10 events\n");
    forget(said);
    expect_same_recordings("d", "back");
    sleep(1); /* no time of day is in the file */
    expect_done(snntrain("data", "convert", DIGITS, "--split", "test", "-o", "one.h5"));
    ck_assert(made_same("one.h5", "back/shd_test.h5")); /* the same bytes, under the name that was given */
}
END_TEST

/* A whole list of a file, as integers. */
static long long *read_list(hid_t file, const char *name, size_t *n) {
    hsize_t size;
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
    ck_assert_msg(set >= 0, "no %s", name);
    H5Sget_simple_extent_dims(space, &size, NULL);
    long long *values = calloc(size + 1, sizeof *values);
    ck_assert_int_ge(H5Dread(set, H5T_NATIVE_LLONG, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    H5Sclose(space), H5Dclose(set);
    *n = size;
    return values;
}

START_TEST(camera) {
    made_nmnist("n", 3, 2);
    made_write("n/Train/0/00001.bin", "", 0); /* a recording without events */
    json_t *said = expect_json(snntrain("data", "convert", "nmnist", "--data", "n", "-o", "n.h5", "--json", "--quiet"));
    const json_t *files = json_object_get(said, "files");
    ck_assert_int_eq(json_array_size(files), 2);
    ck_assert_str_eq(text(json_array_get(files, 0), "file"), "n_train.h5");
    json_decref(said);
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    ck_ok(snn_dataset_open("nmnist", "n", NULL, NULL, &set));
    hid_t file = H5Fopen("n_train.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    static const char *const names[] = {"events/t", "events/x", "events/y", "events/p", "offsets", "labels"};
    long long *list[6];
    size_t n[6];
    for (int k = 0; k < 6; ++k) list[k] = read_list(file, names[k], &n[k]);
    ck_assert(n[4] == 31 && n[5] == 30 && (size_t)list[4][30] == n[0] && n[0] == n[3]);
    for (int32_t i = 0; i < 30; ++i) {
        ck_ok(set->ops->get(set, SNN_TRAIN, i, &sample));
        ck_assert(list[5][i] == sample.label && list[4][i + 1] - list[4][i] == (long long)sample.event_count);
        for (size_t e = 0; e < sample.event_count; ++e) {
            size_t at = (size_t)list[4][i] + e;
            const struct snn_event *event = &sample.events[e];
            ck_assert(list[0][at] == event->t && list[1][at] == event->x && list[2][at] == event->y &&
                      list[3][at] == event->p);
        }
    }
    expect_fails(snntrain("data", "info", "n_train.h5"), 3,
                 "n_train.h5: holds many recordings one behind the other (/offsets), expected one", "as a recording");
    int sensor[3];
    hid_t attribute = H5Aopen(file, "sensor_size", H5P_DEFAULT);
    ck_assert(H5Aread(attribute, H5T_NATIVE_INT, sensor) >= 0 && sensor[0] == 34 && sensor[1] == 34 && sensor[2] == 2);
    H5Aclose(attribute), H5Fclose(file);
    for (int k = 0; k < 6; ++k) free(list[k]);
    snn_sample_free(&sample), snn_dataset_close(&set);
}
END_TEST

START_TEST(nothing_half_written) {
    made_nmnist("n", 3, 2);
    made_text("n/Train/9/00002.bin", "abc"); /* the last one */
    made_text("n_train.h5", "what was there");
    expect_fails(snntrain("data", "convert", "nmnist", "--data", "n", "-o", "n.h5"), 3,
                 "n/Train/9/00002.bin: has 3 bytes, expected a multiple of 5", "a broken recording");
    char *kept = made_read("n_train.h5", NULL);
    ck_assert_str_eq(kept, "what was there");
    free(kept);
    ck_assert(!snn_file_exists("n_test.h5"));
    expect_fails(snntrain("data", "convert", DIGITS, "-o", "no/d.h5"), 1,
                 "no/d_train.h5: its folder cannot be opened: No such file or directory", "no folder");
    expect_fails(snntrain("data", "convert", DIGITS, "-o", "/dev/null", "--split", "test"), 1,
                 "/dev/null: exists and is not a regular file: it is not replaced", "a device");
}
END_TEST

int main(int argc, char **argv) {
    (void)argc;
    if (!find_program(argv[0])) return 1;
    made_root();
    unsetenv("SNNTRAIN_DATA");
    setenv("GOMP_SPINCOUNT", "3000", 0); /* set, so that the program need not start a second time */
    Suite *suite = suite_create("cli_spikes");
    TCase *t = tcase_create("cli_spikes");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, enter, made_teardown);
    tcase_add_test(t, info_counts_speakers);
    tcase_add_test(t, own_validation_is_counted_apart);
    tcase_add_test(t, raster);
    tcase_add_test(t, spikes_there_and_back);
    tcase_add_test(t, camera);
    tcase_add_test(t, nothing_half_written);
    suite_add_tcase(suite, t);
    int failed = run_suite(suite);
    made_remove(made_root());
    return failed;
}
