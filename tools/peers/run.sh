#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh - snntrain beside SpikingJelly, snnTorch and Norse: makes their virtual environment once, then measures.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$(dirname -- "$here")")
venv=$root/.venv-peers
data=
workload=conv_nmnist
snntrain=$root/build/tools/snntrain
frameworks='snntorch spikingjelly norse DCLS h5py'

usage() {
    cat <<'END'
run.sh [--workload NAME] [--data DIR] [--venv DIR] [--snntrain FILE] [MEASURING OPTION...]

--workload   conv_nmnist (default), shd_fc, delay_shd, or shd_fc_digits, delay_shd_digits: on spoken digits, in 10 classes
--data       its data: the N-MNIST folder that holds Train/, or the folder of shd_train.h5
             (default: nmnist, shd or fsdd_spikes in $SNNTRAIN_DATA)
--venv       the virtual environment to use, made when it is not there (default: .venv-peers in the project)
--snntrain   the program to measure (default: build/tools/snntrain in the project)

Measuring options go to bench_peers.py: --rounds N, --iters N, --warmup N, --threads N and
--peers LIST (default spikingjelly,snntorch,norse; a name may carry +compile, +channels_last, and +single where it is
spikingjelly, +layers where it is not)
END
}

fail() {
    echo "run.sh: $1" >&2
    exit "$2"
}

installed() {
    # Asks for the packages' metadata: importing them takes seconds, and would warm the file cache for one side only.
    # shellcheck disable=SC2086
    "$venv/bin/python" -c 'import sys; from importlib.metadata import version; [version(p) for p in sys.argv[1:]]' \
        torch $frameworks 2>/dev/null
}

pip_install() {
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check install "$@" >&2
}

# PyTorch's own index has builds without CUDA: much less to download, and less memory, than what PyPI has.
install() {
    echo "run.sh: installing torch $frameworks into $venv" >&2
    python3 -m venv "$venv" >&2 || fail "cannot make $venv (on Debian: apt-get install python3-venv)" 1
    cpu='--retries 1 --timeout 15 --index-url https://download.pytorch.org/whl/cpu'
    # shellcheck disable=SC2086
    pip_install $cpu torch torchvision torchaudio || pip_install torch || fail "cannot install torch" 1
    # shellcheck disable=SC2086
    pip_install $frameworks || fail "cannot install $frameworks" 1
}

left=$#
while [ "$left" -gt 0 ]; do
    case $1 in
    --help | -h) usage && exit 0 ;;
    --data | --workload | --venv | --snntrain)
        [ "$left" -ge 2 ] || fail "$1 wants a value" 2
        case $1 in
        --data) data=$2 ;;
        --workload) workload=$2 ;;
        --venv) venv=$2 ;;
        --snntrain) snntrain=$2 ;;
        esac
        shift 2
        left=$((left - 2))
        ;;
    *) # goes round to the end: the measurement's own
        set -- "$@" "$1"
        shift
        left=$((left - 1))
        ;;
    esac
done

case $workload in
conv_nmnist) set_name=nmnist file=Train ;;
shd_fc | delay_shd) set_name=shd file=shd_train.h5 ;;
shd_fc_digits | delay_shd_digits) set_name=fsdd_spikes file=shd_train.h5 ;;
*) fail "--workload: expected conv_nmnist, shd_fc, delay_shd, shd_fc_digits or delay_shd_digits, got '$workload'" 2 ;;
esac
[ -n "$data" ] || data=${SNNTRAIN_DATA:+$SNNTRAIN_DATA/$set_name}
[ -n "$data" ] || fail "where is the data? Name the folder that holds $file with --data DIR" 2
[ -e "$data/$file" ] || fail "$data: holds no $file (what is packed, the peers do not read: unpack it)" 3
[ -x "$snntrain" ] || fail "$snntrain: not there; build first: meson setup build && ninja -C build" 1
installed || install
exec "$venv/bin/python" "$here/bench_peers.py" --workload "$workload" --data "$data" --snntrain "$snntrain" \
    --root "$root" "$@"
