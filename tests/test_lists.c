/* SPDX-License-Identifier: Apache-2.0
 * test_lists.c - networks whose input stays lists of events, against the same networks that read it as numbers: at
 * every density, in slices of a batch and in cuts of the time axis. */
#include "net_rig.h"

static const char *const models[] = {
    "[flatten, linear: 33, li, linear: 4]",
    "[conv: {out: 9, kernel: 3}, li, flatten, linear: 4]",
    "[conv: {out: 6, kernel: [2, 3], padding: [1, 2], groups: 2, bias: false}, li, flatten, linear: 4]",
    "[conv: {out: 5, kernel: 3, stride: 2, padding: 1}, li, flatten, linear: 4]",
    "[flatten, residual: {body: [linear: 20], shortcut: [linear: 20]}, li, linear: 4]",
};
enum { MODELS = sizeof models / sizeof *models, CUT = 3, SLICE = 2 };
/* Percent of the units in each row, the last: one event in all. */
static const int percents[] = {0, 5, 20, 50, 100, -1};
enum { DENSITIES = sizeof percents / sizeof *percents };

static void set_events(struct made_batch *m, int percent, bool values) {
    uint32_t seed = 5;
    int32_t entries = 0;
    for (int32_t r = 0; r < STEPS * SAMPLES; ++r) {
        m->row[r] = entries;
        for (int32_t u = 0; u < UNITS; ++u) {
            bool here = percent < 0 ? r == 2 * SAMPLES + 3 && u == 40 : (int)(made_noise(&seed) % 100) < percent;
            if (here) m->index[entries] = u, m->value[entries++] = (float)(1 + u % 3);
        }
    }
    m->row[STEPS * SAMPLES] = entries;
    m->batch.value = values ? m->value : NULL;
}

static void open_one(const char *model, bool lists, int threads, int32_t cut, int32_t slice, struct made_network *m) {
    open_network(model, false, m);
    m->device.threads = threads;
    m->net.model.tape.input->needs_grad = !lists; /* whose gradient is wanted, has numbers */
    struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = cut, .slice = slice, .train = true};
    ck_ok(snn_network_allocate(&m->net, &plan));
    snn_params_init(&m->net.model.params, 3, m->net.model.params.value);
    ck_assert_int_eq(m->net.model.tape.input->is_listed, lists);
    ck_assert_int_eq(m->net.model.tape.input->data == NULL, lists);
}

/* Outputs (T,B,CLASSES) of all cuts of all slices; gradients lie in the slab. */
static void pass(struct made_network *m, const struct snn_batch *batch, int32_t cut_steps, real *out) {
    struct snn_slice slice;
    snn_network_set_step(&m->net, 3, 0, 1);
    snn_network_zero_gradients(&m->net);
    ck_ok(snn_network_stage(&m->net, batch));
    for (int32_t first = 0, begin = 0; snn_network_slice(&m->net, &first, &slice); begin = first)
        for (int32_t t0 = 0, index = 0; t0 < STEPS; t0 += cut_steps, ++index) {
            int32_t T = STEPS - t0 < cut_steps ? STEPS - t0 : cut_steps, B = slice.batch.B;
            struct snn_cut cut = {.batch = &slice.batch, .t0 = t0, .T = T, .index = index, .train = true};
            snn_network_forward(&m->net, &cut);
            snn_network_loss(&m->net, &cut, true);
            for (int32_t t = 0; t < T; ++t)
                memcpy(out + ((t0 + t) * SAMPLES + begin) * CLASSES, m->net.output + (ptrdiff_t)t * B * CLASSES,
                       (size_t)(B * CLASSES) * sizeof *out);
            const struct snn_tensor *x = m->net.model.tape.input;
            for (int32_t r = 0; r < T * B; ++r) {
                const int32_t *at = batch->row + (t0 + r / B) * SAMPLES + begin + r % B;
                ck_assert_int_eq(x->nonzero[r], at[1] - at[0]);
            }
            snn_network_backward(&m->net, &cut);
            if (t0 + T == STEPS) snn_network_backward_batch(&m->net, &cut);
        }
}

static void compare(const char *what, const real *a, const real *b, ptrdiff_t n) {
    double largest = 1e-3;
    for (ptrdiff_t i = 0; i < n; ++i) largest = fabs((double)a[i]) > largest ? fabs((double)a[i]) : largest;
    for (ptrdiff_t i = 0; i < n; ++i)
        ck_assert_msg(fabs((double)a[i] - (double)b[i]) <= 1e-5 * largest, "%s %td: %.9g from lists, %.9g from numbers",
                      what, i, (double)a[i], (double)b[i]);
}

START_TEST(as_numbers) {
    const char *model = models[_i % MODELS];
    int percent = percents[_i / MODELS];
    for (int k = 0; k < 8; ++k) { /* values, whole or in cuts, whole or in slices */
        int32_t cut = k & 2 ? CUT : STEPS, slice = k & 4 ? SLICE : SAMPLES;
        static struct made_batch data;
        struct made_network lists, numbers, threads;
        real out[3][STEPS * SAMPLES * CLASSES];
        make_batch(STEPS, false, false, &data);
        set_events(&data, percent, k & 1);
        open_one(model, true, 1, cut, slice, &lists);
        open_one(model, false, 1, cut, slice, &numbers);
        open_one(model, true, 3, cut, slice, &threads);
        pass(&lists, &data.batch, cut, out[0]);
        pass(&numbers, &data.batch, cut, out[1]);
        pass(&threads, &data.batch, cut, out[2]);
        size_t learned = (size_t)lists.net.model.params.learned;
        compare("output", out[0], out[1], STEPS * SAMPLES * CLASSES);
        compare("gradient", lists.net.model.params.grad, numbers.net.model.params.grad, (ptrdiff_t)learned);
        ck_assert_mem_eq(out[0], out[2], sizeof out[0]);
        ck_assert_mem_eq(lists.net.model.params.grad, threads.net.model.params.grad, learned * sizeof(real));
        close_network(&lists), close_network(&numbers), close_network(&threads);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lists");
    TCase *t = tcase_create("lists");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, as_numbers, 0, MODELS * DENSITIES);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
