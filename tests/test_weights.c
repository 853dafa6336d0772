/* SPDX-License-Identifier: Apache-2.0
 * test_weights.c - weights that are made of parameters: what they begin as, what is refused, and what is frozen. */
#include "net_rig.h"
#include "snn_check.h"

/* ---- refused when the config is read ---- */

static const struct {
    const char *model, *sentence;
} refused[] = {
    {"[flatten, lif, linear: {out: 4, weight: nom}]",
     "test.yaml: model.2.linear.weight: expected a kind of weight, got 'nom' (did you mean 'norm'?)"},
    {"[flatten, lif, linear: {out: 4, weight: {name: standardised, eps: 0}}]",
     "test.yaml: model.2.linear.weight.eps: expected a number of 1e-12..1, got 0"},
    {"[flatten, lif, linear: {out: 4, weight: {name: norm, eps: 1}}]",
     "test.yaml: model.2.linear.weight: unknown key 'eps'"},
    {"[flatten, linear: 1, lif, linear: {out: 4, weight: standardised}]",
     "test.yaml: model.3.linear.weight: one weight an output has no variance: expected a fan-in of 2 or more"},
    {"[conv: {out: 2, kernel: 1, groups: 2, weight: standardised}, lif, flatten, linear: 4]",
     "test.yaml: model.0.conv.weight: one weight an output has no variance: expected a fan-in of 2 or more"},
    {"[flatten, lif, linear: {out: 4, weight: norm, init: {name: constant, value: 0}}]",
     "test.yaml: model.2.linear.weight: initial weights that are all 0 have no direction: expected another `init`"},
    {"[flatten, lif, biper: {out: 4, frequency: 0}]",
     "test.yaml: model.2.biper.frequency: expected a number of 0.001..1000, got 0"},
    {"[flatten, lif, biper: {out: 4, frequency: -20}]",
     "test.yaml: model.2.biper.frequency: expected a number of 0.001..1000, got -20"},
    {"[flatten, lif, biper: {out: 4, stage: 3}]", "test.yaml: model.2.biper.stage: expected an integer of 1..2, got 3"},
    {"[flatten, lif, biper: {out: 4, activation: tanh}]",
     "test.yaml: model.2.biper.activation: expected one of auto, sign, none, got 'tanh'"},
    {"[flatten, lif, biper: {out: 4, padding: 1}]",
     "test.yaml: model.2.biper: padding: is of convolutions: give `kernel` too"},
    {"[flatten, lif, biper: {out: 4, stride: [1, 1]}]",
     "test.yaml: model.2.biper: stride: is of convolutions: give `kernel` too"},
    {"[flatten, lif, biper: {out: 4, groups: 2}]",
     "test.yaml: model.2.biper: groups: is of convolutions: give `kernel` too"},
    {"[lif, biper: 4]", "test.yaml: model.1.biper: is linear without `kernel`, and needs a flat input, got (2,6,6): "
                        "put `- flatten` before "
                        "it, or give `kernel`"},
    {"[flatten, lif, biper: {out: 4, kernel: 3}]", "test.yaml: model.2.biper: needs an input (C,L), (C,H,W)"},
    {"[biper: {out: 4, kernel: 7}, lif, flatten, linear: 4]",
     "test.yaml: model.0.biper: the kernel does not fit into (2,6,6)"},
    {"[flatten, linear: 1, biper: 4, lif]",
     "test.yaml: model.2.biper: one unit has no deviation: expected scale_activation: false"},
};

/* The sentence without its line and column. */
static void without_position(const char *sentence, char out[600]) {
    const char *rest = sentence;
    if (!strncmp(rest, "test.yaml:", 10)) {
        rest += 10;
        rest += strspn(rest, "0123456789:");
    }
    snprintf(out, 600, "test.yaml:%s", rest);
}

START_TEST(refuses) {
    struct snn_model_input input = {.C = 2, .H = 6, .W = 6};
    struct snn_conf_doc *doc;
    struct snn_model model;
    char text[1024], said[600];
    snprintf(text, sizeof text, "model: %s\n", refused[_i].model);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &doc));
    ck_assert_int_eq(snn_model_build(snn_conf_at(doc, "model"), &input, CLASSES, &model), SNN_EUSAGE);
    without_position(snn_error_text(), said);
    ck_assert_msg(!strncmp(said, refused[_i].sentence, strlen(refused[_i].sentence)), "said '%s'", said);
    snn_conf_free(&doc);
}
END_TEST

/* ---- what they begin as ---- */

static void draw(struct made_network *m, bool train) {
    struct snn_network_plan plan = {.T = STEPS, .B = SAMPLES, .cut = STEPS, .train = train, .slice = SAMPLES};
    ck_ok(snn_network_allocate(&m->net, &plan));
    snn_params_init(&m->net.model.params, 21, m->net.model.params.value);
}

