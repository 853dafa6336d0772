/* SPDX-License-Identifier: Apache-2.0
 * loss.cu - losses, their gradients and the read-out of classes, in double as on the CPU: a block a sample.
 *
 * Two ways to lay the threads over the outputs of a sample. Step by step: `width` lanes share a step and the block does
 * many steps at a time; gradients are written this way by every term, so that a thread adds to its own numbers only.
 * Class by class: a thread goes down the steps of its class, with as many threads to a class as there are, whose
 * results are put together in order. No sum depends on anything but the shape. */
#include <math.h>

#include "autograd/loss_point.h"
#include "cuda/backend.h"
#include "cuda/reduce.cuh"

/* Classes whose three arrays of doubles fit into shared memory. Should there be more, one block does all samples, with
 * the arrays in scratch. */
enum { SHARED_CLASSES = 1024 };

struct outputs { /* of one sample: step t at [t * stride] */
    const real *o;
    ptrdiff_t stride;
    int32_t C;
    int32_t width;   /* lanes of a step: a power of two up to 32 */
    int32_t abreast; /* threads side by side over the classes: a power of two up to BLOCK */
};

/* ---- step by step ---- */

/* Lane `lane` of slot `slot` takes classes lane, lane + width, ... of steps slot, slot + slots, ... Lanes of a warp go
 * through the same number of rounds, since they meet in sums: those without a step take part with nothing. */
#define EACH_ROUND(s, t, steps)                                                                                        \
    for (int32_t t = (int32_t)threadIdx.x / (s).width, rounds_left = round_count(s, steps); rounds_left > 0;           \
         t += BLOCK / (s).width, --rounds_left)
#define EACH_CLASS(s, live, c)                                                                                         \
    for (int32_t c = (live) ? (int32_t)threadIdx.x % (s).width : (s).C; c < (s).C; c += (s).width)

static __device__ __forceinline__ int32_t round_count(const struct outputs &s, int32_t steps) {
    int32_t slots = BLOCK / s.width;
    return steps > 0 ? (steps - 1) / slots + 1 : 0;
}

/* Largest of z (C) and sum of exp(z - largest), for all lanes of the slot; nothing is read unless `live`. */
template <typename N>
static __device__ __forceinline__ void softmax_figures(const struct outputs &s, const N *z, bool live, double *top,
                                                       double *sum) {
    double largest = -HUGE_VAL, total = 0;
    EACH_CLASS(s, live, c) { largest = (double)z[c] > largest ? (double)z[c] : largest; }
    largest = lanes_largest(largest, s.width);
    EACH_CLASS(s, live, c) { total += exp((double)z[c] - largest); }
    *top = largest, *sum = lanes_sum(total, s.width);
}

/* ---- class by class ---- */

enum { AHEAD = 2 }; /* numbers that a thread fetches at a time */

struct drawn { /* shared memory of draw() */
    double value[AHEAD * BLOCK], top[BLOCK], sum[BLOCK];
};

/* The scores z (C), which have started, take steps [from, to) of s, whose step 0 is step t0. The block fetches, and one
 * thread a class adds in the order of the steps: the bits do not depend on how many come at a time. first (C) or NULL:
 * it becomes the step that moved the score last. Ends with a barrier: z may be read. */
