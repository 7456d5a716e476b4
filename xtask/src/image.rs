//! Makes the flat arm64 `Image` of the linked kernel.
//!
//! QEMU and every arm64 boot loader take a flat file that starts with a 64-byte header (the Linux
//! document `arch/arm64/booting.rst`), copy it to 2 MiB-aligned memory plus `text_offset`, and jump to
//! its first byte with the device tree's address in x0:
//!
//! ```text
//!    0  code0, code1     branch to the entry
//!    8  text_offset
//!   16  image_size       how much memory belongs to the image  ◀── written here
//!   24  flags
//!   56  magic "ARM\x64"
//! ```
//!
//! The linker lays everything between `__image_start` and `__ksyms_start`, `.bss` included, so the file
//! is that stretch of memory byte by byte, followed by the symbol blob and the table of types. Nothing may be stripped or moved
//! afterwards: the symbols say where things were linked.

use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSegment, ObjectSymbol};
use tracecore::symtab::BLOB_ALIGN;

/// Where the image starts.
pub const IMAGE_START: &str = "__image_start";
/// Where the symbol blob is appended.
pub const KSYMS_START: &str = "__ksyms_start";

const HEADER_LEN: usize = 64;
const IMAGE_SIZE_AT: usize = 16;
const MAGIC_AT: usize = 56;
const MAGIC: &[u8] = b"ARM\x64";
/// The image's memory is rounded up to whole pages.
const PAGE: usize = 4096;
/// No kernel of ours comes near this; a larger one means addresses that lie apart.
const IMAGE_MAX: u64 = 256 << 20;

/// A stretch of memory that the ELF file fills.
struct Piece<'a> {
    address: u64,
    bytes: &'a [u8],
}

/// The flat image of the kernel in `elf`, with these blobs behind it.
pub fn make(elf: &[u8], blobs: &[&[u8]]) -> Result<Vec<u8>> {
    let file = object::File::parse(elf).context("the kernel is no ELF file")?;
    let start = symbol(&file, IMAGE_START)?;
    let end = symbol(&file, KSYMS_START)?;
    let pieces: Vec<Piece<'_>> = file
        .segments()
        .map(|s| Ok(Piece { address: s.address(), bytes: s.data()? }))
        .collect::<Result<_>>()?;
    let mut image = flatten(&pieces, start, end)?;
    for blob in blobs {
        image.extend_from_slice(blob);
        image.resize(image.len().next_multiple_of(BLOB_ALIGN), 0);
    }
    finish(image)
}

/// The address of a symbol that the linker script defines.
pub fn symbol(file: &object::File<'_>, name: &str) -> Result<u64> {
    let found = file.symbols().find(|s| s.name() == Ok(name)).map(|s| s.address());
    found.with_context(|| format!("the kernel has no symbol {name}"))
}

/// Memory from `start` to `end`, zeros where no piece fills it.
fn flatten(pieces: &[Piece<'_>], start: u64, end: u64) -> Result<Vec<u8>> {
    let len = end.checked_sub(start).with_context(|| format!("{KSYMS_START} lies before {IMAGE_START}"))?;
    ensure!(len <= IMAGE_MAX, "the image would have {len} bytes, at most {IMAGE_MAX} are possible");
    let mut image = vec![0; len as usize];
    for piece in pieces.iter().filter(|p| !p.bytes.is_empty()) {
        let at = piece.address.checked_sub(start).map(|at| at as usize);
        let room = at.and_then(|at| image.get_mut(at..at.checked_add(piece.bytes.len())?));
        let Some(room) = room else {
            bail!("a segment at {:#x} lies outside {IMAGE_START}..{KSYMS_START}", piece.address);
        };
        room.copy_from_slice(piece.bytes);
    }
    Ok(image)
}

/// Checks the header and writes the image's size into it.
fn finish(mut image: Vec<u8>) -> Result<Vec<u8>> {
    ensure!(image.len() >= HEADER_LEN, "the image is shorter than its header");
    ensure!(image[MAGIC_AT..].starts_with(MAGIC), "the image does not start with an arm64 Image header");
    let size = image.len().next_multiple_of(PAGE) as u64;
    image[IMAGE_SIZE_AT..IMAGE_SIZE_AT + 8].copy_from_slice(&size.to_le_bytes());
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        let mut bytes = vec![0xaa; HEADER_LEN];
        bytes[MAGIC_AT..MAGIC_AT + 4].copy_from_slice(MAGIC);
        bytes
    }

    #[test]
    fn pieces_land_where_they_were_linked() {
        let pieces = [
            Piece { address: 0x1008, bytes: b"data" },
            Piece { address: 0x1000, bytes: b"text" },
            Piece { address: 0, bytes: b"" },
        ];
        assert_eq!(flatten(&pieces, 0x1000, 0x1010).unwrap(), b"text\0\0\0\0data\0\0\0\0");
    }

    #[test]
    fn stray_pieces_are_refused() {
        for address in [0xfff, 0x100d, 0, u64::MAX] {
            let piece = Piece { address, bytes: b"data" };
            assert!(flatten(&[piece], 0x1000, 0x1010).is_err(), "{address:#x}");
        }
        assert!(flatten(&[], 0x1000, 0xfff).is_err());
        assert!(flatten(&[], 0, u64::MAX).is_err());
    }

    #[test]
    fn the_size_is_written_in_whole_pages() {
        let mut image = header();
        image.resize(5000, 1);
        let image = finish(image).unwrap();
        assert_eq!(image[16..24], 8192u64.to_le_bytes());
        assert_eq!((image[15], image[24], image.len()), (0xaa, 0xaa, 5000));
    }

    #[test]
    fn a_file_without_the_header_is_refused() {
        assert!(finish(vec![0; 5000]).is_err());
        assert!(finish(header()[..60].to_vec()).is_err());
    }
}
