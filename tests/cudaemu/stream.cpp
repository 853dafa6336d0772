/* SPDX-License-Identifier: Apache-2.0
 * stream.cpp - streams as queues of deferred work, events as points in them.
 *
 * Nothing runs when it is enqueued. When the host waits, some stream with work does one step, then some stream again,
 * until what the host waits for is done: forward, only the streams that must; reverse, the others first, the newest
 * before the older; else at random. So work that no event orders runs in an order its author did not think of. */
#include "stream.h"

#include <algorithm>
#include <time.h>

#include "cudaemu.h"

struct CUstream_st {
    std::shared_ptr<cudaemu::stream_state> state;
};

struct CUevent_st {
    bool timed;
    std::shared_ptr<cudaemu::record> last; /* NULL: never recorded */
};

namespace cudaemu {

static const size_t LONGEST_QUEUE = 4096;

static std::vector<std::shared_ptr<struct stream_state>> streams; /* the default stream is the first */
static int64_t syncs;

void count_sync() { syncs++; }

std::shared_ptr<struct stream_state> state_of(cudaStream_t stream) {
    if (streams.empty()) {
        streams.push_back(std::make_shared<struct stream_state>());
        streams[0]->blocking = true;
    }
    return stream ? stream->state : streams[0];
}

/* ---- running ---- */

static struct stream_state *needed(struct stream_state *stream) { /* what must step before `stream` can */
    while (!stream->queue.empty() && stream->queue.front().wait && !stream->queue.front().wait->done)
        stream = stream->queue.front().wait->stream.lock().get();
    return stream;
}

static bool can_step(const struct stream_state &stream) {
    return !stream.queue.empty() && (!stream.queue.front().wait || stream.queue.front().wait->done);
}

static double now_milliseconds() {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void step(struct stream_state &stream) {
    const std::shared_ptr<struct graph_run> graph = stream.queue.front().graph;
    if (graph && !device_lost() && !run_node(*graph)) return;
    const struct operation op = std::move(stream.queue.front());
    stream.queue.pop_front();
    if (op.run && !device_lost()) op.run();
    if (op.mark) {
        op.mark->milliseconds = now_milliseconds();
        op.mark->done = true;
    }
}

/* One step of the stream that the order chooses; `wanted` is what the host waits for. */
static void step_some(struct stream_state *wanted) {
    struct stream_state *chosen = nullptr;
    if (config().order == FORWARD) chosen = needed(wanted);
    else {
        std::vector<struct stream_state *> able;
        for (const auto &s : streams)
            if (can_step(*s)) able.push_back(s.get());
        if (able.empty()) die("streams wait for each other");
        if (config().order == SHUFFLED) chosen = able[random_below(able.size())];
        else chosen = able.back() == wanted && able.size() > 1 ? able[able.size() - 2] : able.back();
    }
    step(*chosen);
    /* A destroyed stream lives on until its work is done. */
    for (size_t i = 1; i < streams.size(); i++)
        if (streams[i].use_count() == 1 && streams[i]->queue.empty()) streams.erase(streams.begin() + (ptrdiff_t)i--);
}

void run_until(const std::shared_ptr<struct record> &record) {
    struct device_access access;
    while (!record->done) {
        const std::shared_ptr<struct stream_state> wanted = record->stream.lock();
        step_some(wanted.get());
    }
}

void run_stream(cudaStream_t stream) { run_until(mark_end(state_of(stream))); }

void run_all() {
    std::vector<std::shared_ptr<struct record>> ends;
    state_of(nullptr);
    for (const auto &s : streams) ends.push_back(mark_end(s));
    if (config().order == REVERSE) std::reverse(ends.begin(), ends.end());
    for (const auto &end : ends) run_until(end);
}

/* ---- enqueueing ---- */

static void push_plain(const std::shared_ptr<struct stream_state> &stream, struct operation op) {
    stream->queue.push_back(std::move(op));
}

std::shared_ptr<struct record> mark_end(const std::shared_ptr<struct stream_state> &stream) {
    auto record = std::make_shared<struct record>();
    record->stream = stream;
    if (stream->queue.empty()) record->done = true;
    else push_plain(stream, {nullptr, nullptr, record, nullptr});
    return record;
}

static void follow(const std::shared_ptr<struct stream_state> &stream,
                   const std::shared_ptr<struct stream_state> &other) {
    const std::shared_ptr<struct record> end = mark_end(other);
    if (!end->done) push_plain(stream, {nullptr, end, nullptr, nullptr});
}

void push(const std::shared_ptr<struct stream_state> &stream, struct operation op) {
    const std::shared_ptr<struct stream_state> legacy = state_of(nullptr);
    if (stream == legacy) {
        for (const auto &s : std::vector<std::shared_ptr<struct stream_state>>(streams)) {
            if (s == legacy || !s->blocking) continue;
            if (s->capture) die("work in the default stream while a blocking stream captures");
            follow(legacy, s);
        }
    } else if (stream->blocking) follow(stream, legacy);
    push_plain(stream, std::move(op));
    if (stream->queue.size() > LONGEST_QUEUE) run_until(mark_end(stream));
}

bool is_capturing(cudaStream_t stream) { return state_of(stream)->capture != nullptr; }

void enqueue(cudaStream_t stream, std::function<void()> run) {
    const std::shared_ptr<struct stream_state> s = state_of(stream);
    if (s->capture) capture_node(*s, std::move(run));
    else push(s, {std::move(run), nullptr, nullptr, nullptr});
}

void forbid_in_capture(const char *call) {
    for (const auto &s : streams)
        if (s->capture && s->capture->mode != cudaStreamCaptureModeRelaxed) die("%s during a capture", call);
}

static void forbid_captured(const char *call, const std::shared_ptr<struct record> &record) {
    forbid_in_capture(call);
    if (record && record->capture) die("%s of an event that was recorded in a capture", call);
}

} // namespace cudaemu

using namespace cudaemu;
typedef std::lock_guard<std::recursive_mutex> guard;

extern "C" {

int64_t cudaemu_syncs(void) {
    guard g(lock());
    return syncs;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags) {
    guard g(lock());
    *stream = nullptr;
    if (cudaError_t error = enter()) return error;
    state_of(nullptr);
    *stream = new CUstream_st;
    (*stream)->state = std::make_shared<struct stream_state>();
    (*stream)->state->blocking = !(flags & cudaStreamNonBlocking);
    streams.push_back((*stream)->state);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    guard g(lock());
    if (!stream) die("cudaStreamDestroy of the default stream");
    if (stream->state->capture) die("cudaStreamDestroy of a stream that captures");
    if (stream->state->queue.empty()) streams.erase(std::find(streams.begin(), streams.end(), stream->state));
    delete stream;
    return enter();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    if (is_capturing(stream)) die("cudaStreamSynchronize during a capture");
    forbid_in_capture("cudaStreamSynchronize");
    syncs++;
    run_stream(stream);
    return enter();
}

cudaError_t cudaDeviceSynchronize(void) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    for (const auto &s : streams)
        if (s->capture) die("cudaDeviceSynchronize during a capture");
    syncs++;
    run_all();
    return enter();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    const std::shared_ptr<struct stream_state> s = state_of(stream);
    const std::shared_ptr<struct record> last = event->last;
    if (!last) return cudaSuccess;
    if (last->capture) capture_wait(s, *last);
    else if (s->capture) die("cudaStreamWaitEvent: a stream that captures waits for an event from outside the capture");
    else if (!last->done) push(s, {nullptr, last, nullptr, nullptr});
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags) {
    guard g(lock());
    *event = nullptr;
    if (cudaError_t error = enter()) return error;
    *event = new CUevent_st{!(flags & cudaEventDisableTiming), nullptr};
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    const std::shared_ptr<struct stream_state> s = state_of(stream);
    auto record = std::make_shared<struct record>();
    record->stream = s;
    if (s->capture) {
        record->capture = s->capture;
        record->tail = s->tail;
    } else push(s, {nullptr, nullptr, record, nullptr});
    event->last = record;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    forbid_captured("cudaEventSynchronize", event->last);
    syncs++;
    if (event->last) run_until(event->last);
    return enter();
}

/* Who asks again and again gets on: each question that is answered "not yet" runs one step. */
cudaError_t cudaEventQuery(cudaEvent_t event) {
    guard g(lock());
    if (cudaError_t error = enter()) return error;
    forbid_captured("cudaEventQuery", event->last);
    if (!event->last || event->last->done) return cudaSuccess;
    struct device_access access;
    const std::shared_ptr<struct stream_state> wanted = event->last->stream.lock();
    step_some(wanted.get());
    const cudaError_t error = enter();
    return error != cudaSuccess ? error : report(cudaErrorNotReady);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    guard g(lock());
    delete event;
    return enter();
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    guard g(lock());
    *milliseconds = 0;
    if (cudaError_t error = enter()) return error;
    forbid_captured("cudaEventElapsedTime", begin->last);
    forbid_captured("cudaEventElapsedTime", end->last);
    if (!begin->timed || !end->timed || !begin->last || !end->last) return report(cudaErrorInvalidResourceHandle);
    if (!begin->last->done || !end->last->done) return report(cudaErrorNotReady);
    *milliseconds = (float)(end->last->milliseconds - begin->last->milliseconds);
    return cudaSuccess;
}

} // extern "C"
