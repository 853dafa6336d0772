/* SPDX-License-Identifier: Apache-2.0
 * device.c - the CPU's kernel tables, for the widest instruction set that runs here, or a CUDA card. */
#include "train/device.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/isa.h"
#include "core/status.h"
#include "train/device_cuda.h"

#define X(suffix, test)                                                                                                \
    extern const struct snn_math_kernels snn_math_cpu##suffix;                                                         \
    extern const struct snn_conv_kernels snn_conv_cpu##suffix;                                                         \
    extern const struct snn_delay_kernels snn_delay_cpu##suffix;                                                       \
    extern const struct snn_pool_kernels snn_pool_cpu##suffix;                                                         \
    extern const struct snn_norm_kernels snn_norm_cpu##suffix;                                                         \
    extern const struct snn_binary_kernels snn_binary_cpu##suffix;                                                     \
    extern const struct snn_weights_kernels snn_weights_cpu##suffix;                                                   \
    extern const struct snn_mix_kernels snn_mix_cpu##suffix;                                                           \
    extern const struct snn_attention_kernels snn_attention_cpu##suffix;                                               \
    extern const struct snn_loss_kernels snn_loss_cpu##suffix;                                                         \
    extern const struct snn_regular_kernels snn_regular_cpu##suffix;                                                   \
    extern const struct snn_neuron_kernels snn_neuron_cpu##suffix;                                                     \
    extern const struct snn_ultra_kernels snn_ultra_cpu##suffix;                                                       \
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

static int open_cpu(int threads, struct snn_device *out) {
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
        out->regular = &snn_regular_cpu##suffix;                                                                       \
        out->weights = &snn_weights_cpu##suffix, out->binary = &snn_binary_cpu##suffix,                                \
        out->ultra = &snn_ultra_cpu##suffix;                                                                           \
        out->optim = &snn_optim_cpu##suffix, out->delay = &snn_delay_cpu##suffix;                                      \
        out->mix = &snn_mix_cpu##suffix, out->attention = &snn_attention_cpu##suffix;                                  \
    }                                                                                                                  \
    if (limit && !strcmp(limit, &#suffix[1])) known = true;
    SNN_ISA_LIST(X)
#undef X
    if (limit && !known) return snn_error(SNN_EUSAGE, "SNNTRAIN_ISA: expected base, avx2 or avx512, got '%s'", limit);
    return SNN_OK;
}

/* The first card, or the CPU, with the reason when this is a build for cards. */
static int open_best(int threads, struct snn_device *out) {
    if (snn_cuda_load(0, out) >= 0) return SNN_OK;
    char why[sizeof out->note] = "";
    if (snn_cuda_built()) snprintf(why, sizeof why, "%s", snn_error_text());
    SNN_TRY(open_cpu(threads, out));
    memcpy(out->note, why, sizeof why);
    return SNN_OK;
}

int snn_device_card(const char *name, int *index) {
    char *end;
    *index = 0;
    if (!name[4]) return SNN_OK;
    long n = name[4] == ':' && name[5] >= '0' && name[5] <= '9' ? strtol(name + 5, &end, 10) : -1;
    if (n < 0 || *end || n > 1023) return snn_error(SNN_EUSAGE, "--device: expected cuda or cuda:N, got '%s'", name);
    *index = (int)n;
    return SNN_OK;
}

int snn_device_open(const char *name, int threads, struct snn_device *out) {
    int index;
    if (!strcmp(name, "cpu")) return open_cpu(threads, out);
    if (!strcmp(name, "auto")) return open_best(threads, out);
    if (strncmp(name, "cuda", 4))
        return snn_error(SNN_EUSAGE, "--device: expected auto, cpu or cuda[:N], got '%s'", name);
    SNN_TRY(snn_device_card(name, &index));
    int rc = snn_cuda_load(index, out);
    if (rc == SNN_EUSAGE) { /* why, in one line, with what to do instead */
        char why[900];
        snprintf(why, sizeof why, "%s", snn_error_text());
        return snn_error(SNN_EUSAGE, "--device %s: %s (--device cpu runs here)", name, why);
    }
    return rc;
}

void snn_device_text(const struct snn_device *device, char *out, size_t size) {
    if (!device->shared) snprintf(out, size, "%s (%s)", device->name, device->variant);
    else
        snprintf(out, size, "%s (%s, %d threads)%s%s", device->name, device->variant, device->threads,
                 *device->note ? "; no card: " : "", device->note);
}

void snn_device_close(struct snn_device *device) {
    if (device->close) device->close(device);
    *device = (struct snn_device){0};
}
