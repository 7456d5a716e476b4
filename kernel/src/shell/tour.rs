//! `tour`: a guided walk, as a newcomer would type it.
//!
//! The walk is a file of the initramfs ([`FILE`]), in four kinds of lines:
//!
//! ```text
//!   # A probe is …          text, shown without its mark
//!   work work_add 2 40      a command: shown behind a prompt, then run
//!   ! cat nosuch            a command that is meant to fail
//!                           an empty line: a pause, on a terminal until Enter
//! ```
//!
//! The commands are run as typed, by a shell of its own, so what the reader sees is what the kernel does. The status
//! is that of the walk: 1 when a command did not end as it was meant to.

use sh::{Ctx, Fed, Shell, Stop};

/// The walk.
const FILE: &str = "/etc/tour";

/// The program.
pub(super) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    if !args.is_empty() {
        ctx.eprint("usage: tour\n");
        return 2;
    }
    let text = match super::read_text(FILE) {
        Ok(text) => text,
        Err(e) => {
            ctx.fail(FILE, e);
            return 1;
        }
    };
    let mut shell = match Shell::nested(ctx) {
        Ok(shell) => shell,
        Err(e) => {
            ctx.fail("sh", e);
            return 1;
        }
    };
    let mut as_meant = true;
    for line in text.lines() {
        if let Some(Stop::Signal(signal)) = ctx.stopped() {
            return 128 + i32::from(signal);
        }
        if let Some(prose) = line.strip_prefix('#') {
            ctx.print(prose.strip_prefix(' ').unwrap_or(prose));
            ctx.print("\n");
        } else if line.is_empty() {
            pause(ctx);
        } else {
            let (command, fails) = match line.strip_prefix("! ") {
                Some(command) => (command, true),
                None => (line, false),
            };
            ctx.print(&super::prompt(&shell.ctx.cwd));
            ctx.print(command);
            ctx.print("\n");
            // What the command prints comes behind its own line.
            ctx.flush();
            match shell.feed(command) {
                Fed::Ran(status) | Fed::Exited(status) => as_meant &= (status != 0) == fails,
                Fed::More => {}
            }
        }
    }
    i32::from(!as_meant)
}

/// Waits for Enter where somebody can press it; elsewhere an empty line.
fn pause(ctx: &mut Ctx) {
    let (input, output) = (ctx.stdin(), ctx.stdout());
    if !input.is_terminal() || !output.is_terminal() {
        ctx.print("\n");
        return;
    }
    ctx.print("                                                                (Enter)");
    ctx.flush();
    let mut key = [0];
    // At the end of input, or when it is interrupted, the walk goes on; Ctrl-C is looked at before each line.
    while ctx.read(&*input, &mut key) == Ok(1) && key != *b"\n" {}
}
