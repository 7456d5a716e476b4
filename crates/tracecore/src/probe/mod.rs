//! The grammar of `kprobe_events`: one line of text in, one probe definition out.
//!
//! ```text
//! p[:[GRP/][EVENT]]            [MOD:]SYM[+OFFS]|ADDR          [FETCHARGS]   a probe
//! r[MAXACTIVE][:[GRP/][EVENT]] [MOD:]SYM[+0]|ADDR             [FETCHARGS]   a return probe
//! p[:[GRP/][EVENT]]            [MOD:]SYM[+0]%return           [FETCHARGS]   the same
//! -:[GRP/][EVENT]              [PLACE [ARGS]]                               removes probes
//! ```
//!
//! The parser is pure: text and a symbol table in, a [`Definition`] or a [`ProbeError`] out. It registers
//! nothing, and what it returns is complete, so that the caller needs no second look at the text:
//!
//! ```text
//! line ─▶ words ─▶ head  (kind, maxactive)                ┐
//!                  place (symbol looked up)        place  ├─▶ Definition ─▶ fetch::Program, event::Class
//!                  name  (given or generated)      name   │
//!                  args  (fetch + type)            arg    ┘
//! ```
//!
//! The order in which the pieces are judged, the sentence and the column of every error are Linux's, so that a
//! tool which reads `error_log` sees what it expects. Three things differ on purpose, because names here are Rust
//! paths: the offset starts at the *last* sign, a module ends at a *single* colon, and `#` starts a comment only
//! at the start of a word (`{closure#0}` is a name).

mod arg;
mod compare;
mod error;
mod function;
mod name;
mod named;
mod number;
mod place;
#[cfg(test)]
mod tests;
mod types;

pub use arg::{Arg, Dereference, Expr, MAX_STACK_WORD, Source};
pub use compare::join;
pub use error::{Blame, ErrorKind, ProbeError};
pub use place::{LookupError, Place, Resolver, Symbol};
pub use types::{Bits, MAX_ARRAY_LEN, Style, Type, Width};

use crate::errno::Errno;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The group of a probe that names none.
pub const DEFAULT_GROUP: &str = "kprobes";
/// The longest group or event name.
pub const MAX_EVENT_NAME_LEN: usize = 63;
/// The longest name of an argument.
pub const MAX_ARG_NAME_LEN: usize = 32;
/// The longest fetch expression with its type.
pub const MAX_ARG_TEXT_LEN: usize = 63;
/// The most bytes that the arguments of one probe take in the fixed part of its record.
pub const MAX_ARGS_BYTES: usize = 3072;
/// The most arguments of one probe.
pub const MAX_ARGS: usize = 128;
/// The largest `MAXACTIVE`.
pub const MAX_MAXACTIVE: u32 = 4096;
/// The longest line.
pub const MAX_LINE_LEN: usize = 4094;

/// What the probe watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An instruction.
    Probe,
    /// The return of a function.
    Return {
        /// How many calls may be under way at once; `None` leaves it to the kernel.
        maxactive: Option<u32>,
    },
    /// The entry, or the return, of one function or of many.
    Function {
        /// The return.
        is_return: bool,
    },
    /// A tracepoint.
    Tracepoint,
}

/// One probe, as defined by a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Probe or return probe.
    pub kind: Kind,
    /// The group, `kprobes` by default.
    pub group: String,
    /// The event.
    pub event: String,
    /// Where.
    pub place: Place,
    /// The place is a function's entry, its arguments untouched.
    pub at_entry: bool,
    /// What is recorded.
    pub args: Vec<Arg>,
}

/// A line that removes probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Only in this group.
    pub group: Option<String>,
    /// Only of this event; empty for all of the group.
    pub event: String,
    /// Only at this place, as `kprobe_events` prints it.
    pub place: Option<String>,
    /// Only with these first arguments, as `kprobe_events` prints them.
    pub args: Vec<String>,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// An empty line or a comment.
    Nothing,
    /// A new probe.
    Define(Definition),
    /// Probes to remove.
    Remove(Removal),
}

impl Definition {
    /// Is it a return probe?
    pub const fn is_return(&self) -> bool {
        matches!(self.kind, Kind::Return { .. } | Kind::Function { is_return: true })
    }

    /// Is it what `kprobe_events` is about?
    pub const fn is_kprobe(&self) -> bool {
        matches!(self.kind, Kind::Probe | Kind::Return { .. })
    }

    /// The place as the files list it.
    pub fn place_text(&self) -> String {
        match self.kind {
            Kind::Function { is_return: true } => format!("{}%return", self.place),
            _ => self.place.to_string(),
        }
    }
}

