//! A simple command: assignments, words, redirections; and what its first word names.
//!
//! | looked for, in this order | runs | its redirections and assignments last |
//! |---|---|---|
//! | a builtin of the shell (`cd`, `set`, …) | here | for the command |
//! | a function | here, as a call frame | until it returns |
//! | a program of the table | here | for the command |
//! | a file, if the name has a `/` or `PATH` is set | here, by [`Sys::exec`]; a text is a script | for the command |
//! | nothing | `sh: NAME: not found`, 127 | |
//!
//! [`Sys::exec`]: crate::Sys::exec

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::sync::atomic::{AtomicUsize, Ordering};

use tracecore::errno::Errno;

use crate::builtins;
use crate::code::{Redirect, RedirectKind, Script, Simple};
use crate::ctx::SIGPIPE;
use crate::exec::Place;
use crate::shell::{Halt, Shell, Var};
use crate::sys::{FileKind, Io, OpenFlags};

/// Exit status: there is such a thing, but it cannot be run.
pub(crate) const CANNOT_RUN: i32 = 126;
/// Exit status: there is no such program.
pub(crate) const NOT_FOUND: i32 = 127;
/// `chmod +x` for anyone.
const EXECUTABLE: u32 = 0o111;

/// Standard input, output and error.
pub(crate) type Streams = [Arc<dyn Io>; 3];

/// How a command ended.
pub(crate) enum Ran {
    /// It was run; `$?` is set.
    Done,
    /// It goes on elsewhere in the shell's own code.
    Call(Call),
    Break(usize),
    Continue(usize),
    Return,
    /// These become local to the running function.
    Local(Vec<(String, Option<String>)>),
}

/// A call: where to go on, and what was changed for it.
pub(crate) struct Call {
    pub(crate) place: Place,
    /// The caller's positional parameters, if it has its own.
    pub(crate) params: Option<Vec<String>>,
    pub(crate) vars: Vec<(String, Option<Var>)>,
    pub(crate) saved: Option<Streams>,
}

/// A stream with nothing in it: standard input of a background job.
pub(crate) struct Empty;

impl Io for Empty {
    fn read(&self, _buf: &mut [u8]) -> Result<usize, Errno> {
        Ok(0)
    }
    fn write(&self, _buf: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }
}

/// A stream that was closed with `>&-`.
struct Closed;

impl Io for Closed {
    fn read(&self, _buf: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }
    fn write(&self, _buf: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }
}

/// A here-document.
struct Text {
    text: String,
    at: AtomicUsize,
}

impl Io for Text {
    fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        // The offset is moved first: two readers never get the same bytes.
        let at = self.at.fetch_add(buf.len(), Ordering::Relaxed);
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        if n == 0 {
            self.at.store(self.text.len(), Ordering::Relaxed);
        }
        Ok(n)
    }
    fn write(&self, _buf: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }
}

impl Shell {
    /// Runs a simple command.
    #[inline(never)]
    pub(crate) fn simple(&mut self, script: &Arc<Script>, simple: &Simple) -> Result<Ran, Halt> {
        self.substituted = None;
        let fields = self.fields(script, &simple.words)?;
        let mut values = Vec::new();
        if !simple.assignments.is_empty() && fields.is_empty() {
            // Each may use the one before it.
            for (name, word) in &simple.assignments {
                let value = self.text(script, word)?;
                self.trace(&[&format!("{name}={value}")]);
                self.assign(name, value)?;
            }
        } else {
            for (name, word) in &simple.assignments {
                values.push((name.clone(), self.text(script, word)?));
            }
        }
        let Some((name, args)) = fields.split_first() else {
            self.status = self.substituted.unwrap_or(0);
            match self.redirect(script, &simple.redirects)? {
                Some(saved) => self.restore(saved),
                None => self.status = 1,
            }
            return Ok(Ran::Done);
        };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        if self.options.xtrace {
            let mut line: Vec<&str> = alloc::vec![name];
            line.extend(&args);
            self.trace(&line);
        }
        let saved = if simple.redirects.is_empty() {
            None
        } else {
            match self.redirect(script, &simple.redirects)? {
                None => {
                    self.status = 1;
                    return Ok(Ran::Done);
                }
                saved => saved,
            }
        };
        let vars = match self.assign_for_command(values) {
            Ok(vars) => vars,
            Err(halt) => {
                self.put_all_back(saved, Vec::new());
                return Err(halt);
            }
        };
        match self.dispatch(name, &args) {
            Ok(Ran::Call(call)) => Ok(Ran::Call(Call { vars, saved, ..call })),
            other => {
                self.put_all_back(saved, vars);
                other
            }
        }
    }

