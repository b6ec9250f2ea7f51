declare module 'sodium-universal' {
  interface Sodium {
    readonly crypto_box_SEALBYTES: number;
    crypto_sign_seed_keypair(publicKey: Buffer, secretKey: Buffer, seed: Buffer): void;
    crypto_sign_ed25519_pk_to_curve25519(to: Buffer, publicKey: Buffer): void;
    crypto_sign_ed25519_sk_to_curve25519(to: Buffer, secretKey: Buffer): void;
    crypto_box_seal(box: Buffer, message: Buffer, publicKey: Buffer): void;
    crypto_box_seal_open(message: Buffer, box: Buffer, publicKey: Buffer, secretKey: Buffer): boolean;
  }
  const sodium: Sodium;
  export default sodium;
}
