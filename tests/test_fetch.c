/* SPDX-License-Identifier: Apache-2.0
 * test_fetch.c - downloads from a server on this machine, good and bad; and the table of addresses. */
#include <fcntl.h>
#include <md5.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <zip.h>
#include <zlib.h>

#include "datasets/dataset.h"
#include "datasets/fetch.h"
#include "folder.h"
#include "web.h"

enum { SIZE = 300000, ROOM = 2 * SIZE };

static unsigned char body[ROOM];
static size_t body_size;
static char body_md5[MD5_DIGEST_STRING_LENGTH];

/* ---- one download ---- */

struct seen {
    int said;
    char last[512];
    bool stop; /* after the first bytes */
};

static void say(void *payload, const char *line) {
    struct seen *seen = payload;
    ++seen->said;
    snprintf(seen->last, sizeof seen->last, "%s", line);
}

static bool moved(void *payload, int64_t done, int64_t total) {
    (void)total;
    return !(((struct seen *)payload)->stop && done > 0);
}

/* A file of the body, from up to two addresses. */
static struct snn_download file_at(const char *first, const char *second) {
    return (struct snn_download){.file = "file.bin",
                                 .url = {first ? web_url(first) : NULL, second ? web_url(second) : NULL},
                                 .bytes = (int64_t)body_size,
                                 .md5 = body_md5};
}

static int fetch(const struct snn_download *d, const char *mirror, struct seen *seen) {
    const struct snn_fetch_view view = {.say = say, .watch = {moved, seen}, .payload = seen};
    return snn_fetch(d, folder, mirror, &view);
}

static int fetch_from(const char *first, const char *second) {
    struct snn_download d = file_at(first, second);
    struct seen seen = {0};
    return fetch(&d, NULL, &seen);
}

static bool there(const char *name) { return access(in(name), F_OK) == 0; }

static void expect_whole(const char *name, const void *bytes, size_t size) {
    static unsigned char read[ROOM];
    ck_assert_msg(there(name), "%s is not there", name);
    ck_assert_uint_eq(read_whole(name, read, sizeof read), size);
    ck_assert(!memcmp(read, bytes, size));
}

static void expect_done(int rc, int state) {
    ck_assert_msg(rc == state, "%d, expected %d: %s", rc, state, snn_error_text());
    expect_whole("file.bin", body, body_size);
    ck_assert_int_eq(names_in_folder(), 1);
}

static void expect_nothing(void) { ck_assert_int_eq(names_in_folder(), 0); }

static void serve(void) { web_start(body, body_size); }

static void setup(void) {
    uint32_t state = 1;
    make_folder();
    body_size = SIZE;
    for (size_t i = 0; i < body_size; ++i) {
        state = state * 1664525u + 1013904223u;
        body[i] = (unsigned char)(state >> 24);
    }
    MD5Data(body, body_size, body_md5);
}

static void teardown(void) {
    web_stop();
    remove_folder();
}

/* ---- what goes well ---- */

START_TEST(a_file_arrives) {
    serve();
    expect_done(fetch_from("good/f", NULL), SNN_FETCH_NEW);
    ck_assert_int_eq(web_log->asked, 1);
    expect_done(fetch_from("good/f", NULL), SNN_FETCH_KEPT); /* looked at, not asked for again */
    ck_assert_int_eq(web_log->asked, 1);
}
END_TEST

START_TEST(unknown_size_and_checksum) {
    serve();
    struct snn_download d = {.file = "file.bin", .url = {web_url("good/f")}};
    struct seen seen = {0};
    expect_done(fetch(&d, NULL, &seen), SNN_FETCH_NEW);
    expect_done(fetch(&d, NULL, &seen), SNN_FETCH_KEPT_UNPROVEN);
}
END_TEST

START_TEST(goes_on_where_it_stopped) {
    serve();
    write_file("file.bin.part", body, 100000);
    expect_done(fetch_from("good/f", NULL), SNN_FETCH_NEW);
    ck_assert(web_log->asked == 1 && web_log->from[0] == 100000);
}
END_TEST

