//! Classes of probes beside the `format` files and trace lines of Linux 7.2 for the same definitions.

use super::*;
use crate::probe::{Command, Definition, LookupError, Resolver, Symbol, parse_line};
use crate::symbolize::{NoSymbols, SymbolAt, Symbolizer};
use std::string::ToString;
use std::vec;

const GETPPID: u64 = 0xffff_8000_8010_fb88;
const CALLER: u64 = 0xffff_8000_8005_87c8;

struct World;

impl Resolver for World {
    fn lookup(&self, _: &str) -> Result<Symbol, LookupError> {
        Ok(Symbol { address: GETPPID, size: 0x80, entry_bytes: 0 })
    }

    fn is_function_entry(&self, _: u64) -> bool {
        true
    }
}

impl Symbolizer for World {
    fn symbol_at(&self, address: u64) -> Option<SymbolAt<'_>> {
        let inside = |start: u64, size| address.checked_sub(start).filter(|offset| *offset < size);
        if let Some(offset) = inside(GETPPID, 0x80) {
            return Some(SymbolAt { name: "__arm64_sys_getppid", offset, size: 0x80 });
        }
        let offset = inside(CALLER - 0xa4, 0x120)?;
        Some(SymbolAt { name: "invoke_syscall", offset, size: 0x120 })
    }
}

fn definition(line: &str) -> Definition {
    match parse_line(line, &World) {
        Ok(Command::Define(probe)) => probe,
        other => panic!("{line}: {other:?}"),
    }
}

/// The format of the probe's event without the common part.
fn format_of(line: &str) -> String {
    let text = probe_class(7, &definition(line)).format();
    text.split_once("common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n").expect("common fields").1.to_string()
}

/// What the trace shows of a record of this probe, behind the address.
fn shown(line: &str, args: &[&[u8]]) -> String {
    let class = probe_class(7, &definition(line));
    let mut record = vec![0; HEADER_LEN];
    record.extend(GETPPID.to_le_bytes());
    record.extend(args.concat());
    let mut out = Vec::new();
    class.print(&record, &World, &mut out);
    let text = String::from_utf8_lossy(&out).into_owned();
    let head = format!("{}: (__arm64_sys_getppid+0x0/0x80)", class.name);
    text.strip_prefix(&head).and_then(|text| text.strip_suffix('\n')).expect(&text).to_string()
}

#[test]
fn a_format_file_is_whole() {
    let class = probe_class(1489, &definition("p:kp4 __arm64_sys_getppid arg=%x0"));
    let want = "name: kp4
ID: 1489
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;
\tfield:u64 arg;\toffset:16;\tsize:8;\tsigned:0;

print fmt: \"(%lx) arg=0x%Lx\", REC->__probe_ip, REC->arg
";
    assert_eq!(class.format(), want);
    assert_eq!(class.field("arg").map(|field| field.offset), Some(16));
    assert_eq!(class.field("common_pid").map(|field| field.offset), Some(4));
    assert_eq!(class.field("nosuch"), None);
}

