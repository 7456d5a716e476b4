//! Programs against a small memory, with the values that Linux prints for the same arguments.

use super::*;
use crate::event::Header;
use crate::probe::{Command, Definition, LookupError, Resolver, Symbol, parse_line};
use crate::ring::{CpuRing, MAX_RECORD_BYTES, Mode, Record};
use crate::symbolize::{NoSymbols, SymbolAt};
use crate::typetab::encode::{Function, Type, encode};
use crate::typetab::{Outcome, Place, TypeId, TypeTable};
use a64::{CallRegs, UserRegs};
use std::sync::LazyLock;
use std::vec;
use std::vec::Vec;

const BANNER: u64 = 0xffff_8000_817b_d188;
const POINTERS: u64 = 0xffff_8000_8200_0000;
const SP: u64 = 0xffff_8001_0000_3fe0;
const USER: u64 = 0x40_0000;

const SHELL: [u8; COMM_LEN] = *b"shell\0\0\0\0\0\0\0\0\0\0\0";

struct World;

impl Resolver for World {
    fn lookup(&self, name: &str) -> Result<Symbol, LookupError> {
        let address = match name {
            "work_add" => 0xffff_8000_8000_1000,
            "banner" => BANNER,
            "pointers" => POINTERS,
            _ => return Err(LookupError::Missing),
        };
        Ok(Symbol { address, size: 64, entry_bytes: 8 })
    }

    fn is_function_entry(&self, _: u64) -> bool {
        false
    }

    fn types(&self) -> TypeTable<'_> {
        TypeTable::parse(&TYPES).expect("a good table")
    }
}

/// `work_add` takes a slice of a text in x0 and x1, and in x2 the address of a struct that has one.
static TYPES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let types = [
        Type::Text(16, 0, 8),
        Type::Record("Slice".into(), 16, vec![(0, "text".into(), TypeId(0))]),
        Type::Pointer(TypeId(1)),
    ];
    let params =
        vec![("text".into(), TypeId(0), Place::Pair(0, 1)), ("slice".into(), TypeId(2), Place::Register(2))];
    let function = Function { start: 0xffff_8000_8000_1000, result: Outcome::Unknown, params };
    encode(vec![function], &types).expect("a table")
});

/// The banner, two pointers to it and one to nothing, the end of a stack, and a page of the user's.
fn region(start: u64) -> Vec<u8> {
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    match start {
        BANNER => b"Linux version\0".to_vec(),
        POINTERS => words(&[BANNER, BANNER + 6, 0, USER]),
        SP => words(&[0x1111, 0x2222, 0x3333, 0x4444]),
        _ => b"user text\0".to_vec(),
    }
}

impl SafeMemory for World {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        for start in [BANNER, POINTERS, SP, USER] {
            // Regions are pages: what lies behind their content is zero.
            let mut bytes = region(start);
            bytes.resize(256, 0);
            if let Some(at) = address.checked_sub(start)
                && let Some(found) =
                    (at as usize).checked_add(into.len()).and_then(|end| bytes.get(at as usize..end))
            {
                into.copy_from_slice(found);
                return Ok(());
            }
        }
        Err(Fault)
    }
}

impl Symbolizer for World {
    fn symbol_at(&self, address: u64) -> Option<SymbolAt<'_>> {
        let offset = address.checked_sub(0xffff_8000_8000_1000).filter(|offset| *offset < 0x40)?;
        Some(SymbolAt { name: "work_add", offset, size: 0x40 })
    }
}

fn definition(line: &str) -> Definition {
    match parse_line(line, &World) {
        Ok(Command::Define(probe)) => probe,
        other => panic!("{line}: {other:?}"),
    }
}

fn registers() -> UserRegs {
    let mut regs = UserRegs { sp: SP, pc: 0xffff_8000_8000_1008, pstate: 0x8140_0805, ..UserRegs::default() };
    for n in 0..31 {
        regs.set_x(n, 0x100 + u64::from(n));
    }
    regs
}

