/* meshnomad-supervisor DIR: runs one task, owns its output, and records how it ended.
 *
 *   agent ──spec──▶ fd 3 ──▶ start ──"ok PID"──▶ … any number of agents come and go over DIR/sock …
 *                              └──"fail STAGE ERRNO"──▶ exit 1
 *   task ends ─▶ kill what is left of its tree ─▶ drain the pipes ─▶ DIR/exit written and synced ─▶ connections close
 *
 * The end of a connection is the news, DIR/exit ("CODE SIGNAL UNIX_MS") is the truth. Commands, a line each:
 * "kill" (the whole tree), "signal N" (the task's first process; answered "ok" or "err ERRNO").
 * The agent's death changes nothing here. The first process dies with us (PR_SET_PDEATHSIG); a container is ended by the
 * agent that finds us dead. `meshnomad-supervisor --hold` runs nothing: see hold(). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor.h"

#define CONNECTIONS_MAX 8
#define KILL_INTERVAL_MS 20

struct connection {
  int fd;
  size_t used;
  char line[64];
};

static struct connection connections[CONNECTIONS_MAX];
static struct stream streams[2];
static pid_t task;
static int killing;

static void reply(int fd, const char *format, ...) {
  char text[96];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  /* An agent that does not read, or is gone, is its own loss. */
  send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void obey(struct connection *c, int task_ended) {
  if (strcmp(c->line, "kill") == 0) {
    killing = 1;
  } else if (strncmp(c->line, "signal ", 7) == 0) {
    /* Not reaped yet, so the number cannot belong to another process. */
    int error = task_ended ? ESRCH : kill(task, atoi(c->line + 7)) < 0 ? errno : 0;
    if (error) reply(c->fd, "err %d\n", error);
    else reply(c->fd, "ok\n");
  } else {
    reply(c->fd, "err %d\n", EINVAL);
  }
}

static void hear(struct connection *c, int task_ended) {
  char byte;
  ssize_t n;
  while ((n = recv(c->fd, &byte, 1, MSG_DONTWAIT)) == 1) {
    if (byte == '\n') {
      c->line[c->used] = 0;
      c->used = 0;
      obey(c, task_ended);
    } else if (c->used < sizeof c->line - 1) {
      c->line[c->used++] = byte;
    }
  }
  if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
    close(c->fd);
    c->fd = -1;
  }
}

static void welcome(int fd) {
  for (int i = 0; i < CONNECTIONS_MAX; i++) {
    if (connections[i].fd >= 0) continue;
    connections[i].fd = fd;
    connections[i].used = 0;
    reply(fd, "ok %d\n", (int)task);
    return;
  }
  close(fd);
}

static int listen_here(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "sock"};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  unlink("sock");
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 8) < 0) return -1;
  return fd;
}

static int record_exit(int status) {
  char text[64];
  struct timespec now;
  int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  int code = signal ? 128 + signal : WEXITSTATUS(status);
  clock_gettime(CLOCK_REALTIME, &now);
  int n = snprintf(text, sizeof text, "%d %d %lld\n", code, signal, (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
  int fd = open("exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  int written = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
  close(fd);
  if (!written) {
    errno = ENOSPC;
    return -1;
  }
  if (rename("exit.new", "exit") < 0) return -1;
  int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    fsync(dir);
    close(dir);
  }
  return 0;
}

static int open_stream(struct stream *s, const char *prefix, const struct spec *spec) {
  int ends[2];
  if (stream_open(s, prefix, spec->max_files, spec->max_bytes) < 0 || pipe2(ends, O_CLOEXEC) < 0) return -1;
  s->pipe = ends[0];
  fcntl(s->pipe, F_SETFL, O_NONBLOCK);
  return ends[1];
}

static void drain(struct stream *s) {
  if (s->pipe < 0 || !stream_drain(s)) return;
  close(s->pipe);
  s->pipe = -1;
}

static void supervise(int signals, int listener) {
  int ended = 0, alone = 0, status = 0;
  while (!alone) {
    struct pollfd fds[4 + CONNECTIONS_MAX] = {{signals, POLLIN, 0}, {listener, POLLIN, 0},
                                              {streams[0].pipe, POLLIN, 0}, {streams[1].pipe, POLLIN, 0}};
    for (int i = 0; i < CONNECTIONS_MAX; i++) fds[4 + i] = (struct pollfd){connections[i].fd, POLLIN, 0};
    poll(fds, 4 + CONNECTIONS_MAX, killing ? KILL_INTERVAL_MS : -1);
    if (fds[0].revents) {
      struct signalfd_siginfo info;
      (void)!read(signals, &info, sizeof info);
    }
    if (fds[1].revents) {
      int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) welcome(fd);
    }
    for (int i = 0; i < 2; i++) drain(&streams[i]);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
      if (fds[4 + i].revents && connections[i].fd >= 0) hear(&connections[i], ended);
    alone = tree_reap(task, &ended, &status);
    if (ended) killing = 1;
    if (killing && !alone) tree_kill(task);
  }
  /* Nobody who could write is left, save for strangers a pipe was handed to: what lies in the pipes now is all. */
  for (int i = 0; i < 2; i++)
    for (int round = 0; streams[i].pipe >= 0 && round < 64; round++) drain(&streams[i]);
  /* A disk that is full for the moment must not lose the exit code; a directory that was removed wants none. */
  while (record_exit(status) < 0 && errno != ENOENT) poll(NULL, 0, 1000);
}

static void leave(int sig) {
  (void)sig;
  _exit(0);
}

/* The first process of a container that only holds a network for others: it does nothing until it is told to end. */
static _Noreturn void hold(void) {
  signal(SIGTERM, leave);
  signal(SIGINT, leave);
  signal(SIGCHLD, SIG_IGN);
  for (;;) pause();
}

int main(int argc, char **argv) {
  static struct spec spec;
  const char *stage = "spec";
  int out = -1, err = -1, error = 0;
  sigset_t all;
  if (argc == 2 && strcmp(argv[1], "--hold") == 0) hold();
  if (argc != 2 || chdir(argv[1]) < 0) return 2;
  fcntl(3, F_SETFD, FD_CLOEXEC);
  /* Neither a terminal nor a shutdown's SIGTERM ends us before the task has ended. */
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  sigemptyset(&all);
  sigaddset(&all, SIGCHLD);
  int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  streams[0].pipe = streams[1].pipe = -1;
  for (int i = 0; i < CONNECTIONS_MAX; i++) connections[i].fd = -1;
  if (spec_read(3, &spec) < 0) return 2;
  int adj = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (adj >= 0) {
    (void)!write(adj, "-1000", 5);
    close(adj);
  }
  stage = "socket";
  int listener = listen_here();
  if (listener < 0) error = errno;
  if (!error && spec.log_out) {
    stage = "log";
    if ((out = open_stream(&streams[0], spec.log_out, &spec)) < 0) error = errno;
    else if ((err = open_stream(&streams[1], spec.log_err, &spec)) < 0) error = errno;
  }
  if (!error) error = (spec.pid_file ? container_start : tree_start)(&spec, out, err, &stage, &task);
  if (error) {
    reply(3, "fail %s %d\n", stage, error);
    return 1;
  }
  if (out >= 0) close(out);
  if (err >= 0) close(err);
  spec_free();
  welcome(3);
  supervise(signals, listener);
  return 0;
}
