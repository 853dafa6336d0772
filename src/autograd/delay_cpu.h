/* SPDX-License-Identifier: Apache-2.0
 * delay_cpu.h - convolution over time on the CPU, for the table of delay_cpu.c (see autograd/delay.h). */
#ifndef SNN_DELAY_CPU_H
#define SNN_DELAY_CPU_H

#include "autograd/delay.h"
#include "core/isa.h"

size_t SNN_ISA(snn_delay_scratch)(int threads, const struct snn_delay_shape *shape, const struct snn_delay_span *span,
                                  enum snn_form x);
void SNN_ISA(snn_delay_forward)(struct snn_device *device, const struct snn_delay_shape *shape,
                                const struct snn_delay_span *span, const struct snn_rows *x, const real *kernel,
                                real *y, void *scratch);
void SNN_ISA(snn_delay_grad_input)(struct snn_device *device, const struct snn_delay_shape *shape,
                                   const struct snn_delay_span *span, const real *gy, const real *kernel, bool adds,
                                   real *gx, void *scratch);
void SNN_ISA(snn_delay_grad_kernel)(struct snn_device *device, const struct snn_delay_shape *shape,
                                    const struct snn_delay_span *span, const struct snn_rows *x, const real *gy,
                                    real *gkernel, void *scratch);
void SNN_ISA(snn_delay_expand)(struct snn_device *device, ptrdiff_t rows, ptrdiff_t units, const struct snn_rows *x,
                               real *y);

/* Delays of channels (delay_shift_cpu.c). */
void SNN_ISA(snn_delay_shift)(struct snn_device *device, const struct snn_shift *shift, const real *x,
                              const real *delay, real *y);
void SNN_ISA(snn_delay_shift_grad)(struct snn_device *device, const struct snn_shift *shift, const real *x,
                                   const real *delay, const real *gy, bool adds, real *gx, real *gdelay);

/* As products of spectra (delay_fourier_cpu.c): what that costs beside products of taps, INFINITY where it cannot be
 * done; and the convolutions of dense rows. */
double SNN_ISA(snn_delay_spectra_cost)(const struct snn_delay_shape *shape, const struct snn_delay_span *span);
size_t SNN_ISA(snn_delay_spectra_scratch)(int threads, const struct snn_delay_shape *shape,
                                          const struct snn_delay_span *span);
void SNN_ISA(snn_delay_spectra_forward)(struct snn_device *device, const struct snn_delay_shape *shape,
                                        const struct snn_delay_span *span, const real *x, const real *kernel, real *y,
                                        void *scratch);
void SNN_ISA(snn_delay_spectra_grad_input)(struct snn_device *device, const struct snn_delay_shape *shape,
                                           const struct snn_delay_span *span, const real *gy, const real *kernel,
                                           bool adds, real *gx, void *scratch);
void SNN_ISA(snn_delay_spectra_grad_kernel)(struct snn_device *device, const struct snn_delay_shape *shape,
                                            const struct snn_delay_span *span, const real *x, const real *gy,
                                            real *gkernel, void *scratch);

#endif
