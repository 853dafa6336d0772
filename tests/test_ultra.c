/* SPDX-License-Identifier: Apache-2.0
 * test_ultra.c - UltraLIF and UltraDLIF: the soft maximum, one step, what is true of the limit of a small epsilon, and
 * the layers. Built in float and in double; what rounding would hide is judged in double. */
#include <math.h>

#include "core/rng.h"
#include "layers/layer.h"
#include "net_rig.h"
#include "snn_check.h"
#include "train/check.h"
#include "train/metrics.h"

static const bool exact = sizeof(real) == sizeof(double);
#define ROUNDING (exact ? 1e-13 : 3e-6)
#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static uint32_t drawn;
static double uniform(double low, double high) {
    return low + (high - low) * snn_rng_unit(snn_rng_u32(5, SNN_RNG_TEST, 0, 0, drawn++));
}

static struct snn_ultra numbers_at(double eps, double tau, double theta) {
    return (struct snn_ultra){.tau = (real)tau,
                              .offset = (real)log(tau),
                              .eps = (real)eps,
                              .rate = (real)(1 / eps),
                              .slope = (real)(1 / eps),
                              .theta = (real)theta};
}

static void expect_near(double found, double expected, double tolerance, const char *what) {
    ck_assert_msg(fabs(found - expected) <= tolerance, "%s: %.17g, expected %.17g", what, found, expected);
}

/* ---- the soft maximum ---- */

START_TEST(logarithm) {
    for (int i = 0; i <= 20000; ++i) {
        real x = (real)(i < 10000 ? 2 * exp(-i / 200.0) : 2 * (i - 10000) / 10000.0);
        double found = (double)r_log1p(x), expected = log1p((double)x);
        ck_assert_msg(fabs(found - expected) <= (exact ? 1e-15 : 2e-7) * expected, "log1p(%g) = %g", (double)x, found);
    }
}
END_TEST

START_TEST(bounds) {
    static const double epsilons[] = {1, 0.1, 0.01};
    for (int i = 0; i < 30000; ++i) {
        double eps = epsilons[i % 3];
        struct snn_ultra k = numbers_at(eps, 0.9, 0.5);
        real a = (real)uniform(-3, 3), b = (real)uniform(-3, 3), c = i % 5 ? (real)uniform(-3, 3) : a;
        struct snn_two two = ultra_two(&k, a, b);
        struct snn_three three = ultra_three(&k, a, b, c);
        double most = fmax((double)a, (double)b), over = (double)two.soft - most,
               over3 = (double)three.soft - fmax(most, (double)c);
        ck_assert(over >= -ROUNDING && over <= eps * log(2) + ROUNDING);
        ck_assert(over3 >= -ROUNDING && over3 <= eps * log(3) + ROUNDING);
        expect_near((double)(two.a + two.b), 1, ROUNDING, "the weights of two");
        expect_near((double)(three.left + three.own + three.right), 1, ROUNDING, "the weights of three");
        expect_near((double)two.a, 1 / (1 + exp(((double)b - (double)a) / eps)), ROUNDING / eps, "a weight");
        struct snn_two tie = ultra_two(&k, a, a);
        expect_near((double)tie.soft - (double)a, eps * log(2), ROUNDING, "a tie");
        expect_near((double)ultra_three(&k, a, a, a).soft - (double)a, eps * log(3), ROUNDING, "a tie of three");
        double sum = exp(((double)a - most) / eps) + exp(((double)b - most) / eps) + exp(((double)c - most) / eps);
        expect_near((double)three.soft, most + eps * log(sum), 2 * ROUNDING, "three");
    }
}
END_TEST

/* d LSE / d eps is the entropy of the weights. */
START_TEST(entropy) {
    double h = exact ? 1e-5 : 2e-2;
    for (int i = 0; i < 2000; ++i) {
        double eps = uniform(0.2, 2);
        real a = (real)uniform(-2, 2), b = (real)uniform(-2, 2), c = (real)uniform(-2, 2);
        struct snn_ultra k = numbers_at(eps, 0.9, 0.5), up = numbers_at(eps + h, 0.9, 0.5),
                         down = numbers_at(eps - h, 0.9, 0.5);
        double two = ((double)ultra_two(&up, a, b).soft - (double)ultra_two(&down, a, b).soft) / (2 * h),
               three = ((double)ultra_three(&up, a, b, c).soft - (double)ultra_three(&down, a, b, c).soft) / (2 * h);
        expect_near((double)ultra_two(&k, a, b).entropy, two, exact ? 1e-6 : 0.02, "the entropy of two");
        expect_near((double)ultra_three(&k, a, b, c).entropy, three, exact ? 1e-6 : 0.02, "the entropy of three");
    }
    struct snn_ultra k = numbers_at(0.3, 0.9, 0.5);
    expect_near((double)ultra_two(&k, 1, 1).entropy, log(2), ROUNDING, "at a tie");
    expect_near((double)ultra_three(&k, 1, 1, 1).entropy, log(3), ROUNDING, "at a tie of three");
    expect_near((double)ultra_two(&k, 40, -40).entropy, 0, 1e-30, "far from it");
}
END_TEST

