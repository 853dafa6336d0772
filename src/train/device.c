/* SPDX-License-Identifier: Apache-2.0
 * device.c - the CPU's kernel tables, for the widest instruction set that runs here. */
#include "train/device.h"

#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/isa.h"
#include "core/status.h"

#define X(suffix, test)                                                                                                \
    extern const struct snn_math_kernels snn_math_cpu##suffix;                                                         \
    extern const struct snn_conv_kernels snn_conv_cpu##suffix;                                                         \
    extern const struct snn_pool_kernels snn_pool_cpu##suffix;                                                         \
    extern const struct snn_norm_kernels snn_norm_cpu##suffix;                                                         \
    extern const struct snn_loss_kernels snn_loss_cpu##suffix;                                                         \
    extern const struct snn_neuron_kernels snn_neuron_cpu##suffix;                                                     \
    extern const struct snn_optim_kernels snn_optim_cpu##suffix;
SNN_ISA_LIST(X)
#undef X

extern const struct snn_memory_kernels snn_memory_cpu;

/* Activations of this many bytes stay in the last-level cache of most machines beside the weights: on the reference
 * workload slices of 8 samples train 15 % faster than the whole batch of 64, in an eighth of the memory. A constant, so
 * that results do not depend on the machine. */
enum { CACHE = 12 << 20 };

static int usable_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count;
}

int snn_device_open(const char *name, int threads, struct snn_device *out) {
    if (!strncmp(name, "cuda", 4) && (!name[4] || name[4] == ':'))
        return snn_error(SNN_EUSAGE, "--device %s: this build has no CUDA backend (use cpu or auto)", name);
    if (strcmp(name, "cpu") && strcmp(name, "auto"))
        return snn_error(SNN_EUSAGE, "--device: expected auto, cpu or cuda[:N], got '%s'", name);
    *out = (struct snn_device){.name = "cpu",
                               .threads = threads > 0 ? threads : usable_cores(),
                               .cache = CACHE,
                               .interval = 1,
                               .shared = true,
                               .memory = &snn_memory_cpu};
    const char *limit = getenv("SNNTRAIN_ISA");
    bool known = false;
#define X(suffix, test)                                                                                                \
    if ((test) && !known) {                                                                                            \
        out->variant = &#suffix[1];                                                                                    \
        out->math = &snn_math_cpu##suffix, out->conv = &snn_conv_cpu##suffix, out->pool = &snn_pool_cpu##suffix;       \
        out->norm = &snn_norm_cpu##suffix, out->loss = &snn_loss_cpu##suffix, out->neuron = &snn_neuron_cpu##suffix;   \
        out->optim = &snn_optim_cpu##suffix;                                                                           \
    }                                                                                                                  \
    if (limit && !strcmp(limit, &#suffix[1])) known = true;
    SNN_ISA_LIST(X)
#undef X
    if (limit && !known) return snn_error(SNN_EUSAGE, "SNNTRAIN_ISA: expected base, avx2 or avx512, got '%s'", limit);
    return SNN_OK;
}

void snn_device_close(struct snn_device *device) {
    if (device->close) device->close(device);
    *device = (struct snn_device){0};
}
