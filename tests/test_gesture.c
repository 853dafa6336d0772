/* SPDX-License-Identifier: Apache-2.0
 * test_gesture.c - DVS128 Gesture: trials and windows of long recordings, from a folder and from its archive. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/file.h"
#include "data_folder.h"
#include "datasets/parts.h"
#include "made_tar.h"
#include "shared_cases.h"
#include "streamed.h"

struct bytes {
    unsigned char at[4096];
    size_t size;
};

static void add_le(struct bytes *to, uint64_t value, int n) {
    for (int i = 0; i < n; ++i, value >>= 8) to->at[to->size++] = (unsigned char)value;
}

/* One polarity packet of events at the times t0, t0 + step ...; x counts them. */
static void add_packet(struct bytes *to, int n, int t0, int step) {
    add_le(to, 1, 2), add_le(to, 1, 2), add_le(to, 8, 4), add_le(to, 4, 4), add_le(to, 0, 4);
    add_le(to, (uint64_t)n, 4), add_le(to, (uint64_t)n, 4), add_le(to, (uint64_t)n, 4);
    for (int i = 0; i < n; ++i) {
        add_le(to, (uint64_t)i << 17 | 5 << 2 | (unsigned)(i & 1) << 1 | 1, 4);
        add_le(to, (uint64_t)(t0 + i * step), 4);
    }
}

static struct bytes recording(void) {
    static const char head[] = "#!AER-DAT3.1\r\n#!END-HEADER\r\n";
    struct bytes made = {.size = sizeof head - 1};
    memcpy(made.at, head, made.size);
    add_packet(&made, 10, 1000, 100); /* 1000 .. 1900 */
    add_packet(&made, 20, 2000, 100); /* 2000 .. 3900 */
    return made;
}

static const char train_rows[] = "class,startTime_usec,endTime_usec\n1,1000,1500\n11,1400,2501\n8,9000,9500\n",
                  test_rows[] = "class,startTime_usec,endTime_usec\r\n 3,1000,4000 \r\n\r\n";

static void write_text(const char *name, const char *text) { write_file(name, text, strlen(text)); }

static void write_set(const char *train, const char *test) {
    struct bytes made = recording();
    write_file("user07_led.aedat", made.at, made.size);
    write_file("user24_lab.aedat", made.at, made.size);
    write_text("user07_led_labels.csv", train);
    write_text("user24_lab_labels.csv", test);
    write_text("trials_to_train.txt", "user07_led.aedat\n\n");
    write_text("trials_to_test.txt", "  user24_lab.aedat");
}

static struct snn_conf_doc *doc;
static struct snn_data_config config;

static int open_at(const char *root, const char *keys, struct snn_dataset **set) {
    char text[300];
    snprintf(text, sizeof text, "data: {name: dvs_gesture%s}", keys);
    snn_conf_free(&doc);
    SNN_TRY(snn_conf_parse(text, strlen(text), "test", &doc));
    SNN_TRY(snn_data_config_read(snn_conf_get(snn_conf_root(doc), "data"), &config));
    return snn_dataset_open("dvs_gesture", root, NULL, snn_data_set_options(&config), set);
}

static void expect_sample(struct snn_dataset *set, enum snn_split split, int i, int label, size_t events, int first) {
    struct snn_sample sample = {0};
    ck_ok(set->ops->get(set, split, i, &sample));
    ck_assert_int_eq(sample.label, label);
    ck_assert_int_eq(set->ops->label(set, split, i), label);
    ck_assert_uint_eq(sample.event_count, events);
    if (events) ck_assert_int_eq(sample.events[0].t, first);
    for (size_t k = 1; k < events; ++k) ck_assert_int_eq(sample.events[k].t - sample.events[k - 1].t, 100);
    for (size_t k = 0; k < events; ++k) ck_assert_int_eq(sample.events[k].y, 5);
    struct snn_events_extent extent;
    struct snn_events_stream *stream;
    ck_assert_int_eq(set->ops->survey(set, split, i, &extent), SNN_OK);
    ck_assert_int_eq(extent.events, (int64_t)events);
    for (uint64_t way = 0; way < 3; ++way) {
        ck_ok(set->ops->stream(set, split, i, &extent, &stream));
        expect_parts(stream, &extent, &sample, way);
        snn_events_stream_close(&stream);
    }
    snn_sample_free(&sample);
}

