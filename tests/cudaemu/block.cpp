/* SPDX-License-Identifier: Apache-2.0
 * block.cpp - runs the thread blocks of a kernel: threads as fibers, barriers, warp operations.
 *
 * One fiber runs thread after thread for as long as none of them has to wait; only a thread that waits keeps its fiber,
 * and the next thread gets another. So a kernel without barriers costs little more than a loop. Which thread comes next
 * is the order's business (CUDAEMU_ORDER); a thread that waits goes on only after all it waits for have come.
 *
 * The rules are strict: whoever meets, meets at one place of the source; nobody leaves the kernel while others wait for
 * him or will; every lane that a mask names exists and comes. Hardware lets some of this pass, CUDA's manual does not
 * promise it. */
#include <algorithm>
#include <stdio.h>
#include <string.h>
#include <string>

#include "fiber.h"
#include "internal.h"

uint3 threadIdx, blockIdx;
dim3 blockDim(0, 0, 0), gridDim(0, 0, 0);

namespace cudaemu {

struct thread {
    struct fiber *at; /* its stack, while it waits */
    const char *file; /* where it waits */
    int line;
    enum meeting kind;
    unsigned int mask; /* 0 at a barrier of the block */
    int source;        /* the lane whose value it asks for, -1 for none */
    uint64_t value;
    uint64_t result;
    void *tsan; /* ThreadSanitizer's idea of it */
};

struct warp {
    unsigned int exists, left, waiting; /* lanes */
};

static const struct kernel_call *running; /* NULL outside kernels */
static int threads_of_block;
static struct thread threads[MAX_THREADS];
static uint3 place_of_thread[MAX_THREADS]; /* thread number -> threadIdx */
static struct warp warps[MAX_THREADS / 32];
static uint16_t order_of_threads[MAX_THREADS];
static int started, left; /* of this block */
static int current;       /* thread number */
static struct fiber *current_fiber;
static struct fiber host;
static uint16_t ready[MAX_THREADS]; /* a ring: threads that may go on */
static int ready_first, ready_count;
static int at_barrier; /* threads waiting at the block's barrier */
static int barrier_sum;
static unsigned char *dynamic_memory;
static void *tsan_host;
static char tsan_end, tsan_fence_object, tsan_barrier,
    tsan_warp[MAX_THREADS]; /* addresses that ThreadSanitizer knows */

bool in_kernel() { return running != nullptr; }

static const char *const names[] = {"__syncthreads",   "__syncthreads_or", "__syncthreads_and", "__syncthreads_count",
                                    "__syncwarp",      "__shfl_sync",      "__shfl_up_sync",    "__shfl_down_sync",
                                    "__shfl_xor_sync", "__ballot_sync",    "__any_sync",        "__all_sync"};

/* ---- sentences ---- */

static std::string say_thread(int t) {
    char text[128];
    const uint3 p = place_of_thread[t];
    snprintf(text, sizeof text, "thread (%u,%u,%u) of block (%u,%u,%u)", p.x, p.y, p.z, blockIdx.x, blockIdx.y,
             blockIdx.z);
    return text;
}

static std::string say_site(const struct thread &t) {
    return std::string(names[t.kind]) + " at " + t.file + ":" + std::to_string(t.line);
}

[[noreturn]] static void deadlock() {
    std::string list;
    int listed = 0, waiting = 0;
    for (int t = 0; t < threads_of_block; t++) {
        const bool lane_waits = (warps[t / 32].waiting >> (t % 32)) & 1;
        if (!lane_waits && !threads[t].at) continue;
        if (listed++ < 4) list += "; " + say_thread(t) + " at " + say_site(threads[t]);
        waiting++;
    }
    die("deadlock in kernel %s: %d threads wait for others that will not come%s%s", running->name, waiting,
        list.c_str(), waiting > 4 ? "; ..." : "");
}

/* ---- who runs next ---- */

static void become(int t) {
    current = t;
    threadIdx = place_of_thread[t];
    if (tsan()) tsan_switch(threads[t].tsan);
}

static int take_ready() {
    const int t = ready[ready_first];
    ready_first = (ready_first + 1) % (int)MAX_THREADS;
    ready_count--;
    return t;
}

static void make_ready(int t) { ready[(ready_first + ready_count++) % (int)MAX_THREADS] = (uint16_t)t; }

static bool start_first() {
    if (started >= threads_of_block) return false;
    return ready_count == 0 || config().order != SHUFFLED || random_below(2) == 0;
}

static void permute(uint16_t *list, int n) {
    for (int i = n - 1; i > 0; i--) std::swap(list[i], list[random_below((uint64_t)i + 1)]);
}

static void leave_kernel(int t) {
    struct warp &w = warps[t / 32];
    const unsigned int lane = 1u << (t % 32);
    w.left |= lane;
    left++;
    if (at_barrier > 0 || w.waiting) {
        for (int other = 0; other < threads_of_block; other++) {
            const struct thread &o = threads[other];
            const bool lane_waits = (warps[other / 32].waiting >> (other % 32)) & 1;
            if (lane_waits && other / 32 == t / 32 && (o.mask & lane))
                die("bad mask: %s waits in %s with mask 0x%08x, but lane %d has left kernel %s",
                    say_thread(other).c_str(), say_site(o).c_str(), o.mask, t % 32, running->name);
            if (!lane_waits && o.at && o.mask == 0 && at_barrier > 0)
                die("divergent: %s waits in %s, but %s has left kernel %s", say_thread(other).c_str(),
                    say_site(o).c_str(), say_thread(t).c_str(), running->name);
        }
    }
    if (tsan()) __tsan_release(&tsan_end);
}

static void run_threads();

/* Gives control to whoever is next; returns when this fiber is wanted again. */
static void pass_on() {
    struct fiber *self = current_fiber;
    struct fiber *to;
    if (start_first()) to = fiber_take(run_threads);
    else if (ready_count > 0) {
        const int t = take_ready();
        become(t);
        to = threads[t].at;
        threads[t].at = nullptr;
    } else if (left == threads_of_block) to = &host;
    else deadlock();
    if (to == self) return;
    current_fiber = to;
    fiber_switch(self, to);
}

/* What every fiber does, for ever. */
static void run_threads() {
    struct fiber *self = current_fiber;
    for (;;) {
        while (start_first()) {
            const int t = order_of_threads[started++];
            become(t);
            if (tsan()) tsan_forget(self->low, self->bytes);
            running->thread();
            leave_kernel(current);
        }
        fiber_give_back(self);
        pass_on();
    }
}

/* ---- meeting ---- */

static void wait_here() {
    threads[current].at = current_fiber;
    pass_on();
}

static struct thread &arrive(const char *file, int line, enum meeting kind, unsigned int mask) {
    if (!running) die("%s at %s:%d outside a kernel", names[kind], file, line);
    struct thread &t = threads[current];
    t.file = file;
    t.line = line;
    t.kind = kind;
    t.mask = mask;
    return t;
}

static bool same_site(const struct thread &a, const struct thread &b) {
    return a.kind == b.kind && a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0);
}

