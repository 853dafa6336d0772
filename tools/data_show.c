/* SPDX-License-Identifier: Apache-2.0
 * data_show.c - snntrain data show: a sample as a picture.
 *
 * The name of a set shows the sample as it lies in the files; a config shows it as its network gets it, through the
 * loader. Recordings of one row of units become a raster, others a strip of frames (PNG) or an animation (GIF). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "data.h"
#include "train/plot.h"

enum {
    STRIP_STEPS = 10,
    ANIMATION_STEPS = 30,
    MOST_STEPS = 1000,
    MOST_TILES = 100,
    MOST_NUMBERS = 1 << 26 /* of all frames of a recording */
};

struct picture { /* what is shown */
    struct snn_frames frames;
    float *values;       /* frames.values, ours; NULL: a raster */
    double *when, *unit; /* (dots): a raster */
    int dots;
    int32_t units; /* of the raster's axis */
    const char *time_label;
    const char *split;     /* name of the part */
    int32_t sample, label; /* its number in the split's files */
    long long events;      /* -1: not known */
    int32_t padding;       /* steps behind the recording's own */
};

static void free_picture(struct picture *p) {
    free(p->values);
    free(p->when);
    free(p->unit);
}

static int no_memory(void) { return snn_error(SNN_EFAIL, "out of memory for the picture"); }

static bool is_gif(const char *path) {
    size_t n = strlen(path);
    return n > 4 && !strcmp(path + n - 4, ".gif");
}

/* --timesteps: how many; `otherwise` without it. */
static int read_steps(const struct cli *cli, int32_t otherwise, int32_t *steps) {
    char *end;
    *steps = otherwise;
    if (!cli->timesteps) return SNN_OK;
    long wanted = strtol(cli->timesteps, &end, 10);
    if (end == cli->timesteps || *end || wanted < 1 || wanted > MOST_STEPS)
        return snn_error(SNN_EUSAGE, "--timesteps: expected 1..%d frames, got '%s'", MOST_STEPS, cli->timesteps);
    *steps = (int32_t)wanted;
    return SNN_OK;
}

/* ---- a sample as it lies in the files ---- */

static int room_for_frames(struct picture *p, int32_t T, int32_t C, int32_t H, int32_t W) {
    p->frames = (struct snn_frames){.T = T, .C = C, .H = H, .W = W};
    p->values = calloc((size_t)T * (size_t)C * (size_t)H * (size_t)W, sizeof *p->values);
    p->frames.values = p->values;
    return p->values ? SNN_OK : no_memory();
}

static int room_for_dots(struct picture *p, size_t n, int32_t units) {
    p->when = malloc((n + 1) * sizeof *p->when);
    p->unit = malloc((n + 1) * sizeof *p->unit);
    p->units = units;
    return p->when && p->unit ? SNN_OK : no_memory();
}

static int frames_of_recording(struct picture *p, const struct snn_sample *s, const struct snn_dataset_info *i,
                               int32_t T) {
    size_t n = (size_t)T * (size_t)i->C * (size_t)i->H * (size_t)i->W;
    if (n > MOST_NUMBERS)
        return snn_error(SNN_EUSAGE, "%s: %d frames of %dx%d are too large to draw", i->name, (int)T, (int)i->W,
                         (int)i->H);
    SNN_TRY(room_for_frames(p, T, i->C, i->H, i->W));
    const struct snn_data_config by_time = {.timesteps = T, .bin.by = SNN_BIN_TIME};
    snn_bin_events(&by_time, T, i->C, i->H, i->W, s->events, s->event_count, p->values);
    if (s->event_count) p->frames.step_ms = (double)(s->events[s->event_count - 1].t - s->events[0].t) * 1e-3 / T;
    return SNN_OK;
}

static int dots_of_recording(struct picture *p, const struct snn_sample *s, int32_t units) {
    SNN_TRY(room_for_dots(p, s->event_count, units));
    p->dots = (int)s->event_count;
    p->time_label = "time (ms)";
    for (size_t k = 0; k < s->event_count; ++k) {
        p->when[k] = (double)s->events[k].t * 1e-3;
        p->unit[k] = s->events[k].x;
    }
    return SNN_OK;
}

