/* SPDX-License-Identifier: Apache-2.0
 * layers.c - the table of layers, and the builder that walks the config. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "layers/layer.h"

static const struct snn_key no_keys[] = {{0}};

const struct snn_layer_ops snn_layers[] = {
    {"linear", "dense", "fully connected: y = W x + b", snn_linear_keys, snn_build_linear, 0},
    {"conv", "conv1d conv2d conv3d", "convolution over the axes after the channels, of which there are one to three",
     snn_conv_keys, snn_build_conv, 0},
    {"conv_transpose", "conv_transpose1d conv_transpose2d conv_transpose3d",
     "transposed convolution: the input gradient of a convolution as a layer, which makes images larger",
     snn_conv_transpose_keys, snn_build_conv_transpose, 0},
    {"temporal_conv", NULL,
     "convolution over time, the present step and those before it: of each channel with itself, or of all units",
     snn_temporal_conv_keys, snn_build_temporal_conv, 0},
    {"delay", "dcls Dcls1d",
     "fully connected through synapses with learned delays (DCLS; Hammouamri et al., ICLR 2024)", snn_delay_keys,
     snn_build_delay, 0},
    {"delay_conv", NULL,
     "convolution whose synapses have learned delays (DCLS), or a weight for every delay (Grimaldi & Perrinet 2023)",
     snn_conv_delay_keys, snn_build_conv_delays, 0},
    {"axonal_delay", "Delay", "a learned delay for every channel, linear between steps (SLAYER, NeurIPS 2018; lava-dl)",
     snn_axonal_keys, snn_build_axonal, 0},
    {"shift", NULL, "all channels so many steps later", snn_shift_keys, snn_build_axonal, 1},
    {"biper", NULL,
     "linear or, with `kernel`, convolution: y = alpha (b * x), b = sin(omega w) or its sign, alpha learned by output "
     "(Vargas et al. 2024)",
     snn_biper_keys, snn_build_biper, 0},
    {"avgpool", "avgpool1d avgpool2d", "average over windows", snn_pool_keys, snn_build_pool, SNN_POOL_AVERAGE},
    {"maxpool", "maxpool1d maxpool2d", "maximum over windows", snn_pool_keys, snn_build_pool, SNN_POOL_MAX},
    {"sumpool", "sumpool2d", "sum over windows", snn_pool_keys, snn_build_pool, SNN_POOL_SUM},
    {"adaptiveavgpool", "adaptiveavgpool1d adaptiveavgpool2d", "averages over as many windows as are asked for",
     snn_adaptivepool_keys, snn_build_adaptivepool, 0},
    {"globalpool", NULL, "average, maximum or sum over all places of a channel: (C,H,W) to (C)", snn_globalpool_keys,
     snn_build_globalpool, 0},
    {"voting", NULL, "average or sum over groups of units: a population for each class", snn_voting_keys,
     snn_build_voting, 0},
    {"batchnorm", "bn", "batch normalisation by channel, over one step or all steps jointly", snn_batchnorm_keys,
     snn_build_batchnorm, 0},
    {"tdbn", NULL,
     "threshold-dependent batch norm over all steps jointly: factors begin as alpha * threshold (Zheng et al. 2021)",
     snn_tdbn_keys, snn_build_batchnorm, SNN_NORM_TD},
    {"bntt", NULL, "batch norm through time: steps have their own parameters and statistics (Kim & Panda 2021)",
     snn_bntt_keys, snn_build_batchnorm, SNN_NORM_BNTT},
    {"tebn", NULL,
     "temporal effective batch norm: p[t] * batchnorm over all steps jointly, p learned (Duan et al. 2022)",
     snn_tebn_keys, snn_build_batchnorm, SNN_NORM_TEBN},
    {"layernorm", NULL, "layer normalisation over all units of a step", snn_layernorm_keys, snn_build_rownorm,
     SNN_NORM_LAYER},
    {"groupnorm", NULL, "over groups of channels of a step (Wu & He 2018)", snn_groupnorm_keys, snn_build_rownorm,
     SNN_NORM_GROUP},
    {"instancenorm", NULL, "over each channel of a step of a sample", snn_instancenorm_keys, snn_build_rownorm,
     SNN_NORM_INSTANCE},
    {"rmsnorm", NULL, "x / sqrt(mean(x^2) + eps) over all units of a step (Zhang & Sennrich 2019)", snn_rmsnorm_keys,
     snn_build_rownorm, SNN_NORM_RMS},
    {"scale", NULL, "x times a number, fixed or learned", snn_scale_keys, snn_build_scale, 0},
    {"hardtanh", NULL, "min(max(x, low), high)", snn_hardtanh_keys, snn_build_clamp, 0},
    {"relu", NULL, "max(x, 0)", no_keys, snn_build_clamp, 1},
    {"dropout", NULL, "zeros with probability p, for units or whole channels, the same at all steps or not",
     snn_dropout_keys, snn_build_dropout, 0},
    {"flatten", NULL, "(C,H,W) to C*H*W units", no_keys, snn_build_flatten, 0},
    {"reshape", "unflatten view", "the same units in another shape, [1, 700] for 700 units as a sequence",
     snn_reshape_keys, snn_build_reshape, 0},
    {"pad_channels", NULL, "channels of zeros around those that are there", snn_pad_channels_keys,
     snn_build_pad_channels, 0},
    {"temporal_attention", NULL,
     "x[t] times a share of each step: sigmoid of two layers over time, of a step's mean and maximum (Yao et al. 2021)",
     snn_temporal_attention_keys, snn_build_temporal_attention, 0},
    {"attention", NULL,
     "scale * (Q K^T) V by heads, Q, K and V each made by a body of their own; no softmax (Spikformer)",
     snn_attention_keys, snn_build_attention, 0},
    {"residual", NULL, "body(x) and shortcut(x) joined; the shortcut is x when left out", snn_residual_keys,
     snn_build_residual, 0},
    {"concat", NULL, "channels of several branches, one after the other", snn_concat_keys, snn_build_concat, 0},
    {"repeat", NULL, "the body, `times` times, each with parameters of its own", snn_repeat_keys, snn_build_repeat, 0},
    {0},
};

const struct snn_layer_ops snn_composed_neurons[] = {
    {"psn", "PSN", "parallel spiking neuron: H = W X + b over all steps, no reset (Fang et al., NeurIPS 2023)",
     snn_psn_keys, snn_build_parallel, SNN_PSN},
    {"masked_psn", "MaskedPSN", "psn whose W is faded to the present step and k-1 before it as lambda goes to 1",
     snn_masked_psn_keys, snn_build_parallel, SNN_PSN_MASKED},
    {"sliding_psn", "SlidingPSN", "psn with k weights that all steps share: H[t] = sum of w[i] X[t-k+1+i] + b",
     snn_sliding_psn_keys, snn_build_parallel, SNN_PSN_SLIDING},
    {"slstm", "SLSTM", "spiking LSTM: fires on the hidden state, which is its membrane (snnTorch)", snn_slstm_keys,
     snn_build_slstm, 0},
    {0},
};

/* Neurons are a table of their own. */
static const struct snn_layer_ops neuron_ops = {.name = "neuron", .build = snn_build_neuron},
                                  ultra_ops = {.name = "soft neuron", .build = snn_build_ultra};

