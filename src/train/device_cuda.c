/* SPDX-License-Identifier: Apache-2.0 */
#include "train/device_cuda.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/commit.h"
#include "core/status.h"

#ifdef SNN_DOUBLE

int snn_cuda_load(int index, struct snn_device *out) {
    (void)index, (void)out;
    return snn_error(SNN_EUSAGE, "gradients are checked in double, on the CPU");
}

bool snn_cuda_built(void) { return false; }

#else

/* Signatures of src/cuda/open.h, which nothing may include. */
typedef int fail_function(int status, const char *format, ...);
typedef const char *version_function(void);
typedef int open_function(int index, fail_function *fail, struct snn_device *out);

#define LIBRARY "libsnn_cuda.so"
/* From the program's folder: installed beside it, under its prefix, and as the build lays it out. */
static const char *const places[] = {LIBRARY, "../lib/snntrain/" LIBRARY, "../src/cuda/" LIBRARY};

static const char *asked_for(void) {
    const char *path = getenv("SNNTRAIN_CUDA");
    return path && *path ? path : NULL;
}

static int find_library(char path[PATH_MAX]) {
    char program[PATH_MAX];
    const char *wish = asked_for();
    if (wish) return snprintf(path, PATH_MAX, "%s", wish) < PATH_MAX ? SNN_OK : SNN_EUSAGE;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash = n > 0 ? memrchr(program, '/', (size_t)n) : NULL;
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; ++i) {
        int length = snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - program), program, places[i]);
        if (length < PATH_MAX && !access(path, R_OK)) return SNN_OK;
    }
    return snn_error(SNN_EUSAGE,
                     "the CUDA backend is not there: no " LIBRARY
                     " beside the program or in ../lib/snntrain (a build without the CUDA toolkit has none)");
}

bool snn_cuda_built(void) {
    char path[PATH_MAX];
    return find_library(path) >= 0;
}

/* Loading cuBLAS takes a while: where there is no driver it is in vain. */
static int check_driver(void) {
    if (asked_for()) return SNN_OK;
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!driver) return snn_error(SNN_EUSAGE, "no NVIDIA driver is installed");
    dlclose(driver);
    return SNN_OK;
}

int snn_cuda_load(int index, struct snn_device *out) {
    char path[PATH_MAX];
    SNN_TRY(find_library(path));
    SNN_TRY(check_driver());
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return snn_error(SNN_EUSAGE, "the CUDA backend cannot be loaded: %s", dlerror());
    version_function *version = (version_function *)dlsym(library, "snn_cuda_version");
    open_function *open_card = (open_function *)dlsym(library, "snn_cuda_open");
    int rc = SNN_OK;
    if (!version || !open_card) rc = snn_error(SNN_EUSAGE, "%s: is not snntrain's CUDA backend", path);
    else if (strcmp(version(), SNN_VERSION " " SNN_COMMIT))
        rc = snn_error(SNN_EUSAGE, "%s: is of version %s, the program is %s", path, version(),
                       SNN_VERSION " " SNN_COMMIT);
    if (rc < 0) dlclose(library);
    else rc = open_card(index, snn_error, out); /* the library stays: nothing is gained by loading it twice */
    return rc;
}

#endif
