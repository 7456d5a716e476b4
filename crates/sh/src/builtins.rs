//! What only the shell itself can do: change its own state.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use tracecore::errno::Errno;

use crate::code::is_name;
use crate::ctx::{SIGTERM, Stop};
use crate::exec::Place;
use crate::limits::MAX_TEXT_LINE;
use crate::parser;
use crate::shell::{Halt, Shell, Var};
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
    Builtin { name: "export", usage: "[NAME[=VALUE]]...", help: "let programs see variables", main: export },
    Builtin { name: "jobs", usage: "", help: "list background jobs", main: jobs },
    Builtin { name: "kill", usage: "[-SIGNAL] PID|%JOB...", help: "send a signal to a task", main: kill },
    Builtin { name: "local", usage: "NAME[=VALUE]...", help: "variables of a function", main: local },
    Builtin { name: "read", usage: "[-r] NAME...", help: "read a line into variables", main: read },
    Builtin { name: "readonly", usage: "NAME[=VALUE]...", help: "protect variables", main: readonly },
    Builtin { name: "return", usage: "[STATUS]", help: "end a function", main: return_from },
    Builtin { name: "set", usage: "[-eux] [--] [ARG]...", help: "set options and parameters", main: set },
    Builtin { name: "shift", usage: "[N]", help: "drop positional parameters", main: shift },
    Builtin { name: "type", usage: "NAME...", help: "say what a name stands for", main: type_of },
    Builtin { name: "unset", usage: "[-f] NAME...", help: "forget variables or functions", main: unset },
    Builtin { name: "wait", usage: "[PID|%JOB]...", help: "wait for background jobs", main: wait },
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

// --- variables -------------------------------------------------------------------------------------

/// Text that the shell would read back as the same word.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Goes through `NAME[=VALUE]` arguments.
fn each_name(
    shell: &mut Shell,
    args: &[&str],
    mark: fn(&mut Shell, &str, Option<String>) -> Result<(), Halt>,
) -> Outcome {
    for arg in args {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (*arg, None),
        };
        if !is_name(name) {
            return shell.wrong(&format!("{name}: bad variable name"));
        }
        mark(shell, name, value)?;
    }
    shell.done(0)
}

/// Lists variables as commands that set them again.
fn list_vars(shell: &mut Shell, word: &str, wanted: fn(&Var) -> bool) -> Outcome {
    for (name, var) in shell.vars.clone().iter().filter(|(_, var)| wanted(var)) {
        shell.ctx.print(&format!("{word}{name}={}\n", quote(&var.value)));
    }
    shell.done(0)
}

fn export(shell: &mut Shell, args: &[&str]) -> Outcome {
    if args.is_empty() || args == ["-p"] {
        return list_vars(shell, "export ", |var| var.exported);
    }
    each_name(shell, args, |shell, name, value| {
        if value.is_some() || shell.var(name).is_none() {
            shell.assign(name, value.unwrap_or_default())?;
        }
        shell.export(name);
        Ok(())
    })
}

fn readonly(shell: &mut Shell, args: &[&str]) -> Outcome {
    if args.is_empty() || args == ["-p"] {
        return list_vars(shell, "readonly ", |var| var.readonly);
    }
    each_name(shell, args, |shell, name, value| {
        if value.is_some() || shell.var(name).is_none() {
            shell.assign(name, value.unwrap_or_default())?;
        }
        if let Some(var) = Arc::make_mut(&mut shell.vars).get_mut(name) {
            var.readonly = true;
        }
        Ok(())
    })
}

/// The frame of the function keeps the old values, so it is the executor that sets the new ones.
fn local(shell: &mut Shell, args: &[&str]) -> Outcome {
    let mut vars = Vec::new();
    for arg in args {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (*arg, None),
        };
        if !is_name(name) {
            return shell.wrong(&format!("{name}: bad variable name"));
        }
        vars.push((name.to_owned(), value));
    }
    shell.status = 0;
    Ok(Ran::Local(vars))
}

fn unset(shell: &mut Shell, args: &[&str]) -> Outcome {
    let (functions, names) = match args {
        ["-f", names @ ..] => (true, names),
        ["-v", names @ ..] => (false, names),
        names => (false, names),
    };
    for name in names {
        if functions {
            Arc::make_mut(&mut shell.functions).remove(*name);
        } else if shell.vars.get(*name).is_some_and(|var| var.readonly) {
            return shell.wrong(&format!("{name}: is read only"));
        } else {
            shell.put_back(name, None);
        }
    }
    shell.done(0)
}

