/* SPDX-License-Identifier: Apache-2.0 */
#include "train/experiment.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "core/safetensors.h"
#include "core/status.h"
#include "train/checkpoint.h"
#include "train/device.h"
#include "train/penalty.h"

static const char *const none[] = {"none", NULL};
static const char *const decide_words[] = {"mean", "sum", "max", "last", "softmax_sum", "first_spike", "auto", NULL};
enum { DECIDE_AUTO = SNN_DECIDE_FIRST_SPIKE + 1 };
static const char *const keep_names[] = {"best", "last", NULL};

struct top {
    long long seed;
    struct snn_conf *data, *model, *train, *run;
};
const struct snn_key snn_top_keys[] = {
    {"seed", SNN_INT, offsetof(struct top, seed), "0", 0, 9e15, NULL,
     "of initial weights, order, dropout and random coding"},
    {"data", SNN_NODE, offsetof(struct top, data), NULL, 0, 0, NULL, "the data set and how it becomes batches"},
    {"model", SNN_NODE, offsetof(struct top, model), NULL, 0, 0, NULL, "list of layers"},
    {"train", SNN_NODE, offsetof(struct top, train), "{}", 0, 0, NULL, "how it is trained"},
    {"run", SNN_NODE, offsetof(struct top, run), "{}", 0, 0, NULL, "where results go"},
    {0},
};

#define TRAIN(field) offsetof(struct snn_train_config, field)
static const char *const recompute_words[] = {"none", "auto", NULL};
const struct snn_key snn_train_keys[] = {
    {"rule", SNN_NODE, TRAIN(rule), "bptt", 0, 0, NULL, "learning rule: NAME or {name, keys}"},
    {"epochs", SNN_INT, TRAIN(epochs), "20", 1, 1e6, NULL, "passes over the training data"},
    {"batch", SNN_INT, TRAIN(batch), "64", 1, 1 << 20, NULL, "samples a batch"},
    {"accumulate", SNN_INT, TRAIN(accumulate), "1", 1, 1 << 16, NULL, "batches an optimiser step"},
    {"recompute", SNN_INT, TRAIN(recompute), "none", 1, 1e6, recompute_words,
     "less memory, more time: only the spikes of every Nth spiking layer are kept for backward, the layers in between "
     "run again; auto: the N that needs least"},
    {"loss", SNN_NODE, TRAIN(loss), "ce", 0, 0, NULL, "NAME, {name, over, ...}, or a list of terms, each with weight"},
    {"decide", SNN_CHOICE, TRAIN(decide), "auto", 0, 0, decide_words,
     "how a class is read out of the outputs in time; auto: as the loss draws the steps together"},
    {"optimizer", SNN_NODE, TRAIN(optimizer), "adam", 0, 0, NULL, "NAME or {name, lr, ..., groups}"},
    {"schedule", SNN_NODE, TRAIN(schedule), "constant", 0, 0, NULL, "of the learning rate: NAME or {name, per, ...}"},
    {"clip", SNN_REAL, TRAIN(clip), "none", 1e-12, 1e12, none, "largest L2 norm of the gradient"},
    {"anneal", SNN_NODE, TRAIN(anneal), "[]", 0, 0, NULL,
     "numbers of layers that move: [{key, to, until, shape, per}]"},
    {"stages", SNN_NODE, TRAIN(stages), "[]", 0, 0, NULL,
     "parts of the run, each with keys of its own: [{epochs}, {epochs, from: best, set: {key: value}}]"},
    {"from", SNN_NODE, TRAIN(from), "none", 0, 0, NULL, "weights to start from: {file: F, map: {theirs: ours}}"},
    {"freeze", SNN_NODE, TRAIN(freeze), "[]", 0, 0, NULL, "parameters that keep their values, by name pattern"},
    {0},
};