    #[inline(never)]
    fn put_all_back(&mut self, saved: Option<Streams>, vars: Vec<(String, Option<Var>)>) {
        if let Some(saved) = saved {
            self.restore(saved);
        }
        for (name, old) in vars.into_iter().rev() {
            self.put_back(&name, old);
        }
    }

    /// `NAME=value` in front of a command: sets and exports, and gives what there was before.
    #[inline(never)]
    fn assign_for_command(
        &mut self,
        values: Vec<(String, String)>,
    ) -> Result<Vec<(String, Option<Var>)>, Halt> {
        let mut before = Vec::new();
        for (name, value) in values {
            let old = self.vars.get(&name).cloned();
            if let Err(halt) = self.assign(&name, value) {
                self.put_all_back(None, before);
                return Err(halt);
            }
            self.export(&name);
            before.push((name, old));
        }
        Ok(before)
    }

    pub(crate) fn export(&mut self, name: &str) {
        if let Some(var) = Arc::make_mut(&mut self.vars).get_mut(name) {
            var.exported = true;
        }
        self.export_env();
    }

    /// Under `set -x`, shows what is run.
    #[inline(never)]
    fn trace(&mut self, words: &[&str]) {
        if self.options.xtrace {
            let text = format!("+ {}\n", words.join(" "));
            self.ctx.eprint(&text);
        }
    }

    /// Runs what the name stands for.
    #[inline(never)]
    pub(crate) fn dispatch(&mut self, name: &str, args: &[&str]) -> Result<Ran, Halt> {
        if let Some(builtin) = builtins::find(name) {
            name.clone_into(&mut self.ctx.name);
            let ran = (builtin.main)(self, args)?;
            if matches!(ran, Ran::Done) {
                self.status = self.ctx.finish(self.status);
            }
            return Ok(ran);
        }
        if let Some(function) = self.functions.get(name) {
            let place = Place::function(function);
            let own = args.iter().map(ToString::to_string).collect();
            let params = Some(core::mem::replace(&mut self.params, own));
            return Ok(Ran::Call(Call { place, params, vars: Vec::new(), saved: None }));
        }
        self.status = match self.ctx.programs.find(name) {
            Some(program) => {
                name.clone_into(&mut self.ctx.name);
                let status = (program.main)(&mut self.ctx, args);
                self.ctx.finish(status) & 0xff
            }
            None => self.run_file(name, args)?,
        };
        if self.status == 128 + i32::from(SIGPIPE) && self.ctx.subshells > 0 {
            // Nobody reads what this task prints: `while :; do echo x; done | head` must end.
            return Err(Halt::Signal(SIGPIPE));
        }
        Ok(Ran::Done)
    }

