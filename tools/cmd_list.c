/* SPDX-License-Identifier: Apache-2.0
 * cmd_list.c - snntrain list: every name a config may use, from the tables that read it. */
#include <string.h>

#include "cli.h"
#include "core/status.h"
#include "datasets/events.h"

struct listing { /* what is being collected */
    json_t *items;
    FILE *text; /* NULL: JSON only */
};

static json_t *key_json(const struct snn_key *key) {
    json_t *json = json_pack("{s:s,s:s}", "name", key->name, "help", key->help);
    if (key->value && key->value != SNN_OPTIONAL) json_object_set_new(json, "default", json_string(key->value));
    if (key->type == SNN_CHOICE) {
        json_t *choices = json_array();
        for (int i = 0; key->choices[i]; ++i) json_array_append_new(choices, json_string(key->choices[i]));
        json_object_set_new(json, "choices", choices);
    }
    return json;
}

static void item(struct listing *l, const char *name, const char *alias, const char *help, const struct snn_key *keys) {
    json_t *list = json_array();
    if (l->text) {
        fprintf(l->text, "  %-18s %s%s%s%s\n", name, help, alias ? " [also " : "", alias ? alias : "",
                alias ? "]" : "");
        for (const struct snn_key *k = keys; k && k->name; ++k)
            if (strcmp(k->name, "name")) {
                bool optional = k->value == SNN_OPTIONAL;
                fprintf(l->text, "      %-16s %s%s%s%s\n", k->name, k->help,
                        optional   ? " (optional)"
                        : k->value ? " (default "
                                   : " (required)",
                        !optional && k->value ? k->value : "", !optional && k->value ? ")" : "");
            }
    }
    for (const struct snn_key *k = keys; k && k->name; ++k)
        if (strcmp(k->name, "name")) json_array_append_new(list, key_json(k));
    json_t *json = json_pack("{s:s,s:s,s:o}", "name", name, "help", help, "keys", list);
    json_t *aliases = json_array();
    for (const char *at = alias; at && *at; at += strcspn(at, " "), at += strspn(at, " "))
        json_array_append_new(aliases, json_stringn(at, strcspn(at, " ")));
    if (alias) json_object_set(json, "aliases", aliases);
    json_decref(aliases);
    json_array_append_new(l->items, json);
}