/// As `kprobe_events` lists it.
impl fmt::Display for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Probe => f.write_str("p")?,
            Kind::Return { maxactive: None } => f.write_str("r")?,
            Kind::Return { maxactive: Some(count) } => write!(f, "r{count}")?,
            Kind::Function { .. } => f.write_str("f")?,
            Kind::Tracepoint => f.write_str("t")?,
        }
        write!(f, ":{}/{} {}", self.group, self.event, self.place_text())?;
        for arg in &self.args {
            write!(f, " {}={}", arg.name, arg.text)?;
        }
        Ok(())
    }
}

impl Removal {
    /// Is this one of the probes to remove?
    pub fn matches(&self, probe: &Definition) -> bool {
        (self.event.is_empty() || self.event == probe.event)
            && self.group.as_ref().is_none_or(|group| *group == probe.group)
            && self.place.as_ref().is_none_or(|place| *place == probe.place_text())
            && self.args.len() <= probe.args.len()
            && self.args.iter().zip(&probe.args).all(|(text, arg)| {
                text.split_once('=').is_some_and(|(name, fetch)| name == arg.name && fetch == arg.text)
            })
    }
}

/// The words of a line, and where each stands when they are joined by single blanks.
struct Words<'t> {
    words: Vec<&'t str>,
}

impl<'t> Words<'t> {
    fn split(line: &'t str) -> Self {
        let words = line.split_ascii_whitespace().take_while(|word| !word.starts_with('#')).collect();
        Self { words }
    }

    /// The column of word `index`; one behind the line's end, and a blank, for a word that is not there.
    fn column(&self, index: usize) -> usize {
        self.words.iter().take(index).map(|word| word.len() + 1).sum()
    }
}

/// The command as `error_log` shows it: the words of the line with single blanks between. Columns refer to it.
pub fn command_text(line: &str) -> String {
    Words::split(line).words.join(" ")
}

/// The lines of `kprobe_event=` on the boot command line: `;` between them, `,` for the blanks in them, as on Linux.
pub fn boot_lines(value: &str) -> impl Iterator<Item = String> {
    value.split(';').map(|line| line.replace(',', " ")).filter(|line| !line.trim().is_empty())
}

/// The error for a place that was read well but that the kernel refuses to probe: the caret under the place.
pub fn place_error(line: &str, kind: ErrorKind) -> ProbeError {
    ProbeError::at(kind, Words::split(line).column(1))
}

/// The error for argument `index`, counted from 0, that was read well but that cannot be fetched: the caret under what
/// it fetches.
pub fn arg_error(line: &str, index: usize, kind: ErrorKind) -> ProbeError {
    let words = Words::split(line);
    let name = words.words.get(index + 2).and_then(|word| word.find('='));
    ProbeError::at(kind, words.column(index + 2) + name.map_or(0, |at| at + 1))
}

/// Reads one line of `kprobe_events`.
pub fn parse_line(line: &str, resolver: &dyn Resolver) -> Result<Command, ProbeError> {
    parse_with(line, resolver, |letter| match letter {
        b'p' | b'r' => Some(parse_definition),
        _ => None,
    })
}

/// Reads one line of `dynamic_events`, which takes functions and tracepoints as well.
pub fn parse_dynamic_line(line: &str, resolver: &dyn Resolver) -> Result<Command, ProbeError> {
    parse_with(line, resolver, |letter| match letter {
        b'p' | b'r' => Some(parse_definition),
        b'f' | b't' => Some(function::parse),
        _ => None,
    })
}