START_TEST(rows_are_samples) {
    struct snn_dataset *set;
    write_set(train_rows, test_rows);
    ck_ok(open_at(folder, "", &set));
    ck_assert(set->info.count[SNN_TRAIN] == 3 && set->info.count[SNN_TEST] == 1 && set->info.files == 2);
    ck_assert(set->info.classes == 11 && set->info.C == 2 && set->info.H == 128 && set->info.W == 128);
    ck_assert_str_eq(set->info.class_name[10], "other_gestures");
    ck_assert_str_eq(set->info.split_rule, "the trial lists; samples are trials");
    expect_sample(set, SNN_TRAIN, 0, 0, 5, 1000);   /* the end is not part of it */
    expect_sample(set, SNN_TRAIN, 1, 10, 12, 1400); /* of both packets; rows may overlap */
    expect_sample(set, SNN_TRAIN, 2, 7, 0, 0);
    expect_sample(set, SNN_TEST, 0, 2, 30, 1000);
    ck_assert_int_eq(set->ops->group(set, SNN_TRAIN, 1), 7);
    ck_assert_int_eq(set->ops->group(set, SNN_TEST, 0), 24);
    struct lines lines = {0};
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(strstr(lines.text, "no event from 9000 to 9500 us (class 8)"));
    ck_assert_ptr_nonnull(strstr(lines.text, "train: 3 samples, 17 events\ntest: 1 samples, 30 events\n"));
    snn_dataset_close(&set);
}
END_TEST

static const struct {
    const char *keys;
    int train, test, last_events;
} windows[] = {
    {", samples: windows, window: 1 ms", 1, 3, 10}, /* rows of 0.5, 1.101, 0.5 ms; of 3 ms */
    {", samples: windows, window: 3 ms", 0, 1, 30},
    {", samples: start, window: 1 ms", 3, 1, 10},
    {", samples: start", 3, 1, 30},
};

START_TEST(windows_of_rows) {
    struct snn_dataset *set;
    write_set(train_rows, test_rows);
    if (!windows[_i].train) {
        ck_error(open_at(folder, windows[_i].keys, &set), SNN_EDATA, "is data.window longer than the rows?");
        return;
    }
    ck_ok(open_at(folder, windows[_i].keys, &set));
    ck_assert_int_eq(set->info.count[SNN_TRAIN], windows[_i].train);
    ck_assert_int_eq(set->info.count[SNN_TEST], windows[_i].test);
    struct snn_sample sample = {0};
    ck_ok(set->ops->get(set, SNN_TEST, windows[_i].test - 1, &sample));
    ck_assert_uint_eq(sample.event_count, (size_t)windows[_i].last_events);
    snn_sample_free(&sample);
    snn_dataset_close(&set);
}
END_TEST

static const struct {
    const char *train, *sentence;
} bad_rows[] = {
    {"1,1000,1500\n", "user07_led_labels.csv:1: expected the line class,startTime_usec,endTime_usec"},
    {"", "user07_led_labels.csv:1: expected the line"},
    {"class,startTime_usec,endTime_usec\n\n12,1,2\n", "_labels.csv:3: class 12, expected 1..11"},
    {"class,startTime_usec,endTime_usec\n0,1,2\n", "_labels.csv:2: class 0, expected 1..11"},
    {"class,startTime_usec,endTime_usec\n1,5,5\n", "_labels.csv:2: from 5 to 5 us, expected an end after a start"},
    {"class,startTime_usec,endTime_usec\n1,-5,5\n", "_labels.csv:2: from -5 to 5 us"},
    {"class,startTime_usec,endTime_usec\n1,5\n", "_labels.csv:2: expected three integers, got '1,5'"},
    {"class,startTime_usec,endTime_usec\n1,5,9,9\n", "_labels.csv:2: expected three integers"},
    {"class,startTime_usec,endTime_usec\n1,5,99999999999999999999\n", "_labels.csv:2: expected three integers"},
    {"class,startTime_usec,endTime_usec\n", "trials_to_train.txt: leads to no sample"},
};

/* A table of a few bytes is no reason for memory without end. */
START_TEST(refuses_windows_without_number) {
    struct snn_dataset *set;
    write_set("class,startTime_usec,endTime_usec\n1,0,999999999999999999\n", test_rows);
    ck_ok(open_at(folder, "", &set));
    snn_dataset_close(&set);
    ck_error(open_at(folder, ", samples: windows, window: 1 ms", &set), SNN_EDATA,
             "user07_led_labels.csv: a row of 999999999999999999 us makes 999999999999999 windows, expected at most "
             "16777216 samples a split");
}
END_TEST

START_TEST(refuses_a_bad_table) {
    struct snn_dataset *set;
    write_set(bad_rows[_i].train, test_rows);
    ck_error(open_at(folder, "", &set), SNN_EDATA, bad_rows[_i].sentence);
}
END_TEST

