/* SPDX-License-Identifier: Apache-2.0
 * made_data.h - a temporary folder with small data sets in the official formats, and files to compare.
 *
 * Images and recordings are functions of their index: a bright or busy spot whose place says the class, in noise. */
#ifndef SNN_TEST_MADE_DATA_H
#define SNN_TEST_MADE_DATA_H

#include <ftw.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "snn_check.h"

enum { MADE_SIDE = 28, MADE_PATH = 512 };

/* ---- the folder ---- */

static inline const char *made_root(void) {
    static char root[MADE_PATH / 2];
    if (*root) return root;
    const char *base = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/snntrain_XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(root)) {
        perror(root);
        exit(1);
    }
    return root;
}

static int made_remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw) {
    (void)info, (void)ftw;
    if (type == FTW_DNR) chmod(path, 0700);
    return remove(path);
}

static inline void made_remove(const char *path) { nftw(path, made_remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* A folder of its own for each test, below the root, so that a failed test leaves nothing in the way of the next: the
 * checked fixture of a test case. */
static char made_place[32];
static inline void made_setup(void) {
    snprintf(made_place, sizeof made_place, "test_%ld/", (long)getpid());
    char path[MADE_PATH];
    snprintf(path, sizeof path, "%s/%s", made_root(), made_place);
    ck_assert(!mkdir(path, 0777));
}
static inline void made_teardown(void) {
    char path[MADE_PATH];
    snprintf(path, sizeof path, "%s/%s", made_root(), made_place);
    made_remove(path);
}

/* NAME in the test's folder (in the root outside tests); in a ring of buffers: a few results are valid at once. */
static inline const char *made_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline const char *made_path(const char *format, ...) {
    static char ring[16][MADE_PATH];
    static unsigned at;
    char *path = ring[at++ % 16];
    int n = snprintf(path, MADE_PATH, "%s/%s", made_root(), made_place);
    va_list list;
    va_start(list, format);
    vsnprintf(path + n, (size_t)(MADE_PATH - n), format, list);
    va_end(list);
    return path;
}

static inline void made_write(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) {
        perror(path);
        exit(1);
    }
}
/* mkdir -p; also from main(), where no test could fail. */
static inline void made_folder(const char *path) {
    if (snn_make_directories(path) < 0) {
        fprintf(stderr, "%s\n", snn_error_text());
        exit(1);
    }
}
static inline void made_text(const char *path, const char *text) { made_write(path, text, strlen(text)); }

/* The whole file with a NUL behind it (malloc'd). */
static inline char *made_read(const char *path, size_t *size) {
    unsigned char *bytes;
    size_t n;
    ck_ok(snn_file_read(path, (size_t)1 << 30, &bytes, &n));
    if (size) *size = n;
    return (char *)bytes;
}

static inline bool made_same(const char *a, const char *b) {
    size_t n, m;
    char *x = made_read(a, &n), *y = made_read(b, &m);
    bool same = n == m && !memcmp(x, y, n);
    free(x), free(y);
    return same;
}

/* ---- the data ---- */

static inline uint32_t made_noise(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

static inline void made_be32(unsigned char *at, uint32_t value) {
    for (int i = 0; i < 4; ++i) at[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* DIR/PREFIX-images-idx3-ubyte and -labels-idx1-ubyte with `count` samples; sample i is of class i * 7 % 10. */
static inline void made_idx(const char *dir, const char *prefix, uint32_t count, uint32_t seed) {
    size_t pixels = (size_t)count * MADE_SIDE * MADE_SIDE;
    unsigned char *images = calloc(1, 16 + pixels), *labels = calloc(1, 8 + count);
    char path[MADE_PATH + 64];
    made_be32(images, 0x803), made_be32(images + 4, count), made_be32(images + 8, MADE_SIDE);
    made_be32(images + 12, MADE_SIDE);
    made_be32(labels, 0x801), made_be32(labels + 4, count);
    for (uint32_t i = 0; i < count; ++i) {
        unsigned char *image = images + 16 + (size_t)i * MADE_SIDE * MADE_SIDE;
        uint32_t label = i * 7 % 10, y0 = label / 5 * 12 + 3, x0 = label % 5 * 5 + 2;
        labels[8 + i] = (unsigned char)label;
        for (uint32_t k = 0; k < MADE_SIDE * MADE_SIDE; ++k) {
            uint32_t y = k / MADE_SIDE, x = k % MADE_SIDE, spot = y - y0 < 8 && x - x0 < 5;
            image[k] = (unsigned char)((spot ? 150 : 0) + made_noise(&seed) % 100);
        }
    }
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", dir, prefix);
    made_write(path, images, 16 + pixels);
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte", dir, prefix);
    made_write(path, labels, 8 + count);
    free(images), free(labels);
}

static inline void made_mnist(const char *dir, uint32_t train, uint32_t test) {
    made_folder(dir);
    made_idx(dir, "train", train, 1);
    made_idx(dir, "t10k", test, 2);
}

/* DIR/data_batch_1.bin ... test_batch.bin with `each` records a file; record i is of class i % 10, all pixels in the
 * colour (250, 10, 20 * class), which no other order of the channels has. */
static inline void made_cifar10(const char *dir, int each) {
    enum { PLANE = 32 * 32 };
    made_folder(dir);
    unsigned char *bytes = malloc((size_t)each * (1 + 3 * PLANE)), *at = bytes;
    for (int i = 0; i < each; ++i, at += 1 + 3 * PLANE) {
        at[0] = (unsigned char)(i % 10);
        memset(at + 1, 250, PLANE);
        memset(at + 1 + PLANE, 10, PLANE);
        memset(at + 1 + 2 * PLANE, 20 * at[0], PLANE);
    }
    for (int file = 1; file <= 6; ++file) {
        char path[MADE_PATH + 64];
        if (file < 6) snprintf(path, sizeof path, "%s/data_batch_%d.bin", dir, file);
        else snprintf(path, sizeof path, "%s/test_batch.bin", dir);
        made_write(path, bytes, (size_t)(at - bytes));
    }
    free(bytes);
}

/* DIR/Train/<digit>/<n>.bin and DIR/Test/...: `each` recordings of a digit, of about 300 events in 100 ms. */
static inline void made_nmnist(const char *dir, int each_train, int each_test) {
    uint32_t seed = 5;
    for (int split = 0; split < 2; ++split)
        for (int digit = 0; digit < 10; ++digit) {
            char path[MADE_PATH + 64];
            snprintf(path, sizeof path, "%s/%s/%d", dir, split ? "Test" : "Train", digit);
            made_folder(path);
            for (int i = 0; i < (split ? each_test : each_train); ++i) {
                unsigned char bytes[400 * 5];
                int events = 250 + (int)(made_noise(&seed) % 100);
                for (int k = 0; k < events; ++k) {
                    uint32_t t = (uint32_t)k * 330, spot = k % 4 != 0;
                    uint32_t x = spot ? (uint32_t)digit * 3 + made_noise(&seed) % 3 : made_noise(&seed) % 34;
                    unsigned char *e = bytes + 5 * k;
                    e[0] = (unsigned char)x, e[1] = (unsigned char)(made_noise(&seed) % 34);
                    e[2] = (unsigned char)((made_noise(&seed) & 1) << 7 | (t >> 16 & 0x7f));
                    e[3] = (unsigned char)(t >> 8), e[4] = (unsigned char)t;
                }
                snprintf(path, sizeof path, "%s/%s/%d/%05d.bin", dir, split ? "Test" : "Train", digit, i);
                made_write(path, bytes, (size_t)events * 5);
            }
        }
}

#endif
