//! A shell at a terminal: prompt, editor, completion.

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec, vec::Vec};

use tracecore::errno::Errno;

use crate::builtins::BUILTINS;
use crate::edit::{Completer, Completions, Editor, Event};
use crate::shell::{Fed, Shell};
use crate::sys::{FileKind, Io};

/// The prompt unless `PS1` is set; `\w` is the current directory, `~` if that is `HOME`.
const PROMPT: &str = "\\w # ";
/// The prompt for the further lines of a command unless `PS2` is set.
const MORE_PROMPT: &str = "> ";
/// Bytes read from the terminal at once.
const CHUNK: usize = 64;

/// Finds names beyond files and programs: symbols of the kernel, say, that start with a text.
pub type Names<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// Runs a shell at a terminal until it exits; gives its exit status.
pub fn interact(shell: &mut Shell, terminal: &Arc<dyn Io>, names: Names<'_>) -> i32 {
    shell.interactive = true;
    let mut editor = Editor::new(terminal.columns());
    let mut more = false;
    let mut keys = Vec::new();
    loop {
        shell.report_jobs();
        let prompt = prompt(shell, more);
        let event = match read_line(shell, &mut editor, terminal, &prompt, names, &mut keys) {
            Some(event) => event,
            None => return shell.status(),
        };
        match event {
            Event::Line(line) => match shell.feed(&line) {
                Fed::More => more = true,
                Fed::Ran(_) => more = false,
                Fed::Exited(status) => return status,
            },
            Event::Interrupt => {
                shell.forget_pending();
                more = false;
            }
            Event::End if more => {
                if let Fed::Exited(status) = shell.feed_end() {
                    return status;
                }
                more = false;
            }
            Event::End => return shell.status(),
        }
    }
}

fn prompt(shell: &Shell, more: bool) -> String {
    if more {
        return shell.var("PS2").unwrap_or(MORE_PROMPT).to_owned();
    }
    let cwd = shell.ctx.cwd.as_str();
    let shown = if shell.var("HOME") == Some(cwd) { "~" } else { cwd };
    shell.var("PS1").unwrap_or(PROMPT).replace("\\w", shown)
}

/// Reads one line; `None` when the terminal is gone. What was typed ahead stays in `keys`.
fn read_line(
    shell: &Shell,
    editor: &mut Editor,
    terminal: &Arc<dyn Io>,
    prompt: &str,
    names: Names<'_>,
    keys: &mut Vec<u8>,
) -> Option<Event> {
    terminal.set_raw(true);
    let completer = ShellCompleter { shell, names };
    let mut out = Vec::new();
    editor.start(prompt, &mut out);
    let event = loop {
        let mut used = 0;
        let mut event = None;
        for key in keys.iter() {
            used += 1;
            event = editor.feed(*key, &completer, &mut out);
            if event.is_some() {
                break;
            }
        }
        keys.drain(..used);
        send(terminal, &mut out);
        if event.is_some() {
            break event;
        }
        let mut buf = vec![0; CHUNK];
        match terminal.read(&mut buf) {
            Ok(0) => break None,
            Ok(n) => keys.extend_from_slice(buf.get(..n).unwrap_or_default()),
            Err(Errno::EINTR) => {}
            Err(_) => break None,
        }
    };
    terminal.set_raw(false);
    event
}

fn send(terminal: &Arc<dyn Io>, out: &mut Vec<u8>) {
    let mut rest = out.as_slice();
    while !rest.is_empty() {
        match terminal.write(rest) {
            Ok(n) if n > 0 => rest = rest.get(n..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            // A terminal that takes nothing cannot be told so.
            _ => break,
        }
    }
    out.clear();
}

/// Completes programs where a command starts, files elsewhere, and other names where no file fits.
pub struct ShellCompleter<'a> {
    /// The shell whose programs, variables and directory count.
    pub shell: &'a Shell,
    /// Names beyond these.
    pub names: Names<'a>,
}

impl Completer for ShellCompleter<'_> {
    fn complete(&self, line: &str) -> Completions {
        let (start, first) = word_start(line);
        let word = line.get(start..).unwrap_or_default();
        let mut found = Vec::new();
        let mut start = start;
        if let Some(name) = word.strip_prefix('$') {
            let vars = self.shell.vars.keys().filter(|var| var.starts_with(name));
            found.extend(vars.map(|var| format!("${var}")));
        } else if first && !word.contains('/') {
            let builtins = BUILTINS.iter().map(|b| b.name.to_owned());
            let programs = self.shell.ctx.programs.all().into_iter().map(|p| p.name.to_owned());
            let functions = self.shell.functions.keys().cloned();
            found.extend(builtins.chain(programs).chain(functions).filter(|name| name.starts_with(word)));
        } else {
            found = self.paths(word);
        }
        if found.is_empty() && !first {
            // In `x=@sym` and `p:name sym` it is the last part that is meant.
            let part = word.rfind(['=', '@', '%', ',', '(']).map_or(0, |at| at + 1);
            let prefix = word.get(part..).unwrap_or_default();
            if !prefix.is_empty() {
                start += part;
                found = (self.names)(prefix);
                if found.is_empty() && part > 0 {
                    found = self.paths(prefix);
                }
            }
        }
        let start = line.get(..start).unwrap_or_default().chars().count();
        Completions { start, candidates: found }
    }
}

impl ShellCompleter<'_> {
    fn paths(&self, word: &str) -> Vec<String> {
        let (dir, name) = word.split_at(word.rfind('/').map_or(0, |at| at + 1));
        let ctx = &self.shell.ctx;
        let Ok(entries) = ctx.sys.read_dir(&ctx.path(if dir.is_empty() { "." } else { dir })) else {
            return Vec::new();
        };
        let fitting = entries.into_iter().filter(|entry| {
            entry.name.starts_with(name) && (name.starts_with('.') || !entry.name.starts_with('.'))
        });
        fitting
            .map(|entry| {
                let path = format!("{dir}{}", entry.name);
                let is_dir = match entry.kind {
                    FileKind::Dir => true,
                    FileKind::Symlink => {
                        ctx.sys.stat(&ctx.path(&path)).is_ok_and(|stat| stat.kind == FileKind::Dir)
                    }
                    _ => false,
                };
                if is_dir { path + "/" } else { path }
            })
            .collect()
    }
}

/// Where the last word of a line starts, in bytes, and whether it is in the place of a command.
fn word_start(line: &str) -> (usize, bool) {
    let mut start = 0;
    let mut first = true;
    let mut words = 0;
    for (at, c) in line.char_indices() {
        match c {
            ' ' | '\t' | '\'' | '"' => {
                let ended = line.get(start..at).unwrap_or_default();
                if !ended.is_empty() {
                    words += 1;
                    first = starts_command(ended) || (ended.contains('=') && words == 1);
                    if first {
                        words = 0;
                    }
                } else if c != ' ' && c != '\t' {
                    first = false;
                }
                start = at + 1;
            }
            ';' | '|' | '&' | '(' | '{' | '`' => {
                start = at + 1;
                first = true;
                words = 0;
            }
            '<' | '>' => {
                start = at + 1;
                first = false;
            }
            _ => {}
        }
    }
    (start, first)
}

/// Words after which a command comes.
fn starts_command(word: &str) -> bool {
    ["if", "then", "else", "elif", "while", "until", "do", "!", "{"].contains(&word)
}
