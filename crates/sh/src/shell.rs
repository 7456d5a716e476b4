//! The state of a shell, and how a text is fed to it.
//!
//! A subshell is a copy of this state in another task. The tables in it are shared until one side writes
//! (`Arc::make_mut`), so that a pipeline of three costs three small structs and not three environments.

use alloc::{
    borrow::ToOwned,
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;

use tracecore::errno::Errno;

use crate::code::{Op, Script};
use crate::ctx::{Ctx, SIGINT, Stop};
use crate::exec::Place;
use crate::lexer::ParseError;
use crate::limits::{MAX_COMMAND_BYTES, MAX_JOBS, MAX_SHELLS, MAX_VAR_BYTES, MAX_VARS};
use crate::parser;
use crate::sys::Task;

/// A variable.
#[derive(Clone)]
pub(crate) struct Var {
    pub(crate) value: String,
    pub(crate) exported: bool,
    pub(crate) readonly: bool,
}

/// A function: a range of the unit it was defined in.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) script: Arc<Script>,
    pub(crate) unit: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What `set` sets.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options {
    /// `-e`: a failure ends the shell.
    pub(crate) errexit: bool,
    /// `-u`: a variable that is not set is an error.
    pub(crate) nounset: bool,
    /// `-x`: commands are shown.
    pub(crate) xtrace: bool,
}

impl Options {
    pub(crate) fn letters(self) -> String {
        [(self.errexit, 'e'), (self.nounset, 'u'), (self.xtrace, 'x')]
            .into_iter()
            .filter_map(|(on, letter)| on.then_some(letter))
            .collect()
    }
}

/// A background job.
pub(crate) struct Job {
    pub(crate) number: usize,
    /// The name of its first command.
    pub(crate) name: String,
    pub(crate) task: Box<dyn Task>,
}

impl Job {
    /// A line about it, as `jobs` prints it.
    pub(crate) fn line(&self, ended: Option<i32>) -> String {
        let state = match ended {
            None => "Running".to_owned(),
            Some(0) => "Done".to_owned(),
            Some(status) => format!("Done({status})"),
        };
        format!("[{}] {:<10} {:5} {}\n", self.number, state, self.task.pid(), self.name)
    }
}

/// Why the execution of a command ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// An error that has been reported: the command is given up.
    Abandon(i32),
    /// `exit`, or a failure under `set -e`.
    Exit(i32),
    /// Ctrl-C or a signal.
    Signal(u8),
}

impl Halt {
    pub(crate) fn status(self) -> i32 {
        match self {
            Self::Abandon(status) | Self::Exit(status) => status,
            Self::Signal(signal) => 128 + i32::from(signal),
        }
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// It does not complete a command: more lines are needed.
    More,
    /// It was run, or could not be: the exit status.
    Ran(i32),
    /// The shell has ended with this status.
    Exited(i32),
}

/// A shell.
pub struct Shell {
    /// Its view of the world, which it lends to the programs it runs.
    pub ctx: Ctx,
    /// Does a person type the lines? Then jobs are announced, and Ctrl-C ends a command, not the shell.
    pub interactive: bool,
    pub(crate) vars: Arc<BTreeMap<String, Var>>,
    var_bytes: usize,
    pub(crate) functions: Arc<BTreeMap<String, Function>>,
    pub(crate) params: Vec<String>,
    pub(crate) arg0: String,
    pub(crate) status: i32,
    /// The status of the last substitution in the command that is being expanded.
    pub(crate) substituted: Option<i32>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) last_job: Option<u32>,
    pub(crate) pid: u32,
    pub(crate) options: Options,
    exited: Option<i32>,
    /// The last complete command was no command, or was given up.
    given_up: bool,
    last_failure: i32,
    /// Lines that do not make a complete command yet.
    pending: String,
}

impl Shell {
    /// A shell with nothing but the exported variables of its context.
    #[must_use]
    pub fn new(ctx: Ctx) -> Self {
        let mut vars = BTreeMap::new();
        // One by one: collecting would sort first, with 4 KiB of scratch space on the stack.
        for (name, value) in &ctx.env {
            vars.insert(name.clone(), Var { value: value.clone(), exported: true, readonly: false });
        }
        let pid = ctx.sys.pid();
        Self {
            interactive: false,
            var_bytes: ctx.env.iter().map(|(_, value)| value.len()).sum(),
            ctx,
            vars: Arc::new(vars),
            functions: Arc::default(),
            params: Vec::new(),
            arg0: "sh".to_owned(),
            status: 0,
            substituted: None,
            jobs: Vec::new(),
            last_job: None,
            pid,
            options: Options::default(),
            exited: None,
            given_up: false,
            last_failure: 0,
            pending: String::new(),
        }
    }

    /// Sets `$0`, `$1`, …
    pub fn set_params(&mut self, arg0: &str, params: &[&str]) {
        arg0.clone_into(&mut self.arg0);
        self.params = params.iter().map(ToString::to_string).collect();
    }