#define RUN(field) offsetof(struct snn_run_config, field)
const struct snn_key snn_run_keys[] = {
    {"dir", SNN_TEXT, RUN(dir), "runs/snntrain", 0, 0, NULL, "run folder"},
    {"keep", SNN_CHOICE, RUN(keep), "best", 0, 0, keep_names,
     "which epoch is the result: best validation accuracy, or lowest loss where there are no classes (last without "
     "validation), or last"},
    {"stop", SNN_NODE, RUN(stop), "none", 0, 0, NULL,
     "early stop: {metric: validation.loss | validation.accuracy, patience: N}"},
    {"checkpoint_every", SNN_TEXT, RUN(checkpoint_every), "1 epoch", 0, 0, NULL, "N epochs, N steps or N min"},
    {0},
};

/* ---- the small parts of the sections ---- */

static const char *const metric_names[] = {"validation.loss", "validation.accuracy", NULL};
struct stop_keys {
    int metric;
    long long patience;
};
static const struct snn_key stop_keys[] = {
    {"metric", SNN_CHOICE, offsetof(struct stop_keys, metric), "validation.loss", 0, 0, metric_names,
     "what must improve"},
    {"patience", SNN_INT, offsetof(struct stop_keys, patience), "10", 1, 1e6, NULL, "epochs without improvement"},
    {0},
};

static bool is_word(const struct snn_conf *node, const char *word) {
    return node->kind == SNN_CONF_SCALAR && !strcmp(node->text, word);
}

static int read_stop(struct snn_experiment *e) {
    struct stop_keys keys;
    if (is_word(e->run.stop, "none")) return SNN_OK;
    if (e->run.stop->kind != SNN_CONF_MAP)
        return snn_conf_error(e->run.stop, "expected none or {metric: ..., patience: N}");
    SNN_TRY(snn_conf_read(e->run.stop, stop_keys, &keys));
    if (e->data.validation.by == SNN_VALIDATION_NONE)
        return snn_conf_error(e->run.stop, "early stop needs validation data (data.validation)");
    e->stop = (struct snn_stop){true, keys.metric == 1, keys.patience};
    return SNN_OK;
}

static int read_every(struct snn_experiment *e) {
    const char *text = e->run.checkpoint_every;
    char *end;
    double n = strtod(text, &end);
    while (*end == ' ') ++end;
    struct snn_conf *at = snn_conf_at(e->doc, "run.checkpoint_every");
    if (end == text || !(n > 0) || !isfinite(n))
        return snn_conf_error(at, "expected N epoch, N steps or N min, got '%s'", text);
    if (!strcmp(end, "epoch") || !strcmp(end, "epochs")) e->every.epochs = floor(n) < 1 ? 1 : floor(n);
    else if (!strcmp(end, "step") || !strcmp(end, "steps")) e->every.steps = floor(n) < 1 ? 1 : floor(n);
    else if (!strcmp(end, "min")) e->every.minutes = n;
    else return snn_conf_error(at, "expected N epoch, N steps or N min, got '%s'", text);
    return SNN_OK;
}

static const char *const shape_names[] = {"linear", "exp", "cosine", NULL}, *const per_names[] = {"epoch", "step",
                                                                                                  NULL};
static const struct snn_key anneal_keys[] = {
    {"key", SNN_TEXT, offsetof(struct snn_anneal, key), NULL, 0, 0, NULL,
     "path of a number in a layer, model.2.lif.tau"},
    {"to", SNN_REAL, offsetof(struct snn_anneal, to), NULL, -1e12, 1e12, NULL, "value at the end"},
    {"until", SNN_REAL, offsetof(struct snn_anneal, until), "1", 1e-9, 1, NULL,
     "share of the run after which it stays"},
    {"shape", SNN_CHOICE, offsetof(struct snn_anneal, shape), "linear", 0, 0, shape_names, "of the way there"},
    {"per", SNN_CHOICE, offsetof(struct snn_anneal, per), "step", 0, 0, per_names, "when it moves"},
    {0},
};

