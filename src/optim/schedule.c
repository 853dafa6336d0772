/* SPDX-License-Identifier: Apache-2.0
 * schedule.c - the learning rate over the run, as torch.optim.lr_scheduler (PyTorch 2) has it.
 *
 * Every schedule is a closed form of t, the epochs (or steps) since the warm-up ended, so a resumed run needs no state;
 * only plateau, which follows a metric, keeps some. To add one: its keys, its function, a line in SCHEDULES. */
#include "optim/schedule.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "core/status.h"

struct settings {
    int per; /* PER_EPOCH or PER_STEP */
    long long warmup;
    double warmup_from;
    long long every, t_max, t_0, t_mult, total, patience, cooldown; /* t_max, total: AUTO until prepared */
    double gamma, eta_min, max_lr, pct_start, div_factor, final_div_factor, base_momentum, max_momentum;
    double factor, threshold, min_lr;
    int anneal, metric;
    bool three_phase, cycle_momentum;
    struct snn_conf *milestones;
};
enum { PER_EPOCH, PER_STEP };
enum { ANNEAL_COS, ANNEAL_LINEAR };
enum { METRIC_LOSS, METRIC_ACCURACY };
enum { AUTO = -1 };

/* plateau's state, in number[]; `FACTOR` is what it made of 1 so far. */
enum { FACTOR, BEST, BAD, COOLING };

struct snn_schedule {
    struct snn_rate (*rate)(const struct snn_schedule *schedule, double t);
    struct settings set;
    double base_lr;
    double *milestone; /* (milestones), ascending */
    int milestones;
    double number[SNN_SCHEDULE_NUMBERS];
};

#define MAX_COUNT 1e12 /* epochs or steps: exact in double, and so are sums of them */

static const double pi = 3.14159265358979323846;

/* ---- the formulas ---- */

static struct snn_rate factor_only(double factor) { return (struct snn_rate){factor, NAN}; }

static struct snn_rate constant_rate(const struct snn_schedule *schedule, double t) {
    (void)schedule, (void)t;
    return factor_only(1);
}

static struct snn_rate step_rate(const struct snn_schedule *schedule, double t) {
    return factor_only(pow(schedule->set.gamma, floor(t / (double)schedule->set.every)));
}

static struct snn_rate multistep_rate(const struct snn_schedule *schedule, double t) {
    int passed = 0;
    while (passed < schedule->milestones && schedule->milestone[passed] <= t) ++passed;
    return factor_only(pow(schedule->set.gamma, passed));
}

static struct snn_rate exponential_rate(const struct snn_schedule *schedule, double t) {
    return factor_only(pow(schedule->set.gamma, t));
}

/* From 1 at t = 0 down to eta_min / lr at t = length. */
static struct snn_rate half_cosine(const struct snn_schedule *schedule, double t, double length) {
    double end = schedule->set.eta_min > 0 ? schedule->set.eta_min / schedule->base_lr : 0;
    return factor_only(end + (1 - end) * (1 + cos(pi * t / length)) / 2);
}

static struct snn_rate cosine_rate(const struct snn_schedule *schedule, double t) {
    return half_cosine(schedule, t, (double)schedule->set.t_max); /* beyond t_max it rises again, as in PyTorch */
}

static struct snn_rate cosine_restarts_rate(const struct snn_schedule *schedule, double t) {
    double length = (double)schedule->set.t_0, times = (double)schedule->set.t_mult;
    if (times == 1) t = fmod(t, length);
    for (; t >= length; length *= times) t -= length;
    return half_cosine(schedule, t, length);
}

static double anneal(int shape, double from, double to, double part) {
    return shape == ANNEAL_COS ? to + (from - to) / 2 * (1 + cos(pi * part)) : from + (to - from) * part;
}

/* Up to max_lr and down again in phases that end at these steps; the momentum runs the other way. */
static struct snn_rate one_cycle_rate(const struct snn_schedule *schedule, double t) {
    const struct settings *set = &schedule->set;
    double total = (double)set->total, high = set->max_lr / schedule->base_lr;
    double initial = high / set->div_factor, low = initial / set->final_div_factor;
    const struct phase {
        double end, from, to, momentum_from, momentum_to;
    } two[] = {{set->pct_start * total - 1, initial, high, set->max_momentum, set->base_momentum},
               {total - 1, high, low, set->base_momentum, set->max_momentum}},
      three[] = {{set->pct_start * total - 1, initial, high, set->max_momentum, set->base_momentum},
                 {2 * set->pct_start * total - 2, high, initial, set->base_momentum, set->max_momentum},
                 {total - 1, initial, low, set->max_momentum, set->max_momentum}};
    const struct phase *phase = set->three_phase ? three : two, *last = set->three_phase ? &three[2] : &two[1];