/// Runs `args` and returns the record without the 16 bytes before the arguments.
fn run(args: &str) -> Vec<u8> {
    let probe = definition(&std::format!("p:t work_add {args}"));
    let program = Program::compile(&probe.args, 16, false).expect("fits");
    let env = Env { memory: &World, symbols: &World };
    let regs = registers();
    let hit = Hit { regs: (&regs).into(), comm: SHELL.into(), entry_args: &[], env: &env };
    let mut record = vec![0xaa; program.fixed_len() + program.text_len(&hit)];
    program.store(&hit, &mut record);
    assert!(record[..16].iter().all(|byte| *byte == 0xaa), "the head is the caller's");
    record.split_off(16)
}

fn word(args: &str) -> u64 {
    let bytes = run(args);
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(&bytes);
    u64::from_le_bytes(word)
}

/// The text of a record with a single text argument; `None` for a fault.
fn text(args: &str) -> Option<Vec<u8>> {
    let bytes = run(args);
    let location = u32::from_le_bytes(bytes[..4].try_into().expect("four"));
    let (length, at) = ((location >> 16) as usize, (location & 0xffff) as usize);
    if length == 0 {
        return None;
    }
    let text = &bytes[at - 16..at - 16 + length];
    assert_eq!(text.last(), Some(&0));
    Some(text[..length - 1].to_vec())
}

