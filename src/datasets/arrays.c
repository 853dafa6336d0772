/* SPDX-License-Identifier: Apache-2.0
 * arrays.c - a data set of one's own as NumPy arrays: train_x.npy, train_y.npy, test_x.npy, test_y.npy, or X.npy and
 * Y.npy, of which the last part is for testing.
 *
 * Dimensions say what the arrays are. X: (N,F) or (N,C,H,W) is one step for all steps, (N,T,F) or (N,T,C,H,W) is a
 * sequence, of which lengths (N) may say how many steps count. Y: integers (N) are classes; floats (N) or (N,K) are
 * numbers to be learned, (N,T,K) numbers for every step. Numbers are taken as they are, whatever their type. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/npy.h"
#include "datasets/parts.h"

struct options {
    double test;
    long long classes;
};
static const char *const auto_word[] = {"auto", NULL};
static const struct snn_key keys[] = {
    {"test", SNN_REAL, offsetof(struct options, test), "0.2", 0, 1, NULL,
     "of X.npy: the last so much is the test split"},
    {"classes", SNN_INT, offsetof(struct options, classes), "auto", 1, 1000000, auto_word,
     "labels are below this; auto: one more than the largest"},
    {0},
};

/* Names by what they are, and by file: of the training split, of the test split, of both. */
enum { TRAIN_FILES, TEST_FILES, COMMON_FILES };
static const char *const x_name[] = {"train_x.npy", "test_x.npy", "X.npy"};
static const char *const y_name[] = {"train_y.npy", "test_y.npy", "Y.npy"};
static const char *const lengths_name[] = {"train_lengths.npy", "test_lengths.npy", "lengths.npy"};

struct part {
    struct snn_npy x, y;
    int64_t N;
    int32_t *label;  /* (N), or NULL: regression */
    int32_t *length; /* (N), or NULL: all have the same */
};

struct arrays_set {
    struct snn_dataset base;
    struct part part[2];
    const struct part *of[2]; /* where a split's samples are */
    int32_t first[2];         /* and which is its first */
    int64_t units;            /* C*H*W */
};

static bool has_file(const char *root, const char *name) {
    char *path;
    if (asprintf(&path, "%s/%s", root, name) < 0) return false;
    bool found = snn_file_exists(path);
    free(path);
    return found;
}

static bool has(const char *root) {
    for (int i = TRAIN_FILES; i <= COMMON_FILES; ++i)
        if (has_file(root, x_name[i])) return true;
    return false;
}

static void close_set(struct snn_dataset *base) {
    struct arrays_set *set = (struct arrays_set *)base;
    for (int i = 0; i < 2; ++i) {
        struct part *part = &set->part[i];
        snn_npy_close(&part->x), snn_npy_close(&part->y);
        free(part->label), free(part->length);
    }
    free(set);
}

static int open_file(const char *root, const char *name, struct snn_npy *out) {
    char *path;
    if (asprintf(&path, "%s/%s", root, name) < 0) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    int status = snn_npy_open(path, out);
    free(path);
    return status;
}

/* All N integers of a file, each in low..high, and the largest of them. */
static int read_small(const struct snn_npy *npy, const char *what, int32_t low, int64_t high, int32_t **out,
                      int32_t *largest) {
    enum { AT_ONCE = 256 };
    int64_t values[AT_ONCE];
    *largest = low;
    *out = reallocarray(NULL, (size_t)npy->count, sizeof **out);
    if (!*out) return snn_error(SNN_EFAIL, "%s: out of memory for %lld numbers", npy->path, (long long)npy->count);
    for (int64_t i = 0; i < npy->count; ++i) {
        int64_t left = npy->count - i;
        if (i % AT_ONCE == 0) SNN_TRY(snn_npy_integers(npy, i, left < AT_ONCE ? left : AT_ONCE, values));
        int64_t value = values[i % AT_ONCE];
        if (value < low || value > high)
            return snn_error(SNN_EDATA, "%s: %s %lld is %lld, expected %d..%lld", npy->path, what, (long long)i,
                             (long long)value, low, (long long)high);
        (*out)[i] = (int32_t)value;
        if (value > *largest) *largest = (int32_t)value;
    }
    return SNN_OK;
}

static int wrong_shape(const struct snn_npy *npy, const char *expected) {
    char shape[128];
    return snn_error(SNN_EDATA, "%s: has shape %s, expected %s", npy->path, snn_npy_shape(npy, shape, sizeof shape),
                     expected);
}