struct found {
    const struct snn_layer_ops *ops; /* NULL: there is none of this name */
    const char *name;
    const struct snn_key *keys;
    int variant;
};

static bool is_among(const char *words, const char *name) { /* words between blanks */
    size_t n = strlen(name);
    for (const char *at = words; at && n && (at = strstr(at, name)); ++at)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return true;
    return false;
}

static struct found find_layer(const char *name) {
    static const struct snn_layer_ops *const tables[] = {snn_layers, snn_composed_neurons};
    for (int i = 0; i < 2; ++i)
        for (const struct snn_layer_ops *l = tables[i]; l->name; ++l)
            if (!strcmp(l->name, name) || is_among(l->alias, name))
                return (struct found){l, l->name, l->keys, l->variant};
    for (int i = 0; snn_neuron_models[i].name; ++i) {
        const struct snn_neuron_model *m = &snn_neuron_models[i];
        if (!strcmp(m->name, name) || is_among(m->alias, name)) return (struct found){&neuron_ops, m->name, m->keys, i};
    }
    for (int i = 0; snn_ultra_models[i].name; ++i) {
        const struct snn_ultra_model *m = &snn_ultra_models[i];
        if (!strcmp(m->name, name)) return (struct found){&ultra_ops, m->name, m->keys, i};
    }
    return (struct found){0};
}

