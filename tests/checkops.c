/* SPDX-License-Identifier: Apache-2.0
 * checkops.c - the bench of checkops.h. */
#include "checkops.h"

#include <stdarg.h>

#include "autograd/memory.h"
#include "core/isa.h"
#include "core/rng.h"
#include "train/device.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT_BLOCKS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define EXACT_BLOCKS 1
#endif
#ifdef EXACT_BLOCKS
enum { GUARD = 0 };
#else
enum { GUARD = 512 };
#endif

const double ops_densities[4] = {-1, 0.04, 0.25, 0.8};

/* ---- devices ---- */

void ops_open(struct ops *ops) {
#define X(suffix, test) &#suffix[1],
    static const char *const names[] = {SNN_ISA_LIST(X)};
#undef X
    _Static_assert(OPS_COUNT(names) <= OPS_DEVICES, "room for every instruction set");
    memset(ops, 0, sizeof *ops);
    const char *wish = getenv("SNN_OPS_DEVICE");
    if (wish) {
        ck_ok(snn_device_open(wish, 0, &ops->device[ops->devices++]));
        ops->on_card = true;
        return;
    }
    for (int i = 0; i < OPS_COUNT(names); ++i) {
        struct snn_device *device = &ops->device[ops->devices];
        setenv("SNNTRAIN_ISA", names[i], 1);
        ck_ok(snn_device_open("cpu", 1, device));
        if (!strcmp(device->variant, names[i])) ++ops->devices; /* else this machine falls back to one we have */
    }
    unsetenv("SNNTRAIN_ISA");
    ck_assert_int_gt(ops->devices, 0);
}

/* ---- memory ---- */

