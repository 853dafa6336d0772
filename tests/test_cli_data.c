/* SPDX-License-Identifier: Apache-2.0
 * test_cli_data.c - `snntrain data` on images and camera recordings, as a user meets it. */
#include <math.h>

#include "cli_rig.h"

static char mnist[MADE_PATH], nmnist[MADE_PATH];

static void enter(void) {
    made_setup();
    ck_assert(!chdir(made_path(".")));
}

/* ---- wrong usage ---- */

static const struct {
    const char *argv[8];
    int status;
    const char *sentence;
} usage[] = {
    {{"data"}, 2, "data: expected info, verify, show, fetch, convert or cache (`snntrain data --help`)"},
    {{"data", "info"}, 2, "data: wrong number of arguments (`snntrain data --help` shows them)"},
    {{"data", "verfy", "mnist"}, 2, "data: unknown verb 'verfy' (did you mean 'verify'?)"},
    {{"data", "frobnicate", "mnist"},
     2,
     "data: expected info, verify, show, fetch, convert or cache, got 'frobnicate'"},
    {{"data", "info", "mnits"}, 2, "'mnits' is no data set (did you mean 'mnist'?)"},
    {{"data", "info", "frobnicate.csv"},
     2,
     "'frobnicate.csv' is neither a data set (snntrain list datasets names them) nor a file or run that is there"},
    {{"data", "info", "no/walk.csv"}, 3, "no/walk.csv: there is no such file or folder"},
    {{"data", "show", "mnist", "--set", "a=b"}, 2, "--set a=b: a: expected a key below data"},
    {{"data", "show", "mnist", "--data", mnist, "--split", "validation"},
     2,
     "--split: mnist has no validation samples of its own; they are set apart by a config"},
    {{"data", "show", "mnist", "--data", mnist, "--split", "tset"},
     2,
     "--split: expected test, validation or train, got 'tset'"},
    {{"data", "show", "mnist", "--data", mnist, "--index", "96"},
     2,
     "--index 96: the train split of mnist has 96 samples"},
    {{"data", "show", "nmnist", "--data", nmnist, "--timesteps", "many"},
     2,
     "--timesteps: expected 1..1000 frames, got 'many'"},
    {{"data", "show", "nmnist", "--data", nmnist, "--timesteps", "0"},
     2,
     "--timesteps: expected 1..1000 frames, got '0'"},
    {{"data", "show", "nmnist", "--data", nmnist, "--timesteps", "101"},
     2,
     "sample.png: there are 101 frames, of which a strip shows at most 100: give --timesteps"},
    {{"data", "show", "mnist", "--data", mnist, "--timesteps", "3"},
     2,
     "--timesteps is for recordings of a camera, and mnist has images"},
    {{"data", "show", "mnist", "--data", mnist, "-o", "x.gif"},
     2,
     "x.gif: a GIF shows frames one after the other, and this is one image: name a .png"},
    {{"data", "show", "mnist", "--data", mnist, "-o", "no/x.png"},
     1,
     "no/x.png: its folder cannot be opened: No such file or directory"},
    {{"data", "show", "mnist", "--data", mnist, "-o", "/dev/null"},
     1,
     "/dev/null: exists and is not a regular file: it is not replaced"},
    {{"data", "convert", "nmnist", "--data", nmnist}, 2, "data convert: where to? give -o FILE.h5"},
    {{"data", "convert", "mnist", "--data", mnist, "-o", "x.h5"},
     2,
     "data convert: is for recordings, and mnist has images"},
    {{"data", "fetch", "mnits", "-o", "d"}, 2, "fetch: unknown data set 'mnits' (did you mean 'mnist'?)"},
    {{"data", "fetch", "frobnicate", "-o", "d"},
     2,
     "fetch: unknown data set 'frobnicate' (snntrain list datasets names them)"},
    {{"data", "fetch", "mnist"},
     2,
     "data fetch: where to? give -o DIR, or set SNNTRAIN_DATA to a folder for all data sets"},
    {{"data", "fetch", "fsdd_spikes", "-o", "d"},
     3,
     "fsdd_spikes lies ready nowhere: pass the recordings of https://github.com/Jakobovski/free-spoken-digit-dataset "
     "through https://github.com/electronicvisions/lauscher into shd_train.h5 and shd_test.h5, and name their folder "
     "with --data"},
};

