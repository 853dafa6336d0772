/* SPDX-License-Identifier: Apache-2.0
 * fuzz_once.c - in the place of libFuzzer where there is none: the files of the folders named, once each. */
#include <dirent.h>

#include "core/file.h"
#include "fuzz.h"

static void feed(const char *path) {
    unsigned char *bytes;
    size_t size;
    CLAIM(snn_file_read(path, 1 << 30, &bytes, &size) >= 0);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
}

int main(int argc, char **argv) {
    int fed = 0;
    for (int i = 1; i < argc; ++i) {
        if (*argv[i] == '-') continue; /* an option of libFuzzer's */
        DIR *folder = opendir(argv[i]);
        CLAIM(folder);
        for (const struct dirent *entry; (entry = readdir(folder));) {
            char path[4096];
            if (*entry->d_name == '.') continue;
            CLAIM(snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name) < (int)sizeof path);
            feed(path), ++fed;
        }
        closedir(folder);
    }
    CLAIM(fed > 0);
    printf("%d inputs\n", fed);
    return 0;
}