/* What X says of every sample. */
static int read_x(const struct part *part, struct snn_dataset_info *info) {
    const struct snn_npy *x = &part->x;
    bool sequence = x->dims % 2, image = x->dims >= 4;
    if (x->dims < 2 || x->dims > 5) return wrong_shape(x, "(N,F), (N,C,H,W), (N,T,F) or (N,T,C,H,W)");
    if (!x->count) return wrong_shape(x, "no 0 in it");
    const int64_t *dim = x->dim + 1 + sequence, steps = sequence ? x->dim[1] : 0;
    int64_t C = dim[0], H = image ? dim[1] : 1, W = image ? dim[2] : 1;
    if (x->dim[0] > INT32_MAX || C > SNN_MAX_UNITS || H > SNN_MAX_UNITS / C || W > SNN_MAX_UNITS / C / H)
        return wrong_shape(x, "fewer numbers a step");
    if (steps > SNN_MAX_STEPS) return wrong_shape(x, "at most a million steps");
    info->C = (int32_t)C, info->H = (int32_t)H, info->W = (int32_t)W, info->steps = (int32_t)steps;
    return SNN_OK;
}

/* What Y says of every sample; labels are read later. */
static int read_y(const struct part *part, struct snn_dataset_info *info) {
    const struct snn_npy *y = &part->y;
    char expected[96];
    snprintf(expected, sizeof expected, "%lld in front, as there are samples", (long long)part->N);
    if (y->dims == 0 || y->dim[0] != part->N) return wrong_shape(y, expected);
    if (snn_npy_is_integer(y))
        return y->dims == 1 ? SNN_OK : wrong_shape(y, "(N): integers are classes, one a sample; numbers are floats");
    int64_t K = y->dims == 1 ? 1 : y->dim[y->dims - 1];
    snprintf(expected, sizeof expected, "(N) or (N,K)%s", info->steps ? ", or (N,T,K) with the steps of X" : "");
    if (y->dims > 3 || K < 1 || K > INT32_MAX / 64 || (y->dims == 3 && (!info->steps || y->dim[1] != info->steps)))
        return wrong_shape(y, expected);
    info->targets = (int32_t)K, info->target_steps = y->dims == 3;
    return SNN_OK;
}

/* The files `which` of a folder into a part, and what they say into `info`. */
static int open_part(const char *root, int which, const struct options *options, struct part *part,
                     struct snn_dataset_info *info) {
    enum { MOST_CLASSES = 1000000 };
    int32_t largest = 0;
    SNN_TRY(open_file(root, x_name[which], &part->x));
    SNN_TRY(open_file(root, y_name[which], &part->y));
    SNN_TRY(read_x(part, info));
    part->N = part->x.dim[0];
    SNN_TRY(read_y(part, info));
    if (!info->targets) {
        int64_t most = options->classes > 0 ? options->classes : MOST_CLASSES;
        SNN_TRY(read_small(&part->y, "label", 0, most - 1, &part->label, &largest));
        info->classes = options->classes > 0 ? (int32_t)options->classes : largest + 1;
    }
    info->files += 2;
    if (!has_file(root, lengths_name[which])) return SNN_OK;
    struct snn_npy lengths;
    SNN_TRY(open_file(root, lengths_name[which], &lengths));
    int status = SNN_OK;
    if (!info->steps)
        status =
            snn_error(SNN_EDATA, "%s: samples of %s have no steps, expected no lengths", lengths.path, x_name[which]);
    else if (!snn_npy_is_integer(&lengths) || lengths.dims != 1 || lengths.count != part->N)
        status = wrong_shape(&lengths, "integers, one for each sample");
    else status = read_small(&lengths, "length", 1, info->steps, &part->length, &largest);
    snn_npy_close(&lengths);
    ++info->files;
    return status;
}

/* Both splits lie in X.npy: where its last part begins. */
static int cut(struct arrays_set *set, const char *root, double test) {
    const struct part *part = &set->part[0];
    int32_t N = (int32_t)part->N, tests = (int32_t)((double)N * test + 0.5);
    if (tests < 1 || tests >= N)
        return snn_error(SNN_EUSAGE, "data.test: %g of the %d samples of %s/X.npy leaves none for %s", test, N, root,
                         tests < 1 ? "testing" : "training");
    set->of[SNN_TRAIN] = set->of[SNN_TEST] = part;
    set->first[SNN_TEST] = N - tests;
    set->base.info.count[SNN_TRAIN] = N - tests, set->base.info.count[SNN_TEST] = tests;
    if (!part->label) return SNN_OK;
    bool *trained = calloc((size_t)set->base.info.classes, sizeof *trained);
    if (!trained) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    int32_t alone = -1;
    for (int32_t i = 0; i < N - tests; ++i) trained[part->label[i]] = true;
    for (int32_t i = N - tests; i < N && alone < 0; ++i)
        if (!trained[part->label[i]]) alone = part->label[i];
    free(trained);
    if (alone < 0) return SNN_OK;
    return snn_error(SNN_EDATA,
                     "%s/Y.npy: class %d is only among the last %d samples, which are the test split: expected "
                     "them in no order of classes",
                     root, alone, tests);
}

