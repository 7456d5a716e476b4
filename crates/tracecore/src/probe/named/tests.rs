//! Names against what Linux said of its own functions, and what goes further.
//!
//! Not among the lines: errors of words behind `$arg*`. Linux counts words as if those that it stands for were in the line,
//! and its caret is behind it; here it is under the word.

use super::super::{
    Command, Definition, ErrorKind, Expr, LookupError, Resolver, Source, Symbol, parse_dynamic_line,
    parse_line,
};
use crate::event::probe_class;
use crate::typetab::encode::{Function, Type, encode};
use crate::typetab::{Outcome, Place, TypeId, TypeTable};
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// What Linux said of each line; see its first line.
const GOLDEN: &str = include_str!("golden.tsv");

/// Functions begin here, one after the other.
const BASE: u64 = 0xffff_8000_8000_0000;
const FUNCTIONS: [&str; 8] = [
    "do_sys_openat2",
    "vfs_read",
    "wake_up_process",
    "schedule",
    "slices",
    "wrapped",
    "vectors",
    "switch::raw",
];

const S32: TypeId = TypeId(0);
const U32: TypeId = TypeId(1);
const U64: TypeId = TypeId(2);
const S64: TypeId = TypeId(3);
const CHAR: TypeId = TypeId(4);
const STRING: TypeId = TypeId(5);
const OPEN_HOW: TypeId = TypeId(6);
const HOW: TypeId = TypeId(7);
const FILE: TypeId = TypeId(8);
const FILE_AT: TypeId = TypeId(9);
const PATH: TypeId = TypeId(10);
const DENTRY: TypeId = TypeId(11);
const DENTRY_AT: TypeId = TypeId(12);
const NAME: TypeId = TypeId(13);
const TASK: TypeId = TypeId(14);
const TASK_AT: TypeId = TypeId(15);
const COMM: TypeId = TypeId(16);
const ENTITY: TypeId = TypeId(17);
const TEXT: TypeId = TypeId(18);
const BYTES: TypeId = TypeId(19);
const ATOMIC: TypeId = TypeId(20);
const SHARED: TypeId = TypeId(21);
const LINE: TypeId = TypeId(22);
const LINE_AT: TypeId = TypeId(23);
const WORDS: TypeId = TypeId(24);
const OWNED: TypeId = TypeId(25);
const NOTHING: TypeId = TypeId(26);
const NOTHING_AT: TypeId = TypeId(27);

fn types() -> Vec<Type> {
    let int = |size, signed| Type::Int { size, signed };
    let record = |name: &str, size, fields: &[(u64, &str, TypeId)]| {
        let fields = fields.iter().map(|(at, name, ty)| (*at, String::from(*name), *ty)).collect();
        Type::Record(name.into(), size, fields)
    };
    vec![
        int(4, true),
        int(4, false),
        int(8, false),
        int(8, true),
        int(1, false),
        Type::Pointer(CHAR),
        record("open_how", 24, &[(0, "flags", U64), (8, "mode", U64), (16, "resolve", U64)]),
        Type::Pointer(OPEN_HOW),
        record("file", 176, &[(4, "f_mode", U32), (16, "f_path", PATH)]),
        Type::Pointer(FILE),
        record("path", 16, &[(0, "mnt", STRING), (8, "dentry", DENTRY_AT)]),
        record("dentry", 192, &[(0, "d_flags", U32), (32, "d_name", NAME)]),
        Type::Pointer(DENTRY),
        record("qstr", 16, &[(0, "hash", U32), (4, "len", U32), (8, "name", STRING)]),
        record(
            "task_struct",
            4096,
            &[
                (24, "on_cpu", U32),
                (32, "prio", S32),
                (40, "pid", S32),
                (128, "se", ENTITY),
                (1000, "comm", COMM),
            ],
        ),
        Type::Pointer(TASK),
        Type::Array(CHAR, 16),
        record("sched_entity", 256, &[(0, "load", U64), (64, "vruntime", U64)]),
        Type::Text(16, 0, 8),
        record("&[u8]", 16, &[(0, "data_ptr", STRING), (8, "length", U64)]),
        record("AtomicU32", 4, &[(0, "v", U32)]),
        record("Arc", 8, &[(0, "ptr", LINE_AT)]),
        record(
            "Line",
            96,
            &[
                (0, "count", ATOMIC),
                (8, "text", TEXT),
                (24, "words", WORDS),
                (56, "owned", OWNED),
                (80, "next", SHARED),
                (88, "n", SHARED),
            ],
        ),
        Type::Pointer(LINE),
        Type::Array(U64, 4),
        Type::Text(24, 8, 16),
        Type::Opaque(0),
        Type::Pointer(NOTHING),
    ]
}

