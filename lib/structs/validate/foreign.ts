import { GROUPS_PER_TURN, inTurns, type Resting } from '../../util/turns.js';
import type { Job, Task, TaskGroup, Template } from '../job.js';
import type { Service } from '../service.js';
import type { Report } from './issue.js';

// What a job file may ask of Consul and Vault: understood, and refused with what to write instead, for there is neither.

const NO_CONSUL = 'there is no Consul here';
const NO_VAULT = 'there is no Vault here';

/** Refuses what only Consul or Vault could do, with rests. */
export function validateForeign(job: Job, report: Report): Resting<void> {
  const refuseInGroup = ([i, group]: [number, TaskGroup]): void => {
    const at = report.at('TaskGroups').at(i);
    if (group.Consul) refuseConsul(at);
    refuseServices(group.Services, at);
    for (const [t, task] of group.Tasks.entries()) refuseInTask(task, at.at('Tasks').at(t));
  };
  return inTurns(job.TaskGroups.entries(), refuseInGroup, GROUPS_PER_TURN);
}

function refuseInTask(task: Task, report: Report): void {
  if (task.Consul) refuseConsul(report);
  if (task.Vault) {
    report.error(
      'Vault',
      `\`vault\` cannot be honoured: ${NO_VAULT}. Keep secrets in variables and read them in a \`template\` with nomadVar`,
    );
  }
  refuseServices(task.Services, report);
  if (task.Kind !== '') {
    report.error('Kind', `\`kind\` ${JSON.stringify(task.Kind)} is Consul Connect's, and ${NO_CONSUL}: leave it out`);
  }
  for (const [i, template] of (task.Templates ?? []).entries()) {
    const at = report.at('Templates').at(i);
    for (const name of functionsOf(template)) {
      const refused = foreignFunction(name);
      if (refused) at.error('EmbeddedTmpl', refused);
      else continue;
      break;
    }
  }
  for (const [i, secret] of (task.Secrets ?? []).entries()) {
    if (secret.Provider !== 'vault') continue;
    const message = `Secret ${JSON.stringify(secret.Name)} is kept in Vault, and ${NO_VAULT}: keep it in a variable and write provider = "nomad"`;
    report.at('Secrets').at(i).error('Provider', message);
  }
}

function refuseConsul(report: Report): void {
  report.error(
    'Consul',
    `\`consul\` cannot be honoured: ${NO_CONSUL}. Services are registered with provider = "nomad", values are kept in variables`,
  );
}

function refuseServices(services: readonly Service[] | null, report: Report): void {
  for (const [i, service] of (services ?? []).entries()) {
    const at = report.at('Services').at(i);
    if (service.Connect) {
      at.error(
        'Connect',
        `Service ${JSON.stringify(service.Name)}: \`connect\` is Consul's mesh, and ${NO_CONSUL}. Let others find the service by provider = "nomad"`,
      );
    }
    if (service.Provider === 'consul') {
      // Nomad's default, so most job files say it by saying nothing: what is asked for can be had here too.
      at.warning(
        'Provider',
        `Service ${JSON.stringify(service.Name)} is registered in the mesh's own catalogue, not with Consul, which is the default: ${NO_CONSUL}. Write provider = "nomad"`,
      );
    }
  }
}

/** Functions of templates that ask Consul or Vault → what to use instead. */
const FOREIGN_FUNCTIONS: Readonly<Record<string, string>> = {
  key: 'nomadVar',
  keyExists: 'nomadVarExists',
  keyExistsGet: 'nomadVar',
  keyOrDefault: 'nomadVar',
  ls: 'nomadVarList',
  safeLs: 'nomadVarListSafe',
  tree: 'nomadVarList',
  safeTree: 'nomadVarListSafe',
  service: 'nomadService',
  services: 'nomadServices',
  connect: 'nomadService',
  node: 'nomadService',
  nodes: 'nomadServices',
  datacenters: 'nomadServices',
  caRoots: 'nomadVar',
  caLeaf: 'nomadVar',
  secret: 'nomadVar',
  secrets: 'nomadVarList',
  pkiCert: 'nomadVar',
};

const VAULTS = ['secret', 'secrets', 'pkiCert'];

/** What to say of a function of templates that asks Consul or Vault. */
function foreignFunction(word: string): string | undefined {
  const instead = Object.hasOwn(FOREIGN_FUNCTIONS, word) ? FOREIGN_FUNCTIONS[word] : undefined;
  if (instead === undefined) return undefined;
  const [whose, none] = VAULTS.includes(word) ? ['Vault', NO_VAULT] : ['Consul', NO_CONSUL];
  return `The template asks ${whose} with \`${word}\`, but ${none}: use ${instead}`;
}

/** The words in a template's text that stand where a function is called. */
function functionsOf({ EmbeddedTmpl, LeftDelim, RightDelim }: Template): string[] {
  const [left, right] = [LeftDelim || '{{', RightDelim || '}}'].map((text) => text.replace(/\W/g, '\\$&'));
  const words: string[] = [];
  for (const [, action = ''] of EmbeddedTmpl.matchAll(new RegExp(`${left}([\\s\\S]*?)${right}`, 'g'))) {
    const plain = action.replace(/"(?:\\.|[^"\\])*"|`[^`]*`/g, '""').replace(/\/\*[\s\S]*?\*\//g, '');
    // At the start, behind a keyword, in parentheses, after | or :=.
    for (const [, word = ''] of plain.matchAll(/(?<=(?:^-?|[(|=]|\b(?:with|range|if|else)\b)\s*)([A-Za-z]+)\b/g)) {
      words.push(word);
    }
  }
  return words;
}
