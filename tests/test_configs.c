/* SPDX-License-Identifier: Apache-2.0
 * test_configs.c - the configs that come with the program: each is read, its parameters are counted against what its
 * first lines say, and its network takes a training step on a small batch that is made up, in every stage. */
#include "made_data.h"

#include <ctype.h>
#include <glob.h>
#include <math.h>

#include "train/device.h"
#include "train/experiment.h"
#include "train/metrics.h"
#include "train/step.h"

enum { SAMPLES = 1, STEPS = 2, FLAT_STEPS = 24 };

static glob_t found;
static char text[1 << 14]; /* of the config, as much as fits */

static void find_configs(void) {
    static const char *const folders[] = {"", "/papers", "/models"};
    const char *source = getenv("SNN_SOURCE");
    char pattern[4096 + 32];
    for (int i = 0; i < 3; ++i) {
        snprintf(pattern, sizeof pattern, "%s/configs%s/*.yaml", source ? source : ".", folders[i]);
        if (glob(pattern, i ? GLOB_APPEND : 0, NULL, &found)) continue;
    }
}

/* "12,630,858 parameters" of the first lines; 0: they do not say */
static ptrdiff_t parameters_said(void) {
    const char *at = strstr(text, " parameters"), *end = strstr(text, "\ndata:");
    ptrdiff_t count = 0, place = 1;
    if (!at || !end || at > end) return 0;
    while (at > text && (isdigit((unsigned char)at[-1]) || at[-1] == ',')) {
        --at;
        if (*at == ',') continue;
        count += (*at - '0') * place, place *= 10;
    }
    return count;
}

static void open_config(const char *path, struct snn_experiment *e) {
    struct snn_experiment_options options = {.device = "cpu", .threads = 1};
    struct snn_conf_doc *doc;
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    text[size] = 0;
    fclose(file);
    ck_ok(snn_conf_parse(text, size, path, &doc));
    ck_ok(snn_experiment_read(doc, &options, e));
}

struct made_input {
    float *frames;
    int32_t *row, *index;
    int32_t small[3 * SAMPLES];
    float target[SAMPLES * 8];
};

/* Images, frames, or lists of events, of which every fourth unit has one. */
static struct snn_batch batch_for(const struct snn_experiment *e, int32_t T, struct made_input *made) {
    const struct snn_tensor *x = e->network.model.tape.input;
    int32_t rows = SAMPLES * (x->is_static ? 1 : T), entries = 0;
    size_t count = (size_t)rows * (size_t)x->units;
    uint32_t seed = 3;
    *made = (struct made_input){.frames = calloc(count, sizeof(float)),
                                .row = calloc((size_t)rows + 1, sizeof(int32_t)),
                                .index = calloc(count, sizeof(int32_t))};
    ck_assert(made->frames && made->row && made->index && e->network.targets <= 8);
    for (int32_t r = 0; r < rows; made->row[++r] = entries)
        for (int32_t i = 0; i < x->units; ++i) {
            bool event = made_noise(&seed) % 4 == 0;
            if (event) made->index[entries++] = i;
            made->frames[(ptrdiff_t)r * x->units + i] =
                x->is_sparse ? event : (float)(made_noise(&seed) % 256) / 128 - 1;
        }
    for (int32_t b = 0; b < SAMPLES; ++b)
        made->small[b] = b, made->small[SAMPLES + b] = T, made->small[2 * SAMPLES + b] = b;
    bool events = x->is_sparse && !x->is_static;
    return (struct snn_batch){.form = x->is_static ? SNN_BATCH_STATIC
                                      : events     ? SNN_BATCH_EVENTS
                                                   : SNN_BATCH_FRAMES,
                              .T = T,
                              .B = SAMPLES,
                              .C = e->input[0],
                              .H = e->input[1],
                              .W = e->input[2],
                              .frames = events ? NULL : made->frames,
                              .row = events ? made->row : NULL,
                              .index = events ? made->index : NULL,
                              .label = made->small,
                              .length = made->small + SAMPLES,
                              .sample = made->small + 2 * SAMPLES,
                              .target = e->network.targets ? made->target : NULL,
                              .targets = e->network.targets};
}

static void train_a_step(struct snn_experiment *e, const char *path) {
    struct snn_network *n = &e->network;
    int32_t most = e->input[1] > 1 && e->input[2] > 1 ? STEPS : FLAT_STEPS, T = most;
    if (e->data.timesteps > 0 && e->data.timesteps < most) T = (int32_t)e->data.timesteps;
    struct made_input made;
    struct snn_batch batch = batch_for(e, T, &made);
    struct snn_network_plan plan = {.T = T, .B = SAMPLES, .cut = snn_trainer_cut(&e->trainer, T), .train = true};
    struct snn_metrics metrics;
    ck_ok(snn_network_allocate(n, &plan));
    snn_params_init(&n->model.params, 0, n->model.params.value);
    snn_metrics_init(&metrics, n, T, NULL, 1);
    struct snn_step step = {.seed = 1, .samples = SAMPLES, .first = true, .last = true, .clip = NAN};
    step.rate = snn_schedule_rate(e->schedule, 0, 0);
    snn_metrics_start(&metrics, n);
    ck_ok(snn_step(n, &e->trainer, &batch, &step));
    ck_ok(snn_metrics_look(&metrics, n));
    ck_assert_msg(isfinite(metrics.score[0].loss), "%s: loss %g", path, metrics.score[0].loss);
    bool moves = false;
    for (ptrdiff_t i = 0; i < n->model.params.learned; ++i) {
        ck_assert_msg(isfinite((double)n->model.params.value[i]), "%s: a parameter is not finite", path);
        moves = moves || n->model.params.grad[i] != 0;
    }
    ck_assert_msg(moves, "%s: has no gradient", path);
    snn_metrics_free(&metrics);
    free(made.frames), free(made.row), free(made.index);
}

START_TEST(config_trains) {
    const char *path = found.gl_pathv[_i];
    struct snn_experiment e;
    open_config(path, &e);
    ptrdiff_t parameters = 0, said = parameters_said();
    for (int i = 0; i < e.network.model.params.count; ++i)
        if (!e.network.model.params.list[i]->buffer) parameters += e.network.model.params.list[i]->count;
    ck_assert_msg(!said || said == parameters, "%s: has %td parameters, not %td", path, parameters, said);
    ck_assert_msg(said || !strstr(path, "/models/"), "%s: does not say how many parameters it has", path);
    for (int stage = 0; stage < (e.stage_count ? e.stage_count : 1); ++stage) {
        if (stage) ck_ok(snn_experiment_enter(&e, stage));
        train_a_step(&e, path);
    }
    snn_experiment_close(&e);
}
END_TEST

int main(void) {
    find_configs();
    Suite *suite = suite_create("configs");
    TCase *t = tcase_create("configs");
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, config_trains, 0, (int)found.gl_pathc);
    suite_add_tcase(suite, t);
    int status = run_suite(suite);
    globfree(&found);
    return status;
}
