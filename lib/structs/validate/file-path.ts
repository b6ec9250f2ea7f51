/** Whether a path, written for below the task's directory, leads out of it. References are taken for plain names. */
export function escapes(path: string): boolean {
  let depth = 0;
  for (const part of path.replace(/\$\{[^}]*\}/g, 'x').split('/')) {
    if (part === '' || part === '.') continue;
    depth += part === '..' ? -1 : 1;
    // The allocation's shared directory lies beside the task's: one step up is allowed.
    if (depth < -1) return true;
  }
  return false;
}
