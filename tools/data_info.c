/* SPDX-License-Identifier: Apache-2.0
 * data_info.c - snntrain data info: what a data set holds, and what its samples are like.
 *
 * Validation samples that a set brings itself are counted apart from the training samples. Large sets are judged by
 * some samples that lie evenly in them, and the words say how many. */
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "data.h"
#include "datasets/survey.h"

enum {
    MOST_RECORDINGS = 1000, /* looked at in a part */
    MOST_IMAGES = 100000,
    MOST_GROUPS = 40 /* listed one by one */
};

struct group {
    int32_t id, count[DATA_PARTS];
};

struct portrait {
    const struct snn_dataset *set;
    struct data_part part[DATA_PARTS];
    struct snn_survey survey[DATA_PARTS]; /* of parts that have samples */
    int32_t *by_class;                    /* (DATA_PARTS, classes) */
    struct group *group;                  /* (groups), ascending ids */
    int32_t groups, unknown;              /* unknown: samples of which the group is not said */
};

/* ---- counting ---- */

static int count_classes(struct portrait *p) {
    int32_t classes = p->set->info.classes;
    p->by_class = calloc((size_t)(DATA_PARTS * classes) + 1, sizeof *p->by_class);
    if (!p->by_class) return snn_error(SNN_EFAIL, "out of memory");
    for (int k = 0; classes && k < DATA_PARTS; ++k)
        for (int32_t i = 0; i < p->part[k].count; ++i)
            p->by_class[k * classes + p->set->ops->label(p->set, p->part[k].split, p->part[k].first + i)]++;
    return SNN_OK;
}

struct member { /* a sample that says its group */
    int32_t id, part;
};

static int by_id(const void *a, const void *b) {
    int32_t x = ((const struct member *)a)->id, y = ((const struct member *)b)->id;
    return (x > y) - (x < y);
}

static int count_groups(struct portrait *p) {
    size_t samples = (size_t)p->set->info.count[SNN_TRAIN] + (size_t)p->set->info.count[SNN_TEST], n = 0;
    if (!p->set->ops->group) return SNN_OK;
    struct member *list = reallocarray(NULL, samples + 1, sizeof *list);
    p->group = reallocarray(NULL, samples + 1, sizeof *p->group);
    if (!list || !p->group) {
        free(list);
        return snn_error(SNN_EFAIL, "out of memory");
    }
    for (int k = 0; k < DATA_PARTS; ++k)
        for (int32_t i = 0; i < p->part[k].count; ++i) {
            int32_t id = p->set->ops->group(p->set, p->part[k].split, p->part[k].first + i);
            if (id >= 0) list[n++] = (struct member){id, k};
            else ++p->unknown;
        }
    qsort(list, n, sizeof *list, by_id);
    for (size_t i = 0; i < n; ++i) {
        if (!i || list[i].id != list[i - 1].id) p->group[p->groups++] = (struct group){.id = list[i].id};
        ++p->group[p->groups - 1].count[list[i].part];
    }
    free(list);
    return SNN_OK;
}

static int look(struct portrait *p, struct snn_dataset *set, bool quiet) {
    int32_t most = set->info.kind == SNN_IMAGES ? MOST_IMAGES : MOST_RECORDINGS;
    int rc = SNN_OK;
    for (int k = 0; rc >= 0 && k < DATA_PARTS; ++k) {
        if (!p->part[k].count) continue;
        struct snn_bar bar;
        snn_bar_start(&bar, p->part[k].name, p->part[k].count, !quiet);
        struct snn_watch watch = data_watch(&bar);
        rc = snn_survey(set, p->part[k].split, p->part[k].first, p->part[k].count, most, &watch, &p->survey[k]);
        snn_bar_clear(&bar);
    }
    return rc;
}

/* ---- as JSON ---- */

static json_t *spread_json(struct snn_spread spread, double unit) {
    return json_pack("{s:f,s:f,s:f}", "min", spread.min * unit, "median", spread.median * unit, "max",
                     spread.max * unit);
}

