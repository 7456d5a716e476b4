//! Programs about files and their names.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};

use tracecore::errno::Errno;

use super::Program;
use super::args::{Options, each_input, usage};
use super::time::Date;
use crate::builtins::tidy;
use crate::ctx::Ctx;
use crate::limits::MAX_NESTING;
use crate::sys::{FileKind, OpenFlags, Stat};

/// The table.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "basename",
        usage: "PATH [SUFFIX]",
        help: "print the last part of a path",
        main: basename,
    },
    Program { name: "cat", usage: "[-n] [FILE]...", help: "print files", main: cat },
    Program { name: "dirname", usage: "PATH", help: "print a path without its last part", main: dirname },
    Program { name: "ls", usage: "[-1AFadhl] [FILE]...", help: "list directories", main: ls },
    Program { name: "mkdir", usage: "[-p] DIR...", help: "make directories", main: mkdir },
    Program { name: "pwd", usage: "", help: "print the current directory", main: pwd },
    Program { name: "rm", usage: "[-rf] FILE...", help: "remove files", main: rm },
    Program { name: "rmdir", usage: "DIR...", help: "remove empty directories", main: rmdir },
    Program { name: "tee", usage: "[-a] [FILE]...", help: "copy input to output and to files", main: tee },
    Program { name: "touch", usage: "FILE...", help: "make files that are not there", main: touch },
];

/// Blocks in the `total` line of `ls -l` are given in this unit, and files take whole pages.
const BLOCK: u64 = 1024;
const PAGE: u64 = 4096;
/// `ls -l` shows the time of day for files younger than this, and the year for the others.
const HALF_A_YEAR_S: u64 = 365 * 86_400 / 2;

fn pwd(ctx: &mut Ctx, _args: &[&str]) -> i32 {
    ctx.print(&format!("{}\n", ctx.cwd));
    0
}

fn basename(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let (path, suffix) = match args {
        [path] => (*path, ""),
        [path, suffix] => (*path, *suffix),
        _ => {
            usage(ctx, true);
            return 1;
        }
    };
    let trimmed = path.trim_end_matches('/');
    let name = if trimmed.is_empty() && !path.is_empty() { "/" } else { trimmed };
    let name = name.rsplit_once('/').map_or(name, |(_, last)| if name == "/" { name } else { last });
    let short = name.strip_suffix(suffix).filter(|short| !short.is_empty()).unwrap_or(name);
    ctx.print(&format!("{short}\n"));
    0
}

fn dirname(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let [path] = args else {
        usage(ctx, true);
        return 1;
    };
    let trimmed = path.trim_end_matches('/');
    let dir = match trimmed.rsplit_once('/') {
        Some((dir, _)) if !dir.trim_end_matches('/').is_empty() => dir.trim_end_matches('/'),
        Some(_) => "/",
        None if trimmed.is_empty() && !path.is_empty() => "/",
        None => ".",
    };
    ctx.print(&format!("{dir}\n"));
    0
}

fn cat(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "nu", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let mut number = 0;
    each_input(ctx, &options.rest, |ctx, _, input| {
        if options.has('n') {
            let mut line = Vec::new();
            while input.line(ctx, &mut line)? {
                number += 1;
                ctx.print(&format!("{number:6}\t"));
                ctx.write(&line);
            }
            return Ok(());
        }
        loop {
            let chunk = input.chunk(ctx)?.to_vec();
            if chunk.is_empty() {
                return Ok(());
            }
            ctx.write(&chunk);
            // What arrives is passed on at once: the other side may take its time with the next piece.
            ctx.flush();
            if ctx.stopped().is_some() {
                return Ok(());
            }
        }
    })
}

fn tee(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "a", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let flags = if options.has('a') { OpenFlags::APPEND } else { OpenFlags::WRITE };
    let mut status = 0;
    let mut outs = Vec::new();
    for file in &options.rest {
        match ctx.open(file, flags) {
            Ok(io) => outs.push((*file, io)),
            Err(e) => {
                ctx.fail(file, e);
                status = 1;
            }
        }
    }
    let copied = each_input(ctx, &[], |ctx, _, input| {
        loop {
            let chunk = input.chunk(ctx)?.to_vec();
            if chunk.is_empty() || ctx.stopped().is_some() {
                return Ok(());
            }
            ctx.write(&chunk);
            ctx.flush();
            outs.retain(|(file, io)| {
                let mut rest = chunk.as_slice();
                while !rest.is_empty() {
                    match io.write(rest) {
                        Ok(n) if n > 0 => rest = rest.get(n..).unwrap_or_default(),
                        other => {
                            ctx.fail(file, other.err().unwrap_or(Errno::EIO));
                            status = 1;
                            return false;
                        }
                    }
                }
                true
            });
        }
    });
    status.max(copied)
}

fn touch(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let mut status = 0;
    for file in args {
        if let Err(e) = ctx.open(file, OpenFlags { truncate: false, ..OpenFlags::WRITE }) {
            ctx.fail(file, e);
            status = 1;
        }
    }
    status
}