static void take_number(void *payload, double *number) { *(double *)payload = *number; }
static void set_number(void *payload, double *number) { *number = *(double *)payload; }

/* Layers may be given by their `name:`; numbers are found by index. */
static int settle_key(struct snn_conf *item, struct snn_anneal *a) {
    char path[512];
    struct snn_conf *key = snn_conf_get(item, "key"), *at = snn_conf_at(item->doc, a->key);
    if (!at || !strcmp(snn_conf_path(at, path, sizeof path), a->key)) return SNN_OK;
    SNN_TRY(snn_conf_assign(key, path));
    a->key = key->text;
    return SNN_OK;
}

static int read_anneal(struct snn_experiment *e) {
    struct snn_conf *list = e->train.anneal;
    if (list->kind != SNN_CONF_LIST) return snn_conf_error(list, "expected a list: [{key: ..., to: ...}]");
    for (struct snn_conf *item = list->first; item; item = item->next) {
        struct snn_anneal *a = &e->anneal[e->anneals];
        if (e->anneals++ == SNN_ANNEALS) return snn_conf_error(item, "at most %d numbers are annealed", SNN_ANNEALS);
        if (item->kind != SNN_CONF_MAP) return snn_conf_error(item, "expected {key: ..., to: ...}");
        SNN_TRY(snn_conf_read(item, anneal_keys, a));
        SNN_TRY(settle_key(item, a));
        if (!snn_model_numbers(&e->network.model, a->key, take_number, &a->from))
            return snn_conf_error(item, "'%s' is not a number of a layer that can move", a->key);
        if (isnan(a->from)) return snn_conf_error(item, "'%s' has no starting value", a->key);
        if (a->shape == 1 && a->from * a->to <= 0)
            return snn_conf_error(item, "shape: exp needs a start and an end of one sign, got %g and %g", a->from,
                                  a->to);
        const struct snn_key *key = snn_model_number_key(&e->network.model, a->key);
        if ((key->min != 0 || key->max != 0) && (a->to < key->min || a->to > key->max))
            return snn_conf_error(snn_conf_get(item, "to"), "'%s' goes from %g to %g, got %g", a->key, key->min,
                                  key->max, a->to);
    }
    return SNN_OK;
}

double snn_anneal_value(const struct snn_anneal *a, double epochs, double progress) {
    if (a->per == 0) progress = floor(progress * epochs + 1e-9) / epochs; /* what the epoch began with */
    double p = fmin(progress / a->until, 1);
    if (a->shape == 1) return a->from * pow(a->to / a->from, p);
    return a->from + (a->to - a->from) * (a->shape == 2 ? 0.5 * (1 - cos(3.14159265358979323846 * p)) : p);
}

void snn_experiment_anneal(struct snn_experiment *e, double progress) {
    for (int i = 0; i < e->anneals; ++i) {
        double value = snn_anneal_value(&e->anneal[i], (double)e->train.epochs, progress);
        snn_model_numbers(&e->network.model, e->anneal[i].key, set_number, &value);
    }
}

struct from_keys {
    const char *file;
    struct snn_conf *map;
};
static const struct snn_key from_keys[] = {
    {"file", SNN_TEXT, offsetof(struct from_keys, file), NULL, 0, 0, NULL, "a safetensors file"},
    {"map", SNN_NODE, offsetof(struct from_keys, map), "{}", 0, 0, NULL, "their tensor name: our parameter name"},
    {0},
};

static int read_from(struct snn_experiment *e, struct from_keys *keys) {
    *keys = (struct from_keys){0};
    if (is_word(e->train.from, "none")) return SNN_OK;
    if (e->train.from->kind != SNN_CONF_MAP)
        return snn_conf_error(e->train.from, "expected none or {file: F, map: {...}}");
    SNN_TRY(snn_conf_read(e->train.from, from_keys, keys));
    if (keys->map->kind != SNN_CONF_MAP) return snn_conf_error(keys->map, "expected {their name: our name}");
    for (struct snn_conf *m = keys->map->first; m; m = m->next)
        if (m->kind != SNN_CONF_SCALAR || !snn_params_find(&e->network.model.params, m->text))
            return snn_conf_error(m, "expected the name of a parameter (`snntrain plan` lists them)");
    return SNN_OK;
}

