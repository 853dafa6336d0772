/* SPDX-License-Identifier: Apache-2.0
 * cache.c - an entry of the cache: its files, and the slots in them.
 *
 * Whoever has an entry open holds a shared lock on recipe.txt, so that nobody removes it; whoever appends holds an
 * exclusive one on index.bin for the moment. Files are read with pread, never mapped: a file that is cut short under
 * our feet is then a slot to fill again, not a signal. Bytes lie in data.bin as their unpacked size (4 bytes), then
 * LZ4's block or, where that is no shorter, themselves. Numbers are little-endian. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lz4.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/file.h"
#include "core/status.h"
#include "datasets/cache_parts.h"

enum {
    MARK = 8,           /* bytes at the beginning of both binary files */
    PREFIX = 4,         /* of a slot's bytes: how many they unpack to */
    MOST = 1 << 30,     /* bytes of a slot */
    LZ4_RATIO = 255,    /* LZ4 cannot pack tighter than this */
    OPENINGS = 20,      /* attempts while others make or remove the same entry */
    LOCK_TRIES = 10000, /* to append: 1 s or more in all */
    PAUSE_NS = 100000,  /* between them */
    LOOK_AHEAD = 16     /* a 16th of the limit is made room for at once */
};
static const char index_mark[MARK + 1] = "SNTINDX1", data_mark[MARK + 1] = "SNTDATA1";

struct record { /* of a slot that is filled */
    uint64_t offset, size, sum;
};

struct snn_cache {
    char *folder, *name, *recipe; /* recipe: its text */
    int32_t slots;
    int64_t limit, fixed; /* fixed: bytes of the entry beside data.bin */
    struct snn_cache_warnings *warnings;
    int use, index, data; /* recipe.txt, held as long as the entry is in use; index.bin; data.bin */
    bool read_only;
    pthread_mutex_t lock; /* of this process's threads; guards what follows */
    int64_t allowed;      /* data.bin may grow so far before the folder is looked at again */
    bool stopped, wrote;
};

/* ---- numbers and checksums ---- */

