/* SPDX-License-Identifier: Apache-2.0
 * test_image_folder.c - folders of PNG files: classes and order, forms of PNG, other sizes, and hostile files. */
#include <png.h>
#include <sys/resource.h>

#include "data_folder.h"
#include "datasets/parts.h"

static struct snn_data_config config; /* options live as long as the set */
static struct snn_conf_doc *doc;

/* `data: {name: image_folder KEYS}`, read. */
static int read_keys(const char *keys) {
    char text[300];
    snn_conf_free(&doc);
    int n = snprintf(text, sizeof text, "{name: image_folder%s}", keys);
    ck_ok(snn_conf_parse(text, (size_t)n, "made.yaml", &doc));
    return snn_data_config_read(snn_conf_root(doc), &config);
}

static int open_with(const char *keys, struct snn_dataset **set) {
    ck_ok(read_keys(keys));
    return snn_dataset_open("image_folder", folder, NULL, snn_data_set_options(&config), set);
}

static void make_for(const char *name) {
    char path[700];
    snprintf(path, sizeof path, "%s", in(name));
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0777);
    }
}

/* A PNG file of the simple forms: `format` is libpng's, rows of bytes. */
static void put(const char *name, uint32_t format, int H, int W, const void *bytes) {
    png_image image = {.version = PNG_IMAGE_VERSION, .width = (uint32_t)W, .height = (uint32_t)H, .format = format};
    make_for(name);
    ck_assert(png_image_write_to_file(&image, in(name), 0, bytes, 0, NULL));
}

/* 2x3 pixels, red of k in steps of 10, green 1 more, blue 2 more. */
static void put_colours(const char *name, int k) {
    uint8_t rgb[18];
    for (int i = 0; i < 18; ++i) rgb[i] = (uint8_t)(k + i / 3 * 10 + i % 3);
    put(name, PNG_FORMAT_RGB, 2, 3, rgb);
}

static void put_grey(const char *name, int k) {
    uint8_t grey[6];
    for (int i = 0; i < 6; ++i) grey[i] = (uint8_t)(k + 10 * i);
    put(name, PNG_FORMAT_GRAY, 2, 3, grey);
}

static void put_set(void) {
    put_colours("train/b/2.png", 20);
    put_colours("train/b/10.PNG", 30);
    put_colours("train/B/x.png", 10);
    put_colours("train/c d/1.png", 40);
    put_colours("test/c d/1.png", 50);
    put_colours("test/b/1.png", 60);
}

/* First pixel of sample i. */
static int first_pixel(struct snn_dataset *set, enum snn_split split, int i) {
    struct snn_sample sample = {0};
    ck_ok(set->ops->get(set, split, i, &sample));
    ck_assert_int_eq(sample.label, set->ops->label(set, split, i));
    int pixel = sample.pixels[0];
    snn_sample_free(&sample);
    return pixel;
}

START_TEST(classes_and_order) {
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    put_set();
    write_file("train/b/.hidden.png", "x", 1); /* neither these nor the folder are samples */
    write_file("train/b/notes.txt", "x", 1);
    ck_assert(!mkdir(in("train/.cache"), 0777));
    ck_ok(open_with("", &set));
    ck_assert_int_eq(set->info.classes, 3);
    ck_assert_str_eq(set->info.class_name[0], "B"); /* by bytes: capitals first */
    ck_assert_str_eq(set->info.class_name[1], "b");
    ck_assert_str_eq(set->info.class_name[2], "c d");
    ck_assert(set->info.C == 3 && set->info.H == 2 && set->info.W == 3);
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 4);
    ck_assert_int_eq(set->info.count[SNN_TEST], 2);
    ck_assert_int_eq(set->info.files, 6);
    ck_assert_int_eq(set->info.own_validation, 0);
    static const int train_pixel[] = {10, 30, 20, 40}, train_label[] = {0, 1, 1, 2}; /* "10.PNG" before "2.png" */
    for (int i = 0; i < 4; ++i) {
        ck_assert_int_eq(first_pixel(set, SNN_TRAIN, i), train_pixel[i]);
        ck_assert_int_eq(set->ops->label(set, SNN_TRAIN, i), train_label[i]);
    }
    ck_assert(first_pixel(set, SNN_TEST, 0) == 60 && set->ops->label(set, SNN_TEST, 0) == 1); /* there is no test/B */
    ck_assert(first_pixel(set, SNN_TEST, 1) == 50 && set->ops->label(set, SNN_TEST, 1) == 2);
    ck_ok(set->ops->get(set, SNN_TRAIN, 0, &sample));
    for (int c = 0; c < 3; ++c) /* (C,H,W) */
        for (int k = 0; k < 6; ++k) ck_assert_int_eq(sample.pixels[6 * c + k], 10 + 10 * k + c);
    snn_sample_free(&sample);
    struct lines lines = {0};
    ck_ok(set->ops->verify(set, collect, &lines));
    ck_assert_ptr_nonnull(strstr(lines.text, "train: 4 of 4 images are well-formed"));
    ck_assert_ptr_nonnull(strstr(lines.text, "test: 2 of 2 images"));
    snn_dataset_close(&set);
}
END_TEST

