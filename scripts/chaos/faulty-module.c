/*
 * A PKCS#11 module in front of another one, which passes every call on and does, on the way, what a control file says:
 * it waits, answers with an error, does not return, crashes, eats memory, closes sessions or logs out. Built and steered
 * by faulty-module.ts; never part of a service.
 *
 * FAULTY_TARGET   the module behind it
 * FAULTY_CONTROL  the control file, see struct control; without one everything is passed on
 */
#include <pkcs11.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The calls that can be disturbed. A call's place here is its bit in control.calls; CALL_NAMES is the same list. */
#define CALLS(X)                                                                                              \
  X(C_Initialize) X(C_GetSlotList) X(C_GetTokenInfo) X(C_GetMechanismList) X(C_GetMechanismInfo)              \
  X(C_OpenSession) X(C_CloseSession) X(C_GetSessionInfo) X(C_Login) X(C_Logout)                               \
  X(C_CreateObject) X(C_CopyObject) X(C_DestroyObject) X(C_GetAttributeValue) X(C_SetAttributeValue)          \
  X(C_FindObjectsInit) X(C_FindObjects) X(C_FindObjectsFinal)                                                 \
  X(C_EncryptInit) X(C_Encrypt) X(C_DecryptInit) X(C_Decrypt) X(C_SignInit) X(C_Sign) X(C_VerifyInit) X(C_Verify) \
  X(C_GenerateKey) X(C_GenerateKeyPair) X(C_WrapKey) X(C_UnwrapKey) X(C_DeriveKey) X(C_GenerateRandom)

#define NUMBER(name) NUMBER_##name,
enum call { CALLS(NUMBER) CALL_COUNT };
_Static_assert(CALL_COUNT == 32, "a bit each");

/* What becomes of a chosen call. MODES in faulty-module.ts is the same list. */
enum mode {
  PASS,
  WAIT,           /* pass it on after `argument` ms */
  FAIL,           /* return `argument`, and do not pass it on */
  HANG,           /* pass it on when the mode has changed */
  HANG_FOR_EVER,  /* do not return, whatever comes */
  ABORT,
  SEGFAULT,
  DEVOUR,         /* take memory without end: SIGKILL, as the kernel would send it, at `argument` MiB */
  LEAK,           /* take `argument` KiB that nobody gives back, and pass it on */
  CLOSE_SESSIONS, /* close all sessions of this process with the token, and pass it on */
  LOG_OUT         /* log out, and pass it on */
};

#define NO_LIMIT UINT32_MAX
#define PIDS 64

/* The control file: u32 in the machine's order. The first five are the steering side's, the rest is told by the module. */
struct control {
  volatile uint32_t mode, argument;
  volatile uint32_t calls;    /* a bit for every call that is meant */
  volatile uint32_t every;    /* of those, every n-th is chosen */
  volatile uint32_t left;     /* of the chosen ones, so many are still to be disturbed; NO_LIMIT: all */
  volatile uint32_t matched;  /* calls that were meant, since the steering side set it to 0 */
  volatile uint32_t disturbed;
  volatile uint32_t logins;   /* C_Login, by any process */
  volatile uint32_t objects;  /* made less destroyed */
  volatile uint32_t loaded;   /* processes that have loaded the module */
  volatile uint32_t pids[PIDS]; /* the newest of them: process n at n % PIDS */
};

static struct control idle, *control = &idle;
static CK_FUNCTION_LIST *target, list;
static CK_SLOT_ID slot;

static void sleep_ms(unsigned ms) {
  struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
  nanosleep(&time, NULL);
}

static void *take(size_t bytes) {
  void *taken = malloc(bytes);
  /* Memory is only taken once it is written to. */
  return taken ? memset(taken, 1, bytes) : NULL;
}

static void devour(unsigned mebibytes) {
  for (unsigned taken = 0; taken < mebibytes && take(1 << 20); taken++)
    if (taken % 16 == 0) sleep_ms(1);
  raise(SIGKILL);
}

static void crash(void) {
  static volatile int *volatile nowhere;
  *nowhere = 0;
}

