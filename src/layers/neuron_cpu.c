/* SPDX-License-Identifier: Apache-2.0
 * neuron_cpu.c - the scan on the CPU. A work item is up to SNN_SCAN_CHUNK neurons of one sample over all steps: its
 * states stay in L1, its inputs are read and its membranes written once. Cells and surrogates meet in row buffers, so
 * that code grows with their sum, not with their product; the loops of a cell are a file of their own
 * (neuron_rows.inc). */
#include "layers/cell_rows.h"

#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "core/rmath.h"
#include "layers/neuron.h"

enum { CHUNK = SNN_SCAN_CHUNK, STATES = SNN_CELL_STATES, COEFS = SNN_CELL_COEFS };

INLINE ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

#define X(name) &SNN_ISA(snn_rows_##name),
static const struct cell_rows *const rows_of[] = {SNN_CELLS(X)};
#undef X

/* ---- firing: z, how far over the threshold, to spikes, and the surrogates ---- */

typedef void surrogate_row(ptrdiff_t n, const real *z, real at, const real *p, real *out);
#define X(name, ...)                                                                                                   \
    static void derivative_##name(ptrdiff_t n, const real *restrict z, real at, const real *p, real *restrict out) {   \
        real q[SNN_SURROGATE_PARAMS];                                                                                  \
        memcpy(q, p, sizeof q);                                                                                        \
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = sg_##name(z[i] - at, q);                                            \
    }                                                                                                                  \
    static void smooth_step_##name(ptrdiff_t n, const real *restrict z, real at, const real *p, real *restrict out) {  \
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = (real)step_##name(z[i] - at, p);                                    \
    }
SNN_SURROGATES(X)
#undef X
#define X(name, ...) derivative_##name,
static surrogate_row *const derivatives[] = {SNN_SURROGATES(X)};
#undef X
#define X(name, ...) smooth_step_##name,
static surrogate_row *const smooth_steps[] = {SNN_SURROGATES(X)};
#undef X

static void hard_row(const struct snn_neuron_spec *spec, ptrdiff_t n, const real *restrict z, real at,
                     real *restrict out) {
    if (spec->strict)
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = z[i] > at ? 1 : 0;
    else
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = z[i] >= at ? 1 : 0;
}

enum firing_form { HARD, SMOOTH, DERIVATIVE };

static void step_row(const struct snn_scan *scan, enum firing_form form, ptrdiff_t n, const real *z, real at,
                     real *out) {
    if (form == HARD) hard_row(scan->spec, n, z, at, out);
    else (form == SMOOTH ? smooth_steps : derivatives)[scan->spec->surrogate](n, z, at, scan->surrogate, out);
}

/* What comes out at z, or its derivative. */
static void firing_row(const struct snn_scan *scan, enum firing_form form, ptrdiff_t n, const real *restrict z,
                       real *restrict out) {
    const struct snn_neuron_spec *spec = scan->spec;
    const real spacing = scan->spacing ? *scan->spacing : 1;
    real row[CHUNK];
    switch (spec->firing) {
    case SNN_FIRES_ONCE:
        step_row(scan, form, n, z, 0, out);
        break;
    case SNN_FIRES_LEVELS:
        step_row(scan, form, n, z, 0, out);
        for (int k = 1; k < spec->levels; ++k) {
            step_row(scan, form, n, z, (real)k * spacing, row);
            for (ptrdiff_t i = 0; i < n; ++i) out[i] += row[i];
        }
        break;
    case SNN_FIRES_SIGNED: { /* the same at the other side: z is mirrored at -spacing */
        real mirrored[CHUNK];
        for (ptrdiff_t i = 0; i < n; ++i) mirrored[i] = -z[i] - 2 * spacing;
        step_row(scan, form, n, z, 0, out);
        step_row(scan, form, n, mirrored, 0, row);
        if (form == DERIVATIVE)
            for (ptrdiff_t i = 0; i < n; ++i) out[i] += row[i];
        else
            for (ptrdiff_t i = 0; i < n; ++i) out[i] -= row[i];
        break;
    }
    case SNN_FIRES_COUNTED:
        if (form != HARD) step_row(scan, form, n, z, 0, out);
        else
            for (ptrdiff_t i = 0; i < n; ++i) out[i] = cell_counts(spec->strict, z[i], spacing, 1 / spacing);
        break;
    case SNN_FIRES_ROUNDED:
        for (ptrdiff_t i = 0; i < n; ++i) {
            const real within = cell_within(z[i], 1 / spacing, (real)spec->levels);
            out[i] = form == DERIVATIVE ? cell_within_slope(z[i], 1 / spacing, (real)spec->levels)
                     : form == HARD     ? r_round(within)
                                        : within;
        }
        break;
    case SNN_FIRES_GRADED: {
        const enum firing_form kind = scan->smooth ? SMOOTH : HARD;
        step_row(scan, form == DERIVATIVE ? kind : form, n, z, 0, out);
        if (form == DERIVATIVE) step_row(scan, form, n, z, 0, row);
        for (ptrdiff_t i = 0; i < n; ++i)
            out[i] = form == DERIVATIVE ? cell_graded_slope(out[i], row[i], z[i], 1 / spacing)
                                        : cell_graded(out[i], z[i], 1 / spacing);
        break;
    }
    case SNN_FIRES_CHANGES:
        for (ptrdiff_t i = 0; i < n; ++i)
            out[i] = form == DERIVATIVE ? 1 : form == HARD ? cell_changes(spec->strict, z[i], spacing) : z[i] + spacing;
        break;
    case SNN_FIRES_NEVER:
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = form == DERIVATIVE ? 1 : z[i];
        break;
    }
}

