/* SPDX-License-Identifier: Apache-2.0
 * test_checkops.c - every entry of every kernel table, on every instruction set that runs here, against plain C
 * (checkops.h says how). */
#include "checkops.h"

/* We run more threads than there may be cores: those that wait must sleep at once, or a call takes ten times as long.
 * Thread libraries read their environment when they are loaded, hence the second start. */
static void settle_threads(char **argv) {
    if (getenv("OMP_WAIT_POLICY")) return;
    setenv("OMP_WAIT_POLICY", "passive", 1), setenv("OPENBLAS_NUM_THREADS", "1", 1);
    execv("/proc/self/exe", argv); /* where it cannot be started again, slowly */
}

int main(int argc, char **argv) {
    (void)argc;
    settle_threads(argv);
    if (getenv("SNN_OPS_DEVICE") && why_no_card()) {
        printf("1..0 # SKIP %s\n", why_no_card());
        return 0;
    }
    Suite *suite = suite_create("checkops");
    suite_add_tcase(suite, ops_math());
    suite_add_tcase(suite, ops_conv());
    suite_add_tcase(suite, ops_delay());
    suite_add_tcase(suite, ops_pool());
    suite_add_tcase(suite, ops_norm());
    suite_add_tcase(suite, ops_weights());
    suite_add_tcase(suite, ops_binary());
    suite_add_tcase(suite, ops_mix());
    suite_add_tcase(suite, ops_attention());
    suite_add_tcase(suite, ops_loss());
    suite_add_tcase(suite, ops_neuron());
    suite_add_tcase(suite, ops_optim());
    suite_add_tcase(suite, ops_ultra());
    suite_add_tcase(suite, ops_regular());
    return run_suite(suite);
}