/* A line for each input of a sequence (steps, units), step by step: one picture (1, units, steps). */
static int lines_of_sequence(struct picture *p, const float *numbers, int32_t steps, int32_t units) {
    SNN_TRY(room_for_frames(p, 1, 1, units, steps));
    for (int32_t t = 0; t < steps; ++t)
        for (int32_t u = 0; u < units; ++u)
            p->values[(size_t)u * (size_t)steps + (size_t)t] = numbers[(size_t)t * (size_t)units + (size_t)u];
    return SNN_OK;
}

static int draw_sample(const struct cli *cli, const struct snn_dataset_info *i, const struct snn_sample *s, bool gif,
                       struct picture *p) {
    bool row = i->kind == SNN_RECORDINGS && i->C == 1 && i->H == 1;
    int32_t T;
    if (cli->timesteps && (i->kind != SNN_RECORDINGS || row))
        return snn_error(SNN_EUSAGE, "--timesteps is for recordings of a camera, and %s has %s", i->name,
                         i->kind == SNN_IMAGES ? "images"
                         : row                 ? "rows of units"
                                               : "sequences");
    SNN_TRY(read_steps(cli, gif ? ANIMATION_STEPS : STRIP_STEPS, &T));
    p->events = i->kind == SNN_RECORDINGS ? (long long)s->event_count : -1;
    if (row) return dots_of_recording(p, s, i->W);
    if (i->kind == SNN_RECORDINGS) return frames_of_recording(p, s, i, T);
    size_t units = (size_t)i->C * (size_t)i->H * (size_t)i->W;
    if (i->kind == SNN_SEQUENCES && i->H == 1 && i->W == 1) return lines_of_sequence(p, s->numbers, s->steps, i->C);
    SNN_TRY(room_for_frames(p, i->kind == SNN_IMAGES ? 1 : s->steps, i->C, i->H, i->W));
    if (i->kind == SNN_IMAGES) p->frames.high = 255; /* black and white are the file's, not what the image reaches */
    for (size_t k = 0; k < (size_t)p->frames.T * units; ++k)
        p->values[k] = i->kind == SNN_IMAGES ? s->pixels[k] : s->numbers[k];
    return SNN_OK;
}

static int show_sample(const struct cli *cli, const struct data_source *source, const struct data_part *part, bool gif,
                       struct picture *p) {
    struct snn_sample sample = {0};
    p->sample = part->first + (int32_t)cli->index;
    int rc = source->set->ops->get(source->set, part->split, p->sample, &sample);
    p->label = sample.label;
    if (rc >= 0) rc = draw_sample(cli, &source->set->info, &sample, gif, p);
    snn_sample_free(&sample);
    return rc;
}

/* ---- a sample as a network gets it ---- */

static int draw_frames(struct picture *p, const struct snn_batch *b, int32_t T) {
    size_t units = (size_t)b->C * (size_t)b->H * (size_t)b->W;
    SNN_TRY(room_for_frames(p, b->form == SNN_BATCH_STATIC ? 1 : T, b->C, b->H, b->W));
    if (b->form != SNN_BATCH_EVENTS) {
        memcpy(p->values, b->frames, (size_t)p->frames.T * units * sizeof *p->values);
        return SNN_OK;
    }
    for (int32_t t = 0; t < T; ++t)
        for (int32_t k = b->row[t]; k < b->row[t + 1]; ++k)
            p->values[(size_t)t * units + (size_t)b->index[k]] = b->value ? b->value[k] : 1;
    return SNN_OK;
}

static int draw_dots(struct picture *p, const struct snn_batch *b, int32_t T, double step_ms) {
    SNN_TRY(room_for_dots(p, snn_batch_entries(b), b->W));
    p->time_label = step_ms > 0 ? "time (ms)" : "step";
    for (int32_t t = 0; t < T; ++t)
        for (int32_t k = b->row[t]; k < b->row[t + 1]; ++k) {
            p->when[p->dots] = step_ms > 0 ? (t + 0.5) * step_ms : t; /* the middle of its bin */
            p->unit[p->dots++] = b->index[k];
        }
    return SNN_OK;
}