START_TEST(wrong_usage) {
    const char *argv[10] = {program};
    char what[1024] = "";
    for (int i = 0; i < 8 && usage[_i].argv[i]; ++i) {
        argv[i + 1] = usage[_i].argv[i];
        snprintf(what + strlen(what), sizeof what - strlen(what), "%s ", usage[_i].argv[i]);
    }
    expect_fails(run(argv), usage[_i].status, usage[_i].sentence, what);
}
END_TEST

/* ---- info ---- */

static double at(const json_t *json, const char *path) {
    char step[64];
    for (int n; *path; path += n + (path[n] == '.')) {
        n = (int)strcspn(path, ".");
        snprintf(step, sizeof step, "%.*s", n, path);
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(step)) : json_object_get(json, step);
        ck_assert_msg(json, "no %s", path);
    }
    return json_number_value(json);
}

START_TEST(info_of_images) {
    json_t *said = expect_json(snntrain("data", "info", "mnist", "--data", mnist, "--json"));
    expect_keys(said, "name classes train test shape files");
    ck_assert(number(said, "train") == 96 && number(said, "test") == 32 && number(said, "classes") == 10);
    ck_assert(!json_object_get(said, "validation") && !json_object_get(said, "groups"));
    for (int c = 0; c < 10; ++c) { /* sample i is of class 7 i % 10 */
        char path[32];
        int expected = 0;
        for (int i = 0; i < 96; ++i) expected += i * 7 % 10 == c;
        snprintf(path, sizeof path, "train_by_class.%d", c);
        ck_assert(at(said, path) == expected);
    }
    size_t size; /* mean and deviation of the bytes behind the header */
    char *raw = made_read(made_path("../mnist/train-images-idx3-ubyte"), &size);
    double sum = 0, squares = 0, n = (double)size - 16;
    for (size_t i = 16; i < size; ++i) sum += (unsigned char)raw[i], squares += pow((unsigned char)raw[i], 2);
    free(raw);
    ck_assert_double_eq_tol(at(said, "samples.train.mean"), sum / n / 255, 1e-8);
    ck_assert_double_eq_tol(at(said, "samples.train.std"), sqrt(squares / n - pow(sum / n, 2)) / 255, 1e-8);
    ck_assert(at(said, "samples.train.looked_at") == 96 && at(said, "samples.test.of") == 32);
    json_decref(said);
}
END_TEST

/* A recording of n events, x = y = 1, from time t on, 1000 us apart; the first `on` of them ON. */
static void make_recording(const char *path, int n, unsigned t, int on) {
    unsigned char bytes[100 * 5];
    for (int i = 0; i < n; ++i, t += 1000) {
        unsigned char *e = bytes + 5 * i;
        e[0] = e[1] = 1;
        e[2] = (unsigned char)((i < on) << 7 | t >> 16), e[3] = (unsigned char)(t >> 8), e[4] = (unsigned char)t;
    }
    made_write(path, bytes, (size_t)n * 5);
}

