use super::*;
use crate::errno::Errno;
use crate::event::{Announced, Class, Field, LineStyle};
use crate::probe::{LookupError, Resolver, Symbol};
use crate::random::Random;
use crate::ring::{CpuRing, Mode};
use crate::symbolize::{SymbolAt, Symbolizer};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// The class that the lines of `golden.tsv` were written to.
fn class() -> Class {
    let text = |name, at| Field::new("__data_loc char[]", name, at, 4, true);
    Class {
        id: 1488,
        system: "kprobes".into(),
        name: "foo".into(),
        fields: vec![
            Field::new("unsigned long", "__probe_ip", 8, 8, false),
            Field::new("s32", "dfd", 16, 4, true),
            text("name", 20),
            Field::new("u64", "ptr", 24, 8, false),
            Field::new("u8", "b", 32, 1, false),
            Field::new("u64", "sym", 33, 8, false),
            Field::array("u32", "arr", "[]", 41, 8, false),
            Field::new("u8", "ch", 49, 1, false),
            text("st", 50),
            Field::array("char", "fixed", "[8]", 54, 8, false),
            Field::new("s8", "small", 62, 1, true),
            Field::array("u32", "odd", "[]", 64, 12, false),
        ],
        announced: Announced::Text(Cow::Borrowed("")),
        pieces: vec![],
        style: LineStyle::Named,
    }
}

struct Names;

impl Resolver for Names {
    fn lookup(&self, name: &str) -> Result<Symbol, LookupError> {
        match name {
            "vfs_read" | "do_sys_openat2" | "<a::b_as_f(u8)>::c" => {
                Ok(Symbol { address: 0x1000, size: 0x80, entry_bytes: 0 })
            }
            _ => Err(LookupError::Missing),
        }
    }

    fn is_function_entry(&self, _: u64) -> bool {
        false
    }
}

impl Symbolizer for Names {
    fn symbol_at(&self, address: u64) -> Option<SymbolAt<'_>> {
        let offset = address.checked_sub(0x1000).filter(|offset| *offset < 0x80)?;
        Some(SymbolAt { name: "vfs_read", offset, size: 0x80 })
    }
}

fn compile(text: &str) -> Result<Filter, FilterError> {
    Filter::compile(text, &class(), &Names, &Names)
}

/// A record of the class.
#[derive(Clone, Debug)]
struct Values {
    pid: i32,
    ip: u64,
    dfd: i32,
    ptr: u64,
    sym: u64,
    b: u8,
    small: i8,
    name: String,
    fixed: String,
    cpu: usize,
    comm: String,
}

impl Values {
    fn record(&self) -> Vec<u8> {
        const FIXED: usize = 80;
        let mut record = vec![0; FIXED];
        let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
        put(4, &self.pid.to_le_bytes());
        put(8, &self.ip.to_le_bytes());
        put(16, &self.dfd.to_le_bytes());
        put(20, &((self.name.len() as u32 + 1) << 16 | FIXED as u32).to_le_bytes());
        put(24, &self.ptr.to_le_bytes());
        put(32, &[self.b]);
        put(33, &self.sym.to_le_bytes());
        put(54, self.fixed.as_bytes());
        put(62, &[self.small as u8]);
        record.extend(self.name.as_bytes());
        record.push(0);
        record
    }

    fn comm(&self) -> [u8; COMM_LEN] {
        let mut comm = [0; COMM_LEN];
        comm[..self.comm.len()].copy_from_slice(self.comm.as_bytes());
        comm
    }

    fn accepted_by(&self, filter: &Filter) -> bool {
        let comm = self.comm();
        let context = Context { cpu: self.cpu, comm: &comm };
        let record = self.record();
        let verdict = filter.accepts(&record, &context);
        let mut padded = record.clone();
        padded.resize(record.len().next_multiple_of(8), 0);
        let words: Vec<u64> = padded.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        assert_eq!(filter.accepts_words(&words, &context), verdict);
        // The same out of the ring.
        let ring = CpuRing::new(2, Mode::Overwrite).expect("a ring");
        ring.set_on(true);
        let reserved = ring.reserve(record.len(), || 1).expect("room");
        reserved.put_bytes(0, &record);
        assert_eq!(filter.accepts_reserved(&reserved, &context), verdict);
        reserved.withdraw();
        verdict
    }
}