/* The same picture of a sequence, whether it comes as numbers or as a list. */
static int draw_lines(struct picture *p, const struct snn_batch *b, int32_t T) {
    if (b->form == SNN_BATCH_FRAMES) return lines_of_sequence(p, b->frames, T, b->C);
    float *numbers = calloc((size_t)T * (size_t)b->C, sizeof *numbers);
    if (!numbers) return no_memory();
    for (int32_t t = 0; t < T; ++t)
        for (int32_t k = b->row[t]; k < b->row[t + 1]; ++k)
            numbers[(size_t)t * (size_t)b->C + (size_t)b->index[k]] = b->value ? b->value[k] : 1;
    int rc = lines_of_sequence(p, numbers, T, b->C);
    free(numbers);
    return rc;
}

static int show_batch(const struct snn_data_config *config, const struct snn_dataset_info *info, double step_ms,
                      const struct snn_batch *b, struct picture *p) {
    int32_t T = b->length[0];
    p->sample = b->sample[0];
    p->label = b->label[0];
    p->events = -1;
    p->padding = b->T - T;
    if (info->kind == SNN_SEQUENCES && b->form != SNN_BATCH_STATIC && b->H == 1 && b->W == 1)
        return draw_lines(p, b, T);
    if (b->form == SNN_BATCH_EVENTS && b->C == 1 && b->H == 1) return draw_dots(p, b, T, step_ms);
    SNN_TRY(draw_frames(p, b, T));
    p->frames.step_ms = step_ms;
    if (info->kind == SNN_IMAGES && b->form == SNN_BATCH_STATIC) { /* black and white as the config moves them */
        p->frames.low = (0 - config->mean) / config->std;
        p->frames.high = (1 - config->mean) / config->std;
    }
    return SNN_OK;
}

static int show_input(const struct cli *cli, const struct data_source *source, int subset, struct picture *p) {
    int32_t T = 0;
    SNN_TRY(read_steps(cli, 0, &T));
    struct snn_cache_warnings warnings = {.file = cli_warnings(cli)};
    const struct snn_loader_options options = {.config = &source->config,
                                               .set = source->set,
                                               .subset = (enum snn_subset)subset,
                                               .batch = 1,
                                               .timesteps = T,
                                               .warnings = &warnings};
    struct snn_loader *loader;
    const struct snn_batch *batch = NULL;
    SNN_TRY(snn_loader_open(&options, &loader));
    int rc = cli->index < snn_loader_samples(loader)
                 ? snn_loader_start(loader, 0, (int32_t)cli->index)
                 : snn_error(SNN_EUSAGE, "--index %ld: the config sets %d samples apart for %s", cli->index,
                             (int)snn_loader_samples(loader), p->split);
    if (rc >= 0) rc = snn_loader_next(loader, &batch);
    double step_ms = T ? 0 : 1e3 * snn_data_step_seconds(&source->config); /* framed anew: bins have no known length */
    if (rc >= 0) rc = show_batch(&source->config, &source->set->info, step_ms, batch, p);
    snn_loader_close(&loader);
    return rc;
}

/* ---- the file ---- */

static void write_title(const struct data_source *source, const struct picture *p, char *out, size_t size) {
    const struct snn_dataset_info *i = &source->set->info;
    int n = snprintf(out, size, "%s, %s sample %d", i->name, p->split, (int)p->sample);
    if (i->classes)
        n += snprintf(out + n, size - (size_t)n, ", class %d%s%.100s%s", (int)p->label, i->class_name ? " (" : "",
                      i->class_name ? i->class_name[p->label] : "", i->class_name ? ")" : "");
    if (p->events >= 0) n += snprintf(out + n, size - (size_t)n, ", %lld events", p->events);
    if (p->padding > 0 && p->values) snprintf(out + n, size - (size_t)n, ", and %d steps of padding", (int)p->padding);
}

