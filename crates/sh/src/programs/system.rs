//! Programs about the system: the shell itself, its tasks, memory and log, its names, its power.
//!
//! What is known about tasks and memory is read from `/proc`, the log from `/dev/kmsg`, as on Linux: these
//! programs see what any other program could.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use tracecore::errno::Errno;

use super::Program;
use super::args::{Options, bad, usage};
use crate::builtins::BUILTINS;
use crate::ctx::Ctx;
use crate::shell::Shell;
use crate::simple::{CANNOT_RUN, NOT_FOUND};
use crate::sys::{OpenFlags, Power};

/// The table.
pub(super) const PROGRAMS: &[Program] = &[
    Program { name: "dmesg", usage: "[-r] [-n LEVEL]", help: "print the kernel's log", main: dmesg },
    Program { name: "env", usage: "", help: "print exported variables", main: env },
    Program { name: "free", usage: "[-bkmh]", help: "print how memory is used", main: free },
    Program { name: "help", usage: "[NAME]...", help: "list what can be run", main: help },
    Program {
        name: "poweroff",
        usage: "",
        help: "switch the machine off",
        main: |ctx, _| power(ctx, Power::Off),
    },
    Program { name: "ps", usage: "", help: "list tasks", main: ps },
    Program {
        name: "reboot",
        usage: "",
        help: "start the machine again",
        main: |ctx, _| power(ctx, Power::Reboot),
    },
    Program { name: "sh", usage: "[-c TEXT] [FILE] [ARG]...", help: "run a script", main: sh },
    Program { name: "uname", usage: "[-asnrvm]", help: "print names of the system", main: uname },
    Program { name: "uptime", usage: "", help: "print for how long the system is up", main: uptime },
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
            // A long call has its explanation on the next line, in the same column.
            let gap = if call.len() > 38 { format!("\n{:38}", "") } else { String::new() };
            ctx.print(&format!("{call:<38}{gap} {text}\n"));
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
        ["-c"] => {
            ctx.complain(format_args!("-c requires an argument"));
            2
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

/// Runs a text in a fresh shell: a task of its own, and so with a stack of its own.
fn run_text(ctx: &mut Ctx, text: &str, arg0: &str, params: &[&str]) -> i32 {
    ctx.flush();
    let inner = match ctx.for_task() {
        Ok(inner) => inner,
        Err(message) => {
            ctx.complain(format_args!("{arg0}: cannot fork: {message}"));
            return CANNOT_RUN;
        }
    };
    let text = text.to_owned();
    let (name, params): (String, Vec<String>) =
        (arg0.to_owned(), params.iter().map(ToString::to_string).collect());
    let body = move || {
        let mut shell = Shell::new(inner);
        let params: Vec<&str> = params.iter().map(String::as_str).collect();
        shell.set_params(&name, &params);
        let status = shell.run_text(&text);
        shell.ctx.finish(status)
    };
    match ctx.spawn("sh", body) {
        Ok(task) => ctx.wait(&*task).unwrap_or(CANNOT_RUN),
        Err(message) => {
            ctx.complain(format_args!("{arg0}: cannot fork: {message}"));
            CANNOT_RUN
        }
    }
}

fn env(ctx: &mut Ctx, _args: &[&str]) -> i32 {
    for (name, value) in ctx.env.clone() {
        ctx.print(&format!("{name}={value}\n"));
    }
    0
}

fn uname(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "asnrvmo", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let names = ctx.sys.uname();
    let all = [
        ('s', names.sysname),
        ('n', names.nodename),
        ('r', names.release),
        ('v', names.version),
        ('m', names.machine),
    ];
    let none = !all.iter().any(|(letter, _)| options.has(*letter)) && !options.has('a');
    let shown: Vec<String> = all
        .into_iter()
        .filter(|(letter, _)| options.has('a') || options.has(*letter) || (none && *letter == 's'))
        .map(|(_, name)| name)
        .collect();
    ctx.print(&format!("{}\n", shown.join(" ")));
    0
}

fn uptime(ctx: &mut Ctx, _args: &[&str]) -> i32 {
    let s = ctx.sys.monotonic_ns() / 1_000_000_000;
    let days = if s >= 86_400 { format!("{} days, ", s / 86_400) } else { String::new() };
    ctx.print(&format!("up {days}{:02}:{:02}:{:02}\n", s / 3600 % 24, s / 60 % 60, s % 60));
    0
}

fn power(ctx: &mut Ctx, power: Power) -> i32 {
    ctx.flush();
    match ctx.sys.power(power) {
        Ok(()) => 0,
        Err(e) => {
            ctx.complain(format_args!("{}", e.strerror()));
            1
        }
    }
}

// --- /proc -----------------------------------------------------------------------------------------

/// Clock ticks per second in `/proc/PID/stat` (`USER_HZ`).
const USER_HZ: u64 = 100;

/// What `ps` shows of a task.
struct Row {
    pid: u32,
    cpu: String,
    state: String,
    ticks: u64,
    name: String,
}

/// Reads `/proc/PID/stat`: `PID (name) STATE …`; the name may hold anything, also brackets.
fn row(pid: u32, stat: &str) -> Option<Row> {
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // proc(5) counts from 1, and these start with field 3.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or("-");
    let ticks = |number: usize| field(number).parse::<u64>().unwrap_or(0);
    Some(Row {
        pid,
        state: field(3).to_owned(),
        ticks: ticks(14) + ticks(15),
        cpu: field(39).to_owned(),
        name: name.to_owned(),
    })
}

fn ps(ctx: &mut Ctx, _args: &[&str]) -> i32 {
    let entries = match ctx.sys.read_dir("/proc") {
        Ok(entries) => entries,
        Err(e) => {
            ctx.fail("/proc", e);
            return 1;
        }
    };
    let mut pids: Vec<u32> = entries.iter().filter_map(|e| e.name.parse().ok()).collect();
    pids.sort_unstable();
    ctx.print("  PID CPU S     TIME COMMAND\n");
    for pid in pids {
        // A task that has ended in the meantime is left out.
        let Ok(stat) = ctx.read_file(&format!("/proc/{pid}/stat")) else { continue };
        let Some(row) = row(pid, &String::from_utf8_lossy(&stat)) else { continue };
        let s = row.ticks / USER_HZ;
        let time = format!("{}:{:02}.{:02}", s / 60, s % 60, row.ticks % USER_HZ);
        ctx.print(&format!("{:5} {:>3} {} {time:>8} {}\n", row.pid, row.cpu, row.state, row.name));
        if ctx.stopped().is_some() {
            break;
        }
    }
    0
}

fn free(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "bkmh", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let text = match ctx.read_file("/proc/meminfo") {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(e) => {
            ctx.fail("/proc/meminfo", e);
            return 1;
        }
    };
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
    };
    let Some((total, unused)) = kib("MemTotal").zip(kib("MemFree")) else {
        ctx.fail("/proc/meminfo", Errno::EINVAL);
        return 1;
    };
    let available = kib("MemAvailable").unwrap_or(unused);
    let show = |kib: u64| match options.last_of("bkmh") {
        Some(('b', _)) => (kib * 1024).to_string(),
        Some(('m', _)) => (kib / 1024).to_string(),
        Some(('h', _)) if kib >= 1024 => format!("{}.{}M", kib / 1024, kib % 1024 * 10 / 1024),
        Some(('h', _)) => format!("{kib}K"),
        _ => kib.to_string(),
    };
    ctx.print(&format!("{:6}{:>13}{:>13}{:>13}{:>13}\n", "", "total", "used", "free", "available"));
    let numbers =
        [total, total.saturating_sub(unused), unused, available].map(|n| format!("{:>13}", show(n)));
    ctx.print(&format!("{:<6}{}\n", "Mem:", numbers.concat()));
    0
}

// --- dmesg -----------------------------------------------------------------------------------------

/// The longest record of the log that is read (Linux: `PRINTKRB_RECORD_MAX`).
const RECORD: usize = 8192;

/// Turns `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT` into level and line. What follows the first line are
/// `KEY=VALUE` pairs, which start with a blank.
fn record(bytes: &[u8]) -> Option<(u32, String)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, rest) = text.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    let micros: u64 = fields.nth(1)?.parse().ok()?;
    let line = rest.lines().next().unwrap_or_default();
    // The facility stands above the three bits of the level.
    Some((priority, format!("[{:5}.{:06}] {}", micros / 1_000_000, micros % 1_000_000, unescape_log(line))))
}