/* ---- work items ---- */

/* The rows of the next steps lie far from this one, where no prefetcher of the hardware expects them; one step takes
 * less time than memory needs to answer. */
enum { AHEAD = 2 };
INLINE void fetch(const real *row, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += 64 / (ptrdiff_t)sizeof *row) __builtin_prefetch(row + i);
}

/* Rows of a step that are read, and those that are written: a store waits for its line too. h[0] may be x. */
INLINE void fetch_step(const struct snn_scan *scan, int32_t t, ptrdiff_t at, ptrdiff_t n) {
    const ptrdiff_t place = t * scan->B * scan->N + at;
    if (scan->x_step) fetch(scan->x + t * scan->x_step + at, n);
    for (int j = 0; j < STATES; ++j)
        if (scan->h[j] && scan->h[j] != scan->x) fetch(scan->h[j] + place, n);
    if (scan->y) fetch(scan->y + place, n);
}

/* Of the membranes that step t back reads, those of the step before: its own came with the step after it. */
INLINE void fetch_kept(const struct snn_scan *scan, int32_t t, ptrdiff_t at, ptrdiff_t n) {
    for (int j = 0; j < STATES && t > 0; ++j)
        if (scan->h[j]) fetch(scan->h[j] + (t - 1) * scan->B * scan->N + at, n);
}

/* Rows from neuron i on. */
INLINE real *const *part(int count, real *const *rows, ptrdiff_t i, real **to) {
    for (int j = 0; j < count; ++j) to[j] = rows[j] + i;
    return to;
}

/* Flags of one byte each, 0 beyond n -> bits of whole words. A product brings the flags of eight bytes together. */
static void pack(ptrdiff_t n, const uint8_t *flag, uint64_t *bits) {
    uint64_t eight[CHUNK / 8];
    uint8_t byte[CHUNK / 8];
    const size_t words = (size_t)(n + 63) / 64;
    memcpy(eight, flag, 64 * words);
    for (size_t i = 0; i < 8 * words; ++i) byte[i] = (uint8_t)(eight[i] * 0x0102040810204080u >> 56);
    memcpy(bits, byte, 8 * words);
}

struct item { /* n neurons from i0 of sample b; a thread goes from one to the next */
    int32_t b;
    ptrdiff_t i0, n, at, step; /* place of the first in (B,N), and numbers from step to step */
    ptrdiff_t loaded;          /* neurons whose coefficients are there; 0 before the first item */
    const struct cell_rows *rows;
    bool uniform; /* all neurons have the same coefficients */
    int stepped;  /* the one that differs from step to step, or -1 */
    real c_memory[COEFS][CHUNK];
    real *c[COEFS];
};

/* Coefficient j of step t. */
static void load(const struct snn_scan *scan, struct item *m, int j, int32_t t) {
    const struct snn_coef *c = &scan->coef[j];
    const real *at = c->at + t * c->step;
    real *restrict to = m->c[j];
    ptrdiff_t group = m->i0 / c->inner, end = (group + 1) * c->inner - m->i0;
    if (c->inner == 1) memcpy(to, at + m->i0, (size_t)m->n * sizeof *to);
    else
        for (ptrdiff_t i = 0; i < m->n; ++group, end += c->inner) {
            const real same = at[group];
            for (ptrdiff_t last = end < m->n ? end : m->n; i < last; ++i) to[i] = same;
        }
}