START_TEST(info_of_recordings) {
    made_folder("n/Train/3"), made_folder("n/Test/4");
    make_recording("n/Train/3/a.bin", 11, 500, 11); /* 10 ms */
    make_recording("n/Train/3/b.bin", 21, 9000, 0); /* 20 ms */
    make_recording("n/Train/3/c.bin", 81, 0, 10);   /* 80 ms */
    make_recording("n/Train/3/d.bin", 0, 0, 0);
    make_recording("n/Test/4/a.bin", 1, 0, 1);
    json_t *said = expect_json(snntrain("data", "info", "nmnist", "--data", "n", "--json"));
    ck_assert(number(said, "train") == 4 && number(said, "test") == 1 && number(said, "files") == 5);
    ck_assert(at(said, "shape.0") == 2 && at(said, "shape.1") == 34);
    ck_assert(at(said, "train_by_class.3") == 4 && at(said, "test_by_class.4") == 1 &&
              at(said, "train_by_class.4") == 0);
    ck_assert_double_eq_tol(at(said, "samples.train.duration_ms.min"), 0, 1e-6);
    ck_assert_double_eq_tol(at(said, "samples.train.duration_ms.median"), 15, 1e-6);
    ck_assert_double_eq_tol(at(said, "samples.train.duration_ms.max"), 80, 1e-6);
    ck_assert_double_eq_tol(at(said, "samples.train.events.median"), 16, 1e-9);
    ck_assert_double_eq_tol(at(said, "samples.train.events_per_s"), 113 / 0.110, 1e-4);
    ck_assert_double_eq_tol(at(said, "samples.train.on_share"), 21.0 / 113, 1e-8);
    ck_assert(at(said, "samples.test.events_per_s") == 0); /* a single event has no duration */
    json_decref(said);
    struct said words = snntrain("data", "info", "nmnist", "--data", "n");
    ck_assert_msg(!words.status && strstr(words.out, "nmnist in n: 4 training and 1 test samples in 5 files"), "%s",
                  words.out);
    ck_assert_ptr_nonnull(strstr(words.out, "\ntrain      all 4 "));
    forget(words);
    made_text("n/Train/3/b.bin", "abc"); /* what cannot be read is not passed over */
    expect_fails(snntrain("data", "info", "nmnist", "--data", "n"), 3,
                 "n/Train/3/b.bin: has 3 bytes, expected a multiple of 5", "a broken recording");
}
END_TEST

START_TEST(info_of_many_recordings) {
    made_folder("n/Train/3"), made_folder("n/Test/4");
    for (int i = 0; i < 1200; ++i) {
        char path[64];
        snprintf(path, sizeof path, "n/Train/3/%04d.bin", i);
        make_recording(path, i < 600 ? 1 : 3, 0, 0);
    }
    make_recording("n/Test/4/a.bin", 1, 0, 1);
    json_t *said = expect_json(snntrain("data", "info", "nmnist", "--data", "n", "--json"));
    ck_assert(at(said, "samples.train.looked_at") == 1000 && at(said, "samples.train.of") == 1200);
    ck_assert(at(said, "samples.train.events.median") == 2); /* from all parts of the set alike */
    json_decref(said);
    struct said words = snntrain("data", "info", "nmnist", "--data", "n");
    ck_assert_msg(strstr(words.out, "\ntrain      1000 of 1200 "), "%s", words.out);
    forget(words);
}
END_TEST

/* ---- verify ---- */

START_TEST(verify) {
    json_t *json = expect_json(snntrain("data", "verify", "nmnist", "--data", nmnist, "--json"));
    ck_assert(json_is_true(json_object_get(json, "intact")) && json_is_false(json_object_get(json, "as_distributed")));
    json_decref(json);
    struct said said = snntrain("data", "verify", "nmnist", "--data", nmnist);
    const char *verdict = "\nnmnist: intact, as far as its structure tells: no checksum proves all of its contents (30 "
                          "training and 20 test samples)\n";
    ck_assert_msg(!said.status && !*said.err && strlen(said.out) > strlen(verdict), "%s", said.err);
    ck_assert_str_eq(said.out + strlen(said.out) - strlen(verdict), verdict); /* the last line */
    forget(said);
    said = snntrain("data", "verify", "nmnist", "--data", nmnist, "--quiet");
    ck_assert(!said.status && !*said.out && !*said.err);
    forget(said);
    said = snntrain("data", "verify", "mnist", "--data", mnist); /* made up, and said so */
    char sentence[2 * MADE_PATH];
    snprintf(sentence, sizeof sentence, "snntrain: %s: 4 of 4 files of mnist are not as distributed\n", mnist);
    ck_assert_int_eq(said.status, 3);
    ck_assert_str_eq(said.err, sentence);
    forget(said);
}
END_TEST