START_TEST(a_whole_part_needs_no_server) {
    struct snn_download d = {.file = "file.bin", .url = {"http://127.0.0.1:1/f"}, .bytes = SIZE, .md5 = body_md5};
    struct seen seen = {0};
    write_file("file.bin.part", body, body_size);
    expect_done(fetch(&d, NULL, &seen), SNN_FETCH_NEW);
    serve(); /* where the size is not known the server has to say that nothing is missing */
    ck_assert(!unlink(in("file.bin")));
    write_file("file.bin.part", body, body_size);
    d.bytes = 0, d.url[0] = web_url("good/f");
    expect_done(fetch(&d, NULL, &seen), SNN_FETCH_NEW);
    ck_assert(web_log->asked == 1 && web_log->from[0] == SIZE);
}
END_TEST

START_TEST(server_without_ranges) {
    serve();
    write_file("file.bin.part", body, 100000);
    expect_done(fetch_from("plain/f", NULL), SNN_FETCH_NEW);
    ck_assert_int_eq(web_log->asked, 1);
}
END_TEST

static unsigned char zeros[2 * SIZE];

START_TEST(a_part_of_another_file) {
    serve();
    write_file("file.bin.part", zeros, 100000); /* fits, but the whole has another checksum: once more from the start */
    expect_done(fetch_from("good/f", NULL), SNN_FETCH_NEW);
    ck_assert(web_log->asked == 2 && web_log->from[0] == 100000 && web_log->from[1] == 0);
    ck_assert(!unlink(in("file.bin")));
    write_file("file.bin.part", zeros, sizeof zeros); /* longer than the file */
    expect_done(fetch_from("good/f", NULL), SNN_FETCH_NEW);
    ck_assert_int_eq(web_log->from[web_log->asked - 1], 0);
}
END_TEST

START_TEST(another_range_than_asked_for) {
    serve();
    write_file("file.bin.part", body, 100000);
    struct snn_download d = {.file = "file.bin", .url = {web_url("odd/f")}}; /* neither size nor checksum would tell */
    struct seen seen = {0};
    expect_done(fetch(&d, NULL, &seen), SNN_FETCH_NEW);
    ck_assert(web_log->asked == 2 && web_log->from[1] == 0);
}
END_TEST

START_TEST(cut_again_and_again) {
    serve();
    expect_done(fetch_from("cut/f", NULL), SNN_FETCH_NEW);
    ck_assert_int_eq(web_log->asked, (SIZE + WEB_CUT - 1) / WEB_CUT);
    for (int i = 0; i < web_log->asked; ++i) ck_assert_int_eq(web_log->from[i], i * WEB_CUT);
}
END_TEST

START_TEST(cut_today_whole_tomorrow) {
    serve();
    ck_error(fetch_from("once/f", NULL), SNN_EDATA, "the server answers 503");
    expect_whole("file.bin.part", body, WEB_CUT);
    ck_assert_int_eq(names_in_folder(), 1);
    expect_done(fetch_from("good/f", NULL), SNN_FETCH_NEW);
    ck_assert_int_eq(web_log->from[web_log->asked - 1], WEB_CUT);
}
END_TEST

START_TEST(next_address) {
    static const char *const bad[] = {"missing/f", "wrong/f", "long/f", "short/f", "once/f", "sly/f"};
    struct snn_download d = file_at(NULL, NULL);
    serve();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        struct seen seen = {0};
        d.url[0] = web_url(bad[i]), d.url[1] = web_url("good/f");
        expect_done(fetch(&d, NULL, &seen), SNN_FETCH_NEW);
        ck_assert_msg(seen.said == 1 && strstr(seen.last, bad[i]), "%s: said %d: %s", bad[i], seen.said, seen.last);
        ck_assert(!unlink(in("file.bin")));
    }
    expect_done(fetch_from("moved/f", NULL), SNN_FETCH_NEW);
}
END_TEST

