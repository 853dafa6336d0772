/* SPDX-License-Identifier: Apache-2.0
 * delay_fourier_cpu.c - convolution over time as products of spectra, on the CPU.
 *
 * Along time everything is transformed (L steps, of which the last ones are zeros so that nothing wraps around), and a
 * convolution with a kernel of K taps becomes one complex matrix product a frequency: some L/2 of them in place of K of
 * T steps each. Long sequences pass in segments that overlap by K - 1 steps.
 *
 *   forward           Y = X H        H: spectrum of h[d] = kernel[K - 1 - d]
 *   input gradient    GX = GY conj(H)
 *   kernel gradient   GK = conj(GY) X,  tap n at step n, or at n - (K - 1) where the segment is the whole sequence
 *
 * A complex product of matrices takes three real ones (Karatsuba, Gauss), whose factors are planes A re + B im of the
 * spectra: product = (P1 + P2) + i (P1 + P3). Transforms take two columns at once, as the real and the imaginary part;
 * a column is as many sequences as fit into a vector. Everything is computed in the number type of the build: results
 * are exact to rounding, relative to the largest. */
#include <math.h>
#include <string.h>

#include "autograd/delay_cpu.h"
#include "autograd/math.h"
#include "autograd/vector_cpu.h"

enum { LONGEST = 512, STAGES = 10, CHUNK = 128, PAIR = 2 * LANES };

/* ---- plan ---- */

struct plan {
    int32_t L, F;            /* steps of a transform; frequencies 0 .. F-1 */
    int32_t steps, segments; /* new steps of a segment */
    int32_t lead;            /* step of a segment's first output within its window */
};

static bool is_smooth(int32_t n) {
    static const int32_t primes[] = {2, 3, 5};
    for (int i = 0; i < 3; ++i)
        while (n % primes[i] == 0) n /= primes[i];
    return n == 1;
}

static int32_t smooth_from(int32_t n) {
    while (!is_smooth(n)) ++n;
    return n;
}

static struct plan plan_of(const struct snn_delay_shape *s, const struct snn_delay_span *span) {
    int32_t extra = s->taps - 1, longest = span->x > span->y ? span->x : span->y;
    struct plan best = {.L = smooth_from(longest + extra), .steps = longest, .segments = 1, .lead = 0};
    if (span->before) best.L = smooth_from(longest + extra), best.lead = extra;
    if (!span->before && span->y > span->x) { /* what comes after x is zeros */
        int32_t need = span->x + extra;
        best.L = smooth_from(need > span->y ? need : span->y);
    }
    for (int32_t L = 2 * s->taps; L <= LONGEST; L = smooth_from(L + 1)) {
        if (!is_smooth(L)) continue;
        struct plan p = {.L = L, .steps = L - extra, .lead = extra};
        p.segments = (longest + p.steps - 1) / p.steps;
        if (best.L > LONGEST || (int64_t)p.segments * p.L < (int64_t)best.segments * best.L) best = p;
    }
    best.F = best.L / 2 + 1;
    return best;
}

/* As a share of what products of taps cost, in multiply-adds; transforms are charged by what they were measured to cost
 * beside products. */
double SNN_ISA(snn_delay_spectra_cost)(const struct snn_delay_shape *s, const struct snn_delay_span *span) {
    if (s->groups > 1 || s->taps > LONGEST / 2) return INFINITY;
    struct plan p = plan_of(s, span);
    if (p.L > LONGEST) return INFINITY;
    double B = span->B, in = s->in, out = s->out, y = span->y;
    double direct = s->taps * y * B * in * out;
    double products = 3.0 * p.F * p.segments * B * in * out,
           transforms = 60.0 * p.L * (p.segments * B * (in + out) + in * out);
    return (products + transforms) / direct;
}

/* ---- transforms of pairs of columns ---- */

struct pair { /* of columns, or a complex number of each of LANES sequences */
    vec re, im;
};

struct wave {
    real re, im;
};

