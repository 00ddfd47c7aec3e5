/* Stands between a program and its file system: fails the calls that a plan names, and writes down every change, so
 * that a power cut can be played at any of them. Loaded with LD_PRELOAD; calls the kernel itself. Sees what goes
 * through the C library.
 *
 *   FAULTY_ROOT   the directory that it is about, absolute
 *   FAULTY_PLAN   a file of one page that holds a `struct plan`; may be changed at any time
 *   FAULTY_LOG    where changes are written down; none are where this is missing
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { READ = 1, WRITE = 2, SYNC = 4, NAME = 8 };

/* An error that is none: the call does half of what it was asked to. */
#define SHORT 9001

struct plan {
    _Atomic uint64_t seen;    /* calls that were counted */
    _Atomic uint64_t failed;  /* calls that were failed */
    uint64_t kinds;           /* which kinds are counted */
    uint64_t first;           /* the first one that fails; none where 0 */
    uint64_t many;            /* how many fail from then on */
    uint64_t error;           /* with which errno, or SHORT */
    int64_t clock;            /* seconds that the wall clock is ahead */
    uint64_t filesystem;      /* the type that statfs gives; the true one where 0 */
    char part[256];           /* only paths that hold this are counted */
};

static struct plan *plan;
static const char *root;
static size_t root_length;
static int log_file = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    root = getenv("FAULTY_ROOT");
    const char *page = getenv("FAULTY_PLAN"), *log = getenv("FAULTY_LOG");
    if (!root || !page) { root = NULL; return; }
    root_length = strlen(root);
    int file = (int)syscall(SYS_openat, AT_FDCWD, page, O_RDWR | O_CLOEXEC, 0);
    void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) abort();
    syscall(SYS_close, file);
    plan = mapped;
    if (log) {
        int low = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        log_file = fcntl(low, F_DUPFD_CLOEXEC, 500);
        if (log_file < 0) abort();
        syscall(SYS_close, low);
    }
}

static int is_ours(const char *path) {
    return root && !strncmp(path, root, root_length) && (!path[root_length] || path[root_length] == '/');
}

