use super::*;
use crate::event::{Class, declared_class};
use crate::symbolize::NoSymbols;
use std::string::String;
use std::vec;
use std::vec::Vec;

const FIELDS: &[Field] = &[
    Field::new("int", "n", 8, 4, true),
    Field::new("unsigned int", "u", 12, 4, false),
    Field::new("unsigned long", "l", 16, 8, false),
    Field::array("char", "comm", "[8]", 24, 8, false),
    Field::array("short", "s", "[4]", 32, 8, true),
    Field::new("__data_loc char[]", "name", 40, 4, false),
    Field::new("__data_loc cpumask_t", "mask", 44, 4, false),
];

fn record(n: i32, u: u32, l: u64) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend(n.to_le_bytes());
    bytes.extend(u.to_le_bytes());
    bytes.extend(l.to_le_bytes());
    bytes.extend(b"work\0xyz");
    for s in [-1i16, 2, 0x7fff, -32768] {
        bytes.extend(s.to_le_bytes());
    }
    bytes.extend((5u32 << 16 | 48).to_le_bytes());
    bytes.extend((8u32 << 16 | 53).to_le_bytes());
    bytes.extend(b"uart\0");
    bytes.extend(0xf_0000_0003u64.to_le_bytes());
    bytes
}

fn shown_of(text: &str, record: &[u8]) -> String {
    let program = Printf::parse(text, FIELDS).unwrap();
    let mut out = Vec::new();
    program.print(record, &NoSymbols, &mut out);
    String::from_utf8(out).unwrap()
}

fn shown(text: &str) -> String {
    shown_of(text, &record(-5, 6, 0xffff_8000_0000_1000))
}

