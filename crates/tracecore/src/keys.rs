//! Static keys: what an entry of the jump table says, and the order in which a key's sites are adjacent.
//!
//! A branch on a static key is one instruction, NOP or B, and an entry of 16 bytes that tells where it is:
//!
//! ```text
//!   offset   0            4              8
//!            ├ code ──────┼ target ──────┼ key │likely ────────┤    each relative to its own place
//!              i32          i32            i64, branch bit in bit 0
//! ```
//!
//! Relative, so that the linker can fill the table once and for all, and half the size of addresses. The key is
//! aligned, so its low bit is free: it says which way the code was laid out. The word that belongs at the site
//! follows from that bit and from the key:
//!
//! | | key off | key on | in line is |
//! |---|---|---|---|
//! | unlikely (bit 0) | NOP | B | what is done when it is off |
//! | likely (bit 1) | B | NOP | what is done when it is on |
//!
//! So the branch is taken when `on` and `likely` differ. The table comes in the order in which the linker met the
//! code; sorted by key and then by address, a key's sites are one slice.

/// Bytes of an entry.
pub const ENTRY_BYTES: u64 = 16;
/// Where in an entry the target's offset is.
const TARGET: u64 = 4;
/// Where in an entry the key's offset is.
const KEY: u64 = 8;

/// A branch on a static key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// Address of the key.
    pub key: u64,
    /// Address of the instruction.
    pub code: u64,
    /// Where the branch goes.
    pub target: u64,
    /// What is in line is done when the key is on.
    pub likely: bool,
}

impl Site {
    /// The entry at address `at`, whose words are `code`, `target` and `key`.
    pub const fn of_entry(at: u64, code: i32, target: i32, key: i64) -> Self {
        let key = at.wrapping_add(KEY).wrapping_add_signed(key);
        Self {
            key: key & !1,
            code: at.wrapping_add_signed(code as i64),
            target: at.wrapping_add(TARGET).wrapping_add_signed(target as i64),
            likely: key & 1 != 0,
        }
    }

    /// Is the branch taken while the key is `on`?
    pub const fn jumps(&self, on: bool) -> bool {
        on != self.likely
    }

    /// From the instruction to its target.
    pub const fn offset(&self) -> i64 {
        self.target.wrapping_sub(self.code) as i64
    }
}

/// Sorts sites so that those of one key are adjacent, each key's by address.
pub fn sort(sites: &mut [Site]) {
    sites.sort_unstable();
}

/// The sites of `key` among sorted `sites`.
pub fn of_key(sites: &[Site], key: u64) -> &[Site] {
    let from = sites.partition_point(|site| site.key < key);
    let rest = sites.get(from..).unwrap_or_default();
    rest.get(..rest.partition_point(|site| site.key == key)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use alloc::vec::Vec;

    /// The entry that a compiler makes for `site` at `at`.
    fn entry(at: u64, site: &Site) -> (i32, i32, i64) {
        let from = |place: u64, to: u64| to.wrapping_sub(place) as i64;
        (
            from(at, site.code) as i32,
            from(at + 4, site.target) as i32,
            from(at + 8, site.key | u64::from(site.likely)),
        )
    }

    #[test]
    fn the_truth_table() {
        let site = |likely| Site { key: 0, code: 0, target: 0, likely };
        for (likely, on, jumps) in
            [(false, false, false), (false, true, true), (true, false, true), (true, true, false)]
        {
            assert_eq!(site(likely).jumps(on), jumps, "likely {likely}, on {on}");
        }
    }

    #[test]
    fn offsets_go_both_ways() {
        let site = Site { key: 0, code: 0x1000, target: 0xff0, likely: false };
        assert_eq!(site.offset(), -16);
        assert_eq!(Site { target: 0x1010, ..site }.offset(), 16);
    }

    #[test]
    fn a_key_without_sites_has_none() {
        assert_eq!(of_key(&[], 8), []);
        let site = Site { key: 16, code: 4, target: 8, likely: true };
        assert_eq!(of_key(&[site], 8), []);
        assert_eq!(of_key(&[site], 16), [site]);
        assert_eq!(of_key(&[site], 24), []);
    }

    #[test]
    fn an_entry_is_read_as_it_was_made() {
        const BASE: u64 = 0xffff_8000_8000_0000;
        let mut random = Random(1);
        for _ in 0..10_000 {
            let mut place = || BASE + random.below(0x4000_0000);
            let (at, code, target, key) = (place(), place(), place(), place());
            let site = Site { key: key & !7, code, target, likely: key & 1 != 0 };
            let (code, target, key) = entry(at, &site);
            assert_eq!(Site::of_entry(at, code, target, key), site);
        }
    }

    #[test]
    fn each_key_finds_its_own() {
        let mut random = Random(2);
        for len in 0..200 {
            let mut site = |_| Site {
                key: 8 * random.below(8),
                code: random.below(1000),
                target: 0,
                likely: random.below(2) == 1,
            };
            let mut sites: Vec<Site> = (0..len % 64).map(&mut site).collect();
            let unsorted = sites.clone();
            sort(&mut sites);
            for key in (0..64).step_by(8) {
                let found = of_key(&sites, key);
                assert_eq!(found.len(), unsorted.iter().filter(|site| site.key == key).count());
                assert!(found.iter().all(|site| site.key == key));
                assert!(found.is_sorted_by_key(|site| site.code));
            }
        }
    }
}
