/* SPDX-License-Identifier: Apache-2.0
 * ops_attention.c - products of activations, of which spiking self-attention is two, and shares of steps. */
#include "autograd/attention.h"
#include "autograd/ops.h"

/* ---- products ---- */

struct product {
    struct snn_product_shape shape;
};

/* Y = alpha op(A) op(B) of all blocks of the rows. */
static struct snn_products products_of(const struct snn_node *node, const struct snn_run *run) {
    const struct snn_product_shape *s = &((const struct product *)node->aux)->shape;
    return (struct snn_products){.count = snn_run_rows(run, node->out) * s->blocks,
                                 .m = s->m,
                                 .n = s->n,
                                 .k = s->k,
                                 .transpose_a = s->transpose_a,
                                 .transpose_b = s->transpose_b,
                                 .alpha = s->alpha};
}

static void product_forward(struct snn_node *node, const struct snn_run *run) {
    struct snn_products p = products_of(node, run);
    run->device->attention->products(run->device, &p, node->in[0]->data, node->in[1]->data, false, node->out->data);
}

/* With G the gradient of Y: op(A) gets alpha G op(B)^T, op(B) alpha op(A)^T G; what lies transposed gets it
 * transposed. */
static void product_backward(struct snn_node *node, const struct snn_run *run) {
    const struct snn_attention_kernels *kernels = run->device->attention;
    struct snn_products p = products_of(node, run), of_a = p, of_b = p;
    const real *a = node->in[0]->data, *b = node->in[1]->data, *g = node->out->grad;
    if (node->in[1]->grad) {
        bool adds = snn_adds(node, 1, run);
        of_b.m = p.transpose_b ? p.n : p.k, of_b.n = p.transpose_b ? p.k : p.n, of_b.k = p.m;
        if (p.transpose_b) { /* B (n,k): G^T op(A) */
            of_b.transpose_a = true, of_b.transpose_b = p.transpose_a;
            kernels->products(run->device, &of_b, g, a, adds, node->in[1]->grad);
        } else { /* B (k,n): op(A)^T G */
            of_b.transpose_a = !p.transpose_a, of_b.transpose_b = false;
            kernels->products(run->device, &of_b, a, g, adds, node->in[1]->grad);
        }
    }
    if (!node->in[0]->grad) return;
    bool adds = snn_adds(node, 0, run);
    of_a.m = p.transpose_a ? p.k : p.m, of_a.n = p.transpose_a ? p.m : p.k, of_a.k = p.n;
    if (p.transpose_a) { /* A (k,m): op(B) G^T */
        of_a.transpose_a = p.transpose_b, of_a.transpose_b = true;
        kernels->products(run->device, &of_a, b, g, adds, node->in[0]->grad);
    } else { /* A (m,k): G op(B)^T */
        of_a.transpose_a = false, of_a.transpose_b = !p.transpose_b;
        kernels->products(run->device, &of_a, g, b, adds, node->in[0]->grad);
    }
}

static const struct snn_op product_op = {
    "product", SNN_OP_NEEDS_INPUT | SNN_OP_TIMELESS, NULL, NULL, product_forward, product_backward};

struct snn_tensor *snn_product(struct snn_tape *tape, const char *name, struct snn_tensor *a, struct snn_tensor *b,
                               const struct snn_product_shape *shape, int nd, const int32_t *dim) {
    if (a->is_static != b->is_static) a = snn_every_step(tape, name, a), b = snn_every_step(tape, name, b);
    struct snn_node *node = snn_tape_node(tape, &product_op, name, a, b, nd, dim, NULL, sizeof(struct product));
    ((struct product *)node->aux)->shape = *shape;
    node->macs = (double)shape->blocks * shape->m * shape->n * shape->k;
    return node->out;
}

/* ---- shares of steps ---- */

struct shares {
    const struct snn_tape *tape;
    int pooled, where, share, hidden; /* (2,T,B); (T,B); (T,B); (B,2,hidden) */
    int gradients, scratch;           /* (3,T,B): of share, mean and largest; (B, steps + 2 hidden) */
};

static struct snn_shares_shape shares_shape(const struct snn_node *node, int32_t T, int32_t B) {
    return (struct snn_shares_shape){.T = T, .B = B, .steps = node->param[0]->dim[1], .hidden = node->param[0]->dim[0]};
}

