//! A machine that knows of every register and byte whether it was written, and of every address what lies there.
//!
//! ```text
//!   context   0x1_0000_0000          as long as the program may read, no longer
//!   stacks    0x2_0000_0000 + 64K n  512 bytes for each function under way, not written at first
//!   values    0x3_0000_0000 + 64K n  one for each lookup that finds something
//!   records   0x4_0000_0000 + 64K n  gone when they are given back
//!   keys      0x5_0000_0000 + 64K n
//! ```
//!
//! Between them lies nothing. What a program does wrong ends it with a reason: that is what no verified program may do.

use std::collections::BTreeMap;

use bpf::Program;
use bpf::helper::{self, Arg, Ret};
use bpf::map::{MapDef, MapKind};
use bpf::op::{Alu, Atomic, Callee, Cond, Imm64, Op, Operand, Order, Reg, Size, Width};

use crate::common::Random;

const CONTEXT: u64 = 0x1_0000_0000;
const STACKS: u64 = 0x2_0000_0000;
const VALUES: u64 = 0x3_0000_0000;
const RECORDS: u64 = 0x4_0000_0000;
const KEYS: u64 = 0x5_0000_0000;
/// A map, as an address; nothing lies there.
const MAPS: u64 = 0x7_0000_0000;
/// A function, as an address.
const CODE: u64 = 0x8_0000_0000;
const APART: u64 = 0x1_0000;
const FRAME: u64 = 512;

/// Why a program was stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It did what it must not do.
    Wrong(String),
    /// It runs for long, since a helper calls back often.
    Long,
}

fn wrong<T>(what: String) -> Result<T, Stop> {
    Err(Stop::Wrong(what))
}

struct Region {
    bytes: Vec<u8>,
    written: Vec<bool>,
    /// May programs write it?
    writable: bool,
}

pub(crate) struct Machine<'a> {
    ops: BTreeMap<usize, Op>,
    program: &'a Program,
    maps: &'a [MapDef],
    regions: BTreeMap<u64, Region>,
    random: &'a mut Random,
    /// Records that were not given back.
    held: Vec<u64>,
    locked: bool,
    values: u64,
    records: u64,
    keys: u64,
    depth: u64,
    steps: u64,
    called_back: bool,
    timers: Vec<(usize, usize)>,
}

type Regs = [Option<u64>; Reg::COUNT];

const STEPS: u64 = 300_000;

impl<'a> Machine<'a> {
    pub(crate) fn new(
        program: &'a Program,
        maps: &'a [MapDef],
        context: &[u8],
        random: &'a mut Random,
    ) -> Self {
        let mut regions = BTreeMap::new();
        let written = vec![true; context.len()];
        // What may be written of a context the verifier knows; here all may.
        regions.insert(CONTEXT, Region { bytes: context.to_vec(), written, writable: true });
        Self {
            ops: program.ops().collect(),
            program,
            maps,
            regions,
            random,
            held: Vec::new(),
            locked: false,
            values: 0,
            records: 0,
            keys: 0,
            depth: 0,
            steps: 0,
            called_back: false,
            timers: Vec::new(),
        }
    }

    /// Runs the program, then the functions of its timers.
    pub(crate) fn run(&mut self, r2: Option<u64>) -> Result<u64, Stop> {
        let mut args = [None; 5];
        (args[0], args[1]) = (Some(CONTEXT), r2);
        let Some(r0) = self.function(0, args)? else { return wrong("R0 is not written at the end".into()) };
        if !self.held.is_empty() || self.locked {
            return wrong(format!("{} records held, locked: {}", self.held.len(), self.locked));
        }
        while let Some((function, map)) = self.timers.pop() {
            let args = self.element(map);
            if self.function(function, [args[0], args[1], args[2], None, None])? != Some(0) {
                return wrong("a timer's function does not return 0".into());
            }
        }
        Ok(r0)
    }