START_TEST(folders_that_are_wrong) {
    struct snn_dataset *set;
    ck_error(open_with("", &set), SNN_EDATA, "image_folder was not found in ");
    ck_assert(!mkdir(in("train"), 0777));
    ck_error(open_with("", &set), SNN_EDATA, "train: holds no folder, expected one a class");
    ck_assert(!mkdir(in("train/a"), 0777));
    ck_error(open_with("", &set), SNN_EDATA, "train/a: holds no PNG file");
    put_colours("train/a/1.png", 0);
    ck_error(open_with("", &set), SNN_EDATA, "test: cannot be read: No such file");
    ck_assert(!mkdir(in("test"), 0777));
    ck_error(open_with("", &set), SNN_EDATA, "test: holds no image, expected <class>/<name>.png");
    put_colours("test/z/1.png", 0);
    ck_error(open_with("", &set), SNN_EDATA, "test/z: is no class of ");
    ck_assert(!rename(in("test/z"), in("test/a")));
    ck_ok(open_with("", &set));
    snn_dataset_close(&set);
    write_file("train/a/2.JPG", "x", 1);
    ck_error(open_with("", &set), SNN_EDATA, "train/a/2.JPG: is not a PNG file, expected nothing else");
    unlink(in("train/a/2.JPG"));
    ck_assert(!mkdir(in("train/a/more"), 0777));
    ck_error(open_with("", &set), SNN_EDATA, "train/a/more: is a folder, expected PNG files");
}
END_TEST

START_TEST(own_validation) {
    struct snn_dataset *set;
    int32_t *list, count;
    put_set();
    ck_ok(open_with(", validation: own", &set));
    ck_error(snn_subset_list(set, SNN_SUBSET_TRAIN, &config.validation, 0, &list, &count), SNN_EUSAGE,
             "has no validation samples: expected data.validation: none or a fraction");
    snn_dataset_close(&set);
    ck_ok(open_with(", validation: 0.5", &set));
    ck_ok(snn_subset_list(set, SNN_SUBSET_VALIDATION, &config.validation, 0, &list, &count));
    free(list);
    snn_dataset_close(&set);
    put_colours("val/b/9.png", 70);
    ck_ok(open_with(", validation: own", &set));
    ck_assert_int_eq(set->info.own_validation, 1);
    ck_assert_int_eq(set->info.count[SNN_TRAIN], 5);
    ck_ok(snn_subset_list(set, SNN_SUBSET_VALIDATION, &config.validation, 0, &list, &count));
    ck_assert_int_eq(count, 1);
    ck_assert(first_pixel(set, SNN_TRAIN, list[0]) == 70 && set->ops->label(set, SNN_TRAIN, list[0]) == 1);
    free(list);
    ck_ok(snn_subset_list(set, SNN_SUBSET_TRAIN, &config.validation, 0, &list, &count));
    ck_assert_int_eq(count, 4);
    free(list);
    snn_dataset_close(&set);
    ck_ok(open_with(", validation: 0.5", &set));
    ck_error(snn_subset_list(set, SNN_SUBSET_TRAIN, &config.validation, 0, &list, &count), SNN_EUSAGE,
             "has validation samples: expected data.validation: own, or none");
    snn_dataset_close(&set);
}
END_TEST

