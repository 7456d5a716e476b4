//! Disks for the machine: a file of the user's, or a fresh one for one run.
//!
//! ```text
//!   --disk FILE            the file, as raw sectors; what the guest writes stays
//!   --new-disk fat:8M      an empty FAT volume of 8 MiB, gone with the run
//!   --new-disk blank:64K   zeros
//!   --bad-sector N         what touches sector N of either fails (QEMU's blkdebug)
//! ```

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use tracecore::errno::Errno;

use crate::machine::Machine;

/// What a fresh disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Fat,
    Blank,
}

/// A disk that is made for one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewDisk {
    content: Content,
    bytes: usize,
}

/// The largest disk that is made: it is made in memory.
const MAX_BYTES: usize = 1 << 30;

impl FromStr for NewDisk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (content, size) = text.split_once(':').ok_or("not `fat:SIZE` or `blank:SIZE`")?;
        let content = match content {
            "fat" => Content::Fat,
            "blank" => Content::Blank,
            _ => return Err("neither `fat` nor `blank`".into()),
        };
        let (digits, unit) = match size.strip_suffix(['K', 'k']) {
            Some(digits) => (digits, 1 << 10),
            None => size.strip_suffix(['M', 'm']).map_or((size, 1), |digits| (digits, 1 << 20)),
        };
        let number: usize = digits.parse().map_err(|_| "not a size, as 8M or 64K")?;
        let bytes = number.checked_mul(unit).filter(|n| *n <= MAX_BYTES).ok_or("more than 1024M")?;
        Ok(Self { content, bytes })
    }
}

/// A disk in memory.
#[derive(Clone)]
struct Image(Arc<Mutex<Vec<u8>>>);

impl Image {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of `len` bytes at `pos`, as far as there is one.
fn part(bytes: &[u8], pos: u64, len: usize) -> std::ops::Range<usize> {
    let from = usize::try_from(pos).unwrap_or(usize::MAX).min(bytes.len());
    from..from.saturating_add(len).min(bytes.len())
}

impl fat::Disk for Image {
    fn bytes(&self) -> u64 {
        self.lock().len() as u64
    }

    fn read(&self, pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let bytes = self.lock();
        let part = part(&bytes, pos, buf.len());
        buf[..part.len()].copy_from_slice(&bytes[part.clone()]);
        Ok(part.len())
    }

    fn write(&self, pos: u64, data: &[u8]) -> Result<usize, Errno> {
        let mut bytes = self.lock();
        let part = part(&bytes, pos, data.len());
        bytes[part.clone()].copy_from_slice(&data[..part.len()]);
        Ok(part.len())
    }
}

impl NewDisk {
    /// What is on it.
    fn bytes(self) -> Result<Vec<u8>> {
        let image = Image(Arc::new(Mutex::new(vec![0; self.bytes])));
        if self.content == Content::Fat {
            fat::format(Box::new(image.clone()))
                .map_err(|e| anyhow::anyhow!("no FAT volume of that size: {}", e.strerror()))?;
        }
        Ok(std::mem::take(&mut image.lock()))
    }
}

/// The machine with its disk as a file: a fresh one is made in `folder`.
pub fn prepare(machine: &Machine, folder: &Path) -> Result<Machine> {
    let mut machine = machine.clone();
    if let Some(new) = machine.new_disk {
        let path = folder.join("disk.img");
        std::fs::write(&path, new.bytes()?).context("could not write the disk")?;
        machine.disk = Some(path);
    }
    if let (Some(sector), Some(_)) = (machine.bad_sector, &machine.disk) {
        let rule = |event: &str| {
            format!(
                "[inject-error]\nevent = \"{event}\"\nsector = \"{sector}\"\nerrno = \"5\"\nonce = \"off\"\n"
            )
        };
        let path = folder.join("bad-sector");
        let rules = [rule("read_aio"), rule("write_aio")].concat();
        std::fs::write(&path, rules).context("could not write blkdebug's rules")?;
        machine.blkdebug = Some(path);
    }
    Ok(machine)
}

/// QEMU's arguments for it.
pub fn arguments(machine: &Machine) -> Vec<String> {
    let Some(disk) = &machine.disk else { return Vec::new() };
    // QEMU is started elsewhere; a comma is doubled, as its option syntax wants.
    let name = |path: &PathBuf| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        path.to_string_lossy().replace(',', ",,")
    };
    let file = match &machine.blkdebug {
        Some(rules) => {
            format!("file.driver=blkdebug,file.config={},file.image.filename={}", name(rules), name(disk))
        }
        None => format!("file={}", name(disk)),
    };
    let drive = format!("{file},if=none,id=disk,format=raw");
    let words = ["-global", "virtio-mmio.force-legacy=false", "-drive", &drive];
    words.into_iter().chain(["-device", "virtio-blk-device,drive=disk"]).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let read = |text: &str| text.parse::<NewDisk>().map(|d| (d.content, d.bytes));
        assert_eq!(read("fat:8M"), Ok((Content::Fat, 8 << 20)));
        assert_eq!(read("blank:64K"), Ok((Content::Blank, 64 << 10)));
        assert_eq!(read("blank:0"), Ok((Content::Blank, 0)));
        for bad in ["", "8M", "fat:", "fat:x", "fat:2000M", "ext4:8M"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fresh_disk_has_a_boot_sector() {
        let bytes = "fat:1M".parse::<NewDisk>().unwrap().bytes().unwrap();
        assert_eq!((bytes.len(), &bytes[510..512]), (1 << 20, &[0x55, 0xaa][..]));
        assert!("fat:1K".parse::<NewDisk>().unwrap().bytes().is_err());
    }

    #[test]
    fn arguments_name_the_file() {
        let mut machine = Machine { disk: Some("/d/a,b.img".into()), ..Machine::default() };
        let plain = arguments(&machine).join(" ");
        assert!(plain.contains("-drive file=/d/a,,b.img,if=none,id=disk,format=raw"), "{plain}");
        machine.blkdebug = Some("/d/rules".into());
        let bad = arguments(&machine).join(" ");
        assert!(bad.contains("file.config=/d/rules,file.image.filename=/d/a,,b.img"), "{bad}");
        assert!(arguments(&Machine::default()).is_empty());
    }
}
