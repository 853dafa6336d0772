/* SPDX-License-Identifier: Apache-2.0 */
#include "cuda/graphs.h"

#include <stdlib.h>
#include <string.h>

#include "cuda/stage.h"

enum { MOST = 512 };

struct graph {
    struct snn_work_key key;
    int place;            /* of the batch (stage.h) */
    cudaGraphExec_t exec; /* NULL: seen once */
};

struct cuda_graphs {
    struct graph graph[MOST];
    int count;
    bool off;
};

int cuda_graphs_open(struct snn_cuda *cuda) {
    const char *wish = getenv("SNNTRAIN_CUDA_GRAPHS");
    cuda->graphs = (struct cuda_graphs *)calloc(1, sizeof *cuda->graphs);
    if (!cuda->graphs) return -1;
    cuda->graphs->off = wish && !strcmp(wish, "0");
    return 0;
}

void cuda_drop_graphs(struct snn_cuda *cuda) {
    struct cuda_graphs *graphs = cuda->graphs;
    if (graphs->count) cuda_note(cuda, cudaStreamSynchronize(cuda->compute)); /* one may still run */
    for (int i = 0; i < graphs->count; ++i)
        if (graphs->graph[i].exec) cuda_note(cuda, cudaGraphExecDestroy(graphs->graph[i].exec));
    graphs->count = 0;
}

void cuda_graphs_close(struct snn_cuda *cuda) {
    if (!cuda->graphs) return;
    cuda_drop_graphs(cuda);
    free(cuda->graphs);
}

void cuda_forget(struct snn_device *device) { cuda_drop_graphs(cuda_of(device)); }

static void capture(struct snn_cuda *cuda, struct graph *g, void (*work)(void *payload), void *payload) {
    cudaGraph_t graph = NULL;
    cuda->hint = "; SNNTRAIN_CUDA_GRAPHS=0 in the environment runs without captured steps";
    cuda_note(cuda, cudaStreamBeginCapture(cuda->compute, cudaStreamCaptureModeThreadLocal));
    work(payload);
    cuda_note(cuda, cudaStreamEndCapture(cuda->compute, &graph));
    if (cuda->error == cudaSuccess) cuda_note(cuda, cudaGraphInstantiateWithFlags(&g->exec, graph, 0));
    if (graph) cuda_note(cuda, cudaGraphDestroy(graph));
    if (cuda->error == cudaSuccess) cuda->hint = NULL;
}

int cuda_run(struct snn_device *device, const struct snn_work_key *key, void (*work)(void *payload), void *payload) {
    struct snn_cuda *cuda = cuda_of(device);
    struct cuda_graphs *graphs = cuda->graphs;
    if (cuda->error != cudaSuccess) return cuda_failed(cuda);
    int place = cuda_stage_place(cuda), i = 0;
    while (i < graphs->count && (graphs->graph[i].place != place || memcmp(&graphs->graph[i].key, key, sizeof *key)))
        ++i;
    if (graphs->off || i == graphs->count) {
        work(payload);
        if (graphs->count == MOST) cuda_drop_graphs(cuda), i = 0;
        struct graph first = {*key, place, NULL};
        if (!graphs->off) graphs->graph[i] = first, graphs->count = i + 1;
    } else {
        struct graph *g = &graphs->graph[i];
        if (!g->exec) capture(cuda, g, work, payload);
        if (cuda->error == cudaSuccess) cuda_note(cuda, cudaGraphLaunch(g->exec, cuda->compute));
    }
    return cuda->error == cudaSuccess ? 0 : cuda_failed(cuda);
}
