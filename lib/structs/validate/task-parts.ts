import type { Job, Secret, Task, TaskGroup, WorkloadIdentity } from '../job.js';
import { signalProblem } from '../signal.js';
import { escapes } from './file-path.js';
import { validateScaling } from './group-policies.js';
import { findRepeated, type Report } from './issue.js';
import { warnOfSecretUse } from './secret-use.js';

const NAME = /^[A-Za-z0-9_-]{1,128}$/;
const CHANGE_MODES = ['', 'restart', 'signal', 'noop'];
const CSI_TYPES = ['node', 'controller', 'monolith'];
const CSI_HEALTH_TIMEOUT_MIN_NS = 5e9;

/** Identities, secrets, actions, a CSI plugin and the payload of a task. */
export function validateTaskParts(task: Task, group: TaskGroup, job: Job, report: Report): void {
  validateNamed(task.Identities ?? [], 'Identities', 'Identity', report);
  for (const [i, identity] of (task.Identities ?? []).entries()) {
    const at = report.at('Identities').at(i, `Identity ${JSON.stringify(identity.Name)}: `);
    validateIdentity(identity, at);
    warnOfIdentity(identity, `Identity ${JSON.stringify(identity.Name)}`, at);
  }
  if (task.Identity) {
    validateIdentity(task.Identity, report.at('Identity', 'Identity: '));
    if (task.Identity.TTL > 0) report.error('Identity.TTL', 'Identity: the default identity has no ttl');
  }
  validateSecrets(task.Secrets ?? [], report);
  warnOfSecretUse(task, report);
  validateNamed(task.Actions ?? [], 'Actions', 'Action', report);
  for (const [i, action] of (task.Actions ?? []).entries()) {
    if (action.Command === '') report.at('Actions').at(i).error('Command', `Action ${action.Name} has no command`);
  }
  if (task.CSIPluginConfig) validateCsiPlugin(task.CSIPluginConfig, group, report.at('CSIPluginConfig'));
  if (task.DispatchPayload) validatePayload(task.DispatchPayload.File, job, report.at('DispatchPayload'));
  for (const [i, policy] of (task.ScalingPolicies ?? []).entries()) {
    validateScaling(policy, 0, report.at('ScalingPolicies').at(i));
  }
}

function validateNamed(items: readonly { Name: string }[], key: string, word: string, report: Report): void {
  for (const { name, again } of findRepeated(items.map(({ Name }) => Name))) {
    report.error(`${key}[${again}].Name`, `${word} ${JSON.stringify(name)} is there twice`);
  }
  for (const [i, { Name }] of items.entries()) {
    if (NAME.test(Name)) continue;
    report.error(`${key}[${i}].Name`, `${word} name ${JSON.stringify(Name)} must be 1 to 128 letters, digits, - and _`);
  }
}

const SECRET_NAME = /^[A-Za-z0-9_]{1,128}$/;

function validateSecrets(secrets: readonly Secret[], report: Report): void {
  for (const { name, again } of findRepeated(secrets.map(({ Name }) => Name))) {
    report.error(`Secrets[${again}].Name`, `Secret ${JSON.stringify(name)} is there twice`);
  }
  for (const [i, { Name, Provider, Path, Config, Env }] of secrets.entries()) {
    const at = report.at('Secrets').at(i, `Secret ${JSON.stringify(Name)}: `);
    if (!SECRET_NAME.test(Name)) at.error('Name', 'its name must be 1 to 128 letters, digits and _');
    if (Provider === '') at.error('Provider', 'has no provider; write provider = "nomad"');
    if (Path === '') at.error('Path', 'has no path');
    if (Provider === 'nomad') {
      if (Object.keys(Env ?? {}).length > 0) at.error('Env', 'provider "nomad" takes no env: that is for plugins');
      validateNomadConfig(Config ?? {}, at);
    } else if (Provider !== 'vault' && Object.keys(Config ?? {}).length > 0) {
      at.error('Config', `plugin ${JSON.stringify(Provider)} takes no config: write env`);
    }
  }
}

function validateNomadConfig(config: Record<string, unknown>, report: Report): void {
  const namespace = config['namespace'];
  if (namespace !== undefined && typeof namespace !== 'string') {
    report.error('Config', 'config: namespace must be a string');
  }
  for (const key of Object.keys(config)) {
    if (key !== 'namespace') report.warning('Config', `config: ${key} has no effect with provider "nomad"`);
  }
}

function validateIdentity(identity: WorkloadIdentity, report: Report): void {
  const { ChangeMode, ChangeSignal, TTL, Filepath } = identity;
  if (!CHANGE_MODES.includes(ChangeMode))
    report.error('ChangeMode', `unknown change_mode ${JSON.stringify(ChangeMode)}`);
  if (ChangeMode === 'signal' && ChangeSignal === '') {
    report.error('ChangeSignal', 'change_mode "signal" needs a change_signal');
  }
  const problem = signalProblem(ChangeSignal);
  if (problem !== '') report.error('ChangeSignal', `change_signal: ${problem}`);
  if (ChangeMode !== 'signal' && ChangeSignal !== '') {
    report.error('ChangeSignal', 'change_signal goes with change_mode "signal" only');
  }
  if (TTL < 0) report.error('TTL', 'ttl must not be negative');
  if (identity.Audience?.includes('')) report.error('Audience', 'an audience (aud) is empty');
  if (Filepath !== '' && !identity.File) report.error('Filepath', 'filepath goes with file = true only');
  if (escapes(Filepath)) report.error('Filepath', `filepath ${JSON.stringify(Filepath)} leads out of the task`);
}

/** What makes an identity less safe than it could be; `whose` names it. */
export function warnOfIdentity(identity: WorkloadIdentity, whose: string, report: Report): void {
  const { Audience, TTL, Env, ChangeMode } = identity;
  const warn = (key: string, message: string): void => report.warning(key, `${whose}: ${message}`);
  if (!Audience)
    warn('Audience', 'without an audience (aud) it proves too much: anyone who gets it may use it anywhere');
  else if (Audience.length > 1) warn('Audience', 'one audience (aud) for each identity is safer than several');
  if (TTL === 0) warn('TTL', 'without a ttl it never ends');
  if (Env && ChangeMode !== 'restart') {
    warn('ChangeMode', 'a new one reaches the environment of the task by change_mode "restart" only');
  }
}

function validateCsiPlugin(plugin: NonNullable<Task['CSIPluginConfig']>, group: TaskGroup, report: Report): void {
  if (plugin.ID === '') report.error('ID', 'csi_plugin: the id is missing');
  if (!CSI_TYPES.includes(plugin.Type)) {
    const known = CSI_TYPES.map((type) => JSON.stringify(type)).join(', ');
    report.error('Type', `csi_plugin: unknown type ${JSON.stringify(plugin.Type)}; known are ${known}`);
  }
  if (plugin.HealthTimeout < CSI_HEALTH_TIMEOUT_MIN_NS) {
    report.warning(
      'HealthTimeout',
      `Group ${JSON.stringify(group.Name)}: a health_timeout below 5s is short for a CSI plugin`,
    );
  }
}

function validatePayload(file: string, job: Job, report: Report): void {
  if (file === '') report.warning('File', 'dispatch_payload: the file is missing, so the payload is not written');
  else if (escapes(file))
    report.error('File', `dispatch_payload: the file ${JSON.stringify(file)} leads out of the task`);
  if (job.ParameterizedJob === null && !job.Dispatched) {
    report.warning('', 'dispatch_payload has no effect: the job has no parameterized block');
  }
}
