import t from 'tap';
import { decodeTask, pluginProblems } from '../../plugins/driver-exec/config.js';

t.test('capabilities that no kernel knows are named with the nearest', (t) => {
  const message = 'is no capability of Linux: "sys_admn"; did you mean "sys_admin"?';
  t.same(pluginProblems({ allow_caps: ['chown', 'sys_admn'] }), [{ path: 'allow_caps[1]', message }]);
  for (const key of ['cap_add', 'cap_drop'])
    t.same(decodeTask({ command: '/bin/sh', [key]: ['all', 'sys_admn'] }), {
      problems: [{ path: `${key}[1]`, message }],
    });
  t.match(decodeTask({ command: '/bin/sh', cap_add: ['CAP_SYS_ADMIN'] }), { config: {} });
  t.end();
});