/* The path of an open file or directory of ours. */
static int path_of(int file, char *path, struct stat *about) {
    if (!root || syscall(SYS_fstat, file, about) || !(S_ISREG(about->st_mode) || S_ISDIR(about->st_mode))) return 0;
    char name[64] = "/proc/self/fd/";
    char digits[16];
    int count = 0, rest = file;
    do digits[count++] = (char)('0' + rest % 10); while (rest /= 10);
    size_t length = strlen(name);
    while (count) name[length++] = digits[--count];
    name[length] = 0;
    long size = syscall(SYS_readlinkat, AT_FDCWD, name, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return is_ours(path);
}

/* Makes a name in a directory absolute. */
static int resolve(int directory, const char *name, char *path) {
    if (!root) return 0;
    if (name[0] == '/') {
        if (strlen(name) >= PATH_MAX) return 0;
        strcpy(path, name);
    } else {
        struct stat about;
        if (directory == AT_FDCWD || !path_of(directory, path, &about)) return 0;
        if (strlen(path) + strlen(name) + 2 > PATH_MAX) return 0;
        strcat(strcat(path, "/"), name);
    }
    return is_ours(path);
}

/* What the plan has for this call: an errno, SHORT or nothing. */
static int fault(int kind, const char *path) {
    if (!(plan->kinds & (uint64_t)kind) || (plan->part[0] && !strstr(path, plan->part))) return 0;
    uint64_t number = atomic_fetch_add(&plan->seen, 1) + 1;
    if (!plan->first || number < plan->first || number - plan->first >= plan->many) return 0;
    atomic_fetch_add(&plan->failed, 1);
    return (int)plan->error;
}

static void put(const void *bytes, size_t size) {
    for (const char *at = bytes; size;) {
        long done = syscall(SYS_write, log_file, at, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) abort();
        at += done, size -= (size_t)done;
    }
}

/* Record: kind, two numbers, two texts with their lengths. */
static void note(char kind, uint64_t one, uint64_t two, const void *text, size_t size, const char *other) {
    if (log_file < 0) return;
    int before = errno;
    uint32_t first = (uint32_t)size, second = other ? (uint32_t)strlen(other) : 0;
    put(&kind, 1), put(&one, 8), put(&two, 8), put(&first, 4), put(&second, 4);
    put(text, first), put(other, second);
    errno = before;
}

static void enter(void) { if (log_file >= 0) pthread_mutex_lock(&order); }
static void leave(void) { if (log_file >= 0) pthread_mutex_unlock(&order); }
static long fails(int error) { errno = error; return -1; }

static int opens(int directory, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int changes = flags & (O_CREAT | O_TRUNC);
    if (!changes || !resolve(directory, name, path)) return (int)syscall(SYS_openat, directory, name, flags, mode);
    enter();
    int is_new = syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    int error = is_new || (flags & O_TRUNC) ? fault(NAME, path) : 0;
    int file = error && error != SHORT ? (int)fails(error) : (int)syscall(SYS_openat, directory, name, flags, mode);
    struct stat about;
    if (file >= 0 && !syscall(SYS_fstat, file, &about) && S_ISREG(about.st_mode)) {
        if (is_new) note('C', about.st_ino, 0, path, strlen(path), NULL);
        else if (flags & O_TRUNC) note('T', about.st_ino, 0, "", 0, NULL);
    }
    leave();
    return file;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
int open(const char *name, int flags, ...) { MODE(flags) return opens(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return opens(AT_FDCWD, name, flags, mode); }
int openat(int directory, const char *name, int flags, ...) { MODE(flags) return opens(directory, name, flags, mode); }
int openat64(int directory, const char *name, int flags, ...) { MODE(flags) return opens(directory, name, flags, mode); }

/* `offset` is -1 for the file's own position. */
static ssize_t writes(int file, const void *bytes, size_t size, off_t offset) {
    char path[PATH_MAX];
    struct stat about;
    if (!path_of(file, path, &about)) {
        return offset < 0 ? syscall(SYS_write, file, bytes, size) : syscall(SYS_pwrite64, file, bytes, size, offset);
    }
    enter();
    int error = fault(WRITE, path);
    if (error == SHORT) size = (size + 1) / 2;
    ssize_t done = -1;
    if (error && error != SHORT) {
        fails(error);
    } else {
        off_t at = offset;
        if (offset < 0 && fcntl(file, F_GETFL) & O_APPEND) syscall(SYS_fstat, file, &about), at = about.st_size;
        else if (offset < 0) at = syscall(SYS_lseek, file, 0, SEEK_CUR);
        done = offset < 0 ? syscall(SYS_write, file, bytes, size) : syscall(SYS_pwrite64, file, bytes, size, offset);
        if (done > 0) note('W', about.st_ino, (uint64_t)at, bytes, (size_t)done, NULL);
    }
    leave();
    return done;
}

/* Several pieces one after another; it is allowed to stop after any. */
static ssize_t writes_all(int file, const struct iovec *pieces, int count, off_t offset) {
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = writes(file, pieces[i].iov_base, pieces[i].iov_len, offset < 0 ? -1 : offset + total);
        if (done < 0) return total ? total : -1;
        total += done;
        if ((size_t)done < pieces[i].iov_len) break;
    }
    return total;
}

static int is_a_file_of_ours(int file) {
    char path[PATH_MAX];
    struct stat about;
    return path_of(file, path, &about);
}

ssize_t write(int file, const void *bytes, size_t size) { return writes(file, bytes, size, -1); }
ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) { return writes(file, bytes, size, offset); }
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset) { return writes(file, bytes, size, offset); }
ssize_t writev(int file, const struct iovec *pieces, int count) {
    if (!is_a_file_of_ours(file)) return syscall(SYS_writev, file, pieces, count);
    return writes_all(file, pieces, count, -1);
}
ssize_t pwritev(int file, const struct iovec *pieces, int count, off_t offset) { return writes_all(file, pieces, count, offset); }
ssize_t pwritev64(int file, const struct iovec *pieces, int count, off64_t offset) { return writes_all(file, pieces, count, offset); }

static ssize_t reads(int file, void *bytes, size_t size, off_t offset) {
    char path[PATH_MAX];
    struct stat about;
    if (root && plan->kinds & READ && path_of(file, path, &about)) {
        int error = fault(READ, path);
        if (error == SHORT) size = (size + 1) / 2;
        else if (error) return fails(error);
    }
    return offset < 0 ? syscall(SYS_read, file, bytes, size) : syscall(SYS_pread64, file, bytes, size, offset);
}

ssize_t read(int file, void *bytes, size_t size) { return reads(file, bytes, size, -1); }
ssize_t pread(int file, void *bytes, size_t size, off_t offset) { return reads(file, bytes, size, offset); }
ssize_t pread64(int file, void *bytes, size_t size, off64_t offset) { return reads(file, bytes, size, offset); }

