/** How a plugin is started and set up: `plugin "NAME" { args = […] config { … } }`. */
export interface PluginBlock {
  args: string[];
  config: Record<string, unknown>;
  /** An npm package, or a path, of a plugin written for this program; null: a file of the plugin directory, or a bundled one. */
  package: string | null;
  /** Where what stands in the agent's files, by path in `config`; '' = the block. */
  places?: Readonly<Record<string, string>>;
}

/** The place of a path in a block, or of what it lies in: "agent.hcl:12,5-9: ", to stand before a message; '' = not known. */
export function placeOf({ places = {} }: Pick<PluginBlock, 'places'>, path: string): string {
  for (let at = path; ; at = at.replace(/(\.|\[)[^.[]*$|^[^.[]+$/, '')) {
    const place = places[at];
    if (place !== undefined) return `${place}: `;
    if (at === '') return '';
  }
}