/* ---- the whole ---- */

static struct snn_model_input input_of(const struct snn_experiment *e, const struct snn_experiment_options *options) {
    bool spikes = e->about.kind == SNN_RECORDINGS || e->about.spikes || e->data.coding != SNN_CODING_DIRECT,
         still = e->about.kind == SNN_IMAGES || snn_dataset_is_still(&e->about);
    return (struct snn_model_input){.C = e->input[0],
                                    .H = e->input[1],
                                    .W = e->input[2],
                                    .is_static = still && !spikes,
                                    .is_sparse = spikes,
                                    .wants_grad = options->double_check,
                                    .hard = options->hard,
                                    .steps = e->data.timesteps > 0 ? (int32_t)e->data.timesteps : e->about.steps,
                                    .step_seconds =
                                        e->about.kind == SNN_RECORDINGS ? snn_data_step_seconds(&e->data) : 0};
}

static int open_set(struct snn_experiment *e, const char *data_dir) {
    if (e->set) return SNN_OK;
    SNN_TRY(snn_dataset_open(e->data.name, data_dir, e->data.root, snn_data_set_options(&e->data), &e->set));
    e->set->watch = e->options.watch;
    e->about = e->set->info;
    return SNN_OK;
}

/* `auto` becomes what it means, in the config too. */
static int settle_decide(struct snn_experiment *e) {
    if (e->train.decide == DECIDE_AUTO) {
        e->train.decide = (int)snn_loss_decide(&e->network.loss);
        SNN_TRY(snn_conf_assign(snn_conf_at(e->doc, "train.decide"), snn_decide_names[e->train.decide]));
    }
    e->network.decide = (enum snn_decide)e->train.decide;
    return SNN_OK;
}

/* Class weights that balance the training samples: the config gets the numbers, so that a run needs no labels to go on
 * or to be evaluated. */
static int balance_classes(struct snn_experiment *e) {
    if (!e->loader[SNN_SUBSET_TRAIN] || !snn_loss_wants_balance(&e->network.loss)) return SNN_OK;
    int64_t *samples = calloc((size_t)e->about.classes, sizeof *samples);
    if (!samples) return snn_error(SNN_EFAIL, "out of memory");
    snn_loader_labels(e->loader[SNN_SUBSET_TRAIN], samples);
    int rc = snn_loss_balance(&e->network.loss, e->about.classes, samples);
    free(samples);
    return rc;
}

/* The shape of the input; where it lies in the files, they are opened for it. */
static int settle_input(struct snn_experiment *e, const char *data_dir) {
    e->about = snn_dataset_about(snn_dataset_find(e->data.name), snn_data_set_options(&e->data));
    if (!e->about.C) SNN_TRY(open_set(e, data_dir));
    SNN_TRY(snn_data_input(&e->data, &e->about, e->input));
    struct snn_network *n = &e->network;
    n->regression = e->about.classes == 0, n->targets = e->about.targets, n->target_steps = e->about.target_steps;
    return SNN_OK;
}

/* Keys that ask for an accuracy, where there are no classes. */
static int check_regression(const struct snn_experiment *e) {
    const struct snn_conf *metric = snn_conf_get(e->train.schedule, "metric");
    if (!e->network.regression) return SNN_OK;
    if (e->stop.on && e->stop.by_accuracy)
        return snn_conf_error(snn_conf_get(e->run.stop, "metric"), "%s has no classes: expected validation.loss",
                              e->data.name);
    if (metric && is_word(metric, "accuracy"))
        return snn_conf_error(metric, "%s has no classes: expected loss", e->data.name);
    return SNN_OK;
}