static void log_out(void) {
  CK_SESSION_HANDLE session;
  if (target->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK) return;
  target->C_Logout(session);
  target->C_CloseSession(session);
}

/* Whether this call is to be disturbed. */
static int chosen(enum call call) {
  if (control->mode == PASS || !(control->calls & 1u << call)) return 0;
  uint32_t number = __sync_add_and_fetch(&control->matched, 1);
  if (control->every > 1 && number % control->every != 0) return 0;
  for (uint32_t left; (left = control->left) != NO_LIMIT;) {
    if (left == 0) return 0;
    if (__sync_bool_compare_and_swap(&control->left, left, left - 1)) break;
  }
  __sync_add_and_fetch(&control->disturbed, 1);
  return 1;
}

/* Anything but CKR_OK is the call's answer. */
static CK_RV disturb(enum call call) {
  if (!chosen(call)) return CKR_OK;
  uint32_t argument = control->argument;
  switch (control->mode) {
    case WAIT: sleep_ms(argument); break;
    case FAIL: return argument;
    case HANG: while (control->mode == HANG) sleep_ms(5); break;
    case HANG_FOR_EVER: for (;;) pause();
    case ABORT: abort();
    case SEGFAULT: crash(); break;
    case DEVOUR: devour(argument); break;
    case LEAK: if (!take((size_t)argument << 10)) return CKR_HOST_MEMORY; break;
    case CLOSE_SESSIONS: target->C_CloseAllSessions(slot); break;
    case LOG_OUT: log_out(); break;
    default: break;
  }
  return CKR_OK;
}

#define WRAP(name, declaration, arguments)                 \
  static CK_RV faulty_##name declaration {                 \
    CK_RV disturbed = disturb(NUMBER_##name);              \
    return disturbed ? disturbed : target->name arguments; \
  }
/* The same for a call that makes an object (change 1) or destroys one (-1). */
#define WRAP_COUNTED(change, name, declaration, arguments)                \
  static CK_RV faulty_##name declaration {                                \
    CK_RV disturbed = disturb(NUMBER_##name);                             \
    if (disturbed) return disturbed;                                      \
    CK_RV result = target->name arguments;                                \
    if (result == CKR_OK) __sync_add_and_fetch(&control->objects, change); \
    return result;                                                        \
  }
#define SESSION CK_SESSION_HANDLE s
#define MECHANISM CK_MECHANISM_PTR m
#define OBJECT CK_OBJECT_HANDLE o
#define TEMPLATE CK_ATTRIBUTE_PTR t, CK_ULONG tn
#define HANDLE CK_OBJECT_HANDLE_PTR h
#define IN(name) CK_BYTE_PTR name, CK_ULONG name##n
#define OUT(name) CK_BYTE_PTR name, CK_ULONG_PTR name##n