static void begin(const struct snn_scan *scan, ptrdiff_t index, struct item *m) {
    const ptrdiff_t chunks = (scan->N + CHUNK - 1) / CHUNK, i0 = index % chunks * CHUNK;
    const bool same_neurons = m->loaded && i0 == m->i0;
    m->b = (int32_t)(index / chunks);
    m->i0 = i0;
    m->n = least(CHUNK, scan->N - i0);
    m->at = m->b * scan->N + i0;
    m->step = scan->B * scan->N;
    if (same_neurons || (m->loaded >= m->n && m->uniform)) return;
    m->loaded = m->n;
    m->rows = rows_of[scan->spec->cell];
    m->uniform = true;
    for (int j = 0; j < m->rows->coefs; ++j) {
        m->c[j] = m->c_memory[j];
        m->uniform = m->uniform && scan->coef[j].inner >= scan->N;
        load(scan, m, j, scan->from);
    }
    m->stepped = snn_cell_shapes[scan->spec->cell].stepped;
}

/* States of (states,B,N), or the cell's own at rest. */
static void states_at(const struct snn_scan *scan, const struct item *m, const real *from, real *const *v) {
    if (!from) m->rows->start(scan->spec, m->n, m->c, v);
    else
        for (int j = 0; j < m->rows->states; ++j) memcpy(v[j], from + j * m->step + m->at, (size_t)m->n * sizeof(real));
}

static void states_to(const struct item *m, real *const *v, real *to) {
    for (int j = 0; to && j < m->rows->states; ++j) memcpy(to + j * m->step + m->at, v[j], (size_t)m->n * sizeof(real));
}

/* The spikes of the state before, where they reset in this step. */
static void late_spikes(const struct snn_scan *scan, const struct item *m, real *const *v, real *restrict r) {
    real z[CHUNK];
    m->rows->over(scan->spec, m->n, m->c, (const real *const *)v, z);
    hard_row(scan->spec, m->n, z, 0, r);
}

/* Is a neuron over its threshold in step t? With noise, which is no part of z elsewhere. */
static void decide_row(const struct snn_scan *scan, const struct item *m, int32_t t, const real *restrict z,
                       real *restrict s) {
    real moved[CHUNK];
    if (scan->smooth || !scan->noise) {
        firing_row(scan, scan->smooth ? SMOOTH : HARD, m->n, z, s);
        return;
    }
    const real *restrict noise = scan->noise + t * m->step + m->at;
    for (ptrdiff_t i = 0; i < m->n; ++i) moved[i] = z[i] + noise[i];
    firing_row(scan, HARD, m->n, moved, s);
}

/* A step in its parts; the membranes are in h, spikes in s. */
static void slow_step(const struct snn_scan *scan, const struct item *m, int32_t t, const real *x, const real *r,
                      real *const *v, real *const *h, real *restrict s) {
    const struct snn_neuron_spec *spec = scan->spec;
    ptrdiff_t n = m->n;
    real z[CHUNK], resets[CHUNK];
    m->rows->charge(spec, n, m->c, x, r, v);
    for (int j = 0; j < m->rows->states; ++j) memcpy(h[j], v[j], (size_t)n * sizeof(real));
    m->rows->over(spec, n, m->c, (const real *const *)h, z);
    decide_row(scan, m, t, z, s);
    real *frozen = scan->frozen ? scan->frozen + t * m->step + m->at : NULL;
    if (scan->smooth == SNN_SMOOTH_RECORD && frozen) memcpy(frozen, s, (size_t)n * sizeof *s);
    const real *cut = scan->smooth && spec->detached && frozen ? frozen : s;
    for (ptrdiff_t i = 0; i < n; ++i) resets[i] = spec->delay ? cut[i] - r[i] : cut[i];
    m->rows->settle(spec, n, m->c, x, s, resets, (const real *const *)h, v);
}

/* Is a step one pass, whose spikes can be told again from the membranes alone? */
static bool is_hard(const struct snn_scan *scan, const struct item *m) {
    const struct snn_neuron_spec *spec = scan->spec;
    return m->rows->fires >> spec->firing & 1 && (spec->firing == SNN_FIRES_ONCE || !spec->delay) && !scan->smooth &&
           !scan->noise;
}

