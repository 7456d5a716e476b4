//! Two tasks pass a ball: each waits until it is theirs. Every pass is a wake-up and, on one CPU, a switch.

use super::{Fault, same};
use crate::mm;
use crate::task::{self, Prio, WaitQueue};
use ::alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};

/// The ball counts its passes: even, it is the first player's; odd, the second's.
struct Table {
    ball: AtomicU64,
    sides: [WaitQueue; 2],
}

impl Table {
    /// The player of side `side` takes the ball when it has been passed `pass` times, and passes it on.
    fn play(&self, side: usize, pass: u64) {
        let [first, second] = &self.sides;
        let (mine, other) = if side == 0 { (first, second) } else { (second, first) };
        mine.wait_until(|| self.ball.load(Ordering::Acquire) == pass);
        self.ball.store(pass + 1, Ordering::Release);
        other.wake_one();
    }
}

pub(super) fn run(rounds: u64) -> Result<u64, Fault> {
    let table = mm::try_arc(Table { ball: AtomicU64::new(0), sides: [WaitQueue::new(), WaitQueue::new()] })?;
    let theirs = table.clone();
    let pong = move || (0..rounds).for_each(|round| theirs.play(1, 2 * round + 1));
    let pong = task::spawn("pong", Prio::NORMAL, Box::new(pong))?;
    (0..rounds).for_each(|round| table.play(0, 2 * round));
    pong.join()?;
    let passes = table.ball.load(Ordering::Acquire);
    same("passes", passes, expect(rounds))?;
    Ok(passes)
}

pub(super) fn expect(rounds: u64) -> u64 {
    2 * rounds
}
