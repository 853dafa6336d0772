/* SPDX-License-Identifier: Apache-2.0
 * image_folder.c - PNG files by class: <root>/train/<class>/<name>.png, the same below test/, and below val/ if there.
 *
 * Classes are the folders of train/ in the order of their bytes, samples those of a class's names, which is the rule of
 * torchvision's ImageFolder. Names are read when the set is opened, images when they are wanted. Images of val/ are the
 * last training samples (info.own_validation). */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/dataset.h"
#include "datasets/png_file.h"

enum { MAX_SIDE = 4096, MAX_CLASSES = 65536 };

/* ---- options ---- */

enum { RESIZE_NONE, RESIZE_NEAREST, RESIZE_BILINEAR };
struct options {
    struct snn_conf *shape; /* NULL: that of the first image */
    int resize;
};
static const char *const resize_word[] = {"none", "nearest", "bilinear", NULL};
static const struct snn_key keys[] = {
    {"shape", SNN_NODE, offsetof(struct options, shape), SNN_OPTIONAL, 0, 0, NULL,
     "[C,H,W] of all images, C of 1 (grey) or 3 (RGB); left out: that of the first image"},
    {"resize", SNN_CHOICE, offsetof(struct options, resize), "none", 0, 0, resize_word,
     "how images of another size get that of shape: nearest, bilinear; none: they are errors"},
    {0},
};

static int read_shape(const struct snn_conf *node, int32_t shape[3]) {
    static const char *const what[3] = {"1 or 3 channels", "1..4096 rows", "1..4096 columns"};
    if (node->kind != SNN_CONF_LIST || node->count != 3)
        return snn_conf_error(node, "expected [channels, rows, columns], such as [3, 32, 32]");
    for (int i = 0; i < 3; ++i) {
        const struct snn_conf *item = snn_conf_item(node, i);
        char *end = NULL;
        long value = item->kind == SNN_CONF_SCALAR && *item->text ? strtol(item->text, &end, 10) : 0;
        bool good = end && !*end && value >= 1 && value <= MAX_SIDE && (i || value == 1 || value == 3);
        if (!good) return snn_conf_error(item, "expected %s", what[i]);
        shape[i] = (int32_t)value;
    }
    return SNN_OK;
}

static int check(struct snn_conf *map, const void *options) {
    const struct options *o = options;
    int32_t shape[3];
    if (o->shape) return read_shape(o->shape, shape);
    if (o->resize != RESIZE_NONE) return snn_conf_error(snn_conf_get(map, "resize"), "needs shape");
    return SNN_OK;
}

/* ---- names ---- */

struct names { /* of a folder, in the order of their bytes */
    char **list;
    int32_t count, room;
};

static void names_free(struct names *names) {
    for (int32_t i = 0; i < names->count; ++i) free(names->list[i]);
    free(names->list);
    *names = (struct names){0};
}