fn set(shell: &mut Shell, args: &[&str]) -> Outcome {
    if args.is_empty() {
        return list_vars(shell, "", |_| true);
    }
    let mut rest = args;
    while let Some((arg, more)) = rest.split_first() {
        let on = match arg.chars().next() {
            Some('-') if *arg == "--" => {
                shell.params = more.iter().map(ToString::to_string).collect();
                return shell.done(0);
            }
            Some('-') if arg.len() > 1 => true,
            Some('+') if arg.len() > 1 => false,
            _ => break,
        };
        for letter in arg.chars().skip(1) {
            match letter {
                'e' => shell.options.errexit = on,
                'u' => shell.options.nounset = on,
                'x' => shell.options.xtrace = on,
                other => return shell.wrong(&format!("Illegal option -{other}")),
            }
        }
        rest = more;
    }
    if !rest.is_empty() {
        shell.params = rest.iter().map(ToString::to_string).collect();
    }
    shell.done(0)
}

fn shift(shell: &mut Shell, args: &[&str]) -> Outcome {
    let n = args.first().map_or(Ok(1), |arg| arg.parse::<usize>());
    match n {
        Ok(n) if n <= shell.params.len() => {
            shell.params.drain(..n);
            shell.done(0)
        }
        Ok(_) => shell.wrong("can't shift that many"),
        Err(_) => shell.wrong("bad number"),
    }
}

/// Reads byte by byte, since what comes after the line belongs to the next reader.
fn read(shell: &mut Shell, args: &[&str]) -> Outcome {
    let (raw, names) = match args {
        ["-r", names @ ..] => (true, names),
        names => (false, names),
    };
    if names.is_empty() {
        return shell.wrong("variable name missing");
    }
    if let Some(bad) = names.iter().find(|name| !is_name(name)) {
        return shell.wrong(&format!("{bad}: bad variable name"));
    }
    let input = shell.ctx.stdin();
    let mut line: Vec<(u8, bool)> = Vec::new();
    let mut escaped = false;
    let mut status = 0;
    loop {
        let mut byte = [0];
        match shell.ctx.read(&*input, &mut byte) {
            Ok(0) => {
                status = 1;
                break;
            }
            Ok(_) => {}
            Err(e) => {
                shell.interrupted()?;
                shell.ctx.fail("read error", e);
                status = 1;
                break;
            }
        }
        let [byte] = byte;
        match byte {
            b'\n' if escaped => escaped = false,
            b'\n' => break,
            b'\\' if !raw && !escaped => escaped = true,
            byte => {
                line.push((byte, escaped));
                escaped = false;
            }
        }
        if line.len() > MAX_TEXT_LINE {
            return shell.wrong("line too long");
        }
    }
    let ifs = shell.var("IFS").unwrap_or(" \t\n").to_owned();
    let values = divide(&line, names.len(), ifs.as_bytes());
    for (at, name) in names.iter().enumerate() {
        let value = values.get(at).map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default();
        shell.assign(name, value)?;
    }
    shell.done(status)
}

/// Splits a line into at most `count` fields; the last one takes what is left.
fn divide(line: &[(u8, bool)], count: usize, ifs: &[u8]) -> Vec<Vec<u8>> {
    let separates = |at: usize| line.get(at).is_some_and(|(b, escaped)| !escaped && ifs.contains(b));
    let blank = |at: usize| separates(at) && line.get(at).is_some_and(|(b, _)| b.is_ascii_whitespace());
    let text = |from: usize, to: usize| -> Vec<u8> {
        line.get(from..to).unwrap_or_default().iter().map(|(b, _)| *b).collect()
    };
    let past_blanks = |mut at: usize| {
        while blank(at) {
            at += 1;
        }
        at
    };
    let mut fields = Vec::new();
    let mut at = past_blanks(0);
    while fields.len() + 1 < count && at < line.len() {
        let start = at;
        while at < line.len() && !separates(at) {
            at += 1;
        }
        fields.push(text(start, at));
        at = past_blanks(at);
        // Blanks and one other separator end a field together.
        if separates(at) && !blank(at) && (start..at).all(|i| !separates(i) || blank(i)) {
            at = past_blanks(at + 1);
        }
    }
    let mut end = line.len();
    while end > at && blank(end - 1) {
        end -= 1;
    }
    // A separator that ends the only field left is no part of it.
    if end > at && separates(end - 1) && !(at..end - 1).any(separates) {
        end -= 1;
    }
    fields.push(text(at, end));
    fields
}

