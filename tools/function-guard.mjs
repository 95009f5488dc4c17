/** Has every loop of a function report that it turns; assembly/function/guard.ts says why. */

/** Packages whose loops are known to end. */
const TRUSTED = /^~lib\/(layotto|@solo-io\/proxy-runtime|as-wasi)\//;

/**
 * A transform for the compiler.
 * @param {object} ast the exports of the package `assemblyscript`
 * @param {Record<string, string>} standard names of the standard library's files
 */
export function loopGuard(ast, standard) {
  const { Node, ForStatement, ForOfStatement, WhileStatement, DoStatement } = ast;
  const loops = [ForStatement, ForOfStatement, WhileStatement, DoStatement];

  function visit(node, seen) {
    if (typeof node !== 'object' || node === null || seen.has(node)) return;
    seen.add(node);
    if (Array.isArray(node)) {
      for (const item of node) visit(item, seen);
      return;
    }
    if (!(node instanceof Node)) return;
    for (const value of Object.values(node)) visit(value, seen);
    if (loops.some((kind) => node instanceof kind)) node.body = guarded(node.body);
  }

  function guarded(body) {
    const { range } = body;
    const call = Node.createCallExpression(
      Node.createIdentifierExpression('layottoLoops', range),
      null,
      [],
      range,
    );
    return Node.createBlockStatement([Node.createExpressionStatement(call), body], range);
  }

  return {
    afterParse(parser) {
      for (const source of parser.sources) {
        const path = source.normalizedPath;
        const name = path.replace(/^~lib\//, '').replace(/\.ts$/, '');
        const known = path.startsWith('~lib/') && (Object.hasOwn(standard, name) || TRUSTED.test(path));
        // The same set throughout: nodes know the source that they are in.
        if (!known) visit(source.statements, new Set([source]));
      }
    },
  };
}