/* The processor has room for so many lines that are on their way, and waits when there are more: a step that has many
 * rows is taken in two pieces, each with its own fetches before it. */
static ptrdiff_t piece_of(const struct snn_scan *scan, const struct item *m) {
    int kept = scan->y != NULL;
    for (int j = 0; j < m->rows->states; ++j) kept += scan->h[j] != NULL;
    return kept > 1 ? CHUNK / 2 : CHUNK;
}

static void forward_item(const struct snn_scan *scan, struct item *m) {
    const struct snn_neuron_spec *spec = scan->spec;
    real v_memory[STATES][CHUNK], h_memory[STATES][CHUNK], s[CHUNK], r[CHUNK], held[CHUNK];
    uint8_t flag[CHUNK] = {0};
    real *v[STATES], *h[STATES];
    for (int j = 0; j < m->rows->states; ++j) v[j] = v_memory[j];
    states_at(scan, m, scan->state_in, v);
    const bool fast = is_hard(scan, m), flags = fast && spec->firing == SNN_FIRES_ONCE;
    const ptrdiff_t piece = piece_of(scan, m);
    for (int32_t t = scan->from; t < scan->to; ++t) {
        const real *x = scan->x + t * scan->x_step + m->at;
        real *y = scan->y ? scan->y + t * m->step + m->at : NULL;
        if (m->stepped >= 0) load(scan, m, m->stepped, t);
        for (int j = 0; j < m->rows->states; ++j) h[j] = scan->h[j] ? scan->h[j] + t * m->step + m->at : h_memory[j];
        if (spec->delay) late_spikes(scan, m, v, r);
        if (scan->late) memcpy(scan->late + t * m->step + m->at, r, (size_t)m->n * sizeof *r);
        /* h[0] may be x, which a cell may read after its charge; the loops are told that rows do not overlap */
        if (h[0] == x && (!fast || m->rows->states > 1)) x = memcpy(held, x, (size_t)m->n * sizeof *x);
        for (ptrdiff_t i = 0; fast && i < m->n; i += piece) {
            const ptrdiff_t n = least(piece, m->n - i);
            if (t + AHEAD < scan->to) fetch_step(scan, t + AHEAD, m->at + i, n);
            real *ci[COEFS], *vi[STATES], *hi[STATES];
            struct cell_step a = {.spec = spec,
                                  .uniform = m->uniform,
                                  .spacing = scan->spacing ? *scan->spacing : 1,
                                  .c = part(m->rows->coefs, m->c, i, ci),
                                  .x = x + i,
                                  .r = r + i,
                                  .v = part(m->rows->states, v, i, vi),
                                  .h = part(m->rows->states, h, i, hi),
                                  .flag = flag + i,
                                  .y = (y ? y : s) + i};
            m->rows->step(&a, n);
        }
        if (fast) {
            for (ptrdiff_t i = 0; flags && y && i < m->n; ++i) y[i] = flag[i];
        } else {
            if (t + AHEAD < scan->to) fetch_step(scan, t + AHEAD, m->at, m->n);
            slow_step(scan, m, t, x, r, v, h, s);
            if (y) memcpy(y, s, (size_t)m->n * sizeof *s);
            for (ptrdiff_t i = 0; scan->bits && i < m->n; ++i) flag[i] = s[i] != 0;
        }
        if (scan->bits) pack(m->n, flag, scan->bits + ((ptrdiff_t)t * scan->B + m->b) * scan->words + m->i0 / 64);
    }
    states_to(m, v, scan->state_out);
}

/* What is to be known of step t: membranes, spikes, derivative, and the states after it. */
struct moment {
    const real *h[STATES];
    real z[CHUNK], s[CHUNK], v_memory[STATES][CHUNK];
    real *v[STATES];
};

static const real nothing[CHUNK]; /* in the place of rows that are not kept */

static const real *input_at(const struct snn_scan *scan, const struct item *m, int32_t t) {
    return scan->x ? scan->x + t * scan->x_step + m->at : nothing;
}

/* Where the states after the charge of step t lie; there is none before the first. */
static void membranes_at(const struct snn_scan *scan, const struct item *m, int32_t t, const real **h) {
    for (int j = 0; j < m->rows->states; ++j) h[j] = t >= 0 && scan->h[j] ? scan->h[j] + t * m->step + m->at : nothing;
}

