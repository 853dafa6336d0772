/* SPDX-License-Identifier: Apache-2.0
 * cmd_plan.c - snntrain plan: the memory of a run before it runs, and what a step asks of a CUDA card.
 *
 * For CUDA the plan is made on a device that only counts (train/roofline.h), so that it is the same whether there is a
 * card here or not; a card that is here is asked how much memory it has left. */
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "cli.h"
#include "core/status.h"
#include "train/device.h"
#include "train/device_cuda.h"
#include "train/roofline.h"

struct planning {
    const struct cli *cli;
    struct snn_experiment e;
    bool cuda;                  /* plan for a card; else for the processor */
    struct snn_device counting; /* open when `cuda` or a roofline is wanted */
    struct snn_costs costs;
    char here[16], why[1024]; /* the card that is here, or why there is none */
    size_t left, total;       /* bytes of the card */
    const struct snn_card *card;
    size_t most; /* bytes of the rule that needs most */
};

static const struct snn_trainer_ops *rule_named(const char *name) {
    for (int i = 0; snn_trainers[i]; ++i)
        if (!strcmp(snn_trainers[i]->name, name)) return snn_trainers[i];
    return NULL;
}

/* ---- memory ---- */

/* Bytes of the buffers that a layer's nodes bring, before they share memory. */
static size_t layer_bytes(const struct snn_model *m, const struct snn_layer *layer) {
    size_t bytes = 0;
    for (int i = layer->first_node; i < layer->first_node + layer->nodes; ++i) bytes += m->tape.node[i]->own_bytes;
    return bytes;
}

void cli_print_layers(FILE *to, const struct snn_model *m) {
    char shape[48];
    fprintf(to, "%-34s %-16s %12s %12s\n", "layer", "shape of a step", "parameters", "bytes");
    for (int i = 0; i < m->layers; ++i)
        fprintf(to, "%-34s %-16s %12td %12zu\n", m->layer[i].title, snn_shape_text(m->layer[i].out, shape),
                m->layer[i].parameters, layer_bytes(m, &m->layer[i]));
    fprintf(to, "(bytes of the activations and scratch a layer brings; layers share memory, so the sum is more than "
                "the total)\n\n");
}

static json_t *layers_json(const struct snn_model *m) {
    json_t *layers = json_array();
    char shape[48];
    for (int i = 0; i < m->layers; ++i)
        json_array_append_new(layers, json_pack("{s:s,s:s,s:I,s:I}", "name", m->layer[i].title, "shape",
                                                snn_shape_text(m->layer[i].out, shape), "parameters",
                                                (json_int_t)m->layer[i].parameters, "bytes",
                                                (json_int_t)layer_bytes(m, &m->layer[i])));
    return layers;
}

static json_t *rule_json(const struct snn_arena *arena, size_t batches) {
    json_t *purposes = json_object();
    for (int p = 0; p < SNN_MEM_PURPOSES; ++p)
        json_object_set_new(purposes, snn_memory_purpose[p], json_integer((json_int_t)arena->by_purpose[p]));
    json_object_set_new(purposes, "batches", json_integer((json_int_t)batches));
    return json_pack("{s:I,s:o}", "total_bytes", (json_int_t)(arena->used + batches), "purposes", purposes);
}

static void print_rule(const char *name, const struct snn_arena *arena, size_t batches) {
    printf("%s: %.2f MB in all", name, (double)(arena->used + batches) * 1e-6);
    for (int p = 0; p < SNN_MEM_PURPOSES; ++p)
        if (arena->by_purpose[p])
            printf("%s %s %.2f", p ? "," : ":", snn_memory_purpose[p], (double)arena->by_purpose[p] * 1e-6);
    if (batches) printf(", batches %.2f", (double)batches * 1e-6);
    printf("\n");
}

/* What is gained and paid where layers run again. */
struct again {
    int segments, layers; /* how many, of how many layers of spikes each */
    size_t without;       /* bytes when nothing runs again */
    double share;         /* of the forward pass's multiply-adds */
};

