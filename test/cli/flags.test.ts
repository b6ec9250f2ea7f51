import t from 'tap';
import type { FlagSpec } from '../../lib/cli/command.js';
import { flagHelp, parseFlags } from '../../lib/cli/flags.js';

const SPECS: Record<string, FlagSpec> = {
  verbose: { type: 'bool', help: 'Whole ids.' },
  name: { type: 'string', value: 'name', help: 'A name.' },
  n: { type: 'int', help: 'A number.' },
  wait: { type: 'duration', help: 'A time.' },
  var: { type: 'list', help: 'Several.' },
  help: { type: 'bool', help: 'This text.' },
};

t.test('one dash or two, a value behind = or as the next word', async (t) => {
  for (const argv of [
    ['-name', 'x', 'arg'],
    ['--name', 'x', 'arg'],
    ['-name=x', 'arg'],
    ['arg', '--name=x'],
  ]) {
    const { args, flags } = parseFlags(argv, SPECS);
    t.equal(flags.string('name'), 'x', argv.join(' '));
    t.strictSame(args, ['arg'], argv.join(' '));
  }
  t.equal(parseFlags(['-name='], SPECS).flags.string('name'), '');
  t.equal(parseFlags(['-name=a=b\nc'], SPECS).flags.string('name'), 'a=b\nc');
});

t.test('a bool takes a value only with =, so that a file may follow it', async (t) => {
  for (const [word, value] of [
    ['-verbose', true],
    ['-verbose=true', true],
    ['--verbose=1', true],
    ['-verbose=F', false],
    ['-verbose=false', false],
  ] as const) {
    const { args, flags } = parseFlags([word, 'job.hcl'], SPECS);
    t.equal(flags.bool('verbose'), value, word);
    t.equal(flags.optionalBool('verbose'), value, word);
    t.strictSame(args, ['job.hcl']);
  }
  t.equal(parseFlags([], SPECS).flags.optionalBool('verbose'), undefined);
});

t.test('numbers, durations and lists', async (t) => {
  const { flags } = parseFlags(['-n', '-5', '-wait=1m30s', '-var', 'a=1', '-var=b=2'], SPECS);
  t.equal(flags.int('n'), -5);
  t.equal(flags.duration('wait'), 90e9);
  t.strictSame(flags.list('var'), ['a=1', 'b=2']);
  t.strictSame(parseFlags([], SPECS).flags.list('var'), []);
});

t.test('a lone dash is an argument, -- ends the flags', async (t) => {
  t.strictSame(parseFlags(['-verbose', '-'], SPECS).args, ['-']);
  t.strictSame(parseFlags(['--', '-verbose'], SPECS).args, ['-verbose']);
  t.strictSame(parseFlags(['-7'], SPECS).args, ['-7']);
});

t.test('what another program is to get is left alone', async (t) => {
  const { args, flags } = parseFlags(['-name', 'x', 'a1', 'ls', '-verbose', '--', '-la'], SPECS, true);
  t.strictSame(args, ['a1', 'ls', '-verbose', '--', '-la']);
  t.equal(flags.string('name'), 'x');
  t.equal(flags.bool('verbose'), false);
  t.strictSame(parseFlags(['a1', '--', 'ls', '-l'], SPECS, true).args, ['a1', 'ls', '-l']);
});

t.test('mistakes are told with what is meant', async (t) => {
  for (const [argv, message] of [
    [['-verbos'], /^unknown flag: -verbos; did you mean -verbose\?$/],
    [['--constructor'], /^unknown flag: -constructor$/],
    [['-name'], /^flag needs a value: -name=<name>$/],
    [['-n=x'], /^-n must be a whole number, not "x"$/],
    [['-wait=soon'], /^-wait: /],
    [['-verbose=perhaps'], /^-verbose must be true or false/],
  ] as const) {
    t.throws(() => parseFlags([...argv], SPECS), { name: 'UsageError', message }, argv.join(' '));
  }
});

t.test('-h, -? and -help are one', async (t) => {
  for (const word of ['-h', '--h', '-?', '-help', '--help'])
    t.equal(parseFlags([word], SPECS).flags.bool('help'), true);
  t.match(flagHelp(SPECS), /^ {2}-verbose\n {4}Whole ids\.\n\n {2}-name=<name>\n/);
});