static int check_outputs(const struct snn_experiment *e, const struct snn_conf *model) {
    const struct snn_tensor *out = e->network.model.tape.output;
    if (!e->network.regression || (out->nd == 1 && out->units == e->about.targets)) return SNN_OK;
    return snn_conf_error(model, "the network gives %td numbers, but a target of %s has %d: end with `- linear: %d`",
                          out->units, e->data.name, (int)e->about.targets, (int)e->about.targets);
}

/* Steps that delays append belong to no cut and have no target of their own. */
static int check_appended(const struct snn_experiment *e, const struct snn_conf *model) {
    int steps = (int)e->network.model.tape.output->appended;
    if (!steps) return SNN_OK;
    if (!snn_trainer_sees_all(&e->trainer))
        return snn_conf_error(e->train.rule, "cuts the steps, but delays append %d to the last one (right): use bptt",
                              steps);
    if (e->network.target_steps)
        return snn_conf_error(model, "%s has a target for every step, but delays append %d (right)", e->data.name,
                              steps);
    return SNN_OK;
}

enum { WHOLE = -1, PIECES_AUTO = -2 }; /* the words of data.pieces */

/* A piece is so many whole cuts, and so many changes of the weights. */
static int settle_pieces(struct snn_experiment *e) {
    const struct snn_conf *at = snn_conf_at(e->doc, "data.pieces");
    const bool sees_all = snn_trainer_sees_all(&e->trainer);
    const int32_t update = snn_trainer_update(&e->trainer), cut = snn_trainer_cut(&e->trainer, INT32_MAX);
    const bool still = e->about.kind == SNN_IMAGES || snn_dataset_is_still(&e->about);
    long long pieces = e->pieces;
    if (pieces == PIECES_AUTO) {
        const int32_t unit = update > cut ? update : cut;
        pieces = sees_all || still ? WHOLE : (SNN_APART_MOST + unit - 1) / unit * unit;
    }
    e->data.pieces = pieces;
    if (pieces == WHOLE) return SNN_OK;
    if (still)
        return snn_conf_error(at, "are of recordings and sequences, and a sample of %s is one for all steps",
                              e->data.name);
    if (sees_all)
        return snn_conf_error(at,
                              "the rule %s sees all steps of a recording at once: expected none, or a rule that "
                              "cuts the steps",
                              e->trainer.ops->name);
    if (pieces % cut)
        return snn_conf_error(at, "is %lld, expected a multiple of the %d steps that the rule %s sees at a time",
                              pieces, (int)cut, e->trainer.ops->name);
    if (update && pieces % update)
        return snn_conf_error(at, "is %lld, expected a multiple of the %d steps after which weights change", pieces,
                              (int)update);
    return SNN_OK;
}

/* Rules that cut the steps keep no more than a cut. */
static int settle_recompute(struct snn_experiment *e) {
    struct snn_network *n = &e->network;
    const struct snn_tape *tape = &n->model.tape;
    struct snn_conf *at = snn_conf_at(e->doc, "train.recompute");
    int spiking = 0;
    n->recompute = e->train.recompute == -1   ? 0
                   : e->train.recompute == -2 ? SNN_RECOMPUTE_AUTO
                                              : (int)e->train.recompute;
    if (!n->recompute) return SNN_OK;
    if (!snn_trainer_sees_all(&e->trainer))
        return snn_conf_error(at, "expected none with the rule %s, which cuts the steps", e->trainer.ops->name);
    for (int i = 0; i < tape->nodes; ++i) spiking += snn_makes_spikes(tape->node[i]);
    if (n->recompute >= spiking && n->recompute > 1)
        return snn_conf_error(at, "expected less than the %d layers of spikes that the network has, got %d", spiking,
                              n->recompute);
    return SNN_OK;
}

static int read_rule_and_loss(struct snn_experiment *e) {
    SNN_TRY(snn_trainer_read(e->train.rule, &e->trainer));
    return snn_loss_read(e->train.loss, &e->network.loss);
}