    fn element(&mut self, map: usize) -> [Option<u64>; 3] {
        let value = self.value(map);
        let at = KEYS + self.keys * APART;
        self.keys += 1;
        let len = self.maps[map].key_size as usize;
        self.regions.insert(at, Region { bytes: vec![1; len], written: vec![true; len], writable: false });
        [Some(MAPS + map as u64), Some(at), Some(value)]
    }

    fn value(&mut self, map: usize) -> u64 {
        let at = VALUES + self.values * APART;
        self.values += 1;
        let len = self.maps[map].value_size as usize;
        let bytes = (0..len).map(|_| self.random.next() as u8).collect();
        self.regions.insert(at, Region { bytes, written: vec![true; len], writable: true });
        at
    }

    /// Runs a function: what it leaves in r0.
    fn function(&mut self, begin: usize, args: [Option<u64>; 5]) -> Result<Option<u64>, Stop> {
        if self.depth >= 8 {
            return wrong("nine functions within each other".into());
        }
        let stack = STACKS + self.depth * APART;
        self.depth += 1;
        let (bytes, written) = (vec![0xa5; FRAME as usize], vec![false; FRAME as usize]);
        self.regions.insert(stack, Region { bytes, written, writable: true });
        let mut regs: Regs = [None; Reg::COUNT];
        regs[1..6].copy_from_slice(&args);
        regs[10] = Some(stack + FRAME);
        let mut at = begin;
        let result = loop {
            self.steps += 1;
            if self.steps > STEPS {
                if self.called_back {
                    return Err(Stop::Long);
                }
                return wrong("runs for ever".into());
            }
            let Some(op) = self.ops.get(&at).copied() else {
                return wrong(format!("no instruction at {at}"));
            };
            let behind = at + op.slots();
            let target = self.program.target(at, &op);
            let what = |stop| match stop {
                Stop::Wrong(why) => Stop::Wrong(format!("insn {at}: {why}")),
                stop => stop,
            };
            at = match op {
                Op::Exit => break regs[0],
                Op::Ja { .. } => target.unwrap_or(behind),
                Op::Jump { width, cond, dst, src, .. } => {
                    let (a, b) = (read(&regs, dst), operand(&regs, src));
                    let (a, b) = (a.map_err(what)?, b.map_err(what)?);
                    if holds(width, cond, a, b) { target.unwrap_or(behind) } else { behind }
                }
                Op::Call(Callee::Local(_)) => {
                    let args = [regs[1], regs[2], regs[3], regs[4], regs[5]];
                    regs[0] = self.function(target.unwrap_or(behind), args).map_err(what)?;
                    regs[1..6].fill(None);
                    behind
                }
                Op::Call(Callee::Helper(number)) => {
                    let result = self.helper(number, &regs).map_err(what)?;
                    regs[..6].fill(None);
                    regs[0] = result;
                    behind
                }
                op => {
                    self.step(at, &op, &mut regs).map_err(what)?;
                    behind
                }
            };
        };
        self.depth -= 1;
        self.regions.remove(&stack);
        Ok(result)
    }