fn sample() -> Values {
    Values {
        pid: 7,
        ip: 0x1040,
        dfd: -2,
        ptr: 0xffff_0000_0000_0010,
        sym: 0x0102_0304_0506_0708,
        b: 200,
        small: -1,
        name: "/etc/passwd".into(),
        fixed: "eightlet".into(),
        cpu: 2,
        comm: "sh".into(),
    }
}

#[test]
fn refusals_are_those_of_linux() {
    let mut lines = 0;
    for line in include_str!("golden.tsv").lines() {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (text, errno, sentence, column) = (cell(), cell(), cell(), cell());
        match compile(text.trim_end()) {
            Ok(_) => assert_eq!(errno, "ok", "{text}"),
            Err(error) => {
                assert_eq!(error.errno.name(), errno, "{text}");
                assert_eq!(error.kind.text(), sentence, "{text}");
                assert_eq!(error.column.to_string(), column, "{text}");
            }
        }
        lines += 1;
    }
    assert!(lines > 60);
}

#[test]
fn what_a_filter_file_shows_of_a_refusal() {
    let explained = |text: &str| {
        let mut out = String::new();
        compile(text).expect_err("refused").explain(text, &mut out).map(|()| out)
    };
    assert_eq!(explained("no==1"), Ok("no==1\n   ^\nparse_error: Field not found\n\n".into()));
    // Never behind the end, though the error log's caret is.
    assert_eq!(
        explained("dfd=="),
        Ok("dfd==\n     ^\nparse_error: Invalid value (did you forget quotes)?\n\n".into())
    );
    assert_eq!(explained("&& dfd==1"), Ok("&& dfd==1\nError: (0)\n\n".into()));
}

#[test]
fn predicates() {
    let values = sample();
    for (text, want) in [
        ("dfd == -2", true),
        ("dfd != -2", false),
        ("dfd < 0", true),
        ("dfd <= -3", false),
        ("dfd >= -2", true),
        ("dfd > 0x10", false),
        ("dfd & 1", false),
        ("dfd & 0x40000000", true),
        ("small < 0", true),
        ("small == 255", true),
        ("small & 0x80", true),
        ("b == 200", true),
        ("b == 456", true),
        ("b < 0", false),
        ("ptr > 0x7fffffffffffffff", true),
        ("sym == 0x0102030405060708", true),
        ("sym.function == vfs_read", false),
        ("__probe_ip.function == vfs_read", true),
        ("__probe_ip.function != vfs_read", false),
        ("__probe_ip.function == 0x107f", true),
        ("(__probe_ip.function == <a::b_as_f(u8)>::c)&&dfd<0", true),
        ("common_pid == 7 && cpu == 2 && CPU < 3", true),
        ("comm == \"sh\" && COMM != 'bash'", true),
        ("comm ~ \"!s*\"", false),
        ("comm.ustring ~ \"?h\"", true),
        ("name == \"/etc/passwd\"", true),
        ("name == \"/etc/passw\"", false),
        ("name ~ \"*passwd\"", true),
        ("name ~ \"/etc*\"", true),
        ("name ~ \"*c/p*\"", true),
        ("name ~ \"/*/pass?d\"", true),
        ("name ~ \"/*/pass?\"", false),
        ("fixed == \"eightlet\"", true),
        ("fixed ~ \"eight\"", false),
        ("st == \"\"", true),
        ("!dfd == 3", true),
        ("!!dfd == 3", false),
        ("!(dfd == -2 && b == 200) || cpu == 3", false),
        ("!(dfd == 2 || !(b == 200))", true),
        ("dfd == 1 || b == 200 && cpu == 1 || cpu == 2", true),
        ("(dfd == 1 || b == 200) && cpu == 1", false),
        ("dfd == 1 ||", false),
        ("dfd == -2 && !", true),
        ("((((dfd==-2))))", true),
    ] {
        let filter = compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(values.accepted_by(&filter), want, "{text}");
    }
    assert!(compile("comm == 'x'").is_ok_and(|filter| filter.needs_comm()));
    assert!(compile("cpu == 1").is_ok_and(|filter| !filter.needs_comm()));
}

