/* SPDX-License-Identifier: Apache-2.0
 * transfer.c - bytes from a web server through libcurl, from where an earlier attempt ended.
 *
 * A server that does not know ranges sends the file from its beginning; that is noticed and begun anew. */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/status.h"
#include "datasets/fetch.h"

static int broken; /* what initialising the library gave */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void initialise(void) { broken = curl_global_init(CURL_GLOBAL_DEFAULT); }

enum trouble { NONE, DISK, TOO_LONG, ODD_RANGE, STOPPED };

struct transfer {
    CURL *curl;
    int fd;
    int64_t *have, expected;
    int64_t asked;      /* the range begins here */
    int64_t from, size; /* what Content-Range says of both, or -1 */
    int64_t total;      /* the whole file, as far as it is known, else 0 */
    bool begun;         /* the answer's first bytes were looked at */
    enum trouble trouble;
    int reason; /* errno, of DISK */
    const struct snn_watch *watch;
};

/* "Content-Range: bytes 100-199/200", or "bytes * /200" (without the blank) where there is no such range. */
static size_t take_header(char *line, size_t size, size_t count, void *payload) {
    static const char name[] = "content-range:";
    struct transfer *t = payload;
    char text[200];
    long long from, to, all;
    size_t n = size * count;
    snprintf(text, sizeof text, "%.*s", (int)(n < sizeof text ? n : sizeof text - 1), line);
    if (strncasecmp(text, "HTTP/", 5) == 0) t->from = t->size = -1; /* another answer, after a redirection */
    if (strncasecmp(text, name, sizeof name - 1)) return n;
    const char *value = text + sizeof name - 1;
    if (sscanf(value, " bytes %lld-%lld/%lld", &from, &to, &all) == 3) t->from = from, t->size = all;
    else if (sscanf(value, " bytes %lld-%lld/*", &from, &to) == 2) t->from = from;
    else if (sscanf(value, " bytes */%lld", &all) == 1) t->size = all;
    return n;
}

/* Before the first byte is written: does it belong behind those that are there? */
static bool begin(struct transfer *t) {
    long code = 0;
    t->begun = true;
    curl_off_t length = -1;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (!t->expected && length >= 0) t->total = length + (code == 206 ? t->asked : 0);
    if (!t->asked || (code == 206 && t->from == t->asked)) return true;
    if (code == 206) {
        t->trouble = ODD_RANGE;
        return false;
    }
    *t->have = 0; /* the whole file comes, not what was asked for */
    if (ftruncate(t->fd, 0) == 0 && lseek(t->fd, 0, SEEK_SET) == 0) return true;
    t->trouble = DISK;
    t->reason = errno;
    return false;
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *payload) {
    struct transfer *t = payload;
    size_t n = size * count, done = 0;
    if (!t->begun && !begin(t)) return 0;
    if (t->expected && *t->have + (int64_t)n > t->expected) {
        t->trouble = TOO_LONG;
        return 0;
    }
    while (done < n) {
        ssize_t put = write(t->fd, bytes + done, n - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            t->trouble = DISK;
            t->reason = errno;
            return 0;
        }
        done += (size_t)put;
        *t->have += put;
    }
    if (snn_watch_moved(t->watch, *t->have, t->total) >= 0) return n;
    t->trouble = STOPPED;
    return 0;
}

/* Called about once a second, while nothing comes, too. */
static int look_up(void *payload, curl_off_t total, curl_off_t now, curl_off_t up, curl_off_t up_now) {
    struct transfer *t = payload;
    (void)up, (void)up_now, (void)now, (void)total;
    if (snn_watch_moved(t->watch, *t->have, t->total) >= 0) return 0;
    t->trouble = STOPPED;
    return 1;
}

static CURLcode perform(struct transfer *t, const char *url, char *why) {
    char range[32];
    CURL *curl = t->curl;
    snprintf(range, sizeof range, "%lld-", (long long)t->asked);
#define SET(option, value) curl_easy_setopt(curl, option, value)
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_MAXREDIRS, 10L);
    SET(CURLOPT_FAILONERROR, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, 30L);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L); /* bytes a second, for so many seconds: then it is dead */
    SET(CURLOPT_LOW_SPEED_TIME, 60L);
    SET(CURLOPT_USERAGENT, "snntrain");
    SET(CURLOPT_ERRORBUFFER, why);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, take_bytes);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, look_up);
    SET(CURLOPT_XFERINFODATA, t);
    if (t->asked) SET(CURLOPT_RANGE, range);
#undef SET
    return curl_easy_perform(curl);
}

static int settle(struct transfer *t, const char *url, CURLcode code, const char *why) {
    long answer = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &answer);
    switch (t->trouble) {
    case DISK:
        return snn_error(SNN_EFAIL, "%s: what arrives cannot be written: %s", url, strerror(t->reason));
    case TOO_LONG:
        *t->have = 0; /* not our file: nothing of it is worth keeping */
        return snn_error(SNN_EDATA, "%s: sends more than the %lld bytes of the distributed file", url,
                         (long long)t->expected);
    case ODD_RANGE:
        *t->have = 0;
        return snn_error(SNN_EDATA, "%s: sends another part of the file than was asked for", url);
    case STOPPED:
        return SNN_EINTR; /* the watch has said so */
    case NONE:
        break;
    }
    if (answer == 416) { /* nothing lies behind what we have: we have it all, or something else */
        if (t->size == *t->have && (!t->expected || t->size == t->expected)) return SNN_OK;
        *t->have = 0;
        return snn_error(SNN_EDATA, "%s: has another length than the part that is here", url);
    }
    if (answer >= 400) return snn_error(SNN_EDATA, "%s: the server answers %ld", url, answer);
    if (code != CURLE_OK) return snn_error(SNN_EDATA, "%s: %s", url, *why ? why : curl_easy_strerror(code));
    if (!t->expected || *t->have == t->expected) return SNN_OK;
    curl_off_t length = -1;
    long long have = *t->have;
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length >= 0) *t->have = 0; /* the server has sent all that it has; else it may have been cut */
    return snn_error(SNN_EDATA, "%s: has %lld bytes, expected %lld", url, have, (long long)t->expected);
}

int snn_transfer(const char *url, int fd, int64_t *have, int64_t expected, const struct snn_watch *watch) {
    char why[CURL_ERROR_SIZE] = "";
    pthread_once(&once, initialise);
    if (broken) return snn_error(SNN_EFAIL, "%s: libcurl cannot be initialised", url);
    struct transfer t = {.fd = fd,
                         .have = have,
                         .expected = expected,
                         .asked = *have,
                         .total = expected,
                         .from = -1,
                         .size = -1,
                         .watch = watch,
                         .curl = curl_easy_init()};
    if (!t.curl) return snn_error(SNN_EFAIL, "%s: out of memory", url);
    if (lseek(fd, *have, SEEK_SET) < 0) {
        t.trouble = DISK;
        t.reason = errno;
    }
    CURLcode code = t.trouble ? CURLE_OK : perform(&t, url, why);
    int rc = settle(&t, url, code, why);
    curl_easy_cleanup(t.curl);
    return rc;
}
