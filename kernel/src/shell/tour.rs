//! `tour`: a guided walk, as a newcomer would type it.
//!
//! The walk is a file of the initramfs ([`FILE`]), in three kinds of lines:
//!
//! ```text
//!   # A probe is …          text, shown without its mark
//!   work work_add 2 40      a command: shown behind a prompt, then run by a shell of its own
//!                           an empty line: a pause, on a terminal until Enter
//! ```
//!
//! The commands are run as typed, in one shell, so what the reader sees is what the kernel does.

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
            ctx.fail("tour", e);
            return 1;
        }
    };
    let mut failed = 0;
    for line in text.lines() {
        if let Some(Stop::Signal(signal)) = ctx.stopped() {
            return 128 + i32::from(signal);
        }
        match line.strip_prefix('#') {
            Some(prose) => ctx.print(prose.strip_prefix(' ').unwrap_or(prose)),
            None if line.is_empty() => pause(ctx),
            None => {
                ctx.print(&shell.ctx.cwd);
                ctx.print(" # ");
                ctx.print(line);
            }
        }
        ctx.print("\n");
        ctx.flush();
        if !line.is_empty() && !line.starts_with('#') {
            match shell.feed(line) {
                Fed::Ran(0) | Fed::More => {}
                Fed::Ran(status) | Fed::Exited(status) => failed = status,
            }
        }
    }
    failed
}

/// Waits for Enter where somebody can press it.
fn pause(ctx: &mut Ctx) {
    let (input, output) = (ctx.stdin(), ctx.stdout());
    if !input.is_terminal() || !output.is_terminal() {
        return;
    }
    ctx.print("        (Enter)");
    ctx.flush();
    let mut key = [0];
    // At the end of input, or when it is interrupted, the walk goes on; Ctrl-C is looked at before each line.
    while ctx.read(&*input, &mut key) == Ok(1) && key != *b"\n" {}
}
