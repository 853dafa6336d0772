/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/split.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/status.h"

const char *const snn_split_rules[] = {"head", "number", "random", NULL};

/* The last number in a file's name without its extension; -1: none. */
static int64_t number_of(const char *name) {
    const char *base = strrchr(name, '/'), *end = strrchr(name, '.');
    base = base ? base + 1 : name;
    if (!end || end < base) end = base + strlen(base);
    while (end > base && !isdigit((unsigned char)end[-1])) --end;
    const char *from = end;
    while (from > base && isdigit((unsigned char)from[-1])) --from;
    int64_t number = 0;
    if (from == end || end - from > 15) return -1;
    for (; from < end; ++from) number = 10 * number + (*from - '0');
    return number;
}

struct numbered {
    int64_t number;
    int32_t file;
};

static int by_number(const void *a, const void *b) {
    const struct numbered *x = a, *y = b;
    return x->number != y->number ? (x->number > y->number) - (x->number < y->number)
                                  : (x->file > y->file) - (x->file < y->file);
}

struct parting {
    const struct snn_tree *tree;
    const struct snn_split_options *options;
    struct numbered *order; /* (count) scratch */
    int32_t *drawn;         /* (count) scratch */
    bool *is_test;          /* (count) */
};

/* Files first .. first+n-1 are one class. */
static void part_class(const struct parting *p, int32_t first, int32_t n) {
    const struct snn_split_options *o = p->options;
    int32_t tests = (int32_t)lround(o->test * n);
    switch (o->rule) {
    case SNN_SPLIT_HEAD:
        for (int32_t i = (int32_t)ceil((1 - o->test) * n); i < n; ++i) p->is_test[first + i] = true;
        break;
    case SNN_SPLIT_NUMBER:
        for (int32_t i = 0; i < n; ++i)
            p->order[i] = (struct numbered){number_of(p->tree->file[first + i].name), first + i};
        qsort(p->order, (size_t)n, sizeof *p->order, by_number);
        for (int32_t i = 0; i < tests; ++i) p->is_test[p->order[i].file] = true;
        break;
    default:
        snn_rng_shuffle((uint64_t)o->seed, SNN_RNG_SPLIT, (uint32_t)p->tree->file[first].class, 1, p->drawn, n);
        for (int32_t i = 0; i < tests; ++i) p->is_test[first + p->drawn[i]] = true;
    }
}

static int part(const struct parting *p, const char *root, int32_t *list[2], int32_t count[2]) {
    const struct snn_tree *tree = p->tree;
    for (int32_t i = 0, first = 0; i <= tree->count; ++i)
        if (i == tree->count || tree->file[i].class != tree->file[first].class) {
            part_class(p, first, i - first);
            first = i;
        }
    for (int32_t i = 0; i < tree->count; ++i) {
        enum snn_split split = p->is_test[i] ? SNN_TEST : SNN_TRAIN;
        list[split][count[split]++] = i;
    }
    if (count[SNN_TRAIN] && count[SNN_TEST]) return SNN_OK;
    return snn_error(SNN_EDATA, "%s: %d files are too few to part %g of each class from them", root, tree->count,
                     p->options->test);
}

int snn_split_tree(const struct snn_tree *tree, const char *root, const struct snn_split_options *options,
                   int32_t *list[2], int32_t count[2]) {
    size_t n = (size_t)tree->count + 1;
    struct parting p = {.tree = tree,
                        .options = options,
                        .order = reallocarray(NULL, n, sizeof *p.order),
                        .drawn = reallocarray(NULL, n, sizeof *p.drawn),
                        .is_test = calloc(n, sizeof *p.is_test)};
    count[SNN_TRAIN] = count[SNN_TEST] = 0;
    for (int s = 0; s < 2; ++s) list[s] = reallocarray(NULL, n, sizeof *list[s]);
    int status = p.order && p.drawn && p.is_test && list[0] && list[1]
                     ? part(&p, root, list, count)
                     : snn_error(SNN_EFAIL, "%s: out of memory", root);
    free(p.order);
    free(p.drawn);
    free(p.is_test);
    return status;
}

const char *snn_split_text(const struct snn_split_options *o, char buffer[64]) {
    int n = snprintf(buffer, 64, "%s, %g %% test", snn_split_rules[o->rule], 100 * o->test);
    if (o->rule == SNN_SPLIT_RANDOM) snprintf(buffer + n, 64 - (size_t)n, ", seed %lld", o->seed);
    return buffer;
}
