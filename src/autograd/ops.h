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

struct snn_tensor *snn_average_pool(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                    const struct snn_pool_shape *shape);
struct snn_tensor *snn_max_pool(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                const struct snn_pool_shape *shape);

struct snn_norm_options {
    int over; /* 0: one step, 1: joint */
    double eps, momentum;
};
/* Channels are the first axis of a row (all units of a flat row). w, b, running mean and variance: (C) */
struct snn_tensor *snn_batch_norm(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                  const struct snn_norm_options *options, struct snn_param *w, struct snn_param *b,
                                  struct snn_param *mean, struct snn_param *var);
/* Over all units of a row; w, b: (units) */
struct snn_tensor *snn_layer_norm(struct snn_tape *tape, const char *name, struct snn_tensor *x,
                                  const struct snn_norm_options *options, struct snn_param *w, struct snn_param *b);

/* a + b, of the same shape; if only one is static it is added at every step */
struct snn_tensor *snn_add(struct snn_tape *tape, const char *name, struct snn_tensor *a, struct snn_tensor *b);

/* One mask a sample, shared by all steps; identity in evaluation. *drop is the probability of a zero; `layer` keys the
 * stream. */
struct snn_tensor *snn_dropout(struct snn_tape *tape, const char *name, struct snn_tensor *x, const double *drop,
                               uint32_t layer);

/* Count the spikes of x for terms over activity (regular.h): a node that nothing goes on from. After the forward pass
 * of training its counts (B,N) are there; on the way back it adds what lies in its slopes (B,N). */
struct snn_node *snn_watch(struct snn_tape *tape, const char *name, struct snn_tensor *x);
real *snn_watch_count(const struct snn_node *node);
real *snn_watch_slope(const struct snn_node *node);

/* To one axis: the same memory */
struct snn_tensor *snn_flatten(struct snn_tape *tape, struct snn_tensor *x);

#endif