/* ---- forms ---- */

/* One training image in train/a/1.png, a good one for testing. */
static int open_one(const char *keys, struct snn_dataset **set) {
    put_grey("test/a/1.png", 0);
    return open_with(keys, set);
}

static void check_pixels(const char *keys, int32_t C, int32_t H, int32_t W, const uint8_t *expected) {
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    ck_ok(open_one(keys, &set));
    ck_assert(set->info.C == C && set->info.H == H && set->info.W == W);
    ck_ok(set->ops->get(set, SNN_TRAIN, 0, &sample));
    for (int i = 0; i < C * H * W; ++i)
        ck_assert_msg(sample.pixels[i] == expected[i], "pixel %d is %d, expected %d", i, sample.pixels[i], expected[i]);
    snn_sample_free(&sample);
    snn_dataset_close(&set);
}
#define BYTES(...) ((const uint8_t[]){__VA_ARGS__})

START_TEST(forms_of_png) {
    put("train/a/1.png", PNG_FORMAT_GRAY, 1, 3, BYTES(0, 7, 255));
    check_pixels("", 1, 1, 3, BYTES(0, 7, 255));
    check_pixels(", shape: [3, 1, 3]", 3, 1, 3, BYTES(0, 7, 255, 0, 7, 255, 0, 7, 255));
    put("train/a/1.png", PNG_FORMAT_GA, 1, 2, BYTES(9, 0, 8, 255)); /* what is transparent has colours, too */
    check_pixels("", 1, 1, 2, BYTES(9, 8));
    put("train/a/1.png", PNG_FORMAT_RGBA, 1, 2, BYTES(1, 2, 3, 0, 4, 5, 6, 99));
    check_pixels("", 3, 1, 2, BYTES(1, 4, 2, 5, 3, 6));
    put("train/a/1.png", PNG_FORMAT_RGB, 1, 3, BYTES(255, 0, 0, 0, 255, 0, 0, 0, 255));
    check_pixels(", shape: [1, 1, 3]", 1, 1, 3, BYTES(76, 150, 29)); /* of 0.299, 0.587 and 0.114 */
}
END_TEST

/* Written with libpng's longer interface: forms that the short one does not write. */
static void put_form(const char *name, int bits, int colour, bool interlaced, int H, int W, png_bytepp rows) {
    FILE *f;
    make_for(name);
    ck_assert_ptr_nonnull(f = fopen(in(name), "wb"));
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, f);
    png_set_IHDR(png, info, (png_uint_32)W, (png_uint_32)H, bits, colour,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, (const png_color[]){{1, 2, 3}, {40, 50, 60}, {255, 0, 9}}, 3);
    else png_set_gAMA(png, info, 0.2); /* it changes nothing */
    png_set_rows(png, info, rows);
    png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
    png_destroy_write_struct(&png, &info);
    fclose(f);
}

START_TEST(rarer_forms_of_png) {
    png_byte bits[] = {0x80}, palette[] = {2, 0, 1}, deep[] = {0, 0, 1, 0xF0, 0xFF, 0xFF}, many[5][5];
    png_bytep rows[5] = {bits};
    put_form("train/a/1.png", 1, PNG_COLOR_TYPE_GRAY, false, 1, 3, rows);
    check_pixels("", 1, 1, 3, BYTES(255, 0, 0));
    rows[0] = palette;
    put_form("train/a/1.png", 8, PNG_COLOR_TYPE_PALETTE, false, 1, 3, rows);
    check_pixels("", 3, 1, 3, BYTES(255, 1, 40, 0, 2, 50, 9, 3, 60));
    rows[0] = deep; /* 496 / 257 = 1.93 */
    put_form("train/a/1.png", 16, PNG_COLOR_TYPE_GRAY, false, 1, 3, rows);
    check_pixels("", 1, 1, 3, BYTES(0, 2, 255));
    for (int y = 0; y < 5; ++y) {
        rows[y] = many[y];
        for (int x = 0; x < 5; ++x) many[y][x] = (png_byte)(50 * y + x);
    }
    put_form("train/a/1.png", 8, PNG_COLOR_TYPE_GRAY, true, 5, 5, rows);
    check_pixels("", 1, 5, 5, many[0]);
}
END_TEST