    fn step(&mut self, at: usize, op: &Op, regs: &mut Regs) -> Result<(), Stop> {
        let (dst, value) = match *op {
            Op::Alu { width, alu, dst, src } => {
                let b = operand(regs, src)?;
                let a = if alu == Alu::Mov { 0 } else { read(regs, dst)? };
                (dst, arithmetic(width, alu, a, b))
            }
            Op::MovSx { width, bits, dst, src } => {
                let up = 64 - u32::from(bits);
                let n = ((read(regs, src)? << up) as i64 >> up) as u64;
                (dst, if width == Width::W32 { u64::from(n as u32) } else { n })
            }
            Op::Neg { width, dst } => (dst, arithmetic(width, Alu::Sub, 0, read(regs, dst)?)),
            Op::End { order, bits, dst } => {
                let n = read(regs, dst)?;
                let n = if order == Order::Little { n } else { n.swap_bytes() >> (64 - u32::from(bits)) };
                (dst, n & u64::MAX >> (64 - u32::from(bits)))
            }
            Op::LoadImm { dst, imm } => (
                dst,
                match imm {
                    Imm64::Value(n) => n,
                    Imm64::Map(map) | Imm64::MapIndex(map) => MAPS + map as u64,
                    Imm64::MapValue { map, off } | Imm64::MapIndexValue { map, off } => {
                        self.value(map as usize) + u64::from(off)
                    }
                    Imm64::Code(_) => CODE + self.program.target(at, op).unwrap_or(0) as u64,
                    Imm64::Var(_) => return wrong("a platform's variable".into()),
                },
            ),
            Op::Load { size, signed, dst, src, off } => {
                let addr = read(regs, src)?.wrapping_add_signed(off.into());
                let n = self.load(addr, size.bytes())?;
                let up = 64 - size.bytes() as u32 * 8;
                (dst, if signed { ((n << up) as i64 >> up) as u64 } else { n })
            }
            Op::Store { size, dst, off, src } => {
                let n = operand(regs, src)?;
                let addr = read(regs, dst)?.wrapping_add_signed(off.into());
                return self.store(addr, size.bytes(), n);
            }
            Op::Atomic { width, atomic, dst, off, src } => {
                let size = if width == Width::W64 { Size::Dw } else { Size::W }.bytes();
                let addr = read(regs, dst)?.wrapping_add_signed(off.into());
                if !addr.is_multiple_of(size as u64) {
                    return wrong(format!("an atomic at {addr:#x}"));
                }
                let (old, n) = (self.load(addr, size)?, read(regs, src)?);
                let r0 = if atomic == Atomic::Cmpxchg { read(regs, Reg::R0)? } else { 0 };
                if let Some(new) = atomic.apply(width, old, n, r0) {
                    self.store(addr, size, new)?;
                }
                let Some(result) = atomic.result(src) else { return Ok(()) };
                (result, old)
            }
            _ => return wrong("an instruction that is not there".into()),
        };
        if dst == Reg::R10 {
            return wrong("r10 is written".into());
        }
        regs[dst.index()] = Some(value);
        Ok(())
    }

    /// The region and the offset of some bytes.
    fn region(&mut self, addr: u64, len: usize) -> Result<(&mut Region, usize), Stop> {
        let found = self.regions.range_mut(..=addr).next_back();
        if let Some((base, region)) = found {
            let off = (addr - base) as usize;
            if off + len <= region.bytes.len() {
                return Ok((region, off));
            }
        }
        wrong(format!("access to {addr:#x}, {len} bytes"))
    }

    fn readable(&mut self, addr: u64, len: usize) -> Result<(), Stop> {
        let (region, off) = self.region(addr, len)?;
        if region.written[off..off + len].contains(&false) {
            return wrong(format!("{len} bytes at {addr:#x} are read, and not all of them were written"));
        }
        Ok(())
    }

    fn load(&mut self, addr: u64, len: usize) -> Result<u64, Stop> {
        self.readable(addr, len)?;
        let (region, off) = self.region(addr, len)?;
        let mut all = [0; 8];
        all[..len].copy_from_slice(&region.bytes[off..off + len]);
        Ok(u64::from_le_bytes(all))
    }

    fn store(&mut self, addr: u64, len: usize, n: u64) -> Result<(), Stop> {
        let (region, off) = self.region(addr, len)?;
        if !region.writable {
            return wrong(format!("store to {addr:#x}, which cannot be written"));
        }
        region.bytes[off..off + len].copy_from_slice(&n.to_le_bytes()[..len]);
        region.written[off..off + len].fill(true);
        Ok(())
    }

    fn fill(&mut self, addr: u64, len: usize) -> Result<(), Stop> {
        if len == 0 {
            return Ok(());
        }
        for n in 0..len {
            let byte = self.random.telling();
            self.store(addr + n as u64, 1, byte)?;
        }
        // In one piece.
        self.region(addr, len).map(|_| ())
    }

    fn map(&self, address: u64) -> Result<usize, Stop> {
        let map = address.wrapping_sub(MAPS) as usize;
        if map < self.maps.len() { Ok(map) } else { wrong(format!("{address:#x} is no map")) }
    }