static json_t *survey_json(const struct portrait *p, int k) {
    const struct snn_survey *s = &p->survey[k];
    json_t *json = json_pack("{s:i,s:i}", "looked_at", (int)s->looked_at, "of", (int)p->part[k].count);
    switch (p->set->info.kind) {
    case SNN_RECORDINGS:
        json_object_set_new(json, "duration_ms", spread_json(s->duration_s, 1e3));
        json_object_set_new(json, "events", spread_json(s->events, 1));
        json_object_set_new(json, "events_per_s", json_real(s->events_per_s));
        if (p->set->info.C > 1) json_object_set_new(json, "on_share", json_real(s->on_share));
        break;
    case SNN_IMAGES:
        json_object_set_new(json, "mean", json_real(s->mean));
        json_object_set_new(json, "std", json_real(s->std));
        break;
    case SNN_SEQUENCES:
        json_object_set_new(json, "steps", spread_json(s->steps, 1));
        break;
    }
    return json;
}

static int print_json(const struct portrait *p) {
    const struct snn_dataset_info *i = &p->set->info;
    json_t *json = json_pack("{s:s,s:i,s:i,s:i,s:[iii],s:i,s:s}", "name", i->name, "classes", (int)i->classes, "train",
                             (int)p->part[0].count, "test", (int)p->part[2].count, "shape", (int)i->C, (int)i->H,
                             (int)i->W, "files", (int)i->files, "root", p->set->root);
    if (p->part[1].count) json_object_set_new(json, "validation", json_integer(p->part[1].count));
    if (i->split_rule) json_object_set_new(json, "split_rule", json_string(i->split_rule));
    json_t *samples = json_object();
    for (int k = 0; k < DATA_PARTS; ++k) {
        char key[32];
        if (!p->part[k].count) continue;
        json_t *list = json_array();
        for (int32_t c = 0; c < i->classes; ++c)
            json_array_append_new(list, json_integer(p->by_class[k * i->classes + c]));
        snprintf(key, sizeof key, "%s_by_class", p->part[k].name);
        json_object_set_new(json, key, list);
        json_object_set_new(samples, p->part[k].name, survey_json(p, k));
    }
    json_object_set_new(json, "samples", samples);
    if (p->groups) {
        json_t *groups = json_array();
        for (int32_t g = 0; g < p->groups; ++g)
            json_array_append_new(groups, json_pack("{s:i,s:i,s:i,s:i}", "id", (int)p->group[g].id, "train",
                                                    (int)p->group[g].count[0], "validation", (int)p->group[g].count[1],
                                                    "test", (int)p->group[g].count[2]));
        json_object_set_new(json, "group", json_string(p->set->ops->group_name));
        json_object_set_new(json, "groups", groups);
    }
    return cli_print_json(json);
}

/* ---- in words ---- */

static void print_head(const struct portrait *p) {
    const struct snn_dataset_info *i = &p->set->info;
    static const char *const what[] = {
        [SNN_IMAGES] = "images", [SNN_RECORDINGS] = "recordings of events on", [SNN_SEQUENCES] = "sequences of"};
    printf("%s%s%s: ", i->name, p->set->ops->made ? "" : " in ", p->set->root);
    printf("%d training", (int)p->part[0].count);
    if (p->part[1].count) printf(", %d validation", (int)p->part[1].count);
    printf(" and %d test samples", (int)p->part[2].count);
    if (!p->set->ops->made) printf(" in %d files", (int)i->files);
    printf("; %s (%d,%d,%d)\n", what[i->kind], (int)i->C, (int)i->H, (int)i->W);
    if (i->targets) printf("numbers to learn: %d%s\n", (int)i->targets, i->target_steps ? " for every step" : "");
    if (i->split_rule) printf("split: %s\n", i->split_rule);
}

