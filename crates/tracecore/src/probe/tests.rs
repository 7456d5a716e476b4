//! The grammar against what Linux said. Against noise: `tests/probe_fuzz.rs`.

use super::*;
use crate::typetab::{self, Outcome, TypeId, TypeTable, encode};
use std::format;
use std::string::String;
use std::sync::LazyLock;
use std::vec::Vec;

/// What Linux said of each line; see its first line.
const GOLDEN: &str = include_str!("golden.tsv");

const GETPPID: u64 = 0xffff_8000_8010_fb88;
const FTRACE_SITE: u64 = GETPPID + 4;

/// The one argument of the golden lines' function, which Linux knows from its own types.
static TYPES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let params = std::vec![(String::from("__unused"), TypeId(1), typetab::Place::Register(0))];
    let function = encode::Function { start: GETPPID, result: Outcome::Unknown, params };
    let types = [encode::Type::Opaque(0), encode::Type::Pointer(TypeId(0))];
    encode::encode(std::vec![function], &types).expect("a table")
});

/// A symbol table as the golden lines expect it, with some of our own names.
struct Table;

impl Resolver for Table {
    fn lookup(&self, name: &str) -> Result<Symbol, LookupError> {
        let (address, size, entry_bytes) = match name {
            "__arm64_sys_getppid" => (GETPPID, 0x80, 0),
            "el1h_64_sync" => (0xffff_8000_8001_1000, 0x100, 0),
            "ftrace_caller" => (0xffff_8000_8002_0000, 0x100, 0),
            "jiffies_64" => (0xffff_8000_8200_0000, 8, 0),
            "work_add" => (0xffff_8000_8000_1000, 16, 8),
            "task::schedule" => (0xffff_8000_8000_2000, 64, 8),
            "<fn(u8)->u8 as a::B+Send>::run::{closure#0}" => (0xffff_8000_8000_3000, 64, 8),
            "<fn(u8)->u8as_a::B+Send>::run::{closure#0}" => (0xffff_8000_8000_3000, 64, 8),
            "twice" => return Err(LookupError::Ambiguous),
            _ => return Err(LookupError::Missing),
        };
        Ok(Symbol { address, size, entry_bytes })
    }

    fn is_function_entry(&self, address: u64) -> bool {
        address == GETPPID
    }

    fn types(&self) -> TypeTable<'_> {
        TypeTable::parse(&TYPES).expect("a good table")
    }
}

/// Parses the line and then refuses what a kernel would refuse of the golden lines: vectors, the tracer, data,
/// words that are not aligned.
fn define(line: &str) -> Result<Command, ProbeError> {
    let command = parse_line(line, &Table)?;
    if let Command::Define(probe) = &command
        && let Some(address) = probe.place.address()
    {
        let refused = matches!(probe.place.symbol(), Some("el1h_64_sync" | "ftrace_caller" | "jiffies_64"));
        if refused || address % 4 != 0 || address == FTRACE_SITE || address == 0 {
            return Err(place_error(line, ErrorKind::RegistrationFailed));
        }
    }
    Ok(command)
}

fn probe(line: &str) -> Definition {
    match parse_line(line, &Table) {
        Ok(Command::Define(probe)) => probe,
        other => panic!("{line}: {other:?}"),
    }
}

fn refusal(line: &str) -> (ErrorKind, usize, i32) {
    let error = parse_line(line, &Table).expect_err(line);
    let blame = error.log.expect(line);
    (blame.kind, blame.column, error.errno.code())
}