    fn helper(&mut self, number: i32, regs: &Regs) -> Result<Option<u64>, Stop> {
        let Some(proto) = helper::by_number(number) else { return wrong(format!("no helper {number}")) };
        if self.locked && proto.name != "spin_unlock" {
            return wrong("a call while a lock is held".into());
        }
        let mut args = [0; 5];
        let looked_at = |arg: &Arg| !matches!(arg, Arg::None | Arg::Format);
        for (n, _) in proto.args.iter().enumerate().filter(|(_, arg)| looked_at(arg)) {
            let Some(value) = regs[n + 1] else { return wrong(format!("argument {} is not written", n + 1)) };
            args[n] = value;
        }
        let mut map = 0;
        let mut returns = None;
        for (n, arg) in proto.args.iter().enumerate() {
            let value = args[n];
            let size = args.get(n + 1).copied().unwrap_or(0);
            match *arg {
                Arg::Map => map = self.map(value)?,
                Arg::Key => self.readable(value, self.maps[map].key_size as usize)?,
                Arg::Value { .. } => self.readable(value, self.maps[map].value_size as usize)?,
                Arg::OutValue if self.maps[map].kind == MapKind::BloomFilter => {
                    self.readable(value, self.maps[map].value_size as usize)?;
                }
                Arg::OutValue => self.fill(value, self.maps[map].value_size as usize)?,
                Arg::OutU64 => self.fill(value, 8)?,
                Arg::Mem { .. } | Arg::Out { .. } => {
                    if size > 1 << 29 {
                        return wrong(format!("a size of {size}"));
                    }
                    // Nothing of nothing, wherever that is.
                    if size == 0 {
                        continue;
                    }
                    if matches!(arg, Arg::Mem { .. }) {
                        self.readable(value, size as usize)?;
                    } else {
                        self.fill(value, size as usize)?;
                        returns = Some(size);
                    }
                }
                Arg::Size { zero: false } if value == 0 => return wrong("a size of 0".into()),
                Arg::Record => {
                    let Some(at) = self.held.iter().position(|held| *held == value) else {
                        return wrong(format!("{value:#x} is given back, and was not reserved"));
                    };
                    self.held.swap_remove(at);
                    self.regions.remove(&value);
                }
                Arg::Ctx if value != CONTEXT => return wrong("another context".into()),
                Arg::Func if !(CODE..CODE + 0x1_0000).contains(&value) => {
                    return wrong(format!("{value:#x} is no function"));
                }
                Arg::Lock | Arg::Timer => {
                    self.region(value, 4)?;
                }
                _ => {}
            }
        }
        let found = self.random.below(4) != 0;
        match proto.name {
            "loop" => {
                self.called_back = true;
                for index in 0..args[0] as u32 {
                    let result = self.function(
                        (args[1] - CODE) as usize,
                        [Some(index.into()), Some(args[2]), None, None, None],
                    )?;
                    match result {
                        Some(0) => {}
                        Some(1) => break,
                        other => return wrong(format!("a callback returns {other:?}")),
                    }
                }
            }
            "for_each_map_elem" => {
                self.called_back = true;
                for _ in 0..self.random.below(4) {
                    let [a, b, c] = self.element(map);
                    match self.function((args[1] - CODE) as usize, [a, b, c, Some(args[2]), None])? {
                        Some(0) => {}
                        Some(1) => break,
                        other => return wrong(format!("a callback returns {other:?}")),
                    }
                }
            }
            "timer_set_callback" => self.timers.push(((args[1] - CODE) as usize, 0)),
            "spin_lock" if self.locked => return wrong("two locks".into()),
            "spin_lock" => self.locked = true,
            "spin_unlock" if !self.locked => return wrong("no lock".into()),
            "spin_unlock" => self.locked = false,
            _ => {}
        }
        Ok(match proto.ret {
            Ret::Nothing => None,
            Ret::Value if !found => Some(0),
            Ret::Value => Some(self.value(map)),
            Ret::Record if !found => Some(0),
            Ret::Record => {
                let at = RECORDS + self.records * APART;
                self.records += 1;
                let len = args[1] as usize;
                if len > 0xffff {
                    return Ok(Some(0));
                }
                self.regions
                    .insert(at, Region { bytes: vec![0; len], written: vec![true; len], writable: true });
                self.held.push(at);
                Some(at)
            }
            Ret::Between(least, _) => Some(least as u64),
            Ret::Task => Some(0),
            Ret::Number => Some(match (proto.name, returns) {
                ("get_smp_processor_id", _) => self.random.below(4),
                ("get_stack" | "probe_read_kernel_str", Some(size)) if found => self.random.below(size + 1),
                ("get_stack" | "probe_read_kernel_str", _) => -14_i64 as u64,
                _ => self.random.telling(),
            }),
        })
    }
}

