/* SPDX-License-Identifier: Apache-2.0
 * test_optim_reference.c - every optimiser, its options and its clipping against PyTorch. */
#include <stdarg.h>

#include "optim_rig.h"
#include "shared_cases.h"

static void append(char text[1024], const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(char text[1024], const char *format, ...) {
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(text + used, 1024 - used, format, args);
    va_end(args);
    ck_assert_int_lt(more, (int)(1024 - used));
}

/* PyTorch's class and its defaults in our words: all options that are not about how PyTorch computes. */
static void case_to_yaml(const json_t *json, char yaml[1024]) {
    static const char *const other[] = {"capturable", "differentiable", "foreach",
                                        "fused",      "maximize",       "decoupled_weight_decay"};
    strcpy(yaml, "{name: ");
    for (const char *kind = json_string_value(json_object_get(json, "kind")); *kind; ++kind)
        append(yaml, "%c", *kind >= 'A' && *kind <= 'Z' ? *kind - 'A' + 'a' : *kind);
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(json, "defaults"), key, value) {
        bool ours = true;
        for (size_t i = 0; i < sizeof other / sizeof *other; ++i) ours &= strcmp(key, other[i]) != 0;
        if (ours && json_is_array(value))
            append(yaml, ", beta1: %.9g, beta2: %.9g", json_number_value(json_array_get(value, 0)),
                   json_number_value(json_array_get(value, 1)));
        else if (ours && json_is_boolean(value)) append(yaml, ", %s: %s", key, json_is_true(value) ? "true" : "false");
        else if (ours) append(yaml, ", %s: %.9g", key, json_number_value(value));
    }
    append(yaml, "}");
}

static void read_tensor(const struct snn_st *file, const char *name, double *out, uint64_t count) {
    const struct snn_st_tensor *tensor = snn_st_find(file, name);
    ck_assert_ptr_nonnull(tensor);
    ck_assert_uint_eq(snn_st_elements(tensor), count);
    ck_ok(snn_st_to_double(tensor, out));
}

static void check_golden(const char *path, void *payload) {
    (void)payload;
    enum { N = 8, STEPS = 20 };
    struct snn_st *file;
    ck_ok(snn_st_open(path, &file));
    json_t *json = case_of(file);
    double p0[N], g[STEPS][N], p[STEPS][N], largest = 0;
    read_tensor(file, "p0", p0, N);
    read_tensor(file, "g", g[0], STEPS * N);
    read_tensor(file, "p", p[0], STEPS * N);
    for (int i = 0; i < STEPS * N; ++i) largest = fmax(largest, fabs(p[i / N][i % N]));

    char yaml[1024];
    case_to_yaml(json, yaml);
    struct rig rig = {0};
    declare(&rig, "p", N);
    opened(&rig, yaml);
    for (int i = 0; i < N; ++i) rig.params.value[i] = (real)p0[i];
    for (int k = 0; k < STEPS; ++k) {
        for (int i = 0; i < N; ++i) rig.params.grad[i] = (real)g[k][i];
        step(&rig);
        for (int i = 0; i < N; ++i) {
            double error = fabs((double)rig.params.value[i] - p[k][i]);
            ck_assert_msg(error <= 1e-6 * largest, "%s: %.3g off in element %d after step %d", path, error, i, k + 1);
        }
    }
    closed(&rig);
    json_decref(json);
    snn_st_close(&file);
}

START_TEST(golden) {
    int cases = each_shared_case("optim", check_golden, NULL);
    if (cases) ck_assert_int_ge(cases, 14);
}
END_TEST

