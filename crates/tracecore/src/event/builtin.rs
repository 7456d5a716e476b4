//! The classes that are there before anyone defines one: what tracers record, and what is written to `trace_marker` and
//! `trace_marker_raw`. They belong to the system `ftrace` and have Linux's ids.

use super::{Announced, Class, Field, LineStyle, Piece, Shown};
use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

/// The id of [`function_class`].
pub const FUNCTION_ID: u16 = 1;
/// The id of [`stack_class`].
pub const STACK_ID: u16 = 4;
/// The id of [`repeats_class`].
pub const REPEATS_ID: u16 = 18;
/// The id of [`graph_exit_class`].
pub const GRAPH_EXIT_ID: u16 = 10;
/// The id of [`graph_entry_class`].
pub const GRAPH_ENTRY_ID: u16 = 11;
/// The id of [`graph_retaddr_entry_class`].
pub const GRAPH_RETADDR_ENTRY_ID: u16 = 12;
/// The id of [`print_class`].
pub const PRINT_ID: u16 = 5;
/// The id of [`raw_data_class`].
pub const RAW_DATA_ID: u16 = 19;

/// The entry of a function, from the tracer `function`. The record is the header, the address of the entry's branch, and
/// the return address in the caller; then, with the option `func-args`, what the registers of arguments held.
pub fn function_class() -> Class {
    let symbol = |field| Piece::Value { field, shown: Shown::SymbolName, count: None, named: false };
    Class {
        id: FUNCTION_ID,
        system: Cow::Borrowed("ftrace"),
        name: Cow::Borrowed("function"),
        fields: vec![
            Field::new("unsigned long", "ip", 8, 8, false),
            Field::new("unsigned long", "parent_ip", 16, 8, false),
            Field::array("unsigned long", "args", "[]", 24, 0, false),
        ],
        announced: Announced::Text(Cow::Borrowed(
            "\" %ps <-- %ps\", (void *)REC->ip, (void *)REC->parent_ip",
        )),
        pieces: vec![
            symbol(0),
            Piece::Arguments { function: 0, field: 2 },
            Piece::Literal(Cow::Borrowed(" <-")),
            symbol(1),
        ],
        style: LineStyle::Bare,
    }
}

/// The callers of a function, innermost first. The record is the header, how many there are, and their addresses to the
/// record's end; `format` announces the first eight, as Linux does.
pub fn stack_class() -> Class {
    const ANNOUNCED: &str = concat!(
        r#""\t=> %ps\n\t=> %ps\n\t=> %ps\n" "\t=> %ps\n\t=> %ps\n\t=> %ps\n" "\t=> %ps\n\t=> %ps\n", "#,
        "(void *)REC->caller[0], (void *)REC->caller[1], (void *)REC->caller[2], (void *)REC->caller[3], ",
        "(void *)REC->caller[4], (void *)REC->caller[5], (void *)REC->caller[6], (void *)REC->caller[7]",
    );
    Class {
        id: STACK_ID,
        system: Cow::Borrowed("ftrace"),
        name: Cow::Borrowed("kernel_stack"),
        fields: vec![
            Field::new("int", "size", 8, 4, true),
            Field::array("unsigned long", "caller", "[8]", 16, 64, false),
        ],
        announced: Announced::Text(Cow::Borrowed(ANNOUNCED)),
        pieces: vec![Piece::Literal(Cow::Borrowed("<stack trace>\n")), Piece::Callers { field: 1 }],
        style: LineStyle::Bare,
    }
}

/// A row of calls of a function from the same place, with the option `func-no-repeats`. The record is the header, the addresses
/// as in [`function_class`], how many calls there were besides the one that is recorded, and when the last was.
pub fn repeats_class() -> Class {
    let symbol = |field| Piece::Value { field, shown: Shown::SymbolName, count: None, named: false };
    let text = |text| Piece::Literal(Cow::Borrowed(text));
    Class {
        id: REPEATS_ID,
        system: Cow::Borrowed("ftrace"),
        name: Cow::Borrowed("func_repeats"),
        fields: vec![
            Field::new("unsigned long", "ip", 8, 8, false),
            Field::new("unsigned long", "parent_ip", 16, 8, false),
            Field::new("u64", "count", 24, 8, false),
            Field::new("u64", "last_ts", 32, 8, false),
        ],
        announced: Announced::Text(Cow::Borrowed(
            "\" %ps <-%ps\t(repeats:%u  last_ts:%llu)\", (void *)REC->ip, (void *)REC->parent_ip, REC->count, REC->last_ts",
        )),
        pieces: vec![
            symbol(0),
            text(" <-"),
            symbol(1),
            text(" (repeats: "),
            Piece::Value { field: 2, shown: Shown::Decimal, count: None, named: false },
            text(", last_ts: "),
            Piece::Value { field: 3, shown: Shown::Time, count: None, named: false },
            text(")"),
        ],
        style: LineStyle::Bare,
    }
}

