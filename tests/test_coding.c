/* SPDX-License-Identifier: Apache-2.0
 * test_coding.c - images as input: normalised pixels, spikes by rate, and one spike by latency. */
#include <math.h>

#include "made_set.h"

START_TEST(direct_is_normalised_pixels) {
    struct made_set set = make_set(false);
    struct snn_data_config config = by_count;
    config.mean = 0.25, config.std = 0.5;
    struct snn_loader *loader = open_loader(&set, &config, false);
    ck_ok(snn_loader_start(loader, 0, 0));
    const struct snn_batch *batch = next(loader);
    ck_assert_int_eq(batch->form, SNN_BATCH_STATIC);
    ck_assert_int_eq(batch->T, 4);
    ck_assert(!batch->masked);
    for (int b = 0; b < 8; ++b) {
        ck_assert_int_eq(batch->length[b], 4);
        for (int j = 0; j < 24; ++j) {
            double pixel = (uint8_t)(b * 37 + j * 50);
            ck_assert_float_eq_tol(batch->frames[b * 24 + j], (pixel / 255 - 0.25) / 0.5, 1e-6);
        }
    }
    snn_loader_close(&loader);
}
END_TEST

static const double rates[][3] = {{0, 1, 1}, {0.1307, 0.3081, 0.5}, {0, 1, 0.25}}; /* mean, std, gain */

START_TEST(rate_follows_the_pixel) {
    enum { T = 20000, UNITS = 6 };
    const double *how = rates[_i];
    struct snn_rate rate = snn_rate_of(how[0], how[1], how[2]);
    static const uint8_t pixels[UNITS] = {0, 255, 64, 128, 1, 254};
    static int32_t count[T];
    struct snn_rows rows = {0};
    int spikes[UNITS] = {0};
    ck_ok(snn_code_rate(pixels, UNITS, T, &rate, 7, 0, 3, count, &rows));
    size_t at = 0;
    for (int t = 0; t < T; ++t)
        for (int i = 0; i < count[t]; ++i, ++at) {
            ck_assert(i == 0 || rows.index[at] > rows.index[at - 1]);
            ck_assert_int_eq(rows.value[at], 1);
            ++spikes[rows.index[at]];
        }
    ck_assert_uint_eq(at, rows.used);
    for (int i = 0; i < UNITS; ++i) { /* within five standard deviations; 0 and 255 exactly */
        double p = how[2] * fmin(fmax((pixels[i] / 255.0 - how[0]) / how[1], 0), 1);
        ck_assert_double_le(fabs(spikes[i] - p * T), 5 * sqrt(p * (1 - p) * T));
    }
    snn_rows_free(&rows);
}
END_TEST

static uint64_t rate_digest(uint64_t seed, uint32_t epoch, uint32_t sample) {
    static const uint8_t pixels[5] = {100, 100, 100, 100, 100}; /* 5: steps do not begin on a block of four draws */
    int32_t count[40];
    struct snn_rows rows = {0};
    struct snn_rate rate = snn_rate_of(0, 1, 1);
    ck_ok(snn_code_rate(pixels, 5, 40, &rate, seed, epoch, sample, count, &rows));
    uint64_t hash = mix(mix(1, count, sizeof count), rows.index, rows.used * sizeof *rows.index);
    snn_rows_free(&rows);
    return hash;
}

START_TEST(rate_depends_on_its_key_alone) {
    ck_assert_uint_eq(rate_digest(1, 2, 3), rate_digest(1, 2, 3));
    ck_assert_uint_ne(rate_digest(1, 2, 3), rate_digest(9, 2, 3));
    ck_assert_uint_ne(rate_digest(1, 2, 3), rate_digest(1, 9, 3));
    ck_assert_uint_ne(rate_digest(1, 2, 3), rate_digest(1, 2, 9));
}
END_TEST

START_TEST(rate_in_evaluation_does_not_move_with_the_epoch) {
    struct made_set set = make_set(false);
    struct snn_data_config config = by_count;
    config.coding = SNN_CODING_RATE;
    uint64_t a[BATCHES], b[BATCHES];
    struct snn_loader *loader = open_loader(&set, &config, false);
    epoch_digests(loader, 0, 0, a);
    epoch_digests(loader, 4, 0, b);
    ck_assert_mem_eq(a, b, sizeof a);
    snn_loader_close(&loader);
}
END_TEST

START_TEST(rate_batches_are_keyed_by_seed_epoch_and_sample) {
    struct made_set set = make_set(false);
    struct snn_data_config config = by_count;
    config.coding = SNN_CODING_RATE;
    struct snn_loader *loader = open_loader(&set, &config, true); /* seed 5, four steps */
    struct snn_sample sample = {0};
    ck_ok(snn_loader_start(loader, 9, 0));
    const struct snn_batch *batch = next(loader);
    for (int b = 0; b < batch->B; ++b) {
        int32_t count[4];
        struct snn_rows rows = {0};
        struct snn_rate rate = snn_rate_of(0, 1, 1);
        ck_ok(made_get(&set.base, SNN_TRAIN, batch->sample[b], &sample));
        ck_ok(snn_code_rate(sample.pixels, 24, 4, &rate, 5, 9, (uint32_t)batch->sample[b], count, &rows));
        const int32_t *index = rows.index;
        for (int t = 0; t < 4; index += count[t++]) {
            const int32_t *row = batch->row + t * batch->B + b;
            ck_assert_int_eq(row[1] - row[0], count[t]);
            ck_assert_mem_eq(batch->index + row[0], index, (size_t)count[t] * sizeof *index);
        }
        snn_rows_free(&rows);
    }
    ck_assert_ptr_null(batch->value);
    snn_sample_free(&sample);
    snn_loader_close(&loader);
}
END_TEST

START_TEST(latency_is_one_spike_the_earlier_the_brighter) {
    enum { T = 5, UNITS = 7 };
    static const uint8_t pixels[UNITS] = {0, 255, 1, 128, 127, 255, 64};
    static const int step[UNITS] = {-1, 0, 4, 2, 2, 0, 3}; /* round(4 (1 - x)) */
    struct snn_rows rows = {0};
    int32_t count[T];
    ck_ok(snn_code_latency(pixels, UNITS, T, count, &rows));
    size_t at = 0;
    for (int t = 0; t < T; ++t) {
        size_t begin = at;
        for (int i = 0; i < UNITS; ++i)
            if (step[i] == t) ck_assert_int_eq(rows.index[at++], i);
        ck_assert_uint_eq(at - begin, (size_t)count[t]);
    }
    ck_assert_uint_eq(at, rows.used);
    int32_t one;
    ck_ok(snn_code_latency(pixels, UNITS, 1, &one, &rows)); /* appended; one step takes all but black */
    ck_assert_int_eq(one, UNITS - 1);
    snn_rows_free(&rows);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("coding");
    TCase *coding = tcase_create("coding");
    tcase_set_timeout(coding, 60);
    suite_add_tcase(suite, coding);
    tcase_add_test(coding, direct_is_normalised_pixels);
    tcase_add_loop_test(coding, rate_follows_the_pixel, 0, 3);
    tcase_add_test(coding, rate_depends_on_its_key_alone);
    tcase_add_test(coding, rate_batches_are_keyed_by_seed_epoch_and_sample);
    tcase_add_test(coding, rate_in_evaluation_does_not_move_with_the_epoch);
    tcase_add_test(coding, latency_is_one_spike_the_earlier_the_brighter);
    return run_suite(suite);
}
