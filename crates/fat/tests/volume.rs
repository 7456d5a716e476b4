//! Volumes in memory: against a model, full, and damaged in every place.

#![allow(missing_docs, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fat::{Disk, Volume, format, join};
use tracecore::errno::Errno;

#[derive(Clone)]
struct Ram(Arc<Mutex<Vec<u8>>>);

impl Ram {
    fn new(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![0; bytes])))
    }

    fn formatted(bytes: usize) -> Self {
        let ram = Self::new(bytes);
        format(Box::new(ram.clone())).unwrap();
        ram
    }
}

impl Disk for Ram {
    fn bytes(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    fn read(&self, pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let bytes = self.0.lock().unwrap();
        let from =
            bytes.get(usize::try_from(pos).unwrap_or(usize::MAX).min(bytes.len())..).unwrap_or_default();
        let n = buf.len().min(from.len());
        buf[..n].copy_from_slice(&from[..n]);
        Ok(n)
    }

    fn write(&self, pos: u64, data: &[u8]) -> Result<usize, Errno> {
        let mut bytes = self.0.lock().unwrap();
        let at = usize::try_from(pos).unwrap_or(usize::MAX).min(bytes.len());
        let n = data.len().min(bytes.len() - at);
        bytes[at..at + n].copy_from_slice(&data[..n]);
        Ok(n)
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn read_all(volume: &Volume, path: &str) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut part = [0; 700];
    loop {
        match volume.read(path, bytes.len() as u64, &mut part)? {
            0 => return Ok(bytes),
            n => bytes.extend_from_slice(&part[..n]),
        }
    }
}

#[test]
fn files_hold_what_was_written() {
    // FAT12, FAT16 and FAT32, by size.
    for bytes in [256 << 10, 8 << 20, 64 << 20] {
        let ram = Ram::formatted(bytes);
        let volume = Volume::open(Box::new(ram.clone())).unwrap();
        let mut random = Random(7);
        let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for round in 0..400u64 {
            let name = format!("file number {}.text", random.below(8));
            match random.below(6) {
                0 => {
                    let made = volume.create("", &name);
                    // As open(O_CREAT): what is there stays as it is.
                    assert_eq!(made, Ok(()));
                    model.entry(name).or_default();
                }
                1 => {
                    let removed = volume.remove("", &name).is_ok();
                    assert_eq!(removed, model.remove(&name).is_some());
                }
                2 if model.contains_key(&name) => {
                    volume.truncate(&name).unwrap();
                    model.insert(name, Vec::new());
                }
                _ => {
                    let Some(content) = model.get_mut(&name) else { continue };
                    let pos = random.below(content.len() as u64 + 1500);
                    let data = vec![round as u8; random.below(2000) as usize + 1];
                    let at = if pos.is_multiple_of(3) { None } else { Some(pos) };
                    let pos = at.unwrap_or(content.len() as u64) as usize;
                    assert_eq!(volume.write(&name, at, &data), Ok((data.len(), (pos + data.len()) as u64)));
                    content.resize(content.len().max(pos + data.len()), 0);
                    content[pos..pos + data.len()].copy_from_slice(&data);
                }
            }
        }
        let names: Vec<String> = volume.list("").unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), model.len());
        volume.close().unwrap();
        // Another look, from what is on the disk.
        let volume = Volume::open(Box::new(ram)).unwrap();
        for (name, content) in &model {
            assert_eq!(&read_all(&volume, name).unwrap(), content, "{name}");
            assert_eq!(volume.bytes(name), Ok(content.len() as u64));
        }
    }
}

#[test]
fn directories_nest() {
    let volume = Volume::open(Box::new(Ram::formatted(1 << 20))).unwrap();
    volume.mkdir("", "a directory").unwrap();
    volume.mkdir("a directory", "Deeper").unwrap();
    volume.create("a directory/Deeper", "x").unwrap();
    assert_eq!(volume.find("A DIRECTORY", "deeper").map(|e| (e.name, e.is_dir)), Ok(("Deeper".into(), true)));
    assert_eq!(volume.remove("a directory", "Deeper"), Err(Errno::ENOTEMPTY));
    assert_eq!(volume.remove("a directory/Deeper", "x"), Ok(()));
    assert_eq!(volume.remove("a directory", "Deeper"), Ok(()));
    assert_eq!(volume.list("a directory"), Ok(vec![]));
    assert_eq!(volume.find("", "nothing"), Err(Errno::ENOENT));
    assert_eq!(volume.create("nowhere", "x"), Err(Errno::ENOENT));
    assert_eq!(volume.create("", "what?"), Err(Errno::EINVAL));
    assert_eq!(volume.create("", &"n".repeat(256)), Err(Errno::ENAMETOOLONG));
    assert_eq!(volume.read("nothing", 0, &mut [0]), Err(Errno::ENOENT));
    assert_eq!((join("", "x"), join("a", "x")), ("x".into(), "a/x".into()));
}