static inline struct pair turned(struct pair a, struct wave w) {
    return (struct pair){a.re * w.re - a.im * w.im, a.re * w.im + a.im * w.re};
}
static inline struct pair sum(struct pair a, struct pair b) { return (struct pair){a.re + b.re, a.im + b.im}; }
static inline struct pair difference(struct pair a, struct pair b) { return (struct pair){a.re - b.re, a.im - b.im}; }
static inline struct pair scaled(struct pair a, real by) { return (struct pair){a.re * by, a.im * by}; }
static inline struct pair down(struct pair a) { return (struct pair){a.im, -a.re}; } /* -i a */

/* One stage of Stockham's algorithm: of n steps at a distance s, transforms of `radix` of them; wave[k] =
 * exp(-2 pi i k / L). */
static void stage(int radix, int32_t n, int32_t s, const struct wave *wave, const struct pair *x, struct pair *y) {
    const real h3 = (real)0.86602540378443864676, c1 = (real)0.30901699437494742410, c2 = (real)-0.80901699437494742410,
               s1 = (real)0.95105651629515357212, s2 = (real)0.58778525229247312917;
    int32_t m = n / radix;
    for (int32_t p = 0; p < m; ++p)
        for (int32_t q = 0; q < s; ++q) {
            const struct pair *a = x + q + s * p;
            struct pair *to = y + q + s * radix * p;
            ptrdiff_t step = (ptrdiff_t)s * m;
            if (radix == 4) {
                struct pair even = sum(a[0], a[2 * step]), odd = sum(a[step], a[3 * step]),
                            back = difference(a[0], a[2 * step]), side = down(difference(a[step], a[3 * step]));
                to[0] = sum(even, odd);
                to[s] = turned(sum(back, side), wave[p * s]);
                to[2 * s] = turned(difference(even, odd), wave[2 * p * s]);
                to[3 * s] = turned(difference(back, side), wave[3 * p * s]);
            } else if (radix == 2) {
                to[0] = sum(a[0], a[step]);
                to[s] = turned(difference(a[0], a[step]), wave[p * s]);
            } else if (radix == 3) {
                struct pair both = sum(a[step], a[2 * step]), middle = difference(a[0], scaled(both, (real)0.5)),
                            side = down(scaled(difference(a[step], a[2 * step]), h3));
                to[0] = sum(a[0], both);
                to[s] = turned(sum(middle, side), wave[p * s]);
                to[2 * s] = turned(difference(middle, side), wave[2 * p * s]);
            } else {
                struct pair near = sum(a[step], a[4 * step]), far = sum(a[2 * step], a[3 * step]),
                            near_off = difference(a[step], a[4 * step]), far_off = difference(a[2 * step], a[3 * step]);
                struct pair m1 = sum(a[0], sum(scaled(near, c1), scaled(far, c2))),
                            m2 = sum(a[0], sum(scaled(near, c2), scaled(far, c1))),
                            d1 = down(sum(scaled(near_off, s1), scaled(far_off, s2))),
                            d2 = down(difference(scaled(near_off, s2), scaled(far_off, s1)));
                to[0] = sum(a[0], sum(near, far));
                to[s] = turned(sum(m1, d1), wave[p * s]);
                to[2 * s] = turned(sum(m2, d2), wave[2 * p * s]);
                to[3 * s] = turned(difference(m2, d2), wave[3 * p * s]);
                to[4 * s] = turned(difference(m1, d1), wave[4 * p * s]);
            }
        }
}

/* Transform x in place or into y; returns where the result is. */
static struct pair *transform(int32_t L, const struct wave *wave, struct pair *x, struct pair *y) {
    for (int32_t n = L, s = 1, radix; n > 1; n /= radix, s *= radix) {
        radix = n % 4 == 0 ? 4 : n % 2 == 0 ? 2 : n % 3 == 0 ? 3 : 5;
        /* with the radix as a constant each time */
        if (radix == 4) stage(4, n, s, wave, x, y);
        else if (radix == 3) stage(3, n, s, wave, x, y);
        else if (radix == 5) stage(5, n, s, wave, x, y);
        else stage(2, n, s, wave, x, y);
        struct pair *swap = x;
        x = y, y = swap;
    }
    return x;
}