static void recall(const struct snn_scan *scan, const struct item *m, int32_t t, struct moment *k) {
    membranes_at(scan, m, t, k->h);
    m->rows->over(scan->spec, m->n, m->c, k->h, k->z);
    decide_row(scan, m, t, k->z, k->s);
}

/* The states before step t into v, by way of the step before. */
static void states_before(const struct snn_scan *scan, const struct item *m, int32_t t, const struct moment *before,
                          real *const *v) {
    real resets[CHUNK];
    if (t == 0) {
        states_at(scan, m, scan->state_in, v);
        return;
    }
    const real *late = scan->late ? scan->late + (t - 1) * m->step + m->at : nothing;
    for (ptrdiff_t i = 0; i < m->n; ++i) resets[i] = before->s[i] - late[i];
    m->rows->settle(scan->spec, m->n, m->c, input_at(scan, m, t - 1), before->s, resets, before->h, v);
}

/* The slope of what comes out at membranes h into sg, by way of z. */
static void slope_row(const struct snn_scan *scan, const struct item *m, real *const *c, ptrdiff_t n,
                      const real *const *h, real *z, real *sg) {
    const int less = m->rows->over_less;
    if (m->uniform && less >= 0) step_row(scan, DERIVATIVE, n, h[0], c[less][0], sg);
    else {
        m->rows->over(scan->spec, n, c, h, z);
        step_row(scan, DERIVATIVE, n, z, 0, sg);
    }
}

/* A step back of n neurons from i on, whose spikes are hard; `whole` is of all neurons of the item, and before (states)
 * their membranes one step earlier. */
static void back_piece(const struct snn_scan *scan, const struct item *m, int32_t t, ptrdiff_t i, ptrdiff_t n,
                       bool reads_v, const struct cell_back *whole, const real *const *before, real *const *v,
                       real *const *g, real *const *gc) {
    const int states = m->rows->states, coefs = m->rows->coefs, ahead = t - AHEAD;
    const ptrdiff_t at = m->at + i;
    const real *hi[STATES], *bi[STATES];
    real *ci[COEFS], *vi[STATES], *gi[STATES], *gci[COEFS], z[CHUNK], sg[CHUNK];
    for (int j = 0; j < states; ++j) hi[j] = whole->h[j] + i, bi[j] = before[j] + i;
    part(states, v, i, vi), part(coefs, m->c, i, ci);
    struct cell_back a = *whole;
    a.c = ci, a.h = hi, a.v = (const real *const *)vi, a.x += i, a.sg = sg, a.gy += i, a.gx += i;
    if (ahead >= 0) fetch(scan->gy + ahead * m->step + at, n);
    if (ahead >= 0 && scan->x && scan->x_step) fetch(scan->x + ahead * scan->x_step + at, n);
    if (reads_v && t > 0) m->rows->resume(&a, n, input_at(scan, m, t - 1) + i, bi, vi);
    if (scan->spec->firing == SNN_FIRES_ONCE) slope_row(scan, m, ci, n, hi, z, sg);
    fetch_kept(scan, ahead, at, n);
    m->rows->back_at_once(&a, n, part(states, g, i, gi), gc ? part(coefs, gc, i, gci) : NULL);
}