// --- jobs ------------------------------------------------------------------------------------------

fn jobs(shell: &mut Shell, _args: &[&str]) -> Outcome {
    let lines: Vec<String> = shell
        .jobs
        .iter()
        .map(|job| {
            let state = match job.task.try_wait() {
                None => "Running".to_owned(),
                Some(0) => "Done".to_owned(),
                Some(status) => format!("Done({status})"),
            };
            format!("[{}] {:<9} {}\n", job.number, state, job.task.pid())
        })
        .collect();
    shell.jobs.retain(|job| job.task.try_wait().is_none());
    for line in lines {
        shell.ctx.print(&line);
    }
    shell.done(0)
}

/// The place of a job named by `%N` or its pid.
fn job_at(shell: &Shell, name: &str) -> Option<usize> {
    shell.jobs.iter().position(|job| match name.strip_prefix('%') {
        Some(number) => number.parse() == Ok(job.number),
        None => name.parse() == Ok(job.task.pid()),
    })
}

fn wait(shell: &mut Shell, args: &[&str]) -> Outcome {
    let mut status = 0;
    let all: Vec<String> = shell.jobs.iter().map(|job| job.task.pid().to_string()).collect();
    let names: Vec<&str> =
        if args.is_empty() { all.iter().map(String::as_str).collect() } else { args.to_vec() };
    for name in names {
        let Some(at) = job_at(shell, name) else {
            status = NOT_FOUND;
            continue;
        };
        let job = shell.jobs.remove(at);
        loop {
            match job.task.wait() {
                Ok(ended) => {
                    status = if args.is_empty() { 0 } else { ended };
                    break;
                }
                Err(_) if matches!(shell.ctx.stopped(), Some(Stop::Signal(_))) => {
                    // It is still running, and can be waited for again.
                    shell.jobs.push(job);
                    shell.interrupted()?;
                    return shell.done(1);
                }
                Err(Errno::EINTR) => {}
                Err(e) => {
                    shell.ctx.fail(name, e);
                    return shell.done(1);
                }
            }
        }
    }
    shell.done(status)
}

/// Names of the signals that `kill` knows.
const SIGNALS: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("PIPE", 13),
    ("TERM", 15),
];

fn signal_number(name: &str) -> Option<u8> {
    let short = name.strip_prefix("SIG").unwrap_or(name);
    SIGNALS.iter().find(|(known, _)| *known == short).map(|(_, n)| *n).or_else(|| name.parse().ok())
}

fn kill(shell: &mut Shell, args: &[&str]) -> Outcome {
    let (signal, targets) = match args {
        ["-l"] => {
            let names: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
            shell.ctx.print(&format!("{}\n", names.join(" ")));
            return shell.done(0);
        }
        ["-s", name, targets @ ..] => (signal_number(name), targets),
        [option, targets @ ..] if option.starts_with('-') => {
            (option.strip_prefix('-').and_then(signal_number), targets)
        }
        targets => (Some(SIGTERM), targets),
    };
    let Some(signal) = signal else { return shell.wrong("bad signal") };
    if targets.is_empty() {
        return shell.wrong("usage: kill [-SIGNAL] PID|%JOB...");
    }
    let mut status = 0;
    for target in targets {
        let pid = match job_at(shell, target) {
            Some(at) => shell.jobs.get(at).map(|job| job.task.pid()),
            None => target.parse().ok(),
        };
        let Some(pid) = pid else {
            shell.ctx.complain(format_args!("Illegal pid: {target}"));
            status = 1;
            continue;
        };
        if let Err(e) = shell.ctx.sys.kill(pid, signal) {
            shell.ctx.complain(format_args!("({pid}) - {}", e.strerror()));
            status = 1;
        }
    }
    shell.done(status)
}
