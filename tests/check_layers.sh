#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_layers.sh - holds the order of the folders: each may include from those on its line below, and nothing else.
# A folder that is not in the table fails too, so that whoever adds one has to say where it stands.
set -eu
cd -- "${1:-"$(dirname -- "$(readlink -f -- "$0")")/.."}"

may_include() { # FOLDER: the folders that it may name, apart from itself
    case $1 in
    src/core) ;;
    src/autograd | src/datasets) echo core ;;
    src/layers | src/optim) echo core autograd ;;
    src/cuda) echo core autograd layers optim ;; # nothing includes it: backends are loaded
    src/train) echo core datasets autograd layers optim ;;
    tools) echo core datasets autograd layers optim train ;;
    *) return 1 ;;
    esac
}

bad=0
complain() { # FILE:LINE WHAT
    printf '%s: %s\n' "$1" "$2"
    bad=1
}

ours=' core autograd datasets layers optim cuda train tools tests fuzz '
for folder in src/*/ tools/; do
    folder=${folder%/}
    allowed=$(may_include "$folder") || {
        complain "$folder" 'is in no line of tests/check_layers.sh'
        continue
    }
    while IFS=: read -r file line text; do
        name=${text#*[\"<]} name=${name%%[\">]*} top=${name%%/*}
        case $name in
        ../* | ./* | */../*) complain "$file:$line" "\"$name\": paths start at src/" ;;
        */*)
            case $ours in *" $top "*) ;; *) continue ;; esac # <sys/stat.h>
            case " $allowed ${folder##*/} " in *" $top "*) ;; *) complain "$file:$line" "$folder may not include \"$name\"" ;; esac
            ;;
        *) # without a folder: a neighbour, or a library's
            case $text in *\"*) [ -e "$(dirname "$file")/$name" ] || complain "$file:$line" "no \"$name\" beside it" ;; esac
            ;;
        esac
    done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' --include='*.[ch]' --include='*.cu' --include='*.cuh' "$folder")
done
exit $bad
