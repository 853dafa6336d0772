/* SPDX-License-Identifier: Apache-2.0
 * lstm.h - one step of snnTorch's SLSTM for one neuron, which both backends compile. Gates lie as PyTorch's LSTMCell
 * has them, (i, f, g, o) one after the other; a holds what the input and the step before give to each.
 *
 *   i, f, o = sigmoid(a)   g = tanh(a)   c = f c' + i g   m = o tanh(c), reset by r = [m' - theta >= 0] (or >)
 *
 * c' and m' are those of the step before. subtract: m - r theta; zero: (1 - r) m; the reset carries no gradient. */
#ifndef SNN_LSTM_H
#define SNN_LSTM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/real.h"
#include "core/rmath.h"

enum snn_lstm_reset { SNN_LSTM_NONE, SNN_LSTM_SUBTRACT, SNN_LSTM_ZERO };

struct snn_lstm_step {
    int32_t B, n;
    enum snn_lstm_reset reset;
    bool strict;
    const real *theta;               /* (1) */
    const real *x, *again;           /* (B,4,n) what the input gives, and the membranes of the step before */
    const real *c_before, *m_before; /* (B,n) */
    real *gates;                     /* (B,4,n) i, f, g, o; may be x */
    real *c, *m;                     /* (B,n) */
    const real *gm, *gm_again;       /* backward: gradient of m from outside, and from the next step or NULL */
    real *gc;                        /* (B,n) of c, from that after the step to that before it */
    real *ga;                        /* (B,4,n) of a */
};

SNN_HD real snn_lstm_sigmoid(real x) {
    const real e = r_exp(x < 0 ? x : -x);
    return (x < 0 ? e : 1) / (1 + e);
}
SNN_HD real snn_lstm_tanh(real x) {
    const real e = r_exp(x < 0 ? 2 * x : -2 * x), y = (1 - e) / (1 + e);
    return x < 0 ? -y : y;
}
SNN_HD real snn_lstm_fired(bool strict, real m, real theta) { return (strict ? m > theta : m >= theta) ? 1 : 0; }

/* One neuron, from what its gates are given. */
struct snn_lstm_point {
    real i, f, g, o, c, m;
};
SNN_HD struct snn_lstm_point snn_lstm_forward(enum snn_lstm_reset reset, bool strict, real theta, real ai, real af,
                                              real ag, real ao, real c_before, real m_before) {
    struct snn_lstm_point y;
    y.i = snn_lstm_sigmoid(ai), y.f = snn_lstm_sigmoid(af), y.g = snn_lstm_tanh(ag), y.o = snn_lstm_sigmoid(ao);
    y.c = y.f * c_before + y.i * y.g;
    const real h = y.o * snn_lstm_tanh(y.c), r = reset ? snn_lstm_fired(strict, m_before, theta) : 0;
    y.m = reset == SNN_LSTM_ZERO ? h - r * h : h - r * theta;
    return y;
}

/* Gradients of what its gates are given, and of the cell before, from those of the membrane and the cell. */
SNN_HD struct snn_lstm_point snn_lstm_backward(enum snn_lstm_reset reset, bool strict, real theta, real i, real f,
                                               real g, real o, real c, real c_before, real m_before, real gm, real gc) {
    struct snn_lstm_point to;
    const real y = snn_lstm_tanh(c), r = reset == SNN_LSTM_ZERO ? snn_lstm_fired(strict, m_before, theta) : 0;
    gm *= 1 - r, gc += gm * o * (1 - y * y);
    to.i = gc * g * i * (1 - i);
    to.f = gc * c_before * f * (1 - f);
    to.g = gc * i * (1 - g * g);
    to.o = gm * y * o * (1 - o);
    to.c = gc * f, to.m = 0;
    return to;
}

#endif
