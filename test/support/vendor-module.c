/*
 * A PKCS#11 module in front of another one, which behaves as vendors' documents say theirs do where they differ from the
 * standard. Built by vendor-module.ts. VENDOR_TARGET names the module behind it, VENDOR_KIND whom it takes after.
 *
 * cloudhsm  AES-GCM encrypts under an IV that it makes and writes where the parameter points to zeros, and refuses any
 *           other; key wrap and SP 800-108 have numbers, and the latter structures, of their own
 * luna      AES-GCM encrypts under an IV that it makes and appends to the ciphertext, and refuses one that is given
 */
#include <pkcs11.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define IV_BYTES 12
#define AES_GCM 0x1087
#define KWP 0x210b
#define SOFTHSM_KWP 0x210a
#define COUNTER_KDF 0x3ac
#define CLOUDHSM_ZERO_PAD 0x8000216f
#define CLOUDHSM_COUNTER_KDF 0x80000001
#define MECHANISMS_MAX 512

struct gcm {
  CK_BYTE_PTR iv;
  CK_ULONG iv_bytes, iv_bits;
  CK_BYTE_PTR aad;
  CK_ULONG aad_bytes, tag_bits;
};
struct data_param {
  CK_ULONG type;
  void *value;
  CK_ULONG length;
};
struct cloudhsm_kdf {
  CK_ULONG prf, count;
  struct data_param *params;
};
struct standard_kdf {
  CK_ULONG prf, count;
  struct data_param *params;
  CK_ULONG more_count;
  void *more;
};
struct standard_counter {
  CK_ULONG little_endian, bits;
};

static CK_FUNCTION_LIST *target, list;
static int cloudhsm;
static CK_BYTE iv[IV_BYTES];
static int iv_to_append;

static CK_RV vendor_C_EncryptInit(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k) {
  if (m->mechanism != AES_GCM) return target->C_EncryptInit(s, m, k);
  struct gcm given = *(struct gcm *)m->pParameter;
  CK_RV result = target->C_GenerateRandom(s, iv, IV_BYTES);
  if (result) return result;
  if (cloudhsm) {
    static const CK_BYTE zeros[IV_BYTES];
    if (!given.iv || given.iv_bytes != IV_BYTES || memcmp(given.iv, zeros, IV_BYTES)) return CKR_MECHANISM_PARAM_INVALID;
    memcpy(given.iv, iv, IV_BYTES);
  } else {
    if (given.iv || given.iv_bytes || given.iv_bits != IV_BYTES * 8) return CKR_MECHANISM_PARAM_INVALID;
    iv_to_append = 1;
  }
  struct gcm real = given;
  real.iv = iv, real.iv_bytes = IV_BYTES, real.iv_bits = IV_BYTES * 8;
  CK_MECHANISM mechanism = {AES_GCM, &real, sizeof real};
  return target->C_EncryptInit(s, &mechanism, k);
}

static CK_RV vendor_C_Encrypt(CK_SESSION_HANDLE s, CK_BYTE_PTR d, CK_ULONG dn, CK_BYTE_PTR e, CK_ULONG_PTR en) {
  int append = iv_to_append;
  iv_to_append = 0;
  CK_ULONG room = *en;
  CK_RV result = target->C_Encrypt(s, d, dn, e, en);
  if (result || !append) return result;
  if (*en + IV_BYTES > room) return CKR_BUFFER_TOO_SMALL;
  memcpy(e + *en, iv, IV_BYTES);
  *en += IV_BYTES;
  return CKR_OK;
}

/* The number that the target has for a key wrap that is called by CloudHSM's. */
static CK_MECHANISM_TYPE behind(CK_SLOT_ID slot, CK_MECHANISM_TYPE type) {
  CK_MECHANISM_INFO info;
  if (!cloudhsm) return type;
  if (type == CLOUDHSM_COUNTER_KDF) return COUNTER_KDF;
  if (type != CLOUDHSM_ZERO_PAD) return type;
  return target->C_GetMechanismInfo(slot, KWP, &info) == CKR_OK ? KWP : SOFTHSM_KWP;
}

static CK_MECHANISM_TYPE behind_in(CK_SESSION_HANDLE s, CK_MECHANISM_TYPE type) {
  CK_SESSION_INFO info;
  return target->C_GetSessionInfo(s, &info) == CKR_OK ? behind(info.slotID, type) : type;
}

