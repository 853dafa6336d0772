/* SPDX-License-Identifier: Apache-2.0
 * augment.c - the table of transforms, and the list of a config applied to a sample. */
#include "datasets/augment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "datasets/parts.h"

#define USES(name) snn_augment_##name##_keys, snn_augment_##name

const struct snn_augment_ops snn_augments[] = {
    {"crop", NULL, SNN_FOR_IMAGES, false, "as large a part of the image with `pad` black pixels around it",
     USES(image_crop)},
    {"flip", NULL, SNN_FOR_IMAGES, false, "left and right exchanged", USES(image_flip)},
    {"cutout", NULL, SNN_FOR_IMAGES, false, "a square around a random pixel loses its contents", USES(image_cutout)},
    {"auto_augment", NULL, SNN_FOR_IMAGES, false,
     "one of the 25 pairs of operations that AutoAugment found on CIFAR-10", USES(auto_augment)},
    {"mixup", NULL, SNN_FOR_IMAGES, true, "the weighted mean of two images; labels are mixed alike", USES(image_mixup)},
    {"cutmix", NULL, SNN_FOR_IMAGES, true, "a rectangle comes from another image; labels by area", USES(image_cutmix)},
    {"flip", NULL, SNN_FOR_SENSORS, false, "left and right exchanged", USES(event_flip)},
    {"roll", NULL, SNN_FOR_SENSORS, false, "shifted; what leaves on one side enters on the other", USES(event_roll)},
    {"translate", NULL, SNN_FOR_SENSORS, false, "shifted; what leaves is lost", USES(event_translate)},
    {"rotate", NULL, SNN_FOR_SENSORS, false, "rotated around the middle", USES(event_rotate)},
    {"shear", NULL, SNN_FOR_SENSORS, false, "rows shifted in proportion to their height over the middle",
     USES(event_shear)},
    {"scale", NULL, SNN_FOR_SENSORS, false, "made larger or smaller around the middle", USES(event_scale)},
    {"cutout", NULL, SNN_FOR_SENSORS, false, "a square around a random pixel loses its events", USES(event_cutout)},
    {"nda", NULL, SNN_FOR_SENSORS, false, "one of roll, rotate, shear, and cutout if that has a size", USES(nda)},
    {"drop", "event_drop", SNN_FOR_RECORDINGS, false, "each event is lost with probability p", USES(drop)},
    {"time_jitter", NULL, SNN_FOR_RECORDINGS, false, "events move in time, within the recording", USES(time_jitter)},
    {"time_mask", NULL, SNN_FOR_RECORDINGS, false, "a stretch of time loses its events", USES(time_mask)},
    {"time_dilate", NULL, SNN_FOR_RECORDINGS, false, "slower or faster: all times multiplied", USES(time_dilate)},
    {"channel_mask", NULL, SNN_FOR_CHANNELS, false, "a band of channels loses its events", USES(channel_mask)},
    {"channel_shift", NULL, SNN_FOR_CHANNELS, false, "all events move by the same number of channels",
     USES(channel_shift)},
    {"channel_jitter", NULL, SNN_FOR_CHANNELS, false, "each event moves by a number of channels of its own",
     USES(channel_jitter)},
    {"mixup", NULL, SNN_FOR_RECORDINGS, true, "events of two recordings, each kept with its label's share",
     USES(event_mixup)},
    {"cutmix", NULL, SNN_FOR_RECORDINGS, true, "a stretch of time, or a rectangle, comes from another recording",
     USES(event_cutmix)},
    {"eventmix", NULL, SNN_FOR_RECORDINGS, true,
     "a region of space and time bounded by Gaussians comes from another recording; labels by event counts",
     USES(eventmix)},
    {0},
};

static unsigned use_of(const struct snn_dataset_info *about) {
    if (about->kind == SNN_IMAGES) return SNN_FOR_IMAGES;
    if (about->kind != SNN_RECORDINGS) return 0;
    return !about->H ? SNN_FOR_RECORDINGS : about->H > 1 ? SNN_FOR_SENSORS : SNN_FOR_CHANNELS;
}

const char *snn_augment_objection(const struct snn_augment_ops *ops, const struct snn_dataset_info *about) {
    unsigned use = use_of(about);
    if (!(use & ops->serves)) {
        if (!use) return "is for images and recordings, not for sequences";
        if (use == SNN_FOR_IMAGES) return "is for recordings, not for images";
        if (ops->serves == SNN_FOR_IMAGES) return "is for images, not for recordings";
        return use == SNN_FOR_CHANNELS ? "is for sensors of rows and columns, not for one row of channels"
                                       : "is for one row of channels, not for sensors of rows and columns";
    }
    if (ops->mixes && about->targets) return "mixes labels, and the samples have targets";
    bool coloured = about->C == 0 || about->C == 1 || about->C == 3;
    if (ops->apply == snn_augment_auto_augment && !coloured) return "is for images of 1 or 3 channels";
    return NULL;
}

bool snn_augment_mixes(const struct snn_data_config *config) {
    for (int32_t i = 0; i < config->augments; ++i)
        if (config->augment[i].ops->mixes) return true;
    return false;
}