static void backward_item(const struct snn_scan *scan, struct item *m) {
    const struct snn_neuron_spec *spec = scan->spec;
    const int states = m->rows->states, coefs = m->rows->coefs;
    ptrdiff_t n = m->n;
    real g_memory[STATES][CHUNK], gc_memory[COEFS][CHUNK], sg[CHUNK], r[CHUNK], gx[CHUNK];
    real *g[STATES], *gc[COEFS];
    struct moment moment[2];
    for (int j = 0; j < states; ++j) {
        g[j] = g_memory[j];
        for (int k = 0; k < 2; ++k) moment[k].v[j] = moment[k].v_memory[j];
        if (scan->gstate_in) memcpy(g[j], scan->gstate_in + j * m->step + m->at, (size_t)n * sizeof(real));
        else memset(g[j], 0, (size_t)n * sizeof(real));
    }
    for (int j = 0; j < coefs; ++j) gc[j] = gc_memory[j];
    if (scan->gcoef) memset(gc_memory, 0, (size_t)coefs * sizeof *gc_memory);
    const bool sums_v = scan->gcoef && scan->wanted & m->rows->v_of,
               reads_v = sums_v || spec->delay || m->rows->reads_v;
    const bool hard = is_hard(scan, m) && spec->delay != SNN_DELAY_TWICE;
    const ptrdiff_t piece = piece_of(scan, m);
    for (int32_t t = scan->to - 1; t >= scan->from; --t) {
        struct moment *now = &moment[t & 1], *before = &moment[~t & 1];
        const real *gy = scan->gy + t * m->step + m->at;
        if (m->stepped >= 0) load(scan, m, m->stepped, t);
        real *to = scan->gx ? scan->gx + t * scan->x_step + m->at : gx;
        bool adds = scan->gx && (scan->adds || (scan->x_step == 0 && t != scan->to - 1)); /* a static input gathers */
        struct cell_back a = {.spec = spec,
                              .uniform = m->uniform,
                              .spacing = scan->spacing ? *scan->spacing : 1,
                              .wanted = scan->wanted,
                              .c = m->c,
                              .h = now->h,
                              .x = input_at(scan, m, t),
                              .sg = sg,
                              .gy = gy,
                              .gx = adds ? gx : to};
        a.v = (const real *const *)now->v;
        if (hard) {
            membranes_at(scan, m, t, now->h);
            membranes_at(scan, m, t - 1, before->h);
            if (reads_v && t == 0) states_at(scan, m, scan->state_in, now->v);
            for (ptrdiff_t i = 0; i < n; i += piece)
                back_piece(scan, m, t, i, least(piece, n - i), reads_v, &a, before->h, now->v, g,
                           scan->gcoef ? gc : NULL);
        } else {
            if (t >= AHEAD) fetch(gy - AHEAD * m->step, n);
            fetch_kept(scan, t - AHEAD, m->at, n);
            if (t == scan->to - 1) recall(scan, m, t, now);
            if (t > 0) recall(scan, m, t - 1, before);
            if (reads_v) states_before(scan, m, t, before, now->v);
            if (spec->delay) late_spikes(scan, m, now->v, r);
            firing_row(scan, DERIVATIVE, n, now->z, sg);
            a.r = spec->delay ? r : nothing, a.s = now->s;
            m->rows->back(&a, n, g, scan->gcoef ? gc : NULL);
        }
        for (ptrdiff_t i = 0; adds && i < n; ++i) to[i] += gx[i];
        for (int j = 0; spec->apart && j < states; ++j) memset(g[j], 0, (size_t)n * sizeof(real));
        if (m->stepped < 0 || !scan->gcoef) continue;
        memcpy(scan->gstep + t * m->step + m->at, gc[m->stepped], (size_t)n * sizeof(real));
        memset(gc[m->stepped], 0, (size_t)n * sizeof(real));
    }
    states_to(m, g, scan->gstate_out);
    for (int j = 0; scan->gcoef && j < coefs; ++j)
        for (ptrdiff_t i = 0; scan->wanted >> j & 1 && i < n; ++i) scan->gcoef[j * m->step + m->at + i] += gc[j][i];
}

static ptrdiff_t items_of(const struct snn_scan *scan) { return scan->B * ((scan->N + CHUNK - 1) / CHUNK); }

static void each_item(struct snn_device *device, const struct snn_scan *scan,
                      void (*pass)(const struct snn_scan *scan, struct item *m)) {
    const ptrdiff_t items = items_of(scan);
#pragma omp parallel num_threads(device->threads)
    {
        struct item m = {.loaded = 0};
#pragma omp for schedule(static)
        for (ptrdiff_t index = 0; index < items; ++index) {
            begin(scan, index, &m);
            pass(scan, &m);
        }
    }
}

static void forward(struct snn_device *device, const struct snn_scan *scan) { each_item(device, scan, forward_item); }

static void backward(struct snn_device *device, const struct snn_scan *scan) { each_item(device, scan, backward_item); }

static void draw(struct snn_device *device, const struct snn_noise *noise, real *out) {
    const uint64_t seed = noise->clock[0] | (uint64_t)noise->clock[1] << 32;
    const uint32_t blocks = (uint32_t)((noise->N + 3) / 4);
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < (ptrdiff_t)noise->T * noise->B; ++r) {
        uint32_t first = (uint32_t)(noise->t0 + r / noise->B) * blocks, word[4];
        real *row = out + r * noise->N;
        for (ptrdiff_t i = 0; i < noise->N; i += 4) {
            snn_rng_block(seed, noise->purpose, noise->clock[2], (uint32_t)noise->sample[r % noise->B],
                          first + (uint32_t)(i / 4), word);
            for (ptrdiff_t k = 0; k < 4 && i + k < noise->N; ++k)
                row[i + k] = snn_logistic_noise(word[k], *noise->width);
        }
    }
}