static __device__ void draw(const struct outputs &s, enum snn_decide how, int32_t t0, int32_t from, int32_t to,
                            struct drawn *shared, double *z, double *first) {
    int32_t line = (int32_t)threadIdx.x / s.abreast, lines = BLOCK / s.abreast, width = lines * s.abreast;
    for (int32_t c0 = 0; c0 < s.C; c0 += s.abreast) {
        int32_t c = c0 + (int32_t)threadIdx.x % s.abreast;
        if (line >= lines) c = s.C; /* a rest of the block that makes no line has nothing to do */
        bool adds = line == 0 && c < s.C;
        for (int32_t t1 = from; t1 < to; t1 += BLOCK) {
            int32_t count = min(to - t1, (int32_t)BLOCK);
            const real *o = s.o + t1 * s.stride;
            if (how == SNN_DECIDE_SOFTMAX_SUM) {
                EACH_ROUND(s, t, count) {
                    double top, sum;
                    softmax_figures(s, o + t * s.stride, t < count, &top, &sum);
                    if (t < count && threadIdx.x % s.width == 0) shared->top[t] = top, shared->sum[t] = sum;
                }
                __syncthreads();
            }
            for (int32_t base = 0; base < count; base += AHEAD * lines) {
                for (int k = 0; k < AHEAD; ++k) {
                    int32_t t = base + k * lines + line;
                    if (c >= s.C || t >= count) continue;
                    double x = o[t * s.stride + c];
                    if (how == SNN_DECIDE_SOFTMAX_SUM) x = exp(x - shared->top[t]) / shared->sum[t];
                    shared->value[k * width + (int32_t)threadIdx.x] = x;
                }
                __syncthreads();
                double score = adds ? z[c] : 0;
                int32_t moved = -1;
                for (int32_t k = 0; adds && k < AHEAD * lines && base + k < count; ++k) {
                    int32_t t = t1 + base + k;
                    double next = snn_point_score_step(how, score, shared->value[threadIdx.x + k * s.abreast], t0 + t);
                    if (next != score) moved = t;
                    score = next;
                }
                if (adds) z[c] = score;
                if (first && moved >= 0) first[c] = moved;
                __syncthreads();
            }
        }
    }
    __syncthreads();
}

/* ---- evaluate ---- */

struct job {
    struct snn_loss_term term[SNN_LOSS_TERMS];
    int32_t terms;
    int32_t T, B, steps, t0, width, abreast;
    int32_t C;
    const real *output;
    const int32_t *label, *length, *total;
    const float *target;
    int32_t target_stride;
    const double *class_weight;
    const double *scale;
    int32_t last;
};

struct sample {
    struct outputs s;
    real *g; /* its gradient, as s.o, or NULL */
    int32_t length, total, label;
    const float *y;     /* (C) of step 0, or NULL: the label */
    ptrdiff_t y_stride; /* as s.stride; 0: one for all steps */
    const double *w;    /* class weights of the present term, or NULL */
    double scale;       /* of the gradient */
};

/* Class c's share of the target of step t. */
static __device__ __forceinline__ double share_of(const struct sample &a, int32_t t, int32_t c) {
    return a.y ? (double)a.y[t * a.y_stride + c] : c == a.label;
}

static __device__ __forceinline__ struct outputs outputs_of(const struct job &job, int32_t b) {
    struct outputs s;
    s.o = job.output + (ptrdiff_t)b * job.C, s.stride = (ptrdiff_t)job.B * job.C, s.C = job.C;
    s.width = job.width, s.abreast = job.abreast;
    return s;
}

/* Of a row z whose answer is that of step t, for all lanes of the slot; nothing is read unless `live`. */
template <typename N>
static __device__ __forceinline__ struct snn_point row_of(const struct snn_loss_term &term, const struct sample &a,
                                                          const N *z, int32_t t, bool live, int32_t steps) {
    struct snn_point row = {0, 1, a.s.C, steps};
    if (term.kind == SNN_LOSS_CE) {
        double top = 0, sum = 1;
        softmax_figures(a.s, z, live, &top, &sum);
        row.norm = top + log(sum);
    } else if (term.kind == SNN_LOSS_SHARE) {
        double sum = 0;
        EACH_CLASS(a.s, live, c) { sum += snn_point_rate(&term, (double)z[c]); }
        row.norm = lanes_sum(sum, a.s.width);
    }
    if (a.w) {
        double sum = 0;
        EACH_CLASS(a.s, live, c) { sum += a.w[c] * snn_point_mass(&term, share_of(a, t, c), a.s.C); }
        row.weight = lanes_sum(sum, a.s.width);
    }
    return row;
}

static __device__ double share_of_softmax(const struct snn_loss_term &term, double z, const struct snn_point &row) {
    return term.kind == SNN_LOSS_CE ? exp(z - row.norm) : 0;
}

