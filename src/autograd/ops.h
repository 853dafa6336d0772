/* SPDX-License-Identifier: Apache-2.0
 * ops.h - recording the elementary operations. Each call adds a node to the tape and returns its output.
 *
 * Forward and backward of each are written once, in ops_*.c, over kernel tables. Options are read through pointers at
 * every run, so that they may be annealed. Shapes were checked by the layer that calls. */
#ifndef SNN_OPS_H
#define SNN_OPS_H

#include "autograd/binary.h"
#include "autograd/conv.h"
#include "autograd/delay.h"
#include "autograd/lstm.h"
#include "autograd/mix.h"
#include "autograd/norm.h"
#include "autograd/pool.h"
#include "autograd/tape.h"
#include "autograd/weights.h"

/* x (rows, in) -> (rows, out): x W^T + b; w (out,in), b (out) or NULL */
struct snn_tensor *snn_linear(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_param *w,
                              struct snn_param *b);

/* The same with a weight that is made of parameters. */
struct snn_tensor *snn_linear_with(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_tensor *w,
                                   struct snn_param *b);

/* x (rows, C,D,H,W) -> (rows, O,OD,OH,OW), with as many axes as x has. */
struct snn_tensor *snn_conv(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                            const struct snn_conv_shape *shape, struct snn_param *w, struct snn_param *b);
struct snn_tensor *snn_conv_with(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                 const struct snn_conv_shape *shape, struct snn_tensor *w, struct snn_param *b);
/* The other way: x (rows, O,OD,OH,OW) -> (rows, C,D,H,W); w (O, C/groups, kernel), b (C) or NULL. `shape` is that of
 * the convolution whose input gradient this is. */
struct snn_tensor *snn_conv_transpose(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                      const struct snn_conv_shape *shape, struct snn_param *w, struct snn_param *b);

/* Weights made of parameters; w (rows,...): a row makes an output, and its gain (rows) is learned. n: numbers of a row.
 *   standardised: g (w - mean) / sqrt(var n + eps), unbiased variance   normalised: g w / |w| */
struct snn_tensor *snn_weight_standardised(struct snn_tape *tape, const char *name, struct snn_param *w,
                                           struct snn_param *gain, double eps);
struct snn_tensor *snn_weight_normalised(struct snn_tape *tape, const char *name, struct snn_param *w,
                                         struct snn_param *gain);
struct snn_delay_options {
    int version;  /* enum snn_delay_version */
    double sigma; /* width of every element, where it is not learned */
    bool round;   /* evaluate with whole delays */
};
/* x (T,B,in) -> (T + append, B, out), through synapses with delays (autograd/delay.h). weight, position and width:
 * (out, in/groups, count) each; width NULL: the options' sigma */
struct snn_tensor *snn_delay(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                             const struct snn_delay_shape *shape, const struct snn_delay_options *options,
                             struct snn_param *weight, struct snn_param *position, struct snn_param *width,
                             int32_t append);

/* The kernels (taps, out, in/groups) that snn_delay makes, for other nodes; and how many taps of one are not 0 in
 * evaluation. */
struct snn_tensor *snn_delay_kernel(struct snn_tape *tape, const char *name, const struct snn_delay_shape *shape,
                                    const struct snn_delay_options *options, struct snn_param *weight,
                                    struct snn_param *position, struct snn_param *width);
double snn_delay_taps_used(const struct snn_delay_shape *shape, const struct snn_delay_options *options,
                           const struct snn_param *position);

/* A convolution whose synapses have delays of 0..taps-1 steps: ops_conv_delays.c. The kernel (taps, O, C/groups,
 * kernel) is `made`, or the parameter w; b (O) or NULL */
struct snn_tensor *snn_conv_delays(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                   const struct snn_conv_shape *shape, int32_t taps, double taps_used,
                                   struct snn_tensor *made, struct snn_param *w, struct snn_param *b);

struct snn_shift_options {
    bool round; /* evaluate with whole delays */
};
/* x with a delay of 0..most steps for every channel, the first axis of a row; delay (C) */
struct snn_tensor *snn_shift(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                             const struct snn_shift_options *options, struct snn_param *delay, int32_t most);

/* Each channel (the first axis of a row) over time, causal, as autograd/conv.h says; w (C,1,taps), b (C) or NULL. The
 * last steps of a cut are kept for the next one. */
struct snn_tensor *snn_temporal_conv(struct snn_tape *tape, const char *name, struct snn_tensor *x, int32_t dilation,
                                     struct snn_param *w, struct snn_param *b);
/* x + b, where b has a number for each unit */
struct snn_tensor *snn_bias(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_param *b);

struct snn_periodic_options {
    double frequency;
    long long stage; /* 1: the sine, 2: its sign */
};
/* alpha b (binary.h): w (rows,...), alpha (rows) */
struct snn_tensor *snn_weight_periodic(struct snn_tape *tape, const char *name, struct snn_param *w,
                                       struct snn_param *alpha, const struct snn_periodic_options *options);
bool snn_node_is_periodic(const struct snn_node *node); /* param[0]: w; options: as above */
/* The sign of x; in training, `scaled`: of x over its deviation in each row */
struct snn_tensor *snn_sign(struct snn_tape *tape, const char *name, struct snn_tensor *x, bool scaled);

/* x read as (rows, C,H,W) of `shape`, whatever its axes; what comes out, (C,OH,OW), is called `dim` */
struct snn_tensor *snn_average_pool(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                    const struct snn_pool_shape *shape, int nd, const int32_t *dim);
struct snn_tensor *snn_max_pool(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                const struct snn_pool_shape *shape, int nd, const int32_t *dim);