    /// The exit status of the last command, `$?`.
    #[must_use]
    pub fn status(&self) -> i32 {
        self.status
    }

    /// The status of the last complete command that failed; 0 if none did.
    #[must_use]
    pub fn last_failure(&self) -> i32 {
        self.last_failure
    }

    // --- lines -------------------------------------------------------------------------------------

    /// Takes a line. Once the lines so far make a complete command, it is run.
    pub fn feed(&mut self, line: &str) -> Fed {
        if let Some(status) = self.exited {
            return Fed::Exited(status);
        }
        self.pending.push_str(line);
        if !line.ends_with('\n') {
            self.pending.push('\n');
        }
        match parser::parse(&self.pending) {
            Err(ParseError::Incomplete(_)) if self.pending.len() <= MAX_COMMAND_BYTES => Fed::More,
            parsed => {
                self.pending.clear();
                self.ran(parsed)
            }
        }
    }

    /// There are no more lines: a command that was not completed is an error.
    pub fn feed_end(&mut self) -> Fed {
        if let Some(status) = self.exited {
            return Fed::Exited(status);
        }
        if self.pending.is_empty() {
            return Fed::Ran(self.status);
        }
        let text = core::mem::take(&mut self.pending);
        self.ran(parser::parse(&text))
    }

    /// Throws away the lines of a command that was not completed.
    pub fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// Runs a whole text, command by command, as if its lines had been fed, but only up to the first command
    /// that is none or has to be given up (`sh FILE`); gives the exit status.
    pub fn run_text(&mut self, text: &str) -> i32 {
        for line in text.split_inclusive('\n') {
            match self.feed(line) {
                Fed::Exited(status) => return status,
                Fed::Ran(status) if self.given_up => return status,
                Fed::Ran(_) | Fed::More => {}
            }
        }
        match self.feed_end() {
            Fed::Exited(status) | Fed::Ran(status) => status,
            Fed::More => self.status,
        }
    }

    fn ran(&mut self, parsed: Result<Arc<Script>, ParseError>) -> Fed {
        if self.interactive {
            self.ctx.since = Some(self.ctx.sys.interrupts());
        }
        self.given_up = false;
        match parsed {
            Ok(script) => self.run_script(script),
            Err(error) => {
                self.given_up = true;
                let message = error.message();
                self.complain(format_args!("{message}"));
                self.status = 2;
            }
        }
        if self.status != 0 {
            self.last_failure = self.status;
        }
        match self.exited {
            Some(status) => Fed::Exited(status),
            None => Fed::Ran(self.status),
        }
    }

    fn run_script(&mut self, script: Arc<Script>) {
        // A line without a command leaves `$?` alone.
        if script.units.first().is_some_and(|ops| ops.iter().all(|op| *op == Op::Nop)) {
            return;
        }
        if let Err(halt) = self.run(Place::whole(script, 0)) {
            self.status = halt.status();
            let ends = match halt {
                Halt::Exit(_) => true,
                Halt::Signal(SIGINT) => !self.interactive,
                Halt::Signal(_) => true,
                Halt::Abandon(_) => {
                    self.given_up = true;
                    false
                }
            };
            if ends {
                self.exited = Some(self.status);
            }
        }
    }

    // --- variables ---------------------------------------------------------------------------------

