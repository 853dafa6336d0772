/* SPDX-License-Identifier: Apache-2.0
 * cache_parts.h - what the files of the cache share; only this folder and its tests include it. */
#ifndef SNN_DATASETS_CACHE_PARTS_H
#define SNN_DATASETS_CACHE_PARTS_H

#include "datasets/cache.h"
#include "datasets/parts.h"

/* ---- cache_folder.c ---- */

#define SNN_CACHE_RECIPE "recipe.txt"
#define SNN_CACHE_INDEX "index.bin"
#define SNN_CACHE_DATA "data.bin"

enum {
    SNN_CACHE_HEADER = 32, /* bytes of index.bin before the records: mark, version, slots, checksum */
    SNN_CACHE_RECORD = 32, /* of a slot: where, how many bytes, their checksum, the record's own; zeros: empty */
    SNN_CACHE_HASH = 32    /* digits at the end of an entry's name */
};

/* Removes entries that nobody uses, the least recently used first, until all but `keep` have at most `most` bytes;
 * returns what they have. */
int64_t snn_cache_shrink(const char *folder, const char *keep, int64_t most);

enum snn_cache_removed { SNN_CACHE_REMOVED, SNN_CACHE_IN_USE, SNN_CACHE_FAILED };
/* Remove one entry, with errno where it failed. The folder is given open. */
enum snn_cache_removed snn_cache_remove_entry(int folder, const char *name);

/* Is the open file the recipe of the entry of that name? Between opening and locking it may have been removed. */
bool snn_cache_in_place(int folder, const char *name, int recipe);

/* Makes a folder of a new name in `folder`, given open; its name into `name`. False with errno. */
bool snn_cache_temporary(int folder, char name[64]);
/* Removes such a folder with what an entry has in it. */
bool snn_cache_remove_files(int folder, const char *name);

/* ---- cache_pack.c ---- */

/* A sample of rows: its steps, whether it was longer, and rows.count (steps) and entries from `first` on. False when
 * out of memory. */
bool snn_pack_rows(const struct snn_rows *rows, const int32_t *count, size_t first, int32_t steps, bool cut,
                   struct snn_cache_bytes *out);
/* The reverse: appends to `rows`. False when the bytes are no such sample of at most `most` steps and of units
 * 0..units-1, or when out of memory; `rows` is then as it was. */
bool snn_unpack_rows(const struct snn_cache_bytes *bytes, int32_t units, int32_t most, struct snn_rows *rows,
                     int32_t *count, int32_t *steps, bool *cut);

/* The events of a sample on a sensor (C,H,W). False when one does not lie there, when their times go back, or when out
 * of memory. */
bool snn_pack_events(const struct snn_sample *sample, const struct snn_dataset_info *info, struct snn_cache_bytes *out);
/* False, and the sample without events, when the bytes are not such a recording. */
bool snn_unpack_events(const struct snn_cache_bytes *bytes, const struct snn_dataset_info *info,
                       struct snn_sample *sample);

/* Steps of the longest recording of a set. */
bool snn_pack_longest(int32_t steps, struct snn_cache_bytes *out);
bool snn_unpack_longest(const struct snn_cache_bytes *bytes, int32_t *steps);

/* ---- cache_recipe.c ---- */

/* One line about the files that a set is read from, the caller's to free: it changes with any name, size or time of
 * modification. SNN_EDATA when a file is gone. */
int snn_cache_sources(struct snn_dataset *set, char **line);
/* All that what is stored depends on, a line each, the caller's to free. */
int snn_cache_recipe(const struct snn_recipe *recipe, const char *sources, char **text);

#endif
