import { fn, type TemplateFunction } from '../../../template/index.js';

const CONSUL =
  'byKey byMeta caLeaf caRoots connect datacenters explode exportedServices importedServices key keyExists keyExistsGet keyOrDefault ls node nodes partitions peerings safeLs safeTree service services tree';
const VAULT = 'pkiCert secret secrets';

/** What only Consul or Vault could answer, and what would reach beyond the task's own directory. */
export const REFUSED_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = Object.fromEntries([
  ...CONSUL.split(' ').map((name) => [
    name,
    refused(
      `${name} asks Consul, and there is none: keep values in variables (nomadVar) and find services with nomadService`,
    ),
  ]),
  ...VAULT.split(' ').map((name) => [
    name,
    refused(`${name} asks Vault, and there is none: keep secrets in variables and read them with nomadVar`),
  ]),
  ...'spew_dump spew_printf spew_sdump spew_sprintf'
    .split(' ')
    .map((name) => [name, refused(`${name} is not here: printf "%#v" shows what a value is`)]),
  [
    'plugin',
    refused('plugin would run a program on the host: run it in a prestart task, and read its output with file'),
  ],
  ['writeToFile', refused('writeToFile would write beside the destination: use one template block for each file')],
]);

function refused(message: string): TemplateFunction {
  return fn([0, Infinity], () => {
    throw new Error(message);
  });
}
