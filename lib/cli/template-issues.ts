import type { Job } from '../structs/job.js';
import { parseTemplate, TemplateError } from '../template/index.js';

/**
 * Templates in a canonical job that no node can parse. Which functions there are is for the node to know: one of another
 * version may have more.
 */
export function findTemplateIssues(job: Job): { path: string; message: string }[] {
  const found: { path: string; message: string }[] = [];
  for (const [g, group] of job.TaskGroups.entries()) {
    for (const [t, task] of group.Tasks.entries()) {
      for (const [i, { EmbeddedTmpl, SourcePath, DestPath, LeftDelim, RightDelim }] of (
        task.Templates ?? []
      ).entries()) {
        if (SourcePath !== '') continue;
        const delimiters = { left: LeftDelim || '{{', right: RightDelim || '}}' };
        try {
          parseTemplate(EmbeddedTmpl, { name: DestPath, delimiters, functions: 'any' });
        } catch (error) {
          if (!(error instanceof TemplateError)) throw error;
          found.push({
            path: `TaskGroups[${g}].Tasks[${t}].Templates[${i}].EmbeddedTmpl`,
            message: `Task group ${group.Name}, task ${task.Name}, template ${i + 1} cannot be parsed (the line is the template's own): ${error.message}`,
          });
        }
      }
    }
  }
  return found;
}
