/* SPDX-License-Identifier: Apache-2.0
 * device.h - a backend: who computes, and its kernel tables, one a family.
 *
 * Everything above the tables is written once. A family's table is declared by the module that owns the family; the
 * roof (src/train/device.c) puts the tables together. Pointers handed to kernels are device memory unless a declaration
 * says host. */
#ifndef SNN_DEVICE_H
#define SNN_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

struct snn_memory_kernels;    /* autograd/memory.h */
struct snn_math_kernels;      /* autograd/math.h */
struct snn_conv_kernels;      /* autograd/conv.h */
struct snn_delay_kernels;     /* autograd/delay.h */
struct snn_pool_kernels;      /* autograd/pool.h */
struct snn_norm_kernels;      /* autograd/norm.h */
struct snn_mix_kernels;       /* autograd/mix.h */
struct snn_attention_kernels; /* autograd/attention.h */
struct snn_weights_kernels;   /* autograd/weights.h */
struct snn_binary_kernels;    /* autograd/binary.h */
struct snn_regular_kernels;   /* autograd/regular.h */
struct snn_loss_kernels;      /* autograd/loss.h */
struct snn_neuron_kernels;    /* layers/neuron.h */
struct snn_ultra_kernels;     /* layers/ultra.h */
struct snn_optim_kernels;     /* optim/optim_kernels.h */

struct snn_device {
    const char *name;    /* "cpu", "cuda:0" */
    const char *variant; /* instruction set or card */
    char note[200];      /* why `auto` did not take a card, where that may surprise */
    int threads;
    size_t cache;  /* a batch whose activations take more bytes passes in slices; 0: always whole */
    int interval;  /* optimiser steps between two looks at what they brought: looking waits for the device */
    bool shared;   /* device memory is host memory */
    void *backend; /* the backend's own */
    void (*close)(struct snn_device *device); /* NULL: nothing to give back */
    const struct snn_memory_kernels *memory;
    const struct snn_math_kernels *math;
    const struct snn_conv_kernels *conv;
    const struct snn_delay_kernels *delay;
    const struct snn_pool_kernels *pool;
    const struct snn_norm_kernels *norm;
    const struct snn_weights_kernels *weights;
    const struct snn_binary_kernels *binary;
    const struct snn_mix_kernels *mix;
    const struct snn_attention_kernels *attention;
    const struct snn_loss_kernels *loss;
    const struct snn_regular_kernels *regular;
    const struct snn_neuron_kernels *neuron;
    const struct snn_ultra_kernels *ultra;
    const struct snn_optim_kernels *optim;
};

#endif