static struct again measure_again(struct snn_experiment *e, const struct snn_network_plan *what, size_t batches) {
    struct snn_network *n = &e->network;
    struct snn_arena arena;
    int recompute = n->recompute;
    double all = 0, again = 0;
    for (int i = 0; i < n->model.tape.nodes; ++i) {
        const struct snn_node *node = n->model.tape.node[i];
        double macs = node->macs * (double)snn_plan_rows(&n->model.tape, node->out);
        all += macs, again += node->segment >= 0 ? macs : 0;
    }
    struct again a = {n->model.tape.segments, n->model.tape.spiking, 0, all > 0 ? again / all : 0};
    n->recompute = 0;
    snn_network_measure(n, what, &arena);
    a.without = arena.used + batches;
    n->recompute = recompute;
    snn_network_measure(n, what, &arena);
    return a;
}

static int plan_rules(struct planning *p, json_t *rules) {
    struct snn_experiment *e = &p->e;
    struct snn_device *device = e->network.device;
    struct snn_batch batch = snn_planned_batch(e);
    size_t batches = device->memory->stage_bytes(device, &batch);
    const char *wanted = p->cli->rule ? p->cli->rule : e->trainer.ops->name;
    for (int i = 0; snn_trainers[i]; ++i) {
        if (strcmp(wanted, "all") && strcmp(wanted, snn_trainers[i]->name)) continue;
        struct snn_arena arena;
        struct snn_network_plan what = {
            .T = batch.T, .B = batch.B, .cut = snn_trainer_cut(&e->trainer, batch.T), .train = true};
        SNN_TRY(snn_network_check(&e->network, &what));
        snn_network_measure(&e->network, &what, &arena);
        if (arena.used + batches > p->most) p->most = arena.used + batches;
        if (!p->cli->json && !json_object_size(rules)) {
            printf("batch %d, %d steps", (int)batch.B, (int)batch.T);
            if (e->network.plan.slice < batch.B) printf(", in slices of %d samples", (int)e->network.plan.slice);
            printf("%s\n", p->cuda ? ", on CUDA" : ", on the CPU");
            cli_print_layers(stdout, &e->network.model);
        }
        json_t *rule = rule_json(&arena, batches);
        if (!p->cli->json) print_rule(snn_trainers[i]->name, &arena, batches);
        if (e->network.recompute && what.cut == what.T) {
            struct again a = measure_again(e, &what, batches);
            json_object_set_new(rule, "recompute",
                                json_pack("{s:i,s:i,s:I,s:f}", "segments", a.segments, "spiking_layers", a.layers,
                                          "bytes_without", (json_int_t)a.without, "forward_macs_again", a.share));
            if (!p->cli->json && !a.segments) printf("recompute: nothing would be gained, all layers run once\n");
            else if (!p->cli->json)
                printf("recompute: %d segments of %d spiking layers run again, %.0f %% of the forward pass's "
                       "multiply-adds; without %.2f MB\n",
                       a.segments, a.layers, 100 * a.share, (double)a.without * 1e-6);
        }
        json_object_set_new(rules, snn_trainers[i]->name, rule);
    }
    return SNN_OK;
}

/* ---- the card ---- */

/* Ask card `index` for its memory, or note why that cannot be done. */
static bool look_at_card(struct planning *p, int index) {
    struct snn_device card;
    if (snn_cuda_load(index, &card) < 0) {
        snprintf(p->why, sizeof p->why, "%s", snn_error_text());
        return false;
    }
    snprintf(p->here, sizeof p->here, "%s", card.name);
    card.memory->room(&card, &p->left, &p->total);
    snn_device_close(&card);
    return true;
}

/* For what to plan. A roofline is of a card, so that without --device memory is planned for a card too. */
static int choose_device(struct planning *p) {
    const char *wish = p->cli->device ? p->cli->device : p->cli->roofline ? "cuda" : "auto";
    int index = 0;
    if (p->cli->roofline) SNN_TRY(snn_card_find(p->cli->roofline, &p->card));
    p->cuda = !strncmp(wish, "cuda", 4);
    if (p->cuda) {
        SNN_TRY(snn_device_card(wish, &index));
        look_at_card(p, index);
    } else if (!strcmp(wish, "auto")) {
        p->cuda = look_at_card(p, index);
    }
    return p->cuda || p->card ? snn_costs_open(&p->costs, &p->counting) : SNN_OK;
}

