/** The clouds that an agent can be told to ask (`fingerprint "NAME" {}` in `client`), as Nomad names them. */
export const CLOUD_NAMES: readonly string[] = ['env_aws', 'env_azure', 'env_digitalocean', 'env_gce'];