fn mkdir(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "pm:", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    if options.rest.is_empty() {
        usage(ctx, true);
        return 1;
    }
    let mut status = 0;
    for dir in &options.rest {
        let made = if options.has('p') { make_all(ctx, dir) } else { ctx.sys.mkdir(&ctx.path(dir)) };
        if let Err(e) = made {
            ctx.complain(format_args!("can't create directory '{dir}': {}", e.strerror()));
            status = 1;
        }
    }
    status
}

/// Makes a directory and those above it; what is there already is fine if it is a directory.
fn make_all(ctx: &Ctx, dir: &str) -> Result<(), Errno> {
    let path = ctx.path(dir);
    let mut above = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        above.push('/');
        above.push_str(part);
        match ctx.sys.mkdir(&above) {
            Ok(()) => {}
            Err(e) => match ctx.sys.stat(&above) {
                Ok(stat) if stat.kind == FileKind::Dir => {}
                Ok(_) if above == path.trim_end_matches('/') => return Err(Errno::EEXIST),
                Ok(_) => return Err(Errno::ENOTDIR),
                Err(_) => return Err(e),
            },
        }
    }
    Ok(())
}

fn rmdir(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let mut status = 0;
    for dir in args {
        if let Err(e) = ctx.sys.rmdir(&ctx.path(dir)) {
            ctx.complain(format_args!("'{dir}': {}", e.strerror()));
            status = 1;
        }
    }
    status
}

fn rm(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "rRfi", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let force = options.has('f');
    let recursive = options.has('r') || options.has('R');
    if options.rest.is_empty() && !force {
        usage(ctx, true);
        return 1;
    }
    let mut status = 0;
    for name in &options.rest {
        let path = ctx.path(name);
        let removed = match ctx.sys.lstat(&path) {
            Ok(stat) if stat.kind == FileKind::Dir && !recursive => Err(Errno::EISDIR),
            Ok(stat) if stat.kind == FileKind::Dir && tidy(&path) == "/" => Err(Errno::EPERM),
            Ok(stat) if stat.kind == FileKind::Dir => remove_tree(ctx, &path),
            Ok(_) => ctx.sys.unlink(&path),
            Err(e) => Err(e),
        };
        match removed {
            Ok(()) => {}
            Err(Errno::ENOENT) if force => {}
            Err(Errno::EINTR) => return 1,
            Err(Errno::EISDIR) => {
                ctx.complain(format_args!("'{name}' is a directory"));
                status = 1;
            }
            Err(e) => {
                ctx.complain(format_args!("can't remove '{name}': {}", e.strerror()));
                status = 1;
            }
        }
    }
    status
}

/// Removes a directory with everything below it; the directories that are being emptied are kept in a list,
/// the deepest last.
fn remove_tree(ctx: &Ctx, top: &str) -> Result<(), Errno> {
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.last().cloned() {
        if ctx.stopped().is_some() {
            return Err(Errno::EINTR);
        }
        let mut deeper = None;
        for entry in ctx.sys.read_dir(&dir)? {
            let path = format!("{dir}/{}", entry.name);
            if entry.kind == FileKind::Dir {
                deeper = Some(path);
                break;
            }
            ctx.sys.unlink(&path)?;
        }
        match deeper {
            Some(_) if open.len() > MAX_NESTING => return Err(Errno::ELOOP),
            Some(path) => open.push(path),
            None => {
                ctx.sys.rmdir(&dir)?;
                open.pop();
            }
        }
    }
    Ok(())
}

// --- ls --------------------------------------------------------------------------------------------

/// How to list.
struct Listing {
    long: bool,
    one: bool,
    classify: bool,
    human: bool,
}

/// A name and what it stands for, where that is needed.
struct Entry {
    name: String,
    stat: Option<Stat>,
    target: Option<String>,
}

fn ls(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "1AFadhl", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let long = options.has('l');
    let how = Listing {
        long,
        one: !long && (options.has('1') || !ctx.stdout.is_terminal()),
        classify: options.has('F'),
        human: options.has('h'),
    };
    let names = if options.rest.is_empty() { vec!["."] } else { options.rest.clone() };
    let (mut files, mut dirs) = (Vec::new(), Vec::new());
    let mut status = 0;
    for name in &names {
        match ctx.sys.stat(&ctx.path(name)) {
            Ok(stat) if stat.kind == FileKind::Dir && !options.has('d') => dirs.push((*name).to_owned()),
            Ok(_) => files.push((*name).to_owned()),
            Err(e) => {
                ctx.fail(name, e);
                status = 1;
            }
        }
    }
    files.sort_unstable();
    dirs.sort_unstable();
    let listed_files = !files.is_empty();
    let entries = files.into_iter().map(|name| entry(ctx, &how, "", name)).collect();
    show(ctx, &how, entries, false);
    for (number, dir) in dirs.iter().enumerate() {
        if ctx.stopped().is_some() {
            break;
        }
        if names.len() > 1 {
            let gap = if listed_files || number > 0 { "\n" } else { "" };
            ctx.print(&format!("{gap}{dir}:\n"));
        }
        match ctx.sys.read_dir(&ctx.path(dir)) {
            Ok(found) => {
                let mut names: Vec<String> = found.into_iter().map(|e| e.name).collect();
                names.retain(|name| options.has('a') || options.has('A') || !name.starts_with('.'));
                if options.has('a') {
                    names.extend([".".to_owned(), "..".to_owned()]);
                }
                names.sort_unstable();
                let entries = names.into_iter().map(|name| entry(ctx, &how, dir, name)).collect();
                show(ctx, &how, entries, true);
            }
            Err(e) => {
                ctx.fail(dir, e);
                status = 1;
            }
        }
    }
    status
}