START_TEST(refuses_what_is_missing) {
    struct snn_dataset *set;
    ck_error(open_at(folder, "", &set), SNN_EDATA, "dvs_gesture was not found in");
    write_set(train_rows, test_rows);
    unlink(in("user07_led.aedat"));
    ck_error(open_at(folder, "", &set), SNN_EDATA, "user07_led.aedat: cannot be");
    write_set(train_rows, test_rows);
    unlink(in("user24_lab_labels.csv"));
    ck_error(open_at(folder, "", &set), SNN_EDATA, "user24_lab_labels.csv: cannot be");
    write_set(train_rows, test_rows);
    write_text("trials_to_train.txt", "../user07_led.aedat");
    ck_error(open_at(folder, "", &set), SNN_EDATA, "trials_to_train.txt: names '../user07_led.aedat', expected names");
    write_file("trials_to_train.txt", "a\0b", 3);
    ck_error(open_at(folder, "", &set), SNN_EDATA, "trials_to_train.txt: is not a text");
    unlink(in("trials_to_test.txt"));
    write_text("trials_to_train.txt", "user07_led.aedat");
    ck_error(open_at(folder, "", &set), SNN_EDATA, "trials_to_test.txt: cannot be");
    ck_error(open_at(folder, ", window: 2 s", &set), SNN_EUSAGE, "data.window: needs samples: windows or start");
    ck_error(open_at(folder, ", samples: windows, window: 2", &set), SNN_EUSAGE, "data.window: expected a duration");
}
END_TEST

START_TEST(cut_anywhere) {
    struct snn_dataset *set;
    struct bytes made = recording();
    write_set(train_rows, test_rows);
    for (size_t size = 0; size < made.size; ++size) { /* refused, or fewer events and a warning */
        write_file("user24_lab.aedat", made.at, size);
        if (open_at(folder, "", &set) < 0) continue;
        struct snn_sample sample = {0};
        struct lines lines = {0};
        ck_ok(set->ops->get(set, SNN_TEST, 0, &sample));
        ck_assert_uint_le(sample.event_count, 30);
        ck_ok(set->ops->verify(set, collect, &lines));
        bool whole_packets = size == 28 || size == 28 + 28 + 80;
        if (sample.event_count < 30 && !whole_packets) ck_assert_ptr_nonnull(strstr(lines.text, "user24_lab.aedat: "));
        snn_sample_free(&sample);
        snn_dataset_close(&set);
    }
}
END_TEST

/* ---- the archive ---- */

static void write_archive(const char *name) {
    static struct made_tar tar;
    struct bytes made = recording();
    tar.size = 0;
    tar_put(&tar, "DvsGesture/", '5', "", 0, 0);
    tar_file(&tar, "DvsGesture/user07_led.aedat", made.at, made.size);
    tar_file(&tar, "DvsGesture/user24_lab.aedat", made.at, made.size);
    tar_file(&tar, "DvsGesture/user07_led_labels.csv", train_rows, sizeof train_rows - 1);
    tar_file(&tar, "DvsGesture/user24_lab_labels.csv", test_rows, sizeof test_rows - 1);
    tar_file(&tar, "./DvsGesture/trials_to_train.txt", "user07_led.aedat", 16);
    tar_file(&tar, "DvsGesture/trials_to_test.txt", "user24_lab.aedat", 16);
    tar_file(&tar, "DvsGesture/._trials_to_test.txt", "x", 1);
    tar_file(&tar, "DvsGesture/../../escaped", "x", 1);
    tar_file(&tar, "/DvsGesture/absolute", "x", 1);
    tar_file(&tar, "elsewhere.txt", "x", 1);
    tar_end(&tar);
    tar_write_gz(&tar, name);
}

START_TEST(archive_is_unpacked_once) {
    struct snn_dataset *set;
    write_archive("DvsGesture.tar.gz");
    for (int round = 0; round < 2; ++round) {
        ck_ok(open_at(folder, "", &set));
        expect_sample(set, SNN_TEST, 0, 2, 30, 1000);
        snn_dataset_close(&set);
        ck_assert_int_eq(names_in_folder(), round ? 1 : 2); /* the archive beside the folder, then the folder alone */
        if (!round) unlink(in("DvsGesture.tar.gz"));
    }
    ck_assert(!snn_file_exists(in("DvsGesture/absolute")) && !snn_file_exists(in("DvsGesture/._trials_to_test.txt")));
}
END_TEST

START_TEST(damaged_archive_leaves_nothing) {
    static unsigned char bytes[1 << 16];
    struct snn_dataset *set;
    write_archive("DvsGesture.tar.gz");
    size_t size = read_whole("DvsGesture.tar.gz", bytes, sizeof bytes);
    for (size_t keep = 1; keep < size; keep += size / 9) {
        write_file("DvsGesture.tar.gz", bytes, keep);
        ck_error(open_at(folder, "", &set), SNN_EDATA, "DvsGesture.tar.gz: ");
        ck_assert_int_eq(names_in_folder(), 1);
    }
    bytes[size - 6] ^= 1; /* of the checksum of the whole */
    write_file("DvsGesture.tar.gz", bytes, size);
    ck_error(open_at(folder, "", &set), SNN_EDATA, "incorrect data check");
    ck_assert_int_eq(names_in_folder(), 1);
}
END_TEST

