/* SPDX-License-Identifier: Apache-2.0
 * cuda_types.h - vector types and dim3, with CUDA's alignments: a misaligned vector load is undefined here as there. */
#ifndef CUDAEMU_CUDA_TYPES_H
#define CUDAEMU_CUDA_TYPES_H

#define CUDAEMU_VECTORS(type, name, align2, align4)                                                                    \
    struct alignas(align2) name##2 {                                                                                   \
        type x, y;                                                                                                     \
    };                                                                                                                 \
    struct name##3 {                                                                                                   \
        type x, y, z;                                                                                                  \
    };                                                                                                                 \
    struct alignas(align4) name##4 {                                                                                   \
        type x, y, z, w;                                                                                               \
    };                                                                                                                 \
    static inline struct name##2 make_##name##2(type x, type y) { return {x, y}; }                                     \
    static inline struct name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                          \
    static inline struct name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

CUDAEMU_VECTORS(signed char, char, 2, 4)
CUDAEMU_VECTORS(unsigned char, uchar, 2, 4)
CUDAEMU_VECTORS(short, short, 4, 8)
CUDAEMU_VECTORS(unsigned short, ushort, 4, 8)
CUDAEMU_VECTORS(int, int, 8, 16)
CUDAEMU_VECTORS(unsigned int, uint, 8, 16)
CUDAEMU_VECTORS(long long, longlong, 16, 16)
CUDAEMU_VECTORS(float, float, 8, 16)
CUDAEMU_VECTORS(double, double, 16, 16)
#undef CUDAEMU_VECTORS

struct dim3 {
    unsigned int x, y, z;
    constexpr dim3(unsigned int x_ = 1, unsigned int y_ = 1, unsigned int z_ = 1) : x(x_), y(y_), z(z_) {}
};

#endif
