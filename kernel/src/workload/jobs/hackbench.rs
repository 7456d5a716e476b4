//! Groups of tasks; in each, everyone of one half writes to everyone of the other through pipes.
//!
//! It has the shape of Linux's scheduler test of this name: few things make so many tasks runnable at once. Each
//! receiver has a pipe; a message is written at once, so that messages of different senders do not mix, and all its
//! bytes are checked.

use super::{Fault, same};
use crate::fs::pipe::pipe;
use crate::fs::vfs::OpenFile;
use crate::mm;
use crate::task::{self, Prio, TaskRef};
use ::alloc::boxed::Box;
use ::alloc::sync::Arc;
use ::alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use tracecore::errno::Errno;

const GROUPS: u64 = 2;
const SENDERS: u64 = 4;
const RECEIVERS: u64 = 4;
const MESSAGE_BYTES: usize = 100;

/// What the receivers have got.
#[derive(Default)]
struct Total {
    messages: AtomicU64,
    sum: AtomicU64,
    torn: AtomicU64,
    failed: AtomicU64,
}

/// The number in a message.
fn number(group: u64, sender: u64, round: u64) -> u64 {
    1 + round + 1_000_000_000 * (sender + SENDERS * group)
}

/// A message holds its number many times over.
fn message(number: u64) -> [u8; MESSAGE_BYTES] {
    let mut message = [0; MESSAGE_BYTES];
    message.iter_mut().zip(number.to_le_bytes().iter().cycle()).for_each(|(to, byte)| *to = *byte);
    message
}

fn send(group: u64, sender: u64, rounds: u64, pipes: &[Arc<OpenFile>]) -> Result<(), Errno> {
    for round in 0..rounds {
        let message = message(number(group, sender, round));
        for pipe in pipes {
            pipe.write_all(&message)?;
        }
    }
    Ok(())
}

fn receive(messages: u64, pipe: &OpenFile, total: &Total) -> Result<(), Errno> {
    for _ in 0..messages {
        let mut got = [0; MESSAGE_BYTES];
        let mut filled = 0;
        while let Some(rest) = got.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match pipe.read(rest)? {
                0 => return Err(Errno::EPIPE),
                n => filled += n,
            }
        }
        let number = got.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if got != message(number) {
            total.torn.fetch_add(1, Ordering::Relaxed);
        }
        total.messages.fetch_add(1, Ordering::Relaxed);
        total.sum.fetch_add(number, Ordering::Relaxed);
    }
    Ok(())
}

/// Starts the tasks of a group. If one cannot be started the others end by themselves: a pipe that nobody reads, or
/// that nobody writes, says so.
fn start(group: u64, rounds: u64, total: &Arc<Total>, tasks: &mut Vec<TaskRef>) -> Result<(), Errno> {
    let mut ends = Vec::new();
    for _ in 0..RECEIVERS {
        let (from, to) = pipe()?;
        ends.push(to);
        let total = total.clone();
        let receiver = move || {
            if receive(SENDERS * rounds, &from, &total).is_err() {
                total.failed.fetch_add(1, Ordering::Relaxed);
            }
        };
        tasks.push(task::spawn("hack-recv", Prio::NORMAL, Box::new(receiver))?);
    }
    let ends: Arc<[Arc<OpenFile>]> = ends.into();
    for sender in 0..SENDERS {
        let (ends, total) = (ends.clone(), total.clone());
        let sender = move || {
            if send(group, sender, rounds, &ends).is_err() {
                total.failed.fetch_add(1, Ordering::Relaxed);
            }
        };
        tasks.push(task::spawn("hack-send", Prio::NORMAL, Box::new(sender))?);
    }
    Ok(())
}

pub(super) fn run(rounds: u64) -> Result<u64, Fault> {
    let total = mm::try_arc(Total::default())?;
    let mut tasks = Vec::new();
    let started = (0..GROUPS).try_for_each(|group| start(group, rounds, &total, &mut tasks));
    for task in tasks {
        task.join()?;
    }
    started?;
    same("tasks that failed", total.failed.load(Ordering::Relaxed), 0)?;
    same("torn messages", total.torn.load(Ordering::Relaxed), 0)?;
    let messages = GROUPS * SENDERS * RECEIVERS * rounds;
    same("messages", total.messages.load(Ordering::Relaxed), messages)?;
    let sum = total.sum.load(Ordering::Relaxed);
    same("sum of the messages", sum, expect(rounds))?;
    Ok(sum)
}

pub(super) fn expect(rounds: u64) -> u64 {
    let senders = (0..GROUPS).flat_map(|group| (0..SENDERS).map(move |sender| (group, sender)));
    // The numbers of a sender's rounds, added up.
    let of = |(group, sender)| rounds * number(group, sender, 0) + rounds * rounds.saturating_sub(1) / 2;
    RECEIVERS * senders.map(of).sum::<u64>()
}