/* eps log(tau v + I) = LSE(eps log v + eps log tau, eps log I): the offset eps log tau is the exact one. */
START_TEST(identity) {
    struct snn_ultra k = numbers_at(0.6, 0.9, 0.5);
    expect_near((double)ultra_two(&k, (real)(0.6 * log(0.7) + 0.6 * log(0.9)), (real)(0.6 * log(0.25))).soft,
                -0.07670002290593, ROUNDING, "the identity");
    for (int i = 0; i < 1000; ++i) {
        double eps = uniform(0.1, 2), tau = uniform(0.1, 0.99), v = uniform(0.01, 3), x = uniform(0.01, 3);
        k = numbers_at(eps, tau, 0.5);
        expect_near((double)ultra_two(&k, (real)(eps * log(v) + eps * log(tau)), (real)(eps * log(x))).soft,
                    eps * log(tau * v + x), 10 * ROUNDING, "the identity");
    }
}
END_TEST

/* ---- one step ---- */

START_TEST(one_step) {
    static const double expected[5] = {0.126729726, 0.239956575, 0.126729726, -0.920213354, -0.038791364};
    struct snn_ultra k = numbers_at(0.4, 0.9, 0.5);
    struct snn_two two = ultra_two(&k, (real)0.3 + k.offset, (real)0.45);
    struct snn_ultra_spike spike = ultra_fire(&k, two.soft);
    struct snn_ultra_adjoint a = ultra_adjoint(&k, SNN_ULTRA_VALUE, two.soft, two.soft, &spike, (real)0.7, (real)-1.3);
    real g = a.u + a.m;
    double found[5] = {(double)(g * two.a), (double)(g * two.b), (double)(g * two.a), (double)a.theta,
                       (double)(a.eps + g * two.entropy) - (double)a.slope / 0.16};
    for (int i = 0; i < 5; ++i) expect_near(found[i], expected[i], exact ? 1e-9 : 1e-6, "a gradient of the step");
}
END_TEST

/* The steepest that the reset maps the membrane: dV/dU with no gradient from above. */
static double steepest_reset(double eps, double theta, enum snn_ultra_reset reset) {
    struct snn_ultra k = numbers_at(eps, 0.9, theta);
    double most = 0;
    for (int i = -40000; i <= 40000; ++i) {
        real u = (real)(i * 1e-4);
        struct snn_ultra_spike spike = ultra_fire(&k, u);
        struct snn_ultra_adjoint a = ultra_adjoint(&k, reset, u, u, &spike, 0, 1);
        most = fmax(most, fabs((double)(a.u + a.m)));
    }
    return most;
}

START_TEST(reset_slope) {
    expect_near(steepest_reset(1, 0.5, SNN_ULTRA_VALUE), 1.067, 1e-3, "eps 1");
    expect_near(steepest_reset(0.1, 0.5, SNN_ULTRA_VALUE), 1.0009, 1e-4, "eps 0.1");
    expect_near(steepest_reset(0.05, 0.5, SNN_ULTRA_VALUE), 2.0975, 1e-3, "eps 0.05");
    expect_near(steepest_reset(0.02, 0.5, SNN_ULTRA_VALUE), 5.79, 1e-2, "eps 0.02");
    for (double eps = 1; eps > 0.01; eps /= 2)
        ck_assert(steepest_reset(eps, 0.5, SNN_ULTRA_EXCESS) <= 1 + ROUNDING); /* never expands */
}
END_TEST

/* ---- the limit ---- */

/* One soft step and one hard one, of UltraLIF in the paper's form. */
struct pair {
    double v, hard_v, u, hard_u, s, hard_s;
};
static void both_step(const struct snn_ultra *k, double x, struct pair *p) {
    struct snn_two two = ultra_two(k, (real)p->v + k->offset, (real)x);
    struct snn_ultra_spike spike = ultra_fire(k, two.soft);
    p->u = (double)two.soft, p->s = (double)spike.s;
    p->v = (double)ultra_reset(k, SNN_ULTRA_VALUE, two.soft, two.soft, &spike);
    real leaked = (real)p->hard_v + k->offset, u = leaked > (real)x ? leaked : (real)x, s = ultra_fire_hard(k, u);
    p->hard_u = (double)u, p->hard_s = (double)s;
    p->hard_v = (double)ultra_reset_hard(k, SNN_ULTRA_VALUE, u, u, s);
}

enum { TRAJECTORY = 30 };
/* An input whose hard membrane keeps a distance of 0.05 from the threshold: drawn again where it does not. */
static void draw_trajectory(const struct snn_ultra *k, double x[TRAJECTORY]) {
    double hard_v = 0, theta = (double)k->theta;
    for (int t = 0; t < TRAJECTORY; ++t) {
        struct pair p = {0, hard_v, 0, 0, 0, 0};
        do {
            x[t] = uniform(-0.4, 1);
            p.hard_v = hard_v;
            both_step(k, x[t], &p);
        } while (fabs(p.hard_u - theta) < 0.05);
        hard_v = p.hard_v;
    }
}