static bool same_shape(const struct snn_dataset_info *a, const struct snn_dataset_info *b) {
    return a->C == b->C && a->H == b->H && a->W == b->W && !a->steps == !b->steps && a->targets == b->targets &&
           a->target_steps == b->target_steps;
}

static int open_all(const char *root, const struct options *options, struct arrays_set *set) {
    struct snn_dataset_info *info = &set->base.info, test = {0};
    bool common = has_file(root, x_name[COMMON_FILES]);
    if (common && (has_file(root, x_name[TRAIN_FILES]) || has_file(root, x_name[TEST_FILES])))
        return snn_error(SNN_EDATA, "%s: has X.npy beside train_x.npy or test_x.npy, expected one or the others", root);
    SNN_TRY(open_part(root, common ? COMMON_FILES : TRAIN_FILES, options, &set->part[0], info));
    set->units = (int64_t)info->C * info->H * info->W;
    if (common) return cut(set, root, options->test);
    SNN_TRY(open_part(root, TEST_FILES, options, &set->part[1], &test));
    if (!same_shape(info, &test))
        return snn_error(SNN_EDATA,
                         "%s: samples of test_x.npy and test_y.npy differ in shape or kind from those of "
                         "train_x.npy and train_y.npy",
                         root);
    for (int split = 0; split < 2; ++split) {
        set->of[split] = &set->part[split];
        info->count[split] = (int32_t)set->part[split].N;
    }
    if (test.classes > info->classes) info->classes = test.classes;
    if (test.steps > info->steps) info->steps = test.steps;
    info->files += test.files;
    return SNN_OK;
}

static int open_set(const char *root, const void *options, struct snn_dataset **out) {
    struct arrays_set *set = calloc(1, sizeof *set);
    if (!set) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    int status = open_all(root, options, set);
    if (status < 0) {
        close_set(&set->base);
        return status;
    }
    *out = &set->base;
    return SNN_OK;
}

static const struct part *find(const struct snn_dataset *base, enum snn_split split, int32_t *i) {
    const struct arrays_set *set = (const struct arrays_set *)base;
    SNN_CHECK(*i >= 0 && *i < base->info.count[split], "sample %d of %d", *i, base->info.count[split]);
    *i += set->first[split];
    return set->of[split];
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    const struct part *part = find(base, split, &i);
    return part->label ? part->label[i] : 0;
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    const struct snn_dataset_info *info = &base->info;
    const struct part *part = find(base, split, &i);
    int64_t units = ((const struct arrays_set *)base)->units, most = part->x.dims % 2 ? part->x.dim[1] : 1,
            steps = part->length ? part->length[i] : most;
    int64_t targets = info->targets * (info->target_steps ? steps : 1);
    SNN_TRY(snn_sample_room_for_numbers(sample, (size_t)(steps * units), (size_t)targets));
    sample->label = part->label ? part->label[i] : 0;
    sample->steps = (int32_t)steps;
    if (targets)
        SNN_TRY(snn_npy_reals(&part->y, i * info->targets * (info->target_steps ? most : 1), targets, sample->target));
    return snn_npy_reals(&part->x, i * most * units, steps * units, sample->numbers);
}

static int verify(struct snn_dataset *base, void (*report)(void *payload, const char *line), void *payload) {
    static const char *const name[] = {"train", "test"};
    struct snn_sample sample = {0};
    int32_t broken = 0;
    for (int split = 0; split < 2; ++split) {
        int32_t bad = 0;
        int64_t steps = 0;
        char line[160];
        for (int32_t i = 0; i < base->info.count[split]; ++i)
            if (get(base, split, i, &sample) < 0) {
                report(payload, snn_error_text());
                ++bad;
            } else {
                steps += sample.steps;
            }
        snprintf(line, sizeof line, "%s: %d samples, %lld steps, %d broken", name[split], base->info.count[split],
                 (long long)steps, bad);
        report(payload, line);
        broken += bad;
    }
    snn_sample_free(&sample);
    if (!broken) return SNN_OK;
    return snn_error(SNN_EDATA, "%s: %d of %d samples are broken", base->root, broken,
                     base->info.count[SNN_TRAIN] + base->info.count[SNN_TEST]);
}

const struct snn_dataset_ops snn_arrays = {
    .name = "arrays",
    .help =
        "your own NumPy arrays: X.npy and Y.npy (or train_x.npy, train_y.npy, test_x.npy, test_y.npy), lengths.npy: "
        "classes, numbers, or numbers for every step",
    .kind = SNN_SEQUENCES,
    .keys = keys,
    .how_to_get =
        "save X (N,T,F), (N,T,C,H,W), (N,F) or (N,C,H,W) and Y (N), (N,K) or (N,T,K) with numpy.save as X.npy "
        "and Y.npy and name their folder with --data",
    .has = has,
    .open = open_set,
    .get = get,
    .label = label,
    .verify = verify,
    .close = close_set,
};
