/**
 * Another program at the token, as an operator or a mistake may run one while the daemon does: initialises a token anew, or
 * changes the user PIN. PINs are read from files. A process of its own, which loads the token's library for itself.
 *
 * `tamper.ts reinitialise MODULE LABEL SO-PIN-FILE` or `tamper.ts change-pin MODULE LABEL PIN-FILE NEW-PIN-FILE`
 */
import { readFileSync } from 'node:fs'
import pkcs11 from 'pkcs11js'
import { loadModule } from '../../src/hsm/host/cryptoki.ts'

const CKU_USER = 1
const LABEL_BYTES = 32

const [job, modulePath = '', label = '', pinFile = '', newPinFile = ''] = process.argv.slice(2)
const readPin = (file: string) => readFileSync(file, 'utf8').trim()

const cryptoki = loadModule(new pkcs11.PKCS11(), modulePath)
const slot = cryptoki.C_GetSlotList(true).find(each => cryptoki.C_GetTokenInfo(each).label.trim() === label)
if (slot === undefined) throw new Error(`there is no token ${label}`)

if (job === 'reinitialise') {
  cryptoki.C_InitToken(slot, readPin(pinFile), label.padEnd(LABEL_BYTES, ' '))
} else if (job === 'change-pin') {
  const session = cryptoki.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION)
  cryptoki.C_Login(session, CKU_USER, readPin(pinFile))
  cryptoki.C_SetPIN(session, readPin(pinFile), readPin(newPinFile))
} else {
  throw new Error(`"${job}" is none of reinitialise, change-pin`)
}
cryptoki.C_Finalize()
