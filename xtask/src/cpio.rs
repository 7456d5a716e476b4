//! Writes cpio archives in the "newc" format, the one that Linux takes as an initramfs.
//!
//! ```text
//!   "070701" and 13 numbers of 8 hexadecimal digits each │ name, zero │ pad to 4 │ data │ pad to 4
//! ```
//!
//! The numbers are inode, mode, uid, gid, links, mtime, size, device (2), special device (2), length of
//! the name with its zero, check (0). The archive ends with an entry called `TRAILER!!!`. The same files
//! give the same bytes: times are 0, inodes count up. Source: `initramfs/buffer-format.rst` of Linux.

/// Bits of a mode that say what an entry is.
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;

/// An archive that grows.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory; `path` has no leading slash, and what it lies in was added before.
    pub fn directory(&mut self, path: &str, permissions: u32) {
        self.entry(path, DIRECTORY | permissions, 2, &[]);
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, permissions: u32, data: &[u8]) {
        self.entry(path, REGULAR | permissions, 1, data);
    }

    /// Ends the archive and gives its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        // The trailer's inode is 0 by custom.
        self.entries = u32::MAX;
        self.entry("TRAILER!!!", 0, 1, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, links: u32, data: &[u8]) {
        self.entries = self.entries.wrapping_add(1);
        let numbers =
            [self.entries, mode, 0, 0, links, 0, data.len() as u32, 0, 0, 0, 0, path.len() as u32 + 1, 0];
        self.bytes.extend_from_slice(b"070701");
        for number in numbers {
            self.bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader written from the format alone: (name, mode, data) of every entry before the trailer.
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let whole = bytes.len();
        let mut out = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let number = |i: usize| {
                let digits = std::str::from_utf8(&bytes[6 + i * 8..14 + i * 8]).unwrap();
                u32::from_str_radix(digits, 16).unwrap() as usize
            };
            let (mode, size, name_len) = (number(1), number(6), number(11));
            let name = std::str::from_utf8(&bytes[110..110 + name_len - 1]).unwrap().to_owned();
            assert_eq!(bytes[110 + name_len - 1], 0);
            let data_at = (110 + name_len).next_multiple_of(4);
            let data = bytes[data_at..data_at + size].to_vec();
            bytes = &bytes[(data_at + size).next_multiple_of(4)..];
            assert_eq!((whole - bytes.len()) % 4, 0);
            if name == "TRAILER!!!" {
                assert!(bytes.is_empty());
                return out;
            }
            out.push((name, mode as u32, data));
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let mut archive = Archive::default();
        archive.directory("etc", 0o755);
        let mut expected = vec![("etc".to_owned(), 0o040_755, Vec::new())];
        for len in 0..9u8 {
            let name = format!("etc/{}", "x".repeat(1 + usize::from(len)));
            let data: Vec<u8> = (0..len).collect();
            archive.file(&name, 0o644, &data);
            expected.push((name, 0o100_644, data));
        }
        assert_eq!(read(&archive.finish()), expected);
    }

    #[test]
    fn an_empty_archive_is_a_trailer() {
        assert_eq!(read(&Archive::default().finish()), []);
    }

    /// The bytes that `cpio -o -H newc --reproducible` writes for such a file, but for inode and time.
    #[test]
    fn one_entry_in_full() {
        let mut archive = Archive::default();
        archive.file("a", 0o644, b"hi");
        let head = "070701000000010000\
                    81a40000000000000000000000010000000000000002\
                    00000000000000000000000000000000000000020000\
                    0000a\0hi\0\0";
        assert!(archive.finish().starts_with(head.as_bytes()));
    }
}