enum snn_norm_over {
    SNN_NORM_OVER_STEP,    /* statistics over one step */
    SNN_NORM_OVER_JOINT,   /* over all steps */
    SNN_NORM_OVER_OWN_STEP /* over one step, which has parameters and running statistics of its own */
};
struct snn_norm_options {
    int over; /* enum snn_norm_over */
    double eps, momentum;
};
/* Channels are the first axis of a row (all units of a flat row). w, b (NULL: 1 and 0), running mean and variance: (C),
 * or (steps, C) when steps have their own */
struct snn_tensor *snn_batch_norm(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                  const struct snn_norm_options *options, struct snn_param *w, struct snn_param *b,
                                  struct snn_param *mean, struct snn_param *var);

struct snn_row_norm_options {
    int32_t groups;  /* of neighbouring channels, each with statistics of its own */
    bool by_channel; /* w, b: (C); else (units) */
    bool centred;    /* false: RMS norm */
    double eps;
};
/* Of each row by itself; w, b: NULL: 1 and 0 */
struct snn_tensor *snn_row_norm(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                const struct snn_row_norm_options *options, struct snn_param *w, struct snn_param *b);

/* a + b, of the same shape; if only one is static it is added at every step */
struct snn_tensor *snn_add(struct snn_tape *tape, const char *name, struct snn_tensor *a, struct snn_tensor *b);

/* a where b says so, of the same shape: see enum snn_join. If only one is static it is there at every step */
struct snn_tensor *snn_join(struct snn_tape *tape, const char *name, enum snn_join how, struct snn_tensor *a,
                            struct snn_tensor *b);
/* Channels of a, then those of b; all other axes are the same */
struct snn_tensor *snn_concat(struct snn_tape *tape, const char *name, struct snn_tensor *a, struct snn_tensor *b);
/* Channels of zeros before and after those of x */
struct snn_tensor *snn_pad_channels(struct snn_tape *tape, const char *name, struct snn_tensor *x, int32_t before,
                                    int32_t after);
/* (B,...) -> (T,B,...) for what differs from step to step; anything else stays as it is */
struct snn_tensor *snn_every_step(struct snn_tape *tape, const char *name, struct snn_tensor *x);

/* y[t] = sum over u of W[t][u] x[u] + b[t]; W (steps,steps) is w, or what was `made` of it; b (steps). All steps at
 * once. */
struct snn_tensor *snn_steps(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_tensor *made,
                             struct snn_param *w, struct snn_param *b);
struct snn_band_options {
    double lambda; /* what is off the band counts 1 - lambda */
    long long k;   /* the band: the present step and k-1 before it */
};
struct snn_tensor *snn_weight_band(struct snn_tape *tape, const char *name, struct snn_param *w,
                                   const struct snn_band_options *options);

struct snn_lstm_options {
    const double *threshold;
    enum snn_lstm_reset reset;
    bool strict;
};
/* The membranes (T,B,N) of an LSTM (autograd/lstm.h) from what the input gives to its gates, x (T,B,4N), of which
 * nobody else may read; w (4N,N), b (4N) or NULL: what the membranes of the step before give. */
struct snn_tensor *snn_lstm(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                            const struct snn_lstm_options *options, struct snn_param *w, struct snn_param *b);

enum snn_scale_by { SNN_BY_ONE, SNN_BY_CHANNEL, SNN_BY_STEP };
/* factor * x: learned, (1), (C) or one a step; or without `factor` the number *fixed */
struct snn_tensor *snn_scale(struct snn_tape *tape, const char *name, struct snn_tensor *x, enum snn_scale_by by,
                             struct snn_param *factor, const double *fixed);

struct snn_clamp_options {
    double low, high;
};
/* min(max(x, low), high), whose derivative is 0 at both ends */
struct snn_tensor *snn_clamp(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                             const struct snn_clamp_options *options);

/* Y = alpha op(A) op(B) of `blocks` blocks that each row is made of; op(A) is (m,k), and A or B may lie transposed */
struct snn_product_shape {
    int32_t blocks, m, n, k;
    bool transpose_a, transpose_b;
    double alpha;
};
struct snn_tensor *snn_product(struct snn_tape *tape, const char *name, struct snn_tensor *a, struct snn_tensor *b,
                               const struct snn_product_shape *shape, int nd, const int32_t *dim);
/* x[t] times the share that step t gets from all steps: autograd/attention.h. w1 (hidden, steps), w2 (steps, hidden) */
struct snn_tensor *snn_step_shares(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_param *w1,
                                   struct snn_param *w2);

struct snn_dropout_options {
    double p;         /* probability of a zero */
    bool time_shared; /* one mask for all steps of a sample; else a new one at each */
    bool channels;    /* whole channels are dropped */
};
/* Identity in evaluation; `layer` keys the stream */
struct snn_tensor *snn_dropout(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                               const struct snn_dropout_options *options, uint32_t layer);

/* Count the spikes of x for terms over activity (regular.h): a node that nothing goes on from. After the forward pass
 * of training its counts (B,N) are there; on the way back it adds what lies in its slopes (B,N). */
struct snn_node *snn_watch(struct snn_tape *tape, const char *name, struct snn_tensor *x);
real *snn_watch_count(const struct snn_node *node);
real *snn_watch_slope(const struct snn_node *node);

/* The error of the outputs for x, through `matrix` (outputs, units), in the place of what comes down: a node that
 * nothing goes on from. */
struct snn_node *snn_feedback(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_param *matrix);

/* To one axis: the same memory */
struct snn_tensor *snn_flatten(struct snn_tape *tape, struct snn_tensor *x);

#endif
