/** The clouds that an agent can be told to ask (`client { fingerprint "NAME" {} }`), as Nomad names them. */
export const CLOUD_NAMES: readonly string[] = ['env_aws', 'env_azure', 'env_digitalocean', 'env_gce'];