static void put_number(unsigned char *at, uint64_t value) {
    for (int i = 0; i < 8; ++i) at[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t number(const unsigned char *at) {
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* Of what belongs to a slot: the same bytes in another slot's place are wrong. */
static uint64_t sum_of(const void *bytes, size_t size, int32_t slot) {
    return XXH3_64bits_withSeed(bytes, size, (XXH64_hash_t)slot + 1);
}

static void make_header(unsigned char *bytes, int32_t slots) {
    memset(bytes, 0, SNN_CACHE_HEADER);
    memcpy(bytes, index_mark, MARK);
    put_number(bytes + 8, (uint64_t)slots);
    put_number(bytes + 24, sum_of(bytes, 24, -1));
}

static void make_record(unsigned char *bytes, const struct record *r, int32_t slot) {
    put_number(bytes, r->offset);
    put_number(bytes + 8, r->size);
    put_number(bytes + 16, r->sum);
    put_number(bytes + 24, sum_of(bytes, 24, slot));
}

/* ---- files ---- */

static bool read_at(int file, void *bytes, size_t size, int64_t offset) {
    unsigned char *at = bytes;
    while (size > 0) {
        ssize_t n = pread(file, at, size, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n, offset += n, size -= (size_t)n;
    }
    return true;
}

/* False with errno. */
static bool write_at(int file, const void *bytes, size_t size, int64_t offset) {
    const unsigned char *at = bytes;
    while (size > 0) {
        ssize_t n = pwrite(file, at, size, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        at += n, offset += n, size -= (size_t)n;
    }
    return true;
}

static int64_t size_of(int file) {
    struct stat info;
    return fstat(file, &info) ? -1 : (int64_t)info.st_size;
}

static void pause_for(long ns) { nanosleep(&(struct timespec){.tv_nsec = ns}, NULL); }

static int64_t offset_of(int32_t slot) { return SNN_CACHE_HEADER + (int64_t)slot * SNN_CACHE_RECORD; }

void snn_cache_warn(struct snn_cache_warnings *to, enum snn_cache_trouble kind, const char *format, ...) {
    char text[1024];
    va_list args;
    if (!to || !to->file || (atomic_fetch_or(&to->said, kind) & kind)) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(to->file, "snntrain: warning: data.cache: %s\n", text);
}

static void warn(const struct snn_cache *cache, enum snn_cache_trouble kind, const char *what) {
    snn_cache_warn(cache->warnings, kind, "%s/%s: %s", cache->folder, cache->name, what);
}

/* ---- beginning an entry ---- */

static bool make_file(int folder, const char *name, const void *bytes, size_t size, int64_t length) {
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0) return false;
    bool good = write_at(file, bytes, size, 0) && (length <= (int64_t)size || !ftruncate(file, length));
    int reason = errno;
    close(file);
    errno = reason;
    return good;
}

static bool make_files(const struct snn_cache *cache, int folder) {
    unsigned char header[SNN_CACHE_HEADER];
    make_header(header, cache->slots);
    return make_file(folder, SNN_CACHE_RECIPE, cache->recipe, strlen(cache->recipe), 0) &&
           make_file(folder, SNN_CACHE_DATA, data_mark, MARK, 0) &&
           make_file(folder, SNN_CACHE_INDEX, header, sizeof header, offset_of(cache->slots));
}

/* Whole under another name, then renamed: others see it complete or not at all. When another process is first, its
 * entry stays. False with errno. */
static bool make_entry(const struct snn_cache *cache, int folder) {
    char name[64];
    if (!snn_cache_temporary(folder, name)) return false;
    int inside = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = inside >= 0 && make_files(cache, inside);
    if (good && renameat(folder, name, folder, cache->name)) good = errno == EEXIST || errno == ENOTEMPTY;
    else if (good) name[0] = 0;
    int reason = errno;
    if (inside >= 0) close(inside);
    if (name[0]) snn_cache_remove_files(folder, name);
    errno = reason;
    return good;
}

/* ---- opening one ---- */

static void close_files(struct snn_cache *cache) {
    int *const file[] = {&cache->use, &cache->index, &cache->data};
    for (int i = 0; i < 3; ++i) {
        if (*file[i] >= 0) close(*file[i]);
        *file[i] = -1;
    }
}

/* For reading and writing, or where that is not allowed, for reading. */
static int open_file(struct snn_cache *cache, int entry, const char *name) {
    int file = openat(entry, name, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (file >= 0 || (errno != EACCES && errno != EROFS && errno != EPERM)) return file;
    cache->read_only = true;
    return openat(entry, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
}

static bool holds(int file, const void *bytes, size_t size) {
    char *there = malloc(size);
    bool same = there && read_at(file, there, size, 0) && !memcmp(there, bytes, size);
    free(there);
    return same;
}

static bool is_whole(const struct snn_cache *cache) {
    unsigned char header[SNN_CACHE_HEADER];
    size_t length = strlen(cache->recipe);
    make_header(header, cache->slots);
    return size_of(cache->use) == (int64_t)length && holds(cache->use, cache->recipe, length) &&
           size_of(cache->index) == offset_of(cache->slots) && holds(cache->index, header, sizeof header) &&
           holds(cache->data, data_mark, MARK);
}

enum opened { OPENED, ABSENT, MOVED, DAMAGED, FAILED };

static enum opened open_entry(struct snn_cache *cache, int folder) {
    int entry = openat(folder, cache->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (entry < 0) return errno == ENOENT ? ABSENT : FAILED;
    cache->read_only = false;
    cache->use = open_file(cache, entry, SNN_CACHE_RECIPE);
    cache->index = open_file(cache, entry, SNN_CACHE_INDEX);
    cache->data = open_file(cache, entry, SNN_CACHE_DATA);
    int reason = errno;
    close(entry);
    errno = reason;
    if (cache->use < 0 || cache->index < 0 || cache->data < 0) return errno == ENOENT ? DAMAGED : FAILED;
    if (flock(cache->use, LOCK_SH | LOCK_NB)) return errno == EWOULDBLOCK ? MOVED : FAILED;
    if (!snn_cache_in_place(folder, cache->name, cache->use)) return MOVED;
    return is_whole(cache) ? OPENED : DAMAGED;
}

/* Until the entry is open: made where it is absent, made anew where it is damaged. */
static int settle(struct snn_cache *cache, int folder) {
    const char *why = strerror(EBUSY);
    for (int attempt = 0; attempt < OPENINGS; ++attempt) {
        enum opened now = open_entry(cache, folder);
        if (now == OPENED) return SNN_OK;
        int reason = errno;
        close_files(cache);
        if (now == FAILED) return snn_error(SNN_EFAIL, "%s/%s: %s", cache->folder, cache->name, strerror(reason));
        if (now == ABSENT && !make_entry(cache, folder))
            return snn_error(SNN_EFAIL, "%s/%s: cannot be made: %s", cache->folder, cache->name, strerror(errno));
        if (now == DAMAGED) {
            enum snn_cache_removed gone = snn_cache_remove_entry(folder, cache->name);
            if (gone == SNN_CACHE_REMOVED)
                warn(cache, SNN_CACHE_DAMAGED, "was damaged, or of data that changed: it is made anew");
            if (gone == SNN_CACHE_FAILED)
                return snn_error(SNN_EFAIL, "%s/%s: is damaged and cannot be removed: %s", cache->folder, cache->name,
                                 strerror(errno));
            why = "is damaged, and in use by another process";
        }
        if (now != ABSENT) pause_for(PAUSE_NS * 10L);
    }
    return snn_error(SNN_EFAIL, "%s/%s: %s", cache->folder, cache->name, why);
}

static bool name_entry(struct snn_cache *cache, const char *set) {
    XXH128_canonical_t hash;
    char digits[SNN_CACHE_HASH + 1];
    XXH128_canonicalFromHash(&hash, XXH3_128bits(cache->recipe, strlen(cache->recipe)));
    for (int i = 0; i < SNN_CACHE_HASH / 2; ++i) snprintf(digits + 2 * i, 3, "%02x", hash.digest[i]);
    if (asprintf(&cache->name, "%s-%s", set, digits) >= 0) return true;
    cache->name = NULL;
    return false;
}

static int open_cache(struct snn_cache *cache, const struct snn_cache_options *options) {
    cache->folder = strdup(options->folder);
    cache->recipe = strdup(options->recipe);
    if (!cache->folder || !cache->recipe || !name_entry(cache, options->set))
        return snn_error(SNN_EFAIL, "out of memory for the cache");
    SNN_TRY(snn_make_directories(cache->folder));
    int folder = open(cache->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return snn_error(SNN_EFAIL, "%s: cannot be read: %s", cache->folder, strerror(errno));
    int status = settle(cache, folder);
    close(folder);
    SNN_TRY(status);
    if (!cache->read_only) futimens(cache->use, NULL); /* its last use, by which entries are removed */
    cache->fixed = (int64_t)strlen(cache->recipe) + offset_of(cache->slots);
    cache->allowed = size_of(cache->data);
    snn_cache_shrink(cache->folder, cache->name, cache->limit - cache->fixed - cache->allowed);
    return SNN_OK;
}

int snn_cache_open(const struct snn_cache_options *options, struct snn_cache **out) {
    *out = NULL;
    struct snn_cache *cache = calloc(1, sizeof *cache);
    if (!cache) return snn_error(SNN_EFAIL, "out of memory for the cache");
    cache->slots = options->slots;
    cache->limit = options->limit;
    cache->warnings = options->warnings;
    cache->use = cache->index = cache->data = -1;
    pthread_mutex_init(&cache->lock, NULL);
    int status = open_cache(cache, options);
    if (status < 0) snn_cache_close(&cache);
    *out = cache;
    return status;
}

void snn_cache_close(struct snn_cache **cache) {
    if (!*cache) return;
    close_files(*cache);
    pthread_mutex_destroy(&(*cache)->lock);
    free((*cache)->folder);
    free((*cache)->name);
    free((*cache)->recipe);
    free(*cache);
    *cache = NULL;
}

/* ---- a slot ---- */

enum found { EMPTY, FILLED, BROKEN };

static enum found find(const struct snn_cache *cache, int32_t slot, struct record *r) {
    static const unsigned char empty[SNN_CACHE_RECORD];
    unsigned char bytes[SNN_CACHE_RECORD];
    SNN_CHECK(slot >= 0 && slot < cache->slots, "slot %d of %d", slot, cache->slots);
    if (!read_at(cache->index, bytes, sizeof bytes, offset_of(slot))) return BROKEN;
    if (!memcmp(bytes, empty, sizeof bytes)) return EMPTY;
    *r = (struct record){number(bytes), number(bytes + 8), number(bytes + 16)};
    bool good = number(bytes + 24) == sum_of(bytes, 24, slot) && r->size > PREFIX && r->size <= MOST &&
                r->offset <= INT64_MAX - MOST;
    return good ? FILLED : BROKEN;
}

/* Others append in moments; but one that was stopped in such a moment must not stop us. */
static bool lock_entry(const struct snn_cache *cache) {
    for (int i = 0; i < LOCK_TRIES; ++i) {
        if (!flock(cache->index, LOCK_EX | LOCK_NB)) return true;
        if (errno != EWOULDBLOCK && errno != EINTR) return false;
        pause_for(PAUSE_NS);
    }
    return false;
}

static bool room(unsigned char **bytes, size_t *have, size_t want) {
    if (want <= *have) return true;
    unsigned char *larger = realloc(*bytes, want + want / 2);
    if (!larger) return false;
    *bytes = larger;
    *have = want + want / 2;
    return true;
}

bool snn_cache_bytes_room(struct snn_cache_bytes *bytes, size_t want) { return room(&bytes->raw, &bytes->room, want); }

void snn_cache_bytes_free(struct snn_cache_bytes *bytes) {
    free(bytes->raw);
    free(bytes->packed);
    *bytes = (struct snn_cache_bytes){0};
}

/* A slot's record or bytes are not what they were: it is emptied, unless another process has filled it again already.
 */
static void mark_damaged(struct snn_cache *cache, int32_t slot, const struct record *seen) {
    static const unsigned char empty[SNN_CACHE_RECORD];
    pthread_mutex_lock(&cache->lock);
    struct record now = {0};
    bool locked = lock_entry(cache);
    enum found found = find(cache, slot, &now);
    bool other = found == EMPTY || (found == FILLED && memcmp(&now, seen, sizeof now) != 0);
    if (!other && !cache->read_only) write_at(cache->index, empty, sizeof empty, offset_of(slot));
    if (locked) flock(cache->index, LOCK_UN);
    pthread_mutex_unlock(&cache->lock);
    if (!other)
        warn(cache, SNN_CACHE_DAMAGED, "is damaged: what cannot be used of it is made again from the data set's files");
}

static bool unpack(size_t packed_size, struct snn_cache_bytes *out) {
    const unsigned char *at = out->packed;
    size_t raw = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24,
           packed = packed_size - PREFIX;
    if (raw < packed || raw > MOST || raw > packed * LZ4_RATIO || !snn_cache_bytes_room(out, raw)) return false;
    out->size = raw;
    if (raw == packed) memcpy(out->raw, at + PREFIX, raw);
    else if (LZ4_decompress_safe((const char *)at + PREFIX, (char *)out->raw, (int)packed, (int)raw) != (int)raw)
        return false;
    return true;
}

bool snn_cache_get(struct snn_cache *cache, int32_t slot, struct snn_cache_bytes *out) {
    struct record r = {0};
    enum found found = find(cache, slot, &r);
    if (found == EMPTY) return false;
    /* What a record claims is asked of the file before memory is taken for it. */
    bool good = found == FILLED && (int64_t)(r.offset + r.size) <= size_of(cache->data);
    if (good && !room(&out->packed, &out->packed_room, r.size)) return false;
    good = good && read_at(cache->data, out->packed, r.size, (int64_t)r.offset) &&
           sum_of(out->packed, r.size, slot) == r.sum && unpack(r.size, out);
    if (!good) mark_damaged(cache, slot, &r);
    return good;
}

void snn_cache_reject(struct snn_cache *cache, int32_t slot) {
    struct record r = {0};
    if (find(cache, slot, &r) == FILLED) mark_damaged(cache, slot, &r);
}

/* out->raw -> out->packed; 0 when out of memory. */
static size_t pack(struct snn_cache_bytes *bytes) {
    size_t size = bytes->size;
    if (!room(&bytes->packed, &bytes->packed_room, PREFIX + (size_t)LZ4_compressBound((int)size))) return 0;
    for (int i = 0; i < PREFIX; ++i) bytes->packed[i] = (unsigned char)(size >> 8 * i);
    char *to = (char *)bytes->packed + PREFIX;
    int packed = LZ4_compress_default((const char *)bytes->raw, to, (int)size, LZ4_compressBound((int)size));
    if (packed > 0 && (size_t)packed < size) return PREFIX + (size_t)packed;
    memcpy(to, bytes->raw, size);
    return PREFIX + size;
}

static void stop(struct snn_cache *cache, const char *why) {
    cache->stopped = true;
    snn_cache_warn(cache->warnings, SNN_CACHE_STOPPED, "%s/%s: %s: no more samples are kept", cache->folder,
                   cache->name, why);
}

/* May data.bin grow to `end`? Entries that are not in use go for it. */
static bool within_limit(struct snn_cache *cache, int64_t end) {
    if (end <= cache->allowed) return true;
    int64_t ahead = end + cache->limit / LOOK_AHEAD;
    int64_t others = snn_cache_shrink(cache->folder, cache->name, cache->limit - cache->fixed - ahead),
            most = cache->limit - cache->fixed - others;
    cache->allowed = ahead < most ? ahead : most;
    return end <= cache->allowed;
}

/* With both locks held. */
static void append(struct snn_cache *cache, int32_t slot, const unsigned char *packed, size_t size) {
    struct record r;
    if (find(cache, slot, &r) == FILLED) return;
    if (cache->read_only) {
        stop(cache, "may only be read");
        return;
    }
    unsigned char bytes[SNN_CACHE_RECORD];
    int64_t end = size_of(cache->data);
    if (end >= 0 && !within_limit(cache, end + (int64_t)size)) {
        stop(cache, "would be larger than data.cache_limit allows");
        return;
    }
    r = (struct record){(uint64_t)end, size, sum_of(packed, size, slot)};
    make_record(bytes, &r, slot);
    if (end >= 0 && write_at(cache->data, packed, size, end) &&
        write_at(cache->index, bytes, sizeof bytes, offset_of(slot))) {
        cache->wrote = true;
        return;
    }
    char why[300];
    snprintf(why, sizeof why, "cannot be written: %s", strerror(errno));
    /* What is there of the bytes belongs to no slot: a file system that is full may have them back. */
    bool shorter = end >= 0 && !ftruncate(cache->data, end);
    (void)shorter;
    stop(cache, why);
}

void snn_cache_put(struct snn_cache *cache, int32_t slot, struct snn_cache_bytes *bytes) {
    if (bytes->size == 0 || bytes->size > MOST - MOST / 128) return; /* LZ4's worst case stays below MOST */
    pthread_mutex_lock(&cache->lock);
    bool stopped = cache->stopped;
    pthread_mutex_unlock(&cache->lock);
    size_t size = stopped ? 0 : pack(bytes);
    if (!size) return;
    pthread_mutex_lock(&cache->lock);
    if (!cache->stopped && lock_entry(cache)) {
        append(cache, slot, bytes->packed, size);
        flock(cache->index, LOCK_UN);
    } else if (!cache->stopped) stop(cache, "cannot be locked, another process may hold it");
    pthread_mutex_unlock(&cache->lock);
}

bool snn_cache_wrote(const struct snn_cache *cache) { return cache->wrote; }

void snn_cache_void(struct snn_cache *cache, const char *why) {
    static const unsigned char nothing[SNN_CACHE_HEADER];
    pthread_mutex_lock(&cache->lock);
    bool locked = lock_entry(cache);
    write_at(cache->index, nothing, sizeof nothing, 0);
    if (locked) flock(cache->index, LOCK_UN);
    cache->stopped = true;
    pthread_mutex_unlock(&cache->lock);
    snn_cache_warn(cache->warnings, SNN_CACHE_CHANGED, "%s: what was kept of it is not used again", why);
}
