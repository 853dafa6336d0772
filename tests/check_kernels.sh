#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_kernels.sh - holds what every CUDA kernel takes of a GPU to its line in tests/kernels.txt, without a GPU.
#
# The files are compiled for one architecture alone, as src/cuda/meson.build compiles them. The PTX tells what a kernel does,
# ptxas tells what that takes. Neither cuobjdump nor c++filt is needed, which many machines lack.
set -eu
cd -- "${1:-"$(dirname -- "$(readlink -f -- "$0")")/.."}"
nvcc=${NVCC:-nvcc}
export nvcc

# Everything that an sm_80 has is written below as a number; so there is no other architecture to fall back on.
"$nvcc" --list-gpu-code | grep -qx sm_80 || {
    printf 'skipped: %s knows no sm_80\n' "$nvcc" >&2
    exit 77
}

made=$(mktemp -d)
trap 'rm -rf -- "$made"' EXIT
export made
mkdir -- "$made/core" # what the build writes there
printf '#define SNN_COMMIT ""\n' >"$made/core/commit.h"

compile() { # FILE.cu: FILE.ptx, and FILE.log with what ptxas says of it
    local stem=$made/${1##*/}
    stem=${stem%.cu}
    if "$nvcc" -arch=sm_80 -std=c++17 -O3 -fmad=false -Isrc -I"$made" -DSNN_VERSION='""' -ptx "$1" -o "$stem.ptx"; then
        if "$nvcc" -arch=sm_80 -cubin -Xptxas -v "$stem.ptx" -o "$stem.cubin" >"$stem.log" 2>&1; then return; fi
        cat -- "$stem.log"
    fi
    printf '%s: does not compile\n' "$1"
    return 1
}
export -f compile
# Large files first, so that the last one to end is a small one.
# shellcheck disable=SC2011,SC2012,SC2016 # these names have no blanks
ls -S src/cuda/*.cu | xargs -P 2 -I{} bash -c 'compile "$1"' _ {} || exit 1

# shellcheck disable=SC2016 # this is awk
judge='
# ---- names: _Z3addILi4ELb1EEvPf is add<4,true> ----

function fail(what) { print what; bad = 1 }

# Take the characters that match, which must stand first, off the rest of the name. "": they do not.
function take(pattern,    got) {
    if (!match(rest, "^" pattern)) return ""
    got = substr(rest, 1, RLENGTH)
    rest = substr(rest, RLENGTH + 1)
    return got
}
function identifier(    length_of, got) {
    length_of = take("[0-9]+")
    if (length_of == "") return ""
    got = substr(rest, 1, length_of)
    rest = substr(rest, length_of + 1)
    return got
}
function argument(    type, value) {
    if (take("L") == "") {
        type = identifier()
        return type != "" ? type : builtin[take("[a-z]")]
    }
    type = identifier()
    if (type == "") type = take("[a-z]")
    value = take("n?[0-9]+")
    sub(/^n/, "-", value)
    if (value == "" || take("E") == "") return ""
    return type == "b" ? (value == "1" ? "true" : "false") : value
}
# What this cannot read, such as the name of a namespace, stands in the table as the compiler wrote it.
function plain(mangled,    name, list, one) {
    rest = mangled
    if (take("_ZL?") == "") return mangled
    name = identifier()
    if (name == "") return mangled
    if (take("I") == "") return name
    while (take("E") == "") {
        one = argument()
        if (one == "") return mangled
        list = list (list == "" ? "" : ",") one
    }
    return name "<" list ">"
}

# ---- occupancy on sm_80 ----

function least(a, b) { return a < b ? a : b }
function whole(n, unit) { return int((n + unit - 1) / unit) * unit }

# Percent of the 64 warps that can be resident, in blocks of 256 threads. Registers go to a warp in units of 256, out of
# 16384 that each quarter of a multiprocessor has; shared memory goes to a block in units of 128 bytes, and the
# driver takes 1 KiB of each block. Shared memory that is asked for at the launch does not count.
function occupancy(registers, shared,    warps, blocks) {
    warps = registers > 0 ? 4 * int(16384 / whole(32 * registers, 256)) : 64
    blocks = least(least(int(warps / 8), int(2048 / 256)), 32)
    blocks = least(blocks, int(164 * 1024 / whole(shared + 1024, 128)))
    return int(100 * 8 * blocks / 64)
}

BEGIN {
    split("b bool c char a signed_char h unsigned_char s short t unsigned_short i int j unsigned l long m unsigned_long f float d double", pair, " ")
    for (i = 1; i in pair; i += 2) builtin[pair[i]] = pair[i + 1]
}
FNR == 1 {
    file = FILENAME
    sub(/.*\//, "", file)
    kind = file
    sub(/.*\./, "", kind)
    sub(/\.[a-z]*$/, "", file)
    key = entry = ""
}

# ---- the table: file kernel registers shared occupancy doubles barrier atomics ----

kind == "txt" && (/^#/ || NF == 0) { next }
kind == "txt" && (NF != 8 || ($3 $4 $5) !~ /^[0-9]+$/ || ($6 "," $7 "," $8) !~ /^(yes|no),(yes|no),(yes|no)$/) {
    fail(sprintf("%s:%d: not a line of the table", FILENAME, FNR))
    next
}
kind == "txt" && (($1 " " $2) in line) { fail(sprintf("%s:%d: %s has a line already", FILENAME, FNR, $1 " " $2)) }
kind == "txt" {
    line[$1 " " $2] = $0
    next
}

# ---- PTX ----

kind == "ptx" && /\.entry[ \t]/ {
    sub(/.*\.entry[ \t]+/, "")
    sub(/[^A-Za-z0-9_$].*/, "")
    key = file " " plain($0)
    if (key in doubles) fail(sprintf("%s.cu: two kernels have the name %s", file, plain($0)))
    of[file " " $0] = key
    order[++kernels] = key
    doubles[key] = barrier[key] = atomics[key] = "no"
    next
}
kind == "ptx" && /^[ \t]*(\.visible[ \t]+|\.weak[ \t]+)?\.func[ \t(]/ { key = "" }
kind == "ptx" && key != "" {
    sub(/^[ \t{]*(@!?%p[0-9]+[ \t]+)?/, "")
    op = $1
    # To carry a double from place to place costs what any eight bytes cost.
    if (op ~ /^[a-z].*\.f64/ && op !~ /^(ld|ldu|st|mov)\./) doubles[key] = "yes"
    if (op ~ /^(bar|barrier)\./ && op !~ /^bar\.warp\./) barrier[key] = "yes"
    if (op ~ /^(atom|red)\./) atomics[key] = "yes"
    if (op ~ /^(atom|red)\..*(\.f16|\.bf16|\.f32|\.f64)/) floating[key] = 1
    if (op ~ /^call/) calls[key] = 1
    next
}

# ---- ptxas ----

kind == "log" && /Compiling entry function/ {
    split($0, part, "\047") # the quotes about the name
    if (!((file " " part[2]) in of)) fail(sprintf("%s.cu: ptxas speaks of %s, which PTX has not", file, part[2]))
    entry = of[file " " part[2]]
}
kind == "log" && /Function properties for/ { key = of[file " " $NF] }
kind == "log" && key != "" && /bytes stack frame/ {
    frame[key] = $1
    spilled[key] = $5 + $9
}
kind == "log" && entry != "" && /Used [0-9]+ registers/ {
    for (i = 1; i <= NF; ++i) {
        if ($(i + 1) ~ /^registers/) registers[entry] = $i
        if ($(i + 1) == "bytes" && $(i + 2) ~ /^smem/) shared[entry] = $i + 0
        if ($(i + 1) == "bytes" && $(i + 2) ~ /^lmem/) local[entry] = $i + 0
    }
}

# ---- the judgement ----

function must(what, is, says) {
    if (is == says) return
    fail(name ": " (is == "yes" ? "has " what ", which its line denies" : "lacks " what ", which its line says it has"))
}
END {
    if (kernels == 0) fail("there is no kernel")
    for (i = 1; i <= kernels; ++i) {
        key = order[i]
        split(key, part, " ")
        name = part[1] ".cu: " part[2]
        if (!(key in registers) || !(key in frame)) {
            fail(name ": ptxas says nothing of it")
            continue
        }
        if (frame[key] + local[key] + spilled[key] > 0)
            fail(sprintf("%s: %d bytes of local memory, %d bytes of spills", name, frame[key] + local[key], spilled[key]))
        if (key in calls) fail(name ": calls a function, which this test does not look into")
        if (key in floating) fail(name ": adds floating-point numbers with atomics, in no certain order")
        has = occupancy(registers[key], shared[key])
        if (!(key in line)) {
            # A ceiling leaves room: registers are handed out eight a thread; up to 32 of them bound nothing.
            fail(sprintf("%s: is not in the table; as it is: %s %d %d %d %s %s %s", name, key,
                registers[key] < 32 ? 32 : whole(registers[key], 8), shared[key], has, doubles[key], barrier[key], atomics[key]))
            continue
        }
        split(line[key], says, " ")
        if (registers[key] > says[3]) fail(sprintf("%s: %d registers, more than the %d of its line", name, registers[key], says[3]))
        if (shared[key] + 0 != says[4]) fail(sprintf("%s: %d bytes of shared memory, not the %d of its line", name, shared[key], says[4]))
        if (has < says[5]) fail(sprintf("%s: an occupancy of %d %%, less than the %d %% of its line", name, has, says[5]))
        must("arithmetic in double precision", doubles[key], says[6])
        must("a barrier", barrier[key], says[7])
        must("an atomic", atomics[key], says[8])
    }
    for (key in line) if (!(key in doubles)) fail("kernels.txt: " key ": there is no such kernel")
    exit bad
}
'
LC_ALL=C awk "$judge" tests/kernels.txt "$made"/*.ptx "$made"/*.log || {
    printf 'compiled by %s; tests/kernels.txt says what its figures are\n' "$("$nvcc" --version | sed -n 's/.*\(release [0-9.]*\).*/nvcc \1/p')"
    exit 1
}