/* As the rule needs it, and with what it wants of the layers. The gradient check is of gradients: it takes only the
 * rule's word for whether it can train the network. */
static int build_model(struct snn_experiment *e, struct snn_conf *model, struct snn_model_input input) {
    struct snn_network *n = &e->network;
    struct snn_model_input plain = input;
    snn_trainer_need(&e->trainer, &input);
    SNN_TRY(snn_model_build(model, &input, e->about.classes, &n->model));
    n->learner.steps = snn_trainer_update(&e->trainer);
    if (n->learner.steps && e->train.accumulate > 1)
        return snn_conf_error(snn_conf_at(e->doc, "train.accumulate"),
                              "expected 1 with a rule whose weights change within a sequence (update)");
    SNN_TRY(snn_trainer_settle(&e->trainer, n, e->train.rule, e->train.loss));
    if (!e->options.double_check) return SNN_OK;
    snn_model_free(&n->model);
    n->blocks = 0;
    return snn_model_build(model, &plain, e->about.classes, &n->model);
}

/* Everything else but the data and where results go; the shape of the input is known. */
static int read_network(struct snn_experiment *e, struct snn_conf *model) {
    struct snn_network *n = &e->network;
    SNN_TRY(snn_loss_check_targets(&n->loss, e->train.loss, n->regression, n->target_steps));
    struct snn_model_input input = input_of(e, &e->options);
    input.loss = &n->loss;
    SNN_TRY(build_model(e, model, input));
    SNN_TRY(check_outputs(e, model));
    SNN_TRY(snn_loss_check_classes(&n->loss, e->about.classes));
    SNN_TRY(check_appended(e, model));
    SNN_TRY(settle_recompute(e));
    SNN_TRY(snn_model_freeze(&n->model, e->train.freeze));
    SNN_TRY(snn_penalty_settle(n));
    SNN_TRY(snn_optim_open(e->train.optimizer, &n->model.params, &n->optim));
    SNN_TRY(read_anneal(e));
    SNN_TRY(settle_decide(e));
    struct from_keys from;
    SNN_TRY(read_from(e, &from));
    /* The schedule's lengths are known with the data; its keys are judged now. */
    SNN_TRY(snn_schedule_open(e->train.schedule, snn_optim_base_lr(n->optim), e->train.epochs, 1, &e->schedule));
    SNN_TRY(snn_optim_schedules(n->optim, e->train.epochs, 1));
    SNN_TRY(check_regression(e));
    if (!isnan(snn_schedule_rate(e->schedule, 0, 0).beta1) && !snn_optim_has_momentum(n->optim))
        return snn_conf_error(
            e->train.schedule,
            "cycles the momentum, but the optimizer has none: add momentum, or cycle_momentum: false");
    return SNN_OK;
}

static int read_all(struct snn_experiment *e) {
    struct top top;
    struct snn_conf *root = snn_conf_root(e->doc);
    SNN_TRY(snn_conf_read(root, snn_top_keys, &top));
    e->seed = (uint64_t)top.seed;
    if (top.data->kind != SNN_CONF_MAP) return snn_conf_error(top.data, "expected keys: {name: ..., timesteps: ...}");
    if (top.train->kind != SNN_CONF_MAP) return snn_conf_error(top.train, "expected keys: {epochs: ..., ...}");
    if (top.run->kind != SNN_CONF_MAP) return snn_conf_error(top.run, "expected keys: {dir: ..., ...}");
    SNN_TRY(snn_data_config_read(top.data, &e->data));
    SNN_TRY(snn_stages_read(top.train, e->stages, &e->stage_count));
    SNN_TRY(snn_conf_read(top.train, snn_train_keys, &e->train));
    SNN_TRY(snn_conf_read(top.run, snn_run_keys, &e->run));
    SNN_TRY(read_stop(e));
    SNN_TRY(read_every(e));
    e->pieces = e->data.pieces;
    SNN_TRY(read_rule_and_loss(e));
    SNN_TRY(settle_input(e, e->options.data_dir));
    SNN_TRY(settle_pieces(e));
    return read_network(e, top.model);
}