START_TEST(small_epsilon) {
    struct snn_ultra k = numbers_at(1e-3, 0.9, 0.5);
    for (int i = 0; i < 300; ++i) {
        struct pair p = {0};
        double x[TRAJECTORY];
        draw_trajectory(&k, x);
        for (int t = 0; t < TRAJECTORY; ++t) {
            both_step(&k, x[t], &p);
            ck_assert_msg(fabs(p.s - p.hard_s) < 1e-12, "step %d: %g and %g", t, p.s, p.hard_s);
            ck_assert_msg(fabs(p.v - p.hard_v) < 1e-3, "step %d: %g and %g", t, p.v, p.hard_v);
        }
    }
}
END_TEST

/* How often |V_eps - V| passes the paper's t eps log 2, and how often the bound that holds: with B the error before the
 * step, P = B + eps log 2 bounds that of U; d = |U - theta| - P must be above 0; then |s_eps - s| <= exp(-d/eps), and
 * the next B is P + M exp(-d/eps), or without P where the neuron fires, with M = |U| + P. */
struct bounds {
    int trajectories, papers, ours, judged;
};
static struct bounds try_bounds(double eps) {
    struct snn_ultra k = numbers_at(eps, 0.9, 0.5);
    struct bounds out = {.trajectories = 1000};
    for (int i = 0; i < out.trajectories; ++i) {
        struct pair p = {0};
        double x[TRAJECTORY], B = 0;
        bool holds = true, papers = true, ours = true;
        draw_trajectory(&k, x);
        for (int t = 0; t < TRAJECTORY; ++t) {
            both_step(&k, x[t], &p);
            papers = papers && fabs(p.v - p.hard_v) <= (t + 1) * eps * log(2) + ROUNDING;
            double P = B + eps * log(2), d = fabs(p.hard_u - 0.5) - P, M = fabs(p.hard_u) + P;
            holds = holds && d > 0; /* else it says nothing any more */
            if (!holds) continue;
            B = M * exp(-d / eps) + (p.hard_s > 0 ? 0 : P);
            ours = ours && fabs(p.s - p.hard_s) <= exp(-d / eps) + ROUNDING && fabs(p.v - p.hard_v) <= B + ROUNDING &&
                   fabs(p.u - p.hard_u) <= P + ROUNDING;
            ++out.judged;
        }
        out.papers += !papers, out.ours += !ours;
    }
    return out;
}

START_TEST(convergence) {
    static const double epsilons[] = {1e-3, 0.01, 0.02, 0.05, 0.1};
    for (int i = 0; i < COUNT_OF(epsilons); ++i) {
        struct bounds b = try_bounds(epsilons[i]);
        fprintf(stderr, "eps %g: of %d trajectories %d pass t eps log 2; the recursion judged %d steps, %d fail\n",
                epsilons[i], b.trajectories, b.papers, b.judged, b.ours);
        ck_assert_int_eq(b.ours, 0);
        ck_assert_int_gt(b.judged, 200);
        if (epsilons[i] == 0.05) ck_assert_int_gt(b.papers, 20); /* the bound that is printed is none */
        if (epsilons[i] < 0.01) ck_assert_int_eq(b.papers, 0);
    }
}
END_TEST

/* ---- kernels without a network ---- */

enum { ROOM = 64 };
struct bench { /* T steps of one sample */
    struct snn_device device;
    struct snn_ultra_spec spec;
    struct snn_ultra k;
    struct snn_ultra_scan scan;
    real x[ROOM], u[ROOM], v[ROOM], y[ROOM], state[ROOM], gy[ROOM], gx[ROOM], scratch[64 * ROOM];
    uint64_t bits[ROOM];
    double partial[ROOM * SNN_ULTRA_SUMS];
};

static struct bench *open_bench(enum snn_ultra_charge charge, enum snn_ultra_reset reset, bool hard, int32_t T,
                                ptrdiff_t N, struct snn_ultra k) {
    struct bench *b = calloc(1, sizeof *b);
    ck_assert_ptr_nonnull(b);
    ck_ok(snn_device_open("cpu", 1, &b->device));
    bool coupled = charge == SNN_ULTRA_DILATE || charge == SNN_ULTRA_SPREAD;
    b->spec = (struct snn_ultra_spec){charge, reset, hard, coupled ? (int32_t)N : 1};
    b->k = k;
    b->scan = (struct snn_ultra_scan){.spec = &b->spec,
                                      .T = T,
                                      .B = 1,
                                      .N = N,
                                      .numbers = &b->k,
                                      .x = b->x,
                                      .x_step = N,
                                      .u = b->u,
                                      .u_step = N,
                                      .v = b->v,
                                      .y = b->y,
                                      .bits = hard ? b->bits : NULL,
                                      .words = 1,
                                      .gy = b->gy,
                                      .gx = b->gx,
                                      .partial = b->partial,
                                      .leak = true,
                                      .scratch = b->scratch};
    return b;
}