#[test]
fn registers_are_stored_as_they_are() {
    assert_eq!(word("a=%x0"), 0x100);
    assert_eq!(word("a=%lr"), 0x11e);
    assert_eq!(word("a=%sp"), SP);
    assert_eq!(word("a=%pc"), 0xffff_8000_8000_1008);
    assert_eq!(word("a=%pstate"), 0x8140_0805);
    assert_eq!(word("a=$arg8"), 0x107);
    assert_eq!(word("a=%x1:u8"), 1);
    assert_eq!(run("a=%x1:x16").len(), 2);
    let both = run("a=%x3:u8 b=%x2 c=%x1");
    assert_eq!(both.len(), 17);
    assert_eq!(&both[..9], [3, 2, 1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_stack_is_read_to_its_end() {
    assert_eq!(word("a=$stack"), SP);
    assert_eq!(word("a=$stack0"), 0x1111);
    assert_eq!(word("a=$stack3"), 0x4444);
    assert_eq!(word("a=$stack4"), 0, "beyond the stack");
    assert_eq!(word("a=$arg9"), 0x1111, "the ninth argument lies on the stack");
    assert_eq!(word("a=$arg10"), 0x2222);
}

#[test]
fn memory_is_followed() {
    assert_eq!(word("a=@pointers"), BANNER);
    assert_eq!(word("a=@pointers+8"), BANNER + 6);
    assert_eq!(word("a=+6(@pointers):u8"), u64::from(b'v'));
    assert_eq!(word("a=+0(+8(\\0xffff800082000000)):u8"), u64::from(b'v'));
    assert_eq!(word("a=+8(%sp):x16"), 0x2222);
    assert_eq!(word("a=-8(\\0xffff800082000010)"), BANNER + 6);
    assert_eq!(word("a=+u0(\\0x400000):u32"), u64::from(u32::from_le_bytes(*b"user")));
}

#[test]
fn what_is_not_there_reads_as_nothing() {
    for args in ["a=+0(\\0)", "a=+0(+0(\\0)):x16", "a=@0:u8", "a=+u0(@pointers):u64"] {
        assert_eq!(word(args), 0, "{args}");
    }
    assert_eq!(run("a=+0(\\0):u32[3]"), [0; 12]);
    assert_eq!(text("a=+0(\\0):string"), None);
    assert_eq!(text("a=+0(\\0):symstr"), None);
    assert_eq!(text("a=+0(\\0x400000):string"), Some(b"user text".to_vec()));
    assert_eq!(text("a=@banner:ustring"), None, "not the user's");
}

#[test]
fn constants_and_bit_fields() {
    assert_eq!(word("a=\\-5:s8"), 0xfb);
    assert_eq!(word("a=\\-5:x16"), 0xfffb);
    assert_eq!(word("a=\\-1:b4@2/32"), 15);
    assert_eq!(word("a=\\0x80:b1@7/8"), 1);
    assert_eq!(word("a=\\-1:b64@0/64"), u64::MAX);
    assert_eq!(word("a=\\0xe000000000000000:b3@61/64"), 7);
    assert_eq!(run("a=@banner:b4@4/8[2]"), [4, 6], "L and i");
    assert_eq!(run("a=@banner:s8[2]"), *b"Li");
}

#[test]
fn texts_lie_behind_the_fixed_part() {
    assert_eq!(text("a=$comm"), Some(b"shell".to_vec()));
    assert_eq!(text("a=\\\"hi\""), Some(b"hi".to_vec()));
    assert_eq!(text("a=\\\"\""), Some(Vec::new()));
    assert_eq!(text("a=@banner:string"), Some(b"Linux version".to_vec()));
    assert_eq!(text("a=%pc:symstr"), Some(b"work_add+0x8/0x40".to_vec()));
    assert_eq!(text("a=%x0:symstr"), Some(b"0x100".to_vec()));
    let many = run("a=+0(\\0xffff800082000000):string[4] b=%x0:u8");
    let location = |n: usize| u32::from_le_bytes(many[n * 4..n * 4 + 4].try_into().expect("four"));
    let tail = 16 + 17;
    assert_eq!(location(0), 14 << 16 | tail);
    assert_eq!(location(1), 8 << 16 | (tail + 14));
    assert_eq!(location(2), tail + 22, "a null pointer is no string");
    assert_eq!(location(3), 10 << 16 | (tail + 22));
    assert_eq!(&many[17..], b"Linux version\0version\0user text\0");
    assert_eq!(many[16], 0);
}

#[test]
fn a_program_says_what_it_needs() {
    let needs = |args: &str, is_return: bool| {
        let line = std::format!("{}:t work_add {args}", if is_return { "r" } else { "p" });
        let program = Program::compile(&definition(&line).args, 16, is_return).expect("fits");
        std::format!("{}", program.needs())
    };
    assert_eq!(needs("%x0 %x1 %x2 +0(%x9)", false), "x0-x2,x9");
    assert_eq!(needs("$stack0 %pstate", false), "sp,pstate");
    assert_eq!(needs("$comm @banner \\5", false), "none");
    assert_eq!(needs("a=$arg2 b=$arg9", false), "x1,sp");
    assert_eq!(needs("a=$retval b=$arg2", true), "x0");
}

#[test]
fn entry_arguments_of_a_return_probe_come_from_its_entry() {
    let probe = definition("r:t work_add a=$arg2 b=$arg10 c=$arg2 r=$retval");
    let program = Program::compile(&probe.args, 24, true).expect("fits");
    // Each is saved once.
    assert_eq!(program.entry_args(), [1, 9]);
    let env = Env { memory: &World, symbols: &NoSymbols };
    let call = CallRegs { x: [0x100; 9], ..CallRegs::default() };
    let hit = Hit { regs: (&call).into(), comm: Comm::default(), entry_args: &[7, 8], env: &env };
    let mut record = [0; 56];
    program.store(&hit, &mut record);
    assert_eq!(record[24..], [7_u64, 8, 7, 0x100].map(u64::to_le_bytes).concat());
}

#[test]
fn a_record_too_short_is_filled_as_far_as_it_goes() {
    let probe = definition("p:t work_add a=%x0 s=@banner:string c=$comm");
    let program = Program::compile(&probe.args, 16, false).expect("fits");
    let env = Env { memory: &World, symbols: &World };
    let regs = registers();
    let hit = Hit { regs: (&regs).into(), comm: SHELL.into(), entry_args: &[], env: &env };
    let whole = program.fixed_len() + program.text_len(&hit);
    assert_eq!(whole, 32 + 14 + 6);
    for length in 0..whole + 20 {
        let mut record = vec![0xaa; length];
        program.store(&hit, &mut record);
        if length >= 32 {
            // A location never points outside.
            for at in [24, 28] {
                let location = u32::from_le_bytes(record[at..at + 4].try_into().expect("four"));
                assert!((location & 0xffff) as usize + (location >> 16) as usize <= length);
            }
            assert!(length <= whole || record[whole..].iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn an_overlong_text_is_cut_to_the_limit() {
    struct Endless;
    impl SafeMemory for Endless {
        fn read(&self, _: u64, into: &mut [u8]) -> Result<(), Fault> {
            into.fill(b'x');
            Ok(())
        }
    }
    let line: std::string::String = (0..6)
        .map(|n| std::format!(" s{n}=+0(%x0):string"))
        .fold("p:t work_add".into(), |line, arg| line + &arg);
    let program = Program::compile(&definition(&line).args, 16, false).expect("fits");
    let env = Env { memory: &Endless, symbols: &World };
    let regs = registers();
    let hit = Hit { regs: (&regs).into(), comm: Comm::from([b'c'; 16]), entry_args: &[], env: &env };
    assert_eq!(program.fixed_len() + program.text_len(&hit), MAX_RECORD_BYTES);
    let mut record = vec![0; MAX_RECORD_BYTES];
    program.store(&hit, &mut record);
    let lengths: Vec<u32> = (0..6)
        .map(|n| u32::from_le_bytes(record[16 + n * 4..20 + n * 4].try_into().expect("four")) >> 16)
        .collect();
    assert_eq!(lengths, [1024, 1024, 1024, 920, 0, 0]);
}

#[test]
fn the_ring_gets_what_a_slice_gets() {
    let ring = CpuRing::new(4, Mode::Overwrite).expect("memory");
    let args = "a=%x0 b=%x1:u8 c=@banner:string d=%x2 e=+0(\\0):u32[3] f=$comm g=+0(\\0):string h=%pc:symstr";
    let program =
        Program::compile(&definition(&std::format!("p:t work_add {args}")).args, 16, false).expect("fits");
    let env = Env { memory: &World, symbols: &World };
    let regs = registers();
    let hit = Hit { regs: (&regs).into(), comm: SHELL.into(), entry_args: &[], env: &env };
    let length = program.fixed_len() + program.text_len(&hit);
    for _ in 0..300 {
        // More than the ring holds, so that bytes of older records lie below.
        let head = [Header { pid: 9, ..Header::default() }.to_word(), 0x1234];
        program.write(&hit, head[0], &head[1..], &ring, || 7).expect("room");
    }
    let mut want = vec![0; length];
    want[4] = 9;
    want[8..10].copy_from_slice(&[0x34, 0x12]);
    program.store(&hit, &mut want);
    let mut reader = ring.reader().expect("nobody else reads");
    let mut record = Record::new();
    let mut count = 0;
    while reader.read(&mut record) {
        assert_eq!(record.bytes(), want);
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn a_program_of_registers_writes_what_it_would_anyhow() {
    let regs = registers();
    let env = Env { memory: &World, symbols: &World };
    for args in ["", "a=%x0", "a=%x30 b=%x7:u64 c=%x0:s64 d=%x1:symbol"] {
        let program = Program::compile(&definition(&std::format!("p:t work_add {args}")).args, 16, false)
            .expect("fits");
        let plain = program.plain().expect("registers alone");
        let ring = CpuRing::new(4, Mode::Overwrite).expect("memory");
        let head = [0x1122_3344_5566_7788, 0x99aa];
        let hit = Hit { regs: (&regs).into(), comm: SHELL.into(), entry_args: &[], env: &env };
        for _ in 0..300 {
            if !plain.write((&regs).into(), head[0], [head[1]], &ring, || 7) {
                program.write(&hit, head[0], &head[1..], &ring, || 7).expect("room");
            }
        }
        let mut want = head.map(u64::to_le_bytes).concat();
        want.resize(program.fixed_len(), 0);
        program.store(&hit, &mut want);
        let mut reader = ring.reader().expect("nobody else reads");
        let mut record = Record::new();
        assert!(reader.read(&mut record));
        while reader.read(&mut record) {
            assert_eq!(record.bytes(), want);
        }
    }
    for args in ["a=%x0:u32", "a=%sp", "a=%x0 b=%pc", "a=%x0 c=$comm", "a=+0(%x0)"] {
        let program = Program::compile(&definition(&std::format!("p:t work_add {args}")).args, 16, false)
            .expect("fits");
        assert!(program.plain().is_none(), "{args}");
    }
}

#[test]
fn names_of_all_lengths() {
    for length in 0..=16 {
        let mut name = [0; 16];
        name[..length].fill(b'n');
        let probe = definition("p:t work_add a=%x0:u8 c=$comm");
        let program = Program::compile(&probe.args, 16, false).expect("fits");
        let env = Env { memory: &World, symbols: &World };
        let regs = registers();
        let hit = Hit { regs: (&regs).into(), comm: name.into(), entry_args: &[], env: &env };
        let mut record = vec![0xaa; program.fixed_len() + program.text_len(&hit)];
        program.store(&hit, &mut record);
        let mut want = vec![0];
        want.extend(((length as u32 + 1) << 16 | 21).to_le_bytes());
        want.extend(&name[..length]);
        want.push(0);
        assert_eq!(record[16..], want, "{length}");
    }
}

/// Bytes put at every offset, in every length, leave the others as they were.
#[test]
fn low_bytes_go_where_they_belong() {
    let ring = CpuRing::new(4, Mode::Overwrite).expect("memory");
    let mut want = [0; 24];
    for offset in 0..=24 {
        for len in 0..=9 {
            let record = ring.reserve(24, || 7).expect("room");
            let filled = [0x5a; 24];
            record.put_bytes(0, &filled);
            let value = 0x8877_6655_4433_2211_u64;
            let inside = len <= 8 && offset + len <= 24;
            assert_eq!(record.put_low(offset, len, value), inside);
            want = filled;
            if inside {
                want[offset..offset + len].copy_from_slice(&value.to_le_bytes()[..len]);
            }
            for (index, word) in want.as_chunks::<8>().0.iter().enumerate() {
                assert_eq!(record.get_word(index).to_le_bytes(), *word, "{len} at {offset}");
            }
            record.commit();
        }
    }
    assert_eq!(want, [0x5a; 24]);
}

#[test]
fn a_fixed_part_beyond_a_record_is_refused() {
    let mut arg = definition("p:t work_add a=%x0").args[0].clone();
    arg.count = Some(u32::MAX);
    assert_eq!(Program::compile(&[arg], 16, false).map(|_| ()), Err(TooBig));
}

/// Slices end where their length says, whether that is in a register or in memory, and at an end that memory has.
#[test]
fn slices_have_the_length_that_they_were_given() {
    let slice = |address: u64, length: u64, args: &str, is_return: bool| {
        let letter = if is_return { 'r' } else { 'p' };
        let probe = definition(&std::format!("{letter}:t work_add {args}"));
        let program = Program::compile(&probe.args, 16, is_return).expect("fits");
        let env = Env { memory: &World, symbols: &NoSymbols };
        let mut regs = registers();
        let entry_args = [address, length];
        if is_return {
            assert_eq!(program.entry_args(), [0, 1]);
        } else {
            regs.set_x(0, address);
            regs.set_x(1, length);
        }
        regs.set_x(2, POINTERS + 8);
        let entry_args = if is_return { &entry_args[..] } else { &[] };
        let hit = Hit { regs: (&regs).into(), comm: SHELL.into(), entry_args, env: &env };
        let mut record = vec![0xaa; program.fixed_len() + program.text_len(&hit)];
        program.store(&hit, &mut record);
        record.split_off(16)
    };
    let stored = |text: &[u8]| {
        let mut record = ((text.len() as u32 + 1) << 16 | 20).to_le_bytes().to_vec();
        record.extend_from_slice(text);
        record.push(0);
        record
    };
    for is_return in [false, true] {
        assert_eq!(slice(BANNER, 5, "text", is_return), stored(b"Linux"));
        assert_eq!(slice(BANNER + 6, 3, "text", is_return), stored(b"ver"));
        assert_eq!(slice(BANNER, 100, "text:string", is_return), stored(b"Linux version"));
        // Nothing is read of a slice of nothing, wherever that is.
        assert_eq!(slice(1, 0, "text", is_return), stored(b""));
        assert_eq!(slice(1, 1, "text", is_return), 20_u32.to_le_bytes());
    }
    // At the second pointer: the address of "version", and 0 behind it as the length.
    assert_eq!(slice(0, 0, "s=slice->text", false), stored(b""));
    assert_eq!(slice(0, 0, "s=slice->text:x64", false), (BANNER + 6).to_le_bytes());
}