START_TEST(verify_what_is_as_distributed) {
    char root[MADE_PATH];
    const char *shared = shared_dir();
    if (!shared) {
        fprintf(stderr, "skipped: verify_what_is_as_distributed: no shared reference data\n");
        return;
    }
    snprintf(root, sizeof root, "%.400s/data/mnist", shared);
    json_t *json = expect_json(snntrain("data", "verify", "mnist", "--data", root, "--json", "--quiet"));
    ck_assert(json_is_true(json_object_get(json, "as_distributed")));
    json_decref(json);
}
END_TEST

/* ---- show ---- */

START_TEST(show) {
    expect_done(snntrain("data", "show", "mnist", "--data", mnist, "--index", "5", "-o", "image.png"));
    expect_png("image.png");
    expect_done(snntrain("data", "show", "nmnist", "--data", nmnist, "--split", "test", "--timesteps", "7", "-o",
                         "events.png"));
    expect_png("events.png");
    json_t *said = expect_json(snntrain("data", "show", "nmnist", "--data", nmnist, "--json", "--quiet"));
    ck_assert(number(said, "frames") == 10 && number(said, "label") == 0 && number(said, "events") >= 250);
    ck_assert_str_eq(text(said, "file"), "sample.png");
    json_decref(said);
    made_folder("mnist"); /* a folder in the way of a set's name is not taken for a run */
    expect_done(snntrain("data", "show", "mnist", "--data", mnist, "-o", "again.png"));
}
END_TEST

START_TEST(show_as_animation) {
    struct said said = snntrain("data", "show", "nmnist", "--data", nmnist, "-o", "a.gif", "--json", "--quiet");
    if (said.status == 1) {
        ck_assert_ptr_nonnull(strstr(said.err, "this build writes no GIF"));
        forget(said);
        return;
    }
    json_t *json = expect_json(said);
    ck_assert(number(json, "frames") == 30);
    json_decref(json);
    char *bytes = made_read("a.gif", NULL);
    ck_assert(!strncmp(bytes, "GIF89a", 6));
    free(bytes);
}
END_TEST

/* ---- recordings in files ---- */

START_TEST(data_of_a_file) {
    made_text("walk.csv", "t_ms,x,y,p\n10,3,4,1\n10.5,5,9,0\n12,5,6,1\n20,7,2,1\n");
    json_t *json = expect_json(snntrain("data", "info", "walk.csv", "--json"));
    expect_keys(json, "file format sensor sensor_stated first_us last_us invalid dropped skipped clock_overflows "
                      "cut_bytes warning");
    ck_assert(number(json, "events") == 4 && number(json, "duration_s") == 0.01 &&
              number(json, "events_per_s") == 400 && number(json, "peak_events_per_s") == 300 &&
              number(json, "on_fraction") == 0.75);
    ck_assert(json_integer_value(json_array_get(json_object_get(json, "sensor"), 0)) == 8 &&
              json_integer_value(json_array_get(json_object_get(json, "sensor"), 1)) == 10);
    json_decref(json);
    struct said said = snntrain("data", "info", "walk.csv");
    ck_assert_str_eq(said.out, "walk.csv: CSV, sensor 8x10 (not stated; from the largest coordinates), 4 events\n"
                               "duration     0.010000 s, from 10000 to 20000 us\n"
                               "rate         400 events/s, at most 300 in 10 ms\n"
                               "ON           75.00 %\n");
    forget(said);
    json = expect_json(snntrain("data", "info", "walk.csv", "--unit", "s", "--json"));
    ck_assert(number(json, "duration_s") == 10);
    json_decref(json);
    expect_done(snntrain("data", "show", "walk.csv", "--timesteps", "3", "-o", "walk.png"));
    expect_png("walk.png");
    expect_fails(snntrain("data", "show", "walk.csv", "--timesteps", "0"), 2,
                 "--timesteps: expected 1..1000 frames, got '0'", "timesteps");
    expect_fails(snntrain("data", "info", "walk.csv", "--unit", "h"), 2,
                 "--unit: expected one of s, ms, us, ns, got 'h'", "unit");
    expect_fails(snntrain("data", "info", "walk.csv", "--map", "dvs"), 2,
                 "--map: expected one of dvs128, davis240, got 'dvs'", "map");
    expect_fails(snntrain("data", "info", "walk.csv", "--format", "orchard"), 3,
                 "walk.csv: has 49 bytes, expected a multiple of 5", "format");
    expect_fails(snntrain("data", "info", "walk.csv", "--index", "3"), 2,
                 "--data, --split, --index and --set are for data sets, and walk.csv is a file", "index");
    expect_fails(snntrain("data", "verify", "walk.csv"), 2,
                 "data verify is for data sets; data info reads the whole of a recording", "verify");
    expect_fails(snntrain("data", "info", "mnist", "--unit", "ms"), 2,
                 "--unit, --format and --map are for recordings in files, and there is no file mnist", "unit of a set");
    made_text("walk.csv", "1,65535,65535,1\n");
    expect_fails(snntrain("data", "show", "walk.csv"), 2, "walk.csv: 10 frames of 65536x65536 are too large to draw",
                 "large");
    made_text("walk.csv", "t,x,y,p\n");
    expect_fails(snntrain("data", "show", "walk.csv"), 3, "walk.csv: holds no events to draw", "empty");
    expect_done(snntrain("data", "info", "walk.csv"));
    ck_assert(!mkdir("walks", 0777));
    expect_fails(snntrain("data", "info", "walks"), 3,
                 "walks: is a folder without config.yaml, not a run; that of a data set's files is named behind its "
                 "name: nmnist --data DIR",
                 "folder");
    made_text("b\xff.csv", "1,2,3,1\n");
    expect_done(snntrain("data", "info", "b\xff.csv"));
    expect_fails(snntrain("data", "info", "b\xff.csv", "--json"), 1,
                 "the result cannot be written as JSON: a name in it is not UTF-8, or a number is not finite", "name");
    made_text("walk.txt", "1,2\n");
    expect_fails(snntrain("data", "info", "walk.txt"), 3, "walk.txt:1: '1,2', expected 4 columns", "broken");
}
END_TEST

