/** Seeds 0 to 2,499; or as many as MESHNOMAD_CLAIM_SEEDS says, from MESHNOMAD_CLAIM_SEED on. */
export function seedsFromEnvironment(): number[] {
  const first = Number(process.env.MESHNOMAD_CLAIM_SEED ?? 0);
  const count = Number(process.env.MESHNOMAD_CLAIM_SEEDS ?? 2_500);
  return Array.from({ length: count }, (_, i) => first + i);
}
