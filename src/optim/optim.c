/* SPDX-License-Identifier: Apache-2.0
 * optim.c - an optimiser at work: parameter groups, segments of the slab, state, one step.
 *
 * Neighbours in the slab with the same settings form a segment, and a step is one kernel call a segment: one in all for
 * a network without groups and frozen layers. The gaps that alignment leaves between them take part; their gradient is
 * 0. */
#include "optim/optim.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>

#include "autograd/memory.h"
#include "core/status.h"
#include "optim/optim_kernels.h"
#include "optim/rules.h"
#include "optim/schedule.h"

struct group {
    double lr, weight_decay;
    struct snn_conf *node;         /* of its schedule; NULL: that of all */
    struct snn_schedule *schedule; /* its own, once snn_optim_schedules has read it */
    struct snn_rate rate;          /* of the step to come */
};

struct segment {
    ptrdiff_t offset, count; /* in the slab */
    const struct group *group;
};

struct snn_optim {
    struct snn_params *params;
    const struct snn_optim_entry *entry;
    struct snn_optim_settings settings;
    enum snn_optim_rule rule;
    struct group *group; /* (groups): the configured ones, then the rest */
    int groups;
    int *group_of; /* (params->count): a parameter's group */
    struct segment *segment;
    int segments;
    real *slot[SNN_OPTIM_SLOTS]; /* (learned) each */
    real *scalar;                /* (segments, SNN_OPTIM_SCALARS), read by the kernel: device memory, as what follows */
    double *squares;             /* (segments): sums of squared gradients */
    struct snn_gate *gate;
    real *next; /* (segments, SNN_OPTIM_SCALARS), host memory: scalars on their way */
    double number[SNN_OPTIM_NUMBERS];
};

enum { NUMBER_STEP, NUMBER_PRODUCT };

/* ---- reading the config ---- */

struct group_keys {
    const char *match;
    double lr, weight_decay;
    struct snn_conf *schedule;
};
static const struct snn_key group_keys[] = {
    {"match", SNN_TEXT, offsetof(struct group_keys, match), NULL, 0, 0, NULL, "a pattern over parameter names with *"},
    {"lr", SNN_REAL, offsetof(struct group_keys, lr), SNN_OPTIONAL, 0, HUGE_VAL, NULL, "learning rate"},
    {"weight_decay", SNN_REAL, offsetof(struct group_keys, weight_decay), SNN_OPTIONAL, 0, HUGE_VAL, NULL, "decay"},
    {"schedule", SNN_NODE, offsetof(struct group_keys, schedule), SNN_OPTIONAL, 0, 0, NULL,
     "of this group's rate, in place of train.schedule"},
    {NULL},
};

static int read_group(struct snn_optim *optim, struct snn_conf *node, int index) {
    struct group_keys own = {NULL, optim->settings.lr, optim->settings.weight_decay, NULL};
    SNN_TRY(snn_conf_read(node, group_keys, &own));
    optim->group[index] = (struct group){own.lr, own.weight_decay, own.schedule, NULL, {1, NAN}};

    bool matched = false;
    for (int i = 0; i < optim->params->count; ++i) {
        const struct snn_param *param = optim->params->list[i];
        if (param->buffer || fnmatch(own.match, param->name, 0) != 0) continue;
        matched = true;
        if (optim->group_of[i] == optim->groups - 1) optim->group_of[i] = index;
    }
    if (matched) return SNN_OK;
    return snn_conf_error(snn_conf_get(node, "match"), "no parameter of the model has a name like '%s'", own.match);
}

static int read_config(struct snn_optim *optim, struct snn_conf *node) {
    int which = snn_conf_variant(node, "an optimizer", snn_optim_names);
    SNN_TRY(which);
    struct snn_optim_settings *settings = &optim->settings;
    SNN_TRY(snn_conf_read(node, snn_optim_list[which].keys, settings));
    optim->entry = &snn_optim_entries[which];
    if (optim->entry->check) SNN_TRY(optim->entry->check(node, settings));
    optim->rule = optim->entry->rule(settings);

    struct snn_conf *groups = settings->groups;
    if (groups->kind != SNN_CONF_LIST)
        return snn_conf_error(groups, "expected a list of groups {match: PATTERN, lr, weight_decay}");
    optim->groups = groups->count + 1;
    optim->group = calloc((size_t)optim->groups, sizeof *optim->group);
    optim->group_of = calloc((size_t)optim->params->count + 1, sizeof *optim->group_of);
    optim->segment = calloc((size_t)optim->params->count + 1, sizeof *optim->segment);
    optim->next = calloc(((size_t)optim->params->count + 1) * SNN_OPTIM_SCALARS, sizeof *optim->next);
    if (!optim->group || !optim->group_of || !optim->segment || !optim->next)
        return snn_error(SNN_EFAIL, "out of memory for an optimiser of %d parameters", optim->params->count);

    optim->group[groups->count] = (struct group){settings->lr, settings->weight_decay, NULL, NULL, {1, NAN}};
    for (int i = 0; i < optim->params->count; ++i) optim->group_of[i] = groups->count;
    for (int i = 0; i < groups->count; ++i) SNN_TRY(read_group(optim, snn_conf_item(groups, i), i));
    return SNN_OK;
}