START_TEST(mirror_first) {
    serve();
    struct snn_download d = file_at("good/f", NULL);
    struct seen seen = {0};
    expect_done(fetch(&d, web_url("good/sets/mine"), &seen), SNN_FETCH_NEW);
    ck_assert_int_eq(web_log->asked, 1);
    ck_assert_str_eq(web_log->path[0], "/good/sets/mine/file.bin");
    ck_assert(!unlink(in("file.bin")));
    expect_done(fetch(&d, web_url("missing"), &seen), SNN_FETCH_NEW);
    ck_assert_str_eq(web_log->path[1], "/missing/file.bin");
    ck_assert_str_eq(web_log->path[2], "/good/f");
}
END_TEST

START_TEST(stopped_and_gone_on_with) {
    serve();
    struct snn_download d = file_at("good/f", NULL);
    struct seen seen = {.stop = true};
    ck_error(fetch(&d, NULL, &seen), SNN_EINTR, "interrupted");
    ck_assert(there("file.bin.part") && !there("file.bin"));
    seen.stop = false;
    expect_done(fetch(&d, NULL, &seen), SNN_FETCH_NEW);
    ck_assert_int_gt(web_log->from[web_log->asked - 1], 0);
}
END_TEST

/* ---- what does not ---- */

static const struct {
    const char *path, *sentence;
} failures[] = {
    {"missing/f", "/missing/f: the server answers 404"},
    {"wrong/f", "/wrong/f: what it sends does not have the md5 "},
    {"long/f", "/long/f: sends more than the 300000 bytes of the distributed file"},
    {"short/f", "/short/f: has 299000 bytes, expected 300000"},
    {"sly/f", "/sly/f: "},
};

START_TEST(leaves_nothing_wrong) {
    serve();
    ck_error(fetch_from(failures[_i].path, NULL), SNN_EDATA, failures[_i].sentence);
    expect_nothing();
}
END_TEST

START_TEST(nobody_answers) {
    struct snn_download d = {.file = "file.bin", .url = {"http://127.0.0.1:1/f"}, .bytes = SIZE, .md5 = body_md5};
    struct seen seen = {0};
    ck_error(fetch(&d, NULL, &seen), SNN_EDATA, "http://127.0.0.1:1/f: ");
    d.url[0] = NULL;
    ck_error(fetch(&d, NULL, &seen), SNN_EDATA, "file.bin: has no address to be fetched from");
    d.url[0] = "file:///etc/hostname"; /* the web alone */
    ck_error(fetch(&d, NULL, &seen), SNN_EDATA, "file:///etc/hostname: ");
    expect_nothing();
}
END_TEST

START_TEST(a_file_of_that_name_is_not_overwritten) {
    serve();
    write_file("file.bin", zeros, 1000);
    ck_error(fetch_from("good/f", NULL), SNN_EDATA,
             "it is not overwritten: move it away to fetch the distributed file");
    expect_whole("file.bin", zeros, 1000);
    ck_assert_int_eq(web_log->asked, 0);
    unlink(in("file.bin"));
    ck_assert(!mkfifo(in("file.bin"), 0600)); /* nobody waits for its writer */
    ck_error(fetch_from("good/f", NULL), SNN_EDATA, "file.bin: is not a regular file; it is not overwritten");
    unlink(in("file.bin"));
}
END_TEST

START_TEST(one_process_at_a_time) {
    serve();
    write_file("file.bin.part", body, 1000);
    int fd = open(in("file.bin.part"), O_RDWR);
    ck_assert(!flock(fd, LOCK_EX));
    ck_error(fetch_from("good/f", NULL), SNN_EFAIL, "file.bin.part: is being fetched by another process");
    expect_whole("file.bin.part", body, 1000);
    close(fd);
}
END_TEST