/* ---- stages ---- */

/* "model.0.conv.weight(16,1,5,5) ...": what checkpoints of all stages must have. */
static char *parameters_of(const struct snn_model *m) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    for (int i = 0; i < m->params.count; ++i) {
        const struct snn_param *p = m->params.list[i];
        fprintf(f, "%s%s(", i ? " " : "", p->name);
        for (int d = 0; d < p->nd; ++d) fprintf(f, d ? ",%d" : "%d", (int)p->dim[d]);
        fprintf(f, p->buffer ? ") buffer" : ")");
    }
    fclose(f);
    return text;
}

/* Read the config of stage k in the place of the present one. */
static int read_stage(struct snn_experiment *e, int k) {
    struct snn_conf_doc *doc;
    const struct snn_trainer_ops *rule = e->trainer.ops;
    struct snn_network *n = &e->network;
    struct snn_network empty = {
        .device = n->device, .regression = n->regression, .targets = n->targets, .target_steps = n->target_steps};
    SNN_TRY(snn_stage_config(e->all, e->stages, k, &doc));
    if (e->doc != e->all) snn_conf_free(&e->doc);
    snn_schedule_close(&e->schedule);
    snn_network_free(n);
    *n = empty;
    e->doc = doc, e->stage = k, e->anneals = 0;
    struct snn_conf *train = snn_conf_at(doc, "train");
    int rc = snn_conf_read(train, snn_train_keys, &e->train);
    if (rc >= 0) rc = read_rule_and_loss(e);
    if (rc >= 0) rc = settle_pieces(e);
    if (rc >= 0 && !strcmp(rule->name, e->trainer.ops->name))
        e->trainer.ops = rule; /* which may stand in for that one */
    if (rc >= 0) rc = read_network(e, snn_conf_at(doc, "model"));
    return rc == SNN_EUSAGE ? snn_stage_error(&e->stages[k]) : rc;
}

/* Read them all, and then the first one again. Their parameters are those of the config without `set`. */
static int read_stages(struct snn_experiment *e) {
    char *expected = parameters_of(&e->network.model);
    int rc = expected ? SNN_OK : snn_error(SNN_EFAIL, "out of memory");
    e->all = e->doc;
    for (int k = 0; rc >= 0 && k < e->stage_count; ++k) {
        rc = read_stage(e, k);
        if (rc < 0) break;
        char *found = parameters_of(&e->network.model);
        if (!found) rc = snn_error(SNN_EFAIL, "out of memory");
        else if (strcmp(found, expected))
            rc = snn_conf_error(e->stages[k].set, "gives the network other parameters than it has without: all stages "
                                                  "must have the same");
        free(found);
    }
    free(expected);
    return rc >= 0 && e->stage ? read_stage(e, 0) : rc;
}

/* Steps that are looked at at a time, as loaders are told it: they lay out events as the network then reads them
 * (network.c, takes_by_sample). 0: all. */
static int32_t cut_of(const struct snn_experiment *e) {
    return snn_trainer_sees_all(&e->trainer) ? 0 : snn_trainer_cut(&e->trainer, INT32_MAX);
}

int snn_experiment_enter(struct snn_experiment *e, int k) {
    long long batch = e->train.batch, pieces = e->data.pieces;
    int32_t cut = cut_of(e);
    unsigned open = 0;
    if (k == e->stage) return SNN_OK;
    SNN_TRY(read_stage(e, k));
    for (int i = 0; i < 3; ++i)
        if (e->loader[i] && (batch != e->train.batch || cut != cut_of(e) || pieces != e->data.pieces)) open |= 1u << i;
    return e->set ? snn_experiment_data(e, NULL, open, 0, 0) : SNN_OK;
}