/* ---- colours ---- */

/* Pixels of a PNG that lie within 2 of a colour. */
static size_t pixels_like(const char *path, int r, int g, int b) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    ck_assert_msg(png_image_begin_read_from_file(&image, path), "%s: %s", path, image.message);
    image.format = PNG_FORMAT_RGB;
    unsigned char *pixels = malloc(PNG_IMAGE_SIZE(image));
    ck_assert_msg(png_image_finish_read(&image, NULL, pixels, 0, NULL), "%s: %s", path, image.message);
    size_t n = 0;
    for (size_t i = 0; i < PNG_IMAGE_SIZE(image); i += 3)
        n += abs(pixels[i] - r) <= 2 && abs(pixels[i + 1] - g) <= 2 && abs(pixels[i + 2] - b) <= 2;
    free(pixels);
    return n;
}

enum { TILE_PIXELS = 320 * 320 }; /* of a 32x32 image, ten by ten each */

START_TEST(colours_are_those_of_the_file) {
    made_cifar10("cifar", 12);
    json_t *said = expect_json(snntrain("data", "info", "cifar10", "--data", "cifar", "--json"));
    ck_assert(number(said, "train") == 60 && number(said, "test") == 12 && number(said, "files") == 6);
    json_decref(said);
    json_decref(expect_json(snntrain("data", "verify", "cifar10", "--data", "cifar", "--json")));
    expect_done(snntrain("data", "show", "cifar10", "--data", "cifar", "--index", "14", "-o", "red.png"));
    ck_assert_uint_eq(pixels_like("red.png", 250, 10, 40),
                      TILE_PIXELS); /* record 2 of the second file; not stretched */
    expect_done(snntrain("data", "show", "cifar10", "--data", "cifar", "--index", "13", "-o", "redder.png"));
    ck_assert_uint_eq(pixels_like("redder.png", 250, 10, 40), 0);
}
END_TEST

/* ---- show as a network gets it ---- */

static void write_config(const char *data) {
    char line[1024];
    snprintf(line, sizeof line, "data: {%s}\nmodel: [flatten, linear: 20, lif, linear: 10]\n", data);
    made_text("c.yaml", line);
}