START_TEST(full_disk) {
    serve();
    struct rlimit limit = {100000, 100000};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert(!setrlimit(RLIMIT_FSIZE, &limit));
    ck_error(fetch_from("good/f", "good/g"), SNN_EFAIL, "what arrives cannot be written: File too large");
    ck_assert_int_eq(web_log->asked, 1); /* no other address helps */
}
END_TEST

/* ---- unpacking ---- */

static unsigned char packed[ROOM];
static char plain_md5[MD5_DIGEST_STRING_LENGTH], packed_name[32];
static const char plain[] = "a text that is much longer than nothing, much longer, much longer";

/* The body becomes an archive of `plain`, which the server then serves. */
static struct snn_download archive(bool zipped, size_t cut) {
    snprintf(packed_name, sizeof packed_name, "set.h5.%s", zipped ? "zip" : "gz");
    if (zipped) {
        zip_t *zip = zip_open(in("made"), ZIP_CREATE, NULL);
        zip_file_add(zip, "folder/set.h5", zip_source_buffer(zip, plain, sizeof plain, 0), 0);
        ck_assert(!zip_close(zip));
    } else {
        gzFile gz = gzopen(in("made"), "wb");
        ck_assert_int_eq(gzwrite(gz, plain, sizeof plain), sizeof plain);
        gzclose(gz);
    }
    body_size = read_whole("made", body, sizeof body) - cut;
    unlink(in("made"));
    memcpy(packed, body, body_size);
    MD5Data(body, body_size, body_md5);
    MD5Data((const uint8_t *)plain, sizeof plain, plain_md5);
    serve();
    return (struct snn_download){.file = packed_name,
                                 .url = {web_url("good/f")},
                                 .md5 = body_md5,
                                 .unpacked = "set.h5",
                                 .unpacked_md5 = plain_md5};
}

START_TEST(packed_files_are_unpacked) {
    struct snn_download d = archive(_i, 0);
    struct seen seen = {0};
    ck_assert_int_eq(fetch(&d, NULL, &seen), SNN_FETCH_UNPACKED);
    expect_whole("set.h5", plain, sizeof plain);
    ck_assert_int_eq(names_in_folder(), 1);
    ck_assert_int_eq(fetch(&d, NULL, &seen), SNN_FETCH_KEPT);
    d.unpacked_md5 = NULL;
    ck_assert_int_eq(fetch(&d, NULL, &seen), SNN_FETCH_KEPT_UNPROVEN);
    ck_assert_int_eq(web_log->asked, 1);
    unlink(in("set.h5")); /* an archive that somebody brought is used, and stays */
    write_file(packed_name, packed, body_size);
    ck_assert_int_eq(fetch(&d, NULL, &seen), SNN_FETCH_UNPACKED);
    expect_whole("set.h5", plain, sizeof plain);
    expect_whole(packed_name, packed, body_size);
    ck_assert_int_eq(web_log->asked, 1);
    unlink(in("set.h5")); /* unless it is another */
    write_file(packed_name, packed, body_size - 1);
    ck_error(fetch(&d, NULL, &seen), SNN_EDATA, "it is not overwritten");
    ck_assert(!there("set.h5"));
}
END_TEST

START_TEST(broken_archives_give_no_file) {
    struct snn_download d = archive(_i, 5);
    struct seen seen = {0};
    int rc = fetch(&d, NULL, &seen);
    ck_assert_msg(rc == SNN_EDATA && strstr(snn_error_text(), _i ? "cannot be read" : "cannot be unpacked"), "%d: %s",
                  rc, snn_error_text());
    ck_assert(!there("set.h5"));
}
END_TEST

START_TEST(unpacked_bytes_are_checked) {
    struct snn_download d = archive(_i, 0);
    struct seen seen = {0};
    d.unpacked_md5 = body_md5;
    ck_error(fetch(&d, NULL, &seen), SNN_EDATA, "/set.h5: has md5 ");
    ck_assert(!there("set.h5"));
    if (!_i) return;
    d.unpacked_md5 = NULL, d.unpacked = "other.h5";
    ck_error(fetch(&d, NULL, &seen), SNN_EDATA, ": holds no other.h5");
}
END_TEST

