/*
 * A PKCS#11 module in front of another one, which does what a control file says: counts logins, waits, returns an error,
 * or does not return. Built and steered by faulty-module.ts.
 *
 * FAULTY_TARGET   the module behind it
 * FAULTY_CONTROL  the control file, mapped: u32 mode, argument, mask; then what is counted here: u32 logins, and u32
 *                 objects, those made (a pair is none) less those destroyed
 *
 * mode  0 pass on   1 wait for `argument` ms, then pass on   2 return `argument`   3 do not return until the mode changes
 * mask  1 sessions and logins   2 encrypt, decrypt, sign   4 generate, wrap, unwrap, derive   8 random   16 information
 */
#include <pkcs11.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct control {
  volatile uint32_t mode, argument, mask, logins, objects;
};

static struct control idle, *control = &idle;
static CK_FUNCTION_LIST *target, list;

static void sleep_ms(unsigned ms) {
  struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
  nanosleep(&time, 0);
}

static CK_RV disturb(unsigned group) {
  if (!(control->mask & group)) return CKR_OK;
  if (control->mode == 1) sleep_ms(control->argument);
  if (control->mode == 2) return control->argument;
  while (control->mode == 3) sleep_ms(5);
  return CKR_OK;
}

#define WRAP(group, name, declaration, arguments)         \
  static CK_RV faulty_##name declaration {                \
    CK_RV disturbed = disturb(group);                     \
    return disturbed ? disturbed : target->name arguments; \
  }
/* The same for a call that makes an object (change 1) or destroys one (-1). */
#define WRAP_COUNTED(group, change, name, declaration, arguments)         \
  static CK_RV faulty_##name declaration {                                \
    CK_RV disturbed = disturb(group);                                     \
    if (disturbed) return disturbed;                                      \
    CK_RV result = target->name arguments;                                \
    if (result == CKR_OK) __sync_add_and_fetch(&control->objects, change); \
    return result;                                                        \
  }
#define SESSION CK_SESSION_HANDLE s
#define MECHANISM CK_MECHANISM_PTR m
#define KEY CK_OBJECT_HANDLE k
#define TEMPLATE CK_ATTRIBUTE_PTR t, CK_ULONG tn
#define HANDLE CK_OBJECT_HANDLE_PTR h
#define IN(name) CK_BYTE_PTR name, CK_ULONG name##n
#define OUT(name) CK_BYTE_PTR name, CK_ULONG_PTR name##n

WRAP(1, C_OpenSession, (CK_SLOT_ID i, CK_FLAGS f, CK_VOID_PTR p, CK_NOTIFY n, CK_SESSION_HANDLE_PTR h), (i, f, p, n, h))
WRAP(2, C_EncryptInit, (SESSION, MECHANISM, KEY), (s, m, k))
WRAP(2, C_DecryptInit, (SESSION, MECHANISM, KEY), (s, m, k))
WRAP(2, C_SignInit, (SESSION, MECHANISM, KEY), (s, m, k))
WRAP_COUNTED(4, 1, C_GenerateKey, (SESSION, MECHANISM, TEMPLATE, HANDLE), (s, m, t, tn, h))
WRAP_COUNTED(4, 1, C_DeriveKey, (SESSION, MECHANISM, KEY, TEMPLATE, HANDLE), (s, m, k, t, tn, h))
WRAP(4, C_WrapKey, (SESSION, MECHANISM, KEY, CK_OBJECT_HANDLE w, OUT(d)), (s, m, k, w, d, dn))
WRAP_COUNTED(4, 1, C_UnwrapKey, (SESSION, MECHANISM, KEY, IN(d), TEMPLATE, HANDLE), (s, m, k, d, dn, t, tn, h))
WRAP_COUNTED(4, 1, C_CreateObject, (SESSION, TEMPLATE, HANDLE), (s, t, tn, h))
WRAP_COUNTED(4, -1, C_DestroyObject, (SESSION, KEY), (s, k))
WRAP(8, C_GenerateRandom, (SESSION, IN(d)), (s, d, dn))
WRAP(16, C_GetTokenInfo, (CK_SLOT_ID i, CK_TOKEN_INFO_PTR p), (i, p))

static CK_RV faulty_C_Login(SESSION, CK_USER_TYPE user, IN(pin)) {
  __sync_add_and_fetch(&control->logins, 1);
  CK_RV disturbed = disturb(1);
  return disturbed ? disturbed : target->C_Login(s, user, pin, pinn);
}

static void map_control(const char *path) {
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void *mapped = mmap(0, sizeof idle, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) control = mapped;
  close(file);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out) {
  if (!target) {
    void *library = dlopen(getenv("FAULTY_TARGET"), RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = library ? (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList") : 0;
    if (!get || get(&target)) return CKR_GENERAL_ERROR;
    if (getenv("FAULTY_CONTROL")) map_control(getenv("FAULTY_CONTROL"));
    list = *target;
#define USE(name) list.name = faulty_##name
    USE(C_OpenSession), USE(C_Login), USE(C_EncryptInit), USE(C_DecryptInit), USE(C_SignInit), USE(C_GenerateKey);
    USE(C_DeriveKey), USE(C_WrapKey), USE(C_UnwrapKey), USE(C_GenerateRandom), USE(C_GetTokenInfo);
    USE(C_CreateObject), USE(C_DestroyObject);
  }
  *out = &list;
  return CKR_OK;
}
