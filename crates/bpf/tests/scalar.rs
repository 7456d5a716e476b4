//! What the verifier knows of numbers is true of the numbers that the interpreter computes.

mod common;

use bpf::op::{Alu, Cond, Op, Operand, Order, Reg, Width};
use bpf::sandbox::{NO_HELPERS, Sandbox};
use bpf::verify::{Scalar, Tnum};
use bpf::{Insn, Program};
use common::Random;

const WIDTHS: [Width; 2] = [Width::W32, Width::W64];
const ORDERS: [Order; 3] = [Order::Little, Order::Big, Order::Swap];

fn reg(n: u8) -> Reg {
    Reg::new(n).unwrap()
}

/// What the interpreter leaves in r0 when r1 and r2 are two numbers.
fn run(ops: &[Op], x: u64, y: u64) -> u64 {
    let load = |dst, n| Op::LoadImm { dst: reg(dst), imm: bpf::op::Imm64::Value(n) };
    let all = [load(1, x), load(2, y)].into_iter().chain(ops.iter().copied()).chain([Op::Exit]);
    let slots: Vec<Insn> = all
        .flat_map(|op| {
            let (first, second) = op.encode();
            core::iter::once(first).chain(second)
        })
        .collect();
    Sandbox::new(Vec::new(), NO_HELPERS, 10).run(&Program::new(slots).unwrap()).unwrap()
}

/// What is known of some numbers, and a few of them.
fn scalar(random: &mut Random) -> (Scalar, Vec<u64>) {
    let (a, b) = (random.telling(), random.telling());
    match random.below(6) {
        0 => (Scalar::constant(a), vec![a]),
        1 => {
            let (min, max) = (a.min(b), a.max(b));
            let inside = min + random.next().checked_rem((max - min).wrapping_add(1)).unwrap_or(0);
            (Scalar::range(min, max).unwrap(), vec![min, max, inside])
        }
        2 => {
            let (min, max) = ((a as i64).min(b as i64), (a as i64).max(b as i64));
            (Scalar::signed_range(min, max).unwrap(), vec![min as u64, max as u64])
        }
        3 => {
            let bits = Tnum::new(a, b);
            let some = bits.min() | random.next() & bits.mask();
            (Scalar::with_bits(bits), vec![bits.min(), bits.max(), some])
        }
        4 => (Scalar::constant(a).union(&Scalar::constant(b)), vec![a, b]),
        _ => {
            let n = random.below(16);
            (Scalar::range(n, n + 4).unwrap(), (n..=n + 4).collect())
        }
    }
}

/// Such a one, after some comparisons and operations.
fn grown(random: &mut Random) -> (Scalar, Vec<u64>) {
    let (mut known, mut members) = scalar(random);
    for _ in 0..random.below(3) {
        let width = WIDTHS[random.below(2) as usize];
        let alu = [Alu::And, Alu::Or, Alu::Add, Alu::Lsh, Alu::Rsh][random.below(5) as usize];
        let n = random.below(64);
        known = Scalar::alu(width, alu, &known, &Scalar::constant(n));
        let op = Op::Alu { width, alu, dst: reg(1), src: Operand::Imm(n as i32) };
        members = members.iter().map(|x| run(&[op, mov()], *x, 0)).collect();
    }
    (known, members)
}

/// r0 = r1
fn mov() -> Op {
    Op::Alu { width: Width::W64, alu: Alu::Mov, dst: reg(0), src: Operand::Reg(reg(1)) }
}

fn check(result: &Scalar, op: Op, a: &Scalar, b: &Scalar, x: u64, y: u64) {
    let n = run(&[op, mov()], x, y);
    assert!(
        result.contains(n),
        "{op:?}\n{a:?}\n{b:?}\n{x:#x}, {y:#x} give {n:#x}, which is not in\n{result:?}"
    );
}

#[test]
fn results_of_operations_are_known() {
    let mut random = Random::new(4);
    for _ in 0..15_000 {
        let ((a, xs), (b, ys)) = (grown(&mut random), grown(&mut random));
        let width = WIDTHS[random.below(2) as usize];
        let alu = Alu::ALL[random.below(14) as usize];
        let result = Scalar::alu(width, alu, &a, &b);
        let op = Op::Alu { width, alu, dst: reg(1), src: Operand::Reg(reg(2)) };
        for (x, y) in xs.iter().flat_map(|x| ys.iter().map(move |y| (*x, *y))) {
            assert!(a.contains(x) && b.contains(y));
            check(&result, op, &a, &b, x, y);
        }
        for x in xs {
            check(&a.neg(width), Op::Neg { width, dst: reg(1) }, &a, &b, x, 0);
            let bits = [8, 16, 32][random.below(if width == Width::W64 { 3 } else { 2 }) as usize];
            let op = Op::MovSx { width, bits, dst: reg(1), src: reg(1) };
            check(&a.sign_extend(width, bits.into()), op, &a, &b, x, 0);
            let (order, bits) = (ORDERS[random.below(3) as usize], [16, 32, 64][random.below(3) as usize]);
            check(&a.in_order(order, bits.into()), Op::End { order, bits, dst: reg(1) }, &a, &b, x, 0);
        }
    }
}

