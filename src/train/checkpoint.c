/* SPDX-License-Identifier: Apache-2.0 */
#include "train/checkpoint.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "core/status.h"
#include "train/carry.h"

static const char CARRIED[] = "carried";

static struct snn_st_tensor tensor_of(const struct snn_param *p, const char *name, const real *data) {
    struct snn_st_tensor t = {.name = name,
                              .dtype = sizeof(real) == 4 ? SNN_DT_F32 : SNN_DT_F64,
                              .nd = p->nd,
                              .data = data,
                              .bytes = (size_t)p->count * sizeof(real)};
    for (int i = 0; i < p->nd; ++i) t.dim[i] = (uint64_t)p->dim[i];
    return t;
}

/* JSON has no infinity, and a plateau starts from there. */
static json_t *number(double x) {
    return isfinite(x) ? json_real(x) : isnan(x) ? json_null() : json_string(x > 0 ? "inf" : "-inf");
}

static int take_number(const json_t *json, double *x) {
    const char *word = json_string_value(json);
    if (word && strcmp(word, "inf") && strcmp(word, "-inf")) return -1;
    if (!word && !json_is_number(json) && !json_is_null(json)) return -1;
    *x = word ? (*word == '-' ? -INFINITY : INFINITY) : json_is_null(json) ? NAN : json_number_value(json);
    return 0;
}

static json_t *numbers(const double *list, int n) {
    json_t *array = json_array();
    for (int i = 0; i < n; ++i) json_array_append_new(array, number(list[i]));
    return array;
}

static int take_numbers(const json_t *array, double *list, int n) {
    if (!json_is_array(array) || (int)json_array_size(array) != n) return -1;
    for (int i = 0; i < n; ++i)
        if (take_number(json_array_get(array, (size_t)i), &list[i])) return -1;
    return 0;
}

static json_t *state_of(struct snn_experiment *e, const struct snn_progress *p) {
    const struct snn_metrics *m = &p->epoch_sums;
    return json_pack(
        "{s:I,s:I,s:b,s:I,s:I,s:I,s:f,s:f,s:f,s:I,s:o,s:I,s:I,s:I,s:I,s:o,s:o,s:{s:I,s:I,s:f,s:o,s:o}}", "epoch",
        (json_int_t)p->epoch, "batch", (json_int_t)p->batch, "within", p->within, "pieces", (json_int_t)e->data.pieces,
        "step", (json_int_t)p->step, "log_records", (json_int_t)p->log_records, "lr", p->lr, "annealed", p->annealed,
        "best", p->best, "best_epoch", (json_int_t)p->best_epoch, "stop_best", number(p->stop_best), "stop_wait",
        (json_int_t)p->stop_wait, "stage", (json_int_t)p->stage, "stage_epoch", (json_int_t)p->stage_epoch,
        "stage_step", (json_int_t)p->stage_step, "optimizer",
        numbers(snn_optim_numbers(e->network.optim), SNN_OPTIM_NUMBERS), "schedule",
        numbers(snn_schedule_numbers(e->schedule), SNN_SCHEDULE_NUMBERS), "running", "samples", (json_int_t)m->samples,
        "correct", (json_int_t)m->score[0].correct, "loss", m->score[0].loss, "layer_spikes",
        numbers(m->layer_spikes, m->layers), "layer_slots", numbers(m->layer_slots, m->layers));
}

static int restore(const char *path, const char *text, struct snn_experiment *e, struct snn_progress *p) {
    struct snn_metrics *m = &p->epoch_sums;
    json_int_t epoch, batch, step, log_records, best_epoch, stop_wait, samples, correct;
    json_int_t stage = 0, stage_epoch = 0, stage_step = 0; /* not in files of versions that had none */
    json_int_t pieces = e->data.pieces;
    int within = 0;
    json_t *stop_best, *optimizer, *schedule, *spikes, *slots;
    json_t *root = text ? json_loads(text, 0, NULL) : NULL;
    int rc = SNN_OK;
    if (!root ||
        json_unpack(
            root, "{s:I,s:I,s?b,s?I,s:I,s:I,s:F,s:F,s:F,s:I,s:o,s:I,s?I,s?I,s?I,s:o,s:o,s:{s:I,s:I,s:F,s:o,s:o}}",
            "epoch", &epoch, "batch", &batch, "within", &within, "pieces", &pieces, "step", &step, "log_records",
            &log_records, "lr", &p->lr, "annealed", &p->annealed, "best", &p->best, "best_epoch", &best_epoch,
            "stop_best", &stop_best, "stop_wait", &stop_wait, "stage", &stage, "stage_epoch", &stage_epoch,
            "stage_step", &stage_step, "optimizer", &optimizer, "schedule", &schedule, "running", "samples", &samples,
            "correct", &correct, "loss", &m->score[0].loss, "layer_spikes", &spikes, "layer_slots", &slots) ||
        take_number(stop_best, &p->stop_best) ||
        take_numbers(optimizer, snn_optim_numbers(e->network.optim), SNN_OPTIM_NUMBERS) ||
        take_numbers(schedule, snn_schedule_numbers(e->schedule), SNN_SCHEDULE_NUMBERS) ||
        take_numbers(spikes, m->layer_spikes, m->layers) || take_numbers(slots, m->layer_slots, m->layers) ||
        epoch < 0 || batch < 0 || step < 0 || log_records < 0 || stage != e->stage || stage_epoch < 0 ||
        stage_epoch > epoch || stage_step < 0 || stage_step > step)
        rc = snn_error(SNN_EDATA, "%s: holds weights but no usable training state", path);
    else if (batch && pieces != e->data.pieces)
        rc = snn_error(SNN_EDATA, "%s: stands within an epoch of recordings in other pieces (data.pieces)", path);
    else {
        p->epoch = epoch, p->batch = batch, p->step = step, p->log_records = log_records, p->best_epoch = best_epoch,
        p->stop_wait = stop_wait, p->within = within, p->stage = stage, p->stage_epoch = stage_epoch,
        p->stage_step = stage_step;
        m->samples = samples, m->score[0].correct = correct;
        snn_experiment_anneal(e, p->annealed);
    }
    json_decref(root);
    return rc;
}

