/* SPDX-License-Identifier: Apache-2.0
 * cmd_plan.c - snntrain plan: the memory of a run before it runs, and what a step asks of a CUDA card.
 *
 * For CUDA the plan is made on a device that only counts (train/roofline.h), so that it is the same whether there is a
 * card here or not; a card that is here is asked how much memory it has left. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/memory.h"
#include "core/file.h"
#include "core/status.h"
#include "plan.h"
#include "train/device.h"
#include "train/device_cuda.h"

/* ---- the card ---- */

/* Ask card `index` for its memory, or note why that cannot be done. */
static bool look_at_card(struct planning *p, int index) {
    struct snn_device card;
    if (snn_cuda_load(index, &card) < 0) {
        snprintf(p->why, sizeof p->why, "%s", snn_error_text());
        return false;
    }
    snprintf(p->here, sizeof p->here, "%s", card.name);
    card.memory->room(&card, &p->left, &p->of);
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
    if (p->cuda || p->card) SNN_TRY(snn_costs_open(&p->costs, &p->counting));
    return SNN_OK;
}

/* Of the rules that were asked for, the one that needs least. */
static size_t least_of(const struct planning *p) {
    size_t least = SIZE_MAX;
    for (int i = 0; i < p->rules; ++i)
        if (!p->rule[i].refused && p->rule[i].total < least) least = p->rule[i].total;
    return least;
}

static bool fits(const struct planning *p) { return !p->of || least_of(p) <= p->left; }

static void print_card(const struct planning *p) {
    if (!*p->here) printf("planned without a card: %s\n", p->why);
    else if (p->rules == 1 || !fits(p))
        printf("%s: %.1f MB of %.1f MB are free: the plan %s\n", p->here, (double)p->left * 1e-6, (double)p->of * 1e-6,
               fits(p) ? "fits" : "does not fit");
    else
        for (int i = 0; i < p->rules; ++i)
            if (!p->rule[i].refused)
                printf("%s: %.1f MB of %.1f MB are free: %s %s\n", p->here, (double)p->left * 1e-6,
                       (double)p->of * 1e-6, p->rule[i].name, p->rule[i].total <= p->left ? "fits" : "does not fit");
}

/* ---- the roofline ---- */

json_t *plan_roofline_json(const struct planning *p, const struct planned_rule *rule) {
    const struct snn_roofline *r = &rule->roof;
    json_t *kernels = json_array();
    for (int i = 0; i < r->kernels; ++i) {
        const struct snn_roof *k = &r->kernel[i];
        json_array_append_new(kernels, json_pack("{s:s,s:I,s:f,s:f,s:f,s:f}", "kernel", k->kernel, "launches",
                                                 (json_int_t)k->launches, "bytes", k->bytes, "flops", k->flops,
                                                 "floor_ms", k->seconds * 1e3, "share", k->seconds / r->all.seconds));
    }
    return json_pack("{s:s,s:f,s:f,s:f,s:I,s:I,s:f,s:f,s:f,s:o}", "card", p->card->name, "bandwidth_gb_s",
                     p->card->bandwidth * 1e-9, "peak_tflops", p->card->peak * 1e-12, "floor_ms", r->all.seconds * 1e3,
                     "launches", (json_int_t)r->all.launches, "graph_launches", (json_int_t)rule->graphs, "bytes",
                     r->all.bytes, "flops", r->all.flops, "density", p->costs.spikes, "kernels", kernels);
}

static void print_roof(const char *name, const struct snn_roof *k, double all) {
    printf("%-34s %9lld %12.3f %12.3f %10.4f %6.1f %%\n", name, (long long)k->launches, k->bytes * 1e-6,
           k->flops * 1e-6, k->seconds * 1e3, 100 * k->seconds / all);
}

