//! The shell's `bpf`: the first word says which of these.
//!
//! | first word | file | does |
//! |---|---|---|
//! | `exec` | [`exec`] | runs programs that nobody has verified, in a sandbox |
//! | `map` | [`map`] | makes maps, shows and changes what is in them |

pub(in crate::bpf) mod exec;
mod map;

use sh::Ctx;

/// The boot argument without which nothing unverified runs.
const UNVERIFIED: &str = "trapline.bpf.unverified";

/// What one of the commands does with the words behind its name: the exit status.
type Command = fn(&mut Ctx, &[&str]) -> i32;

/// The commands, with their arguments.
const COMMANDS: &[(&str, &str, Command)] =
    &[("exec", "FILE", exec::main), ("map", "COMMAND [MAP] [ARG]...", map::main)];

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
