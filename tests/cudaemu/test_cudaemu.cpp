/* SPDX-License-Identifier: Apache-2.0
 * test_cudaemu.cpp - tests the emulator: sound programs must succeed in every order, planted bugs must be found in one.
 *
 * Prints TAP. Each program runs in a process of its own, this executable again, because an emulator that finds
 * something aborts and because the order is read once. */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "cases.h"
#include "sanitizer.h"

static const char *const orders[] = {"fwd", "rev", "1", "2", "3"};

static const char *what_it_must_say(const struct emulator_case &c) {
    return cudaemu::asan() ? c.asan : cudaemu::tsan() ? c.tsan : c.plain;
}

struct outcome {
    int status; /* wait's */
    std::string said;
};

static std::vector<std::string> environment(const char *order, const char *more) {
    std::vector<std::string> list;
    for (char **e = environ; *e; e++)
        if (strncmp(*e, "CUDAEMU_", 8) != 0 && !strstr(*e, "SAN_OPTIONS=")) list.push_back(*e);
    list.push_back(std::string("CUDAEMU_ORDER=") + order);
    list.push_back("OPENBLAS_NUM_THREADS=1");
    list.push_back("ASAN_OPTIONS=symbolize=0"); /* names of functions take most of the time */
    list.push_back("TSAN_OPTIONS=symbolize=0:halt_on_error=1");
    if (more) list.push_back(more);
    return list;
}

static struct outcome run_child(const char *list, const std::string &number, bool planted, const char *order,
                                const char *more) {
    std::vector<std::string> strings = environment(order, more);
    std::vector<char *> env;
    for (std::string &s : strings) env.push_back(&s[0]);
    env.push_back(nullptr);
    char name[] = "test_cudaemu";
    char *argv[] = {name, const_cast<char *>(list), const_cast<char *>(number.c_str()),
                    const_cast<char *>(planted ? "planted" : "sound"), nullptr};
    int ends[2];
    if (pipe(ends) != 0) abort();
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0) abort();
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        execve("/proc/self/exe", argv, env.data());
        _exit(127);
    }
    close(ends[1]);
    struct outcome o;
    char buffer[4096];
    ssize_t n;
    while ((n = read(ends[0], buffer, sizeof buffer)) > 0) o.said.append(buffer, (size_t)n);
    close(ends[0]);
    waitpid(child, &o.status, 0);
    return o;
}

static int tests, failures;

static void tap(bool good, const std::string &name, const std::string &remark) {
    tests++;
    if (!good) failures++;
    printf("%s %d - %s%s\n", good ? "ok" : "not ok", tests, name.c_str(), remark.c_str());
}

static void tell(const std::string &text) { /* a child's words, as TAP remarks */
    size_t at = 0;
    for (int lines = 0; at < text.size() && lines < 30; lines++) {
        const size_t end = text.find('\n', at);
        printf("#   %s\n", text.substr(at, end - at).c_str());
        if (end == std::string::npos) break;
        at = end + 1;
    }
}

static bool succeeded(const struct outcome &o) { return WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0; }

static void must_succeed(const char *list, const struct emulator_case *cases, int i, const std::string &name) {
    bool good = true;
    for (const char *order : orders) {
        const struct outcome o = run_child(list, std::to_string(i), false, order, cases[i].environment);
        if (succeeded(o)) continue;
        good = false;
        printf("# order %s, status %d:\n", order, o.status);
        tell(o.said);
    }
    tap(good, name, "");
}

static void must_be_found(const struct emulator_case *cases, int i) {
    const struct emulator_case &c = cases[i];
    const char *words = what_it_must_say(c);
    const std::string name = std::string("found: ") + c.name;
    if (strcmp(words, NOT_CLAIMED) == 0) {
        tap(true, name, std::string(" # SKIP ") + c.reason);
        return;
    }
    std::string found; /* the orders that find it */
    for (const char *order : orders) {
        const struct outcome o = run_child("planted", std::to_string(i), true, order, c.environment);
        if (succeeded(o)) continue;
        if (o.said.find(words) != std::string::npos) {
            found += std::string(" ") + order;
            if (cudaemu::asan() || cudaemu::tsan()) break; /* these take their time */
        } else {
            printf("# order %s, status %d, but not '%s':\n", order, o.status, words);
            tell(o.said);
        }
    }
    if (!found.empty()) printf("# in the orders%s\n", found.c_str());
    tap(!found.empty(), name, "");
}

int main(int argc, char **argv) {
    if (argc == 4) {
        const struct emulator_case *cases = strcmp(argv[1], "planted") == 0 ? planted_cases : sound_cases;
        const struct emulator_case &c = cases[atoi(argv[2])];
        c.run(strcmp(argv[3], "planted") == 0 ? c.bug : 0);
        return 0;
    }
    printf("# %s build\n", cudaemu::asan() ? "AddressSanitizer" : cudaemu::tsan() ? "ThreadSanitizer" : "plain");
    for (int i = 0; sound_cases[i].name; i++) must_succeed("sound", sound_cases, i, sound_cases[i].name);
    for (int i = 0; planted_cases[i].name; i++) {
        if (i == 0 || planted_cases[i].run != planted_cases[i - 1].run)
            must_succeed("planted", planted_cases, i, std::string("sound twin of: ") + planted_cases[i].name);
        must_be_found(planted_cases, i);
    }
    printf("1..%d\n", tests);
    return failures > 0;
}
