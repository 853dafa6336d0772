/* SPDX-License-Identifier: Apache-2.0
 * main.c - the table of commands. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "core/commit.h"
#include "core/status.h"
#include "train/progress.h"

volatile sig_atomic_t cli_stop;

#define COMMON "--set --data --device --threads --seed"

const struct cli_command cli_commands[] = {
    {"train", "train CONFIG|RUN [--out DIR] [--resume]",
     "train a network\n\nThe run folder (run.dir, or --out) receives config.yaml, log.jsonl, last and "
     "best.safetensors, curves.png and\n"
     "provenance.json. It must not exist, unless --resume goes on with it.",
     COMMON " --out --resume", cmd_train},
    {"eval",
     "eval RUN|FILE.safetensors [--split test|validation|train] [--checkpoint best|last] [--timesteps N] "
     "[--predictions F.csv] [--hard]",
     "evaluate a trained network: accuracy, loss, confusion matrix, spikes and operations\n\n--hard tells how accurate "
     "a network of soft spikes (ultralif) is once they are ones and zeros",
     COMMON " --split --checkpoint --timesteps --predictions --hard", cmd_eval},
    {"bench",
     "bench timesteps RUN|FILE [--timesteps 1,2,4,8 | 1..T] [--protocol truncate|rebin] [--out DIR]\n"
     "  snntrain bench speed CONFIG [--iters N] [--warmup N] [--profile]\n"
     "  snntrain bench rules CONFIG [--rules bptt,sltt,...] [--epochs N] [--out DIR]\n"
     "  snntrain bench neurons [NEURON ...] [--iters N]\n"
     "  snntrain bench data NAME|CONFIG",
     "accuracy against timesteps (timesteps.csv, timesteps.png), training speed and memory, learning rules side by "
     "side "
     "(rules.csv, rules.png), the share of the memory's "
     "bandwidth that each neuron's scan makes use of on the processor, or the speed of loading data",
     COMMON " --timesteps --protocol --out --iters --warmup --profile --split --checkpoint --rules --epochs",
     cmd_bench},
    {"plan", "plan CONFIG|RUN [--rule NAME|all] [--density SHARE] [--device cuda] [--roofline CARD]",
     "bytes by layer and purpose and operations of a training step, before anything runs; the floor of a step on a "
     "CUDA "
     "card\n\n--rule reads the config with another learning rule in its place: with default keys, and a loss of each "
     "step where it has\none of the mean over the steps and the rule cannot see that. all: every rule, side by side; "
     "one "
     "that cannot train the\nnetwork is named with the reason.",
     COMMON " --rule --density --roofline", cmd_plan},
    {"check", "check [CONFIG]",
     "validate a config and prove its gradients in double; no CONFIG: every layer, neuron, surrogate and loss", COMMON,
     cmd_check},
    {"list", "list [KIND]",
     "what can be named in a config\n\nKIND: neurons, surrogates, layers, rules, datasets, augmentations, codings, "
     "framings, presets, "
     "optimizers, schedules, losses, recordings, exports or keys;\n"
     "all of them when left out.",
     "", cmd_list},
    {"data",
     "data info|verify NAME|CONFIG|FILE\n"
     "  snntrain data show NAME|CONFIG|FILE [--index I] [--split NAME] [--timesteps N] [-o FILE.png|FILE.gif]\n"
     "  snntrain data fetch NAME [-o DIR]\n"
     "  snntrain data convert NAME|CONFIG -o FILE.h5 [--split NAME]\n"
     "  snntrain data cache [--clear [NAME]] [--cache DIR]",
     "look at a data set or at a recording in a file, get a set, or write it in another format\n\n"
     "info: counts by class and group, durations and events; of FILE also format, sensor and what is wrong with it;\n"
     "verify: checksums and structure; show: a sample as PNG or GIF, of a CONFIG as its network gets it; fetch: "
     "download\n"
     "and check; convert: recordings as HDF5, a file a split. --split is train (by default, where one sample is "
     "shown),\n"
     "validation or test. cache: what is kept of decoded recordings, and --clear to remove it, of one set or all.",
     "--data --index --set --split --timesteps --format --unit --map --cache --clear -o", cmd_data},
    {0},
};

static void on_signal(int number) {
    (void)number;
    cli_stop = 1;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = SA_RESETHAND}; /* a second signal ends the program at once */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Thread libraries read their environment when they are loaded, so defaults of ours need a second start. Waiting
 * threads should sleep soon: with the usual long spin, one busy neighbour on a core made a training step five times
 * slower. OpenBLAS runs inside our own threads and needs none of its own. What the user has set stands. */
static void settle_threads(char **argv) {
    if (getenv("OPENBLAS_NUM_THREADS") && (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY"))) return;
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
    if (!getenv("OMP_WAIT_POLICY")) setenv("GOMP_SPINCOUNT", "3000", 0), setenv("KMP_BLOCKTIME", "0", 0);
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return;
    path[n] = 0;
    execv(path, argv);
    /* Where /proc is missing we go on with the libraries' defaults. */
}

/* When this process began, on the clock of snn_now(): its start in ticks since boot outlives exec. */
static double process_start(void) {
    char text[1024];
    struct timespec boot;
    unsigned long long ticks = 0;
    FILE *f = fopen("/proc/self/stat", "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[n] = 0;
    const char *at = strrchr(text, ')'); /* the name before may hold anything */
    for (int field = 2; at && field < 22; ++field) at = strchr(at + 1, ' ');
    if (!at || sscanf(at, "%llu", &ticks) != 1 || clock_gettime(CLOCK_BOOTTIME, &boot)) return snn_now();
    double age = (double)boot.tv_sec + 1e-9 * (double)boot.tv_nsec - (double)ticks / (double)sysconf(_SC_CLK_TCK);
    return snn_now() - (age > 0 && age < 60 ? age : 0);
}

/* A file that is opened must not become what we print to. */
static void fill_standard_files(void) {
    int fd;
    do fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2) close(fd);
}

static int end(const struct cli *cli, int rc) {
    if (rc >= 0 && (fflush(stdout) || ferror(stdout)))
        rc = snn_error(SNN_EFAIL, "cannot write to stdout: %s", strerror(errno));
    if (rc < 0 && (rc != SNN_EINTR || !cli->quiet)) fprintf(stderr, "snntrain: %s\n", snn_error_text());
    return rc < 0 ? -rc : 0;
}

int main(int argc, char **argv) {
    fill_standard_files();
    settle_threads(argv);
    struct cli cli = {.started = process_start(), .iters = -1, .warmup = -1};
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        cli_print_help(NULL);
        return argc < 2 ? 2 : 0;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("snntrain %s (%s)\n", SNN_VERSION, SNN_COMMIT);
        return 0;
    }
    int rc = cli_parse(argc, argv, &cli);
    if (rc >= 0 && cli.help) {
        cli_print_help(cli.command);
        return 0;
    }
    catch_signals();
    if (rc >= 0) rc = cli.command->run(&cli);
    return end(&cli, rc);
}
