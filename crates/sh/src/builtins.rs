//! What only the shell itself can do: change its own state.

mod jobs;
mod vars;

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use tracecore::errno::Errno;

use crate::exec::Place;
use crate::parser;
use crate::shell::{Halt, Shell};
use crate::simple::{Call, NOT_FOUND, Ran};
use crate::sys::FileKind;

/// A builtin; it sets `$?` itself.
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    pub(crate) usage: &'static str,
    pub(crate) help: &'static str,
    pub(crate) main: fn(&mut Shell, &[&str]) -> Result<Ran, Halt>,
}

/// All builtins, sorted by name.
pub(crate) const BUILTINS: &[Builtin] = &[
    Builtin { name: ".", usage: "FILE [ARG]...", help: "run a script in this shell", main: source },
    Builtin { name: ":", usage: "[ARG]...", help: "do nothing, well", main: colon },
    Builtin { name: "break", usage: "[N]", help: "leave N loops", main: break_loops },
    Builtin { name: "cd", usage: "[DIR|-]", help: "change the current directory", main: cd },
    Builtin {
        name: "command",
        usage: "[-v] NAME [ARG]...",
        help: "run NAME, or say what it is",
        main: command,
    },
    Builtin { name: "continue", usage: "[N]", help: "start the next round of a loop", main: continue_loops },
    Builtin { name: "eval", usage: "[TEXT]...", help: "run a text in this shell", main: eval },
    Builtin { name: "exit", usage: "[STATUS]", help: "end the shell", main: exit },
    Builtin {
        name: "export",
        usage: "[NAME[=VALUE]]...",
        help: "let programs see variables",
        main: vars::export,
    },
    Builtin { name: "jobs", usage: "", help: "list background jobs", main: jobs::jobs },
    Builtin {
        name: "kill",
        usage: "[-SIGNAL] PID|%JOB...",
        help: "send a signal to a task",
        main: jobs::kill,
    },
    Builtin { name: "local", usage: "NAME[=VALUE]...", help: "variables of a function", main: vars::local },
    Builtin { name: "read", usage: "[-r] NAME...", help: "read a line into variables", main: vars::read },
    Builtin { name: "readonly", usage: "NAME[=VALUE]...", help: "protect variables", main: vars::readonly },
    Builtin { name: "return", usage: "[STATUS]", help: "end a function", main: return_from },
    Builtin {
        name: "set",
        usage: "[-eux] [--] [ARG]...",
        help: "set options and parameters",
        main: vars::set,
    },
    Builtin { name: "shift", usage: "[N]", help: "drop positional parameters", main: vars::shift },
    Builtin { name: "type", usage: "NAME...", help: "say what a name stands for", main: type_of },
    Builtin {
        name: "unset",
        usage: "[-f] NAME...",
        help: "forget variables or functions",
        main: vars::unset,
    },
    Builtin { name: "wait", usage: "[PID|%JOB]...", help: "wait for background jobs", main: jobs::wait },
];

/// The builtin of that name.
pub(crate) fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|b| b.name == name)
}

type Outcome = Result<Ran, Halt>;

impl Shell {
    fn done(&mut self, status: i32) -> Outcome {
        self.status = status;
        Ok(Ran::Done)
    }

    /// Reports and gives a failure.
    fn wrong(&mut self, message: &str) -> Outcome {
        self.ctx.complain(format_args!("{message}"));
        self.done(2)
    }
}

fn colon(shell: &mut Shell, _args: &[&str]) -> Outcome {
    shell.done(0)
}

// --- flow ------------------------------------------------------------------------------------------

/// The number of loops in `break N`.
fn count(args: &[&str]) -> Option<usize> {
    args.first().map_or(Some(1), |arg| arg.parse().ok().filter(|n| *n > 0))
}

fn break_loops(shell: &mut Shell, args: &[&str]) -> Outcome {
    shell.status = 0;
    count(args).map_or_else(|| shell.wrong("bad number"), |n| Ok(Ran::Break(n)))
}

fn continue_loops(shell: &mut Shell, args: &[&str]) -> Outcome {
    shell.status = 0;
    count(args).map_or_else(|| shell.wrong("bad number"), |n| Ok(Ran::Continue(n)))
}

/// The status given to `exit` and `return`; by default that of the last command.
fn given_status(shell: &mut Shell, args: &[&str]) -> Option<i32> {
    let Some(arg) = args.first() else { return Some(shell.status) };
    match arg.parse::<i32>() {
        Ok(status) => Some(status & 0xff),
        Err(_) => {
            shell.ctx.complain(format_args!("Illegal number: {arg}"));
            None
        }
    }
}

fn exit(shell: &mut Shell, args: &[&str]) -> Outcome {
    let status = given_status(shell, args).unwrap_or(2);
    Err(Halt::Exit(status))
}

