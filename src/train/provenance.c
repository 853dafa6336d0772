/* SPDX-License-Identifier: Apache-2.0
 * provenance.c - what a result was made with. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/math.h"
#include "core/commit.h"
#include "core/file.h"
#include "core/status.h"
#include "train/run.h"

static void cpu_name(char *out, size_t size) {
    char line[512];
    snprintf(out, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(out, size, "%.200s", colon + 2);
        break;
    }
    if (f) fclose(f);
}

/* FNV-1a over counts and labels of both splits: tells another copy of the data, not a forgery. Where there are no
 * labels only the counts are told. */
static void fingerprint(const struct snn_dataset *set, char out[32]) {
    uint64_t hash = 1469598103934665603u;
    for (int split = 0; split < 2; ++split)
        for (int32_t i = -1; i < set->info.count[split]; ++i) {
            uint32_t word = (uint32_t)(i < 0 ? set->info.count[split] : set->ops->label(set, split, i));
            for (int k = 0; k < 4; ++k) hash = (hash ^ (word >> 8 * k & 255)) * 1099511628211u;
        }
    snprintf(out, 32, "%016llx", (unsigned long long)hash);
}

static void compare_with(const char *path, const json_t *now, FILE *warnings) {
    json_t *before = json_load_file(path, 0, NULL);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)now, key, value) {
        const json_t *old = json_object_get(before, key);
        if (!old || json_equal(old, value)) continue;
        char *a = json_dumps(old, JSON_ENCODE_ANY | JSON_COMPACT),
             *b = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        if (warnings)
            fprintf(warnings, "snntrain: warning: %s was %s and is now %s: the run may not go on bit for bit\n", key,
                    a ? a : "?", b ? b : "?");
        free(a), free(b);
    }
    json_decref(before);
}

int snn_provenance_write(const char *dir, const struct snn_experiment *e, bool compare, FILE *warnings) {
    char cpu[256], data[32], *path = NULL;
    cpu_name(cpu, sizeof cpu);
    fingerprint(e->set, data);
    if (asprintf(&path, "%s/provenance.json", dir) < 0) return snn_error(SNN_EFAIL, "out of memory");
    json_t *json = json_pack("{s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:{s:s,s:i,s:i,s:s}}", "version", SNN_VERSION, "commit",
                             SNN_COMMIT, "cpu", cpu, "blas", snn_gemm_variant(), "threads", e->device.threads, "device",
                             e->device.name, "instructions", e->device.variant, "data", "name", e->set->info.name,
                             "train", (int)e->set->info.count[0], "test", (int)e->set->info.count[1], "labels", data);
    if (compare) compare_with(path, json, warnings);
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    int rc = text ? snn_replace_file(path, text, strlen(text)) : snn_error(SNN_EFAIL, "out of memory");
    json_decref(json);
    free(text), free(path);
    return rc;
}