/* ---- between sequences and planes ---- */

struct columns { /* sequences in memory: step t of sequence (o,i) at from[t * step + o * outer + i] */
    ptrdiff_t step, outer;
    ptrdiff_t outers, inners;
    bool backwards; /* the last step comes first */
};

/* A spectrum's planes (3, F, outers, inners): plane k is a[k] re + b[k] im. */
struct planes {
    real *at;
    real a[3], b[3];
};

static ptrdiff_t of_plane(const struct plan *p, const struct columns *c) { return p->F * c->outers * c->inners; }

struct workspace {
    const struct wave *wave;
    struct pair *buffer; /* of a thread: (2, L) */
};

static inline vec load(const real *from, ptrdiff_t count) {
    vec v = {0};
    if (count >= LANES) return *(const vec_unaligned *)from;
    if (count > 0) memcpy(&v, from, (size_t)count * sizeof *from);
    return v;
}
static inline void store(real *to, vec v, ptrdiff_t count) {
    if (count >= LANES) *(vec_unaligned *)to = v;
    else if (count > 0) memcpy(to, &v, (size_t)count * sizeof *to);
}

/* Step t of the window is step first + t of the sequence, which has `have`; what it does not have is 0. */
static void to_planes(const struct plan *p, const struct columns *c, const real *from, ptrdiff_t first, ptrdiff_t have,
                      const struct planes *to, ptrdiff_t item, const struct workspace *w) {
    ptrdiff_t across = blocks(c->inners, PAIR), o = item / across, i = item % across * PAIR, left = c->inners - i,
              right = left - LANES;
    struct pair *x = w->buffer;
    from += o * c->outer + i;
    ptrdiff_t begin = first < 0 ? -first : 0, end = have - first < p->L ? have - first : p->L;
    if (begin > end) begin = end < 0 ? 0 : end;
    for (ptrdiff_t t = 0; t < begin; ++t) x[t] = (struct pair){{0}, {0}};
    for (ptrdiff_t t = begin; t < end; ++t) {
        const real *row = from + (c->backwards ? have - 1 - first - t : first + t) * c->step;
        x[t].re = load(row, left), x[t].im = load(row + LANES, right);
    }
    for (ptrdiff_t t = end < 0 ? 0 : end; t < p->L; ++t) x[t] = (struct pair){{0}, {0}};
    const struct pair *z = transform(p->L, w->wave, x, x + p->L);
    ptrdiff_t plane = of_plane(p, c), row = c->outers * c->inners;
    for (int32_t f = 0; f < p->F; ++f) {
        struct pair u = z[f], v = z[f ? p->L - f : 0]; /* of two real columns: halves of sum and difference */
        vec re[2] = {(u.re + v.re) * (real)0.5, (u.im + v.im) * (real)0.5},
            im[2] = {(u.im - v.im) * (real)0.5, (v.re - u.re) * (real)0.5};
        real *out = to->at + f * row + o * c->inners + i;
        for (int k = 0; k < 3; ++k) {
            store(out + k * plane, re[0] * to->a[k] + im[0] * to->b[k], left);
            store(out + k * plane + LANES, re[1] * to->a[k] + im[1] * to->b[k], right);
        }
    }
}