static void close_bench(struct bench *b) {
    snn_device_close(&b->device);
    free(b);
}

/* ---- what the limit is, and is not ---- */

/* Hard spikes of one neuron over an input. */
static int hard_spikes(enum snn_ultra_charge charge, const double *x, int T, bool *spikes) {
    struct bench *b = open_bench(charge, SNN_ULTRA_VALUE, true, T, 1, numbers_at(1, 0.9, 0.5));
    int count = 0;
    for (int t = 0; t < T; ++t) b->x[t] = (real)x[t];
    b->device.ultra->forward(&b->device, &b->scan);
    for (int t = 0; t < T; ++t) {
        ck_assert(b->y[t] == (real)(b->bits[t] & 1));
        count += spikes[t] = b->y[t] != 0;
    }
    close_bench(b);
    return count;
}

/* The limit of a small epsilon is not the LIF neuron: a maximum does not add up what stays below the threshold. */
START_TEST(not_the_linear_lif) {
    double x[TRAJECTORY];
    bool tropical[TRAJECTORY], linear[TRAJECTORY];
    int differ = 0, all = 0;
    for (int t = 0; t < TRAJECTORY; ++t) x[t] = 0.2;
    ck_assert_int_eq(hard_spikes(SNN_ULTRA_LINEAR, x, TRAJECTORY, linear), 10);
    ck_assert_int_eq(hard_spikes(SNN_ULTRA_MAXIMUM, x, TRAJECTORY, tropical), 0);
    for (int i = 0; i < 1000; ++i) {
        for (int t = 0; t < TRAJECTORY; ++t) x[t] = uniform(0, 0.6);
        hard_spikes(SNN_ULTRA_LINEAR, x, TRAJECTORY, linear);
        hard_spikes(SNN_ULTRA_MAXIMUM, x, TRAJECTORY, tropical);
        for (int t = 0; t < TRAJECTORY; ++t) differ += linear[t] != tropical[t], ++all;
    }
    fprintf(stderr, "spikes of the LIF and of the max-plus neuron: %.1f %% differ\n", 100.0 * differ / all);
    ck_assert_int_gt(100 * differ, 20 * all);
    ck_assert_int_lt(100 * differ, 30 * all);
}
END_TEST

/* At rest a soft maximum rises: to -eps log(1 - tau^(1/eps)), or by eps log 3 a step. */
START_TEST(rest) {
    static const double expected[][2] = {{1, 2.303}, {0.3, 0.365}, {0.1, 0.043}};
    for (int i = 0; i < 3; ++i) {
        struct snn_ultra k = numbers_at(expected[i][0], 0.9, 0.5);
        real v = 0;
        for (int t = 0; t < 400; ++t) v = ultra_two(&k, v + k.offset, 0).soft;
        expect_near((double)v, expected[i][1], 1e-3, "at rest");
    }
    struct bench *b = open_bench(SNN_ULTRA_DILATE, SNN_ULTRA_VALUE, false, 3, 4, numbers_at(1, 0.9, 1e4));
    b->device.ultra->forward(&b->device, &b->scan);
    for (int t = 0; t < 3; ++t) expect_near((double)b->u[4 * t + 1], (t + 1) * log(3), 4 * ROUNDING, "UltraDLIF");
    close_bench(b);
}
END_TEST

START_TEST(stays_finite) {
    static const double values[] = {1e4, -1e4, 0, 1e4, 1e-6, -1e4, -1e4, 0.5};
    for (int i = 0; i < 4 * 3 * 2; ++i) {
        enum snn_ultra_charge charge = (enum snn_ultra_charge)(i & 3);
        struct bench *b =
            open_bench(charge, (enum snn_ultra_reset)(i / 4 % 3), false, 4, 5, numbers_at(i < 12 ? 0.1 : 20, 0.9, 0.5));
        for (int j = 0; j < 20; ++j) b->x[j] = (real)values[(3 * j + i) % 8], b->gy[j] = (real)values[(j + i) % 8];
        for (int j = 0; j < 5; ++j) b->state[j] = (real)values[(j + i) % 8];
        b->scan.state_in = b->state;
        b->device.ultra->forward(&b->device, &b->scan);
        b->device.ultra->backward(&b->device, &b->scan);
        for (int j = 0; j < 20; ++j)
            ck_assert_msg(isfinite(b->u[j]) && isfinite(b->y[j]) && isfinite(b->gx[j]) && b->y[j] >= 0 && b->y[j] <= 1,
                          "charge %d: u %g, s %g, gx %g", charge, (double)b->u[j], (double)b->y[j], (double)b->gx[j]);
        for (int j = 0; j < SNN_ULTRA_SUMS; ++j) ck_assert(isfinite(b->partial[j]));
        close_bench(b);
    }
}
END_TEST

