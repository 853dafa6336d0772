/* SPDX-License-Identifier: Apache-2.0
 * framing.c - where the steps of a recording begin and end: n events in order of time t, cut into T steps.
 *
 * SpikingJelly's rules, with their edges defined:
 *   count       n/T events a step, the last step takes the remainder. n < T: all events are in the last step.
 *   time        dt = (t[n-1] - t[0]) / T in whole microseconds; step j holds t0 + j*dt <= t < t0 + (j+1)*dt, the last
 *               all that remain. A span shorter than T microseconds (one timestamp): all events are in the last.
 *   duration    dt given; ceil((t[n-1] - t[0]) / dt) steps, at least one, from the first event on; an event exactly
 *               at the end belongs to the last step. Steps beyond the recording's own are empty.
 *               From zero, or a time: an event is in step floor((t - from) / dt), of as many as the last one needs.
 *
 * tonic's (ToFrame; o: overlap), which leave out what does not fill a step:
 *   window      [from + j*(dt-o), + dt), floor((until - from - dt) / (dt-o)) + 1 of them, at least one; until: t[n-1],
 *               or given. Incomplete: ceil, so that a last window may reach beyond the recording.
 *   events      N events from each (N-o)-th on, floor((n - min(N,n)) / (N-o)) + 1 steps; incomplete: ceil.
 *   time_bins   T windows of w = (t[n-1] - t[0])/T * (1+o), whole microseconds but for 1+o, from each w*(1-o) on.
 *   event_bins  T steps of c = floor(n/T * (1+o)) events (n/T whole), from each floor(c*(1-o))-th on.
 *
 * Others:
 *   edges       T edges, evenly from 0 to `until`: step j lies between edges j-1 and j. Step 0 is empty (spytorch).
 *   adaptive    a step begins with the first event that is not in one yet and ends with its N-th event, or with the
 *               last one within dt of its first: fast scenes have short steps, and silence has none.
 *   voxel       step j holds all events at most (t[n-1] - t[0]) / (T-1) away from its middle (frame.c).
 *
 * In numbers of 16 bits (half.h), which SpikingJelly computes with on SHD, H rounding:
 *   time        dt = H(H(t[n-1] - t[0]) / T) in seconds, l = H(H(dt*j) + t[0]), l <= t < H(l + dt), the last all that
 *               remain: events may be in two steps, or in none.
 *   duration    t = H(H(1000 t) - H(1000 t[0])) in ms, ceil(H(t[n-1] / dt)) steps, otherwise as above.
 *   adaptive    t = H(1000 t) in ms; within dt is H(t - first) <= dt.
 *
 * No event at all: all steps are empty (rules that have steps of their own: one step). */
#include <math.h>
#include <string.h>

#include "core/status.h"
#include "datasets/half.h"
#include "datasets/parts.h"

static int64_t bin_us(const struct snn_binning *bin) { return llround(bin->dt.value * 1e6); }
static double bin_ms(const struct snn_binning *bin) { return snn_half((double)bin_us(bin) / 1000); }

static int64_t span(const struct snn_event *events, size_t n) { return n ? events[n - 1].t - events[0].t : 0; }

/* Where the first bin or window begins. */
static int64_t start_of(const struct snn_binning *bin, const struct snn_event *events, size_t n) {
    if (bin->from == SNN_BIN_FROM_ZERO) return bin->start_us;
    return n ? events[0].t : 0;
}

/* Where the recording ends, when windows are counted. */
static int64_t end_of(const struct snn_binning *bin, const struct snn_event *events, size_t n) {
    if (bin->until_us > 0) return (int64_t)bin->until_us;
    return n ? events[n - 1].t : 0;
}

/* ---- clocks ---- */

static double half_ms(const struct snn_event *event) { return snn_half(1000 * snn_half_seconds(event->t)); }

double snn_framing_when(const struct snn_framing *cut, size_t i) {
    const struct snn_event *event = &cut->events[i];
    switch (cut->clock) {
    case SNN_CLOCK_US:
        return (double)(event->t - cut->base);
    case SNN_CLOCK_HALF_S:
        return snn_half_seconds(event->t);
    case SNN_CLOCK_HALF_MS:
        return snn_half(half_ms(event) - cut->scale);
    default:
        return (double)(event->t - cut->base) * cut->scale / cut->span;
    }
}

/* The first event from `at` on that is not before `edge`. */
static size_t reach(const struct snn_framing *cut, size_t at, double edge) {
    if (cut->clock == SNN_CLOCK_US) { /* whole numbers are before x when they are before the whole number above */
        int64_t stop = edge < 0x1p62 ? (int64_t)ceil(edge) : INT64_MAX;
        while (at < cut->n && cut->events[at].t - cut->base < stop) ++at;
    } else {
        while (at < cut->n && snn_framing_when(cut, at) < edge) ++at;
    }
    return at;
}