#[test]
fn formats_of_every_type() {
    let want = "\tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;
\tfield:u32 b;\toffset:16;\tsize:4;\tsigned:0;
\tfield:s32 c;\toffset:20;\tsize:4;\tsigned:1;
\tfield:u64 f;\toffset:24;\tsize:8;\tsigned:0;
\tfield:u8 i;\toffset:32;\tsize:1;\tsigned:0;

print fmt: \"(%lx) b=%u c=%d f=%pS i='%c'\", REC->__probe_ip, REC->b, REC->c, REC->f, REC->i
";
    assert_eq!(format_of("p:kp9 sym b=%x0:b4@2/32 c=%x0:s32 f=%x0:symbol i=%x0:char"), want);
    let want = "\tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;
\tfield:u64 a;\toffset:16;\tsize:8;\tsigned:0;
\tfield:u8 b;\toffset:24;\tsize:1;\tsigned:0;
\tfield:__data_loc char[] c;\toffset:25;\tsize:4;\tsigned:1;
\tfield:u32 d[];\toffset:29;\tsize:12;\tsigned:0;
\tfield:u16 e;\toffset:41;\tsize:2;\tsigned:0;
\tfield:u64 f;\toffset:43;\tsize:8;\tsigned:0;

print fmt: \"(%lx) a=%Lu b=%u c=\\\"%s\\\" d={%u,%u,%u} e=0x%x f=0x%Lx\", REC->__probe_ip, REC->a, REC->b, \
__get_str(c), REC->d[0], REC->d[1], REC->d[2], REC->e, REC->f
";
    assert_eq!(
        format_of(
            "p:f1 sym a=+0(\\0):u64 b=+0(\\0):u8 c=+0(\\0):string d=+0(\\0):u32[3] e=+0(+0(\\0)):x16 f=\\5"
        ),
        want
    );
    let want = "\tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;
\tfield:u64 a;\toffset:16;\tsize:8;\tsigned:0;
\tfield:u8 b;\toffset:24;\tsize:1;\tsigned:0;
\tfield:u64 c[];\toffset:25;\tsize:16;\tsigned:0;
\tfield:__data_loc char[][2] d;\toffset:41;\tsize:8;\tsigned:1;

print fmt: \"(%lx) a=%pS b='%c' c={%pS,%pS} d={\\\"%s\\\",\\\"%s\\\"}\", REC->__probe_ip, REC->a, REC->b, \
REC->c[0], REC->c[1], __get_str(d[0]), __get_str(d[1])
";
    assert_eq!(
        format_of("p:f8 sym a=+0(\\0):symbol b=+0(\\0):char c=+0(\\0):symbol[2] d=+0(\\0):ustring[2]"),
        want
    );
}

#[test]
fn the_format_of_a_return_probe() {
    let want = "\tfield:unsigned long __probe_func;\toffset:8;\tsize:8;\tsigned:0;
\tfield:unsigned long __probe_ret_ip;\toffset:16;\tsize:8;\tsigned:0;
\tfield:s64 ret;\toffset:24;\tsize:8;\tsigned:1;

print fmt: \"(%lx <- %lx) ret=%Ld\", REC->__probe_func, REC->__probe_ret_ip, REC->ret
";
    assert_eq!(format_of("r:kr2 sym ret=$retval"), want);
}