#[test]
fn conversions_are_those_of_c() {
    for (text, want) in [
        (r#""plain 100%%""#, "plain 100%"),
        (r#""a" "b""#, "ab"),
        (r#""%d %u %x", REC->n, REC->n, REC->n"#, "-5 4294967291 fffffffb"),
        (r#""%ld %hd %hhu", REC->n, REC->n, REC->n"#, "-5 -5 251"),
        (r#""[%5d][%-5d][%05d][%+d]", REC->u, REC->u, REC->n, REC->u"#, "[    6][6    ][-0005][+6]"),
        (r#""[%03d]", REC->u"#, "[006]"),
        (r#""%#x %#o %X", REC->u, 8, 255"#, "0x6 010 FF"),
        (r#""0x%08lx", REC->u"#, "0x00000006"),
        (r#""[%10s][%-10s][%.2s]", REC->comm, REC->comm, REC->comm"#, "[      work][work      ][wo]"),
        (r#""%c", 65"#, "A"),
        (r#""%p %ps", REC->l, (void *)REC->l"#, "ffff800000001000 0xffff800000001000"),
        (r#""%zu %llu", REC->u, (unsigned long long) REC->n"#, "6 18446744073709551611"),
        (r#""%s", REC->l"#, "(0xffff800000001000)"),
        (r#""%s", (void *)0"#, "(null)"),
    ] {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn expressions_are_those_of_c() {
    for (expr, want) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("1 << 4 | 3", "19"),
        ("7 & ~2", "5"),
        ("7 & 3 == 3", "1"),
        ("!REC->n", "0"),
        ("-REC->n", "5"),
        ("REC->n < 0", "1"),
        // A signed and an unsigned number are compared as unsigned ones.
        ("REC->n < REC->l", "0"),
        ("REC->n >> 1", "-3"),
        ("REC->l >> 44", "1048568"),
        ("REC->u / 0", "0"),
        ("REC->n % 3", "-2"),
        ("1 ? 2 : 3 ? 4 : 5", "2"),
        ("0 ? 2 : 0 ? 4 : 5", "5"),
        ("0 && 1 / 0 || 3", "1"),
        ("REC->s[0] + REC->s[2]", "32766"),
        ("(unsigned short)REC->n", "65531"),
        ("(( gfp_t)((((1UL))) << (3)))", "8"),
        ("__get_dynamic_array_len(name)", "5"),
    ] {
        assert_eq!(shown(&alloc::format!("\"%ld\", {expr}")), want, "{expr}");
    }
}

#[test]
fn helpers_print_as_on_linux() {
    for (text, want) in [
        (r#""%s", __print_flags(REC->u, "|", { 1, "A" }, { 2, "B" }, { 4, "C" })"#, "B|C"),
        (r#""%s", __print_flags(REC->u, "|", { 2, "B" })"#, "B|0x4"),
        (r#""%s", __print_flags(0, "|", { 2, "B" })"#, ""),
        (r#""%s", __print_flags(REC->u, "|", { 6, "BC" }, { 2, "B" }, { 0, ((void *)0) } )"#, "BC"),
        (r#""%s", __print_symbolic(REC->u, { 5, "five" }, { 6, "six" })"#, "six"),
        (r#""%s", __print_symbolic(REC->u, { 5, "five" })"#, "0x6"),
        (r#""%s", __print_hex(REC->comm, 4)"#, "77 6f 72 6b"),
        (r#""%s", __print_hex_str(REC->comm, 4)"#, "776f726b"),
        (r#""%s", __print_array(REC->s, 2, 2)"#, "{0xffff,0x2}"),
        (r#""%s", __print_array(__get_dynamic_array(name), 4, 1)"#, "{0x75,0x61,0x72,0x74}"),
        (r#""%s", __get_str(name)"#, "uart"),
        (r#""%s", __get_cpumask(mask)"#, "0000000f,00000003"),
        (r#""%s", REC->n & 1 ? "odd" : "even""#, "odd"),
    ] {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn a_text_that_is_not_there_is_said_to_be_missing() {
    let mut bytes = record(0, 0, 0);
    bytes[40..44].fill(0);
    assert_eq!(shown_of(r#""name=%s", __get_str(name)"#, &bytes), "name=(fault)");
    // A location outside the record.
    bytes[40..44].copy_from_slice(&(100u32 << 16 | 48).to_le_bytes());
    assert_eq!(shown_of(r#""name=%s", __get_str(name)"#, &bytes), "name=(fault)");
    // A record that is cut off.
    assert_eq!(shown_of(r#""n=%d l=%ld comm=%s", REC->n, REC->l, REC->comm"#, &bytes[..8]), "n=0 l=0 comm=");
}

#[test]
fn what_is_wrong_is_refused() {
    for (text, want) in [
        ("", PrintError::NoFormat),
        ("REC->n", PrintError::NoFormat),
        ("\"a", PrintError::Text),
        (r#""\q""#, PrintError::Text),
        (r#""%d""#, PrintError::Count),
        (r#""%d", 1, 2"#, PrintError::Count),
        (r#""%d", 1 2"#, PrintError::Syntax),
        (r#""%d", 1 +"#, PrintError::Syntax),
        (r#""%d", (1"#, PrintError::Syntax),
        (r#""%y", 1"#, PrintError::Conversion),
        (r#""%pd", 1"#, PrintError::Conversion),
        (r#""%d", REC->nobody"#, PrintError::NoField),
        (r#""%s", __get_str(n)"#, PrintError::NoField),
        (r#""%s", __print_nothing(1)"#, PrintError::Unknown),
        (r#""%d", HRTIMER_MODE_ABS"#, PrintError::Unknown),
        (r#""%d", 12z"#, PrintError::Number),
    ] {
        assert_eq!(Printf::parse(text, FIELDS), Err(want), "{text}");
    }
    let deep = alloc::format!("\"%d\", {}1{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(Printf::parse(&deep, FIELDS), Err(PrintError::TooDeep));
    let deep = alloc::format!("\"%d\", {}1", "!".repeat(100));
    assert_eq!(Printf::parse(&deep, FIELDS), Err(PrintError::TooDeep));
}

/// The longest text of Linux's that its own programs have to read.
#[test]
fn the_states_of_a_task() {
    let fields = [Field::new("long", "prev_state", 8, 8, true)];
    let text = r#""%s%s", (REC->prev_state & ((((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) - 1)) ? __print_flags(REC->prev_state & ((((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) - 1), "|", { 0x00000001, "S" }, { 0x00000002, "D" }, { 0x00000004, "T" }, { 0x00000008, "t" }, { 0x00000010, "X" }, { 0x00000020, "Z" }, { 0x00000040, "P" }, { 0x00000080, "I" }) : "R", REC->prev_state & (((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) ? "+" : """#;
    let class = declared_class("sched", "switch", fields.to_vec(), text).unwrap();
    let line = |class: &Class, state: u64| {
        let mut bytes = vec![0; 8];
        bytes.extend(state.to_le_bytes());
        let mut out = Vec::new();
        class.print(&bytes, &NoSymbols, &mut out);
        String::from_utf8(out).unwrap()
    };
    for (state, want) in [(0, "R"), (1, "S"), (2, "D"), (0x10, "X"), (0x100, "R+"), (0x82, "D|I")] {
        assert_eq!(line(&class, state), alloc::format!("switch: {want}\n"));
    }
    assert!(class.format().ends_with(&alloc::format!("print fmt: {text}\n")));
}

/// The address of a text of the image shows the text; no other address does.
#[test]
fn a_constant_is_read_when_it_is_shown() {
    struct Image;
    impl Symbolizer for Image {
        fn symbol_at(&self, _: u64) -> Option<crate::symbolize::SymbolAt<'_>> {
            None
        }
        fn constant_text(&self, address: u64) -> Option<Vec<u8>> {
            (address == 0xffff_8000_0000_1000).then(|| Vec::from(b"Rescheduling interrupts"))
        }
    }
    let program = Printf::parse(r#""(%s)", REC->l"#, FIELDS).unwrap();
    for (address, want) in
        [(0xffff_8000_0000_1000, "(Rescheduling interrupts)"), (8, "((0x8))"), (0, "((null))")]
    {
        let mut out = Vec::new();
        program.print(&record(0, 0, address), &Image, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