/* Steps `first` .. first + count - 1 (modulo L) of the window become the sequence's, or are added to them. */
static void from_planes(const struct plan *p, const struct columns *c, const real *from, int32_t first, int32_t count,
                        bool adds, real *to, ptrdiff_t item, const struct workspace *w) {
    ptrdiff_t across = blocks(c->inners, PAIR), o = item / across, i = item % across * PAIR, left = c->inners - i,
              right = left - LANES, plane = of_plane(p, c), row = c->outers * c->inners;
    struct pair *x = w->buffer;
    real scale = 1 / (real)p->L;
    for (int32_t f = 0; f < p->F; ++f) {
        const real *at = from + f * row + o * c->inners + i;
        vec re[2], im[2];
        for (int k = 0; k < 2; ++k) {
            vec one = load(at + k * LANES, k ? right : left);
            re[k] = (one + load(at + plane + k * LANES, k ? right : left)) * scale;
            im[k] = (one + load(at + 2 * plane + k * LANES, k ? right : left)) * scale;
        }
        if (f == 0 || 2 * f == p->L) im[0] = im[1] = (vec){0};
        /* Exchanging both parts before and after makes of the transform its inverse. */
        x[f].im = re[0] - im[1], x[f].re = im[0] + re[1];
        if (f && 2 * f != p->L) x[p->L - f].im = re[0] + im[1], x[p->L - f].re = re[1] - im[0];
    }
    const struct pair *z = transform(p->L, w->wave, x, x + p->L);
    to += o * c->outer + i;
    for (int32_t t = 0, at = first; t < count; ++t, ++at) {
        at = at < 0 ? at + p->L : at >= p->L ? at - p->L : at;
        real *row_to = to + t * c->step;
        vec a = z[at].im, b = z[at].re;
        if (adds) a += load(row_to, left), b += load(row_to + LANES, right);
        store(row_to, a, left), store(row_to + LANES, b, right);
    }
}

/* ---- products: a row of the table says which planes make P1, P2, P3, with which sign ---- */

struct triple {
    int a, b;
    real sign;
};

static void multiply(const struct triple *t, bool transpose_a, bool transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                     const real *a, ptrdiff_t a_plane, const real *b, ptrdiff_t b_plane, real beta, real *c,
                     ptrdiff_t c_plane) {
    for (int i = 0; i < 3; ++i)
        snn_gemm(transpose_a, transpose_b, m, n, k, t[i].sign, a + t[i].a * a_plane, transpose_a ? m : k,
                 b + t[i].b * b_plane, transpose_b ? k : n, beta, c + i * c_plane, n);
}

/* ---- scratch ---- */

struct layout { /* numbers */
    ptrdiff_t wave, buffers, first, second, third;
};

static ptrdiff_t chunk_of(ptrdiff_t n) { return n < CHUNK ? n : CHUNK; }

static struct layout layout_of(int threads, const struct snn_delay_shape *s, const struct snn_delay_span *span,
                               const struct plan *p) {
    struct layout l;
    ptrdiff_t in = s->in, out = s->out, B = span->B, wide = in > out ? in : out, each = 3 * p->F;
    ptrdiff_t narrow_in = chunk_of(in), narrow_out = chunk_of(out);
    ptrdiff_t kernel = in * narrow_out > out * narrow_in ? in * narrow_out : out * narrow_in;
    l.wave = align_up(2 * p->L);
    l.buffers = threads * 4 * (ptrdiff_t)p->L * LANES;
    l.first = align_up(each * B * wide);                                              /* X or GY, whole */
    l.second = align_up(each * kernel);                                               /* H or GK, a chunk */
    l.third = align_up(each * B * (narrow_in > narrow_out ? narrow_in : narrow_out)); /* Y, GX or GY, a chunk */
    return l;
}

size_t SNN_ISA(snn_delay_spectra_scratch)(int threads, const struct snn_delay_shape *s,
                                          const struct snn_delay_span *span) {
    /* Shorter batches may have other plans, but none with longer transforms. */
    int32_t longest = span->x > span->y ? span->x : span->y, most = smooth_from(longest + s->taps - 1);
    struct plan p = {.L = most < LONGEST ? most : LONGEST};
    p.F = p.L / 2 + 1;
    struct layout l = layout_of(threads, s, span, &p);
    return (size_t)(l.wave + l.buffers + l.first + l.second + l.third) * sizeof(real);
}

struct job { /* one of the three convolutions */
    struct snn_device *device;
    const struct snn_delay_shape *s;
    const struct snn_delay_span *span;
    struct plan p;
    struct wave *wave;
    struct pair *buffers;
    real *first, *second, *third;
};