type Parse = fn(&str, &Words<'_>, &dyn Resolver) -> Result<Definition, ProbeError>;

/// Reads one line; `parse` says by its first letter who reads a definition.
fn parse_with(
    line: &str,
    resolver: &dyn Resolver,
    parse: fn(u8) -> Option<Parse>,
) -> Result<Command, ProbeError> {
    if line.len() > MAX_LINE_LEN {
        return Err(ProbeError::silent(Errno::EINVAL));
    }
    let words = Words::split(line);
    let Some(&head) = words.words.first() else { return Ok(Command::Nothing) };
    let letter = head.bytes().next().unwrap_or_default();
    if letter == b'-' {
        return parse_removal(&words.words).map(Command::Remove);
    }
    let parse = parse(letter).ok_or(ProbeError::silent(Errno::EINVAL))?;
    parse(head, &words, resolver).map(Command::Define).map_err(|mut error| {
        // Some of Linux's columns count an offset twice and may end up behind the command.
        let len = words.column(words.words.len()).saturating_sub(1);
        if let Some(blame) = &mut error.log {
            blame.column = blame.column.min(len);
        }
        error
    })
}

fn parse_removal(words: &[&str]) -> Result<Removal, ProbeError> {
    let (head, rest) = words.split_first().ok_or(ProbeError::silent(Errno::EINVAL))?;
    let name = head.strip_prefix("-:").ok_or(ProbeError::silent(Errno::EINVAL))?;
    let (group, event) = match name.split_once('/') {
        Some((group, event)) => (Some(group.to_string()), event),
        None => (None, name),
    };
    if group.is_none() && event.is_empty() {
        return Err(ProbeError::silent(Errno::EINVAL));
    }
    Ok(Removal {
        group,
        event: event.to_string(),
        place: rest.first().map(ToString::to_string),
        args: rest.iter().skip(1).map(ToString::to_string).collect(),
    })
}

fn parse_definition(
    head: &str,
    words: &Words<'_>,
    resolver: &dyn Resolver,
) -> Result<Definition, ProbeError> {
    let (place, args) = match words.words.as_slice() {
        [_, place, args @ ..] => (*place, args),
        _ => return Err(ProbeError::silent(Errno::EINVAL)),
    };
    if args.len() > MAX_ARGS {
        return Err(ProbeError::at(ErrorKind::TooManyArgs, words.column(2)));
    }
    let maxactive = parse_maxactive(head)?;
    let parsed = place::parse(place, head.starts_with('r'), words.column(1), resolver)?;
    let (group, event) = match head.split_once(':') {
        Some((before, names)) => name::split(names, before.len() + 1, DEFAULT_GROUP)?,
        None => (DEFAULT_GROUP, None),
    };
    let event = match event {
        Some(event) => event.to_string(),
        None => {
            let number = match parsed.place {
                Place::Address(address) => address,
                _ => parsed.place.offset(),
            };
            name::generate(parsed.is_return, parsed.place.symbol(), number)
        }
    };
    let table = resolver.types();
    let names = named::Names { table, function: parsed.function.and_then(|start| table.function(start)) };
    let scope = arg::Scope { is_return: parsed.is_return, at_entry: parsed.at_entry, registers: true, names };
    let list = parse_args(args, words, scope, resolver)?;
    Ok(Definition {
        kind: if parsed.is_return { Kind::Return { maxactive } } else { Kind::Probe },
        group: group.to_string(),
        event,
        place: parsed.place,
        at_entry: parsed.at_entry,
        args: list,
    })
}

/// Reads the arguments of a line, which begin at its third word.
fn parse_args(
    args: &[&str],
    words: &Words<'_>,
    scope: arg::Scope<'_>,
    resolver: &dyn Resolver,
) -> Result<Vec<Arg>, ProbeError> {
    let mut list = Vec::with_capacity(args.len());
    for (index, word) in args.iter().enumerate() {
        let column = words.column(index + 2);
        if *word == arg::ALL {
            if args.iter().take(index).any(|before| *before == arg::ALL) {
                return Err(ProbeError::at(ErrorKind::ArgsTwice, column));
            }
            arg::parse_all(column, &mut list, scope)?;
        } else {
            let arg = arg::parse(word, column, &list, scope)?;
            list.push(arg);
        }
    }
    // Data symbols are looked up when the probe is registered, after every argument was read.
    for arg in &mut list {
        resolve_symbol(&mut arg.expr.source, words.column(1), resolver)?;
    }
    Ok(list)
}

/// `r[MAXACTIVE]`; what follows the letter is a number only if it starts with a digit.
fn parse_maxactive(head: &str) -> Result<Option<u32>, ProbeError> {
    let text = head.split(':').next().unwrap_or(head).get(1..).unwrap_or("");
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    let here = |kind| Err(ProbeError::at(kind, 1));
    if !head.starts_with('r') {
        return here(ErrorKind::MaxactiveOnEntry);
    }
    match number::unsigned(text).and_then(|count| u32::try_from(count).ok()) {
        None | Some(0) => here(ErrorKind::BadMaxactive),
        Some(count) if count > MAX_MAXACTIVE => here(ErrorKind::MaxactiveTooBig),
        Some(count) => Ok(Some(count)),
    }
}

fn resolve_symbol(source: &mut Source, place: usize, resolver: &dyn Resolver) -> Result<(), ProbeError> {
    let Source::SymbolAddress(text) = source else { return Ok(()) };
    match place::symbol_and_offset(text, resolver) {
        Ok((_, offset, symbol)) => {
            *source = Source::Immediate(symbol.address.wrapping_add_signed(offset));
            Ok(())
        }
        Err(place::SymbolError::BadOffset) => Err(ProbeError::at(ErrorKind::RegistrationFailed, place)),
        Err(place::SymbolError::Lookup(LookupError::Ambiguous)) => {
            Err(ProbeError::at(ErrorKind::SymbolNotUnique, place))
        }
        Err(place::SymbolError::Lookup(LookupError::Missing)) => {
            Err(ProbeError::at(ErrorKind::BadProbeAddress, place).with_errno(Errno::ENOENT))
        }
    }
}