/* ---- sizes ---- */

START_TEST(nearest_by_hand) {
    put("train/a/1.png", PNG_FORMAT_GRAY, 2, 2, BYTES(1, 2, 3, 4));
    check_pixels(", shape: [1, 4, 4], resize: nearest", 1, 4, 4, BYTES(1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4));
    check_pixels(", shape: [1, 1, 1], resize: nearest", 1, 1, 1, BYTES(4)); /* the middle is at (1, 1) */
    put("train/a/1.png", PNG_FORMAT_GRAY, 1, 6, BYTES(0, 1, 2, 3, 4, 5));
    check_pixels(", shape: [1, 2, 3], resize: nearest", 1, 2, 3, BYTES(1, 3, 5, 1, 3, 5));
}
END_TEST

START_TEST(bilinear_by_hand) {
    put("train/a/1.png", PNG_FORMAT_GRAY, 1, 2, BYTES(0, 100));
    /* The middles of four are at -0.25, 0.25, 0.75, 1.25 of two. */
    check_pixels(", shape: [1, 1, 4], resize: bilinear", 1, 1, 4, BYTES(0, 25, 75, 100));
    put("train/a/1.png", PNG_FORMAT_GRAY, 2, 2, BYTES(0, 40, 80, 200));
    check_pixels(", shape: [1, 1, 1], resize: bilinear", 1, 1, 1, BYTES(80)); /* the mean of all */
    check_pixels(", shape: [1, 2, 2], resize: bilinear", 1, 2, 2, BYTES(0, 40, 80, 200));
    check_pixels(", shape: [1, 1, 2], resize: bilinear", 1, 1, 2, BYTES(40, 120));
    put("train/a/1.png", PNG_FORMAT_RGB, 1, 2, BYTES(0, 10, 255, 100, 20, 0));
    check_pixels(", shape: [3, 1, 1], resize: bilinear", 3, 1, 1, BYTES(50, 15, 128));
}
END_TEST

START_TEST(images_of_another_shape) {
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    struct lines lines = {0};
    put_colours("train/a/1.png", 0);
    put_grey("train/a/2.png", 0);
    put("train/a/3.png", PNG_FORMAT_RGB, 1, 1, BYTES(1, 2, 3));
    ck_ok(open_one("", &set));
    ck_ok(set->ops->get(set, SNN_TRAIN, 0, &sample));
    ck_error(set->ops->get(set, SNN_TRAIN, 1, &sample), SNN_EDATA,
             "train/a/2.png: is grey, expected colour as the first image (or data.shape)");
    ck_error(set->ops->get(set, SNN_TRAIN, 2, &sample), SNN_EDATA,
             "train/a/3.png: has 1 rows and 1 columns, expected 2 and 3 (or data.resize)");
    ck_error(set->ops->verify(set, collect, &lines), SNN_EDATA, "3 of 4 images cannot be used");
    ck_assert_ptr_nonnull(strstr(lines.text, "train: 1 of 3 images are well-formed"));
    snn_dataset_close(&set);
    ck_ok(open_one(", shape: [3, 2, 3]", &set));
    ck_ok(set->ops->get(set, SNN_TRAIN, 1, &sample));
    ck_error(set->ops->get(set, SNN_TRAIN, 2, &sample), SNN_EDATA, "expected 2 and 3 (or data.resize)");
    snn_dataset_close(&set);
    ck_ok(open_one(", shape: [3, 2, 3], resize: bilinear", &set));
    for (int i = 0; i < 3; ++i) ck_ok(set->ops->get(set, SNN_TRAIN, i, &sample));
    for (int i = 0; i < 18; ++i) ck_assert_int_eq(sample.pixels[i], i / 6 + 1);
    snn_dataset_close(&set);
    snn_sample_free(&sample);
}
END_TEST