/* ---- how many steps ---- */

bool snn_bin_has_own_steps(const struct snn_binning *bin) {
    return bin->by == SNN_BIN_DURATION || bin->by == SNN_BIN_WINDOW || bin->by == SNN_BIN_EVENTS ||
           bin->by == SNN_BIN_ADAPTIVE;
}

static int64_t duration_steps(const struct snn_binning *bin, const struct snn_event *events, size_t n) {
    if (bin->half)
        return n ? (int64_t)ceil(snn_half(snn_half(half_ms(&events[n - 1]) - half_ms(events)) / bin_ms(bin))) : 1;
    int64_t dt = bin_us(bin), us = n ? events[n - 1].t - start_of(bin, events, n) : 0;
    return us / dt + (bin->from == SNN_BIN_FROM_ZERO || us % dt != 0);
}

/* Windows of `width` that fit into `length`, each `hop` behind the one before. */
static int64_t windows(int64_t length, int64_t width, int64_t hop, bool incomplete) {
    int64_t left = length - width;
    return left < 0 ? 1 : left / hop + (incomplete && left % hop != 0) + 1;
}

static int64_t adaptive_steps(const struct snn_binning *bin, const struct snn_event *events, size_t n) {
    struct snn_framing cut = snn_framing_start(bin, 1, events, n);
    int64_t steps = 0;
    while (snn_framing_next(&cut).end < n) ++steps;
    return steps + 1;
}

int32_t snn_bin_own_steps(const struct snn_binning *bin, const struct snn_event *events, size_t n) {
    int64_t steps, overlap = (int64_t)bin->overlap;
    switch (bin->by) {
    case SNN_BIN_DURATION:
        steps = duration_steps(bin, events, n);
        break;
    case SNN_BIN_WINDOW:
        steps = windows(end_of(bin, events, n) - start_of(bin, events, n), bin_us(bin), bin_us(bin) - overlap,
                        bin->incomplete);
        break;
    case SNN_BIN_EVENTS:
        steps = windows((int64_t)n, bin->events, bin->events - overlap, bin->incomplete);
        break;
    default:
        steps = adaptive_steps(bin, events, n);
    }
    return steps < 1 ? 1 : steps > INT32_MAX ? INT32_MAX : (int32_t)steps;
}

int32_t snn_bin_steps(const struct snn_data_config *config, int32_t timesteps, const struct snn_event *events,
                      size_t n) {
    int32_t given = timesteps ? timesteps : (int32_t)config->timesteps; /* -1: auto */
    if (!snn_bin_has_own_steps(&config->bin)) return given;
    int32_t own = snn_bin_own_steps(&config->bin, events, n);
    return given > 0 && given < own ? given : own;
}

void snn_bin_refit(struct snn_binning *bin) {
    bool by_time = bin->by == SNN_BIN_DURATION || bin->by == SNN_BIN_WINDOW || bin->by == SNN_BIN_EDGES;
    if (!snn_bin_has_own_steps(bin) && bin->by != SNN_BIN_EDGES) return;
    *bin = (struct snn_binning){.by = by_time ? SNN_BIN_TIME : SNN_BIN_COUNT,
                                .binary = bin->binary,
                                .half = bin->half && by_time,
                                .tau_us = bin->tau_us};
}

/* ---- one step after the other ---- */

static void cut_by_time(struct snn_framing *cut, int64_t base, double hop, double width) {
    cut->how = SNN_CUT_TIME;
    cut->base = base;
    cut->hop = hop, cut->width = width;
    cut->overlaps = width > hop;
}

static void cut_by_index(struct snn_framing *cut, size_t stride, size_t each) {
    cut->how = SNN_CUT_INDEX;
    cut->stride = stride, cut->each = each;
}

static void start_half_time(struct snn_framing *cut, int32_t T) {
    size_t n = cut->n;
    cut->clock = SNN_CLOCK_HALF_S;
    cut->first = n ? snn_framing_when(cut, 0) : 0;
    double dt = n ? snn_half(snn_half(snn_framing_when(cut, n - 1) - cut->first) / T) : 0;
    cut_by_time(cut, 0, dt, dt);
    cut->overlaps = true; /* where rounding has it so */
}

static void start_voxel(struct snn_framing *cut, int32_t T, int64_t first, int64_t length) {
    cut_by_time(cut, first, 1, 2);
    cut->clock = SNN_CLOCK_VOXEL;
    cut->shift = 1;
    cut->scale = T - 1, cut->span = length ? (double)length : 1;
}

