//! Probe lines at random, from the text to the text of a record: whatever the line, there is an answer.
//!
//! ```text
//!   a line made by the grammar ─┐
//!   one that Linux was asked    ├─▶ damaged, or not ─▶ parse ─▶ refused: the column lies in the command
//!   bytes                      ─┘                        │
//!                                                        ├─▶ printed, parsed again: the same definition
//!                                                        └─▶ compiled, run over memory with holes, printed:
//!                                                            no panic, nothing outside the record
//! ```
//!
//! `cargo test` runs a part of it that takes a second. All of it, or another part:
//!
//! ```text
//!   FUZZ_LINES=1000000 FUZZ_SEED=7 cargo test --release -p tracecore --test probe_fuzz
//! ```
//!
//! The same seed makes the same lines. What fails says the line.

use std::sync::LazyLock;

use a64::UserRegs;
use tracecore::event::{PROBE_ARGS_AT, RETURN_ARGS_AT, probe_class};
use tracecore::fetch::{Comm, Env, Fault, Hit, Program, SafeMemory};
use tracecore::probe::{
    Command, Definition, ErrorKind, LookupError, Resolver, Symbol, command_text, join, parse_line,
};
use tracecore::ring::MAX_RECORD_BYTES;
use tracecore::symbolize::{SymbolAt, Symbolizer};
use tracecore::typetab::encode::{Function, Type, encode};
use tracecore::typetab::{Outcome as Returns, Place, TypeId, TypeTable};

/// Lines that `cargo test` runs.
const LINES: u64 = 60_000;
const SEED: u64 = 7;

/// What Linux was asked, as a start for damage.
const GOLDEN: &str = include_str!("../src/probe/golden.tsv");

/// Names, and memory with a hole in every other page.
struct World;

impl Resolver for World {
    fn lookup(&self, name: &str) -> Result<Symbol, LookupError> {
        let address = match name {
            "work_add" | "__arm64_sys_getppid" => 0xffff_8000_8000_1000,
            "task::schedule" => 0xffff_8000_8000_2000,
            "<fn(u8)->u8as_a::B+Send>::run::{closure#0}" => 0xffff_8000_8000_3000,
            "jiffies_64" => 0xffff_8000_8200_0000,
            "twice" => return Err(LookupError::Ambiguous),
            _ => return Err(LookupError::Missing),
        };
        Ok(Symbol { address, size: 64, entry_bytes: 8 })
    }

    fn is_function_entry(&self, address: u64) -> bool {
        address.is_multiple_of(0x1000)
    }

    fn types(&self) -> TypeTable<'_> {
        TypeTable::parse(&TYPES).expect("a good table")
    }
}

/// A function with arguments of every kind, and fields that lead back to where they are.
static TYPES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let field = |at, name: &str, ty| (at, String::from(name), TypeId(ty));
    let fields = vec![
        field(0, "len", 1),
        field(8, "next", 3),
        field(16, "text", 4),
        field(32, "name", 5),
        field(48, "words", 6),
        field(112, "ready", 7),
        field(113, "letter", 8),
        field(117, "rest", 9),
    ];
    let types = [
        Type::Int { size: 1, signed: false },
        Type::Int { size: 4, signed: true },
        Type::Record("Item".into(), 200, fields),
        Type::Pointer(TypeId(2)),
        Type::Text(16, 0, 8),
        Type::Array(TypeId(0), 16),
        Type::Array(TypeId(1), 16),
        Type::Bool,
        Type::Char,
        Type::Opaque(3),
        Type::Record("&[u8]".into(), 16, vec![field(0, "data_ptr", 11), field(8, "length", 1)]),
        Type::Pointer(TypeId(0)),
    ];
    let params = [
        ("item", 3, Place::Register(0)),
        ("text", 4, Place::Pair(1, 2)),
        ("bytes", 10, Place::Pair(3, 4)),
        ("value", 2, Place::Memory(5)),
        ("start", 11, Place::Register(6)),
    ];
    let function = Function {
        start: 0xffff_8000_8000_1000,
        result: Returns::Value(TypeId(3)),
        params: params.map(|(name, ty, place)| (name.into(), TypeId(ty), place)).into(),
    };
    encode(vec![function], &types).expect("a table")
});

impl SafeMemory for World {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        for (byte, at) in into.iter_mut().zip(0..) {
            let at = address.wrapping_add(at);
            if at >> 12 & 1 != 0 {
                return Err(Fault);
            }
            // Every text ends, and where depends on where it begins.
            *byte = if at % 61 == 0 { 0 } else { (at ^ at >> 8) as u8 };
        }
        Ok(())
    }
}

impl Symbolizer for World {
    fn symbol_at(&self, address: u64) -> Option<SymbolAt<'_>> {
        address.is_multiple_of(3).then_some(SymbolAt { name: "task::schedule", offset: address, size: 64 })
    }
}