fn return_from(shell: &mut Shell, args: &[&str]) -> Outcome {
    shell.status = given_status(shell, args).unwrap_or(2);
    Ok(Ran::Return)
}

// --- code ------------------------------------------------------------------------------------------

/// Goes on in another text, as a call.
fn call(shell: &mut Shell, text: &str, params: Option<Vec<String>>) -> Outcome {
    shell.status = 0;
    match parser::parse(text) {
        Ok(script) => {
            let params = params.map(|own| core::mem::replace(&mut shell.params, own));
            Ok(Ran::Call(Call { place: Place::whole(script, 0), params, vars: Vec::new(), saved: None }))
        }
        Err(error) => {
            let message = error.message();
            shell.complain(format_args!("{message}"));
            shell.done(2)
        }
    }
}

fn eval(shell: &mut Shell, args: &[&str]) -> Outcome {
    call(shell, &args.join(" "), None)
}

fn source(shell: &mut Shell, args: &[&str]) -> Outcome {
    let Some((file, args)) = args.split_first() else { return shell.wrong("file name missing") };
    match shell.ctx.read_file(file) {
        Ok(bytes) => {
            let params = (!args.is_empty()).then(|| args.iter().map(ToString::to_string).collect());
            call(shell, &String::from_utf8_lossy(&bytes), params)
        }
        Err(e) => {
            shell.ctx.fail(file, e);
            shell.done(2)
        }
    }
}

fn command(shell: &mut Shell, args: &[&str]) -> Outcome {
    match args {
        [] => shell.done(0),
        ["-v", names @ ..] => {
            let mut status = 0;
            for name in names {
                match describe(shell, name) {
                    Some((short, _)) => shell.ctx.print(&format!("{short}\n")),
                    None => status = NOT_FOUND,
                }
            }
            shell.done(status)
        }
        // Functions are passed over by taking the name away from them for the time being.
        [name, rest @ ..] => match shell.functions.get(*name).cloned() {
            Some(function) => {
                Arc::make_mut(&mut shell.functions).remove(*name);
                let ran = shell.dispatch(name, rest);
                Arc::make_mut(&mut shell.functions).insert((*name).to_owned(), function);
                ran
            }
            None => shell.dispatch(name, rest),
        },
    }
}

/// What `command -v` and `type` say of a name.
fn describe(shell: &Shell, name: &str) -> Option<(String, String)> {
    if find(name).is_some() {
        return Some((name.to_owned(), format!("{name} is a shell builtin")));
    }
    if shell.functions.contains_key(name) {
        return Some((name.to_owned(), format!("{name} is a function")));
    }
    if shell.ctx.programs.find(name).is_some() {
        return Some((name.to_owned(), format!("{name} is a program of the kernel")));
    }
    let path = shell.find_file(name)?;
    shell.ctx.sys.stat(&path).ok().map(|_| (path.clone(), format!("{name} is {path}")))
}

fn type_of(shell: &mut Shell, args: &[&str]) -> Outcome {
    let mut status = 0;
    for name in args {
        let text = match describe(shell, name) {
            Some((_, long)) => long,
            None => {
                status = NOT_FOUND;
                format!("{name}: not found")
            }
        };
        shell.ctx.print(&text);
        shell.ctx.print("\n");
    }
    shell.done(status)
}

// --- directory -------------------------------------------------------------------------------------

/// Takes `.`, `..` and doubled slashes out of an absolute path, by its text.
pub(crate) fn tidy(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn cd(shell: &mut Shell, args: &[&str]) -> Outcome {
    let args = args.strip_prefix(&["--"]).unwrap_or(args);
    let (target, show) = match args {
        [] => (shell.var("HOME").unwrap_or("/").to_owned(), false),
        ["-"] => match shell.var("OLDPWD") {
            Some(old) => (old.to_owned(), true),
            None => return shell.wrong("OLDPWD not set"),
        },
        [dir] => ((*dir).to_owned(), false),
        _ => return shell.wrong("too many arguments"),
    };
    let path = tidy(&shell.ctx.path(&target));
    let errno = match shell.ctx.sys.stat(&path) {
        Ok(stat) if stat.kind == FileKind::Dir => None,
        Ok(_) => Some(Errno::ENOTDIR),
        Err(e) => Some(e),
    };
    if let Some(errno) = errno {
        shell.ctx.complain(format_args!("can't cd to {target}: {}", errno.strerror()));
        return shell.done(2);
    }
    if show {
        shell.ctx.print(&format!("{path}\n"));
    }
    let old = core::mem::replace(&mut shell.ctx.cwd, path.clone());
    shell.assign("OLDPWD", old)?;
    shell.assign("PWD", path)?;
    shell.done(0)
}