static void neurons(struct listing *l) {
    for (const struct snn_neuron_model *m = snn_neuron_models; m->name; ++m)
        item(l, m->name, m->alias, m->help, m->keys);
    for (const struct snn_layer_ops *o = snn_composed_neurons; o->name; ++o)
        item(l, o->name, o->alias, o->help, o->keys);
    for (const struct snn_ultra_model *m = snn_ultra_models; m->name; ++m) item(l, m->name, NULL, m->help, m->keys);
}
/* Other names of a surrogate: "also atan, snntorch.sigmoid {alpha: 25}". */
static void surrogate_aliases(struct listing *l, int which, json_t *item) {
    json_t *names = json_array(), *set = json_object();
    for (const struct snn_surrogate_alias *a = snn_surrogate_aliases; a->name; ++a) {
        if (a->which != which) continue;
        json_t *values = json_object();
        if (l->text) fprintf(l->text, "%s%s", json_array_size(names) ? ", " : "      also ", a->name);
        for (int i = 0; i < 3 && a->set[i].key; ++i) {
            bool last = i == 2 || !a->set[i + 1].key;
            if (l->text)
                fprintf(l->text, "%s%s: %s%s", i ? ", " : " {", a->set[i].key, a->set[i].value, last ? "}" : "");
            json_object_set_new(values, a->set[i].key, json_string(a->set[i].value));
        }
        json_array_append_new(names, json_string(a->name));
        if (json_object_size(values)) json_object_set(set, a->name, values);
        json_decref(values);
    }
    if (l->text && json_array_size(names)) fprintf(l->text, "\n");
    json_object_set_new(item, "aliases", names);
    json_object_set_new(item, "alias_values", set);
}
static void surrogates(struct listing *l) {
    for (int i = 0; i < SNN_SURROGATE_COUNT; ++i) {
        item(l, snn_surrogate_names[i], NULL, snn_surrogate_helps[i], snn_surrogate_keys(i));
        surrogate_aliases(l, i, json_array_get(l->items, (size_t)i));
    }
}
static void layers(struct listing *l) {
    for (const struct snn_layer_ops *o = snn_layers; o->name; ++o) item(l, o->name, o->alias, o->help, o->keys);
}
static void weights(struct listing *l) {
    for (const struct snn_weight_kind *k = snn_weight_kinds; k->name; ++k) item(l, k->name, NULL, k->help, k->keys);
}
static void rules(struct listing *l) {
    for (int i = 0; snn_trainers[i]; ++i)
        item(l, snn_trainers[i]->name, NULL, snn_trainers[i]->help, snn_trainers[i]->keys);
}
static void datasets(struct listing *l) {
    for (int i = 0; snn_datasets[i]; ++i)
        item(l, snn_datasets[i]->name, NULL, snn_datasets[i]->help, snn_datasets[i]->keys);
}
static void augmentations(struct listing *l) {
    for (const struct snn_augment_ops *o = snn_augments; o->name; ++o) {
        char help[160];
        const char *use = o->serves == SNN_FOR_IMAGES     ? "images"
                          : o->serves == SNN_FOR_SENSORS  ? "recordings of rows and columns"
                          : o->serves == SNN_FOR_CHANNELS ? "recordings of channels"
                                                          : "recordings";
        snprintf(help, sizeof help, "%s: %s", use, o->help);
        item(l, o->name, o->alias, help, o->keys);
    }
}
static void codings(struct listing *l) {
    item(l, "direct", NULL, "the image is the input current at every step", NULL);
    item(l, "rate", NULL, "a spike in each step with the probability of the pixel's brightness", NULL);
    item(l, "latency", NULL, "one spike a pixel, the earlier the brighter; none for black", NULL);
}
static void framings(struct listing *l) {
    for (int i = 0; snn_bin_rules[i].name; ++i) item(l, snn_bin_rules[i].name, NULL, snn_bin_rules[i].help, NULL);
}
static void presets(struct listing *l) {
    for (const struct snn_bin_preset *p = snn_bin_presets; p->name; ++p) item(l, p->name, p->alias, p->help, NULL);
}
static void optimizers(struct listing *l) {
    for (int i = 0; snn_optim_list[i].name; ++i)
        item(l, snn_optim_list[i].name, NULL, snn_optim_list[i].help, snn_optim_list[i].keys);
}
static void schedules(struct listing *l) {
    for (int i = 0; snn_schedule_list[i].name; ++i)
        item(l, snn_schedule_list[i].name, NULL, snn_schedule_list[i].help, snn_schedule_list[i].keys);
}
static void losses(struct listing *l) {
    for (int i = 0; snn_loss_list[i].name; ++i)
        item(l, snn_loss_list[i].name, snn_loss_list[i].alias, snn_loss_list[i].help, snn_loss_list[i].keys);
    for (int i = 0; snn_regular_list[i].name; ++i)
        item(l, snn_regular_list[i].name, snn_regular_list[i].alias, snn_regular_list[i].help,
             snn_regular_list[i].keys);
}
static void recordings(struct listing *l) {
    for (int i = 0; snn_events_formats[i]; ++i)
        item(l, snn_events_formats[i]->name, NULL, snn_events_formats[i]->help, NULL);
}
static void exports(struct listing *l) { (void)l; }
static void keys(struct listing *l) {
    item(l, "(top)", NULL, "sections of a config", snn_top_keys);
    item(l, "data", NULL, "the data set and how it becomes batches", snn_data_keys);
    item(l, "data.bin", NULL, "how recordings become frames", snn_bin_keys);
    item(l, "data.downsample", NULL, "recordings of fewer units, channels or times", snn_downsample_keys);
    item(l, "train", NULL, "how it is trained", snn_train_keys);
    item(l, "train.stages", NULL, "parts of a run", snn_stage_keys);
    item(l, "run", NULL, "where results go", snn_run_keys);
}

static const struct {
    const char *name;
    void (*collect)(struct listing *l);
} kinds[] = {{"neurons", neurons},
             {"surrogates", surrogates},
             {"layers", layers},
             {"weights", weights},
             {"rules", rules},
             {"datasets", datasets},
             {"augmentations", augmentations},
             {"codings", codings},
             {"framings", framings},
             {"presets", presets},
             {"optimizers", optimizers},
             {"schedules", schedules},
             {"losses", losses},
             {"recordings", recordings},
             {"exports", exports},
             {"keys", keys}};
enum { KINDS = sizeof kinds / sizeof *kinds };

int cmd_list(struct cli *cli) {
    const char *names[KINDS + 1] = {0};
    bool known = !cli->args;
    SNN_TRY(cli_expect_args(cli, 0, 1));
    for (int i = 0; i < KINDS; ++i) names[i] = kinds[i].name, known = known || !strcmp(cli->arg[0], kinds[i].name);
    if (!known) {
        const char *near = snn_nearest(cli->arg[0], names);
        if (near) return snn_error(SNN_EUSAGE, "list: unknown kind '%s' (did you mean '%s'?)", cli->arg[0], near);
        return snn_error(SNN_EUSAGE, "list: unknown kind '%s' (`snntrain list --help` names them)", cli->arg[0]);
    }
    json_t *all = json_object();
    for (int i = 0; i < KINDS; ++i) {
        if (cli->args && strcmp(cli->arg[0], kinds[i].name)) continue;
        struct listing l = {json_array(), cli->json ? NULL : stdout};
        if (l.text) printf("%s\n", kinds[i].name);
        kinds[i].collect(&l);
        if (l.text && !json_array_size(l.items)) printf("  (none in this version)\n");
        json_object_set_new(all, kinds[i].name, l.items);
    }
    if (cli->json) return cli_print_json(all);
    json_decref(all);
    return SNN_OK;
}
