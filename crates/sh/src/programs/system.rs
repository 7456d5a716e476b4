//! Programs about the system: the shell itself, time, power, names, tasks.

use alloc::{format, string::String, vec::Vec};

use tracecore::errno::Errno;

use super::Program;
use crate::builtins::BUILTINS;
use crate::ctx::Ctx;
use crate::shell::Shell;
use crate::simple::{CANNOT_RUN, NOT_FOUND};

/// The table.
pub(super) const PROGRAMS: &[Program] = &[
    Program { name: "help", usage: "[NAME]...", help: "list what can be run", main: help },
    Program { name: "sh", usage: "[-c TEXT] [FILE] [ARG]...", help: "run a script", main: sh },
];

/// One line for each builtin and program, or for those named.
fn help(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let builtins = BUILTINS.iter().map(|b| (b.name, b.usage, b.help));
    let programs = ctx.programs.all().into_iter().map(|p| (p.name, p.usage, p.help));
    let mut all: Vec<(&str, &str, &str)> = builtins.chain(programs).collect();
    all.sort_unstable();
    let mut status = 0;
    if let Some(unknown) = args.iter().find(|arg| !all.iter().any(|(name, ..)| name == *arg)) {
        ctx.complain(format_args!("{unknown}: not found"));
        status = 1;
    }
    for (name, usage, text) in all {
        if args.is_empty() || args.contains(&name) {
            let call = format!("{name} {usage}");
            ctx.print(&format!("{call:<38} {text}\n"));
        }
    }
    status
}

fn sh(ctx: &mut Ctx, args: &[&str]) -> i32 {
    match args {
        ["-c", text, rest @ ..] => {
            let (arg0, params) = match rest.split_first() {
                Some((arg0, params)) => (*arg0, params),
                None => ("sh", rest),
            };
            run_text(ctx, text, arg0, params)
        }
        [file, params @ ..] => run_script(ctx, file, params),
        [] => run_script(ctx, "-", &[]),
    }
}

/// Runs a script file in a fresh shell.
pub(crate) fn run_script(ctx: &mut Ctx, file: &str, params: &[&str]) -> i32 {
    match ctx.read_file(file) {
        Ok(bytes) => run_text(ctx, &String::from_utf8_lossy(&bytes), file, params),
        Err(e) => {
            ctx.complain(format_args!("can't open '{file}': {}", e.strerror()));
            if e == Errno::ENOENT { NOT_FOUND } else { CANNOT_RUN }
        }
    }
}

fn run_text(ctx: &mut Ctx, text: &str, arg0: &str, params: &[&str]) -> i32 {
    ctx.flush();
    match Shell::nested(ctx) {
        Ok(mut shell) => {
            shell.set_params(arg0, params);
            let status = shell.run_text(text);
            shell.ctx.finish(status)
        }
        Err(_) => {
            let text = format!("{arg0}: too many shells inside one another\n");
            ctx.eprint(&text);
            CANNOT_RUN
        }
    }
}