/* ---- the list applied ---- */

int snn_augmenting_open(const struct snn_recipe *recipe, struct snn_augmenting *out) {
    const struct snn_dataset_info *info = &recipe->set->info;
    const struct snn_data_config *config = recipe->config;
    *out = (struct snn_augmenting){.recipe = recipe, .C = info->C, .H = info->H, .W = info->W};
    for (int32_t i = 0; i < config->augments; ++i) {
        const struct snn_augment_ops *ops = config->augment[i].ops;
        const char *objection = snn_augment_objection(ops, info);
        if (objection) return snn_error(SNN_EUSAGE, "data.augment.%d: %s %s", i, ops->name, objection);
    }
    if (info->kind != SNN_IMAGES) return SNN_OK;
    out->pixels = malloc((size_t)info->C * (size_t)info->H * (size_t)info->W);
    return out->pixels ? SNN_OK : snn_error(SNN_EFAIL, "out of memory for data.augment");
}

void snn_augmenting_free(struct snn_augmenting *a) {
    snn_sample_free(&a->partner);
    snn_cache_bytes_free(&a->bytes);
    free(a->pixels);
    free(a->events);
    *a = (struct snn_augmenting){0};
}

int snn_augment_room(struct snn_augmenting *a, size_t n) {
    if (n <= a->room) return SNN_OK;
    struct snn_event *larger = reallocarray(a->events, n + n / 2, sizeof *larger);
    if (!larger) return snn_error(SNN_EFAIL, "out of memory for a recording of %zu events", n);
    a->events = larger;
    a->room = n + n / 2;
    return SNN_OK;
}

/* The transforms before place `end`. */
static int apply(struct snn_augmenting *a, int32_t index, int32_t end) {
    for (a->place = 0; a->place < end; ++a->place) {
        const struct snn_augment_item *item = &a->recipe->config->augment[a->place];
        a->draw = snn_draw_start(a->recipe->seed, a->epoch, (uint32_t)index, (uint32_t)a->place);
        SNN_TRY(item->ops->apply(a, &item->options));
    }
    return SNN_OK;
}

int snn_augment_sample(struct snn_augmenting *a, struct snn_sample *sample, int32_t index, uint32_t epoch) {
    a->sample = sample;
    a->epoch = epoch;
    a->share = 0;
    a->label[0] = a->label[1] = sample->label;
    SNN_TRY(apply(a, index, a->recipe->config->augments));
    if (a->share > 0.5) sample->label = a->label[1];
    return SNN_OK;
}

void snn_augment_target(const struct snn_augmenting *a, int32_t classes, float *target) {
    memset(target, 0, (size_t)classes * sizeof *target);
    target[a->label[0]] = (float)(1 - a->share);
    target[a->label[1]] += (float)a->share;
}

/* One transform of a list mixes (snn_augment_read), so those before it need no partner: this is one level deep. */
int snn_augment_partner(struct snn_augmenting *a) {
    const struct snn_recipe *recipe = a->recipe;
    int32_t index = recipe->list[snn_draw_int(&a->draw, 0, recipe->samples - 1)], place = a->place;
    struct snn_sample *sample = a->sample;
    struct snn_draw draw = a->draw;
    SNN_TRY(snn_recipe_get(recipe, index, &a->partner, &a->bytes));
    a->label[1] = a->partner.label;
    a->sample = &a->partner;
    int status = apply(a, index, place);
    a->sample = sample;
    a->draw = draw;
    a->place = place;
    return status;
}

/* ---- what several transforms draw ---- */

/* Gamma(alpha, 1): Marsaglia and Tsang, ACM TOMS 26 (2000). For alpha < 1 it is Gamma(alpha + 1) * u^(1/alpha), whose
 * logarithm is returned: small alphas give numbers that no double can hold. */
static double draw_log_gamma(struct snn_draw *draw, double alpha) {
    double boost = alpha < 1 ? log(1 - snn_draw_unit(draw)) / alpha : 0;
    double d = (alpha < 1 ? alpha + 1 : alpha) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = snn_draw_normal(draw), v = 1 + c * x;
        if (v <= 0) continue;
        v = v * v * v;
        double u = 1 - snn_draw_unit(draw);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return log(d * v) + boost;
    }
}

/* X / (X + Y) of two gamma numbers, from the difference of their logarithms. */
double snn_draw_beta(struct snn_draw *draw, double alpha) {
    double x = draw_log_gamma(draw, alpha), y = draw_log_gamma(draw, alpha);
    return 1 / (1 + exp(y - x));
}

static int32_t within(int32_t value, int32_t most) { return value < 0 ? 0 : value > most ? most : value; }

struct snn_box snn_draw_box(struct snn_augmenting *a, int32_t w, int32_t h) {
    int32_t x0 = snn_draw_int(&a->draw, 0, a->W - 1) - w / 2, y0 = snn_draw_int(&a->draw, 0, a->H - 1) - h / 2;
    return (struct snn_box){within(x0, a->W), within(y0, a->H), within(x0 + w, a->W), within(y0 + h, a->H)};
}