/* The slabs of a network in host memory: values, then the optimiser's slots. */
struct slabs {
    struct snn_network *network;
    real *of[1 + SNN_OPTIM_SLOTS];
    int count;
};

static real *slab_on_device(const struct slabs *s, int i) {
    return i ? snn_optim_slot(s->network->optim, i - 1) : s->network->model.params.value;
}
static size_t slab_bytes(const struct slabs *s, int i) {
    const struct snn_params *p = &s->network->model.params;
    return (size_t)(i ? p->learned : p->size) * sizeof(real);
}

static int open_slabs(struct snn_network *network, int slots, struct slabs *out) {
    *out = (struct slabs){.network = network};
    for (; out->count <= slots; ++out->count) {
        void *memory;
        SNN_TRY(snn_borrow(network->device, slab_on_device(out, out->count), slab_bytes(out, out->count), &memory));
        out->of[out->count] = memory;
    }
    return SNN_OK;
}

static void close_slabs(struct slabs *s, bool changed) {
    for (int i = 0; i < s->count; ++i)
        snn_borrow_end(s->network->device, slab_on_device(s, i), slab_bytes(s, i), s->of[i], changed);
    s->count = 0;
}

int snn_checkpoint_save(const char *path, struct snn_experiment *e, const struct snn_progress *progress) {
    struct snn_params *params = &e->network.model.params;
    struct snn_optim *optim = e->network.optim;
    struct slabs slabs;
    struct snn_carry carry = {0};
    int slots = snn_optim_slots(optim), count = 0, rc = open_slabs(&e->network, slots, &slabs);
    if (rc >= 0 && progress->within) rc = snn_carry_take(&e->network, &carry);
    struct snn_st_tensor *list = calloc((size_t)params->count * (size_t)(slots + 1) + 1, sizeof *list);
    char(*names)[640] = calloc((size_t)params->count * (size_t)(slots + 1) + 1, sizeof *names);
    char *config = snn_conf_write(snn_conf_root(e->doc)), *state = NULL;
    json_t *json = state_of(e, progress);
    if (json) state = json_dumps(json, JSON_REAL_PRECISION(17) | JSON_COMPACT);
    if (rc >= 0 && (!list || !names || !config || !state))
        rc = snn_error(SNN_EFAIL, "out of memory while %s is written", path);
    for (int i = 0; rc >= 0 && i < params->count; ++i) {
        const struct snn_param *p = params->list[i];
        list[count++] = tensor_of(p, p->name, slabs.of[0] + p->offset);
        for (int s = 0; s < slots && !p->buffer; ++s) {
            snprintf(names[count], sizeof *names, "optimizer.%s.%s", snn_optim_slot_name(optim, s), p->name);
            list[count] = tensor_of(p, names[count], slabs.of[1 + s] + p->offset);
            ++count;
        }
    }
    if (rc >= 0 && carry.bytes)
        list[count++] = (struct snn_st_tensor){.name = CARRIED,
                                               .dtype = SNN_DT_U8,
                                               .nd = 1,
                                               .dim = {carry.size},
                                               .data = carry.bytes,
                                               .bytes = carry.size};
    const struct snn_st_meta meta[] = {
        {"format", "snntrain checkpoint 1"}, {"version", SNN_VERSION}, {"config", config}, {"state", state}};
    if (rc >= 0) rc = snn_st_write(path, list, count, meta, 4);
    close_slabs(&slabs, false);
    json_decref(json);
    free(list), free(names), free(config), free(state), free(carry.bytes);
    return rc;
}

static int read_carried(const char *path, const struct snn_st *st, struct snn_network *network) {
    const struct snn_st_tensor *t = snn_st_find(st, CARRIED);
    if (!t || t->dtype != SNN_DT_U8)
        return snn_error(SNN_EDATA, "%s: stopped within a recording, and lacks the states there", path);
    if (snn_carry_put(network, &(struct snn_carry){(void *)t->data, t->bytes}) >= 0) return SNN_OK;
    char why[300];
    snprintf(why, sizeof why, "%s", snn_error_text());
    return snn_error(SNN_EDATA, "%s: %s", path, why);
}

