/* SPDX-License-Identifier: Apache-2.0
 * file.h - files read whole, and files replaced atomically.
 *
 * A replacement goes to a temporary name beside the target, is synced, renamed over it, and the folder is synced:
 * at any moment a reader, or the next boot, finds the old file or the new one, never a part. */
#ifndef SNN_FILE_H
#define SNN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Read a regular file whole into *bytes (malloc'd, caller frees; one NUL is appended beyond *size). A file over `limit`
 * bytes, or one that cannot be read, is SNN_EDATA. */
int snn_file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size);

bool snn_file_exists(const char *path);
/* Is the extension of the path's last part one of `extensions` (".bin .bs2", in capitals or not)? */
bool snn_has_extension(const char *path, const char *extensions);
bool snn_is_directory(const char *path);

/* mkdir -p. SNN_EFAIL names the folder and the reason. */
int snn_make_directories(const char *path);

struct snn_replace; /* a file being replaced */

/* A target that exists and is no regular file (a device, a folder) is refused. SNN_EFAIL names the path and the reason.
 */
int snn_replace_open(const char *path, struct snn_replace **out);
int snn_replace_write(struct snn_replace *file, const void *bytes, size_t size);
/* Where the bytes lie until they are committed: for libraries that write a file themselves, or to look at them. */
const char *snn_replace_temporary(const struct snn_replace *file);
/* Sync, rename, sync the folder. Fails too when an earlier write failed. Closes and NULLs *file also on failure, when
 * the old file is still there (but for a failed sync of the folder, which the sentence says). */
int snn_replace_commit(struct snn_replace **file);
/* Remove the temporary file; the target is untouched. NULL is allowed. */
void snn_replace_abandon(struct snn_replace **file);

/* The whole in one call. */
int snn_replace_file(const char *path, const void *bytes, size_t size);

#endif
