//! Every bound of the shell has its name here. Reaching one is an error with a message that says which.

/// Bytes of one complete command (a line, or the lines of a construct), and of a file of the kind that
/// is read whole as a script.
pub const MAX_COMMAND_BYTES: usize = 256 << 10;
/// Bytes of one word as it is written, before it is expanded.
pub const MAX_WORD_BYTES: usize = 64 << 10;
/// Constructs (`if`, `while`, `{`, `(`, …) inside one another.
pub const MAX_NESTING: usize = 64;
/// Expansions inside one another in a word: `${a:-${b:-$((…))}}`.
pub const MAX_WORD_NESTING: usize = 8;
/// Brackets and operators of `$((…))` that wait for a value at the same time.
pub const MAX_ARITH_WAITING: usize = 256;
/// Parentheses inside one another in `test`.
pub const MAX_TEST_NESTING: usize = 6;
/// Commands of one pipeline, each of which is a task.
pub const MAX_PIPELINE: usize = 32;
/// Operations that one complete command compiles to.
pub const MAX_OPS: usize = 64 << 10;
/// Fields that the words of one command expand to (arguments, or the list of a `for`).
pub const MAX_FIELDS: usize = 16 << 10;
/// Bytes that the words of one command expand to, and that a command substitution may deliver.
pub const MAX_EXPANSION_BYTES: usize = 1 << 20;
/// Directory entries that one pattern may look at.
pub const MAX_GLOB_STEPS: usize = 256 << 10;
/// Loops, calls, redirected constructs and `case`s that are being executed inside one another.
pub const MAX_FRAMES: usize = 256;
/// Tasks (subshells, substitutions, pipelines) that were started from inside one another.
pub const MAX_SUBSHELLS: usize = 16;
/// Tasks that one shell and all that it started have running at the same time.
pub const MAX_TASKS: usize = 256;
/// Shells that programs run on their own stack ([`crate::Shell::nested`]); `sh FILE` is a task instead.
pub const MAX_SHELLS: usize = 1;
/// Background jobs that were not waited for.
pub const MAX_JOBS: usize = 64;
/// Variables of one shell.
pub const MAX_VARS: usize = 1024;
/// Bytes of all values of a shell's variables.
pub const MAX_VAR_BYTES: usize = 2 << 20;
/// Bytes that a program may hold of its input (`sort`, `tail`), with what it costs to hold them: as
/// much as there is in one piece (a page allocator of eleven orders hands out 4 MiB).
pub const MAX_HELD_BYTES: usize = 4 << 20;
/// Bytes of one line of text that a program must hold whole (`grep`, `cut`, `uniq`).
pub const MAX_TEXT_LINE: usize = 1 << 20;
/// Lines that the editor remembers.
pub const MAX_HISTORY: usize = 256;
/// Bytes of a line that is being edited.
pub const MAX_EDIT_LINE: usize = 4096;
/// Output that a program may have pending before it is written.
pub const OUT_BUFFER: usize = 4096;
