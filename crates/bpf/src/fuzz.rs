//! Programs at random, that do no harm: for comparing engines.
//!
//! A program finds [`MEMORY_BYTES`] in r1 and keeps their address in r6. It computes with the other registers, accesses that
//! memory and its stack at offsets that are inside, jumps forwards, has loops that count down, calls helper 1 and functions of
//! its own. No address becomes a number, so that a run gives the same wherever it is run. At the end all registers that hold
//! numbers are stored behind the first [`DATA_BYTES`] of the memory; what the engines are compared by is r0 and the memory.
//!
//! ```text
//!   r6 = r1; numbers into r0-r5, r7-r9; zeros into the stack
//!   block: ops | if … goto behind a block | r9 = n; block; r9 -= 1; if r9 != 0 goto the block | call
//!   *(u64 *)(r6 + 64) = r0; … ; exit
//! ```

use alloc::vec::Vec;

use crate::insn::Insn;
use crate::op::{Alu, Atomic, Callee, Cond, Imm64, Op, Operand, Order, Reg, Size, Width};
use crate::program::Program;

/// Bytes that a program loads from and stores to.
pub const DATA_BYTES: usize = 64;
/// The same, and the registers at the end.
pub const MEMORY_BYTES: usize = DATA_BYTES + 8 * NUMBERS.len();

/// Registers that hold numbers.
const NUMBERS: [Reg; 9] = [r(0), r(1), r(2), r(3), r(4), r(5), r(7), r(8), r(9)];
/// The address of the memory.
const MEMORY: Reg = r(6);
/// What loops count with.
const COUNTER: Reg = r(9);
/// Offsets in the stack that are initialised, 8 bytes each: near r10, and as far as it goes.
const STACK: [i16; 6] = [-8, -16, -24, -264, -504, -512];

const fn r(number: u8) -> Reg {
    match Reg::new(number) {
        Some(reg) => reg,
        None => Reg::R0,
    }
}

/// Numbers that are the same for the same seed: xorshift64* (Vigna 2016).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next one.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next_u64() >> 32) % n.max(1)
    }

    /// One in `n`.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of some.
    fn of<T: Copy>(&mut self, some: &[T], or: T) -> T {
        some.get(self.below(some.len() as u64) as usize).copied().unwrap_or(or)
    }

    /// Numbers near which mistakes are made, and others.
    pub fn telling(&mut self) -> u64 {
        const TELLING: [u64; 12] = [
            0,
            1,
            u64::MAX,
            1 << 63,
            i64::MAX as u64,
            0x8000_0000,
            0xffff_ffff,
            0xffff_ffff_8000_0000,
            0x1000,
            0xfff,
            32,
            64,
        ];
        match self.below(4) {
            0 => self.of(&TELLING, 0),
            1 => self.below(256),
            2 => (self.next_u64() as i64 >> self.below(64)) as u64,
            _ => 1u64.rotate_left(self.below(64) as u32).wrapping_sub(self.below(2)),
        }
    }
}

/// A program of this seed.
pub fn program(seed: u64) -> Program {
    let mut maker = Maker { random: Random::new(seed), functions: 0, in_loop: false, in_function: false };
    let mut main = maker.begin();
    main.push(mov(MEMORY, Operand::Reg(Reg::R1)));
    main.extend(maker.numbers(&NUMBERS));
    let budget = 4 + maker.random.below(60);
    main.extend(maker.block(budget));
    main.extend(NUMBERS.iter().zip(0..).map(|(reg, n)| Op::Store {
        size: Size::Dw,
        dst: MEMORY,
        off: DATA_BYTES as i16 + 8 * n,
        src: Operand::Reg(*reg),
    }));
    main.push(Op::Exit);
    let mut functions = alloc::vec![main];
    maker.in_function = true;
    for _ in 0..maker.functions {
        let mut function = maker.begin();
        // The caller's r6 is the memory; what else it has there is not this function's to read.
        function.extend(maker.numbers(&[r(0), r(7), r(8), r(9)]));
        let budget = 2 + maker.random.below(20);
        function.extend(maker.block(budget));
        function.push(Op::Exit);
        functions.push(function);
    }
    link(&functions).unwrap_or_else(|| nothing(&mut maker))
}

/// The least program; what cannot be linked becomes it.
fn nothing(maker: &mut Maker) -> Program {
    let ops = [mov(Reg::R0, Operand::Imm(maker.random.below(1000) as i32)), Op::Exit];
    Program::new(ops.iter().map(|op| op.encode().0).collect()).unwrap_or_else(|_| nothing(maker))
}

