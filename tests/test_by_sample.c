/* SPDX-License-Identifier: Apache-2.0
 * test_by_sample.c - events laid out by sample, against the same events step by step: networks that look at them in
 * cuts give the same bits, on both backends. */
#include "autograd/memory.h"
#include "net_rig.h"

static const char *const models[] = {
    /* from lists */
    "[flatten, linear: 33, lif, linear: 4]",
    "[conv: {out: 9, kernel: 3}, lif, flatten, linear: 4]",
    ("[conv: {out: 6, kernel: [2, 3], padding: [1, 2], groups: 2, stride: 2}, flatten, lif: {recurrent: true}, "
     "linear: 4]"),
    "[flatten, delay: {out: 12, kernel: 3}, lif, linear: 4]",
    /* from numbers */
    "[lif, flatten, dropout: 0.3, linear: 4]",
    "[maxpool: 2, conv: {out: 5, kernel: 2}, lif, flatten, linear: 4, li]",
};
enum { MODELS = sizeof models / sizeof *models, LISTED = 4 };

/* How a batch passes: steps of a cut, samples of a slice (0: all), samples of the batch, the first of them. */
static const struct passing {
    int32_t cut, slice, B, from;
    bool masked, values;
} passings[] = {{1, 0, 5, 0, false, true},  {1, 2, 5, 0, true, false}, {2, 0, 5, 0, true, true},
                {3, 2, 5, 0, false, false}, {3, 0, 2, 3, true, true},  {7, 3, 5, 0, true, false},
                {6, 1, 3, 1, false, true}};
enum { PASSINGS = sizeof passings / sizeof *passings };

struct outcome {
    real out[STEPS * SAMPLES * CLASSES], *gradients;
    double loss[SAMPLES];
    int32_t nonzero[STEPS * SAMPLES];
    size_t learned;
};

static void pass(struct made_network *m, const struct snn_batch *batch, int32_t each, struct outcome *o) {
    struct snn_network *n = &m->net;
    const struct snn_memory_kernels *memory = n->device->memory;
    struct snn_slice slice;
    memset(o, 0, sizeof *o);
    snn_network_set_step(n, 3, 0, 1);
    snn_network_zero_gradients(n);
    ck_ok(snn_network_stage(n, batch));
    for (int32_t first = 0, begin = 0; snn_network_slice(n, &first, &slice); begin = first) {
        struct snn_cut cut = snn_slice_cut(&slice, true);
        while (snn_slice_next(&slice, each, &cut)) {
            int32_t B = slice.batch.B;
            double sum;
            snn_network_forward(n, &cut);
            snn_network_loss(n, &cut, true);
            ck_ok(snn_network_look(n, &cut));
            ck_ok(snn_network_loss_sum(n, &cut, &sum));
            for (int32_t b = 0; b < B; ++b) o->loss[begin + b] += n->losses[b];
            for (int32_t r = 0; r < cut.T * B; ++r) {
                int32_t at = (cut.t0 + r / B) * SAMPLES + begin + r % B;
                memcpy(o->out + at * CLASSES, n->output + (ptrdiff_t)r * CLASSES, CLASSES * sizeof *o->out);
                o->nonzero[at] = n->model.tape.input->seen[r];
            }
            snn_network_backward(n, &cut);
        }
        snn_network_backward_batch(n, &cut);
    }
    o->learned = (size_t)n->model.params.learned;
    o->gradients = calloc(o->learned, sizeof *o->gradients);
    ck_ok(memory->download(n->device, o->gradients, n->model.params.grad, o->learned * sizeof(real)));
}

static void open_planned(const char *device, const char *model, const struct passing *p, int threads,
                         struct made_network *m) {
    static real values[1 << 16];
    open_network_on(device, model, false, m);
    if (!strcmp(device, "cpu")) m->device.threads = threads;
    struct snn_network_plan plan = {.T = STEPS + 1, .B = SAMPLES, .cut = p->cut, .slice = p->slice, .train = true};
    ck_ok(snn_network_allocate(&m->net, &plan));
    struct snn_params *params = &m->net.model.params;
    ck_assert_int_le(params->size, 1 << 16);
    snn_params_init(params, 3, values);
    m->device.memory->upload(&m->device, params->value, values, (size_t)params->size * sizeof(real));
}

