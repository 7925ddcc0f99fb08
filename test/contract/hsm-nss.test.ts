/** The suite of the HSM contract on NSS softoken: suite 2, RFC 5649 under another number, and one token for both pools. */
process.env.STRONGROOM_TEST_HSM = 'nss'
await import('./hsm.test.ts')