/* Beyond the clamp rho has no gradient. */
START_TEST(clamp) {
    static const double rhos[][2] = {{-3, 0}, {0.3, 1}, {3.5, 0}}; /* exp(it): 0.05, 1.35, 33 */
    struct snn_device device;
    ck_ok(snn_device_open("cpu", 1, &device));
    for (int i = 0; i < 3; ++i) {
        struct snn_ultra_start start = {.tau = (real)0.9, .eps = 1, .eps_min = (real)0.1, .eps_max = 20};
        real rho = (real)rhos[i][0], g = 0;
        double sums[SNN_ULTRA_SUMS] = {0, 2, 0, 0, 0};
        struct snn_ultra_learned learned = {.start = &start, .offset = true};
        struct snn_ultra k;
        learned.value[SNN_ULTRA_RHO] = &rho, learned.grad[SNN_ULTRA_RHO] = &g;
        device.ultra->numbers(&device, &learned, &k);
        device.ultra->grad(&device, &learned, &k, sums, 1);
        expect_near((double)g, rhos[i][1] * 2 * exp((double)rho), 10 * ROUNDING, "the gradient of rho");
        expect_near((double)k.eps, fmin(fmax(exp((double)rho), 0.1), 20), 10 * ROUNDING, "epsilon");
    }
    snn_device_close(&device);
}
END_TEST

/* Neighbours lie in a ring: a shifted input gives a shifted output. */
START_TEST(shift) {
    for (int i = 0; i < 2 * 3 * 2; ++i) {
        enum { T = 4, N = 6 };
        struct bench *b[2];
        for (int k = 0; k < 2; ++k)
            b[k] = open_bench(i & 1 ? SNN_ULTRA_SPREAD : SNN_ULTRA_DILATE, (enum snn_ultra_reset)(i / 2 % 3), i >= 6, T,
                              N, numbers_at(0.3, 0.9, 0.5));
        for (int t = 0; t < T; ++t)
            for (int j = 0; j < N; ++j) {
                b[0]->x[t * N + j] = (real)uniform(-0.5, 1);
                b[0]->gy[t * N + j] = (real)uniform(-1, 1);
                b[1]->x[t * N + (j + 2) % N] = b[0]->x[t * N + j];
                b[1]->gy[t * N + (j + 2) % N] = b[0]->gy[t * N + j];
            }
        for (int k = 0; k < 2; ++k) {
            b[k]->device.ultra->forward(&b[k]->device, &b[k]->scan);
            if (i < 6) b[k]->device.ultra->backward(&b[k]->device, &b[k]->scan);
        }
        for (int t = 0; t < T; ++t)
            for (int j = 0; j < N; ++j) {
                ck_assert(b[1]->y[t * N + (j + 2) % N] == b[0]->y[t * N + j]);
                if (i < 6) ck_assert(b[1]->gx[t * N + (j + 2) % N] == b[0]->gx[t * N + j]);
            }
        for (int k = 0; k < 2; ++k) close_bench(b[k]);
    }
}
END_TEST

/* One step of the released code: s = S/(1+S) with S = sum exp(x_j/eps) over the unit and its neighbours; UltraLIF's is
 * (a + e)/(1 + a + e), a = tau^(1/eps). In the paper's form one step of UltraDLIF couples nobody. */
START_TEST(single_step) {
    enum { N = 7 };
    double eps = 0.7;
    struct bench *code = open_bench(SNN_ULTRA_SPREAD, SNN_ULTRA_VALUE, false, 1, N, numbers_at(eps, 0.9, 0)),
                 *paper = open_bench(SNN_ULTRA_DILATE, SNN_ULTRA_VALUE, false, 1, N, numbers_at(eps, 0.9, 0)),
                 *lif = open_bench(SNN_ULTRA_MAXIMUM, SNN_ULTRA_VALUE, false, 1, N, numbers_at(eps, 0.9, 0));
    for (int i = 0; i < N; ++i) code->x[i] = paper->x[i] = lif->x[i] = (real)uniform(-1, 1);
    code->device.ultra->forward(&code->device, &code->scan);
    paper->device.ultra->forward(&paper->device, &paper->scan);
    lif->device.ultra->forward(&lif->device, &lif->scan);
    for (int i = 0; i < N; ++i) {
        double own = exp((double)lif->x[i] / eps), a = pow(0.9, 1 / eps),
               S = own + exp((double)lif->x[(i + 1) % N] / eps) + exp((double)lif->x[(i + N - 1) % N] / eps);
        expect_near((double)code->y[i], S / (1 + S), ROUNDING, "the code's UltraDLIF");
        expect_near((double)paper->y[i], 3 * own / (1 + 3 * own), ROUNDING, "the paper's UltraDLIF");
        expect_near((double)lif->y[i], (a + own) / (1 + a + own), ROUNDING, "UltraLIF");
    }
    close_bench(code), close_bench(paper), close_bench(lif);
}
END_TEST