WRAP(C_Initialize, (CK_VOID_PTR a), (a))
WRAP(C_GetSlotList, (CK_BBOOL p, CK_SLOT_ID_PTR l, CK_ULONG_PTR n), (p, l, n))
WRAP(C_GetTokenInfo, (CK_SLOT_ID i, CK_TOKEN_INFO_PTR p), (i, p))
WRAP(C_GetMechanismList, (CK_SLOT_ID i, CK_MECHANISM_TYPE_PTR l, CK_ULONG_PTR n), (i, l, n))
WRAP(C_GetMechanismInfo, (CK_SLOT_ID i, CK_MECHANISM_TYPE m, CK_MECHANISM_INFO_PTR p), (i, m, p))
WRAP(C_CloseSession, (SESSION), (s))
WRAP(C_GetSessionInfo, (SESSION, CK_SESSION_INFO_PTR p), (s, p))
WRAP(C_Logout, (SESSION), (s))
WRAP_COUNTED(1, C_CreateObject, (SESSION, TEMPLATE, HANDLE), (s, t, tn, h))
WRAP_COUNTED(1, C_CopyObject, (SESSION, OBJECT, TEMPLATE, HANDLE), (s, o, t, tn, h))
WRAP_COUNTED(-1, C_DestroyObject, (SESSION, OBJECT), (s, o))
WRAP(C_GetAttributeValue, (SESSION, OBJECT, TEMPLATE), (s, o, t, tn))
WRAP(C_SetAttributeValue, (SESSION, OBJECT, TEMPLATE), (s, o, t, tn))
WRAP(C_FindObjectsInit, (SESSION, TEMPLATE), (s, t, tn))
WRAP(C_FindObjects, (SESSION, HANDLE, CK_ULONG n, CK_ULONG_PTR f), (s, h, n, f))
WRAP(C_FindObjectsFinal, (SESSION), (s))
WRAP(C_EncryptInit, (SESSION, MECHANISM, OBJECT), (s, m, o))
WRAP(C_Encrypt, (SESSION, IN(d), OUT(e)), (s, d, dn, e, en))
WRAP(C_DecryptInit, (SESSION, MECHANISM, OBJECT), (s, m, o))
WRAP(C_Decrypt, (SESSION, IN(e), OUT(d)), (s, e, en, d, dn))
WRAP(C_SignInit, (SESSION, MECHANISM, OBJECT), (s, m, o))
WRAP(C_Sign, (SESSION, IN(d), OUT(e)), (s, d, dn, e, en))
WRAP(C_VerifyInit, (SESSION, MECHANISM, OBJECT), (s, m, o))
WRAP(C_Verify, (SESSION, IN(d), IN(e)), (s, d, dn, e, en))
WRAP_COUNTED(1, C_GenerateKey, (SESSION, MECHANISM, TEMPLATE, HANDLE), (s, m, t, tn, h))
WRAP_COUNTED(2, C_GenerateKeyPair, (SESSION, MECHANISM, TEMPLATE, CK_ATTRIBUTE_PTR u, CK_ULONG un, HANDLE, CK_OBJECT_HANDLE_PTR g),
     (s, m, t, tn, u, un, h, g))
WRAP(C_WrapKey, (SESSION, MECHANISM, OBJECT, CK_OBJECT_HANDLE w, OUT(d)), (s, m, o, w, d, dn))
WRAP_COUNTED(1, C_UnwrapKey, (SESSION, MECHANISM, OBJECT, IN(d), TEMPLATE, HANDLE), (s, m, o, d, dn, t, tn, h))
WRAP_COUNTED(1, C_DeriveKey, (SESSION, MECHANISM, OBJECT, TEMPLATE, HANDLE), (s, m, o, t, tn, h))
WRAP(C_GenerateRandom, (SESSION, IN(d)), (s, d, dn))

static CK_RV faulty_C_OpenSession(CK_SLOT_ID i, CK_FLAGS f, CK_VOID_PTR p, CK_NOTIFY n, CK_SESSION_HANDLE_PTR h) {
  slot = i;
  CK_RV disturbed = disturb(NUMBER_C_OpenSession);
  return disturbed ? disturbed : target->C_OpenSession(i, f, p, n, h);
}

static CK_RV faulty_C_Login(SESSION, CK_USER_TYPE u, IN(p)) {
  __sync_add_and_fetch(&control->logins, 1);
  CK_RV disturbed = disturb(NUMBER_C_Login);
  return disturbed ? disturbed : target->C_Login(s, u, p, pn);
}

/* 0 when there is no such file, or one of another size. */
static int map_control(const char *path) {
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return 0;
  struct stat info;
  void *mapped = MAP_FAILED;
  if (fstat(file, &info) == 0 && info.st_size == sizeof idle)
    mapped = mmap(NULL, sizeof idle, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) return 0;
  control = mapped;
  control->pids[__sync_fetch_and_add(&control->loaded, 1) % PIDS] = (uint32_t)getpid();
  return 1;
}

static void load(void) {
  const char *path = getenv("FAULTY_TARGET"), *file = getenv("FAULTY_CONTROL");
  void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  CK_C_GetFunctionList get = library ? (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList") : NULL;
  CK_FUNCTION_LIST *found;
  if (!get || get(&found) != CKR_OK || (file && !map_control(file))) return;
  list = *found;
#define USE(name) list.name = faulty_##name;
  CALLS(USE)
  target = found;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  if (!target) return CKR_GENERAL_ERROR;
  *out = &list;
  return CKR_OK;
}
