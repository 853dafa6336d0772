/* SPDX-License-Identifier: Apache-2.0
 * layer_lstm.c - snnTorch's SLSTM: an LSTM cell whose hidden state is a membrane (autograd/lstm.h). Three nodes: the
 * product with the input for all steps, the cell, and a LIF that keeps nothing and fires on the membrane. */
#include <math.h>
#include <stddef.h>

#include "autograd/lstm.h"
#include "core/status.h"
#include "layers/cells/lif.h"
#include "layers/layer.h"

struct lstm_options {
    struct snn_neuron_options fires; /* what is done with the membrane */
    struct snn_lstm_options cell;
    long long out;
    int reset;
    bool bias;
};
#define AT(field) offsetof(struct lstm_options, field)

static const char *const fire_names[] = {"ge", "gt", NULL};
static const char *const reset_names[] = {"none", "subtract", "zero", NULL};
const struct snn_key snn_slstm_keys[] = {
    {"out", SNN_INT, AT(out), NULL, 1, 1 << 20, NULL, "neurons"},
    {"bias", SNN_BOOL, AT(bias), "true", 0, 0, NULL, "add learned biases, of the input and of the membranes"},
    {"threshold", SNN_REAL, AT(fires.number) + LIF_THETA * sizeof(double), "1.0", -1e6, 1e6, NULL,
     "fires at this membrane, which stays within -1..1"},
    {"reset", SNN_CHOICE, AT(reset), "none", 0, 0, reset_names,
     "a spike takes the threshold from the next membrane, or makes it 0; no gradient goes through it"},
    {"fire", SNN_CHOICE, AT(fires.fire), "ge", 0, 0, fire_names,
     "spike when the membrane is >= threshold (ge) or > threshold (gt)"},
    {"surrogate", SNN_NODE, AT(fires.surrogate_node), "atan", 0, 0, NULL, "surrogate gradient: NAME or {name, keys}"},
    {0},
};

int snn_build_slstm(struct snn_builder *b, struct snn_conf *node, int variant) {
    struct lstm_options *o = snn_builder_options(b, sizeof *o);
    struct snn_tape *tape = &b->model->tape;
    char text[48];
    (void)variant;
    SNN_TRY(snn_conf_read(node, snn_slstm_keys, o));
    if (b->x->nd != 1)
        return snn_conf_error(node, "needs a flat input, got %s: put `- flatten` before it",
                              snn_shape_text(b->x, text));
    SNN_TRY(snn_firing_read(b, o->fires.number[LIF_THETA], &o->fires));
    snn_builder_bind(b, node, snn_slstm_keys, o);
    o->cell = (struct snn_lstm_options){
        .threshold = &o->fires.number[LIF_THETA], .strict = o->fires.fire, .reset = (enum snn_lstm_reset)o->reset};
    int32_t n = (int32_t)o->out, of_input[2] = {4 * n, (int32_t)b->x->units}, of_membrane[2] = {4 * n, n};
    struct snn_param *w_ih = snn_builder_param(b, "weight_ih", false, 2, of_input),
                     *w_hh = snn_builder_param(b, "weight_hh", false, 2, of_membrane),
                     *b_ih = o->bias ? snn_builder_param(b, "bias_ih", false, 1, of_input) : NULL,
                     *b_hh = o->bias ? snn_builder_param(b, "bias_hh", false, 1, of_input) : NULL;
    w_ih->bound = w_hh->bound = 1 / sqrt(n); /* as PyTorch's LSTMCell begins */
    if (o->bias) b_ih->bound = b_hh->bound = 1 / sqrt(n);
    struct snn_tensor *a = snn_linear(tape, b->path, b->x, w_ih, b_ih);
    b->x = snn_lstm(tape, b->path, a, &o->cell, w_hh, b_hh);
    b->x = snn_neuron(tape, b->path, b->x, &o->fires, NULL);
    return SNN_OK;
}