static int write_raster(const char *path, const char *title, const struct picture *p) {
    char note[64];
    snprintf(note, sizeof note, "and %d steps of padding behind", (int)p->padding);
    const struct snn_curve spikes = {.x = p->when, .y = p->unit, .n = p->dots, .dots = true};
    const struct snn_panel panel = {.x_label = p->time_label,
                                    .y_label = "unit",
                                    .curves = &spikes,
                                    .count = 1,
                                    .note = p->padding > 0 ? note : NULL,
                                    .y_least = 0,
                                    .y_most = p->units - 1};
    return snn_plot_panels(path, title, &panel, 1);
}

static int write_picture(const char *path, const char *title, struct picture *p, bool gif) {
    if (gif && (!p->values || p->frames.T < 2))
        return snn_error(SNN_EUSAGE, "%s: a GIF shows frames one after the other, and this is %s: name a .png", path,
                         p->values ? "one image" : "a row of units");
    if (!p->values) return write_raster(path, title, p);
    if (gif && p->frames.T <= MOST_STEPS) return snn_plot_animation(path, title, &p->frames);
    if (gif || p->frames.T > MOST_TILES)
        return snn_error(SNN_EUSAGE, "%s: there are %d frames, of which a %s shows at most %d: give --timesteps", path,
                         p->frames.T, gif ? "GIF" : "strip", gif ? MOST_STEPS : MOST_TILES);
    return snn_plot_frames(path, title, &p->frames);
}

int data_draw_recording(const struct cli *cli, const struct snn_sample *sample, const struct snn_dataset_info *about,
                        const char *out, const char *title) {
    struct picture p = {0};
    int rc = draw_sample(cli, about, sample, is_gif(out), &p);
    if (rc >= 0) rc = write_picture(out, title, &p, is_gif(out));
    free_picture(&p);
    return rc;
}

/* The part that --split names, or the training samples. A config may set validation samples apart itself. */
static int choose_part(const struct cli *cli, const struct data_source *source, const struct data_part part[DATA_PARTS],
                       int *subset) {
    const struct data_part *wanted;
    *subset = SNN_SUBSET_TRAIN;
    if (cli->split) SNN_TRY(cli_subset(cli->split, subset));
    if (source->from_config) return SNN_OK;
    SNN_TRY(data_wanted_part(cli, source->set, part, &wanted));
    if (cli->index < part[*subset].count) return SNN_OK;
    return snn_error(SNN_EUSAGE, "--index %ld: the %s split of %s has %d samples", cli->index, part[*subset].name,
                     source->set->info.name, (int)part[*subset].count);
}

static int show(const struct cli *cli, struct data_source *source) {
    const char *out = cli->output ? cli->output : "sample.png";
    struct data_part part[DATA_PARTS];
    struct picture p = {0};
    char title[400];
    int subset;
    data_parts(source->set, part);
    SNN_TRY(choose_part(cli, source, part, &subset));
    p.split = part[subset].name;
    int rc = source->from_config ? show_input(cli, source, subset, &p)
                                 : show_sample(cli, source, &part[subset], is_gif(out), &p);
    if (rc >= 0) {
        write_title(source, &p, title, sizeof title);
        rc = write_picture(out, title, &p, is_gif(out));
    }
    if (rc >= 0 && !cli->quiet) fprintf(cli->text, "%s: %s\n", out, title);
    if (rc >= 0) data_say_warnings(cli, source->set);
    if (rc >= 0 && cli->json) {
        json_t *json = json_pack("{s:s,s:s,s:i,s:i}", "file", out, "split", p.split, "sample", (int)p.sample, "label",
                                 (int)p.label);
        if (p.events >= 0) json_object_set_new(json, "events", json_integer(p.events));
        if (p.values) json_object_set_new(json, "frames", json_integer(p.frames.T));
        rc = cli_print_json(json);
    }
    free_picture(&p);
    return rc;
}

int data_show(struct cli *cli) {
    struct data_source source;
    SNN_TRY(data_open(cli, &source));
    int rc = show(cli, &source);
    data_close(&source);
    return rc;
}
