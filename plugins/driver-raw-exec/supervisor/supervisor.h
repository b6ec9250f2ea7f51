/* meshnomad-supervisor: one small process per task of raw_exec and exec. See docs/decisions and main.c. */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

/* spec.c: what to run, as the agent wrote it. All strings lie in one mapping, which is given back after the start. */
struct spec {
  const char *program, *cwd, *log_out, *log_err, *oom_score_adj, *netns;
  char **argv, **envp;
  /* With these the program is a container runtime: argv creates a container, start_argv lets it go, and the file has the
   * number of its first process, which is the task. */
  const char *pid_file;
  char **start_argv;
  const char *cgroups[16];
  size_t cgroup_count;
  gid_t groups[64];
  size_t group_count;
  int has_user;
  uid_t uid;
  gid_t gid;
  unsigned max_files;
  uint64_t max_bytes;
};
int spec_read(int fd, struct spec *spec);
void spec_free(void);

/* log.c: one stream of output, from its pipe into rotated files. */
struct stream {
  int pipe, file;
  unsigned index, max_files;
  uint64_t size, max_bytes, lost;
  int lost_errno;
  char prefix[PATH_MAX];
};
int stream_open(struct stream *s, const char *prefix, unsigned max_files, uint64_t max_bytes);
/* 1: the pipe is at its end; 0: nothing more for now. */
int stream_drain(struct stream *s);

/* tree.c: the task's processes. Being their subreaper, all that escape their parents become our children. */
int tree_start(const struct spec *spec, int out, int err, const char **failed_stage, pid_t *task);
void tree_kill(pid_t task);
/* Collects the dead; 1 when no child is left. The status of `task` goes to *status. */
int tree_reap(pid_t task, int *ended, int *status);

/* Gives a child back the signals it would have anywhere else. */
void signals_reset(void);
int file_put(const char *path, const char *text);

/* container.c: the same for a task that a container runtime starts. */
int container_start(const struct spec *spec, int out, int err, const char **failed_stage, pid_t *task);

#endif
