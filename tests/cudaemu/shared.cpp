/* SPDX-License-Identifier: Apache-2.0
 * shared.cpp - finds static shared memory: the sections named .cudaemu.shared.N of every loaded object.
 *
 * A section named like a C identifier would have __start_ and __stop_ symbols, but then clang's AddressSanitizer would
 * put no red zones around the variables. So the section tables of the ELF files are read instead. */
#include <algorithm>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <string>

#include "internal.h"

namespace cudaemu {

static std::vector<struct span> spans;

static bool read_at(FILE *f, uint64_t offset, void *to, size_t bytes) {
    return fseek(f, (long)offset, SEEK_SET) == 0 && fread(to, 1, bytes, f) == bytes;
}

static void scan(const char *path, uintptr_t base) {
    static const char prefix[] = ".cudaemu.shared.";
    FILE *f = fopen(path, "rb");
    if (!f) return; /* the vDSO has no file */
    ElfW(Ehdr) head;
    if (read_at(f, 0, &head, sizeof head) && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 && head.e_shnum > 0) {
        std::vector<ElfW(Shdr)> sections(head.e_shnum);
        if (read_at(f, head.e_shoff, sections.data(), sections.size() * sizeof(ElfW(Shdr)))) {
            const ElfW(Shdr) &strings = sections[head.e_shstrndx];
            std::vector<char> names(strings.sh_size + 1);
            if (!read_at(f, strings.sh_offset, names.data(), strings.sh_size)) names.assign(names.size(), 0);
            for (const ElfW(Shdr) & s : sections)
                if (s.sh_size > 0 && s.sh_name < strings.sh_size &&
                    strncmp(&names[s.sh_name], prefix, sizeof prefix - 1) == 0)
                    spans.push_back({reinterpret_cast<unsigned char *>(base + s.sh_addr), (size_t)s.sh_size});
        }
    }
    fclose(f);
}

static int visit(struct dl_phdr_info *info, size_t, void *) {
    const bool program = info->dlpi_name[0] == 0;
    if (program || strchr(info->dlpi_name, '/')) scan(program ? "/proc/self/exe" : info->dlpi_name, info->dlpi_addr);
    return 0;
}

static int count_loads(struct dl_phdr_info *info, size_t, void *data) {
    *static_cast<unsigned long long *>(data) = info->dlpi_adds + info->dlpi_subs;
    return 1; /* the first object tells */
}

const std::vector<struct span> &static_shared() {
    static unsigned long long seen;
    unsigned long long loads = 0;
    dl_iterate_phdr(count_loads, &loads);
    if (loads != seen) {
        seen = loads;
        spans.clear();
        dl_iterate_phdr(visit, nullptr);
    }
    return spans;
}

__attribute__((no_sanitize("address"), no_sanitize("undefined"))) void fill_ones(unsigned char *p, size_t bytes) {
    volatile unsigned char *end = p + bytes, *at = p;
    while (at < end && reinterpret_cast<uintptr_t>(at) % 8) *at++ = 0xFF;
    for (; end - at >= 8; at += 8) *reinterpret_cast<volatile uint64_t *>(at) = ~(uint64_t)0;
    while (at < end) *at++ = 0xFF;
}

} // namespace cudaemu