START_TEST(normalised_image_keeps_its_brightness) {
    made_cifar10("cifar", 12);
    write_config("name: cifar10, mean: 0.4, std: 0.2");
    expect_done(snntrain("data", "show", "c.yaml", "--data", "cifar", "--index", "2", "-o", "a.png"));
    ck_assert_uint_eq(pixels_like("a.png", 250, 10, 40), TILE_PIXELS);
}
END_TEST

START_TEST(rate_coded_image_has_steps) {
    write_config("name: mnist, timesteps: 6, coding: rate");
    json_t *said = expect_json(snntrain("data", "show", "c.yaml", "--data", mnist, "--json", "--quiet"));
    ck_assert(number(said, "frames") == 6 && !json_object_get(said, "events"));
    json_decref(said);
}
END_TEST

START_TEST(frames_are_those_of_the_config) {
    made_folder("n/Train/3"), made_folder("n/Test/4");
    make_recording("n/Train/3/a.bin", 11, 500, 11);
    make_recording("n/Train/3/b.bin", 81, 0, 81); /* longest: 80 ms */
    make_recording("n/Test/4/a.bin", 1, 0, 1);
    write_config("name: nmnist, timesteps: auto, bin: {by: duration, dt: 10 ms}");
    json_t *said = expect_json(snntrain("data", "show", "c.yaml", "--data", "n", "--index", "1", "--json", "--quiet"));
    ck_assert(number(said, "frames") == 8 && number(said, "label") == 3 && number(said, "sample") == 1);
    json_decref(said);
    struct said words = snntrain("data", "show", "c.yaml", "--data", "n");
    ck_assert_str_eq(words.out, "sample.png: nmnist, train sample 0, class 3 (3), and 7 steps of padding\n");
    forget(words);
    said = expect_json(snntrain("data", "show", "c.yaml", "--data", "n", "--timesteps", "5", "--json", "--quiet"));
    ck_assert(number(said, "frames") == 5);
    json_decref(said);
    expect_fails(snntrain("data", "show", "c.yaml", "--data", "n", "--index", "2"), 2,
                 "--index 2: the config sets 2 samples apart for train", "index");
    expect_fails(snntrain("data", "show", "c.yaml", "--data", "n", "--split", "validation"), 2,
                 "there is no validation split: data.validation is none", "validation");
}
END_TEST

START_TEST(sequence_is_one_picture) {
    write_config("name: synthetic");
    expect_done(snntrain("data", "show", "c.yaml", "--index", "3", "-o", "c.png"));
    expect_done(snntrain("data", "show", "synthetic", "--index", "3", "-o", "s.png"));
    ck_assert(made_same("c.png", "s.png")); /* a network gets the numbers as they are */
}
END_TEST

START_TEST(validation_of_a_config) {
    write_config("name: mnist, validation: 0.25");
    json_t *said = expect_json(snntrain("data", "show", "c.yaml", "--data", mnist, "--split", "validation", "--index",
                                        "3", "--json", "--quiet"));
    int sample = (int)number(said, "sample");
    ck_assert_str_eq(text(said, "split"), "validation");
    ck_assert_int_eq((int)number(said, "label"), sample * 7 % 10);
    json_decref(said);
    /* It is none of the training samples, before which at most the 24 of validation are missing. */
    for (int i = sample < 24 ? 0 : sample - 24; i <= sample && i < 70; ++i) {
        char index[16];
        snprintf(index, sizeof index, "%d", i);
        said = expect_json(snntrain("data", "show", "c.yaml", "--data", mnist, "--index", index, "--json", "--quiet"));
        ck_assert_int_ne((int)number(said, "sample"), sample);
        json_decref(said);
    }
}
END_TEST

/* ---- fetch ---- */

