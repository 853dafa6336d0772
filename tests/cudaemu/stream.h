/* SPDX-License-Identifier: Apache-2.0
 * stream.h - what streams and graphs share: a stream's queue, a capture, a graph being run. */
#ifndef CUDAEMU_STREAM_H
#define CUDAEMU_STREAM_H

#include <deque>

#include "internal.h"

namespace cudaemu {

struct node {
    std::function<void()> run;
    std::vector<int> after; /* numbers of earlier nodes */
};

struct graph_body {
    std::vector<struct node> nodes;
};

struct capture {
    struct stream_state *origin;
    enum cudaStreamCaptureMode mode;
    struct graph_body body;
    std::vector<std::shared_ptr<struct stream_state>> joined; /* the origin too */
};

struct graph_run { /* one launch of a graph on its way */
    std::shared_ptr<const struct graph_body> body;
    std::vector<bool> done;
    size_t done_count = 0;
};

struct stream_state {
    bool blocking; /* orders itself with the default stream */
    std::deque<struct operation> queue;
    std::shared_ptr<struct capture> capture;
    std::vector<int> tail; /* in a capture: the nodes that the next one follows */
};

std::shared_ptr<struct stream_state> state_of(cudaStream_t stream);
void push(const std::shared_ptr<struct stream_state> &stream, struct operation op);
std::shared_ptr<struct record> mark_end(const std::shared_ptr<struct stream_state> &stream);
void run_until(const std::shared_ptr<struct record> &record);

/* graph.cpp */
void capture_node(struct stream_state &stream, std::function<void()> run);
void capture_wait(const std::shared_ptr<struct stream_state> &stream, const struct record &record);
bool run_node(struct graph_run &run); /* true when it was the last */

} // namespace cudaemu

#endif