#[test]
fn limits_have_errors() {
    let join = |count: usize| vec!["b==1"; count].join("||");
    assert!(compile(&join(MAX_PREDICATES)).is_ok());
    assert_eq!(compile(&join(MAX_PREDICATES + 1)).map_err(|e| e.errno).err(), Some(Errno::ENOSPC));
    let text = |len| format!("name==\"{}\"", "x".repeat(len));
    assert!(compile(&text(MAX_TEXT - 1)).is_ok());
    let error = compile(&text(MAX_TEXT)).expect_err("too long");
    assert_eq!(error.kind, ErrorKind::OperandTooLong);
    let number = |digits: usize| compile(&format!("dfd=={}", "0".repeat(digits)));
    assert!(number(23).is_ok());
    assert_eq!(number(24).expect_err("too long").kind, ErrorKind::OperandTooLong);
    assert_eq!(compile("odd==1").expect_err("no number").kind, ErrorKind::IllegalOperation);
    assert_eq!(compile("name==1").expect_err("a text").kind, ErrorKind::ExpectText);
    let deep = format!("{}b==1{}", "(".repeat(2000), ")".repeat(2000));
    assert!(compile(&deep).is_ok());
    assert!(compile(&" ".repeat(MAX_EXPRESSION + 1)).is_err());
}

/// An expression as a tree: its text, and what it means for some values.
enum Tree {
    Number(&'static str, &'static str, i128),
    Text(&'static str, &'static str, &'static str),
    Not(Box<Tree>),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
}

const TEXTS: &[&str] = &["", "a", "ab", "abab", "b*", "*b", "*a*", "a?", "a*b", "[ab]*"];

impl Tree {
    fn new(random: &mut Random, depth: u32) -> Self {
        let inner = |random: &mut Random| Box::new(Self::new(random, depth - 1));
        match if depth == 0 { 3 } else { random.below(6) } {
            0 => Self::Not(inner(random)),
            1 => Self::And(inner(random), inner(random)),
            2 => Self::Or(inner(random), inner(random)),
            3 => {
                let field = random.pick(&["name", "fixed", "comm"]);
                Self::Text(field, random.pick(&["==", "!=", "~"]), random.pick(TEXTS))
            }
            _ => {
                let field = random.pick(&["common_pid", "dfd", "small", "b", "ptr", "sym", "cpu"]);
                let signed = !matches!(field, "b" | "ptr" | "sym");
                let value = i128::from(random.below(6)) - if signed { 3 } else { 0 };
                Self::Number(field, random.pick(&["==", "!=", "<", "<=", ">", ">=", "&"]), value)
            }
        }
    }

    /// Parentheses only where they are needed, and blanks at random.
    fn text(&self, random: &mut Random, tightness: u32) -> String {
        let blank = random.pick(&["", " ", "  "]);
        let (mine, text) = match self {
            Self::Number(field, op, value) => {
                let value = match (random.below(2), *value >= 0) {
                    (0, true) => format!("{value:#x}"),
                    _ => value.to_string(),
                };
                (3, format!("{field}{blank}{op}{blank}{value}"))
            }
            Self::Text(field, op, value) => {
                let quote = random.pick(&["'", "\""]);
                (3, format!("{field}{blank}{op}{blank}{quote}{value}{quote}"))
            }
            Self::Not(inner) => (3, format!("!{}", inner.text(random, 3))),
            Self::And(a, b) => (2, format!("{}{blank}&&{blank}{}", a.text(random, 2), b.text(random, 2))),
            Self::Or(a, b) => (1, format!("{}{blank}||{blank}{}", a.text(random, 1), b.text(random, 1))),
        };
        if mine < tightness { format!("({blank}{text}{blank})") } else { text }
    }

