import type { Task, TaskArtifact, Template } from '../job.js';
import { signalProblem } from '../signal.js';
import { escapes } from './file-path.js';
import { findRepeated, type Report } from './issue.js';

const CHANGE_MODES = ['restart', 'signal', 'script', 'noop'];
const GETTER_MODES = ['', 'any', 'file', 'dir'];

export function validateTemplates(task: Task, report: Report): void {
  const templates = task.Templates ?? [];
  for (const { name, first, again } of findRepeated(templates.map(({ DestPath }) => DestPath))) {
    if (name === '') continue;
    report.error(
      `Templates[${again}].DestPath`,
      `Templates ${first + 1} and ${again + 1} have the same destination ${JSON.stringify(name)}`,
    );
  }
  for (const [i, template] of templates.entries()) {
    validateTemplate(template, report.at('Templates').at(i, `Template ${i + 1}: `));
  }
}

function validateTemplate(template: Template, report: Report): void {
  const { SourcePath, EmbeddedTmpl, DestPath, Perms, Splay, Wait } = template;
  if (SourcePath === '' && EmbeddedTmpl === '') report.error('', 'has neither a source nor data');
  if (SourcePath !== '' && EmbeddedTmpl !== '') report.warning('SourcePath', 'A template has both a source and data');
  if (DestPath === '') report.error('DestPath', 'has no destination');
  else if (escapes(DestPath))
    report.error('DestPath', `the destination ${JSON.stringify(DestPath)} leads out of the task`);
  validateChange(template, report);
  if (Perms !== '' && !/^0*[0-7]{1,4}$/.test(Perms)) {
    report.error('Perms', `perms ${JSON.stringify(Perms)} is no octal mode such as "0644"`);
  }
  if (template.VaultGrace !== 0)
    report.warning('VaultGrace', 'vault_grace has no effect: please remove it from the template block');
  if (Splay < 0) report.error('Splay', 'splay must not be negative');
  if (Wait && (Wait.Min ?? -Infinity) > (Wait.Max ?? Infinity)) report.error('Wait', 'wait: min is longer than max');
}

function validateChange({ ChangeMode, ChangeSignal, ChangeScript, Envvars }: Template, report: Report): void {
  if (!CHANGE_MODES.includes(ChangeMode)) {
    report.error(
      'ChangeMode',
      `unknown change_mode ${JSON.stringify(ChangeMode)}; known are ${CHANGE_MODES.join(', ')}`,
    );
  }
  if (ChangeMode === 'signal') {
    if (ChangeSignal === '') report.error('ChangeSignal', 'change_mode "signal" needs a change_signal');
    const problem = signalProblem(ChangeSignal);
    if (problem !== '') report.error('ChangeSignal', `change_signal: ${problem}`);
    // A process keeps the environment it was started with.
    if (Envvars)
      report.error('ChangeMode', 'variables of the environment do not change by a signal: use restart or noop');
  }
  if (ChangeMode !== 'script') return;
  if (!ChangeScript) report.error('ChangeScript', 'change_mode "script" needs a change_script block');
  else if (!ChangeScript['Command']) report.error('ChangeScript', 'change_script has no command');
}

export function validateArtifacts(artifacts: readonly TaskArtifact[] | null, report: Report): void {
  for (const [i, { GetterSource, GetterMode, GetterOptions, RelativeDest }] of (artifacts ?? []).entries()) {
    const at = report.at('Artifacts').at(i, `Artifact ${i + 1}: `);
    if (GetterSource === '') at.error('GetterSource', 'has no source');
    const scheme = /^(hg|gcs)::/.exec(GetterSource)?.[1];
    if (scheme) at.error('GetterSource', `${scheme} sources are not supported: use http, git or s3`);
    validateChecksum(GetterOptions?.['checksum'] ?? '', at);
    if (!GETTER_MODES.includes(GetterMode)) {
      at.error(
        'GetterMode',
        `unknown mode ${JSON.stringify(GetterMode)}; known are ${GETTER_MODES.slice(1).join(', ')}`,
      );
    }
    if (escapes(RelativeDest)) {
      at.error('RelativeDest', `the destination ${JSON.stringify(RelativeDest)} leads out of the task`);
    }
  }
}

const DIGEST_LENGTHS: Readonly<Record<string, number>> = { md5: 32, sha1: 40, sha256: 64, sha512: 128 };

/** What can be told without fetching anything; references are filled in on the node. */
function validateChecksum(checksum: string, report: Report): void {
  if (checksum === '' || checksum.includes('${') || checksum.startsWith('file:')) return;
  const [kind = '', digest] = checksum.split(':');
  const value = digest ?? kind;
  const length = digest === undefined ? value.length : DIGEST_LENGTHS[kind];
  const known = Object.values(DIGEST_LENGTHS).includes(length ?? 0);
  if (known && value.length === length && /^[0-9a-fA-F]+$/.test(value)) return;
  const kinds = Object.keys(DIGEST_LENGTHS).join(', ');
  report.error(
    'GetterOptions',
    `checksum ${JSON.stringify(checksum)} is no digest: write TYPE:HEX with one of ${kinds}, or file:URL`,
  );
}