    double begin = 0;
    t = fmin(t, total - 1); /* after the cycle the rate stays where it ended */
    for (; phase < last && t > phase->end; ++phase) begin = phase->end;
    double part = phase->end > begin ? (t - begin) / (phase->end - begin) : 1;
    return (struct snn_rate){anneal(set->anneal, phase->from, phase->to, part),
                             set->cycle_momentum ? anneal(set->anneal, phase->momentum_from, phase->momentum_to, part)
                                                 : NAN};
}

static struct snn_rate plateau_rate(const struct snn_schedule *schedule, double t) {
    (void)t;
    return factor_only(schedule->number[FACTOR]);
}

/* ---- plateau's memory ---- */

static void reduce(struct snn_schedule *schedule) {
    double least = schedule->set.min_lr > 0 ? schedule->set.min_lr / schedule->base_lr : 0;
    double reduced = fmax(schedule->number[FACTOR] * schedule->set.factor, least);
    if ((schedule->number[FACTOR] - reduced) * schedule->base_lr > 1e-8) schedule->number[FACTOR] = reduced;
}

bool snn_schedule_watches(const struct snn_schedule *schedule) { return schedule->rate == plateau_rate; }

void snn_schedule_epoch(struct snn_schedule *schedule, double loss, double accuracy) {
    if (schedule->rate != plateau_rate) return;
    const struct settings *set = &schedule->set;
    double *number = schedule->number;
    bool better = set->metric == METRIC_LOSS ? loss < number[BEST] * (1 - set->threshold)
                                             : accuracy > number[BEST] * (1 + set->threshold);
    if (better) number[BEST] = set->metric == METRIC_LOSS ? loss : accuracy;
    number[BAD] = better ? 0 : number[BAD] + 1;
    if (number[COOLING] > 0) number[COOLING] -= 1, number[BAD] = 0;
    if (number[BAD] > (double)set->patience) {
        reduce(schedule);
        number[COOLING] = (double)set->cooldown;
        number[BAD] = 0;
    }
}

double *snn_schedule_numbers(struct snn_schedule *schedule) { return schedule->number; }

/* ---- checks that need more than one key ---- */

/* A rate given as a number becomes a factor of lr: impossible where lr is 0. */
static int need_lr(const struct snn_schedule *schedule, struct snn_conf *node, const char *key, double value) {
    if (value > 0 && !(schedule->base_lr > 0))
        return snn_conf_error(node, "%s %g needs an optimizer lr above 0", key, value);
    return SNN_OK;
}

static long long whole_run(double length) { return (long long)fmin(fmax(length, 1), MAX_COUNT); }

static int cosine_prepare(struct snn_schedule *schedule, struct snn_conf *node, double length) {
    if (schedule->set.t_max == AUTO) schedule->set.t_max = whole_run(length);
    return need_lr(schedule, node, "eta_min", schedule->set.eta_min);
}

static int one_cycle_prepare(struct snn_schedule *schedule, struct snn_conf *node, double length) {
    if (schedule->set.total == AUTO) schedule->set.total = whole_run(length);
    return need_lr(schedule, node, "max_lr", schedule->set.max_lr);
}

static int multistep_prepare(struct snn_schedule *schedule, struct snn_conf *node, double length) {
    (void)length;
    struct snn_conf *list = schedule->set.milestones;
    if (list->kind != SNN_CONF_LIST || list->count == 0)
        return snn_conf_error(list, "expected a list of ascending whole numbers such as [30, 60]");
    schedule->milestone = calloc((size_t)list->count, sizeof *schedule->milestone);
    if (!schedule->milestone) return snn_error(SNN_EFAIL, "out of memory for %d milestones", list->count);
    double before = 0;
    for (; schedule->milestones < list->count; ++schedule->milestones) {
        struct snn_conf *item = snn_conf_item(list, schedule->milestones);
        char *end = NULL;
        errno = 0;
        long long value = item->kind == SNN_CONF_SCALAR ? strtoll(item->text, &end, 10) : 0;
        if (!end || end == item->text || *end || errno || (double)value <= before || (double)value > MAX_COUNT)
            return snn_conf_error(item, "expected a whole number above %.0f, found '%s'", before,
                                  item->kind == SNN_CONF_SCALAR ? item->text : "a list or map");
        before = schedule->milestone[schedule->milestones] = (double)value;
    }
    (void)node;
    return SNN_OK;
}

