//! Programs that nobody has verified, in memory where they can do no harm.
//!
//! ```text
//!   MEMORY ─▶ ┌───────────────┐ r1, r2 bytes        STACK ─▶ ┌───────────────┐
//!             │ the case's    │                              │ frames        │
//!             └───────────────┘                              └───────────────┘ ◀─ r10
//! ```
//!
//! The addresses are no addresses of anything else: every access is looked up here, and outside the two it is a fault. A
//! [`Case`] is a program and its memory in one line of text, as `bpf exec` reads it.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::interp::{Code, Env, FRAME_BYTES, Fault, HelperError, MAX_FRAMES, Trap};
use crate::op::{Atomic, Size, Width};
use crate::program::{Invalid, Program};

/// Where the program's memory lies.
pub const MEMORY: u64 = 0x1_0000_0000;
/// Where its stack lies.
pub const STACK: u64 = 0x2_0000_0000;
/// How much memory a case may bring.
pub const MAX_MEMORY: usize = 1 << 20;
/// How many jumps and calls a case may make.
pub const BUDGET: u64 = 10_000_000;

const STACK_BYTES: usize = FRAME_BYTES as usize * MAX_FRAMES;

/// A helper: its result, if there is one with this number.
pub type Helpers<'a> = &'a dyn Fn(i32, [u64; 5]) -> Option<u64>;

/// No helpers.
pub const NO_HELPERS: Helpers<'static> = &|_, _| None;

/// Memory, a stack and helpers.
pub struct Sandbox<'a> {
    memory: Vec<u8>,
    stack: Box<[u8]>,
    helpers: Helpers<'a>,
    budget: u64,
}

impl fmt::Debug for Sandbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl<'a> Sandbox<'a> {
    /// A sandbox around some memory, in which a program may make `budget` jumps and calls.
    pub fn new(memory: Vec<u8>, helpers: Helpers<'a>, budget: u64) -> Self {
        Self { memory, stack: vec![0; STACK_BYTES].into_boxed_slice(), helpers, budget }
    }

    /// Runs a program: r1 is the address of the memory and r2 its length.
    ///
    /// # Errors
    /// Why it did not come to its end.
    pub fn run(&mut self, program: &Program) -> Result<u64, Trap> {
        self.run_code(&Code::new(program))
    }

    /// The same with a program that is prepared.
    ///
    /// # Errors
    /// Why it did not come to its end.
    pub fn run_code(&mut self, code: &Code) -> Result<u64, Trap> {
        let (args, budget) = ([MEMORY, self.memory.len() as u64, 0, 0, 0], self.budget);
        code.run(self, args, STACK + STACK_BYTES as u64, budget)
    }

    /// The memory, as it is now.
    pub fn memory(&self) -> &[u8] {
        &self.memory
    }

    fn at(&mut self, addr: u64, len: usize) -> Result<&mut [u8], Fault> {
        let (base, bytes) =
            if addr < STACK { (MEMORY, &mut *self.memory) } else { (STACK, &mut *self.stack) };
        let from = addr.checked_sub(base).and_then(|from| usize::try_from(from).ok()).ok_or(Fault)?;
        let to = from.checked_add(len).ok_or(Fault)?;
        bytes.get_mut(from..to).ok_or(Fault)
    }
}

impl Env for Sandbox<'_> {
    fn load(&mut self, addr: u64, size: Size) -> Result<u64, Fault> {
        let mut value = [0; 8];
        let bytes = self.at(addr, size.bytes())?;
        value.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(u64::from_le_bytes(value))
    }

    fn store(&mut self, addr: u64, size: Size, value: u64) -> Result<(), Fault> {
        let bytes = self.at(addr, size.bytes())?;
        bytes.iter_mut().zip(value.to_le_bytes()).for_each(|(to, from)| *to = from);
        Ok(())
    }

    /// Nobody else sees this memory.
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
        (self.helpers)(helper, args).ok_or(HelperError::Unknown)
    }
}

/// A program and its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The program.
    pub program: Program,
    /// What r1 points to.
    pub memory: Vec<u8>,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseError {
    /// Not one or two words.
    Words,
    /// A word that is not pairs of hexadecimal digits.
    Hex,
    /// More than [`MAX_MEMORY`].
    Memory,
    /// No program.
    Program(Invalid),
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words => f.write_str("expected a program and perhaps its memory, in hexadecimal"),
            Self::Hex => f.write_str("not pairs of hexadecimal digits"),
            Self::Memory => write!(f, "more than {MAX_MEMORY} bytes of memory"),
            Self::Program(invalid) => invalid.fmt(f),
        }
    }
}

impl Case {
    /// Reads `PROGRAM [MEMORY]`, both as hexadecimal digits.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, CaseError> {
        let mut words = line.split_ascii_whitespace();
        let (Some(program), memory, None) = (words.next(), words.next(), words.next()) else {
            return Err(CaseError::Words);
        };
        let memory = memory.map_or(Ok(Vec::new()), |word| bytes(word).ok_or(CaseError::Hex))?;
        if memory.len() > MAX_MEMORY {
            return Err(CaseError::Memory);
        }
        let program =
            Program::from_bytes(&bytes(program).ok_or(CaseError::Hex)?).map_err(CaseError::Program)?;
        Ok(Self { program, memory })
    }
}

/// The bytes of pairs of hexadecimal digits.
pub fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs.iter().map(|[high, low]| Some((digit(*high)? * 16 + digit(*low)?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn cases_are_read() {
        let case = Case::parse("  b7000000070000009500000000000000 00ff\n").unwrap();
        assert_eq!((case.program.slots().len(), &case.memory[..]), (2, &[0, 0xff][..]));
        for (line, why) in [
            ("", "expected a program and perhaps its memory, in hexadecimal"),
            ("95 00 00", "expected a program and perhaps its memory, in hexadecimal"),
            ("950", "not pairs of hexadecimal digits"),
            ("+5", "not pairs of hexadecimal digits"),
            ("95000000", "4 bytes are no whole number of instructions of 8"),
            ("9500000000000000 0", "not pairs of hexadecimal digits"),
            ("9500000001000000", "insn 0: the field imm has a value that means nothing here"),
        ] {
            assert_eq!(Case::parse(line).unwrap_err().to_string(), why, "{line}");
        }
    }

    #[test]
    fn outside_is_a_fault() {
        let mut sandbox = Sandbox::new(vec![1, 2, 3, 4], NO_HELPERS, BUDGET);
        assert_eq!(sandbox.load(MEMORY, Size::W), Ok(0x0403_0201));
        for addr in
            [MEMORY + 1, MEMORY - 1, 0, u64::MAX, STACK - 1, STACK + STACK_BYTES as u64 - 3, u64::MAX - 1]
        {
            assert_eq!(sandbox.load(addr, Size::W), Err(Fault), "{addr:#x}");
            assert_eq!(sandbox.store(addr, Size::W, 0), Err(Fault), "{addr:#x}");
        }
        assert_eq!(sandbox.memory(), [1, 2, 3, 4]);
    }
}