/// Steele's and Vigna's splitmix64: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn number(&mut self) -> String {
        let value = self.next() >> self.below(64);
        match self.below(3) {
            0 => format!("{value:#x}"),
            1 => format!("{}", value % 100),
            _ => format!("{value}"),
        }
    }
}

/// A line as the grammar has it; most of them are accepted.
fn line(random: &mut Random) -> String {
    let head = random.pick(&["p", "p:foo", "p:grp/foo", "p:grp/", "r", "r:foo", "r16:grp/foo", "p:g.e"]);
    let place = match random.below(5) {
        0 => String::from("0xffff800080001000"),
        1 => format!("work_add+{}", 4 * random.below(16)),
        _ => random.pick(&["work_add", "task::schedule", "work_add%return", "mod:sym"]).into(),
    };
    let mut line = format!("{head} {place}");
    for n in 0..random.below(6) {
        line.push(' ');
        if random.below(3) != 0 {
            line += &format!("a{n}=");
        }
        line += &fetch(random, 0);
        line += &ty(random);
    }
    line
}

fn fetch(random: &mut Random, depth: usize) -> String {
    match random.below(if depth < 4 { 17 } else { 14 }) {
        0 => random.pick(&["%sp", "%pc", "%lr", "%pstate", "%fp"]).into(),
        1 => format!("$stack{}", random.below(20)),
        2 => random.pick(&["$stack", "$comm", "$retval", "$COMM"]).into(),
        3 => format!("$arg{}", 1 + random.below(10)),
        4 => format!("@{}", random.number()),
        5 => random.pick(&["@jiffies_64", "@jiffies_64+8", "@task::schedule-4"]).into(),
        6 => format!("\\{}{}", random.pick(&["", "-"]), random.number()),
        7 => format!("\\\"{}\"", random.pick(&["", "hi", "a_longer_text_than_a_word"])),
        8..=10 => format!("%x{}", random.below(31)),
        11..=13 => named(random),
        _ => {
            let (sign, user) = (random.pick(&["+", "-"]), random.pick(&["", "", "u"]));
            format!("{sign}{user}{}({})", random.below(300), fetch(random, depth + 1))
        }
    }
}

/// An argument by name, with fields behind it that mostly are there.
fn named(random: &mut Random) -> String {
    let mut name =
        String::from(random.pick(&["item", "item", "text", "bytes", "value", "start", "$retval", "$arg*"]));
    if !matches!(name.as_str(), "item" | "value" | "$retval") {
        return name + random.pick(&["", "", ".length", ".data_ptr", ".x", "->len"]);
    }
    for n in 0..random.below(5) {
        name += if n == 0 && name == "value" { "." } else { "->" };
        name += random.pick(&[
            "next",
            "next",
            "next",
            "next->len",
            "text",
            "name",
            "words[3]",
            "words",
            "ready",
            "rest",
        ]);
    }
    name
}

fn ty(random: &mut Random) -> String {
    const TYPES: &[&str] = &[
        "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "x8", "x16", "x32", "x64", "char", "symbol",
        "symstr", "string", "ustring",
    ];
    let name = match random.below(8) {
        0 | 1 => return String::new(),
        2 => {
            let (size, offset) = (8 << random.below(4), random.below(9));
            format!("b{}@{offset}/{size}", 1 + random.below(9))
        }
        _ => random.pick(TYPES).into(),
    };
    match random.below(4) {
        0 => format!(":{name}[{}]", 1 + random.below(70)),
        _ => format!(":{name}"),
    }
}

/// Takes out, puts in, cuts off, or joins with another line.
fn damage(line: &str, other: &str, random: &mut Random) -> String {
    const PIECES: &[&str] = &[
        ":",
        "/",
        "+",
        "-",
        "(",
        ")",
        "=",
        "%",
        "$",
        "@",
        "\\",
        "\"",
        "[",
        "]",
        " ",
        "\t",
        "#",
        "0x",
        "9",
        "u",
        "b4@2/32",
        "string",
        "$arg",
        "$stack",
        "%x0",
        "+0(",
        "\u{e9}",
        "\u{1f980}",
        "\0",
        "work_add",
        "r",
        "p:",
        "a=",
        ",",
        ";",
        ".",
        "*",
        "18446744073709551615",
        "-1",
        "->",
        "->next",
        "$arg*",
        "item",
    ];
    let mut line: Vec<char> = line.chars().collect();
    for _ in 0..=random.below(3) {
        let at = random.below(line.len() + 1);
        match random.below(4) {
            0 if at < line.len() => drop(line.remove(at)),
            1 => line.truncate(at),
            2 => {
                let from: Vec<char> = other.chars().collect();
                line.truncate(at);
                line.extend(&from[random.below(from.len() + 1)..]);
            }
            _ => drop(line.splice(at..at, random.pick(PIECES).chars())),
        }
    }
    line.into_iter().collect()
}