static void print_roofline(const struct planning *p, const struct planned_rule *rule) {
    const struct snn_roofline *r = &rule->roof;
    struct snn_roof rest = {0};
    int others = 0;
    char name[48];
    printf("\n%s on %s (%.0f GB/s, %.1f TFLOPS): a training step takes %.4f ms or more\n"
           "%.2f MB moved, %.2f Mflop; %lld launches, which %lld graph launch%s once captured\n",
           rule->name, p->card->title, p->card->bandwidth * 1e-9, p->card->peak * 1e-12, r->all.seconds * 1e3,
           r->all.bytes * 1e-6, r->all.flops * 1e-6, (long long)r->all.launches, (long long)rule->graphs,
           rule->graphs == 1 ? " starts" : "es start");
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

int plan_roofline(struct planning *p, struct planned_rule *r) {
    p->costs.spikes = p->spikes;
    SNN_TRY(snn_count_step(&p->e, &p->e.trainer, &p->counting, &p->costs));
    r->graphs = p->costs.graphs;
    return snn_roofline(&p->costs, p->card, &r->roof);
}

/* ---- how many neurons spike ---- */

/* What the log of a run says of its last training epoch; NULL: nothing. */
static int read_rates(struct planning *p) {
    const char *run = p->cli->arg[0];
    char path[4096];
    unsigned char *bytes;
    size_t size;
    if (!cli_is_directory(run) || snprintf(path, sizeof path, "%s/log.jsonl", run) >= (int)sizeof path ||
        !snn_file_exists(path))
        return SNN_OK;
    SNN_TRY(snn_file_read(path, (size_t)1 << 30, &bytes, &size));
    const char *line = (char *)bytes, *end = line + size;
    for (const char *next; line < end && (next = memchr(line, '\n', (size_t)(end - line))); line = next + 1) {
        json_t *record = json_loadb(line, (size_t)(next - line), 0, NULL);
        const char *split = json_string_value(json_object_get(record, "split"));
        json_t *rates = json_object_get(record, "spike_rate");
        if (split && !strcmp(split, "train") && json_object_size(rates)) {
            json_decref(p->rates);
            p->rates = json_incref(rates);
        }
        json_decref(record);
    }
    free(bytes);
    return SNN_OK;
}

/* --density holds for all layers; else the run's own, and 10 % for what it does not say. */
static int choose_rates(struct planning *p) {
    const char *text = p->cli->density;
    char *end = NULL;
    p->spikes = text ? strtod(text, &end) : p->costs.spikes;
    if (text && (end == text || *end || !(p->spikes >= 0 && p->spikes <= 1)))
        return snn_error(SNN_EUSAGE, "--density: expected a share of 0..1, got '%s'", text);
    return text ? SNN_OK : read_rates(p);
}

/* ---- the command ---- */

int plan_all(struct planning *p) {
    SNN_TRY(choose_device(p));
    SNN_TRY(choose_rates(p));
    return plan_rules(p);
}

static int plan(struct planning *p) {
    SNN_TRY(plan_all(p));
    int rc = SNN_OK;
    if (p->cli->json) {
        json_t *all = plan_json(p);
        if (p->cuda && *p->here)
            json_object_set_new(all, "card",
                                json_pack("{s:s,s:I,s:I,s:b}", "name", p->here, "free_bytes", (json_int_t)p->left,
                                          "total_bytes", (json_int_t)p->of, "fits", fits(p)));
        rc = cli_print_json(all);
    } else {
        plan_print(p);
        if (p->cuda) print_card(p);
        for (int i = 0; p->card && i < p->rules; ++i)
            if (!p->rule[i].refused) print_roofline(p, &p->rule[i]);
    }
    if (rc >= 0 && p->cuda && *p->here && !fits(p))
        rc = snn_error(SNN_EUSAGE,
                       "%s: %.1f MB are planned, %.1f MB of the card's %.1f MB are free (a smaller train.batch needs "
                       "less)",
                       p->here, (double)least_of(p) * 1e-6, (double)p->left * 1e-6, (double)p->of * 1e-6);
    return rc;
}

int cmd_plan(struct cli *cli) {
    struct planning p = {.cli = cli, .costs = {.spikes = SNN_SPIKES_ASSUMED, .events = SNN_EVENTS_ASSUMED}};
    SNN_TRY(cli_expect_args(cli, 1, 1));
    int rc = plan(&p);
    plan_close(&p);
    return rc;
}