static void print_survey(const struct portrait *p) {
    const struct snn_dataset_info *i = &p->set->info;
    static const char *const columns[] = {
        [SNN_IMAGES] = "mean and std of pixel / 255",
        [SNN_RECORDINGS] = "duration, ms: min, median, max    events: min, median, max     events a second",
        [SNN_SEQUENCES] = "steps: min, median, max"};
    printf("\n%-24s %s%s\n", "looked at", columns[i->kind], i->kind == SNN_RECORDINGS && i->C > 1 ? "   ON" : "");
    for (int k = 0; k < DATA_PARTS; ++k) {
        const struct snn_survey *s = &p->survey[k];
        char looked[64];
        if (!p->part[k].count) continue;
        snprintf(looked, sizeof looked, s->looked_at < p->part[k].count ? "%d of %d" : "all %d", (int)s->looked_at,
                 (int)p->part[k].count);
        printf("%-10s %-13s ", p->part[k].name, looked);
        switch (i->kind) {
        case SNN_RECORDINGS:
            printf("%9.1f %9.1f %9.1f     %8.0f %8.0f %8.0f   %15.0f", s->duration_s.min * 1e3,
                   s->duration_s.median * 1e3, s->duration_s.max * 1e3, s->events.min, s->events.median, s->events.max,
                   s->events_per_s);
            if (i->C > 1) printf("   %.1f %%", 100 * s->on_share);
            break;
        case SNN_IMAGES:
            printf("%.4f %.4f", s->mean, s->std);
            break;
        case SNN_SEQUENCES:
            printf("%.0f %.10g %.0f", s->steps.min, s->steps.median, s->steps.max);
            break;
        }
        printf("\n");
    }
}

static void print_cells(const struct portrait *p, const int32_t *cell, int32_t stride) {
    for (int k = 0; k < DATA_PARTS; ++k)
        if (p->part[k].count) printf(" %10d", (int)cell[k * stride]);
    printf("\n");
}

static void print_column_names(const struct portrait *p) {
    for (int k = 0; k < DATA_PARTS; ++k)
        if (p->part[k].count) printf(" %10s", p->part[k].name);
    printf("\n");
}

static void print_classes(const struct portrait *p) {
    const struct snn_dataset_info *i = &p->set->info;
    int wide = 0;
    for (int32_t c = 0; i->class_name && c < i->classes; ++c)
        if ((int)strlen(i->class_name[c]) > wide) wide = (int)strlen(i->class_name[c]);
    printf("\n%-6s %-*s", "class", wide, "");
    print_column_names(p);
    for (int32_t c = 0; c < i->classes; ++c) {
        printf("%-6d %-*s", (int)c, wide, i->class_name ? i->class_name[c] : "");
        print_cells(p, p->by_class + c, i->classes);
    }
}

static void print_groups(const struct portrait *p) {
    const char *name = p->set->ops->group_name;
    if (!p->groups) return;
    printf("\n%d %ss", (int)p->groups, name);
    for (int k = 0; k < DATA_PARTS; ++k) {
        int32_t here = 0;
        for (int32_t g = 0; g < p->groups; ++g) here += p->group[g].count[k] > 0;
        if (p->part[k].count) printf(", %d in %s", (int)here, p->part[k].name);
    }
    if (p->unknown) printf("; %d samples do not say theirs", (int)p->unknown);
    printf("\n");
    if (p->groups > MOST_GROUPS) return;
    printf("%-10s", name);
    print_column_names(p);
    for (int32_t g = 0; g < p->groups; ++g) {
        printf("%-10d", (int)p->group[g].id);
        print_cells(p, p->group[g].count, 1);
    }
}

int data_info(struct cli *cli) {
    struct data_source source;
    SNN_TRY(data_open(cli, &source));
    struct portrait p = {.set = source.set};
    data_parts(source.set, p.part);
    int rc = count_classes(&p);
    if (rc >= 0) rc = count_groups(&p);
    if (rc >= 0) rc = look(&p, source.set, cli->quiet);
    if (rc >= 0 && cli->json) rc = print_json(&p);
    if (rc >= 0 && !cli->json) {
        print_head(&p);
        print_survey(&p);
        if (source.set->info.classes) print_classes(&p);
        print_groups(&p);
    }
    if (rc >= 0) data_say_warnings(cli, source.set);
    free(p.by_class);
    free(p.group);
    data_close(&source);
    return rc;
}