START_TEST(no_archive_at_all) {
    serve();
    struct snn_download d = {.file = "set.h5.gz", .url = {web_url("good/f")}, .md5 = body_md5, .unpacked = "set.h5"};
    struct seen seen = {0};
    ck_error(fetch(&d, NULL, &seen), SNN_EDATA, "it is no gzip file");
    ck_assert(!there("set.h5"));
}
END_TEST

/* ---- the table ---- */

static bool is_md5(const char *text) { return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32; }

START_TEST(table_is_complete) {
    for (const struct snn_downloads *d = snn_downloads; d->set; ++d) {
        int files = snn_downloads_count(d);
        ck_assert_msg(files >= 1 && d->page && d->licence && snn_downloads_find(d->set) == d, "%s", d->set);
        for (int i = 0; i < files; ++i) {
            const struct snn_download *f = &d->file[i];
            ck_assert_msg(f->md5 && is_md5(f->md5) && (!f->unpacked_md5 || is_md5(f->unpacked_md5)), "%s", f->file);
            ck_assert_msg((f->url[0] != NULL) == !d->by_hand && !strchr(f->file, '/'), "%s", f->file);
            for (int u = 0; u < SNN_DOWNLOAD_URLS && f->url[u]; ++u)
                ck_assert_msg(!strncmp(f->url[u], "http", 4), "%s", f->url[u]);
            for (int k = 0; k < i; ++k) ck_assert_str_ne(d->file[k].md5, f->md5);
        }
    }
}
END_TEST

/* What is fetched is what the readers look for. */
START_TEST(readers_find_what_is_fetched) {
    int known = 0;
    for (const struct snn_downloads *d = snn_downloads; d->set; ++d) {
        const struct snn_dataset_ops *ops = snn_dataset_find(d->set);
        if (!ops) continue; /* its reader is not in this version */
        ++known;
        for (int i = 0; i < snn_downloads_count(d); ++i) {
            char *path = snn_fetch_path(&d->file[i], folder);
            ck_assert(!ops->has(folder));
            FILE *f = fopen(path, "w");
            ck_assert(f && !fclose(f));
            ck_assert_msg(ops->has(folder), "%s does not look for %s", d->set, path);
            unlink(path);
            free(path);
        }
    }
    ck_assert_int_ge(known, 9);
}
END_TEST

int main(void) {
    setenv("no_proxy", "127.0.0.1", 1);
    Suite *suite = suite_create("fetch");
    TCase *t = tcase_create("fetch");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_file_arrives);
    tcase_add_test(t, unknown_size_and_checksum);
    tcase_add_test(t, goes_on_where_it_stopped);
    tcase_add_test(t, a_whole_part_needs_no_server);
    tcase_add_test(t, server_without_ranges);
    tcase_add_test(t, a_part_of_another_file);
    tcase_add_test(t, another_range_than_asked_for);
    tcase_add_test(t, cut_again_and_again);
    tcase_add_test(t, cut_today_whole_tomorrow);
    tcase_add_test(t, next_address);
    tcase_add_test(t, mirror_first);
    tcase_add_test(t, stopped_and_gone_on_with);
    tcase_add_loop_test(t, leaves_nothing_wrong, 0, (int)(sizeof failures / sizeof *failures));
    tcase_add_test(t, nobody_answers);
    tcase_add_test(t, a_file_of_that_name_is_not_overwritten);
    tcase_add_test(t, one_process_at_a_time);
    tcase_add_test(t, full_disk);
    tcase_add_loop_test(t, packed_files_are_unpacked, 0, 2);
    tcase_add_loop_test(t, broken_archives_give_no_file, 0, 2);
    tcase_add_loop_test(t, unpacked_bytes_are_checked, 0, 2);
    tcase_add_test(t, no_archive_at_all);
    tcase_add_test(t, table_is_complete);
    tcase_add_test(t, readers_find_what_is_fetched);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