/* Copying within the kernel would not be seen; whoever asks for it falls back to reading and writing. */
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t size, unsigned flags) {
    (void)from, (void)a, (void)to, (void)b, (void)size, (void)flags;
    return fails(ENOSYS);
}
ssize_t sendfile(int to, int from, off_t *at, size_t size) { (void)to, (void)from, (void)at, (void)size; return fails(EINVAL); }
ssize_t sendfile64(int to, int from, off64_t *at, size_t size) { (void)to, (void)from, (void)at, (void)size; return fails(EINVAL); }
ssize_t splice(int from, off64_t *a, int to, off64_t *b, size_t size, unsigned flags) {
    (void)from, (void)a, (void)to, (void)b, (void)size, (void)flags;
    return fails(EINVAL);
}

static int syncs(long call, int file, char kind) {
    char path[PATH_MAX];
    struct stat about;
    if (!path_of(file, path, &about)) return (int)syscall(call, file);
    enter();
    int error = fault(SYNC, path);
    int done = error && error != SHORT ? (int)fails(error) : (int)syscall(call, file);
    if (!done) note(kind, about.st_ino, S_ISDIR(about.st_mode), path, strlen(path), NULL);
    leave();
    return done;
}

int fsync(int file) { return syncs(SYS_fsync, file, 'S'); }
int fdatasync(int file) { return syncs(SYS_fdatasync, file, 'S'); }
int syncfs(int file) { return syncs(SYS_syncfs, file, 'Y'); }

int ftruncate(int file, off_t size) {
    char path[PATH_MAX];
    struct stat about;
    if (!path_of(file, path, &about)) return (int)syscall(SYS_ftruncate, file, size);
    enter();
    int error = fault(WRITE, path);
    int done = error && error != SHORT ? (int)fails(error) : (int)syscall(SYS_ftruncate, file, size);
    if (!done) note('T', about.st_ino, (uint64_t)size, "", 0, NULL);
    leave();
    return done;
}
int ftruncate64(int file, off64_t size) { return ftruncate(file, size); }
int fallocate(int file, int mode, off_t at, off_t size) { (void)file, (void)mode, (void)at, (void)size; return (int)fails(EOPNOTSUPP); }
int fallocate64(int file, int mode, off64_t at, off64_t size) { return fallocate(file, mode, at, size); }
int posix_fallocate(int file, off_t at, off_t size) { (void)file, (void)at, (void)size; return EOPNOTSUPP; }
int posix_fallocate64(int file, off64_t at, off64_t size) { return posix_fallocate(file, at, size); }

/* A change of names: `one` alone, or `one` to `other`. */
#define NAMES(kind, call, one, other) \
    enter(); \
    int error = fault(NAME, one); \
    int done = error && error != SHORT ? (int)fails(error) : (int)(call); \
    if (!done) note(kind, 0, 0, one, strlen(one), other); \
    leave(); \
    return done;

int renameat2(int from, const char *one, int to, const char *other, unsigned flags) {
    char old[PATH_MAX], new[PATH_MAX];
    if (!resolve(from, one, old) || !resolve(to, other, new)) return (int)syscall(SYS_renameat2, from, one, to, other, flags);
    NAMES('R', syscall(SYS_renameat2, from, one, to, other, flags), old, new)
}
int renameat(int from, const char *one, int to, const char *other) { return renameat2(from, one, to, other, 0); }
int rename(const char *one, const char *other) { return renameat2(AT_FDCWD, one, AT_FDCWD, other, 0); }

int linkat(int from, const char *one, int to, const char *other, int flags) {
    char old[PATH_MAX], new[PATH_MAX];
    if (!resolve(from, one, old) || !resolve(to, other, new)) return (int)syscall(SYS_linkat, from, one, to, other, flags);
    NAMES('L', syscall(SYS_linkat, from, one, to, other, flags), old, new)
}
int link(const char *one, const char *other) { return linkat(AT_FDCWD, one, AT_FDCWD, other, 0); }

int unlinkat(int directory, const char *name, int flags) {
    char path[PATH_MAX];
    if (!resolve(directory, name, path)) return (int)syscall(SYS_unlinkat, directory, name, flags);
    NAMES('U', syscall(SYS_unlinkat, directory, name, flags), path, NULL)
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int directory, const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!resolve(directory, name, path)) return (int)syscall(SYS_mkdirat, directory, name, mode);
    NAMES('M', syscall(SYS_mkdirat, directory, name, mode), path, NULL)
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int statfs(const char *path, struct statfs *about) {
    int done = (int)syscall(SYS_statfs, path, about);
    if (!done && root && plan->filesystem && is_ours(path)) about->f_type = (__typeof__(about->f_type))plan->filesystem;
    return done;
}
int statfs64(const char *path, struct statfs64 *about) { return statfs(path, (struct statfs *)about); }

int clock_gettime(clockid_t clock, struct timespec *time) {
    int done = (int)syscall(SYS_clock_gettime, clock, time);
    if (!done && root && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += plan->clock;
    return done;
}
