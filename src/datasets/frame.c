/* SPDX-License-Identifier: Apache-2.0
 * frame.c - the events of a step become numbers, one a unit.
 *
 *   counts   how many events; a count beyond 65535 stays 65535. Binary: 1. Signed: ON events less OFF events.
 *   surface  exp(-(end - t) / tau), t the unit's last event until the step's end; 0 below 2^-24. Signed: the sign of
 *            that event. From step to step it decays by one factor, so a step costs as many exponentials as events.
 *   voxel    the event at t is shared by the two steps around u = (T-1) (t - t[0]) / (t[n-1] - t[0]): step j gets
 *            1 - |j - u| of it (bilinear in time). Signed: OFF counts negative, which is how frameworks write one
 *            channel; else polarities keep their channels. Zhu et al., CVPR (2019). */
#include <math.h>
#include <string.h>

#include "core/status.h"
#include "datasets/parts.h"

static bool is_signed(const struct snn_data_config *config) {
    return config->downsample.polarity == SNN_POLARITY_SIGNED;
}

bool snn_canvas_stays(const struct snn_data_config *config) { return config->bin.tau_us > 0; }

static int32_t unit_of(const struct snn_canvas *canvas, const struct snn_event *e, bool has_sign) {
    const int32_t *shape = canvas->shape;
    SNN_CHECK(e->x < shape[2] && e->y < shape[1] && (e->p < shape[0] || (has_sign && e->p < 2)),
              "event at x=%d y=%d p=%d", e->x, e->y, e->p);
    return ((has_sign ? 0 : e->p) * shape[1] + e->y) * shape[2] + e->x;
}

static void mark(struct snn_canvas *canvas, int32_t unit) {
    if (canvas->seen) canvas->seen[unit >> 6] |= UINT64_C(1) << (unit & 63);
}

/* The loop that most training waits for: everything it needs is in registers, and `marks` is known to the compiler. */
static inline void count_all(const struct snn_canvas *canvas, bool marks, float most, const struct snn_event *e,
                             const struct snn_event *end) {
    const int32_t C = canvas->shape[0], H = canvas->shape[1], W = canvas->shape[2];
    float *restrict value = canvas->value;
    uint64_t *restrict seen = canvas->seen;
    for (; e < end; ++e) {
        SNN_CHECK(e->x < W && e->y < H && e->p < C, "event at x=%d y=%d p=%d", e->x, e->y, e->p);
        int32_t unit = (e->p * H + e->y) * W + e->x;
        float count = value[unit];
        value[unit] = count < most ? count + 1 : count;
        if (marks) seen[unit >> 6] |= UINT64_C(1) << (unit & 63);
    }
}

static void add_counts(struct snn_canvas *canvas, float most, const struct snn_event *e, const struct snn_event *end) {
    if (canvas->seen) count_all(canvas, true, most, e, end);
    else count_all(canvas, false, most, e, end);
}

static void add_signs(struct snn_canvas *canvas, const struct snn_event *e, const struct snn_event *end) {
    for (; e < end; ++e) {
        int32_t unit = unit_of(canvas, e, true);
        float sum = canvas->value[unit] + (e->p ? 1.f : -1.f);
        if (fabsf(sum) <= UINT16_MAX) canvas->value[unit] = sum;
        mark(canvas, unit);
    }
}

static void add_shares(struct snn_canvas *canvas, bool has_sign, const struct snn_framing *cut, struct snn_step step) {
    int32_t j = cut->j - 1;
    for (size_t i = step.begin; i < step.end; ++i) {
        const struct snn_event *e = &cut->events[i];
        int32_t unit = unit_of(canvas, e, has_sign);
        float share = (float)(1 - fabs(j - snn_framing_when(cut, i)));
        canvas->value[unit] += has_sign && !e->p ? -share : share;
        mark(canvas, unit);
    }
}

/* ---- time surfaces ---- */

static float decayed(float value, float factor) {
    value *= factor;
    return fabsf(value) < 0x1p-24f ? 0 : value;
}

static void decay(struct snn_canvas *canvas, float factor) {
    int32_t units = canvas->shape[0] * canvas->shape[1] * canvas->shape[2];
    for (int32_t unit = 0; !canvas->seen && unit < units; ++unit)
        canvas->value[unit] = decayed(canvas->value[unit], factor);
    for (int32_t word = 0; canvas->seen && word < (units + 63) / 64; ++word)
        for (uint64_t bits = canvas->seen[word]; bits; bits &= bits - 1) {
            int32_t unit = word * 64 + __builtin_ctzll(bits);
            canvas->value[unit] = decayed(canvas->value[unit], factor);
            if (canvas->value[unit] == 0) canvas->seen[word] ^= bits & -bits;
        }
}

static void renew(struct snn_canvas *canvas, double tau, bool has_sign, const struct snn_framing *cut,
                  struct snn_step step) {
    decay(canvas, (float)exp((canvas->read - step.stop) / tau));
    canvas->read = step.stop;
    for (size_t i = step.begin; i < step.end; ++i) {
        const struct snn_event *e = &cut->events[i];
        int32_t unit = unit_of(canvas, e, has_sign);
        float value = decayed(1, (float)exp(((double)(e->t - cut->base) - step.stop) / tau));
        canvas->value[unit] = has_sign && !e->p ? -value : value;
        mark(canvas, unit);
    }
}

/* ---- a step, a recording ---- */

void snn_canvas_add(struct snn_canvas *canvas, const struct snn_data_config *config, const struct snn_framing *cut,
                    struct snn_step step) {
    const struct snn_event *events = cut->events;
    bool has_sign = is_signed(config);
    if (snn_canvas_stays(config)) renew(canvas, config->bin.tau_us, has_sign, cut, step);
    else if (config->bin.by == SNN_BIN_VOXEL) add_shares(canvas, has_sign, cut, step);
    else if (step.begin == step.end) return; /* there may be no array at all */
    else if (has_sign) add_signs(canvas, events + step.begin, events + step.end);
    else add_counts(canvas, config->bin.binary ? 1 : UINT16_MAX, events + step.begin, events + step.end);
}

void snn_bin_events(const struct snn_data_config *config, int32_t T, int32_t C, int32_t H, int32_t W,
                    const struct snn_event *events, size_t n, float *frames) {
    size_t units = (size_t)C * (size_t)H * (size_t)W;
    struct snn_canvas canvas = {.shape = {C, H, W}, .value = frames};
    struct snn_framing cut = snn_framing_start(&config->bin, T, events, n);
    memset(frames, 0, (size_t)T * units * sizeof *frames);
    for (int32_t j = 0; j < T; ++j, canvas.value += units) {
        if (j && snn_canvas_stays(config)) memcpy(canvas.value, canvas.value - units, units * sizeof *frames);
        snn_canvas_add(&canvas, config, &cut, snn_framing_next(&cut));
    }
}