static bool fits(const struct planning *p) { return !p->total || p->most <= p->left; }

static void print_card(const struct planning *p) {
    if (!*p->here) printf("planned without a card: %s\n", p->why);
    else
        printf("%s: %.1f MB of %.1f MB are free: the plan %s\n", p->here, (double)p->left * 1e-6,
               (double)p->total * 1e-6, fits(p) ? "fits" : "does not fit");
}

/* ---- the roofline ---- */

static json_t *roofline_json(const struct planning *p, const struct snn_roofline *r) {
    json_t *kernels = json_array();
    for (int i = 0; i < r->kernels; ++i) {
        const struct snn_roof *k = &r->kernel[i];
        json_array_append_new(kernels, json_pack("{s:s,s:I,s:f,s:f,s:f,s:f}", "kernel", k->kernel, "launches",
                                                 (json_int_t)k->launches, "bytes", k->bytes, "flops", k->flops,
                                                 "floor_ms", k->seconds * 1e3, "share", k->seconds / r->all.seconds));
    }
    return json_pack("{s:s,s:f,s:f,s:f,s:I,s:I,s:f,s:f,s:f,s:o}", "card", p->card->name, "bandwidth_gb_s",
                     p->card->bandwidth * 1e-9, "peak_tflops", p->card->peak * 1e-12, "floor_ms", r->all.seconds * 1e3,
                     "launches", (json_int_t)r->all.launches, "graph_launches", (json_int_t)p->costs.graphs, "bytes",
                     r->all.bytes, "flops", r->all.flops, "density", p->costs.spikes, "kernels", kernels);
}

static void print_roof(const char *name, const struct snn_roof *k, double all) {
    printf("%-34s %9lld %12.3f %12.3f %10.4f %6.1f %%\n", name, (long long)k->launches, k->bytes * 1e-6,
           k->flops * 1e-6, k->seconds * 1e3, 100 * k->seconds / all);
}

static void print_roofline(const struct planning *p, const char *rule, const struct snn_roofline *r) {
    struct snn_roof rest = {0};
    int others = 0;
    char name[48];
    printf("\n%s on %s (%.0f GB/s, %.1f TFLOPS): a training step takes %.4f ms or more\n"
           "%.2f MB moved, %.2f Mflop; %lld launches, which %lld graph launch%s once captured\n",
           rule, p->card->title, p->card->bandwidth * 1e-9, p->card->peak * 1e-12, r->all.seconds * 1e3,
           r->all.bytes * 1e-6, r->all.flops * 1e-6, (long long)r->all.launches, (long long)p->costs.graphs,
           p->costs.graphs == 1 ? " starts" : "es start");
    printf("%-34s %9s %12s %12s %10s %8s\n", "kernel", "launches", "MB", "Mflop", "ms", "share");
    for (int i = 0; i < r->kernels; ++i) {
        const struct snn_roof *k = &r->kernel[i];
        if (k->seconds >= 0.01 * r->all.seconds) {
            print_roof(k->kernel, k, r->all.seconds);
            continue;
        }
        ++others, rest.launches += k->launches, rest.bytes += k->bytes;
        rest.flops += k->flops, rest.seconds += k->seconds;
    }
    snprintf(name, sizeof name, "(%d others)", others);
    if (others) print_roof(name, &rest, r->all.seconds);
    printf(
        "(a bound from counted bytes and operations, not a measurement: each kernel moves its arrays once, all "
        "memory is that of\nthe card and not its cache, launches take no time; %.0f %% of the neurons spike, %.0f %% "
        "of the inputs of events are not 0)\n",
        100 * p->costs.spikes, 100 * p->costs.events);
}

