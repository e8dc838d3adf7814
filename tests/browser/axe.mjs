// Whether a page can be used by all.
import { readFileSync } from 'node:fs';

/** Returns the violations found by axe-core. */
export async function violations(page, axe) {
    if (!(await page.evaluate(() => 'axe' in window)))
        await page.evaluate(readFileSync(axe, 'utf8'));
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    return found.violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join('\n  ')}`);
}