#[test]
fn a_full_volume_says_so() {
    let volume = Volume::open(Box::new(Ram::formatted(128 << 10))).unwrap();
    volume.create("", "all").unwrap();
    let mut written = 0;
    let end = loop {
        match volume.write("all", None, &[1; 3000]) {
            Ok((n, _)) => written += n as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(end, Errno::ENOSPC);
    let space = volume.space().unwrap();
    assert_eq!((space.free, volume.bytes("all")), (0, Ok(written)));
    assert_eq!(written, u64::from(space.clusters) * u64::from(space.cluster_bytes));
    assert_eq!(volume.mkdir("", "no room"), Err(Errno::ENOSPC));
    volume.truncate("all").unwrap();
    assert_eq!(volume.space().unwrap().free, space.clusters);
    assert_eq!(volume.write("all", Some(fat::MAX_FILE_BYTES), b"x"), Err(Errno::EFBIG));
}

#[test]
fn what_is_no_volume_is_einval() {
    for ram in [Ram::new(0), Ram::new(100), Ram::new(512), Ram::new(1 << 20)] {
        assert_eq!(Volume::open(Box::new(ram)).err(), Some(Errno::EINVAL));
    }
    assert_eq!(format(Box::new(Ram::new(1000))), Err(Errno::ENOSPC));
}

/// Everything that a user can do; what it answers is not the point.
fn use_it(volume: &Volume) {
    let mut buf = [0; 5000];
    let mut dirs = vec![String::new()];
    let mut seen = 0;
    while let Some(dir) = dirs.pop() {
        for entry in volume.list(&dir).unwrap_or_default() {
            seen += 1;
            let path = join(&dir, &entry.name);
            if entry.is_dir && dirs.len() < 4 && seen < 40 {
                dirs.push(path);
            } else if seen < 40 {
                let _ = volume.read(&path, 0, &mut buf);
                let _ = volume.read(&path, entry.bytes / 2, &mut buf);
                let _ = volume.write(&path, Some(entry.bytes / 2), &buf[..600]);
                let _ = volume.write(&path, None, &buf);
                let _ = volume.truncate(&path);
                let _ = volume.remove(&dir, &entry.name);
            }
        }
        let _ = volume.create(&dir, "a new file with a long name");
        let _ = volume.mkdir(&dir, "a new directory");
    }
    let _ = volume.space();
}

#[test]
fn damage_is_an_error_not_an_end() {
    for (bytes, rounds) in [(256 << 10, 1500), (5 << 20, 150), (40 << 20, 15)] {
        let sound = Ram::formatted(bytes);
        {
            let volume = Volume::open(Box::new(sound.clone())).unwrap();
            volume.mkdir("", "directory").unwrap();
            for name in ["one.txt", "the second file", "directory/three"] {
                let (dir, name) = name.rsplit_once('/').unwrap_or(("", name));
                volume.create(dir, name).unwrap();
                volume.write(&join(dir, name), None, &[0; 9000]).unwrap();
            }
            volume.close().unwrap();
        }
        let sound = sound.0.lock().unwrap().clone();
        // Where something stands behind the boot sector: tables and directories, since the files hold zeros.
        let used: Vec<usize> = (512..sound.len()).filter(|&at| sound[at] != 0).collect();
        let mut random = Random(bytes as u64 + 1);
        let mut opened = 0;
        for round in 0..rounds {
            let mut bytes = sound.clone();
            for _ in 0..1 + random.below(6) {
                let at = if random.below(12) == 0 {
                    random.below(512) as usize
                } else {
                    used[random.below(used.len() as u64) as usize]
                };
                bytes[at] = match random.below(4) {
                    0 => 0,
                    1 => 0xff,
                    2 => random.below(8) as u8,
                    _ => random.below(256) as u8,
                };
            }
            if random.below(10) == 0 {
                bytes.truncate(random.below(bytes.len() as u64) as usize);
            }
            let ram = Ram(Arc::new(Mutex::new(bytes)));
            let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let volume = Volume::open(Box::new(ram));
                let opened = volume.is_ok();
                if let Ok(volume) = volume {
                    use_it(&volume);
                    let _ = volume.close();
                }
                opened
            }));
            assert!(used.is_ok(), "round {round} of a volume of {} bytes", sound.len());
            opened += i32::from(used.is_ok_and(|opened| opened));
        }
        // Not all of the damage keeps a volume from being used: that would be too easy.
        assert!(opened * 4 > rounds, "{opened} of {rounds} could be used");
    }
}

#[test]
fn a_chain_that_bites_its_tail_ends() {
    let ram = Ram::formatted(8 << 20);
    let volume = Volume::open(Box::new(ram.clone())).unwrap();
    volume.create("", "loop").unwrap();
    volume.write("loop", None, &vec![1; 100_000]).unwrap();
    volume.close().unwrap();
    // FAT16: find the second link of the only long chain, and turn it back to the first.
    let first = {
        let bytes = ram.0.lock().unwrap();
        let fat = usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) * 512;
        (2..1000).map(|n| fat + 2 * n).find(|&at| u16::from_le_bytes([bytes[at], bytes[at + 1]]) > 2).unwrap()
    };
    let copies = ram.0.lock().unwrap()[16];
    let fat_bytes = {
        let bytes = ram.0.lock().unwrap();
        usize::from(u16::from_le_bytes([bytes[22], bytes[23]])) * 512
    };
    for copy in 0..usize::from(copies) {
        let at = first + copy * fat_bytes;
        let mut bytes = ram.0.lock().unwrap();
        let own = ((first - usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) * 512) / 2) as u16;
        bytes[at..at + 2].copy_from_slice(&own.to_le_bytes());
    }
    let volume = Volume::open(Box::new(ram)).unwrap();
    // Reading ends with the size; freeing the chain has no end of its own.
    assert_eq!(volume.read("loop", 99_000, &mut [0; 500]), Ok(500));
    let _ = volume.truncate("loop");
    let _ = volume.remove("", "loop");
}