#[test]
fn both_ways_of_comparisons_are_known() {
    let mut random = Random::new(5);
    for _ in 0..15_000 {
        let ((a, xs), (b, ys)) = (grown(&mut random), grown(&mut random));
        let width = WIDTHS[random.below(2) as usize];
        let cond = Cond::ALL[random.below(11) as usize];
        let jump = Op::Jump { width, cond, dst: reg(1), src: Operand::Reg(reg(2)), off: 1 };
        let set = |n| Op::Alu { width: Width::W64, alu: Alu::Mov, dst: reg(0), src: Operand::Imm(n) };
        for (x, y) in xs.iter().flat_map(|x| ys.iter().map(move |y| (*x, *y))) {
            let taken = run(&[set(1), jump, set(0)], x, y) == 1;
            let Some((after_a, after_b)) = Scalar::when(width, cond, &a, &b, taken) else {
                panic!("{jump:?} {taken} cannot be:\n{a:?}\n{b:?}\n{x:#x} {y:#x}");
            };
            assert!(
                after_a.contains(x),
                "{jump:?} {taken}:\n{a:?}\n{b:?}\n{x:#x} {y:#x} not in\n{after_a:?}"
            );
            assert!(
                after_b.contains(y),
                "{jump:?} {taken}:\n{a:?}\n{b:?}\n{x:#x} {y:#x} not in\n{after_b:?}"
            );
            // Nothing is forgotten.
            assert!(after_a.is_within(&a) && after_b.is_within(&b));
        }
    }
}

/// What programs count on.
#[test]
fn enough_is_known() {
    let (w32, w64) = (Width::W32, Width::W64);
    let constant = Scalar::constant;
    let masked = Scalar::alu(w64, Alu::And, &Scalar::UNKNOWN, &constant(0xff));
    assert_eq!(masked.bounds(), (0, 255));
    let scaled = Scalar::alu(w64, Alu::Lsh, &masked, &constant(3));
    assert_eq!((scaled.bounds(), scaled.bits().mask()), ((0, 255 << 3), 0xff << 3));
    assert_eq!(Scalar::alu(w64, Alu::Add, &scaled, &constant(8)).bounds(), (8, 256 << 3));
    let (below, _) = Scalar::when(w64, Cond::Lt, &Scalar::UNKNOWN, &constant(10), true).unwrap();
    assert_eq!((below.bounds(), below.signed_bounds()), ((0, 9), (0, 9)));
    let (above, _) = Scalar::when(w64, Cond::Gt, &Scalar::UNKNOWN, &constant(10), false).unwrap();
    assert_eq!(above.bounds(), (0, 10));
    // A signed comparison alone bounds nothing unsigned; with the other one it does.
    let (small, _) = Scalar::when(w64, Cond::Slt, &Scalar::UNKNOWN, &constant(10), true).unwrap();
    assert_eq!(small.bounds(), (0, u64::MAX));
    let (both, _) = Scalar::when(w64, Cond::Sge, &small, &constant(0), true).unwrap();
    assert_eq!(both.bounds(), (0, 9));
    // A comparison of 32 bits behind arithmetic of 32 bits.
    let loaded = Scalar::alu(w32, Alu::Mov, &Scalar::UNKNOWN, &Scalar::UNKNOWN);
    let (index, _) = Scalar::when(w32, Cond::Le, &loaded, &constant(7), true).unwrap();
    assert_eq!(index.bounds(), (0, 7));
    // A remainder and a quotient.
    assert_eq!(Scalar::alu(w64, Alu::Mod, &Scalar::UNKNOWN, &constant(10)).bounds(), (0, 9));
    assert_eq!(Scalar::alu(w64, Alu::Div, &masked, &constant(16)).bounds(), (0, 15));
    // What a comparison leaves out; what cannot be.
    let (nonzero, _) = Scalar::when(w64, Cond::Ne, &masked, &constant(0), true).unwrap();
    assert_eq!(nonzero.bounds(), (1, 255));
    assert!(Scalar::when(w64, Cond::Gt, &masked, &constant(255), true).is_none());
    assert!(Scalar::when(w64, Cond::Eq, &constant(3), &constant(3), false).is_none());
    let (flag, _) = Scalar::when(w64, Cond::Set, &Scalar::UNKNOWN, &constant(4), true).unwrap();
    assert_eq!(flag.bits().min(), 4);
    let (clear, _) = Scalar::when(w64, Cond::Set, &masked, &constant(0xf0), false).unwrap();
    assert_eq!(clear.bounds(), (0, 15));
}
