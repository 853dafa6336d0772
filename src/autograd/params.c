/* SPDX-License-Identifier: Apache-2.0
 * params.c - declaring, laying out and drawing the learned numbers. */
#include "autograd/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/status.h"

/* Elements from one start to the next possible one. */
enum { UNIT = SNN_ALIGN / sizeof(real) };

struct snn_param *snn_params_add(struct snn_params *params, const char *name, bool buffer, int nd, const int32_t *dim) {
    SNN_CHECK(!snn_params_find(params, name), "two parameters are called '%s'", name);
    SNN_CHECK(nd >= 0 && nd <= 6, "parameter '%s' of %d dimensions", name, nd);
    if (params->count == params->room) {
        params->room = params->room ? 2 * params->room : 32;
        params->list = realloc(params->list, (size_t)params->room * sizeof *params->list);
        SNN_CHECK(params->list, "out of memory while parameters are declared");
    }
    struct snn_param *param = calloc(1, sizeof *param);
    SNN_CHECK(param, "out of memory while parameters are declared");
    *param = (struct snn_param){.name = strdup(name), .nd = nd, .count = 1, .buffer = buffer};
    SNN_CHECK(param->name, "out of memory while parameters are declared");
    for (int i = 0; i < nd; ++i) {
        SNN_CHECK(dim[i] > 0 && !__builtin_mul_overflow(param->count, (ptrdiff_t)dim[i], &param->count),
                  "parameter '%s': dimension %d is %d", name, i, (int)dim[i]);
        param->dim[i] = dim[i];
    }
    return params->list[params->count++] = param;
}

struct snn_param *snn_params_find(const struct snn_params *params, const char *name) {
    for (int i = 0; i < params->count; ++i)
        if (strcmp(params->list[i]->name, name) == 0) return params->list[i];
    return NULL;
}

/* Give the parameters (or the buffers) their places from `at` on; returns where they end. */
static ptrdiff_t lay_out(struct snn_params *params, bool buffers, ptrdiff_t at) {
    for (int i = 0; i < params->count; ++i) {
        struct snn_param *param = params->list[i];
        if (param->buffer != buffers) continue;
        SNN_CHECK(param->count <= PTRDIFF_MAX / (ptrdiff_t)sizeof(real) - UNIT - at, "parameter '%s' has %td elements",
                  param->name, param->count);
        param->offset = at;
        at += (param->count + UNIT - 1) / UNIT * UNIT;
    }
    return at;
}

void snn_params_bind(struct snn_params *params, struct snn_arena *arena, bool gradients) {
    params->learned = lay_out(params, false, 0);
    params->size = lay_out(params, true, params->learned);
    params->value = snn_arena_alloc(arena, (size_t)params->size * sizeof(real), SNN_MEM_PARAMETERS);
    params->grad = gradients ? snn_arena_alloc(arena, (size_t)params->learned * sizeof(real), SNN_MEM_GRADIENTS) : NULL;
    for (int i = 0; i < params->count; ++i) {
        struct snn_param *param = params->list[i];
        param->value = params->value ? params->value + param->offset : NULL;
        param->grad = params->grad && !param->buffer ? params->grad + param->offset : NULL;
    }
}

/* Element i of a uniform draw uses word i of the stream, of a normal one words 2i and 2i + 1. */
static void draw(const struct snn_param *param, uint64_t seed, uint32_t stream, real *to) {
    int each = param->normal ? 2 : 4; /* elements a block of four words */
    for (ptrdiff_t i = 0; i < param->count; i += each) {
        uint32_t word[4];
        uint64_t block = (uint64_t)(i / each);
        snn_rng_block(seed, SNN_RNG_INIT, stream, (uint32_t)(block >> 32), (uint32_t)block, word);
        for (int j = 0; j < each && i + j < param->count; ++j) {
            double unit = param->normal ? snn_rng_normal(word[2 * j], word[2 * j + 1]) : 2 * snn_rng_unit(word[j]) - 1;
            to[i + j] = (real)(param->fill + param->bound * unit);
        }
    }
}

/* Root of the sum of squares of each row; a row is what belongs to one number of `param`. */
static void measure(const struct snn_param *param, const real *rows, real *to) {
    ptrdiff_t n = param->length_of->count / param->count;
    for (ptrdiff_t k = 0; k < param->count; ++k) {
        double squares = 0;
        for (ptrdiff_t i = 0; i < n; ++i) squares += (double)rows[k * n + i] * (double)rows[k * n + i];
        to[k] = (real)sqrt(squares);
    }
}

void snn_params_init(const struct snn_params *params, uint64_t seed, real *values) {
    SNN_CHECK(values, "parameters are drawn before memory was bound");
    for (int k = 0; k < params->count; ++k) {
        const struct snn_param *param = params->list[k];
        real *to = values + param->offset;
        if (param->fixed)
            for (ptrdiff_t i = 0; i < param->count; ++i) to[i] = (real)param->fixed(param, i);
        else if (param->length_of) measure(param, values + param->length_of->offset, to);
        else if (param->bound > 0) draw(param, seed, (uint32_t)k, to);
        else
            for (ptrdiff_t i = 0; i < param->count; ++i) to[i] = (real)param->fill;
        for (ptrdiff_t i = 0; param->ramp != 0 && i < param->count; ++i)
            to[i] += (real)(param->ramp * (double)(i % param->dim[param->nd - 1]));
        for (ptrdiff_t i = 0, n = param->dim[param->nd - 1]; param->ratio > 0 && i < param->count; ++i)
            to[i] *= (real)pow(param->ratio, (double)(n - 1 - i % n));
        for (ptrdiff_t i = 0; param->no_diagonal && i < param->dim[0]; ++i) to[i * param->dim[0] + i] = 0;
        for (ptrdiff_t i = 0; param->whole && i < param->count; ++i) to[i] = (real)rint((double)to[i]);
        for (ptrdiff_t i = 0; param->bounded && i < param->count; ++i)
            to[i] = (real)fmin(fmax((double)to[i], param->low), param->high);
    }
}

void snn_params_free(struct snn_params *params) {
    for (int i = 0; i < params->count; ++i) {
        free(params->list[i]->name);
        free(params->list[i]);
    }
    free(params->list);
    *params = (struct snn_params){0};
}