#[test]
fn values_are_shown_as_linux_shows_them() {
    let u64s = |values: &[u64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    assert_eq!(shown("p:kp sym", &[]), "");
    assert_eq!(shown("p:kpd sym a=$arg1", &[&u64s(&[0xffff_8000_8434_3ec0])]), " a=0xffff800084343ec0");
    assert_eq!(
        shown("p:kpa sym arr=+0(%x0):x64[4]", &[&u64s(&[0x458040, 0, 0, 0x8000])]),
        " arr={0x458040,0x0,0x0,0x8000}"
    );
    let bits = [0_u32.to_le_bytes(), (-2_076_950_848_i32).to_le_bytes()].concat();
    assert_eq!(
        shown(
            "p:kp9 sym b=%x0:b4@2/32 c=%x0:s32 f=%x0:symbol i=%x0:char",
            &[&bits, &u64s(&[GETPPID + 16]), b"L"]
        ),
        " b=0 c=-2076950848 f=__arm64_sys_getppid+0x10/0x80 i='L'"
    );
    assert_eq!(
        shown("p:f4 sym a=\\-5:s8 b=\\-5:u8 c=\\-5:x16", &[&[0xfb, 0xfb, 0xfb, 0xff]]),
        " a=-5 b=251 c=0xfffb"
    );
    assert_eq!(
        shown("p:f4 sym d=\\-5:s64 e=\\-5:u64", &[&u64s(&[-5_i64 as u64, -5_i64 as u64])]),
        " d=-5 e=18446744073709551611"
    );
    assert_eq!(shown("p:k sym k=$stack0:symbol", &[&u64s(&[0x8000_1000])]), " k=0x80001000");
}

#[test]
fn texts_and_faults() {
    let location = |length: u32, at: u32| (length << 16 | at).to_le_bytes();
    let line = "p:kpb sym imm=\\5 str=\\\"hi\"";
    let imm = 5_u64.to_le_bytes();
    assert_eq!(shown(line, &[&imm, &location(3, 28), b"hi\0"]), " imm=0x5 str=\"hi\"");
    assert_eq!(shown(line, &[&imm, &location(1, 28), b"\0"]), " imm=0x5 str=\"\"");
    assert_eq!(shown(line, &[&imm, &location(0, 28)]), " imm=0x5 str=(fault)");
    assert_eq!(shown(line, &[&imm, &location(9, 28), b"hi\0"]), " imm=0x5 str=(fault)", "outside the record");
    assert_eq!(shown(line, &[]), " imm=0x0 str=(fault)", "no record at all");
    let two = [location(0, 24), location(2, 24)].concat();
    assert_eq!(shown("p:f8 sym d=+0(\\0):ustring[2]", &[&two, b"x\0"]), " d={(fault),\"x\"}");
}

#[test]
fn a_return_is_shown_as_the_way_it_took() {
    let class = probe_class(7, &definition("r:kr2 sym ret=$retval"));
    let mut record = vec![0; HEADER_LEN];
    for word in [GETPPID, CALLER, 1] {
        record.extend(word.to_le_bytes());
    }
    let mut out = Vec::new();
    class.print(&record, &World, &mut out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        "kr2: (invoke_syscall+0xa4/0x120 <- __arm64_sys_getppid) ret=1\n"
    );
}

#[test]
fn markers_bring_their_own_line_end() {
    let print = |text: &[u8]| {
        let mut out = Vec::new();
        print_class().print(&[&[0; 16], text].concat(), &World, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    assert_eq!(print(b"hello\n"), "0x0: hello\n");
    assert_eq!(print(b"hello"), "0x0: hello\n");
    assert_eq!(print(b"a\n\n"), "0x0: a\n\n");
    assert_eq!(print(b""), "0x0: \n");
    let raw = |id: u32, bytes: &[u8]| {
        let mut out = Vec::new();
        raw_data_class().print(&[&[0; 8], &id.to_le_bytes()[..], bytes].concat(), &World, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    assert_eq!(raw(1, b"abcdefgh"), "# 1 buf: 61 62 63 64 65 66 67 68\n");
    assert_eq!(raw(u32::MAX, b""), "# ffffffff buf: \n");
}

#[test]
fn a_probe_program_fills_the_fields_of_its_class() {
    for line in ["p:t sym a=%x0 b=+0(%x0):u8[3] c=$comm d=%x1", "r:t sym a=$retval b=$comm"] {
        let probe = definition(line);
        let class = probe_class(7, &probe);
        let base = if probe.is_return() { RETURN_ARGS_AT } else { PROBE_ARGS_AT };
        let program = crate::fetch::Program::compile(&probe.args, base, probe.is_return()).expect("fits");
        let last = class.fields.last().expect("has fields");
        assert_eq!(program.fixed_len(), usize::from(last.offset + last.size), "{line}");
    }
}

#[test]
fn any_bytes_can_be_printed() {
    let classes = [
        probe_class(
            7,
            &definition("p:t sym a=%x0 b=+0(%x0):string[3] c=$comm d=%x1:char e=%x0:symstr f=%x0:symbol"),
        ),
        probe_class(8, &definition("r:t sym a=$retval:s8 b=$comm c=+0($retval):s16[5]")),
        print_class(),
        raw_data_class(),
    ];
    let mut state = 1_u64;
    for length in 0..4000 {
        let record: Vec<u8> = (0..length % 200)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8 % 64
            })
            .collect();
        for class in &classes {
            let mut out = Vec::new();
            class.print(&record, &World, &mut out);
            assert_eq!(out.last(), Some(&b'\n'));
        }
    }
}

#[test]
fn a_backtrace_is_a_line_for_each_caller() {
    let mut record = Header { id: STACK_ID, ..Header::default() }.to_word().to_le_bytes().to_vec();
    for word in [2u64, 0x1004, 0x2008] {
        record.extend(word.to_le_bytes());
    }
    let mut out = Vec::new();
    stack_class().print(&record, &NoSymbols, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), "<stack trace>\n => 0x1004\n => 0x2008\n");
}

#[test]
fn arguments_stand_between_a_function_and_its_caller() {
    let mut record = Header { id: FUNCTION_ID, ..Header::default() }.to_word().to_le_bytes().to_vec();
    record.extend(0x1004u64.to_le_bytes());
    record.extend(0x2008u64.to_le_bytes());
    let print = |record: &[u8]| {
        let mut out = Vec::new();
        function_class().print(record, &NoSymbols, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    assert_eq!(print(&record), "0x1004 <-0x2008\n");
    record.extend(1u64.to_le_bytes());
    record.extend(0xffu64.to_le_bytes());
    assert_eq!(print(&record), "0x1004(0x1, 0xff) <-0x2008\n");
}