#[test]
fn every_line_is_judged_as_linux_does() {
    let mut wrong = Vec::new();
    for row in GOLDEN.lines().filter(|row| !row.starts_with("# ")) {
        let mut fields = row.split('\t').map(String::from);
        let mut next = || fields.next().unwrap_or_default();
        let (line, errno, text, column, listed) = (next(), next(), next(), next(), next());
        let got = match define(&line) {
            Ok(Command::Define(probe)) => {
                // Linux fills in its default of ten where no MAXACTIVE was given.
                let shown = format!("{probe}");
                let shown = shown.strip_prefix("r:").map_or(shown.clone(), |rest| format!("r10:{rest}"));
                (String::new(), String::new(), String::new(), shown)
            }
            Ok(other) => (String::new(), String::new(), String::new(), format!("{other:?}")),
            Err(error) => {
                let number = if errno.is_empty() { String::new() } else { format!("{}", error.errno.code()) };
                let log = error.log.map(|blame| (blame.kind.text(), blame.column));
                let (text, column) = log.map_or_else(Default::default, |(t, c)| (t.into(), format!("{c}")));
                (number, text, column, String::new())
            }
        };
        // Removing what is not there is refused by the list of probes, not by the grammar.
        if line == "-:nosuch" {
            continue;
        }
        let want = (errno, text, column, listed);
        if got != want {
            wrong.push(format!("{line}\n   is   {got:?}\n   want {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn too_many_arguments() {
    let mut line = String::from("p:foo work_add");
    for n in 0..MAX_ARGS {
        line += &format!(" a{n}=%x0");
    }
    assert_eq!(probe(&line).args.len(), MAX_ARGS);
    line += " last=%x0";
    assert_eq!(refusal(&line), (ErrorKind::TooManyArgs, 15, 7));
}

#[test]
fn too_many_bytes() {
    let mut line = String::from("p:h8 __arm64_sys_getppid");
    for n in 1..=6 {
        line += &format!(" a{n}=+0(%sp):x64[64]");
    }
    assert_eq!(probe(&line).args.len(), 6);
    line += " a7=+0(%sp):x8[1]";
    assert_eq!(refusal(&line), (ErrorKind::EventTooBig, 145, 7));
}

#[test]
fn rust_paths_are_symbols() {
    let path = "<fn(u8)->u8as_a::B+Send>::run::{closure#0}";
    let address = 0xffff_8000_8000_3000;
    let at = |line: &str| probe(line).place;
    assert_eq!(at(&format!("p {path}")), Place::Symbol { name: path.into(), offset: 0, address });
    assert_eq!(
        at(&format!("p {path}+0x10")),
        Place::Symbol { name: path.into(), offset: 16, address: address + 16 }
    );
    assert_eq!(probe("p task::schedule+8").event, "p_task__schedule_8");
    assert_eq!(format!("{}", probe("p task::schedule+8")), "p:kprobes/p_task__schedule_8 task::schedule+8");
    assert_eq!(refusal(&format!("p {path}+64")), (ErrorKind::BadProbeAddress, 2, 2));
    assert_eq!(refusal("p task::nosuch"), (ErrorKind::BadProbeAddress, 2, 22));
    assert_eq!(refusal("p twice"), (ErrorKind::SymbolNotUnique, 2, Errno::EADDRNOTAVAIL.code()));
}

#[test]
fn comments_start_a_word() {
    assert_eq!(parse_line("", &Table), Ok(Command::Nothing));
    assert_eq!(parse_line("  \t ", &Table), Ok(Command::Nothing));
    assert_eq!(parse_line("  # p:foo work_add", &Table), Ok(Command::Nothing));
    assert_eq!(probe("p:foo work_add # a=%x0").args, []);
    assert_eq!(refusal("p:foo work_add#c").0, ErrorKind::BadProbeAddress);
}

#[test]
fn arguments_at_the_entry_padding_are_arguments() {
    let arg = |line: &str| probe(line).args[0].expr.source.clone();
    assert_eq!(arg("p work_add a=$arg1"), Source::Argument(0));
    assert_eq!(arg("p work_add+8 a=$arg2"), Source::Argument(1));
    assert_eq!(refusal("p work_add+12 a=$arg1").0, ErrorKind::NotAtEntry);
    // The table has nothing of this function.
    assert_eq!(refusal("p work_add $arg*"), (ErrorKind::BadVariable, 11, 22));
    assert_eq!(refusal("p work_add+8 a"), (ErrorKind::NoFunctionInformation, 13, 2));
    assert_eq!(refusal("p work_add+12 $arg*"), (ErrorKind::NotAtEntry, 14, 22));
    assert_eq!(probe("p work_add $arg1 %x1").args[1].name, "arg2");
}

#[test]
fn a_chain_of_dereferences_is_flat() {
    let expr = &probe("p work_add a=+8(-u16(@jiffies_64+8)):u32").args[0].expr;
    assert_eq!(expr.source, Source::Immediate(0xffff_8000_8200_0008));
    let steps: Vec<_> = expr.derefs.iter().map(|deref| (deref.offset, deref.user)).collect();
    assert_eq!(steps, [(0, false), (-16, true), (8, false)]);
}

#[test]
fn bit_fields_that_wrap_are_refused() {
    let line = "p work_add a=%x0:b18446744073709551615@1/32";
    assert_eq!(refusal(line), (ErrorKind::BadBitfield, 17, 22));
}

#[test]
fn no_column_lies_behind_the_command() {
    let line = "p:foo work_add a=+0x000000002(%x0):b62/32";
    assert_eq!(refusal(line), (ErrorKind::BadBitfield, line.len(), 22));
}

#[test]
fn probes_join_an_event_if_their_records_look_alike() {
    let place = "__arm64_sys_getppid";
    let first = probe(&format!("p:kp {place} a=%x0"));
    let verdict = |line: String| {
        let new = probe(&line);
        join(&new, &[&first], &line).map_err(|error| {
            let blame = error.log.expect("logged");
            assert_eq!(error.errno, Errno::EEXIST);
            (blame.kind, blame.column)
        })
    };
    assert_eq!(verdict(format!("p:kp {place}+16 a=%x0")), Ok(()));
    assert_eq!(verdict(format!("p:kp {place} a=%x1")), Ok(()));
    assert_eq!(verdict(format!("p:kp {place}+16 a=%x0:x64")), Ok(()));
    assert_eq!(verdict(format!("p:kp {place} a=%x0")), Err((ErrorKind::SameProbe, 0)));
    assert_eq!(verdict(format!("r:kp {place} a=%x0")), Err((ErrorKind::DifferentProbeType, 0)));
    let different = |column| Err((ErrorKind::DifferentArgType, column));
    assert_eq!(verdict(format!("p:kp {place}+16 a=%x0:u32")), different(28));
    assert_eq!(verdict(format!("p:kp {place}+16 b=%x0")), different(28));
    assert_eq!(verdict(format!("p:kp {place}+16 a=%x0 b=%x1")), different(34));
    assert_eq!(verdict(format!("p:kp {place}+16")), different(28));
    assert_eq!(join(&first, &[], "p:kp"), Ok(()));
}

#[test]
fn removal_names_what_it_means() {
    let removal = |line: &str| match parse_line(line, &Table) {
        Ok(Command::Remove(removal)) => removal,
        other => panic!("{line}: {other:?}"),
    };
    let one = probe("p:kp __arm64_sys_getppid+16 a=%x0 b=%x1");
    for hit in [
        "-:kp",
        "-:kprobes/kp",
        "-:kprobes/",
        "-:kp __arm64_sys_getppid+16",
        "-:kp __arm64_sys_getppid+16 a=%x0",
        "-:kp __arm64_sys_getppid+16 a=%x0 b=%x1",
    ] {
        assert!(removal(hit).matches(&one), "{hit}");
    }
    for miss in [
        "-:k",
        "-:mygrp/kp",
        "-:mygrp/",
        "-:kp __arm64_sys_getppid",
        "-:kp __arm64_sys_getppid+16 a=%x1",
        "-:kp __arm64_sys_getppid+16 a=%x0 b=%x1 c=%x2",
        "-:kp __arm64_sys_getppid+16 a",
    ] {
        assert!(!removal(miss).matches(&one), "{miss}");
    }
    for silent in ["-", "-:", "-foo", "--:foo"] {
        assert_eq!(parse_line(silent, &Table), Err(ProbeError::silent(Errno::EINVAL)), "{silent}");
    }
}

#[test]
fn what_is_listed_can_be_typed_back() {
    for line in [
        "p:kprobes/foo work_add+8 a=%x0 b=+8(+0(%x1)):x32",
        "r64:grp/foo work_add ret=$retval:s32 c=$comm:string",
        "p:kprobes/foo 0xffff800080001000 i=\\5 s=\\\"hi\" v=@jiffies_64+8:u64[4]",
        "p:kprobes/foo nosuchmod:func+4",
        "p:kprobes/foo nosuchmod:a->b+0",
    ] {
        assert_eq!(format!("{}", probe(line)), line);
    }
}

#[test]
fn an_overlong_line_is_refused() {
    let line = format!("p:foo work_add {}", "x".repeat(MAX_LINE_LEN));
    assert_eq!(parse_line(&line, &Table), Err(ProbeError::silent(Errno::EINVAL)));
}
