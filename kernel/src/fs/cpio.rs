//! The archive that the boot loader hands over: cpio, in its "newc" form.
//!
//! It is a row of members, each a header of 110 ASCII bytes, a name, and the content; names and contents end
//! at multiples of four, and a member called `TRAILER!!!` is the last:
//!
//! ```text
//!   offset  0 "070701" │ 6 inode │ 14 mode │ 22 uid │ 30 gid │ 38 nlink │ 46 mtime │ 54 size of the content
//!          62 devmajor │ 70 devminor │ 78 rdevmajor │ 86 rdevminor │ 94 size of the name │ 102 check (0)
//!         110 name, NUL, up to 3 NULs │ content, up to 3 NULs │ next header …
//! ```
//!
//! All numbers are eight hexadecimal digits. Several archives may follow one another, NULs between them, as
//! Linux accepts them. Sources: `cpio(5)`, Linux's `Documentation/driver-api/early-userspace/buffer-format.rst`.
//!
//! The archive comes from outside: every length is checked against the bytes that are there, and what does
//! not fit is EINVAL with nothing half-read. This file is pure and is also tested on the host.

use tracecore::errno::Errno;

const HEADER: usize = 110;
const MAGIC: &[u8] = b"070701";
/// The same with a checksum that is not looked at.
const MAGIC_CRC: &[u8] = b"070702";
const TRAILER: &str = "TRAILER!!!";

/// The bits of `mode` that say what a member is.
const TYPE_MASK: u32 = 0o170_000;
const TYPE_DIR: u32 = 0o040_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_LINK: u32 = 0o120_000;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link; its content is the target.
    Symlink,
    /// A device, a socket: nothing that is unpacked here.
    Other,
}

/// One member of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    /// Its path, as written.
    pub(crate) name: &'a str,
    /// What it is.
    pub(crate) kind: MemberKind,
    /// Permission bits.
    pub(crate) mode: u16,
    /// Its content.
    pub(crate) data: &'a [u8],
}

/// The members of `archive`, one after the other; an error is the last item.
pub(crate) struct Members<'a> {
    archive: &'a [u8],
    at: usize,
    failed: bool,
}

/// Reads `archive`.
pub(crate) fn members(archive: &[u8]) -> Members<'_> {
    Members { archive, at: 0, failed: false }
}

/// The number in the eight hexadecimal digits at `offset` of `header`.
fn hex(header: &[u8], offset: usize) -> Result<u32, Errno> {
    let digits = header.get(offset..offset + 8).ok_or(Errno::EINVAL)?;
    digits.iter().try_fold(0u32, |n, &d| {
        let v = char::from(d).to_digit(16).ok_or(Errno::EINVAL)?;
        Ok(n << 4 | v)
    })
}

const fn align4(n: usize) -> usize {
    n.next_multiple_of(4)
}

impl<'a> Members<'a> {
    fn bytes(&self, at: usize, len: usize) -> Result<&'a [u8], Errno> {
        let end = at.checked_add(len).ok_or(Errno::EINVAL)?;
        self.archive.get(at..end).ok_or(Errno::EINVAL)
    }

    /// The member at the position, which is moved behind it; `None` at the end.
    fn read(&mut self) -> Result<Option<Member<'a>>, Errno> {
        loop {
            // Padding after an archive: to a block of the tool that wrote it, or to the next archive.
            while self.archive.get(self.at) == Some(&0) {
                self.at += 1;
            }
            if self.at >= self.archive.len() {
                return Ok(None);
            }
            let member = self.read_one()?;
            if member.name != TRAILER {
                return Ok(Some(member));
            }
        }
    }

    fn read_one(&mut self) -> Result<Member<'a>, Errno> {
        let header = self.bytes(self.at, HEADER)?;
        if !header.starts_with(MAGIC) && !header.starts_with(MAGIC_CRC) {
            return Err(Errno::EINVAL);
        }
        let mode = hex(header, 14)?;
        let data_len = hex(header, 54)? as usize;
        let name_len = hex(header, 94)? as usize;
        let name_at = self.at + HEADER;
        let name = self.bytes(name_at, name_len)?.strip_suffix(&[0]).ok_or(Errno::EINVAL)?;
        let name = core::str::from_utf8(name).map_err(|_| Errno::EINVAL)?;
        if name.is_empty() || name.contains('\0') {
            return Err(Errno::EINVAL);
        }
        // Aligned from the start of this archive, which is itself aligned in what the boot loader gives.
        let data_at = align4(name_at + name_len);
        let data = self.bytes(data_at, data_len)?;
        self.at = align4(data_at + data_len);
        let kind = match mode & TYPE_MASK {
            TYPE_FILE => MemberKind::File,
            TYPE_DIR => MemberKind::Dir,
            TYPE_LINK => MemberKind::Symlink,
            _ => MemberKind::Other,
        };
        Ok(Member { name, kind, mode: (mode & 0o777) as u16, data })
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.read().transpose();
        self.failed = matches!(item, Some(Err(_)));
        item
    }
}