static int hidden(CK_MECHANISM_TYPE type) {
  return cloudhsm && (type == KWP || type == SOFTHSM_KWP || type == 0x2109 || type == COUNTER_KDF || type == 0x1105);
}

static CK_RV vendor_C_WrapKey(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k, CK_OBJECT_HANDLE w,
                              CK_BYTE_PTR d, CK_ULONG_PTR dn) {
  if (hidden(m->mechanism)) return CKR_MECHANISM_INVALID;
  CK_MECHANISM mechanism = {behind_in(s, m->mechanism), m->pParameter, m->ulParameterLen};
  return target->C_WrapKey(s, &mechanism, k, w, d, dn);
}

static CK_RV vendor_C_UnwrapKey(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k, CK_BYTE_PTR d, CK_ULONG dn,
                                CK_ATTRIBUTE_PTR t, CK_ULONG tn, CK_OBJECT_HANDLE_PTR h) {
  if (hidden(m->mechanism)) return CKR_MECHANISM_INVALID;
  CK_MECHANISM mechanism = {behind_in(s, m->mechanism), m->pParameter, m->ulParameterLen};
  return target->C_UnwrapKey(s, &mechanism, k, d, dn, t, tn, h);
}

static CK_RV vendor_C_DeriveKey(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k, CK_ATTRIBUTE_PTR t,
                                CK_ULONG tn, CK_OBJECT_HANDLE_PTR h) {
  if (hidden(m->mechanism)) return CKR_MECHANISM_INVALID;
  if (!cloudhsm || m->mechanism != CLOUDHSM_COUNTER_KDF) return target->C_DeriveKey(s, m, k, t, tn, h);
  struct cloudhsm_kdf *given = m->pParameter;
  if (m->ulParameterLen != sizeof *given || given->count != 2) return CKR_MECHANISM_PARAM_INVALID;
  struct data_param *counter = &given->params[0], *bytes = &given->params[1];
  if (counter->type != 4 || counter->length != sizeof(CK_ULONG) || bytes->type != 8) return CKR_MECHANISM_PARAM_INVALID;
  struct standard_counter format = {0, *(CK_ULONG *)counter->value};
  struct data_param params[] = {{1, &format, sizeof format}, {4, bytes->value, bytes->length}};
  struct standard_kdf real = {given->prf, 2, params, 0, 0};
  CK_MECHANISM mechanism = {COUNTER_KDF, &real, sizeof real};
  return target->C_DeriveKey(s, &mechanism, k, t, tn, h);
}

static CK_RV vendor_C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE_PTR out, CK_ULONG_PTR count) {
  CK_MECHANISM_TYPE listed[MECHANISMS_MAX], offered[MECHANISMS_MAX];
  CK_ULONG n = MECHANISMS_MAX - 2, kept = 0;
  CK_RV result = target->C_GetMechanismList(slot, listed, &n);
  if (result) return result;
  for (CK_ULONG i = 0; i < n; i++) {
    if (!hidden(listed[i])) offered[kept++] = listed[i];
    if (cloudhsm && listed[i] == COUNTER_KDF) offered[kept++] = CLOUDHSM_COUNTER_KDF;
  }
  if (cloudhsm) offered[kept++] = CLOUDHSM_ZERO_PAD;
  if (out && *count < kept) return CKR_BUFFER_TOO_SMALL;
  if (out) memcpy(out, offered, kept * sizeof *out);
  *count = kept;
  return CKR_OK;
}

static CK_RV vendor_C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO_PTR info) {
  return hidden(type) ? CKR_MECHANISM_INVALID : target->C_GetMechanismInfo(slot, behind(slot, type), info);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out) {
  if (!target) {
    void *library = dlopen(getenv("VENDOR_TARGET"), RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = library ? (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList") : 0;
    if (!get || get(&target)) return CKR_GENERAL_ERROR;
    cloudhsm = strcmp(getenv("VENDOR_KIND"), "cloudhsm") == 0;
    list = *target;
#define USE(name) list.name = vendor_##name
    USE(C_EncryptInit), USE(C_Encrypt), USE(C_WrapKey), USE(C_UnwrapKey), USE(C_DeriveKey);
    USE(C_GetMechanismList), USE(C_GetMechanismInfo);
  }
  *out = &list;
  return CKR_OK;
}
