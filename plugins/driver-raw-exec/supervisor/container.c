/* A task that a container runtime (runc, crun) starts. `create` leaves the container's first process without a parent, and
 * so with us, its subreaper: from then on it is a child like any other, and the runtime is needed no more. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor.h"

/* A runtime that hangs must not hang us: the alarm lives through the exec. */
#define RUNTIME_SECONDS_MAX 60

/* Runs the runtime to its end; 0 when it went well. What went wrong it writes to its own log. */
static int runtime_run(const struct spec *spec, char **argv, int out, int err) {
  int status = 0;
  pid_t found, child = fork();
  if (child < 0) return errno;
  if (child == 0) {
    setsid();
    signals_reset();
    /* The supervisor's own immunity must not reach the task. */
    file_put("/proc/self/oom_score_adj", "0");
    if ((out >= 0 && (dup2(out, 1) < 0 || dup2(err, 2) < 0)) || chdir(spec->cwd) < 0) _exit(127);
    alarm(RUNTIME_SECONDS_MAX);
    execve(spec->program, argv, spec->envp);
    _exit(127);
  }
  do found = waitpid(child, &status, 0);
  while (found < 0 && errno == EINTR);
  if (found < 0) return errno;
  if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGALRM ? ETIMEDOUT : EINTR;
  return WEXITSTATUS(status) == 0 ? 0 : EPROTO;
}

static pid_t pid_read(const char *path) {
  char text[32];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return -1;
  text[n] = 0;
  return (pid_t)strtol(text, NULL, 10);
}

int container_start(const struct spec *spec, int out, int err, const char **failed_stage, pid_t *task) {
  *failed_stage = "create";
  int error = runtime_run(spec, spec->argv, out, err);
  if (error) return error;
  *task = pid_read(spec->pid_file);
  if (*task <= 1 || waitpid(*task, NULL, WNOHANG) != 0) return ECHILD;
  *failed_stage = "start";
  error = runtime_run(spec, spec->start_argv, -1, -1);
  if (!error) return 0;
  kill(*task, SIGKILL);
  waitpid(*task, NULL, 0);
  return error;
}
