/** Has every loop of a function report that it turns, and every `unreachable` that it ends; assembly/function/guard.ts says why. */

/** Packages whose loops are known to end. */
const TRUSTED = /^~lib\/(layotto|@solo-io\/proxy-runtime|as-wasi)\//;

/** AssemblyScript's allocator: it ends by `unreachable` if there is no memory left. */
const ALLOCATOR = '~lib/rt/tlsf.ts';

/**
 * A transform for the compiler.
 * @param {object} ast the exports of the package `assemblyscript`
 * @param {Record<string, string>} standard names of the standard library's files
 */
export function loopGuard(ast, standard) {
  const { Node, CallExpression, ExpressionStatement, IdentifierExpression } = ast;
  const loops = [ast.ForStatement, ast.ForOfStatement, ast.WhileStatement, ast.DoStatement];

  /** @param own whether its loops are to be watched, too */
  function visit(node, seen, own) {
    if (typeof node !== 'object' || node === null || seen.has(node)) return;
    seen.add(node);
    if (!Array.isArray(node) && !(node instanceof Node)) return;
    for (const [key, value] of Object.entries(node)) {
      if (isUnreachable(value)) node[key] = after('layottoTraps', value);
      else visit(value, seen, own);
    }
    if (own && loops.some((kind) => node instanceof kind)) node.body = after('layottoLoops', node.body);
  }

  function isUnreachable(node) {
    if (!(node instanceof ExpressionStatement)) return false;
    const { expression } = node;
    if (!(expression instanceof CallExpression)) return false;
    return (
      expression.expression instanceof IdentifierExpression && expression.expression.text === 'unreachable'
    );
  }

  /** A statement behind the call of a function of the guard's. */
  function after(name, statement) {
    const { range } = statement;
    const call = Node.createCallExpression(Node.createIdentifierExpression(name, range), null, [], range);
    return Node.createBlockStatement([Node.createExpressionStatement(call), statement], range);
  }

  return {
    afterParse(parser) {
      for (const source of parser.sources) {
        const path = source.normalizedPath;
        const name = path.replace(/^~lib\//, '').replace(/\.ts$/, '');
        const known = path.startsWith('~lib/') && (Object.hasOwn(standard, name) || TRUSTED.test(path));
        // The same set throughout: nodes know the source that they are in.
        if (!known || path === ALLOCATOR) visit(source.statements, new Set([source]), !known);
      }
    },
  };
}
