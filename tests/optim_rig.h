/* SPDX-License-Identifier: Apache-2.0
 * optim_rig.h - parameters with an optimiser over them, and gradients to feed it. */
#ifndef SNN_TEST_OPTIM_RIG_H
#define SNN_TEST_OPTIM_RIG_H

#include <math.h>

#include "autograd/memory.h"
#include "core/isa.h"
#include "optim/optim.h"
#include "optim/optim_kernels.h"
#include "snn_check.h"

#define DECLARE(suffix, usable) extern const struct snn_optim_kernels SNN_ISA_JOIN(snn_optim_cpu, suffix);
SNN_ISA_LIST(DECLARE)
#undef DECLARE

extern const struct snn_memory_kernels snn_memory_cpu;
static const struct snn_optim_kernels *const kernels = &snn_optim_cpu_base;

/* A model's parameters with an optimiser over them. */
struct rig {
    struct snn_params params;
    struct snn_arena arena;
    struct snn_conf_doc *doc;
    struct snn_optim *optim;
    struct snn_device device;
};

static inline struct snn_param *declare(struct rig *rig, const char *name, int32_t count) {
    return snn_params_add(&rig->params, name, false, 1, &count);
}

/* Read the optimiser; parameters were declared before. */
static inline int try_open(struct rig *rig, const char *yaml) {
    char text[1024];
    snprintf(text, sizeof text, "optimizer: %s\n", yaml);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &rig->doc));
    rig->device =
        (struct snn_device){.name = "cpu", .threads = 1, .shared = true, .memory = &snn_memory_cpu, .optim = kernels};
    return snn_optim_open(snn_conf_get(snn_conf_root(rig->doc), "optimizer"), &rig->params, &rig->optim);
}

static inline void opened(struct rig *rig, const char *yaml) {
    ck_ok(try_open(rig, yaml));
    for (int pass = 0; pass < 2; ++pass) {
        snn_params_bind(&rig->params, &rig->arena, true);
        snn_optim_bind(rig->optim, &rig->arena);
        if (pass == 0) ck_ok(snn_arena_reserve(&rig->arena));
    }
}

static inline void closed(struct rig *rig) {
    snn_optim_close(&rig->optim);
    snn_conf_free(&rig->doc);
    snn_params_free(&rig->params);
    snn_arena_free(&rig->arena);
}

/* The norm before gradients are clipped. */
static inline double clip(struct rig *rig, double max_norm) {
    static const uint32_t clock[3];
    struct snn_gate gate;
    snn_optim_clip(rig->optim, &rig->device, max_norm, NULL, clock);
    ck_ok(snn_optim_gate(rig->optim, &rig->device, &gate));
    return gate.norm;
}

static inline void step(struct rig *rig) { snn_optim_step(rig->optim, &rig->device, 1, NAN); }

/* A few exact numbers without pattern. */
static inline double gradient(int k, int i) { return ((k * 7 + i * 5) % 11 - 5) / 4.0; }
static const double start[4] = {0.5, -1.25, 2, -0.125};

#endif