fn entry(ctx: &Ctx, how: &Listing, dir: &str, name: String) -> Entry {
    let path = ctx.path(&if dir.is_empty() { name.clone() } else { format!("{dir}/{name}") });
    let stat = if how.long || how.classify { ctx.sys.lstat(&path).ok() } else { None };
    let link = how.long && stat.is_some_and(|s| s.kind == FileKind::Symlink);
    let target = if link { ctx.sys.read_link(&path).ok() } else { None };
    Entry { name, stat, target }
}

fn show(ctx: &mut Ctx, how: &Listing, entries: Vec<Entry>, total: bool) {
    if how.long {
        if total {
            let size = |e: &Entry| e.stat.map_or(0, |s| s.size.div_ceil(PAGE) * (PAGE / BLOCK));
            let blocks: u64 = entries.iter().map(size).sum();
            ctx.print(&format!("total {blocks}\n"));
        }
        let now = ctx.sys.realtime_ns() / 1_000_000_000;
        for entry in &entries {
            let line = long_line(entry, how, now);
            ctx.print(&line);
        }
        return;
    }
    let names: Vec<String> = entries.into_iter().map(|e| e.name.clone() + mark(&e, how)).collect();
    if how.one {
        for name in names {
            ctx.print(&(name + "\n"));
        }
    } else {
        let text = columns(&names, ctx.stdout.columns());
        ctx.print(&text);
    }
}

/// The letter that `-F` puts behind a name.
fn mark(entry: &Entry, how: &Listing) -> &'static str {
    match entry.stat {
        Some(stat) if how.classify => match stat.kind {
            FileKind::Dir => "/",
            FileKind::Symlink => "@",
            FileKind::Fifo => "|",
            FileKind::File if stat.mode & 0o111 != 0 => "*",
            _ => "",
        },
        _ => "",
    }
}

/// Names in as few rows as the width allows, going down the columns.
pub(crate) fn columns(names: &[String], width: usize) -> String {
    let lens: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
    let mut rows = 1;
    // The widths of the columns for a number of rows.
    let widths = |rows: usize| -> Vec<usize> {
        lens.chunks(rows).map(|column| column.iter().copied().max().unwrap_or(0) + 2).collect()
    };
    while rows < names.len() && widths(rows).iter().sum::<usize>() > width + 2 {
        rows += 1;
    }
    let widths = widths(rows);
    let mut text = String::new();
    for row in 0..rows.min(names.len()) {
        for (column, width) in widths.iter().enumerate() {
            let Some(name) = names.get(column * rows + row) else { break };
            let last = names.get((column + 1) * rows + row).is_none();
            text.push_str(name);
            if !last {
                let pad = width.saturating_sub(name.chars().count());
                text.extend(core::iter::repeat_n(' ', pad));
            }
        }
        text.push('\n');
    }
    text
}

/// `drwxr-xr-x`
fn mode_text(stat: &Stat) -> String {
    let mut text = String::from(stat.kind.letter());
    for (at, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if stat.mode & (0o400 >> at) != 0 { letter } else { '-' });
    }
    text
}

/// A size with a unit: three digits are enough.
fn human(size: u64) -> String {
    let mut unit = 1u64;
    for letter in ["", "K", "M", "G"] {
        if size < unit * 1024 {
            let tenths = size * 10 / unit;
            return if letter.is_empty() || tenths >= 100 {
                format!("{}{letter}", size.div_ceil(unit))
            } else {
                format!("{}.{}{letter}", tenths / 10, tenths % 10)
            };
        }
        unit *= 1024;
    }
    format!("{}T", size.div_ceil(unit))
}

fn long_line(entry: &Entry, how: &Listing, now: u64) -> String {
    let Some(stat) = entry.stat else { return format!("?????????? {}\n", entry.name) };
    let size = match stat.kind {
        FileKind::Char | FileKind::Block => format!("{:4},{:4}", stat.rdev.0, stat.rdev.1),
        _ if how.human => format!("{:>9}", human(stat.size)),
        _ => format!("{:9}", stat.size),
    };
    let date = Date::from_unix(stat.mtime_s);
    let recent = stat.mtime_s <= now && now - stat.mtime_s < HALF_A_YEAR_S;
    let format = if recent { "%b %e %H:%M" } else { "%b %e  %Y" };
    let arrow = entry.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
    format!(
        "{} {:4} {:<8} {:<8} {size} {} {}{}{arrow}\n",
        mode_text(&stat),
        stat.nlink,
        "root",
        "root",
        date.format(format, 0).unwrap_or_default(),
        entry.name,
        mark(entry, how),
    )
}