struct snn_framing snn_framing_start(const struct snn_binning *bin, int32_t T, const struct snn_event *events,
                                     size_t n) {
    struct snn_framing cut = {.events = events, .n = n, .last = -1};
    int64_t first = n ? events[0].t : 0, length = span(events, n), dt = bin_us(bin);
    size_t each = n / (size_t)T;
    switch (bin->by) {
    case SNN_BIN_COUNT:
        cut_by_index(&cut, each, each);
        cut.last = T - 1;
        break;
    case SNN_BIN_TIME:
        if (bin->half) start_half_time(&cut, T);
        else cut_by_time(&cut, first, (double)(length / T), (double)(length / T));
        cut.last = T - 1;
        break;
    case SNN_BIN_DURATION:
        if (bin->half) {
            cut_by_time(&cut, 0, bin_ms(bin), bin_ms(bin));
            cut.clock = SNN_CLOCK_HALF_MS;
            cut.scale = n ? half_ms(events) : 0;
        } else {
            cut_by_time(&cut, start_of(bin, events, n), (double)dt, (double)dt);
        }
        cut.last = snn_bin_own_steps(bin, events, n) - 1;
        break;
    case SNN_BIN_WINDOW:
        cut_by_time(&cut, start_of(bin, events, n), (double)dt - bin->overlap, (double)dt);
        break;
    case SNN_BIN_EVENTS:
        cut_by_index(&cut, (size_t)bin->events - (size_t)bin->overlap, (size_t)bin->events);
        break;
    case SNN_BIN_TIME_BINS: {
        double width = (double)(length / T) * (1 + bin->overlap);
        cut_by_time(&cut, 0, width * (1 - bin->overlap), width);
        cut.first = (double)first; /* edges are rounded where tonic's are */
        break;
    }
    case SNN_BIN_EVENT_BINS:
        each = (size_t)((double)each * (1 + bin->overlap));
        cut_by_index(&cut, (size_t)((double)each * (1 - bin->overlap)), each);
        break;
    case SNN_BIN_EDGES: {
        /* T-1 hops never go beyond the last edge; edges on whole microseconds stay there when they are rounded up. */
        double hop = nextafter(bin->until_us / (T - 1), 0);
        cut_by_time(&cut, 0, hop, hop);
        cut.shift = 1;
        break;
    }
    case SNN_BIN_ADAPTIVE:
        cut.how = SNN_CUT_ADAPTIVE;
        cut.each = bin->events ? (size_t)bin->events : SIZE_MAX;
        cut.base = first;
        cut.width = bin->half ? bin_ms(bin) : (double)dt;
        if (bin->half) cut.clock = SNN_CLOCK_HALF_MS;
        break;
    default:
        start_voxel(&cut, T, first, length);
    }
    return cut;
}

static void next_by_index(struct snn_framing *cut, int32_t j) {
    struct snn_step *step = &cut->step;
    size_t begin = (size_t)j * cut->stride;
    step->begin = begin < cut->n ? begin : cut->n;
    step->end = cut->each < cut->n - step->begin ? step->begin + cut->each : cut->n;
}

static void next_by_time(struct snn_framing *cut, int32_t j) {
    struct snn_step *step = &cut->step;
    double left, right;
    if (cut->clock == SNN_CLOCK_HALF_S) {
        left = snn_half(snn_half(cut->hop * j) + cut->first);
        right = snn_half(left + cut->width);
    } else {
        left = (j - cut->shift) * cut->hop + cut->first;
        right = cut->overlaps ? left + cut->width : (j + 1 - cut->shift) * cut->hop + cut->first;
    }
    step->stop = right;
    step->begin = reach(cut, cut->overlaps ? step->begin : step->end, left);
    step->end = reach(cut, step->end > step->begin ? step->end : step->begin, right);
}

static void next_adaptive(struct snn_framing *cut) {
    struct snn_step *step = &cut->step;
    size_t at = step->begin = step->end;
    double first = at < cut->n ? snn_framing_when(cut, at) : 0;
    bool half = cut->clock == SNN_CLOCK_HALF_MS;
    for (; at < cut->n && at - step->begin < cut->each; ++at) {
        double later = snn_framing_when(cut, at) - first;
        if ((half ? snn_half(later) : later) > cut->width) break;
    }
    step->end = at;
}

struct snn_step snn_framing_next(struct snn_framing *cut) {
    int32_t j = cut->j++;
    switch (cut->how) {
    case SNN_CUT_INDEX:
        next_by_index(cut, j);
        break;
    case SNN_CUT_TIME:
        next_by_time(cut, j);
        break;
    default:
        next_adaptive(cut);
    }
    if (j == cut->last) cut->step.end = cut->n;
    if ((j == cut->last || cut->how != SNN_CUT_TIME) && cut->step.end) {
        double latest = snn_framing_when(cut, cut->step.end - 1);
        if (cut->step.stop < latest) cut->step.stop = latest;
    }
    return cut->step;
}