static int names_add(struct names *names, const char *name) {
    if (names->count == names->room) {
        int32_t room = names->room ? 2 * names->room : 64;
        char **list = room > names->room ? reallocarray(names->list, (size_t)room, sizeof *list) : NULL;
        if (!list) return snn_error(SNN_EFAIL, "%s: out of memory", name);
        names->list = list;
        names->room = room;
    }
    names->list[names->count] = strdup(name);
    if (!names->list[names->count]) return snn_error(SNN_EFAIL, "%s: out of memory", name);
    ++names->count;
    return SNN_OK;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Images that torchvision would read and we cannot: left out without a word, labels and counts would be others. */
static const char other_images[] = ".jpg .jpeg .ppm .bmp .pgm .tif .tiff .webp";

/* The folders in `path`, or the PNG files; hidden ones are left out, and so are files of other kinds. */
static int read_names(const char *path, bool folders, struct names *out) {
    DIR *folder = opendir(path);
    if (!folder) return snn_error(SNN_EDATA, "%s: cannot be read: %s", path, strerror(errno));
    int status = SNN_OK;
    for (struct dirent *entry; status == SNN_OK && (entry = readdir(folder));) {
        const char *name = entry->d_name;
        char *whole;
        if (name[0] == '.') continue;
        if (asprintf(&whole, "%s/%s", path, name) < 0) {
            status = snn_error(SNN_EFAIL, "%s: out of memory", path);
            break;
        }
        bool is_folder = snn_is_directory(whole),
             wanted = folders ? is_folder : !is_folder && snn_has_extension(name, ".png");
        if (wanted) status = names_add(out, name);
        else if (!folders && is_folder) status = snn_error(SNN_EDATA, "%s: is a folder, expected PNG files", whole);
        else if (!folders && snn_has_extension(name, other_images))
            status = snn_error(SNN_EDATA, "%s: is not a PNG file, expected nothing else (convert it)", whole);
        free(whole);
    }
    closedir(folder);
    if (out->count) qsort(out->list, (size_t)out->count, sizeof *out->list, by_bytes);
    return status;
}

/* ---- the set ---- */

struct image {
    char *path; /* below the root */
    int32_t label;
};

struct folder_set {
    struct snn_dataset base;
    struct names classes;
    struct image *image[2]; /* (count[split]) */
    int32_t room[2];
    bool any_colour; /* shape was given: colours become grey, or grey colours */
    int resize;
};

static int add_image(struct folder_set *set, enum snn_split split, const char *part, const char *class,
                     const char *name, int32_t label) {
    int32_t *count = &set->base.info.count[split];
    if (*count == set->room[split]) {
        int32_t room = *count ? 2 * *count : 1024;
        struct image *list = room > *count ? reallocarray(set->image[split], (size_t)room, sizeof *list) : NULL;
        if (!list) return snn_error(SNN_EFAIL, "%s/%s: out of memory", part, class);
        set->image[split] = list;
        set->room[split] = room;
    }
    struct image *image = &set->image[split][*count];
    image->label = label;
    if (asprintf(&image->path, "%s/%s/%s", part, class, name) < 0)
        return snn_error(SNN_EFAIL, "%s/%s: out of memory", part, class);
    ++*count;
    return SNN_OK;
}

static int32_t label_of(const struct names *classes, const char *name) {
    char **found = bsearch(&name, classes->list, (size_t)classes->count, sizeof *classes->list, by_bytes);
    return found ? (int32_t)(found - classes->list) : -1;
}

/* The images of a class of `part` (train, val, test). */
static int add_class(struct folder_set *set, enum snn_split split, const char *root, const char *part,
                     const char *class) {
    int32_t label = label_of(&set->classes, class), before = set->base.info.count[split];
    if (label < 0)
        return snn_error(SNN_EDATA, "%s/%s/%s: is no class of %s/train, expected one of its %d", root, part, class,
                         root, set->classes.count);
    struct names names = {0};
    char *path;
    if (asprintf(&path, "%s/%s/%s", root, part, class) < 0) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    int status = read_names(path, false, &names);
    for (int32_t i = 0; i < names.count && status == SNN_OK; ++i)
        status = add_image(set, split, part, class, names.list[i], label);
    if (status == SNN_OK && set->base.info.count[split] == before && !strcmp(part, "train"))
        status = snn_error(SNN_EDATA, "%s: holds no PNG file", path);
    names_free(&names);
    free(path);
    return status;
}

static int add_part(struct folder_set *set, enum snn_split split, const char *root, const char *part) {
    struct names folders = {0};
    char *path;
    if (asprintf(&path, "%s/%s", root, part) < 0) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    int32_t before = set->base.info.count[split];
    int status = read_names(path, true, &folders);
    if (status == SNN_OK && !strcmp(part, "train")) {
        set->classes = folders;
        folders = (struct names){0};
        if (!set->classes.count) status = snn_error(SNN_EDATA, "%s: holds no folder, expected one a class", path);
        if (set->classes.count > MAX_CLASSES)
            status = snn_error(SNN_EDATA, "%s: holds %d folders, expected at most %d classes", path, set->classes.count,
                               MAX_CLASSES);
    }
    const struct names *list = strcmp(part, "train") ? &folders : &set->classes;
    for (int32_t i = 0; i < list->count && status == SNN_OK; ++i)
        status = add_class(set, split, root, part, list->list[i]);
    if (status == SNN_OK && set->base.info.count[split] == before)
        status = snn_error(SNN_EDATA, "%s: holds no image, expected <class>/<name>.png", path);
    names_free(&folders);
    free(path);
    return status;
}

static bool has_part(const char *root, const char *part) {
    char *path;
    if (asprintf(&path, "%s/%s", root, part) < 0) return false;
    bool there = snn_is_directory(path);
    free(path);
    return there;
}

static bool has(const char *root) { return has_part(root, "train"); }

static void close_set(struct snn_dataset *base) {
    struct folder_set *set = (struct folder_set *)base;
    for (int split = 0; split < 2; ++split) {
        for (int32_t i = 0; i < base->info.count[split]; ++i) free(set->image[split][i].path);
        free(set->image[split]);
    }
    names_free(&set->classes);
    free(set);
}

/* ---- images ---- */

static int read_image(const char *root, const struct image *image, struct snn_png *out) {
    char *path;
    if (asprintf(&path, "%s/%s", root, image->path) < 0) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    int status = snn_png_read(path, out);
    free(path);
    return status;
}

/* Channel c of C of a pixel; grey by ITU-R 601-2. */
static int channel(const uint8_t *rgb, int32_t c, int32_t C) {
    if (C == 3) return rgb[c];
    return (int)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 0x8000u) >> 16);
}

