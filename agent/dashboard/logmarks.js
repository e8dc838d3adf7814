// Which lines of a log look like errors. Output is merged unless its stage says otherwise (docs/log-format.md), so the
// stream says nothing of it; these patterns do. docs/operating.md, "What a log marks", lists them.

const escapes = /\x1b\[[0-9;?]*[ -/]*[@-~]/g;

const errorPatterns = [
    // error: …, fatal: …, [ERROR] …, ERROR in …, error[E0308]: …, error TS2304: …, npm ERR! …, remote: error: …
    /^\W*(?:remote: )?(?:(?:[Ee]rror|[Ff]atal|[Pp]anic|[Cc]ritical)(?:\[\w+\]| \w+\d+)?[:\]!]|(?:ERROR|FATAL|PANIC|CRITICAL)\b|npm (?:ERR!|error) )/,
    // a.c:3:1: error: …, a.ts(7,3): error TS2304: …, ld: fatal error: …
    /^.{0,200}?[:)\]] (?:[Ff]atal )?[Ee]rror(?: \w+\d+)?: /,
    // make: *** [Makefile:3: all] Error 1
    /^\S+: \*\*\* /,
    // Traceback (most recent call last):, java.io.IOException: …, Caused by: …, thread 'main' panicked at …
    /^(?:Traceback \(|Exception in |Caused by: |(?:[\w$]+\.)*[A-Z]\w*(?:Error|Exception)(?:: |$)|thread '.*' panicked at )/,
    // FAILED tests/…, FAIL: …, --- FAIL: …, not ok 3 …, ✗ …
    /^\W*(?:FAIL(?:ED|URE)?\b|not ok \d)|^\s*[✗✘✖]/,
    // sh: 1: foo: not found, a.sh: line 3: x: Permission denied, Segmentation fault
    /^\S+: .{0,200}(?:not found|No such file or directory|Permission denied|cannot execute.{0,40})$|^(?:Segmentation fault|Aborted|Killed)\b/,
];

const mostCharacters = 400; // an error says early that it is one

/** Whether a line of a log looks like an error. */
export function looksLikeError(message) {
    let line = message.replace(/\r+$/, '');
    line = line.slice(line.lastIndexOf('\r') + 1).slice(0, mostCharacters).replace(escapes, '').trimEnd();
    return errorPatterns.some((pattern) => pattern.test(line));
}