static int unknown_layer(const struct snn_conf *at, const char *name) {
    const char *names[128];
    int n = 0;
    for (const struct snn_layer_ops *l = snn_layers; l->name && n < 127; ++l) names[n++] = l->name;
    for (const struct snn_neuron_model *m = snn_neuron_models; m->name && n < 127; ++m) names[n++] = m->name;
    for (const struct snn_ultra_model *m = snn_ultra_models; m->name && n < 127; ++m) names[n++] = m->name;
    for (const struct snn_layer_ops *l = snn_composed_neurons; l->name && n < 127; ++l) names[n++] = l->name;
    names[n] = NULL;
    const char *near = snn_nearest(name, names);
    return near ? snn_conf_error(at, "unknown layer '%s' (did you mean '%s'?)", name, near)
                : snn_conf_error(at, "unknown layer '%s' (`snntrain list layers` and `list neurons` show them)", name);
}

static void *more(void *list, int count, int *room, size_t item) {
    if (count < *room) return list;
    *room = *room ? 2 * *room : 16;
    list = realloc(list, (size_t)*room * item);
    SNN_CHECK(list, "out of memory while a model is built");
    return list;
}

void *snn_builder_options(struct snn_builder *b, size_t size) {
    struct snn_model *m = b->model;
    void *memory = calloc(1, size);
    SNN_CHECK(memory, "out of memory while a model is built");
    m->owned = more(m->owned, m->owned_count, &m->owned_room, sizeof *m->owned);
    return m->owned[m->owned_count++] = memory;
}

void snn_builder_bind(struct snn_builder *b, const struct snn_conf *node, const struct snn_key *keys, void *options) {
    struct snn_model *m = b->model;
    char path[512];
    m->bound = more(m->bound, m->bounds, &m->bound_room, sizeof *m->bound);
    m->bound[m->bounds++] = (struct snn_bound){strdup(snn_conf_path(node, path, sizeof path)), keys, options};
}

const char *const snn_auto[] = {"auto", NULL};

int snn_builder_steps(const struct snn_builder *b, const struct snn_conf *node, long long *steps) {
    int appended = b->x->appended, need = b->steps + appended;
    if (*steps < 0 && !b->steps)
        return snn_conf_error(node, "recordings differ in their number of steps: give the most as `steps: N`");
    if (*steps < 0) *steps = need;
    if (b->steps && *steps < need && appended)
        return snn_conf_error(node, "steps: %lld, but recordings have %d (data.timesteps), and delays append %d",
                              *steps, (int)b->steps, appended);
    if (b->steps && *steps < need)
        return snn_conf_error(node, "steps: %lld, but recordings have %d (data.timesteps)", *steps, (int)b->steps);
    return SNN_OK;
}

struct snn_param *snn_builder_param(struct snn_builder *b, const char *name, bool buffer, int nd, const int32_t *dim) {
    char path[600];
    snprintf(path, sizeof path, "%s.%s", b->path, name);
    return snn_params_add(&b->model->params, path, buffer, nd, dim);
}

const char *snn_shape_text(const struct snn_tensor *t, char buffer[48]) {
    size_t n = 0;
    for (int i = 0; i < t->nd; ++i) n += (size_t)snprintf(buffer + n, 48 - n, "%c%d", i ? ',' : '(', (int)t->dim[i]);
    snprintf(buffer + n, 48 - n, ")");
    return buffer;
}

int snn_axes_read(const struct snn_builder *b, const struct snn_conf *node, const char *key,
                  const struct snn_sizes *sizes, int32_t *out) {
    int axes = b->x->nd - 1;
    char text[48];
    if (sizes->count && sizes->count != axes)
        return snn_conf_error(snn_conf_get(node, key),
                              "expected an integer or a list of %d, one for each axis of %s after "
                              "the channels, got a list of %d",
                              axes, snn_shape_text(b->x, text), sizes->count);
    for (int i = 0; i < axes; ++i) out[i] = sizes->at[i];
    return SNN_OK;
}

/* A layer whose name as written ends in 1d, 2d or 3d. */
static int refuse_rank(const struct snn_builder *b, const struct snn_conf *map) {
    static const char *const shapes[] = {"(C,L)", "(C,H,W)", "(C,D,H,W)"};
    size_t n = strlen(map->key);
    char text[48];
    int axes = n > 2 && map->key[n - 1] == 'd' ? map->key[n - 2] - '0' : 0;
    if (axes < 1 || axes > 3 || b->x->nd == axes + 1) return SNN_OK;
    return snn_conf_error(map, "needs an input %s, got %s", shapes[axes - 1], snn_shape_text(b->x, text));
}

/* Bring `- NAME`, `- NAME: VALUE`, `- NAME:` to `- NAME: {key: VALUE}` and return the layer's map. `title` is the
 * `name:` beside it. */
