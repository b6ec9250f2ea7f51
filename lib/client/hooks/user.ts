import { randomInt } from '../../util/random.js';
import { type HookContext, HookError, taskHook } from './hook.js';

/** Where this hook keeps what it has given out, for `usedIds`. */
const NAME = 'user';
const DRAWS_MAX = 10;

/**
 * Refuses users as whom this node runs nothing, and gives a user for this task alone, for drivers that ask for one
 * (`DynamicWorkloadUsers`) when the job names nobody: a number of `client { users { } }` that no other task of this node
 * has, as user and as group, until the task is over for good.
 */
export const userHook = taskHook(NAME, {
  async prestart(context) {
    const { task, driver, state, draft, config } = context;
    const { names, drivers } = config.deniedUsers;
    if (drivers.includes(task.Driver) && names.includes(task.User)) {
      const message = `as user "${task.User}" no task of driver "${task.Driver}" runs here`;
      const remedy = 'name another, or set "user.denylist" in the agent\'s client { options { } }';
      throw new HookError(`${message}: ${remedy}`, { recoverable: false });
    }
    if (!driver.capabilities.ownUsers || task.User !== '') return;
    const id = (state.get() as number | null) ?? draw(context);
    state.put(id);
    // The name by which Nomad's plugins know that the number is in it.
    draft.user = `nomad-${id}`;
  },
  async stop({ state }) {
    if (state.get() !== null) state.put(null);
  },
});

/** Drawn, so that what an ended task has left behind is hardly ever the next one's. */
function draw({ config, client }: HookContext): number {
  const { min, max } = config.dynamicUsers;
  if (min < 0 || max < 0) {
    const message = 'its driver wants a user for it, and users { } in the client block of the agent allows none';
    throw new HookError(`${message}; name one in the job: user = "…"`, { recoverable: false });
  }
  const used = usedIds(client);
  const size = max - min + 1;
  for (let i = 0; i < DRAWS_MAX; i++) {
    const id = min + randomInt(client.random, size);
    if (!used.has(id)) return id;
  }
  for (let id = min; id <= max; id++) if (!used.has(id)) return id;
  const message = `all users from ${min} to ${max} are in use; more are given in users { } in the client block of the agent`;
  throw new HookError(message, { recoverable: true });
}

function usedIds({ db }: HookContext['client']): Set<number> {
  const used = new Set<number>();
  for (const { hooks } of db.allocs.values()) {
    for (const [key, kept] of Object.entries(hooks)) {
      if (key.endsWith(`/${NAME}`) && typeof kept === 'number') used.add(kept);
    }
  }
  return used;
}
