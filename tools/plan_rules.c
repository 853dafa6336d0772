/* SPDX-License-Identifier: Apache-2.0
 * plan_rules.c - the network of a config as each learning rule would train it: the config is read again with the rule
 * in its place, and memory is measured by the pass that also takes it. */
#include "plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "core/status.h"
#include "train/device.h"

/* ---- a config with another rule ---- */

const char *plan_own_rule(struct snn_conf_doc *doc) {
    struct snn_conf *rule = snn_conf_at(doc, "train.rule");
    if (rule && rule->kind == SNN_CONF_MAP) rule = snn_conf_get(rule, "name");
    return rule && rule->kind == SNN_CONF_SCALAR ? rule->text : "bptt";
}

static bool has_over(const char *name) {
    for (const struct snn_loss_listing *l = snn_loss_list; l->name; ++l)
        for (const struct snn_key *k = l->keys; !strcmp(l->name, name) && k->name; ++k)
            if (!strcmp(k->name, "over")) return true;
    return false;
}

/* A term of the mean over the steps becomes one of each step. */
static int put_term_by_step(struct snn_conf *term, bool *changed) {
    const struct snn_conf *name = term->kind == SNN_CONF_MAP ? snn_conf_get(term, "name") : term, *over;
    if (!name || name->kind != SNN_CONF_SCALAR || !has_over(name->text)) return SNN_OK;
    if (term->kind == SNN_CONF_SCALAR) SNN_TRY(snn_conf_wrap(term, "name"));
    over = snn_conf_get(term, "over");
    if (over && (over->kind != SNN_CONF_SCALAR || strcmp(over->text, "mean") != 0)) return SNN_OK;
    *changed = true;
    return snn_conf_put(term, "over", "step", NULL);
}

int plan_loss_by_step(struct snn_conf *train, bool *changed) {
    struct snn_conf *loss = snn_conf_get(train, "loss");
    *changed = false;
    if (!loss) SNN_TRY(snn_conf_put(train, "loss", "ce", &loss));
    if (loss->kind != SNN_CONF_LIST) return put_term_by_step(loss, changed);
    for (struct snn_conf *term = loss->first; term; term = term->next) SNN_TRY(put_term_by_step(term, changed));
    return SNN_OK;
}

/* Open the experiment of a rule (NULL: as the config has it); with `by_step`, whether there was a loss to change, and
 * the config is not read when there was none. */
static int open_rule(struct planning *p, const char *name, bool *by_step) {
    const struct cli *cli = p->cli;
    struct snn_conf_doc *doc;
    SNN_TRY(cli_load_config(cli, cli->arg[0], &doc));
    struct snn_conf *train = snn_conf_get(snn_conf_root(doc), "train");
    int rc = train ? SNN_OK : snn_conf_put(snn_conf_root(doc), "train", "{}", &train);
    if (rc >= 0 && name && train->kind == SNN_CONF_MAP && strcmp(name, plan_own_rule(doc)) != 0)
        rc = snn_conf_put(train, "rule", name, NULL);
    if (rc >= 0 && *by_step && train->kind == SNN_CONF_MAP) rc = plan_loss_by_step(train, by_step);
    else *by_step = false;
    if (rc < 0) {
        snn_conf_free(&doc);
        return rc;
    }
    /* The config is read on the processor, whatever is planned for; names that are no device are refused there. */
    bool known = !cli->device || !strcmp(cli->device, "auto") || !strncmp(cli->device, "cuda", 4);
    struct snn_experiment_options options = {.device = known ? "cpu" : cli->device,
                                             .threads = (int)cli->threads,
                                             .data_dir = cli->data,
                                             .warnings = p->steps ? NULL : cli_warnings(cli)};
    SNN_TRY(snn_experiment_read(doc, &options, &p->e));
    p->open = true;
    return SNN_OK;
}

static void close_rule(struct planning *p) {
    if (p->open) snn_experiment_close(&p->e);
    p->open = false;
}

/* ---- its memory ---- */

