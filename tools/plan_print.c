/* SPDX-License-Identifier: Apache-2.0
 * plan_print.c - a plan as tables, and as JSON. */
#include <stdlib.h>
#include <string.h>

#include "plan.h"

static const char *text_of(const json_t *item, const char *key) {
    return json_string_value(json_object_get(item, key));
}
static double number_of(const json_t *item, const char *key) { return json_number_value(json_object_get(item, key)); }

/* ---- JSON ---- */

static json_t *bytes_json(const struct planned_rule *r) {
    json_t *purposes = json_object();
    for (int i = 0; i < SNN_MEM_PURPOSES; ++i)
        json_object_set_new(purposes, snn_memory_purpose[i], json_integer((json_int_t)r->arena.by_purpose[i]));
    json_object_set_new(purposes, "batches", json_integer((json_int_t)r->batches));
    return json_pack("{s:I,s:o,s:O}", "total_bytes", (json_int_t)r->total, "purposes", purposes, "layers", r->layers);
}

static json_t *operations_json(const struct snn_operations *o) {
    return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "macs_forward", o->forward, "macs_backward",
                     o->input_gradients + o->weight_gradients + o->signals, "macs_input_gradients", o->input_gradients,
                     "macs_weight_gradients", o->weight_gradients, "macs_signals", o->signals, "macs_traces", o->traces,
                     "synops", o->synops_forward + o->synops_weights, "synops_forward", o->synops_forward,
                     "synops_weight_gradients", o->synops_weights, "macs_dense", o->dense);
}

static json_t *rule_json(const struct planning *p, const struct planned_rule *r) {
    json_t *json = bytes_json(r), *operations = operations_json(&r->operations);
    json_object_update(json, operations);
    json_decref(operations);
    json_object_set_new(json, "cut", json_integer(r->cut));
    json_object_set_new(json, "slice", json_integer(r->slice));
    json_object_set_new(json, "loss_over_step", json_boolean(r->by_step));
    if (p->cuda && *p->here) json_object_set_new(json, "fits", json_boolean(r->total <= p->left));
    if (r->again.on)
        json_object_set_new(json, "recompute",
                            json_pack("{s:i,s:i,s:I,s:f}", "segments", r->again.segments, "spiking_layers",
                                      r->again.spiking, "bytes_without", (json_int_t)r->again.without,
                                      "forward_macs_again", r->again.share));
    if (p->card && p->rules > 1) json_object_set_new(json, "roofline", plan_roofline_json(p, r));
    return json;
}

json_t *plan_json(const struct planning *p) {
    json_t *rules = json_object(), *refused = json_object(), *layers = NULL;
    for (int i = 0; i < p->rules; ++i) {
        const struct planned_rule *r = &p->rule[i];
        if (r->refused) json_object_set_new(refused, r->name, json_string(r->refused));
        else json_object_set_new(rules, r->name, rule_json(p, r));
        if (!layers) layers = r->layers;
    }
    json_t *all = json_pack("{s:s,s:o,s:o,s:O,s:f,s:f}", "device", p->cuda ? "cuda" : "cpu", "rules", rules, "refused",
                            refused, "layers", layers, "spike_rate", p->spikes, "event_rate", p->costs.events);
    if (p->rates) json_object_set(all, "spike_rates", p->rates);
    if (p->card && p->rules == 1) json_object_set_new(all, "roofline", plan_roofline_json(p, p->rule));
    return all;
}

/* ---- tables ---- */

void cli_print_layers(FILE *to, const struct snn_model *m) {
    json_t *layers = plan_layers(m), *item;
    size_t i;
    fprintf(to, "%-34s %-16s %12s %12s\n", "layer", "shape of a step", "parameters", "bytes");
    json_array_foreach(layers, i, item)
        fprintf(to, "%-34s %-16s %12.0f %12.0f\n", text_of(item, "name"), text_of(item, "shape"),
                number_of(item, "parameters"), number_of(item, "bytes"));
    json_decref(layers);
}

static const struct planned_rule *first_of(const struct planning *p) {
    for (int i = 0; i < p->rules; ++i)
        if (!p->rule[i].refused) return &p->rule[i];
    return NULL;
}