static int normalise(struct snn_conf *item, struct found *layer, struct snn_conf **map, const char **title) {
    *title = NULL;
    if (item->kind == SNN_CONF_SCALAR) {
        *layer = find_layer(item->text);
        if (!layer->ops) return unknown_layer(item, item->text);
        SNN_TRY(snn_conf_wrap(item, item->text));
        SNN_TRY(snn_conf_assign(item->first, "{}"));
    }
    if (item->kind != SNN_CONF_MAP) return snn_conf_error(item, "expected a layer: NAME, NAME: VALUE or NAME: {keys}");
    struct snn_conf *body = NULL;
    for (struct snn_conf *child = item->first; child; child = child->next) {
        if (!strcmp(child->key, "name") && item->count > 1) {
            if (child->kind != SNN_CONF_SCALAR || !child->text[0]) return snn_conf_error(child, "expected a name");
            *title = child->text;
        } else if (body) {
            return snn_conf_error(child, "one layer an item: '%s' and '%s' stand together (put '-' before each)",
                                  body->key, child->key);
        } else {
            body = child;
        }
    }
    if (!body) return snn_conf_error(item, "expected a layer");
    *layer = find_layer(body->key);
    if (!layer->ops) return unknown_layer(body, body->key);
    const struct snn_key *keys = layer->keys;
    if (body->kind == SNN_CONF_SCALAR) {
        if (body->text[0] && !keys[0].name) return snn_conf_error(body, "%s takes no value", layer->name);
        SNN_TRY(body->text[0] ? snn_conf_wrap(body, keys[0].name) : snn_conf_assign(body, "{}"));
    }
    bool lists = keys[0].name && (keys[0].type == SNN_SIZES || keys[0].type == SNN_PAIR || keys[0].type == SNN_NODE);
    if (body->kind == SNN_CONF_LIST && lists) SNN_TRY(snn_conf_wrap(body, keys[0].name));
    if (body->kind != SNN_CONF_MAP) return snn_conf_error(body, "expected keys of %s: {key: value, ...}", layer->name);
    *map = body;
    return SNN_OK;
}

/* Spikes that the layer makes itself, where the loss asks for them. */
static void watch_layer(struct snn_builder *b, const char *title, int first_node) {
    struct snn_model *m = b->model;
    struct snn_tensor *spikes = b->x->root;
    unsigned terms = b->loss ? snn_regular_of_layer(&b->loss->regular, b->path, title ? title : b->path) : 0;
    if (!terms || spikes->producer < first_node || !snn_makes_spikes(m->tape.node[spikes->producer])) return;
    m->watched = more(m->watched, m->watches, &m->watched_room, sizeof *m->watched);
    m->watched[m->watches++] = (struct snn_watched){snn_watch(&m->tape, b->path, spikes), terms, false, 0};
}

static void note_layer(struct snn_builder *b, const char *type, const char *title, int first_node,
                       ptrdiff_t first_parameter) {
    struct snn_model *m = b->model;
    struct snn_layer layer = {
        .path = strdup(b->path), .title = strdup(title ? title : b->path), .type = type, .out = b->x};
    layer.first_node = first_node, layer.nodes = m->tape.nodes - first_node;
    for (int i = (int)first_parameter; i < m->params.count; ++i)
        if (!m->params.list[i]->buffer) layer.parameters += m->params.list[i]->count;
    m->layer = more(m->layer, m->layers, &m->layer_room, sizeof *m->layer);
    m->layer[m->layers++] = layer;
}

int snn_build_list(struct snn_builder *b, struct snn_conf *list) {
    if (list->kind != SNN_CONF_LIST) return snn_conf_error(list, "expected a list of layers, one '- layer' a line");
    if (!list->count) return snn_conf_error(list, "expected at least one layer");
    size_t base = strlen(b->path);
    int i = 0;
    for (struct snn_conf *item = list->first; item; item = item->next, ++i) {
        struct found layer = {0};
        struct snn_conf *map = NULL;
        const char *title = NULL;
        char part[64];
        SNN_TRY(normalise(item, &layer, &map, &title));
        size_t n = (size_t)snprintf(part, sizeof part, ".%d.%s", i, layer.name);
        if (base + n + 64 > sizeof b->path) return snn_conf_error(item, "layers are nested too deeply");
        memcpy(b->path + base, part, n + 1);
        int first_node = b->model->tape.nodes, first_parameter = b->model->params.count;
        bool nests = layer.ops->build == snn_build_residual || layer.ops->build == snn_build_repeat ||
                     layer.ops->build == snn_build_concat || layer.ops->build == snn_build_attention;
        SNN_TRY(refuse_rank(b, map));
        SNN_TRY(layer.ops->build(b, map, layer.variant));
        if (b->x->units > INT32_MAX / 64) return snn_conf_error(map, "makes %td units a step: too many", b->x->units);
        if (!nests) watch_layer(b, title, first_node);
        if (!nests) note_layer(b, layer.name, title, first_node, first_parameter);
    }
    b->path[base] = 0;
    return SNN_OK;
}

