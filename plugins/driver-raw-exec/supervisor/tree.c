#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor.h"

int file_put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = write(fd, text, strlen(text));
  int saved = errno;
  close(fd);
  errno = saved;
  return n < 0 ? -1 : 0;
}

void signals_reset(void) {
  sigset_t none;
  for (int sig = 1; sig < NSIG; sig++) signal(sig, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static int netns_join(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -1 : setns(fd, CLONE_NEWNET);
}

/* Runs in the child; returns only the name of the step that failed, with errno. */
static const char *become_task(const struct spec *spec, int out, int err, pid_t parent) {
  setsid();
  signals_reset();
  if (out >= 0 && (dup2(out, 1) < 0 || dup2(err, 2) < 0)) return "output";
  for (size_t i = 0; i < spec->cgroup_count; i++)
    if (file_put(spec->cgroups[i], "0") < 0) return "cgroup";
  /* The supervisor is spared by the OOM killer; its task only as far as its config says. Lowering needs a privilege. */
  if (file_put("/proc/self/oom_score_adj", spec->oom_score_adj ? spec->oom_score_adj : "0") < 0 && spec->oom_score_adj)
    return "oom_score_adj";
  if (spec->netns && netns_join(spec->netns) < 0) return "netns";
  if (spec->has_user) {
    /* A program that opens /dev/stdout by its name needs the right to. */
    if (out >= 0) (void)!(fchown(1, spec->uid, spec->gid) | fchown(2, spec->uid, spec->gid));
    if (setgroups(spec->group_count, spec->groups) < 0 || setgid(spec->gid) < 0 || setuid(spec->uid) < 0) return "user";
  }
  if (chdir(spec->cwd) < 0) return "cwd";
  /* Without its supervisor a task has neither log nor control: it must not outlive it. Set last: setuid clears it. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  execve(spec->program, spec->argv, spec->envp);
  return "exec";
}

int tree_start(const struct spec *spec, int out, int err, const char **failed_stage, pid_t *task) {
  static struct {
    int error;
    char stage[24];
  } failure;
  int report[2];
  pid_t self = getpid();
  *failed_stage = "fork";
  if (pipe2(report, O_CLOEXEC) < 0) return errno;
  *task = fork();
  if (*task < 0) return errno;
  if (*task == 0) {
    const char *stage = become_task(spec, out, err, self);
    failure.error = errno;
    strncpy(failure.stage, stage, sizeof failure.stage - 1);
    (void)!write(report[1], &failure, sizeof failure);
    _exit(127);
  }
  close(report[1]);
  ssize_t n;
  do n = read(report[0], &failure, sizeof failure);
  while (n < 0 && errno == EINTR);
  close(report[0]);
  /* The pipe closed by itself at the exec: the program runs. */
  if (n != sizeof failure) return 0;
  waitpid(*task, NULL, 0);
  *failed_stage = failure.stage;
  return failure.error;
}

/* The parent of a process, from /proc/PID/stat: "pid (any name) state ppid …". */
static pid_t parent_of(const char *pid) {
  char path[64], stat[512];
  snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = read(fd, stat, sizeof stat - 1);
  close(fd);
  if (n <= 0) return -1;
  stat[n] = 0;
  char *name_end = strrchr(stat, ')');
  return name_end && strlen(name_end) > 4 ? (pid_t)strtol(name_end + 4, NULL, 10) : -1;
}

/* One blow at the task's process group and at all our children. The orphans of the killed become our children, so
 * repeating it until tree_reap finds no child left reaches every descendant. */
void tree_kill(pid_t task) {
  pid_t self = getpid();
  kill(-task, SIGKILL);
  DIR *proc = opendir("/proc");
  if (!proc) return;
  for (struct dirent *e; (e = readdir(proc));) {
    if (isdigit((unsigned char)e->d_name[0]) && parent_of(e->d_name) == self)
      kill((pid_t)strtol(e->d_name, NULL, 10), SIGKILL);
  }
  closedir(proc);
}

int tree_reap(pid_t task, int *ended, int *status) {
  for (;;) {
    int found;
    pid_t pid = waitpid(-1, &found, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return 1;
    if (pid == 0) return 0;
    if (pid != task) continue;
    *ended = 1;
    *status = found;
  }
}
