/* SPDX-License-Identifier: Apache-2.0
 * cmd_eval.c - snntrain eval */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "cli.h"
#include "core/status.h"
#include "layers/biper.h"
#include "train/evaluate.h"
#include "train/runlog.h"

static json_t *confusion_json(const struct snn_metrics *m) {
    if (!m->classes) return json_null();
    json_t *rows = json_array();
    for (int32_t i = 0; i < m->classes; ++i) {
        json_t *row = json_array();
        for (int32_t j = 0; j < m->classes; ++j)
            json_array_append_new(row, json_integer(m->confusion[(ptrdiff_t)i * m->classes + j]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void print_confusion(const struct snn_metrics *m, const struct snn_dataset *set) {
    if (!m->classes || m->classes > 20) return;
    printf("\n%12s", "true \\ said");
    for (int32_t j = 0; j < m->classes; ++j) printf("%6d", (int)j);
    printf("   recall\n");
    for (int32_t i = 0; i < m->classes; ++i) {
        int64_t all = 0, right = m->confusion[(ptrdiff_t)i * m->classes + i];
        printf("%2d %-9.9s", (int)i, set->info.class_name ? set->info.class_name[i] : "");
        for (int32_t j = 0; j < m->classes; ++j) {
            int64_t n = m->confusion[(ptrdiff_t)i * m->classes + j];
            all += n;
            if (n) printf("%6lld", (long long)n);
            else printf("%6s", ".");
        }
        printf("   %5.1f %%\n", all ? 100.0 * (double)right / (double)all : 0);
    }
}

/* Binary periodic weights: how far the square wave is from the sine, measured, and as the law of layers/biper.h has it
 * for a Laplace law with the mean of |w| that there is. */
struct wave {
    const char *layer;
    double frequency, z, measured;
    struct snn_biper_error law;
};

/* False: the node makes no such weights. */
static bool measure_wave(const struct cli_trained *t, const struct snn_node *node, struct wave *out) {
    if (!snn_node_is_periodic(node)) return false;
    struct snn_device *device = t->e.network.device;
    const struct snn_param *w = node->param[0];
    size_t bytes = (size_t)w->count * sizeof(real);
    void *values;
    double frequency = ((const struct snn_periodic_options *)node->options)->frequency, size = 0, squares = 0;
    if (snn_borrow(device, w->value, bytes, &values) < 0) return false;
    for (ptrdiff_t i = 0; i < w->count; ++i) {
        double x = (double)((const real *)values)[i], sine = sin(frequency * x);
        size += fabs(x) / (double)w->count;
        squares += pow((sine > 0) - (sine < 0) - sine, 2) / (double)w->count;
    }
    snn_borrow_end(device, w->value, bytes, values, false);
    *out = (struct wave){node->name, frequency, frequency * size, squares, snn_biper_error(frequency * size)};
    return true;
}

/* NULL: there are none. */
static json_t *waves_json(const struct cli_trained *t) {
    const struct snn_tape *tape = &t->e.network.model.tape;
    json_t *list = json_array();
    struct wave wave;
    for (int i = 0; i < tape->nodes; ++i)
        if (measure_wave(t, tape->node[i], &wave))
            json_array_append_new(list, json_pack("{s:s,s:f,s:f,s:f,s:f,s:f,s:f}", "layer", wave.layer, "frequency",
                                                  wave.frequency, "z", wave.z, "error", wave.measured, "error_laplace",
                                                  wave.law.plain, "error_laplace_best", wave.law.best, "scale_best",
                                                  wave.law.A));
    if (json_array_size(list)) return list;
    json_decref(list);
    return NULL;
}

static void print_waves(const struct cli_trained *t) {
    const struct snn_tape *tape = &t->e.network.model.tape;
    struct wave wave;
    for (int i = 0; i < tape->nodes; ++i)
        if (measure_wave(t, tape->node[i], &wave))
            printf("%s: frequency * mean |w| = %.3f; mean (sign - sine)^2 = %.4f, of a Laplace law %.4f, with the best "
                   "scale %.3f %.4f\n",
                   wave.layer, wave.z, wave.measured, wave.law.plain, wave.law.A, wave.law.best);
}

static json_t *result_json(const struct cli_trained *t, const struct snn_metrics *m, const char *split) {
    const struct snn_score *s = &m->score[m->scores - 1];
    double n = m->samples ? (double)m->samples : 1;
    return json_pack("{s:s,s:s,s:I,s:o,s:o,s:f,s:o,s:i,s:f,s:f,s:o}", "split", split, "checkpoint", t->checkpoint,
                     "samples", (json_int_t)m->samples, "correct", m->classes ? json_integer(s->correct) : json_null(),
                     "accuracy", snn_json_number(snn_metrics_accuracy(m)), "loss", snn_metrics_loss(m), "rmse",
                     snn_json_number(snn_metrics_rmse(m)), "timesteps", (int)s->timesteps, "spikes_per_sample",
                     s->spikes / n, "synops_per_sample", s->synops / n, "confusion", confusion_json(m));
}

static void print_result(const struct cli *cli, const struct cli_trained *t, bool hard, const struct snn_metrics *m,
                         const char *split) {
    const struct snn_score *s = &m->score[m->scores - 1];
    double n = m->samples ? (double)m->samples : 1;
    if (!hard) cli_say_device(cli, &t->e.device);
    if (cli->hard) printf("%s\n", hard ? "\nhard spikes:" : "soft spikes:");
    if (m->classes)
        printf("%s: %.2f %% (%lld of %lld), loss %.4f, %d steps\n", split, 100 * snn_metrics_accuracy(m),
               (long long)s->correct, (long long)m->samples, snn_metrics_loss(m), (int)s->timesteps);
    else {
        printf("%s: loss %.6f, %lld samples, %d steps", split, snn_metrics_loss(m), (long long)m->samples,
               (int)s->timesteps);
        if (m->is_mse) printf("; root mean square error %.4g", snn_metrics_rmse(m));
        printf("\n");
    }
    printf("a sample: %.0f spikes, %.3g synaptic operations, %.3g multiply-adds, about %.3g uJ (45 nm constants)\n",
           s->spikes / n, s->synops / n, s->macs / n, snn_energy_uj(s->macs / n, s->synops / n));
    if (!cli->quiet) print_confusion(m, t->e.set);
}

/* `json` receives the result where JSON is wanted. */
static int evaluate(const struct cli *cli, struct cli_trained *t, bool hard, int subset, const char *split,
                    int32_t timesteps, json_t **json) {
    struct snn_metrics m;
    struct snn_bar bar;
    FILE *predictions = NULL;
    if (timesteps > t->e.steps)
        return snn_error(SNN_EUSAGE, "--timesteps %d: the data has %d steps", (int)timesteps, (int)t->e.steps);
    if (cli->predictions && !hard) { /* of the network as it was trained */
        predictions = fopen(cli->predictions, "w");
        if (!predictions) return snn_error(SNN_EFAIL, "%s: cannot be written: %s", cli->predictions, strerror(errno));
    }
    snn_metrics_init(&m, &t->e.network, t->e.steps, timesteps ? &timesteps : NULL, 1);
    snn_bar_start(&bar, split, snn_loader_samples(t->e.loader[subset]), !cli->quiet);
    struct snn_evaluate_options options = {
        .subset = subset, .costs = true, .predictions = predictions, .bar = &bar, .stop = &cli_stop};
    int rc = snn_evaluate(&t->e, &options, &m);
    snn_bar_clear(&bar);
    if (predictions && fclose(predictions) && rc >= 0)
        rc = snn_error(SNN_EFAIL, "%s: cannot be written: %s", cli->predictions, strerror(errno));
    if (rc >= 0 && cli->json) {
        json_t *waves = waves_json(t);
        *json = result_json(t, &m, split);
        if (waves) json_object_set_new(*json, "binary_weights", waves);
    } else if (rc >= 0) {
        print_result(cli, t, hard, &m, split);
        if (!cli->quiet) print_waves(t);
    }
    snn_metrics_free(&m);
    return rc;
}

static int open_and_evaluate(struct cli *cli, bool hard, int subset, const char *split, int32_t timesteps,
                             json_t **json) {
    struct cli_trained t;
    struct cli as = *cli;
    as.hard = hard;
    SNN_TRY(cli_open_trained(&as, cli->arg[0], subset, 0, true, &t));
    int rc =
        cli->hard && !t.e.network.model.soft
            ? snn_error(SNN_EUSAGE, "--hard: the network has no neurons with soft spikes (ultralif and its family)")
            : SNN_OK;
    if (rc >= 0) rc = evaluate(cli, &t, hard, subset, split, timesteps, json);
    cli_close_trained(&t);
    return rc;
}

int cmd_eval(struct cli *cli) {
    json_t *soft = NULL, *hard = NULL;
    int subset;
    const char *split = cli->split ? cli->split : "test";
    char *end = NULL;
    long timesteps = cli->timesteps ? strtol(cli->timesteps, &end, 10) : 0;
    SNN_TRY(cli_expect_args(cli, 1, 1));
    SNN_TRY(cli_subset(split, &subset));
    if (cli->timesteps && (*end || timesteps < 1 || timesteps > 1000000))
        return snn_error(SNN_EUSAGE, "--timesteps: expected a number of steps, got '%s'", cli->timesteps);
    int rc = open_and_evaluate(cli, false, subset, split, (int32_t)timesteps, &soft);
    if (rc >= 0 && cli->hard) rc = open_and_evaluate(cli, true, subset, split, (int32_t)timesteps, &hard);
    if (rc >= 0 && hard) json_object_set(soft, "hard", hard);
    json_decref(hard);
    if (rc >= 0 && cli->json) return cli_print_json(soft);
    json_decref(soft);
    return rc;
}
