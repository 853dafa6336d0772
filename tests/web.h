/* SPDX-License-Identifier: Apache-2.0
 * web.h - a web server on this machine's own address, in a process of its own: it serves one body, well or badly.
 *
 * The first word of a path says how: /good/... knows ranges, /plain/... does not, and so on (see answer()). What is
 * asked for is kept where the test can look. */
#ifndef SNN_TEST_WEB_H
#define SNN_TEST_WEB_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "snn_check.h"

enum { WEB_MOST = 64, WEB_CUT = 70000 };

struct web_log { /* shared with the server */
    int asked;
    char path[WEB_MOST][128];
    long long from[WEB_MOST]; /* first byte of the range, 0: all */
    int cuts;                 /* answers of /once/ so far */
};

static struct web_log *web_log;
static int web_port;
static pid_t web_server;

static inline void web_send(int fd, const void *bytes, size_t n) {
    for (const char *at = bytes; n;) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0) return;
        at += sent, n -= (size_t)sent;
    }
}

static inline void web_head(int fd, int code, size_t length, const char *more) {
    char head[512];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d Some Words\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n",
                     code, length, more);
    web_send(fd, head, (size_t)n);
}

/* The bytes from `from` on, of which `most` are sent. */
static inline void web_body(int fd, const unsigned char *body, size_t size, size_t from, size_t most) {
    char range[128] = "";
    if (from >= size && from) {
        snprintf(range, sizeof range, "Content-Range: bytes */%zu\r\n", size);
        web_head(fd, 416, 0, range);
        return;
    }
    if (from) snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu\r\n", from, size - 1, size);
    web_head(fd, from ? 206 : 200, size - from, range);
    web_send(fd, body + from, most < size - from ? most : size - from);
}

static inline void web_answer(int fd, const char *path, size_t from, const unsigned char *body, size_t size) {
    char way[32], to[128];
    sscanf(path, "/%31[^/]", way);
    if (!strcmp(way, "good")) web_body(fd, body, size, from, size);
    else if (!strcmp(way, "plain")) web_body(fd, body, size, 0, size);
    else if (!strcmp(way, "cut")) web_body(fd, body, size, from, WEB_CUT); /* says all, sends some */
    else if (!strcmp(way, "once")) {                                       /* the same once, and then nothing */
        if (web_log->cuts++) web_head(fd, 503, 0, "");
        else web_body(fd, body, size, from, WEB_CUT);
    } else if (!strcmp(way, "short")) web_body(fd, body, size - 1000, from, size);
    else if (!strcmp(way, "long")) {
        web_head(fd, 200, size + 1000, "");
        web_send(fd, body, size);
        web_send(fd, body, 1000);
    } else if (!strcmp(way, "wrong")) { /* as long, but not the same */
        web_head(fd, 200, size, "");
        web_send(fd, body + 1, size - 1);
        web_send(fd, body, 1);
    } else if (!strcmp(way, "odd") && from) { /* another range than was asked for */
        snprintf(to, sizeof to, "Content-Range: bytes %zu-%zu/%zu\r\n", from + 10, size - 1, size);
        web_head(fd, 206, size - from - 10, to);
        web_send(fd, body + from + 10, size - from - 10);
    } else if (!strcmp(way, "odd")) web_body(fd, body, size, 0, size);
    else if (!strcmp(way, "moved")) {
        snprintf(to, sizeof to, "Location: http://127.0.0.1:%d/good/elsewhere\r\n", web_port);
        web_head(fd, 302, 0, to);
    } else if (!strcmp(way, "sly")) web_head(fd, 302, 0, "Location: file:///etc/hostname\r\n");
    else web_head(fd, 404, 0, "");
}

static inline void web_serve(int listening, const unsigned char *body, size_t size) {
    for (;;) {
        char request[4096] = "", path[128] = "/";
        int fd = accept(listening, NULL, NULL);
        size_t used = 0;
        unsigned long long from = 0;
        while (used < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
            ssize_t n = recv(fd, request + used, sizeof request - 1 - used, 0);
            if (n <= 0) break;
            used += (size_t)n;
            request[used] = 0;
        }
        const char *range = strcasestr(request, "\r\nRange: bytes=");
        sscanf(request, "GET %127s", path);
        if (range) sscanf(range + strlen("\r\nRange: bytes="), "%llu-", &from);
        if (web_log->asked < WEB_MOST) {
            snprintf(web_log->path[web_log->asked], sizeof web_log->path[0], "%s", path);
            web_log->from[web_log->asked++] = (long long)from;
        }
        web_answer(fd, path, (size_t)from, body, size);
        shutdown(fd, SHUT_WR);
        while (recv(fd, request, sizeof request, 0) > 0) {} /* until the other side is done, so that nothing is lost */
        close(fd);
    }
}

/* Starts to serve `body`; it ends with the test, or with web_stop(). */
static inline void web_start(const void *body, size_t size) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof address) && !listen(fd, 16));
    ck_assert(!getsockname(fd, (struct sockaddr *)&address, &length));
    web_port = ntohs(address.sin_port);
    web_log = mmap(NULL, sizeof *web_log, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(web_log != MAP_FAILED);
    web_server = fork();
    ck_assert_int_ge(web_server, 0);
    if (web_server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        web_serve(fd, body, size);
    }
    close(fd);
}

static inline void web_stop(void) {
    if (web_server <= 0) return;
    kill(web_server, SIGKILL);
    waitpid(web_server, NULL, 0);
    web_server = 0;
}

/* http://127.0.0.1:PORT/PATH, in a ring of buffers. */
static inline const char *web_url(const char *path) {
    static char ring[8][200];
    static int at;
    char *url = ring[at++ % 8];
    snprintf(url, sizeof ring[0], "http://127.0.0.1:%d/%s", web_port, path);
    return url;
}

#endif
