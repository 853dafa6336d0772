/* SPDX-License-Identifier: Apache-2.0
 * split.h - training and test samples of a set whose authors did not part them. An accuracy means little without the
 * rule: `data info` names it.
 *
 *   head    of each class, in byte order of the file names, the first ceil((1 - test) * n) files train (SpikingJelly;
 *           most published CIFAR10-DVS figures).
 *   number  of each class, the round(test * n) files with the lowest numbers in their names are the test (TEBN's files
 *           0..99 of 1000). SpikingJelly warns that this gives clearly higher accuracy on CIFAR10-DVS.
 *   random  of each class, round(test * n) files are drawn with test_seed. */
#ifndef SNN_DATASETS_SPLIT_H
#define SNN_DATASETS_SPLIT_H

#include "core/config.h"
#include "datasets/dataset.h"
#include "datasets/tree.h"

enum snn_split_rule { SNN_SPLIT_HEAD, SNN_SPLIT_NUMBER, SNN_SPLIT_RANDOM };

struct snn_split_options {
    int rule;
    double test; /* fraction */
    long long seed;
};

extern const char *const snn_split_rules[];

/* Lines of a set's keys for the member `m` of its options struct `type`. */
#define SNN_SPLIT_KEYS(type, m)                                                                                        \
    {"split",                                                                                                          \
     SNN_CHOICE,                                                                                                       \
     offsetof(type, m.rule),                                                                                           \
     "head",                                                                                                           \
     0,                                                                                                                \
     0,                                                                                                                \
     snn_split_rules,                                                                                                  \
     "which files are the test: the last of each class by name (head), those with the lowest numbers, or drawn"},      \
        {"test",                                                                                                       \
         SNN_REAL,                                                                                                     \
         offsetof(type, m.test),                                                                                       \
         "0.1",                                                                                                        \
         0.001,                                                                                                        \
         0.999,                                                                                                        \
         NULL,                                                                                                         \
         "fraction of the files that are the test"},                                                                   \
    {                                                                                                                  \
        "test_seed", SNN_INT, offsetof(type, m.seed), "0", 0, 9e15, NULL, "draws the test files (split: random)"       \
    }

/* Part a settled tree: lists of files by enum snn_split, in the tree's order (the caller's to free). SNN_EDATA when one
 * would be empty. */
int snn_split_tree(const struct snn_tree *tree, const char *root, const struct snn_split_options *options,
                   int32_t *list[2], int32_t count[2]);
/* "head, 10 % test" into `buffer`; returns it. */
const char *snn_split_text(const struct snn_split_options *options, char buffer[64]);

#endif
