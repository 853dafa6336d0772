/* SPDX-License-Identifier: Apache-2.0
 * fuzz_once.c - in the place of libFuzzer where there is none: the files of the folders named, once each. */
#include <dirent.h>

#include "fuzz.h"

static void feed(const char *path) {
    FILE *f = fopen(path, "rb");
    CLAIM(f && !fseek(f, 0, SEEK_END));
    const long size = ftell(f);
    uint8_t *data = malloc((size_t)size + 1);
    CLAIM(data && size >= 0 && !fseek(f, 0, SEEK_SET) && fread(data, 1, (size_t)size, f) == (size_t)size);
    fclose(f);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
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