static struct job begin(struct snn_device *device, const struct snn_delay_shape *s, const struct snn_delay_span *span,
                        void *scratch) {
    struct job j = {.device = device, .s = s, .span = span, .p = plan_of(s, span)};
    struct layout l = layout_of(device->threads, s, span, &j.p);
    real *at = scratch;
    j.wave = (struct wave *)(void *)at, at += l.wave;
    j.buffers = (struct pair *)(void *)at, at += l.buffers;
    j.first = at, j.second = at + l.first, j.third = at + l.first + l.second;
    for (int32_t k = 0; k < j.p.L; ++k) {
        double angle = -2 * 3.14159265358979323846 * k / j.p.L;
        j.wave[k] = (struct wave){(real)cos(angle), (real)sin(angle)};
    }
    return j;
}

static void spread(const struct job *j, const struct columns *c, const real *from, ptrdiff_t first, ptrdiff_t have,
                   const struct planes *to) {
    ptrdiff_t items = c->outers * blocks(c->inners, PAIR);
#pragma omp parallel for num_threads(j->device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < j->device->threads; ++lane) {
        struct workspace w = {j->wave, j->buffers + lane * 2 * j->p.L};
        for (ptrdiff_t item = lane * items / j->device->threads; item < (lane + 1) * items / j->device->threads; ++item)
            to_planes(&j->p, c, from, first, have, to, item, &w);
    }
}

static void gather(const struct job *j, const struct columns *c, const real *from, int32_t first, int32_t count,
                   bool adds, real *to) {
    ptrdiff_t items = c->outers * blocks(c->inners, PAIR);
#pragma omp parallel for num_threads(j->device->threads) schedule(static)
    for (ptrdiff_t lane = 0; lane < j->device->threads; ++lane) {
        struct workspace w = {j->wave, j->buffers + lane * 2 * j->p.L};
        for (ptrdiff_t item = lane * items / j->device->threads; item < (lane + 1) * items / j->device->threads; ++item)
            from_planes(&j->p, c, from, first, count, adds, to, item, &w);
    }
}

/* Rows (step, sample) of `units` numbers, of which `n` are taken. */
static struct columns rows_of(const struct job *j, ptrdiff_t units, ptrdiff_t n) {
    ptrdiff_t B = j->span->B;
    if (n == units) return (struct columns){B * units, 0, 1, B * units, false};
    return (struct columns){B * units, units, B, n, false};
}

/* A kernel's outs x ins numbers of a tap. */
static struct columns taps_of(const struct job *j, ptrdiff_t outs, ptrdiff_t ins, bool backwards) {
    ptrdiff_t in = j->s->in, step = (ptrdiff_t)j->s->out * in;
    if (ins == in) return (struct columns){step, 0, 1, outs * ins, backwards};
    return (struct columns){step, in, outs, ins, backwards};
}

/* ---- the three ---- */

void SNN_ISA(snn_delay_spectra_forward)(struct snn_device *device, const struct snn_delay_shape *s,
                                        const struct snn_delay_span *span, const real *x, const real *kernel, real *y,
                                        void *scratch) {
    static const struct triple triple[] = {{2, 0, 1}, {1, 1, -1}, {0, 2, 1}};
    struct job j = begin(device, s, span, scratch);
    ptrdiff_t B = span->B, in = s->in, out = s->out, F = j.p.F;
    for (int32_t k = 0; k < j.p.segments; ++k) {
        int32_t t0 = k * j.p.steps, count = span->y - t0 < j.p.steps ? span->y - t0 : j.p.steps;
        if (count <= 0) break;
        ptrdiff_t first = (ptrdiff_t)t0 + span->before - j.p.lead;
        struct columns c = rows_of(&j, in, in);
        spread(&j, &c, x, first, span->x, &(struct planes){j.first, {1, 0, 1}, {0, 1, 1}});
        for (ptrdiff_t o0 = 0; o0 < out; o0 += CHUNK) {
            ptrdiff_t n = least(CHUNK, out - o0), a = F * B * in, b = F * n * in, y_plane = F * B * n;
            c = taps_of(&j, n, in, true);
            spread(&j, &c, kernel + o0 * in, 0, s->taps, &(struct planes){j.second, {1, 1, -1}, {0, 1, 1}});
#pragma omp parallel for num_threads(device->threads) schedule(static)
            for (ptrdiff_t f = 0; f < F; ++f)
                multiply(triple, false, true, B, n, in, j.first + f * B * in, a, j.second + f * n * in, b, 0,
                         j.third + f * B * n, y_plane);
            c = rows_of(&j, out, n);
            gather(&j, &c, j.third, j.p.lead, count, false, y + (ptrdiff_t)t0 * B * out + o0);
        }
    }
}

