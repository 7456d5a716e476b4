//! The encoding: one instruction, 8 bytes (RFC 9669, section 3).
//!
//! ```text
//!   byte 0    byte 1          bytes 2-3   bytes 4-7
//!   opcode    src:4 dst:4     offset      imm           little-endian; the low half of byte 1 is dst
//!
//!   opcode, arithmetic and jumps     code:4 source:1 class:3
//!   opcode, loads and stores         mode:3 size:2   class:3
//! ```
//!
//! A 64-bit immediate takes two such slots: the second one has its high half in `imm` and nothing else.

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 8;

/// One slot as it is encoded: every field, whether it means anything or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Insn {
    /// What to do.
    pub opcode: u8,
    /// Destination register, 0-15; those above 10 do not exist.
    pub dst: u8,
    /// Source register, 0-15, or a kind of immediate or call.
    pub src: u8,
    /// Offset of a jump, in slots, or of an access, in bytes.
    pub off: i16,
    /// Immediate.
    pub imm: i32,
}

impl Insn {
    /// The slot of 8 bytes.
    pub const fn from_bytes(bytes: [u8; SLOT_BYTES]) -> Self {
        let [opcode, registers, off0, off1, imm0, imm1, imm2, imm3] = bytes;
        Self {
            opcode,
            dst: registers & 0xf,
            src: registers >> 4,
            off: i16::from_le_bytes([off0, off1]),
            imm: i32::from_le_bytes([imm0, imm1, imm2, imm3]),
        }
    }

    /// The 8 bytes of the slot.
    pub const fn to_bytes(self) -> [u8; SLOT_BYTES] {
        let ([off0, off1], [imm0, imm1, imm2, imm3]) = (self.off.to_le_bytes(), self.imm.to_le_bytes());
        [self.opcode, self.dst & 0xf | self.src << 4, off0, off1, imm0, imm1, imm2, imm3]
    }

    /// The class: the low three bits of the opcode.
    pub const fn class(self) -> u8 {
        self.opcode & 0x07
    }

    /// Takes an instruction of two slots?
    pub const fn is_wide(self) -> bool {
        self.opcode == class::LD | mode::IMM | size::DW
    }
}

/// Classes (RFC 9669, table 3).
pub mod class {
    /// Loads that are none of the others: 64-bit immediates; formerly packets.
    pub const LD: u8 = 0x00;
    /// Loads into a register.
    pub const LDX: u8 = 0x01;
    /// Stores of an immediate.
    pub const ST: u8 = 0x02;
    /// Stores of a register, and atomics.
    pub const STX: u8 = 0x03;
    /// 32-bit arithmetic.
    pub const ALU: u8 = 0x04;
    /// Jumps that compare 64 bits.
    pub const JMP: u8 = 0x05;
    /// Jumps that compare 32 bits.
    pub const JMP32: u8 = 0x06;
    /// 64-bit arithmetic.
    pub const ALU64: u8 = 0x07;
}

/// Modes of loads and stores (RFC 9669, table 10).
pub mod mode {
    /// 64-bit immediate.
    pub const IMM: u8 = 0x00;
    /// Packet access at a fixed offset; legacy.
    pub const ABS: u8 = 0x20;
    /// Packet access at an offset in a register; legacy.
    pub const IND: u8 = 0x40;
    /// Memory.
    pub const MEM: u8 = 0x60;
    /// Memory, sign-extended.
    pub const MEMSX: u8 = 0x80;
    /// Atomic.
    pub const ATOMIC: u8 = 0xc0;
}

/// Sizes of loads and stores (RFC 9669, table 11).
pub mod size {
    /// 4 bytes.
    pub const W: u8 = 0x00;
    /// 2 bytes.
    pub const H: u8 = 0x08;
    /// 1 byte.
    pub const B: u8 = 0x10;
    /// 8 bytes.
    pub const DW: u8 = 0x18;
}

/// Source bit of arithmetic and jumps: the immediate.
pub const K: u8 = 0x00;
/// Source bit of arithmetic and jumps: the register.
pub const X: u8 = 0x08;
