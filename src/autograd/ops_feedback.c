/* SPDX-License-Identifier: Apache-2.0
 * ops_feedback.c - direct feedback (Nokland 2016, "Direct feedback alignment provides learning in deep neural
 * networks"): a node that nothing goes on from. On the way back it gives its input the gradient of the network's output
 * through a fixed matrix. */
#include "autograd/math.h"
#include "autograd/ops.h"

struct feedback {
    const struct snn_tape *tape;
};

static void plan(struct snn_tape *tape, struct snn_node *node) { ((struct feedback *)node->aux)->tape = tape; }

static void forward(struct snn_node *node, const struct snn_run *run) { (void)node, (void)run; }

static void backward(struct snn_node *node, const struct snn_run *run) {
    const struct feedback *aux = node->aux;
    const struct snn_tensor *x = node->in[0], *output = aux->tape->output;
    struct snn_linear_shape s = {snn_run_rows(run, x), (int32_t)x->units, (int32_t)output->units};
    if (x->grad)
        run->device->math->linear_grad_input(run->device, &s, output->grad, node->param[0]->value,
                                             snn_adds(node, 0, run), x->grad);
}

static const struct snn_op op = {
    "feedback", SNN_OP_READS_ERROR | SNN_OP_READS_BITS | SNN_OP_TIMELESS, plan, NULL, forward, backward};

struct snn_node *snn_feedback(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_param *matrix) {
    const int32_t one = 1;
    struct snn_node *node = snn_tape_node(tape, &op, name, x, NULL, 1, &one, NULL, sizeof(struct feedback));
    node->param[0] = matrix;
    return node;
}
