//! The eight bytes that every record starts with.
//!
//! ```text
//! offset  0      2       3          4      8
//!         ┌──────┬───────┬──────────┬──────┐
//!         │ type │ flags │ preempt  │ pid  │  little-endian: one 64-bit store
//!         └──────┴───────┴──────────┴──────┘
//! ```

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;

/// Interrupts were masked.
pub const IRQS_OFF: u8 = 1 << 0;
/// The task was to be rescheduled at the next convenience.
pub const NEED_RESCHED_LAZY: u8 = 1 << 1;
/// The task was to be rescheduled.
pub const NEED_RESCHED: u8 = 1 << 2;
/// In a hardware interrupt.
pub const HARDIRQ: u8 = 1 << 3;
/// In a software interrupt.
pub const SOFTIRQ: u8 = 1 << 4;
/// The CPU was to be preempted at once.
pub const PREEMPT_RESCHED: u8 = 1 << 5;
/// In a non-maskable interrupt.
pub const NMI: u8 = 1 << 6;
/// Software interrupts were held off.
pub const BH_OFF: u8 = 1 << 7;

/// What was so when the record was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Header {
    /// The event class's id.
    pub id: u16,
    /// The context, bits as above.
    pub flags: u8,
    /// Depth of held-off preemption in the low four bits, of held-off migration in the high ones.
    pub preempt_count: u8,
    /// The current task.
    pub pid: i32,
}

impl Header {
    /// The header as the word that is stored.
    #[inline]
    pub const fn to_word(self) -> u64 {
        self.id as u64
            | (self.flags as u64) << 16
            | (self.preempt_count as u64) << 24
            | (self.pid as u32 as u64) << 32
    }

    /// The header of this word.
    pub const fn from_word(word: u64) -> Self {
        Self {
            id: word as u16,
            flags: (word >> 16) as u8,
            preempt_count: (word >> 24) as u8,
            pid: (word >> 32) as i32,
        }
    }

    /// The header of a record; of all zeros if the record is too short to have one.
    pub fn of(record: &[u8]) -> Self {
        record.first_chunk().map_or_else(Self::default, |word| Self::from_word(u64::from_le_bytes(*word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_one_in_format_files() {
        let header = Header { id: 0x1234, flags: IRQS_OFF | BH_OFF, preempt_count: 0x21, pid: -2 };
        let bytes = header.to_word().to_le_bytes();
        assert_eq!(bytes, [0x34, 0x12, 0x81, 0x21, 0xfe, 0xff, 0xff, 0xff]);
        assert_eq!(Header::of(&bytes), header);
        assert_eq!(Header::of(&bytes[..7]), Header::default());
    }
}