/* ---- layers ---- */

static void build_hard(const char *model, bool hard, struct made_network *m) {
    struct snn_model_input input = {.C = 2, .H = 6, .W = 6, .is_sparse = true, .hard = hard};
    char text[1024];
    *m = (struct made_network){0};
    ck_ok(snn_device_open("cpu", 1, &m->device));
    m->net.device = &m->device;
    snprintf(text, sizeof text, "model: %s\nloss: {name: ce, over: step}\n", model);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &m->doc));
    ck_ok(snn_loss_read(snn_conf_at(m->doc, "loss"), &m->net.loss));
    ck_ok(snn_model_build(snn_conf_at(m->doc, "model"), &input, CLASSES, &m->net.model));
}

/* The whole at once, or cut by cut; the output (T,B,classes). */
static void run_in_cuts(const char *model, bool hard, bool train, int32_t cut_T, real *output) {
    struct made_network m;
    struct made_batch made;
    build_hard(model, hard, &m);
    make_batch(STEPS, false, false, &made);
    struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = cut_T, .train = train, .slice = SAMPLES};
    ck_ok(snn_network_allocate(&m.net, &plan));
    snn_params_init(&m.net.model.params, 3, m.net.model.params.value);
    snn_network_set_step(&m.net, 1, 0, 1);
    ck_ok(snn_network_stage(&m.net, &made.batch));
    struct snn_cut cut = {.batch = &made.batch, .train = train};
    for (; cut.t0 < STEPS; cut.t0 += cut_T, ++cut.index) {
        cut.T = STEPS - cut.t0 < cut_T ? STEPS - cut.t0 : cut_T;
        snn_network_forward(&m.net, &cut);
        memcpy(output + cut.t0 * SAMPLES * CLASSES, m.net.model.tape.output->data,
               (size_t)(cut.T * SAMPLES * CLASSES) * sizeof *output);
        if (!train) continue;
        snn_network_loss(&m.net, &cut, true);
        snn_network_backward(&m.net, &cut); /* must not touch what the next cut starts from */
    }
    close_network(&m);
}

static const char *const cut_models[] = {
    "[flatten, linear: 20, ultralif: {epsilon: 0.3}, linear: 4]",
    "[flatten, linear: 20, ultraplif: {reset: excess, epsilon: 0.3}, linear: 4]",
    "[flatten, linear: 20, ultradlif: {epsilon: 0.3}, linear: 4]",
    "[conv: {out: 3, kernel: 3}, ultradplif: {reset: subtract, epsilon: 0.3}, flatten, linear: 4]",
    "[flatten, linear: 1, ultradlif: {form: code}, linear: 70, ultralif: {membrane: linear}, linear: 4]",
};

START_TEST(cuts) {
    for (int k = 0; k < 3; ++k) { /* soft, soft in training, hard */
        real whole[STEPS * SAMPLES * CLASSES], parts[STEPS * SAMPLES * CLASSES];
        run_in_cuts(cut_models[_i], k == 2, k == 1, STEPS, whole);
        for (int32_t T = 1; T < STEPS; T += 2) {
            run_in_cuts(cut_models[_i], k == 2, k == 1, T, parts);
            for (int i = 0; i < COUNT_OF(whole); ++i) /* products of other sizes round otherwise */
                ck_assert_msg(fabs((double)whole[i] - (double)parts[i]) < (exact ? 1e-12 : 1e-5),
                              "cuts of %d steps, %d: output %d", (int)T, k, i);
        }
    }
}
END_TEST

/* Hard spikes are bits that are counted, as another neuron's; soft ones are numbers, whose use is counted in
 * multiply-adds. */
START_TEST(hard_evaluation) {
    for (int hard = 0; hard < 2; ++hard) {
        struct made_network m;
        struct made_batch made;
        struct snn_metrics metrics;
        build_hard("[flatten, linear: 70, ultradlif: {epsilon: 0.3}, linear: 4]", hard, &m);
        make_batch(STEPS, false, false, &made);
        struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = STEPS};
        ck_ok(snn_network_allocate(&m.net, &plan));
        snn_params_init(&m.net.model.params, 3, m.net.model.params.value);
        ck_ok(snn_network_stage(&m.net, &made.batch));
        struct snn_cut cut = {.batch = &made.batch, .T = STEPS};
        snn_metrics_init(&metrics, &m.net, STEPS, NULL, 1);
        snn_network_forward(&m.net, &cut);
        ck_ok(snn_metrics_add(&metrics, &m.net, &cut, true));
        ck_assert(m.net.model.soft);
        const struct snn_tensor *s = m.net.model.layer[2].out;
        ck_assert(s->is_spikes == hard && (s->bits != NULL) == hard);
        double spikes = 0;
        for (int32_t r = 0; hard && r < STEPS * SAMPLES; ++r)
            for (int i = 0; i < 70; ++i) spikes += (double)(s->bits[r * s->words + i / 64] >> (i % 64) & 1);
        if (hard) {
            ck_assert(spikes > 0 && spikes < STEPS * SAMPLES * 70);
            expect_near(snn_metrics_rate(&metrics, 2), spikes / (STEPS * SAMPLES * 70), 1e-12, "the rate");
            ck_assert(metrics.score[0].macs == 0);
        } else {
            ck_assert(isnan(snn_metrics_rate(&metrics, 2)));
            expect_near(metrics.score[0].macs, (double)STEPS * SAMPLES * 70 * 4, 0, "multiply-adds");
        }
        expect_near(metrics.score[0].spikes, spikes, 0, "spikes");
        snn_metrics_free(&metrics);
        close_network(&m);
    }
}
END_TEST