fn table() -> Vec<u8> {
    let function = |number: u64, result, params: &[(&str, TypeId, Place)]| Function {
        start: BASE + number * 64,
        result,
        params: params.iter().map(|(name, ty, place)| (String::from(*name), *ty, *place)).collect(),
    };
    let x = Place::Register;
    let functions = vec![
        function(
            0,
            Outcome::Value(S32),
            &[("dfd", S32, x(0)), ("filename", STRING, x(1)), ("how", HOW, x(2))],
        ),
        function(
            1,
            Outcome::Value(S64),
            &[("file", FILE_AT, x(0)), ("buf", STRING, x(1)), ("count", U64, x(2)), ("pos", HOW, x(3))],
        ),
        function(2, Outcome::Value(S32), &[("p", TASK_AT, x(0))]),
        function(3, Outcome::Nothing, &[]),
        function(
            4,
            Outcome::Unknown,
            &[
                ("text", TEXT, Place::Pair(0, 1)),
                ("bytes", BYTES, Place::Pair(2, 3)),
                ("how", OPEN_HOW, Place::Memory(4)),
            ],
        ),
        function(5, Outcome::Value(LINE_AT), &[("line", SHARED, x(0)), ("none", NOTHING_AT, x(1))]),
        function(
            7,
            Outcome::Nothing,
            &[
                ("preempted", U32, x(0)),
                ("name", TEXT, Place::Pair(1, 2)),
                ("prev", TASK_AT, x(3)),
                ("data", NOTHING_AT, x(4)),
            ],
        ),
    ];
    encode(functions, &types()).expect("a table")
}

struct World(Vec<u8>);

impl Resolver for World {
    fn lookup(&self, name: &str) -> Result<Symbol, LookupError> {
        let number = FUNCTIONS.iter().position(|function| *function == name).ok_or(LookupError::Missing)?;
        Ok(Symbol { address: BASE + number as u64 * 64, size: 64, entry_bytes: 0 })
    }

    fn is_function_entry(&self, address: u64) -> bool {
        address == BASE
    }

    fn tracepoint(&self, name: &str) -> Option<u64> {
        self.lookup(&format!("{name}::raw")).ok().map(|found| found.address)
    }

    fn types(&self) -> TypeTable<'_> {
        TypeTable::parse(&self.0).expect("a good table")
    }
}

fn probe(line: &str) -> Definition {
    match parse_dynamic_line(line, &World(table())) {
        Ok(Command::Define(probe)) => probe,
        other => panic!("{line}: {other:?}"),
    }
}

fn refusal(line: &str) -> (ErrorKind, usize) {
    let blame = parse_dynamic_line(line, &World(table())).expect_err(line).log.expect(line);
    (blame.kind, blame.column)
}

/// `format`'s text of the arguments.
fn shown(probe: &Definition) -> String {
    let format = probe_class(1, probe).format();
    let text = format.split("print fmt: \"").nth(1).and_then(|text| text.split_once(") "));
    text.and_then(|(_, text)| text.rsplit_once("\", REC->__probe")).map_or("", |(text, _)| text).into()
}

#[test]
fn every_line_is_judged_as_linux_does() {
    let world = World(table());
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in GOLDEN.lines().skip(1) {
        rows += 1;
        let (line, want) = row.split_once('\t').expect(row);
        let got = match parse_line(line, &world) {
            Ok(Command::Define(probe)) => {
                // Linux fills in its default of ten where no MAXACTIVE was given.
                let listed = format!("{probe}");
                let listed = listed.strip_prefix("r:").map_or(listed.clone(), |rest| format!("r10:{rest}"));
                format!("\t\t\t{listed}\t{}", shown(&probe))
            }
            Ok(_) => panic!("{line} defines nothing"),
            Err(error) => {
                let blame = error.log.expect(line);
                format!("{}\t{}\t{}\t\t", error.errno.code(), blame.kind.text(), blame.column)
            }
        };
        if got != want {
            wrong.push(format!("{line}\n  want {want}\n  got  {got}"));
        }
    }
    assert!(wrong.is_empty() && rows > 80, "{rows}\n{}", wrong.join("\n"));
}

/// The same program as a line that says registers and offsets.
#[test]
fn fields_are_steps_through_memory() {
    for (named, plain) in [
        ("vfs_read file->f_path.dentry->d_name.name:string", "+0(+40(+24($arg1))):string"),
        ("vfs_read x=file->f_mode", "x=+4($arg1):u32"),
        ("wake_up_process x=p->se.vruntime", "x=+192($arg1):u64"),
        ("wake_up_process p->comm:string", "+1000($arg1):string"),
        ("do_sys_openat2 filename:ustring", "filename=+u0($arg2):ustring"),
        ("do_sys_openat2 dfd", "dfd=$arg1:s32"),
        ("wrapped x=line->count", "x=+0($arg1):u32"),
        ("wrapped x=line->words[3]", "x=+48($arg1):u64"),
        ("wrapped x=line->next->words[0x1]", "x=+32(+80($arg1)):u64"),
        ("wrapped x=line->text:x64", "x=+8($arg1):x64"),
        ("slices x=how.mode", "x=+8($arg5):u64"),
        ("slices x=bytes.length", "x=$arg4:u64"),
        ("slices x=bytes.data_ptr", "x=$arg3"),
        ("slices x=bytes", "x=$arg3"),
        ("slices x=text:x64", "x=$arg1"),
    ] {
        let function = named.split(' ').next().unwrap_or_default();
        let [mut a, mut b] =
            [named, &format!("{function} {plain}")].map(|line| probe(&format!("p:a {line}")));
        for args in [&mut a.args, &mut b.args] {
            args.iter_mut().for_each(|arg| arg.text.clear());
        }
        assert_eq!(a.args, b.args, "{named}");
    }
    let result = probe("r:a wrapped $retval->words[2]");
    assert_eq!(shown(&result), "arg1=%Lu");
}

