//! Lines about functions and tracepoints: `f` and `t` of `dynamic_events`.
//!
//! ```text
//! f[:[GRP/][EVENT]] SYM           [FETCHARGS]    the entry of a function, or of all whose names match
//! f[:[GRP/][EVENT]] SYM%return    [FETCHARGS]    their return; an argument `$retval` says so as well
//! t[:[GRP/][EVENT]] TRACEPOINT    [FETCHARGS]    a tracepoint
//! ```
//!
//! The rest of the line is that of a probe. What is not there is refused: a branch saves no register by its name, and
//! neither does a tracepoint, which has its arguments and nothing else. Order, sentences and columns are Linux's
//! (`kernel/trace/trace_fprobe.c`), where of two sentences for one argument the second is kept.

use super::arg::Scope;
use super::error::{ErrorKind, ProbeError};
use super::named::Names;
use super::place::{LookupError, Place, Resolver};
use super::{Definition, Kind, MAX_ARGS, MAX_EVENT_NAME_LEN, Words, name, parse_args};
use crate::errno::Errno;
use crate::typetab::Function;
use alloc::format;
use alloc::string::{String, ToString};

/// The group of a function's event that names none.
const FUNCTION_GROUP: &str = "fprobes";
/// The group of a tracepoint's.
const TRACEPOINT_GROUP: &str = "tracepoints";

/// Is it more than a name?
pub(super) fn is_pattern(symbol: &str) -> bool {
    symbol.contains(['*', '?'])
}

/// Reads a line that begins with `f` or `t`.
pub(super) fn parse(
    head: &str,
    words: &Words<'_>,
    resolver: &dyn Resolver,
) -> Result<Definition, ProbeError> {
    let (text, args) = match words.words.as_slice() {
        [_, text, args @ ..] => (*text, args),
        _ => return Err(ProbeError::silent(Errno::EINVAL)),
    };
    let is_tracepoint = head.starts_with('t');
    let (letters, names) = match head.split_once(':') {
        Some((letters, names)) => (letters, Some(names)),
        None => (head, None),
    };
    if letters.len() > 1 {
        return Err(ProbeError::at(ErrorKind::BadMaxactive, 1));
    }
    if args.len() > MAX_ARGS {
        return Err(ProbeError::at(ErrorKind::TooManyArgs, words.column(2)));
    }
    let column = words.column(1);
    let (symbol, mut is_return) = match text.split_once('%') {
        None => (text, false),
        Some((symbol, "return")) if !is_tracepoint => (symbol, true),
        Some((symbol, _)) => {
            return Err(ProbeError::at(ErrorKind::BadAddressSuffix, column + symbol.len()));
        }
    };
    if let Some((index, at)) = args.iter().enumerate().find_map(|(index, arg)| Some((index, retval(arg)?))) {
        if is_tracepoint {
            return Err(ProbeError::at(ErrorKind::RetvalOnProbe, words.column(index + 2) + at));
        }
        is_return = true;
    }
    let table = resolver.types();
    let (place, function) = if is_tracepoint {
        // The function that hands its arguments on as words tells what they are.
        let words = resolver.tracepoint(symbol).and_then(|start| table.function(start));
        (tracepoint(symbol, column)?, words.and_then(Function::as_words))
    } else {
        let (place, start) = functions(symbol, column, resolver)?;
        (place, start.and_then(|start| table.function(start)))
    };
    let default = if is_tracepoint { TRACEPOINT_GROUP } else { FUNCTION_GROUP };
    let (group, event) = match names {
        Some(names) => name::split(names, letters.len() + 1, default)?,
        None => (default, None),
    };
    let event = match event {
        Some(event) => event.to_string(),
        None => generate(symbol, is_tracepoint, is_return),
    };
    let names = Names { table, function };
    let scope = Scope { is_return, at_entry: true, registers: false, names };
    let list = parse_args(args, words, scope, resolver)?;
    Ok(Definition {
        kind: if is_tracepoint { Kind::Tracepoint } else { Kind::Function { is_return } },
        group: group.to_string(),
        event,
        place,
        at_entry: true,
        args: list,
    })
}

/// Where an argument says `$retval`.
fn retval(arg: &str) -> Option<usize> {
    const RETVAL: &str = "$retval";
    let at = arg.find(RETVAL)?;
    let longer = arg[at + RETVAL.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    (!longer).then_some(at)
}

fn tracepoint(name: &str, column: usize) -> Result<Place, ProbeError> {
    match name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        Some(at) => Err(ProbeError::at(ErrorKind::BadTracepointName, column + at)),
        None => Ok(Place::Pattern(name.to_string())),
    }
}

/// The function of this name, or all that match; and where the one begins.
fn functions(
    symbol: &str,
    column: usize,
    resolver: &dyn Resolver,
) -> Result<(Place, Option<u64>), ProbeError> {
    let bad = ProbeError::at(ErrorKind::BadProbeAddress, column);
    if !resolver.has_functions(symbol) {
        return Err(bad);
    }
    match resolver.lookup(symbol) {
        Ok(found) => {
            let place = Place::Symbol { name: symbol.to_string(), offset: 0, address: found.address };
            Ok((place, Some(found.address)))
        }
        Err(LookupError::Missing) if is_pattern(symbol) => Ok((Place::Pattern(symbol.to_string()), None)),
        Err(LookupError::Ambiguous) => Err(ProbeError::at(ErrorKind::SymbolNotUnique, column)),
        Err(LookupError::Missing) => Err(bad),
    }
}

