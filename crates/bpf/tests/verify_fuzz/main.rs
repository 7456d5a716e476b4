//! Nothing that the verifier accepts does harm: random programs, as they are written and with bits changed, run on a machine
//! that knows of every byte whether it may be accessed and whether it was written.
//!
//! `BPF_FUZZ=1000000 cargo test -p bpf --release --test verify_fuzz` makes a million of them; `BPF_FUZZ_SEED` begins elsewhere.

#[path = "../common/mod.rs"]
mod common;
mod grow;
mod machine;

use bpf::helper::{self, HelperNames};
use bpf::insn::Insn;
use bpf::kind::{Attach, Context};
use bpf::map::{MapDef, MapKind};
use bpf::op::Imm64;
use bpf::program::Program;
use bpf::text::{self, Names};
use bpf::types::NoTypes;
use bpf::verify::{Input, Limits, MapRef, Maps, verify};

use common::Random;
use machine::{Machine, Stop};

struct Fixture(Vec<MapDef>);

impl Fixture {
    fn new() -> Self {
        Self(vec![
            MapDef::new(MapKind::Hash, 8, 8, 16).named("hash"),
            MapDef::new(MapKind::Array, 4, 48, 16).named("array"),
            MapDef::new(MapKind::RingBuf, 0, 0, 4096).named("ring"),
            MapDef::new(MapKind::Queue, 0, 16, 4).named("queue"),
            MapDef::new(MapKind::Array, 4, 24, 1).named("data"),
        ])
    }
}

impl Maps for Fixture {
    fn def(&self, map: MapRef) -> Option<&MapDef> {
        let (MapRef::Fd(n) | MapRef::Index(n)) = map;
        self.0.get(usize::try_from(n).ok()?)
    }
}

impl Names for Fixture {
    fn helper(&self, name: &str) -> Option<i32> {
        HelperNames.helper(name)
    }

    fn map(&self, name: &str) -> Option<Imm64> {
        self.0.iter().position(|map| map.name == name).map(|n| Imm64::Map(n as i32))
    }
}

