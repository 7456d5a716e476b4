//! Random programs give what another machine gives: `rbpf`, which knows the instructions before RFC 9669.

mod common;

use bpf::op::{Alu, Cond, Op, Operand, Order, Reg, Size, Width};
use bpf::{Insn, Program};
use common::{Random, sandbox};

const MEMORY_BYTES: u64 = 64;

fn register(random: &mut Random) -> Reg {
    // All but r1, the memory, and r10, the stack.
    Reg::new([0, 2, 3, 4, 5, 6, 7, 8, 9][random.below(9) as usize]).unwrap()
}

fn operand(random: &mut Random) -> Operand {
    if random.below(2) == 0 { Operand::Reg(register(random)) } else { Operand::Imm(random.telling() as i32) }
}

/// An instruction that both machines know, with `left` more behind it.
fn op(random: &mut Random, left: u64) -> Op {
    let width = if random.below(2) == 0 { Width::W32 } else { Width::W64 };
    let (dst, mut src) = (register(random), operand(random));
    let off = |random: &mut Random, size: Size| random.below(MEMORY_BYTES - size.bytes() as u64 + 1) as i16;
    let sizes = [Size::B, Size::H, Size::W, Size::Dw];
    let size = sizes[random.below(4) as usize];
    match random.below(12) {
        0 => Op::Load { size, signed: false, dst, src: Reg::R1, off: off(random, size) },
        1 => Op::Store { size, dst: Reg::R1, off: off(random, size), src },
        2 => Op::Neg { width, dst },
        3 => Op::End {
            order: if random.below(2) == 0 { Order::Little } else { Order::Big },
            bits: [16, 32, 64][random.below(3) as usize],
            dst,
        },
        4 | 5 => {
            let cond = Cond::ALL[random.below(11) as usize];
            // rbpf's own: it zero-extends the immediates of these to 64 bits.
            let unsigned = [Cond::Eq, Cond::Ne, Cond::Gt, Cond::Ge, Cond::Lt, Cond::Le].contains(&cond);
            if let Operand::Imm(imm) = &mut src
                && unsigned
                && width == Width::W64
            {
                *imm &= i32::MAX;
            }
            Op::Jump { width, cond, dst, src, off: random.below(left + 1) as i16 }
        }
        _ => {
            let alu = loop {
                let alu = Alu::ALL[random.below(14) as usize];
                if !matches!(alu, Alu::Sdiv | Alu::Smod) {
                    break alu;
                }
            };
            // The same: it leaves the upper half when the remainder is by zero.
            if alu == Alu::Mod && width == Width::W32 {
                src = Operand::Imm(random.telling() as i32 | 1);
            }
            Op::Alu { width, alu, dst, src }
        }
    }
}

fn program(random: &mut Random) -> Program {
    let len = 1 + random.below(40);
    // The same registers in both.
    let clear = (0..=9).filter(|n| *n != 1).map(|n| {
        let (width, alu, dst) = (Width::W64, Alu::Mov, Reg::new(n).unwrap());
        Op::Alu { width, alu, dst, src: Operand::Imm(n.into()) }
    });
    let mut ops: Vec<Op> = clear.collect();
    ops.extend((0..len).map(|i| op(random, len - i - 1)));
    ops.push(Op::Exit);
    let slots: Vec<Insn> = ops.iter().map(|op| op.encode().0).collect();
    Program::new(slots).unwrap()
}

#[test]
fn random_programs_agree_with_rbpf() {
    let mut random = Random::new(9669);
    for n in 0..50_000 {
        let program = program(&mut random);
        let memory: Vec<u8> = (0..MEMORY_BYTES).map(|_| random.next() as u8).collect();
        let mut sandbox = sandbox(&memory);
        let ours = sandbox.run(&program).unwrap();
        let mut theirs_memory = memory.clone();
        let bytes = program.to_bytes();
        let vm = rbpf::EbpfVmRaw::new(Some(&bytes)).unwrap();
        let theirs = vm.execute_program(&mut theirs_memory).unwrap();
        let listing = bpf::text::print(&program, &bpf::text::NoNames);
        assert_eq!(ours, theirs, "program {n}:\n{listing}");
        assert_eq!(sandbox.memory(), theirs_memory, "program {n}:\n{listing}");
    }
}

/// No bytes make the readers or the interpreter panic or run for ever.
#[test]
fn any_bytes_are_a_program_or_an_error() {
    let mut random = Random::new(3);
    let mut sound = 0;
    for _ in 0..200_000 {
        let len = 1 + random.below(6);
        let mut slots: Vec<Insn> = (0..len)
            .map(|_| {
                let mut bytes = random.next().to_le_bytes();
                // Often something that is almost right.
                if random.below(4) != 0 {
                    bytes[1] %= 11;
                    let off = random.below(5) as i16 - 2;
                    bytes[2..4].copy_from_slice(&off.to_le_bytes());
                    bytes[4..].fill(0);
                }
                Insn::from_bytes(bytes)
            })
            .collect();
        slots.push(Op::Exit.encode().0);
        let Ok(program) = Program::new(slots) else { continue };
        sound += 1;
        let _ = sandbox(&[0; 16]).run(&program);
        let text = bpf::text::print(&program, &bpf::text::NoNames);
        assert_eq!(bpf::text::parse(&text, &bpf::text::NoNames).as_ref(), Ok(&program), "{text}");
    }
    assert!(sound > 2000, "{sound}");
}