/* This thread's part of a term that sees one step at a time. */
static __device__ double over_steps(const struct snn_loss_term &term, const struct sample &a) {
    double loss = 0;
    EACH_ROUND(a.s, t, a.length) {
        bool live = t < a.length;
        const real *o = a.s.o + t * a.s.stride;
        struct snn_point row = row_of(term, a, o, t, live, a.total);
        EACH_CLASS(a.s, live, c) {
            double gz;
            loss += snn_point_loss(&term, o[c], share_of_softmax(term, o[c], row), share_of(a, t, c), a.w ? a.w[c] : 1,
                                   row, &gz) /
                    a.total;
            if (a.g) a.g[t * a.s.stride + c] += (real)(a.scale * term.weight * gz / a.total);
        }
    }
    return loss;
}

/* What the filter's input is compared with: a train of the class's rate, or numbers. */
static __device__ __forceinline__ double target_at(const struct snn_loss_term &term, const struct sample &a, int32_t t,
                                                   int32_t c) {
    double y = share_of(a, t, c);
    return term.numbers ? y : snn_point_train(y * term.correct + (1 - y) * term.incorrect, t);
}

/* The same for a term on filtered outputs (loss_cpu.c has the formula): a thread takes whole classes, since a filter
 * goes from step to step. */
static __device__ double over_filtered(const struct snn_loss_term &term, const struct sample &a) {
    int32_t n = a.length;
    double decay = exp(-1 / term.tau), loss = 0, weight = 1;
    __syncthreads(); /* gradients of terms before and after this one are added by other threads */
    if (a.w) {
        weight = 0;
        for (int32_t c = 0; c < a.s.C; ++c) weight += a.w[c] * snn_point_mass(&term, share_of(a, 0, c), a.s.C);
    }
    double f = weight * (term.sum ? 1 : 1.0 / ((double)a.s.C * n)),
           k = 2 * f * a.scale * term.weight / (1 - decay * decay);
    for (int32_t c = (int32_t)threadIdx.x; c < a.s.C; c += BLOCK) {
        double e = 0, b = 0, tail = 1;
        for (int32_t t = 0; t < n; ++t) {
            e = decay * e + a.s.o[t * a.s.stride + c] - target_at(term, a, t, c);
            loss += f * e * e;
            if (a.g) a.g[t * a.s.stride + c] += (real)(k * e);
        }
        for (int32_t t = n - 1; a.g && t >= 0; --t) { /* b is still d b[t+1] when it is added */
            tail *= decay;
            a.g[t * a.s.stride + c] += (real)(k * (b - tail * decay * e));
            b = decay * (b + a.s.o[t * a.s.stride + c] - target_at(term, a, t, c));
        }
    }
    __syncthreads();
    return loss;
}

/* The same for a term on the steps drawn together. memory (3,C) is shared by the block. */
static __device__ double over_reduced(const struct snn_loss_term &term, const struct sample &a, struct drawn *shared,
                                      double *memory) {
    int32_t C = a.s.C, n = a.length;
    double *z = memory, *gz = memory + C, *first = memory + 2 * C, loss = 0, top = 0, sum = 1;
    bool timed = term.over == SNN_OVER_FIRST_SPIKE;
    enum snn_decide how = term.over == SNN_OVER_MAX           ? SNN_DECIDE_MAX
                          : term.over == SNN_OVER_SOFTMAX_SUM ? SNN_DECIDE_SOFTMAX_SUM
                          : timed                             ? SNN_DECIDE_FIRST_SPIKE
                                                              : SNN_DECIDE_SUM;
    __syncthreads(); /* the term before this one has been read */
    for (int32_t c = (int32_t)threadIdx.x; c < C; c += BLOCK)
        z[c] = how == SNN_DECIDE_MAX ? a.s.o[c] : snn_point_score(how), first[c] = 0;
    __syncthreads();
    draw(a.s, how, 0, term.over == SNN_OVER_LAST ? n - 1 : 0, n, shared, z, first);
    double factor = term.over == SNN_OVER_MEAN ? n : 1, k = a.scale * term.weight;
    for (int32_t c = (int32_t)threadIdx.x; c < C && (factor != 1 || timed); c += BLOCK) {
        z[c] /= factor;
        if (!timed) continue;
        bool fires = z[c] != -HUGE_VAL;
        if (!fires) first[c] = n - 1;
        z[c] = snn_point_of_time(term.inverse, first[c] + fires - (double)a.s.o[(int32_t)first[c] * a.s.stride + c]);
    }
    __syncthreads();
    /* Every slot works out the same; the first one keeps it. */
    struct snn_point row = row_of(term, a, (const double *)z, 0, true, n);
    EACH_CLASS(a.s, (int32_t)threadIdx.x < a.s.width, c) {
        loss += snn_point_loss(&term, z[c], share_of_softmax(term, z[c], row), share_of(a, 0, c), a.w ? a.w[c] : 1, row,
                               &gz[c]);
        if (timed) gz[c] *= snn_point_of_time_slope(term.inverse, z[c]);
    }
    __syncthreads();
    if (!a.g) return loss;
    EACH_ROUND(a.s, t, n) {
        bool live = t < n;
        const real *o = a.s.o + t * a.s.stride;
        real *g = a.g + t * a.s.stride;
        if (term.over == SNN_OVER_SOFTMAX_SUM) {
            double dot = 0;
            softmax_figures(a.s, o, live, &top, &sum);
            EACH_CLASS(a.s, live, c) { dot += exp(o[c] - top) / sum * gz[c]; }
            dot = lanes_sum(dot, a.s.width);
            EACH_CLASS(a.s, live, c) { g[c] += (real)(k * (exp(o[c] - top) / sum) * (gz[c] - dot)); }
        } else {
            EACH_CLASS(a.s, live && (term.over != SNN_OVER_LAST || t == n - 1), c) {
                if ((term.over != SNN_OVER_MAX && !timed) || first[c] == t) g[c] += (real)(k * gz[c] / factor);
            }
        }
    }
    return loss;
}