int snn_optim_open(struct snn_conf *node, struct snn_params *params, struct snn_optim **out) {
    *out = NULL;
    struct snn_optim *optim = calloc(1, sizeof *optim);
    if (!optim) return snn_error(SNN_EFAIL, "out of memory for an optimiser");
    optim->params = params;
    optim->number[NUMBER_PRODUCT] = 1;
    int status = read_config(optim, node);
    if (status < 0) snn_optim_close(&optim);
    *out = optim;
    return status < 0 ? status : SNN_OK;
}

void snn_optim_close(struct snn_optim **optim) {
    if (!*optim) return;
    for (int i = 0; (*optim)->group && i < (*optim)->groups; ++i) snn_schedule_close(&(*optim)->group[i].schedule);
    free((*optim)->group);
    free((*optim)->group_of);
    free((*optim)->segment);
    free((*optim)->next);
    free(*optim);
    *optim = NULL;
}

/* ---- memory ---- */

static bool same_settings(const struct group *a, const struct group *b) {
    return a->lr == b->lr && a->weight_decay == b->weight_decay && a->node == b->node;
}

static void find_segments(struct snn_optim *optim) {
    optim->segments = 0;
    struct segment *last = NULL; /* NULL after a frozen parameter: nothing may reach across it */
    for (int i = 0; i < optim->params->count; ++i) {
        const struct snn_param *param = optim->params->list[i];
        if (param->buffer) continue; /* not among the parameters in the slab */
        const struct group *group = &optim->group[optim->group_of[i]];
        if (param->frozen) {
            last = NULL;
        } else if (last && same_settings(last->group, group)) {
            last->count = param->offset + param->count - last->offset;
        } else {
            last = &optim->segment[optim->segments++];
            *last = (struct segment){param->offset, param->count, group};
        }
    }
}

void snn_optim_bind(struct snn_optim *optim, struct snn_arena *arena) {
    find_segments(optim);
    size_t slab = (size_t)optim->params->learned * sizeof(real), segments = (size_t)optim->segments;
    for (int i = 0; i < snn_optim_slots(optim); ++i) optim->slot[i] = snn_arena_alloc(arena, slab, SNN_MEM_OPTIMIZER);
    optim->scalar = snn_arena_alloc(arena, segments * SNN_OPTIM_SCALARS * sizeof(real), SNN_MEM_OPTIMIZER);
    optim->squares = snn_arena_alloc(arena, segments * sizeof(double), SNN_MEM_OPTIMIZER);
    optim->gate = snn_arena_alloc(arena, sizeof *optim->gate, SNN_MEM_OPTIMIZER);
}

/* ---- work ---- */

double snn_optim_base_lr(const struct snn_optim *optim) { return optim->settings.lr; }

int snn_optim_schedules(struct snn_optim *optim, int64_t epochs, int64_t steps_per_epoch) {
    for (int i = 0; i < optim->groups; ++i) {
        struct group *group = &optim->group[i];
        if (!group->node) continue;
        snn_schedule_close(&group->schedule);
        SNN_TRY(snn_schedule_open(group->node, group->lr, epochs, steps_per_epoch, &group->schedule));
        if (snn_schedule_watches(group->schedule))
            return snn_conf_error(group->node, "follows a metric, which train.schedule alone can");
        if (!isnan(snn_schedule_rate(group->schedule, 0, 0).beta1) && !snn_optim_has_momentum(optim))
            return snn_conf_error(group->node, "cycles the momentum, but the optimizer has none: add momentum, or "
                                               "cycle_momentum: false");
    }
    return SNN_OK;
}

void snn_optim_at(struct snn_optim *optim, int64_t epoch, int64_t step) {
    for (int i = 0; i < optim->groups; ++i)
        if (optim->group[i].schedule) optim->group[i].rate = snn_schedule_rate(optim->group[i].schedule, epoch, step);
}

bool snn_optim_has_momentum(const struct snn_optim *optim) { return snn_optim_rule_states[optim->rule].momentum; }

