/* SPDX-License-Identifier: Apache-2.0
 * stage.cu - batches in pinned double buffers (stage.h).
 *
 * Where an array lies in its place depends on T, B, the layout and the place's room for entries alone, never on how
 * many events a batch has: a captured step must find it again. */
#include "cuda/stage.h"

#include <stdlib.h>
#include <string.h>

#include "cuda/graphs.h"
#include "cuda/sizes.h"

struct place {
    unsigned char *host, *device;
    size_t bytes;      /* of each */
    cudaEvent_t ready; /* the copy has arrived */
    cudaEvent_t used;  /* the work on it is done */
};

struct cuda_stage {
    struct place place[2];
    int last;
    bool any; /* was something staged yet? */
};

int cuda_stage_open(struct snn_cuda *cuda) {
    struct cuda_stage *stage = (struct cuda_stage *)calloc(1, sizeof *stage);
    if (!stage) return -1;
    cuda->stage = stage;
    for (int i = 0; i < 2; ++i) {
        cuda_note(cuda, cudaEventCreateWithFlags(&stage->place[i].ready, cudaEventDisableTiming));
        cuda_note(cuda,
                  cudaEventCreateWithFlags(&stage->place[i].used, cudaEventDisableTiming | cudaEventBlockingSync));
    }
    return 0;
}

static void empty(struct place *p) {
    if (p->host) cudaFreeHost(p->host);
    if (p->device) cudaFree(p->device);
    p->host = p->device = NULL, p->bytes = 0;
}

void cuda_stage_close(struct snn_cuda *cuda) {
    if (!cuda->stage) return;
    for (int i = 0; i < 2; ++i) {
        struct place *p = &cuda->stage->place[i];
        empty(p);
        if (p->ready) cudaEventDestroy(p->ready);
        if (p->used) cudaEventDestroy(p->used);
    }
    free(cuda->stage);
}

int cuda_stage_place(const struct snn_cuda *cuda) { return cuda->stage->last; }

/* Room in a place: more than was ever needed, since batches of events differ in size. */
static int make_room(struct snn_cuda *cuda, struct place *p, size_t bytes) {
    cuda_note(cuda, cudaStreamSynchronize(cuda->compute)); /* steps may still read what is given back */
    cuda_note(cuda, cudaStreamSynchronize(cuda->copier));
    cuda_drop_graphs(cuda);
    empty(p);
    if (cuda->error != cudaSuccess) return cuda_failed(cuda);
    if (cudaHostAlloc((void **)&p->host, bytes, cudaHostAllocDefault) != cudaSuccess ||
        cudaMalloc((void **)&p->device, bytes) != cudaSuccess) {
        cudaGetLastError();
        empty(p);
        return cuda->fail(SNN_EFAIL,
                          "cuda:%d: out of memory: batches need %.1f MB twice, on the card and in page-locked memory",
                          cuda->index, (double)bytes * 1e-6);
    }
    p->bytes = bytes;
    return 0;
}

/* Next array of a place. */
static void *lay(unsigned char *base, size_t *at, size_t bytes) {
    void *memory = base + *at;
    *at += snn_aligned(bytes);
    return memory;
}

/* Give `b` the arrays of a batch with room for `entries` in memory from `base` on; returns where they end. */
static size_t lay_out(struct snn_batch *b, size_t entries, unsigned char *base) {
    size_t at = 0, rows = (size_t)b->T * (size_t)b->B, small = (size_t)b->B * sizeof(int32_t);
    b->label = (int32_t *)lay(base, &at, small);
    b->length = (int32_t *)lay(base, &at, small);
    b->sample = (int32_t *)lay(base, &at, small);
    if (b->target) b->target = (float *)lay(base, &at, snn_batch_targets(b) * sizeof(float));
    if (b->form == SNN_BATCH_EVENTS) {
        if (b->by_sample) {
            b->first = (int32_t *)lay(base, &at, ((size_t)b->B + 1) * sizeof(int32_t));
            b->step = (int32_t *)lay(base, &at, entries * sizeof(int32_t));
        } else b->row = (int32_t *)lay(base, &at, (rows + 1) * sizeof(int32_t));
        b->index = (int32_t *)lay(base, &at, entries * sizeof(int32_t));
        if (b->value) b->value = (float *)lay(base, &at, entries * sizeof(float));
    } else {
        b->frames = (float *)lay(base, &at, snn_batch_numbers(b) * sizeof(float));
    }
    return at;
}

