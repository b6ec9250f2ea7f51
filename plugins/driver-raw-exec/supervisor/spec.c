/* The task's spec comes over the control socket, so that neither arguments nor secrets show in `ps` or lie on disk:
 * records of a letter, a value and a NUL; the record "." ends it. A spec without its end is an agent that died: no start. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "supervisor.h"

#define SPEC_BYTES_MAX (16u << 20)

static char *area;

static char *area_read(int fd, size_t *length) {
  size_t used = 0;
  /* Pages are taken only as they are touched. */
  area = mmap(NULL, SPEC_BYTES_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) return NULL;
  while (used < SPEC_BYTES_MAX / 2) {
    ssize_t n = read(fd, area + used, SPEC_BYTES_MAX / 2 - used);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return NULL;
    used += (size_t)n;
    if (used >= 3 && memcmp(area + used - 3, "\0.\0", 3) == 0) {
      *length = used - 2;
      return area;
    }
  }
  return NULL;
}

int spec_read(int fd, struct spec *spec) {
  size_t length = 0, args = 0, envs = 0, starts = 0;
  char *at, *end, *text = area_read(fd, &length);
  if (!text) return -1;
  memset(spec, 0, sizeof *spec);
  end = text + length;
  for (at = text; at < end; at += strlen(at) + 1) {
    if (*at == 'a') args++;
    if (*at == 'e') envs++;
    if (*at == 'x') starts++;
  }
  /* The pointer arrays live behind the text, in the half of the area that reading leaves free. */
  spec->argv = (char **)(text + SPEC_BYTES_MAX / 2);
  spec->envp = spec->argv + args + 1;
  spec->start_argv = spec->envp + envs + 1;
  if ((args + envs + starts + 3) * sizeof(char *) > SPEC_BYTES_MAX / 2) return -1;
  args = envs = starts = 0;
  for (at = text; at < end; at += strlen(at) + 1) {
    char *value = at + 1;
    switch (*at) {
      case 'p': spec->program = value; break;
      case 'a': spec->argv[args++] = value; break;
      case 'e': spec->envp[envs++] = value; break;
      case 'x': spec->start_argv[starts++] = value; break;
      case 'i': spec->pid_file = value; break;
      case 'd': spec->cwd = value; break;
      case 'u': spec->uid = (uid_t)strtoul(value, NULL, 10); spec->has_user = 1; break;
      case 'g': spec->gid = (gid_t)strtoul(value, NULL, 10); break;
      case 'G': if (spec->group_count < 64) spec->groups[spec->group_count++] = (gid_t)strtoul(value, NULL, 10); break;
      case 'o': spec->log_out = value; break;
      case 'r': spec->log_err = value; break;
      case 'n': spec->max_files = (unsigned)strtoul(value, NULL, 10); break;
      case 'm': spec->max_bytes = strtoull(value, NULL, 10); break;
      case 'j': if (spec->cgroup_count < 16) spec->cgroups[spec->cgroup_count++] = value; break;
      case 'N': spec->netns = value; break;
      case 's': spec->oom_score_adj = value; break;
      default: return -1;
    }
  }
  if (!spec->program || !spec->cwd || args == 0 || (spec->pid_file && starts == 0)) return -1;
  return 0;
}

void spec_free(void) {
  munmap(area, SPEC_BYTES_MAX);
}
