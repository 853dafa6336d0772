/* SPDX-License-Identifier: Apache-2.0
 * golden.c - parameters, tensors and tolerances of a stored case. */
#include "golden.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"

bool golden_fail(struct golden *c, const char *format, ...) {
    if (c->verdict == GOLDEN_FAIL) return false;
    c->verdict = GOLDEN_FAIL;
    va_list args;
    va_start(args, format);
    vsnprintf(c->why, sizeof c->why, format, args);
    va_end(args);
    return false;
}

bool golden_pending(struct golden *c, const char *what) {
    if (c->verdict != GOLDEN_PASS) return false;
    c->verdict = GOLDEN_PENDING;
    snprintf(c->why, sizeof c->why, "%s", what);
    return false;
}

bool golden_ok(struct golden *c, int rc) { return rc >= 0 || golden_fail(c, "%s", snn_error_text()); }

static void mark(struct golden *c, const char *name) { json_object_set_new(c->seen, name, json_true()); }

void golden_without(struct golden *c, const char *name, const char *why) {
    if (!snn_st_find(c->file, name)) return;
    mark(c, name);
    size_t used = strlen(c->without);
    snprintf(c->without + used, sizeof c->without - used, "%s%s: %s", used ? "; " : "", name, why);
}

/* ---- parameters ---- */

json_t *golden_fact(struct golden *c, const char *key) {
    json_t *fact = json_object_get(c->facts, key);
    if (fact) mark(c, key);
    return json_is_null(fact) ? NULL : fact;
}

bool golden_has(struct golden *c, const char *key) { return golden_fact(c, key) != NULL; }

const char *golden_text(struct golden *c, const char *key) {
    json_t *fact = golden_fact(c, key);
    if (fact && !json_is_string(fact)) golden_fail(c, "does not understand a '%s' that is no text", key);
    return json_is_string(fact) ? json_string_value(fact) : "";
}

double golden_number_or(struct golden *c, const char *key, double fallback) {
    json_t *fact = golden_fact(c, key);
    if (fact && !json_is_number(fact)) golden_fail(c, "does not understand a '%s' that is no number", key);
    return json_is_number(fact) ? json_number_value(fact) : fallback;
}

double golden_number(struct golden *c, const char *key) {
    if (!golden_has(c, key)) golden_fail(c, "the case does not say '%s'", key);
    return golden_number_or(c, key, 1);
}

bool golden_flag(struct golden *c, const char *key, bool fallback) {
    json_t *fact = golden_fact(c, key);
    if (fact && !json_is_boolean(fact))
        golden_fail(c, "does not understand a '%s' that is neither true nor false", key);
    return json_is_boolean(fact) ? json_is_true(fact) : fallback;
}

bool golden_sizes(struct golden *c, const char *key, int fallback, int axes, int *out) {
    const json_t *fact = golden_fact(c, key);
    for (int i = 0; i < axes; ++i) out[i] = fallback;
    if (!fact) return true;
    bool list = json_is_array(fact);
    if (list && (int)json_array_size(fact) != axes)
        return golden_fail(c, "does not understand a '%s' of %zu axes", key, json_array_size(fact));
    for (int i = 0; i < axes; ++i) {
        const json_t *one = list ? json_array_get(fact, (size_t)i) : fact;
        if (!json_is_integer(one)) return golden_fail(c, "does not understand a '%s' that is no whole number", key);
        out[i] = (int)json_integer_value(one);
    }
    return true;
}

/* ---- tensors ---- */

void *golden_own(struct golden *c, size_t count, size_t size) {
    c->owned = realloc(c->owned, (size_t)(c->owned_count + 1) * sizeof *c->owned);
    void *memory = c->owned ? calloc(count ? count : 1, size) : NULL;
    SNN_CHECK(memory, "out of memory in a test");
    return c->owned[c->owned_count++] = memory;
}

const struct snn_st_tensor *golden_find(struct golden *c, const char *name) {
    const struct snn_st_tensor *t = snn_st_find(c->file, name);
    if (t) mark(c, name);
    return t;
}

const double *golden_tensor(struct golden *c, const char *name, const struct snn_st_tensor **shape) {
    const struct snn_st_tensor *t = golden_find(c, name);
    if (shape) *shape = t;
    if (!t) {
        golden_fail(c, "the case has no tensor '%s'", name);
        return NULL;
    }
    double *numbers = golden_own(c, snn_st_elements(t), sizeof *numbers);
    return golden_ok(c, snn_st_to_double(t, numbers)) ? numbers : NULL;
}

void golden_compare(struct golden *c, const char *name, const double *found, size_t count, double relative) {
    if (!snn_st_find(c->file, name)) return;
    const struct snn_st_tensor *shape;
    const double *expected = golden_tensor(c, name, &shape);
    if (!expected) return;
    ++c->compared;
    if (snn_st_elements(shape) != count) {
        golden_fail(c, "%s has %zu elements, expected %llu", name, count, (unsigned long long)snn_st_elements(shape));
        return;
    }
    double largest = 0, worst = -1;
    size_t at = 0;
    for (size_t i = 0; i < count; ++i) largest = fmax(largest, fabs(expected[i]));
    for (size_t i = 0; i < count; ++i) {
        double error = fabs(found[i] - expected[i]);
        if (!(error <= worst)) worst = isnan(error) ? INFINITY : error, at = i;
    }
    double spread = json_number_value(json_object_get(json_object_get(c->facts, "spread"), name));
    double tolerance = relative > 0 ? fmax(relative * largest + 1e-6, 10 * spread) : 0;
    if (worst > tolerance)
        golden_fail(c, "%s[%zu] is %.9g, expected %.9g (off by %.3g, allowed %.3g)", name, at, found[at], expected[at],
                    worst, tolerance);
}

void golden_compare_real(struct golden *c, const char *name, const real *found, size_t count, double relative) {
    double *numbers = golden_own(c, count, sizeof *numbers);
    for (size_t i = 0; i < count; ++i) numbers[i] = (double)found[i];
    golden_compare(c, name, numbers, count, relative);
}

void golden_put_json(FILE *yaml, const char *key, const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    SNN_CHECK(text, "out of memory in a test");
    fprintf(yaml, ", %s: %s", key, text);
    free(text);
}
