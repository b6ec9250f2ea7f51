/** The path of a variable in the API: slashes part it as they are. */
export function variableUrl(path: string): string {
  return `/v1/var/${path.split('/').map(encodeURIComponent).join('/')}`;
}