/* Of several stages the one that needs most memory is planned. */
static int enter_widest_stage(struct planning *p) {
    struct snn_experiment *e = &p->e;
    size_t most = 0;
    int widest = 0;
    for (int k = 0; k < e->stage_count; ++k) {
        struct snn_arena arena;
        SNN_TRY(snn_experiment_enter(e, k));
        struct snn_network_plan what = snn_experiment_plan(e, true);
        snn_network_measure(&e->network, &what, &arena);
        if (arena.used > most) most = arena.used, widest = k;
    }
    if (e->stage_count && !p->cli->json && p->rules == 1)
        printf("stage %d of %d, of which it needs most memory\n", widest + 1, e->stage_count);
    return snn_experiment_enter(e, widest);
}

static size_t bytes_of(const struct snn_tape *tape, int first, int nodes) {
    size_t bytes = 0;
    for (int i = first; i < first + nodes; ++i) bytes += tape->node[i]->own_bytes;
    return bytes;
}

static bool in_a_layer(const struct snn_model *m, int node) {
    for (int i = 0; i < m->layers; ++i)
        if (node >= m->layer[i].first_node && node < m->layer[i].first_node + m->layer[i].nodes) return true;
    return false;
}

json_t *plan_layers(const struct snn_model *m) {
    json_t *layers = json_array();
    char shape[48];
    size_t own = 0;
    for (int i = 0; i < m->layers; ++i)
        json_array_append_new(
            layers, json_pack("{s:s,s:s,s:I,s:I}", "name", m->layer[i].title, "shape",
                              snn_shape_text(m->layer[i].out, shape), "parameters", (json_int_t)m->layer[i].parameters,
                              "bytes", (json_int_t)bytes_of(&m->tape, m->layer[i].first_node, m->layer[i].nodes)));
    for (int i = 0; i < m->tape.nodes; ++i)
        if (!in_a_layer(m, i)) own += bytes_of(&m->tape, i, 1);
    if (own)
        json_array_append_new(layers, json_pack("{s:s,s:s,s:i,s:I}", "name", PLAN_OTHER, "shape", "", "parameters", 0,
                                                "bytes", (json_int_t)own));
    return layers;
}

/* What is gained and paid where layers run again. */
static void measure_again(struct snn_experiment *e, const struct snn_network_plan *what, struct planned_rule *r) {
    struct snn_network *n = &e->network;
    struct snn_arena arena;
    int recompute = n->recompute;
    double all = 0, again = 0;
    for (int i = 0; i < n->model.tape.nodes; ++i) {
        const struct snn_node *node = n->model.tape.node[i];
        double macs = node->macs * (double)snn_plan_rows(&n->model.tape, node->out);
        all += macs, again += node->segment >= 0 ? macs : 0;
    }
    r->again.on = true;
    r->again.segments = n->model.tape.segments, r->again.spiking = n->model.tape.spiking;
    r->again.share = all > 0 ? again / all : 0;
    n->recompute = 0;
    snn_network_measure(n, what, &arena);
    r->again.without = arena.used + r->batches;
    n->recompute = recompute;
    snn_network_measure(n, what, &arena);
}

/* ---- its operations ---- */

/* Of all batches that share a training step. */
static void times(struct snn_operations *o, double batches) {
    double *const each[] = {&o->forward, &o->input_gradients, &o->weight_gradients, &o->signals,
                            &o->traces,  &o->synops_forward,  &o->synops_weights,   &o->dense};
    for (size_t i = 0; i < sizeof each / sizeof *each; ++i) *each[i] *= batches;
}

static int count_operations(struct planning *p, struct planned_rule *r) {
    const struct snn_model *m = &p->e.network.model;
    double *layer = malloc((size_t)(m->layers + 1) * sizeof *layer);
    if (!layer) return snn_error(SNN_EFAIL, "out of memory");
    for (int l = 0; l < m->layers; ++l) {
        const json_t *rate = json_object_get(p->rates, m->layer[l].title);
        layer[l] = json_is_number(rate) ? json_number_value(rate) : NAN;
    }
    struct snn_rates rates = {.spikes = p->spikes, .events = p->costs.events, .layer = layer};
    snn_count_operations(&p->e.network, &p->e.trainer, &rates, &r->operations);
    times(&r->operations, (double)p->e.train.accumulate);
    free(layer);
    return SNN_OK;
}