static void pass(struct made_network *m, const struct snn_batch *batch, bool train) {
    struct snn_cut cut = {.batch = batch, .T = STEPS, .train = train};
    snn_network_set_step(&m->net, 3, 4, 1.0 / SAMPLES);
    snn_network_forward(&m->net, &cut);
    if (!train) return;
    snn_network_zero_gradients(&m->net);
    snn_network_loss(&m->net, &cut, true);
    snn_network_backward(&m->net, &cut);
    snn_network_backward_batch(&m->net, &cut);
}

/* Weight norm changes nothing at first: the gain is the length that the weights have. */
START_TEST(norm_begins_as_plain) {
    struct made_network plain, norm;
    struct made_batch made;
    open_network("[conv: {out: 3, kernel: 3, bias: false}, lif, flatten, linear: {out: 4, bias: false}]", false,
                 &plain);
    open_network("[conv: {out: 3, kernel: 3, bias: false}, lif, flatten, linear: {out: 4, bias: false, weight: norm}]",
                 false, &norm);
    make_batch(STEPS, false, false, &made);
    draw(&plain, false), draw(&norm, false);
    pass(&plain, &made.batch, false), pass(&norm, &made.batch, false);
    const real *a = plain.net.model.tape.output->data, *b = norm.net.model.tape.output->data;
    double most = 0;
    for (int i = 0; i < STEPS * SAMPLES * CLASSES; ++i) most = fmax(most, fabs((double)a[i]));
    ck_assert(most > 0.01);
    for (int i = 0; i < STEPS * SAMPLES * CLASSES; ++i) ck_assert(fabs((double)a[i] - (double)b[i]) < 1e-5 * most);
    close_network(&plain), close_network(&norm);
}
END_TEST

/* Every row of a standardised weight has mean 0 and, up to eps, length g sqrt((n-1)/n) ... n/(n-1) apart. */
START_TEST(standardised_rows) {
    struct made_network m;
    struct made_batch made;
    open_network("[conv: {out: 3, kernel: 3, weight: {name: standardised, eps: 1e-12}}, lif, flatten, linear: 4]",
                 false, &m);
    make_batch(STEPS, false, false, &made);
    draw(&m, false), pass(&m, &made.batch, false);
    const struct snn_tensor *w = m.net.model.tape.node[0]->out;
    ck_assert(w->is_weight && w->units == 3 * 18);
    for (int r = 0; r < 3; ++r) {
        double sum = 0, squares = 0;
        for (int i = 0; i < 18; ++i) sum += w->data[r * 18 + i], squares += pow(w->data[r * 18 + i], 2);
        ck_assert_msg(fabs(sum) < 1e-5, "row %d: sum %g", r, sum);
        ck_assert_msg(fabs(squares - 17.0 / 18) < 1e-5, "row %d: squares %g", r, squares);
    }
    close_network(&m);
}
END_TEST

/* ---- frozen ---- */

static const struct {
    const char *model, *names[2];
} freezes[] = {
    {"[conv: {out: 3, kernel: 3, weight: standardised}, lif, flatten, linear: {out: 4, weight: norm}]",
     {"model.0.conv.weight", "model.0.conv.gain"}},
    {"[conv: {out: 3, kernel: 3}, lif, flatten, linear: 4]", {"model.0.conv.weight", "model.0.conv.bias"}},
    {"[conv_transpose: {out: 3, kernel: 3}, lif, flatten, linear: 4]",
     {"model.0.conv_transpose.weight", "model.0.conv_transpose.bias"}},
    {"[conv: {out: 3, kernel: 3}, lif, flatten, linear: 4]", {"model.3.linear.weight", "model.3.linear.bias"}}};

/* Of a layer's parameters those that are not frozen still learn. */
START_TEST(frozen) {
    const char *const *names = freezes[_i].names;
    struct made_network m;
    struct made_batch made;
    open_network(freezes[_i].model, false, &m);
    make_batch(STEPS, false, false, &made);
    draw(&m, true);
    for (int k = 0; k < 3; ++k) { /* neither, then one of them */
        struct snn_params *params = &m.net.model.params;
        for (int i = 0; i < 2; ++i) snn_params_find(params, names[i])->frozen = k == i + 1;
        pass(&m, &made.batch, true);
        for (int i = 0; i < params->count; ++i) {
            const struct snn_param *p = params->list[i];
            double most = 0;
            for (ptrdiff_t j = 0; j < p->count; ++j) most = fmax(most, fabs((double)p->grad[j]));
            ck_assert_msg((most > 0) == !p->frozen, "%s: largest gradient %g", p->name, most);
        }
    }
    close_network(&m);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("weights");
    TCase *t = tcase_create("weights");
    tcase_add_loop_test(t, refuses, 0, sizeof refused / sizeof *refused);
    tcase_add_test(t, norm_begins_as_plain);
    tcase_add_test(t, standardised_rows);
    tcase_add_loop_test(t, frozen, 0, sizeof freezes / sizeof *freezes);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