void snn_optim_advance(struct snn_optim *optim, struct snn_device *device, double lr_factor, double beta1) {
    SNN_CHECK(optim->gate && optim->params->grad, "a step before memory was bound");
    SNN_CHECK(isnan(beta1) || snn_optim_has_momentum(optim), "this optimiser has no momentum to set to %g", beta1);
    struct snn_optim_settings now = optim->settings;
    if (!isnan(beta1)) now.momentum = beta1;

    optim->number[NUMBER_STEP] += 1;
    if (optim->entry->factor) optim->number[NUMBER_PRODUCT] *= optim->entry->factor(&now, optim->number[NUMBER_STEP]);
    const struct snn_optim_count count = {optim->number[NUMBER_STEP], optim->number[NUMBER_PRODUCT]};

    for (int i = 0; i < optim->segments; ++i) {
        const struct group *group = optim->segment[i].group;
        struct snn_rate rate = group->schedule ? group->rate : (struct snn_rate){lr_factor, beta1};
        now.lr = group->lr * rate.factor;
        now.weight_decay = group->weight_decay;
        now.momentum = isnan(rate.beta1) ? optim->settings.momentum : rate.beta1;
        double k[SNN_OPTIM_SCALARS] = {[SNN_K_SHRINK] = 1};
        optim->entry->scalars(&now, &count, k);
        for (int j = 0; j < SNN_OPTIM_SCALARS; ++j) optim->next[i * SNN_OPTIM_SCALARS + j] = (real)k[j];
    }
    device->memory->upload(device, optim->scalar, optim->next,
                           (size_t)optim->segments * SNN_OPTIM_SCALARS * sizeof *optim->next);
}

void snn_optim_apply(struct snn_optim *optim, struct snn_device *device) {
    for (int i = 0; i < optim->segments; ++i) {
        const struct segment *segment = &optim->segment[i];
        real *slot[SNN_OPTIM_SLOTS] = {NULL};
        for (int j = 0; j < snn_optim_slots(optim); ++j) slot[j] = optim->slot[j] + segment->offset;
        device->optim->step(device, optim->rule, segment->count, optim->params->value + segment->offset,
                            optim->params->grad + segment->offset, slot,
                            optim->scalar + (ptrdiff_t)i * SNN_OPTIM_SCALARS, optim->gate);
    }
    for (int i = 0; i < optim->params->count; ++i) {
        const struct snn_param *param = optim->params->list[i];
        if (param->bounded && !param->frozen)
            device->optim->clamp(device, param->count, (real)param->low, (real)param->high, param->value, optim->gate);
    }
}

void snn_optim_step(struct snn_optim *optim, struct snn_device *device, double lr_factor, double beta1) {
    snn_optim_advance(optim, device, lr_factor, beta1);
    snn_optim_apply(optim, device);
}

void snn_optim_clip(struct snn_optim *optim, struct snn_device *device, double max_norm, const double *loss,
                    const uint32_t *clock) {
    SNN_CHECK(optim->gate && optim->params->grad, "a clip before memory was bound");
    const struct snn_optim_kernels *kernels = device->optim;
    for (int i = 0; i < optim->segments; ++i)
        kernels->sum_of_squares(device, optim->segment[i].count, optim->params->grad + optim->segment[i].offset,
                                &optim->squares[i]);
    kernels->gate(device, optim->segments, optim->squares, max_norm, loss, clock, optim->gate);
    for (int i = 0; i < optim->segments && max_norm < INFINITY; ++i)
        kernels->scale(device, optim->segment[i].count, optim->params->grad + optim->segment[i].offset, optim->gate);
}

int snn_optim_gate(struct snn_optim *optim, struct snn_device *device, struct snn_gate *out) {
    return device->memory->download(device, out, optim->gate, sizeof *out);
}

/* ---- state ---- */

int snn_optim_slots(const struct snn_optim *optim) {
    int count = 0;
    while (count < SNN_OPTIM_SLOTS && snn_optim_rule_states[optim->rule].slot[count]) ++count;
    return count;
}

const char *snn_optim_slot_name(const struct snn_optim *optim, int i) {
    SNN_CHECK(i >= 0 && i < snn_optim_slots(optim), "slot %d of %d", i, snn_optim_slots(optim));
    return snn_optim_rule_states[optim->rule].slot[i];
}

real *snn_optim_slot(struct snn_optim *optim, int i) {
    SNN_CHECK(i >= 0 && i < snn_optim_slots(optim), "slot %d of %d", i, snn_optim_slots(optim));
    return optim->slot[i];
}

double *snn_optim_numbers(struct snn_optim *optim) { return optim->number; }