    /// Looks for a file of that name and runs it.
    #[inline(never)]
    fn run_file(&mut self, name: &str, args: &[&str]) -> Result<i32, Halt> {
        let Some(path) = self.find_file(name) else {
            self.complain(format_args!("{name}: not found"));
            return Ok(NOT_FOUND);
        };
        let refuse = |shell: &mut Self, errno: Errno| {
            shell.complain(format_args!("{name}: {}", errno.strerror()));
            Ok(CANNOT_RUN)
        };
        match self.ctx.sys.stat(&path) {
            Ok(stat) if stat.kind == FileKind::Dir || stat.mode & EXECUTABLE == 0 => {
                return refuse(self, Errno::EACCES);
            }
            Ok(_) => {}
            Err(Errno::ENOENT | Errno::ENOTDIR) => {
                self.complain(format_args!("{name}: not found"));
                return Ok(NOT_FOUND);
            }
            Err(e) => return refuse(self, e),
        }
        let argv: Vec<String> =
            core::iter::once(name).chain(args.iter().copied()).map(ToString::to_string).collect();
        let ctx = &self.ctx;
        match ctx.sys.exec(&path, &argv, &ctx.env, &ctx.cwd, self.streams()) {
            Ok(status) => Ok(status),
            Err(Errno::ENOEXEC) => {
                name.clone_into(&mut self.ctx.name);
                let status = crate::programs::system::run_script(&mut self.ctx, &path, args);
                Ok(self.ctx.finish(status))
            }
            Err(e) => refuse(self, e),
        }
    }

    /// The path of a program file: as it is given, or in a directory of `PATH`.
    pub(crate) fn find_file(&self, name: &str) -> Option<String> {
        if name.contains('/') {
            return Some(self.ctx.path(name));
        }
        let paths = self.var("PATH")?;
        let mut candidates = paths.split(':').map(|dir| self.ctx.path(&format!("{dir}/{name}")));
        candidates.find(|path| self.ctx.sys.stat(path).is_ok_and(|s| s.kind == FileKind::File))
    }

    // --- redirections ------------------------------------------------------------------------------

    fn streams(&self) -> Streams {
        [self.ctx.stdin.clone(), self.ctx.stdout.clone(), self.ctx.stderr.clone()]
    }

    pub(crate) fn restore(&mut self, saved: Streams) {
        self.ctx.flush();
        [self.ctx.stdin, self.ctx.stdout, self.ctx.stderr] = saved;
    }

    /// Redirects the streams one after the other; gives what they were, or `None` if one failed, which has
    /// been reported and undone.
    #[inline(never)]
    pub(crate) fn redirect(
        &mut self,
        script: &Arc<Script>,
        redirects: &[Redirect],
    ) -> Result<Option<Streams>, Halt> {
        self.ctx.flush();
        let saved = self.streams();
        for redirect in redirects {
            let target = match self.text(script, &redirect.target) {
                Ok(target) => target,
                Err(halt) => {
                    self.restore(saved);
                    return Err(halt);
                }
            };
            let done = self.open_target(redirect, target).and_then(|io| {
                let slot = match redirect.fd {
                    0 => &mut self.ctx.stdin,
                    1 => &mut self.ctx.stdout,
                    2 => &mut self.ctx.stderr,
                    fd => return Err(format!("{fd}: {}", Errno::EBADF.strerror())),
                };
                *slot = io;
                Ok(())
            });
            if let Err(message) = done {
                // The message goes where errors went before.
                self.restore(saved);
                self.complain(format_args!("{message}"));
                return Ok(None);
            }
        }
        Ok(Some(saved))
    }

    #[inline(never)]
    fn open_target(&self, redirect: &Redirect, target: String) -> Result<Arc<dyn Io>, String> {
        let (flags, verb) = match redirect.kind {
            RedirectKind::Read => (OpenFlags::READ, "open"),
            RedirectKind::Write => (OpenFlags::WRITE, "create"),
            RedirectKind::Append => (OpenFlags::APPEND, "create"),
            RedirectKind::ReadWrite => (OpenFlags::READ_WRITE, "create"),
            RedirectKind::Here => {
                return Ok(Arc::new(Text { text: target, at: AtomicUsize::new(0) }));
            }
            RedirectKind::Dup => {
                return match target.as_str() {
                    "0" => Ok(self.ctx.stdin.clone()),
                    "1" => Ok(self.ctx.stdout.clone()),
                    "2" => Ok(self.ctx.stderr.clone()),
                    "-" => Ok(Arc::new(Closed)),
                    other => Err(format!("{other}: {}", Errno::EBADF.strerror())),
                };
            }
        };
        self.ctx.open(&target, flags).map_err(|e| format!("can't {verb} {target}: {}", e.strerror()))
    }
}