/* Copy tensor `name` of the file into `to`, whose shape is that of p. */
static int copy_tensor(const char *path, const struct snn_st *st, const char *name, const struct snn_param *p,
                       real *to) {
    const struct snn_st_tensor *t = snn_st_find(st, name);
    if (!t) return snn_error(SNN_EDATA, "%s: has no tensor '%s'", path, name);
    bool same = t->nd == p->nd;
    for (int i = 0; same && i < p->nd; ++i) same = t->dim[i] == (uint64_t)p->dim[i];
    if (!same)
        return snn_error(SNN_EDATA, "%s: tensor '%s' does not have the shape of parameter '%s' (%td numbers)", path,
                         name, p->name, p->count);
#ifdef SNN_DOUBLE
    return snn_st_to_double(t, to);
#else
    return snn_st_to_float(t, to);
#endif
}

static int read_weights(const char *path, const struct snn_st *st, const struct snn_conf *map,
                        struct snn_network *network) {
    const struct snn_params *params = &network->model.params;
    struct slabs slabs;
    int rc = open_slabs(network, 0, &slabs);
    bool mapped = map && map->count;
    for (int i = 0; rc >= 0 && !mapped && i < params->count; ++i)
        rc = copy_tensor(path, st, params->list[i]->name, params->list[i], slabs.of[0] + params->list[i]->offset);
    for (struct snn_conf *m = mapped ? map->first : NULL; rc >= 0 && m; m = m->next) {
        struct snn_param *p = snn_params_find(params, m->text);
        rc = copy_tensor(path, st, m->key, p, slabs.of[0] + p->offset);
    }
    close_slabs(&slabs, rc >= 0);
    return rc;
}

int snn_checkpoint_weights(const char *path, const struct snn_conf *map, struct snn_network *network) {
    struct snn_st *st;
    SNN_TRY(snn_st_open(path, &st));
    int rc = read_weights(path, st, map, network);
    snn_st_close(&st);
    return rc;
}

static int read_slots(const char *path, const struct snn_st *st, struct snn_network *network) {
    const struct snn_params *params = &network->model.params;
    struct slabs slabs;
    int slots = snn_optim_slots(network->optim), rc = open_slabs(network, slots, &slabs);
    for (int i = 0; i < params->count; ++i)
        for (int s = 0; rc >= 0 && s < slots && !params->list[i]->buffer; ++s) {
            char name[640];
            snprintf(name, sizeof name, "optimizer.%s.%s", snn_optim_slot_name(network->optim, s),
                     params->list[i]->name);
            rc = copy_tensor(path, st, name, params->list[i], slabs.of[1 + s] + params->list[i]->offset);
        }
    close_slabs(&slabs, rc >= 0);
    return rc;
}

int snn_checkpoint_load(const char *path, struct snn_experiment *e, struct snn_progress *progress) {
    struct snn_st *st;
    SNN_TRY(snn_st_open(path, &st));
    int rc = read_weights(path, st, NULL, &e->network);
    if (rc >= 0) rc = read_slots(path, st, &e->network);
    if (rc >= 0) rc = restore(path, snn_st_meta_find(st, "state"), e, progress);
    if (rc >= 0 && progress->within) rc = read_carried(path, st, &e->network);
    snn_st_close(&st);
    return rc;
}

int snn_checkpoint_trained(const char *path, struct snn_experiment *e) {
    struct snn_st *st;
    double annealed;
    SNN_TRY(snn_st_open(path, &st));
    int rc = read_weights(path, st, NULL, &e->network);
    const char *text = snn_st_meta_find(st, "state");
    json_t *state = text ? json_loads(text, 0, NULL) : NULL;
    if (rc >= 0 && !json_unpack(state, "{s:F}", "annealed", &annealed)) snn_experiment_anneal(e, annealed);
    json_decref(state);
    snn_st_close(&st);
    return rc;
}

int snn_checkpoint_stage(const char *path, int64_t *stage) {
    struct snn_st *st;
    json_int_t found = 0;
    SNN_TRY(snn_st_open(path, &st));
    const char *text = snn_st_meta_find(st, "state");
    json_t *state = text ? json_loads(text, 0, NULL) : NULL;
    json_unpack(state, "{s?I}", "stage", &found);
    *stage = found;
    json_decref(state);
    snn_st_close(&st);
    return SNN_OK;
}

int snn_checkpoint_config(const char *path, char **yaml) {
    struct snn_st *st;
    SNN_TRY(snn_st_open(path, &st));
    const char *text = snn_st_meta_find(st, "config");
    *yaml = text ? strdup(text) : NULL;
    snn_st_close(&st);
    return *yaml ? SNN_OK : snn_error(SNN_EDATA, "%s: is not a checkpoint of snntrain (it holds no config)", path);
}