/* With a linear membrane the hard limit is the LIF neuron itself, to the bit. */
START_TEST(limit_is_lif) {
    real lif[STEPS * SAMPLES * CLASSES], soft[STEPS * SAMPLES * CLASSES];
    run_in_cuts("[flatten, linear: 70, lif: {beta: 0.8, threshold: 0.5}, linear: 4]", true, false, STEPS, lif);
    run_in_cuts("[flatten, linear: 70, ultralif: {membrane: linear, tau: 0.8, learn_epsilon: none}, linear: 4]", true,
                false, STEPS, soft);
    ck_assert(!memcmp(lif, soft, sizeof lif));
    run_in_cuts("[flatten, linear: 70, lif: {beta: 0.8, threshold: 0.5, reset: subtract}, linear: 4]", true, false,
                STEPS, lif);
    ck_assert(memcmp(lif, soft, sizeof lif) != 0);
    run_in_cuts("[flatten, linear: 70, ultralif: {membrane: linear, tau: 0.8, learn_epsilon: none, reset: subtract}, "
                "linear: 4]",
                true, false, STEPS, soft);
    ck_assert(!memcmp(lif, soft, sizeof lif));
}
END_TEST

/* Gradients through five steps, with rings of 1, 2 and 5 units. */
START_TEST(gradients) {
    static const char *const neurons[] = {"ultralif: {epsilon: 0.5}", "ultraplif: {form: code}", "ultradlif: {}",
                                          "ultradplif: {epsilon: 0.5}"};
    static const int units[] = {1, 2, 5};
    struct snn_device device;
    struct snn_model_input input = {.C = 4, .H = 1, .W = 1, .wants_grad = true};
    char model[200];
    if (!exact) return;
    ck_ok(snn_device_open("cpu", 1, &device));
    for (int i = 0; i < 12; ++i) {
        struct snn_check_report report = {0};
        struct snn_check_options options = {.what = model, .T = 5, .B = 2, .per_tensor = 8};
        snprintf(model, sizeof model, "[linear: %d, %s, linear: 3]", units[i / 4], neurons[i % 4]);
        ck_ok(snn_check_yaml(&device, model, "ce", &input, &options, &report));
        ck_assert_msg(report.checks > 3 && !report.failed, "%s: %g", model, report.worst);
    }
    snn_device_close(&device);
}
END_TEST

/* ---- configs ---- */

static int build_model(const char *layer, struct snn_conf_doc **doc, struct snn_model *model) {
    struct snn_model_input input = {.C = 6, .H = 1, .W = 1};
    char text[400];
    snprintf(text, sizeof text, "model: [linear: 4, %s, linear: 3]\n", layer);
    ck_ok(snn_conf_parse(text, strlen(text), "t.yaml", doc));
    return snn_model_build(snn_conf_at(*doc, "model"), &input, 3, model);
}