/* Pixel (y,x) of H by W lies at ((y+0.5) h/H, (x+0.5) w/W) of the image; there is its nearest pixel. */
static void take_nearest(const struct snn_png *png, int32_t C, int32_t H, int32_t W, uint8_t *out) {
    for (int32_t c = 0; c < C; ++c)
        for (int64_t y = 0; y < H; ++y)
            for (int64_t x = 0; x < W; ++x) {
                int64_t from_y = (2 * y + 1) * png->H / (2 * H), from_x = (2 * x + 1) * png->W / (2 * W);
                *out++ = (uint8_t)channel(png->rgb + 3 * (from_y * png->W + from_x), c, C);
            }
}

struct between { /* a place between the middles of two pixels, which are the same at the border */
    int64_t low, high;
    double part;
};
static struct between between(int64_t i, int32_t wanted, int32_t there) {
    double at = ((double)i + 0.5) * there / wanted - 0.5;
    at = at < 0 ? 0 : at > there - 1 ? there - 1 : at;
    int64_t low = (int64_t)at;
    return (struct between){low, low + (low + 1 < there), at - (double)low};
}

/* The same place; the mean of the four pixels around it, weighted by nearness. */
static void take_bilinear(const struct snn_png *png, int32_t C, int32_t H, int32_t W, uint8_t *out) {
    for (int32_t c = 0; c < C; ++c)
        for (int64_t i = 0; i < H; ++i) {
            struct between y = between(i, H, png->H);
            const uint8_t *low = png->rgb + 3 * y.low * png->W, *high = png->rgb + 3 * y.high * png->W;
            for (int64_t j = 0; j < W; ++j) {
                struct between x = between(j, W, png->W);
                double a = channel(low + 3 * x.low, c, C), b = channel(low + 3 * x.high, c, C);
                double d = channel(high + 3 * x.low, c, C), e = channel(high + 3 * x.high, c, C);
                double up = a + x.part * (b - a), down = d + x.part * (e - d);
                *out++ = (uint8_t)(up + y.part * (down - up) + 0.5);
            }
        }
}

static int32_t label(const struct snn_dataset *base, enum snn_split split, int32_t i) {
    SNN_CHECK(i >= 0 && i < base->info.count[split], "sample %d of %d", i, base->info.count[split]);
    return ((const struct folder_set *)base)->image[split][i].label;
}

static int get(struct snn_dataset *base, enum snn_split split, int32_t i, struct snn_sample *sample) {
    const struct folder_set *set = (const struct folder_set *)base;
    const struct snn_dataset_info *info = &base->info;
    struct snn_png png;
    sample->label = label(base, split, i);
    const struct image *image = &set->image[split][i];
    SNN_TRY(snn_sample_room(sample, (size_t)info->C * (size_t)info->H * (size_t)info->W, 0));
    SNN_TRY(read_image(base->root, image, &png));
    bool fits = png.H == info->H && png.W == info->W, colour = set->any_colour || png.grey == (info->C == 1);
    if (fits ? !colour : set->resize == RESIZE_NONE) {
        free(png.rgb);
        if (!fits)
            return snn_error(SNN_EDATA, "%s/%s: has %d rows and %d columns, expected %d and %d (or data.resize)",
                             base->root, image->path, png.H, png.W, info->H, info->W);
        return snn_error(SNN_EDATA, "%s/%s: is %s, expected %s as the first image (or data.shape)", base->root,
                         image->path, png.grey ? "grey" : "in colour", png.grey ? "colour" : "grey");
    }
    /* Without a change of size each place is the middle of a pixel. */
    if (fits || set->resize == RESIZE_NEAREST) take_nearest(&png, info->C, info->H, info->W, sample->pixels);
    else take_bilinear(&png, info->C, info->H, info->W, sample->pixels);
    free(png.rgb);
    return SNN_OK;
}