static int roofline(struct planning *p, json_t *all) {
    struct snn_roofline r;
    SNN_TRY(snn_count_step(&p->e, &p->e.trainer, &p->counting, &p->costs));
    SNN_TRY(snn_roofline(&p->costs, p->card, &r));
    if (p->cli->json) json_object_set_new(all, "roofline", roofline_json(p, &r));
    else print_roofline(p, p->e.trainer.ops->name, &r);
    snn_roofline_free(&r);
    return SNN_OK;
}

/* ---- the command ---- */

/* Of several stages the one that needs most memory is planned. */
static int enter_widest_stage(struct planning *p) {
    struct snn_experiment *e = &p->e;
    size_t most = 0;
    int widest = 0;
    for (int k = 0; k < e->stage_count; ++k) {
        struct snn_arena arena;
        SNN_TRY(snn_experiment_enter(e, k));
        struct snn_batch batch = snn_planned_batch(e);
        struct snn_network_plan what = {
            .T = batch.T, .B = batch.B, .cut = snn_trainer_cut(&e->trainer, batch.T), .train = true};
        snn_network_measure(&e->network, &what, &arena);
        if (arena.used > most) most = arena.used, widest = k;
    }
    if (e->stage_count && !p->cli->json)
        printf("stage %d of %d, of which it needs most memory\n", widest + 1, e->stage_count);
    return snn_experiment_enter(e, widest);
}

static int plan(struct planning *p) {
    struct snn_experiment *e = &p->e;
    SNN_TRY(choose_device(p));
    if (e->data.timesteps > 0) e->steps = (int32_t)e->data.timesteps; /* no data needed */
    else SNN_TRY(snn_experiment_data(e, p->cli->data, 7, 0, 0));
    if (p->cuda) e->network.device = &p->counting;
    SNN_TRY(enter_widest_stage(p));
    json_t *rules = json_object();
    int rc = plan_rules(p, rules);
    if (rc < 0) {
        json_decref(rules);
        return rc;
    }
    json_t *all = json_pack("{s:s,s:o,s:o}", "device", p->cuda ? "cuda" : "cpu", "rules", rules, "layers",
                            layers_json(&e->network.model));
    if (p->cuda && *p->here)
        json_object_set_new(all, "card",
                            json_pack("{s:s,s:I,s:I,s:b}", "name", p->here, "free_bytes", (json_int_t)p->left,
                                      "total_bytes", (json_int_t)p->total, "fits", fits(p)));
    if (p->cuda && !p->cli->json) print_card(p);
    if (p->card) rc = roofline(p, all);
    if (rc >= 0 && p->cli->json) rc = cli_print_json(json_incref(all));
    json_decref(all);
    if (rc >= 0 && p->cuda && *p->here && !fits(p))
        rc = snn_error(SNN_EUSAGE,
                       "%s: %.1f MB are planned, %.1f MB of the card's %.1f MB are free (a smaller train.batch needs "
                       "less)",
                       p->here, (double)p->most * 1e-6, (double)p->left * 1e-6, (double)p->total * 1e-6);
    return rc;
}

int cmd_plan(struct cli *cli) {
    struct snn_conf_doc *doc;
    struct planning p = {.cli = cli};
    SNN_TRY(cli_expect_args(cli, 1, 1));
    if (cli->rule && strcmp(cli->rule, "all") && !rule_named(cli->rule))
        return snn_error(SNN_EUSAGE, "--rule: unknown learning rule '%s' (`snntrain list rules` shows them)",
                         cli->rule);
    SNN_TRY(cli_load_config(cli, cli->arg[0], &doc));
    /* The config is read on the processor, whatever is planned for; names that are no device are refused there. */
    bool known = !cli->device || !strcmp(cli->device, "auto") || !strncmp(cli->device, "cuda", 4);
    struct snn_experiment_options options = {.device = known ? "cpu" : cli->device,
                                             .threads = (int)cli->threads,
                                             .data_dir = cli->data,
                                             .warnings = cli_warnings(cli)};
    SNN_TRY(snn_experiment_read(doc, &options, &p.e));
    int rc = plan(&p);
    snn_experiment_close(&p.e); /* the network's memory goes back to its device, which must be open */
    if (p.counting.close) snn_device_close(&p.counting);
    return rc;
}