/// A tracepoint hands its arguments on as words: each has the number of its place in the row.
#[test]
fn tracepoints_have_names() {
    let all = probe("t:a switch $arg* prev->pid");
    assert_eq!(
        format!("{all}"),
        "t:tracepoints/a switch preempted=preempted name=name prev=prev arg4=prev->pid"
    );
    assert_eq!(shown(&all), "preempted=%u name=0x%Lx prev=0x%Lx arg4=%d");
    let sources: Vec<_> = all.args.iter().map(|arg| arg.expr.source.clone()).collect();
    assert_eq!(sources, [0, 1, 2, 2].map(Source::Argument));
    for (line, kind, column) in [
        ("t:a switch data", ErrorKind::NoSuchVariable, 11),
        ("t:a switch prev->nosuch", ErrorKind::NoSuchField, 17),
        ("t:a switch name:string", ErrorKind::NotForString, 11),
        ("t:a nosuch x", ErrorKind::NoFunctionInformation, 11),
        ("t:a nosuch $arg*", ErrorKind::BadVariable, 11),
    ] {
        assert_eq!(refusal(line), (kind, column), "{line}");
    }
}

#[test]
fn slices_are_texts_with_their_length() {
    let slices = probe("p:a slices $arg*");
    assert_eq!(
        format!("{slices}"),
        "p:kprobes/a slices text=text bytes_data_ptr=bytes.data_ptr bytes_length=bytes.length how=how"
    );
    assert_eq!(shown(&slices), "text=\\\"%s\\\" bytes_data_ptr=0x%Lx bytes_length=%Lu how=0x%Lx");
    let text = &slices.args[0];
    assert_eq!(text.length.as_ref().map(|length| &length.source), Some(&Source::Argument(1)));
    let owned = probe("p:a wrapped line->owned");
    let offsets = |expr: &Expr| expr.derefs.iter().map(|deref| deref.offset).collect::<Vec<_>>();
    assert_eq!(offsets(&owned.args[0].expr), [64, 0]);
    assert_eq!(owned.args[0].length.as_ref().map(offsets), Some(vec![72]));
}

#[test]
fn what_goes_further_has_its_errors() {
    use ErrorKind::{
        NoSuchField, NoType, NotAStructPointer, NotForString, StructByValue, TooManyDereferences,
    };
    for (line, kind, column) in [
        ("p:a wrapped line->words[4]", NoSuchField, 18),
        ("p:a wrapped line->words[x]", NoSuchField, 18),
        ("p:a wrapped line->words[", NoSuchField, 18),
        ("p:a wrapped line->count[0]", NoSuchField, 18),
        ("p:a wrapped none->x", NoType, 18),
        ("p:a slices bytes.length.x", StructByValue, 24),
        ("p:a slices bytes->length", NotAStructPointer, 18),
        ("p:a slices bytes.nosuch", NoSuchField, 17),
        ("p:a slices how:string", NotForString, 11),
        ("r:a slices $retval->x", NotAStructPointer, 20),
        ("p:a wrapped l->next", ErrorKind::NoSuchVariable, 12),
    ] {
        assert_eq!(refusal(line), (kind, column), "{line}");
    }
    // Fourteen steps are what the table has room for; a text takes the last one too.
    let chain =
        |steps: usize, ty: &str| format!("p:a wrapped x=line{}->next->text{ty}", "->n".repeat(steps - 2));
    assert_eq!(probe(&chain(14, ":x64")).args[0].expr.derefs.len(), 14);
    assert_eq!(refusal(&chain(15, ":x64")), (TooManyDereferences, 14));
    assert_eq!(probe(&chain(13, "")).args[0].expr.derefs.len(), 14);
    assert_eq!(refusal(&chain(14, "")), (TooManyDereferences, 14));
}

#[test]
fn carets_behind_the_word_for_all_stand_under_what_is_wrong() {
    assert_eq!(refusal("p:a do_sys_openat2 $arg* dfd"), (ErrorKind::UsedArgName, 25));
    assert_eq!(refusal("p:a do_sys_openat2 $arg* x=how->mode y=$nosuch"), (ErrorKind::BadVariable, 39));
}

#[test]
fn too_many_are_refused_where_the_word_stands() {
    let words = vec!["%x0"; 126].join(" ");
    assert_eq!(refusal(&format!("p:a vfs_read {words} $arg*")), (ErrorKind::TooManyArgs, 13 + 126 * 4));
}
