//! The table of errors in the chapter on the grammar, held against the grammar.
//!
//! Each is two lines of the page: a command, and a caret under what is wrong with the sentence behind it.

use std::collections::HashSet;
use std::sync::LazyLock;

use tracecore::probe::{ErrorKind, LookupError, Resolver, Symbol, command_text, parse_dynamic_line};
use tracecore::typetab::encode::{Function, Type, encode};
use tracecore::typetab::{Outcome, Place, TypeId, TypeTable};

const PAGE: &str = include_str!("../../../docs/probe-grammar.md");

/// What the parser cannot find: it takes the kernel, other probes, or a sum.
const OTHERS: &[ErrorKind] = &[
    ErrorKind::EventExists,
    ErrorKind::NotInstructionBoundary,
    ErrorKind::RegistrationFailed,
    ErrorKind::DifferentProbeType,
    ErrorKind::DifferentArgType,
    ErrorKind::SameProbe,
    ErrorKind::EventTooBig,
    ErrorKind::TooManyArgs,
    ErrorKind::NotSavedAtReturn,
];

const ADD: u64 = 0xffff_8000_8000_1000;
const STRUCT: u64 = 0xffff_8000_8000_1040;
const SCHEDULE: u64 = 0xffff_8000_8000_1100;

/// The arguments of the functions above.
static TYPES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let types = [
        Type::Int { size: 8, signed: false },
        Type::Record("WorkItem".into(), 24, vec![(8, "len".into(), TypeId(0))]),
        Type::Pointer(TypeId(1)),
    ];
    let x = |name: &str, ty, x| (String::from(name), TypeId(ty), Place::Register(x));
    let functions = [
        Function { start: ADD, result: Outcome::Value(TypeId(0)), params: vec![x("a", 0, 0), x("b", 0, 1)] },
        Function { start: STRUCT, result: Outcome::Value(TypeId(0)), params: vec![x("item", 2, 0)] },
        Function { start: SCHEDULE, result: Outcome::Nothing, params: Vec::new() },
    ];
    encode(functions.into(), &types).expect("a table")
});

struct Names;

impl Resolver for Names {
    fn lookup(&self, name: &str) -> Result<Symbol, LookupError> {
        match name {
            "work_add" => Ok(Symbol { address: ADD, size: 28, entry_bytes: 8 }),
            "work_struct" => Ok(Symbol { address: STRUCT, size: 68, entry_bytes: 8 }),
            "task::schedule" => Ok(Symbol { address: SCHEDULE, size: 144, entry_bytes: 8 }),
            "vectors" => Ok(Symbol { address: 0xffff_8000_8000_0800, size: 2048, entry_bytes: 0 }),
            "twice" => Err(LookupError::Ambiguous),
            _ => Err(LookupError::Missing),
        }
    }

    fn is_function_entry(&self, _: u64) -> bool {
        false
    }

    fn types(&self) -> TypeTable<'_> {
        TypeTable::parse(&TYPES).expect("a good table")
    }
}

#[test]
fn the_table_of_errors_is_what_the_grammar_says() {
    let table = PAGE.split("<!-- errors -->").nth(1).expect("the page has a table");
    let lines: Vec<_> = table.lines().filter(|line| !line.starts_with("```") && !line.is_empty()).collect();
    let mut seen = HashSet::new();
    for pair in lines.chunks(2) {
        let [command, caret] = *pair else { panic!("{pair:?}") };
        let error = parse_dynamic_line(command, &Names).expect_err(command);
        let blame = error.log.expect(command);
        let blanks = " ".repeat(blame.column);
        assert_eq!(caret, format!("{blanks}^ {}, {}", blame.kind.text(), error.errno.name()), "{command}");
        assert_eq!(command_text(command), command);
        seen.insert(blame.kind);
    }
    for kind in ErrorKind::ALL {
        assert!(seen.contains(kind) != OTHERS.contains(kind), "{kind:?}");
        assert!(!OTHERS.contains(kind) || PAGE.contains(kind.text()), "{kind:?} is not told");
    }
}