#[cfg(test)]
mod tests {
    use super::{Member, MemberKind, members};
    use std::{format, string::String, vec, vec::Vec};
    use tracecore::errno::Errno;

    fn pad(out: &mut Vec<u8>) {
        out.resize(out.len().next_multiple_of(4), 0);
    }

    fn put(out: &mut Vec<u8>, name: &str, mode: u32, data: &[u8]) {
        let f = |n: u32| format!("{n:08x}");
        let fields = [1, mode, 0, 0, 1, 0, data.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
        let header: String = fields.into_iter().map(f).collect();
        out.extend_from_slice(b"070701");
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        pad(out);
        out.extend_from_slice(data);
        pad(out);
    }

    fn sample() -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, "etc", 0o040_755, b"");
        put(&mut out, "etc/motd", 0o100_644, b"hello\n");
        put(&mut out, "bin/x", 0o120_777, b"/etc/motd");
        put(&mut out, "dev/null", 0o020_666, b"");
        put(&mut out, "TRAILER!!!", 0, b"");
        out
    }

    fn read(bytes: &[u8]) -> Result<Vec<Member<'_>>, Errno> {
        members(bytes).collect()
    }

    #[test]
    fn members_come_in_order() {
        let bytes = sample();
        let got = read(&bytes).unwrap_or_default();
        let names: Vec<_> = got.iter().map(|m| (m.name, m.kind, m.mode, m.data.len())).collect();
        assert_eq!(
            names,
            [
                ("etc", MemberKind::Dir, 0o755, 0),
                ("etc/motd", MemberKind::File, 0o644, 6),
                ("bin/x", MemberKind::Symlink, 0o777, 9),
                ("dev/null", MemberKind::Other, 0o666, 0),
            ]
        );
        assert_eq!(got[1].data, b"hello\n");
    }

    #[test]
    fn archives_may_follow_one_another() {
        let mut bytes = sample();
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend_from_slice(&sample());
        assert_eq!(read(&bytes).map(|m| m.len()), Ok(8));
        assert_eq!(read(b""), Ok(vec![]));
        assert_eq!(read(&[0; 100]), Ok(vec![]));
    }

    #[test]
    fn every_truncation_inside_a_member_is_einval() {
        let whole = sample();
        let starts: Vec<usize> =
            whole.windows(6).enumerate().filter(|(_, w)| *w == b"070701").map(|(i, _)| i).collect();
        for cut in 0..whole.len() {
            let result = read(&whole[..cut]);
            // Cut in the padding behind a member, or between two, nothing is missing.
            let last = starts.iter().rev().find(|s| **s <= cut).copied().unwrap_or(0);
            let complete = cut == last || starts.iter().any(|s| *s >= cut && *s < cut + 4);
            if !complete && cut < whole.len() - 4 {
                assert_eq!(result, Err(Errno::EINVAL), "cut at {cut}");
            }
        }
    }

    #[test]
    fn wrong_fields_are_einval() {
        let good = sample();
        for (at, byte) in [(0, b'1'), (5, b'5'), (14, b'g'), (54, b'f'), (94, b'f'), (101, b'0'), (113, b'x')]
        {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(read(&bad), Err(Errno::EINVAL), "byte {at}");
        }
    }

    /// Whatever the bytes are, reading ends, and what it gives lies inside them.
    #[test]
    fn no_bytes_make_it_panic_or_run_on() {
        let good = sample();
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=random() % 4 {
                let at = random() as usize % bytes.len();
                bytes[at] = if random() % 2 == 0 {
                    random() as u8
                } else {
                    b"0123456789abcdef"[random() as usize % 16]
                };
            }
            bytes.truncate(random() as usize % (bytes.len() + 1));
            let total: usize = members(&bytes).flatten().map(|m| m.data.len()).sum();
            assert!(total <= bytes.len());
        }
    }
}
