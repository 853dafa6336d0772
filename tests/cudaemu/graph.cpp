/* SPDX-License-Identifier: Apache-2.0
 * graph.cpp - captures and graphs: the same closures, kept and run again.
 *
 * While a stream captures, what would be enqueued becomes a node that follows the stream's last ones. An event recorded
 * in a capture carries its nodes to the streams that wait for it, which join the capture. A launched graph runs its
 * nodes in any order that their edges allow. */
#include <algorithm>

#include "cudaemu.h"
#include "stream.h"

struct CUgraph_st {
    std::shared_ptr<const cudaemu::graph_body> body;
};

struct CUgraphExec_st {
    std::shared_ptr<const cudaemu::graph_body> body;
    std::shared_ptr<cudaemu::record> last; /* launches of one graph run one after another */
};

namespace cudaemu {

static int64_t graph_launches;

static void unite(std::vector<int> &to, const std::vector<int> &from) {
    for (int i : from)
        if (std::find(to.begin(), to.end(), i) == to.end()) to.push_back(i);
}

void capture_node(struct stream_state &stream, std::function<void()> run) {
    std::vector<struct node> &nodes = stream.capture->body.nodes;
    nodes.push_back({std::move(run), stream.tail});
    stream.tail = {(int)nodes.size() - 1};
}

void capture_wait(const std::shared_ptr<struct stream_state> &stream, const struct record &record) {
    const std::shared_ptr<struct stream_state> from = record.stream.lock();
    if (!from || from->capture != record.capture)
        die("cudaStreamWaitEvent: the event was recorded in a capture that has ended");
    if (stream->capture && stream->capture != record.capture) die("cudaStreamWaitEvent between two captures");
    if (!stream->capture) {
        stream->capture = record.capture;
        stream->tail.clear();
        record.capture->joined.push_back(stream);
    }
    unite(stream->tail, record.tail);
}

bool run_node(struct graph_run &run) {
    const std::vector<struct node> &nodes = run.body->nodes;
    if (run.done_count == nodes.size()) return true;
    std::vector<size_t> able;
    for (size_t i = 0; i < nodes.size(); i++) {
        if (run.done[i]) continue;
        const std::vector<int> &after = nodes[i].after;
        if (std::any_of(after.begin(), after.end(), [&](int j) { return !run.done[(size_t)j]; })) continue;
        able.push_back(i);
        if (config().order == FORWARD) break;
    }
    const size_t i = config().order == SHUFFLED ? able[random_below(able.size())] : able.back();
    nodes[i].run();
    run.done[i] = true;
    return ++run.done_count == nodes.size();
}

} // namespace cudaemu

using namespace cudaemu;
typedef std::lock_guard<std::recursive_mutex> guard;

extern "C" {

int64_t cudaemu_graph_launches(void) {
    guard g(lock());
    return graph_launches;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    if (!stream) die("cudaStreamBeginCapture of the default stream");
    const std::shared_ptr<struct stream_state> s = state_of(stream);
    if (s->capture) die("cudaStreamBeginCapture of a stream that captures already");
    s->capture = std::make_shared<struct capture>();
    s->capture->origin = s.get();
    s->capture->mode = mode;
    s->capture->joined.push_back(s);
    s->tail.clear();
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    guard g(lock());
    *graph = nullptr;
    if (cudaError_t error = enter()) return error;
    const std::shared_ptr<struct stream_state> s = state_of(stream);
    const std::shared_ptr<struct capture> c = s->capture;
    if (!c) die("cudaStreamEndCapture of a stream that does not capture");
    if (c->origin != s.get()) return report(cudaErrorStreamCaptureUnmatched);
    std::vector<bool> reached(c->body.nodes.size());
    std::vector<int> open = s->tail;
    while (!open.empty()) {
        const int i = open.back();
        open.pop_back();
        if (reached[(size_t)i]) continue;
        reached[(size_t)i] = true;
        open.insert(open.end(), c->body.nodes[(size_t)i].after.begin(), c->body.nodes[(size_t)i].after.end());
    }
    bool unjoined = false;
    for (const auto &joined : c->joined) {
        for (int i : joined->tail) unjoined = unjoined || !reached[(size_t)i];
        joined->capture = nullptr;
        joined->tail.clear();
    }
    c->joined.clear();
    if (unjoined) return report(cudaErrorStreamCaptureUnjoined);
    *graph = new CUgraph_st{std::make_shared<const struct graph_body>(std::move(c->body))};
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
    guard g(lock());
    *status = cudaStreamCaptureStatusNone;
    if (cudaError_t error = enter()) return error;
    if (is_capturing(stream)) *status = cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
    guard g(lock());
    *exec = nullptr;
    if (cudaError_t error = enter()) return error;
    *exec = new CUgraphExec_st{graph->body, nullptr};
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags) {
    return cudaGraphInstantiate(exec, graph, flags);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    const std::shared_ptr<struct stream_state> s = state_of(stream);
    if (s->capture) die("cudaGraphLaunch into a stream that captures is not emulated");
    graph_launches++;
    if (exec->last && !exec->last->done) push(s, {nullptr, exec->last, nullptr, nullptr});
    auto run = std::make_shared<struct graph_run>();
    run->body = exec->body;
    run->done.assign(exec->body->nodes.size(), false);
    push(s, {nullptr, nullptr, nullptr, run});
    exec->last = mark_end(s);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    guard g(lock());
    delete graph;
    return enter();
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    guard g(lock());
    delete exec;
    return enter();
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    guard g(lock());
    *count = 0;
    if (cudaError_t error = enter()) return error;
    if (nodes) die("cudaGraphGetNodes: only the count is emulated");
    *count = graph->body->nodes.size();
    return cudaSuccess;
}

} // extern "C"
