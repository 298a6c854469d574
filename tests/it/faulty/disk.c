/* A disk that fails, in front of the C library of a server under test (LD_PRELOAD). While the file exists that a variable names:
 *
 *   CCMS_TEST_FLUSH_FAILS  the next flush of a file whose name ends as CCMS_TEST_FLUSH_OF says, and that was written since its
 *                          last one, fails, and what was written is gone, as Linux may do it. The trigger goes with it: every
 *                          later flush succeeds.
 *   CCMS_TEST_DISK_FULL    no file grows.
 *   CCMS_TEST_DIES_FROM    calls that change what is below the folder CCMS_TEST_DIES_IN are counted, and the process kills itself
 *                          in place of the one whose number CCMS_TEST_DIES_AT is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECES_MAX 65536

struct piece {
  int fd;
  off64_t at;
  size_t size;
};

static struct piece pieces[PIECES_MAX]; /* written since the last flush */
static int count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t real_pwrite(int fd, const void *from, size_t size, off64_t at) {
  static ssize_t (*call)(int, const void *, size_t, off64_t);
  if (!call) call = dlsym(RTLD_NEXT, "pwrite64");
  return call(fd, from, size, at);
}

static int triggered(const char *name) {
  const char *file = getenv(name);
  return file && access(file, F_OK) == 0;
}

static int is_full_for(int fd, off64_t end) {
  struct stat64 there;
  return triggered("CCMS_TEST_DISK_FULL") && fstat64(fd, &there) == 0 && S_ISREG(there.st_mode) && end > there.st_size;
}

static ssize_t name_of(int fd, char *name, size_t room) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  return readlink(link, name, room);
}

/* Counts a change of what has this name. */
static void may_die_at(const char *name, ssize_t size) {
  static int changes;
  const char *folder = getenv("CCMS_TEST_DIES_IN"), *at = getenv("CCMS_TEST_DIES_AT");
  size_t of = folder ? strlen(folder) : 0;
  if (!at || !of || size < (ssize_t)of || memcmp(name, folder, of) != 0 || !triggered("CCMS_TEST_DIES_FROM")) return;
  if (__sync_add_and_fetch(&changes, 1) == atoi(at)) kill(getpid(), SIGKILL);
}

static void may_die_in(int fd) {
  char name[4096];
  if (getenv("CCMS_TEST_DIES_AT")) may_die_at(name, name_of(fd, name, sizeof name));
}

static int is_meant(int fd) {
  char name[4096];
  const char *ending = getenv("CCMS_TEST_FLUSH_OF");
  ssize_t size = name_of(fd, name, sizeof name);
  size_t of = ending ? strlen(ending) : 0;
  return ending && size >= (ssize_t)of && memcmp(name + size - of, ending, of) == 0;
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
  may_die_in(fd);
  if (is_full_for(fd, at + (off64_t)size)) {
    errno = ENOSPC;
    return -1;
  }
  pthread_mutex_lock(&lock);
  if (count < PIECES_MAX) pieces[count++] = (struct piece){fd, at, size};
  pthread_mutex_unlock(&lock);
  return real_pwrite(fd, from, size, at);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { return pwrite64(fd, from, size, at); }

ssize_t write(int fd, const void *from, size_t size) {
  static ssize_t (*call)(int, const void *, size_t);
  if (!call) call = dlsym(RTLD_NEXT, "write");
  may_die_in(fd);
  return call(fd, from, size);
}

int rename(const char *from, const char *to) {
  static int (*call)(const char *, const char *);
  if (!call) call = dlsym(RTLD_NEXT, "rename");
  may_die_at(from, (ssize_t)strlen(from));
  return call(from, to);
}

int unlink(const char *file) {
  static int (*call)(const char *);
  if (!call) call = dlsym(RTLD_NEXT, "unlink");
  may_die_at(file, (ssize_t)strlen(file));
  return call(file);
}

int ftruncate64(int fd, off64_t size) {
  static int (*call)(int, off64_t);
  may_die_in(fd);
  if (!call) call = dlsym(RTLD_NEXT, "ftruncate64");
  if (is_full_for(fd, size)) {
    errno = ENOSPC;
    return -1;
  }
  return call(fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int posix_fallocate64(int fd, off64_t at, off64_t size) {
  static int (*call)(int, off64_t, off64_t);
  if (!call) call = dlsym(RTLD_NEXT, "posix_fallocate64");
  return is_full_for(fd, at + size) ? ENOSPC : call(fd, at, size);
}

int posix_fallocate(int fd, off_t at, off_t size) { return posix_fallocate64(fd, at, size); }

/* Forgets, or undoes, what was written to a file since its last flush. */
static void flushed(int fd, int lost) {
  static const char nothing[65536];
  int kept = 0;
  for (int i = 0; i < count; i++) {
    if (pieces[i].fd != fd) {
      pieces[kept++] = pieces[i];
      continue;
    }
    for (size_t done = 0; lost && done < pieces[i].size; done += sizeof nothing) {
      size_t left = pieces[i].size - done;
      real_pwrite(fd, nothing, left < sizeof nothing ? left : sizeof nothing, pieces[i].at + (off64_t)done);
    }
  }
  count = kept;
}

static int flush(int fd, const char *name) {
  may_die_in(fd);
  int (*call)(int) = dlsym(RTLD_NEXT, name);
  pthread_mutex_lock(&lock);
  int dirty = 0;
  for (int i = 0; i < count && !dirty; i++) dirty = pieces[i].fd == fd;
  int fails = dirty && is_meant(fd) && triggered("CCMS_TEST_FLUSH_FAILS");
  flushed(fd, fails);
  if (fails) unlink(getenv("CCMS_TEST_FLUSH_FAILS"));
  pthread_mutex_unlock(&lock);
  if (!fails) return call(fd);
  errno = EIO;
  return -1;
}

int fsync(int fd) { return flush(fd, "fsync"); }
int fdatasync(int fd) { return flush(fd, "fdatasync"); }
