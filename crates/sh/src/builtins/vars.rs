//! Builtins about variables, options and parameters.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use super::Outcome;
use crate::code::is_name;
use crate::limits::MAX_TEXT_LINE;
use crate::shell::{Shell, Var};
use crate::simple::Ran;

/// Text that the shell would read back as the same word.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The name and the value of `NAME[=VALUE]`, or what is wrong with it.
fn name_and_value(arg: &str) -> Result<(&str, Option<String>), String> {
    let (name, value) = match arg.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (arg, None),
    };
    if is_name(name) { Ok((name, value)) } else { Err(format!("{name}: bad variable name")) }
}

/// Goes through `NAME[=VALUE]` arguments: each is assigned its value, or an empty one if it is new, and marked.
fn assign_each(shell: &mut Shell, args: &[&str], mark: fn(&mut Shell, &str)) -> Outcome {
    for arg in args {
        let (name, value) = match name_and_value(arg) {
            Ok(found) => found,
            Err(message) => return shell.wrong(&message),
        };
        if value.is_some() || shell.var(name).is_none() {
            shell.assign(name, value.unwrap_or_default())?;
        }
        mark(shell, name);
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

pub(super) fn export(shell: &mut Shell, args: &[&str]) -> Outcome {
    if args.is_empty() || args == ["-p"] {
        return list_vars(shell, "export ", |var| var.exported);
    }
    assign_each(shell, args, Shell::export)
}

pub(super) fn readonly(shell: &mut Shell, args: &[&str]) -> Outcome {
    if args.is_empty() || args == ["-p"] {
        return list_vars(shell, "readonly ", |var| var.readonly);
    }
    assign_each(shell, args, |shell, name| {
        if let Some(var) = Arc::make_mut(&mut shell.vars).get_mut(name) {
            var.readonly = true;
        }
    })
}

/// The frame of the function keeps the old values, so it is the executor that sets the new ones.
pub(super) fn local(shell: &mut Shell, args: &[&str]) -> Outcome {
    let mut vars = Vec::new();
    for arg in args {
        let (name, value) = match name_and_value(arg) {
            Ok(found) => found,
            Err(message) => return shell.wrong(&message),
        };
        vars.push((name.to_owned(), value));
    }
    shell.status = 0;
    Ok(Ran::Local(vars))
}

pub(super) fn unset(shell: &mut Shell, args: &[&str]) -> Outcome {
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

pub(super) fn set(shell: &mut Shell, args: &[&str]) -> Outcome {
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

pub(super) fn shift(shell: &mut Shell, args: &[&str]) -> Outcome {
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
pub(super) fn read(shell: &mut Shell, args: &[&str]) -> Outcome {
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
