//! The shell's `bpf`: the first word says which of these.
//!
//! | first word | file | does |
//! |---|---|---|
//! | `exec` | [`exec`] | runs bytecode on memory, verified or in a sandbox |
//! | `link`, `perf` | [`link`] | what is attached where |
//! | `prog` | [`prog`], [`attach`] | loads programs, shows, runs and attaches them |
//! | `stats` | [`stats`] | how many there are, and whether runs are counted |
//! | `verify` | [`verify`] | says whether programs do no harm, and why not |
//! | `tool` | [`tool`] | runs one of `/tools` and prints what it found |
//! | `map` | [`map`] | makes maps, shows and changes what is in them |

mod attach;
pub(in crate::bpf) mod exec;
mod link;
mod map;
mod prog;
mod stats;
mod tool;
pub(in crate::bpf) mod verify;

use sh::Ctx;

/// The boot argument without which nothing unverified runs.
pub(in crate::bpf) const UNVERIFIED: &str = "trapline.bpf.unverified";

/// What one of the commands does with the words behind its name: the exit status.
type Command = fn(&mut Ctx, &[&str]) -> i32;

/// The commands, with their arguments.
const COMMANDS: &[(&str, &str, Command)] = &[
    ("exec", "[--jit] FILE", exec::main),
    ("link", link::USAGE, link::main),
    ("map", "COMMAND [MAP] [ARG]...", map::main),
    ("perf", "[list]", link::perf),
    ("prog", "COMMAND [PROG] [ARG]...", prog::main),
    ("stats", "[on|off]", stats::main),
    ("tool", tool::USAGE, tool::main),
    ("verify", "FILE", verify::main),
];

/// `bpf COMMAND …`.
pub(crate) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    if let [first, rest @ ..] = args
        && let Some((_, _, command)) = COMMANDS.iter().find(|(name, ..)| name == first)
    {
        return command(ctx, rest);
    }
    for (name, usage, _) in COMMANDS {
        ctx.eprint(&alloc::format!("usage: bpf {name} {usage}\n"));
    }
    2
}