/* Room for entries that `bytes` give, after the arrays of fixed size. */
static size_t entries_within(const struct snn_batch *batch, size_t bytes) {
    struct snn_batch fixed = *batch;
    size_t each = snn_cuda_entry_bytes(batch->by_sample, batch->value != NULL);
    size_t at = lay_out(&fixed, 0, NULL) + 3 * SNN_ALIGN;
    return bytes > at ? (bytes - at) / each : 0;
}

static size_t bytes_for(const struct snn_batch *batch, size_t entries) {
    struct snn_batch b = *batch;
    return lay_out(&b, entries, NULL) + 3 * SNN_ALIGN;
}

static void fill(struct snn_batch *to, const struct snn_batch *from, size_t entries) {
    size_t rows = (size_t)from->T * (size_t)from->B, small = (size_t)from->B * sizeof(int32_t);
    memcpy(to->label, from->label, small);
    memcpy(to->length, from->length, small);
    memcpy(to->sample, from->sample, small);
    if (from->target) memcpy(to->target, from->target, snn_batch_targets(from) * sizeof(float));
    if (from->form == SNN_BATCH_EVENTS) {
        if (from->by_sample) {
            memcpy(to->first, from->first, ((size_t)from->B + 1) * sizeof(int32_t));
            memcpy(to->step, from->step, entries * sizeof(int32_t));
        } else memcpy(to->row, from->row, (rows + 1) * sizeof(int32_t));
        memcpy(to->index, from->index, entries * sizeof(int32_t));
        if (from->value) memcpy(to->value, from->value, entries * sizeof(float));
    } else {
        memcpy(to->frames, from->frames, snn_batch_numbers(from) * sizeof(float));
    }
}

/* From host to device: bytes of the place on the host, `from` on and up to `to`. */
static void send(struct snn_cuda *cuda, struct place *p, const void *from, const void *to) {
    size_t first = (size_t)((const unsigned char *)from - p->host);
    size_t bytes = (size_t)((const unsigned char *)to - (const unsigned char *)from);
    if (bytes) cuda_note(cuda, cudaMemcpyAsync(p->device + first, from, bytes, cudaMemcpyHostToDevice, cuda->copier));
}

int cuda_stage(struct snn_device *device, const struct snn_batch *batch, struct snn_batch *staged) {
    struct snn_cuda *cuda = cuda_of(device);
    struct cuda_stage *stage = cuda->stage;
    if (cuda->error != cudaSuccess) return cuda_failed(cuda);
    /* All that was queued so far may read the place that was filled last. */
    if (stage->any) cuda_note(cuda, cudaEventRecord(stage->place[stage->last].used, cuda->compute));
    stage->last ^= 1, stage->any = true;
    struct place *p = &stage->place[stage->last];
    cuda_note(cuda, cudaEventSynchronize(p->used)); /* the batch before the last: nobody runs further ahead than that */

    bool events = batch->form == SNN_BATCH_EVENTS;
    size_t entries = snn_batch_entries(batch);
    size_t planned = snn_cuda_stage_bytes(batch) / 2, needed = bytes_for(batch, entries);
    if (needed > p->bytes) {
        int rc = make_room(cuda, p, needed > planned ? bytes_for(batch, entries + entries / 4) : planned);
        if (rc < 0) return rc;
    }
    size_t room = events ? entries_within(batch, p->bytes) : 0;
    struct snn_batch host = *batch;
    *staged = *batch;
    size_t end = lay_out(&host, room, p->host);
    lay_out(staged, room, p->device);
    staged->stride = 0;
    fill(&host, batch, entries);
    if (events) { /* each array is followed by room that is not used */
        const int32_t *before = batch->by_sample ? host.step : host.index;
        send(cuda, p, p->host, before + entries);
        if (batch->by_sample) send(cuda, p, host.index, host.index + entries);
        if (batch->value) send(cuda, p, host.value, host.value + entries);
    } else {
        send(cuda, p, p->host, p->host + end);
    }
    cuda_note(cuda, cudaEventRecord(p->ready, cuda->copier));
    cuda_note(cuda, cudaStreamWaitEvent(cuda->compute, p->ready, 0));
    return cuda->error == cudaSuccess ? 0 : cuda_failed(cuda);
}
