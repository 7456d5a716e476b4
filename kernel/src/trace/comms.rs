//! Names of tasks, for records that outlive them.
//!
//! A record has its task's number. The name is looked up when it is printed: among the tasks that live, else in this
//! table, into which the last name seen for a number is put while recording. The table is direct-mapped: a later task
//! whose number falls into the same place takes it, and then the older one prints as `<...>`, as on Linux when
//! `saved_cmdlines` is full.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tracecore::errno::Errno;

use super::options::Opt;
use crate::fs::textfs::{Text, value};
use crate::fs::tracefs;
use crate::task::{self, COMM_LEN};

/// Places in the table; a power of two.
const PLACES: usize = 2048;

/// A number and a name. The number is 0 while the name is being written.
struct Place {
    pid: AtomicU32,
    name: [AtomicU64; COMM_LEN / 8],
}

static TABLE: [Place; PLACES] =
    [const { Place { pid: AtomicU32::new(0), name: [const { AtomicU64::new(0) }; COMM_LEN / 8] } }; PLACES];

/// Remembers the current task's name. Cheap when it is there already.
#[inline(always)]
pub(super) fn note() {
    let task = task::current();
    let pid = task.pid();
    if place(pid).is_some_and(|place| place.pid.load(Ordering::Relaxed) != pid) {
        save(pid, task.comm());
    }
}

#[inline(always)]
fn place(pid: u32) -> Option<&'static Place> {
    TABLE.get(pid as usize % PLACES)
}

#[cold]
fn save(pid: u32, comm: [u8; COMM_LEN]) {
    if !Opt::RecordCmd.is_on() {
        return;
    }
    let Some(place) = place(pid) else { return };
    place.pid.store(0, Ordering::Relaxed);
    for (word, bytes) in place.name.iter().zip(comm.as_chunks().0) {
        word.store(u64::from_ne_bytes(*bytes), Ordering::Release);
    }
    place.pid.store(pid, Ordering::Release);
}

/// The name that task `pid` has or had.
pub(super) fn name(pid: u32) -> Option<Vec<u8>> {
    let comm = match task::find(pid) {
        _ if pid == 0 => return Some(b"<idle>".to_vec()),
        Some(task) => task.comm(),
        None => saved(pid)?,
    };
    let len = comm.iter().position(|byte| *byte == 0).unwrap_or(COMM_LEN);
    Some(comm[..len].to_vec())
}

fn saved(pid: u32) -> Option<[u8; COMM_LEN]> {
    let place = place(pid)?;
    let mut comm = [0; COMM_LEN];
    let before = place.pid.load(Ordering::Acquire);
    for (bytes, word) in comm.as_chunks_mut().0.iter_mut().zip(&place.name) {
        *bytes = word.load(Ordering::Acquire).to_ne_bytes();
    }
    (before == pid && place.pid.load(Ordering::Acquire) == pid).then_some(comm)
}

/// All that is remembered.
fn all() -> Vec<(u32, Vec<u8>)> {
    TABLE
        .iter()
        .filter_map(|place| {
            let pid = place.pid.load(Ordering::Acquire);
            (pid != 0).then(|| name(pid)).flatten().map(|name| (pid, name))
        })
        .collect()
}

pub(super) fn init() {
    let root = tracefs::tracefs();
    root.file(
        "saved_cmdlines",
        Text::new(0o440).bytes(|out| {
            for (pid, name) in all() {
                out.extend_from_slice(alloc::format!("{pid} ").as_bytes());
                out.extend_from_slice(&name);
                out.push(b'\n');
            }
            Ok(())
        }),
    );
    root.file(
        "saved_cmdlines_size",
        Text::new(0o640).show(|out| writeln!(out, "{PLACES}").map_err(|_| Errno::ENOMEM)).write(|data| {
            // As on Linux there are at least as many places as were asked for; here always these.
            match value::number(data)? {
                places if (1..=PLACES as u64).contains(&places) => Ok(data.len()),
                _ => Err(Errno::EINVAL),
            }
        }),
    );
}