START_TEST(keys_that_are_wrong) {
    static const struct {
        const char *keys, *part;
    } wrong[] = {
        {", shape: 3", "shape: expected [channels, rows, columns]"},
        {", shape: [3, 32]", "shape: expected [channels, rows, columns]"},
        {", shape: [2, 32, 32]", "shape.0: expected 1 or 3 channels"},
        {", shape: [3, 0, 32]", "shape.1: expected 1..4096 rows"},
        {", shape: [3, 32, 4097]", "shape.2: expected 1..4096 columns"},
        {", shape: [3, 32, x]", "shape.2: expected 1..4096 columns"},
        {", shape: [3, [], 1]", "shape.1: expected 1..4096 rows"},
        {", resize: nearest", "made.yaml:1:30: resize: needs shape"},
        {", shape: [3, 2, 2], resize: cubic", "expected one of none, nearest, bilinear"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        ck_error(read_keys(wrong[i].keys), SNN_EUSAGE, wrong[i].part);
}
END_TEST

/* ---- hostile files ---- */

enum { ROOM = 4096 };

START_TEST(cut_anywhere_is_refused) {
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    unsigned char bytes[ROOM];
    put_colours("train/a/1.png", 0);
    put_colours("train/a/2.png", 0);
    size_t size = read_whole("train/a/2.png", bytes, ROOM);
    ck_ok(open_one("", &set));
    for (size_t cut = 0; cut < size; ++cut) {
        write_file("train/a/2.png", bytes, cut);
        ck_assert_msg(set->ops->get(set, SNN_TRAIN, 1, &sample) == SNN_EDATA, "cut to %zu of %zu bytes", cut, size);
        ck_assert_ptr_nonnull(strstr(snn_error_text(), "train/a/2.png: is no PNG image that can be read: it "));
    }
    snn_dataset_close(&set);
    write_file("train/a/1.png", bytes, size - 1); /* the first one is read at once */
    ck_error(open_one("", &set), SNN_EDATA, "train/a/1.png: is no PNG image that can be read");
    snn_sample_free(&sample);
}
END_TEST

/* A changed bit is found by a checksum, or lies where no pixel depends on it. */
START_TEST(changed_bits_are_harmless) {
    struct snn_dataset *set;
    struct snn_sample sample = {0};
    unsigned char bytes[ROOM];
    put_colours("train/a/1.png", 0);
    size_t size = read_whole("train/a/1.png", bytes, ROOM);
    ck_ok(open_one("", &set));
    size_t refused = 0;
    for (size_t at = 0; at < 8 * size; ++at) {
        bytes[at / 8] ^= (unsigned char)(1 << at % 8);
        write_file("train/a/1.png", bytes, size);
        bytes[at / 8] ^= (unsigned char)(1 << at % 8);
        int status = set->ops->get(set, SNN_TRAIN, 0, &sample);
        refused += status == SNN_EDATA;
        if (status == SNN_EDATA) continue;
        ck_ok(status);
        bool same = true;
        for (int i = 0; i < 18; ++i) same &= sample.pixels[i] == i % 6 * 10 + i / 6;
        ck_assert_msg(same, "bit %zu", at);
    }
    ck_assert_uint_gt(refused, 8 * 60); /* the signature, the header, the pixels */
    snn_dataset_close(&set);
    snn_sample_free(&sample);
}
END_TEST

static uint32_t crc_of(const unsigned char *bytes, size_t size) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* A header that promises more than there is takes no memory for it. */
START_TEST(claims_of_size) {
    static const struct {
        uint32_t W, H;
        const char *part;
    } claim[] = {{16384, 16384, "over 16777216 pixels"},
                 {0x7FFFFFFF, 1, "Invalid IHDR data"},
                 {0, 4, "Invalid IHDR data"},
                 {4096, 4096, "ot enough"}};
    struct snn_dataset *set;
    unsigned char bytes[ROOM];
    put("train/a/1.png", PNG_FORMAT_GRAY, 1, 2, BYTES(3, 4));
    size_t size = read_whole("train/a/1.png", bytes, ROOM);
    for (size_t i = 0; i < sizeof claim / sizeof *claim; ++i) {
        for (int k = 0; k < 4; ++k) {
            bytes[16 + k] = (unsigned char)(claim[i].W >> (24 - 8 * k));
            bytes[20 + k] = (unsigned char)(claim[i].H >> (24 - 8 * k));
        }
        uint32_t crc = crc_of(bytes + 12, 17);
        for (int k = 0; k < 4; ++k) bytes[29 + k] = (unsigned char)(crc >> (24 - 8 * k));
        write_file("train/a/1.png", bytes, size);
        ck_error(open_one("", &set), SNN_EDATA, claim[i].part);
    }
}
END_TEST

/* ---- through the loader ---- */

/* Of a text, which nobody reads: what it claims is not made room for. */
START_TEST(claims_of_a_chunk) {
    unsigned char bytes[512], text[8] = {0x7f, 0xff, 0xff, 0xff, 't', 'E', 'X', 't'};
    struct snn_dataset *set;
    enum { HEAD = 33 /* signature, IHDR */ };
    put_grey("train/a/1.png", 1);
    size_t size = read_whole("train/a/1.png", bytes, sizeof bytes - sizeof text);
    memmove(bytes + HEAD + sizeof text, bytes + HEAD, size - HEAD);
    memcpy(bytes + HEAD, text, sizeof text);
    write_file("train/a/1.png", bytes, size + sizeof text);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    ck_error(open_one("", &set), SNN_EDATA, "train/a/1.png: is no PNG image that can be read: it ends too early");
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 1 << 18); /* kB */
}
END_TEST

START_TEST(batches) {
    struct snn_dataset *set;
    struct snn_loader *loader;
    const struct snn_batch *batch;
    for (int i = 0; i < 20; ++i) {
        char name[40];
        snprintf(name, sizeof name, "train/%c/%02d.png", "pq"[i % 2], i);
        put_colours(name, i);
    }
    put_colours("test/p/1.png", 0);
    ck_ok(open_with(", timesteps: 2, workers: 3, augment: [crop: 0]", &set));
    const struct snn_loader_options options = {.config = &config, .set = set, .batch = 4, .seed = 1, .shuffle = true};
    ck_ok(snn_loader_open(&options, &loader));
    ck_ok(snn_loader_start(loader, 0, 0));
    int seen = 0;
    while (snn_loader_next(loader, &batch) >= 0 && batch)
        for (int b = 0; b < batch->B; ++b, ++seen) {
            int number = (int)(batch->frames[b * 18] * 255 + 0.5f);
            ck_assert_int_eq(batch->label[b], number % 2);
            ck_assert_int_eq(batch->sample[b], number / 2 + 10 * (number % 2)); /* class by class */
        }
    ck_assert_int_eq(seen, 20);
    snn_loader_close(&loader);
    snn_dataset_close(&set);
}
END_TEST

static void forget_config(void) {
    snn_conf_free(&doc);
    remove_folder();
}

int main(void) {
    Suite *suite = suite_create("image_folder");
    TCase *t = tcase_create("image_folder");
    tcase_add_checked_fixture(t, make_data_folder, forget_config);
    tcase_add_test(t, classes_and_order);
    tcase_add_test(t, folders_that_are_wrong);
    tcase_add_test(t, own_validation);
    tcase_add_test(t, forms_of_png);
    tcase_add_test(t, rarer_forms_of_png);
    tcase_add_test(t, nearest_by_hand);
    tcase_add_test(t, bilinear_by_hand);
    tcase_add_test(t, images_of_another_shape);
    tcase_add_test(t, keys_that_are_wrong);
    tcase_add_test(t, cut_anywhere_is_refused);
    tcase_add_test(t, changed_bits_are_harmless);
    tcase_add_test(t, claims_of_size);
    tcase_add_test(t, claims_of_a_chunk);
    tcase_add_test(t, batches);
    tcase_set_timeout(t, 60);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