/* Some samples of a batch as a batch of its own: the card takes no slices. */
static void pack_rows(const struct snn_batch *some, struct made_batch *out) {
    int32_t used = 0;
    for (int32_t t = 0; t < STEPS; ++t)
        for (int32_t b = 0; b < some->B; ++b) {
            const int32_t *at = some->row + t * snn_batch_stride(some) + b;
            out->row[t * some->B + b] = used;
            for (int32_t e = at[0]; e < at[1]; ++e, ++used) {
                out->index[used] = some->index[e];
                if (some->value) out->value[used] = some->value[e];
            }
        }
    out->row[STEPS * some->B] = used;
    out->batch = *some;
    out->batch.stride = 0, out->batch.row = out->row, out->batch.index = out->index;
    if (some->value) out->batch.value = out->value;
}

/* Cases: passing, model, device. */
START_TEST(same_bits) {
    const struct passing *p = &passings[_i % PASSINGS];
    int model = _i / PASSINGS % MODELS;
    const char *device = _i / PASSINGS / MODELS ? "cuda" : "cpu";
    static struct made_batch rows, packed;
    static struct made_by_sample sorted;
    static struct outcome expected, got;
    make_batch(STEPS, false, p->masked, &rows);
    if (!p->values) rows.batch.value = NULL;
    const struct snn_batch some = snn_batch_slice(&rows.batch, p->from, p->B);
    lay_by_sample(&some, &sorted);
    pack_rows(&some, &packed);
    ck_assert_uint_eq(snn_batch_entries(&sorted.batch), snn_batch_entries(&packed.batch));
    struct made_network m, other;
    open_planned(device, models[model], p, 1, &m);
    ck_assert_int_eq(m.net.model.tape.input->is_listed, model < LISTED);
    pass(&m, &packed.batch, p->cut, &expected);
    open_planned(device, models[model], p, 3, &other);
    for (int turn = 0; turn < 2; ++turn) { /* where the same network had rows before, and where threads share them */
        pass(turn ? &other : &m, &sorted.batch, p->cut, &got);
        ck_assert_mem_eq(expected.nonzero, got.nonzero, sizeof got.nonzero);
        ck_assert_mem_eq(expected.out, got.out, sizeof got.out);
        ck_assert_mem_eq(expected.loss, got.loss, sizeof got.loss);
        ck_assert_mem_eq(expected.gradients, got.gradients, got.learned * sizeof(real));
        free(got.gradients);
    }
    double sum = 0;
    for (size_t i = 0; i < expected.learned; ++i) sum += fabs((double)expected.gradients[i]);
    ck_assert_double_gt(sum, 0);
    free(expected.gradients);
    close_network(&m), close_network(&other);
}
END_TEST

/* Slices are by sample as the whole is. */
START_TEST(slices_of_a_batch) {
    static struct made_batch rows;
    static struct made_by_sample sorted;
    make_batch(STEPS, false, true, &rows);
    lay_by_sample(&rows.batch, &sorted);
    struct snn_batch slice = snn_batch_slice(&sorted.batch, 1, 3), again = snn_batch_slice(&slice, 1, 1);
    ck_assert_int_eq(slice.first[3], sorted.first[4]);
    ck_assert_ptr_eq(again.first, sorted.first + 2);
    ck_assert_int_eq(again.length[0], rows.length[2]);
    for (int32_t e = again.first[0]; e < again.first[1]; ++e) ck_assert_int_lt(again.step[e], again.length[0]);
}
END_TEST

/* Memory of a cut's rows: as many as the cut has steps, whatever the batch has. */
START_TEST(memory_of_a_plan) {
    struct made_network m;
    struct snn_arena arena[3];
    open_network(models[0], false, &m);
    for (int i = 0; i < 3; ++i) {
        struct snn_network_plan plan = {.T = i ? 10000 : 20, .B = 8, .cut = i == 2 ? 11 : 10, .train = true};
        snn_network_measure(&m.net, &plan, &arena[i]);
    }
    ck_assert_uint_eq(arena[0].used, arena[1].used);
    ck_assert_uint_gt(arena[2].used, arena[1].used);
    struct snn_batch shape = {.form = SNN_BATCH_EVENTS, .by_sample = true, .T = 100, .B = 8, .C = 2, .H = 6, .W = 6};
    struct snn_batch longer = shape;
    longer.T = 10000;
    if (!why_no_card()) {
        struct snn_device card;
        ck_ok(snn_device_open("cuda", 1, &card));
        ck_assert_uint_eq(card.memory->stage_bytes(&card, &shape), card.memory->stage_bytes(&card, &longer));
        snn_device_close(&card);
    }
    close_network(&m);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("by_sample");
    TCase *t = tcase_create("by_sample");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, same_bits, 0, PASSINGS * MODELS * (why_no_card() ? 1 : 2));
    tcase_add_test(t, slices_of_a_batch);
    tcase_add_test(t, memory_of_a_plan);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
