/* SPDX-License-Identifier: Apache-2.0
 * neuron_models.c - the table of neurons: the shapes of their cells, and the keys and numbers of each. What is read
 * becomes coefficients in neuron_read.c.
 *
 * A coefficient is named by the key that fills it; one that decays has two keys, for the factor and for a time
 * constant.
 */
#include <math.h>
#include <stddef.h>

#include "layers/cells/all.h"
#include "layers/layer.h"

/* ---- cells ---- */

#define X(name)                                                                                                        \
    static unsigned idle_##name(unsigned options) {                                                                    \
        (void)options;                                                                                                 \
        return name##_IDLE(options);                                                                                   \
    }
SNN_CELLS(X)
#undef X

const struct snn_cell_shape snn_cell_shapes[SNN_CELL_COUNT] = {
#define SHAPE(name, theta, to, rest, floor) STEPPED_SHAPE(name, theta, to, rest, floor, -1)
#define STEPPED_SHAPE(name, theta, to, rest, floor, stepped)                                                           \
    [SNN_CELL_##name] = {name##_STATES, name##_COEFS,   theta,          to,          rest,       floor, name##_KEEPS,  \
                         stepped,       name##_READS_V, name##_READS_X, name##_X_OF, idle_##name}
    SHAPE(lif, LIF_THETA, LIF_TO, LIF_REST, LIF_FLOOR),
    SHAPE(synaptic, SYN_THETA, SYN_TO, SYN_REST, SYN_FLOOR),
    SHAPE(alif, ALIF_THETA, ALIF_TO, ALIF_REST, -1),
    SHAPE(adlif, ADLIF_THETA, -1, -1, -1),
    SHAPE(seadlif, SEADLIF_THETA, SEADLIF_TO, -1, -1),
    SHAPE(alpha, ALPHA_THETA, ALPHA_TO, -1, -1),
    SHAPE(klif, KLIF_THETA, KLIF_TO, KLIF_REST, -1),
    SHAPE(nonlinear, NL_THETA, NL_TO, NL_REST, -1),
    SHAPE(spytorch, SPY_THETA, SPY_TO, -1, -1),
    SHAPE(filter, -1, -1, -1, -1),
    SHAPE(ada_lif, ADA_THETA, ADA_TO, ADA_REST, -1),
    STEPPED_SHAPE(glif, GLIF_THETA, -1, -1, -1, GLIF_CONDUCT),
    SHAPE(clif, CLIF_THETA, -1, -1, -1),
    SHAPE(rf, RF_THETA, -1, -1, -1),
    SHAPE(sigma_delta, SD_THETA, -1, -1, -1),
};

/* ---- keys ---- */

static const char *const decay_names[] = {"euler", "exp", NULL};
static const char *const fire_names[] = {"ge", "gt", NULL};
static const char *const reset_names[] = {"zero", "subtract", "none", "value", NULL};
static const char *const delay_names[] = {"false", "true", "twice", NULL};
static const char *const spikes_names[] = {"once", "several", "signed", "counted", "rounded", "graded", NULL};
static const char *const as_names[] = {"value", "logistic", "tau", NULL};
static const char *const per_names[] = {"layer", "channel", "neuron", NULL};
static const char *const none[] = {"none", NULL};
static const char *const the_threshold[] = {"threshold", NULL};
static const char *const the_reset[] = {"v_reset", NULL};
static const char *const the_rest[] = {"v_rest", NULL};

#define AT(field) offsetof(struct snn_neuron_options, field)
#define NUMBER(i, name, value, low, high, words, help)                                                                 \
    { name, SNN_REAL, AT(number) + (i) * sizeof(double), value, low, high, words, help }
#define FLAG(i, name, value, help)                                                                                     \
    { name, SNN_BOOL, AT(flag) + (i) * sizeof(bool), value, 0, 0, NULL, help }
#define DECAYS(i, factor, tau_name, value, help) DECAYS_IN(i, factor, tau_name, value, 0, 1, help)
/* The factor has a range, in which a model is stable. */
#define DECAYS_IN(i, factor, tau_name, value, low, high, help)                                                         \
    {tau_name,                                                                                                         \
     SNN_TIME,                                                                                                         \
     AT(tau) + (i) * sizeof(struct snn_time),                                                                          \
     value,                                                                                                            \
     0,                                                                                                                \
     1e6,                                                                                                              \
     NULL,                                                                                                             \
     help " time constant, in steps or with a unit (20 ms)"},                                                          \
        NUMBER(i, factor, "none", low, high, none, "decay a step, instead of " tau_name ": what is kept")
#define DECAY                                                                                                          \
    { "decay", SNN_CHOICE, AT(decay), "euler", 0, 0, decay_names, "how tau becomes a factor: 1 - 1/tau or exp(-1/tau)" }
#define DECAY_EXP                                                                                                      \
    { "decay", SNN_CHOICE, AT(decay), "exp", 0, 0, decay_names, "how tau becomes a factor: 1 - 1/tau or exp(-1/tau)" }
#define LEARNING                                                                                                       \
    {"learn", SNN_NODE, AT(learn), "[]", 0, 0, NULL, "numbers that are learned, by their keys: [beta, threshold]"},    \
        {"learn_as", SNN_CHOICE, AT(learn_as), "value",                                                                \
         0,          0,          as_names,     "a decay is learned itself, as 1 - sigmoid(w), or as tau"},             \
    {                                                                                                                  \
        "per", SNN_CHOICE, AT(per), "layer", 0, 0, per_names, "one learned number for the layer, a channel, a neuron"  \
    }
#define THRESHOLD(theta, value)                                                                                        \
    NUMBER(theta, "threshold", value, -1e6, 1e6, NULL, "fires at this membrane"), {                                    \
        "fire", SNN_CHOICE, AT(fire), "ge", 0, 0, fire_names, "spike when H >= threshold (ge) or H > threshold (gt)"   \
    }
#define RESETS(to, how, value)                                                                                         \
    {"reset", SNN_CHOICE, AT(reset),   how,                                                                            \
     0,       0,          reset_names, "after a spike: V = 0, V = H - threshold, V = H, or V = v_reset"},              \
        NUMBER(to, "v_reset", value, -1e6, 1e6, NULL, "reset: value goes here, and decay goes towards it"),            \
        {"detach_reset", SNN_BOOL, AT(detach_reset), "true", 0, 0, NULL, "no gradient through the spike that resets"}, \
    {                                                                                                                  \
        "detach_state", SNN_BOOL, AT(detach_state), "false", 0, 0, NULL,                                               \
            "no gradient from step to step: each learns by itself (SLTTLIFNode)"                                       \
    }
#define FIRING(theta, to) THRESHOLD(theta, "1.0"), RESETS(to, "zero", "0")
#define LATE                                                                                                           \
    {                                                                                                                  \
        "reset_delay", SNN_CHOICE, AT(delay), "false", 0, 0, delay_names,                                              \
            "reset one step later (snnTorch); twice: now, and again where still over the threshold (its false)"        \
    }
#define SPIKES                                                                                                         \
    {"spikes",                                                                                                         \
     SNN_CHOICE,                                                                                                       \
     AT(spikes),                                                                                                       \
     "once",                                                                                                           \
     0,                                                                                                                \
     0,                                                                                                                \
     spikes_names,                                                                                                     \
     "0 or 1; several a step, each with its surrogate, up to `levels`; -1, 0 and 1; counted: as many thresholds as "   \
     "H has (sinabs' MultiSpike); rounded: H/threshold to the nearest of 0 to `levels`, straight through (I-LIF); "    \
     "graded: "                                                                                                        \
     "H/threshold itself, where it fires"},                                                                            \
        {"levels", SNN_INT, AT(levels), "4", 1, 64, NULL, "most spikes of a step, for spikes: several or rounded"},    \
        NUMBER_AT("spacing", AT(spacing), "threshold", 1e-6, 1e6, the_threshold,                                       \
                  "of the membrane between one spike and the next, where there are several")
#define NUMBER_AT(name, field, value, low, high, words, help)                                                          \
    { name, SNN_REAL, field, value, low, high, words, help }
#define RECURRENT                                                                                                      \
    {                                                                                                                  \
        "recurrent", SNN_NODE, AT(recurrent_node), "false", 0, 0, NULL,                                                \
            "true: the layer's spikes come back a step later; or {kind, bias, diagonal, init}"                         \
    }
#define SURROGATE_ALONE                                                                                                \
    { "surrogate", SNN_NODE, AT(surrogate_node), "atan", 0, 0, NULL, "surrogate gradient: NAME or {name, parameters}" }
#define SURROGATE                                                                                                      \
    NUMBER_AT("noise", AT(noise), "none", 1e-6, 1e6, none,                                                             \
              "of the threshold: fires with probability sigmoid((H - threshold)/noise), for spikes of 0 and 1 "        \
              "(escape noise)"),                                                                                       \
        SURROGATE_ALONE
#define REST(i)                                                                                                        \
    NUMBER(i, "v_rest", "v_reset", -1e6, 1e6, the_reset, "the membrane decays towards this; v_reset: where resets go")
#define START(i) NUMBER(i, "v_start", "v_rest", -1e6, 1e6, the_rest, "the membrane before the first step")
#define FLOOR(i) NUMBER(i, "v_min", "none", -1e6, 1e6, none, "the membrane stays above this after a step")

/* ---- models ---- */

#define LIF_TAU DECAYS(LIF_BETA, "beta", "tau", "2.0", "membrane")
static const struct snn_key if_keys[] = {FIRING(LIF_THETA, LIF_TO), LATE,      LEARNING,  SPIKES,
                                         FLOOR(LIF_FLOOR),          RECURRENT, SURROGATE, {0}};
static const struct snn_key lif_keys[] = {LIF_TAU,
                                          DECAY,
                                          FLAG(0, "decay_input", "false", "scale the input by 1 - decay"),
                                          FIRING(LIF_THETA, LIF_TO),
                                          LATE,
                                          REST(LIF_REST),
                                          START(LIF_START),
                                          FLOOR(LIF_FLOOR),
                                          FLAG(1, "drop_input", "false", "a late reset takes the step's input along"),
                                          LEARNING,
                                          SPIKES,
                                          RECURRENT,
                                          SURROGATE,
                                          {0}};
static const struct snn_key plif_keys[] = {
    {"tau", SNN_TIME, AT(tau) + LIF_BETA * sizeof(struct snn_time), "2.0", 0, 1e6, NULL,
     "membrane time constant to start from, in steps or with a unit (20 ms)"},
    FLAG(0, "decay_input", "false", "scale the input by 1 - decay"),
    FIRING(LIF_THETA, LIF_TO),
    REST(LIF_REST),
    START(LIF_START),
    FLOOR(LIF_FLOOR),
    {"per", SNN_CHOICE, AT(per), "layer", 0, 0, per_names, "one learned number for the layer, a channel, a neuron"},
    SPIKES,
    RECURRENT,
    SURROGATE,
    {0}};
static const struct snn_key ilif_keys[] = {
    NUMBER(LIF_BETA, "beta", "0.25", 0, 1, NULL, "decay of the membrane a step"),
    THRESHOLD(LIF_THETA, "1.0"),
    {"levels", SNN_INT, AT(levels), "4", 1, 64, NULL, "most spikes of a step, D"},
    {"detach_reset", SNN_BOOL, AT(detach_reset), "true", 0, 0, NULL, "no gradient through the spikes that reset"},
    LEARNING,
    RECURRENT,
    {0}};
static const struct snn_key li_keys[] = {LIF_TAU,
                                         DECAY,
                                         FLAG(0, "decay_input", "false", "scale the input by 1 - decay"),
                                         NUMBER(LIF_REST, "v_rest", "0", -1e6, 1e6, NULL, "it decays towards this"),
                                         FLOOR(LIF_FLOOR),
                                         LEARNING,
                                         {0}};
/* Without a leak nothing tells where the membrane rests: it starts where resets go. */
static double starts_at_reset(const struct snn_neuron_options *o, int j) {
    return (j == LIF_REST || j == LIF_START) && o->reset == SNN_RESET_VALUE ? o->number[LIF_TO] : NAN;
}

static double lapicque(const struct snn_neuron_options *o, int j) {
    double R = o->part[0], C = o->part[1], dt = o->part[2];
    return j == LIF_BETA ? 1 - dt / (R * C) : j == LIF_KAPPA ? dt / C : starts_at_reset(o, j);
}
#define PART(i, name, value, help)                                                                                     \
    { name, SNN_REAL, AT(part) + (i) * sizeof(double), value, 1e-6, 1e6, NULL, help }
static const struct snn_key lapicque_keys[] = {
    PART(0, "resistance", "5.0", "of the membrane, R"),
    PART(1, "capacitance", "1.0", "of the membrane, C"),
    PART(2, "time_step", "1.0", "dt, in the unit of R C; below R C"),
    FIRING(LIF_THETA, LIF_TO),
    LATE,
    FLOOR(LIF_FLOOR),
    {"learn", SNN_NODE, AT(learn), "[]", 0, 0, NULL, "numbers that are learned, by their keys: [threshold]"},
    {"per", SNN_CHOICE, AT(per), "layer", 0, 0, per_names, "one learned number for the layer, a channel, a neuron"},
    SPIKES,
    RECURRENT,
    SURROGATE,
    {0}};
#define SYN_TAUS                                                                                                       \
    DECAYS(SYN_BETA, "beta", "tau", "10.0", "membrane"), DECAYS(SYN_ALPHA, "alpha", "tau_syn", "5.0", "current")
#define SYN_FLAGS                                                                                                      \
    FLAG(0, "decay_input", "false", "scale the current by 1 - beta"),                                                  \
        FLAG(1, "decay_current", "false", "the current has decayed when it acts (sinabs)"),                            \
        FLAG(2, "old_current", "false", "the membrane takes the current of the step before (Norse's LSNN)")
static const struct snn_key synaptic_keys[] = {SYN_TAUS, DECAY,          SYN_FLAGS,        FIRING(SYN_THETA, SYN_TO),
                                               LATE,     REST(SYN_REST), START(SYN_START), FLOOR(SYN_FLOOR),
                                               LEARNING, SPIKES,         RECURRENT,        SURROGATE,
                                               {0}};
static const struct snn_key cuba_li_keys[] = {
    SYN_TAUS,         DECAY,
    SYN_FLAGS,        NUMBER(SYN_REST, "v_rest", "0", -1e6, 1e6, NULL, "it decays towards this"),
    START(SYN_START), FLOOR(SYN_FLOOR),
    LEARNING,         {0}};

/* ---- adaptive neurons ---- */

#define ALIF_TAUS                                                                                                      \
    DECAYS(ALIF_BETA, "beta", "tau", "10.0", "membrane"), DECAYS(ALIF_RHO, "rho", "tau_adapt", "20.0", "threshold")
static const struct snn_key alif_keys[] = {
    ALIF_TAUS,
    {"tau_syn", SNN_TIME, AT(tau) + ALIF_ALPHA * sizeof(struct snn_time), "none", 0, 1e6, none,
     "time constant of the current, in steps or with a unit (20 ms); none: the input acts at once"},
    NUMBER(ALIF_ALPHA, "alpha", "none", 0, 1, none, "decay of the current a step, instead of tau_syn"),
    DECAY_EXP,
    FLAG(0, "decay_input", "true", "scale the current by 1 - beta"),
    FLAG(1, "decay_current", "false", "the current has decayed when it acts (sinabs with tau_syn)"),
    NUMBER(ALIF_SCALE, "adapt_scale", "1.8", -1e3, 1e3, NULL, "threshold = `threshold` + adapt_scale B"),
    FLAG(3, "relative", "false", "the surrogate sees H / threshold - 1 (sinabs)"),
    FLAG(6, "detach_threshold", "false", "no gradient to the threshold through what fires (sinabs)"),
    THRESHOLD(ALIF_THETA, "1.0"),
    RESETS(ALIF_TO, "subtract", "0"),
    LEARNING,
    RECURRENT,
    SURROGATE,
    {0}};
static const struct snn_key yin_keys[] = {
    ALIF_TAUS,
    DECAY_EXP,
    NUMBER(ALIF_SCALE, "adapt_scale", "1.8", -1e3, 1e3, NULL, "threshold = `threshold` + adapt_scale B"),
    NUMBER(ALIF_B0, "b_start", "0.01", -1e3, 1e3, NULL, "B before the first step"),
    THRESHOLD(ALIF_THETA, "0.01"),
    LEARNING,
    RECURRENT,
    SURROGATE,
    {0}};
static const struct snn_key lsnn_keys[] = {
    DECAYS(ALIF_BETA, "beta", "tau", "10.0", "membrane"),
    DECAYS(ALIF_RHO, "rho", "tau_adapt", "800.0", "threshold"),
    DECAYS(ALIF_ALPHA, "alpha", "tau_syn", "5.0", "current"),
    DECAY,
    NUMBER(ALIF_SCALE, "adapt_scale", "1.8", -1e3, 1e3, NULL, "the threshold rises by this at a spike"),
    NUMBER(ALIF_B0, "b_start", "1.0", -1e3, 1e3, NULL, "the threshold before the first step"),
    NUMBER(ALIF_REST, "v_rest", "0", -1e6, 1e6, NULL, "the membrane decays towards this"),
    START(ALIF_START),
    FIRING(ALIF_THETA, ALIF_TO),
    LEARNING,
    RECURRENT,
    SURROGATE,
    {0}};
static double ada_lif(const struct snn_neuron_options *o, int j) { return j == ADA_TO ? o->number[ADA_TO] : NAN; }
static const struct snn_key ada_lif_keys[] = {
    DECAYS(ADA_BETA, "beta", "tau", "10.0", "membrane"),
    DECAYS(ADA_RHO, "rho", "tau_adapt", "800.0", "adaptation"),
    DECAYS(ADA_ALPHA, "alpha", "tau_syn", "5.0", "current"),
    DECAY,
    NUMBER(ADA_SCALE, "adapt_scale", "1.8", -1e3, 1e3, NULL, "a spike adds this to the current that is taken off"),
    NUMBER(ADA_B0, "b_start", "0", -1e3, 1e3, NULL, "that current before the first step"),
    NUMBER(ADA_REST, "v_rest", "0", -1e6, 1e6, NULL, "the membrane decays towards this"),
    START(ADA_START),
    THRESHOLD(ADA_THETA, "1.0"),
    NUMBER(ADA_TO, "v_reset", "0", -1e6, 1e6, NULL, "a spike takes threshold - v_reset off the membrane"),
    {"detach_reset", SNN_BOOL, AT(detach_reset), "false", 0, 0, NULL, "no gradient through the spike that resets"},
    LEARNING,
    RECURRENT,
    SURROGATE,
    {0}};
static const struct snn_key adlif_keys[] = {
    DECAYS_IN(ADLIF_ALPHA, "alpha", "tau", "10.0", 0.81873, 0.96079, "membrane"),
    DECAYS_IN(ADLIF_BETA, "beta", "tau_adapt", "60.0", 0.96721, 0.99170, "adaptation"),
    DECAY_EXP,
    NUMBER(ADLIF_A, "a", "0.0", -1, 1, NULL, "of the membrane in the adaptation"),
    NUMBER(ADLIF_B, "b", "1.0", 0, 2, NULL, "of the spikes in the adaptation"),
    THRESHOLD(ADLIF_THETA, "1.0"),
    LEARNING,
    RECURRENT,
    SURROGATE,
    {0}};
static const struct snn_key seadlif_keys[] = {
    DECAYS_IN(SEADLIF_ALPHA, "alpha", "tau", "15.0", 0.81873, 0.96079, "membrane"),
    DECAYS_IN(SEADLIF_BETA, "beta", "tau_adapt", "120.0", 0.98347, 0.99668, "adaptation"),
    DECAY_EXP,
    NUMBER(SEADLIF_A, "a", "0.5", 0, 1, NULL, "of the membrane in the adaptation"),
    NUMBER(SEADLIF_B, "b", "1.0", 0, 2, NULL, "of the spikes in the adaptation"),
    NUMBER(SEADLIF_Q, "q", "120.0", 0, 1e4, NULL, "scale of the adaptation"),
    FLAG(0, "euler_forward", "false", "adaptation by the step before: Euler forward, not symplectic"),
    FIRING(SEADLIF_THETA, SEADLIF_TO),
    LEARNING,
    RECURRENT,
    SURROGATE,
    {0}};

/* ---- others ---- */

/* tau_alpha = ln alpha / (ln beta - ln alpha) + 1 */
static double alpha_tau(const struct snn_neuron_options *o, int j) {
    if (j != ALPHA_TAU) return NAN;
    double alpha = log(snn_neuron_number(o, ALPHA_ALPHA));
    return alpha / (log(snn_neuron_number(o, ALPHA_BETA)) - alpha) + 1;
}
static const struct snn_key alpha_keys[] = {
    NUMBER(ALPHA_ALPHA, "alpha", "0.9", 1e-3, 0.9999, NULL, "decay of the rising part a step, above beta"),
    NUMBER(ALPHA_BETA, "beta", "0.8", 1e-3, 0.9999, NULL, "decay of the falling part a step"),
    FIRING(ALPHA_THETA, ALPHA_TO),
    RECURRENT,
    SURROGATE_ALONE,
    {0}};
static const struct snn_key klif_keys[] = {
    DECAYS(KLIF_BETA, "beta", "tau", "2.0", "membrane"),
    DECAY,
    FLAG(0, "decay_input", "false", "scale the input by 1 - decay"),
    NUMBER(KLIF_K, "k", "1.0", 1e-3, 1e3, NULL, "scale of the membrane, learned"),
    FIRING(KLIF_THETA, KLIF_TO),
    FLAG(1, "scale_reset", "false", "divide by k again after a reset"),
    REST(KLIF_REST),
    {"per", SNN_CHOICE, AT(per), "layer", 0, 0, per_names, "one learned number for the layer, a channel, a neuron"},
    RECURRENT,
    SURROGATE,
    {0}};

/* Shares of a step from time constants: in steps, k = 1 / tau. */
static double share(const struct snn_neuron_options *o, int j);
#define NL_SHARES(value)                                                                                               \
    {                                                                                                                  \
        "tau", SNN_TIME, AT(tau) + NL_K * sizeof(struct snn_time), value, 0, 1e6, NULL,                                \
            "membrane time constant, in steps or with a unit (20 ms)"                                                  \
    }
#define NL_SHARES_W(value)                                                                                             \
    {                                                                                                                  \
        "tau_adapt", SNN_TIME, AT(tau) + NL_KW * sizeof(struct snn_time), value, 0, 1e6, NULL,                         \
            "time constant of the adaptation, in steps or with a unit"                                                 \
    }
#define NL_CURRENT                                                                                                     \
    {                                                                                                                  \
        "tau_syn", SNN_TIME, AT(tau) + NL_ALPHA * sizeof(struct snn_time), "5.0", 0, 1e6, NULL,                        \
            "time constant of the current, in steps or with a unit"                                                    \
    }
#define NL_NUMBER(i, name, value, help) NUMBER(i, name, value, -1e6, 1e6, NULL, help)
#define NL_QUADRATIC                                                                                                   \
    NL_NUMBER(NL_A0, "a0", "1.0", "curvature"),                                                                        \
        NL_NUMBER(NL_CRITICAL, "v_critical", "0.8", "above it the membrane runs away")
#define NL_EXPONENTIALLY(at, name, sharp)                                                                              \
    NL_NUMBER(NL_CRITICAL, name, at, "rheobase threshold of the exponential"),                                         \
        NUMBER(NL_SHARP, "sharpness", sharp, 1e-3, 1e3, NULL, "of the exponential, delta_T")
static const struct snn_key qif_keys[] = {NL_SHARES("2.0"),
                                          NL_QUADRATIC,
                                          NL_NUMBER(NL_REST, "v_rest", "0.0", "resting membrane"),
                                          THRESHOLD(NL_THETA, "1.0"),
                                          RESETS(NL_TO, "value", "-0.1"),
                                          RECURRENT,
                                          SURROGATE,
                                          {0}};
static const struct snn_key eif_keys[] = {NL_SHARES("2.0"),
                                          NL_EXPONENTIALLY("0.8", "v_rheobase", "1.0"),
                                          NL_NUMBER(NL_REST, "v_rest", "0.0", "resting membrane"),
                                          THRESHOLD(NL_THETA, "1.0"),
                                          RESETS(NL_TO, "value", "-0.1"),
                                          RECURRENT,
                                          SURROGATE,
                                          {0}};
static const struct snn_key aqif_keys[] = {NL_SHARES("2.0"),
                                           NL_SHARES_W("2.0"),
                                           NL_QUADRATIC,
                                           NL_NUMBER(NL_REST, "v_rest", "-0.1", "resting membrane"),
                                           NL_NUMBER(NL_A, "a", "0.0", "of the membrane in the adaptation"),
                                           NL_NUMBER(NL_B, "b", "0.0", "of the spikes in the adaptation"),
                                           THRESHOLD(NL_THETA, "1.0"),
                                           RESETS(NL_TO, "value", "0.0"),
                                           RECURRENT,
                                           SURROGATE,
                                           {0}};
static const struct snn_key lif_ex_keys[] = {NL_SHARES("10.0"),
                                             NL_CURRENT,
                                             NL_EXPONENTIALLY("1.0", "v_rheobase", "0.5"),
                                             NL_NUMBER(NL_REST, "v_rest", "0.0", "resting membrane"),
                                             THRESHOLD(NL_THETA, "1.0"),
                                             RESETS(NL_TO, "value", "0.0"),
                                             RECURRENT,
                                             SURROGATE,
                                             {0}};
static const struct snn_key adex_keys[] = {NL_SHARES("10.0"),
                                           NL_CURRENT,
                                           NL_SHARES_W("500.0"),
                                           NL_EXPONENTIALLY("1.0", "v_rheobase", "0.5"),
                                           NL_NUMBER(NL_REST, "v_rest", "0.0", "resting membrane"),
                                           NL_NUMBER(NL_A, "a", "4.0", "of the membrane in the adaptation"),
                                           NL_NUMBER(NL_B, "b", "0.02", "of the spikes in the adaptation"),
                                           THRESHOLD(NL_THETA, "1.0"),
                                           RESETS(NL_TO, "value", "0.0"),
                                           RECURRENT,
                                           SURROGATE,
                                           {0}};
#define PART_NUMBER(i, name, value, help)                                                                              \
    { name, SNN_REAL, AT(part) + (i) * sizeof(double), value, -1e6, 1e6, NULL, help }
static const struct snn_key izhikevich_keys[] = {
    PART(0, "step", "0.25", "of the integration, in ms"),
    PART(1, "square", "0.04", "of the membrane"),
    PART_NUMBER(2, "linear", "5.0", "of the membrane"),
    NL_NUMBER(NL_BIAS, "bias", "140.0", "constant current"),
    PART(3, "a", "0.02", "rate of the recovery"),
    NL_NUMBER(NL_A, "b", "0.2", "of the membrane in the recovery"),
    NL_NUMBER(NL_TO, "c", "-65.0", "membrane after a spike"),
    NL_NUMBER(NL_B, "d", "6.0", "added to the recovery at a spike"),
    THRESHOLD(NL_THETA, "30.0"),
    {"detach_reset", SNN_BOOL, AT(detach_reset), "true", 0, 0, NULL, "no gradient through the spike that resets"},
    RECURRENT,
    SURROGATE,
    {0}};
static double share(const struct snn_neuron_options *o, int j) {
    bool tells = j == NL_K || j == NL_KW || (j == NL_ALPHA && o->tau[j].value > 0);
    if (!tells || !(o->tau[j].value > 0)) return j == NL_K || j == NL_KW || j == NL_ALPHA ? 0 : NAN;
    double part = (o->tau[j].seconds ? o->step_seconds : 1) / o->tau[j].value;
    return j == NL_ALPHA ? 1 - part : part;
}
static double izhikevich(const struct snn_neuron_options *o, int j) {
    switch (j) {
    case NL_K:
        return o->part[0];
    case NL_KW:
        return o->part[0] * o->part[3];
    case NL_A0:
        return o->part[1];
    case NL_CRITICAL: /* square V^2 + linear V = square V (V - critical) */
        return -o->part[2] / o->part[1];
    case NL_TO:
        return o->number[NL_TO];
    default:
        return NAN;
    }
}

/* A step's share of half of the threshold leaks, and a reset takes all of it, unless their keys say otherwise. */
static double glif(const struct snn_neuron_options *o, int j) {
    if (j == GLIF_LEAK && isnan(o->number[j])) return o->number[GLIF_THETA] / (2 * (double)o->steps);
    return j == GLIF_DROP && isnan(o->number[j]) ? o->number[GLIF_THETA] : NAN;
}
#define GLIF_NUMBER(i, name, value, words, help) NUMBER(i, name, value, 1e-4, 0.9999, words, help)
static const struct snn_key glif_keys[] = {
    SNN_STEPS_KEY(struct snn_neuron_options),
    GLIF_NUMBER(GLIF_ALPHA, "alpha", "0.5", NULL, "gate of the leak, 1 exponential, 0 linear: starts within 0.1 in w"),
    GLIF_NUMBER(GLIF_BETA, "beta", "0.5", NULL, "gate of the input, 0 as it is, 1 times `conduct`: likewise"),
    GLIF_NUMBER(GLIF_GAMMA, "gamma", "0.5", NULL, "gate of the reset, 1 in proportion, 0 by subtraction: likewise"),
    GLIF_NUMBER(GLIF_TAU, "tau", "0.25", NULL, "what the exponential leak keeps a step"),
    GLIF_NUMBER(GLIF_THETA, "threshold", "0.5", NULL, "fires at this membrane"),
    GLIF_NUMBER(GLIF_LEAK, "linear_decay", "auto", snn_auto, "the linear leak; auto: threshold / (2 steps)"),
    GLIF_NUMBER(GLIF_DROP, "v_subreset", "threshold", the_threshold, "what the reset by subtraction takes"),
    GLIF_NUMBER(GLIF_CONDUCT, "conduct", "0.5", NULL, "share of the input, one a step"),
    {"fire", SNN_CHOICE, AT(fire), "ge", 0, 0, fire_names, "spike when H >= threshold (ge) or H > threshold (gt)"},
    {"per", SNN_CHOICE, AT(per), "channel", 0, 0, per_names, "one learned number for the layer, a channel, a neuron"},
    RECURRENT,
    SURROGATE,
    {0}};

static const struct snn_key clif_keys[] = {
    DECAYS(CLIF_BETA, "beta", "tau", "2.0", "membrane"),
    DECAY,
    FLAG(0, "decay_input", "false", "scale the input by 1 - decay"),
    THRESHOLD(CLIF_THETA, "1.0"),
    {"detach_reset", SNN_BOOL, AT(detach_reset), "false", 0, 0, NULL, "no gradient through the spike that resets"},
    LEARNING,
    RECURRENT,
    SURROGATE,
    {0}};

/* ---- resonators ---- */

static double turns(const struct snn_neuron_options *o, int j) {
    return j == RF_OMEGA && isnan(o->number[j]) ? fmin(sin(2 * acos(-1) / o->part[0]), 0.9999) : NAN;
}
static double balanced(const struct snn_neuron_options *o, int j) {
    return j == RF_DT ? o->number[RF_GAIN] : turns(o, j);
}
#define RF_TURNS(value)                                                                                                \
    {"period", SNN_REAL, AT(part), value, 4, 1e6, NULL, "steps of a turn"},                                            \
        NUMBER(RF_OMEGA, "omega", "none", 1e-6, 0.9999, none, "instead of period: the sine of a step's angle")
#define RF_LEARNING                                                                                                    \
    {"learn", SNN_NODE, AT(learn), "[omega, damping]", 0, 0, NULL, "numbers that are learned, by their keys"}, {       \
        "per", SNN_CHOICE, AT(per), "neuron", 0, 0, per_names, "one learned number for the layer, a channel, a neuron" \
    }
static const struct snn_key rf_keys[] = {
    RF_TURNS("10.0"),
    NUMBER(RF_DAMPING, "damping", "0.1", 0, 1, NULL, "of the state, lost a step"),
    NUMBER(RF_GAIN, "gain", "1.0", -1e3, 1e3, NULL, "of the input, which the real part takes"),
    FLAG(0, "imaginary", "false", "fires by the imaginary part, which then goes to the threshold, the real one to 0"),
    THRESHOLD(RF_THETA, "1.0"),
    {"detach_reset", SNN_BOOL, AT(detach_reset), "true", 0, 0, NULL, "no gradient through the spike that resets"},
    RF_LEARNING,
    RECURRENT,
    SURROGATE,
    {0}};
static const struct snn_key brf_keys[] = {
    RF_TURNS("84.0"),
    NUMBER(RF_DAMPING, "damping", "0.01", 0, 1, NULL, "lost a step, dt b of theirs"),
    NUMBER(RF_GAIN, "dt", "0.01", 1e-6, 1, NULL, "times the input, and times Q in the damping"),
    NUMBER(RF_GAMMA, "gamma", "0.9", 0, 1, NULL, "decay of Q a step"),
    THRESHOLD(RF_THETA, "1.0"),
    RF_LEARNING,
    RECURRENT,
    SURROGATE,
    {0}};

static const struct snn_key sigma_delta_keys[] = {
    NUMBER(SD_THETA, "threshold", "0.1", 1e-6, 1e6, NULL, "a change of this size is told"),
    {"fire", SNN_CHOICE, AT(fire), "gt", 0, 0, fire_names, "when |change| >= threshold (ge) or more than it (gt)"},
    FLAG(0, "linear", "false", "the activation is the sum itself, not its positive part"),
    {0}};
static const struct snn_key delta_keys[] = {
    NUMBER(SD_THETA, "threshold", "0.1", 1e-6, 1e6, NULL, "a change of this size is told"),
    {"fire", SNN_CHOICE, AT(fire), "gt", 0, 0, fire_names, "when |change| >= threshold (ge) or more than it (gt)"},
    {0}};

static const struct snn_key spytorch_keys[] = {DECAYS(SPY_BETA, "beta", "tau", "10.0", "membrane"),
                                               DECAYS(SPY_ALPHA, "alpha", "tau_syn", "5.0", "current"),
                                               DECAY_EXP,
                                               FIRING(SPY_THETA, SPY_TO),
                                               LEARNING,
                                               RECURRENT,
                                               SURROGATE,
                                               {0}};
static double filter_rate(const struct snn_neuron_options *o, int j) {
    return j == FILTER_RATE ? (o->tau[0].seconds ? o->step_seconds : 1) / o->tau[0].value : NAN;
}
static const struct snn_key filter_keys[] = {
    {"tau", SNN_TIME, AT(tau), "100.0", 0, 1e6, NULL, "time constant, in steps or with a unit (20 ms)"}, {0}};
static const struct snn_key learned_filter_keys[] = {
    {"tau", SNN_TIME, AT(tau), "100.0", 0, 1e6, NULL, "time constant to start from, in steps or with a unit (20 ms)"},
    {0}};

const struct snn_neuron_model snn_neuron_models[] = {
    {"if", "IFNode IAF", "integrate and fire: H = V + X", if_keys, SNN_CELL_lif, true,
     .fixed = {[LIF_BETA] = 1, [LIF_KAPPA] = 1}, .derive = starts_at_reset},
    {"lif", "LIFNode Leaky LIFBox", "leaky integrate and fire: H = V - (V - v_reset)/tau + X (X/tau with decay_input)",
     lif_keys, SNN_CELL_lif, true, .fixed = {[LIF_KAPPA] = 1}},
    {"ilif", "ILIFNode",
     "integer LIF: H/threshold rounded to 0..D, straight through; an integer stands for as many of D binary steps "
     "within the step (Luo et al. 2024, SpikeYOLO)",
     ilif_keys, SNN_CELL_lif, true, .fixed = {[LIF_KAPPA] = 1, [LIF_FLOOR] = NAN}, .reset = SNN_RESET_SUBTRACT,
     .firing = SNN_FIRES_ROUNDED},
    {"plif", "ParametricLIFNode", "LIF whose 1/tau = sigmoid(w) is learned (Fang et al., ICCV 2021)", plif_keys,
     SNN_CELL_lif, true, .fixed = {[LIF_BETA] = NAN, [LIF_KAPPA] = 1}, .learned = 1u << LIF_BETA},
    {"li", "LI ExpLeak", "leaky integrator, does not spike: its membrane is the output (readout)", li_keys,
     SNN_CELL_lif, false, .fixed = {[LIF_KAPPA] = 1}},
    {"lapicque", "Lapicque", "H = (1 - dt/(R C)) V + (dt/C) X, resets take the step's input along (snnTorch)",
     lapicque_keys, SNN_CELL_lif, true, .derive = lapicque, .flags = LIF_DROPS_INPUT},
    {"cuba", "Synaptic CUBALIFNode CubaLIF LIFCell",
     "LIF with a synaptic current: I = alpha I + X, H = beta V + I (CUBALIFNode, Norse's LIF)", synaptic_keys,
     SNN_CELL_synaptic, true},
    {"cuba_li", "LICell", "leaky integrator of a synaptic current, does not spike (Norse's LI)", cuba_li_keys,
     SNN_CELL_synaptic, false},
    {"spytorch", "", "CUBA of Zenke's SpyTorch: fires on the membrane of the step before", spytorch_keys,
     SNN_CELL_spytorch, true},
    {"alpha", "Alpha", "the response to an input is a difference of exponentials, resets one step later (snnTorch)",
     alpha_keys, SNN_CELL_alpha, true, .derive = alpha_tau, .delay = SNN_DELAY_NEXT},
    {"alif", "ALIF", "LIF whose threshold rises with its spikes (sinabs)", alif_keys, SNN_CELL_alif, true},
    {"yin_alif", "", "LIF whose threshold rises with its spikes (Yin, Corradi and Bohte 2021)", yin_keys, SNN_CELL_alif,
     true, .flags = ALIF_LATE_SUBTRACT | ALIF_DECAY_INPUT},
    {"lsnn", "LSNN", "CUBA whose threshold rises with its spikes and falls back (Norse)", lsnn_keys, SNN_CELL_alif,
     true, .flags = ALIF_THRESHOLD_DECAYS | ALIF_OLD_CURRENT | ALIF_DECAY_INPUT},
    {"ada_lif", "", "CUBA with a current that spikes add to and that is taken off (Norse's ada_lif_step)", ada_lif_keys,
     SNN_CELL_ada_lif, true, .derive = ada_lif},
    {"adlif", "adLIF", "LIF with an adaptation current, reset inside the leak (Bittar and Garner 2022)", adlif_keys,
     SNN_CELL_adlif, true},
    {"se_adlif", "SE-adLIF", "LIF with an adaptation current, symplectic Euler (Baronig et al. 2024)", seadlif_keys,
     SNN_CELL_seadlif, true},
    {"glif", "GatedLIFNode", "gated LIF: learned gates between two leaks, two inputs and two resets (Yao et al. 2022)",
     glif_keys, SNN_CELL_glif, true, .derive = glif, .learned = 255,
     .gates = 1u << GLIF_ALPHA | 1u << GLIF_BETA | 1u << GLIF_GAMMA},
    {"clif", "ComplementaryLIFNeuron CLIFSpike",
     "complementary LIF: a spike takes threshold + sigmoid(M), M = M sigmoid(H/tau) + s (Huang et al. 2024)", clif_keys,
     SNN_CELL_clif, true},
    {"rf", "", "resonate and fire: Z = (1 - damping) exp(i angle) Z + X, by its real part (Izhikevich 2001; lava-dl)",
     rf_keys, SNN_CELL_rf, true, .derive = turns},
    {"brf", "", "balanced RF: a spike adds to Q, which raises the threshold and the damping (Higuchi et al. 2024)",
     brf_keys, SNN_CELL_rf, true, .derive = balanced, .flags = RF_BALANCED},
    {"sigma_delta", "", "sums up changes A = A + X, tells those of max(A, 0) as numbers; straight through (lava-dl)",
     sigma_delta_keys, SNN_CELL_sigma_delta, true, .firing = SNN_FIRES_CHANGES},
    {"delta", "", "tells how its input has changed since it last told, as a number: input of sigma_delta (lava-dl)",
     delta_keys, SNN_CELL_sigma_delta, true, .flags = SD_LINEAR | SD_PLAIN, .firing = SNN_FIRES_CHANGES},
    {"klif", "KLIFNode", "LIF whose membrane is scaled by a learned k and rectified (Jiang and Zhang 2023)", klif_keys,
     SNN_CELL_klif, true, .learned = 1u << KLIF_K},
    {"qif", "QIFNode", "quadratic integrate and fire: H = V + (X + a0 (V - v_rest)(V - v_critical))/tau", qif_keys,
     SNN_CELL_nonlinear, true, .derive = share},
    {"eif", "EIFNode", "exponential integrate and fire: H = V + (X + v_rest - V + d exp((V - v_rheobase)/d))/tau",
     eif_keys, SNN_CELL_nonlinear, true, .derive = share, .flags = NL_EXPONENTIAL},
    {"aqif", "IzhikevichNode", "QIF with an adaptation current (SpikingJelly calls it Izhikevich)", aqif_keys,
     SNN_CELL_nonlinear, true, .derive = share, .flags = NL_NEW_MEMBRANE | NL_ADAPTS},
    {"izhikevich", "Izhikevich", "0.04 V^2 + 5 V + 140 - U + X, with a recovery U (Izhikevich 2003; Norse)",
     izhikevich_keys, SNN_CELL_nonlinear, true, .derive = izhikevich, .flags = NL_RECOVERED | NL_ADAPTS},
    {"lif_ex", "LIFEx", "CUBA with an exponential term (Norse)", lif_ex_keys, SNN_CELL_nonlinear, true, .derive = share,
     .flags = NL_EXPONENTIAL | NL_STARTS_AT_REST | NL_HAS_CURRENT},
    {"adex", "LIFAdEx", "CUBA with an exponential term and an adaptation current (Norse)", adex_keys,
     SNN_CELL_nonlinear, true, .derive = share,
     .flags = NL_EXPONENTIAL | NL_STARTS_AT_REST | NL_HAS_CURRENT | NL_ADAPTS},
    {"synapse_filter", "SynapseFilter", "a trace Y = Y - (1-X) Y/tau + X, does not spike (SpikingJelly)", filter_keys,
     SNN_CELL_filter, false, .derive = filter_rate},
    {"learned_synapse_filter", "", "the same with a learned 1/tau = sigmoid(w)", learned_filter_keys, SNN_CELL_filter,
     false, .derive = filter_rate, .learned = 1u << FILTER_RATE},
    {0},
};