static __global__ void __launch_bounds__(BLOCK, 1)
    evaluate_samples(struct job job, double *scratch, double *sample_loss, real *gradient) {
    DYN_SHARED(double, dynamic);
    __shared__ struct drawn shared;
    __shared__ double sums[WARPS];
    double *memory = scratch ? scratch : dynamic;
    for (int32_t b = (int32_t)blockIdx.x; b < job.B; b += (int32_t)gridDim.x) {
        struct sample a;
        a.s = outputs_of(job, b), a.g = gradient ? gradient + (ptrdiff_t)b * job.C : NULL;
        a.length = job.length ? job.length[b] : job.T, a.total = job.total ? job.total[b] : job.steps;
        a.label = job.label[b], a.scale = job.scale ? *job.scale : 1;
        a.y = job.target ? job.target + (ptrdiff_t)b * job.C : NULL, a.y_stride = (ptrdiff_t)job.target_stride * job.C;
        if (a.g) EACH_ROUND(a.s, t, job.T) {
                EACH_CLASS(a.s, t < job.T, c) { a.g[t * a.s.stride + c] = 0; }
            }
        double loss = 0;
        for (int i = 0; i < job.terms && a.length > 0; ++i) {
            const struct snn_loss_term &term = job.term[i];
            a.w = term.weighted ? job.class_weight + (ptrdiff_t)i * job.C : NULL;
            loss += term.weight * (term.over == SNN_OVER_STEP       ? over_steps(term, a)
                                   : term.over == SNN_OVER_FILTERED ? over_filtered(term, a)
                                                                    : over_reduced(term, a, &shared, memory));
        }
        if (gradient && job.last) { /* steps that no errors are sent at */
            const int32_t silent = (job.total ? job.total[b] : job.steps) - job.last - job.t0;
            const int32_t steps = silent < job.T ? silent : job.T;
            __syncthreads(); /* other threads may have written there */
            for (int32_t i = (int32_t)threadIdx.x; i < steps * job.C; i += (int32_t)blockDim.x)
                gradient[((ptrdiff_t)(i / job.C) * job.B + b) * job.C + i % job.C] = 0;
        }
        loss = block_sum(loss, sums);
        if (threadIdx.x == 0) sample_loss[b] = loss;
    }
}

/* ---- classes ---- */

