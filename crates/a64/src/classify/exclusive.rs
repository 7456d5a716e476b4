//! Exclusive accesses, and the region between them.
//!
//! `ldxr` marks an address, `stxr` stores only if the mark still stands. Taking an exception and returning from
//! it clears the mark (Arm ARM, B2.17), so a probe on a word between the two makes the store fail at every
//! try: the loop never ends. The words themselves are rejected by [`classify`](super::classify), the words
//! between them need a look around:
//!
//! ```text
//!      1:  ldaxr  w0, [x1]     ← load-exclusive
//!          add    w0, w0, #1   ← no probe here: behind it is a load-exclusive, ahead a store-exclusive
//!          stlxr  w2, w0, [x1] ← store-exclusive
//!          cbnz   w2, 1b       ← a probe here is right
//! ```
//!
//! The look is along addresses, not along the flow. Compilers lay such loops out in order, nearly always; where
//! the order is another (a store that has no load before it, a load with no store behind it) the two unpaired
//! ends are taken for a pair, and the words behind the load and before the store are refused. `clrex` is not
//! taken for an end, since it lies on a side path. A function with exclusives may so lose a few places for
//! probes; it never hangs.

use crate::insn::Insn;

/// How far, in words, the two ends of a region are searched. Regions of a compiler have less than ten words;
/// the architecture asks for less than 128 bytes between the two (Arm ARM, B2.17.5).
pub const REGION_WORDS: usize = 32;

/// The two ends of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sets the mark.
    Load,
    /// Stores if it still stands.
    Store,
}

/// Is the word an exclusive access, and which end? The ordered accesses (`ldar`), compare-and-swap and the other
/// single-word atomics share the encoding group and are none.
pub const fn kind(insn: Insn) -> Option<Kind> {
    // size 001000 o2 L o1 …: o2 = 0 is exclusive; o1 is a pair, for sizes 1x, else casp.
    // size 001001: the same unprivileged (FEAT_LSUI), words only.
    let exclusive = insn.matches(0x3fa0_0000, 0x0800_0000)
        || insn.matches(0xbfa0_0000, 0x8820_0000)
        || insn.matches(0xbfa0_0000, 0x8900_0000);
    match (exclusive, insn.bit(22)) {
        (false, _) => None,
        (true, true) => Some(Kind::Load),
        (true, false) => Some(Kind::Store),
    }
}

/// Lies word `at` of `words` between a load-exclusive and its store-exclusive? `words` is the whole function,
/// or as much of it around the word as is known ([`REGION_WORDS`] each way is looked at). `at` beyond the end
/// lies nowhere.
pub fn region_conflict(words: &[Insn], at: usize) -> bool {
    if at >= words.len() {
        return false;
    }
    match (behind(words, at), ahead(words, at)) {
        (Some(Kind::Load), Some(Kind::Store)) => true,
        (Some(Kind::Load), _) => has_orphan(words, Kind::Store),
        (_, Some(Kind::Store)) => has_orphan(words, Kind::Load),
        _ => false,
    }
}

/// The nearest exclusive access before word `at`.
fn behind(words: &[Insn], at: usize) -> Option<Kind> {
    words.get(..at)?.iter().rev().take(REGION_WORDS).find_map(|&word| kind(word))
}

/// The nearest exclusive access after word `at`.
fn ahead(words: &[Insn], at: usize) -> Option<Kind> {
    words.get(at + 1..)?.iter().take(REGION_WORDS).find_map(|&word| kind(word))
}

/// Is there a store-exclusive with no load before it, or a load with no store behind it?
fn has_orphan(words: &[Insn], which: Kind) -> bool {
    words.iter().enumerate().any(|(i, &word)| {
        kind(word) == Some(which)
            && match which {
                Kind::Store => behind(words, i) != Some(Kind::Load),
                Kind::Load => ahead(words, i) != Some(Kind::Store),
            }
    })
}

#[cfg(test)]
mod tests {
    use super::{Kind, REGION_WORDS, kind, region_conflict};
    use crate::insn::Insn;
    use std::vec::Vec;

    const LDXR: Insn = Insn(0xc85f_7c20); // ldxr x0, [x1]
    const STXR: Insn = Insn(0xc802_7c20); // stxr w2, x0, [x1]
    const CLREX: Insn = Insn(0xd503_3f5f);
    const ADD: Insn = Insn(0x9100_0400); // add x0, x0, #1

    fn conflicts(words: &[Insn]) -> Vec<usize> {
        (0..words.len()).filter(|&at| region_conflict(words, at)).collect()
    }

    #[test]
    fn exclusives_are_told_from_their_neighbours() {
        let expected = [
            (0xc85f_7c20, Some(Kind::Load)),  // ldxr x0, [x1]
            (0x085f_fc20, Some(Kind::Load)),  // ldaxrb w0, [x1]
            (0xc87f_0440, Some(Kind::Load)),  // ldxp x0, x1, [x2]
            (0x8803_fc20, Some(Kind::Store)), // stlxr w3, w0, [x1]
            (0x8823_0440, Some(Kind::Store)), // stxp w3, w0, w1, [x2]
            (0x895f_7c20, Some(Kind::Load)),  // ldtxr w0, [x1]
            (0xc902_fc20, Some(Kind::Store)), // stltxr w2, x0, [x1]
            (0xc982_7c20, None),              // cast x2, x0, [x1]
            (0xc8df_fc20, None),              // ldar x0, [x1]
            (0xc89f_fc20, None),              // stlr x0, [x1]
            (0xc8a0_7c41, None),              // cas x0, x1, [x2]
            (0x4820_7c82, None),              // casp x0, x1, x2, x3, [x4]
            (0xf820_0041, None),              // ldadd x0, x1, [x2]
            (0xf940_0020, None),              // ldr x0, [x1]
        ];
        for (word, want) in expected {
            assert_eq!(kind(Insn(word)), want, "{word:#010x}");
        }
    }

    #[test]
    fn a_loop_in_order() {
        let words = [ADD, LDXR, ADD, ADD, STXR, ADD, ADD];
        assert_eq!(conflicts(&words), [2, 3]);
    }

    #[test]
    fn two_loops_leave_the_words_between_them_free() {
        let words = [LDXR, ADD, STXR, ADD, ADD, LDXR, ADD, STXR, ADD];
        assert_eq!(conflicts(&words), [1, 6]);
    }

    #[test]
    fn a_side_path_with_clrex_stays_inside() {
        // ldxr; cmp; b.eq 1f; clrex; ret; 1: stxr
        let words = [LDXR, ADD, ADD, CLREX, ADD, STXR];
        assert_eq!(conflicts(&words), [1, 2, 3, 4]);
    }

    #[test]
    fn a_load_alone_is_no_region() {
        assert_eq!(conflicts(&[ADD, LDXR, ADD, CLREX, ADD]), []);
        assert_eq!(conflicts(&[ADD, STXR, ADD]), []);
    }

    #[test]
    fn a_loop_out_of_order_is_refused_on_both_sides() {
        // The store is laid before the load: the path runs from the end to the start.
        let words = [ADD, STXR, ADD, LDXR, ADD];
        assert_eq!(conflicts(&words), [0, 4]);
    }

    #[test]
    fn the_search_is_bounded() {
        let mut words = [ADD; 3 * REGION_WORDS];
        words[0] = LDXR;
        words[REGION_WORDS - 1] = STXR;
        assert!(region_conflict(&words, 1));
        assert!(!region_conflict(&words, REGION_WORDS));
        assert!(!region_conflict(&words, words.len()));
        assert!(!region_conflict(&[], 0));
    }
}
