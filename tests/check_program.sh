#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_program.sh PROGRAM [BACKEND] - the program runs where nothing of CUDA is installed: it is linked with none of its libraries and
# holds none of its symbols. The real backend, where one was built, loads without a driver and says what is missing.
set -eu
bad=0
complain() {
    printf '%s\n' "$1"
    bad=1
}
program=$1
if readelf -d "$program" | grep -iE 'NEEDED.*(cuda|cublas|nvidia)'; then complain "$program needs a library of CUDA"; fi
if nm -D --undefined-only "$program" | grep -E ' (cuda|cublas|cu[A-Z])'; then complain "$program asks for a symbol of CUDA"; fi
backend=${2:-}
if [ -n "$backend" ] && ! ldconfig -p | grep -q 'libcuda\.so\.1'; then
    status=0
    said=$(SNNTRAIN_CUDA=$backend "$program" plan "$SNN_SOURCE/configs/mnist_linear.yaml" --set data.timesteps=2 --device auto 2>&1) || status=$?
    [ "$status" = 0 ] || complain "with a backend and no driver, --device auto ends with $status: $said"
    status=0
    said=$(SNNTRAIN_CUDA=$backend "$program" bench speed "$SNN_SOURCE/configs/mnist_linear.yaml" --device cuda 2>&1) || status=$?
    [ "$status" = 2 ] || complain "with a backend and no driver, --device cuda ends with $status"
    [ "$said" = 'snntrain: --device cuda: no NVIDIA driver is installed (--device cpu runs here)' ] || complain "it says: $said"
fi
exit $bad
