//! Memory of all sizes, taken and given back in a wild order; no two blocks may overlap, and none may change.

use super::{Fault, same};
use crate::workload::random::{Random, mix};
use ::alloc::vec::Vec;
use tracecore::errno::Errno;

/// Blocks that are held at a time.
const SLOTS: usize = 64;

/// Sizes grow by powers of two, up to somewhat more than a page and rarely much more.
fn size(random: &mut Random) -> usize {
    let bits = if random.below(16) == 0 { 17 } else { 13 };
    let most = 1 << random.below(bits);
    1 + random.below(most) as usize
}

/// A block filled with a byte that its number gives.
struct Block {
    number: u64,
    bytes: Vec<u8>,
}

impl Block {
    fn fill(number: u64) -> u8 {
        mix(1, number) as u8
    }

    fn new(number: u64, size: usize) -> Result<Self, Fault> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(size, Self::fill(number));
        Ok(Self { number, bytes })
    }

    /// Whether it still holds what was filled in.
    fn check(&self) -> Result<(), Fault> {
        let fill = Self::fill(self.number);
        match self.bytes.iter().find(|byte| **byte != fill) {
            Some(byte) => {
                Err(Fault::Wrong { what: "a byte of a block", got: u64::from(*byte), want: u64::from(fill) })
            }
            None => Ok(()),
        }
    }
}

/// The order of sizes and places.
fn steps(rounds: u64) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut random = Random::new(rounds + 1);
    (0..rounds).map(move |number| (number, random.below(SLOTS as u64) as usize, size(&mut random)))
}

pub(super) fn run(rounds: u64) -> Result<u64, Fault> {
    let mut slots: [Option<Block>; SLOTS] = [const { None }; SLOTS];
    let mut sum = 0;
    for (number, place, size) in steps(rounds) {
        let Some(slot) = slots.get_mut(place) else { continue };
        if let Some(old) = slot.take() {
            old.check()?;
        }
        let block = Block::new(number, size)?;
        sum = mix(sum, block.bytes.len() as u64);
        *slot = Some(block);
    }
    slots.iter().flatten().try_for_each(Block::check)?;
    same("checksum", sum, expect(rounds))?;
    Ok(sum)
}

pub(super) fn expect(rounds: u64) -> u64 {
    steps(rounds).fold(0, |sum, (_, _, size)| mix(sum, size as u64))
}