struct snn_network_plan snn_experiment_plan(const struct snn_experiment *e, bool train) {
    return (struct snn_network_plan){.T = e->steps,
                                     .B = (int32_t)e->train.batch,
                                     .cut = snn_trainer_cut(&e->trainer, e->steps),
                                     .piece =
                                         e->data.pieces > 0 && e->data.pieces < e->steps ? (int32_t)e->data.pieces : 0,
                                     .train = train};
}

long long snn_experiment_epochs(const struct snn_experiment *e) {
    long long sum = e->stage_count ? 0 : e->train.epochs;
    for (int k = 0; k < e->stage_count; ++k) sum += e->stages[k].epochs;
    return sum;
}

int snn_experiment_read(struct snn_conf_doc *doc, const struct snn_experiment_options *options,
                        struct snn_experiment *out) {
    *out = (struct snn_experiment){.doc = doc, .options = *options, .warnings = {.file = options->warnings}};
    int rc = snn_device_open(options->device ? options->device : "auto", options->threads, &out->device);
    out->network.device = &out->device;
    if (rc >= 0) rc = read_all(out);
    if (rc >= 0 && out->stage_count) rc = read_stages(out);
    if (rc < 0) snn_experiment_close(out);
    return rc;
}

int snn_experiment_data(struct snn_experiment *e, const char *data_dir, unsigned subsets, int32_t batch,
                        int32_t timesteps) {
    SNN_TRY(open_set(e, data_dir));
    for (int i = 0; i < 3; ++i) {
        if (!(subsets >> i & 1) || (i == SNN_SUBSET_VALIDATION && e->data.validation.by == SNN_VALIDATION_NONE))
            continue;
        struct snn_loader_options options = {.config = &e->data,
                                             .set = e->set,
                                             .subset = i,
                                             .batch = batch ? batch : (int32_t)e->train.batch,
                                             .seed = e->seed,
                                             .shuffle = i == SNN_SUBSET_TRAIN,
                                             .cut = cut_of(e),
                                             .timesteps = timesteps,
                                             .warnings = &e->warnings};
        snn_loader_close(&e->loader[i]);
        SNN_TRY(snn_loader_open(&options, &e->loader[i]));
        int32_t steps = snn_loader_max_steps(e->loader[i]);
        if (steps > e->steps) e->steps = steps;
    }
    if (e->loader[SNN_SUBSET_TRAIN]) {
        int64_t batches = snn_loader_batches(e->loader[SNN_SUBSET_TRAIN]),
                updates = (batches + e->train.accumulate - 1) / e->train.accumulate;
        snn_schedule_close(&e->schedule);
        SNN_TRY(snn_schedule_open(e->train.schedule, snn_optim_base_lr(e->network.optim), e->train.epochs, updates,
                                  &e->schedule));
        SNN_TRY(snn_optim_schedules(e->network.optim, e->train.epochs, updates));
    }
    return balance_classes(e);
}

int snn_experiment_init(struct snn_experiment *e) {
    struct snn_params *params = &e->network.model.params;
    size_t bytes = (size_t)params->size * sizeof(real);
    void *values;
    SNN_TRY(snn_borrow(&e->device, params->value, bytes, &values));
    snn_params_init(params, e->seed, values);
    snn_borrow_end(&e->device, params->value, bytes, values, true);
    struct from_keys from;
    SNN_TRY(read_from(e, &from));
    return from.file ? snn_checkpoint_weights(from.file, from.map, &e->network) : SNN_OK;
}

void snn_experiment_close(struct snn_experiment *e) {
    for (int i = 0; i < 3; ++i) snn_loader_close(&e->loader[i]);
    snn_dataset_close(&e->set);
    snn_schedule_close(&e->schedule);
    snn_network_free(&e->network);
    snn_device_close(&e->device);
    if (e->all != e->doc) snn_conf_free(&e->all);
    snn_conf_free(&e->doc);
}
