/* SPDX-License-Identifier: Apache-2.0
 * tree.h - samples that are files in folders named after their classes, or members of zip archives of such folders.
 *
 * <place>/<class>/<file>, where a place is a folder or an archive; several places may make one tree (an archive a
 * class). Only names are kept; a file is read when it is wanted. */
#ifndef SNN_DATASETS_TREE_H
#define SNN_DATASETS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snn_tree_file {
    char *name; /* "<class>/<file>" */
    int32_t class;
    int32_t place;
    uint64_t member; /* in an archive */
};

struct snn_tree_place;

struct snn_tree {
    struct snn_tree_file *file; /* (count) by class name and file name, byte by byte */
    int32_t count, room;
    struct snn_tree_place *place;
    int32_t places;
};

/* Which files count: their extensions (".bin .bs2", any case); hidden files and folders never do (archives made on a
 * Mac carry companions that begin with "._"). */
struct snn_tree_want {
    const char *extensions;
    const char *const *classes; /* (class_count) the only folders looked at; NULL: all */
    int32_t class_count;
};

/* Add what the folder at `path` holds. */
int snn_tree_add_folder(struct snn_tree *tree, const char *path, const struct snn_tree_want *want);
/* Add what an archive holds in its folder `below` ("Train", any case), or at any depth when NULL. */
int snn_tree_add_zip(struct snn_tree *tree, const char *path, const char *below, const struct snn_tree_want *want);
void snn_tree_free(struct snn_tree *tree);

/* Put files in order and number their classes: by their place in want->classes, else by rank among all class names of
 * the trees in byte order. *names (the caller's to free with snn_tree_names_free) and *classes may be NULL with
 * want->classes. */
int snn_tree_settle(struct snn_tree *const *trees, int count, const struct snn_tree_want *want, char ***names,
                    int32_t *classes);
void snn_tree_names_free(char **names, int32_t classes);

/* The path of file i for sentences: "<place>/<class>/<file>" (malloc'd, NULL: out of memory). */
char *snn_tree_path(const struct snn_tree *tree, int32_t i);
/* Every file once, and every archive, by its path (struct snn_dataset_ops, sources). */
int snn_tree_sources(const struct snn_tree *tree, int (*each)(void *payload, const char *path), void *payload);
/* Is it a file of its own, under that path? else a member of an archive. */
bool snn_tree_is_plain(const struct snn_tree *tree, int32_t i);
/* The bytes of file i (malloc'd), of at most `limit`. Thread-safe. */
int snn_tree_read(const struct snn_tree *tree, int32_t i, size_t limit, unsigned char **bytes, size_t *size);

#endif