int meet_block(const char *file, int line, enum meeting kind, int predicate) {
    static int first; /* the thread that came first */
    struct thread &me = arrive(file, line, kind, 0);
    if (left > 0)
        die("divergent: %s waits in %s, but %d threads of its block have left kernel %s", say_thread(current).c_str(),
            say_site(me).c_str(), left, running->name);
    if (at_barrier == 0) {
        first = current;
        barrier_sum = 0;
    } else if (!same_site(me, threads[first]))
        die("divergent: %s is in %s, but %s in %s (kernel %s)", say_thread(current).c_str(), say_site(me).c_str(),
            say_thread(first).c_str(), say_site(threads[first]).c_str(), running->name);
    barrier_sum += predicate;
    if (++at_barrier == threads_of_block) {
        const int n = threads_of_block;
        const int result = kind == SYNCTHREADS_AND  ? barrier_sum == n
                           : kind == SYNCTHREADS_OR ? barrier_sum > 0
                                                    : barrier_sum;
        if (config().order == SHUFFLED) permute(order_of_threads, n);
        for (int i = 0; i < n; i++) {
            threads[i].result = (uint64_t)result;
            make_ready(order_of_threads[i]);
        }
        at_barrier = 0;
        if (tsan()) {
            for (int i = 0; i < n; i++) tsan_switch(threads[i].tsan), __tsan_release(&tsan_barrier);
            for (int i = 0; i < n; i++) tsan_switch(threads[i].tsan), __tsan_acquire(&tsan_barrier);
        }
    }
    wait_here();
    return (int)me.result;
}