static void count(struct snn_device *device, ptrdiff_t rows, int32_t words, const uint64_t *bits, int32_t *nonzero) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t r = 0; r < rows; ++r) {
        int32_t total = 0;
        for (int32_t w = 0; w < words; ++w) total += __builtin_popcountll(bits[r * words + w]);
        nonzero[r] = total;
    }
}

/* ---- coefficients ---- */

static void coefficients(struct snn_device *device, const struct snn_coef_learned *how, const real *w, real *out) {
#pragma omp parallel for num_threads(device->threads) schedule(static) if (how->count > CHUNK)
    for (ptrdiff_t k = 0; k < how->count; ++k) out[k] = (real)snn_coefficient(how, (double)w[k]);
}

/* The sum of number k is made over its samples and neurons in order; numbers of one neuron each go side by side. */
static void coefficients_grad(struct snn_device *device, const struct snn_coef_learned *how, int32_t B, ptrdiff_t N,
                              const real *w, const real *gcoef, real *gw) {
    const ptrdiff_t inner = how->inner;
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t k0 = 0; k0 < how->count; k0 += inner == 1 ? CHUNK : 1) {
        const ptrdiff_t n = inner == 1 ? least(CHUNK, how->count - k0) : 1;
        double sum[CHUNK] = {0};
        for (int32_t b = 0; b < B; ++b) {
            const real *g = gcoef + b * N + k0 * inner;
            if (inner == 1)
                for (ptrdiff_t k = 0; k < n; ++k) sum[k] += (double)g[k];
            else
                for (ptrdiff_t i = 0; i < inner; ++i) sum[0] += (double)g[i];
        }
        for (ptrdiff_t k = k0; k < k0 + n; ++k) gw[k] += (real)(sum[k - k0] * snn_coefficient_slope(how, (double)w[k]));
    }
}

static void zero_diagonal(struct snn_device *device, ptrdiff_t n, real *w) {
    (void)device;
    for (ptrdiff_t i = 0; i < n; ++i) w[i * n + i] = 0;
}

/* Spike i of row r. */
INLINE real heard(const struct snn_rows *s, ptrdiff_t n, ptrdiff_t r, ptrdiff_t i) {
    return s->bits ? (real)(s->bits[r * s->words + i / 64] >> (i % 64) & 1) : s->dense[r * n + i];
}

static void itself(struct snn_device *device, int32_t B, ptrdiff_t n, const struct snn_rows *s, const real *w,
                   const real *x, real *out) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < B; ++b)
        for (ptrdiff_t i = 0; i < n; ++i) out[b * n + i] = x[b * n + i] + w[i] * heard(s, n, b, i);
}

static void itself_grad_input(struct snn_device *device, int32_t B, ptrdiff_t n, const real *w, const real *g,
                              real *gs) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t b = 0; b < B; ++b)
        for (ptrdiff_t i = 0; i < n; ++i) gs[b * n + i] += w[i] * g[b * n + i];
}

/* Neurons are shared out, rows come in order: the same sums for any number of threads. */
static void itself_grad_weight(struct snn_device *device, ptrdiff_t rows, ptrdiff_t n, const struct snn_rows *s,
                               const real *g, real *gw) {
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (ptrdiff_t i0 = 0; i0 < n; i0 += CHUNK) {
        const ptrdiff_t end = i0 + CHUNK < n ? i0 + CHUNK : n;
        for (ptrdiff_t r = 0; r < rows; ++r)
            for (ptrdiff_t i = i0; i < end; ++i) gw[i] += g[r * n + i] * heard(s, n, r, i);
    }
}

extern const struct snn_neuron_kernels SNN_ISA(snn_neuron_cpu);
const struct snn_neuron_kernels SNN_ISA(snn_neuron_cpu) = {
    .forward = forward,
    .backward = backward,
    .draw = draw,
    .count = count,
    .coefficients = coefficients,
    .coefficients_grad = coefficients_grad,
    .zero_diagonal = zero_diagonal,
    .itself = itself,
    .itself_grad_input = itself_grad_input,
    .itself_grad_weight = itself_grad_weight,
};
