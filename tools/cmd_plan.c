/* SPDX-License-Identifier: Apache-2.0
 * cmd_plan.c - snntrain plan: the memory of a run, before it runs. */
#include <string.h>

#include "cli.h"
#include "core/status.h"

static const struct snn_trainer_ops *rule_named(const char *name) {
    for (int i = 0; snn_trainers[i]; ++i)
        if (!strcmp(snn_trainers[i]->name, name)) return snn_trainers[i];
    return NULL;
}

/* Bytes of the buffers that a layer's nodes bring, before they share memory. */
static size_t layer_bytes(const struct snn_model *m, const struct snn_layer *layer) {
    size_t bytes = 0;
    for (int i = layer->first_node; i < layer->first_node + layer->nodes; ++i) bytes += m->tape.node[i]->own_bytes;
    return bytes;
}

static json_t *rule_json(const struct snn_arena *arena) {
    json_t *purposes = json_object();
    for (int p = 0; p < SNN_MEM_PURPOSES; ++p)
        json_object_set_new(purposes, snn_memory_purpose[p], json_integer((json_int_t)arena->by_purpose[p]));
    return json_pack("{s:I,s:o}", "total_bytes", (json_int_t)arena->used, "purposes", purposes);
}

static void print_rule(const char *name, const struct snn_arena *arena) {
    printf("%s: %.2f MB in all", name, (double)arena->used * 1e-6);
    for (int p = 0; p < SNN_MEM_PURPOSES; ++p)
        if (arena->by_purpose[p])
            printf("%s %s %.2f", p ? "," : ":", snn_memory_purpose[p], (double)arena->by_purpose[p] * 1e-6);
    printf("\n");
}

static void print_layers(const struct snn_model *m) {
    char shape[48];
    printf("%-34s %-16s %12s %12s\n", "layer", "shape of a step", "parameters", "bytes");
    for (int i = 0; i < m->layers; ++i)
        printf("%-34s %-16s %12td %12zu\n", m->layer[i].title, snn_shape_text(m->layer[i].out, shape),
               m->layer[i].parameters, layer_bytes(m, &m->layer[i]));
    printf("(bytes of the activations and scratch a layer brings; layers share memory, so the sum is more than the "
           "total)\n\n");
}

static int plan(const struct cli *cli, struct snn_experiment *e) {
    struct snn_model *m = &e->network.model;
    if (e->data.timesteps > 0) e->steps = (int32_t)e->data.timesteps; /* no data needed */
    else SNN_TRY(snn_experiment_data(e, cli->data, 7, 0, 0));
    json_t *rules = json_object(), *layers = json_array();
    const char *wanted = cli->rule ? cli->rule : e->trainer->name;
    for (int i = 0; snn_trainers[i]; ++i) {
        if (strcmp(wanted, "all") && strcmp(wanted, snn_trainers[i]->name)) continue;
        struct snn_arena arena;
        struct snn_network_plan what = {
            .T = e->steps, .B = (int32_t)e->train.batch, .cut = snn_trainers[i]->cut(e->steps), .train = true};
        snn_network_measure(&e->network, &what, &arena);
        if (!cli->json && !json_object_size(rules)) {
            printf("batch %lld, %d steps", e->train.batch, (int)e->steps);
            if (e->network.plan.slice < e->train.batch) printf(", in slices of %d samples", (int)e->network.plan.slice);
            printf("\n");
            print_layers(m);
        }
        if (!cli->json) print_rule(snn_trainers[i]->name, &arena);
        json_object_set_new(rules, snn_trainers[i]->name, rule_json(&arena));
    }
    char shape[48];
    for (int i = 0; i < m->layers; ++i)
        json_array_append_new(layers, json_pack("{s:s,s:s,s:I,s:I}", "name", m->layer[i].title, "shape",
                                                snn_shape_text(m->layer[i].out, shape), "parameters",
                                                (json_int_t)m->layer[i].parameters, "bytes",
                                                (json_int_t)layer_bytes(m, &m->layer[i])));
    json_t *all = json_pack("{s:o,s:o}", "rules", rules, "layers", layers);
    if (cli->json) return cli_print_json(all);
    json_decref(all);
    return SNN_OK;
}

int cmd_plan(struct cli *cli) {
    struct snn_conf_doc *doc;
    struct snn_experiment e;
    SNN_TRY(cli_expect_args(cli, 1, 1));
    if (cli->rule && strcmp(cli->rule, "all") && !rule_named(cli->rule))
        return snn_error(SNN_EUSAGE, "--rule: unknown learning rule '%s' (`snntrain list rules` shows them)",
                         cli->rule);
    SNN_TRY(cli_load_config(cli, cli->arg[0], &doc));
    struct snn_experiment_options options = {.device = cli->device, .threads = (int)cli->threads};
    SNN_TRY(snn_experiment_read(doc, &options, &e));
    int rc = plan(cli, &e);
    snn_experiment_close(&e);
    return rc;
}
