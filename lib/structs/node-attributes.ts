// Attributes of a node beyond Nomad's that its client writes and the servers read.

/** Where its CNI networks are configured: cni_config_dir. */
export const CNI_CONFIG_DIR = 'unique.cni.config_dir';
/** What is wrong with files there, each with its path; absent: nothing. */
export const CNI_CONFIG_PROBLEMS = 'unique.cni.config_problems';
/** Why it has no network mode "bridge"; absent: it has. */
export const BRIDGE_PROBLEM = 'unique.cni.bridge_problem';
