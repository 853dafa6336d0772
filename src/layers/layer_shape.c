/* SPDX-License-Identifier: Apache-2.0
 * layer_shape.c - the same numbers in another shape, or among channels of zeros. */
#include <stddef.h>

#include "core/status.h"
#include "layers/layer.h"

int snn_build_flatten(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    static const struct snn_key no_keys[] = {{0}};
    SNN_TRY(snn_conf_read(node, no_keys, NULL));
    b->x = snn_flatten(&b->model->tape, b->x);
    return SNN_OK;
}

const struct snn_key snn_reshape_keys[] = {
    {"shape", SNN_SIZES, 0, NULL, -1, 1 << 25, NULL, "[C, L], [C, H, W] or [C, D, H, W]; one of them -1: what is left"},
    {0},
};

int snn_build_reshape(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct snn_sizes o;
    char text[48];
    SNN_TRY(snn_conf_read(node, snn_reshape_keys, &o));
    const struct snn_conf *at = snn_conf_get(node, "shape");
    int nd = o.count ? o.count : 1, open = -1;
    int32_t dim[SNN_ROW_AXES];
    double units = 1;
    for (int i = 0; i < nd; ++i) {
        dim[i] = o.at[i];
        if (!dim[i]) return snn_conf_error(at, "expected sizes of at least 1, or -1 for what is left, got 0");
        if (dim[i] < 0 && open >= 0) return snn_conf_error(at, "expected at most one -1");
        if (dim[i] < 0) open = i;
        else units *= dim[i];
    }
    double rest = (double)b->x->units / units;
    if (open >= 0 && rest >= 1) dim[open] = (int32_t)rest, units *= dim[open];
    if (units != (double)b->x->units || (open >= 0 && rest < 1))
        return snn_conf_error(at, "%td units of %s do not go into this shape", b->x->units, snn_shape_text(b->x, text));
    b->x = snn_tape_view(&b->model->tape, b->x, nd, dim);
    return SNN_OK;
}

struct pad_options {
    long long to;
};
const struct snn_key snn_pad_channels_keys[] = {
    {"to", SNN_INT, offsetof(struct pad_options, to), NULL, 1, 1 << 16, NULL,
     "channels afterwards; new ones hold zeros, half of them before the others"},
    {0},
};

int snn_build_pad_channels(struct snn_builder *b, struct snn_conf *node, int variant) {
    (void)variant;
    struct pad_options o;
    SNN_TRY(snn_conf_read(node, snn_pad_channels_keys, &o));
    int32_t more = (int32_t)o.to - b->x->dim[0];
    if (more < 0) return snn_conf_error(node, "to: %lld are fewer than the %d there are", o.to, (int)b->x->dim[0]);
    if (more) b->x = snn_pad_channels(&b->model->tape, b->path, b->x, more / 2, more - more / 2);
    return SNN_OK;
}