    /// The value of a variable.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(|var| var.value.as_str())
    }

    /// Sets a variable.
    ///
    /// # Errors
    /// A message: it is read-only, or there are too many.
    pub fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let old = self.vars.get(name).map_or(0, |var| var.value.len());
        let bytes = self.var_bytes.saturating_sub(old) + value.len();
        if bytes > MAX_VAR_BYTES {
            return Err(format!("{name}: too much in variables"));
        }
        let vars = Arc::make_mut(&mut self.vars);
        let full = vars.len() >= MAX_VARS;
        match vars.get_mut(name) {
            Some(var) if var.readonly => return Err(format!("{name}: is read only")),
            Some(var) => {
                var.value = value;
                if var.exported {
                    self.export_env();
                }
            }
            None if full => return Err(format!("{name}: too many variables")),
            None => {
                vars.insert(name.to_owned(), Var { value, exported: false, readonly: false });
            }
        }
        self.var_bytes = bytes;
        Ok(())
    }

    /// Puts a variable back to what it was.
    pub(crate) fn put_back(&mut self, name: &str, old: Option<Var>) {
        let vars = Arc::make_mut(&mut self.vars);
        let new_len = old.as_ref().map_or(0, |var| var.value.len());
        let gone = match old {
            Some(var) => vars.insert(name.to_owned(), var),
            None => vars.remove(name),
        };
        let gone_len = gone.as_ref().map_or(0, |var| var.value.len());
        self.var_bytes = self.var_bytes.saturating_sub(gone_len) + new_len;
        if gone.is_some_and(|var| var.exported) || vars.get(name).is_some_and(|var| var.exported) {
            self.export_env();
        }
    }

    /// Tells the context which variables programs see.
    pub(crate) fn export_env(&mut self) {
        self.ctx.env = self
            .vars
            .iter()
            .filter(|(_, var)| var.exported)
            .map(|(name, var)| (name.clone(), var.value.clone()))
            .collect();
    }

    // --- messages ----------------------------------------------------------------------------------

    /// A message of the shell itself.
    pub(crate) fn complain(&mut self, message: fmt::Arguments<'_>) {
        "sh".clone_into(&mut self.ctx.name);
        self.ctx.complain(message);
    }

    /// Reports an error that ends the command.
    pub(crate) fn abandon(&mut self, message: fmt::Arguments<'_>) -> Halt {
        self.complain(message);
        Halt::Abandon(2)
    }

    /// Ends the command if Ctrl-C or a signal came.
    pub(crate) fn interrupted(&self) -> Result<(), Halt> {
        match self.ctx.stopped() {
            Some(Stop::Signal(signal)) => Err(Halt::Signal(signal)),
            _ => Ok(()),
        }
    }

    // --- tasks -------------------------------------------------------------------------------------

    /// A copy for another task.
    #[inline(never)]
    pub(crate) fn fork(&mut self) -> Result<Box<Self>, Halt> {
        let ctx = match self.ctx.for_task() {
            Ok(ctx) => ctx,
            Err(message) => return Err(self.abandon(format_args!("cannot fork: {message}"))),
        };
        Ok(Box::new(Self {
            ctx,
            interactive: false,
            vars: self.vars.clone(),
            var_bytes: self.var_bytes,
            functions: self.functions.clone(),
            params: self.params.clone(),
            arg0: self.arg0.clone(),
            status: self.status,
            substituted: None,
            jobs: Vec::new(),
            last_job: self.last_job,
            pid: self.pid,
            options: self.options,
            exited: None,
            given_up: false,
            last_failure: 0,
            pending: String::new(),
        }))
    }

    /// A fresh shell on the stack of a program that wants to see how each of its lines ends, with what is
    /// exported.
    ///
    /// # Errors
    /// `ELOOP` when too many are running inside one another.
    pub fn nested(ctx: &Ctx) -> Result<Self, Errno> {
        if ctx.shells >= MAX_SHELLS {
            return Err(Errno::ELOOP);
        }
        let mut inner = ctx.fork();
        inner.shells += 1;
        "sh".clone_into(&mut inner.name);
        Ok(Self::new(inner))
    }

    /// Starts a task that runs a unit, or the part of it that is given.
    #[inline(never)]
    pub(crate) fn spawn(
        &mut self,
        mut child: Box<Self>,
        script: &Arc<Script>,
        unit: usize,
        range: Option<(usize, usize)>,
    ) -> Result<Box<dyn Task>, Halt> {
        let mut place = Place::whole(script.clone(), unit);
        if let Some((start, end)) = range {
            (place.pc, place.end) = (start, end);
        }
        let name = place.title().unwrap_or("sh").to_owned();
        let body = move || {
            let status = match child.run(place) {
                Ok(()) => child.status,
                Err(halt) => halt.status(),
            };
            child.ctx.finish(status)
        };
        match self.ctx.spawn(&name, body) {
            Ok(task) => Ok(task),
            Err(message) => Err(self.abandon(format_args!("cannot fork: {message}"))),
        }
    }

    /// Waits for a task in the foreground.
    pub(crate) fn wait_for(&mut self, task: &dyn Task) -> Result<i32, Halt> {
        match self.ctx.wait(task) {
            Ok(status) => Ok(status),
            Err(e) => {
                self.interrupted()?;
                Err(self.abandon(format_args!("wait: {}", e.strerror())))
            }
        }
    }

    /// Is there room for one more background job? Those that have ended make room, which `wait` then no
    /// longer knows.
    pub(crate) fn room_for_job(&mut self) -> Result<(), Halt> {
        if self.jobs.len() >= MAX_JOBS {
            self.jobs.retain(|job| job.task.try_wait().is_none());
        }
        if self.jobs.len() >= MAX_JOBS {
            return Err(self.abandon(format_args!("too many background jobs")));
        }
        Ok(())
    }

    /// Remembers a background job.
    pub(crate) fn add_job(&mut self, name: String, task: Box<dyn Task>) {
        let number = self.jobs.last().map_or(1, |job| job.number + 1);
        self.last_job = Some(task.pid());
        if self.interactive {
            let text = format!("[{number}] {}\n", task.pid());
            self.ctx.eprint(&text);
        }
        self.jobs.push(Job { number, name, task });
    }

    /// Announces the jobs that have ended since the last time, and forgets them.
    pub(crate) fn report_jobs(&mut self) {
        let mut text = String::new();
        self.jobs.retain(|job| {
            let Some(status) = job.task.try_wait() else { return true };
            text += &job.line(Some(status));
            false
        });
        if !text.is_empty() {
            self.ctx.eprint(&text);
        }
    }
}