/// The log escapes what is not printable as `\xHH`.
fn unescape_log(line: &str) -> String {
    let mut out = Vec::new();
    let mut rest = line.as_bytes();
    while let Some((&b, after)) = rest.split_first() {
        let hex = rest.strip_prefix(b"\\x").and_then(|hex| hex.get(..2));
        let byte = hex
            .and_then(|hex| core::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(b));
        rest = if byte.is_some() { rest.get(4..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn dmesg(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "rn:", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let most = match options.value('n').map(str::parse::<u32>) {
        None => 7,
        Some(Ok(level)) => level,
        Some(Err(_)) => return bad(ctx, "level", options.value('n').unwrap_or_default()),
    };
    if !options.rest.is_empty() {
        usage(ctx, true);
        return 1;
    }
    let flags = OpenFlags { nonblock: true, ..OpenFlags::READ };
    let log = match ctx.open("/dev/kmsg", flags) {
        Ok(log) => log,
        Err(e) => {
            ctx.fail("/dev/kmsg", e);
            return 1;
        }
    };
    let mut buf = vec![0; RECORD];
    loop {
        // A read gives one record.
        match ctx.read(&*log, &mut buf) {
            Ok(0) | Err(Errno::EAGAIN) => return 0,
            // The records that were to come next have been overwritten: those after them follow.
            Err(Errno::EPIPE) => {}
            Err(e) => {
                ctx.fail("/dev/kmsg", e);
                return 1;
            }
            Ok(n) => {
                if let Some((priority, line)) = record(buf.get(..n).unwrap_or_default())
                    && priority & 7 <= most
                {
                    let raw = if options.has('r') { format!("<{priority}>") } else { String::new() };
                    ctx.print(&format!("{raw}{line}\n"));
                }
            }
        }
    }
}