int snn_model_build(struct snn_conf *list, const struct snn_model_input *input, int32_t classes,
                    struct snn_model *out) {
    *out = (struct snn_model){0};
    snn_tape_init(&out->tape, &out->params);
    int32_t dim[3] = {input->C, input->H, input->W};
    bool flat = input->H == 1 && input->W == 1;
    struct snn_builder b = {.model = out,
                            .step_seconds = input->step_seconds,
                            .hard = input->hard,
                            .steps = input->steps,
                            .loss = input->loss,
                            .psi = input->psi};
    b.x = snn_tape_input(&out->tape, flat ? 1 : 3, dim, input->is_static);
    b.x->is_sparse = input->is_sparse;
    b.x->needs_grad = input->wants_grad;
    if (input->every_step) b.x = snn_every_step(&out->tape, "input", b.x);
    snprintf(b.path, sizeof b.path, "model");
    int rc = snn_build_list(&b, list);
    char shape[48];
    if (rc >= 0 && classes > 0 && (b.x->nd != 1 || b.x->units != classes))
        rc = snn_conf_error(list, "the last layer gives %s, but the data set has %d classes: end with `- linear: %d`",
                            snn_shape_text(b.x, shape), (int)classes, (int)classes);
    if (rc >= 0 && b.x->is_static)
        rc = snn_conf_error(list, "nothing in the network depends on time: add a spiking layer");
    if (rc >= 0 && !out->params.count) rc = snn_conf_error(list, "the network has nothing to learn");
    if (rc < 0) snn_model_free(out);
    return rc;
}

void snn_model_free(struct snn_model *m) {
    for (int i = 0; i < m->layers; ++i) free(m->layer[i].path), free(m->layer[i].title);
    for (int i = 0; i < m->bounds; ++i) free(m->bound[i].path);
    for (int i = 0; i < m->owned_count; ++i) free(m->owned[i]);
    free(m->layer), free(m->bound), free(m->watched), free(m->owned);
    snn_tape_free(&m->tape);
    snn_params_free(&m->params);
    *m = (struct snn_model){0};
}

int snn_model_freeze(struct snn_model *model, struct snn_conf *patterns) {
    if (patterns->kind != SNN_CONF_LIST) return snn_conf_error(patterns, "expected a list of patterns, [model.0.*]");
    for (struct snn_conf *item = patterns->first; item; item = item->next) {
        int hits = 0;
        if (item->kind != SNN_CONF_SCALAR) return snn_conf_error(item, "expected a pattern");
        for (int i = 0; i < model->params.count; ++i)
            if (!fnmatch(item->text, model->params.list[i]->name, 0)) model->params.list[i]->frozen = true, ++hits;
        if (!hits)
            return snn_conf_error(item, "no parameter matches '%s' (the first is %s)", item->text,
                                  model->params.list[0]->name);
    }
    return SNN_OK;
}

/* Of what is bound: the key that `path` names, if it is a number. */
static const struct snn_key *number_key(const struct snn_bound *bound, const char *path) {
    size_t n = strlen(bound->path);
    if (strncmp(path, bound->path, n) || path[n] != '.') return NULL;
    for (const struct snn_key *key = bound->keys; key->name; ++key)
        if (!strcmp(key->name, path + n + 1) && (key->type == SNN_REAL || key->type == SNN_TIME)) return key;
    return NULL;
}

const struct snn_key *snn_model_number_key(const struct snn_model *model, const char *path) {
    const struct snn_key *key = NULL;
    for (int i = 0; i < model->bounds && !key; ++i) key = number_key(&model->bound[i], path);
    return key;
}

int snn_model_numbers(struct snn_model *model, const char *path, void (*each)(void *payload, double *number),
                      void *payload) {
    int found = 0;
    for (int i = 0; i < model->bounds; ++i) {
        const struct snn_key *key = number_key(&model->bound[i], path);
        if (!key) continue;
        /* struct snn_time begins with its value */
        each(payload, (double *)((char *)model->bound[i].options + key->field));
        ++found;
    }
    return found;
}