static void shares_plan(struct snn_tape *tape, struct snn_node *node) {
    struct shares *aux = node->aux;
    struct snn_shares_shape s = shares_shape(node, snn_plan_steps(tape, node->out), tape->max_B);
    size_t rows = (size_t)snn_plan_rows(tape, node->out), B = (size_t)s.B;
    aux->tape = tape;
    aux->pooled = snn_tape_buffer(tape, node, 2 * rows * sizeof(real), SNN_KEPT);
    aux->where = snn_tape_buffer(tape, node, rows * sizeof(int32_t), SNN_KEPT);
    aux->share = snn_tape_buffer(tape, node, rows * sizeof(real), SNN_KEPT);
    aux->hidden = snn_tape_buffer(tape, node, B * 2 * (size_t)s.hidden * sizeof(real), SNN_KEPT);
    aux->gradients = snn_tape_buffer(tape, node, 3 * rows * sizeof(real), SNN_IN_BACKWARD);
    aux->scratch = snn_tape_buffer(tape, node, B * (size_t)(s.steps + 2 * s.hidden) * sizeof(real), SNN_IN_BACKWARD);
}

static struct snn_scale_shape row_factors(const struct snn_node *node, const struct snn_run *run) {
    ptrdiff_t rows = snn_run_rows(run, node->out), units = node->out->units;
    return (struct snn_scale_shape){.rows = rows, .units = units, .share_rows = 1, .share_units = units};
}

static void shares_forward(struct snn_node *node, const struct snn_run *run) {
    const struct shares *aux = node->aux;
    const struct snn_attention_kernels *kernels = run->device->attention;
    struct snn_shares_shape s = shares_shape(node, snn_run_steps(run, node->out), run->B);
    struct snn_scale_shape by_row = row_factors(node, run);
    real *mean = snn_tape_memory(aux->tape, aux->pooled), *largest = mean + by_row.rows;
    real *share = snn_tape_memory(aux->tape, aux->share);
    kernels->pool_rows(run->device, by_row.rows, by_row.units, node->in[0]->data, mean, largest,
                       snn_tape_memory(aux->tape, aux->where));
    kernels->shares(run->device, &s, snn_run_mask(run, node->out), mean, largest, node->param[0]->value,
                    node->param[1]->value, snn_tape_memory(aux->tape, aux->hidden), share);
    run->device->mix->scale(run->device, &by_row, share, node->in[0]->data, false, node->out->data);
}

static void shares_backward(struct snn_node *node, const struct snn_run *run) {
    const struct shares *aux = node->aux;
    const struct snn_attention_kernels *kernels = run->device->attention;
    struct snn_shares_shape s = shares_shape(node, snn_run_steps(run, node->out), run->B);
    struct snn_scale_shape by_row = row_factors(node, run);
    const real *mean = snn_tape_memory(aux->tape, aux->pooled), *share = snn_tape_memory(aux->tape, aux->share);
    real *gshare = snn_tape_memory(aux->tape, aux->gradients), *gmean = gshare + by_row.rows;
    real *glargest = gmean + by_row.rows;
    run->device->mix->scale_grad(run->device, &by_row, node->in[0]->data, node->out->grad, false, gshare);
    kernels->shares_grad(run->device, &s, snn_run_mask(run, node->out), mean, mean + by_row.rows, node->param[0]->value,
                         node->param[1]->value, snn_tape_memory(aux->tape, aux->hidden), share, gshare,
                         snn_tape_memory(aux->tape, aux->scratch), snn_param_gradient(node->param[0]),
                         snn_param_gradient(node->param[1]), gmean, glargest);
    if (node->in[0]->grad)
        kernels->spread_rows(run->device, by_row.rows, by_row.units, node->out->grad, share, gmean, glargest,
                             snn_tape_memory(aux->tape, aux->where), snn_adds(node, 0, run), node->in[0]->grad);
}

static const struct snn_op shares_op = {
    "shares of steps", SNN_OP_NEEDS_INPUT | SNN_OP_COUPLES_STEPS, shares_plan, NULL, shares_forward, shares_backward};

struct snn_tensor *snn_step_shares(struct snn_tape *tape, const char *name, struct snn_tensor *x, struct snn_param *w1,
                                   struct snn_param *w2) {
    x = snn_every_step(tape, name, x);
    struct snn_node *node = snn_tape_node(tape, &shares_op, name, x, NULL, x->nd, x->dim, NULL, sizeof(struct shares));
    node->param[0] = w1, node->param[1] = w2;
    node->most_steps = w1->dim[1];
    node->out->needs_grad = true;
    return node->out;
}
