#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_headers.sh - every header compiles alone as C11; those that a CUDA compiler will read, as C++17 too.
set -eu
cd -- "${1:-"$(dirname -- "$(readlink -f -- "$0")")/.."}"

# $CC and $CXX may carry arguments; so does what pkg-config prints: they are split into words.
common='-fsyntax-only -Werror -Wall -Wextra -Wshadow -Wvla -Wwrite-strings -Wundef -Wpointer-arith -Wno-unused-function -Isrc -D_GNU_SOURCE'
as_c="${CC:-cc} -std=c11 -Wmissing-prototypes -Wstrict-prototypes $common -DSNN_ISA_SUFFIX=_base $(pkg-config --cflags cairo jansson yaml-0.1)"
as_cxx="${CXX:-c++} -std=c++17 -Wno-unused-const-variable $common"
bad=0

compiles() { # COMPILER-AND-FLAGS LANGUAGE HEADER
    # shellcheck disable=SC2086
    printf '#include "%s"\n' "${3#src/}" | $1 -x "$2" - || {
        printf '%s: does not compile alone as %s\n' "$3" "$2"
        bad=1
    }
}

while read -r header; do compiles "$as_c" c "$header"; done < <(find src -name '*.h' ! -path 'src/cuda/*' | sort) # those are compiled by a CUDA compiler, or in emulation

if command -v "${CXX:-c++}" >/dev/null; then
    for header in src/core/{real,rng,rmath,batch}.h src/autograd/{device,memory,math,conv,pool,norm,weights,binary,loss}.h src/layers/{surrogates,neuron}.h \
        src/layers/cells/*.h src/optim/{optim_rules,optim_kernels}.h; do
        compiles "$as_cxx" c++ "$header"
        compiles "$as_cxx -DSNN_DOUBLE" c++ "$header"
    done
else
    printf 'skipped: headers as C++17: there is no C++ compiler\n' >&2
fi
exit $bad
