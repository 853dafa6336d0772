/* SPDX-License-Identifier: Apache-2.0
 * unpacked.h - an archive that is too large to be read in place and cannot be entered in its middle (tar.gz) is
 * unpacked once, beside itself. */
#ifndef SNN_DATASETS_UNPACKED_H
#define SNN_DATASETS_UNPACKED_H

/* <root>/<name> (the caller's to free), which is made from the files <name>/... of <root>/<archive> when it is not
 * there; that is said on stderr. The folder appears when it is whole and the archive's checksum was right; a second
 * process that wants it meanwhile waits. */
int snn_unpacked_find(const char *root, const char *archive, const char *name, char **folder);

#endif