static int measure(struct planning *p, struct planned_rule *r) {
    struct snn_experiment *e = &p->e;
    if (!p->steps && e->data.timesteps > 0) p->steps = (int32_t)e->data.timesteps; /* no data needed */
    if (!p->steps) {
        SNN_TRY(snn_experiment_data(e, p->cli->data, 7, 0, 0));
        p->steps = e->steps;
    }
    e->steps = p->steps;
    if (p->cuda) e->network.device = &p->counting;
    SNN_TRY(enter_widest_stage(p));
    struct snn_device *device = e->network.device;
    struct snn_batch batch = snn_planned_batch(e);
    struct snn_network_plan what = snn_experiment_plan(e, true);
    SNN_TRY(snn_network_check(&e->network, &what));
    snn_network_measure(&e->network, &what, &r->arena);
    const int32_t T = batch.T;
    if (what.piece) batch.T = what.piece, batch.by_sample = batch.by_sample && what.cut < what.piece;
    r->batches = device->memory->stage_bytes(device, &batch);
    r->total = r->arena.used + r->batches;
    r->T = T, r->B = batch.B, r->cut = e->network.plan.cut, r->slice = e->network.plan.slice;
    SNN_TRY(count_operations(p, r));
    r->layers = plan_layers(&e->network.model);
    if (e->network.recompute && what.cut == what.T) measure_again(e, &what, r);
    return p->card ? plan_roofline(p, r) : SNN_OK;
}

/* ---- all that were asked for ---- */

/* A rule that cannot train the network as the config has it may with a loss that it can see. */
static int plan_rule(struct planning *p, struct planned_rule *r, bool as_it_is) {
    bool by_step = false;
    int rc = open_rule(p, r->name, &by_step);
    if (rc == SNN_EUSAGE && !as_it_is) {
        char first[1100];
        snprintf(first, sizeof first, "%s", snn_error_text());
        by_step = true;
        rc = open_rule(p, r->name, &by_step);
        if (rc == SNN_EUSAGE && !by_step) snn_error(SNN_EUSAGE, "%s", first);
    }
    r->by_step = by_step;
    if (p->open && !r->name) r->name = p->e.trainer.ops->name;
    if (rc >= 0) rc = measure(p, r);
    close_rule(p);
    if (rc != SNN_EUSAGE) return rc;
    r->refused = strdup(snn_error_text());
    return r->refused ? SNN_OK : snn_error(SNN_EFAIL, "out of memory");
}

static bool is_rule(const char *name) {
    for (int i = 0; snn_trainers[i]; ++i)
        if (!strcmp(snn_trainers[i]->name, name)) return true;
    return false;
}

int plan_rules(struct planning *p) {
    const char *wanted = p->cli->rule;
    struct snn_conf_doc *doc;
    int count = 0, own = 0, can = 0;
    if (wanted && strcmp(wanted, "all") != 0 && !is_rule(wanted))
        return snn_error(SNN_EUSAGE, "--rule: unknown learning rule '%s' (`snntrain list rules` shows them)", wanted);
    SNN_TRY(cli_load_config(p->cli, p->cli->arg[0], &doc));
    const char *named = wanted ? wanted : plan_own_rule(doc);
    while (snn_trainers[count]) ++count;
    p->rule = calloc((size_t)count, sizeof *p->rule);
    for (int i = 0; p->rule && i < count; ++i) {
        const char *name = snn_trainers[i]->name;
        if (strcmp(named, "all") != 0 && strcmp(named, name) != 0) continue;
        if (!strcmp(name, plan_own_rule(doc))) own = p->rules;
        p->rule[p->rules++].name = name;
    }
    snn_conf_free(&doc);
    if (!p->rule) return snn_error(SNN_EFAIL, "out of memory");
    if (!p->rules) p->rules = 1; /* the config names a rule that there is not: reading it says so */
    for (int i = 0; i < p->rules; ++i) {
        SNN_TRY(plan_rule(p, &p->rule[i], !wanted));
        can += !p->rule[i].refused;
    }
    return can ? SNN_OK : snn_error(SNN_EUSAGE, "%s", p->rule[own].refused);
}

void plan_close(struct planning *p) {
    close_rule(p); /* the network's memory goes back to its device, which must be open */
    for (int i = 0; i < p->rules; ++i)
        free(p->rule[i].refused), json_decref(p->rule[i].layers), snn_roofline_free(&p->rule[i].roof);
    free(p->rule), json_decref(p->rates);
    if (p->counting.close) snn_device_close(&p->counting);
}
