/* SPDX-License-Identifier: Apache-2.0
 * checkops.h - the bench on which every kernel is run: guarded buffers, every instruction set, one to three threads.
 *
 * A case takes its buffers from the bench, works out what they must hold afterwards in the most obvious way, and names
 * a call. The bench makes the call once for each instruction set and thread count and checks that guard zones and
 * inputs are untouched, that outputs are as expected and that threads change no bit. With SNN_OPS_DEVICE=cuda in the
 * environment the calls go to a card, or to the emulated one, instead; buffers are then host memory that kernels reach,
 * and the call is repeated where the CPU gets more threads. Under AddressSanitizer buffers are heap blocks of exactly
 * their size and have no guard zones.
 *
 * Outputs are expected to the bit (element-wise work: the reference is compiled without contraction), or, for sums of n
 * terms in an order of the kernel's own choice, within 4 eps sqrt(n+1) sum|terms|: four times what n roundings that are
 * not all against us add up to. */
#ifndef SNN_TEST_CHECKOPS_H
#define SNN_TEST_CHECKOPS_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snn_check.h"

#include "autograd/device.h"
#include "autograd/tensor.h"

#ifdef SNN_DOUBLE
#define OPS_EPS DBL_EPSILON
#else
#define OPS_EPS FLT_EPSILON
#endif
#define OPS_COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

typedef long double wide; /* references add up in more digits than either build has */

struct ops_sum {
    wide value, terms; /* sum of the terms, and of their magnitudes */
    ptrdiff_t n;
};
static inline void ops_term(struct ops_sum *sum, wide term) { sum->value += term, sum->terms += fabsl(term), ++sum->n; }

enum { OPS_BUFFERS = 32, OPS_PIECES = 48, OPS_SCRATCHES = 8, OPS_DEVICES = 3 };
struct ops_buffer {
    unsigned char *block, *data;
    unsigned char *start, *first[OPS_DEVICES]; /* contents before a call; after a device's call with one thread */
    size_t bytes, element, before;
    bool is_input;
    unsigned char mark;         /* of its guard zones */
    const void *exact;          /* expected contents, or */
    const struct ops_sum *sums; /* expected sums */
    double eps;
};

struct ops {
    const char *entry;
    char what[240]; /* the case, for messages */
    struct snn_device device[OPS_DEVICES];
    int devices;
    bool on_card;
    struct ops_buffer buffer[OPS_BUFFERS], scratch[OPS_SCRATCHES];
    int buffers, scratches;
    void *piece[OPS_PIECES]; /* memory of the case that no kernel sees */
    int pieces;
    uint32_t drawn;
    unsigned char guard; /* the byte that fills guard zones in this call */
};

void ops_open(struct ops *ops);
void ops_close(struct ops *ops);

/* Start a case: what the one before took is given back. */
void ops_begin(struct ops *ops, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Buffers for the kernel. Inputs (zero at first) must not change; outputs start as NaN, or as what the case writes
 * there before ops_run. */
void *ops_input(struct ops *ops, ptrdiff_t count, size_t element);
void *ops_output(struct ops *ops, ptrdiff_t count, size_t element);
real *
ops_reals(struct ops *ops,
          ptrdiff_t count); /* an input of random numbers in -1..1, with some zeros of either sign and tiny numbers */
/* Zeroed memory for expectations. */
void *ops_memory(struct ops *ops, ptrdiff_t count, size_t element);
/* Within a call: aligned scratch of exactly `bytes`, full of rubbish. */
void *ops_scratch(struct ops *ops, size_t bytes);

void ops_expect(struct ops *ops, const void *output, const void *exact);
void ops_expect_sums(struct ops *ops, const real *output, const struct ops_sum *sums);
void ops_expect_double_sums(struct ops *ops, const double *output, const struct ops_sum *sums, double eps);

typedef void ops_call(struct ops *ops, struct snn_device *device, const void *argument);
void ops_run(struct ops *ops, ops_call *call, const void *argument);

/* Random numbers of the case. */
uint32_t ops_below(struct ops *ops, uint32_t n);
double ops_unit(struct ops *ops);
void ops_fill(struct ops *ops, real *x, ptrdiff_t n, double low, double high);

/* Rows for kernels that read spikes: as bits with `density` of ones, or as random numbers when it is negative. `dense`
 * has the numbers. */
struct ops_rows {
    struct snn_rows rows;
    const real *dense;
};
struct ops_rows ops_rows(struct ops *ops, ptrdiff_t rows, ptrdiff_t units, double density);
extern const double ops_densities[4];
/* Rows in any form. Lists are a slice of a longer and wider batch in either layout, whose other entries must not be
 * read; rows are ragged, and where there is any density there is an entry. */
struct ops_kind {
    enum snn_form form;
    double density;
    bool values; /* of lists: counts beside the indices */
};
struct ops_rows ops_rows_as(struct ops *ops, ptrdiff_t rows, ptrdiff_t units, const struct ops_kind *kind);
const char *ops_kind_text(const struct ops_kind *kind);

/* The cases of a kernel table: CASES is a list X(entry), and check_ENTRY must exist for each. The build fails when an
 * entry has none. */
struct ops_entry {
    const char *name;
    void (*check)(struct ops *ops);
};
#define OPS_ENUM_(name) CASE_##name,
#define OPS_TABLE(table, CASES)                                                                                        \
    enum { CASES(OPS_ENUM_) CASES_OF_TABLE };                                                                          \
    _Static_assert(sizeof(struct table) == CASES_OF_TABLE * sizeof(void (*)(void)),                                    \
                   "an entry of the table has no case");                                                               \
    static const struct ops_entry entries[] = {CASES(OPS_ENTRY_)};
#define OPS_ROW(table, name) [offsetof(struct table, name) / sizeof(void (*)(void))] = {#name, check_##name},

/* A test for each entry. */
TCase *ops_tcase(const char *name, const TTest *test, int entries);
#define OPS_TCASE(family)                                                                                              \
    START_TEST(family) {                                                                                               \
        struct ops ops;                                                                                                \
        ops_open(&ops);                                                                                                \
        ops.entry = entries[_i].name;                                                                                  \
        entries[_i].check(&ops);                                                                                       \
        ops_close(&ops);                                                                                               \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    TCase *ops_##family(void) { return ops_tcase(#family, family, CASES_OF_TABLE); }

TCase *ops_math(void), *ops_conv(void), *ops_pool(void), *ops_norm(void), *ops_loss(void), *ops_neuron(void),
    *ops_weights(void), *ops_binary(void), *ops_optim(void), *ops_regular(void), *ops_ultra(void), *ops_delay(void),
    *ops_mix(void), *ops_attention(void);

#endif
