/* SPDX-License-Identifier: Apache-2.0
 * net_rig.h - a small network over a batch that is made up, for tests that work below a run. */
#ifndef SNN_TEST_NET_RIG_H
#define SNN_TEST_NET_RIG_H

#include <math.h>

#include "made_data.h"
#include "train/device.h"
#include "train/network.h"

struct made_network {
    struct snn_conf_doc *doc;
    struct snn_device device;
    struct snn_network net;
};

enum { UNITS = 72, STEPS = 7, SAMPLES = 5, CLASSES = 4 };

/* steps: of every sample; 0: they differ. */
static inline void open_network_of(const char *device, const char *model, bool still, int32_t steps,
                                   struct made_network *m) {
    struct snn_model_input input = {.C = 2, .H = 6, .W = 6, .is_static = still, .is_sparse = !still, .steps = steps};
    char text[1024];
    *m = (struct made_network){0};
    ck_ok(snn_device_open(device, 1, &m->device));
    m->net.device = &m->device;
    snprintf(text, sizeof text, "model: %s\nloss: {name: ce, over: step}\n", model);
    ck_ok(snn_conf_parse(text, strlen(text), "test.yaml", &m->doc));
    ck_ok(snn_loss_read(snn_conf_at(m->doc, "loss"), &m->net.loss));
    ck_ok(snn_model_build(snn_conf_at(m->doc, "model"), &input, CLASSES, &m->net.model));
}

static inline void open_network_on(const char *device, const char *model, bool still, struct made_network *m) {
    open_network_of(device, model, still, STEPS, m);
}

static inline void open_network(const char *model, bool still, struct made_network *m) {
    open_network_on("cpu", model, still, m);
}

static inline void close_network(struct made_network *m) {
    snn_network_free(&m->net);
    snn_device_close(&m->device);
    snn_conf_free(&m->doc);
}

/* Events with counts of 1..3, or one image a sample; the later samples are shorter when `masked`. */
struct made_batch {
    float frames[SAMPLES * UNITS];
    int32_t row[STEPS * SAMPLES + 1], index[STEPS * SAMPLES * UNITS];
    float value[STEPS * SAMPLES * UNITS];
    int32_t label[SAMPLES], length[SAMPLES], sample[SAMPLES];
    struct snn_batch batch;
};

static inline void make_batch(int32_t T, bool still, bool masked, struct made_batch *m) {
    uint32_t seed = 11;
    int32_t entries = 0;
    for (int32_t r = 0; r < T * SAMPLES; ++r) {
        m->row[r] = entries;
        bool past = masked && r / SAMPLES >= T - r % SAMPLES;
        for (int32_t u = 0; u < UNITS && !past; ++u)
            if (made_noise(&seed) % 4 == 0)
                m->index[entries] = u, m->value[entries++] = (float)(1 + made_noise(&seed) % 3);
    }
    m->row[T * SAMPLES] = entries;
    for (int i = 0; i < SAMPLES * UNITS; ++i) m->frames[i] = (float)(made_noise(&seed) % 256) / 255;
    for (int32_t b = 0; b < SAMPLES; ++b)
        m->label[b] = b % CLASSES, m->length[b] = masked ? T - b : T, m->sample[b] = 40 + b;
    m->batch = (struct snn_batch){.form = still ? SNN_BATCH_STATIC : SNN_BATCH_EVENTS,
                                  .T = T,
                                  .B = SAMPLES,
                                  .C = 2,
                                  .H = 6,
                                  .W = 6,
                                  .frames = still ? m->frames : NULL,
                                  .row = still ? NULL : m->row,
                                  .index = still ? NULL : m->index,
                                  .value = still ? NULL : m->value,
                                  .label = m->label,
                                  .length = m->length,
                                  .sample = m->sample,
                                  .masked = masked};
}

/* Events of some steps and samples laid out by sample: the same entries, lengths and labels. */
struct made_by_sample {
    int32_t first[SAMPLES + 1], step[STEPS * SAMPLES * UNITS], index[STEPS * SAMPLES * UNITS];
    float value[STEPS * SAMPLES * UNITS];
    struct snn_batch batch;
};

static inline void lay_by_sample(const struct snn_batch *rows, struct made_by_sample *m) {
    int32_t used = 0, stride = snn_batch_stride(rows);
    for (int32_t b = 0; b < rows->B; ++b) {
        m->first[b] = used;
        for (int32_t t = 0; t < rows->T; ++t)
            for (int32_t e = rows->row[t * stride + b]; e < rows->row[t * stride + b + 1]; ++e, ++used) {
                m->step[used] = t, m->index[used] = rows->index[e];
                m->value[used] = rows->value ? rows->value[e] : NAN;
            }
    }
    m->first[rows->B] = used;
    m->batch = *rows;
    m->batch.by_sample = true, m->batch.stride = 0, m->batch.row = NULL;
    m->batch.first = m->first, m->batch.step = m->step, m->batch.index = m->index;
    m->batch.value = rows->value ? m->value : NULL;
}

/* What comes out of T steps of events that pass in cuts of `each`, (T, SAMPLES, units) into out. */
static inline void outputs_of_cuts(struct made_network *m, int32_t T, int32_t each, real *out) {
    static struct made_batch made;
    make_batch(T, false, false, &made);
    struct snn_network_plan plan = {.T = T, .B = SAMPLES, .cut = each, .train = true};
    ck_ok(snn_network_allocate(&m->net, &plan));
    snn_params_init(&m->net.model.params, 3, m->net.model.params.value);
    const struct snn_tensor *y = m->net.model.tape.output;
    size_t row = SAMPLES * (size_t)y->units;
    for (int pass = 0; pass < 2; ++pass) /* the second batch starts from nothing again */
        for (int32_t t0 = 0, i = 0; t0 < T; t0 += each, ++i) {
            struct snn_cut cut = {.batch = &made.batch, .t0 = t0, .index = i, .train = true};
            cut.T = each < T - t0 ? each : T - t0;
            snn_network_forward(&m->net, &cut);
            memcpy(out + (size_t)t0 * row, y->data, (size_t)cut.T * row * sizeof *out);
        }
}

#endif