static void *memory(size_t bytes) {
    void *p = malloc(bytes ? bytes : 1);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* Data lies `shift` bytes beyond a multiple of 64, so that no kernel can count on more than it was promised. */
static struct ops_buffer new_buffer(struct ops *ops, size_t bytes, size_t element, size_t shift) {
    struct ops_buffer b = {.bytes = bytes, .element = element, .before = GUARD ? GUARD + shift : 0};
    b.block = ops->device[0].memory->host(&ops->device[0], b.before + bytes + GUARD);
    ck_assert_ptr_nonnull(b.block);
    b.data = b.block + b.before;
    return b;
}

static void free_buffer(struct ops *ops, struct ops_buffer *b) {
    ops->device[0].memory->host_release(&ops->device[0], b->block);
    free(b->start);
    for (int d = 0; d < OPS_DEVICES; ++d) free(b->first[d]);
}

static void give_back(struct ops *ops) {
    for (int i = 0; i < ops->buffers; ++i) free_buffer(ops, &ops->buffer[i]);
    for (int i = 0; i < ops->pieces; ++i) free(ops->piece[i]);
    ops->buffers = ops->pieces = 0;
}

void ops_close(struct ops *ops) {
    give_back(ops);
    if (ops->on_card) snn_device_close(&ops->device[0]);
}

void ops_begin(struct ops *ops, const char *format, ...) {
    va_list arguments;
    give_back(ops);
    va_start(arguments, format);
    vsnprintf(ops->what, sizeof ops->what, format, arguments);
    va_end(arguments);
}

static void *take(struct ops *ops, ptrdiff_t count, size_t element, bool is_input) {
    ck_assert_int_lt(ops->buffers, OPS_BUFFERS);
    struct ops_buffer *b = &ops->buffer[ops->buffers++];
    *b = new_buffer(ops, (size_t)count * element, element, element < 64 ? element : 0);
    b->is_input = is_input, b->mark = (unsigned char)ops->buffers;
    memset(b->data, is_input ? 0 : 0xFF, b->bytes);
    return b->data;
}

void *ops_input(struct ops *ops, ptrdiff_t count, size_t element) { return take(ops, count, element, true); }
void *ops_output(struct ops *ops, ptrdiff_t count, size_t element) { return take(ops, count, element, false); }

void *ops_memory(struct ops *ops, ptrdiff_t count, size_t element) {
    ck_assert_int_lt(ops->pieces, OPS_PIECES);
    void *p = memory((size_t)count * element);
    memset(p, 0, (size_t)count * element);
    return ops->piece[ops->pieces++] = p;
}

/* Guard zones differ from buffer to buffer, so that one copied over another is seen. */
static unsigned char guard_byte(const struct ops *ops, const struct ops_buffer *b, size_t i) {
    return i % 4 ? ops->guard : b->mark;
}

static void set_guards(const struct ops *ops, const struct ops_buffer *b) {
    for (size_t i = 0; i < b->before; ++i) b->block[i] = guard_byte(ops, b, i);
    for (size_t i = 0; i + 1 <= GUARD; ++i) b->data[b->bytes + i] = guard_byte(ops, b, i);
}

void *ops_scratch(struct ops *ops, size_t bytes) {
    ck_assert_int_lt(ops->scratches, OPS_SCRATCHES);
    struct ops_buffer *b = &ops->scratch[ops->scratches++];
    *b = new_buffer(ops, bytes, 1, 0);
    b->mark = (unsigned char)(OPS_BUFFERS + ops->scratches);
    set_guards(ops, b);
    memset(b->data, ops->guard, bytes);
    return b->data;
}

/* ---- random numbers ---- */

static uint32_t word(struct ops *ops) { return snn_rng_u32(20240607, SNN_RNG_TEST, 0, 0, ops->drawn++); }
uint32_t ops_below(struct ops *ops, uint32_t n) { return snn_rng_below(word(ops), n); }
double ops_unit(struct ops *ops) { return snn_rng_unit(word(ops)); }

void ops_fill(struct ops *ops, real *x, ptrdiff_t n, double low, double high) {
    for (ptrdiff_t i = 0; i < n; ++i) x[i] = (real)(low + (high - low) * ops_unit(ops));
}

real *ops_reals(struct ops *ops, ptrdiff_t count) {
    static const double special[] = {0.0, -0.0, 1e-42, -1e-310};
    real *x = ops_input(ops, count, sizeof *x);
    for (ptrdiff_t i = 0; i < count; ++i)
        x[i] = (real)(ops_below(ops, 48) ? 2 * ops_unit(ops) - 1 : special[ops_below(ops, OPS_COUNT(special))]);
    return x;
}

struct ops_rows ops_rows(struct ops *ops, ptrdiff_t rows, ptrdiff_t units, double density) {
    struct ops_rows out = {{0}, NULL};
    if (density < 0) {
        out.rows.dense = out.dense = ops_reals(ops, rows * units);
        return out;
    }
    int32_t words = (int32_t)((units + 63) / 64);
    uint64_t *bits = ops_input(ops, rows * words, sizeof *bits);
    int32_t *nonzero = ops_input(ops, rows, sizeof *nonzero);
    real *dense = ops_memory(ops, rows * units, sizeof *dense);
    for (ptrdiff_t r = 0; r < rows; ++r)
        for (ptrdiff_t i = 0; i < units; ++i)
            if (ops_unit(ops) < density) {
                bits[r * words + i / 64] |= (uint64_t)1 << (i % 64);
                dense[r * units + i] = 1, ++nonzero[r];
            }
    out.rows = (struct snn_rows){.bits = bits, .words = words, .nonzero = nonzero};
    out.dense = dense;
    return out;
}

/* Either layout: step by step, or sample by sample, of which the kernel knows where its own rows begin. */
static struct ops_rows lists(struct ops *ops, ptrdiff_t rows, ptrdiff_t units, const struct ops_kind *kind) {
    struct ops_rows out = {{0}, NULL};
    int32_t B = 1 + (int32_t)ops_below(ops, 5), beside = (int32_t)ops_below(ops, 3),
            before = (int32_t)ops_below(ops, 3);
    while (rows % B) --B;
    bool by_sample = rows && ops_below(ops, 2);
    int32_t stride = B + beside, first = beside ? (int32_t)ops_below(ops, (uint32_t)beside + 1) : 0;
    int32_t T = (int32_t)(rows / B), steps = before + T;
    ptrdiff_t all = !rows ? 0 : by_sample ? (ptrdiff_t)stride * steps : (ptrdiff_t)(steps - 1) * stride + first + B;
    int32_t *row = (by_sample ? ops_memory : ops_input)(ops, all + 1, sizeof *row);
    int32_t *index = ops_memory(ops, all * units, sizeof *index);
    real *dense = ops_memory(ops, rows * units, sizeof *dense);
    ptrdiff_t lucky = rows ? (ptrdiff_t)ops_below(ops, (uint32_t)(rows * units)) : 0;
    for (ptrdiff_t i = 0; i < all; ++i) {
        ptrdiff_t t = (by_sample ? i % steps : i / stride) - before, b = (by_sample ? i / steps : i % stride) - first,
                  r = t * B + b;
        bool ours = t >= 0 && b >= 0 && b < B;
        double density = kind->density < 1 ? kind->density * (double)ops_below(ops, 3) : 1; /* of this row */
        row[i + 1] = row[i];
        for (ptrdiff_t k = 0; k < units; ++k) {
            bool is_lucky = ours && kind->density > 0 && r * units + k == lucky;
            if (ops_unit(ops) >= density && !is_lucky) continue;
            index[row[i + 1]++] = ours ? (int32_t)k : INT32_MAX / 8;
            if (ours) dense[r * units + k] = (real)(kind->values ? 1 + ops_below(ops, 5) : 1);
        }
    }
    int32_t *exact = ops_input(ops, row[all], sizeof *exact);
    float *value = kind->values ? ops_input(ops, row[all], sizeof *value) : NULL;
    memcpy(exact, index, (size_t)row[all] * sizeof *exact);
    struct snn_lists l = {row, exact, value, B, stride, 1};
    if (by_sample) {
        int32_t *own = ops_input(ops, (ptrdiff_t)B * (T + 1), sizeof *own);
        for (int32_t b = 0; b < B; ++b)
            memcpy(own + b * (T + 1), row + (ptrdiff_t)(first + b) * steps + before, (size_t)(T + 1) * sizeof *own);
        l.row = own, l.step = 1, l.sample = T + 1;
    } else if (rows) l.row += (ptrdiff_t)before * stride + first;
    for (ptrdiff_t r = 0; value && r < rows; ++r) {
        struct snn_entries e = snn_lists_row(&l, r);
        for (int32_t k = 0; k < e.count; ++k) value[e.index - exact + k] = (float)dense[r * units + e.index[k]];
    }
    out.rows.lists = l;
    out.dense = dense;
    return out;
}

struct ops_rows ops_rows_as(struct ops *ops, ptrdiff_t rows, ptrdiff_t units, const struct ops_kind *kind) {
    if (kind->form == SNN_LISTS) return lists(ops, rows, units, kind);
    return ops_rows(ops, rows, units, kind->form == SNN_DENSE ? -1 : kind->density);
}

const char *ops_kind_text(const struct ops_kind *kind) {
    static char text[64];
    static const char *const forms[] = {"dense", "bits", "lists"};
    snprintf(text, sizeof text, "%s of density %g%s", forms[kind->form], kind->density,
             kind->values ? " with values" : "");
    return text;
}

/* ---- expectations ---- */

static struct ops_buffer *output_at(struct ops *ops, const void *output) {
    for (int i = 0; i < ops->buffers; ++i)
        if (ops->buffer[i].data == output && !ops->buffer[i].is_input) return &ops->buffer[i];
    ck_abort_msg("%s, %s: no such output", ops->entry, ops->what);
    return NULL;
}

void ops_expect(struct ops *ops, const void *output, const void *exact) { output_at(ops, output)->exact = exact; }

void ops_expect_sums(struct ops *ops, const real *output, const struct ops_sum *sums) {
    struct ops_buffer *b = output_at(ops, output);
    b->sums = sums, b->eps = OPS_EPS;
}

void ops_expect_double_sums(struct ops *ops, const double *output, const struct ops_sum *sums, double eps) {
    struct ops_buffer *b = output_at(ops, output);
    b->sums = sums, b->eps = eps;
}

/* ---- a run ---- */

struct where {
    const struct ops *ops;
    const struct snn_device *device;
    const char *kind;
    int buffer;
};

static void fail_at(const struct where *w, ptrdiff_t i, const char *what) {
    ck_abort_msg("%s, %s: %s with %d threads: %s %d at %td: %s", w->ops->entry, w->ops->what, w->device->variant,
                 w->device->threads, w->kind, w->buffer, i, what);
}

static double number(const struct ops_buffer *b, const void *from, ptrdiff_t i) {
    if (b->element == sizeof(float)) return ((const float *)from)[i];
    return b->element == sizeof(double) ? ((const double *)from)[i] : ((const unsigned char *)from)[i];
}

/* What an element is is not known here, so both ways to read it are shown. */
static unsigned long long raw(const struct ops_buffer *b, const void *from, ptrdiff_t i) {
    uint64_t word = 0;
    memcpy(&word, (const unsigned char *)from + (size_t)i * b->element,
           b->element < sizeof word ? b->element : sizeof word);
    return word;
}

static void check_guards(const struct where *w, const struct ops_buffer *b) {
    for (size_t i = 0; i < b->before; ++i)
        if (b->block[i] != guard_byte(w->ops, b, i))
            fail_at(w, (ptrdiff_t)i - (ptrdiff_t)b->before, "byte before it was written");
    for (size_t i = 0; i + 1 <= GUARD; ++i)
        if (b->data[b->bytes + i] != guard_byte(w->ops, b, i))
            fail_at(w, (ptrdiff_t)i, "byte beyond its end was written");
}

static void check_same(const struct where *w, const struct ops_buffer *b, const void *expected, const char *what) {
    if (!memcmp(b->data, expected, b->bytes)) return;
    ptrdiff_t i = 0;
    while (
        !memcmp(b->data + (size_t)i * b->element, (const unsigned char *)expected + (size_t)i * b->element, b->element))
        ++i;
    char text[160];
    snprintf(text, sizeof text, "%s: %.17g (%#llx) instead of %.17g (%#llx)", what, number(b, b->data, i),
             raw(b, b->data, i), number(b, expected, i), raw(b, expected, i));
    fail_at(w, i, text);
}

static void check_sums(const struct where *w, const struct ops_buffer *b) {
    for (ptrdiff_t i = 0; i < (ptrdiff_t)(b->bytes / b->element); ++i) {
        wide least = b->element == sizeof(float) ? FLT_TRUE_MIN
                                                 : DBL_TRUE_MIN; /* what a rounding costs where numbers are tiny */
        wide n = (wide)b->sums[i].n + 1, bound = 4 * (b->eps * sqrtl(n) * b->sums[i].terms + n * least),
             got = number(b, b->data, i);
        if (fabsl(got - b->sums[i].value) <= bound) continue;
        char text[160];
        snprintf(text, sizeof text, "%.17g instead of %.17g within %.3g", (double)got, (double)b->sums[i].value,
                 (double)bound);
        fail_at(w, i, text);
    }
}

static void check_buffers(struct ops *ops, const struct snn_device *device, int d, int turn) {
    for (int i = 0; i < ops->buffers; ++i) {
        struct ops_buffer *b = &ops->buffer[i];
        struct where w = {ops, device, b->is_input ? "input" : "output", i};
        check_guards(&w, b);
        if (b->is_input) {
            check_same(&w, b, b->start, "was changed");
        } else if (turn > 0) {
            check_same(&w, b, b->first[d], ops->on_card ? "not as the first time" : "not as with one thread");
        } else {
            if (b->exact) check_same(&w, b, b->exact, "wrong");
            else check_sums(&w, b);
            memcpy(b->first[d], b->data, b->bytes);
        }
    }
    for (int i = 0; i < ops->scratches; ++i) {
        struct where w = {ops, device, "scratch", i};
        check_guards(&w, &ops->scratch[i]);
        free_buffer(ops, &ops->scratch[i]);
    }
    ops->scratches = 0;
}

/* As a number, a guard is NaN, below 1 or huge: whoever reads one gives another result with another number of threads,
 * whoever adds to one is seen at the second. */
static const unsigned char guards[] = {0xFF, 0x3F, 0x7E};

void ops_run(struct ops *ops, ops_call *call, const void *argument) {
    for (int i = 0; i < ops->buffers; ++i) {
        struct ops_buffer *b = &ops->buffer[i];
        ck_assert_msg(b->is_input || b->exact || b->sums, "%s, %s: output %d without an expectation", ops->entry,
                      ops->what, i);
        b->start = memory(b->bytes);
        memcpy(b->start, b->data, b->bytes);
        for (int d = 0; d < ops->devices && !b->is_input; ++d) b->first[d] = memory(b->bytes);
    }
    for (int turn = 0; turn < OPS_COUNT(guards) - ops->on_card; ++turn)
        for (int d = 0; d < ops->devices; ++d) {
            struct snn_device device = ops->device[d];
            if (!ops->on_card) device.threads = 1 + turn;
            ops->guard = guards[turn];
            for (int i = 0; i < ops->buffers; ++i) {
                set_guards(ops, &ops->buffer[i]);
                memcpy(ops->buffer[i].data, ops->buffer[i].start, ops->buffer[i].bytes);
            }
            call(ops, &device, argument);
            int rc = device.memory->download(&device, NULL, NULL, 0); /* wait */
            ck_assert_msg(rc == 0, "%s, %s: %s", ops->entry, ops->what, snn_error_text());
            check_buffers(ops, &device, d, turn);
        }
}

TCase *ops_tcase(const char *name, const TTest *test, int entries) {
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test, 0, entries);
    return tcase;
}