START_TEST(fetch_by_hand) {
    struct said said = snntrain("data", "fetch", "dvs_gesture", "-o", "d");
    ck_assert_int_eq(said.status, 3);
    ck_assert_str_eq(said.err, "snntrain: d: holds no DvsGesture.tar.gz, which has to be downloaded by hand\n");
    ck_assert_ptr_nonnull(strstr(said.out, "https://ibm.ent.box.com/"));
    ck_assert_ptr_nonnull(strstr(said.out, "Put DvsGesture.tar.gz into d "));
    forget(said);
    made_folder("d");
    made_text("d/DvsGesture.tar.gz", "abc");
    said = snntrain("data", "fetch", "dvs_gesture", "-o", "d");
    ck_assert_int_eq(said.status, 3);
    ck_assert_str_eq(said.err, "snntrain: d/DvsGesture.tar.gz: has md5 900150983cd24fb0d6963f7d28e17f72, expected "
                               "8a5c71fb11e24e5ca5b11866ca6c00a1; it is not overwritten: move it away to fetch the "
                               "distributed file\n");
    forget(said);
}
END_TEST

/* The network is closed: the mirror and all addresses fail at once (see main). */
START_TEST(fetch_without_a_network) {
    struct said said = snntrain("data", "fetch", "mnist", "-o", "d/e");
    bool none = strstr(said.err, "this build cannot download") != NULL;
    ck_assert_msg(said.status == (none ? 1 : 3), "%d: %s", said.status, said.err);
    ck_assert(!strncmp(said.out, "mnist into d/e: 4 files, 11.6 MB; licence: ", 43));
    ck_assert(snn_is_directory("d/e") && rmdir("d/e") == 0); /* it is empty */
    if (!none) {
        ck_assert_ptr_nonnull(strstr(said.out, "http://127.0.0.1:1/mirror/mnist/train-images-idx3-ubyte.gz: "));
        ck_assert(!strncmp(said.err, "snntrain: https://storage.googleapis.com/", 41)); /* the last one tried */
    }
    forget(said);
    ck_assert(!setenv("SNNTRAIN_DATA", "all", 1));
    said = snntrain("data", "fetch", "kmnist", "--quiet");
    ck_assert_msg(said.status == (none ? 1 : 3) && !*said.out, "%s", said.out);
    ck_assert(snn_is_directory("all/kmnist"));
    forget(said);
}
END_TEST

#define EACH(test, table) tcase_add_loop_test(t, test, 0, (int)(sizeof table / sizeof *table))

int main(int argc, char **argv) {
    (void)argc;
    if (!find_program(argv[0])) return 1;
    snprintf(mnist, sizeof mnist, "%s", made_path("mnist"));
    snprintf(nmnist, sizeof nmnist, "%s", made_path("nmnist"));
    made_mnist(mnist, 96, 32);
    made_nmnist(nmnist, 3, 2);
    unsetenv("SNNTRAIN_DATA");
    setenv("GOMP_SPINCOUNT", "3000", 0); /* set, so that the program need not start a second time */
    setenv("SNNTRAIN_MIRROR", "http://127.0.0.1:1/mirror", 1); /* nobody is there */
    setenv("no_proxy", "127.0.0.1", 1);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("https_proxy", "http://127.0.0.1:1", 1);

    Suite *suite = suite_create("cli_data");
    TCase *t = tcase_create("cli_data");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, enter, made_teardown);
    EACH(wrong_usage, usage);
    tcase_add_test(t, info_of_images);
    tcase_add_test(t, info_of_recordings);
    tcase_add_test(t, info_of_many_recordings);
    tcase_add_test(t, verify);
    tcase_add_test(t, verify_what_is_as_distributed);
    tcase_add_test(t, show);
    tcase_add_test(t, show_as_animation);
    tcase_add_test(t, data_of_a_file);
    tcase_add_test(t, colours_are_those_of_the_file);
    tcase_add_test(t, normalised_image_keeps_its_brightness);
    tcase_add_test(t, rate_coded_image_has_steps);
    tcase_add_test(t, frames_are_those_of_the_config);
    tcase_add_test(t, sequence_is_one_picture);
    tcase_add_test(t, validation_of_a_config);
    tcase_add_test(t, fetch_by_hand);
    tcase_add_test(t, fetch_without_a_network);
    suite_add_tcase(suite, t);
    int failed = run_suite(suite);
    made_remove(made_root());
    return failed;
}