/* ---- opening ---- */

static int settle_shape(struct folder_set *set, const char *root, const struct options *options) {
    struct snn_dataset_info *info = &set->base.info;
    set->resize = options->resize;
    set->any_colour = options->shape != NULL;
    if (options->shape) {
        int32_t shape[3];
        SNN_TRY(read_shape(options->shape, shape));
        info->C = shape[0], info->H = shape[1], info->W = shape[2];
        return SNN_OK;
    }
    struct snn_png first;
    SNN_TRY(read_image(root, &set->image[SNN_TRAIN][0], &first));
    free(first.rgb);
    info->C = first.grey ? 1 : 3, info->H = first.H, info->W = first.W;
    if (info->H <= MAX_SIDE && info->W <= MAX_SIDE) return SNN_OK;
    return snn_error(SNN_EDATA,
                     "%s/%s: has %d rows and %d columns, expected at most %d (or data.shape and data.resize)", root,
                     set->image[SNN_TRAIN][0].path, info->H, info->W, MAX_SIDE);
}

static int load(struct folder_set *set, const char *root, const struct options *options) {
    struct snn_dataset_info *info = &set->base.info;
    SNN_TRY(add_part(set, SNN_TRAIN, root, "train"));
    int32_t train = info->count[SNN_TRAIN];
    if (has_part(root, "val")) SNN_TRY(add_part(set, SNN_TRAIN, root, "val"));
    SNN_TRY(add_part(set, SNN_TEST, root, "test"));
    info->own_validation = info->count[SNN_TRAIN] - train;
    info->classes = set->classes.count;
    info->class_name = (const char *const *)set->classes.list;
    info->files = info->count[SNN_TRAIN] + info->count[SNN_TEST];
    return settle_shape(set, root, options);
}

static int open_set(const char *root, const void *options, struct snn_dataset **out) {
    struct folder_set *set = calloc(1, sizeof *set);
    if (!set) return snn_error(SNN_EFAIL, "%s: out of memory", root);
    int status = load(set, root, options);
    if (status < 0) close_set(&set->base);
    else *out = &set->base;
    return status;
}

/* ---- verify ---- */

static int verify(struct snn_dataset *base, void (*report)(void *payload, const char *line), void *payload) {
    static const char *const part[2] = {"train", "test"};
    struct snn_sample sample = {0};
    char line[1100];
    int32_t all = 0;
    for (int split = 0; split < 2; ++split) {
        int32_t bad = 0;
        for (int32_t i = 0; i < base->info.count[split]; ++i) {
            if (get(base, split, i, &sample) >= 0) continue;
            ++bad;
            report(payload, snn_error_text());
        }
        snprintf(line, sizeof line, "%s/%s: %d of %d images are well-formed%s", base->root, part[split],
                 base->info.count[split] - bad, base->info.count[split],
                 split == SNN_TRAIN && base->info.own_validation ? " (with those of val)" : "");
        report(payload, line);
        all += bad;
    }
    snn_sample_free(&sample);
    return all ? snn_error(SNN_EDATA, "%s: %d of %d images cannot be used", base->root, all, base->info.files) : SNN_OK;
}

const struct snn_dataset_ops snn_image_folder = {
    .name = "image_folder",
    .help = "PNG files of your own: train/<class>/*.png and test/<class>/*.png, with val/ for validation if there",
    .how_to_get = "it is a folder of yours that holds train/<class>/*.png and test/<class>/*.png; name it with --data",
    .kind = SNN_IMAGES,
    .own_validation = SNN_OWN_PERHAPS,
    .keys = keys,
    .check = check,
    .has = has,
    .open = open_set,
    .get = get,
    .label = label,
    .verify = verify,
    .close = close_set,
};