/// The functions one behind the other. A local call names the function by its number until here.
fn link(functions: &[Vec<Op>]) -> Option<Program> {
    let mut begins = Vec::new();
    let mut at = 0;
    for function in functions {
        begins.push(at);
        at += slots(function);
    }
    let mut linked: Vec<Insn> = Vec::new();
    for op in functions.iter().flatten() {
        let op = match *op {
            Op::Call(Callee::Local(number)) => {
                let begin = *begins.get(number as usize)?;
                Op::Call(Callee::Local(begin as i32 - linked.len() as i32 - 1))
            }
            op => op,
        };
        let (first, second) = op.encode();
        linked.push(first);
        linked.extend(second);
    }
    Program::new(linked).ok()
}

fn slots(ops: &[Op]) -> usize {
    ops.iter().map(Op::slots).sum()
}

fn mov(dst: Reg, src: Operand) -> Op {
    Op::Alu { width: Width::W64, alu: Alu::Mov, dst, src }
}

struct Maker {
    random: Random,
    /// How many functions are called so far, beside the program's own.
    functions: u64,
    /// Inside a loop there is no other, and its counter is not written.
    in_loop: bool,
    in_function: bool,
}

impl Maker {
    /// Zeros into the stack.
    fn begin(&mut self) -> Vec<Op> {
        let zero = |off| Op::Store { size: Size::Dw, dst: Reg::R10, off, src: Operand::Imm(0) };
        STACK.iter().map(|off| zero(*off)).collect()
    }

    /// Numbers into registers.
    fn numbers(&mut self, regs: &[Reg]) -> Vec<Op> {
        let imm = |random: &mut Random| Imm64::Value(random.telling());
        regs.iter().map(|dst| Op::LoadImm { dst: *dst, imm: imm(&mut self.random) }).collect()
    }

    /// A register that may be written.
    fn dst(&mut self) -> Reg {
        let all = if self.in_loop { NUMBERS.len() - 1 } else { NUMBERS.len() };
        NUMBERS.get(self.random.below(all as u64) as usize).copied().unwrap_or(Reg::R0)
    }

    fn src(&mut self) -> Reg {
        self.random.of(&NUMBERS, Reg::R0)
    }

    fn operand(&mut self) -> Operand {
        if self.random.one_in(2) {
            Operand::Reg(self.src())
        } else {
            Operand::Imm(self.random.telling() as i32)
        }
    }

    fn width(&mut self) -> Width {
        if self.random.one_in(2) { Width::W32 } else { Width::W64 }
    }

    /// Base and offset of an access.
    fn place(&mut self, bytes: usize, aligned: bool) -> (Reg, i16) {
        let left = 8 - bytes;
        let inside = self.random.below(left as u64 + 1) as usize;
        let inside = if aligned { inside / bytes * bytes } else { inside } as i16;
        if self.random.one_in(3) {
            return (Reg::R10, self.random.of(&STACK, -8) + inside);
        }
        (MEMORY, 8 * self.random.below(DATA_BYTES as u64 / 8) as i16 + inside)
    }

    /// About so many instructions.
    fn block(&mut self, budget: u64) -> Vec<Op> {
        let (mut ops, mut left) = (Vec::new(), budget);
        while left > 0 {
            left -= 1;
            match self.random.below(24) {
                0..=2 if left > 1 => {
                    let inner = 1 + self.random.below(left / 2);
                    left -= inner;
                    let body = self.block(inner);
                    ops.push(self.jump(slots(&body) as i16));
                    ops.extend(body);
                }
                3 if left > 3 && !self.in_loop => {
                    let inner = 1 + self.random.below(left / 2);
                    left -= inner;
                    ops.extend(self.counted_loop(inner));
                }
                4 => ops.extend(self.call()),
                5..=7 => ops.extend(self.pair()),
                _ => ops.push(self.single()),
            }
        }
        ops
    }

    fn jump(&mut self, off: i16) -> Op {
        match self.random.below(12) {
            0 => Op::Ja { off: off.into(), long: self.random.one_in(2) },
            _ => Op::Jump {
                width: self.width(),
                cond: self.random.of(&Cond::ALL, Cond::Eq),
                dst: self.src(),
                src: self.operand(),
                off,
            },
        }
    }

    fn counted_loop(&mut self, inner: u64) -> Vec<Op> {
        self.in_loop = true;
        let body = self.block(inner);
        self.in_loop = false;
        let mut ops = alloc::vec![mov(COUNTER, Operand::Imm(1 + self.random.below(5) as i32))];
        let back = -(slots(&body) as i16) - 2;
        ops.extend(body);
        ops.push(Op::Alu { width: Width::W64, alu: Alu::Sub, dst: COUNTER, src: Operand::Imm(1) });
        ops.push(Op::Jump {
            width: Width::W64,
            cond: Cond::Ne,
            dst: COUNTER,
            src: Operand::Imm(0),
            off: back,
        });
        ops
    }