/* The lane whose value a shuffle asks for; its own where CUDA says so. */
static int source_lane(enum meeting kind, int me, int lane, int width) {
    const int base = me & ~(width - 1);
    const int last = base + width - 1;
    switch (kind) {
    case SHUFFLE:
        return base + (lane & (width - 1));
    case SHUFFLE_UP:
        return me - lane < base ? me : me - lane;
    case SHUFFLE_DOWN:
        return me + lane > last ? me : me + lane;
    case SHUFFLE_XOR:
        return (me ^ lane) > last ? me : (me ^ lane);
    default:
        return -1;
    }
}

static void complete(struct warp &w, struct thread *lanes, unsigned int mask, int finisher) {
    unsigned int ballot = 0;
    const enum meeting kind = lanes[finisher].kind;
    for (unsigned int m = mask; m; m &= m - 1) {
        const int lane = __builtin_ctz(m);
        ballot |= (unsigned int)(lanes[lane].value & 1) << lane;
    }
    /* Of a lane outside the mask CUDA promises nothing: all ones, which is a NaN and a bad index. */
    for (unsigned int m = mask; m; m &= m - 1) {
        struct thread &t = lanes[__builtin_ctz(m)];
        switch (kind) {
        case BALLOT:
            t.result = ballot;
            break;
        case ANY:
            t.result = ballot != 0;
            break;
        case ALL:
            t.result = ballot == mask;
            break;
        default:
            t.result = t.source < 0 ? 0 : (mask >> t.source) & 1 ? lanes[t.source].value : ~(uint64_t)0;
        }
    }
    w.waiting &= ~mask;
    const int base = (int)(lanes - threads);
    unsigned int others = mask & ~(1u << finisher);
    const enum order_kind order = config().order;
    const int turn = order == SHUFFLED ? (int)random_below(32) : 0;
    for (int i = 0; others && i < 32; i++) {
        const int lane = order == REVERSE ? 31 - i : (i + turn) % 32;
        if ((others >> lane) & 1) make_ready(base + lane);
    }
    if (kind == SYNCWARP && tsan()) {
        char *object = &tsan_warp[base + __builtin_ctz(mask)];
        for (unsigned int m = mask; m; m &= m - 1) tsan_switch(lanes[__builtin_ctz(m)].tsan), __tsan_release(object);
        for (unsigned int m = mask; m; m &= m - 1) tsan_switch(lanes[__builtin_ctz(m)].tsan), __tsan_acquire(object);
        tsan_switch(lanes[finisher].tsan);
    }
}

uint64_t meet_warp(const char *file, int line, enum meeting kind, unsigned int mask, uint64_t value, int lane,
                   int width) {
    struct thread &me = arrive(file, line, kind, mask);
    const int my_lane = current % 32;
    struct warp &w = warps[current / 32];
    struct thread *lanes = threads + (current & ~31);
    if (!((mask >> my_lane) & 1))
        die("bad mask: %s calls %s with mask 0x%08x, which does not name its own lane %d", say_thread(current).c_str(),
            say_site(me).c_str(), mask, my_lane);
    if (mask & ~w.exists)
        die("bad mask: %s calls %s with mask 0x%08x, but its warp has only %d lanes", say_thread(current).c_str(),
            say_site(me).c_str(), mask, __builtin_popcount(w.exists));
    if (mask & w.left)
        die("bad mask: %s calls %s with mask 0x%08x, but lane %d has left kernel %s", say_thread(current).c_str(),
            say_site(me).c_str(), mask, __builtin_ctz(mask & w.left), running->name);
    if (width < 1 || width > 32 || (width & (width - 1)))
        die("%s calls %s with width %d, which is not a power of two up to 32", say_thread(current).c_str(),
            say_site(me).c_str(), width);
    me.value = value;
    me.source = source_lane(kind, my_lane, lane, width);
    w.waiting |= 1u << my_lane;
    bool complete_now = (w.waiting & mask) == mask;
    for (unsigned int m = complete_now ? mask : 0; m; m &= m - 1) {
        const struct thread &other = lanes[__builtin_ctz(m)];
        if (other.mask == mask && same_site(other, me)) continue;
        if ((other.mask >> my_lane) & 1)
            die("divergent: %s calls %s with mask 0x%08x, but %s waits in %s with mask 0x%08x (kernel %s)",
                say_thread(current).c_str(), say_site(me).c_str(), mask, say_thread((int)(&other - threads)).c_str(),
                say_site(other).c_str(), other.mask, running->name);
        complete_now = false; /* the other will come when those that it waits for let it */
    }
    if (complete_now) complete(w, lanes, mask, my_lane);
    else wait_here();
    return me.result;
}

