//! Many things in a row, in pieces: a kernel may have memory, but not in one piece, and asking for too much must not end it.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// Things in one piece.
const PIECE: usize = 512;

/// Things by number.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    pieces: Vec<Vec<T>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T> Chunks<T> {
    pub(super) fn len(&self) -> usize {
        let last = self.pieces.last().map_or(0, Vec::len);
        self.pieces.len().saturating_sub(1) * PIECE + last
    }

    pub(super) fn get(&self, n: usize) -> Option<&T> {
        self.pieces.get(n / PIECE)?.get(n % PIECE)
    }

    pub(super) fn get_mut(&mut self, n: usize) -> Option<&mut T> {
        self.pieces.get_mut(n / PIECE)?.get_mut(n % PIECE)
    }

    /// Adds one: its number.
    pub(super) fn push(&mut self, thing: T) -> Result<u32, TryReserveError> {
        let number = self.len() as u32;
        if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
            let mut piece = Vec::new();
            piece.try_reserve_exact(PIECE)?;
            self.pieces.try_reserve(1)?;
            self.pieces.push(piece);
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(thing);
        }
        Ok(number)
    }
}

/// So many copies in one piece.
pub(super) fn filled<T: Clone>(len: usize, thing: T) -> Result<Vec<T>, TryReserveError> {
    let mut all = Vec::new();
    all.try_reserve_exact(len)?;
    all.resize(len, thing);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_one_row() {
        let mut all = Chunks::default();
        assert_eq!((all.len(), all.get(0)), (0, None));
        for n in 0..3 * PIECE as u32 + 5 {
            assert_eq!(all.push(n), Ok(n));
        }
        assert_eq!(all.len(), 3 * PIECE + 5);
        assert!((0..all.len()).all(|n| all.get(n) == Some(&(n as u32))));
        assert_eq!(all.get(all.len()), None);
        *all.get_mut(PIECE).unwrap() = 7;
        assert_eq!(all.get(PIECE), Some(&7));
        assert!(filled(usize::MAX, 0_u64).is_err());
    }
}