fn noise(random: &mut Random) -> String {
    let length = random.below(80);
    let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    let printable: String = bytes.iter().map(|byte| char::from(b' ' + byte % 95)).collect();
    match random.below(4) {
        0 => String::from_utf8_lossy(&bytes).into_owned(),
        1 => format!("p {printable}"),
        2 => format!("p:foo work_add a={printable}"),
        _ => format!("p:foo work_add {printable}"),
    }
}

/// What became of a line.
enum Outcome {
    Defined,
    Refused(Option<ErrorKind>),
    Other,
}

fn check(line: &str, random: &mut Random) -> Outcome {
    match parse_line(line, &World) {
        Ok(Command::Define(first)) => {
            let shown = first.to_string();
            match parse_line(&shown, &World) {
                Ok(Command::Define(again)) => assert_eq!(first, again, "{line:?}"),
                other => panic!("{line:?} is listed as {shown:?}: {other:?}"),
            }
            let same = join(&first, &[&first], &shown).expect_err("the same probe").log;
            assert_eq!(same.map(|blame| blame.kind), Some(ErrorKind::SameProbe), "{line:?}");
            run(line, &first, random);
            Outcome::Defined
        }
        Ok(_) => Outcome::Other,
        Err(error) => {
            if let Some(blame) = error.log {
                assert!(blame.column <= command_text(line).len(), "{line:?}: {blame:?}");
            }
            Outcome::Refused(error.log.map(|blame| blame.kind))
        }
    }
}

/// Makes a record of the probe, and its text.
fn run(line: &str, probe: &Definition, random: &mut Random) {
    let base = if probe.is_return() { RETURN_ARGS_AT } else { PROBE_ARGS_AT };
    let class = probe_class(1024, probe);
    assert!(class.format().contains("print fmt: "), "{line:?}");
    let Ok(program) = Program::compile(&probe.args, base, probe.is_return()) else { return };
    let mut regs = UserRegs { sp: random.next(), pc: random.next(), ..UserRegs::default() };
    for n in 0..31 {
        // Small numbers, addresses of both halves, anything.
        let value = random.next();
        regs.set_x(n, [value, value % 300, value % 0x20_0000, value | 0xffff_8000 << 32][n as usize % 4]);
    }
    let entry_args: Vec<u64> = program.entry_args().iter().map(|_| random.next()).collect();
    let env = Env { memory: &World, symbols: &World };
    let comm = Comm::from(*b"a-name-of-15-by\0");
    let hit = Hit { regs: (&regs).into(), comm, entry_args: &entry_args, env: &env };
    let length = program.fixed_len() + program.text_len(&hit);
    assert!(length <= MAX_RECORD_BYTES, "{line:?}: {length}");
    // As if memory had changed since it was measured.
    let length = length.saturating_sub(random.below(3) * random.below(20)).max(program.fixed_len());
    let mut record = vec![0xaa; length];
    program.store(&hit, &mut record);
    for field in class.fields.iter().filter(|field| field.is_location()) {
        for place in record[usize::from(field.offset)..][..usize::from(field.size)].as_chunks::<4>().0 {
            let place = u32::from_le_bytes(*place);
            let (at, text_len) = ((place & 0xffff) as usize, (place >> 16) as usize);
            assert!(at >= program.fixed_len() && at + text_len <= length, "{line:?}: {place:#x}");
            assert!(text_len == 0 || record[at + text_len - 1] == 0, "{line:?}: a text without an end");
        }
    }
    let mut text = Vec::new();
    class.print(&record, &World, &mut text);
    assert!(text.ends_with(b"\n"), "{line:?}");
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn whatever_the_line_there_is_an_answer() {
    let (lines, seed) = (from_environment("FUZZ_LINES", LINES), from_environment("FUZZ_SEED", SEED));
    let golden: Vec<&str> =
        GOLDEN.lines().skip(1).map(|row| row.split('\t').next().unwrap_or_default()).collect();
    let mut random = Random(seed);
    let (mut defined, mut refused, mut other) = (0_u64, 0_u64, 0_u64);
    let mut kinds = std::collections::HashSet::new();
    for _ in 0..lines {
        let made = line(&mut random);
        let line = match random.below(8) {
            0..=2 => made,
            3 | 4 => damage(&made, random.pick(&golden), &mut random),
            5 | 6 => damage(random.pick(&golden), &made, &mut random),
            _ => noise(&mut random),
        };
        match check(&line, &mut random) {
            Outcome::Defined => defined += 1,
            Outcome::Refused(kind) => {
                refused += 1;
                kinds.extend(kind);
            }
            Outcome::Other => other += 1,
        }
    }
    println!(
        "{lines} lines: {defined} defined, {refused} refused for {} reasons, {other} other",
        kinds.len()
    );
    // A run that only meets one kind of answer tests nothing.
    assert!(defined > lines / 10 && refused > lines / 10, "{defined} {refused}");
    assert!(lines < LINES || kinds.len() > 50, "{kinds:?}");
}