static int plateau_prepare(struct snn_schedule *schedule, struct snn_conf *node, double length) {
    (void)length;
    if (schedule->set.per != PER_EPOCH)
        return snn_conf_error(node, "plateau watches a metric of whole epochs: expected per: epoch, found per: step");
    schedule->number[BEST] = schedule->set.metric == METRIC_LOSS ? HUGE_VAL : -HUGE_VAL;
    return need_lr(schedule, node, "min_lr", schedule->set.min_lr);
}

/* ---- keys ---- */

static const char *const per_words[] = {"epoch", "step", NULL};
static const char *const auto_words[] = {"auto", NULL};
static const char *const anneal_words[] = {"cos", "linear", NULL};
static const char *const metric_words[] = {"loss", "accuracy", NULL};

#define FIELD(name) offsetof(struct settings, name)
#define REAL(name, value, min, max, help)                                                                              \
    { #name, SNN_REAL, FIELD(name), value, min, max, NULL, help }
#define COUNT(name, value, min, words, help)                                                                           \
    { #name, SNN_INT, FIELD(name), value, min, MAX_COUNT, words, help }
#define WORD(name, value, words, help)                                                                                 \
    { #name, SNN_CHOICE, FIELD(name), value, 0, 0, words, help }
#define FLAG(name, value, help)                                                                                        \
    { #name, SNN_BOOL, FIELD(name), value, 0, 0, NULL, help }
#define COMMON_KEYS                                                                                                    \
    SNN_KEY_NAME, WORD(per, "epoch", per_words, "what is counted: epochs or optimiser steps"),                         \
        COUNT(warmup, "0", 0, NULL, "first a linear rise over so many; then the schedule starts"),                     \
        REAL(warmup_from, "0.3333333333333333", 0, 1, "factor at which the rise starts")
#define GAMMA REAL(gamma, "0.1", 0, HUGE_VAL, "factor each time")
#define ETA_MIN REAL(eta_min, "0", 0, HUGE_VAL, "the lowest rate, for a group with the optimiser's own lr")

static const struct snn_key constant_keys[] = {COMMON_KEYS, {NULL}};
static const struct snn_key step_keys[] = {
    COMMON_KEYS, COUNT(every, NULL, 1, NULL, "distance of the drops"), GAMMA, {NULL}};
static const struct snn_key multistep_keys[] = {
    COMMON_KEYS,
    {"milestones", SNN_NODE, FIELD(milestones), NULL, 0, 0, NULL, "when the drops come, ascending: [30, 60]"},
    GAMMA,
    {NULL},
};
static const struct snn_key exponential_keys[] = {
    COMMON_KEYS,
    REAL(gamma, NULL, 0, HUGE_VAL, "factor each time"),
    {NULL},
};
static const struct snn_key cosine_keys[] = {
    COMMON_KEYS,
    COUNT(t_max, "auto", 1, auto_words, "where the lowest rate is reached; auto: at the end of the run"),
    ETA_MIN,
    {NULL},
};
static const struct snn_key cosine_restarts_keys[] = {
    COMMON_KEYS,
    COUNT(t_0, NULL, 1, NULL, "length of the first descent"),
    COUNT(t_mult, "1", 1, NULL, "each descent is so many times longer than the one before"),
    ETA_MIN,
    {NULL},
};
static const struct snn_key one_cycle_keys[] = {
    COMMON_KEYS,
    REAL(max_lr, NULL, 1e-12, HUGE_VAL, "the highest rate, for a group with the optimiser's own lr"),
    COUNT(total, "auto", 1, auto_words, "length of the cycle; auto: the run"),
    REAL(pct_start, "0.3", 0, 1, "part of the cycle that rises"),
    WORD(anneal, "cos", anneal_words, "shape of the slopes"),
    REAL(div_factor, "25", 1e-12, HUGE_VAL, "starts at max_lr / div_factor"),
    REAL(final_div_factor, "1e4", 1e-12, HUGE_VAL, "ends so many times below its start"),
    FLAG(three_phase, "false", "down to the start first, then to the end"),
    FLAG(cycle_momentum, "true", "momentum (beta1) runs against the rate"),
    REAL(base_momentum, "0.85", 0, 0.999999, "momentum at the highest rate"),
    REAL(max_momentum, "0.95", 0, 0.999999, "momentum at the start"),
    {NULL},
};
static const struct snn_key plateau_keys[] = {
    COMMON_KEYS,
    REAL(factor, "0.1", 0, 0.999999, "factor when the metric no longer improves"),
    COUNT(patience, "10", 0, NULL, "epochs without improvement that are tolerated"),
    REAL(threshold, "1e-4", 0, 1, "smallest relative change that counts as improvement"),
    WORD(metric, "loss", metric_words, "of the validation set: loss is to fall, accuracy to rise"),
    COUNT(cooldown, "0", 0, NULL, "epochs after a drop in which none is counted"),
    REAL(min_lr, "0", 0, HUGE_VAL, "the lowest rate, for a group with the optimiser's own lr"),
    {NULL},
};

#define SCHEDULES(X)                                                                                                   \
    X(constant, "the configured rate", NULL)                                                                           \
    X(step, "a drop by gamma every so many epochs", NULL)                                                              \
    X(multistep, "a drop by gamma at each milestone", multistep_prepare)                                               \
    X(exponential, "a drop by gamma every epoch", NULL)                                                                \
    X(cosine, "half a cosine down to eta_min (Loshchilov and Hutter 2017)", cosine_prepare)                            \
    X(cosine_restarts, "half cosines, each from the top again", cosine_prepare)                                        \
    X(one_cycle, "up to max_lr and down to almost 0 (Smith and Topin 2018)", one_cycle_prepare)                        \
    X(plateau, "a drop when a validation metric no longer improves", plateau_prepare)

#define AS_LISTING(name, help, prepare) {#name, help, name##_keys},
#define AS_NAME(name, help, prepare) #name,
#define AS_ENTRY(name, help, prepare) {name##_rate, prepare},

const struct snn_schedule_listing snn_schedule_list[] = {SCHEDULES(AS_LISTING){NULL}};
static const char *const names[] = {SCHEDULES(AS_NAME) NULL};
static const struct {
    struct snn_rate (*rate)(const struct snn_schedule *schedule, double t);
    /* Check keys against each other and resolve `auto`; `length` is what the warm-up leaves of the run. Or NULL. */
    int (*prepare)(struct snn_schedule *schedule, struct snn_conf *node, double length);
} entries[] = {SCHEDULES(AS_ENTRY)};

/* ---- the schedule ---- */

static int read_config(struct snn_schedule *schedule, struct snn_conf *node, double epochs, double steps) {
    int which = snn_conf_variant(node, "a schedule", names);
    SNN_TRY(which);
    SNN_TRY(snn_conf_read(node, snn_schedule_list[which].keys, &schedule->set));
    schedule->rate = entries[which].rate;
    double length = (schedule->set.per == PER_EPOCH ? epochs : steps) - (double)schedule->set.warmup;
    return entries[which].prepare ? entries[which].prepare(schedule, node, length) : SNN_OK;
}

int snn_schedule_open(struct snn_conf *node, double base_lr, int64_t epochs, int64_t steps_per_epoch,
                      struct snn_schedule **out) {
    *out = NULL;
    struct snn_schedule *schedule = calloc(1, sizeof *schedule);
    if (!schedule) return snn_error(SNN_EFAIL, "out of memory for a schedule");
    schedule->base_lr = base_lr;
    schedule->number[FACTOR] = 1;
    int status = read_config(schedule, node, (double)epochs, (double)epochs * (double)steps_per_epoch);
    if (status < 0) snn_schedule_close(&schedule);
    *out = schedule;
    return status;
}

void snn_schedule_close(struct snn_schedule **schedule) {
    if (!*schedule) return;
    free((*schedule)->milestone);
    free(*schedule);
    *schedule = NULL;
}

struct snn_rate snn_schedule_rate(const struct snn_schedule *schedule, int64_t epoch, int64_t step) {
    const struct settings *set = &schedule->set;
    double t = (double)(set->per == PER_EPOCH ? epoch : step), warmup = (double)set->warmup;
    struct snn_rate rate = schedule->rate(schedule, fmax(t - warmup, 0));
    if (t < warmup) rate.factor *= set->warmup_from + (1 - set->warmup_from) * t / warmup;
    return rate;
}