START_TEST(refusals) {
    static const struct {
        const char *layer, *part;
    } bad[] = {
        {"ultralif: {tau: 1}", "model.1.ultralif.tau: expected a number between 0 and 1, both excluded, got 1"},
        {"ultralif: {tau: 0}", "both excluded, got 0"},
        {"ultradplif: {tau: -0.5}", "ultradplif.tau: expected"},
        {"ultralif: {tau: 1.5}", "ultralif.tau: expected"},
        {"ultralif: {epsilon: 0}", "ultralif.epsilon: expected"},
        {"ultralif: {epsilon: -1}", "ultralif.epsilon: expected"},
        {"ultralif: {epsilon: 0.05}", "learned with exp, expected epsilon_min to epsilon_max, 0.1 to 20, got 0.05"},
        {"ultralif: {epsilon: 0.1, learn_epsilon: softplus}", "expected more than epsilon_min, 0.1, got 0.1"},
        {"ultralif: {epsilon_min: 2, epsilon_max: 1}", "epsilon_max: expected more than epsilon_min, 2, got 1"},
        {"ultralif: {epsilon_min: 0}", "epsilon_min: expected"},
        {"ultralif: {form: book}", "ultralif.form"},
        {"ultralif: {reset: hard}", "ultralif.reset"},
        {"ultralif: {leak_offset: tau}", "leak_offset"},
        {"ultralif: {membrane: linear, leak_offset: eps_log_tau}", "takes effect with membrane: maximum only"},
        {"ultradlif: {leak_offset: eps_log_tau}", "unknown key 'leak_offset'"},
        {"ultradlif: {tau: 0.5}", "takes effect with form: code only"},
        {"ultradplif: {form: paper}", "has no leak to learn"},
        {"ultralif: {v_reset: 0.1, reset: subtract}", "takes effect with reset: value only"},
        {"ultralif: {learn_reset: true, reset: excess}", "takes effect with reset: value only"},
        {"ultralif: {learn_slope: true}", "takes effect with a slope of its own only"},
        {"ultralif: {slope: 60, learn_slope: true}", "learned, expected 0.1 to 50, got 60"},
        {"ultralif: {slope: 0}", "slope: expected"},
        {"ultralif: {leak: log}", "unknown key 'leak'"},
        {"ultralif: {threshold: high}", "ultralif.threshold"},
        {"ultralfi", "did you mean 'ultralif'"},
    };
    for (int i = 0; i < COUNT_OF(bad); ++i) {
        struct snn_conf_doc *doc;
        struct snn_model model;
        ck_error(build_model(bad[i].layer, &doc, &model), SNN_EUSAGE, bad[i].part);
        snn_conf_free(&doc);
    }
}
END_TEST

static void note_number(void *payload, double *number) { *(double *)payload = *number; }

/* What is learned cannot be annealed as well; what is not, can. A resolved config reads like the first. */
START_TEST(annealed_numbers) {
    static const struct {
        const char *layer, *key;
        double value; /* NAN: there is none */
    } cases[] = {
        {"ultralif: {learn_epsilon: none, epsilon: 0.7}", "model.1.ultralif.epsilon", 0.7},
        {"ultralif: {}", "model.1.ultralif.epsilon", NAN},
        {"ultralif: {}", "model.1.ultralif.tau", 0.9},
        {"ultraplif: {}", "model.1.ultraplif.tau", NAN},
        {"ultralif: {}", "model.1.ultralif.threshold", 0.5},
        {"ultralif: {form: code}", "model.1.ultralif.threshold", 0},
        {"ultralif: {learn_threshold: true}", "model.1.ultralif.threshold", NAN},
        {"ultralif: {slope: 4}", "model.1.ultralif.slope", 4},
        {"ultralif: {slope: 4, learn_slope: true}", "model.1.ultralif.slope", NAN},
        {"ultralif: {learn_reset: true}", "model.1.ultralif.v_reset", NAN},
        {"ultradplif: {v_reset: -0.2}", "model.1.ultradplif.v_reset", -0.2},
    };
    for (int i = 0; i < COUNT_OF(cases); ++i) {
        struct snn_conf_doc *doc, *again;
        struct snn_model model, second;
        struct snn_model_input input = {.C = 6, .H = 1, .W = 1};
        double value = -1;
        ck_ok(build_model(cases[i].layer, &doc, &model));
        int found = snn_model_numbers(&model, cases[i].key, note_number, &value);
        ck_assert_msg(found == !isnan(cases[i].value), "%s: %d", cases[i].key, found);
        if (found) ck_assert(value == cases[i].value);
        char *text = snn_conf_write(snn_conf_root(doc));
        ck_ok(snn_conf_parse(text, strlen(text), "again.yaml", &again));
        ck_ok(snn_model_build(snn_conf_at(again, "model"), &input, 3, &second));
        ck_assert_int_eq(second.params.count, model.params.count);
        free(text);
        snn_model_free(&second), snn_model_free(&model);
        snn_conf_free(&again), snn_conf_free(&doc);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ultra");
    TCase *algebra = tcase_create("algebra"), *limit = tcase_create("limit"), *layers = tcase_create("layers");
    tcase_add_test(algebra, logarithm);
    tcase_add_test(algebra, bounds);
    tcase_add_test(algebra, entropy);
    tcase_add_test(algebra, identity);
    tcase_add_test(algebra, one_step);
    tcase_add_test(algebra, reset_slope);
    tcase_add_test(limit, small_epsilon);
    tcase_add_test(limit, convergence);
    tcase_add_test(limit, not_the_linear_lif);
    tcase_add_test(limit, rest);
    tcase_add_test(limit, stays_finite);
    tcase_add_test(limit, clamp);
    tcase_add_test(limit, shift);
    tcase_add_test(limit, single_step);
    tcase_add_loop_test(layers, cuts, 0, COUNT_OF(cut_models));
    tcase_add_test(layers, hard_evaluation);
    tcase_add_test(layers, limit_is_lif);
    tcase_add_test(layers, gradients);
    tcase_add_test(layers, refusals);
    tcase_add_test(layers, annealed_numbers);
    suite_add_tcase(suite, algebra), suite_add_tcase(suite, limit), suite_add_tcase(suite, layers);
    return run_suite(suite);
}