/// How many programs.
fn count(ordinary: u64) -> u64 {
    std::env::var("BPF_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(ordinary)
}

fn seed() -> u64 {
    std::env::var("BPF_FUZZ_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// What came of some programs.
#[derive(Debug, Default)]
struct Tally {
    programs: u64,
    accepted: u64,
    runs: u64,
    long: u64,
    complex: u64,
}

/// Verifies a program and, if it is accepted, runs it a few times.
fn try_one(fixture: &Fixture, program: &Program, attach: Attach, random: &mut Random, tally: &mut Tally) {
    tally.programs += 1;
    let context = Context::of(attach);
    let limits = Limits { insns: 20_000, ..Limits::default() };
    let input = Input { program, context: &context, maps: fixture, types: &NoTypes, cpus: 4, limits };
    let verified = match verify(&input) {
        Ok(verified) => verified,
        Err(rejection) => {
            // It can be printed, and says where.
            assert!(!rejection.to_string().is_empty());
            tally.complex += u64::from(rejection.rule == bpf::verify::Rule::Complexity);
            return;
        }
    };
    tally.accepted += 1;
    for _ in 0..4 {
        let bytes: Vec<u8> = (0..verified.context_bytes.div_ceil(8))
            .flat_map(|_| {
                let n = if random.below(2) == 0 { random.below(80) } else { random.telling() };
                n.to_le_bytes()
            })
            .take(verified.context_bytes as usize)
            .collect();
        let r2 = (attach == Attach::Syscall).then_some(bytes.len() as u64);
        tally.runs += 1;
        match Machine::new(&verified.program, &fixture.0, &bytes, random).run(r2) {
            Ok(_) => {}
            Err(Stop::Long) => tally.long += 1,
            Err(Stop::Wrong(why)) => panic!(
                "{why}\naccepted as {attach:?}, {} insns processed:\n{}\nslots: {:02x?}\n{tally:?}",
                verified.processed,
                text::print(program, &HelperNames),
                program.to_bytes()
            ),
        }
    }
}

const ATTACH: [Attach; 4] = [Attach::Kprobe, Attach::Kprobe, Attach::PerfEvent, Attach::Syscall];

#[test]
fn programs_as_they_are_written() {
    let (fixture, mut random, mut tally) = (Fixture::new(), Random::new(seed()), Tally::default());
    for _ in 0..count(6000) {
        let source = grow::program(&mut random);
        let program = match text::parse(&source, &fixture) {
            Ok(program) => program,
            Err(error) => panic!("{error}\n{source}"),
        };
        let attach = ATTACH[random.below(4) as usize];
        try_one(&fixture, &program, attach, &mut random, &mut tally);
    }
    println!("{tally:?}");
    // They are neither all refused nor all accepted.
    assert!(tally.accepted * 20 > tally.programs && tally.accepted < tally.programs, "{tally:?}");
}

#[test]
fn functions_that_are_called_back() {
    let (fixture, mut random, mut tally) = (Fixture::new(), Random::new(seed() + 3), Tally::default());
    for _ in 0..count(6000) {
        let source = grow::rounds(&mut random);
        let program = text::parse(&source, &fixture).unwrap_or_else(|e| panic!("{e}\n{source}"));
        try_one(&fixture, &program, Attach::Kprobe, &mut random, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.accepted * 20 > tally.programs && tally.accepted < tally.programs, "{tally:?}");
}

#[test]
fn programs_with_changed_bits() {
    let (fixture, mut random, mut tally) = (Fixture::new(), Random::new(seed() + 1), Tally::default());
    let mut program = Vec::new();
    for n in 0..count(12000) {
        if n % 6 == 0 {
            let source = grow::program(&mut random);
            program = text::parse(&source, &fixture).unwrap().slots().to_vec();
        }
        let mut slots = program.clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(slots.len() as u64) as usize;
            change(&mut slots, at, &mut random);
        }
        let Ok(program) = Program::new(slots) else { continue };
        let attach = ATTACH[random.below(4) as usize];
        try_one(&fixture, &program, attach, &mut random, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.accepted > 0, "{tally:?}");
}

fn change(slots: &mut Vec<Insn>, at: usize, random: &mut Random) {
    let helpers = helper::TABLE.len() as u64;
    let Some(slot) = slots.get_mut(at) else { return };
    match random.below(12) {
        0 => slot.dst = random.below(11) as u8,
        1 => slot.src = random.below(11) as u8,
        2 => slot.off = slot.off.wrapping_add(random.below(17) as i16 - 8),
        3 => slot.imm = slot.imm.wrapping_add(random.below(17) as i32 - 8),
        4 => slot.imm = random.telling() as i32,
        5 => slot.opcode ^= 1 << random.below(8),
        6 => slot.opcode = random.next() as u8,
        7 if slot.opcode == 0x85 && slot.src == 0 => {
            slot.imm = helper::TABLE[random.below(helpers) as usize].number
        }
        8 => {
            let other = random.below(slots.len() as u64) as usize;
            slots.swap(at, other);
        }
        9 => {
            slots.remove(at);
        }
        10 => {
            let again = slots[random.below(slots.len() as u64) as usize];
            slots.insert(at, again);
        }
        _ => slot.off = random.telling() as i16,
    }
}

/// Nothing that can be written as slots makes the verifier panic, and its logs can be printed.
#[test]
fn slots_at_random() {
    let (fixture, mut random, mut tally) = (Fixture::new(), Random::new(seed() + 2), Tally::default());
    let codes: Vec<u8> = (0..=255)
        .filter(|code| {
            let slot = Insn { opcode: *code, ..Insn::default() };
            bpf::op::decode(slot, Some(Insn::default())).is_ok() || matches!(code, 0x34 | 0xdb | 0xc3 | 0xd4)
        })
        .collect();
    for _ in 0..count(20000) {
        let len = 1 + random.below(12);
        let mut slots: Vec<Insn> = (0..len)
            .map(|_| {
                let opcode = codes[random.below(codes.len() as u64) as usize];
                Insn {
                    opcode,
                    dst: random.below(11) as u8,
                    src: if opcode & 8 != 0 { random.below(11) as u8 } else { 0 },
                    off: if matches!(opcode & 7, 1..=3 | 5 | 6) { random.below(20) as i16 - 10 } else { 0 },
                    imm: if opcode & 8 == 0 || opcode == 0x85 { random.below(60) as i32 - 20 } else { 0 },
                }
            })
            .collect();
        slots.push(Insn { opcode: 0xb7, imm: 1, ..Insn::default() });
        slots.push(Insn { opcode: 0x95, ..Insn::default() });
        if let Ok(program) = Program::new(slots) {
            try_one(&fixture, &program, Attach::Syscall, &mut random, &mut tally);
        }
    }
    println!("{tally:?}");
}