/* The layers, which all rules have, and below them what is in none. */
static void print_layers(const struct planning *p) {
    const json_t *layers = first_of(p)->layers;
    size_t count = json_array_size(layers);
    if (count && !strcmp(text_of(json_array_get(layers, count - 1), "name"), PLAN_OTHER)) --count;
    printf("%-34s %-16s %10s", p->rules > 1 ? "MB by layer" : "layer", "shape of a step", "parameters");
    for (int i = 0; i < p->rules; ++i)
        if (!p->rule[i].refused) printf(" %12s", p->rules > 1 ? p->rule[i].name : "bytes");
    printf("\n");
    bool more = false;
    for (int i = 0; i < p->rules; ++i) more = more || json_array_size(p->rule[i].layers) > count;
    for (size_t l = 0; l < count + more; ++l) {
        const json_t *item = json_array_get(layers, l);
        if (l < count)
            printf("%-34s %-16s %10.0f", text_of(item, "name"), text_of(item, "shape"), number_of(item, "parameters"));
        else printf("%-34s %-16s %10s", PLAN_OTHER, "", "");
        for (int i = 0; i < p->rules; ++i) {
            if (p->rule[i].refused) continue;
            double bytes = number_of(json_array_get(p->rule[i].layers, l), "bytes");
            printf(p->rules > 1 ? " %12.3f" : " %12.0f", p->rules > 1 ? 1e-6 * bytes : bytes);
        }
        printf("\n");
    }
    printf("(of the activations and scratch a layer brings; layers share memory, so the sum is more than the total)\n");
}

/* Cut and slice: the steps and samples that pass together (train/network.h). */
static void print_bytes(const struct planning *p) {
    printf("\n%-8s %5s %5s %10s", "MB", "cut", "slice", "in all");
    for (int i = 0; i < SNN_MEM_PURPOSES; ++i) printf(" %11s", snn_memory_purpose[i]);
    printf(" %8s\n", "batches");
    for (int k = 0; k < p->rules; ++k) {
        const struct planned_rule *r = &p->rule[k];
        if (r->refused) continue;
        printf("%-8s %5d %5d %10.3f", r->name, (int)r->cut, (int)r->slice, (double)r->total * 1e-6);
        for (int i = 0; i < SNN_MEM_PURPOSES; ++i) printf(" %11.3f", (double)r->arena.by_purpose[i] * 1e-6);
        printf(" %8.3f\n", (double)r->batches * 1e-6);
    }
    for (int k = 0; k < p->rules; ++k) {
        const struct planned_rule *r = &p->rule[k];
        if (r->again.on && !r->again.segments) printf("recompute: nothing would be gained, all layers run once\n");
        else if (r->again.on)
            printf("%s, recompute: %d segments of %d spiking layers run again, %.0f %% of the forward pass's "
                   "multiply-adds; without %.2f MB\n",
                   r->name, r->again.segments, r->again.spiking, 100 * r->again.share, (double)r->again.without * 1e-6);
    }
}

static void print_operations(const struct planning *p) {
    printf("\n%-8s %11s %11s %11s %11s %11s | %11s %11s %11s\n%-8s %11s %11s %11s %11s %11s | %11s %11s %11s\n",
           "million", "forward", "gradient", "gradient", "feedback,", "traces", "additions", "of weight", "multiply-",
           "", "dense", "of inputs", "of weights", "readouts", "", "forward", "gradients", "adds left");
    for (int k = 0; k < p->rules; ++k) {
        const struct planned_rule *r = &p->rule[k];
        const struct snn_operations *o = &r->operations;
        if (!r->refused)
            printf("%-8s %11.2f %11.2f %11.2f %11.2f %11.2f | %11.2f %11.2f %11.2f\n", r->name, 1e-6 * o->forward,
                   1e-6 * o->input_gradients, 1e-6 * o->weight_gradients, 1e-6 * o->signals, 1e-6 * o->traces,
                   1e-6 * o->synops_forward, 1e-6 * o->synops_weights, 1e-6 * o->dense);
    }
    printf("(a training step: dense multiply-adds of all products; behind the line what they are where spikes are "
           "read, of which %s%.3g %%\nare not 0%s, of input events %.3g %%)\n",
           p->rates ? "as the run's log has it by layer, else " : "", 100 * p->spikes, p->rates ? "" : " (--density)",
           100 * p->costs.events);
}

static void print_notes(const struct planning *p) {
    int count = 0;
    for (int k = 0; k < p->rules; ++k)
        if (p->rule[k].by_step && !p->rule[k].refused) printf(count++ ? ", %s" : "%s", p->rule[k].name);
    if (count) printf(": planned with loss over: step\n");
    for (int k = 0; k < p->rules; ++k)
        if (p->rule[k].refused) printf("%s cannot: %s\n", p->rule[k].name, p->rule[k].refused);
}

void plan_print(const struct planning *p) {
    const struct planned_rule *first = first_of(p);
    printf("batch %d, %d steps, %s\n", (int)first->B, (int)first->T, p->cuda ? "on CUDA" : "on the CPU");
    print_layers(p);
    print_bytes(p);
    print_operations(p);
    print_notes(p);
}