void SNN_ISA(snn_delay_spectra_grad_input)(struct snn_device *device, const struct snn_delay_shape *s,
                                           const struct snn_delay_span *span, const real *gy, const real *kernel,
                                           bool adds, real *gx, void *scratch) {
    static const struct triple triple[] = {{0, 1, 1}, {1, 2, 1}, {2, 0, -1}};
    struct job j = begin(device, s, span, scratch);
    ptrdiff_t B = span->B, in = s->in, out = s->out, F = j.p.F;
    int32_t steps = span->x - span->before;
    for (int32_t k = 0; k < j.p.segments; ++k) {
        int32_t t0 = k * j.p.steps, count = steps - t0 < j.p.steps ? steps - t0 : j.p.steps;
        if (count <= 0) break;
        struct columns c = rows_of(&j, out, out);
        spread(&j, &c, gy, t0, span->y, &(struct planes){j.first, {1, 1, 1}, {0, 1, -1}});
        for (ptrdiff_t i0 = 0; i0 < in; i0 += CHUNK) {
            ptrdiff_t n = least(CHUNK, in - i0), a = F * B * out, b = F * n * out, x_plane = F * B * n;
            c = taps_of(&j, out, n, true);
            spread(&j, &c, kernel + i0, 0, s->taps, &(struct planes){j.second, {1, 1, 0}, {0, -1, 1}});
#pragma omp parallel for num_threads(device->threads) schedule(static)
            for (ptrdiff_t f = 0; f < F; ++f)
                multiply(triple, false, false, B, n, out, j.first + f * B * out, a, j.second + f * n * out, b, 0,
                         j.third + f * B * n, x_plane);
            c = rows_of(&j, in, n);
            gather(&j, &c, j.third, 0, count, adds, gx + (ptrdiff_t)t0 * B * in + i0);
        }
    }
}

void SNN_ISA(snn_delay_spectra_grad_kernel)(struct snn_device *device, const struct snn_delay_shape *s,
                                            const struct snn_delay_span *span, const real *x, const real *gy,
                                            real *gkernel, void *scratch) {
    static const struct triple triple[] = {{0, 2, 1}, {2, 1, -1}, {1, 0, -1}};
    struct job j = begin(device, s, span, scratch);
    ptrdiff_t B = span->B, in = s->in, out = s->out, F = j.p.F;
    for (int32_t k = 0; k < j.p.segments; ++k) {
        int32_t t0 = k * j.p.steps, count = span->y - t0 < j.p.steps ? span->y - t0 : j.p.steps;
        if (count <= 0) break;
        ptrdiff_t first = (ptrdiff_t)t0 + span->before - j.p.lead;
        struct columns c = rows_of(&j, in, in);
        spread(&j, &c, x, first, span->x, &(struct planes){j.first, {1, 0, 1}, {0, 1, 1}});
        for (ptrdiff_t o0 = 0; o0 < out; o0 += CHUNK) {
            ptrdiff_t n = least(CHUNK, out - o0), b = F * B * in, a = F * B * n, k_plane = F * n * in;
            c = rows_of(&j, out, n);
            spread(&j, &c, gy + (ptrdiff_t)t0 * B * out + o0, 0, count,
                   &(struct planes){j.third, {1, 1, 1}, {0, 1, -1}});
#pragma omp parallel for num_threads(device->threads) schedule(static)
            for (ptrdiff_t f = 0; f < F; ++f)
                multiply(triple, true, false, n, in, B, j.third + f * B * n, a, j.first + f * B * in, b, 0,
                         j.second + f * n * in, k_plane);
            c = taps_of(&j, n, in, false);
            gather(&j, &c, j.second, j.p.lead - (s->taps - 1), s->taps, true, gkernel + o0 * in);
        }
    }
}
