/* SPDX-License-Identifier: Apache-2.0
 * made_npy.h - small files in NumPy's format, as NumPy writes them: version 1, elements from a multiple of 64 bytes on.
 */
#ifndef SNN_TEST_MADE_NPY_H
#define SNN_TEST_MADE_NPY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `shape` as in Python: "(3, 4)". */
static inline void made_npy(const char *path, const char *descr, const char *shape, const void *data, size_t bytes) {
    unsigned char start[10] = "\x93NUMPY\1";
    char header[256];
    int n = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    while ((n + 1 + (int)sizeof start) % 64) header[n++] = ' ';
    header[n++] = '\n';
    start[8] = (unsigned char)n, start[9] = (unsigned char)(n >> 8);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(start, 1, sizeof start, f) != sizeof start || fwrite(header, 1, (size_t)n, f) != (size_t)n ||
        fwrite(data, 1, bytes, f) != bytes || fclose(f)) {
        perror(path);
        exit(1);
    }
}

#endif