void fence() {
    if (!tsan() || !running) return;
    __tsan_acquire(&tsan_fence_object);
    __tsan_release(&tsan_fence_object);
}

/* ---- blocks ---- */

void *dynamic_shared_memory(size_t alignment) {
    if (!running) die("dynamic shared memory outside a kernel");
    if (running->shared == 0) die("kernel %s uses dynamic shared memory but was launched with none", running->name);
    if (alignment > 16) die("kernel %s wants dynamic shared memory aligned to more than 16 bytes", running->name);
    return dynamic_memory;
}

/* ThreadSanitizer's threads must not be taken again while the kernel runs: what one did in one block would then seem to
 * come before what it does in the next. */
static void *tsan_alive[MAX_THREADS];
static int tsan_born;

static void *tsan_bear() {
    void *&slot = tsan_alive[tsan_born++ % (int)(sizeof tsan_alive / sizeof *tsan_alive)];
    if (slot) __tsan_destroy_fiber(slot);
    slot = __tsan_create_fiber(0);
    return slot;
}

static void tsan_bury() {
    __tsan_acquire(&tsan_end);
    for (void *&slot : tsan_alive) {
        if (slot) __tsan_destroy_fiber(slot);
        slot = nullptr;
    }
    tsan_born = 0;
}

static void run_block(const std::vector<struct span> &shared) {
    const int n = threads_of_block;
    for (const struct span &s : shared) fill_ones(s.p, s.bytes);
    if (running->shared) fill_ones(dynamic_memory, running->shared);
    for (int i = 0; i < n; i += 32) {
        warps[i / 32].left = warps[i / 32].waiting = 0;
        warps[i / 32].exists = n - i >= 32 ? ~0u : (1u << (n - i)) - 1;
    }
    if (config().order == SHUFFLED) permute(order_of_threads, n);
    if (tsan()) {
        for (const struct span &s : shared) tsan_forget(s.p, s.bytes);
        if (running->shared) tsan_forget(dynamic_memory, running->shared);
        for (int i = 0; i < n; i++) threads[i].tsan = tsan_bear();
    }
    started = left = at_barrier = ready_count = 0;
    current_fiber = fiber_take(run_threads);
    fiber_switch(&host, current_fiber);
    if (tsan()) tsan_switch(tsan_host);
}

void run_kernel(const struct kernel_call &call) {
    if (running) die("kernel %s launched from a kernel", call.name);
    running = &call;
    blockDim = call.block;
    gridDim = call.grid;
    threads_of_block = (int)(call.block.x * call.block.y * call.block.z);
    const enum order_kind order = config().order;
    for (int t = 0; t < threads_of_block; t++) {
        const unsigned int i = (unsigned int)t;
        place_of_thread[t] = {i % call.block.x, i / call.block.x % call.block.y, i / call.block.x / call.block.y};
        order_of_threads[t] = (uint16_t)(order == REVERSE ? threads_of_block - 1 - t : t);
        threads[t].at = nullptr;
    }
    const std::vector<struct span> &shared = static_shared();
    if (call.shared) { /* of the exact size, so that AddressSanitizer sees its end */
        void *p;
        if (posix_memalign(&p, 16, call.shared) != 0) die("no memory for dynamic shared memory");
        dynamic_memory = static_cast<unsigned char *>(p);
    }
    if (tsan()) tsan_host = __tsan_get_current_fiber();
    const uint64_t blocks = (uint64_t)call.grid.x * call.grid.y * call.grid.z;
    std::vector<uint32_t> order_of_blocks; /* the first 2^20; later ones come as they are numbered */
    if (order == SHUFFLED) {
        order_of_blocks.resize((size_t)std::min<uint64_t>(blocks, 1u << 20));
        for (size_t i = 0; i < order_of_blocks.size(); i++) {
            const size_t j = random_below(i + 1);
            order_of_blocks[i] = order_of_blocks[j];
            order_of_blocks[j] = (uint32_t)i;
        }
    }
    for (uint64_t i = 0; i < blocks; i++) {
        const uint64_t b = order == REVERSE             ? blocks - 1 - i
                           : i < order_of_blocks.size() ? order_of_blocks[(size_t)i]
                                                        : i;
        blockIdx = {(unsigned int)(b % call.grid.x), (unsigned int)(b / call.grid.x % call.grid.y),
                    (unsigned int)(b / call.grid.x / call.grid.y)};
        run_block(shared);
    }
    if (tsan()) tsan_bury();
    if (call.shared) free(dynamic_memory);
    running = nullptr;
}

} // namespace cudaemu
