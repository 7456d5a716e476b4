//! Builtins about background jobs.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use tracecore::errno::Errno;

use super::Outcome;
use crate::ctx::{SIGTERM, Stop};
use crate::shell::Shell;
use crate::simple::NOT_FOUND;

pub(super) fn jobs(shell: &mut Shell, _args: &[&str]) -> Outcome {
    let lines: Vec<String> = shell.jobs.iter().map(|job| job.line(job.task.try_wait())).collect();
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

pub(super) fn wait(shell: &mut Shell, args: &[&str]) -> Outcome {
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

pub(super) fn kill(shell: &mut Shell, args: &[&str]) -> Outcome {
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