    fn holds(&self, values: &Values) -> bool {
        match self {
            Self::Number(field, op, with) => {
                let (found, bits): (i128, u32) = match *field {
                    "common_pid" => (values.pid.into(), 32),
                    "dfd" => (values.dfd.into(), 32),
                    "small" => (values.small.into(), 8),
                    "b" => (values.b.into(), 8),
                    "ptr" => (values.ptr.into(), 64),
                    "sym" => (values.sym.into(), 64),
                    _ => (values.cpu as i128, 32),
                };
                match *op {
                    "==" => found == *with,
                    "!=" => found != *with,
                    "<" => found < *with,
                    "<=" => found <= *with,
                    ">" => found > *with,
                    ">=" => found >= *with,
                    _ => found & with & ((1 << bits) - 1) != 0,
                }
            }
            Self::Text(field, op, with) => {
                let found = match *field {
                    "name" => &values.name,
                    "fixed" => &values.fixed,
                    _ => &values.comm,
                };
                match *op {
                    "==" => found == with,
                    "!=" => found != with,
                    _ => crate::glob::matches(with, found),
                }
            }
            Self::Not(a) => !a.holds(values),
            Self::And(a, b) => a.holds(values) && b.holds(values),
            Self::Or(a, b) => a.holds(values) || b.holds(values),
        }
    }
}

fn values(random: &mut Random) -> Values {
    let mut near = || random.below(8) as i64 - 4;
    let (pid, dfd, small) = (near() as i32, near() as i32, near() as i8);
    Values {
        pid,
        dfd,
        small,
        ip: random.below(0x2000),
        ptr: random.below(6),
        sym: random.below(6),
        b: random.below(6) as u8,
        name: random.pick(&["", "a", "ab", "abab", "b", "ba"]).into(),
        fixed: random.pick(&["", "a", "ab", "abababab", "b"]).into(),
        cpu: random.below(4) as usize,
        comm: random.pick(&["", "a", "ab", "abababababababab", "b"]).into(),
    }
}

#[test]
fn a_program_says_what_the_expression_means() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut kept = 0;
    for _ in 0..4000 {
        let tree = Tree::new(&mut random, 5);
        let text = tree.text(&mut random, 0);
        let filter = match compile(&text) {
            Ok(filter) => filter,
            Err(error) => panic!("{text}: {error} at {}", error.column),
        };
        for _ in 0..8 {
            let values = values(&mut random);
            let want = tree.holds(&values);
            assert_eq!(values.accepted_by(&filter), want, "{text} of {values:?}");
            kept += u32::from(want);
        }
    }
    // Neither all nor none.
    assert!((8_000..24_000).contains(&kept), "{kept}");
}

#[test]
fn damaged_expressions_are_refused_or_mean_something() {
    let mut random = Random(0x0123_4567_89ab_cdef);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut text = Tree::new(&mut random, 3).text(&mut random, 0).into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len() as u64 + 1) as usize;
            match random.below(3) {
                0 if at < text.len() => {
                    text.remove(at);
                }
                1 => text.insert(at, random.pick(b"()!&|=<>~'\" \t*-0x1a_.~\x7f\x01")),
                _ => text.truncate(at.max(1)),
            }
        }
        let Ok(text) = String::from_utf8(text) else { continue };
        match compile(&text) {
            Ok(filter) => {
                taken += 1;
                let mut record = values(&mut random).record();
                record[20..24].copy_from_slice(&(random.below(1 << 32) as u32).to_le_bytes());
                record.truncate(random.below(100) as usize);
                let comm = [b'a'; COMM_LEN];
                // Whatever the record: an answer.
                filter.accepts(&record, &Context { cpu: 0, comm: &comm });
            }
            Err(error) => {
                refused += 1;
                assert!(error.column <= text.len() + 1, "{text}: {} at {}", error, error.column);
            }
        }
    }
    assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
}