START_TEST(disk_that_is_full) {
    struct snn_dataset *set;
    write_archive("DvsGesture.tar.gz");
    struct rlimit before, little = {100, 100};
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    little.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    int status = open_at(folder, "", &set);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_error(status, SNN_EFAIL, "user07_led.aedat cannot be written: File too large");
    ck_assert_int_eq(names_in_folder(), 1);
    ck_ok(open_at(folder, "", &set));
    snn_dataset_close(&set);
}
END_TEST

START_TEST(two_processes_unpack_one_archive) {
    struct snn_dataset *set;
    pid_t child[4];
    write_archive("DvsGesture.tar.gz");
    mkdir(in("DvsGesture.unpacking"), 0777); /* a killed process left this */
    write_text("DvsGesture.unpacking/user07_led.aedat", "half");
    for (int i = 0; i < 4; ++i)
        if (!(child[i] = fork())) {
            bool good = open_at(folder, "", &set) >= 0 && set->info.count[SNN_TRAIN] == 3;
            _exit(good ? 0 : 1);
        }
    for (int i = 0; i < 4; ++i) {
        int how;
        ck_assert_int_eq(waitpid(child[i], &how, 0), child[i]);
        ck_assert(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
    ck_assert_int_eq(names_in_folder(), 2);
}
END_TEST

/* ---- real recordings ---- */

static void expect_row(const char *path, void *payload) {
    int *rows = payload;
    if (!strstr(path, "_events.safetensors")) return;
    char root[4400];
    struct snn_dataset *set;
    struct snn_st *st;
    struct snn_sample sample = {0};
    ck_assert(find_shared_set("gesture", "DvsGesture", root, sizeof root));
    ck_ok(snn_st_open(path, &st));
    json_t *facts = case_of(st);
    ck_ok(open_at(root, "", &set));
    ck_ok(set->ops->get(set, SNN_TRAIN, (int32_t)json_integer_value(json_object_get(facts, "csv_row")), &sample));
    int64_t start = json_integer_value(json_object_get(facts, "start"));
    ck_assert_int_eq(sample.label, json_integer_value(json_object_get(facts, "label")));
    ck_assert_int_eq((int64_t)sample.event_count, json_integer_value(json_object_get(facts, "n_events")));
    double ends[128 * 4], sums[4], own[4] = {0};
    ck_ok(snn_st_to_double(snn_st_find(st, "ev"), ends)); /* x, y, t, p of the first and the last 64 */
    ck_ok(snn_st_to_double(snn_st_find(st, "sums"), sums));
    for (size_t k = 0; k < sample.event_count; ++k) {
        const struct snn_event *e = &sample.events[k];
        own[0] += e->x, own[1] += e->y, own[2] += e->p, own[3] += (double)(e->t - start);
    }
    for (int k = 0; k < 4; ++k) ck_assert_double_eq(own[k], sums[k]);
    for (size_t k = 0; k < 128; ++k) {
        const struct snn_event *e = &sample.events[k < 64 ? k : sample.event_count - 128 + k];
        ck_assert(e->x == ends[4 * k] && e->y == ends[4 * k + 1] && (double)e->t == ends[4 * k + 2] &&
                  e->p == ends[4 * k + 3]);
    }
    json_decref(facts);
    snn_sample_free(&sample);
    snn_dataset_close(&set);
    snn_st_close(&st);
    ++*rows;
}

START_TEST(real_trials_are_as_the_reference_reads_them) {
    int rows = 0;
    if (each_shared_case("binning", expect_row, &rows)) ck_assert_int_ge(rows, 2);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("gesture");
    TCase *gesture = tcase_create("dvs_gesture");
    tcase_add_checked_fixture(gesture, make_data_folder, remove_folder);
    tcase_set_timeout(gesture, 60);
    tcase_add_test(gesture, rows_are_samples);
    tcase_add_loop_test(gesture, windows_of_rows, 0, (int)(sizeof windows / sizeof *windows));
    tcase_add_loop_test(gesture, refuses_a_bad_table, 0, (int)(sizeof bad_rows / sizeof *bad_rows));
    tcase_add_test(gesture, refuses_what_is_missing);
    tcase_add_test(gesture, refuses_windows_without_number);
    tcase_add_test(gesture, cut_anywhere);
    tcase_add_test(gesture, archive_is_unpacked_once);
    tcase_add_test(gesture, damaged_archive_leaves_nothing);
    tcase_add_test(gesture, disk_that_is_full);
    tcase_add_test(gesture, two_processes_unpack_one_archive);
    tcase_add_test(gesture, real_trials_are_as_the_reference_reads_them);
    suite_add_tcase(suite, gesture);
    return run_suite(suite);
}