/* Adds the samples whose class is their label: integers, so the order of the blocks does not matter. */
static __global__ void __launch_bounds__(BLOCK, 1)
    decide_samples(struct job job, enum snn_decide how, double *running, double *scratch, int64_t *correct) {
    DYN_SHARED(double, dynamic);
    __shared__ struct drawn shared;
    unsigned long long hits = 0;
    for (int32_t b = (int32_t)blockIdx.x; b < job.B; b += (int32_t)gridDim.x) {
        struct outputs s = outputs_of(job, b);
        double *scores = running ? running + (ptrdiff_t)b * s.C : scratch ? scratch : dynamic;
        int32_t n = job.length ? job.length[b] : job.T, lane = (int32_t)threadIdx.x % 32;
        for (int32_t c = (int32_t)threadIdx.x; c < s.C && job.t0 == 0; c += BLOCK) scores[c] = snn_point_score(how);
        __syncthreads();
        draw(s, how, job.t0, how == SNN_DECIDE_LAST && n > 0 ? n - 1 : 0, n, &shared, scores, NULL);
        if (job.t0 + job.T < job.steps) continue;
        int32_t steps = job.total ? job.total[b] : job.steps;
        double best = snn_point_score_end(how, scores[0], steps);
        int32_t best_at = 0; /* of the first largest */
        for (int32_t c = lane; c < s.C; c += 32) {
            double score = snn_point_score_end(how, scores[c], steps);
            if (score > best) best = score, best_at = c;
        }
        for (int offset = 16; offset > 0; offset /= 2) {
            double other = __shfl_xor_sync(0xffffffffu, best, offset);
            int32_t other_at = __shfl_xor_sync(0xffffffffu, best_at, offset);
            if (other > best || (other == best && other_at < best_at)) best = other, best_at = other_at;
        }
        if (best_at == job.label[b]) ++hits;
        __syncthreads();
    }
    if (threadIdx.x == 0 && hits > 0) atomicAdd((unsigned long long *)correct, hits);
}

static __global__ void __launch_bounds__(BLOCK) sum_losses(int32_t B, const double *sample_loss, double *loss) {
    __shared__ double sums[WARPS];
    double sum = 0;
    for (int32_t b = (int32_t)threadIdx.x; b < B; b += BLOCK) sum += sample_loss[b];
    sum = block_sum(sum, sums);
    if (threadIdx.x == 0) *loss += sum;
}

/* ---- the table ---- */

static struct job job_of(const struct snn_loss_call *call) {
    struct job job;
    for (int i = 0; i < SNN_LOSS_TERMS; ++i) job.term[i] = call->loss->term[i];
    job.terms = call->loss->terms;
    job.T = call->T, job.B = call->B, job.C = call->C, job.steps = call->steps, job.t0 = call->t0;
    job.width = power_of_two(call->C, 32), job.abreast = power_of_two(call->C, BLOCK);
    job.output = call->output, job.label = call->label, job.length = call->length, job.total = call->total;
    job.target = call->target, job.target_stride = call->target_stride;
    job.class_weight = call->class_weight;
    job.scale = call->scale;
    job.last = call->last;
    return job;
}

static void evaluate(struct snn_device *device, const struct snn_loss_call *call, double *sample_loss, real *gradient,
                     double *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    bool fits = call->C <= SHARED_CLASSES;
    if (call->B == 0) return;
    LAUNCH(evaluate_samples, (unsigned)(fits ? call->B : 1), BLOCK, (fits ? 3 * (size_t)call->C : 1) * sizeof(double),
           cuda->compute, job_of(call), fits ? NULL : scratch, sample_loss, gradient);
    cuda_note(cuda, cudaGetLastError());
}

static void add_losses(struct snn_device *device, int32_t B, const double *sample_loss, double *loss) {
    struct snn_cuda *cuda = cuda_of(device);
    if (B == 0) return;
    LAUNCH(sum_losses, 1, BLOCK, 0, cuda->compute, B, sample_loss, loss);
    cuda_note(cuda, cudaGetLastError());
}

static void count_correct(struct snn_device *device, const struct snn_loss_call *call, enum snn_decide how,
                          double *running, int64_t *correct, double *scratch) {
    struct snn_cuda *cuda = cuda_of(device);
    bool fits = call->C <= SHARED_CLASSES;
    if (call->B == 0) return;
    LAUNCH(decide_samples, (unsigned)(fits || running ? call->B : 1), BLOCK,
           (fits && !running ? (size_t)call->C : 1) * sizeof(double), cuda->compute, job_of(call), how, running,
           fits ? NULL : scratch, correct);
    cuda_note(cuda, cudaGetLastError());
}

const struct snn_loss_kernels snn_loss_cuda = {evaluate, add_losses, count_correct};
