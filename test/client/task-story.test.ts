import t from 'tap';
import { taskEvents } from '../../lib/client/task-events.js';
import { TaskStory } from '../../lib/client/task-story.js';

t.test('progress takes the place of the progress before it, and the rest of the story stays', async (t) => {
  const story = new TaskStory(null, { now: () => 1_000 } as never, () => {});
  const tell = (event: ReturnType<typeof taskEvents.received>): void => story.change({}, event);
  tell(taskEvents.received());
  tell(taskEvents.setup('Waiting for 2 volumes'));
  tell(taskEvents.setup('Waiting for 3 volumes'));
  for (let i = 0; i < 100; i++) tell(taskEvents.setup(`Fetching: ${i} % of 1.5 GiB`));
  tell(taskEvents.setup('Fetching was interrupted at 99 % of 1.5 GiB: no route'));
  for (let i = 1; i < 100; i++) tell(taskEvents.told(`Unpacking artifacts: ${i} MiB`, 'Downloading Artifacts'));
  t.same(
    story.state.Events.map(({ DisplayMessage }) => DisplayMessage),
    [
      'Task received by client',
      'Waiting for 2 volumes',
      'Waiting for 3 volumes',
      'Fetching: 99 % of 1.5 GiB',
      'Fetching was interrupted at 99 % of 1.5 GiB: no route',
      'Unpacking artifacts: 99 MiB',
    ],
  );
  for (let i = 0; i < 20; i++) tell(taskEvents.started());
  t.equal(story.state.Events.length, 10);
});
