/* SPDX-License-Identifier: Apache-2.0
 * plot_axis.c - ranges, ticks and their texts. */
#include "train/plot_axis.h"

#include <math.h>
#include <stdio.h>

#include "core/status.h"

/* Values closer together than this, relative to their size, make a constant: their ticks could not be told apart. */
static const double LEAST_SPAN = 1e-6;

static double coordinate(const struct snn_axis *axis, double value) {
    if (!(fabs(value) <= 1e100)) return NAN; /* so that no span overflows */
    if (axis->kind == SNN_AXIS_X_LOG2) return value >= 1e-100 ? log2(value) : NAN;
    return fabs(value) >= 1e-100 ? value : 0;
}

struct snn_axis snn_axis_empty(enum snn_axis_kind kind) {
    return (struct snn_axis){.kind = kind, .min = INFINITY, .max = -INFINITY, .low = 0, .high = 1};
}

void snn_axis_cover(struct snn_axis *axis, double value) {
    double c = coordinate(axis, value);
    axis->min = fmin(axis->min, c); /* fmin and fmax pass over NAN */
    axis->max = fmax(axis->max, c);
}

bool snn_axis_has_data(const struct snn_axis *axis) { return axis->min <= axis->max; }

double snn_axis_place(const struct snn_axis *axis, double value) {
    return (coordinate(axis, value) - axis->low) / (axis->high - axis->low);
}

/* A power as UTF-8 with superscript digits: "×10³". */
static void power_text(char *out, size_t size, const char *base, int e) {
    static const char *const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char plain[16];
    snprintf(plain, sizeof plain, "%d", e);
    size_t used = (size_t)snprintf(out, size, "%s", base);
    for (const char *d = plain; *d && used < size; ++d)
        used += (size_t)snprintf(out + used, size - used, "%s", *d == '-' ? "⁻" : digits[*d - '0']);
}

static void fit_range(struct snn_axis *axis) {
    double min = axis->min, max = axis->max, size = fmax(fabs(min), fabs(max)), span = max - min;
    bool vertical = axis->kind == SNN_AXIS_Y || axis->kind == SNN_AXIS_Y_PERCENT;
    double pad = span * (vertical ? 0.05 : 0.03);
    /* A percentage has at most four decimals. */
    if (span <= fmax(size, axis->kind == SNN_AXIS_Y_PERCENT) * LEAST_SPAN) {
        bool whole = axis->kind == SNN_AXIS_X_INTEGER || axis->kind == SNN_AXIS_X_LOG2;
        pad = axis->kind == SNN_AXIS_Y_PERCENT ? fmax(0.05, 0.1 * size)
              : whole                          ? fmax(0.5, size * LEAST_SPAN)
              : size > 0                       ? 0.1 * size
                                               : 1;
    }
    axis->low = min - pad;
    axis->high = max + pad;
    if (!vertical) return;
    /* Zero is part of the picture when it is near, and room below it is not. */
    if (min >= 0 && (axis->low < 0 || min < 0.3 * max)) axis->low = 0;
    if (max <= 0 && (axis->high > 0 || max > 0.3 * min) && size > 0) axis->high = 0;
    if (axis->kind == SNN_AXIS_Y_PERCENT && max <= 1) axis->high = fmin(axis->high, 1);
}

/* Ticks at powers of two, the same number of octaves apart. */
static void fit_log2(struct snn_axis *axis, int target) {
    if (floor(axis->high) - ceil(axis->low) < 1) {
        axis->low = floor(axis->low);
        axis->high = ceil(axis->high);
    }
    int first = (int)ceil(axis->low), last = (int)floor(axis->high);
    int stride = (last - first + target - 1) / target;
    if (stride < 1) stride = 1;
    first = (int)ceil((double)first / stride) * stride; /* counted from 2^0 */
    for (int e = first; e <= last; e += stride) {
        struct snn_tick *tick = &axis->tick[axis->ticks++];
        tick->place = (e - axis->low) / (axis->high - axis->low);
        if (e >= -3 && e < 20) snprintf(tick->text, sizeof tick->text, "%g", ldexp(1, e));
        else power_text(tick->text, sizeof tick->text, "2", e);
    }
}

/* Ticks at multiples of 1, 2 or 5 times a power of ten. */
static void fit_decimal(struct snn_axis *axis, int target) {
    double rough = (axis->high - axis->low) / target;
    int power = (int)floor(log10(rough) + 1e-9);
    double share = rough / pow(10, power), step = share <= 1.001 ? 1 : share <= 2.001 ? 2 : share <= 5.001 ? 5 : 10;
    if (step == 10) step = 1, ++power;
    if (axis->kind == SNN_AXIS_X_INTEGER && power < 0) step = 1, power = 0;

    double size = fmax(fabs(axis->low), fabs(axis->high));
    int exponent = 0; /* the texts are values / 10^exponent */
    if (axis->kind == SNN_AXIS_Y_PERCENT) {
        exponent = -2;
    } else if (size >= 1e5 || size < 1e-3) {
        exponent = 3 * (int)floor(log10(size) / 3 + 1e-9);
        power_text(axis->multiplier, sizeof axis->multiplier, "×10", exponent);
    }
    int decimals = power < exponent ? exponent - power : 0;
    double first = ceil(axis->low / (step * pow(10, power)) - 1e-6),
           last = floor(axis->high / (step * pow(10, power)) + 1e-6);
    for (double i = first; i <= last && axis->ticks < SNN_MAX_TICKS; ++i) {
        struct snn_tick *tick = &axis->tick[axis->ticks++];
        double place = (i * step * pow(10, power) - axis->low) / (axis->high - axis->low);
        tick->place = fmin(fmax(place, 0), 1);
        snprintf(tick->text, sizeof tick->text, "%s%.*f%s", i < 0 ? "−" : "", decimals,
                 fabs(i) * step * pow(10, power - exponent), axis->kind == SNN_AXIS_Y_PERCENT ? "%" : "");
    }
}

void snn_axis_fit(struct snn_axis *axis, int target) {
    SNN_CHECK(target >= 2 && target <= SNN_MAX_TICKS - 2, "%d steps on an axis", target);
    axis->ticks = 0;
    axis->multiplier[0] = '\0';
    if (!snn_axis_has_data(axis)) return;
    fit_range(axis);
    if (axis->kind == SNN_AXIS_X_LOG2) fit_log2(axis, target);
    else fit_decimal(axis, target);
}
