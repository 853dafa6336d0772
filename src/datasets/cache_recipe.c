/* SPDX-License-Identifier: Apache-2.0
 * cache_recipe.c - the text that says what a cache entry was made from and how.
 *
 * Whatever shapes a stored sample has to be in it; the data set's folder is not, so that a set that is moved keeps its
 * entry. What no parameter says, the code that decodes and frames, is VERSION. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "core/status.h"
#include "datasets/cache_parts.h"

enum { VERSION = 2 }; /* to be raised when a decoder or a rule of framing gives something else, or the format changes */

/* ---- sources ---- */

struct sources { /* being gathered */
    const char *root;
    XXH3_state_t *state;
    long long files, bytes;
};

static int add_source(void *payload, const char *path) {
    struct sources *s = payload;
    struct stat info;
    char numbers[96];
    size_t length = strlen(s->root);
    if (stat(path, &info)) return snn_error(SNN_EDATA, "%s: cannot be looked at: %s", path, strerror(errno));
    const char *name = !strncmp(path, s->root, length) ? path + length : path;
    while (*name == '/') ++name;
    int n = snprintf(numbers, sizeof numbers, " %lld %lld.%09ld", (long long)info.st_size,
                     (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    XXH3_128bits_update(s->state, name, strlen(name) + 1);
    XXH3_128bits_update(s->state, numbers, (size_t)n + 1);
    ++s->files;
    s->bytes += (long long)info.st_size;
    return SNN_OK;
}

int snn_cache_sources(struct snn_dataset *set, char **line) {
    *line = NULL;
    struct sources s = {.root = set->root ? set->root : "", .state = XXH3_createState()};
    if (!s.state) return snn_error(SNN_EFAIL, "out of memory for the cache");
    XXH3_128bits_reset(s.state);
    int status = set->ops->sources(set, add_source, &s);
    XXH128_hash_t hash = XXH3_128bits_digest(s.state);
    XXH3_freeState(s.state);
    SNN_TRY(status);
    if (asprintf(line, "%lld files, %lld bytes, names sizes and times %016llx%016llx", s.files, s.bytes,
                 (unsigned long long)hash.high64, (unsigned long long)hash.low64) >= 0)
        return SNN_OK;
    *line = NULL;
    return snn_error(SNN_EFAIL, "out of memory for the cache");
}

/* ---- the text ---- */

/* The set's own options, as the table that reads them knows them. */
static void write_option(const struct snn_key *key, const void *field, FILE *out) {
    fprintf(out, "option %s: ", key->name);
    if (key->type == SNN_BOOL) fprintf(out, "%d", *(const bool *)field);
    if (key->type == SNN_INT) fprintf(out, "%lld", *(const long long *)field);
    if (key->type == SNN_REAL) fprintf(out, "%.17g", *(const double *)field);
    if (key->type == SNN_CHOICE) fprintf(out, "%d", *(const int *)field);
    if (key->type == SNN_PAIR) fprintf(out, "%d %d", ((const int *)field)[0], ((const int *)field)[1]);
    if (key->type == SNN_TIME) {
        const struct snn_time *time = field;
        fprintf(out, "%.17g %d", time->value, time->seconds);
    }
    if (key->type == SNN_TEXT && *(char *const *)field) fprintf(out, "'%s'", *(char *const *)field);
    if (key->type == SNN_NODE && *(struct snn_conf *const *)field) {
        char *text = snn_conf_write(*(struct snn_conf *const *)field);
        fprintf(out, "%s", text ? text : "");
        free(text);
    }
    fputc('\n', out);
}

static void write_options(const struct snn_key *keys, const void *options, FILE *out) {
    for (; keys && keys->name; ++keys)
        if (keys->field != (size_t)-1) write_option(keys, (const char *)options + keys->field, out);
}

static void write_framing(const struct snn_data_config *config, FILE *out) {
    const struct snn_binning *bin = &config->bin;
    const struct snn_downsample *down = &config->downsample;
    /* Every member has its place here, and a new one of these structs says so. */
    _Static_assert(sizeof(void *) != 8 || (sizeof *bin == 80 && sizeof *down == 24), "the recipe lacks a member");
    fprintf(out, "bin: by %d, dt %.17g %d, binary %d, from %d, start %lld, overlap %.17g\n", bin->by, bin->dt.value,
            bin->dt.seconds, bin->binary, bin->from, (long long)bin->start_us, bin->overlap);
    fprintf(out, "events %lld, incomplete %d, half %d, until %.17g, tau %.17g\n", (long long)bin->events,
            bin->incomplete, bin->half, bin->until_us, bin->tau_us);
    fprintf(out, "downsample: space %d %d, drop %d, polarity %d, tick %lld\n", down->space[0], down->space[1],
            down->drop, down->polarity, (long long)down->tick_us);
    /* The most steps that are kept, before the data were looked at for `auto`: what is seen there is the sources'. */
    fprintf(out, "steps: %lld, pad to %lld\n", config->timesteps, config->pad.to > 0 ? config->pad.to : -1);
}

static void write_recipe(const struct snn_recipe *recipe, const char *sources, FILE *out) {
    const struct snn_dataset_info *info = &recipe->set->info;
    bool frames = recipe->stored == SNN_STORED_ROWS;
    fprintf(out, "snntrain cache: %d\nset: %s\nsplit: %s\nholds: %s\n", VERSION, info->name,
            recipe->split == SNN_TEST ? "test" : "train", frames ? "frames" : "events");
    fprintf(out, "samples: %d\nsensor: %d %d %d\nsources: %s\n", info->count[recipe->split], info->C, info->H, info->W,
            sources);
    write_options(recipe->set->ops->keys, snn_data_set_options(recipe->config), out);
    if (!frames) return;
    fprintf(out, "shape: %d %d %d\n", recipe->shape[0], recipe->shape[1], recipe->shape[2]);
    write_framing(recipe->config, out);
}

int snn_cache_recipe(const struct snn_recipe *recipe, const char *sources, char **text) {
    size_t size;
    *text = NULL;
    FILE *out = open_memstream(text, &size);
    if (out) write_recipe(recipe, sources, out);
    bool whole = out && !ferror(out);
    if (out && fclose(out)) whole = false;
    if (whole) return SNN_OK;
    free(*text);
    *text = NULL;
    return snn_error(SNN_EFAIL, "out of memory for the cache");
}
