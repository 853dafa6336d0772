/* SPDX-License-Identifier: Apache-2.0
 * cache.h - samples as they were made once, kept on disk: slots of bytes, filled in any order by any number of
 * processes.
 *
 * An entry is a folder <set>-<hash of the recipe>/ with recipe.txt (the text that says what the bytes were made from
 * and how; it is compared, the hash only finds it), data.bin (what was put, one after the other) and index.bin (where
 * each slot lies). A slot is seen once its record is written, which is after its bytes; record and bytes have
 * checksums, so that what a dying process, a full disk or a bad one leaves is a slot to fill again, never a wrong
 * sample. */
#ifndef SNN_DATASETS_CACHE_H
#define SNN_DATASETS_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The folder that `setting` (data.cache: auto, or a path) means; the caller frees *path. SNN_EUSAGE: auto, and the
 * environment names no home. */
int snn_cache_folder(const char *setting, char **path);

/* ---- one entry ---- */

enum snn_cache_trouble { SNN_CACHE_UNUSABLE = 1, SNN_CACHE_DAMAGED = 2, SNN_CACHE_STOPPED = 4, SNN_CACHE_CHANGED = 8 };

struct snn_cache_warnings { /* of a run, whatever caches it opens: one line for each kind of trouble */
    FILE *file;             /* NULL: nowhere */
    _Atomic unsigned said;  /* bits of enum snn_cache_trouble */
};
void snn_cache_warn(struct snn_cache_warnings *to, enum snn_cache_trouble kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct snn_cache; /* an entry in use: it is not removed meanwhile */

struct snn_cache_options {
    const char *folder;
    const char *set;    /* the entry's name begins with it */
    const char *recipe; /* text */
    int32_t slots;
    int64_t limit;                       /* bytes of all entries of the folder */
    struct snn_cache_warnings *warnings; /* NULL: none wanted */
};

/* Open the recipe's entry, or begin it. A damaged one is begun anew. Fails when the folder cannot be used. */
int snn_cache_open(const struct snn_cache_options *options, struct snn_cache **out);
void snn_cache_close(struct snn_cache **cache);

struct snn_cache_bytes { /* a caller's scratch, reused from call to call */
    unsigned char *raw;  /* (room) */
    size_t size, room;   /* size: of what lies there */
    unsigned char *packed;
    size_t packed_room;
};
void snn_cache_bytes_free(struct snn_cache_bytes *bytes);
/* Room for `room` raw bytes, which keep what they hold; false when out of memory. */
bool snn_cache_bytes_room(struct snn_cache_bytes *bytes, size_t room);

/* The bytes of a slot into `out`; false when there are none, or none that are whole. Any thread, with a scratch of its
 * own. */
bool snn_cache_get(struct snn_cache *cache, int32_t slot, struct snn_cache_bytes *out);
/* What get() gave for a slot makes no sense: it counts as damaged, and is to be put again. */
void snn_cache_reject(struct snn_cache *cache, int32_t slot);
/* Fill a slot with bytes->raw, unless another process was first. What goes wrong ends the filling with a warning. */
void snn_cache_put(struct snn_cache *cache, int32_t slot, struct snn_cache_bytes *bytes);
/* Has this opening put anything? */
bool snn_cache_wrote(const struct snn_cache *cache);
/* What was put is not what the recipe says (`why`): the entry is void for all who open it later. */
void snn_cache_void(struct snn_cache *cache, const char *why);

/* ---- all entries of a folder ---- */

struct snn_cache_entry {
    char *name;      /* of its folder; all text is the list's own */
    char *set;       /* these from its recipe, "?" where it cannot be read */
    char *split;     /* "train", "test" */
    char *holds;     /* what a slot is: "frames", "events" */
    int32_t samples; /* its slots but the last, which is for what concerns the whole set; 0: unreadable */
    int32_t filled;  /* of the samples */
    int64_t bytes;
    int64_t last_use; /* seconds since 1970 */
};
/* Sorted by last use, the latest first. A folder that does not exist has no entries. SNN_EDATA: it cannot be read. */
int snn_cache_list(const char *folder, struct snn_cache_entry **list, int *count);
void snn_cache_list_free(struct snn_cache_entry **list, int count);

struct snn_cache_removal {
    int removed, in_use;
    int64_t bytes; /* that were freed */
};
/* Remove the entries of set `name`, or the entry of that name, or all (NULL), but for those in use. SNN_EFAIL when one
 * cannot be removed. */
int snn_cache_remove(const char *folder, const char *name, struct snn_cache_removal *out);

#endif