fn read(regs: &Regs, reg: Reg) -> Result<u64, Stop> {
    match regs[reg.index()] {
        Some(value) => Ok(value),
        None => wrong(format!("R{} is read, and was not written", reg.number())),
    }
}

fn operand(regs: &Regs, src: Operand) -> Result<u64, Stop> {
    match src {
        Operand::Imm(imm) => Ok(imm as i64 as u64),
        Operand::Reg(reg) => read(regs, reg),
    }
}

fn holds(width: Width, cond: Cond, a: u64, b: u64) -> bool {
    let (a, b, sa, sb) = match width {
        Width::W64 => (a, b, a as i64, b as i64),
        Width::W32 => (a as u32 as u64, b as u32 as u64, i64::from(a as i32), i64::from(b as i32)),
    };
    match cond {
        Cond::Eq => a == b,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
        Cond::Set => a & b != 0,
        Cond::Ne => a != b,
        Cond::Sgt => sa > sb,
        Cond::Sge => sa >= sb,
        Cond::Lt => a < b,
        Cond::Le => a <= b,
        Cond::Slt => sa < sb,
        Cond::Sle => sa <= sb,
    }
}

fn arithmetic(width: Width, alu: Alu, a: u64, b: u64) -> u64 {
    if width == Width::W32 {
        let (a, b) = (a as u32, b as u32);
        let (sa, sb) = (a as i32, b as i32);
        return u64::from(match alu {
            Alu::Add => a.wrapping_add(b),
            Alu::Sub => a.wrapping_sub(b),
            Alu::Mul => a.wrapping_mul(b),
            Alu::Div => a.checked_div(b).unwrap_or(0),
            Alu::Sdiv => {
                if b == 0 {
                    0
                } else {
                    sa.wrapping_div(sb) as u32
                }
            }
            Alu::Or => a | b,
            Alu::And => a & b,
            Alu::Lsh => a.wrapping_shl(b),
            Alu::Rsh => a.wrapping_shr(b),
            Alu::Mod => a.checked_rem(b).unwrap_or(a),
            Alu::Smod => {
                if b == 0 {
                    a
                } else {
                    sa.wrapping_rem(sb) as u32
                }
            }
            Alu::Xor => a ^ b,
            Alu::Mov => b,
            Alu::Arsh => sa.wrapping_shr(b) as u32,
        });
    }
    let (sa, sb) = (a as i64, b as i64);
    match alu {
        Alu::Add => a.wrapping_add(b),
        Alu::Sub => a.wrapping_sub(b),
        Alu::Mul => a.wrapping_mul(b),
        Alu::Div => a.checked_div(b).unwrap_or(0),
        Alu::Sdiv => {
            if b == 0 {
                0
            } else {
                sa.wrapping_div(sb) as u64
            }
        }
        Alu::Or => a | b,
        Alu::And => a & b,
        Alu::Lsh => a.wrapping_shl(b as u32),
        Alu::Rsh => a.wrapping_shr(b as u32),
        Alu::Mod => a.checked_rem(b).unwrap_or(a),
        Alu::Smod => {
            if b == 0 {
                a
            } else {
                sa.wrapping_rem(sb) as u64
            }
        }
        Alu::Xor => a ^ b,
        Alu::Mov => b,
        Alu::Arsh => sa.wrapping_shr(b as u32) as u64,
    }
}