    /// A call, and numbers in what it has lost.
    fn call(&mut self) -> Vec<Op> {
        const MAX_FUNCTIONS: u64 = 3;
        let local = self.random.one_in(2) && !self.in_function;
        let callee = if local {
            let number = self.random.below(MAX_FUNCTIONS).min(self.functions) + 1;
            self.functions = self.functions.max(number);
            Callee::Local(number as i32)
        } else {
            Callee::Helper(1)
        };
        let mut ops = alloc::vec![Op::Call(callee)];
        ops.extend(self.numbers(&[r(1), r(2), r(3), r(4), r(5)]));
        ops
    }

    /// Two that a compiler may make one of.
    fn pair(&mut self) -> Vec<Op> {
        let (dst, src) = (self.dst(), self.src());
        let shift = |alu, n| Op::Alu { width: Width::W64, alu, dst, src: Operand::Imm(n) };
        let back = if self.random.one_in(2) { Alu::Rsh } else { Alu::Arsh };
        let (left, right) = (self.random.below(64) as i32, self.random.below(64) as i32);
        let copy = Op::Alu { width: self.width(), alu: Alu::Mov, dst, src: Operand::Reg(src) };
        match self.random.below(4) {
            0 => alloc::vec![shift(Alu::Lsh, left), shift(back, right)],
            1 => alloc::vec![copy, shift(Alu::Lsh, left), shift(back, left)],
            _ => {
                let with = if self.random.one_in(4) { Operand::Reg(dst) } else { self.operand() };
                let alu = self.random.of(&Alu::ALL, Alu::Add);
                alloc::vec![copy, Op::Alu { width: self.width(), alu, dst, src: with }]
            }
        }
    }

    fn single(&mut self) -> Op {
        let (width, dst) = (self.width(), self.dst());
        let size = self.random.of(&[Size::B, Size::H, Size::W, Size::Dw], Size::Dw);
        match self.random.below(20) {
            0 | 1 => {
                let (src, off) = self.place(size.bytes(), false);
                let signed = size != Size::Dw && self.random.one_in(2);
                Op::Load { size, signed, dst, src, off }
            }
            2 | 3 => {
                let (dst, off) = self.place(size.bytes(), false);
                Op::Store { size, dst, off, src: self.operand() }
            }
            4 => {
                let (base, off) = self.place(if width == Width::W64 { 8 } else { 4 }, true);
                let (atomic, _) = self.random.of(Atomic::TABLE, (Atomic::Xchg, 0));
                // What it gets is written to the source.
                let src = if self.in_loop { self.dst() } else { self.src() };
                Op::Atomic { width, atomic, dst: base, off, src }
            }
            5 => Op::Neg { width, dst },
            6 => {
                let order = self.random.of(&[Order::Little, Order::Big, Order::Swap], Order::Big);
                Op::End { order, bits: self.random.of(&[16, 32, 64], 64), dst }
            }
            7 => {
                let bits = self.random.of(if width == Width::W64 { &[8, 16, 32] } else { &[8, 16] }, 8);
                Op::MovSx { width, bits, dst, src: self.src() }
            }
            8 => Op::LoadImm { dst, imm: Imm64::Value(self.random.telling()) },
            _ => {
                let alu = self.random.of(&Alu::ALL, Alu::Add);
                Op::Alu { width, alu, dst, src: self.operand() }
            }
        }
    }
}

/// Memory for a run of a seed.
pub fn memory(seed: u64) -> Vec<u8> {
    let mut random = Random::new(!seed);
    (0..MEMORY_BYTES / 8).flat_map(|_| random.telling().to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sandbox::Sandbox;

    /// They all come to their end, and they have every kind of instruction.
    #[test]
    fn programs_are_harmless_and_various() {
        let mut opcodes = BTreeSet::new();
        for seed in 0..20_000 {
            let program = program(seed);
            opcodes.extend(program.ops().map(|(slot, _)| program.slots()[slot].opcode));
            let helper = |number, args: [u64; 5]| (number == 1).then(|| args.iter().fold(0, |a, b| a ^ b));
            let result = Sandbox::new(memory(seed), &helper, 1_000_000).run(&program);
            assert!(result.is_ok(), "seed {seed}: {result:?}");
        }
        // Of RFC 9669's, all.
        assert_eq!(opcodes.len(), 50 + 3 + 44 + 4 + 1 + 7 + 8 + 2);
    }
}
