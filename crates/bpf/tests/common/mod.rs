//! What the tests share: memory that checks every access, and numbers that are the same each time.

#![allow(dead_code, reason = "each test program uses a part")]

use bpf::interp::{self, Env, FRAME_BYTES, Fault, HelperError, MAX_FRAMES, Trap};
use bpf::op::{Atomic, Size, Width};
use bpf::{Program, text};

/// Where a program's memory and its stack lie.
pub(crate) const MEMORY: u64 = 0x1_0000;
pub(crate) const STACK: u64 = 0x8_0000;
const STACK_BYTES: usize = FRAME_BYTES as usize * MAX_FRAMES;

/// Two stretches of memory; helper 1 adds its arguments.
pub(crate) struct Checked {
    pub(crate) memory: Vec<u8>,
    stack: Vec<u8>,
}

impl Checked {
    pub(crate) fn new(memory: &[u8]) -> Self {
        Self { memory: memory.to_vec(), stack: vec![0; STACK_BYTES] }
    }

    fn at(&mut self, addr: u64, len: usize) -> Result<&mut [u8], Fault> {
        let find = |base: u64, bytes: &'_ [u8]| {
            let from = usize::try_from(addr.checked_sub(base)?).ok()?;
            (from.checked_add(len)? <= bytes.len()).then_some(from..from + len)
        };
        if let Some(range) = find(MEMORY, &self.memory) {
            return Ok(&mut self.memory[range]);
        }
        let range = find(STACK, &self.stack).ok_or(Fault)?;
        Ok(&mut self.stack[range])
    }
}

impl Env for Checked {
    fn load(&mut self, addr: u64, size: Size) -> Result<u64, Fault> {
        let mut value = [0; 8];
        value[..size.bytes()].copy_from_slice(self.at(addr, size.bytes())?);
        Ok(u64::from_le_bytes(value))
    }

    fn store(&mut self, addr: u64, size: Size, value: u64) -> Result<(), Fault> {
        self.at(addr, size.bytes())?.copy_from_slice(&value.to_le_bytes()[..size.bytes()]);
        Ok(())
    }

    fn atomic(&mut self, addr: u64, width: Width, atomic: Atomic, src: u64, r0: u64) -> Result<u64, Fault> {
        let size = if width == Width::W64 { Size::Dw } else { Size::W };
        if !addr.is_multiple_of(size.bytes() as u64) {
            return Err(Fault);
        }
        let old = self.load(addr, size)?;
        if let Some(new) = atomic.apply(width, old, src, r0) {
            self.store(addr, size, new)?;
        }
        Ok(old)
    }

    fn call(&mut self, helper: i32, args: [u64; 5]) -> Result<u64, HelperError> {
        match helper {
            1 => Ok(args.iter().copied().fold(0, u64::wrapping_add)),
            _ => Err(HelperError::Unknown),
        }
    }
}

/// Runs a program on memory: r1 is its address, r2 its length.
pub(crate) fn run(program: &Program, env: &mut Checked) -> Result<u64, Trap> {
    let args = [MEMORY, env.memory.len() as u64, 0, 0, 0];
    interp::run(program, env, args, STACK + STACK_BYTES as u64, 10_000)
}

/// The same, from text.
pub(crate) fn run_text(source: &str, memory: &[u8]) -> (Result<u64, Trap>, Vec<u8>) {
    let program = text::parse(source, &text::NoNames).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let mut env = Checked::new(memory);
    (run(&program, &mut env), env.memory)
}

/// Xorshift64* (Vigna 2016).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 32) % n
    }

    /// Numbers near which mistakes are made, and others.
    pub(crate) fn telling(&mut self) -> u64 {
        const TELLING: [u64; 8] =
            [0, 1, u64::MAX, 1 << 63, i64::MAX as u64, 0x8000_0000, 0xffff_ffff, 0xffff_ffff_8000_0000];
        match self.below(3) {
            0 => TELLING[self.below(8) as usize],
            1 => self.below(256),
            _ => self.next(),
        }
    }
}
