/* SPDX-License-Identifier: Apache-2.0
 * experiment.h - a config with everything it names: data, network, rule, optimiser.
 *
 * Opened in two steps. snn_experiment_read judges the config alone (shapes come from the data set's definition), so
 * that a mistake is found before any data is read; snn_experiment_data opens the files. */
#ifndef SNN_EXPERIMENT_H
#define SNN_EXPERIMENT_H

#include "datasets/cache.h"
#include "datasets/loader.h"
#include "optim/schedule.h"
#include "train/stages.h"
#include "train/trainer.h"

struct snn_train_config { /* the `train:` section */
    struct snn_conf *rule, *loss, *optimizer, *schedule, *anneal, *stages, *from, *freeze;
    long long epochs, batch, accumulate, recompute;
    int decide;  /* enum snn_decide */
    double clip; /* NAN: none */
};
struct snn_run_config { /* the `run:` section */
    const char *dir;
    int keep; /* 0 best, 1 last */
    struct snn_conf *stop;
    const char *checkpoint_every;
};
struct snn_stop { /* run.stop */
    bool on, by_accuracy;
    long long patience;
};
struct snn_every {                 /* run.checkpoint_every */
    double epochs, steps, minutes; /* one of them > 0 */
};
struct snn_anneal {
    const char *key, *until_text;
    double to, until; /* fraction of the run */
    int shape;        /* 0 linear, 1 exp, 2 cosine */
    int per;          /* 0: moves once an epoch, 1: with every step */
    double from;      /* value at the start */
};
enum { SNN_ANNEALS = 16 };

struct snn_experiment_options {
    const char *device; /* auto, cpu, cuda[:N] */
    int threads;
    bool double_check;      /* the gradient check: the input's gradient is wanted */
    bool hard;              /* neurons with soft spikes give hard ones; such a network is evaluated, not trained */
    const char *data_dir;   /* of --data, or NULL: sets whose shape lies in their files are opened at once */
    FILE *warnings;         /* of what the run goes on without; NULL: nowhere */
    struct snn_watch watch; /* of data that are read through before the first batch */
};
struct snn_experiment {
    struct snn_conf_doc *doc; /* the resolved config once read; of the present stage where there are some */
    struct snn_conf_doc *all; /* of all stages; NULL: there are none */
    struct snn_stage stages[SNN_STAGES];
    int stage_count, stage; /* the present one, from 0 */
    struct snn_experiment_options options;
    uint64_t seed;
    struct snn_data_config data;
    long long pieces; /* data.pieces as it was given; data.pieces is what the rule of the stage makes of it */
    struct snn_train_config train;
    struct snn_run_config run;
    struct snn_stop stop;
    struct snn_every every;
    struct snn_anneal anneal[SNN_ANNEALS];
    int anneals;
    struct snn_dataset_info about; /* of the data set: as far as options tell, all once it is open */
    int32_t input[3];              /* (C,H,W) of one step, as the network gets it */
    struct snn_trainer trainer;
    struct snn_device device;
    struct snn_network network;

    struct snn_cache_warnings warnings;
    struct snn_dataset *set;      /* after snn_experiment_data */
    struct snn_loader *loader[3]; /* by enum snn_subset; NULL when not asked for or empty */
    int32_t steps;                /* most steps of a batch */
    struct snn_schedule *schedule;
};

extern const struct snn_key snn_top_keys[], snn_train_keys[], snn_run_keys[]; /* for `list keys` */

/* Take over `doc` (freed with the experiment, also on failure) and read it. */
int snn_experiment_read(struct snn_conf_doc *doc, const struct snn_experiment_options *options,
                        struct snn_experiment *out);
/* Open the data set and loaders for the subsets wanted (bit i = enum snn_subset i); settles `steps` and the schedule.
 */
int snn_experiment_data(struct snn_experiment *e, const char *data_dir, unsigned subsets, int32_t batch,
                        int32_t timesteps);
/* Become stage k: another network, without memory, a fresh optimiser and schedule; loaders stay, but for another size
 * of batches. Refused stages were refused when the config was read. */
int snn_experiment_enter(struct snn_experiment *e, int k);
/* What the network's memory is planned for once data are open: batches of the present stage, in the cuts of its rule,
 * also where nothing is learned. */
struct snn_network_plan snn_experiment_plan(const struct snn_experiment *e, bool train);
/* Epochs of all stages. */
long long snn_experiment_epochs(const struct snn_experiment *e);
void snn_experiment_close(struct snn_experiment *e);

/* Draw initial parameters; then load `train.from` if there is one. Needs allocated memory. */
int snn_experiment_init(struct snn_experiment *e);
/* The number at `progress` (0..1) of a run of so many epochs. */
double snn_anneal_value(const struct snn_anneal *anneal, double epochs, double progress);
/* Set annealed numbers for `progress` (0..1) of the run. */
void snn_experiment_anneal(struct snn_experiment *e, double progress);

#endif