/// A text, from `trace_marker`. The record is the header, an address of the writer, and the text with its line
/// end.
pub fn print_class() -> Class {
    Class {
        id: PRINT_ID,
        system: Cow::Borrowed("ftrace"),
        name: Cow::Borrowed("print"),
        fields: vec![
            Field::new("unsigned long", "ip", 8, 8, false),
            Field::array("char", "buf", "[]", 16, 0, false),
        ],
        announced: Announced::Text(Cow::Borrowed("\"%ps: %s\", (void *)REC->ip, REC->buf")),
        pieces: vec![
            Piece::Value { field: 0, shown: Shown::SymbolName, count: None, named: false },
            Piece::Literal(Cow::Borrowed(": ")),
            Piece::Value { field: 1, shown: Shown::Chars, count: None, named: false },
        ],
        style: LineStyle::Bare,
    }
}

/// Bytes with an id, from `trace_marker_raw`.
pub fn raw_data_class() -> Class {
    Class {
        id: RAW_DATA_ID,
        system: Cow::Borrowed("ftrace"),
        name: Cow::Borrowed("raw_data"),
        fields: vec![
            Field::new("unsigned int", "id", 8, 4, false),
            Field::array("char", "buf", "[]", 12, 0, false),
        ],
        announced: Announced::Text(Cow::Borrowed("\"id:%04x %08x\", REC->id, (int)REC->buf[0]")),
        pieces: vec![
            Piece::Literal(Cow::Borrowed("# ")),
            Piece::Value { field: 0, shown: Shown::BareHex, count: None, named: false },
            Piece::Literal(Cow::Borrowed(" buf: ")),
            Piece::Value { field: 1, shown: Shown::Bytes, count: None, named: false },
        ],
        style: LineStyle::Bare,
    }
}

fn graph_class(
    id: u16,
    name: &'static str,
    fields: Vec<Field>,
    announced: &'static str,
    arrow: &'static str,
) -> Class {
    let depth = fields.iter().position(|field| field.name == "depth").unwrap_or_default() as u16;
    Class {
        id,
        system: Cow::Borrowed("ftrace"),
        name: Cow::Borrowed(name),
        fields,
        announced: Announced::Text(Cow::Borrowed(announced)),
        pieces: vec![
            Piece::Literal(Cow::Borrowed(arrow)),
            Piece::Value { field: 0, shown: Shown::SymbolName, count: None, named: false },
            Piece::Literal(Cow::Borrowed(" (")),
            Piece::Value { field: depth, shown: Shown::Decimal, count: None, named: false },
            Piece::Literal(Cow::Borrowed(")")),
        ],
        style: LineStyle::Bare,
    }
}

/// The entry of a call, from the tracer `function_graph`: the function, how many calls are around it, and perhaps the
/// registers of its arguments.
pub fn graph_entry_class() -> Class {
    graph_class(
        GRAPH_ENTRY_ID,
        "funcgraph_entry",
        vec![
            Field::new("unsigned long", "func", 8, 8, false),
            Field::new("unsigned long", "depth", 16, 8, false),
            Field::array("unsigned long", "args", "[]", 24, 0, false),
        ],
        "\"--> %ps (%lu)\", (void *)REC->func, REC->depth",
        "--> ",
    )
}

/// The same with the address that the call will return to.
pub fn graph_retaddr_entry_class() -> Class {
    graph_class(
        GRAPH_RETADDR_ENTRY_ID,
        "fgraph_retaddr_entry",
        vec![
            Field::new("unsigned long", "func", 8, 8, false),
            Field::new("unsigned long", "depth", 16, 8, false),
            Field::new("unsigned long", "retaddr", 24, 8, false),
            Field::array("unsigned long", "args", "[]", 32, 0, false),
        ],
        "\"--> %ps (%lu) <- %ps\", (void *)REC->func, REC->depth, (void *)REC->retaddr",
        "--> ",
    )
}

/// The return of a call: what it returned, and from when to when it was under way. With the field `retval`, as a Linux
/// that records return values has it.
pub fn graph_exit_class() -> Class {
    graph_class(
        GRAPH_EXIT_ID,
        "funcgraph_exit",
        vec![
            Field::new("unsigned long", "func", 8, 8, false),
            Field::new("unsigned long", "retval", 16, 8, false),
            Field::new("unsigned int", "depth", 24, 4, false),
            Field::new("unsigned int", "overrun", 28, 4, false),
            Field::new("unsigned long long", "calltime", 32, 8, false),
            Field::new("unsigned long long", "rettime", 40, 8, false),
        ],
        "\"<-- %ps (%u) (start: %llx  end: %llx) over: %u retval: %lx\", (void *)REC->func, REC->depth, \
         REC->calltime, REC->rettime, REC->depth, REC->retval",
        "<-- ",
    )
}