/* Options and defaults that the stored cases leave out: PyTorch 2.15 in double, 25 steps of gradient() from start[]. */
static const struct {
    const char *yaml;
    double end[4];
    bool cycled; /* momentum 0.85 + 0.01 (k mod 10) in step k */
} torch[] = {
    {"{name: sgd, lr: 0.05, momentum: 0.9, dampening: 0.3, weight_decay: 0.01}",
     {0.768349409, -0.976526578, 1.42018521, 0.0904400701},
     false},
    {"{name: adamw, lr: 0.05, weight_decay: 0.1, amsgrad: true}",
     {0.521347732, -1.00407171, 1.61042228, 0.0194063147},
     false},
    {"{name: rmsprop, lr: 0.02, weight_decay: 0.01}", {0.630159679, -0.892398302, 1.81323166, 0.183383544}, false},
    {"{name: rmsprop, lr: 0.02, alpha: 0.9, centered: true}",
     {0.559276887, -1.20081673, 1.95153751, -0.0118387258},
     false},
    {"{name: rmsprop, lr: 0.02, momentum: 0.8}", {1.01436665, -0.462300872, 1.18411023, 1.32493956}, false},
    {"{name: rmsprop, lr: 0.02, momentum: 0.5, centered: true, eps: 0.1}",
     {0.640119824, -1.11004644, 1.82272135, 0.069807184},
     false},
    {"{name: adagrad, lr: 0.1, lr_decay: 0.1, initial_accumulator_value: 0.2, weight_decay: 0.01}",
     {0.551077903, -1.17582831, 1.90705744, -0.0317423175},
     false},
    {"{name: nadam, lr: 0.05, momentum_decay: 0.02, weight_decay: 0.01}",
     {0.560397318, -1.14007351, 1.92298358, -0.0217799745},
     false},
    {"{name: radam, lr: 0.05, beta2: 0.9, weight_decay: 0.01}",
     {0.592177409, -1.17117533, 1.82234606, -0.0325553422},
     false},
    {"{name: adamax, lr: 0.05, weight_decay: 0.01}", {0.571502169, -1.11822073, 1.84998108, -0.012495413}, false},
    {"{name: adadelta, rho: 0.8, weight_decay: 0.01}", {0.502609021, -1.24651658, 1.99797373, -0.12104624}, false},
    {"sgd", {0.50125, -1.24975, 1.99925, -0.124}, false},
    {"adam", {0.501777742, -1.24781211, 1.99657467, -0.122113295}, false},
    {"adamw", {0.501652391, -1.2475001, 1.99607545, -0.122082667}, false},
    {"rmsprop", {0.570369856, -1.17895564, 1.92283443, 0.0306266714}, false},
    {"adagrad", {0.506875038, -1.24284428, 1.99219345, -0.109518951}, false},
    {"nadam", {0.502688671, -1.24830172, 1.9978834, -0.120888133}, false},
    {"radam", {0.501783173, -1.24889276, 1.99708424, -0.123318413}, false},
    {"adamax", {0.503062194, -1.24715233, 1.99466062, -0.120511794}, false},
    {"adadelta", {0.503678745, -1.24964127, 1.99842906, -0.119355645}, false},
    {"{name: sgd, lr: 0.05, momentum: 0.5, nesterov: true}",
     {0.657242872, -0.954215346, 1.60100494, 0.0834091124},
     true},
    {"{name: adam, lr: 0.05}", {0.608156406, -1.10487649, 1.73873364, 0.0381607409}, true},
    {"{name: nadam, lr: 0.05}", {0.576597335, -1.19603513, 1.91009114, -0.0114534045}, true},
};

START_TEST(torch_options) {
    struct rig rig = {0};
    declare(&rig, "p", 4);
    opened(&rig, torch[_i].yaml);
    for (int i = 0; i < 4; ++i) rig.params.value[i] = (real)start[i];
    for (int k = 0; k < 25; ++k) {
        for (int i = 0; i < 4; ++i) rig.params.grad[i] = (real)gradient(k, i);
        snn_optim_step(rig.optim, &rig.device, 1, torch[_i].cycled ? 0.85 + 0.01 * (k % 10) : NAN);
    }
    for (int i = 0; i < 4; ++i) {
        double error = fabs((double)rig.params.value[i] - torch[_i].end[i]);
        ck_assert_msg(error < 2e-6, "%s: element %d is off by %.3g", torch[_i].yaml, i, error);
    }
    closed(&rig);
}
END_TEST

START_TEST(clip_golden) {
    if (!shared_dir()) {
        fprintf(stderr, "skipped: no reference data for clipping\n");
        return;
    }
    char path[4400];
    snprintf(path, sizeof path, "%s/golden/ops/clip_grad_norm.safetensors", shared_dir());
    struct snn_st *file;
    ck_ok(snn_st_open(path, &file));
    json_t *json = case_of(file);
    double a[12], b[7], ca[12], cb[7], norm;
    read_tensor(file, "a", a, 12), read_tensor(file, "b", b, 7);
    read_tensor(file, "ca", ca, 12), read_tensor(file, "cb", cb, 7);
    read_tensor(file, "norm", &norm, 1);
    struct rig rig = {0};
    struct snn_param *pa = declare(&rig, "a", 12), *pb = declare(&rig, "b", 7);
    opened(&rig, "adam");
    for (int i = 0; i < 12; ++i) pa->grad[i] = (real)a[i];
    for (int i = 0; i < 7; ++i) pb->grad[i] = (real)b[i];
    double found = clip(&rig, json_number_value(json_object_get(json, "max_norm")));
    ck_assert_double_eq_tol(found, norm, 1e-6 * norm);
    for (int i = 0; i < 12; ++i) ck_assert_double_eq_tol(pa->grad[i], ca[i], 1e-6);
    for (int i = 0; i < 7; ++i) ck_assert_double_eq_tol(pb->grad[i], cb[i], 1e-6);
    closed(&rig);
    json_decref(json);
    snn_st_close(&file);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("optim_reference");
    TCase *reference = tcase_create("reference"), *clip = tcase_create("clip");
    tcase_add_test(reference, golden);
    tcase_add_loop_test(reference, torch_options, 0, sizeof torch / sizeof *torch);
    tcase_add_test(clip, clip_golden);
    suite_add_tcase(suite, reference);
    suite_add_tcase(suite, clip);
    return run_suite(suite);
}
