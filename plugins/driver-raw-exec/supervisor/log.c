/* Output goes to PREFIX.N, the highest N being written; a file ends at a line's end where one fits. A disk that refuses
 * must not stop the task: what could not be written is counted, and told in the log as soon as it can be. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor.h"

static char buffer[65536];

/* The task can write in the directory of its logs: what it has put in the place of a file (a link to one of the host, a
 * pipe nobody reads) is removed, never written to; nor is a link in the place of the directory followed. */
static int safe_open(const char *prefix, unsigned index) {
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  char dir[PATH_MAX], name[PATH_MAX + 16];
  struct stat st;
  const char *slash = strrchr(prefix, '/');
  snprintf(dir, sizeof dir, "%.*s", (int)(slash - prefix), prefix);
  snprintf(name, sizeof name, "%s.%u", slash + 1, index);
  int at = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (at < 0) return -1;
  int fd = openat(at, name, flags, 0644);
  int is_ours = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
  if (!is_ours && (fd >= 0 || errno == ELOOP || errno == ENXIO)) {
    if (fd >= 0) close(fd);
    fd = unlinkat(at, name, 0) == 0 ? openat(at, name, flags | O_EXCL, 0644) : -1;
  }
  int saved = errno;
  close(at);
  errno = saved;
  return fd;
}

static int file_open(struct stream *s, unsigned index) {
  off_t size;
  int fd = safe_open(s->prefix, index);
  if (fd < 0) return -1;
  size = lseek(fd, 0, SEEK_END);
  if (s->file >= 0) close(s->file);
  s->file = fd;
  s->index = index;
  s->size = size > 0 ? (uint64_t)size : 0;
  return 0;
}

static unsigned newest_index(const char *prefix) {
  char dir[PATH_MAX];
  const char *slash = strrchr(prefix, '/');
  unsigned newest = 0;
  snprintf(dir, sizeof dir, "%.*s", (int)(slash - prefix), prefix);
  DIR *d = opendir(dir);
  if (!d) return 0;
  size_t n = strlen(slash + 1);
  for (struct dirent *e; (e = readdir(d));) {
    char *end;
    if (strncmp(e->d_name, slash + 1, n) != 0 || e->d_name[n] != '.' || e->d_name[n + 1] == 0) continue;
    unsigned long index = strtoul(e->d_name + n + 1, &end, 10);
    if (*end == 0 && index > newest) newest = (unsigned)index;
  }
  closedir(d);
  return newest;
}

int stream_open(struct stream *s, const char *prefix, unsigned max_files, uint64_t max_bytes) {
  memset(s, 0, sizeof *s);
  s->pipe = s->file = -1;
  s->max_files = max_files > 0 ? max_files : 1;
  s->max_bytes = max_bytes > 0 ? max_bytes : 1;
  if (strlen(prefix) >= sizeof s->prefix || !strchr(prefix, '/')) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(s->prefix, prefix);
  return file_open(s, newest_index(prefix));
}

static void rotate(struct stream *s) {
  char path[PATH_MAX + 16];
  /* When no new file can be had, going on in the old one loses nothing. */
  if (file_open(s, s->index + 1) < 0) {
    s->size = 0;
    return;
  }
  if (s->index < s->max_files) return;
  for (unsigned i = s->index - s->max_files;; i--) {
    snprintf(path, sizeof path, "%s.%u", s->prefix, i);
    if (unlink(path) < 0 || i == 0) return;
  }
}

static size_t put(struct stream *s, const char *data, size_t length) {
  size_t done = 0;
  while (done < length) {
    ssize_t n = write(s->file, data + done, length - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += (size_t)n;
    s->size += (uint64_t)n;
  }
  return done;
}

static int tell_loss(struct stream *s) {
  char note[160];
  int n = snprintf(note, sizeof note, "\n[meshnomad: %llu bytes of output were lost here: %s]\n",
                   (unsigned long long)s->lost, strerror(s->lost_errno));
  if (put(s, note, (size_t)n) < (size_t)n) return -1;
  s->lost = 0;
  return 0;
}

static void stream_write(struct stream *s, const char *data, size_t length) {
  while (length > 0) {
    size_t fits = length;
    uint64_t room = s->size < s->max_bytes ? s->max_bytes - s->size : 0;
    if (length > room) {
      const char *line_end = room > 0 ? memrchr(data, '\n', (size_t)room) : NULL;
      if (!line_end && s->size > 0) {
        rotate(s);
        if (s->size < s->max_bytes) continue;
      }
      fits = line_end ? (size_t)(line_end - data) + 1 : room > 0 ? (size_t)room : length;
    }
    size_t done = s->lost > 0 && tell_loss(s) < 0 ? 0 : put(s, data, fits);
    if (done < fits) {
      s->lost_errno = errno;
      s->lost += fits - done;
    }
    data += fits;
    length -= fits;
  }
}

int stream_drain(struct stream *s) {
  /* A bounded number of rounds: a task that never stops printing must not keep us from its signals. */
  for (int round = 0; round < 16; round++) {
    ssize_t n = read(s->pipe, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return 0;
    if (n == 0) return 1;
    stream_write(s, buffer, (size_t)n);
  }
  return 0;
}
