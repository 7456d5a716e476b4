//! A tree of files: written in pieces of any size, read back, overwritten in part, extended, removed.

use super::{Fault, same};
use crate::fs::vfs::{self, How, OpenFile, Whence};
use crate::task;
use crate::workload::random::{Random, mix};
use ::alloc::format;
use ::alloc::string::String;
use ::alloc::vec::Vec;

/// Files of a tree, two to a directory.
const FILES: u64 = 6;
/// A file has less than this many bytes.
const FILE_BYTES: u64 = 12_000;
/// Bytes in front of a file that are overwritten later.
const PATCH_BYTES: usize = 100;
/// Read back in pieces of this size, which divides no page.
const PIECE_BYTES: usize = 777;

/// What a file of a tree holds when it is first written, and in the end.
struct Content {
    first: Vec<u8>,
    last: Vec<u8>,
}

fn content(round: u64, file: u64) -> Content {
    let mut random = Random::new(round * FILES + file + 1);
    let len = 2 * PATCH_BYTES as u64 + random.below(FILE_BYTES);
    let first: Vec<u8> = (0..len).map(|_| random.byte()).collect();
    let mut last = first.clone();
    last.iter_mut().take(PATCH_BYTES).for_each(|byte| *byte = !*byte);
    last.extend((0..PATCH_BYTES).map(|_| random.byte()));
    Content { first, last }
}

fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(mix(sum, bytes.len() as u64), |sum, byte| mix(sum, u64::from(*byte)))
}

fn read_all(file: &OpenFile) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let mut piece = [0; PIECE_BYTES];
    loop {
        let n = file.read(&mut piece)?;
        let Some(got) = piece.get(..n).filter(|got| !got.is_empty()) else { return Ok(bytes) };
        bytes.extend_from_slice(got);
    }
}

/// Does one tree; the checksum of what was read in the end.
fn tree(round: u64, root: &str, mut sum: u64) -> Result<u64, Fault> {
    let path = |file: u64| format!("{root}/{}/{file}", file / 2);
    vfs::mkdir("/", root)?;
    for dir in 0..FILES / 2 {
        vfs::mkdir(root, &format!("{dir}"))?;
    }
    for file in 0..FILES {
        let open = vfs::open("/", &path(file), How::REPLACE)?;
        let mut random = Random::new(file + 1);
        let content = content(round, file);
        let mut rest = &content.first[..];
        while !rest.is_empty() {
            let n = (1 + random.below(3000) as usize).min(rest.len());
            let (piece, later) = rest.split_at(n);
            open.write_all(piece)?;
            rest = later;
        }
    }
    for file in 0..FILES {
        let content = content(round, file);
        let first = read_all(&*vfs::open("/", &path(file), How::READ)?)?;
        same("bytes read", checksum(0, &first), checksum(0, &content.first))?;
        let both = vfs::open("/", &path(file), How { write: true, ..How::READ })?;
        let (patched, _) = content.last.split_at(PATCH_BYTES);
        both.write_all(patched)?;
        both.seek(Whence::End, 0)?;
        let (_, added) = content.last.split_at(content.first.len());
        both.write_all(added)?;
        both.seek(Whence::Start, 0)?;
        sum = checksum(sum, &read_all(&both)?);
    }
    for dir in 0..FILES / 2 {
        same("files in a directory", vfs::readdir(root, &format!("{dir}"))?.len() as u64, 2)?;
    }
    Ok(sum)
}

/// Removes what there is of a tree.
fn remove(root: &str) {
    for file in 0..FILES {
        // What is not there need not be removed; the caller sees whether the root could be.
        let _ = vfs::unlink(root, &format!("{}/{file}", file / 2));
    }
    for dir in 0..FILES / 2 {
        let _ = vfs::rmdir(root, &format!("{dir}"));
    }
}

pub(super) fn run(rounds: u64) -> Result<u64, Fault> {
    run_in(rounds, "/tmp")
}

/// In this directory.
pub(super) fn run_in(rounds: u64, dir: &str) -> Result<u64, Fault> {
    // Several tasks may do this at the same time.
    let root: String = format!("{dir}/work-files-{}", task::current().pid());
    let mut sum = 0;
    for round in 0..rounds {
        let tree = tree(round, &root, sum);
        remove(&root);
        let removed = vfs::rmdir("/", &root);
        sum = tree?;
        removed?;
    }
    same("checksum", sum, expect(rounds))?;
    Ok(sum)
}

pub(super) fn expect(rounds: u64) -> u64 {
    let files = (0..rounds).flat_map(|round| (0..FILES).map(move |file| (round, file)));
    files.fold(0, |sum, (round, file)| checksum(sum, &content(round, file).last))
}
