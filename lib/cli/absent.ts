const ENTERPRISE = "it belongs to Nomad's enterprise version, and meshnomad has nothing of the kind";

/** Commands of Nomad that are not there, and what to know instead. */
export const ABSENT: Readonly<Record<string, string>> = {
  acl: "there are no ACLs: members of a mesh may do everything in it, and nobody else anything. See 'meshnomad members', 'meshnomad invite' and 'meshnomad revoke'",
  namespace: `there is one namespace, "default". Node pools keep machines apart: see 'meshnomad node pool'`,
  license: ENTERPRISE,
  quota: ENTERPRISE,
  recommendation: ENTERPRISE,
  sentinel: ENTERPRISE,
};
