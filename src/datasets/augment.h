/* SPDX-License-Identifier: Apache-2.0
 * augment.h - random transforms of training samples: pixels before coding, events before framing.
 *
 * A transform is a function and a line of the table in augment.c. It changes a sample in place and draws from a
 * stream of its own (draw.h), so that a sample of an epoch is the same whoever makes it. A transform that mixes asks
 * for a partner, another training sample that has been through the transforms before it, and says how much of it is
 * in the result: labels are then shares. */
#ifndef SNN_AUGMENT_H
#define SNN_AUGMENT_H

#include "datasets/cache.h"
#include "datasets/dataset.h"
#include "datasets/draw.h"

enum { /* what a transform is for */
       SNN_FOR_IMAGES = 1,
       SNN_FOR_SENSORS = 2,  /* recordings of a sensor of more than one row */
       SNN_FOR_CHANNELS = 4, /* recordings of one row of channels (sounds) */
       SNN_FOR_RECORDINGS = SNN_FOR_SENSORS | SNN_FOR_CHANNELS
};

struct snn_recipe;

struct snn_augmenting { /* a worker's: the sample in hand, and scratch */
    const struct snn_recipe *recipe;
    int32_t C, H, W;           /* of the set */
    struct snn_sample *sample; /* what is changed */
    struct snn_draw draw;
    uint32_t epoch;
    int32_t place; /* of the transform at work in the list */

    struct snn_sample partner;
    struct snn_cache_bytes bytes; /* scratch of reading it */
    int32_t label[2];             /* the sample's and the partner's */
    double share;                 /* of the partner, 0..1 */

    uint8_t *pixels;          /* (C,H,W) */
    struct snn_event *events; /* (room) */
    size_t room;
};

struct snn_augment_ops {
    const char *name, *alias; /* alias: or NULL */
    unsigned serves;          /* SNN_FOR_... bits */
    bool mixes;
    const char *help;
    const struct snn_key *keys; /* the first one takes the value of `NAME: VALUE` */
    int (*apply)(struct snn_augmenting *a, const void *options);
};
extern const struct snn_augment_ops snn_augments[]; /* ended by a NULL name; a name may have a line for each use */

struct snn_data_config;
/* Read the list `data.augment` into config->augment. `about` as far as it is known (snn_dataset_about). */
int snn_augment_read(struct snn_conf *list, const struct snn_dataset_info *about, struct snn_data_config *config);
/* Why `ops` is not for a set, as the end of a sentence that begins with its name, or NULL. What is not known of the
 * set (0) is no reason. */
const char *snn_augment_objection(const struct snn_augment_ops *ops, const struct snn_dataset_info *about);
/* Some transform of the list mixes: all training batches then have targets (B,classes). */
bool snn_augment_mixes(const struct snn_data_config *config);

/* ---- a worker's use ---- */

int snn_augmenting_open(const struct snn_recipe *recipe, struct snn_augmenting *out);
void snn_augmenting_free(struct snn_augmenting *a);
/* Apply the list to sample `index` of the split as it is in `epoch`; its label becomes that of the larger share. */
int snn_augment_sample(struct snn_augmenting *a, struct snn_sample *sample, int32_t index, uint32_t epoch);
/* The shares of the classes in the sample made last: target (classes). */
void snn_augment_target(const struct snn_augmenting *a, int32_t classes, float *target);

/* ---- for transforms ---- */

/* Draw the partner of the present sample into a->partner. */
int snn_augment_partner(struct snn_augmenting *a);
/* Room for n events in a->events. */
int snn_augment_room(struct snn_augmenting *a, size_t n);
/* Beta(alpha, alpha), in [0,1]. */
double snn_draw_beta(struct snn_draw *draw, double alpha);

struct snn_box { /* x0 <= x < x1, y0 <= y < y1; within the image */
    int32_t x0, y0, x1, y1;
};
/* w by h around a centre that is drawn from the whole image, cut off at its borders. */
struct snn_box snn_draw_box(struct snn_augmenting *a, int32_t w, int32_t h);
static inline bool snn_box_holds(const struct snn_box *box, int32_t x, int32_t y) {
    return x >= box->x0 && x < box->x1 && y >= box->y0 && y < box->y1;
}

/* The operations of AutoAugment on an image (C,H,W) of 1 or 3 channels; `scratch` has room for another one. */
enum snn_image_op {
    SNN_SHEAR_X,
    SNN_SHEAR_Y,
    SNN_TRANSLATE_X,
    SNN_TRANSLATE_Y,
    SNN_ROTATE,
    SNN_BRIGHTNESS,
    SNN_COLOR,
    SNN_CONTRAST,
    SNN_SHARPNESS,
    SNN_POSTERIZE,
    SNN_SOLARIZE,
    SNN_AUTO_CONTRAST,
    SNN_EQUALIZE,
    SNN_INVERT
};
void snn_image_op(enum snn_image_op op, double magnitude, int32_t C, int32_t H, int32_t W, uint8_t *pixels,
                  uint8_t *scratch);
/* The magnitude of level 0..9 in an image of H rows and W columns, before its sign is drawn. */
double snn_image_op_magnitude(enum snn_image_op op, int level, int32_t H, int32_t W);

#define SNN_AUGMENT_DECLARE(name)                                                                                      \
    extern const struct snn_key snn_augment_##name##_keys[];                                                           \
    int snn_augment_##name(struct snn_augmenting *a, const void *options);
SNN_AUGMENT_DECLARE(image_crop)
SNN_AUGMENT_DECLARE(image_flip)
SNN_AUGMENT_DECLARE(image_cutout)
SNN_AUGMENT_DECLARE(auto_augment)
SNN_AUGMENT_DECLARE(event_flip)
SNN_AUGMENT_DECLARE(event_roll)
SNN_AUGMENT_DECLARE(event_translate)
SNN_AUGMENT_DECLARE(event_rotate)
SNN_AUGMENT_DECLARE(event_shear)
SNN_AUGMENT_DECLARE(event_scale)
SNN_AUGMENT_DECLARE(event_cutout)
SNN_AUGMENT_DECLARE(nda)
SNN_AUGMENT_DECLARE(drop)
SNN_AUGMENT_DECLARE(time_jitter)
SNN_AUGMENT_DECLARE(time_mask)
SNN_AUGMENT_DECLARE(time_dilate)
SNN_AUGMENT_DECLARE(channel_mask)
SNN_AUGMENT_DECLARE(channel_shift)
SNN_AUGMENT_DECLARE(channel_jitter)
SNN_AUGMENT_DECLARE(image_mixup)
SNN_AUGMENT_DECLARE(image_cutmix)
SNN_AUGMENT_DECLARE(event_mixup)
SNN_AUGMENT_DECLARE(event_cutmix)
SNN_AUGMENT_DECLARE(eventmix)

#endif
