//! Memory that may not be there, and texts.
//!
//! A read goes word by word through the loads that may fault (`arch::probe_read`). What was not read is zeros.

use tracecore::errno::Errno;

use super::{bytes_at, error, helpers, room_at};
use crate::arch::probe_read;

/// Bit 55 selects the half of the address space (Arm ARM D8.2): 0 is the user's.
const fn is_user(addr: u64) -> bool {
    addr >> 55 & 1 == 0
}

helpers! {
    /// Copies memory, of whichever half.
    fn probe_read(to, size, from) {
        // SAFETY: r1 is memory of the size in r2.
        read(unsafe { room_at(to, size) }, from, true)
    }

    /// Copies memory of the kernel.
    fn probe_read_kernel(to, size, from) {
        // SAFETY: r1 is memory of the size in r2.
        read(unsafe { room_at(to, size) }, from, !is_user(from))
    }

    /// Copies memory of a user.
    fn probe_read_user(to, size, from) {
        // SAFETY: r1 is memory of the size in r2.
        read(unsafe { room_at(to, size) }, from, is_user(from) && is_user(from.wrapping_add(size)))
    }

    /// Copies a text, of whichever half: its length with the NUL.
    fn probe_read_str(to, size, from) {
        // SAFETY: r1 is memory of the size in r2.
        read_text(unsafe { room_at(to, size) }, from, true)
    }

    /// Copies a text of the kernel.
    fn probe_read_kernel_str(to, size, from) {
        // SAFETY: r1 is memory of the size in r2.
        read_text(unsafe { room_at(to, size) }, from, !is_user(from))
    }

    /// Copies a text of a user.
    fn probe_read_user_str(to, size, from) {
        // SAFETY: r1 is memory of the size in r2.
        read_text(unsafe { room_at(to, size) }, from, is_user(from) && is_user(from.wrapping_add(size)))
    }

    /// Compares a text of at most `size` bytes with another one: below 0, 0, above.
    fn strncmp(text, size, with) {
        // SAFETY: r1 is memory of the size in r2.
        let text = unsafe { bytes_at(text, size) };
        for (n, byte) in text.iter().enumerate() {
            // SAFETY: r3 is a text that ends with a NUL, and until here none has come.
            let other = unsafe { *((with + n as u64) as *const u8) };
            if *byte != other {
                return (i64::from(*byte) - i64::from(other)) as u64;
            }
            if other == 0 {
                break;
            }
        }
        0
    }

    /// The number at the beginning of a text: how many bytes it has.
    fn strtol(text, size, flags, to) {
        // SAFETY: r1 is memory of the size in r2, r4 room for 8 bytes.
        let (text, to) = unsafe { (bytes_at(text, size), &mut *(to as *mut u64)) };
        *to = 0;
        match number(text, flags) {
            Ok((negative, value, len)) => {
                let limit = i64::MAX as u64 + u64::from(negative);
                if value > limit {
                    return error(Errno::ERANGE);
                }
                *to = if negative { value.wrapping_neg() } else { value };
                len as u64
            }
            Err(errno) => error(errno),
        }
    }

    /// The same without a sign.
    fn strtoul(text, size, flags, to) {
        // SAFETY: r1 is memory of the size in r2, r4 room for 8 bytes.
        let (text, to) = unsafe { (bytes_at(text, size), &mut *(to as *mut u64)) };
        *to = 0;
        match number(text, flags) {
            Ok((false, value, len)) => {
                *to = value;
                len as u64
            }
            Ok((true, ..)) => error(Errno::EINVAL),
            Err(errno) => error(errno),
        }
    }
}

/// Fills the room from an address; zeros and EFAULT if not all of it is there.
#[inline(always)]
fn read(room: &mut [u8], from: u64, allowed: bool) -> u64 {
    if allowed && probe_read::read(from, room).is_ok() {
        return 0;
    }
    room.fill(0);
    error(Errno::EFAULT)
}

/// Copies a text up to its NUL or the end of the room, where there is always one, and zeros behind it.
fn read_text(room: &mut [u8], from: u64, allowed: bool) -> u64 {
    if room.is_empty() {
        return 0;
    }
    match if allowed { text(room, from) } else { None } {
        Some(len) => {
            let len = len.min(room.len() - 1);
            if let Some(rest) = room.get_mut(len..) {
                rest.fill(0);
            }
            len as u64 + 1
        }
        None => {
            room.fill(0);
            error(Errno::EFAULT)
        }
    }
}

/// Copies a text without its NUL: its length, at most the room's. None if it is not all there.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
pub(super) fn text(room: &mut [u8], from: u64) -> Option<usize> {
    let mut len = 0;
    while len < room.len() {
        let addr = from.wrapping_add(len as u64);
        // By aligned words, which lie in one page.
        if addr.is_multiple_of(8)
            && let Some(part) = room.get_mut(len..len + 8)
        {
            let word = probe_read::read_u64(addr).ok()?;
            part.copy_from_slice(&word.to_le_bytes());
            if let Some(nul) = part.iter().position(|byte| *byte == 0) {
                return Some(len + nul);
            }
            len += 8;
            continue;
        }
        let byte = probe_read::read_u8(addr).ok()?;
        if byte == 0 {
            return Some(len);
        }
        *room.get_mut(len)? = byte;
        len += 1;
    }
    Some(len)
}

/// Blanks, a sign, digits: is it negative, how much, and how many bytes were read. The lower five bits of `flags` are the
/// base; 0 says that the text tells.
fn number(text: &[u8], flags: u64) -> Result<(bool, u64, usize), Errno> {
    if !matches!(flags, 0 | 8 | 10 | 16) {
        return Err(Errno::EINVAL);
    }
    let at = |n: usize| text.get(n).copied().unwrap_or(0);
    let mut n = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let negative = at(n) == b'-';
    n += usize::from(negative || at(n) == b'+');
    let hex = at(n) == b'0' && at(n + 1) | 0x20 == b'x' && at(n + 2).is_ascii_hexdigit();
    let base = match flags {
        0 if hex => 16,
        0 if at(n) == b'0' => 8,
        0 => 10,
        base => base as u32,
    };
    if base == 16 && hex {
        n += 2;
    }
    let first = n;
    let mut value = 0_u64;
    while let Some(digit) = char::from(at(n)).to_digit(base) {
        let grown = value.checked_mul(u64::from(base)).and_then(|v| v.checked_add(u64::from(digit)));
        value = grown.ok_or(Errno::ERANGE)?;
        n += 1;
    }
    if n == first { Err(Errno::EINVAL) } else { Ok((negative, value, n)) }
}