/// The name of an event that was given none: `SYMBOL__entry`, `SYMBOL__exit`, or the tracepoint's.
fn generate(symbol: &str, is_tracepoint: bool, is_return: bool) -> String {
    let name = match (is_tracepoint, is_return) {
        (true, _) if symbol.starts_with(|c: char| c.is_ascii_digit()) => format!("_{symbol}"),
        (true, _) => symbol.to_string(),
        (false, true) => format!("{symbol}__exit"),
        (false, false) => format!("{symbol}__entry"),
    };
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(MAX_EVENT_NAME_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::super::place::Symbol;
    use super::super::{Command, parse_dynamic_line};
    use super::*;
    use crate::typetab::TypeTable;
    use std::string::String;

    struct Kernel;

    impl Resolver for Kernel {
        fn lookup(&self, name: &str) -> Result<Symbol, LookupError> {
            match name {
                "work_add" | "task::run" => Ok(Symbol { address: 0x1000, size: 64, entry_bytes: 8 }),
                "data" => Ok(Symbol { address: 0x8000, size: 64, entry_bytes: 0 }),
                _ => Err(LookupError::Missing),
            }
        }

        fn is_function_entry(&self, address: u64) -> bool {
            address == 0x1000
        }

        fn types(&self) -> TypeTable<'_> {
            TypeTable::EMPTY
        }

        fn has_functions(&self, pattern: &str) -> bool {
            crate::glob::matches(pattern, "work_add") || pattern == "task::run"
        }
    }

    fn shown(line: &str) -> String {
        match parse_dynamic_line(line, &Kernel) {
            Ok(Command::Define(definition)) => definition.to_string(),
            Ok(other) => panic!("{other:?}"),
            Err(error) => match error.log {
                Some(blame) => format!("{} at {}", blame.kind.text(), blame.column),
                None => format!("{:?}", error.errno),
            },
        }
    }

    /// Lines that Linux was asked about, with the names of this kernel.
    #[test]
    fn as_linux_reads_them() {
        for (line, listed) in [
            ("f work_add", "f:fprobes/work_add__entry work_add"),
            ("f:fp work_add", "f:fprobes/fp work_add"),
            ("f:g/fp work_add a=$arg1", "f:g/fp work_add a=$arg1"),
            ("f work_add%return", "f:fprobes/work_add__exit work_add%return"),
            ("f:fp work_add%return ret=$retval", "f:fprobes/fp work_add%return ret=$retval"),
            ("f:fp work_add a=$retval", "f:fprobes/fp work_add%return a=$retval"),
            ("f work_*", "f:fprobes/work____entry work_*"),
            ("f:fp w*%return a=$arg1", "f:fprobes/fp w*%return a=$arg1"),
            ("f task::run", "f:fprobes/task__run__entry task::run"),
            ("f:fp work_add a=$arg9", "f:fprobes/fp work_add a=$arg9"),
            ("f:fp work_add $stack0 $comm \\5", "f:fprobes/fp work_add arg1=$stack0 arg2=$comm arg3=\\5"),
            ("t sched_switch", "t:tracepoints/sched_switch sched_switch"),
            ("t:tp1 sched_switch a=$arg1", "t:tracepoints/tp1 sched_switch a=$arg1"),
            ("t:tp3 nosuchtp", "t:tracepoints/tp3 nosuchtp"),
            ("t 9p", "t:tracepoints/_9p 9p"),
            ("f:fp nosuchfunction", "Invalid probed address or symbol at 5"),
            ("f:fp nosuch*", "Invalid probed address or symbol at 5"),
            ("f:fp data", "Invalid probed address or symbol at 5"),
            ("f:fp work_add+16", "Invalid probed address or symbol at 5"),
            ("f:fp 0xffff800080000000", "Invalid probed address or symbol at 5"),
            ("f:fp work_add a=$nosuch", "Invalid $-variable specified at 16"),
            ("f:fp work_add a=%x0", "Invalid fetch argument at 16"),
            ("f:fp work_add%exit", "Invalid probed address suffix at 13"),
            ("f:fp work_add%return+0", "Invalid probed address suffix at 13"),
            ("f10:fp work_add", "Invalid maxactive number at 1"),
            ("f10:fp work_add%return", "Invalid maxactive number at 1"),
            ("fx:fp work_add", "Invalid maxactive number at 1"),
            ("f:1a work_add", "Event name must follow the same rules as C identifiers at 2"),
            ("f:fp work_add a=$arg1:string", "String accepts only memory argument at 22"),
            ("t:tp task_rename%return", "Invalid probed address suffix at 16"),
            ("t:tp sched_switch a=$retval", "$retval is not available on probe at 20"),
            ("t:tp sched_switch c=%x0", "Invalid fetch argument at 20"),
            ("t:tp sched_sw*", "Invalid character in tracepoint name at 13"),
            ("t10:tp sched_switch", "Invalid maxactive number at 1"),
            ("f:fp", "EINVAL(22)"),
        ] {
            assert_eq!(shown(line), listed, "{line}");
        }
    }
}
